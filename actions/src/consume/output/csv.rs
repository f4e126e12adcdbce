//! `-x oformat=csv`: one table of all values, for spreadsheets and data frames. docs/output.md has
//! the columns.

use dlang::eval::{self, EvalError, Value};
use dlang::program::Program;
use dlang::types::{Int, Type};

use super::super::aggregate::{Keyed, Result as Aggregated, Table};
use super::super::convert::{float, until_nul};
use super::super::decode::Record;
use super::super::event::{Data, Object, Output};
use super::super::names::named;
use super::columns::columns;
use super::values::{Hex, Text};

/// The columns before the values.
const COLUMNS: [&str; 9] = [
    "action",
    "name",
    "timestamp",
    "cpu",
    "pid",
    "tid",
    "result",
    "low",
    "high",
];

/// Writes rows.
#[derive(Debug, Default)]
pub(super) struct Csv {
    started: bool,
    /// How many columns of values there are.
    values: usize,
}

/// What a row says before its values.
#[derive(Clone, Debug, Default)]
struct Row<'a> {
    action: &'static str,
    name: &'a str,
    origin: [Option<u64>; 4],
    result: [Option<i64>; 3],
}

impl Csv {
    fn put(&mut self, row: &Row<'_>, values: Vec<String>, out: &mut Vec<u8>) {
        self.start(out);
        let cell = |number: &Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        let result = |number: &Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
        let mut cells = vec![row.action.to_owned(), row.name.to_owned()];
        cells.extend(row.origin.iter().map(cell));
        cells.extend(row.result.iter().map(result));
        cells.extend(values);
        cells.resize(COLUMNS.len() + self.values, String::new());
        put_line(&cells, out);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        let values = (1..=self.values).map(|n| format!("value{n}"));
        let names: Vec<_> = COLUMNS
            .iter()
            .map(|name| (*name).to_owned())
            .chain(values)
            .collect();
        put_line(&names, out);
    }

    fn table(&mut self, table: &Table<'_>, start: &Row<'_>, out: &mut Vec<u8>) {
        for (index, layout) in table.aggregations() {
            let name = format!("@{}", layout.name);
            for Keyed { key, result } in table.entries(index) {
                let key: Vec<String> = key.iter().map(|(value, ty)| cell(value, ty)).collect();
                let row = Row {
                    action: layout.func.name(),
                    name: &name,
                    ..start.clone()
                };
                let results = match result {
                    Aggregated::Number(number) => vec![[Some(number), None, None]],
                    Aggregated::Buckets(buckets) => {
                        let buckets = buckets.into_iter();
                        buckets.map(|b| [Some(b.count), b.low, b.high]).collect()
                    }
                };
                for result in results {
                    self.put(
                        &Row {
                            result,
                            ..row.clone()
                        },
                        key.clone(),
                        out,
                    );
                }
            }
        }
    }
}

fn put_line(cells: &[String], out: &mut Vec<u8>) {
    let mut writer = csv::Writer::from_writer(out);
    let written = writer
        .write_record(cells)
        .and_then(|()| Ok(writer.flush()?));
    written.expect("a vector takes all bytes, and there is one row");
}

/// What `print` shows, without its indentation.
fn in_a_line(object: &Object<'_>) -> String {
    let mut shown = Vec::new();
    object.put(&mut shown);
    let shown = String::from_utf8_lossy(&shown);
    shown
        .lines()
        .map(str::trim_start)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A value as a cell shows it.
fn cell(value: &Value<'_>, ty: &Type) -> String {
    match (value, ty) {
        (Value::Int(n), Type::Float(_)) => float(*n, ty.as_int().unwrap_or(Int::U64)).to_string(),
        (Value::Int(n), _) => match ty.as_int() {
            Some(int) if !int.signed => int.wrap(*n).cast_unsigned().to_string(),
            Some(int) => int.wrap(*n).to_string(),
            None => n.to_string(),
        },
        (Value::Str(bytes), Type::Struct(_) | Type::Array(..)) => Hex(bytes).to_string(),
        (Value::Str(frames), Type::Stack) => {
            let lines = frames
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            lines
                .map(|line| Text(line).to_string())
                .collect::<Vec<_>>()
                .join(";")
        }
        (Value::Str(bytes), _) => Text(until_nul(bytes)).to_string(),
    }
}

impl Output for Csv {
    fn expect(&mut self, program: &Program) {
        self.values = columns(program);
    }

    fn data(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        let probe = record.ecb.probe.desc.to_string();
        let origin = [
            record.time(),
            Some(record.cpu.into()),
            record.process().map(u64::from),
            record.thread().map(u64::from),
        ];
        let row = |action| Row {
            action,
            name: &probe,
            origin,
            ..Row::default()
        };
        match data {
            Data::Trace { value, ty } => self.put(&row("trace"), vec![cell(value, ty)], out),
            Data::Tracemem(memory) => {
                self.put(&row("tracemem"), vec![Hex(memory).to_string()], out);
            }
            Data::Print(object) => {
                self.put(&row("print"), vec![in_a_line(&object)], out);
            }
            Data::Printf { args, plan } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    let value = named(eval::eval(arg, record)?, &arg.ty, record, plan.names());
                    values.push(cell(&value, &arg.ty));
                }
                // Text without values is for people: headings and the like.
                if !values.is_empty() {
                    self.put(&row("printf"), values, out);
                }
            }
            Data::Printa { table, .. } => self.table(table, &row(""), out),
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
    }

    fn unprinted(&mut self, table: &Table<'_>, out: &mut Vec<u8>) {
        self.table(table, &Row::default(), out);
    }
}
