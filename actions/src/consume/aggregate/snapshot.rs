//! One aggregation's data at a moment, while the probes go on counting.
//!
//! What `clear()` and `trunc()` take away is exactly what the last `printa()` of the same firing
//! showed: they act on its [`Entry`]s and not on a new reading, so that a hit that came between
//! shows in the next output. No hit is ever shown twice or not at all.
//!
//! How that is reached depends on the function: [`sums`](super::sums) for those that add up,
//! [`extremes`](super::extremes) for minimum and maximum.

use std::io;

use dlang::program::AggFunc;

use super::super::names::Namer;
use super::entry::{Entry, Found, to_words};
use super::extremes::Extremes;
use super::key;
use super::maps::AggregationMaps;
use super::sums::Sums;
use crate::record::{AggregationLayout, KeySelector};

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

    /// The same for somebody who looks on: `clear()` and `trunc()` go on from the last [`snapshot`](Self::snapshot).
    pub(super) fn peek(&mut self, maps: &mut dyn AggregationMaps) -> io::Result<Vec<Entry>> {
        let found = self.read(maps)?;
        match &mut self.kept {
            Kept::Sums(sums) => sums.snapshot(&self.layout, found, maps),
            Kept::Extremes(extremes) => Ok(extremes.clone().snapshot(found)),
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
