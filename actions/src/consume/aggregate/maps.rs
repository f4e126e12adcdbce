//! Access to the kernel's maps, as aggregations need it.

use std::io;
use std::ops::Range;

use provider::object::MapId;

use crate::record::EpochPlace;

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
