//! Names from outside (paths, providers, functions, processes) as they are shown to people.
//!
//! They may hold anything: bytes that are not UTF-8, newlines, escape sequences that would have the
//! terminal do things. Shown are printable characters; of all else, each byte as `\x1b`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// A name as it can be shown in one line.
#[must_use]
pub fn escaped(name: impl AsRef<OsStr>) -> String {
    escaped_but(name.as_ref().as_bytes(), "")
}

/// A text of several lines, which may have tabs, as it can be shown.
#[must_use]
pub fn escaped_lines(text: &str) -> String {
    escaped_but(text.as_bytes(), "\n\t")
}

fn escaped_but(bytes: &[u8], kept: &str) -> String {
    let mut shown = String::with_capacity(bytes.len());
    let escape = |shown: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() && !kept.contains(c) {
                escape(&mut shown, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                shown.push(c);
            }
        }
        escape(&mut shown, chunk.invalid());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(escaped("/usr/bin/püthon 3"), "/usr/bin/püthon 3");
        assert_eq!(
            escaped("a\x1b[31mb\n\t\u{9b}"),
            r"a\x1b[31mb\x0a\x09\xc2\x9b"
        );
        assert_eq!(escaped(OsStr::from_bytes(b"a\xffb")), r"a\xffb");
        assert_eq!(escaped_lines("a\n\tb\x07"), "a\n\tb\\x07");
    }
}
