//! Noticing what processes map to execute: programs that start, and libraries, whenever they come.
//!
//! Probes are attached to files, so a process that executes a known file has them from its first
//! instruction on. This is for the files that are not known yet. The kernel tells of each
//! mapping, with the file's name, device and inode (`PERF_RECORD_MMAP2`):
//!
//! ```text
//!     exec            the program is mapped, then its loader
//!     the loader      maps the libraries
//!     dlopen          maps one more, seconds or days later
//! ```
//!
//! A process may be gone before anybody can look into `/proc/PID`. The name alone leads to its
//! file then, unless that lies in another mount namespace or has gone, too.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::family::Family;
use super::files::{Mapping, all_processes, same_mounts};
use super::reports::{Key, News, Record, Report, Reports};
use crate::error::Error;
use crate::features::KernelFeatures;
use crate::probe::File;

/// What a process has mapped to execute since it was last reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The files that were found, and when each was mapped, by `CLOCK_MONOTONIC`.
    pub files: Vec<(Arc<File>, Duration)>,
    /// The names of those that were not: they are not mapped any more, and the name leads to no such file.
    pub gone: Vec<PathBuf>,
    /// Whether the kernel may not have told everything.
    pub incomplete: bool,
    /// The root of the tree that the process belongs to, or did.
    pub root: Option<u32>,
}

/// Whose mappings are reported.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// These processes'; `None`: everybody's.
    pub only: Option<Vec<u32>>,
    /// What these processes start is to be known.
    pub roots: Vec<u32>,
    /// What this process starts is left out, and what that starts, unless it is one of the roots.
    pub except: Option<u32>,
}

/// Reports of what is mapped to execute on the whole machine, from its making until it is dropped.
///
/// A thread of its own empties the rings and looks for the files at once: whoever asks for
/// reports may be busy for seconds. Should one be lost nonetheless, all processes are reported.
#[derive(Debug)]
pub struct MappingWatch {
    inbox: Arc<Inbox>,
    reader: Option<JoinHandle<()>>,
}

/// What the reading thread hands over.
#[derive(Debug)]
struct Inbox {
    /// By process: as many as run, at most, and those that have ended since.
    mapped: Mutex<BTreeMap<u32, Mapped>>,
    /// What the roots have started.
    family: Mutex<Family>,
    /// Readable when there are any.
    filled: EventFd,
    /// Readable when the thread is to end.
    stop: EventFd,
}

impl AsFd for MappingWatch {
    /// Readable when there is something to [`take`](Self::take).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inbox.filled.as_fd()
    }
}

impl Drop for MappingWatch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl MappingWatch {
    /// Begins to watch.
    pub fn start(features: &KernelFeatures, whose: Whose) -> Result<Self, Error> {
        let failed = |source| Error::MappingWatch { source };
        let knows_family = !whose.roots.is_empty() || whose.except.is_some();
        let reports = Reports::start(features, knows_family)?;
        let event = || {
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            EventFd::from_flags(flags).map_err(|errno| failed(errno.into()))
        };
        let inbox = Arc::new(Inbox {
            mapped: Mutex::default(),
            family: Mutex::new(Family::of(&whose.roots, whose.except)),
            filled: event()?,
            stop: event()?,
        });
        let mut reader = Reader {
            reports,
            only: whose.only,
            inbox: Arc::clone(&inbox),
            found: HashMap::new(),
        };
        let named = thread::Builder::new().name("mappings".into());
        let reader = named.spawn(move || reader.run()).map_err(failed)?;
        Ok(Self {
            inbox,
            reader: Some(reader),
        })
    }

