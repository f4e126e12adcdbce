//! The processes that `-c` and `-p` name.
//!
//! A command is stopped before its first instruction, and may be stopped again each time it becomes
//! another program.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};
use provider::features::KernelFeatures;
use provider::process::command::split_command;
use provider::process::files::executable_files;
use provider::process::launch::{Stopped, launch_stopped};
use provider::process::running::{Exit, Running};
use provider::process::{MappingWatch, Whose, may_run_other_files};

use crate::cli::Cli;

/// After so long, people are told what is waited for.
const LONG: Duration = Duration::from_secs(2);

/// After so many milliseconds it is looked again whether a command has stopped. Its signal may have been
/// read by another thread: that of a run that follows processes, while this command is started by the
/// self-test of a program that came late.
const AGAIN: u16 = 100;

/// What is traced, besides whatever matches system-wide.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// A command that has not been let go yet.
    stopped: Option<Stopped>,
    /// Processes that run.
    running: Vec<Running>,
    /// The first process: `$target`.
    pid: Option<u32>,
    /// How the process that ended last ended.
    last_exit: Option<Exit>,
}

impl Target {
    /// Starts the command of `-c` and grabs the processes of `-p`.
    pub(crate) fn open(cli: &Cli) -> Result<Self> {
        let mut target = Self::default();
        for pid in &cli.pids {
            let number = pid
                .parse()
                .ok()
                .with_context(|| format!("invalid pid: {pid}"))?;
            target.running.push(Running::attach(number)?);
            target.pid.get_or_insert(number);
        }
        if let Some(command) = &cli.command {
            let argv = split_command(command)
                .map_err(|error| anyhow::anyhow!("failed to execute {command}: {error}"))?;
            let stopped = launch_stopped(&argv)?;
            target.pid.get_or_insert(stopped.pid());
            target.stopped = Some(stopped);
        }
        Ok(target)
    }

    /// A command that has been started already.
    pub(crate) fn of(stopped: Stopped) -> Self {
        Self {
            last_exit: None,
            pid: Some(stopped.pid()),
            stopped: Some(stopped),
            running: Vec::new(),
        }
    }

