//! Aggregations: reading them from the kernel's maps, and `printa`, `clear`, `trunc` and
//! `normalize`, as libdtrace does them.

mod histogram;
mod key;
mod print;
mod snapshot;
#[cfg(test)]
mod tests;
mod value;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::io;

use dlang::program::AggId;

use self::key::Tuple;
pub(super) use self::print::{Plan, Printer};
pub use self::snapshot::AggregationMaps;
use self::snapshot::{Data, Entry};
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

/// All aggregations of a run.
#[derive(Debug, Default)]
pub(super) struct Aggregations {
    all: BTreeMap<AggId, Aggregation>,
    sort: SortOptions,
}

#[derive(Debug)]
struct Aggregation {
    data: Data,
    /// What values are divided by.
    normal: i64,
    /// Whether any of it has been printed, so that the end of the run does not.
    printed: bool,
}

/// A row of output: a key, and the value that each aggregation has for it.
#[derive(Debug)]
struct Row {
    tuple: Tuple,
    values: Vec<Option<Entry>>,
}

impl Aggregations {
    pub(super) fn new(sort: SortOptions) -> Self {
        Self {
            all: BTreeMap::new(),
            sort,
        }
    }

    /// Adds an aggregation; one that is known already stays as it is.
    pub(super) fn add(&mut self, layout: AggregationLayout) {
        let aggregation = |layout| Aggregation {
            data: Data::new(layout),
            normal: 1,
            printed: false,
        };
        self.all
            .entry(layout.id)
            .or_insert_with(|| aggregation(layout));
    }

    pub(super) fn clear(&mut self, id: AggId, maps: &mut dyn AggregationMaps) -> io::Result<()> {
        self.all
            .get_mut(&id)
            .map_or(Ok(()), |aggregation| aggregation.data.clear(maps))
    }

    /// `trunc(@a[, keep])`: a positive number keeps the largest, a negative one the smallest.
    pub(super) fn truncate(
        &mut self,
        id: AggId,
        keep: i64,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        let Some(aggregation) = self.all.get_mut(&id) else {
            return Ok(());
        };
        let mut entries = aggregation.data.snapshot(maps)?;
        let layout = &aggregation.data.layout;
        entries.sort_by(|a, b| {
            let order = value::compare(layout.func, &a.total, &b.total)
                .then_with(|| key::compare(&a.tuple, &b.tuple, &layout.key, 0));
            if keep > 0 { order.reverse() } else { order }
        });
        let keep = usize::try_from(keep.unsigned_abs()).unwrap_or(usize::MAX);
        let gone = entries.split_off(keep.min(entries.len()));
        aggregation.data.truncate(gone, maps)
    }

    pub(super) fn normalize(&mut self, id: AggId, normal: i64) {
        if let Some(aggregation) = self.all.get_mut(&id) {
            aggregation.normal = normal;
        }
    }

    /// `printa` of `ids`, by a plan or in the default format, which starts on a new line.
    pub(super) fn printa(
        &mut self,
        ids: &[AggId],
        plan: Option<&Plan>,
        printer: &mut Printer<'_>,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        if plan.is_none() {
            printer.out.push(b'\n');
        }
        let rows = self.rows(ids, maps)?;
        for row in &rows {
            printer.put_row(&self.columns(ids), row, plan);
        }
        if !rows.is_empty() {
            for id in ids {
                self.all
                    .entry(*id)
                    .and_modify(|aggregation| aggregation.printed = true);
            }
        }
        Ok(())
    }

    /// Prints every aggregation that has not been printed, at the end of the run.
    pub(super) fn print_rest(
        &mut self,
        printer: &mut Printer<'_>,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<()> {
        let unprinted = self
            .all
            .iter()
            .filter(|(_, aggregation)| !aggregation.printed);
        let mut ids: Vec<AggId> = unprinted.map(|(id, _)| *id).collect();
        if self.sort.reverse {
            ids.reverse();
        }
        for id in ids {
            for row in self.rows(&[id], maps)? {
                printer.put_row(&self.columns(&[id]), &row, None);
            }
        }
        Ok(())
    }

    /// The union of the keys of `ids`, in order. Aggregations that print together have the same
    /// key types, which `check` sees to.
    fn rows(&mut self, ids: &[AggId], maps: &mut dyn AggregationMaps) -> io::Result<Vec<Row>> {
        let mut rows: HashMap<Tuple, Row> = HashMap::new();
        for (i, id) in ids.iter().enumerate() {
            let Some(aggregation) = self.all.get_mut(id) else {
                continue;
            };
            for entry in aggregation.data.snapshot(maps)? {
                let tuple = entry.tuple.clone();
                let empty = || vec![None; ids.len()];
                let row = rows.entry(tuple.clone()).or_insert_with(|| Row {
                    tuple,
                    values: empty(),
                });
                row.values[i] = Some(entry);
            }
        }
        let mut rows: Vec<Row> = rows.into_values().collect();
        let columns = self.columns(ids);
        rows.sort_by(|a, b| {
            let order = self.compare(&columns, a, b);
            if self.sort.reverse {
                order.reverse()
            } else {
                order
            }
        });
        Ok(rows)
    }

    fn columns(&self, ids: &[AggId]) -> Vec<Option<&Aggregation>> {
        ids.iter().map(|id| self.all.get(id)).collect()
    }

    /// By value (the one at `aggsortpos` before the others) and then by key, or by key first.
    fn compare(&self, columns: &[Option<&Aggregation>], a: &Row, b: &Row) -> Ordering {
        let types = columns
            .iter()
            .flatten()
            .next()
            .map_or(&[][..], |c| &c.data.layout.key);
        let by_key = || key::compare(&a.tuple, &b.tuple, types, self.sort.key_position);
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
                    let words = |row: &Row| row.values[i].as_ref().map(|e| e.total.clone());
                    let zero = || vec![0; crate::record::value_words(func) as usize];
                    let (a, b) = (words(a), words(b));
                    Some(value::compare(
                        func,
                        &a.unwrap_or_else(zero),
                        &b.unwrap_or_else(zero),
                    ))
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
