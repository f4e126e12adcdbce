//! The tables by which the generated code walks the stacks of processes: put in its memory when a
//! process is seen to map a file, and told of when they are complete.
//!
//! The rows of a file are there once, whoever maps it, and stay. The ranges of a process are written
//! anew with each change, to another place; the old place is given to others a while later, when no
//! program can be reading it any more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use unwind::Row;
use unwind::memory::{MOST_RANGES_LOG2, MOST_ROWS_LOG2, RANGE, RANGES, ROWS_AT, Range};

use super::mapping::{MappedFile, Mapping};
use crate::error::Error;
use crate::map::{Map, Words};

/// How long a place is left alone that a program may still be reading.
const QUARANTINE: Duration = Duration::from_secs(2);

/// Why the stacks of a process end early.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NoRoom {
    /// There is no place for the rules of a file's functions.
    Rows {
        /// Its name.
        file: Arc<str>,
        /// How many it has.
        rows: usize,
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
            Self::Rows { file, rows } => write!(
                f,
                "stacks end in {file}: the memory for walking the stacks of processes has no room for its {rows} rules"
            ),
            Self::Ranges { pid } => write!(
                f,
                "stacks of process {pid} end early: the memory for walking the stacks of processes has no room for what \
                 it has mapped"
            ),
        }
    }
}

/// The memory of the generated code, as far as it is in use.
#[derive(Debug)]
pub struct Tables {
    memory: Words,
    processes: Map,
    /// The processes that found no room for what they have mapped, or not for all of it. Those that are gone stay: their
    /// stacks may not have been shown yet.
    crowded: HashSet<u32>,
    /// The rows that there is room for, and those that are taken.
    room: usize,
    rows: u32,
    /// Where files have their rows; `None` for those that found no room.
    files: HashMap<usize, Option<u32>>,
    /// Keeps the files alive by whose addresses `files` goes.
    known: Vec<Arc<MappedFile>>,
    /// The ranges that have been in use.
    ranges: u32,
    /// Where each process has its ranges: the first, and the power of two that there is room for.
    places: HashMap<u32, (u32, u32)>,
    /// Places that are free again, by the power of two.
    free: HashMap<u32, VecDeque<(Instant, u32)>>,
}

impl Tables {
    /// Memory in which there is nothing yet: the array map with ranges and rows, and the map of
    /// processes.
    pub fn new(memory: &Map, processes: Map) -> Result<Self, Error> {
        let memory = memory.words()?;
        let room = memory.as_slice().len() - (ROWS_AT / 8) as usize;
        Ok(Self {
            memory,
            processes,
            crowded: HashSet::new(),
            room,
            rows: 0,
            files: HashMap::new(),
            known: Vec::new(),
            ranges: 0,
            places: HashMap::new(),
            free: HashMap::new(),
        })
    }

