//! The tables by which the generated code walks the stacks of processes: put in its memory when a
//! process is seen to map a file, and told of when they are complete.
//!
//! The table of a file is there once, whoever maps it ([`Placed`]). The ranges of a process are written
//! anew with each change, to another place; the old place is given to others a while later, when no
//! program can be reading it any more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use unwind::memory::{FOUND_AT, MOST_RANGES_LOG2, RANGE, RANGES, Range, TABLES_AT, WORD};

use super::mapping::{MappedFile, Mapping};
use super::placed::{Placed, QUARANTINE, id_of};
use crate::error::Error;
use crate::map::{Map, Words};

/// Why the stacks of a process end early.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NoRoom {
    /// There is no place for the rules of a file's functions.
    Table {
        /// Its name.
        file: Arc<str>,
        /// How many bytes they take.
        bytes: usize,
    },
    /// There is none for what a process has mapped.
    Ranges {
        /// Its id.
        pid: u32,
    },
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { file, bytes } => write!(
                f,
                "stacks end in {file}: the memory for walking the stacks of processes has no room for its rules, which take \
                 {bytes} bytes"
            ),
            Self::Ranges { pid } => write!(
                f,
                "stacks of process {pid} end early: the memory for walking the stacks of processes has no room for what \
                 it has mapped"
            ),
        }
    }
}

/// Where the rules are in the memory that were found not long ago.
const FOUND_WORDS: std::ops::Range<usize> = (FOUND_AT / 8) as usize..(TABLES_AT / WORD) as usize;

/// The memory of the generated code, as far as it is in use.
#[derive(Debug)]
pub struct Tables {
    memory: Words,
    processes: Map,
    /// The processes that found no room for what they have mapped, or not for all of it. Those that are gone stay: their
    /// stacks may not have been shown yet.
    crowded: HashSet<u32>,
    /// The files of processes whose tables found no room when these were looked at; kept as long.
    without_table: HashMap<u32, Vec<Arc<MappedFile>>>,
    placed: Placed,
    /// The ranges that have been in use.
    ranges: u32,
    /// Where each process has its ranges.
    places: HashMap<u32, Place>,
    /// Places that are free again, by the power of two.
    free: HashMap<u32, VecDeque<(Instant, u32)>>,
}

/// What holds at some addresses of a process.
enum Found {
    Range(Range),
    /// There is no table of the file.
    NoTable,
    /// There is one, and no room for it.
    NoRoom,
}

/// Where a process has its ranges.
#[derive(Debug)]
struct Place {
    /// The first.
    first: u32,
    /// The power of two that there is room for.
    log2: u32,
    /// The files whose tables they lead to, each once.
    files: Vec<usize>,
}

impl Tables {
    /// Memory in which there is nothing yet: the array map with ranges and rows, and the map of
    /// processes.
    pub fn new(memory: &Map, processes: Map) -> Result<Self, Error> {
        let memory = memory.words()?;
        let room = memory.as_slice().len() - (TABLES_AT / WORD) as usize;
        Ok(Self {
            memory,
            processes,
            crowded: HashSet::new(),
            without_table: HashMap::new(),
            placed: Placed::new(u32::try_from(room).unwrap_or(u32::MAX)),
            ranges: 0,
            places: HashMap::new(),
            free: HashMap::new(),
        })
    }

