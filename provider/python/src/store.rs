//! A directory of small files that nobody but us can write.
//!
//! rdtrace often runs as root, and believes what it reads here. So the directory must belong to
//! the user that rdtrace runs as and be closed to all others, as must each file in it; symbolic
//! links are not followed; and all names are looked up from the descriptor of the directory that
//! was checked.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

/// Larger files are not ours.
const LARGEST: u64 = 1 << 20;
/// More files than this, and some go.
const MOST: usize = 1000;

/// An open directory.
#[derive(Debug)]
pub(super) struct Store {
    dir: OwnedFd,
    path: PathBuf,
}

impl Store {
    /// Opens a directory, and makes it if it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = open(path, flags, Mode::empty())?;
        let meta = File::from(dir.try_clone()?).metadata()?;
        if !is_private(&meta) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Self {
            dir,
            path: path.to_owned(),
        })
    }

    /// A file's contents; `None` if it is not there or not ours.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(self.dir.as_fd(), name, flags, Mode::empty()).ok()?);
        let meta = file.metadata().ok()?;
        if !meta.is_file() || !is_private(&meta) || meta.len() > LARGEST {
            return None;
        }
        let mut contents = Vec::new();
        file.take(LARGEST).read_to_end(&mut contents).ok()?;
        Some(contents)
    }

    /// Writes a file whole, or not at all.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.make_room();
        let draft = format!("{name}.{}", std::process::id());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        // A draft of this name was left by a process that died.
        let _ = unlinkat(self.dir.as_fd(), &*draft, UnlinkatFlags::NoRemoveDir);
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let mut file = File::from(openat(self.dir.as_fd(), &*draft, flags, mode)?);
        file.set_permissions(Permissions::from_mode(0o600))?; // whatever the umask
        file.write_all(contents)?;
        renameat(self.dir.as_fd(), &*draft, self.dir.as_fd(), name)?;
        Ok(())
    }

    /// Removes the oldest half of the files when there are too many.
    fn make_room(&self) {
        let files = fs::read_dir(&self.path).map(|entries| entries.flatten().collect());
        let files: Vec<fs::DirEntry> = files.unwrap_or_default();
        if files.len() < MOST {
            return;
        }
        let age = |file: &fs::DirEntry| file.metadata().map_or(0, |meta| meta.mtime());
        let mut by_age: Vec<_> = files.iter().map(|file| (age(file), file)).collect();
        by_age.sort_by_key(|(age, _)| *age);
        for (_, file) in &by_age[..MOST / 2] {
            let _ = unlinkat(
                self.dir.as_fd(),
                &*file.file_name(),
                UnlinkatFlags::NoRemoveDir,
            );
        }
    }
}

fn is_private(meta: &fs::Metadata) -> bool {
    meta.uid() == geteuid().as_raw() && meta.mode() & 0o077 == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let store = Store::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(store.read("x"), None);
        store.write("x", b"one").unwrap();
        store.write("x", b"two").unwrap();
        assert_eq!(store.read("x").as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn what_others_may_write_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let store = Store::open(&path).unwrap();
        store.write("x", b"one").unwrap();
        fs::set_permissions(path.join("x"), Permissions::from_mode(0o620)).unwrap();
        assert_eq!(store.read("x"), None);
        fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
        assert!(Store::open(&path).is_err());
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let store = Store::open(&path).unwrap();
        store.write("x", b"one").unwrap();
        symlink("x", path.join("y")).unwrap();
        assert_eq!(store.read("y"), None);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(Store::open(&link).is_err());
    }

    #[test]
    fn there_is_an_end_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let store = Store::open(&path).unwrap();
        for n in 0..=MOST {
            store.write(&n.to_string(), b"").unwrap();
        }
        assert!(fs::read_dir(&path).unwrap().count() <= MOST / 2 + 1);
    }
}