    /// Ends the watch. All that was mapped before can be [taken](Self::take) then.
    pub fn stop(&mut self) {
        let _ = self.inbox.stop.write(1);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// The processes that the roots have started since the watch began, and that run an interpreter, or did
    /// when they ended.
    #[must_use]
    pub fn interpreter_children(&self) -> Vec<u32> {
        let family = self.inbox.family.lock();
        family.map_or_else(|_| Vec::new(), |family| family.interpreters())
    }

    /// The processes that have mapped something to execute since the last call, and what. Never waits.
    pub fn take(&mut self) -> BTreeMap<u32, Mapped> {
        let _ = self.inbox.filled.read();
        let mapped = self.inbox.mapped.lock();
        mapped.map_or_else(|_| BTreeMap::new(), |mut all| std::mem::take(&mut *all))
    }
}

/// The reading thread.
struct Reader {
    reports: Reports,
    /// The processes to report, if not all.
    only: Option<Vec<u32>>,
    inbox: Arc<Inbox>,
    /// Files that have been found.
    found: HashMap<Key, Arc<File>>,
}

/// So many files are remembered; more are looked for again.
const REMEMBERED: usize = 4096;

impl Reader {
    /// Until it is stopped: reads reports as soon as there are any, and once more then.
    fn run(&mut self) {
        loop {
            let mut fds = vec![PollFd::new(self.inbox.stop.as_fd(), PollFlags::POLLIN)];
            let reports = self.reports.fds();
            fds.extend(reports.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            let waited = poll(&mut fds, PollTimeout::NONE);
            let is_over = fds[0].any() == Some(true)
                || waited.is_err_and(|errno| errno != nix::errno::Errno::EINTR);
            self.read();
            if is_over {
                return;
            }
        }
    }

    fn read(&mut self) {
        let News { reports, lost } = self.reports.take();
        let mut records = Vec::new();
        let inbox = Arc::clone(&self.inbox);
        let Ok(mut family) = inbox.family.lock() else {
            return;
        };
        for report in reports {
            match report {
                Report::Forked { parent, child } => family.fork(parent, child),
                Report::Became(pid) => family.exec(pid),
                Report::Ended(_) => {}
                Report::Mapped(record) if !record.is_of_file() => {}
                Report::Mapped(record) => {
                    family.map(record.pid, &record.path);
                    if self.is_meant(record.pid) && !family.is_left_out(record.pid) {
                        let root = family.root_of(record.pid);
                        records.push((record, root));
                    }
                }
            }
        }
        drop(family);
        let mut new: BTreeMap<u32, Mapped> = BTreeMap::new();
        for (record, root) in records {
            let file = self.find(&record, root);
            let mapped = new.entry(record.pid).or_default();
            mapped.root = root;
            mapped.add(file, record);
        }
        if lost {
            let mut all = all_processes();
            all.retain(|pid| self.is_meant(*pid));
            for pid in all {
                new.entry(pid).or_default().incomplete = true;
            }
        }
        if new.is_empty() {
            return;
        }
        if let Ok(mut all) = self.inbox.mapped.lock() {
            for (pid, mapped) in new {
                match all.get_mut(&pid) {
                    Some(before) => before.join(mapped),
                    None => drop(all.insert(pid, mapped)),
                }
            }
        }
        let _ = self.inbox.filled.write(1);
    }

    fn is_meant(&self, pid: u32) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&pid))
    }

    /// The file that was mapped, by a process that `root` or one of its descendants has started.
    fn find(&mut self, record: &Record, root: Option<u32>) -> Option<Arc<File>> {
        // Not every file system gives a reused inode another generation.
        let found = self.found.get(&record.key);
        if let Some(known) = found.filter(|file| file.path == record.path && is_there(file)) {
            return Some(Arc::clone(known));
        }
        let near = same_mounts(record.pid);
        let mapping = Mapping::of(record.range(), record.key.2, &record.path);
        // Once the process is gone, its mounts are not known: try ours, and those of the process that
        // it descends from.
        let others = [Some((record.pid, true)), root.map(|root| (root, false))];
        let file = mapping.find(record.pid, near).or_else(|| {
            let mut others = others.into_iter().flatten();
            others.find_map(|(pid, near)| mapping.find(pid, near).filter(|file| record.is(file)))
        })?;
        let file = Arc::new(file);
        if self.found.len() == REMEMBERED {
            self.found.clear();
        }
        // What leads through a process is gone with it.
        if !file.path.starts_with("/proc") {
            self.found.insert(record.key, Arc::clone(&file));
        }
        Some(file)
    }
}

/// Whether the file is still the one of that name.
fn is_there(file: &File) -> bool {
    std::fs::metadata(&file.path).is_ok_and(|meta| meta.created().ok() == file.born)
}

impl Mapped {
    fn add(&mut self, file: Option<Arc<File>>, record: Record) {
        match file {
            Some(file) => self.add_file(file, record.time),
            None if !self.gone.contains(&record.path) => self.gone.push(record.path),
            None => {}
        }
    }

    /// A file that is mapped in several pieces is mapped when the first is.
    fn add_file(&mut self, file: Arc<File>, time: Duration) {
        let is_it = |known: &&mut (Arc<File>, Duration)| known.0.identity == file.identity;
        match self.files.iter_mut().find(is_it) {
            Some((_, first)) => *first = time.min(*first),
            None => self.files.push((file, time)),
        }
    }

    /// Adds what was mapped later.
    fn join(&mut self, later: Self) {
        for (file, time) in later.files {
            self.add_file(file, time);
        }
        self.gone.extend(later.gone);
        self.incomplete |= later.incomplete;
        self.root = later.root.or(self.root);
    }
}
