//! What `/proc` tells: which processes there are, and which files they execute.
//!
//! A file of another mount namespace, or one that has been deleted, is still reachable: through
//! `/proc/PID/root`, or by its mapping in `/proc/PID/map_files`. Whatever the path, the kernel
//! attaches to the inode. Paths that don't lead through `/proc/PID` are preferred: they outlive
//! the process.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::same::is_another;
use crate::probe::File;
use crate::remedy;
use crate::text::escaped;

/// The ids of all processes, ascending.
#[must_use]
pub fn all_processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// Whether we have the right to look into every process.
#[must_use]
pub fn may_look_into_all() -> bool {
    remedy::may_look_into_processes()
}

/// Whether a process is there that has not ended.
#[must_use]
pub fn runs(pid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let end = stat.iter().rposition(|byte| *byte == b')');
    let state = end.and_then(|end| stat.get(end + 2));
    state.is_some_and(|state| !b"ZX".contains(state))
}

/// The processes that we have no right to look into, with their names. Empty for those who have every
/// right, though a security module may hide some.
#[must_use]
pub fn hidden_processes() -> Vec<(u32, String)> {
    if remedy::may_look_into_processes() {
        return Vec::new();
    }
    let pids = all_processes().into_iter();
    let hidden = pids.filter(|pid| is_hidden(*pid));
    hidden.map(|pid| (pid, command_name(pid))).collect()
}

/// Whether we may not see what a process executes.
pub(crate) fn is_hidden(pid: u32) -> bool {
    let maps = fs::read(format!("/proc/{pid}/maps"));
    maps.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// The name that the kernel shows of a process to everybody, as it is shown to people.
pub(crate) fn command_name(pid: u32) -> String {
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    escaped(OsString::from_vec(comm.trim_ascii_end().to_vec()))
}

/// The PID namespace that we are in, as the kernel's programs name it (device and inode); `None` if it
/// is the kernel's own.
#[must_use]
pub fn own_pid_namespace() -> Option<(u64, u64)> {
    let meta = fs::metadata("/proc/self/ns/pid").ok()?;
    (!has_kernels_ids()).then(|| (meta.dev(), meta.ino()))
}

/// Whether process ids here are those of the kernel itself, as its programs see them: not so in a
/// container with process ids of its own.
#[must_use]
pub fn has_kernels_ids() -> bool {
    /// The inode of the initial pid namespace (`PROC_PID_INIT_INO`).
    const INITIAL_PIDS: u64 = 0xEFFF_FFFC;
    fs::metadata("/proc/self/ns/pid").is_ok_and(|meta| meta.ino() == INITIAL_PIDS)
}

/// The files that a process has mapped to execute: the program first, then its libraries. Empty for
/// kernel threads, and for processes that are gone or not ours to look at.
#[must_use]
pub fn executable_files(pid: u32) -> Vec<Arc<File>> {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let near = same_mounts(pid);
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let mut mappings = of_each_file(&maps);
    mappings.sort_by_key(|mapping| mapping.path != exe);
    mappings
        .iter()
        .filter_map(|mapping| mapping.find(pid, near))
        .map(Arc::new)
        .collect()
}

/// The files that a process has mapped to execute, and that nothing leads to which we may use: others have their names
/// now, or none has.
pub(crate) fn replaced_files(pid: u32) -> Vec<PathBuf> {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let near = same_mounts(pid);
    let mut mappings = of_each_file(&maps);
    mappings.retain(|mapping| mapping.find(pid, near).is_none());
    mappings.into_iter().map(|mapping| mapping.path).collect()
}

/// One mapping of each file in the text of `/proc/PID/maps`.
fn of_each_file(maps: &[u8]) -> Vec<Mapping<'_>> {
    let mut mappings: Vec<Mapping<'_>> = Vec::new();
    for mapping in maps.split(|byte| *byte == b'\n').filter_map(Mapping::parse) {
        if !mappings
            .iter()
            .any(|m| (m.device, m.inode) == (mapping.device, mapping.inode))
        {
            mappings.push(mapping);
        }
    }
    mappings
}

/// Whether a process moves parts of its stack about, as greenlet does.
pub(crate) fn moves_stacks(pid: u32) -> bool {
    executable_files(pid).iter().any(|file| {
        let name = file.shown.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b"_greenlet")
    })
}

/// Whether the processor keeps the return addresses of a process a second time, and ends it at a `ret` to another one (CET).
/// Kernels before 6.11 do not change that copy for their return probes.
pub(crate) fn has_shadow_stack(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| tells_shadow_stack(&text))
}

fn tells_shadow_stack(status: &str) -> bool {
    let lines = status.lines();
    let features = lines.filter_map(|line| line.strip_prefix("x86_Thread_features:"));
    features
        .flat_map(str::split_whitespace)
        .any(|name| name == "shstk")
}

