//! Aggregations with one line for each key: `-x agghist` shows numbers as bars, `-x aggpack` histograms
//! as a letter for each bucket. As in illumos' libdtrace; DTrace for Linux has neither.

use dlang::program::AggFunc;
use dlang::types::Type;

use super::bars::Bars;
use super::key::{self, Tuple};
use super::table::{Aggregation, Table};
use super::{Drawing, histogram, value};

/// Prints `table` so, if `drawing` asks for it and what the table holds can be shown so. Says whether it did.
pub(super) fn put(out: &mut Vec<u8>, table: &Table<'_>, drawing: Drawing) -> bool {
    let [Some(aggregation)] = table.columns[..] else {
        return false;
    };
    let layout = &aggregation.data.layout;
    if layout.key.contains(&Type::Stack) {
        return false;
    }
    let put = match layout.func {
        AggFunc::Count | AggFunc::Sum if drawing.bars => put_bars,
        AggFunc::Quantize | AggFunc::Lquantize { .. } if drawing.packed => put_packed,
        AggFunc::Count
        | AggFunc::Sum
        | AggFunc::Avg
        | AggFunc::Min
        | AggFunc::Max
        | AggFunc::Stddev
        | AggFunc::Quantize
        | AggFunc::Lquantize { .. }
        | AggFunc::Llquantize { .. } => return false,
    };
    let rows = table.rows.iter();
    let values = rows.filter_map(|row| Some((row.tuple, &row.values.first()?.as_ref()?.total[..])));
    let values: Vec<_> = values.collect();
    if !values.is_empty() {
        put(out, aggregation, &values, drawing);
    }
    true
}

/// A key and the words of its value.
type Keyed<'a> = (&'a Tuple, &'a [u64]);

fn put_bars(out: &mut Vec<u8>, aggregation: &Aggregation, values: &[Keyed<'_>], drawing: Drawing) {
    let layout = &aggregation.data.layout;
    let number = |words, normal| value::number(layout.func, words, normal).unwrap_or(0);
    let numbers: Vec<i64> = values.iter().map(|(_, words)| number(words, 1)).collect();
    let bars = Bars::new(&numbers, drawing.zoomed).without_margin();
    out.push(b'\n');
    key::put_heading(out, &layout.key);
    out.extend_from_slice(b"  ------------- Distribution ------------- count    \n");
    for ((tuple, words), n) in values.iter().zip(numbers) {
        tuple.put_aligned(out, &layout.key);
        out.push(b' ');
        bars.put(out, n);
        let shown = number(words, aggregation.normal);
        out.extend_from_slice(format!(" {shown:<9}\n").as_bytes());
    }
}

fn put_packed(
    out: &mut Vec<u8>,
    aggregation: &Aggregation,
    values: &[Keyed<'_>],
    drawing: Drawing,
) {
    let layout = &aggregation.data.layout;
    let shown = histogram::shown(layout.func, values.iter().map(|(_, words)| *words));
    let [least, most] = [shown.start, shown.end - 1].map(|at| histogram::label(layout.func, at));
    let (left, right) = if matches!(layout.func, AggFunc::Lquantize { .. }) {
        (7, 8)
    } else {
        (least.len().max(4), most.len().max(4))
    };
    let dashes = "-".repeat(shown.len());
    out.push(b'\n');
    key::put_heading(out, &layout.key);
    let heading = format!(" {:>left$} .{dashes}. {:<right$} | count\n", "min", "max");
    out.extend_from_slice(heading.as_bytes());
    for (tuple, words) in values {
        let counts: Vec<i64> = histogram::counts(words).collect();
        let bars = Bars::new(&counts, drawing.zoomed);
        let counts = shown.clone().map(|at| counts.get(at).copied().unwrap_or(0));
        let letters: String = counts
            .clone()
            .map(|count| bars.letter(count, drawing.letters))
            .collect();
        let sum = value::divided(counts.fold(0, i64::wrapping_add), aggregation.normal);
        tuple.put_aligned(out, &layout.key);
        let line = format!(" {least:>left$} :{letters}: {most:<right$} | {sum}\n");
        out.extend_from_slice(line.as_bytes());
    }
}
