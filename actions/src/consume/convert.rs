//! One conversion: a value to bytes by a letter, flags, width and precision.
//!
//! The rules are C's `printf` as libdtrace's `dt_printf` drives it: the argument's type gives size
//! and sign (`%x` of `(short)-1` is `ffff`, `%d` of an unsigned type has no sign), `0` beats `-`,
//! and a precision of 0 is none. Thousands are never grouped, as in the C locale.

use dlang::eval::Value;
use dlang::format::{Flags, Spec};
use dlang::types::Int;

use super::{names, sys};

/// The widest that a field is padded to: a width is a run-time number, and a wrong one must not
/// take all memory.
const MAX_WIDTH: usize = 1 << 20;

/// Flags, width and precision of one conversion, settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    /// Columns to fill; 0 for as many as the value takes.
    pub(super) width: usize,
    /// Digits at least, or characters at most; 0 for no precision.
    pub(super) precision: usize,
    /// The flags.
    pub(super) flags: Flags,
}

impl Style {
    /// Takes a `*` width: a negative one pads on the right.
    pub(super) fn set_width(&mut self, width: i64) {
        self.flags.left |= width < 0;
        self.width = usize::try_from(width.unsigned_abs())
            .unwrap_or(MAX_WIDTH)
            .min(MAX_WIDTH);
    }

    /// Takes a `*` precision: a negative one is none.
    pub(super) fn set_precision(&mut self, precision: i64) {
        self.precision = usize::try_from(precision).unwrap_or(0).min(MAX_WIDTH);
    }
}

/// Prints `value` by `spec`; an integer shows as far as its type `int` goes.
#[inline]
pub(super) fn put(
    out: &mut Vec<u8>,
    spec: Spec,
    style: Style,
    value: &Value<'_>,
    int: Int,
    dates: &mut Dates,
) {
    match value {
        Value::Int(n) => put_int(out, spec, style, *n, int, dates),
        Value::Str(s) if spec == Spec::Escaped => put_escaped(out, s, true, style),
        Value::Str(s) => put_text(out, until_nul(s), style),
    }
}

/// `s` up to its first NUL.
#[inline]
pub(super) fn until_nul(s: &[u8]) -> &[u8] {
    // `contains` looks at many bytes at a time, and there is hardly ever one.
    if !s.contains(&0) {
        return s;
    }
    let end = s.iter().position(|byte| *byte == 0);
    end.map_or(s, |end| &s[..end])
}

fn put_int(out: &mut Vec<u8>, spec: Spec, style: Style, n: i64, int: Int, dates: &mut Dates) {
    match spec {
        Spec::Float(letter) => put_float(out, float(n, int), letter, style),
        Spec::Decimal | Spec::Default | Spec::String if int.signed => {
            put_signed(out, int.wrap(n), style);
        }
        Spec::Decimal | Spec::Default | Spec::String | Spec::Unsigned => {
            put_unsigned(out, bits(n, int), style);
        }
        Spec::Octal => put_radix(out, bits(n, int), 3, b"0", LOWER, style),
        Spec::Hex | Spec::Pointer => put_radix(out, bits(n, int), 4, b"0x", LOWER, style),
        Spec::HexUpper => put_radix(out, bits(n, int), 4, b"0X", UPPER, style),
        // One that has no name is shown by its number.
        Spec::Address | Spec::UserAddress | Spec::Stack => {
            let flags = Flags {
                alternate: true,
                ..style.flags
            };
            put_radix(out, bits(n, int), 4, b"0x", LOWER, Style { flags, ..style });
        }
        Spec::Char => put_text(
            out,
            &[low_byte(n.cast_unsigned())],
            Style {
                precision: 0,
                ..style
            },
        ),
        Spec::Escaped | Spec::CharEscaped => {
            put_escaped(out, &[low_byte(n.cast_unsigned())], false, style);
        }
        Spec::Date => put_text(out, dates.text(n, false), style),
        Spec::LongDate => put_text(out, dates.text(n, true), style),
    }
}

