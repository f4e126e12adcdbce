//! A Python object as `repr` shows it, as far as it was read.
//!
//! What was left out shows as `...`: behind a text that was cut, in a container that has more than was
//! read or lies too deep. An object whose class a program has made shows by the built-in class that it
//! is made from, behind its own class's name: `OrderedDict({'a': 1})`. Whatever else there is shows as
//! `<type at 0x...>`.

use std::fmt::Write as _;

use predicates::python::kinds;

use super::nodes::{Node, Nodes};

/// The text of an object that a record has.
pub(in crate::consume) fn repr(bytes: &[u8]) -> String {
    let nodes = Nodes::read(bytes);
    let mut out = String::new();
    put(&mut out, &nodes, 0);
    out
}

/// Appends the object of a number.
fn put(out: &mut String, nodes: &Nodes<'_>, index: usize) {
    let Some(node) = nodes.get(index) else {
        out.push_str("...");
        return;
    };
    let name = readable(node.type_name);
    let short = name.rsplit('.').next().unwrap_or_default();
    match node.kind {
        kinds::NULL => {}
        kinds::UNREADABLE => put_unreadable(out, node),
        kinds::INT if short == "bool" => {
            out.push_str(if node.data.iter().any(|byte| *byte != 0) {
                "True"
            } else {
                "False"
            });
        }
        kinds::TYPE => {
            let class = node.data.strip_suffix(b"\0").unwrap_or(node.data);
            let _ = write!(out, "<class '{}'>", readable(class));
        }
        kinds::OTHER => put_other(out, node, &name),
        kinds::EXCEPTION => put_exception(out, nodes, index, short),
        _built_in => {
            let own = is_own_class(node, short);
            if own {
                let _ = write!(out, "{short}(");
            }
            put_built_in(out, nodes, index, node);
            if own {
                out.push(')');
            }
        }
    }
}

