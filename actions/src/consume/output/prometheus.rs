//! `-x oformat=prometheus`: aggregations as metrics, in Prometheus' text format. docs/output.md says what
//! becomes of what.
//!
//! The same text is what `--listen` answers with ([`metrics`]), at any time while the program runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dlang::eval::{EvalError, Value};
use dlang::program::{AggFunc, AggId};
use dlang::types::Type;

use super::super::aggregate::{Bucket, Keyed, Result as Aggregated, Table};
use super::super::convert::until_nul;
use super::super::decode::Record;
use super::super::event::{Data, Output};
use super::super::stats::ConsumerStats;
use super::series::{MOST_SERIES, largest};
use super::values::Text;

/// The most characters of a label's value.
const LONGEST_LABEL: usize = 512;

/// Keeps the metrics of what has been printed, and writes them at the end.
#[derive(Debug, Default)]
pub(super) struct Prometheus {
    /// By aggregation: what it had when it was last printed.
    latest: BTreeMap<AggId, String>,
}

impl Prometheus {
    fn table(&mut self, table: &Table<'_>) {
        for (index, layout) in table.aggregations() {
            self.latest.insert(layout.id, aggregation(table, index));
        }
    }
}

impl Output for Prometheus {
    fn data(
        &mut self,
        _record: &Record<'_>,
        data: Data<'_>,
        _out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        match data {
            Data::Printa { table, .. } => self.table(table),
            Data::Trace { .. } | Data::Printf { .. } | Data::Tracemem(_) | Data::Print(_) => {}
        }
        Ok(())
    }

    fn unprinted(&mut self, table: &Table<'_>, _out: &mut Vec<u8>) {
        self.table(table);
    }

    fn end(&mut self, stats: ConsumerStats, out: &mut Vec<u8>) {
        for text in self.latest.values() {
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(own(stats, 0).as_bytes());
    }
}

/// The metrics of rdtrace itself.
pub(in super::super) fn own(stats: ConsumerStats, dropped: u64) -> String {
    let mut text = String::new();
    for (name, help, value) in [
        (
            "records",
            "Records of probes that were shown.",
            stats.records,
        ),
        ("faults", "Clauses that a fault has ended.", stats.faults),
        (
            "drops",
            "Records and values that were lost for lack of room.",
            dropped,
        ),
    ] {
        let name = format!("rdtrace_{name}_total");
        head(&mut text, &name, "counter", help);
        let _ = writeln!(text, "{name} {value}");
    }
    text
}

/// The metrics of all aggregations of a table.
pub(in super::super) fn metrics(table: &Table<'_>) -> String {
    let all = table.aggregations();
    all.map(|(index, _)| aggregation(table, index)).collect()
}

/// The metrics of one aggregation.
fn aggregation(table: &Table<'_>, index: usize) -> String {
    let mut text = String::new();
    let Some((_, layout)) = table.aggregations().find(|(other, _)| *other == index) else {
        return text;
    };
    let (kind, suffix) = match layout.func {
        AggFunc::Count => ("counter", "_total"),
        AggFunc::Sum | AggFunc::Avg | AggFunc::Min | AggFunc::Max | AggFunc::Stddev => {
            ("gauge", "")
        }
        AggFunc::Quantize | AggFunc::Lquantize { .. } | AggFunc::Llquantize { .. } => {
            ("histogram", "")
        }
    };
    let name = match layout.name.as_str() {
        "_" => format!("rdtrace_aggregation{suffix}"),
        name => format!("rdtrace_{name}{suffix}"),
    };
    let help = format!("@{} = {}()", layout.name, layout.func.name());
    head(&mut text, &name, kind, &help);
    let (series, left_out) = largest(table.entries(index));
    for Keyed { key, result } in series {
        let labels: Vec<String> = (1..)
            .zip(&key)
            .map(|(n, (value, ty))| format!("key{n}=\"{}\"", label(value, ty)))
            .collect();
        match result {
            Aggregated::Number(number) => {
                let _ = writeln!(text, "{name}{} {number}", braces(&labels));
            }
            Aggregated::Buckets(buckets) => histogram(&mut text, &name, &labels, &buckets),
        }
    }
    if left_out > 0 {
        let dropped = format!("{name}_left_out");
        let help = format!("Keys of @{} beyond the {MOST_SERIES} largest.", layout.name);
        head(&mut text, &dropped, "gauge", &help);
        let _ = writeln!(text, "{dropped} {left_out}");
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn histogram(text: &mut String, name: &str, labels: &[String], buckets: &[Bucket]) {
    let mut total = 0_i64;
    let put = |text: &mut String, bound: &str, total: i64| {
        let mut labels = labels.to_vec();
        labels.push(format!("le=\"{bound}\""));
        let _ = writeln!(text, "{name}_bucket{} {total}", braces(&labels));
    };
    for bucket in buckets {
        total = total.saturating_add(bucket.count);
        if let Some(high) = bucket.high {
            put(text, &high.to_string(), total);
        }
    }
    put(text, "+Inf", total);
    let _ = writeln!(text, "{name}_count{} {total}", braces(labels));
}

fn braces(labels: &[String]) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", labels.join(","))
    }
}

/// The value of a label, with what has a meaning there escaped.
fn label(value: &Value<'_>, ty: &Type) -> String {
    let text = match (value, ty) {
        (Value::Int(n), _) => match ty.as_int() {
            Some(int) if !int.signed => int.wrap(*n).cast_unsigned().to_string(),
            Some(_) | None => n.to_string(),
        },
        (Value::Str(frames), Type::Stack) => {
            let text = Text(frames).to_string();
            text.trim_matches('\n').replace('\n', ";")
        }
        (Value::Str(bytes), _) => Text(until_nul(bytes)).to_string(),
    };
    let mut escaped = String::new();
    for c in text.chars().take(LONGEST_LABEL) {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}