    /// A process has these mappings now, sorted by address.
    pub(super) fn update<'m>(&mut self, pid: u32, mappings: impl Iterator<Item = &'m Mapping>) {
        let mut ranges = Vec::new();
        let mut files = Vec::new();
        let mut without = Vec::new();
        for mapping in mappings.filter(|mapping| mapping.executable) {
            match self.range_of(mapping) {
                Found::Range(range) => {
                    ranges.push(range);
                    files.push(id_of(&mapping.file));
                }
                Found::NoRoom => without.push(Arc::clone(&mapping.file)),
                Found::NoTable => {}
            }
        }
        if without.is_empty() {
            self.without_table.remove(&pid);
        } else {
            self.without_table.insert(pid, without);
        }
        files.sort_unstable();
        files.dedup();
        let all_fit = ranges.len() <= 1 << MOST_RANGES_LOG2;
        ranges.truncate(1 << MOST_RANGES_LOG2);
        let old = self.places.remove(&pid);
        let placed = self.place(pid, &ranges, files);
        if let Some(old) = old {
            if !placed {
                // What it had before is no longer right, and the place is given to others.
                let _ = self.processes.delete(&key(pid));
            }
            self.leave(&old);
        }
        if placed && all_fit {
            self.crowded.remove(&pid);
        } else {
            self.crowded.insert(pid);
        }
    }

    /// Why stacks of a process end early in a file that it has mapped, if they do for lack of room.
    pub(super) fn no_room(&self, pid: u32, file: &Arc<MappedFile>) -> Option<NoRoom> {
        if self.crowded.contains(&pid) {
            return Some(NoRoom::Ranges { pid });
        }
        let without = self.without_table.get(&pid)?;
        let has_none = without.iter().any(|other| Arc::ptr_eq(other, file));
        has_none.then(|| NoRoom::Table {
            file: Arc::clone(&file.name),
            bytes: file
                .table()
                .map_or(0, |table| WORD as usize * table.rules.words.len()),
        })
    }

    /// Writes the ranges of a process to a new place, and has the generated code know of it.
    fn place(&mut self, pid: u32, ranges: &[Range], files: Vec<usize>) -> bool {
        let Ok(count) = u32::try_from(ranges.len()) else {
            return false;
        };
        let Some((first, log2)) = self.place_for(count) else {
            return false;
        };
        for (n, range) in (first..).zip(ranges) {
            self.write(n as usize * (RANGE / 8) as usize, &range.bytes());
        }
        let value = [first.to_ne_bytes(), count.to_ne_bytes()].concat();
        let placed = self.processes.update(&key(pid), &value).is_ok();
        if placed {
            for file in &files {
                self.placed.mapped(*file);
            }
            self.places.insert(pid, Place { first, log2, files });
        } else {
            self.give(first, log2);
        }
        placed
    }

    /// What a process had is no longer in use.
    fn leave(&mut self, place: &Place) {
        self.give(place.first, place.log2);
        for file in &place.files {
            self.placed.unmapped(*file);
        }
    }

    /// A process is gone.
    pub(super) fn forget(&mut self, pid: u32) {
        if let Some(place) = self.places.remove(&pid) {
            let _ = self.processes.delete(&key(pid));
            self.leave(&place);
        }
    }

    fn range_of(&mut self, mapping: &Mapping) -> Found {
        let Some(table) = mapping.file.table() else {
            return Found::NoTable;
        };
        let Some(start) = table.address_of(mapping.offset) else {
            return Found::NoTable;
        };
        let rules = &table.rules;
        let first = self.placed.of_file(&mapping.file, rules, &self.memory);
        first.map_or(Found::NoRoom, |first| {
            Found::Range(Range {
                start: mapping.start,
                end: mapping.end,
                base: (mapping.start.wrapping_sub(start)).wrapping_add(rules.start.into()),
                table: first,
                pages: rules.pages,
            })
        })
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let words = bytes.as_chunks::<8>().0.iter();
        for (word, bytes) in self.memory.as_slice().iter().skip(at).zip(words) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// A place for so many ranges: the first, and the power of two that there is room for.
    fn place_for(&mut self, count: u32) -> Option<(u32, u32)> {
        let log2 = count.max(1).next_power_of_two().trailing_zeros();
        let free = self.free.entry(log2).or_default();
        if let Some((since, first)) = free.front().copied()
            && since.elapsed() >= QUARANTINE
        {
            free.pop_front();
            self.take_found_away(first);
            return Some((first, log2));
        }
        let first = self.ranges;
        let behind = first.checked_add(1 << log2)?;
        if behind > RANGES {
            // None is old enough, but there is no other.
            let (_, first) = free.pop_front()?;
            self.take_found_away(first);
            return Some((first, log2));
        }
        self.ranges = behind;
        Some((first, log2))
    }

    /// Takes the rules away that were found by the ranges from this one on: they are those of another process now.
    fn take_found_away(&self, first: u32) {
        let words = self.memory.as_slice().get(FOUND_WORDS).unwrap_or_default();
        for [address, what] in words.as_chunks().0 {
            if what.load(Ordering::Relaxed) >> 32 == u64::from(first) {
                what.store(0, Ordering::Relaxed);
                address.store(0, Ordering::Relaxed);
            }
        }
    }

    fn give(&mut self, first: u32, log2: u32) {
        let free = self.free.entry(log2).or_default();
        free.push_back((Instant::now(), first));
    }
}

