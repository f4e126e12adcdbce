//! Keys of aggregations: the tuple out of a map's key bytes, its order, and how it prints.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use dlang::eval::Value;
use dlang::types::{Int, Type};
use predicates::storage::has_process;

use super::super::convert::{self, Style};
use super::super::default::{self, Strings};
use super::super::names::{Namer, put_name, put_stack};
use crate::frames::Stack;
use crate::record::KeySelector;

/// A key as its tuple. Which map held it does not matter: the same tuple is the same key, also
/// in another aggregation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuple(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Int(i64),
    Str(Box<[u8]>),
    /// An address by its name.
    Name(Box<str>),
    /// A stack, and its frames in words.
    Stack(Arc<Stack>, Box<str>),
}

/// Reads a map's key: the selector if there is one, the integers, 8 bytes each, then the strings with
/// their NULs. Gives the epoch's slot, if there are epochs, and the tuple; `None` for a key of another
/// aggregation, or of too few bytes.
pub(super) fn decode(
    mut bytes: &[u8],
    types: &[Type],
    selector: Option<KeySelector>,
    names: &Namer,
) -> Option<(Option<u32>, Tuple)> {
    let mut slot = None;
    if let Some(selector) = selector {
        // An unkeyed aggregation's is an array's index; both are little-endian.
        let own = u32::from_le_bytes(*bytes.first_chunk()?);
        if !selector.range().contains(&own) {
            return None;
        }
        slot = selector.epoch.map(|_| own - selector.base);
        bytes = bytes.get(8..).unwrap_or_default();
    }
    let mut parts = vec![None; types.len()];
    for (part, ty) in parts.iter_mut().zip(types) {
        let Some(int) = ty.as_int() else { continue };
        let mut number = || {
            let (raw, rest) = bytes.split_first_chunk::<8>()?;
            bytes = rest;
            Some(i64::from_le_bytes(*raw))
        };
        *part = Some(match ty {
            Type::Symbol(kind) => {
                let process = if has_process(ty) {
                    u32::try_from(number()?).ok()
                } else {
                    None
                };
                let name = names.symbol(*kind, process, number()?.cast_unsigned());
                Part::Name(name.into())
            }
            Type::Stack => {
                let stack = names.stack(number()?.cast_unsigned());
                let frames = names.frames(&stack);
                Part::Stack(stack, frames.into())
            }
            Type::Void
            | Type::Int(_)
            | Type::Float(_)
            | Type::String
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Named(_) => Part::Int(int.wrap(number()?)),
        });
    }
    for part in parts.iter_mut().filter(|part| part.is_none()) {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        *part = Some(Part::Str(bytes.get(..end)?.into()));
        bytes = bytes.get(end + 1..)?;
    }
    let tuple = parts.into_iter().collect::<Option<_>>().map(Tuple)?;
    Some((slot, tuple))
}

/// Compares two tuples of `types` from position `first` on, around the end. Integers compare
/// without sign in the width of their type, as in libdtrace: -1 comes after 1.
pub(super) fn compare(a: &Tuple, b: &Tuple, types: &[Type], first: usize) -> Ordering {
    let count = a.0.len().min(b.0.len());
    let first = if first < count { first } else { 0 };
    let positions = (first..count).chain(0..first);
    positions
        .map(|i| match (&a.0[i], &b.0[i]) {
            (Part::Int(a), Part::Int(b)) => {
                let int = types.get(i).and_then(Type::as_int).unwrap_or(Int::U64);
                let unsigned = Int {
                    signed: false,
                    ..int
                };
                let bits = |n: i64| unsigned.wrap(n).cast_unsigned();
                bits(*a).cmp(&bits(*b))
            }
            (a, b) => a.cmp(b),
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Columns of each part of a key that [`Tuple::put_aligned`] prints.
const ALIGNED: usize = 16;

/// What stands over such a key.
pub(super) fn put_heading(out: &mut Vec<u8>, types: &[Type]) {
    if !types.is_empty() {
        let width = types.len() * (1 + ALIGNED);
        out.extend_from_slice(format!("{:>width$}", "key").as_bytes());
    }
}

/// The columns of an integer of a key, and what it is shown as. As libdtrace it goes by the size
/// alone: one and two bytes have no sign, four and eight have one.
fn columns(ty: &Type) -> (usize, Int) {
    match ty.as_int().unwrap_or(Int::I64).size {
        1 => (3, Int::U8),
        2 => (5, Int::U16),
        4 => (8, Int::I32),
        _ => (16, Int::I64),
    }
}

impl Tuple {
    /// Its parts.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.0.iter().map(|part| match part {
            Part::Int(n) => Value::Int(*n),
            Part::Str(s) => Value::Str(Cow::Borrowed(s)),
            Part::Name(text) | Part::Stack(_, text) => Value::Str(Cow::Borrowed(text.as_bytes())),
        })
    }

    /// Prints the tuple in the columns of the default format.
    pub(super) fn put(&self, out: &mut Vec<u8>, types: &[Type], strings: Strings) {
        for (part, ty) in self.0.iter().zip(types) {
            match part {
                Part::Int(n) => {
                    let (width, shown) = columns(ty);
                    out.push(b' ');
                    default::put_column(out, shown.wrap(*n), width);
                }
                Part::Str(s) => default::put_string(out, s, strings, false),
                Part::Name(name) => put_name(out, name),
                Part::Stack(_, frames) => put_stack(out, frames, strings.indent),
            }
        }
    }

    /// Prints the tuple in columns of one width, each right-aligned.
    pub(super) fn put_aligned(&self, out: &mut Vec<u8>, types: &[Type]) {
        for (part, ty) in self.0.iter().zip(types) {
            let number;
            let text = match part {
                Part::Int(n) => {
                    number = columns(ty).1.wrap(*n).to_string();
                    number.as_bytes()
                }
                Part::Str(s) => s,
                Part::Name(text) | Part::Stack(_, text) => text.as_bytes(),
            };
            out.push(b' ');
            let style = Style {
                width: ALIGNED,
                ..Style::default()
            };
            convert::put_text(out, text, style);
        }
    }

    /// Prints part `index` by a conversion.
    pub(super) fn convert(
        &self,
        out: &mut Vec<u8>,
        index: usize,
        types: &[Type],
        conversion: (dlang::format::Spec, Style),
        dates: &mut convert::Dates,
    ) {
        let int = types.get(index).and_then(Type::as_int).unwrap_or(Int::I64);
        let value = match self.0.get(index) {
            Some(Part::Int(n)) => Value::Int(*n),
            Some(Part::Str(s)) => Value::Str(Cow::Borrowed(s)),
            Some(Part::Name(name)) => Value::Str(Cow::Borrowed(name.as_bytes())),
            Some(Part::Stack(_, frames)) => {
                convert::put_frames(out, frames, conversion.1);
                return;
            }
            None => return,
        };
        convert::put(out, conversion.0, conversion.1, &value, int, dates);
    }
}
