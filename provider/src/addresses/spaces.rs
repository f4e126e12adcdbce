//! The address spaces of processes: which file is mapped where.
//!
//! What is known of a process stays known when it has ended, since what it did is often shown only
//! then; until a new process or program has its number. Files are opened when they are met
//! (`contents`), so that a file that is deleted or in a container that is gone can still be read.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use super::contents::{Contents, VDSO};
use super::mapping::{MappedFile, Mapping};
use super::pythons::Pythons;
use super::tables::{NoRoom, Tables};
use crate::text::escaped;

/// A mapping as `/proc/PID/maps` or the kernel's report of it has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewMapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
    pub(crate) executable: bool,
    /// The file system's device, and the file's number in it.
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    /// The file, or `[vdso]`.
    pub(crate) path: PathBuf,
    /// When it was mapped; `None` if it is known only that it is now.
    pub(crate) when: Option<SystemTime>,
}

/// How often a process is looked at again for addresses that are in no mapping.
const AGAIN: Duration = Duration::from_millis(100);

/// As many processes that have ended are remembered.
const MOST_ENDED: usize = 4096;

/// A process's mappings.
#[derive(Clone, Debug, Default)]
struct Space {
    /// By their starts; they do not overlap.
    mappings: BTreeMap<u64, Mapping>,
    looked: Option<Instant>,
    ended: bool,
}

/// The address spaces of processes. Several threads may share it.
#[derive(Debug, Default)]
pub(crate) struct Spaces {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By what stacks are walked, if any are.
    tables: Option<Tables>,
    /// The processes that run a Python, if its frames are asked for.
    pythons: Option<Pythons>,
    spaces: HashMap<u32, Space>,
    /// By device, inode and name.
    files: HashMap<((u32, u32), u64, PathBuf), Arc<MappedFile>>,
}

impl Spaces {
    /// Looks at a process.
    pub(crate) fn look(&self, pid: u32) {
        if let Ok(mut known) = self.known.lock() {
            known.look(pid);
        }
    }

    /// Keeps tables for walking stacks up to date from now on.
    pub(crate) fn keep(&self, tables: Tables) {
        if let Ok(mut known) = self.known.lock() {
            known.tables = Some(tables);
        }
    }

    /// Keeps what is to be known of processes that run a Python up to date from now on.
    pub(crate) fn keep_pythons(&self, pythons: Pythons) {
        if let Ok(mut known) = self.known.lock() {
            known.pythons = Some(pythons);
        }
    }

    /// A process has mapped a file.
    pub(crate) fn map(&self, pid: u32, mapping: &NewMapping) {
        if let Ok(mut known) = self.known.lock() {
            let file = known.file(pid, mapping);
            let space = known.spaces.entry(pid).or_default();
            space.ended = false;
            space.map(mapping, file);
            known.tell(pid);
        }
    }

    /// A process has become another program.
    pub(crate) fn exec(&self, pid: u32) {
        if let Ok(mut known) = self.known.lock() {
            known.spaces.insert(pid, Space::default());
            known.forget(pid);
        }
    }

    /// A process has started another.
    pub(crate) fn fork(&self, parent: u32, child: u32) {
        if let Ok(mut known) = self.known.lock() {
            let space = known.spaces.get(&parent).cloned().unwrap_or_default();
            known.spaces.insert(child, space);
            known.tell(child);
        }
    }

    /// A process has ended.
    pub(crate) fn exit(&self, pid: u32) {
        if let Ok(mut known) = self.known.lock() {
            if let Some(space) = known.spaces.get_mut(&pid) {
                space.ended = true;
            }
            known.forget(pid);
            if known.spaces.len() > 2 * MOST_ENDED {
                known.spaces.retain(|_, space| !space.ended);
                // Each is an open file.
                known.files.retain(|_, file| Arc::strong_count(file) > 1);
            }
        }
    }

    /// Why stacks of a process end early in a file that it has mapped, if they do for lack of room.
    pub(super) fn no_room(&self, pid: u32, file: &Arc<MappedFile>) -> Option<NoRoom> {
        let known = self.known.lock().ok()?;
        known.tables.as_ref()?.no_room(pid, file)
    }

    /// What a process has mapped at an address.
    pub(super) fn find(&self, pid: u32, address: u64) -> Option<Mapping> {
        let mut known = self.known.lock().ok()?;
        let found = known.spaces.get(&pid).and_then(|space| space.find(address));
        if found.is_some() {
            return found;
        }
        let looked = known.spaces.get(&pid).and_then(|space| space.looked);
        if looked.is_some_and(|looked| looked.elapsed() < AGAIN) {
            return None;
        }
        known.look(pid);
        known.spaces.get(&pid)?.find(address)
    }
}

impl Known {
    fn look(&mut self, pid: u32) {
        let now = Some(Instant::now());
        let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
        let lines = maps.split(|byte| *byte == b'\n');
        let mappings: Vec<_> = lines.filter_map(NewMapping::parse).collect();
        if mappings.is_empty() {
            // It has ended, or is about to: what is known of it is all there is.
            self.spaces.entry(pid).or_default().looked = now;
            return;
        }
        let mut space = Space {
            looked: now,
            ..Space::default()
        };
        for mapping in mappings {
            let file = self.file(pid, &mapping);
            space.map(&mapping, file);
        }
        self.spaces.insert(pid, space);
        self.tell(pid);
    }

    /// Has the tables know what a process has mapped.
    fn tell(&mut self, pid: u32) {
        if let (Some(tables), Some(space)) = (&mut self.tables, self.spaces.get(&pid)) {
            tables.update(pid, space.mappings.values());
        }
        if let (Some(pythons), Some(space)) = (&mut self.pythons, self.spaces.get(&pid)) {
            pythons.update(pid, space.mappings.values());
        }
    }

