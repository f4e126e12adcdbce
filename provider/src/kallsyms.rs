//! The kernel's list of its symbols, `/proc/kallsyms`: a hundred thousand lines.
//!
//! ```text
//!     ffffffff81000000 T _text
//!     ffffffffc0201000 t nf_conntrack_init   [nf_conntrack]
//! ```

use std::fs;

/// The module of what is in no module, as DTrace calls it.
pub(crate) const KERNEL: &str = "vmlinux";

/// A symbol in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'t> {
    pub(crate) address: u64,
    /// Whether it is of code.
    pub(crate) is_code: bool,
    pub(crate) name: &'t str,
    pub(crate) module: &'t str,
}

/// The list; empty if we may not read it.
pub(crate) fn read() -> String {
    fs::read_to_string("/proc/kallsyms").unwrap_or_default()
}

/// Reads a line. `None` for absolute symbols, which are numbers; all are 0 for those who may not know them.
pub(crate) fn parse(line: &str) -> Option<Line<'_>> {
    let (address, rest) = line.split_once(' ')?;
    let (kind, rest) = rest.split_once(' ')?;
    let (name, module) = match rest.trim_end().split_once('\t') {
        Some((name, module)) => (name, module.trim_matches(['[', ']'])),
        None => (rest.trim_end(), KERNEL),
    };
    let address = u64::from_str_radix(address, 16).ok()?;
    let is_there = address != 0 && !matches!(kind, "a" | "A");
    is_there.then_some(Line {
        address,
        is_code: matches!(kind, "t" | "T" | "w" | "W"),
        name,
        module,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_symbols_in_memory() {
        let expected = Line {
            address: 0xffff_ffff_c020_1000,
            is_code: true,
            name: "third",
            module: "a_module",
        };
        assert_eq!(
            parse("ffffffffc0201000 t third\t[a_module]\n"),
            Some(expected)
        );
        let data = parse("ffffffff81000000 D first\n").unwrap();
        assert_eq!((data.is_code, data.module), (false, KERNEL));
        assert_eq!(parse("0000000000000000 A fixed_percpu_data\n"), None);
        assert_eq!(parse("0000000000000000 t hidden\n"), None);
        assert_eq!(parse("nonsense"), None);
    }
}
