//! The table of one file by which stacks are walked, made of its `.eh_frame`.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use object::ReadRef;
use unwind::{Row, Section, rows};

use crate::usdt::elf::{Contents, Elf};
use crate::usdt::loads::CodeLoads;

/// A file's rows, and how places in the file lead to them.
#[derive(Debug)]
pub(super) struct Table {
    /// By linked address.
    pub(super) rows: Vec<Row>,
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
        let address = file.section_address(".eh_frame")?;
        let bytes = file.section_data(".eh_frame").ok()??;
        let rows = rows(Section { address, bytes }, file.section_address(".text"));
        Some(Self {
            rows,
            loads: file.code_loads(),
        })
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
    fn our_own_functions_have_rules() {
        let table = Table::of_file(&fs::File::open("/proc/self/exe").unwrap()).unwrap();
        let with_rules = table.rows.iter().filter(|row| row.rule != 0).count();
        assert!(with_rules > 1000, "{with_rules} of {}", table.rows.len());
        assert!(table.rows.is_sorted_by_key(|row| row.address));
    }
}
