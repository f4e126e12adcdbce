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
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aya_obj::generated::perf_event_type;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::family::Family;
use super::files::{Mapping, all_processes, same_mounts};
use crate::addresses::spaces::NewMapping;
use crate::error::Error;
use crate::features::KernelFeatures;
use crate::probe::File;
use crate::sys::perf;
use crate::sys::perf_ring::PerfRing;

/// What a process has mapped to execute since it was last reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The files that were found, and when each was mapped, by `CLOCK_MONOTONIC`.
    pub files: Vec<(Arc<File>, Duration)>,
    /// The names of those that were not: the process has ended, and its name leads to no such file.
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
        let rings = features.online_cpus().iter();
        let rings: Vec<PerfRing> = rings
            .map(|cpu| PerfRing::of(perf::mappings(*cpu, knows_family)?))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
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
            rings,
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

/// What tells files apart: device, inode and the inode's generation.
type Key = (u32, u32, u64, u64);

/// The reading thread.
struct Reader {
    rings: Vec<PerfRing>,
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
            let rings = self.rings.iter();
            fds.extend(rings.map(|ring| PollFd::new(ring.as_fd(), PollFlags::POLLIN)));
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
        const MMAP2: u32 = perf_event_type::PERF_RECORD_MMAP2 as u32;
        const LOST: u32 = perf_event_type::PERF_RECORD_LOST as u32;
        const FORK: u32 = perf_event_type::PERF_RECORD_FORK as u32;
        const COMM: u32 = perf_event_type::PERF_RECORD_COMM as u32;
        let (mut reports, mut lost) = (Vec::new(), false);
        for ring in &mut self.rings {
            ring.drain(&mut |kind, flags, bytes| {
                let report = match kind {
                    MMAP2 => Record::parse(bytes).map(Report::Mapped),
                    FORK => fork(bytes),
                    COMM if flags & PERF_RECORD_MISC_COMM_EXEC != 0 => exec(bytes),
                    LOST => {
                        lost = true;
                        None
                    }
                    _ => None,
                };
                reports.extend(report.and_then(|report| Some((time(bytes)?, report))));
            });
        }
        // A process goes from one CPU to another.
        reports.sort_by_key(|(time, _)| *time);
        let mut records = Vec::new();
        let inbox = Arc::clone(&self.inbox);
        let Ok(mut family) = inbox.family.lock() else {
            return;
        };
        for (_, report) in reports {
            match report {
                Report::Forked { parent, child } => family.fork(parent, child),
                Report::Became(pid) => family.exec(pid),
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

/// Marks the report of a new name as that of an exec.
const PERF_RECORD_MISC_COMM_EXEC: u16 = 1 << 13;

/// What the kernel has reported.
enum Report {
    Mapped(Record),
    Forked { parent: u32, child: u32 },
    Became(u32),
}

/// What a process has done to its address space, as the kernel reports it.
#[derive(Debug)]
pub(crate) enum Change {
    /// It has mapped a file to execute.
    Mapped {
        /// Which process.
        pid: u32,
        /// What, and where.
        mapping: NewMapping,
    },
    /// It has started another.
    Forked {
        /// The one.
        parent: u32,
        /// The other.
        child: u32,
    },
    /// It has become another program.
    Became(u32),
    /// It has ended.
    Ended(u32),
}

/// Reads a report, and when that was; `None` for one of something else.
pub(crate) fn change(kind: u32, flags: u16, bytes: &[u8]) -> Option<(Duration, Change)> {
    const MMAP2: u32 = perf_event_type::PERF_RECORD_MMAP2 as u32;
    const FORK: u32 = perf_event_type::PERF_RECORD_FORK as u32;
    const EXIT: u32 = perf_event_type::PERF_RECORD_EXIT as u32;
    const COMM: u32 = perf_event_type::PERF_RECORD_COMM as u32;
    let change = match kind {
        MMAP2 => {
            let record = Record::parse(bytes).or_else(|| Record::of_vdso(bytes))?;
            Change::Mapped {
                pid: record.pid,
                mapping: record.mapping(),
            }
        }
        FORK => match fork(bytes)? {
            Report::Forked { parent, child } => Change::Forked { parent, child },
            Report::Mapped(_) | Report::Became(_) => return None,
        },
        COMM if flags & PERF_RECORD_MISC_COMM_EXEC != 0 => Change::Became(word(bytes, 8)?),
        // The last thread's: the process, its parent, the thread.
        EXIT if word(bytes, 8)? == word(bytes, 16)? => Change::Ended(word(bytes, 8)?),
        _ => return None,
    };
    Some((time(bytes)?, change))
}

/// A report of a new process: its id, and then its parent's. Of threads, both are the same.
fn fork(bytes: &[u8]) -> Option<Report> {
    let (child, parent) = (word(bytes, 8)?, word(bytes, 12)?);
    (child != parent).then_some(Report::Forked { parent, child })
}

/// A report of a process that has become another program.
fn exec(bytes: &[u8]) -> Option<Report> {
    Some(Report::Became(word(bytes, 8)?))
}

/// When something that is reported happened: the last word of any report.
fn time(bytes: &[u8]) -> Option<Duration> {
    let last = bytes.len().checked_sub(8)?;
    long(bytes, last).map(Duration::from_nanos)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The kernel's report of a mapping.
///
/// ```text
///     0     header
///     8     pid, tid          u32 each
///     16    address, length   u64 each
///     32    offset in file    u64
///     40    device            major and minor, u32 each
///     48    inode, generation u64 each
///     64    prot, flags       u32 each
///     72    name              with a NUL, and more of them up to a multiple of 8
///     -8    time              u64
/// ```
#[derive(Debug, PartialEq, Eq)]
struct Record {
    pid: u32,
    address: u64,
    length: u64,
    offset: u64,
    key: Key,
    path: PathBuf,
    time: Duration,
}

impl Record {
    /// Reads a report; `None` if it is of no file.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let record = Self::parse_any(bytes)?;
        let name = record.path.as_os_str().as_bytes();
        let is_file = record.key.2 != 0 && name.starts_with(b"/") && !name.starts_with(b"//");
        is_file.then_some(record)
    }

    /// Reads a report that the kernel has mapped its code into a process.
    fn of_vdso(bytes: &[u8]) -> Option<Self> {
        Self::parse_any(bytes).filter(|record| record.path.as_os_str() == "[vdso]")
    }

    fn parse_any(bytes: &[u8]) -> Option<Self> {
        let word = |at| word(bytes, at);
        let long = |at| long(bytes, at);
        let end = bytes.len().checked_sub(8)?;
        let name = bytes.get(72..end)?.split(|byte| *byte == 0).next()?;
        let key = (word(40)?, word(44)?, long(48)?, long(56)?);
        let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
        Some(Self {
            pid: word(8)?,
            address: long(16)?,
            length: long(24)?,
            offset: long(32)?,
            key,
            path: OsString::from_vec(name.to_vec()).into(),
            time: time(bytes)?,
        })
    }

    /// As address spaces want it.
    fn mapping(&self) -> NewMapping {
        NewMapping {
            start: self.address,
            end: self.address.wrapping_add(self.length),
            offset: self.offset,
            executable: true,
            inode: self.key.2,
            path: self.path.clone(),
        }
    }

    /// The range as `/proc/PID/maps` has it.
    fn range(&self) -> String {
        let end = self.address.wrapping_add(self.length);
        format!("{:x}-{end:x}", self.address)
    }

    /// Whether this is the very file.
    fn is(&self, file: &File) -> bool {
        let (major, minor, inode, _) = self.key;
        file.identity == (libc::makedev(major, minor), inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report as the kernel writes it.
    fn report(name: &[u8], inode: u64) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        for word in [12_u32, 13] {
            bytes.extend(word.to_ne_bytes());
        }
        for long in [0x40_0000_u64, 0x1000, 0] {
            bytes.extend(long.to_ne_bytes());
        }
        for word in [8_u32, 1] {
            bytes.extend(word.to_ne_bytes());
        }
        for long in [inode, 7, 0] {
            bytes.extend(long.to_ne_bytes());
        }
        bytes.extend(name);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(1_000_000_002_u64.to_ne_bytes());
        bytes
    }

    #[test]
    fn reports_are_read() {
        let expected = Record {
            pid: 12,
            address: 0x40_0000,
            length: 0x1000,
            offset: 0,
            key: (8, 1, 99, 7),
            path: "/usr/bin/my python".into(),
            time: Duration::new(1, 2),
        };
        assert_eq!(
            Record::parse(&report(b"/usr/bin/my python\0", 99)),
            Some(expected)
        );
    }

    #[test]
    fn what_is_no_file_is_left_out() {
        for (name, inode) in [
            (&b"[vdso]\0"[..], 0),
            (b"//anon\0", 0),
            (b"/memfd:x\0", 0),
            (b"//toolong\0", 5),
        ] {
            assert_eq!(Record::parse(&report(name, inode)), None, "{name:?}");
        }
        let whole = report(b"/a\0", 1);
        for end in 0..whole.len() - 8 {
            let _ = Record::parse(&whole[..end]); // does not panic
        }
    }
}
