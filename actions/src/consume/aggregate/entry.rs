//! A key of an aggregation with its values: as the map has it, and as it is shown.

use dlang::program::AggFunc;
use provider::object::MapId;

use super::key::Tuple;
use super::value;
use crate::record::{AggregationLayout, value_words};

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
    pub(super) fn empty(&mut self, func: AggFunc) {
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
