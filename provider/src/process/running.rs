//! A process that runs by itself, and its end.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::error::Error;
use crate::sys::trace;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
    /// It is gone; only its parent knows how.
    Gone,
}

impl fmt::Display for Exit {
    /// In illumos' words: `exited with status 1`, `terminated by SIGKILL`, `has exited`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(0) | Self::Gone => f.write_str("has exited"),
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "terminated by {signal}"),
                Err(_) => write!(f, "terminated by signal {signal}"),
            },
        }
    }
}

impl Exit {
    /// From a status of wait(2); `None` if the process has not ended.
    pub(super) fn from_wait(status: i32) -> Option<Self> {
        if libc::WIFEXITED(status) {
            Some(Self::Status(libc::WEXITSTATUS(status)))
        } else if libc::WIFSIGNALED(status) {
            Some(Self::Signal(libc::WTERMSIG(status)))
        } else {
            None
        }
    }
}

/// A process that runs untraced by ptrace: a command that was let go, or one that `-p` named.
/// Dropping this does nothing to it.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    pidfd: OwnedFd,
    ours: bool,
    exit: Option<Exit>,
}

impl AsFd for Running {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Running {
    /// Grabs a process that runs; it is not stopped, and does not notice.
    ///
    /// # Errors
    ///
    /// [`Error::Grab`] if there is no such process, or it is a kernel thread or has ended.
    pub fn attach(pid: u32) -> Result<Self, Error> {
        let no_such = || io::Error::from_raw_os_error(libc::ESRCH);
        let grab = |source: io::Error| {
            // For 0 and for threads that are no processes the kernel has other words.
            let unfit = matches!(
                source.raw_os_error(),
                Some(libc::EINVAL | libc::ENOENT) | None
            );
            Error::Grab {
                pid,
                source: if unfit { no_such() } else { source },
            }
        };
        let pidfd = trace::pidfd(pid).map_err(grab)?;
        std::fs::read_link(format!("/proc/{pid}/exe")).map_err(grab)?;
        Ok(Self {
            pid,
            pidfd,
            ours: false,
            exit: None,
        })
    }

    /// A child that has been let go, or has ended already.
    pub(super) fn child(pid: u32, pidfd: OwnedFd, exit: Option<Exit>) -> Self {
        Self {
            pid,
            pidfd,
            ours: true,
            exit,
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether we started it, so that its exit status can be known.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// How it ended, or `None` while it runs. Never waits.
    pub fn exited(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = if self.ours {
                match trace::wait(self.pid, libc::WNOHANG) {
                    Ok(status) => status.and_then(Exit::from_wait),
                    Err(_) => Some(Exit::Gone), // somebody else has waited for it
                }
            } else {
                self.ended(Duration::ZERO).then_some(Exit::Gone)
            };
        }
        self.exit
    }

    /// Waits for its end, but not longer than `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Option<Exit> {
        if self.exit.is_none() && self.ended(timeout) {
            return self.exited();
        }
        self.exit
    }

    /// Sends it a signal, if it still runs.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.pid).map_err(io::Error::other)?;
        if self.exit.is_some() {
            return Ok(());
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).map_err(io::Error::from)
    }

    fn ended(&self, timeout: Duration) -> bool {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
    }
}
