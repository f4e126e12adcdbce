//! What `clear()` and `trunc()` have taken from a `min()` or `max()`.
//!
//! A minimum has no difference to take, so a `clear()` must make the probes start again. Deleting
//! the key would lose the hits since it was read. Instead, the keys of such an aggregation carry an
//! *epoch*, a number that the probes read at each hit; `clear()` and `trunc()` start the next one.
//!
//! ```text
//!     printa()   reads the keys of epoch 7                 a: min 40
//!                a hit on a: 90, another: 30                the map: a: min 30
//!     clear()    epoch 8 starts                            remembered of epoch 7: a: min 40
//!                a late hit of a probe that has read 7: 35
//!     printa()   reads epoch 8, and 7 again                 shows 30: better than what was shown
//! ```
//!
//! So each value is part of one output: a late one that is better than what was shown of its epoch
//! shows in the next output; one that is not better changes nothing in the output that was made,
//! and counts as part of it.
//!
//! The keys have only the epoch's *slot*, its remainder by [`EPOCH_SLOTS`], and so are used again:
//! making a key costs a probe more than changing one, and the kernel may have no memory at hand. A
//! slot is emptied before its next epoch starts. An unkeyed aggregation is an array of its slots.
//!
//! In the map, a value is encoded so that the better of two is the larger word, and 0 is none
//! ([`value::encode`]); this module works on such words.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use dlang::program::AggFunc;
use provider::object::MapId;

use super::entry::{Entry, Found, to_words};
use super::key::Tuple;
use super::maps::AggregationMaps;
use super::value;
use crate::record::{AggregationLayout, EPOCH_SLOTS};

/// How long after an epoch's end its slot may be used again: longer than any probe takes from
/// reading the epoch to its update.
const LATE: Duration = Duration::from_millis(10);

/// The words of all CPUs, by key.
type Values = HashMap<Tuple, Vec<u64>>;

#[derive(Clone, Debug)]
pub(super) struct Extremes {
    func: AggFunc,
    epoch: u64,
    /// What the last snapshot read of the current epoch.
    read: Values,
    /// What shows beside the current epoch's: late values, and the keys that `clear()` and
    /// `trunc()` left.
    kept: Values,
    ended: BTreeMap<u64, Ended>,
    /// The keys that the last snapshot found, by slot.
    places: Vec<Vec<Place>>,
}

/// A key in a map.
#[derive(Clone, Debug)]
struct Place {
    map: MapId,
    key: Box<[u8]>,
    tuple: Tuple,
    /// Whether it was hit since its slot was emptied.
    is_hit: bool,
}

/// An epoch that is over.
#[derive(Clone, Debug)]
struct Ended {
    since: Instant,
    /// What has been taken from it.
    read: Values,
}

impl Extremes {
    pub(super) fn new(func: AggFunc) -> Self {
        Self {
            func,
            epoch: 0,
            read: Values::new(),
            kept: Values::new(),
            ended: BTreeMap::new(),
            places: Vec::new(),
        }
    }

    pub(super) fn snapshot(&mut self, found: Vec<Found>) -> Vec<Entry> {
        self.read.clear();
        self.places.clear();
        self.places.resize_with(EPOCH_SLOTS as usize, Vec::new);
        for key in found {
            let is_hit = key.words.iter().any(|word| *word != 0);
            let epoch = key.slot.map_or(self.epoch, |slot| self.epoch_in(slot));
            if is_hit && epoch == self.epoch {
                merge(self.read.entry(key.tuple.clone()).or_default(), &key.words);
            } else if is_hit {
                self.late(epoch, &key.tuple, &key.words);
            }
            let slot = key.slot.and_then(|slot| self.places.get_mut(slot as usize));
            if let Some(places) = slot {
                places.push(Place {
                    map: key.map,
                    key: key.key,
                    tuple: key.tuple,
                    is_hit,
                });
            }
        }
        let mut all = self.kept.clone();
        for (tuple, words) in &self.read {
            merge(all.entry(tuple.clone()).or_default(), words);
        }
        let entries = all.into_iter().map(|(tuple, mut words)| {
            recode(self.func, &mut words);
            Entry::new(self.func, tuple, words)
        });
        entries.collect()
    }

