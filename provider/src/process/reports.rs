//! The kernel's reports of what processes map to execute, and of what becomes of processes: read from perf
//! events, one for each CPU.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use aya_obj::generated::perf_event_type;

use crate::error::Error;
use crate::features::KernelFeatures;
use crate::probe::File;
use crate::sys::perf;
use crate::sys::perf_ring::PerfRing;

/// Reports of the whole machine, from its making until it is dropped.
#[derive(Debug)]
pub(crate) struct Reports {
    rings: Vec<PerfRing>,
}

/// What has been reported.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// In the order of time.
    pub(crate) reports: Vec<Report>,
    /// Whether there was no room for some.
    pub(crate) lost: bool,
}

/// What a process has done.
#[derive(Debug)]
pub(crate) enum Report {
    /// It has mapped something to execute.
    Mapped(Record),
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

/// Marks the report of a new name as that of an exec.
const PERF_RECORD_MISC_COMM_EXEC: u16 = 1 << 13;

impl Reports {
    /// Begins to collect reports of mappings, and those of forks, execs and ends as well if `of_processes`.
    pub(crate) fn start(features: &KernelFeatures, of_processes: bool) -> Result<Self, Error> {
        let rings = features.online_cpus().iter();
        let rings = rings.map(|cpu| PerfRing::of(perf::mappings(*cpu, of_processes)?));
        match rings.collect() {
            Ok(rings) => Ok(Self { rings }),
            Err(source) => Err(Error::MappingWatch { source }),
        }
    }

    /// Readable when there are some.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings.iter().map(PerfRing::as_fd)
    }

    /// Takes what there is.
    pub(crate) fn take(&mut self) -> News {
        const LOST: u32 = perf_event_type::PERF_RECORD_LOST as u32;
        let (mut reports, mut lost) = (Vec::new(), false);
        for ring in &mut self.rings {
            ring.drain(&mut |kind, flags, bytes| {
                lost |= kind == LOST;
                let report = Report::parse(kind, flags, bytes);
                reports.extend(report.and_then(|report| Some((time(bytes)?, report))));
            });
        }
        // A process goes from one CPU to another.
        reports.sort_by_key(|(time, _)| *time);
        let reports = reports.into_iter().map(|(_, report)| report).collect();
        News { reports, lost }
    }
}

impl Report {
    /// Reads a report; `None` for one of something else.
    fn parse(kind: u32, flags: u16, bytes: &[u8]) -> Option<Self> {
        const MMAP2: u32 = perf_event_type::PERF_RECORD_MMAP2 as u32;
        const FORK: u32 = perf_event_type::PERF_RECORD_FORK as u32;
        const EXIT: u32 = perf_event_type::PERF_RECORD_EXIT as u32;
        const COMM: u32 = perf_event_type::PERF_RECORD_COMM as u32;
        match kind {
            MMAP2 => Record::parse(bytes).map(Self::Mapped),
            FORK => {
                // The new process's id, and then its parent's. Of threads, both are the same.
                let (child, parent) = (word(bytes, 8)?, word(bytes, 12)?);
                (child != parent).then_some(Self::Forked { parent, child })
            }
            COMM if flags & PERF_RECORD_MISC_COMM_EXEC != 0 => Some(Self::Became(word(bytes, 8)?)),
            // The last thread's: the process, its parent, the thread.
            EXIT if word(bytes, 8)? == word(bytes, 16)? => Some(Self::Ended(word(bytes, 8)?)),
            _ => None,
        }
    }
}

/// What tells files apart: device, inode and the inode's generation.
pub(crate) type Key = (u32, u32, u64, u64);

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
pub(crate) struct Record {
    pub(crate) pid: u32,
    pub(crate) address: u64,
    pub(crate) length: u64,
    pub(crate) offset: u64,
    pub(crate) key: Key,
    pub(crate) path: PathBuf,
    pub(crate) time: Duration,
}

impl Record {
    fn parse(bytes: &[u8]) -> Option<Self> {
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

    /// Whether a file with a name is mapped, as against memory without one or the kernel's own code.
    pub(crate) fn is_of_file(&self) -> bool {
        let name = self.path.as_os_str().as_bytes();
        self.key.2 != 0 && name.starts_with(b"/") && !name.starts_with(b"//")
    }

    /// Whether it is the kernel's code for programs.
    pub(crate) fn is_vdso(&self) -> bool {
        self.path.as_os_str() == "[vdso]"
    }

    /// The range as `/proc/PID/maps` has it.
    pub(crate) fn range(&self) -> String {
        let end = self.address.wrapping_add(self.length);
        format!("{:x}-{end:x}", self.address)
    }

    /// Whether this is the very file.
    pub(crate) fn is(&self, file: &File) -> bool {
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
        let read = Record::parse(&report(b"/usr/bin/my python\0", 99)).unwrap();
        assert!(read.is_of_file());
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_file_is_left_out() {
        for (name, inode) in [
            (&b"[vdso]\0"[..], 0),
            (b"//anon\0", 0),
            (b"/memfd:x\0", 0),
            (b"//toolong\0", 5),
        ] {
            let read = Record::parse(&report(name, inode)).unwrap();
            assert!(!read.is_of_file(), "{name:?}");
            assert_eq!(read.is_vdso(), name == b"[vdso]\0", "{name:?}");
        }
        let whole = report(b"/a\0", 1);
        for end in 0..whole.len() - 8 {
            let _ = Record::parse(&whole[..end]); // does not panic
        }
    }
}