/// The name of a type. The traced program may have anything there; none of it gets at a terminal.
fn readable(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let shown = |c| c == ' ' || is_printable(c);
    let chars = name.chars();
    chars
        .map(|c| {
            if shown(c) {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect()
}

/// Whether an object's class is another than the built-in one that its kind says.
fn is_own_class(node: &Node<'_>, short: &str) -> bool {
    let built_in = match node.kind {
        kinds::INT => "int",
        kinds::BYTES => "bytes",
        kinds::TUPLE => "tuple",
        kinds::LIST => "list",
        kinds::DICT => "dict",
        kinds::SET => "set",
        _str => "str",
    };
    // A frozenset has its own way to say so.
    let named = !short.is_empty() && short != built_in;
    node.heap || named && !(node.kind == kinds::SET && short == "frozenset")
}

fn put_built_in(out: &mut String, nodes: &Nodes<'_>, index: usize, node: &Node<'_>) {
    let missing = missing(nodes, index, node);
    match node.kind {
        kinds::INT => put_int(out, node),
        kinds::BYTES => put_bytes(out, node),
        kinds::TUPLE => {
            // One item has a comma behind it.
            let end = if node.value == 1 { ",)" } else { ")" };
            put_items(out, nodes, index, missing, ["(", end]);
        }
        kinds::LIST => put_items(out, nodes, index, missing, ["[", "]"]),
        kinds::DICT => put_dict(out, nodes, index, missing),
        kinds::SET => {
            let frozen = node.type_name == b"frozenset";
            match (node.value, frozen) {
                (0, true) => out.push_str("frozenset()"),
                (0, false) => out.push_str("set()"),
                (_, true) => put_items(out, nodes, index, missing, ["frozenset({", "})"]),
                (_, false) => put_items(out, nodes, index, missing, ["{", "}"]),
            }
        }
        kind => put_text(out, node, usize::from(kind & !kinds::STR)),
    }
}

/// Whether a container has more than was read.
fn missing(nodes: &Nodes<'_>, index: usize, node: &Node<'_>) -> bool {
    let read = nodes.parts(index).len() as u64;
    let read = if node.kind == kinds::DICT {
        read / 2
    } else {
        read
    };
    node.value > read
}

fn put_unreadable(out: &mut String, node: &Node<'_>) {
    let _ = write!(out, "<unreadable at {:#x}>", node.address);
}

fn put_items(
    out: &mut String,
    nodes: &Nodes<'_>,
    index: usize,
    missing: bool,
    [start, end]: [&str; 2],
) {
    out.push_str(start);
    let mut between = "";
    for part in nodes.parts(index) {
        out.push_str(between);
        put(out, nodes, part);
        between = ", ";
    }
    if missing {
        out.push_str(between);
        out.push_str("...");
    }
    out.push_str(end);
}

fn put_dict(out: &mut String, nodes: &Nodes<'_>, index: usize, missing: bool) {
    out.push('{');
    let mut between = "";
    let mut parts = nodes.parts(index);
    while let Some(key) = parts.next() {
        out.push_str(between);
        put(out, nodes, key);
        out.push_str(": ");
        match parts.next() {
            Some(value) => put(out, nodes, value),
            None => out.push_str("..."),
        }
        between = ", ";
    }
    if missing {
        out.push_str(between);
        out.push_str("...");
    }
    out.push('}');
}

fn put_exception(out: &mut String, nodes: &Nodes<'_>, index: usize, name: &str) {
    out.push_str(name);
    let Some(arguments) = nodes.parts(index).next() else {
        out.push_str("(...)");
        return;
    };
    match nodes.get(arguments) {
        Some(tuple) if tuple.kind == kinds::TUPLE => {
            let missing = missing(nodes, arguments, tuple);
            put_items(out, nodes, arguments, missing, ["(", ")"]);
        }
        Some(_) | None => out.push_str("(...)"),
    }
}

fn put_other(out: &mut String, node: &Node<'_>, name: &str) {
    match (node.heap, name) {
        (false, "NoneType") => out.push_str("None"),
        (false, "ellipsis") => out.push_str("Ellipsis"),
        (false, "NotImplementedType") => out.push_str("NotImplemented"),
        (false, "float") => out.push_str(&float(f64::from_bits(node.value))),
        _any => {
            let name = if name.is_empty() { "object" } else { name };
            let _ = write!(out, "<{name} at {:#x}>", node.address);
        }
    }
}

/// The digits are 30 bits each, the lowest first.
fn put_int(out: &mut String, node: &Node<'_>) {
    let digits = node.data.as_chunks::<4>().0;
    let mut value = 0_u128;
    let mut overflows = false;
    for (number, digit) in (0..).zip(digits) {
        let digit = u128::from(u32::from_ne_bytes(*digit));
        let shifted = digit.checked_shl(30 * number).unwrap_or_default();
        overflows |= shifted >> (30 * number).min(127) != digit;
        value |= shifted;
    }
    if node.negative {
        out.push('-');
    }
    if overflows || node.value > digits.len() as u64 {
        out.push_str("<int of more than 128 bits>");
    } else {
        let _ = write!(out, "{value}");
    }
}

/// A float as Python writes it: the shortest text that is the same float.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    // `d.ddde-5`: Rust's digits are the shortest, too.
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn put_bytes(out: &mut String, node: &Node<'_>) {
    let quote = quote(node.data.contains(&b'\''), node.data.contains(&b'"'));
    out.push('b');
    out.push(quote);
    for &byte in node.data {
        if byte.is_ascii() {
            put_char(out, char::from(byte), quote, false);
        } else {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push(quote);
    if node.value > node.data.len() as u64 {
        out.push_str("...");
    }
}

/// The text of a `str` with `width` bytes to a character.
fn put_text(out: &mut String, node: &Node<'_>, width: usize) {
    let units: Vec<u32> = match width {
        2 => {
            let pairs = node.data.as_chunks::<2>().0.iter();
            pairs.map(|pair| u16::from_ne_bytes(*pair).into()).collect()
        }
        4 => {
            let words = node.data.as_chunks::<4>().0.iter();
            words.map(|word| u32::from_ne_bytes(*word)).collect()
        }
        _one => node.data.iter().map(|byte| u32::from(*byte)).collect(),
    };
    let has = |c: char| units.contains(&u32::from(c));
    let quote = quote(has('\''), has('"'));
    out.push(quote);
    for unit in &units {
        match char::from_u32(*unit) {
            Some(c) => put_char(out, c, quote, true),
            None => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push(quote);
    if node.value > units.len() as u64 {
        out.push_str("...");
    }
}

/// Python prefers single quotes.
fn quote(has_single: bool, has_double: bool) -> char {
    if has_single && !has_double { '"' } else { '\'' }
}

fn put_char(out: &mut String, c: char, quote: char, wide: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if c == quote => {
            out.push('\\');
            out.push(c);
        }
        ' '..='~' => out.push(c),
        _ if wide && is_printable(c) => out.push(c),
        _ => {
            let code = u32::from(c);
            let _ = match code {
                ..=0xff => write!(out, "\\x{code:02x}"),
                0x100..=0xffff => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// Whether `str.isprintable` says so, as far as the standard library knows: all but control characters,
/// spaces other than the plain one, what formats text, and what is for private use.
fn is_printable(c: char) -> bool {
    let hidden = matches!(
        u32::from(c),
        0xad
            | 0x600..=0x605
            | 0x61c
            | 0x6dd
            | 0x70f
            | 0x180e
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0xe000..=0xf8ff
            | 0xfeff
            | 0xfff0..=0xfffb
            | 0xfffe..=0xffff
            | 0xe0000..=0x10_ffff
    );
    !(hidden || c.is_control() || c.is_whitespace())
}
