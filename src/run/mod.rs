//! One run of tracing: enable, let the target go, wait, and end in good order.
//!
//! The main thread waits for what may end the run: signals, the target's end, `exit()`, an output
//! that cannot be written. Two more threads bring records from the ring to the output
//! (`actions::consume`). Whatever ends the run, the probes are detached, END runs, everything that
//! was recorded is printed, then the aggregations.

mod ending;
mod output;

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actions::consume::pipeline::{Pipeline, Sinks};
use actions::record::Ecb;
use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use provider::interpreters::Interpreter;
use provider::process::Exit;
use provider::session::{Detacher, Runnable};

pub(crate) use self::ending::SignalsFor;
use self::ending::{Ending, Mailbox, Signals};
pub(crate) use self::output::Output;
use crate::checked::Checked;
use crate::kernel::{KernelRing, RunMaps};
use crate::late::{Enabler, Late};
use crate::matching::{Match, all_found};
use crate::message::{Messages, reason};
use crate::metrics::Listener;
use crate::notices::{interpreter_meant, tell_built_ins, tell_name, tell_untraced_children};
use crate::options::Options;
use crate::target::{Target, monotonic};

/// How long a command has to answer Ctrl-C by itself.
const GRACE: Duration = Duration::from_millis(500);

/// How long a signal waits for what is just being enabled.
const PATIENCE: Duration = Duration::from_millis(50);

/// A run that has not begun.
pub(crate) struct Run {
    /// Where metrics are asked for.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) options: Arc<Options>,
    pub(crate) messages: Messages,
    pub(crate) output: Output,
    /// What is traced.
    pub(crate) target: Target,
    /// What enables the probes of its program.
    pub(crate) enabler: Enabler,
    /// Whether signals end it.
    pub(crate) signals: SignalsFor,
}

/// A run that goes on.
struct Live {
    options: Arc<Options>,
    messages: Messages,
    /// What the output is called.
    output: String,
    target: Target,
    late: Late,
    pipeline: Pipeline,
    maps: RunMaps,
    signals: Signals,
    mailbox: Arc<Mailbox>,
    /// Whether any clause on the probes of programs records something when it runs.
    records: bool,
    /// The program of END.
    end: Option<Runnable>,
    detacher: Detacher,
    checked: Checked,
}

impl Run {
    /// Traces until something ends it; gives the exit status.
    pub(crate) fn trace(self, matches: &[Match]) -> Result<i32> {
        let Self {
            listen,
            options,
            messages,
            output,
            mut target,
            mut enabler,
            signals,
        } = self;
        let enabling = &mut enabler.enabling;
        let progress = messages.during("loading the programs");
        let mut loaded = enabling.load(&all_found(matches))?;
        drop(progress);
        let records = loaded.ecbs.iter().any(records_of_programs);
        let ecbs = std::mem::take(&mut loaded.ecbs);
        // Threads have the signals blocked that were so when they started: any other would get them, and end us.
        let signals = Signals::block(signals, enabling.compiler.followed().is_some())?;
        let mut consumer = enabling.consumer(ecbs, &target.pids())?;
        consumer.begins();
        let maps = RunMaps::of(&enabling.session, &enabling.compiler)?;
        let ring = Box::new(KernelRing::of(&enabling.session, &enabling.compiler)?);
        let mailbox = Arc::new(Mailbox::new()?);
        let name = output.name.clone();
        let pipeline = Pipeline::start(ring, consumer, sinks(output, &messages, &mailbox))?;
        let listener = listen.map(|address| Listener::start(address, pipeline.metrics()));
        let listener = listener.transpose()?;
        if let Some(listener) = &listener
            && !options.output.quiet
        {
            messages.say(&format!("metrics are at {}", listener.url()));
        }
        let end = loaded.end.map(|end| enabling.session.runnable(end));
        let end = end.transpose()?;
        let detacher = enabling.session.detacher();
        let checked = enabling.checked.clone();
        let mut late = Late::start(enabler, matches, pipeline.ecbs(), &target, messages.clone())?;
        let Some(enabling) = late.enabling() else {
            bail!("the run has not begun, and probes are enabled already");
        };
        if let Some(begin) = loaded.begin {
            enabling.session.run(begin)?;
        }
        pipeline.begun();
        enabling.attach(&loaded)?;
        late.let_go(&mut target)?;
        let mut live = Live {
            options,
            messages,
            output: name,
            target,
            late,
            pipeline,
            maps,
            signals,
            mailbox,
            records,
            end,
            detacher,
            checked,
        };
        let ending = live.wait().unwrap_or_else(Ending::Failed);
        let status = live.end(ending);
        drop(listener);
        status
    }
}