    /// A process has these mappings now, sorted by address.
    pub(super) fn update<'m>(&mut self, pid: u32, mappings: impl Iterator<Item = &'m Mapping>) {
        let mut ranges = Vec::new();
        for mapping in mappings.filter(|mapping| mapping.executable) {
            if let Some(range) = self.range_of(mapping) {
                ranges.push(range);
            }
        }
        let all_fit = ranges.len() <= 1 << MOST_RANGES_LOG2;
        ranges.truncate(1 << MOST_RANGES_LOG2);
        let old = self.places.remove(&pid);
        let placed = self.place(pid, &ranges);
        if let Some((first, log2)) = old {
            if !placed {
                // What it had before is no longer right, and the place is given to others.
                let _ = self.processes.delete(&key(pid));
            }
            self.give(first, log2);
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
        let has_none = self.files.get(&id_of(file)) == Some(&None);
        has_none.then(|| NoRoom::Rows {
            file: Arc::clone(&file.name),
            rows: file.table().map_or(0, |table| table.rows.len()),
        })
    }

    /// Writes the ranges of a process to a new place, and has the generated code know of it.
    fn place(&mut self, pid: u32, ranges: &[Range]) -> bool {
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
            self.places.insert(pid, (first, log2));
        } else {
            self.give(first, log2);
        }
        placed
    }

    /// A process is gone.
    pub(super) fn forget(&mut self, pid: u32) {
        if let Some((first, log2)) = self.places.remove(&pid) {
            let _ = self.processes.delete(&key(pid));
            self.give(first, log2);
        }
    }

    fn range_of(&mut self, mapping: &Mapping) -> Option<Range> {
        let table = mapping.file.table()?;
        let first = self.rows_of(&mapping.file, &table.rows)?;
        let start = table.address_of(mapping.offset)?;
        let end = start.checked_add(mapping.end - mapping.start)?;
        // The rule at the start may be that of a row before it.
        let behind = table
            .rows
            .partition_point(|row| u64::from(row.address) <= start);
        let from = behind.saturating_sub(1);
        let to = table
            .rows
            .partition_point(|row| u64::from(row.address) < end);
        let count = to.saturating_sub(from).min(1 << MOST_ROWS_LOG2);
        Some(Range {
            start: mapping.start,
            end: mapping.end,
            base: mapping.start.wrapping_sub(start),
            first: first + u32::try_from(from).ok()?,
            rows: u32::try_from(count).ok()?,
        })
    }

    /// The first row of a file, whose rows are put in memory if they are not yet there.
    fn rows_of(&mut self, file: &Arc<MappedFile>, rows: &[Row]) -> Option<u32> {
        let id = id_of(file);
        if let Some(first) = self.files.get(&id) {
            return *first;
        }
        self.known.push(Arc::clone(file));
        let first = self.rows;
        let behind = u32::try_from(rows.len())
            .ok()
            .and_then(|count| first.checked_add(count))
            .filter(|behind| *behind as usize <= self.room);
        self.files.insert(id, behind.map(|_| first));
        let behind = behind?;
        let at = (ROWS_AT / 8) as usize + first as usize;
        for (word, row) in self.memory.as_slice().iter().skip(at).zip(rows) {
            let bits = u64::from(row.address) | u64::from(row.rule) << 32;
            word.store(bits, Ordering::Relaxed);
        }
        self.rows = behind;
        Some(first)
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
            return Some((first, log2));
        }
        let first = self.ranges;
        let behind = first.checked_add(1 << log2)?;
        if behind > RANGES {
            // None is old enough, but there is no other.
            return free.pop_front().map(|(_, first)| (first, log2));
        }
        self.ranges = behind;
        Some((first, log2))
    }

    fn give(&mut self, first: u32, log2: u32) {
        let free = self.free.entry(log2).or_default();
        free.push_back((Instant::now(), first));
    }
}

fn id_of(file: &Arc<MappedFile>) -> usize {
    Arc::as_ptr(file) as usize
}

fn key(pid: u32) -> [u8; 8] {
    u64::from(pid).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::OnceLock;

    use unwind::memory::ROW;

    use super::super::mapping::Contents;
    use super::*;
    use crate::object::{MapKind, MapSpec};

    /// Tables with room for so many rows and processes.
    fn tables(rows: u32, processes: u32) -> (Tables, Map) {
        let memory = Map::create(&MapSpec::shared("unwind", ROWS_AT + rows * ROW)).unwrap();
        let spec = MapSpec::new("unwind_pids", MapKind::Hash, 8, 8, processes);
        let processes = Map::create(&spec).unwrap();
        (Tables::new(&memory, processes.clone()).unwrap(), processes)
    }

    /// Our own program, mapped.
    fn own() -> Mapping {
        let exe = fs::File::open("/proc/self/exe").unwrap();
        let file = MappedFile {
            name: "own".into(),
            contents: Contents::File(exe),
            image: OnceLock::new(),
            table: OnceLock::new(),
            interpreter: OnceLock::new(),
        };
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
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let mapping = own();
        for (rows, fits) in [(10, false), (3 << 20, true)] {
            let (mut tables, processes) = tables(rows, 4);
            for pid in [1, 2] {
                tables.update(pid, [&mapping].into_iter());
                assert!(is_known(&processes, pid));
                let found = tables.no_room(pid, &mapping.file);
                let is_rows = |found| matches!(found, NoRoom::Rows { rows, .. } if rows > 10);
                assert_eq!(found.is_some_and(is_rows), !fits);
            }
        }
    }

    #[test]
    fn a_process_that_finds_no_room_is_known_and_not_walked_by_what_it_had() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let (mut tables, processes) = tables(3 << 20, 2);
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
}
