//! Aggregations: reading them from the kernel's maps, and `printa`, `clear`, `trunc` and
//! `normalize`, as libdtrace does them.

mod bars;
mod copied;
mod entry;
mod extremes;
mod histogram;
mod key;
mod lines;
mod maps;
mod print;
mod snapshot;
mod sums;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::io;

use dlang::program::AggId;

use self::copied::Copied;
use self::entry::Entry;
pub(super) use self::histogram::Counted as Bucket;
use self::key::Tuple;
pub use self::maps::AggregationMaps;
pub(super) use self::print::{Plan, Printer};
use self::snapshot::Data;
use self::table::{Aggregation, Row, View};
pub(super) use self::table::{Keyed, Moment, Result, Table};
use super::names::Namer;
use crate::record::AggregationLayout;

/// In which order aggregations print (`-x aggsortkey` and its like).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SortOptions {
    /// `aggsortkey`: by the key before the value.
    pub key: bool,
    /// `aggsortkeypos`: the part of the key that is compared first.
    pub key_position: usize,
    /// `aggsortpos`: of several aggregations, whose value is compared first.
    pub position: usize,
    /// `aggsortrev`: everything backwards.
    pub reverse: bool,
}

/// How aggregations are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// `agghist`: counts and sums as bars.
    pub bars: bool,
    /// `aggpack`: a histogram in one line.
    pub packed: bool,
    /// `aggzoom`: bars as long as the largest allows, not as its share of all.
    pub zoomed: bool,
    /// `encoding`: what packed histograms are made of.
    pub letters: Letters,
}

/// The letters of packed histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Letters {
    /// Blocks of eight heights.
    #[default]
    Blocks,
    /// `_`, `x` and `X`.
    Ascii,
}

/// All aggregations of a run.
#[derive(Debug)]
pub(super) struct Aggregations {
    all: BTreeMap<AggId, Aggregation>,
    sort: SortOptions,
    names: Namer,
}

impl Aggregations {
    /// Prints in this order from now on.
    pub(super) fn set_order(&mut self, sort: SortOptions) {
        self.sort = sort;
    }

    pub(super) fn new(sort: SortOptions, names: Namer) -> Self {
        Self {
            all: BTreeMap::new(),
            sort,
            names,
        }
    }

    /// Adds an aggregation; one that is known already stays as it is.
    pub(super) fn add(&mut self, layout: AggregationLayout) {
        let names = self.names.clone();
        let aggregation = |layout| Aggregation {
            data: Data::new(layout, names),
            view: None,
            normal: 1,
            printed: false,
        };
        self.all
            .entry(layout.id)
            .or_insert_with(|| aggregation(layout));
    }

    pub(super) fn clear(
        &mut self,
        id: AggId,
        moment: Moment,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        let Some(aggregation) = self.all.get_mut(&id) else {
            return Ok(());
        };
        aggregation.look(moment, true, maps)?;
        if let Some(view) = &mut aggregation.view {
            aggregation.data.clear(&mut view.entries, maps)?;
        }
        Ok(())
    }

    /// `trunc(@a[, keep])`: a positive number keeps the largest, a negative one the smallest.
    pub(super) fn truncate(
        &mut self,
        id: AggId,
        keep: i64,
        moment: Moment,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        let Some(aggregation) = self.all.get_mut(&id) else {
            return Ok(());
        };
        aggregation.look(moment, true, maps)?;
        let Some(view) = &mut aggregation.view else {
            return Ok(());
        };
        let layout = &aggregation.data.layout;
        view.entries.sort_by(|a, b| {
            let order = value::compare(layout.func, &a.total, &b.total)
                .then_with(|| key::compare(&a.tuple, &b.tuple, &layout.key, 0));
            if keep > 0 { order.reverse() } else { order }
        });
        let keep = usize::try_from(keep.unsigned_abs()).unwrap_or(usize::MAX);
        let gone = view.entries.split_off(keep.min(view.entries.len()));
        aggregation.data.truncate(gone, &view.entries, maps)
    }

    pub(super) fn normalize(&mut self, id: AggId, normal: i64) {
        if let Some(aggregation) = self.all.get_mut(&id) {
            aggregation.normal = normal;
        }
    }

    /// `printa` of `ids`: what they hold now. An aggregation in `growing` is one that the firing
    /// itself adds to: what an earlier record of the firing saw of it is out of date.
    pub(super) fn printa(
        &mut self,
        ids: &[AggId],
        growing: &[AggId],
        moment: Moment,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<Table<'_>> {
        for id in ids {
            if let Some(aggregation) = self.all.get_mut(id) {
                aggregation.look(moment, !growing.contains(id), maps)?;
            }
        }
        if ids.iter().any(|id| self.has_entries(*id)) {
            for id in ids {
                self.all
                    .entry(*id)
                    .and_modify(|aggregation| aggregation.printed = true);
            }
        }
        Ok(self.table(ids))
    }

