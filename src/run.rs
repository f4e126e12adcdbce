//! One run of tracing: enable, let the target go, wait, and end in good order.
//!
//! The main thread waits for what may end the run: signals, the target's end, `exit()`, an output
//! that cannot be written. Two more threads bring records from the ring to the output
//! (`actions::consume`). Whatever ends the run, the probes are detached, END runs, everything that
//! was recorded is printed, then the aggregations.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actions::consume::pipeline::{Event, Pipeline, Sinks};
use actions::consume::{Consumer, OutputFormat, OutputOptions};
use actions::follow::FollowFields;
use actions::lower::{
    Compiler, Enabled, Extras, LowerOptions, Object, uses_ancestors, wants_may_goto,
};
use actions::record::Ecb;
use anyhow::{Context as _, Result, bail};
use dlang::tags::Tag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use predicates::storage::own_globals;
use provider::catalog::Catalog;
use provider::features::KernelFeatures;
use provider::object::{Attachment, ProgramId, Target as AttachTarget};
use provider::process::{Exit, MappingWatch};
use provider::session::Session;

use crate::cli::Cli;
use crate::compile::{Compiled, reason, refusal};
use crate::follow::Followed;
use crate::kernel::{
    KernelMaps, KernelRing, exit_status, free_dead_frames, read_drops, task_fields, wall_offset,
};
use crate::late::Expectations;
use crate::matching::{KnownArgs, Match, all_found, enabled};
use crate::message::Messages;
use crate::notices::{means_python_of, tell_built_ins, tell_untraced_children};
use crate::options::Options;
use crate::stability;
use crate::target::{Target, monotonic};

/// How long a command has to answer Ctrl-C by itself.
const GRACE: Duration = Duration::from_millis(500);

/// Everything that one run works with.
pub(crate) struct Run<'r> {
    pub(crate) cli: &'r Cli,
    pub(crate) options: &'r Options,
    pub(crate) messages: &'r Messages,
    pub(crate) compiled: Compiled,
    pub(crate) catalog: Catalog,
    pub(crate) target: Target,
    /// The types of `args[]` that the program was checked with.
    pub(crate) known: KnownArgs,
    /// What it takes to follow the target's children, if they are followed.
    pub(crate) follow: Option<FollowFields>,
    /// Where the output goes, if not where `-o` says.
    pub(crate) sink: Option<Box<dyn Write + Send>>,
    /// Whether it is a part of something else, which signals are for: they are left to that.
    pub(crate) is_part: bool,
}

/// How a run ended.
enum Ending {
    /// The target is gone, or a signal came.
    Normal,
    /// Ctrl-C: DTrace prints one more newline.
    Interrupted,
    /// `exit()`.
    Exit,
    /// Nobody reads the output any more.
    OutputClosed,
    /// The output cannot be written.
    OutputFailed(io::Error),
    /// Waiting itself failed.
    Failed(anyhow::Error),
}