    fn forget(&mut self, pid: u32) {
        if let Some(tables) = &mut self.tables {
            tables.forget(pid);
        }
        if let Some(pythons) = &mut self.pythons {
            pythons.forget(pid);
        }
    }

    fn file(&mut self, pid: u32, mapping: &NewMapping) -> Arc<MappedFile> {
        let key = (mapping.device, mapping.inode, mapping.path.clone());
        // What is not executed is not read: it may be what it likes.
        let is_current = |known: &&Arc<MappedFile>| !mapping.executable || known.is_current();
        if let Some(known) = self.files.get(&key).filter(is_current) {
            return Arc::clone(known);
        }
        let name = mapping.path.file_name().unwrap_or(mapping.path.as_os_str());
        let contents = Contents::of(pid, mapping);
        let file = Arc::new(MappedFile::new(escaped(name).into(), contents));
        self.files.insert(key, Arc::clone(&file));
        file
    }
}

impl Space {
    fn map(&mut self, new: &NewMapping, file: Arc<MappedFile>) {
        if new.end <= new.start {
            return;
        }
        // What is mapped over something else takes its place.
        let below = self.mappings.range(..new.end).rev();
        let over: Vec<Mapping> = below
            .take_while(|(_, old)| old.end > new.start)
            .map(|(_, old)| old.clone())
            .collect();
        for old in over {
            self.mappings.remove(&old.start);
            if old.start < new.start {
                let end = new.start;
                self.mappings
                    .insert(old.start, Mapping { end, ..old.clone() });
            }
            if old.end > new.end {
                let offset = old.offset + (new.end - old.start);
                let start = new.end;
                let rest = Mapping {
                    start,
                    offset,
                    ..old
                };
                self.mappings.insert(start, rest);
            }
        }
        let mapping = Mapping {
            start: new.start,
            end: new.end,
            offset: new.offset,
            executable: new.executable,
            file,
        };
        self.mappings.insert(new.start, mapping);
    }

    fn find(&self, address: u64) -> Option<Mapping> {
        let (_, mapping) = self.mappings.range(..=address).next_back()?;
        (address < mapping.end).then(|| mapping.clone())
    }
}

impl NewMapping {
    /// Reads a line of `/proc/PID/maps`; `None` unless it maps a file, or is the vDSO.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let end = rest.iter().position(|byte| *byte == b' ')?;
            let (word, after) = rest.split_at(end);
            rest = after.trim_ascii_start();
            std::str::from_utf8(word).ok()
        };
        let (range, may, offset, device, inode) = (word()?, word()?, word()?, word()?, word()?);
        let (start, end) = range.split_once('-')?;
        let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let (major, minor) = device.split_once(':')?;
        let half = |digits: &str| u32::from_str_radix(digits, 16).ok();
        let inode = inode.parse().ok()?;
        if inode == 0 && rest != VDSO.as_bytes() {
            return None;
        }
        let path = rest.strip_suffix(b" (deleted)").unwrap_or(rest);
        Some(Self {
            start: hex(start)?,
            end: hex(end)?,
            offset: hex(offset)?,
            executable: may.contains('x'),
            device: (half(major)?, half(minor)?),
            inode,
            path: OsString::from_vec(path.to_vec()).into(),
            when: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::contents::own_vdso;
    use super::super::image::Image;
    use super::*;

    fn new(start: u64, end: u64, path: &str) -> NewMapping {
        NewMapping {
            start,
            end,
            offset: 0x10,
            executable: true,
            device: (8, 1),
            inode: 1,
            path: path.into(),
            when: None,
        }
    }

    fn at(spaces: &Spaces, pid: u32, address: u64) -> Option<(String, u64)> {
        let found = spaces.find(pid, address)?;
        Some((
            found.file.name.to_string(),
            address - found.start + found.offset,
        ))
    }

    #[test]
    fn what_is_mapped_over_something_takes_its_place() {
        let (spaces, pid) = (Spaces::default(), u32::MAX);
        spaces.map(pid, &new(0x1000, 0x5000, "/lib/a.so"));
        spaces.map(pid, &new(0x2000, 0x3000, "/lib/b.so"));
        assert_eq!(at(&spaces, pid, 0x1fff), Some(("a.so".into(), 0x100f)));
        assert_eq!(at(&spaces, pid, 0x2001), Some(("b.so".into(), 0x11)));
        assert_eq!(at(&spaces, pid, 0x3000), Some(("a.so".into(), 0x2010)));
        assert_eq!(at(&spaces, pid, 0x5000), None);
    }

    #[test]
    fn children_have_their_parents_files_until_they_become_other_programs() {
        let (spaces, parent, child) = (Spaces::default(), u32::MAX, u32::MAX - 1);
        spaces.map(parent, &new(0x1000, 0x5000, "/lib/a.so"));
        spaces.fork(parent, child);
        spaces.exit(parent);
        assert!(at(&spaces, parent, 0x1000).is_some());
        assert!(at(&spaces, child, 0x1000).is_some());
        spaces.exec(child);
        assert_eq!(at(&spaces, child, 0x1000), None);
    }

    #[test]
    fn our_own_files_are_found() {
        let spaces = Spaces::default();
        let address = at as *const () as u64;
        let found = spaces.find(std::process::id(), address).unwrap();
        let offset = address - found.start + found.offset;
        let (name, _) = found.file.image().find(offset).unwrap();
        assert!(name.contains("spaces"), "{name}");
    }

    #[test]
    fn the_vdso_has_names() {
        let image = Image::of_bytes(&own_vdso().unwrap());
        let text = format!("{image:?}");
        assert!(text.contains("clock_gettime"), "{text}");
    }
}
