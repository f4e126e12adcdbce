//! How the values of options are written, and which of them libdtrace takes.

/// Why an option cannot be set, in libdtrace's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadOption {
    /// No such option.
    #[error("Invalid option name")]
    Name,
    /// Not a value for it.
    #[error("Invalid value for specified option")]
    Value,
    /// Fewer registers than libdtrace's code takes.
    #[error("Insufficient registers to generate code")]
    Registers,
    /// What libdtrace has once had.
    #[error("Operation not supported")]
    Unsupported,
    /// Too late for it.
    #[error("Operation illegal when tracing is active")]
    Active,
}

/// What the value of an option may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accepts {
    /// None at all: the name turns it on.
    Nothing,
    /// What turns a switch on or off.
    Switch,
    /// A number.
    Number,
    /// A number that is not 0.
    Positive,
    /// How many registers expressions have, which is 8 in libdtrace.
    Registers,
    /// A number with `k`, `m`, `g` or `t`.
    Size,
    /// A frequency or a time.
    Rate,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Any text, which may be empty.
    Text,
    /// Anything, or nothing.
    Anything,
}

impl Accepts {
    /// Whether it is a value for the option.
    pub(crate) fn check(self, value: Option<&str>) -> Result<(), BadOption> {
        let is_one = match self {
            Self::Nothing => value.is_none(),
            Self::Switch => switch(value).is_ok(),
            Self::Number => number(value).is_ok(),
            Self::Positive => number(value).is_ok_and(|number| number > 0),
            Self::Registers => match number(value)? {
                1..8 => return Err(BadOption::Registers),
                number => number == 8,
            },
            Self::Size => size(value).is_ok(),
            Self::Rate => rate(value).is_ok(),
            Self::OneOf(words) => value.is_some_and(|value| words.contains(&value)),
            Self::Text => value.is_some(),
            Self::Anything => true,
        };
        if is_one {
            Ok(())
        } else {
            Err(BadOption::Value)
        }
    }
}

/// A switch. As in libdtrace, only words turn one off, and nothing: `quiet=0` is quiet.
pub(crate) fn switch(value: Option<&str>) -> Result<bool, BadOption> {
    let Some(value) = value else {
        return Ok(true);
    };
    match value.to_ascii_lowercase().as_str() {
        "yes" | "enable" | "enabled" | "true" | "on" | "set" => Ok(true),
        "" | "no" | "disable" | "disabled" | "false" | "off" | "unset" => Ok(false),
        other => integer(other).map(|_| true).ok_or(BadOption::Value),
    }
}

/// A number; without one, 0.
pub(crate) fn number(value: Option<&str>) -> Result<usize, BadOption> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(0);
    };
    let number = integer(value).and_then(|number| usize::try_from(number).ok());
    number.ok_or(BadOption::Value)
}

/// A size with an optional suffix `k`, `m`, `g` or `t`, in bytes; without one, 0.
pub(crate) fn size(value: Option<&str>) -> Result<u64, BadOption> {
    let value = value.unwrap_or_default();
    let (digits, shift) = match value.chars().last().map(|last| last.to_ascii_lowercase()) {
        None => return Ok(0),
        Some('k') => (&value[..value.len() - 1], 10),
        Some('m') => (&value[..value.len() - 1], 20),
        Some('g') => (&value[..value.len() - 1], 30),
        Some('t') => (&value[..value.len() - 1], 40),
        Some(_digit) => (value, 0),
    };
    let number = integer(digits).ok_or(BadOption::Value)?;
    number.checked_mul(1 << shift).ok_or(BadOption::Value)
}

/// A rate: nanoseconds between two times. A bare number or `hz` is how often a second; 0 is as often
/// as can be.
pub(crate) fn rate(value: Option<&str>) -> Result<u64, BadOption> {
    const SECOND: u64 = 1_000_000_000;
    let value = value.ok_or(BadOption::Value)?;
    let split = value.find(|c: char| !c.is_ascii_digit());
    let (digits, suffix) = value.split_at(split.unwrap_or(value.len()));
    let number = digits.parse::<u64>().or(Err(BadOption::Value))?;
    let unit = match suffix {
        "" | "hz" => return Ok(SECOND.checked_div(number).unwrap_or(0)),
        "ns" | "nsec" => 1,
        "us" | "usec" => 1_000,
        "ms" | "msec" => 1_000_000,
        "s" | "sec" => SECOND,
        "m" | "min" => 60 * SECOND,
        "h" | "hour" => 3600 * SECOND,
        "d" | "day" => 86400 * SECOND,
        _ => return Err(BadOption::Value),
    };
    number.checked_mul(unit).ok_or(BadOption::Value)
}

/// A number as C writes it: decimal, octal with `0`, hexadecimal with `0x`; there may be blanks before it.
fn integer(text: &str) -> Option<u64> {
    let is_number = |digits: &str| digits.starts_with(|c: char| c.is_ascii_alphanumeric());
    let parse =
        |digits: &str, radix| is_number(digits).then(|| u64::from_str_radix(digits, radix).ok())?;
    let lower = text.trim_ascii_start().to_ascii_lowercase();
    match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(digits), _) => parse(digits, 16),
        (None, Some("")) => Some(0),
        (None, Some(digits)) => parse(digits, 8),
        (None, None) => parse(&lower, 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        for (text, bytes) in [
            ("4m", 4 << 20),
            ("512", 512),
            ("1K", 1024),
            ("0x10k", 16 << 10),
            ("010", 8),
            (" 64k", 64 << 10),
            ("", 0),
        ] {
            assert_eq!(size(Some(text)), Ok(bytes), "{text}");
        }
        for bad in [
            "m",
            "4x",
            "4kb",
            "1.5k",
            "-1",
            "+1",
            "99999999999999999999",
            "99999999999t",
        ] {
            assert_eq!(size(Some(bad)), Err(BadOption::Value), "{bad}");
        }
    }

    #[test]
    fn rates_are_intervals() {
        for (text, nanoseconds) in [
            ("10", 100_000_000),
            ("10hz", 100_000_000),
            ("2s", 2_000_000_000),
            ("1hour", 3_600_000_000_000),
            ("0", 0),
        ] {
            assert_eq!(rate(Some(text)), Ok(nanoseconds), "{text}");
        }
        for bad in ["", "x", "5parsecs", "1.5s", "1 s"] {
            assert_eq!(rate(Some(bad)), Err(BadOption::Value), "{bad}");
        }
    }

    #[test]
    fn only_words_turn_a_switch_off() {
        for on in [None, Some("0"), Some("2"), Some("0x10"), Some("On")] {
            assert_eq!(switch(on), Ok(true), "{on:?}");
        }
        for off in ["", "OFF", "unset", "no"] {
            assert_eq!(switch(Some(off)), Ok(false), "{off}");
        }
        for bad in ["-1", "x", "1x"] {
            assert_eq!(switch(Some(bad)), Err(BadOption::Value), "{bad}");
        }
    }

    #[test]
    fn some_options_have_values_of_their_own() {
        let stdc = Accepts::OneOf(&["a", "c"]);
        assert_eq!(stdc.check(Some("a")), Ok(()));
        assert_eq!(stdc.check(None), Err(BadOption::Value));
        assert_eq!(Accepts::Nothing.check(Some("1")), Err(BadOption::Value));
        assert_eq!(Accepts::Text.check(Some("")), Ok(()));
        assert_eq!(Accepts::Text.check(None), Err(BadOption::Value));
    }
}
