//! `-x oformat=json`: one JSON object a line. docs/output.md has the schema.
//!
//! Every line is valid JSON in UTF-8 whatever the traced program has in its strings: bytes that are
//! no UTF-8 show as `\xff` in the text, and the field `bytes` beside it has all of them exactly.

use std::fmt;

use dlang::eval::{self, EvalError, Value};
use dlang::program::Expr;
use dlang::types::{Int, Type};
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::aggregate::{Bucket, Keyed, Result as Aggregated, Table};
use super::convert::Dates;
use super::decode::Record;
use super::event::{Data, Drops, Output};
use super::fault::Fault;
use super::names::{Namer, named};
use super::options::OutputOptions;
use super::stats::ConsumerStats;

/// The number of the schema: it grows when a field changes its meaning or goes, not when one is added.
const SCHEMA: u32 = 1;

/// Writes events as JSON.
#[derive(Debug)]
pub(super) struct Json {
    dates: Dates,
    wall_offset: i64,
    started: bool,
    interrupted: bool,
    /// Whether the record has shown something already.
    has_output: bool,
    /// What `printf` and `printa` print.
    message: Vec<u8>,
    text: super::text::Text,
}

impl Json {
    pub(super) fn new(options: &OutputOptions) -> Self {
        Self {
            dates: Dates::default(),
            wall_offset: options.wall_offset,
            started: false,
            interrupted: false,
            has_output: false,
            message: Vec::new(),
            text: super::text::Text::new(options),
        }
    }

    /// The first line, before all others.
    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let start = Start {
                event: "start",
                schema: SCHEMA,
                wall_offset: self.wall_offset,
            };
            put_line(out, &start);
        }
    }

    /// One element of a record's `output`.
    fn put_output(&mut self, element: &impl Serialize, out: &mut Vec<u8>) {
        if self.has_output {
            out.push(b',');
        }
        self.has_output = true;
        put(out, element);
    }
}

impl Output for Json {
    fn before_records(&mut self, out: &mut Vec<u8>) {
        self.start(out);
    }

    fn begin_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.has_output = false;
        let ecb = record.ecb;
        let head = Head {
            event: "probe",
            timestamp: record.time(),
            cpu: record.cpu,
            pid: record.process(),
            tid: record.thread(),
            clause: ecb.clause,
            probe: Probe::of(record),
        };
        put(out, &head);
        // The object is closed at the end of the record.
        out.pop();
        out.extend_from_slice(b",\"output\":[");
    }

    fn data(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        match data {
            Data::Trace { value, ty } => {
                let typed = Typed::of(value, ty);
                let action = "trace";
                self.put_output(&Traced { action, of: typed }, out);
            }
            Data::Tracemem(memory) => {
                let action = "tracemem";
                let bytes = Hex(memory);
                self.put_output(
                    &Traced {
                        action,
                        of: Memory { bytes },
                    },
                    out,
                );
            }
            Data::Printf { plan, args } => {
                self.message.clear();
                plan.print(record, &mut self.dates, &mut self.message)?;
                let message = std::mem::take(&mut self.message);
                let printf = Printf {
                    action: "printf",
                    message: Text(&message),
                    bytes: Hex::of(&message),
                    values: Values(args, record, plan.names()),
                };
                self.put_output(&printf, out);
                self.message = message;
            }
            Data::Printa { plan, table } => {
                let mut message = std::mem::take(&mut self.message);
                message.clear();
                if plan.is_some() {
                    self.text.data(record, data, &mut message)?;
                }
                let printa = Printa {
                    action: "printa",
                    message: plan.map(|_| Text(&message)),
                    aggregations: Aggregations(table),
                };
                self.put_output(&printa, out);
                self.message = message;
            }
        }
        Ok(())
    }

    fn end_record(&mut self, _record: &Record<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}\n");
    }

    fn fault(&mut self, fault: &Fault<'_>, out: &mut Vec<u8>) {
        self.start(out);
        let message = fault.message();
        let line = FaultLine {
            event: "fault",
            fault: fault.record.words(),
            address: fault.record.shown_address(),
            pc: fault.record.pc,
            clause: fault.ecb.map(|ecb| ecb.clause),
            probe: fault.ecb.map(|ecb| Probe::new(&ecb.probe)),
            message: &message,
        };
        put_line(out, &line);
    }

    fn set_options(&mut self, options: &OutputOptions) {
        self.text.set_options(options);
    }

    fn drops(&mut self, drops: &Drops, out: &mut Vec<u8>) {
        self.start(out);
        let message = drops.message(false);
        let line = DropLine {
            event: "drop",
            tag: drops.tag,
            count: drops.count,
            cpu: drops.cpu,
            message: &message,
        };
        put_line(out, &line);
    }

    fn interrupted(&mut self, _out: &mut Vec<u8>) {
        self.interrupted = true;
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
    }

    fn unprinted(&mut self, table: &Table<'_>, out: &mut Vec<u8>) {
        let line = Unprinted {
            event: "aggregations",
            aggregations: Aggregations(table),
        };
        put_line(out, &line);
    }

    fn end(&mut self, stats: ConsumerStats, out: &mut Vec<u8>) {
        let line = End {
            event: "end",
            interrupted: self.interrupted,
            records: stats.records,
            faults: stats.faults,
            corrupt: stats.corrupt,
        };
        put_line(out, &line);
    }
}

fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("all keys are strings, and a vector takes all bytes");
}

fn put_line(out: &mut Vec<u8>, value: &impl Serialize) {
    put(out, value);
    out.push(b'\n');
}

#[derive(Serialize)]
struct Start {
    event: &'static str,
    schema: u32,
    #[serde(rename = "wall-offset")]
    wall_offset: i64,
}

#[derive(Serialize)]
struct Head<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    cpu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    clause: usize,
    #[serde(flatten)]
    probe: Probe<'a>,
}

#[derive(Serialize)]
struct Probe<'a> {
    id: u32,
    provider: &'a str,
    module: &'a str,
    function: &'a str,
    name: &'a str,
}

impl<'a> Probe<'a> {
    fn of(record: &Record<'a>) -> Self {
        Self::new(&record.ecb.probe)
    }

    fn new(probe: &'a provider::probe::Probe) -> Self {
        Self {
            id: probe.id.0,
            provider: &probe.desc.provider,
            module: &probe.desc.module,
            function: &probe.desc.function,
            name: &probe.desc.name,
        }
    }
}

#[derive(Serialize)]
struct Traced<T> {
    action: &'static str,
    #[serde(flatten)]
    of: T,
}

#[derive(Serialize)]
struct Memory<'a> {
    bytes: Hex<'a>,
}

#[derive(Serialize)]
struct Printf<'a> {
    action: &'static str,
    message: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Hex<'a>>,
    values: Values<'a>,
}

#[derive(Serialize)]
struct Printa<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text<'a>>,
    aggregations: Aggregations<'a>,
}

#[derive(Serialize)]
struct Unprinted<'a> {
    event: &'static str,
    aggregations: Aggregations<'a>,
}

#[derive(Serialize)]
struct FaultLine<'a> {
    event: &'static str,
    fault: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<u64>,
    pc: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<usize>,
    #[serde(flatten)]
    probe: Option<Probe<'a>>,
    message: &'a str,
}

#[derive(Serialize)]
struct DropLine<'a> {
    event: &'static str,
    tag: &'static str,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<usize>,
    message: &'a str,
}

#[derive(Serialize)]
struct End {
    event: &'static str,
    interrupted: bool,
    records: u64,
    faults: u64,
    corrupt: u64,
}

/// A value with its type.
#[derive(Serialize)]
struct Typed<'a> {
    value: Shown<'a>,
    #[serde(rename = "type")]
    ty: Displayed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Hex<'a>>,
}