impl Run<'_> {
    /// Traces until something ends it; gives the exit status.
    pub(crate) fn trace(mut self, matches: &[Match]) -> Result<i32> {
        let mut output = self.open_output()?;
        if self.cli.verbose && !self.is_part {
            let Compiled { program, parsed } = &self.compiled;
            output.write_all(stability::report(parsed, program).as_bytes())?;
        }
        let program = Arc::new(self.compiled.program.clone());
        let mut compiler = Compiler::new(Arc::clone(&program), self.lower_options());
        let object = self.lower(&mut compiler, &self.enabled(matches))?;
        let mut session = Session::new(KernelFeatures::detect());
        let (begin, end) = Self::load(&mut session, &compiler, &object)?;
        let records = object.ecbs.iter().any(records_of_programs);
        let mut consumer = self.consumer(&session, &compiler, object.ecbs)?;
        consumer.begins();
        // Until here a signal ends rdtrace at once, whatever it is doing; from here on, in good order.
        let signals = self.block_signals()?;
        let mailbox = Arc::new(Mailbox::new()?);
        let ring = Box::new(KernelRing::of(&session, &compiler)?);
        let pipeline = Pipeline::start(ring, consumer, self.sinks(output, &mailbox))?;
        let watch = self.watch_mappings()?;
        let followed = match compiler.followed() {
            Some(map) => Some(Followed::start(session.map(map)?, &self.target.pids())?),
            None => None,
        };

        if let Some(begin) = begin {
            session.run(begin)?;
        }
        pipeline.begun();
        let probes: Vec<_> = matches
            .iter()
            .flat_map(|found| found.all().cloned())
            .collect();
        session.raise_semaphores(&probes)?;
        session.attach_all(&attachable(&object.attachments, 0))?;
        if let Some(followed) = &followed {
            followed.adopt(&self.target.pids())?;
        }
        let expectations = Expectations::of(matches);
        self.let_go(expectations.awaited())?;

        let mut live = Live {
            session,
            compiler,
            pipeline,
            watch,
            followed,
            expectations,
            records,
        };
        let ending = self
            .wait(&mut live, &signals, &mailbox)
            .unwrap_or_else(Ending::Failed);
        self.end(live, end, ending, &mailbox)
    }

    fn enabled(&self, matches: &[Match]) -> Vec<Enabled> {
        let Compiled { program, parsed } = &self.compiled;
        enabled(parsed, program, &all_found(matches))
    }

    /// The generated programs as text, for `--dump bpf`.
    pub(crate) fn listings(&self, matches: &[Match]) -> Result<String> {
        let program = Arc::new(self.compiled.program.clone());
        let mut compiler = Compiler::new(program, self.lower_options());
        Ok(self
            .lower(&mut compiler, &self.enabled(matches))?
            .listings
            .join("\n"))
    }

    /// Whether any description may mean probes in files, found now or later.
    fn means_files(&self) -> bool {
        let mut descs = self.compiled.parsed.descs();
        descs.any(|desc| self.catalog.means_files(desc))
    }

    fn lower_options(&self) -> LowerOptions {
        let (program, in_files) = (&self.compiled.program, self.means_files());
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        // A key and its values on every CPU take some hundred bytes.
        let output = &self.options.output;
        let keys = self.options.aggsize;
        let keys = keys.map(|size| (size / 256).clamp(64, 1 << 24));
        LowerOptions {
            strsize: self.options.output.strsize,
            scratchsize: self.options.scratchsize,
            ring_bytes: self.options.ring_bytes(cpus),
            aggregation_keys: keys.and_then(|keys| u32::try_from(keys).ok()),
            dynvarsize: u32::try_from(self.options.dynvarsize).unwrap_or(u32::MAX),
            speculations: self.options.nspec,
            extras: Extras {
                flow: output.flow_indent && output.format == OutputFormat::Text,
                origin: output.format.shows_origin(),
            },
            task: task_fields(in_files || uses_ancestors(program)),
            may_goto: (in_files || wants_may_goto(program, self.options.output.strsize))
                && KernelFeatures::may_goto(),
            follow: self.follow,
            grows: self.grows(),
        }
    }

    pub(crate) fn lower(&self, compiler: &mut Compiler, enabled: &[Enabled]) -> Result<Object> {
        let object = compiler.lower(enabled).map_err(|error| {
            let (sources, options) = (&self.compiled.parsed.sources, self.options);
            let text = refusal(
                Tag::Unsupported,
                error.span,
                &error.message,
                sources,
                options,
            );
            anyhow::Error::msg(text)
        })?;
        if self.cli.show_code {
            let mut stderr = io::stderr().lock();
            for listing in &object.listings {
                let _ = writeln!(stderr, "{listing}");
            }
        }
        Ok(object)
    }

    /// Makes the maps and loads the programs; gives BEGIN's and END's.
    fn load(
        session: &mut Session,
        compiler: &Compiler,
        object: &Object,
    ) -> Result<(Option<ProgramId>, Option<ProgramId>)> {
        let mut maps = object.maps.clone();
        if let Some(globals) = maps.get_mut(compiler.globals().0 as usize) {
            let mut value = vec![0; globals.value_size as usize];
            let at = own_globals::WALL_OFFSET as usize;
            value[at..at + 8].copy_from_slice(&wall_offset().to_ne_bytes());
            globals.initial = Some(value);
        }
        session.create_maps(&maps)?;
        load_programs(session, object)?;
        let find = |wanted: fn(&AttachTarget) -> bool| {
            object
                .attachments
                .iter()
                .find(|attachment| wanted(&attachment.target))
                .map(|attachment| attachment.program)
        };
        Ok((
            find(|target| matches!(target, AttachTarget::Begin)),
            find(|target| matches!(target, AttachTarget::End)),
        ))
    }

    fn consumer(&self, session: &Session, compiler: &Compiler, ecbs: Vec<Ecb>) -> Result<Consumer> {
        let layouts = compiler.aggregation_layouts();
        let mut maps = HashMap::new();
        for layout in &layouts {
            for id in layout.maps.iter().chain(
                layout
                    .selector
                    .iter()
                    .filter_map(|s| Some(&s.epoch.as_ref()?.map)),
            ) {
                maps.insert(*id, session.map(*id)?);
            }
        }
        let options = OutputOptions {
            wall_offset: wall_offset(),
            ..self.options.output.clone()
        };
        let mut consumer = Consumer::new(options, Box::new(KernelMaps(maps)));
        consumer.add_aggregations(layouts);
        consumer.add_ecbs(ecbs);
        Ok(consumer)
    }

    /// Signals end the run in good order; they are read from a descriptor, blocked otherwise.
    /// A command that is followed tells by `SIGCHLD` that it has stopped. What is a part of another run
    /// leaves it to that whether they are blocked.
    fn block_signals(&self) -> Result<SignalFd> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ] {
            set.add(signal);
        }
        if self.follow.is_some() {
            set.add(Signal::SIGCHLD);
        }
        if !self.is_part {
            set.thread_block()?;
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(SignalFd::with_flags(&set, flags)?)
    }

    fn open_output(&mut self) -> Result<Box<dyn Write + Send>> {
        if let Some(sink) = self.sink.take() {
            return Ok(sink);
        }
        Ok(match &self.cli.output {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .map_err(|error| {
                        anyhow::anyhow!("failed to open {path}: {}", reason(&error))
                    })?,
            ),
        })
    }

    fn sinks(&self, output: Box<dyn Write + Send>, mailbox: &Arc<Mailbox>) -> Sinks {
        let messages = self.messages.clone();
        let mailbox = Arc::clone(mailbox);
        Sinks {
            output,
            report: Box::new(move |line| messages.say(line)),
            event: Box::new(move |event| mailbox.post(event)),
        }
    }

    /// Waits for the end of the run.
    fn wait(&mut self, live: &mut Live, signals: &SignalFd, mailbox: &Mailbox) -> Result<Ending> {
        let status = Duration::from_nanos(self.options.statusrate.max(1_000_000));
        let mut look = Instant::now() + status;
        let mut sweep = Instant::now() + SWEEP;
        loop {
            if let Some(ending) = mailbox.take() {
                return Ok(ending);
            }
            if let Some(pid) = self.target.arrived()? {
                self.enable_image(live, pid)?;
            }
            if self.target.exists() {
                self.report_ended();
                if self.target.is_over() && live.are_over()? {
                    return Ok(Ending::Normal);
                }
            }
            let timeout = look.saturating_duration_since(Instant::now());
            let mut fds = vec![
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(mailbox.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(
                live.watch
                    .iter()
                    .map(|w| PollFd::new(w.as_fd(), PollFlags::POLLIN)),
            );
            let followed = live.followed.iter().filter_map(Followed::end);
            fds.extend(
                self.target
                    .ends()
                    .chain(followed)
                    .map(|fd| PollFd::new(fd, PollFlags::POLLIN)),
            );
            let millis = u16::try_from(timeout.as_millis() + 1).unwrap_or(u16::MAX);
            match poll(&mut fds, PollTimeout::from(millis)) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error).context("failed to wait"),
            }
            if self.is_part && fds.first().and_then(PollFd::any) == Some(true) {
                bail!("it was interrupted");
            }
            // A command that is followed is looked after above.
            if let Ok(Some(signal)) = signals.read_signal()
                && signal.ssi_signo != Signal::SIGCHLD as u32
            {
                let interrupted = signal.ssi_signo == Signal::SIGINT as u32;
                self.target.resume()?;
                if !interrupted {
                    self.target.signal(Signal::SIGTERM);
                }
                return Ok(if interrupted {
                    Ending::Interrupted
                } else {
                    Ending::Normal
                });
            }
            let started = live.started();
            // At the start of a program the command is stopped: what that brings comes in time.
            let moved = started.iter().map(|process| process.pid);
            if let Some(pid) = self.target.arrived_soon(moved)? {
                self.enable_image(live, pid)?;
            }
            self.enable_late(live, &started)?;
            self.tell_lacking(live, &started);
            if Instant::now() >= look {
                look = Instant::now() + status;
                let counts = read_drops(&live.session, &live.compiler)?;
                live.pipeline.drops(&counts);
                self.release_gone(live);
                if Instant::now() >= sweep {
                    sweep = Instant::now() + SWEEP;
                    free_dead_frames(&live.session, &live.compiler)?;
                }
            }
        }
    }

    /// The Pythons that the targets have started and that nobody asked to follow.
    fn untraced_children(&self, live: &Live) -> Vec<u32> {
        let is_meant = |pid| means_python_of(&self.compiled.parsed, pid);
        let mut targets = self.target.pid().into_iter();
        match &live.watch {
            Some(watch) if self.follow.is_none() && targets.any(is_meant) => {
                watch.python_children()
            }
            _ => Vec::new(),
        }
    }

    /// Tells how processes ended.
    fn report_ended(&mut self) {
        for (pid, exit) in self.target.ended() {
            if !self.options.output.quiet {
                self.messages.say(&format!("pid {pid} {exit}"));
            }
        }
    }

    /// Ends the run: detach, END, the last records, the aggregations.
    fn end(
        mut self,
        mut live: Live,
        end: Option<ProgramId>,
        ending: Ending,
        mailbox: &Mailbox,
    ) -> Result<i32> {
        let until = monotonic();
        // If all has failed, the command that has not been let go is not.
        let let_go = match &ending {
            Ending::Failed(_) => Ok(()),
            _ => self.target.resume(),
        };
        live.session.detach_all();
        if !matches!(ending, Ending::Failed(_)) {
            self.tell_last(&mut live, until);
        }
        let unmatched = if self.options.zdefs {
            Vec::new()
        } else {
            live.unmatched()
        };
        let untraced = live.expectations.untraced();
        let (records, counted) = (live.records, live.has_counted());
        let children = self.untraced_children(&live);
        let mut pipeline = live.pipeline.stop();
        let ran = end.map_or(Ok(()), |end| live.session.run(end));
        pipeline.drain();
        // END's own is the last word.
        let exit = live
            .session
            .map(live.compiler.globals())
            .map_err(anyhow::Error::from)
            .and_then(|globals| exit_status(&globals));
        let counts = read_drops(&live.session, &live.compiler);
        if let Ok(counts) = &counts {
            pipeline.drops(counts);
        }
        if matches!(ending, Ending::Interrupted) {
            pipeline.interrupted();
        }
        let shown = pipeline.finish();
        let is_silent = records && shown.consumer.in_programs == 0 && !counted;
        match ending {
            Ending::Exit => self.target.terminate(Duration::ZERO),
            // Ctrl-C at a terminal has reached the command too, which may be cleaning up.
            Ending::Interrupted => self.target.terminate(GRACE),
            _ => {}
        }
        self.report_ended();
        self.report_untraced(untraced);
        if is_silent {
            tell_untraced_children(&children, self.messages);
            tell_built_ins(&self.compiled.program, self.messages);
        }
        let_go?;
        ran?;
        counts?;
        let exit = exit?;
        let late = mailbox.take();
        Ok(match (ending, late) {
            (Ending::OutputFailed(error), _) | (_, Some(Ending::OutputFailed(error))) => {
                let what = self.cli.output.as_deref().unwrap_or("standard output");
                self.messages
                    .say(&format!("failed to write to {what}: {}", reason(&error)));
                1
            }
            (Ending::Failed(error), _) => return Err(error),
            _ => match exit {
                Some(status) => status,
                None if !unmatched.is_empty() => {
                    self.report_unmatched(&unmatched);
                    1
                }
                None if self.options.childstatus => self.target.last_exit().map_or(0, shell_status),
                None => 0,
            },
        })
    }
}

