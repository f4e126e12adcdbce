//! From a place in the byte code to a line of the source: the three formats of CPython's tables.
//!
//! | versions | attribute | format |
//! | --- | --- | --- |
//! | 3.6 to 3.9 | `co_lnotab` | pairs: bytes of code to the next change, signed change of the line |
//! | 3.10 | `co_linetable` | pairs: bytes of code covered, signed change of the line before them |
//! | 3.11 on | `co_linetable` | entries of one or more bytes, the first with its high bit set |
//!
//! An entry of the last format opens with `1 kkkk nnn`: it covers `nnn + 1` code units of two
//! bytes, and its kind is `kkkk`:
//!
//! ```text
//!     0..=9    same line, one byte of columns
//!     10..=12  line + 0, 1 or 2, two bytes of columns
//!     13       line + svarint, no columns
//!     14       line + svarint, then varints: end line, column, end column
//!     15       no location
//! ```
//!
//! A varint is little-endian, six bits to a byte, bit 6 set in all bytes but the last; an svarint
//! has its sign in the lowest bit.
//!
//! [`line_at`] is the reference that the decoder in eBPF is tested against. It reads nothing but
//! its arguments and takes any bytes.

/// A format of line tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineFormat {
    /// 3.6 to 3.9.
    Lnotab,
    /// 3.10.
    LineTable,
    /// 3.11 on.
    Locations,
}

impl LineFormat {
    /// A number that stands for it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Lnotab => 0,
            Self::LineTable => 1,
            Self::Locations => 2,
        }
    }

    /// The format of a number.
    #[must_use]
    pub const fn of_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Lnotab),
            1 => Some(Self::LineTable),
            2 => Some(Self::Locations),
            _ => None,
        }
    }

    /// The format of 3.`minor`.
    pub fn of(minor: u8) -> Self {
        match minor {
            0..=9 => Self::Lnotab,
            10 => Self::LineTable,
            _ => Self::Locations,
        }
    }
}

/// The line of the instruction at `offset` bytes from the start of the byte code, in a code
/// object whose first line is `first_line`. `None` where the table has no line for it.
pub fn line_at(format: LineFormat, table: &[u8], first_line: i32, offset: u32) -> Option<i32> {
    match format {
        LineFormat::Lnotab => Some(lnotab(table, first_line, offset)),
        LineFormat::LineTable => line_table(table, first_line, offset),
        LineFormat::Locations => locations(table, first_line, offset),
    }
}

fn lnotab(table: &[u8], first_line: i32, offset: u32) -> i32 {
    let mut address = 0_u32;
    let mut line = first_line;
    for [bytes, delta] in table.as_chunks::<2>().0 {
        address = address.saturating_add(u32::from(*bytes));
        if address > offset {
            break;
        }
        line = line.wrapping_add(i32::from(delta.cast_signed()));
    }
    line
}

fn line_table(table: &[u8], first_line: i32, offset: u32) -> Option<i32> {
    let mut end = 0_u32;
    let mut line = first_line;
    for [bytes, delta] in table.as_chunks::<2>().0 {
        end = end.saturating_add(u32::from(*bytes));
        let delta = delta.cast_signed();
        let has_line = delta != i8::MIN;
        if has_line {
            line = line.wrapping_add(i32::from(delta));
        }
        if offset < end {
            return has_line.then_some(line);
        }
    }
    None
}

fn locations(table: &[u8], first_line: i32, offset: u32) -> Option<i32> {
    let mut end = 0_u32;
    let mut line = first_line;
    let mut rest = table;
    while let Some((&head, tail)) = rest.split_first() {
        let kind = head >> 3 & 15;
        end = end.saturating_add((u32::from(head & 7) + 1) * 2);
        line = line.wrapping_add(match kind {
            11 => 1,
            12 => 2,
            13 | 14 => svarint(tail),
            _ => 0,
        });
        if offset < end {
            return (kind != 15).then_some(line);
        }
        // The high bit is set in the first byte of an entry only.
        let length = tail.iter().take_while(|&&b| b < 0x80).count();
        rest = tail.get(length..).unwrap_or(&[]);
    }
    None
}

fn svarint(bytes: &[u8]) -> i32 {
    let mut value = 0_u32;
    for (&byte, shift) in bytes.iter().zip((0..30).step_by(6)) {
        value |= u32::from(byte & 63) << shift;
        if byte & 64 == 0 {
            break;
        }
    }
    let magnitude = (value >> 1).cast_signed();
    if value & 1 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables recorded from real interpreters by `fixtures/record_lines.py`, with what their own
    /// `PyCode_Addr2Line` says of every instruction.
    const RECORDED: [(&str, &str); 10] = [
        ("3.6", include_str!("fixtures/lines-3.6.txt")),
        ("3.7", include_str!("fixtures/lines-3.7.txt")),
        ("3.8", include_str!("fixtures/lines-3.8.txt")),
        ("3.9", include_str!("fixtures/lines-3.9.txt")),
        ("3.10", include_str!("fixtures/lines-3.10.txt")),
        ("3.11", include_str!("fixtures/lines-3.11.txt")),
        ("3.12", include_str!("fixtures/lines-3.12.txt")),
        ("3.13", include_str!("fixtures/lines-3.13.txt")),
        ("3.14", include_str!("fixtures/lines-3.14.txt")),
        ("3.15", include_str!("fixtures/lines-3.15.txt")),
    ];

    #[test]
    fn lines_are_those_of_the_interpreters() {
        for (version, text) in RECORDED {
            assert!(
                check(text) > 400,
                "{version}: too few instructions recorded"
            );
        }
    }

    #[test]
    fn lines_are_those_of_the_interpreters_found_here() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fixtures/record_lines.py");
        for python in super::super::tests::interpreters() {
            let Ok(output) = std::process::Command::new(&python).arg(script).output() else {
                continue;
            };
            let text = String::from_utf8(output.stdout).unwrap();
            if output.status.success() {
                assert!(check(&text) > 400, "{}", python.display());
            }
        }
    }

    /// Checks every instruction of a recording; how many there were.
    fn check(text: &str) -> usize {
        let mut lines = text.lines();
        let minor = lines
            .next()
            .unwrap()
            .strip_prefix("minor ")
            .unwrap()
            .parse()
            .unwrap();
        let format = LineFormat::of(minor);
        let mut checked = 0;
        let mut code: (i32, Vec<u8>) = (0, Vec::new());
        for line in lines {
            let (first, second) = line.split_once(' ').unwrap();
            if let Some(first_line) = first.strip_prefix("first=") {
                code = (first_line.parse().unwrap(), hex(second));
                continue;
            }
            let start: u32 = first.parse().unwrap();
            for (offset, expected) in (start..).step_by(2).zip(second.split(' ')) {
                let expected = expected.parse().ok().filter(|&l: &i32| l >= 0);
                let found = line_at(format, &code.1, code.0, offset);
                assert_eq!(found, expected, "3.{minor}, offset {offset}, {:x?}", code.1);
                checked += 1;
            }
        }
        checked
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().as_chunks::<2>().0;
        let byte = |d: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap();
        digits.iter().map(byte).collect()
    }

    #[test]
    fn any_bytes_are_taken() {
        for format in [
            LineFormat::Lnotab,
            LineFormat::LineTable,
            LineFormat::Locations,
        ] {
            for table in [
                &[][..],
                &[0xff],
                &[0xff; 300],
                &[0x7f; 300],
                &[0xf8, 0x7f, 0x7f],
            ] {
                for offset in [0, 1, 2, 1000, u32::MAX] {
                    let _ = line_at(format, table, i32::MAX, offset);
                }
            }
        }
    }
}
