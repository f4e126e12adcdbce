//! Rows of `printa`: the default columns, or a format with keys and `%@` values.

use dlang::eval::Value;
use dlang::format::{Amount, Format, Piece, Spec};
use dlang::types::{Int, Type};

use super::super::convert::{self, Dates, Style};
use super::super::default::{self, Strings};
use super::table::{Aggregation, Row, Table};
use super::{Drawing, histogram, lines, value};
use crate::record::value_words;

/// A `printa` format, each conversion bound to a key part or to an aggregation.
#[derive(Debug)]
pub(crate) struct Plan {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Text(Vec<u8>),
    Key {
        index: usize,
        spec: Spec,
        style: Style,
    },
    Value {
        index: usize,
        spec: Spec,
        style: Style,
    },
}

impl Plan {
    /// Plans `format` for `count` aggregations. Plain conversions take the parts of the key in
    /// turn; `%@` ones take the aggregations in turn, and start again after the last.
    pub(crate) fn new(format: &Format, count: usize) -> Self {
        let (mut keys, mut values) = (0.., (0..count.max(1)).cycle());
        let steps = format.pieces.iter().filter_map(|piece| {
            Some(match piece {
                Piece::Literal(text) => Step::Text(text.clone()),
                Piece::Conversion(conversion) => {
                    let mut style = Style {
                        flags: conversion.flags,
                        ..Style::default()
                    };
                    if let Some(Amount::Fixed(width)) = conversion.width {
                        style.set_width(i64::from(width));
                    }
                    if let Some(Amount::Fixed(precision)) = conversion.precision {
                        style.set_precision(i64::from(precision));
                    }
                    let spec = conversion.spec;
                    if conversion.aggregation {
                        Step::Value {
                            index: values.next()?,
                            spec,
                            style,
                        }
                    } else {
                        Step::Key {
                            index: keys.next()?,
                            spec,
                            style,
                        }
                    }
                }
            })
        });
        Self {
            steps: steps.collect(),
        }
    }
}

/// Where rows go, and what they need beside their data.
#[derive(Debug)]
pub(crate) struct Printer<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) dates: &'a mut Dates,
    /// Bytes of a string key, for those that are dumped.
    pub(crate) strings: Strings,
    /// `-x aggpercpu`: each CPU's value below the sum.
    pub(crate) per_cpu: bool,
    /// `-x agghist` and its like.
    pub(crate) drawing: Drawing,
}

impl Printer<'_> {
    /// Prints the rows of a table, by a plan or in the default columns.
    pub(crate) fn put_table(&mut self, table: &Table<'_>, plan: Option<&Plan>) {
        if plan.is_none() && !self.per_cpu && lines::put(self.out, table, self.drawing) {
            return;
        }
        for row in &table.rows {
            self.put_row(&table.columns, row, plan);
        }
    }

    fn put_row(&mut self, columns: &[Option<&Aggregation>], row: &Row<'_>, plan: Option<&Plan>) {
        let types = columns
            .iter()
            .flatten()
            .next()
            .map_or(&[][..], |c| &c.data.layout.key);
        match plan {
            Some(plan) => self.put_planned(columns, row, types, plan),
            None => self.put_default(columns, row, types),
        }
    }

    fn put_default(&mut self, columns: &[Option<&Aggregation>], row: &Row<'_>, types: &[Type]) {
        row.tuple.put(self.out, types, self.strings);
        for (column, entry) in columns.iter().zip(&row.values) {
            let Some(aggregation) = column else { continue };
            let missing = vec![0; value_words(aggregation.data.layout.func) as usize];
            let words = entry.map_or(&missing, |entry| &entry.total);
            self.put_value(aggregation, words);
        }
        self.out.push(b'\n');
        if self.per_cpu {
            for (column, entry) in columns.iter().zip(&row.values) {
                let (Some(aggregation), Some(entry)) = (column, entry) else {
                    continue;
                };
                for (cpu, words) in entry.each_cpu().enumerate() {
                    self.out
                        .extend_from_slice(format!("    [CPU {cpu}]").as_bytes());
                    self.put_value(aggregation, words);
                    self.out.push(b'\n');
                }
            }
        }
    }

    fn put_value(&mut self, aggregation: &Aggregation, words: &[u64]) {
        let func = aggregation.data.layout.func;
        match value::number(func, words, aggregation.normal) {
            Some(number) => {
                self.out.push(b' ');
                default::put_column(self.out, number, 16);
            }
            None => self.put_histogram(aggregation, words),
        }
    }

    fn put_histogram(&mut self, aggregation: &Aggregation, words: &[u64]) {
        let func = aggregation.data.layout.func;
        let zoomed = self.drawing.zoomed;
        histogram::put(self.out, func, words, aggregation.normal, zoomed);
    }

    fn put_planned(
        &mut self,
        columns: &[Option<&Aggregation>],
        row: &Row<'_>,
        types: &[Type],
        plan: &Plan,
    ) {
        for step in &plan.steps {
            match step {
                Step::Text(text) => self.out.extend_from_slice(text),
                Step::Key { index, spec, style } => {
                    let conversion = (*spec, *style);
                    row.tuple
                        .convert(self.out, *index, types, conversion, self.dates);
                }
                Step::Value { index, spec, style } => {
                    let Some(Some(aggregation)) = columns.get(*index) else {
                        continue;
                    };
                    let func = aggregation.data.layout.func;
                    let missing = vec![0; value_words(func) as usize];
                    let entry = row.values.get(*index).copied().flatten();
                    let words = entry.map_or(&missing, |entry| &entry.total);
                    match value::number(func, words, aggregation.normal) {
                        Some(number) => {
                            let number = Value::Int(number);
                            convert::put(self.out, *spec, *style, &number, Int::I64, self.dates);
                        }
                        None => self.put_histogram(aggregation, words),
                    }
                }
            }
        }
    }
}
