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

/// The address of the first symbol of this name in the list; `module` may be empty for wherever it is.
pub(crate) fn address_in(list: &str, module: &str, name: &str) -> Option<u64> {
    // Most lines cannot be it, and are not read.
    let mut lines = list.lines().filter(|line| line.contains(name));
    let is_it = |line: &Line<'_>| line.name == name && (module.is_empty() || module == line.module);
    let found = lines.find_map(|line| parse(line).filter(is_it));
    found.map(|line| line.address)
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

    #[test]
    fn symbols_are_found_by_name() {
        let list = "0000000000000000 A fixed\nffffffff81000100 t first_2\nffffffff81000200 t first\n\
                    ffffffffc0201000 t other\t[a_module]\n";
        let found = |module, name| address_in(list, module, name);
        assert_eq!(found("", "first"), Some(0xffff_ffff_8100_0200));
        assert_eq!(found("vmlinux", "first"), Some(0xffff_ffff_8100_0200));
        assert_eq!(found("a_module", "other"), Some(0xffff_ffff_c020_1000));
        for (module, name) in [("a_module", "first"), ("", "fixed"), ("", "fir"), ("", "")] {
            assert_eq!(found(module, name), None, "{module}`{name}");
        }
    }
}