    /// Ends the current epoch, if anything was read of it; what was read is done with. What of it
    /// is to show again, [`keep`](Self::keep) says.
    pub(super) fn end_epoch(
        &mut self,
        layout: &AggregationLayout,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        self.kept.clear();
        let Some(place) = layout.selector.and_then(|selector| selector.epoch) else {
            return Ok(());
        };
        if self.read.is_empty() {
            return Ok(());
        }
        let next = self.epoch + 1;
        self.empty_slot(next, layout, maps)?;
        maps.set_epoch(place, next)?;
        let ended = Ended {
            since: Instant::now(),
            read: mem::take(&mut self.read),
        };
        self.ended.insert(self.epoch, ended);
        self.epoch = next;
        Ok(())
    }

    /// Makes an entry show in the next snapshot, with its values.
    pub(super) fn keep(&mut self, entry: &Entry) {
        let mut words = entry.cpus.clone();
        recode(self.func, &mut words);
        merge(self.kept.entry(entry.tuple.clone()).or_default(), &words);
    }

    /// The last epoch that had this slot.
    fn epoch_in(&self, slot: u32) -> u64 {
        let back = self.epoch.wrapping_sub(u64::from(slot)) % u64::from(EPOCH_SLOTS);
        self.epoch.wrapping_sub(back)
    }

    /// Takes what a key of an ended epoch has beyond what was taken from it before.
    fn late(&mut self, epoch: u64, tuple: &Tuple, words: &[u64]) {
        let ended = self.ended.entry(epoch).or_insert_with(|| Ended {
            since: Instant::now(),
            read: Values::new(),
        });
        let read = ended.read.entry(tuple.clone()).or_default();
        read.resize(read.len().max(words.len()), 0);
        let mut new = vec![0; words.len()];
        for ((read, words), new) in read
            .chunks_exact_mut(2)
            .zip(words.chunks_exact(2))
            .zip(new.chunks_exact_mut(2))
        {
            if words[1] > read[1] {
                new.copy_from_slice(&[words[0].wrapping_sub(read[0]).max(1), words[1]]);
            }
            read.copy_from_slice(words);
        }
        if new.iter().any(|word| *word != 0) {
            merge(self.kept.entry(tuple.clone()).or_default(), &new);
        }
    }

    /// Sees to it that the slot of epoch `next` is empty: takes what is left of the epoch that had
    /// it before. Keys that were not hit in that epoch are deleted.
    fn empty_slot(
        &mut self,
        next: u64,
        layout: &AggregationLayout,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        let Some(before) = next.checked_sub(u64::from(EPOCH_SLOTS)) else {
            return Ok(());
        };
        if let Some(ended) = self.ended.get(&before) {
            thread::sleep(LATE.saturating_sub(ended.since.elapsed()));
        }
        let slot = usize::try_from(next % u64::from(EPOCH_SLOTS)).unwrap_or_default();
        for place in self.places.get_mut(slot).map(mem::take).unwrap_or_default() {
            let last = if place.is_hit || layout.key.is_empty() {
                maps.reset(place.map, &place.key)?
            } else {
                maps.remove(place.map, &place.key)?
            };
            if let Some(last) = last {
                self.late(before, &place.tuple, &to_words(&last, layout));
            }
        }
        self.ended.remove(&before);
        Ok(())
    }
}

/// Adds hits and keeps the better value, for each CPU.
fn merge(into: &mut Vec<u64>, words: &[u64]) {
    into.resize(into.len().max(words.len()), 0);
    for (into, words) in into.chunks_exact_mut(2).zip(words.chunks_exact(2)) {
        into[0] = into[0].wrapping_add(words[0]);
        into[1] = into[1].max(words[1]);
    }
}

/// From a map's words to values, or back.
fn recode(func: AggFunc, words: &mut [u64]) {
    for cpu in words.chunks_exact_mut(2) {
        cpu[1] = value::encode(func, cpu[1]);
    }
}
