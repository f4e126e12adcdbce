//! Starting a command so that probes can be in place before it does anything.
//!
//! `python3` may be a shell script that execs another script that execs the interpreter, and an
//! interpreter may keep its code in a library. So the command is followed with ptrace(2) from its
//! first exec on, and stops twice in each program it becomes:
//!
//! ```text
//!     exec      the program is mapped, its libraries are not
//!       |       a breakpoint is put on the program's entry point (AT_ENTRY)
//!     ld.so     maps the libraries, runs their constructors
//!       |
//!     entry     next_image() returns: everything is mapped, nothing of the program has run
//!       |
//!       +-----> resume(): ptrace lets go for good; the target runs as if never stopped
//!       |
//!     exec      next_image() again, if this was not the program that is wanted
//! ```
//!
//! Only the command's own process is followed; what it forks runs free. Signals are passed on.
//! Whoever has something else to do until the next exec calls `run_on()` and asks `arrived()` at
//! each `SIGCHLD`, in place of `next_image()`.
//!
//! Should rdtrace die meanwhile, the kernel kills the target, which has not begun what was asked of it;
//! once it [runs on](Stopped::run_on), the kernel lets it go, and only between exec and entry, about a
//! millisecond, would it meet our breakpoint.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::unistd::Pid;

use super::running::{Exit, Running};
use crate::error::Error;
use crate::sys::trace;

/// A command that has been started and has not been let go. Dropping it kills the command, which has
/// not done anything yet that was asked of it.
#[derive(Debug)]
pub struct Stopped {
    command: String,
    pid: u32,
    /// `None` once it has been handed on.
    pidfd: Option<OwnedFd>,
    state: State,
    /// ptrace belongs to the thread that started the command.
    _thread: PhantomData<*const ()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Stopped at an exec.
    Exec,
    /// Stopped at a program's entry.
    Entry,
    /// Running on, to its next exec or its end.
    Running,
    /// It has ended.
    Ended(Exit),
    /// It has been let go.
    Released,
}

/// A program that is ready to run: mapped with its libraries, nothing of it executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The process, the same for every image of a command.
    pub pid: u32,
    /// The program.
    pub program: PathBuf,
}

/// Starts a command, stopped before its first instruction. The program is looked for in `PATH`.
///
/// # Errors
///
/// [`Error::Execute`] if there is no such command or it may not be executed.
pub fn launch_stopped(argv: &[String]) -> Result<Stopped, Error> {
    let Some((name, arguments)) = argv.split_first() else {
        return Err(Error::Execute {
            command: String::new(),
            source: io::Error::from_raw_os_error(libc::ENOENT),
        });
    };
    let mut command = Command::new(name);
    command.args(arguments);
    launch(command, Path::new(name), |_| ())
}

/// Starts a command that is known as `name`. What `prepare` has it do before its exec, it does after
/// it has become ours to trace: then it may not have the right to become so any more.
pub(super) fn launch(
    mut command: Command,
    name: &Path,
    prepare: impl FnOnce(&mut Command),
) -> Result<Stopped, Error> {
    let name = name.display().to_string();
    crate::limits::give_back(&mut command);
    trace::trace_me(&mut command);
    prepare(&mut command);
    let child = command.spawn().map_err(|source| Error::Execute {
        command: name.clone(),
        source,
    })?;
    let pid = child.id();
    let pidfd = trace::pidfd(pid);
    let mut stopped = Stopped {
        command: name,
        pid,
        pidfd: None,
        state: State::Exec,
        _thread: PhantomData,
    };
    stopped.pidfd = Some(pidfd.map_err(|source| stopped.error("pidfd_open", source))?);
    match stopped.wait(0)? {
        Some(Event::Ended(exit)) => stopped.state = State::Ended(exit),
        Some(Event::Exec | Event::Trap | Event::Signal(_)) | None => {
            stopped.set_options(ptrace::Options::PTRACE_O_EXITKILL)?;
        }
    }
    Ok(stopped)
}

/// Why a traced process has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// It has become another program.
    Exec,
    /// A breakpoint, or a `SIGTRAP` that somebody sent.
    Trap,
    /// A signal is about to be delivered.
    Signal(i32),
    /// It has ended, and has been waited for.
    Ended(Exit),
}

impl Stopped {
    /// The process id, `$target`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Goes on to the next program that the command becomes, the first included, and stops before
    /// anything of it runs. `None` if the command ended instead.
    pub fn next_image(&mut self) -> Result<Option<Image>, Error> {
        if self.state == State::Entry {
            let event = self.run_until(|event| event == Event::Exec)?;
            self.state = if let Event::Ended(exit) = event {
                State::Ended(exit)
            } else {
                State::Exec
            };
        }
        while self.state == State::Exec {
            self.run_to_entry()?;
        }
        if self.state != State::Entry {
            return Ok(None);
        }
        let program = fs::read_link(format!("/proc/{}/exe", self.pid)).unwrap_or_default();
        Ok(Some(Image {
            pid: self.pid,
            program,
        }))
    }

