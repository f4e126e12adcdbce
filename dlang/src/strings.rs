//! D's string subroutines on byte slices.
//!
//! This is their one definition: the constant folder, the output consumer and the tests of the
//! generated code all use it. A string here is its bytes without the NUL. Cutting to `strsize`
//! is the caller's ([`cut`]), since only strings that are stored are cut.
//!
//! The meanings are those of `DTrace` 2.0.7, which follows Perl in `substr` and POSIX in `basename`
//! and `dirname`; a position outside of the string finds nothing.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The most that fits a string variable: `strsize - 1` bytes, up to the first NUL.
#[must_use]
pub fn cut(s: &[u8], strsize: usize) -> &[u8] {
    let s = &s[..s.len().min(strsize.saturating_sub(1))];
    s.iter().position(|&b| b == 0).map_or(s, |nul| &s[..nul])
}

/// The last component of a path, without trailing slashes; `.` for the empty path.
#[must_use]
pub fn basename(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let path = without_trailing_slashes(path);
    if path.is_empty() {
        return b"/";
    }
    path.iter()
        .rposition(|&b| b == b'/')
        .map_or(path, |slash| &path[slash + 1..])
}

/// All but the last component of a path; `.` when there is only one, `/` for the root.
#[must_use]
pub fn dirname(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let path = without_trailing_slashes(path);
    if path.is_empty() {
        return b"/";
    }
    match path.iter().rposition(|&b| b == b'/') {
        None => b".",
        Some(slash) => match without_trailing_slashes(&path[..slash]) {
            [] => b"/",
            dir => dir,
        },
    }
}

fn without_trailing_slashes(path: &[u8]) -> &[u8] {
    let end = path
        .iter()
        .rposition(|&b| b != b'/')
        .map_or(0, |last| last + 1);
    &path[..end]
}

/// Both strings, one after the other.
#[must_use]
pub fn strjoin(a: &[u8], b: &[u8]) -> Vec<u8> {
    [a, b].concat()
}

/// `s` from the first occurrence of `sub` on; `None` (D's null string) when there is none.
#[must_use]
pub fn strstr<'a>(s: &'a [u8], sub: &[u8]) -> Option<&'a [u8]> {
    find(s, sub).map(|at| &s[at..])
}

/// `s` from the first `c` on; unlike C's, it does not find the NUL at the end.
#[must_use]
pub fn strchr(s: &[u8], c: u8) -> Option<&[u8]> {
    s.iter().position(|&b| b == c).map(|at| &s[at..])
}

/// `s` from the last `c` on; unlike C's, it does not find the NUL at the end.
#[must_use]
pub fn strrchr(s: &[u8], c: u8) -> Option<&[u8]> {
    s.iter().rposition(|&b| b == c).map(|at| &s[at..])
}

/// The part of `s` from `index` on, of `length` bytes or to the end.
///
/// A negative index counts from the end, a negative length leaves that many bytes off at the end.
/// A part that begins before the string and reaches into it is cut to the string.
#[must_use]
pub fn substr(s: &[u8], index: i64, length: Option<i64>) -> &[u8] {
    let len = to_i64(s.len());
    let mut index = index;
    let mut remaining = length.unwrap_or(i64::MAX);
    if index < 0 {
        index = index.saturating_add(len);
        if index < 0 && index.saturating_add(remaining) > 0 {
            remaining += index;
            index = 0;
        }
    }
    if index < 0 || index >= len {
        return b"";
    }
    if remaining < 0 {
        remaining += len - index;
    }
    let remaining = remaining.clamp(0, len - index);
    &s[to_usize(index)..to_usize(index + remaining)]
}

/// Where `sub` first occurs in `s` at or after `start`; -1 when it does not.
#[must_use]
pub fn index(s: &[u8], sub: &[u8], start: Option<i64>) -> i64 {
    let start = start.unwrap_or(0).max(0);
    if start > to_i64(s.len()) {
        return -1;
    }
    find(&s[to_usize(start)..], sub).map_or(-1, |at| start + to_i64(at))
}

/// Where `sub` last occurs in `s` at or before `start`; -1 when it does not.
#[must_use]
pub fn rindex(s: &[u8], sub: &[u8], start: Option<i64>) -> i64 {
    let len = to_i64(s.len());
    let start = start.unwrap_or(len);
    if start < 0 {
        return -1;
    }
    let Some(last) = s.len().checked_sub(sub.len()) else {
        return -1;
    };
    let last = last.min(to_usize(start.min(len)));
    (0..=last)
        .rev()
        .find(|&at| s[at..].starts_with(sub))
        .map_or(-1, to_i64)
}