impl<'a> Typed<'a> {
    fn of(value: &'a Value<'a>, ty: &'a Type) -> Self {
        let (value, bytes) = match value {
            Value::Int(n) => {
                let int = ty.as_int().unwrap_or(Int::I64);
                let n = int.wrap(*n);
                let shown = if int.signed {
                    Shown::Signed(n)
                } else {
                    Shown::Unsigned(n.cast_unsigned())
                };
                (shown, None)
            }
            Value::Str(bytes) => match ty {
                // Memory, of which no text can be made.
                Type::Struct(_) => (Shown::Nothing, Some(Hex(bytes))),
                Type::Stack => (Shown::Frames(Frames(bytes)), None),
                Type::Void
                | Type::Int(_)
                | Type::String
                | Type::Pointer(..)
                | Type::Array(..)
                | Type::Symbol(_) => {
                    let text = super::convert::until_nul(bytes);
                    (Shown::Text(Text(text)), Hex::of(bytes))
                }
            },
        };
        let ty = Displayed(ty);
        Self { value, ty, bytes }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Signed(i64),
    Unsigned(u64),
    Text(Text<'a>),
    Frames(Frames<'a>),
    Nothing,
}

/// The frames of a stack, each a string.
struct Frames<'a>(&'a [u8]);

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lines = self.0.split(|byte| *byte == b'\n');
        serializer.collect_seq(lines.filter(|line| !line.is_empty()).map(Text))
    }
}

/// The values of a `printf`, computed from its record.
struct Values<'a>(&'a [Expr], &'a Record<'a>, &'a Namer);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = serializer.serialize_seq(None)?;
        for arg in self.0 {
            // The message has been made of the same: what cannot be computed does not come here.
            if let Ok(value) = eval::eval(arg, self.1) {
                let value = named(value, &arg.ty, self.1, self.2);
                values.serialize_element(&Typed::of(&value, &arg.ty))?;
            }
        }
        values.end()
    }
}

/// The aggregations of a table, each with its data.
struct Aggregations<'a>(&'a Table<'a>);

impl Serialize for Aggregations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.aggregations().map(|(index, layout)| Aggregation {
            name: &layout.name,
            function: layout.func.name(),
            data: Entries(self.0, index),
        }))
    }
}

#[derive(Serialize)]
struct Aggregation<'a> {
    #[serde(rename = "aggregation-name")]
    name: &'a str,
    function: &'static str,
    #[serde(rename = "aggregation-data")]
    data: Entries<'a>,
}

struct Entries<'a>(&'a Table<'a>, usize);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.entries(self.1);
        serializer.collect_seq(entries.map(|keyed| {
            let Keyed { key, result } = keyed;
            let (value, buckets) = match result {
                Aggregated::Number(number) => (Some(number), None),
                Aggregated::Buckets(buckets) => (None, Some(buckets)),
            };
            let keys = Keys(key);
            Entry {
                keys,
                value,
                buckets: buckets.map(Buckets),
            }
        }))
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    keys: Keys<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<Buckets>,
}

struct Keys<'a>(Vec<(Value<'a>, &'a Type)>);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(value, ty)| Typed::of(value, ty)))
    }
}

struct Buckets(Vec<Bucket>);

impl Serialize for Buckets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct One {
            low: Option<i64>,
            high: Option<i64>,
            count: i64,
        }
        serializer.collect_seq(self.0.iter().map(|bucket| One {
            low: bucket.low,
            high: bucket.high,
            count: bucket.count,
        }))
    }
}

/// Text whose bytes that are no UTF-8 show as `\xff`.
struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_str(self),
        }
    }
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl<'a> Hex<'a> {
    /// For bytes that text does not show exactly.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(bytes).err().map(|_| Self(bytes))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

struct Displayed<'a>(&'a Type);

impl Serialize for Displayed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}