    /// `$target`.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// All of its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let running = self.running.iter().map(Running::pid);
        running.chain(self.command()).collect()
    }

    /// The command, until it has been let go for good.
    pub(crate) fn command(&self) -> Option<u32> {
        self.stopped.as_ref().map(Stopped::pid)
    }

    /// Whether there is a process whose end ends the run.
    pub(crate) fn exists(&self) -> bool {
        self.pid.is_some()
    }

    /// Goes on until the command has become its next program, or has mapped one more library, and stops it
    /// there. `false` if it ended instead (or there is no command). `waits` is called if that takes long.
    pub(crate) fn next_program_or_library(&mut self, mut waits: impl FnMut()) -> Result<bool> {
        let Some(stopped) = &mut self.stopped else {
            return Ok(false);
        };
        // Before the threads of the watch are started, which would take the signals otherwise.
        let children = ChildSignals::block()?;
        let mut watch = MappingWatch::start(
            &KernelFeatures::detect(),
            Whose {
                only: Some(vec![stopped.pid()]),
                ..Whose::default()
            },
        )?;
        stopped.run_bound()?;
        let start = monotonic();
        let mut is_told = false;
        loop {
            if stopped.arrived()? {
                return Ok(true);
            }
            if stopped.has_ended() {
                return Ok(false);
            }
            let mut fds = [
                PollFd::new(watch.as_fd(), PollFlags::POLLIN),
                PollFd::new(children.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut fds, PollTimeout::from(AGAIN));
            if monotonic() > start + LONG && !std::mem::replace(&mut is_told, true) {
                waits();
            }
            children.clear();
            if !watch.take().is_empty() {
                stopped.halt()?;
                return Ok(!stopped.has_ended());
            }
        }
    }

    /// Whether the command may become another program, or load one more library, as far as its files say.
    pub(crate) fn may_run_other_files(&self) -> bool {
        let stopped = self.stopped.as_ref();
        stopped.is_some_and(|stopped| may_run_other_files(stopped.pid()))
    }

    /// Goes on to the command's next program; `false` if there is none (or no command).
    pub(crate) fn next_image(&mut self) -> Result<bool> {
        match &mut self.stopped {
            Some(stopped) => Ok(stopped.next_image()?.is_some()),
            None => Ok(false),
        }
    }

    /// Whether there is a command that has not been let go.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Whether the command has ended while its next program was waited for.
    pub(crate) fn ended_early(&self) -> bool {
        self.stopped.is_some() && self.pid.is_some_and(|pid| executable_files(pid).is_empty())
    }

    /// Lets the command run on to its next program without waiting for that.
    pub(crate) fn run_on(&mut self) -> Result<()> {
        match &mut self.stopped {
            Some(stopped) => Ok(stopped.run_on()?),
            None => Ok(()),
        }
    }

    /// The command, if it has [run on](Self::run_on) to its next program and is stopped there.
    pub(crate) fn arrived(&mut self) -> Result<Option<u32>> {
        let Some(stopped) = &mut self.stopped else {
            return Ok(None);
        };
        if stopped.arrived()? {
            return Ok(Some(stopped.pid()));
        }
        if stopped.has_ended() {
            self.resume()?;
        }
        Ok(None)
    }

    /// As [`arrived`](Self::arrived), for when these processes have mapped something: if the command is
    /// among them, it may be about to stop there.
    pub(crate) fn arrived_soon(
        &mut self,
        mut moved: impl Iterator<Item = u32>,
    ) -> Result<Option<u32>> {
        let command = self.command();
        let may_stop = command.is_some_and(|command| moved.any(|pid| pid == command));
        let end = monotonic() + Duration::from_millis(1);
        loop {
            let arrived = self.arrived()?;
            if arrived.is_some() || !may_stop || !self.is_stopped() || monotonic() > end {
                return Ok(arrived);
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Lets the command run.
    pub(crate) fn resume(&mut self) -> Result<()> {
        if let Some(stopped) = self.stopped.take() {
            self.running.push(stopped.resume()?);
        }
        Ok(())
    }

    /// Descriptors that become readable when a process ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.running.iter().map(|process| process.as_fd())
    }

    /// The processes that have ended since the last call.
    pub(crate) fn ended(&mut self) -> Vec<(u32, Exit)> {
        let mut ended = Vec::new();
        self.running.retain_mut(|process| match process.exited() {
            Some(exit) => {
                ended.push((process.pid(), exit));
                self.last_exit = Some(exit);
                false
            }
            None => true,
        });
        ended
    }

    /// How the process that ended last ended.
    pub(crate) fn last_exit(&self) -> Option<Exit> {
        self.last_exit
    }

    /// Whether all processes have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.running.is_empty() && self.stopped.is_none()
    }

    /// Ends the commands that we started, as DTrace does when the run ends before them: they have
    /// `grace` to end by themselves, are then asked to, and killed a second later.
    pub(crate) fn terminate(&mut self, grace: Duration) {
        let second = Duration::from_secs(1);
        for process in self.running.iter_mut().filter(|process| process.is_ours()) {
            for (patience, signal) in [(grace, Signal::SIGTERM), (second, Signal::SIGKILL)] {
                if process.wait(patience).is_none() {
                    let _ = process.signal(signal);
                }
            }
            process.wait(second);
        }
    }

    /// Stops a command of ours that runs, until [`go_on`](Self::go_on); gives when it did stop, by
    /// `CLOCK_MONOTONIC`.
    pub(crate) fn hold(&mut self, pid: u32) -> Option<Duration> {
        if let Some(stopped) = self.stopped.as_mut().filter(|command| command.pid() == pid) {
            stopped.halt().ok()?;
            return Some(monotonic());
        }
        let mut running = self.running.iter();
        let process = running.find(|process| process.pid() == pid && process.is_ours())?;
        process.signal(Signal::SIGSTOP).ok()?;
        let end = monotonic() + Duration::from_millis(100);
        while !is_stopped(pid) && monotonic() < end {
            std::thread::sleep(Duration::from_micros(50));
        }
        Some(monotonic())
    }

    /// Lets a command go on that was [held](Self::hold).
    pub(crate) fn go_on(&mut self, pid: u32) -> Result<()> {
        if let Some(stopped) = self.stopped.as_mut().filter(|command| command.pid() == pid) {
            return Ok(stopped.run_on()?);
        }
        if let Some(process) = self.running.iter().find(|process| process.pid() == pid) {
            let _ = process.signal(Signal::SIGCONT);
        }
        Ok(())
    }

    /// Passes a signal on to the commands that we started.
    pub(crate) fn signal(&self, signal: Signal) {
        for process in self.running.iter().filter(|process| process.is_ours()) {
            let _ = process.signal(signal);
        }
    }
}

/// The signals by which the kernel says that a child has stopped or ended. They are read from a
/// descriptor, and do nothing else.
struct ChildSignals(SignalFd);

impl ChildSignals {
    /// Blocks them in this thread, and in those that it starts from now on.
    fn block() -> Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// Takes what has come.
    fn clear(&self) {
        let _ = self.0.read_signal();
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The time by `CLOCK_MONOTONIC`.
pub(crate) fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// Whether all of a process's threads have stopped for a signal, or it has ended.
fn is_stopped(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let mut tasks = tasks.into_iter().flatten().flatten();
    tasks.all(|task| {
        let stat = std::fs::read(task.path().join("stat")).unwrap_or_default();
        let end = stat.iter().rposition(|byte| *byte == b')');
        let state = end.and_then(|end| stat.get(end + 2));
        state.is_none_or(|state| b"TtZX".contains(state))
    })
}