    /// Lets it run on to its next program without waiting for that, from where
    /// [`next_image`](Self::next_image) or [`arrived`](Self::arrived) has left it.
    pub fn run_on(&mut self) -> Result<(), Error> {
        if self.state == State::Entry {
            self.set_options(ptrace::Options::empty())?;
            self.go_on(0)?;
            self.state = State::Running;
        }
        Ok(())
    }

    /// As [`run_on`](Self::run_on), but the command still dies with rdtrace.
    pub fn run_bound(&mut self) -> Result<(), Error> {
        if self.state == State::Entry {
            self.go_on(0)?;
            self.state = State::Running;
        }
        Ok(())
    }

    /// Sets what ptrace does beside stopping at each exec.
    fn set_options(&self, more: ptrace::Options) -> Result<(), Error> {
        ptrace::setoptions(self.nix_pid(), ptrace::Options::PTRACE_O_TRACEEXEC | more)
            .map_err(|errno| self.error("PTRACE_SETOPTIONS", errno.into()))
    }

    /// Whether it is stopped at the entry of a program: the next one, if it
    /// [ran on](Self::run_on). Never waits, but for the loader of a program that has just been
    /// mapped. There is something new to see when the calling process gets a `SIGCHLD`.
    pub fn arrived(&mut self) -> Result<bool, Error> {
        while self.state == State::Running {
            match self.wait(libc::WNOHANG)? {
                None => return Ok(false),
                Some(Event::Ended(exit)) => self.state = State::Ended(exit),
                Some(Event::Exec) => self.state = State::Exec,
                Some(Event::Signal(signal)) => self.go_on(signal)?,
                Some(Event::Trap) => self.go_on(libc::SIGTRAP)?,
            }
            while self.state == State::Exec {
                self.run_to_entry()?;
            }
        }
        Ok(self.state == State::Entry)
    }

    /// Whether it has ended, as far as has been looked.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Lets the command run.
    pub fn resume(mut self) -> Result<Running, Error> {
        self.halt()?;
        let exit = match self.state {
            State::Ended(exit) => Some(exit),
            State::Running => None, // it cannot be stopped: the kernel lets it go when we end
            State::Exec | State::Entry | State::Released => {
                trace::release(self.pid, 0)
                    .map_err(|source| self.error("PTRACE_DETACH", source))?;
                None
            }
        };
        self.state = State::Released;
        match self.pidfd.take() {
            Some(pidfd) => Ok(Running::child(self.pid, pidfd, exit)),
            None => Err(self.error("pidfd_open", io::ErrorKind::NotFound.into())),
        }
    }

    /// Stops it wherever it is, if it [runs on](Self::run_on): it can be let go then, or run on again. It
    /// does not see the signal that does that. If it has just become another program, that is at the
    /// program's entry, with all of its libraries.
    pub fn halt(&mut self) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_secs(1);
        if self.state != State::Running {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let mut is_at_exec = false;
        // One thread of it is ours; the signal must not go to another.
        let _ = trace::signal_thread(self.pid, self.pid, libc::SIGSTOP);
        while Instant::now() < deadline {
            match self.wait(libc::WNOHANG)? {
                None => thread::sleep(Duration::from_micros(100)),
                Some(Event::Ended(exit)) => {
                    self.state = State::Ended(exit);
                    return Ok(());
                }
                Some(Event::Signal(libc::SIGSTOP)) if is_at_exec => {
                    self.state = State::Exec;
                    break;
                }
                Some(Event::Signal(libc::SIGSTOP)) => {
                    self.state = State::Entry;
                    return Ok(());
                }
                Some(Event::Signal(signal)) => self.go_on(signal)?,
                Some(Event::Trap) => self.go_on(libc::SIGTRAP)?,
                Some(Event::Exec) => {
                    is_at_exec = true;
                    self.go_on(0)?;
                }
            }
        }
        while self.state == State::Exec {
            self.run_to_entry()?;
        }
        Ok(())
    }

    /// From an exec to the program's entry point.
    fn run_to_entry(&mut self) -> Result<(), Error> {
        let Some(entry) = self.entry_behind_loader() else {
            // A static program starts at its entry, and a 32-bit one has no probes for us.
            self.state = State::Entry;
            return Ok(());
        };
        let pid = self.nix_pid();
        let at = entry as ptrace::AddressType;
        let fail =
            |this: &Self, operation, errno: nix::Error| Err(this.error(operation, errno.into()));
        let original = match ptrace::read(pid, at) {
            Ok(word) => word,
            Err(errno) => return fail(self, "PTRACE_PEEKTEXT", errno),
        };
        if let Err(errno) = ptrace::write(pid, at, breakpoint(original)) {
            return fail(self, "PTRACE_POKETEXT", errno);
        }
        let event = self.run_until(|event| matches!(event, Event::Exec | Event::Trap))?;
        match event {
            Event::Ended(exit) => self.state = State::Ended(exit),
            Event::Exec => self.state = State::Exec,
            Event::Trap | Event::Signal(_) => {
                if let Err(errno) = ptrace::write(pid, at, original) {
                    return fail(self, "PTRACE_POKETEXT", errno);
                }
                if let Err(errno) = rewind(pid, entry) {
                    return fail(self, "PTRACE_SETREGS", errno);
                }
                self.state = State::Entry;
            }
        }
        Ok(())
    }

