//! The table of one file by which stacks are walked, made of its `.eh_frame`.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use object::ReadRef;
use unwind::rows;

use crate::usdt::elf::{Contents, Elf};
use crate::usdt::frames;
use crate::usdt::loads::CodeLoads;

/// A file's table, and how places in the file lead to what is in it.
#[derive(Debug)]
pub(super) struct Table {
    /// By linked address.
    pub(super) rules: unwind::Table,
    loads: CodeLoads,
}

impl Table {
    /// That of an open file; `None` if it has none.
    pub(super) fn of_file(file: &fs::File) -> Option<Self> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let contents = Contents::open(&path).ok()?;
        Self::of(&contents.elf().ok()?)
    }

    /// That of an ELF file in memory.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Self::of(&Elf::parse(bytes).ok()?)
    }

    fn of<'a, R: ReadRef<'a>>(file: &Elf<'a, R>) -> Option<Self> {
        let (eh_frame, text) = frames::section(file)?;
        let rules = unwind::Table::of(&rows(eh_frame, text));
        let loads = file.code_loads();
        (rules.pages > 0).then_some(Self { rules, loads })
    }

    /// The linked address of a place in the file from which on something is mapped to execute.
    pub(super) fn address_of(&self, offset: u64) -> Option<u64> {
        self.loads.linked_address(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_functions_have_the_rules_of_their_rows() {
        let contents = Contents::open("/proc/self/exe".as_ref()).unwrap();
        let elf = contents.elf().unwrap();
        let (eh_frame, text) = frames::section(&elf).unwrap();
        let rows = rows(eh_frame, text);
        let table = Table::of(&elf).unwrap();
        let with_rules = rows.iter().filter(|row| row.rule != 0).count();
        assert!(with_rules > 1000, "{with_rules} of {}", rows.len());
        for row in rows.iter().step_by(101) {
            assert_eq!(table.rules.rule(row.address), row.rule);
        }
        let words = table.rules.words.len();
        assert!(2 * words < rows.len(), "{words} for {} rows", rows.len());
    }
}
