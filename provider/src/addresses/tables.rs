//! The tables by which the generated code walks the stacks of processes: put in its memory when a
//! process is seen to map a file, and told of when they are complete.
//!
//! The rows of a file are there once, whoever maps it, and stay. The ranges of a process are written
//! anew with each change, to another place; the old place is given to others a while later, when no
//! program can be reading it any more.

use std::collections::{HashMap, VecDeque};
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

/// The memory of the generated code, as far as it is in use.
#[derive(Debug)]
pub struct Tables {
    memory: Words,
    processes: Map,
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
        ranges.truncate(1 << MOST_RANGES_LOG2);
        let old = self.places.remove(&pid);
        if let Some((first, log2)) = self.place_for(ranges.len()) {
            for (n, range) in (first..).zip(&ranges) {
                self.write(n as usize * (RANGE / 8) as usize, &range.bytes());
            }
            let count = u32::try_from(ranges.len()).unwrap_or(0);
            let value = [first.to_ne_bytes(), count.to_ne_bytes()].concat();
            if self.processes.update(&key(pid), &value).is_ok() {
                self.places.insert(pid, (first, log2));
            } else {
                self.give(first, log2);
            }
        }
        if let Some((first, log2)) = old {
            self.give(first, log2);
        }
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
        let id = Arc::as_ptr(file) as usize;
        if let Some(first) = self.files.get(&id) {
            return *first;
        }
        self.known.push(Arc::clone(file));
        let first = self.rows;
        let fits = rows.len() <= self.room - first as usize;
        let placed = fits.then_some(first);
        self.files.insert(id, placed);
        if fits {
            let at = (ROWS_AT / 8) as usize + first as usize;
            for (word, row) in self.memory.as_slice().iter().skip(at).zip(rows) {
                let bits = u64::from(row.address) | u64::from(row.rule) << 32;
                word.store(bits, Ordering::Relaxed);
            }
            self.rows += u32::try_from(rows.len()).ok()?;
        }
        placed
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let words = bytes.as_chunks::<8>().0.iter();
        for (word, bytes) in self.memory.as_slice().iter().skip(at).zip(words) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// A place for so many ranges: the first, and the power of two that there is room for.
    fn place_for(&mut self, count: usize) -> Option<(u32, u32)> {
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

fn key(pid: u32) -> [u8; 8] {
    u64::from(pid).to_ne_bytes()
}