/// `n` in decimal, as `%lld`.
#[inline]
pub(super) fn put_signed(out: &mut Vec<u8>, n: i64, style: Style) {
    let sign: &[u8] = match (n < 0, style.flags.plus, style.flags.space) {
        (true, ..) => b"-",
        (_, true, _) => b"+",
        (_, _, true) => b" ",
        _ => b"",
    };
    let mut digits = [0; 20];
    put_number(out, sign, decimal(n.unsigned_abs(), &mut digits), style);
}

/// `n` in decimal, as `%llu`.
#[inline]
pub(super) fn put_unsigned(out: &mut Vec<u8>, n: u64, style: Style) {
    let mut digits = [0; 20];
    put_number(out, b"", decimal(n, &mut digits), style);
}

/// The number that a `float` or `double` has these bits of.
pub(super) fn float(bits: i64, int: Int) -> f64 {
    match u32::try_from(bits) {
        Ok(bits) if int.size == 4 => f32::from_bits(bits).into(),
        _of_a_double => f64::from_bits(bits.cast_unsigned()),
    }
}

/// `value` as C's `%f`, `%e`, `%g` and their like have it.
pub(super) fn put_float(out: &mut Vec<u8>, value: f64, letter: char, style: Style) {
    let mut conversion = String::from("%");
    let flags = [
        (style.flags.alternate, '#'),
        (style.flags.zero, '0'),
        (style.flags.left, '-'),
        (style.flags.plus, '+'),
        (style.flags.space, ' '),
    ];
    conversion.extend(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, c)| c));
    conversion += "*.*";
    conversion.push(letter);
    // A precision of 0 is none.
    let precision = match style.precision {
        0 => -1,
        digits => i32::try_from(digits.min(MAX_DIGITS)).unwrap_or(-1),
    };
    let width = i32::try_from(style.width).unwrap_or(0);
    let text = sys::double(&conversion, (width, precision), value);
    out.extend_from_slice(text.as_bytes());
}

/// The most digits behind the point: no `double` has more.
const MAX_DIGITS: usize = 1100;

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn put_radix(
    out: &mut Vec<u8>,
    n: u64,
    bits: u32,
    prefix: &[u8],
    alphabet: &[u8; 16],
    style: Style,
) {
    let mut digits = [0; 22];
    let mut start = digits.len();
    let mut rest = n;
    loop {
        start -= 1;
        digits[start] = alphabet[usize::from(low_byte(rest) & ((1 << bits) - 1))];
        rest >>= bits;
        if rest == 0 {
            break;
        }
    }
    let alternate = style.flags.alternate && n != 0;
    put_number(
        out,
        if alternate { prefix } else { b"" },
        &digits[start..],
        style,
    );
}

/// `sign` and `digits`, filled up as width, precision and flags say.
#[inline]
fn put_number(out: &mut Vec<u8>, sign: &[u8], digits: &[u8], style: Style) {
    // C's octal `0` prefix is a digit: a precision that gives one already is enough.
    let octal = sign == b"0";
    let mut zeros = style
        .precision
        .saturating_sub(digits.len() + usize::from(octal));
    let used = sign.len() + digits.len() + zeros;
    let mut blanks = style.width.saturating_sub(used);
    if style.flags.zero && style.precision == 0 {
        zeros += blanks;
        blanks = 0;
    }
    let left = style.flags.left && !style.flags.zero;
    if !left {
        fill(out, b' ', blanks);
    }
    out.extend_from_slice(sign);
    fill(out, b'0', zeros);
    out.extend_from_slice(digits);
    if left {
        fill(out, b' ', blanks);
    }
}

/// `text`, cut and padded.
#[inline]
pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8], style: Style) {
    let text = match style.precision {
        0 => text,
        most => &text[..text.len().min(most)],
    };
    let blanks = style.width.saturating_sub(text.len());
    let left = style.flags.left && !style.flags.zero;
    if !left {
        fill(out, b' ', blanks);
    }
    out.extend_from_slice(text);
    if left {
        fill(out, b' ', blanks);
    }
}

