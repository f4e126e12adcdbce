//! Whether the file of some name is the one that a process has mapped.
//!
//! The kernel says the number of the mapped file's inode, which is not enough: what a name leads to may be on another file
//! system by now, mounted over the one that it led to, and each file system counts its files from 1. So:
//!
//! - `/proc/PID/map_files` leads to the mapped file itself. It takes `CAP_SYS_ADMIN` or `CAP_CHECKPOINT_RESTORE`, and the process
//!   has to be there.
//! - Else the build ids tell, if there are two: what the linker has left in the file, and what of that is in the process's
//!   memory.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use crate::usdt::elf::{self, Contents};

/// Whether the file at a path, which has the mapped file's inode number, is not the one that a process has mapped at a
/// range (`55d0-55d3`); as far as anybody knows.
pub(crate) fn is_another(pid: u32, range: &str, path: &Path, meta: &fs::Metadata) -> bool {
    let mapped = fs::metadata(format!("/proc/{pid}/map_files/{range}"));
    if let Ok(mapped) = mapped
        && mapped.ino() == meta.ino()
    {
        return mapped.dev() != meta.dev();
    }
    let ids = in_file(path).zip(in_memory(pid, meta.ino()));
    ids.is_some_and(|(of_file, of_process)| of_file != of_process)
}

/// The build id of a file.
fn in_file(path: &Path) -> Option<String> {
    Contents::open(path).ok()?.elf().ok()?.build_id()
}

/// The build id of the file with this inode number, as a process has it in its memory: with the headers, at the start
/// of the file.
fn in_memory(pid: u32, inode: u64) -> Option<String> {
    let maps = fs::read(format!("/proc/{pid}/maps")).ok()?;
    let start = maps
        .split(|byte| *byte == b'\n')
        .find_map(|line| start_of(line, inode))?;
    let mut page = [0; 4096];
    let memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    memory.read_exact_at(&mut page, start).ok()?;
    elf::build_id_by_segments(&page)
}

/// Where a line of `/proc/PID/maps` has the start of the file with this inode number.
fn start_of(line: &[u8], inode: u64) -> Option<u64> {
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter_map(|word| std::str::from_utf8(word).ok());
    let (range, _, offset, _, number) = (
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
    );
    let is_start = u64::from_str_radix(offset, 16) == Ok(0) && number.parse() == Ok(inode);
    let (start, _) = range.split_once('-')?;
    is_start
        .then(|| u64::from_str_radix(start, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_tell_files_apart() {
        let own = Path::new("/proc/self/exe");
        let meta = fs::metadata(own).unwrap();
        let pid = std::process::id();
        let found = in_memory(pid, meta.ino());
        assert!(found.is_some());
        assert_eq!(found, in_file(own));
        // The range is nowhere mapped, so that nothing else can tell.
        assert!(!is_another(pid, "0-1", own, &meta));
        let other = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = fs::read(own).unwrap();
        let id = found.unwrap();
        let first = u8::from_str_radix(&id[..2], 16).unwrap();
        let place = bytes
            .windows(5)
            .position(|bytes| bytes == [b'G', b'N', b'U', 0, first]);
        bytes[place.unwrap() + 4] ^= 1;
        fs::write(other.path(), bytes).unwrap();
        assert!(is_another(pid, "0-1", other.path(), &meta));
    }

    #[test]
    fn the_mapped_file_itself_tells() {
        if !test_support::root() {
            return;
        }
        let own = Path::new("/proc/self/exe");
        let meta = fs::metadata(own).unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let range = maps.split(' ').next().unwrap();
        assert!(!is_another(std::process::id(), range, own, &meta));
    }
}
