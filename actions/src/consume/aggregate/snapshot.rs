//! One aggregation's data at a moment, while the probes go on counting.
//!
//! What `clear()` and `trunc()` take away is exactly what the last `printa()` of the same firing
//! showed: they act on its [`Entry`]s and not on a new reading, so that a hit that came between
//! shows in the next output. No hit is ever shown twice or not at all.
//!
//! How that is reached depends on the function: [`sums`](super::sums) for those that add up,
//! [`extremes`](super::extremes) for minimum and maximum.

use std::io;
use std::ops::Range;

use dlang::program::AggFunc;
use provider::object::MapId;

use super::super::names::Namer;
use super::extremes::Extremes;
use super::key::{self, Tuple};
use super::sums::Sums;
use super::value;
use crate::record::{AggregationLayout, EpochPlace, KeySelector, value_words};

/// How the consumer reads an aggregation's maps; tests need no kernel.
pub trait AggregationMaps {
    /// Gives every key of `map` with its value, the words of all CPUs back to back, to `each`.
    /// The map of an unkeyed aggregation is an array, whose keys are `u32` indices. Keys whose first
    /// word is not in `only` may be left out.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn entries(
        &mut self,
        map: MapId,
        only: Option<Range<u32>>,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()>;

    /// Deletes a key of a hash map and gives its last value, `None` when there is no such key.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn remove(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Sets a key's value to zeros and gives what it was, `None` when there is no such key. Not for
    /// keys that the probes write to.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn reset(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Tells the probes an aggregation's epoch.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn set_epoch(&mut self, place: EpochPlace, epoch: u64) -> io::Result<()>;
}

/// One key with its values.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tuple: Tuple,
    /// All CPUs together.
    pub(super) total: Vec<u64>,
    /// Each CPU's words, back to back.
    pub(super) cpus: Vec<u64>,
}

impl Entry {
    /// An entry of the words of all CPUs, back to back.
    pub(super) fn new(func: AggFunc, tuple: Tuple, cpus: Vec<u64>) -> Self {
        let mut total = value::empty(func);
        for cpu in cpus.chunks_exact(total.len()) {
            value::merge(func, &mut total, cpu);
        }
        Self { tuple, total, cpus }
    }

    /// Takes its values away, as `clear()` does.
    fn empty(&mut self, func: AggFunc) {
        self.total = value::empty(func);
        for cpu in self.cpus.chunks_exact_mut(self.total.len()) {
            cpu.copy_from_slice(&self.total);
        }
    }

    /// Each CPU's words.
    pub(super) fn each_cpu(&self) -> impl Iterator<Item = &[u64]> {
        self.cpus.chunks_exact(self.total.len().max(1))
    }
}

/// A key as a map has it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tuple: Tuple,
    /// When the aggregation has epochs, the slot of the one that the key is of.
    pub(super) slot: Option<u32>,
    /// The words of all CPUs, back to back.
    pub(super) words: Vec<u64>,
    pub(super) map: MapId,
    pub(super) key: Box<[u8]>,
}

/// An aggregation's data.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) layout: AggregationLayout,
    kept: Kept,
    names: Namer,
}

/// What is remembered from one reading to the next.
#[derive(Debug)]
enum Kept {
    Sums(Sums),
    Extremes(Extremes),
}

impl Data {
    pub(super) fn new(layout: AggregationLayout, names: Namer) -> Self {
        let kept = match layout.func {
            AggFunc::Min | AggFunc::Max => Kept::Extremes(Extremes::new(layout.func)),
            AggFunc::Count
            | AggFunc::Sum
            | AggFunc::Avg
            | AggFunc::Stddev
            | AggFunc::Quantize
            | AggFunc::Lquantize { .. }
            | AggFunc::Llquantize { .. } => Kept::Sums(Sums::default()),
        };
        Self {
            layout,
            kept,
            names,
        }
    }

    /// Every key that shows now, in no order.
    pub(super) fn snapshot(&mut self, maps: &mut dyn AggregationMaps) -> io::Result<Vec<Entry>> {
        let found = self.read(maps)?;
        match &mut self.kept {
            Kept::Sums(sums) => sums.snapshot(&self.layout, found, maps),
            Kept::Extremes(extremes) => Ok(extremes.snapshot(found)),
        }
    }

    /// `clear()` of what the last snapshot showed: the keys stay, their values start again.
    pub(super) fn clear(
        &mut self,
        entries: &mut [Entry],
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        let func = self.layout.func;
        match &mut self.kept {
            Kept::Sums(sums) => {
                sums.clear(func, entries);
                for entry in entries {
                    entry.empty(func);
                }
            }
            Kept::Extremes(extremes) => {
                extremes.end_epoch(&self.layout, maps)?;
                for entry in entries {
                    entry.empty(func);
                    extremes.keep(entry);
                }
            }
        }
        Ok(())
    }

    /// `trunc()` of some of what the last snapshot showed: these keys are gone until they are hit
    /// again, the others stay as they are.
    pub(super) fn truncate(
        &mut self,
        gone: Vec<Entry>,
        stay: &[Entry],
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        match &mut self.kept {
            Kept::Sums(sums) => sums.truncate(self.layout.func, gone),
            Kept::Extremes(extremes) => {
                extremes.end_epoch(&self.layout, maps)?;
                for entry in stay {
                    extremes.keep(entry);
                }
            }
        }
        Ok(())
    }

    fn read(&self, maps: &mut dyn AggregationMaps) -> io::Result<Vec<Found>> {
        let layout = &self.layout;
        let mut found = Vec::new();
        let only = layout.selector.map(KeySelector::range);
        for &map in &layout.maps {
            maps.entries(map, only.clone(), &mut |key, value| {
                let Some((slot, tuple)) =
                    key::decode(key, &layout.key, layout.selector, &self.names)
                else {
                    return;
                };
                found.push(Found {
                    tuple,
                    slot,
                    words: to_words(value, layout),
                    map,
                    key: key.into(),
                });
            })?;
        }
        Ok(found)
    }
}

/// The words of a value as the map has it, whole CPUs only.
pub(super) fn to_words(value: &[u8], layout: &AggregationLayout) -> Vec<u64> {
    let words = value.as_chunks().0.iter();
    let words: Vec<u64> = words.map(|word| u64::from_ne_bytes(*word)).collect();
    let (one, stride) = (value_words(layout.func), layout.stride);
    if one == stride {
        return words;
    }
    let cpus = words.chunks_exact(stride.max(one) as usize);
    cpus.flat_map(|cpu| &cpu[..one as usize]).copied().collect()
}
