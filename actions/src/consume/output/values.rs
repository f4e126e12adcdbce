//! JSON of values: what actions show, aggregations, probes; for each output that is JSON.

use std::fmt;

use dlang::eval::{self, EvalError, Value};
use dlang::program::Expr;
use dlang::types::{Int, Type};
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::super::aggregate::{Bucket, Keyed, Result as Aggregated, Table};
use super::super::convert::{self, Dates};
use super::super::decode::Record;
use super::super::event::{Data, Object, Output as _};
use super::super::names::{Namer, named};
use super::super::object::{Content, Node, Rest};
use super::super::options::OutputOptions;
use super::text::Text as PlainText;

/// Makes the JSON of what actions show.
#[derive(Debug)]
pub(super) struct Elements {
    dates: Dates,
    /// What `printf` and `printa` print.
    message: Vec<u8>,
    text: PlainText,
}

impl Elements {
    pub(super) fn new(options: &OutputOptions) -> Self {
        Self {
            dates: Dates::default(),
            message: Vec::new(),
            text: PlainText::new(options),
        }
    }

    pub(super) fn set_options(&mut self, options: &OutputOptions) {
        self.text.set_options(options);
    }

    /// One object: what an action of the record shows.
    pub(super) fn put(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        match data {
            Data::Trace { value, ty } => {
                let of = Typed::of(value, ty);
                let action = "trace";
                put(out, &Traced { action, of });
            }
            Data::Tracemem(memory) => {
                let of = Memory { bytes: Hex(memory) };
                let action = "tracemem";
                put(out, &Traced { action, of });
            }
            Data::Print(object) => {
                let action = "print";
                put(
                    out,
                    &Traced {
                        action,
                        of: Printed::of(object),
                    },
                );
            }
            Data::Printf { plan, args } => {
                self.message.clear();
                plan.print(record, &mut self.dates, &mut self.message)?;
                let printf = Printf {
                    action: "printf",
                    message: Text(&self.message),
                    bytes: Hex::of(&self.message),
                    values: Values(args, record, plan.names()),
                };
                put(out, &printf);
            }
            Data::Printa { plan, table } => {
                self.message.clear();
                if plan.is_some() {
                    self.text.data(record, data, &mut self.message)?;
                }
                let printa = Printa {
                    action: "printa",
                    message: plan.map(|_| Text(&self.message)),
                    aggregations: Aggregations(table),
                };
                put(out, &printa);
            }
        }
        Ok(())
    }
}

/// Adds a value's JSON.
pub(super) fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("all keys are strings, and a vector takes all bytes");
}

/// The same, as a line.
pub(super) fn put_line(out: &mut Vec<u8>, value: &impl Serialize) {
    put(out, value);
    out.push(b'\n');
}

/// A probe's names and id.
#[derive(Serialize)]
pub(super) struct Probe<'a> {
    id: u32,
    provider: &'a str,
    module: &'a str,
    function: &'a str,
    name: &'a str,
}

impl<'a> Probe<'a> {
    pub(super) fn of(record: &Record<'a>) -> Self {
        Self::new(&record.ecb.probe)
    }

    pub(super) fn new(probe: &'a provider::probe::Probe) -> Self {
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

/// An object at an address, each part with its type.
#[derive(Serialize)]
struct Printed<'a> {
    address: u64,
    #[serde(flatten)]
    object: Part<'a>,
}

impl<'a> Printed<'a> {
    fn of(object: Object<'a>) -> Self {
        Self {
            address: object.address,
            object: Part::of(object.node()),
        }
    }
}

/// A part of an object: a value with its type, or members or elements.
#[derive(Serialize)]
struct Part<'a> {
    #[serde(rename = "type")]
    ty: Displayed<'a>,
    #[serde(flatten)]
    content: Parts<'a>,
    #[serde(rename = "cut-off", skip_serializing_if = "is_false")]
    cut_off: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Parts<'a> {
    Value(Shown<'a>),
    Members(Members<'a>),
    Elements(Vec<Part<'a>>),
}

/// The members that are not 0, in their order.
struct Members<'a>(Vec<(&'a str, Part<'a>)>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, part)| (name, part)))
    }
}

impl<'a> Part<'a> {
    fn of(node: Node<'a>) -> Self {
        let mut cut_off = false;
        let content = match node.content {
            Content::Number(n, int) if int.signed => Parts::Value(Shown::Signed(n)),
            Content::Number(n, _) => Parts::Value(Shown::Unsigned(n.cast_unsigned())),
            Content::Char(byte) => Parts::Value(Shown::Signed(i64::from(byte.cast_signed()))),
            Content::Name(name) => Parts::Value(Shown::Text(Text(name.as_bytes()))),
            Content::Float(value) => Parts::Value(Shown::Float(value)),
            Content::Pointer(address) => Parts::Value(Shown::Unsigned(address)),
            Content::Nothing => Parts::Value(Shown::Nothing),
            Content::Members(members, rest) => {
                cut_off = rest == Rest::CutOff;
                let parts = members.into_iter();
                Parts::Members(Members(
                    parts.map(|(name, node)| (name, Self::of(node))).collect(),
                ))
            }
            Content::Elements(elements, rest) => {
                cut_off = rest == Rest::CutOff;
                Parts::Elements(elements.into_iter().map(Self::of).collect())
            }
        };
        Self {
            ty: Displayed(node.ty),
            content,
            cut_off,
        }
    }
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

/// A value with its type.
#[derive(Serialize)]
pub(super) struct Typed<'a> {
    value: Shown<'a>,
    #[serde(rename = "type")]
    ty: Displayed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Hex<'a>>,
}

impl<'a> Typed<'a> {
    pub(super) fn of(value: &'a Value<'a>, ty: &'a Type) -> Self {
        let (value, bytes) = match value {
            Value::Int(n) if matches!(ty, Type::Float(_)) => {
                let int = ty.as_int().unwrap_or(Int::U64);
                (Shown::Float(convert::float(*n, int)), None)
            }
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
                Type::Struct(_) | Type::Array(..) => (Shown::Nothing, Some(Hex(bytes))),
                Type::Stack => (Shown::Frames(Frames(bytes)), None),
                Type::Void
                | Type::Int(_)
                | Type::Float(_)
                | Type::String
                | Type::Pointer(..)
                | Type::Symbol(_)
                | Type::Named(_) => {
                    let text = convert::until_nul(bytes);
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
    Float(f64),
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
pub(super) struct Aggregations<'a>(pub(super) &'a Table<'a>);

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
pub(super) struct Text<'a>(pub(super) &'a [u8]);

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
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

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
