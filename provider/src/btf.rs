//! The running kernel's type information (BTF), as far as one question goes: where a member is in
//! a struct.
//!
//! `/sys/kernel/btf/vmlinux` is a header, type records one after the other, and a string table
//! (kernel documentation: `bpf/btf.rst`). A record is three words `name, info, size or type`, and
//! what follows depends on its kind; a struct's members are three words each: `name, type, offset`
//! in bits. Only the records' lengths are needed to walk to the struct. It is five megabytes, and
//! the structs in question are among the first, so it is read in blocks, as far as it is looked at.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

pub(crate) const MAGIC: usize = 0xeb9f;
const KIND_STRUCT: usize = 4;

/// The kernel's BTF.
#[derive(Debug)]
pub struct Btf<R = File> {
    data: Blocks<R>,
    /// Where the type records start and end, and where the strings start.
    types: (usize, usize),
    strings: usize,
}

impl Btf {
    /// The running kernel's; `None` if it has none that can be read.
    #[must_use]
    pub fn of_kernel() -> Option<Self> {
        Self::parse(File::open("/sys/kernel/btf/vmlinux").ok()?)
    }
}

impl<R: Read + Seek> Btf<R> {
    fn parse(source: R) -> Option<Self> {
        let mut data = Blocks {
            source,
            blocks: HashMap::new(),
        };
        if data.word(0)? & 0xffff != MAGIC {
            return None;
        }
        // Header: magic, version, flags; its length; offset and length of types; of strings.
        let header = data.word(4)?;
        let types = header.checked_add(data.word(8)?)?;
        Some(Self {
            types: (types, types.checked_add(data.word(12)?)?),
            strings: header.checked_add(data.word(16)?)?,
            data,
        })
    }

    /// The byte offset of a direct member of a struct.
    pub fn member_offset(&mut self, of: &str, member: &str) -> Option<u32> {
        let (mut at, end) = self.types;
        while at < end {
            let info = self.data.word(at + 4)?;
            let (kind, count) = ((info >> 24) & 0x1f, info & 0xffff);
            let body = at + 12;
            if kind == KIND_STRUCT && self.is_named(at, of)? {
                return self.member(body, count, info >> 31 != 0, member);
            }
            at = body + body_size(kind, count)?;
        }
        None
    }

    fn member(&mut self, body: usize, count: usize, bit_fields: bool, name: &str) -> Option<u32> {
        for index in 0..count {
            let at = body + 12 * index;
            if self.is_named(at, name)? {
                let offset = u32::try_from(self.data.word(at + 8)?).ok()?;
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

    /// Whether the type or member at `at`, which starts with its name, has this one.
    fn is_named(&mut self, at: usize, name: &str) -> Option<bool> {
        let start = self.strings.checked_add(self.data.word(at)?)?;
        let expected = name.bytes().chain([0]);
        for (index, byte) in expected.enumerate() {
            if self.data.byte(start.checked_add(index)?)? != byte {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// A source that is read in blocks, each once.
#[derive(Debug)]
struct Blocks<R> {
    source: R,
    /// The blocks that were read, by number; the last one may be short.
    blocks: HashMap<usize, Vec<u8>>,
}

/// Bytes of a block.
const BLOCK: usize = 1 << 14;

impl<R: Read + Seek> Blocks<R> {
    fn byte(&mut self, at: usize) -> Option<u8> {
        let number = at / BLOCK;
        if !self.blocks.contains_key(&number) {
            let start = u64::try_from(number * BLOCK).ok()?;
            self.source.seek(SeekFrom::Start(start)).ok()?;
            let mut block = Vec::new();
            let limit = BLOCK as u64;
            self.source
                .by_ref()
                .take(limit)
                .read_to_end(&mut block)
                .ok()?;
            self.blocks.insert(number, block);
        }
        self.blocks.get(&number)?.get(at % BLOCK).copied()
    }

    fn word(&mut self, at: usize) -> Option<usize> {
        let mut bytes = [0; 4];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = self.byte(at.checked_add(index)?)?;
        }
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }
}

/// Bytes that follow a record of a kind.
pub(crate) fn body_size(kind: usize, count: usize) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

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
        let mut btf = Btf::parse(Cursor::new(sample())).unwrap();
        assert_eq!(btf.member_offset("a", "y"), Some(4));
        assert_eq!(btf.member_offset("bb", "z"), Some(4));
        assert_eq!(btf.member_offset("a", "z"), None);
        assert_eq!(btf.member_offset("b", "z"), None);
    }

    #[test]
    fn damage_is_no_panic() {
        let whole = sample();
        for length in 0..whole.len() {
            if let Some(mut btf) = Btf::parse(Cursor::new(&whole[..length])) {
                let _ = btf.member_offset("bb", "z");
            }
        }
    }

    #[test]
    fn the_kernels_tasks_have_parents() {
        // Kernels without BTF have none to read.
        let offset =
            Btf::of_kernel().map(|mut btf| btf.member_offset("task_struct", "real_parent"));
        assert_ne!(offset, Some(None));
    }
}