/// `%k`: the frames of a stack, indented by the width.
pub(super) fn put_frames(out: &mut Vec<u8>, frames: &str, style: Style) {
    let indent = if style.flags.left { 0 } else { style.width };
    names::put_stack(out, frames, indent);
}

/// `%S`: C's escapes, octal for what has none. A string's NUL shows too, as in DTrace 2.0.
fn put_escaped(out: &mut Vec<u8>, s: &[u8], nul: bool, style: Style) {
    let mut escaped = Vec::with_capacity(s.len() + 2);
    for &byte in if nul { until_nul(s) } else { s } {
        let letter = match byte {
            0 => b'0',
            7 => b'a',
            8 => b'b',
            9 => b't',
            10 => b'n',
            11 => b'v',
            12 => b'f',
            13 => b'r',
            b'"' | b'\\' => byte,
            b' '..=b'~' => {
                escaped.push(byte);
                continue;
            }
            _ => {
                let octal = [
                    b'\\',
                    b'0' + (byte >> 6),
                    b'0' + (byte >> 3 & 7),
                    b'0' + (byte & 7),
                ];
                escaped.extend_from_slice(&octal);
                continue;
            }
        };
        escaped.extend_from_slice(&[b'\\', letter]);
    }
    if nul {
        escaped.extend_from_slice(b"\\0");
    }
    put_text(out, &escaped, style);
}

#[inline]
fn fill(out: &mut Vec<u8>, byte: u8, count: usize) {
    if count > 0 {
        out.resize(out.len() + count, byte);
    }
}

/// The bits of `n` that its type has.
#[inline]
fn bits(n: i64, int: Int) -> u64 {
    match int.size {
        8.. => n.cast_unsigned(),
        size => n.cast_unsigned() & ((1 << (8 * u32::from(size))) - 1),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only the low byte counts")]
fn low_byte(n: u64) -> u8 {
    n as u8
}

/// `n` in decimal, at the end of `digits`.
#[inline]
fn decimal(n: u64, digits: &mut [u8; 20]) -> &[u8] {
    const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
        2021222324252627282930313233343536373839\
        4041424344454647484950515253545556575859\
        6061626364656667686970717273747576777879\
        8081828384858687888990919293949596979899";
    let mut start = digits.len();
    let mut rest = n;
    while rest >= 100 {
        let pair = 2 * (rest % 100) as usize;
        rest /= 100;
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    let pair = 2 * usize::from(low_byte(rest));
    if rest >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        start -= 1;
        digits[start] = PAIRS[pair + 1];
    }
    &digits[start..]
}

/// `%Y` and `%T`: nanoseconds since 1970, unsigned as in libdtrace, as `2026 Nov 23 06:37:15` or
/// `Mon, 23 Nov 2026 06:37:15 UTC` in local time. Remembers the last second's text, since records come
/// many to a second.
#[derive(Debug, Default)]
pub(super) struct Dates {
    last: Option<((u64, bool), String)>,
}

impl Dates {
    fn text(&mut self, nanoseconds: i64, long: bool) -> &[u8] {
        let second = nanoseconds.cast_unsigned() / 1_000_000_000;
        let wanted = (second, long);
        if self.last.as_ref().is_none_or(|(last, _)| *last != wanted) {
            let text = if long {
                long_date(second)
            } else {
                date(second)
            };
            self.last = Some((wanted, text));
        }
        self.last.as_ref().map_or(b"", |(_, text)| text.as_bytes())
    }
}

fn long_date(second: u64) -> String {
    let text = i64::try_from(second).ok().and_then(sys::long_date);
    text.unwrap_or_else(|| second.to_string())
}

fn date(second: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let time = i64::try_from(second).ok().and_then(sys::local_time);
    let Some([year, month, day, hour, minute, second]) = time else {
        return second.to_string();
    };
    let month = usize::try_from(month)
        .ok()
        .and_then(|m| MONTHS.get(m))
        .unwrap_or(&"???");
    format!("{year} {month} {day:2} {hour:02}:{minute:02}:{second:02}")
}