/// The number in `base` (2 to 36): `0x` before base 16, `0` before base 8, a sign only in base
/// 10; the others show the two's complement.
#[must_use]
pub fn lltostr(value: i64, base: u32) -> Vec<u8> {
    if base == 10 {
        return value.to_string().into_bytes();
    }
    let base = u64::from(base.clamp(2, 36));
    let mut rest = value.cast_unsigned();
    let mut text = Vec::with_capacity(66);
    while rest != 0 {
        text.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[to_digit(rest % base)]);
        rest /= base;
    }
    if base == 16 {
        if value == 0 {
            text.push(b'0');
        }
        text.push(b'x');
    }
    if value == 0 || base == 8 || base == 16 {
        text.push(b'0');
    }
    text.reverse();
    text
}

/// The number in `base` at the start of a string, as illumos' `strtoll`: behind blanks and a sign,
/// in base 16 behind `0x`, too; 0 if there is none. It wraps where 64 bits do not hold it.
#[must_use]
pub fn strtoll(s: &[u8], base: i64) -> i64 {
    let digit = |byte: u8| char::from(byte).to_digit(36).map(i64::from);
    let blanks = s.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let mut rest = &s[blanks.count()..];
    let negative = rest.first() == Some(&b'-');
    if let [b'-' | b'+', tail @ ..] = rest {
        rest = tail;
    }
    if let [b'0', b'x' | b'X', first, ..] = rest
        && base == 16
        && first.is_ascii_hexdigit()
    {
        rest = &rest[2..];
    }
    let digits = rest
        .iter()
        .map_while(|&byte| digit(byte).filter(|&digit| digit < base));
    let value = digits.fold(0i64, |value, digit| {
        value.wrapping_mul(base).wrapping_add(digit)
    });
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

/// The shortest path that means the same by its text alone: without `.` and empty components, and
/// without those that a `..` takes back; `.` where nothing is left of a relative path.
#[must_use]
pub fn cleanpath(path: &[u8]) -> Vec<u8> {
    let absolute = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(&last) if last != b".." => {
                    kept.pop();
                }
                None if absolute => {}
                Some(_) | None => kept.push(component),
            },
            _ => kept.push(component),
        }
    }
    let joined = kept.join(&b'/');
    if absolute {
        [b"/", &joined[..]].concat()
    } else if joined.is_empty() && !path.is_empty() {
        b".".to_vec()
    } else {
        joined
    }
}

/// The text of a network address, from its bytes: an IPv4 one of 4 bytes, an IPv6 one of 16, shortened as
/// RFC 5952 says, or any one of a link, in pairs of hexadecimal digits.
#[must_use]
pub fn address(bytes: &[u8], link: bool) -> Vec<u8> {
    if !link && let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(bytes).to_string().into_bytes();
    }
    if !link && let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        // As DTrace: one that stands for an IPv4 address is shown as that.
        let (prefix, address) = (&bytes[..12], &bytes[12..]);
        let mapped = prefix == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        let compatible = prefix == [0; 12] && address[..2] != [0, 0];
        if mapped || compatible {
            return self::address(address, false);
        }
        return Ipv6Addr::from(bytes).to_string().into_bytes();
    }
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":").into_bytes()
}

/// Applies a slicing function to a string that is borrowed or owned, copying only the latter.
pub(crate) fn slice_cow<'a>(
    s: Cow<'a, [u8]>,
    part: impl for<'b> FnOnce(&'b [u8]) -> &'b [u8],
) -> Cow<'a, [u8]> {
    match s {
        Cow::Borrowed(s) => Cow::Borrowed(part(s)),
        Cow::Owned(s) => {
            let piece = part(&s);
            if piece == s.as_slice() {
                Cow::Owned(s)
            } else {
                Cow::Owned(piece.to_vec())
            }
        }
    }
}

fn find(s: &[u8], sub: &[u8]) -> Option<usize> {
    if sub.is_empty() {
        return Some(0);
    }
    s.windows(sub.len()).position(|window| window == sub)
}

