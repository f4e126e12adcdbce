//! The ways in which a run can end, and how other threads and signals tell the main thread that it must.

use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::process;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use actions::consume::pipeline::Event;
use anyhow::{Result, bail};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// How a run ended.
pub(super) enum Ending {
    /// The target is gone.
    Normal,
    /// Ctrl-C: DTrace prints one more newline.
    Interrupted,
    /// Another signal; with the same newline.
    Terminated,
    /// `exit()`.
    Exit,
    /// Nobody reads the output any more.
    OutputClosed,
    /// The output cannot be written.
    OutputFailed(io::Error),
    /// Waiting itself failed.
    Failed(anyhow::Error),
}

/// What ends a run from the threads that bring records to the output, on its way to the main thread.
pub(super) struct Mailbox {
    event: EventFd,
    ending: Mutex<Option<Ending>>,
}

impl Mailbox {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            event: EventFd::new()?,
            ending: Mutex::new(None),
        })
    }

    pub(super) fn post(&self, event: Event) {
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

    pub(super) fn take(&self) -> Option<Ending> {
        self.ending.lock().ok()?.take()
    }
}

impl AsFd for Mailbox {
    /// Readable when there is something to take.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// Whom signals are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalsFor {
    /// This run.
    This,
    /// The run that this one is a part of.
    Outer,
}

/// The signals that end a run in good order. They are read from a descriptor, and blocked otherwise.
pub(super) struct Signals {
    fd: SignalFd,
    whose: SignalsFor,
}

/// The signals that end a run.
const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// A signal that comes so soon after another is the same wish: timeout(1) and sudo(8) send each twice.
const SAME: Duration = Duration::from_millis(100);

impl Signals {
    /// From now on, signals end the run in good order; until here, one ends rdtrace at once, whatever it
    /// is doing. A part of another run leaves it to that whether they are blocked. `children`: whether a
    /// stopped child wakes this run up, too.
    pub(super) fn block(whose: SignalsFor, children: bool) -> Result<Self> {
        let mut set = SigSet::from_iter(ENDING);
        if children {
            set.add(Signal::SIGCHLD);
        }
        if whose == SignalsFor::This {
            set.thread_block()?;
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags)?;
        Ok(Self { fd, whose })
    }

    /// What has come, if it ends the run. A child that has stopped is no end. `is_readable` says that
    /// there is something.
    pub(super) fn read(&self, is_readable: bool) -> Result<Option<Ending>> {
        if self.whose == SignalsFor::Outer {
            if is_readable {
                bail!("it was interrupted");
            }
            return Ok(None);
        }
        let Ok(Some(signal)) = self.fd.read_signal() else {
            return Ok(None);
        };
        let is = |other: Signal| signal.ssi_signo == other as u32;
        Ok(if is(Signal::SIGCHLD) {
            None
        } else if is(Signal::SIGINT) {
            Some(Ending::Interrupted)
        } else {
            Some(Ending::Terminated)
        })
    }
}

impl Signals {
    /// The run ends. From now on another signal ends rdtrace at once, whatever is still to be shown; `tell` is called
    /// before.
    pub(super) fn end_at_once(&self, tell: impl FnOnce() + Send + 'static) -> Result<()> {
        if self.whose == SignalsFor::Outer {
            return Ok(());
        }
        let set = SigSet::from_iter(ENDING);
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?;
        let start = Instant::now();
        let wait = move || {
            let next = iter::from_fn(|| fd.read_signal().ok().flatten());
            let mut later = next.skip_while(|_| start.elapsed() < SAME);
            let number = later.next().and_then(|info| info.ssi_signo.try_into().ok());
            if let Some(signal) = number.and_then(|number: i32| Signal::try_from(number).ok()) {
                tell();
                let _ = set.thread_unblock();
                let _ = raise(signal);
                // It is ignored: so it is in what a shell's script starts in the background.
                process::exit(128 + signal as i32);
            }
        };
        thread::Builder::new().name("signals".into()).spawn(wait)?;
        Ok(())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
