//! What `clear()` and `trunc()` have taken from an aggregation whose function adds up.
//!
//! Nothing is ever reset in the kernel's map, since a hit may come at any moment. What a key had
//! when it was cleared or truncated is remembered as its *baseline* and taken off from then on. A
//! truncated key is hidden until its value grows. To keep the map small, a key that stays hidden
//! for a few snapshots is deleted; what was counted between reading and deleting stays in the
//! baseline, negative, and shows.
//!
//! One hit can escape: of a probe that has found the key's place in the map but has not added to
//! it yet when the key is deleted. That is some twenty nanoseconds of a key that has not been hit
//! during [`IDLE_SNAPSHOTS`] outputs.

use std::collections::HashMap;
use std::io;

use dlang::program::AggFunc;
use provider::object::MapId;

use super::entry::{Entry, Found, to_words};
use super::key::Tuple;
use super::maps::AggregationMaps;
use super::value;
use crate::record::{AggregationLayout, value_words};

/// Snapshots without a hit after which a hidden key is deleted from its map.
const IDLE_SNAPSHOTS: u8 = 4;

/// The keys that were cleared or truncated.
#[derive(Debug, Default)]
pub(super) struct Sums {
    marks: HashMap<Tuple, Mark>,
}

/// What a `clear()` or `trunc()` left behind for one key.
#[derive(Debug, Default)]
struct Mark {
    /// The words of all CPUs to take off.
    base: Vec<u64>,
    /// Whether the key was truncated and has not been hit since.
    hidden: bool,
    /// Snapshots in which it stayed hidden.
    idle: u8,
}

/// What the maps have of one key.
#[derive(Debug, Default)]
struct Counted {
    words: Vec<u64>,
    places: Vec<(MapId, Box<[u8]>)>,
}

impl Sums {
    pub(super) fn snapshot(
        &mut self,
        layout: &AggregationLayout,
        found: Vec<Found>,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<Vec<Entry>> {
        let func = layout.func;
        let one = value_words(func) as usize;
        let mut counted: HashMap<Tuple, Counted> = HashMap::with_capacity(found.len());
        for key in found {
            let of = counted.entry(key.tuple).or_default();
            of.words.resize(of.words.len().max(key.words.len()), 0);
            let cpus = of.words.chunks_mut(one).zip(key.words.chunks(one));
            cpus.for_each(|(sum, words)| value::merge(func, sum, words));
            of.places.push((key.map, key.key));
        }
        for tuple in self.marks.keys() {
            if !counted.contains_key(tuple) {
                counted.insert(tuple.clone(), Counted::default());
            }
        }
        let mut shown = Vec::with_capacity(counted.len());
        for (tuple, Counted { mut words, places }) in counted {
            let Some(mark) = self.marks.get_mut(&tuple) else {
                let entry = Entry::new(func, tuple, words);
                if entry.total.first() != Some(&0) {
                    shown.push(entry);
                }
                continue;
            };
            words.resize(words.len().max(mark.base.len()), 0);
            let cpus = words.chunks_mut(one).zip(mark.base.chunks(one));
            cpus.for_each(|(words, base)| value::subtract(func, words, base));
            let entry = Entry::new(func, tuple, words);
            // Not by the hits alone: they are counted first, and what they add may come later.
            if !mark.hidden || entry.total.iter().any(|word| *word != 0) {
                mark.hidden = false;
                shown.push(entry);
                continue;
            }
            mark.idle += 1;
            if mark.idle >= IDLE_SNAPSHOTS {
                mark.idle = 0;
                let done = mark.forget(layout, &places, maps)?;
                if done {
                    self.marks.remove(&entry.tuple);
                }
            }
        }
        Ok(shown)
    }

    pub(super) fn clear(&mut self, func: AggFunc, entries: &[Entry]) {
        for entry in entries {
            if !self.marks.contains_key(&entry.tuple) {
                self.marks.insert(entry.tuple.clone(), Mark::default());
            }
            if let Some(mark) = self.marks.get_mut(&entry.tuple) {
                mark.take(func, &entry.cpus, false);
            }
        }
    }

    pub(super) fn truncate(&mut self, func: AggFunc, entries: Vec<Entry>) {
        for entry in entries {
            let mark = self.marks.entry(entry.tuple).or_default();
            mark.take(func, &entry.cpus, true);
        }
    }
}

impl Mark {
    /// Takes off what a snapshot showed, too.
    fn take(&mut self, func: AggFunc, cpus: &[u64], hidden: bool) {
        let one = value_words(func) as usize;
        self.base.resize(self.base.len().max(cpus.len()), 0);
        for (base, words) in self.base.chunks_mut(one).zip(cpus.chunks(one)) {
            value::merge(func, base, words);
        }
        self.hidden = hidden;
        self.idle = 0;
    }

    /// Deletes a hidden key from its maps, and keeps what it counted meanwhile. Says whether
    /// nothing is left of it.
    fn forget(
        &mut self,
        layout: &AggregationLayout,
        places: &[(MapId, Box<[u8]>)],
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<bool> {
        // An array's entry cannot be deleted, and there is only one.
        if layout.key.is_empty() {
            return Ok(false);
        }
        let one = value_words(layout.func) as usize;
        for (map, key) in places {
            let Some(last) = maps.remove(*map, key)? else {
                continue;
            };
            let last = to_words(&last, layout);
            self.base.resize(self.base.len().max(last.len()), 0);
            for (base, last) in self.base.chunks_mut(one).zip(last.chunks(one)) {
                value::subtract(layout.func, base, last);
            }
        }
        Ok(self.base.iter().all(|word| *word == 0))
    }
}