    /// The entry point, if a loader runs before it.
    fn entry_behind_loader(&self) -> Option<u64> {
        const AT_BASE: u64 = 7;
        const AT_ENTRY: u64 = 9;
        let mut class = [0; 5];
        io::Read::read_exact(
            &mut fs::File::open(format!("/proc/{}/exe", self.pid)).ok()?,
            &mut class,
        )
        .ok()?;
        if class[4] != object::elf::ELFCLASS64 {
            return None;
        }
        let auxv = fs::read(format!("/proc/{}/auxv", self.pid)).ok()?;
        let value_of = |wanted: u64| {
            auxv.chunks_exact(16).find_map(|pair| {
                let (key, value) = pair.split_first_chunk::<8>()?;
                let value = value.first_chunk::<8>()?;
                (u64::from_ne_bytes(*key) == wanted).then_some(u64::from_ne_bytes(*value))
            })
        };
        value_of(AT_BASE).filter(|base| *base != 0)?;
        value_of(AT_ENTRY)
    }

    /// Lets it run, passing on signals, until an event that `wanted` accepts or its end.
    fn run_until(&self, wanted: impl Fn(Event) -> bool) -> Result<Event, Error> {
        let mut signal = 0;
        loop {
            self.go_on(signal)?;
            signal = match self.wait(0)? {
                Some(Event::Ended(exit)) => return Ok(Event::Ended(exit)),
                Some(event) if wanted(event) => return Ok(event),
                Some(Event::Signal(signal)) => signal,
                Some(Event::Trap) => libc::SIGTRAP,
                Some(Event::Exec) | None => 0,
            };
        }
    }

    /// Lets it go on from where it is stopped.
    fn go_on(&self, signal: i32) -> Result<(), Error> {
        match trace::go_on(self.pid, signal) {
            // Killed while it was stopped: the end is there to be waited for.
            Err(source) if source.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other.map_err(|source| self.error("PTRACE_CONT", source)),
        }
    }

    /// Waits for it to stop or end; with `WNOHANG`, gives `None` if it does neither.
    fn wait(&self, flags: i32) -> Result<Option<Event>, Error> {
        let exec = libc::SIGTRAP | libc::PTRACE_EVENT_EXEC << 8;
        loop {
            let status = trace::wait(self.pid, flags | libc::__WALL)
                .map_err(|source| self.error("waitpid", source))?;
            let Some(status) = status else {
                return Ok(None);
            };
            if let Some(exit) = Exit::from_wait(status) {
                return Ok(Some(Event::Ended(exit)));
            }
            if libc::WIFSTOPPED(status) {
                return Ok(Some(match libc::WSTOPSIG(status) {
                    _ if status >> 8 == exec => Event::Exec,
                    libc::SIGTRAP => Event::Trap,
                    signal => Event::Signal(signal),
                }));
            }
        }
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(self.pid.cast_signed())
    }

    fn error(&self, operation: &'static str, source: io::Error) -> Error {
        Error::Follow {
            command: self.command.clone(),
            operation,
            source,
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if matches!(self.state, State::Exec | State::Entry) {
            // Neither can fail in a way that matters: the process may be gone already.
            let _ = nix::sys::signal::kill(self.nix_pid(), nix::sys::signal::Signal::SIGKILL);
            while let Ok(Some(status)) = trace::wait(self.pid, libc::__WALL) {
                if Exit::from_wait(status).is_some() {
                    break;
                }
            }
        }
    }
}

/// A word of code with its first instruction replaced by a breakpoint.
#[cfg(target_arch = "x86_64")]
fn breakpoint(word: libc::c_long) -> libc::c_long {
    word & !0xff | 0xcc // int3
}

/// A word of code with its first instruction replaced by a breakpoint.
#[cfg(target_arch = "aarch64")]
fn breakpoint(word: libc::c_long) -> libc::c_long {
    word & !0xffff_ffff | 0xd420_0000 // brk #0
}

/// Sets the next instruction to execute: x86 stops behind a breakpoint.
#[cfg(target_arch = "x86_64")]
fn rewind(pid: Pid, entry: u64) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.rip = entry;
    ptrace::setregs(pid, registers)
}

/// Sets the next instruction to execute: aarch64 stops at a breakpoint, which is right already.
#[cfg(target_arch = "aarch64")]
fn rewind(_pid: Pid, _entry: u64) -> nix::Result<()> {
    Ok(())
}
