//! Integer, character and string constants.

use crate::ast::IntSign;
use crate::tags::Tag;

/// An integer constant's value and what its text says about its type.
pub(super) struct IntLiteral {
    pub(super) value: u64,
    pub(super) sign: IntSign,
    pub(super) long: bool,
}

/// Reads `123`, `0x7b`, `0173`, with the suffixes `u`, `l` and `ll`.
pub(super) fn integer(text: &str) -> Result<IntLiteral, (Tag, String)> {
    let lower = text.to_ascii_lowercase();
    let hex = lower.strip_prefix("0x");
    if lower.contains('.') || (hex.is_none() && is_exponent(&lower)) {
        return Err((
            Tag::Syntax,
            "floating-point constants are not permitted".into(),
        ));
    }
    let (digits, radix) = match (hex, lower.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if digits.starts_with(|c: char| c.is_ascii_digit()) => (digits, 8),
        _ => (lower.as_str(), 10),
    };
    let is_digit = |c: char| c.is_ascii_digit() || (radix == 16 && c.is_ascii_hexdigit());
    let end = digits.find(|c| !is_digit(c)).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(end);
    let (unsigned, long) = match suffix {
        "" => (false, false),
        "u" => (true, false),
        "l" | "ll" => (false, true),
        "ul" | "ull" => (true, true),
        _ => return Err((Tag::Syntax, format!("syntax error near \"{suffix}\""))),
    };
    if digits.is_empty() {
        return Err((Tag::Syntax, format!("syntax error near \"{text}\"")));
    }
    if let Some(bad) = digits.chars().find(|c| !c.is_digit(radix)) {
        return Err((
            Tag::IntDigit,
            format!("constant {text} contains invalid digit {bad}"),
        ));
    }
    let value = u64::from_str_radix(digits, radix).map_err(|_overflow| {
        (
            Tag::IntOflow,
            format!("constant {text} results in integer overflow"),
        )
    })?;
    let sign = match (unsigned, radix) {
        (true, _) => IntSign::Unsigned,
        (false, 10) => IntSign::Signed,
        (false, _) => IntSign::Either,
    };
    Ok(IntLiteral { value, sign, long })
}

/// The integer constant that a word begins with, as `strtoll` reads it.
pub(super) fn leading_number(word: &str) -> &str {
    let radix = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => 16,
        [b'0', ..] => 8,
        _ => 10,
    };
    let from = if radix == 16 { 2 } else { 0 };
    let behind = word[from..].find(|c: char| !c.is_digit(radix));
    match behind.map_or(word.len(), |digits| from + digits) {
        2 if radix == 16 => "0",
        end => &word[..end],
    }
}

fn is_exponent(lower: &str) -> bool {
    let digits = lower.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.strip_prefix('e').is_some_and(|exponent| {
        !exponent.is_empty() && exponent.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The value of `'a'`; several characters fill the `int` from the left, as in C compilers, and more
/// than four a larger integer.
pub(super) fn character(text: &str) -> Result<i64, (Tag, String)> {
    let bytes = unescape(inside(text));
    match bytes.as_slice() {
        [] => Err((Tag::ChrNull, "empty character constant".into())),
        [one] => Ok(i64::from(*one)),
        several if several.len() <= 4 => {
            let value = several
                .iter()
                .fold(0, |value, &byte| value << 8 | i32::from(byte));
            Ok(value.into())
        }
        several if several.len() <= 8 => Ok(several
            .iter()
            .fold(0, |value, &byte| value << 8 | i64::from(byte))),
        _ => Err((Tag::ChrOflow, "character constant is too long".into())),
    }
}

/// The text of `"..."`, up to a NUL if it has one.
pub(super) fn string(text: &str) -> Vec<u8> {
    text_of(inside(text))
}

/// What a string constant means that has this text between its quotes, up to a NUL if it has one.
pub(super) fn text_of(text: &str) -> Vec<u8> {
    let mut bytes = unescape(text);
    if let Some(nul) = bytes.iter().position(|&b| b == 0) {
        bytes.truncate(nul);
    }
    bytes
}

fn inside(quoted: &str) -> &str {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or("")
}

/// The bytes of a constant between its quotes.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let [escape, tail @ ..] = rest else { break };
        rest = tail;
        match escape {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut value = escape - b'0';
                for _ in 0..2 {
                    if let [digit @ b'0'..=b'7', tail @ ..] = rest {
                        value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                        rest = tail;
                    }
                }
                out.push(value);
            }
            b'x' => {
                let mut value = 0u8;
                while let [digit, tail @ ..] = rest {
                    let Some(digit) = char::from(*digit).to_digit(16) else {
                        break;
                    };
                    value = value.wrapping_mul(16).wrapping_add(digit.to_le_bytes()[0]);
                    rest = tail;
                }
                out.push(value);
            }
            b'\\' => out.push(b'\\'),
            b'"' => out.push(b'"'),
            // As in libdtrace, what is no escape keeps its backslash: `\'`, too.
            other => out.extend([b'\\', *other]),
        }
    }
    out
}
