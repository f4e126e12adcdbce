//! Aggregations as they were at a moment.

use std::io;

use dlang::eval::Value;
use dlang::types::Type;

use super::entry::Entry;
use super::histogram::{self, Counted as Bucket};
use super::key::Tuple;
use super::maps::AggregationMaps;
use super::snapshot::Data;
use super::value;
use crate::record::AggregationLayout;

/// One aggregation.
#[derive(Debug)]
pub(super) struct Aggregation {
    pub(super) data: Data,
    /// What the last snapshot showed, and when that was.
    pub(super) view: Option<View>,
    /// What values are divided by.
    pub(super) normal: i64,
    /// Whether any of it has been printed, so that the end of the run does not.
    pub(super) printed: bool,
}

/// An aggregation as it was at a moment, less what `clear()` and `trunc()` have taken since.
#[derive(Debug)]
pub(super) struct View {
    pub(super) moment: Moment,
    pub(super) entries: Vec<Entry>,
}

/// When something is done: in which firing of a probe, and in which record of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Moment {
    /// The firing's time and CPU, where its records say.
    pub(in super::super) firing: Option<(u64, u32)>,
    /// The number of the record.
    pub(in super::super) record: u64,
}

impl Moment {
    /// Whether both are in one record, or at least in one firing.
    fn is_near(self, other: Self, in_firing: bool) -> bool {
        self.record == other.record
            || in_firing && self.firing.is_some() && self.firing == other.firing
    }
}

/// Aggregations as they were at a moment, joined by their keys, in the order that the options say.
#[derive(Debug)]
pub(in super::super) struct Table<'a> {
    pub(super) columns: Vec<Option<&'a Aggregation>>,
    pub(super) rows: Vec<Row<'a>>,
}

/// One key of an aggregation with what has been aggregated for it.
#[derive(Debug)]
pub(in super::super) struct Keyed<'a> {
    /// The parts of the key with their types.
    pub(in super::super) key: Vec<(Value<'a>, &'a Type)>,
    /// The value.
    pub(in super::super) result: Result,
}

/// What has been aggregated, divided by what `normalize()` says.
#[derive(Debug)]
pub(in super::super) enum Result {
    /// A number.
    Number(i64),
    /// The buckets that are not empty, ascending.
    Buckets(Vec<Bucket>),
}

impl<'a> Table<'a> {
    /// The aggregations with their numbers in the table.
    pub(in super::super) fn aggregations(
        &self,
    ) -> impl Iterator<Item = (usize, &'a AggregationLayout)> {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(|(i, column)| Some((i, &(*column)?.data.layout)))
    }

    /// What aggregation `index` has, in the order of the table.
    pub(in super::super) fn entries(&self, index: usize) -> impl Iterator<Item = Keyed<'a>> {
        let aggregation = self.columns.get(index).copied().flatten();
        let rows = aggregation.into_iter().flat_map(|found| {
            let rows = self.rows.iter();
            rows.map(move |row| (found, row))
        });
        rows.filter_map(move |(aggregation, row)| {
            let layout = &aggregation.data.layout;
            let entry = row.values.get(index).copied().flatten()?;
            let (func, words) = (layout.func, &entry.total);
            let number = value::number(func, words, aggregation.normal);
            Some(Keyed {
                key: row.tuple.values().zip(&layout.key).collect(),
                result: number.map_or_else(
                    || Result::Buckets(histogram::filled(func, words, aggregation.normal)),
                    Result::Number,
                ),
            })
        })
    }
}

/// A row of output: a key, and the value that each aggregation has for it.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) tuple: &'a Tuple,
    pub(super) values: Vec<Option<&'a Entry>>,
}

impl Aggregation {
    /// Takes a snapshot, unless there is one of this moment.
    pub(super) fn look(
        &mut self,
        moment: Moment,
        in_firing: bool,
        maps: &mut dyn AggregationMaps,
    ) -> io::Result<&mut Vec<Entry>> {
        let view = match self.view.take() {
            Some(view) if view.moment.is_near(moment, in_firing) => view,
            _ => View {
                moment,
                entries: self.data.snapshot(maps)?,
            },
        };
        Ok(&mut self.view.insert(view).entries)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        self.view.as_ref().map_or(&[], |view| &view.entries)
    }
}
