//! What is read of a mapped file, and whether it is still what was mapped.
//!
//! A file is opened when it is met and read when somebody asks, which may be much later: an open file can be read
//! when it has been deleted, or its process is gone. Two things may happen between that would give functions the
//! names of others:
//!
//! - another file has got the path and even the inode's number before the file was opened: it was made or written
//!   after it had been mapped, or is on another file system (`process::same`);
//! - the open file is written over where it is (`cp new old`): its time and size are no longer those that it had.
//!
//! Of such a file nothing is read.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::spaces::NewMapping;
use crate::process::files::{runs, same_mounts};
use crate::process::same::is_another;

/// What is read of it.
#[derive(Debug)]
pub(super) enum Contents {
    /// A file, open.
    File(Opened),
    /// The kernel's code in every process.
    Vdso(Vec<u8>),
    /// Another file is at its path now, or none, and it cannot be opened in another way.
    Replaced,
    /// Nothing can be read of it.
    Nothing,
}

/// An open file, as it was when it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    file: fs::File,
    /// When it was last written, in seconds and nanoseconds, and its size.
    stamp: (i64, i64, u64),
    changed: AtomicBool,
}

impl Opened {
    pub(super) fn new(file: fs::File, meta: &fs::Metadata) -> Self {
        Self {
            file,
            stamp: stamp(meta),
            changed: AtomicBool::new(false),
        }
    }

    /// What `read` finds in it, if nobody has written to it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&fs::File) -> T) -> Option<T> {
        let found = read(&self.file);
        let current = self.is_current();
        if !current {
            self.changed.store(true, Ordering::Relaxed);
        }
        current.then_some(found)
    }

    fn is_current(&self) -> bool {
        let meta = self.file.metadata();
        meta.is_ok_and(|meta| stamp(&meta) == self.stamp)
    }
}

impl Contents {
    /// Opens what is mapped, in one of the ways that there are.
    pub(super) fn of(pid: u32, mapping: &NewMapping) -> Self {
        if mapping.path == Path::new(VDSO) {
            return own_vdso().map_or(Self::Nothing, Self::Vdso);
        }
        let inside = mapping.path.strip_prefix("/").unwrap_or(&mapping.path);
        let near = same_mounts(pid).then(|| mapping.path.clone());
        let range = format!("{:x}-{:x}", mapping.start, mapping.end);
        let ways = [
            near,
            Some(PathBuf::from(format!("/proc/{pid}/root")).join(inside)),
            Some(PathBuf::from(format!("/proc/{pid}/map_files/{range}"))),
            // Once the process is gone, its mounts are not known: try ours.
            Some(mapping.path.clone()),
        ];
        let mut another_seen = false;
        let found = ways.into_iter().flatten().find_map(|path| {
            // A device or a pipe might wait for us.
            fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
            let file = fs::File::open(&path).ok()?;
            let meta = file.metadata().ok()?;
            let is_it = meta.is_file()
                && meta.ino() == mapping.inode
                && !is_newer(&meta, mapping.when)
                && !is_another(pid, &range, &path, &meta);
            another_seen |= !is_it;
            is_it.then(|| Opened::new(file, &meta))
        });
        match found {
            Some(opened) => Self::File(opened),
            None if another_seen || runs(pid) => Self::Replaced,
            None => Self::Nothing,
        }
    }

    /// Whether what is mapped now under the same name and number is the same.
    pub(super) fn is_current(&self) -> bool {
        match self {
            Self::File(opened) => opened.is_current(),
            Self::Vdso(_) => true,
            Self::Replaced | Self::Nothing => false,
        }
    }

    /// Whether it is known that it can no longer be read as it was.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::File(opened) => opened.changed.load(Ordering::Relaxed),
            Self::Replaced => true,
            Self::Vdso(_) | Self::Nothing => false,
        }
    }
}

fn stamp(meta: &fs::Metadata) -> (i64, i64, u64) {
    (meta.mtime(), meta.mtime_nsec(), meta.len())
}

/// Whether a file was made or written after this. Files' times are those of a clock that lags, so that a file that
/// is mapped at once is not newer.
fn is_newer(meta: &fs::Metadata, when: Option<SystemTime>) -> bool {
    let after = |time: std::io::Result<SystemTime>| {
        time.is_ok_and(|time| when.is_some_and(|when| time > when))
    };
    // Where the file system does not know when it was made, any change tells: times of writing can be set at will.
    let changed = || {
        let since = Duration::new(
            meta.ctime().try_into().ok()?,
            meta.ctime_nsec().try_into().ok()?,
        );
        Some(SystemTime::UNIX_EPOCH + since)
    };
    let made = meta.created().or_else(|error| changed().ok_or(error));
    after(meta.modified()) || after(made)
}

/// What `/proc/PID/maps` calls the kernel's code in every process.
pub(super) const VDSO: &str = "[vdso]";

/// The vDSO, which is the same in every process: ours.
pub(super) fn own_vdso() -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let maps = fs::read("/proc/self/maps").ok()?;
    let mut mappings = maps
        .split(|byte| *byte == b'\n')
        .filter_map(NewMapping::parse);
    let vdso = mappings.find(|mapping| mapping.path == Path::new(VDSO))?;
    let mut bytes = vec![0; usize::try_from(vdso.end - vdso.start).ok()?];
    let memory = fs::File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut bytes, vdso.start).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(path: &Path, when: Option<SystemTime>) -> NewMapping {
        NewMapping {
            start: 0x1000,
            end: 0x2000,
            offset: 0,
            executable: true,
            device: (0, 0),
            inode: fs::metadata(path).unwrap().ino(),
            path: path.to_owned(),
            when,
        }
    }

    #[test]
    fn a_file_that_is_written_over_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lib.so");
        fs::write(&path, "old").unwrap();
        let new = mapping(&path, Some(SystemTime::now()));
        let Contents::File(opened) = Contents::of(u32::MAX, &new) else {
            panic!("not opened");
        };
        assert_eq!(opened.read(|_| 1), Some(1));
        fs::write(&path, "newer").unwrap();
        assert_eq!(opened.read(|_| 1), None);
        let contents = Contents::File(opened);
        assert!(contents.is_lost() && !contents.is_current());
    }

    #[test]
    fn a_file_that_is_newer_than_the_mapping_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lib.so");
        fs::write(&path, "new").unwrap();
        let before = SystemTime::now() - Duration::from_secs(10);
        for (when, is_it) in [(Some(before), false), (None, true)] {
            let contents = Contents::of(u32::MAX, &mapping(&path, when));
            assert_eq!(matches!(contents, Contents::File(_)), is_it);
            assert_eq!(contents.is_lost(), !is_it);
        }
        let mut other = mapping(&path, None);
        other.inode += 1;
        assert!(matches!(Contents::of(u32::MAX, &other), Contents::Replaced));
        fs::remove_file(&path).unwrap();
        assert!(matches!(Contents::of(u32::MAX, &other), Contents::Nothing));
    }
}
