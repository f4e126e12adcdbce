//! Maps that are read once, for many aggregations that share them.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use provider::object::MapId;

use super::maps::AggregationMaps;
use crate::record::EpochPlace;

/// The entries of one map, by the first word of their keys: the selector, if the map is shared.
type Entries = HashMap<u32, Vec<Entry>>;

/// A key and its value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// Maps of which each is read from the kernel when it is first asked for.
pub(super) struct Copied<'m> {
    maps: &'m mut dyn AggregationMaps,
    entries: HashMap<MapId, Entries>,
}

impl<'m> Copied<'m> {
    pub(super) fn new(maps: &'m mut dyn AggregationMaps) -> Self {
        Self {
            maps,
            entries: HashMap::new(),
        }
    }

    fn read(&mut self, map: MapId) -> io::Result<&Entries> {
        if !self.entries.contains_key(&map) {
            let mut entries = Entries::new();
            self.maps.entries(map, None, &mut |key, value| {
                let first = key
                    .first_chunk()
                    .map_or(0, |word| u32::from_le_bytes(*word));
                let entry = (key.into(), value.into());
                entries.entry(first).or_default().push(entry);
            })?;
            self.entries.insert(map, entries);
        }
        Ok(&self.entries[&map])
    }
}

impl AggregationMaps for Copied<'_> {
    fn entries(
        &mut self,
        map: MapId,
        only: Option<Range<u32>>,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        let entries = self.read(map)?;
        let mut give = |found: &Vec<Entry>| {
            for (key, value) in found {
                each(key, value);
            }
        };
        match only {
            Some(only) => only.filter_map(|first| entries.get(&first)).for_each(give),
            None => entries.values().for_each(&mut give),
        }
        Ok(())
    }

    fn remove(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.maps.remove(map, key)
    }

    fn reset(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.maps.reset(map, key)
    }

    fn set_epoch(&mut self, place: EpochPlace, epoch: u64) -> io::Result<()> {
        self.maps.set_epoch(place, epoch)
    }
}
