//! The running kernel's type information (BTF), as far as one question goes: where a member is in
//! a struct.
//!
//! `/sys/kernel/btf/vmlinux` is a header, type records one after the other, and a string table
//! (kernel documentation: `bpf/btf.rst`). A record is three words `name, info, size or type`, and
//! what follows depends on its kind; a struct's members are three words each: `name, type, offset`
//! in bits. Only the records' lengths are needed to walk to the struct. Five megabytes take some
//! milliseconds, so this is read only for programs that need it.

use std::fs;

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;

/// The kernel's BTF.
#[derive(Debug)]
pub struct Btf {
    data: Vec<u8>,
    /// Where the type records and the strings are in `data`.
    types: (usize, usize),
    strings: (usize, usize),
}

impl Btf {
    /// The running kernel's; `None` if it has none that can be read.
    #[must_use]
    pub fn of_kernel() -> Option<Self> {
        Self::parse(fs::read("/sys/kernel/btf/vmlinux").ok()?)
    }

    fn parse(data: Vec<u8>) -> Option<Self> {
        let magic = data.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))?;
        if magic != MAGIC {
            return None;
        }
        let header = word(&data, 4)?;
        let section = |offset: usize| {
            let start = header.checked_add(word(&data, offset)?)?;
            Some((start, start.checked_add(word(&data, offset + 4)?)?))
        };
        let (types, strings) = (section(8)?, section(16)?);
        (types.1 <= data.len() && strings.1 <= data.len()).then_some(())?;
        Some(Self {
            data,
            types,
            strings,
        })
    }

    /// The byte offset of a direct member of a struct.
    #[must_use]
    pub fn member_offset(&self, of: &str, member: &str) -> Option<u32> {
        let (mut at, end) = self.types;
        while at < end {
            let info = u32::try_from(word(&self.data, at + 4)?).ok()?;
            let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            let name = word(&self.data, at)?;
            let body = at + 12;
            if kind == KIND_STRUCT && self.is_named(name, of) {
                return self.member(body, count, info >> 31 != 0, member);
            }
            at = body + body_size(kind, count)?;
        }
        None
    }

    fn member(&self, body: usize, count: usize, bit_fields: bool, name: &str) -> Option<u32> {
        for index in 0..count {
            let at = body + 12 * index;
            if self.is_named(word(&self.data, at)?, name) {
                let offset = u32::try_from(word(&self.data, at + 8)?).ok()?;
                // With bit-fields in the struct, the upper byte is a field's width.
                return Some(
                    if bit_fields {
                        offset & 0x00ff_ffff
                    } else {
                        offset
                    } / 8,
                );
            }
        }
        None
    }

    fn is_named(&self, offset: usize, name: &str) -> bool {
        let start = self.strings.0.saturating_add(offset);
        let end = start.saturating_add(name.len());
        self.data.get(start..end) == Some(name.as_bytes()) && self.data.get(end) == Some(&0)
    }
}

/// Bytes that follow a record of a kind.
fn body_size(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,                   // int, var, decl_tag
        3 => 12,                            // array
        KIND_STRUCT | 5 | 15 => 12 * count, // struct, union, datasec
        6 | 13 => 8 * count,                // enum, func_proto
        19 => 12 * count,                   // enum64
        2 | 7..=12 | 16 | 18 => 0,          // references, fwd, float
        _ => return None,
    })
}

fn word(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct a { int x; int y; }`, then `struct bb { char c[4]; int z; }`, by hand.
    fn sample() -> Vec<u8> {
        let strings = b"\0a\0x\0y\0bb\0z\0";
        let types: [u32; 24] = [
            1,
            4 << 24 | 2,
            8,
            3,
            0,
            0,
            5,
            0,
            32, // a: x at 0, y at 32 bits
            0,
            1 << 24,
            4,
            0, // an int in between
            7,
            1 << 31 | 4 << 24 | 1,
            8,
            10,
            0,
            5 << 24 | 32, // bb: z, 5 bits wide at 32
            0,
            9 << 24,
            1,
            0,
            0, // a volatile, and padding
        ];
        let types: Vec<u8> = types[..22]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let mut data = vec![0x9f, 0xeb, 1, 0];
        let lengths = [24, 0, types.len(), types.len(), strings.len()];
        data.extend(
            lengths
                .iter()
                .flat_map(|n| u32::try_from(*n).unwrap().to_le_bytes()),
        );
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn members_are_found() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.member_offset("a", "y"), Some(4));
        assert_eq!(btf.member_offset("bb", "z"), Some(4));
        assert_eq!(btf.member_offset("a", "z"), None);
        assert_eq!(btf.member_offset("b", "z"), None);
    }

    #[test]
    fn damage_is_no_panic() {
        let whole = sample();
        for length in 0..whole.len() {
            if let Some(btf) = Btf::parse(whole[..length].to_vec()) {
                let _ = btf.member_offset("bb", "z");
            }
        }
    }

    #[test]
    fn the_kernels_tasks_have_parents() {
        // Kernels without BTF have none to read.
        let offset = Btf::of_kernel().map(|btf| btf.member_offset("task_struct", "real_parent"));
        assert_ne!(offset, Some(None));
    }
}