    /// Gives every aggregation that has not been printed to `each`, at the end of the run.
    pub(super) fn unprinted(
        &mut self,
        moment: Moment,
        maps: &mut dyn AggregationMaps,
        each: &mut dyn FnMut(&Table<'_>),
    ) -> io::Result<()> {
        let unprinted = self
            .all
            .iter_mut()
            .filter(|(_, aggregation)| !aggregation.printed);
        let mut ids = Vec::new();
        let maps = &mut Copied::new(maps);
        for (id, aggregation) in unprinted {
            aggregation.look(moment, false, maps)?;
            ids.push(*id);
        }
        if self.sort.reverse {
            ids.reverse();
        }
        for id in ids {
            each(&self.table(&[id]));
        }
        Ok(())
    }

    /// Gives every aggregation to `each` as it is now, for somebody who looks on: what the program prints
    /// and clears is not changed by it.
    pub(super) fn now(
        &mut self,
        maps: &mut dyn AggregationMaps,
        each: &mut dyn FnMut(&Table<'_>),
    ) -> io::Result<()> {
        let maps = &mut Copied::new(maps);
        let ids: Vec<AggId> = self.all.keys().copied().collect();
        for id in ids {
            let Some(aggregation) = self.all.get_mut(&id) else {
                continue;
            };
            let moment = Moment {
                firing: None,
                record: 0,
            };
            let entries = aggregation.data.peek(maps)?;
            let seen = aggregation.view.replace(View { moment, entries });
            each(&self.table(&[id]));
            if let Some(aggregation) = self.all.get_mut(&id) {
                aggregation.view = seen;
            }
        }
        Ok(())
    }

    fn has_entries(&self, id: AggId) -> bool {
        let aggregation = self.all.get(&id);
        aggregation.is_some_and(|aggregation| !aggregation.entries().is_empty())
    }

    fn table(&self, ids: &[AggId]) -> Table<'_> {
        Table {
            columns: self.columns(ids),
            rows: self.rows(ids),
        }
    }

    /// The union of the keys that `ids` had when they were last looked at, in order. Aggregations
    /// that print together have the same key types, which `check` sees to.
    fn rows(&self, ids: &[AggId]) -> Vec<Row<'_>> {
        let columns = self.columns(ids);
        let mut rows: HashMap<&Tuple, Vec<Option<&Entry>>> = HashMap::new();
        for (i, aggregation) in columns.iter().enumerate() {
            for entry in aggregation.iter().flat_map(|a| a.entries()) {
                let values = rows
                    .entry(&entry.tuple)
                    .or_insert_with(|| vec![None; ids.len()]);
                values[i] = Some(entry);
            }
        }
        let rows = rows.into_iter();
        let mut rows: Vec<_> = rows.map(|(tuple, values)| Row { tuple, values }).collect();
        rows.sort_by(|a, b| {
            let order = self.compare(&columns, a, b);
            if self.sort.reverse {
                order.reverse()
            } else {
                order
            }
        });
        rows
    }

    fn columns(&self, ids: &[AggId]) -> Vec<Option<&Aggregation>> {
        ids.iter().map(|id| self.all.get(id)).collect()
    }

    /// By value (the one at `aggsortpos` before the others) and then by key, or by key first.
    fn compare(&self, columns: &[Option<&Aggregation>], a: &Row<'_>, b: &Row<'_>) -> Ordering {
        let types = columns
            .iter()
            .flatten()
            .next()
            .map_or(&[][..], |c| &c.data.layout.key);
        let by_key = || key::compare(a.tuple, b.tuple, types, self.sort.key_position);
        let by_value = || {
            let count = columns.len();
            let first = if self.sort.position < count {
                self.sort.position
            } else {
                0
            };
            let positions = [first]
                .into_iter()
                .chain((0..count).filter(|i| *i != first));
            positions
                .filter_map(|i| {
                    let func = columns[i]?.data.layout.func;
                    let zero = vec![0; crate::record::value_words(func) as usize];
                    let [a, b] = [a, b].map(|row| row.values[i].map_or(&zero, |e| &e.total));
                    Some(value::compare(func, a, b))
                })
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        };
        if self.sort.key {
            by_key().then_with(by_value)
        } else {
            by_value().then_with(by_key)
        }
    }
}
