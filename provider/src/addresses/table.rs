//! The table of one file by which stacks are walked, made of its `.eh_frame`.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use object::ReadRef;
use unwind::{Row, Section, rows};

use crate::usdt::elf::{Contents, Elf};

/// A file's rows, and how places in the file lead to them.
#[derive(Debug)]
pub(super) struct Table {
    /// By linked address.
    pub(super) rows: Vec<Row>,
    /// The loaded parts: where each starts in the file, its bytes, its linked address.
    loads: Vec<(u64, u64, u64)>,
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
            loads: file.loads().collect(),
        })
    }

    /// The linked address of a place in the file. The first page of a mapping may begin before
    /// what is loaded there.
    pub(super) fn address_of(&self, offset: u64) -> Option<u64> {
        const PAGE: u64 = 4096;
        let mut loads = self.loads.iter();
        loads.find_map(|(start, bytes, address)| {
            let page = start - start % PAGE;
            let inside = (page..start.checked_add(*bytes)?).contains(&offset);
            inside.then(|| address.wrapping_add(offset).wrapping_sub(*start))
        })
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