fn key(pid: u32) -> [u8; 8] {
    u64::from(pid).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use unwind::memory::{found, place_found};

    use super::super::contents::{Contents, Opened};
    use super::*;
    use crate::object::{MapKind, MapSpec};

    /// Tables with room for so many words and processes.
    fn tables(words: u32, processes: u32) -> (Tables, Map) {
        let memory = Map::create(&MapSpec::shared("unwind", TABLES_AT + words * WORD)).unwrap();
        let spec = MapSpec::new("unwind_pids", MapKind::Hash, 8, 8, processes);
        let processes = Map::create(&spec).unwrap();
        (Tables::new(&memory, processes.clone()).unwrap(), processes)
    }

    /// Our own program, mapped.
    fn own() -> Mapping {
        let exe = fs::File::open("/proc/self/exe").unwrap();
        let meta = exe.metadata().unwrap();
        let opened = Opened::new(exe, &meta);
        let file = MappedFile::new("own".into(), Contents::File(opened));
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.contains("r-xp")).unwrap();
        let offset = line.split_whitespace().nth(2).unwrap();
        Mapping {
            start: 0x1000_0000,
            end: 0x1000_1000,
            offset: u64::from_str_radix(offset, 16).unwrap(),
            executable: true,
            file: Arc::new(file),
        }
    }

    fn is_known(processes: &Map, pid: u32) -> bool {
        processes.lookup(&key(pid), &mut [0; 8]).unwrap()
    }

    #[test]
    fn a_file_that_finds_no_room_is_known() {
        if !test_support::root() {
            return;
        }
        let mapping = own();
        for (words, fits) in [(10, false), (2 << 20, true)] {
            let (mut tables, processes) = tables(words, 4);
            for pid in [1, 2] {
                tables.update(pid, [&mapping].into_iter());
                assert!(is_known(&processes, pid));
                let found = tables.no_room(pid, &mapping.file);
                let is_large = |found| matches!(found, NoRoom::Table { bytes, .. } if bytes > 80);
                assert_eq!(found.is_some_and(is_large), !fits);
            }
        }
    }

    #[test]
    fn a_process_that_finds_no_room_is_known_and_not_walked_by_what_it_had() {
        if !test_support::root() {
            return;
        }
        let (mut tables, processes) = tables(2 << 20, 2);
        let mapping = own();
        for (pid, fits) in [(1, true), (2, true), (3, false)] {
            tables.update(pid, [&mapping].into_iter());
            assert_eq!(is_known(&processes, pid), fits);
            let found = tables.no_room(pid, &mapping.file);
            assert_eq!(found, (!fits).then_some(NoRoom::Ranges { pid }));
        }
        tables.forget(2);
        tables.update(3, [&mapping].into_iter());
        assert!(tables.no_room(3, &mapping.file).is_none());
        // Too many for what is left: nothing but what is mapped now would be right.
        let many = vec![mapping.clone(); RANGES as usize];
        tables.ranges = RANGES;
        tables.update(1, many.iter());
        assert!(!is_known(&processes, 1));
        let found = tables.no_room(1, &mapping.file);
        assert_eq!(found, Some(NoRoom::Ranges { pid: 1 }));
    }

    #[test]
    fn a_place_that_is_given_to_another_process_has_no_rules_that_were_found_by_it() {
        if !test_support::root() {
            return;
        }
        let (mut tables, _) = tables(2 << 20, 4);
        let mapping = own();
        tables.update(1, [&mapping].into_iter());
        tables.update(2, [&mapping].into_iter());
        let first = tables.places[&1].first;
        let kept = |tables: &Tables, first| {
            let place = usize::try_from(place_found(0x1234, first)).unwrap();
            let at = FOUND_WORDS.start + 2 * place;
            let words = tables.memory.as_slice()[at..at + 2].iter();
            words
                .map(|word| word.load(Ordering::Relaxed))
                .collect::<Vec<_>>()
        };
        let other = tables.places[&2].first;
        for first in [first, other] {
            let place = usize::try_from(place_found(0x1234, first)).unwrap();
            let bytes: Vec<u8> = found(0x1234, first, 7)
                .iter()
                .flat_map(|word| word.to_ne_bytes())
                .collect();
            tables.write(FOUND_WORDS.start + 2 * place, &bytes);
        }
        tables.forget(1);
        std::thread::sleep(QUARANTINE);
        assert_eq!(kept(&tables, first), found(0x1234, first, 7));
        tables.update(3, [&mapping].into_iter());
        assert_eq!(tables.places[&3].first, first);
        assert_eq!(kept(&tables, first), [0, 0]);
        assert_eq!(kept(&tables, other), found(0x1234, other, 7));
    }

    #[test]
    fn the_room_of_a_file_that_nobody_maps_is_given_to_another() {
        if !test_support::root() {
            return;
        }
        let (old, new) = (own(), own());
        let words = old.file.table().unwrap().rules.words.len();
        let room = u32::try_from(words + words / 2).unwrap();
        let (mut tables, _) = tables(room, 4);
        tables.update(1, [&old].into_iter());
        tables.update(2, [&old].into_iter());
        tables.forget(1);
        let is_refused = |tables: &Tables, pid| tables.no_room(pid, &new.file).is_some();
        tables.update(3, [&new].into_iter());
        assert!(is_refused(&tables, 3));
        tables.forget(2);
        std::thread::sleep(QUARANTINE);
        tables.update(4, [&new].into_iter());
        assert!(!is_refused(&tables, 4));
        // What the other process did before is told still.
        assert!(is_refused(&tables, 3));
    }
}