/// How often what ended processes left behind is looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What is in the kernel and in the threads while a run lasts.
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) compiler: Compiler,
    pub(crate) pipeline: Pipeline,
    pub(crate) watch: Option<MappingWatch>,
    /// The processes that are followed, if any are.
    pub(crate) followed: Option<Followed>,
    /// What is expected of programs that start.
    pub(crate) expectations: Expectations,
    /// Whether any clause on the probes of programs records something when it runs.
    records: bool,
}

/// Whether a clause is on a probe of a program, and what it does shows.
fn records_of_programs(ecb: &Ecb) -> bool {
    let layout = &ecb.layout;
    ecb.probe.kind.file().is_some() && !(layout.outputs.is_empty() && layout.adds.is_empty())
}

impl Live {
    /// Whether any aggregation has a value.
    fn has_counted(&self) -> bool {
        let layouts = self.compiler.aggregation_layouts();
        let mut maps = layouts.iter().flat_map(|layout| &layout.maps);
        maps.any(|id| {
            let mut any = false;
            if let Ok(map) = self.session.map(*id) {
                // One without keys is there from the start, all zeroes.
                let _ = map.for_each(&mut |_, value| any |= value.iter().any(|byte| *byte != 0));
            }
            any
        })
    }
}

/// A process's end as a shell tells it: its status, or 128 and the signal.
fn shell_status(exit: Exit) -> i32 {
    match exit {
        Exit::Status(status) => status,
        Exit::Signal(signal) => 128 + signal,
        Exit::Gone => 0,
    }
}