fn sinks(output: Output, messages: &Messages, mailbox: &Arc<Mailbox>) -> Sinks {
    let messages = messages.clone();
    let mailbox = Arc::clone(mailbox);
    Sinks {
        output: output.writer,
        to_stdout: output.is_stdout,
        cut: output.cut,
        report: Box::new(move |line| messages.say(line)),
        event: Box::new(move |event| mailbox.post(event)),
    }
}

impl Live {
    /// Waits for the end of the run.
    fn wait(&mut self) -> Result<Ending> {
        let status = Duration::from_nanos(self.options.statusrate.max(1_000_000));
        let mut look = Instant::now() + status;
        loop {
            if let Some(ending) = self.mailbox.take() {
                return Ok(ending);
            }
            self.late.go_on(&mut self.target)?;
            if self.target.exists() {
                report_ended(&mut self.target, &self.options, &self.messages);
                if self.target.is_over() && self.late.is_over()? {
                    return Ok(Ending::Normal);
                }
            }
            let is_signal = self.sleep(look.saturating_duration_since(Instant::now()))?;
            if let Some(ending) = self.signals.read(is_signal)? {
                self.target.resume()?;
                if matches!(ending, Ending::Terminated) {
                    self.target.signal(Signal::SIGTERM);
                }
                return Ok(ending);
            }
            self.late.go_on(&mut self.target)?;
            if Instant::now() >= look {
                look = Instant::now() + status;
                self.pipeline.drops(&self.maps.drops()?);
                self.late.tidy()?;
            }
        }
    }

    /// Sleeps until there is something to look after, but not longer than `timeout`. Whether there is a
    /// signal.
    fn sleep(&self, timeout: Duration) -> Result<bool> {
        let own = [self.signals.as_fd(), self.mailbox.as_fd()];
        let others = self.late.fds().chain(self.target.ends());
        let fds = own.into_iter().chain(others);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let millis = u16::try_from(timeout.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("failed to wait"),
        }
        Ok(fds.first().and_then(PollFd::any) == Some(true))
    }

    /// The processes that the target has started and that nobody asked to follow, if they run the
    /// interpreter that is meant in the target.
    fn untraced_children(&self) -> Option<(&'static Interpreter, Vec<u32>)> {
        let parsed = &self.checked.parsed;
        let interpreter = interpreter_meant(parsed, self.target.pid()?)?;
        Some((interpreter, self.late.unfollowed_interpreters()))
    }

    /// Waits for what is being enabled, so that it can be told what of it was not seen; not long if a
    /// signal ends the run, or comes meanwhile.
    fn wait_for_late(&mut self, ending: &Ending) {
        let (signals, patience) = match ending {
            Ending::Interrupted | Ending::Terminated | Ending::Normal | Ending::Failed(_) => {
                (None, Some(PATIENCE))
            }
            Ending::Exit | Ending::OutputClosed | Ending::OutputFailed(_) => {
                (Some(self.signals.as_fd()), None)
            }
        };
        self.late.wait_for_job(signals, patience);
        // An error of the job is that of a run that goes on.
        let _ = self.late.finish_job(&mut self.target);
    }