fn to_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn to_usize(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

fn to_digit(n: u64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &[u8]) -> &str {
        std::str::from_utf8(s).unwrap()
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, clean) in [
            ("/a/../b/./c", "/b/c"),
            ("a//b", "a/b"),
            ("/a/.", "/a"),
            ("/a/..", "/"),
            ("a/..", "."),
            ("..", ".."),
            ("/../..", "/"),
            ("", ""),
            ("//", "/"),
            ("/a/b/../../c", "/c"),
            ("/a/.b/..c/d", "/a/.b/..c/d"),
            ("/a/b/../", "/a"),
            ("./a", "a"),
            ("../../a/../b", "../../b"),
            ("a/../../b", "../b"),
        ] {
            let found = cleanpath(path.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), clean, "{path}");
        }
    }

    #[test]
    fn numbers_are_read() {
        for (text, base, value) in [
            ("42", 10, 42),
            (" \t-42x", 10, -42),
            ("+7", 10, 7),
            ("", 10, 0),
            ("x", 10, 0),
            ("0x1F", 16, 31),
            ("1f", 16, 31),
            ("0x", 16, 0),
            ("777", 8, 511),
            ("9", 8, 0),
            ("zz", 36, 1295),
            ("-9223372036854775808", 10, i64::MIN),
            ("18446744073709551617", 10, 1),
        ] {
            assert_eq!(strtoll(text.as_bytes(), base), value, "{text}");
        }
    }

    #[test]
    fn basename_and_dirname_follow_posix() {
        for (path, base, dir) in [
            ("", ".", "."),
            ("/", "/", "/"),
            ("//", "/", "/"),
            ("a", "a", "."),
            ("/a", "a", "/"),
            ("a/b/", "b", "a"),
            ("a//b", "b", "a"),
            ("//a", "a", "/"),
            ("/usr/lib/x.py", "x.py", "/usr/lib"),
        ] {
            assert_eq!(text(basename(path.as_bytes())), base, "basename({path:?})");
            assert_eq!(text(dirname(path.as_bytes())), dir, "dirname({path:?})");
        }
    }

    #[test]
    fn substr_follows_perl() {
        for (start, length, part) in [
            (1, None, "ello"),
            (-9, None, "hello"),
            (-2, None, "lo"),
            (5, None, ""),
            (6, None, ""),
            (1, Some(2), "el"),
            (1, Some(-1), "ell"),
            (1, Some(-9), ""),
            (-9, Some(5), "h"),
            (-9, Some(4), ""),
            (-3, Some(2), "ll"),
            (-7, Some(4), "he"),
            (i64::MIN, Some(i64::MAX), "hell"),
            (i64::MAX, Some(i64::MIN), ""),
            (0, Some(i64::MIN), ""),
        ] {
            assert_eq!(
                text(substr(b"hello", start, length)),
                part,
                "{start}, {length:?}"
            );
        }
    }

    #[test]
    fn index_and_rindex_clamp_their_positions() {
        for (sub, start, first, last) in [
            ("l", None, 2, 3),
            ("x", None, -1, -1),
            ("", None, 0, 5),
            ("l", Some(3), 3, 3),
            ("l", Some(2), 2, 2),
            ("l", Some(-1), 2, -1),
            ("h", Some(0), 0, 0),
            ("l", Some(9), -1, 3),
            ("", Some(9), -1, 5),
            ("", Some(-1), 0, -1),
            ("hello!", None, -1, -1),
        ] {
            assert_eq!(
                index(b"hello", sub.as_bytes(), start),
                first,
                "index {sub:?} {start:?}"
            );
            assert_eq!(
                rindex(b"hello", sub.as_bytes(), start),
                last,
                "rindex {sub:?} {start:?}"
            );
        }
        assert_eq!(
            (index(b"", b"", Some(-7)), rindex(b"", b"", Some(7))),
            (0, 0)
        );
    }

    #[test]
    fn addresses_are_written_as_dtrace_writes_them() {
        for (bytes, link, text) in [
            (&[1, 2, 3, 255][..], false, "1.2.3.255"),
            (&[0; 16], false, "::"),
            (
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
                false,
                "::1",
            ),
            (
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4],
                false,
                "1.2.3.4",
            ),
            (
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
                false,
                "1.2.3.4",
            ),
            (
                &[32, 1, 13, 184, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1],
                false,
                "2001:db8::100:0:0:1",
            ),
            (
                &[32, 1, 13, 184, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1],
                false,
                "2001:db8:1:0:100:1:1:1",
            ),
            (&[1, 0x2a, 0, 255, 16, 0xbc], true, "01:2a:00:ff:10:bc"),
        ] {
            assert_eq!(address(bytes, link), text.as_bytes());
        }
    }

    #[test]
    fn searches_return_the_rest_of_the_string() {
        assert_eq!(strstr(b"hello", b"ll"), Some(&b"llo"[..]));
        assert_eq!(strstr(b"hello", b""), Some(&b"hello"[..]));
        assert_eq!(strstr(b"hello", b"x"), None);
        assert_eq!(strchr(b"hello", b'l'), Some(&b"llo"[..]));
        assert_eq!(strrchr(b"hello", b'l'), Some(&b"lo"[..]));
        assert_eq!(strchr(b"hello", 0), None);
    }

    #[test]
    fn lltostr_prefixes_as_illumos_does() {
        for (value, base, shown) in [
            (0, 10, "0"),
            (-5, 10, "-5"),
            (i64::MIN, 10, "-9223372036854775808"),
            (255, 16, "0xff"),
            (0, 16, "0x0"),
            (8, 8, "010"),
            (0, 8, "0"),
            (5, 2, "101"),
            (-1, 16, "0xffffffffffffffff"),
            (35, 36, "z"),
        ] {
            assert_eq!(text(&lltostr(value, base)), shown);
        }
    }

    #[test]
    fn cut_leaves_room_for_the_nul() {
        assert_eq!(cut(b"abcdefgh", 8), b"abcdefg");
        assert_eq!(cut(b"ab\0cd", 8), b"ab");
        assert_eq!(cut(b"ab", 0), b"");
    }
}
