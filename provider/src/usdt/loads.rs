//! How places in an ELF file lead to linked addresses: by its loaded parts (`PT_LOAD`).
//!
//! The kernel maps whole pages. Linkers such as lld put parts into a file without a gap, so that a page of the file
//! may hold the end of one part and the start of the next: it is mapped twice, at two addresses. Which of the two a
//! mapping is of, its permissions tell: here it is always one that may be executed.

/// The parts of a file that may be executed, as far as they are in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CodeLoads(Vec<CodeLoad>);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeLoad {
    /// Where it starts in the file.
    pub(crate) offset: u64,
    /// How many bytes it has there.
    pub(crate) bytes: u64,
    /// The linked address of the first.
    pub(crate) address: u64,
}

const PAGE: u64 = 4096;

impl CodeLoad {
    /// The first place in the file of a mapping of this part.
    fn page(&self) -> u64 {
        self.offset - self.offset % PAGE
    }

    fn holds(&self, offset: u64) -> bool {
        let end = self.offset.saturating_add(self.bytes);
        (self.page()..end).contains(&offset)
    }
}

impl CodeLoads {
    /// The linked address that belongs to a place in the file from which on something is mapped to execute.
    pub(crate) fn linked_address(&self, offset: u64) -> Option<u64> {
        let begins = self.0.iter().find(|load| load.page() == offset);
        let load = begins.or_else(|| self.0.iter().find(|load| load.holds(offset)))?;
        Some(load.address.wrapping_add(offset).wrapping_sub(load.offset))
    }
}

impl FromIterator<CodeLoad> for CodeLoads {
    fn from_iter<I: IntoIterator<Item = CodeLoad>>(loads: I) -> Self {
        Self(loads.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::usdt::elf::Contents;

    #[test]
    fn a_page_that_two_parts_share_is_of_the_one_that_begins_there() {
        let load = |offset, bytes, address| CodeLoad {
            offset,
            bytes,
            address,
        };
        let loads: CodeLoads = [
            load(0x1c80, 0x2000, 0x2c80),
            load(0x3c80, 0x800, 0x5c80),
            load(0x9000, 0x10, 0x9000),
        ]
        .into_iter()
        .collect();
        for (offset, address) in [
            (0x1000, Some(0x2000)),
            (0x2000, Some(0x3000)),
            (0x3000, Some(0x5000)),
            (0x4000, Some(0x6000)),
            (0x5000, None),
            (0x9000, Some(0x9000)),
            (0, None),
        ] {
            assert_eq!(loads.linked_address(offset), address, "{offset:x}");
        }
    }

    /// Where the loader has put us, a linked address and the mapping's start say the same.
    #[test]
    fn our_own_code_is_where_it_is_linked() {
        let contents = Contents::open(Path::new("/proc/self/exe")).unwrap();
        let elf = contents.elf().unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let exe = fs::read_link("/proc/self/exe").unwrap();
        let own: Vec<&str> = maps
            .lines()
            .filter(|line| line.ends_with(exe.to_str().unwrap()))
            .collect();
        let hex = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
        let start = |line: &str| hex(line.split('-').next().unwrap());
        let code = own.iter().find(|line| line.contains("r-xp")).unwrap();
        let offset = hex(code.split_whitespace().nth(2).unwrap());
        let linked = elf.code_loads().linked_address(offset).unwrap();
        assert_eq!(start(code) - linked, start(own[0]), "{maps}");
    }
}
