//! One aggregation's data at a moment, and what `clear()` and `trunc()` have taken from it.
//!
//! The probes go on counting while we read, and a count must never be lost. So nothing that adds
//! up is ever reset in the kernel's map: what the map had at `clear()` or `trunc()` is remembered
//! as a *baseline* and taken off from then on. A truncated key is hidden until its hits grow.
//! To keep the map small, a key that stays hidden without growing for a few snapshots is deleted;
//! what was counted between reading and deleting stays in the baseline, negative, and shows.
//!
//! Minimum and maximum have no difference to take: their keys are deleted at once.

use std::collections::HashMap;
use std::io;

use dlang::program::AggFunc;
use provider::object::MapId;

use super::key::{Tuple, decode_key};
use super::value;
use crate::record::{AggregationLayout, value_words};

/// How the consumer reads an aggregation's maps; tests need no kernel.
pub trait AggregationMaps {
    /// Every key of `map` with its value, the words of all CPUs back to back. An unkeyed
    /// aggregation's map has the one key of four zero bytes.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn entries(&mut self, map: MapId) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Deletes a key and gives its last value, `None` when there is no such key. The entry of an
    /// array is set to zeros instead.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn remove(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>>;
}

/// Snapshots without a hit after which a hidden key is deleted from its map.
const IDLE_SNAPSHOTS: u8 = 4;

/// One key with its values.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tuple: Tuple,
    /// All CPUs together.
    pub(super) total: Vec<u64>,
    /// Each CPU's words, the baseline taken off.
    pub(super) cpus: Vec<Vec<u64>>,
    /// The words of all CPUs as the map has them.
    counted: Vec<u64>,
    /// Where it is, unless only a baseline is left of it.
    source: Option<(MapId, Vec<u8>)>,
}

/// What a `clear()` or `trunc()` left behind for one key.
#[derive(Clone, Debug)]
struct Mark {
    /// The words of all CPUs to take off; none for minimum and maximum.
    base: Vec<u64>,
    /// Whether the key was truncated and has not been hit since.
    hidden: bool,
    /// Snapshots in which it stayed hidden.
    idle: u8,
}

/// An aggregation's marks.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) layout: AggregationLayout,
    marks: HashMap<Tuple, Mark>,
}

impl Data {
    pub(super) fn new(layout: AggregationLayout) -> Self {
        Self {
            layout,
            marks: HashMap::new(),
        }
    }

    /// Every key that shows now, in no order.
    pub(super) fn snapshot(&mut self, maps: &mut dyn AggregationMaps) -> io::Result<Vec<Entry>> {
        let mut found = HashMap::new();
        for map in &self.layout.maps {
            for (key, bytes) in maps.entries(*map)? {
                let Some(tuple) = decode_key(&key, &self.layout.key) else {
                    continue;
                };
                let words = bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|word| u64::from_ne_bytes(*word));
                found.insert(tuple, (words.collect::<Vec<_>>(), Some((*map, key))));
            }
        }
        for tuple in self.marks.keys() {
            found
                .entry(tuple.clone())
                .or_insert_with(|| (Vec::new(), None));
        }
        let mut shown = Vec::with_capacity(found.len());
        for (tuple, (counted, source)) in found {
            let entry = self.entry(tuple, counted, source);
            let hits = entry.total.first().copied().unwrap_or(0);
            match self.marks.get_mut(&entry.tuple) {
                None if hits == 0 => {}
                None => shown.push(entry),
                Some(mark) if mark.hidden && hits == 0 => {
                    mark.idle += 1;
                    if mark.idle >= IDLE_SNAPSHOTS {
                        self.forget(entry, maps)?;
                    }
                }
                Some(mark) => {
                    mark.hidden = false;
                    shown.push(entry);
                }
            }
        }
        Ok(shown)
    }

    /// `clear()`: the keys stay, their values start again.
    pub(super) fn clear(&mut self, maps: &mut dyn AggregationMaps) -> io::Result<()> {
        for entry in self.snapshot(maps)? {
            self.mark(entry, false, maps)?;
        }
        Ok(())
    }

    /// `trunc()` of these keys: they are gone until they are hit again.
    pub(super) fn truncate(
        &mut self,
        entries: Vec<Entry>,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        for entry in entries {
            self.mark(entry, true, maps)?;
        }
        Ok(())
    }

    fn mark(
        &mut self,
        entry: Entry,
        hidden: bool,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        if self.adds_up() {
            self.marks.insert(
                entry.tuple,
                Mark {
                    base: entry.counted,
                    hidden,
                    idle: 0,
                },
            );
            return Ok(());
        }
        if let Some((map, key)) = &entry.source {
            maps.remove(*map, key)?;
        }
        if hidden {
            self.marks.remove(&entry.tuple);
        } else {
            self.marks.insert(
                entry.tuple,
                Mark {
                    base: Vec::new(),
                    hidden,
                    idle: 0,
                },
            );
        }
        Ok(())
    }

    /// Deletes a hidden key from its map, and keeps what it counted meanwhile.
    fn forget(&mut self, entry: Entry, maps: &mut dyn AggregationMaps) -> io::Result<()> {
        let Some(mark) = self.marks.get_mut(&entry.tuple) else {
            return Ok(());
        };
        mark.idle = 0;
        let last = match &entry.source {
            // An array's entry cannot be deleted, and there is only one.
            Some(_) if self.layout.key.is_empty() => return Ok(()),
            Some((map, key)) => maps.remove(*map, key)?,
            None => None,
        };
        let Some(last) = last else {
            self.marks.remove(&entry.tuple);
            return Ok(());
        };
        let last: Vec<u64> = last
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_ne_bytes(*word))
            .collect();
        mark.base.resize(mark.base.len().max(last.len()), 0);
        let words = value_words(self.layout.func) as usize;
        for (base, last) in mark.base.chunks_mut(words).zip(last.chunks(words)) {
            value::subtract(self.layout.func, base, last);
        }
        if mark.base.iter().all(|word| *word == 0) {
            self.marks.remove(&entry.tuple);
        }
        Ok(())
    }

    /// A key's values: what was counted, less its baseline, for each CPU and together.
    fn entry(&self, tuple: Tuple, counted: Vec<u64>, source: Option<(MapId, Vec<u8>)>) -> Entry {
        let func = self.layout.func;
        let words = value_words(func) as usize;
        let base = self.marks.get(&tuple).map_or(&[][..], |mark| &mark.base);
        let mut left = counted.clone();
        left.resize(counted.len().max(base.len()).next_multiple_of(words), 0);
        let mut total = value::empty(func);
        let mut cpus = Vec::with_capacity(left.len() / words);
        for (i, cpu) in left.chunks_mut(words).enumerate() {
            if let Some(base) = base.get(i * words..(i + 1) * words) {
                value::subtract(func, cpu, base);
            }
            value::merge(func, &mut total, cpu);
            cpus.push(if cpu[0] == 0 {
                value::empty(func)
            } else {
                cpu.to_vec()
            });
        }
        Entry {
            tuple,
            total,
            cpus,
            counted,
            source,
        }
    }

    fn adds_up(&self) -> bool {
        !matches!(self.layout.func, AggFunc::Min | AggFunc::Max)
    }
}