/// Which of some files are gone for good: no name leads to them any more, and no process that we may
/// look into executes them. For others than root, there are always some that they may not look into:
/// then none is.
#[must_use]
pub fn gone_for_good(files: &[Arc<File>]) -> Vec<Arc<File>> {
    let mut gone: Vec<Arc<File>> = files
        .iter()
        .filter(|file| is_unnamed(file))
        .cloned()
        .collect();
    for pid in all_processes() {
        if gone.is_empty() {
            break;
        }
        match fs::File::open(format!("/proc/{pid}/maps")) {
            Ok(_) => {}
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && !nix::unistd::geteuid().is_root() =>
            {
                return Vec::new();
            }
            Err(_) => continue,
        }
        for used in executable_files(pid) {
            gone.retain(|file| file.identity != used.identity);
        }
    }
    gone
}

/// Whether no file has this file's name any more, or another one has.
fn is_unnamed(file: &File) -> bool {
    // A mapping is the way to a file that had been deleted before. What else leads through a process
    // says nothing once that has ended.
    if file.path.starts_with("/proc") {
        return file
            .path
            .components()
            .any(|part| part.as_os_str() == "map_files");
    }
    match fs::metadata(&file.path) {
        Ok(meta) => (meta.dev(), meta.ino()) != file.identity,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The files in `dir` below a root whose names start so, shown by their names below it. Not through links: one
/// of them may lead out of a container.
pub(crate) fn files_below(root: &Path, dir: &Path, start: &str) -> Vec<Arc<File>> {
    let below = root.join(dir.strip_prefix("/").unwrap_or(dir));
    named(&below, start)
        .filter_map(|path| {
            let meta = fs::symlink_metadata(&path).ok()?;
            let shown = escaped(dir.join(path.file_name()?)).into();
            let (identity, born) = ((meta.dev(), meta.ino()), meta.created().ok());
            meta.is_file().then(|| {
                Arc::new(File {
                    path,
                    shown,
                    identity,
                    born,
                })
            })
        })
        .collect()
}

/// The entries of a directory whose names start so.
pub(crate) fn named(dir: &Path, start: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(move |entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
}

/// The program that a process runs.
#[must_use]
pub fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// A file by its path, for those that no process runs yet.
#[must_use]
pub fn file_at(path: &Path) -> Option<Arc<File>> {
    let path = fs::canonicalize(path).ok()?;
    let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    Some(Arc::new(File {
        shown: escaped(&path).into(),
        path,
        identity: (meta.dev(), meta.ino()),
        born: meta.created().ok(),
    }))
}

/// Whether a process sees the file systems that we see, under the same names.
pub(crate) fn same_mounts(pid: u32) -> bool {
    let mounts = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
    mounts(&pid.to_string()) == mounts("self")
}

/// A line of `/proc/PID/maps`.
///
/// ```text
///     00400000-0041f000 r--p 00000000 fe:00 131135    /usr/bin/python3.11
///     start    end      may  offset   device inode    path, " (deleted)" after it perhaps
/// ```
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mapping<'a> {
    range: Cow<'a, str>,
    device: &'a str,
    inode: u64,
    path: PathBuf,
    deleted: bool,
}

impl<'a> Mapping<'a> {
    /// Reads a line; `None` unless it maps a file to execute. The path may be any bytes.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let end = rest.iter().position(|byte| *byte == b' ')?;
            let (word, after) = rest.split_at(end);
            rest = after.trim_ascii_start();
            std::str::from_utf8(word).ok()
        };
        let (range, may, _offset, device, inode) = (word()?, word()?, word()?, word()?, word()?);
        let inode = inode.parse().ok().filter(|inode| *inode != 0)?;
        if !may.contains('x') || !rest.starts_with(b"/") {
            return None;
        }
        let (path, deleted) = without_deleted(rest);
        Some(Self {
            range: range.into(),
            device,
            inode,
            path: path_in_maps(path),
            deleted,
        })
    }

    /// One that the kernel has told of in another way. What it is called now is not known.
    pub(super) fn of(range: String, inode: u64, path: &Path) -> Self {
        let (path, deleted) = without_deleted(path.as_os_str().as_bytes());
        Self {
            range: range.into(),
            device: "",
            inode,
            path: OsStr::from_bytes(path).into(),
            deleted,
        }
    }

    /// A way to open the file.
    pub(super) fn find(&self, pid: u32, near: bool) -> Option<File> {
        let by_name = if near {
            self.path.clone()
        } else {
            let inside = self.path.strip_prefix("/").unwrap_or(&self.path);
            PathBuf::from(format!("/proc/{pid}/root")).join(inside)
        };
        let range = short_range(&self.range);
        let by_mapping = PathBuf::from(format!("/proc/{pid}/map_files/{range}"));
        // The name may lead to another file by now.
        let named = Some(by_name).filter(|_| !self.deleted).into_iter();
        named.chain([by_mapping]).find_map(|path| {
            let meta = fs::metadata(&path).ok()?;
            let is_it = meta.is_file()
                && meta.ino() == self.inode
                && !is_another(pid, &range, &path, &meta);
            is_it.then(|| File {
                path,
                shown: escaped(&self.path).into(),
                identity: (meta.dev(), meta.ino()),
                born: meta.created().ok(),
            })
        })
    }
}

