//! Following what processes map while they run, so that an address can be told when its process
//! is gone.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};

use super::spaces::{NewMapping, Spaces};
use crate::error::Error;
use crate::features::KernelFeatures;
use crate::process::files::all_processes;
use crate::process::reports::{News, Record, Report, Reports};

/// Keeps what is known of all processes up to date, until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

/// What the watch and its thread tell each other.
#[derive(Debug)]
struct Shared {
    /// Readable when the thread is to end.
    stop: EventFd,
    /// Readable when it is to take what there is.
    wake: EventFd,
    /// How often that was asked for.
    asked: AtomicU64,
    /// How many of these have been answered.
    answered: Mutex<u64>,
    news: Condvar,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.shared.stop.write(1);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Watch {
    /// Waits until all is known that has happened so far.
    pub(super) fn catch_up(&self) {
        /// Who does not answer for so long has ended.
        const PATIENCE: Duration = Duration::from_secs(5);
        let number = self.shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let _ = self.shared.wake.write(1);
        if let Ok(answered) = self.shared.answered.lock() {
            let behind = |answered: &mut u64| *answered < number;
            let news = &self.shared.news;
            drop(news.wait_timeout_while(answered, PATIENCE, behind));
        }
    }

    /// Begins to watch. The processes that run already are looked at by and by.
    pub(super) fn start(features: &KernelFeatures, spaces: Arc<Spaces>) -> Result<Self, Error> {
        let failed = |source| Error::MappingWatch { source };
        let mut reports = Reports::start(features, true)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = || EventFd::from_flags(flags).map_err(|errno| failed(errno.into()));
        let shared = Arc::new(Shared {
            stop: event()?,
            wake: event()?,
            asked: AtomicU64::new(0),
            answered: Mutex::new(0),
            news: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let named = thread::Builder::new().name("addresses".into());
        let run = move || {
            for pid in all_processes() {
                spaces.look(pid);
                // A large program takes a while, and what starts now may be gone by then.
                note(reports.take(), &spaces);
            }
            loop {
                let events = [own.stop.as_fd(), own.wake.as_fd()];
                let mut fds: Vec<_> = events
                    .into_iter()
                    .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                    .collect();
                let polled = reports.fds();
                fds.extend(polled.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
                let waited = poll(&mut fds, PollTimeout::NONE);
                let is_over = fds[0].any() == Some(true)
                    || waited.is_err_and(|errno| errno != nix::errno::Errno::EINTR);
                let _ = own.wake.read();
                let asked = own.asked.load(Ordering::SeqCst);
                note(reports.take(), &spaces);
                if let Ok(mut answered) = own.answered.lock() {
                    *answered = asked;
                    own.news.notify_all();
                }
                if is_over {
                    return;
                }
            }
        };
        let reader = named.spawn(run).map_err(failed)?;
        Ok(Self {
            shared,
            reader: Some(reader),
        })
    }
}

/// Brings what is known up to date.
fn note(News { reports, lost }: News, spaces: &Spaces) {
    for report in reports {
        match report {
            Report::Mapped(record) if record.is_of_file() || record.is_vdso() => {
                spaces.map(record.pid, &new_mapping(record));
            }
            Report::Mapped(_) => {}
            Report::Forked { parent, child } => spaces.fork(parent, child),
            Report::Became(pid) => spaces.exec(pid),
            Report::Ended(pid) => spaces.exit(pid),
        }
    }
    if lost {
        for pid in all_processes() {
            spaces.look(pid);
        }
    }
}

/// A mapping as address spaces want it.
fn new_mapping(record: Record) -> NewMapping {
    NewMapping {
        start: record.address,
        end: record.address.wrapping_add(record.length),
        offset: record.offset,
        executable: true,
        device: (record.key.0, record.key.1),
        inode: record.key.2,
        path: record.path,
        when: since_boot(record.time),
    }
}

/// A time of the monotonic clock as one of the calendar.
fn since_boot(time: Duration) -> Option<SystemTime> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
    let ago = Duration::from(now).checked_sub(time)?;
    SystemTime::now().checked_sub(ago)
}