    /// Ends the run: detach, END, the last records, the aggregations.
    fn end(mut self, ending: Ending) -> Result<i32> {
        let until = monotonic();
        self.wait_for_late(&ending);
        let messages = self.messages.clone();
        let tell = move || messages.say("ended at once: what has not been shown yet is lost");
        self.signals.end_at_once(tell)?;
        self.late.release(&mut self.target);
        // If all has failed, the command that has not been let go is not.
        let let_go = match &ending {
            Ending::Failed(_) => Ok(()),
            Ending::Normal
            | Ending::Interrupted
            | Ending::Terminated
            | Ending::Exit
            | Ending::OutputClosed
            | Ending::OutputFailed(_) => self.target.resume(),
        };
        self.detacher.detach_all();
        if !matches!(ending, Ending::Failed(_)) {
            self.late.tell_last(until);
        }
        let children = self.untraced_children();
        let Self {
            options,
            messages,
            output,
            mut target,
            late,
            pipeline,
            maps,
            mailbox,
            records,
            end,
            checked,
            ..
        } = self;
        let unmatched = if options.zdefs {
            Vec::new()
        } else {
            late.unmatched(&maps)
        };
        let counted = maps.have_counted();
        let mut pipeline = pipeline.stop();
        let ran = end.map_or(Ok(()), |end| end.run());
        pipeline.drain();
        // END's own is the last word.
        let exit = maps.exit_status();
        let counts = maps.drops();
        if let Ok(counts) = &counts {
            pipeline.drops(counts);
        }
        if matches!(ending, Ending::Interrupted | Ending::Terminated) {
            pipeline.interrupted();
        }
        let shown = pipeline.finish();
        let is_silent = records && shown.consumer.in_programs == 0 && !counted;
        match ending {
            Ending::Exit => target.terminate(Duration::ZERO),
            // Ctrl-C at a terminal has reached the command too, which may be cleaning up.
            Ending::Interrupted => target.terminate(GRACE),
            Ending::Normal
            | Ending::Terminated
            | Ending::OutputClosed
            | Ending::OutputFailed(_)
            | Ending::Failed(_) => {}
        }
        report_ended(&mut target, &options, &messages);
        late.report_untraced();
        for name in maps.names_never_found() {
            tell_name(name, &messages);
        }
        if is_silent {
            if let Some((interpreter, children)) = children {
                tell_untraced_children(interpreter, &children, &messages);
            }
            tell_built_ins(&checked.program, &messages);
        }
        let_go?;
        ran?;
        counts?;
        let exit = exit?;
        let posted = mailbox.take();
        Ok(match (ending, posted) {
            (Ending::OutputFailed(error), _) | (_, Some(Ending::OutputFailed(error))) => {
                let (what, why) = (&output, reason(&error));
                messages.say(&format!("failed to write to {what}: {why}"));
                1
            }
            (Ending::Failed(error), _) => return Err(error),
            _ => match exit {
                Some(status) => status,
                None if !unmatched.is_empty() => {
                    late.report_unmatched(&unmatched);
                    1
                }
                None if options.childstatus => target.last_exit().map_or(0, shell_status),
                None => 0,
            },
        })
    }
}

/// Tells how processes ended.
fn report_ended(target: &mut Target, options: &Options, messages: &Messages) {
    for (pid, exit) in target.ended() {
        if !options.output.quiet {
            messages.say(&format!("pid {pid} {exit}"));
        }
    }
}

/// Whether a clause is on a probe of a program, and what it does shows.
fn records_of_programs(ecb: &Ecb) -> bool {
    let layout = &ecb.layout;
    ecb.probe.kind.file().is_some() && !(layout.outputs.is_empty() && layout.adds.is_empty())
}

/// A process's end as a shell tells it: its status, or 128 and the signal.
fn shell_status(exit: Exit) -> i32 {
    match exit {
        Exit::Status(status) => status,
        Exit::Signal(signal) => 128 + signal,
        Exit::Gone => 0,
    }
}
