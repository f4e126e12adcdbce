//! The version of CPython, as the interpreter's file has it.

use object::ReadRef;

use super::elf::Elf;
use super::symbols;

/// A version of CPython.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// 11.
    pub minor: u8,
    /// 2.
    pub micro: u8,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// The version of the interpreter in a file. 3.11 and later say so in the constant `Py_Version`,
/// which has `PY_VERSION_HEX`; earlier ones have only the string that `sys.version` starts with.
#[must_use]
pub fn version<'a, R: ReadRef<'a>>(elf: &Elf<'a, R>) -> Option<Version> {
    if let Some(hex) = symbols::address_of(elf, "Py_Version").and_then(|at| elf.word_at(at)) {
        let [_, micro, minor, major, ..] = hex.to_le_bytes();
        return (major == 3).then_some(Version {
            major,
            minor,
            micro,
        });
    }
    symbols::address_of(elf, "_PyEval_EvalFrameDefault")?;
    let strings = elf.section_data(".rodata").ok().flatten()?;
    strings.split(|byte| *byte == 0).find_map(version_string)
}

/// `3.9.18`, `3.10.0rc1`, `3.8.2+`.
fn version_string(text: &[u8]) -> Option<Version> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() < 16)?;
    let mut parts = text.strip_prefix("3.")?.splitn(2, '.');
    let minor = parts.next()?.parse().ok()?;
    let rest = parts.next()?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let suffix = &rest[digits..];
    if !(suffix.is_empty() || suffix.starts_with(['a', 'b', 'r', '+'])) {
        return None;
    }
    Some(Version {
        major: 3,
        minor,
        micro: rest[..digits].parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_strings() {
        let version = |text: &str| version_string(text.as_bytes()).map(|v| v.to_string());
        assert_eq!(version("3.9.18").as_deref(), Some("3.9.18"));
        assert_eq!(version("3.10.0rc1").as_deref(), Some("3.10.0"));
        assert_eq!(version("3.8.2+").as_deref(), Some("3.8.2"));
        for other in [
            "3.9",
            "3.",
            "2.7.18",
            "3.9.x",
            "3.999.1",
            "3.1.4159 is pi",
            "",
        ] {
            assert_eq!(version(other), None, "{other}");
        }
    }
}
