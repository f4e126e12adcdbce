//! The kernel's symbols, read when the first address is looked up. They have no sizes: a symbol reaches to the next
//! one.

use std::sync::Arc;

use super::symbol::{Function, Symbol};
use crate::kallsyms::{self, KERNEL};

/// The kernel's symbols by address.
#[derive(Debug, Default)]
pub(super) struct KernelSymbols {
    text: String,
    symbols: Vec<Entry>,
    modules: Vec<Arc<str>>,
}

/// A symbol: its address, where its name stands, and the number of its module.
#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    start: u32,
    len: u16,
    module: u16,
}

impl KernelSymbols {
    /// Those of the running kernel; none if we may not know them.
    pub(super) fn read() -> Self {
        Self::parse(kallsyms::read())
    }

    fn parse(text: String) -> Self {
        let mut modules: Vec<Arc<str>> = vec![KERNEL.into()];
        let mut symbols = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let Some((entry, module)) = parse_line(line, start) else {
                continue;
            };
            let known = modules.iter().rposition(|known| **known == *module);
            let module = known.unwrap_or_else(|| {
                modules.push(module.into());
                modules.len() - 1
            });
            if let Ok(module) = u16::try_from(module) {
                symbols.push(Entry { module, ..entry });
            }
        }
        // Stable: of several at one address the best is first, then the first in the file.
        symbols.sort_by_key(|entry: &Entry| {
            let name = name_of(&text, *entry);
            (entry.address, name.starts_with('_'))
        });
        symbols.dedup_by_key(|entry| entry.address);
        Self {
            text,
            symbols,
            modules,
        }
    }

    /// What is at an address.
    pub(super) fn find(&self, address: u64) -> Symbol {
        let behind = self
            .symbols
            .partition_point(|entry| entry.address <= address);
        let Some(entry) = behind.checked_sub(1).map(|index| self.symbols[index]) else {
            return Symbol::unknown(address);
        };
        let function = Function {
            name: name_of(&self.text, entry).into(),
            offset: address - entry.address,
        };
        Symbol {
            address,
            module: self.modules.get(usize::from(entry.module)).cloned(),
            function: Some(function),
        }
    }
}

fn name_of(text: &str, entry: Entry) -> &str {
    let start = entry.start as usize;
    text.get(start..start + usize::from(entry.len))
        .unwrap_or_default()
}

/// Reads a line that starts at `at`: a symbol in memory, and its module.
fn parse_line(line: &str, at: usize) -> Option<(Entry, &str)> {
    let symbol = kallsyms::parse(line)?;
    let start = at + (symbol.name.as_ptr().addr() - line.as_ptr().addr());
    let entry = Entry {
        address: symbol.address,
        start: u32::try_from(start).ok()?,
        len: u16::try_from(symbol.name.len()).ok()?,
        module: 0,
    };
    Some((entry, symbol.module))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "0000000000000000 A fixed_percpu_data\n\
        ffffffff81000000 T _stext\n\
        ffffffff81000000 T first\n\
        ffffffff81000100 t second\n\
        ffffffffc0201000 t third\t[a_module]\n";

    fn shown(address: u64) -> String {
        let symbol = KernelSymbols::parse(LINES.to_owned()).find(address);
        symbol.with_offset()
    }

    #[test]
    fn an_address_is_in_the_last_symbol_before_it() {
        assert_eq!(shown(0xffff_ffff_8100_0000), "vmlinux`first");
        assert_eq!(shown(0xffff_ffff_8100_0101), "vmlinux`second+0x1");
        assert_eq!(shown(0xffff_ffff_c020_1010), "a_module`third+0x10");
    }

    #[test]
    fn what_is_before_all_symbols_is_a_number() {
        assert_eq!(shown(5), "0x5");
    }
}