/// The attachments with the session's program ids, of which `first` is the object's first.
pub(crate) fn attachable(attachments: &[Attachment], first: u32) -> Vec<Attachment> {
    attachments
        .iter()
        .filter(|attachment| !matches!(attachment.target, AttachTarget::Begin | AttachTarget::End))
        .map(|attachment| Attachment {
            program: ProgramId(attachment.program.0 + first),
            target: attachment.target.clone(),
        })
        .collect()
}

/// Loads an object's programs; gives the session's id of the first.
pub(crate) fn load_programs(session: &mut Session, object: &Object) -> Result<u32> {
    let mut first = None;
    for (program, listing) in object.programs.iter().zip(&object.listings) {
        let loaded = session.load(program);
        let id = loaded.map_err(|error| rejected(error, listing))?;
        first.get_or_insert(id.0);
    }
    Ok(first.unwrap_or(0))
}

/// A program that the verifier refuses is our bug: everything that helps to find it.
fn rejected(error: provider::error::Error, listing: &str) -> anyhow::Error {
    let text = error.to_string();
    if std::error::Error::source(&error).is_some() {
        return error.into();
    }
    anyhow::anyhow!("{text}\n{listing}")
}

/// Events on their way from the format thread to the main thread.
struct Mailbox {
    event: EventFd,
    ending: Mutex<Option<Ending>>,
}

impl Mailbox {
    fn new() -> Result<Self> {
        Ok(Self {
            event: EventFd::new()?,
            ending: Mutex::new(None),
        })
    }

    fn post(&self, event: Event) {
        let ending = match event {
            Event::Exit => Ending::Exit,
            Event::OutputClosed => Ending::OutputClosed,
            Event::OutputFailed(error) => Ending::OutputFailed(error),
        };
        if let Ok(mut slot) = self.ending.lock() {
            slot.get_or_insert(ending);
        }
        let _ = self.event.write(1);
    }

    fn take(&self) -> Option<Ending> {
        self.ending.lock().ok()?.take()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
