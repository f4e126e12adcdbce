//! The default output: the header, the columns before a record's data, and `trace()` fields.
//!
//! Formats as in libdtrace's `dt_consume`: `"%3d %6d %32s "` before a record, numbers in columns
//! that fit their type, strings in 33 columns, and a hex dump for bytes that are no text.

use dlang::eval::Value;
use dlang::types::{Int, Type};

use super::convert::{self, Style};
use super::names::{put_name, put_stack};
use crate::record::Ecb;

/// What stands over the columns of [`put_prefix`].
pub(super) const HEADER: &[u8] = b"CPU     ID                    FUNCTION:NAME\n";

/// CPU, probe id and `function:name`.
pub(super) fn put_prefix(out: &mut Vec<u8>, cpu: u32, ecb: &Ecb) {
    let desc = &ecb.probe.desc;
    put_column(out, i64::from(cpu), 3);
    out.push(b' ');
    put_column(out, i64::from(ecb.probe.id.0), 6);
    out.push(b' ');
    let width = desc.function.len() + 1 + desc.name.len();
    out.resize(out.len() + 32_usize.saturating_sub(width), b' ');
    out.extend_from_slice(desc.function.as_bytes());
    out.push(b':');
    out.extend_from_slice(desc.name.as_bytes());
    out.push(b' ');
}

/// `n` right-aligned in `width` columns.
pub(super) fn put_column(out: &mut Vec<u8>, n: i64, width: usize) {
    convert::put_signed(
        out,
        n,
        Style {
            width,
            ..Style::default()
        },
    );
}

/// How byte strings show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strings {
    /// Bytes that a string variable takes: a string that is no text is dumped with all of them.
    pub(super) size: usize,
    /// Columns of a string that is text.
    pub(super) width: usize,
    /// Dump them all (`-x rawbytes`).
    pub(super) raw: bool,
    /// Columns before a frame of a stack.
    pub(super) indent: usize,
}

/// A field of `trace(e)`, by the type of `e`; `quiet` leaves out the padding.
pub(super) fn put_trace(
    out: &mut Vec<u8>,
    value: &Value<'_>,
    ty: &Type,
    strings: Strings,
    quiet: bool,
) {
    match value {
        Value::Str(text) if *ty == Type::Stack => {
            put_stack(out, &String::from_utf8_lossy(text), strings.indent);
        }
        Value::Str(text) if matches!(ty, Type::Symbol(_)) => {
            put_name(out, &String::from_utf8_lossy(text));
        }
        Value::Int(n) => {
            let int = ty.as_int().unwrap_or(Int::I64);
            let width = match (quiet, int.size, int.signed) {
                (true, ..) => 0,
                (_, 1, _) => 3,
                (_, 2, _) => 5,
                (_, 4, _) => 10,
                (_, _, true) => 19,
                (_, _, false) => 20,
            };
            if !quiet {
                out.push(b' ');
            }
            let style = Style {
                width,
                ..Style::default()
            };
            let n = int.wrap(*n);
            if int.signed {
                convert::put_signed(out, n, style);
            } else {
                convert::put_unsigned(out, n.cast_unsigned(), style);
            }
        }
        Value::Str(s) => {
            let size = if *ty == Type::String {
                strings.size
            } else {
                s.len()
            };
            put_string(out, s, Strings { size, ..strings }, quiet);
        }
    }
}

/// A string in its column, or the dump of what is not text.
pub(super) fn put_string(out: &mut Vec<u8>, s: &[u8], strings: Strings, quiet: bool) {
    let text = convert::until_nul(s);
    let tail_is_empty = s[text.len()..].iter().all(|byte| *byte == 0);
    if strings.raw || !tail_is_empty || !is_text(text) {
        put_dump(out, s, strings.size);
    } else if quiet {
        out.extend_from_slice(text);
    } else {
        out.extend_from_slice(b"  ");
        out.extend_from_slice(text);
        out.resize(out.len() + strings.width.saturating_sub(text.len()), b' ');
    }
}

/// Whether a string shows as it is: printable ASCII, white space, bell and backspace. All else is
/// dumped, as libdtrace does; `printf("%s")` shows any bytes.
fn is_text(s: &[u8]) -> bool {
    s.iter().all(|b| matches!(b, 7..=13 | b' '..=b'~'))
}

/// Sixteen bytes a line, in hexadecimal and as ASCII, `s` filled up with zeros to `size`.
pub(super) fn put_dump(out: &mut Vec<u8>, s: &[u8], size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\n            ");
    for digit in DIGITS {
        out.extend_from_slice(&[b' ', *digit, b' ']);
    }
    out.extend_from_slice(b" 0123456789abcdef\n");
    let size = size.max(s.len());
    for start in (0..size).step_by(16) {
        out.extend_from_slice(format!("{start:10x}:").as_bytes());
        let at = |i: usize| (i < size).then(|| s.get(i).copied().unwrap_or(0));
        for i in start..start + 16 {
            match at(i) {
                Some(byte) => {
                    let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                    out.extend_from_slice(&[b' ', DIGITS[high], DIGITS[low]]);
                }
                None => out.extend_from_slice(b"   "),
            }
        }
        out.extend_from_slice(b"  ");
        for byte in (start..start + 16).filter_map(at) {
            out.push(if matches!(byte, b' '..=b'~') {
                byte
            } else {
                b'.'
            });
        }
        out.push(b'\n');
    }
}