/// A path without what the kernel adds to that of a file which has no name any more, or never had one
/// (`memfd_create`); and whether it is such a one.
fn without_deleted(path: &[u8]) -> (&[u8], bool) {
    match path.strip_suffix(b" (deleted)") {
        Some(path) => (path, true),
        None => (path, false),
    }
}

/// A path as the kernel writes it there: a newline is `\012`.
fn path_in_maps(written: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            path.push(b'\n');
            rest = after;
        } else {
            path.push(*first);
            rest = after;
        }
    }
    OsString::from_vec(path).into()
}

/// A range as `/proc/PID/map_files` names it: without the leading zeroes that `maps` has.
fn short_range(range: &str) -> String {
    let short = |text: &str| {
        let digits = text.trim_start_matches('0');
        if digits.is_empty() {
            "0".to_owned()
        } else {
            digits.to_owned()
        }
    };
    match range.split_once('-') {
        Some((start, end)) => format!("{}-{}", short(start), short(end)),
        None => range.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_stack_is_told_by_the_features_that_are_on() {
        assert!(tells_shadow_stack(
            "Name:\tcat\nx86_Thread_features:\tshstk wrss\n"
        ));
        let off = "x86_Thread_features:\t\nx86_Thread_features_locked:\tshstk wrss\n";
        assert!(!tells_shadow_stack(off));
    }

    #[test]
    fn lines_of_maps_are_read() {
        let parse = |line: &'static str| Mapping::parse(line.as_bytes());
        let line =
            "00420000-006c3000 r-xp 00020000 fe:00 131135                     /usr/bin/my python";
        assert_eq!(
            parse(line).unwrap(),
            Mapping {
                range: "00420000-006c3000".into(),
                device: "fe:00",
                inode: 131_135,
                path: "/usr/bin/my python".into(),
                deleted: false
            }
        );
        let line = "00420000-006c3000 r-xp 00020000 fe:00 131135 /a/b (deleted)";
        assert!(parse(line).unwrap().deleted);
        for other in [
            "7f7-7f8 rw-p 00000000 00:00 0 ",
            "7f7-7f8 r--p 00000000 fe:00 12 /usr/bin/python3",
            "7ffd-7ffe r-xp 00000000 00:00 0 [vdso]",
            "",
            "nonsense",
        ] {
            assert_eq!(parse(other), None, "for {other}");
        }
    }

    #[test]
    fn paths_are_bytes() {
        let line = b"00420000-006c3000 r-xp 00020000 fe:00 131135 /a\xff\\012b";
        let path = Mapping::parse(line).unwrap().path;
        assert_eq!(path.into_os_string().into_vec(), b"/a\xff\nb");
    }

    #[test]
    fn map_files_names_have_no_leading_zeroes() {
        assert_eq!(short_range("00420000-006c3000"), "420000-6c3000");
    }

    #[test]
    fn files_below_a_root_have_their_names_as_the_process_sees_them() {
        let root = tempfile::tempdir().unwrap();
        let lib = root.path().join("opt/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libpython3.12.so.1.0"), "").unwrap();
        for link in ["libpython3.12.so", "libpython3.12.so.1"] {
            std::os::unix::fs::symlink("libpython3.12.so.1.0", lib.join(link)).unwrap();
        }
        let found = files_below(root.path(), Path::new("/opt/lib"), "libpython");
        let shown: Vec<_> = found.iter().map(|file| file.shown.clone()).collect();
        assert_eq!(shown, [Path::new("/opt/lib/libpython3.12.so.1.0")]);
    }

    #[test]
    fn our_own_program_comes_first() {
        let files = executable_files(std::process::id());
        let exe = std::env::current_exe().unwrap();
        assert_eq!(files.first().map(|file| file.shown.clone()), Some(exe));
        assert!(files.len() > 1, "libc is mapped too: {files:?}");
    }

    #[test]
    fn no_process_has_no_files() {
        assert!(executable_files(0).is_empty());
        assert!(executable_files(u32::MAX).is_empty());
    }
}
