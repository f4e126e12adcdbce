//! BTF in memory, and its types as D's.
//!
//! What is held by value is translated with all its members, what is behind a pointer by its tag.
//!
//! A bit-field's offset in BTF is in bits from the start of the struct; D wants the unit of its type
//! that holds it, and the first bit in that.

use std::cell::Cell;
use std::sync::Arc;

use dlang::types::{Int, Member, NameKind, Space, Struct, Type};

use crate::btf::{MAGIC, body_size};

/// How deep types may nest, and how many may belong to one name, before the file is taken for
/// damaged.
pub(super) const MOST_NESTED: u32 = 64;
const MOST_PARTS: u32 = 100_000;

/// The kinds of type records that matter here, with BTF's numbers.
pub(super) mod kind {
    pub(in super::super) const INT: u32 = 1;
    pub(in super::super) const PTR: u32 = 2;
    pub(in super::super) const ARRAY: u32 = 3;
    pub(in super::super) const STRUCT: u32 = 4;
    pub(in super::super) const UNION: u32 = 5;
    pub(in super::super) const ENUM: u32 = 6;
    pub(in super::super) const FWD: u32 = 7;
    pub(in super::super) const TYPEDEF: u32 = 8;
    pub(in super::super) const VOLATILE: u32 = 9;
    pub(in super::super) const CONST: u32 = 10;
    pub(in super::super) const RESTRICT: u32 = 11;
    pub(in super::super) const FUNC: u32 = 12;
    pub(in super::super) const FUNC_PROTO: u32 = 13;
    pub(in super::super) const FLOAT: u32 = 16;
    pub(in super::super) const TYPE_TAG: u32 = 18;
    pub(in super::super) const ENUM64: u32 = 19;
}

/// BTF in memory, and where each type record is.
#[derive(Debug)]
pub(super) struct Types {
    data: Vec<u8>,
    /// Offsets of the records; a type's id is its place here, from 1.
    pub(super) records: Vec<usize>,
    strings: usize,
    /// How many types have been translated for the name that is looked up.
    pub(super) parts: Cell<u32>,
}

/// A type record: its kind, the number of what follows, one flag, and a size or another type's id.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) at: usize,
    pub(super) kind: u32,
    pub(super) count: usize,
    pub(super) flag: bool,
    pub(super) size_or_type: u32,
}

impl Types {
    pub(super) fn parse(data: Vec<u8>) -> Option<Self> {
        let mut types = Self {
            data,
            records: Vec::new(),
            strings: 0,
            parts: Cell::new(0),
        };
        let header = |at: usize| usize::try_from(types.word(at)?).ok();
        if header(0)? & 0xffff != MAGIC {
            return None;
        }
        let length = header(4)?;
        let mut at = length.checked_add(header(8)?)?;
        let end = at.checked_add(header(12)?)?.min(types.data.len());
        let strings = length.checked_add(header(16)?)?;
        let mut records = Vec::new();
        while at < end {
            records.push(at);
            let record = types.record_at(at)?;
            at += 12 + body_size(usize::try_from(record.kind).ok()?, record.count)?;
        }
        types.strings = strings;
        types.records = records;
        Some(types)
    }

    pub(super) fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn record_at(&self, at: usize) -> Option<Record> {
        let info = self.word(at.checked_add(4)?)?;
        Some(Record {
            at,
            kind: info >> 24 & 0x1f,
            count: usize::try_from(info & 0xffff).ok()?,
            flag: info >> 31 != 0,
            size_or_type: self.word(at.checked_add(8)?)?,
        })
    }

    /// The record of a type; `None` for `void`, which has the id 0.
    pub(super) fn record(&self, id: u32) -> Option<Record> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.record_at(*self.records.get(index)?)
    }

    /// The string at this offset of the string table.
    pub(super) fn string(&self, offset: u32) -> Option<&[u8]> {
        let start = self.strings.checked_add(usize::try_from(offset).ok()?)?;
        let rest = self.data.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest.get(..end)
    }

    pub(super) fn name(&self, at: usize) -> Option<String> {
        let name = self.string(self.word(at)?)?;
        String::from_utf8(name.to_vec()).ok()
    }

    pub(super) fn find(&self, kind: NameKind, name: &str) -> Option<Type> {
        let wanted = |found: u32| match kind {
            NameKind::Struct => found == kind::STRUCT,
            NameKind::Union => found == kind::UNION,
            NameKind::Enum => matches!(found, kind::ENUM | kind::ENUM64),
            NameKind::Typedef => found == kind::TYPEDEF,
        };
        let (id, _) = (1..).zip(&self.records).find(|&(_, &at)| {
            self.record_at(at).is_some_and(|record| wanted(record.kind))
                && self.word(at).and_then(|name| self.string(name)) == Some(name.as_bytes())
        })?;
        self.parts.set(0);
        self.whole(id, 0)
    }

    /// A type with all that it holds by value.
    pub(super) fn whole(&self, id: u32, depth: u32) -> Option<Type> {
        self.parts.set(self.parts.get() + 1);
        if depth > MOST_NESTED || self.parts.get() > MOST_PARTS {
            return None;
        }
        if id == 0 {
            return Some(Type::Void);
        }
        let record = self.record(id)?;
        let next = record.size_or_type;
        Some(match record.kind {
            kind::INT => Type::named(&self.name(record.at)?, self.int(record)?),
            kind::ENUM | kind::ENUM64 => self.enumeration(record)?,
            kind::PTR => self.pointer(next, depth)?,
            kind::ARRAY => {
                let of = self.whole(self.word(record.at + 12)?, depth + 1)?;
                Type::Array(Arc::new(of), self.word(record.at + 20)?)
            }
            kind::STRUCT | kind::UNION => {
                Type::Struct(Arc::new(self.structure(id, record, depth)?))
            }
            kind::FWD => {
                let name = self.name(record.at)?;
                Type::Struct(Arc::new(Struct::declared(&name, record.flag)))
            }
            kind::TYPEDEF => Type::named(&self.name(record.at)?, self.whole(next, depth + 1)?),
            kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                self.whole(next, depth + 1)?
            }
            kind::FLOAT => match u8::try_from(next) {
                Ok(size @ (4 | 8 | 16)) => Type::Float(size),
                _of_another_machine => bytes(next),
            },
            // Functions, variables and sections have no value that D could hold.
            _function => Type::Void,
        })
    }

    fn enumeration(&self, record: Record) -> Option<Type> {
        let is_wide = record.kind == kind::ENUM64;
        let int = Int {
            size: u8::try_from(record.size_or_type).ok()?,
            signed: record.flag || !is_wide,
        };
        let mut enumerators = Vec::with_capacity(record.count);
        for index in 0..record.count {
            let at = record.at + 12 + if is_wide { 12 } else { 8 } * index;
            let mut value = u64::from(self.word(at + 4)?);
            if is_wide {
                value |= u64::from(self.word(at + 8)?) << 32;
            }
            enumerators.push((self.name(at)?, int.wrap(value.cast_signed())));
        }
        let name = format!("enum {}", self.name(record.at)?);
        Some(Type::enumeration(
            name.trim_end(),
            Type::Int(int),
            enumerators,
        ))
    }

    fn int(&self, record: Record) -> Option<Type> {
        let encoding = self.word(record.at + 12)? >> 24 & 0xf;
        Some(match u8::try_from(record.size_or_type) {
            Ok(size @ (1 | 2 | 4 | 8)) => Type::Int(Int {
                size,
                // `char` says that it is signed only to old compilers.
                signed: encoding & 3 != 0,
            }),
            _wide => bytes(record.size_or_type),
        })
    }

    /// A pointer to a type: structs by their tag, so that no circle is followed.
    fn pointer(&self, to: u32, depth: u32) -> Option<Type> {
        let (mut id, mut space) = (to, Space::Kernel);
        let mut names = Vec::new();
        let pointer_in = |space, to, names: Vec<String>| {
            let named = |to, name: String| Type::named(&name, to);
            let to = names.into_iter().rev().fold(to, named);
            Some(Type::pointer_in(space, to))
        };
        for _ in 0..MOST_NESTED {
            let Some(record) = self.record(id) else {
                return pointer_in(space, Type::Void, names);
            };
            match record.kind {
                kind::TYPE_TAG => {
                    if self.string(self.word(record.at)?)? == b"user" {
                        space = Space::User;
                    }
                }
                kind::TYPEDEF => names.push(self.name(record.at)?),
                kind::VOLATILE | kind::CONST | kind::RESTRICT => {}
                kind::STRUCT | kind::UNION if !self.string(self.word(record.at)?)?.is_empty() => {
                    let name = self.name(record.at)?;
                    let tag = Struct::declared(&name, record.kind == kind::UNION);
                    return pointer_in(space, Type::Struct(Arc::new(tag)), names);
                }
                _other => return pointer_in(space, self.whole(id, depth + 1)?, names),
            }
            id = record.size_or_type;
        }
        None
    }

    fn structure(&self, id: u32, record: Record, depth: u32) -> Option<Struct> {
        let mut name = self.name(record.at)?;
        if name.is_empty() {
            name = Struct::anonymous_name(usize::try_from(id).ok()?);
        }
        let mut members = Vec::with_capacity(record.count);
        let mut align = 1;
        for index in 0..record.count {
            let at = record.at + 12 + 12 * index;
            let ty = self.whole(self.word(at + 4)?, depth + 1)?;
            align = align.max(ty.align());
            members.push(self.member(at, ty, record.flag)?);
        }
        Some(Struct {
            name,
            union: record.kind == kind::UNION,
            size: record.size_or_type,
            align,
            members,
            kernel: true,
        })
    }

    /// The member at `at`; with `bit_fields` its offset has a width in the upper byte.
    fn member(&self, at: usize, ty: Type, bit_fields: bool) -> Option<Member> {
        let offset = self.word(at + 8)?;
        let (offset, width) = if bit_fields {
            (offset & 0x00ff_ffff, u8::try_from(offset >> 24).ok()?)
        } else {
            (offset, 0)
        };
        let name = self.name(at)?;
        let (offset, bits) = if let Type::Int(int) = ty.bare()
            && width > 0
        {
            let unit = u32::from(int.size) * 8;
            let first = u8::try_from(offset % unit).ok()?;
            (offset / unit * u32::from(int.size), Some((first, width)))
        } else {
            (offset / 8, None)
        };
        Some(Member {
            name,
            ty,
            offset,
            bits,
        })
    }
}

/// What has no type in D, as bytes.
fn bytes(size: u32) -> Type {
    Type::Array(Arc::new(Type::Int(Int::U8)), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct node { struct node *next; char __user *text; int a : 3; unsigned b : 5; char c[4]; }`,
    /// `typedef struct node node_t`, by hand.
    fn sample() -> Vec<u8> {
        let strings = b"\0node\0next\0text\0a\0b\0c\0int\0unsigned\0char\0user\0node_t\0";
        let at = |name: &str| {
            let name = [b"\0", name.as_bytes(), b"\0"].concat();
            let found = strings.windows(name.len()).position(|part| part == name);
            u32::try_from(found.unwrap() + 1).unwrap()
        };
        let types = [
            vec![at("int"), 1 << 24, 4, 1 << 24 | 32], // 1
            vec![at("unsigned"), 1 << 24, 4, 32],      // 2
            vec![at("char"), 1 << 24, 1, 1 << 24 | 8], // 3
            vec![0, 2 << 24, 7],                       // 4: struct node *
            vec![0, 2 << 24, 6],                       // 5: char __user *
            vec![at("user"), 18 << 24, 3],             // 6
            vec![
                at("node"),
                1 << 31 | 4 << 24 | 5,
                24,
                at("next"),
                4,
                0,
                at("text"),
                5,
                64,
                at("a"),
                1,
                3 << 24 | 128,
                at("b"),
                2,
                5 << 24 | 0x83,
                at("c"),
                8,
                160,
            ], // 7
            vec![0, 3 << 24, 0, 3, 1, 4],              // 8: char [4]
            vec![at("node_t"), 8 << 24, 7],            // 9
        ]
        .concat();
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut data = vec![0x9f, 0xeb, 1, 0];
        for length in [24, 0, types.len(), types.len(), strings.len()] {
            data.extend(u32::try_from(length).unwrap().to_le_bytes());
        }
        [data, types, strings.to_vec()].concat()
    }

    #[test]
    fn a_struct_has_its_members() {
        let types = Types::parse(sample()).unwrap();
        let found = types.find(NameKind::Typedef, "node_t").unwrap();
        assert_eq!(found.to_string(), "node_t");
        let Type::Struct(node) = found.bare() else {
            panic!("node_t is a struct");
        };
        let of = |name: &str| node.members.iter().find(|m| m.name == name).unwrap();
        assert_eq!((node.name.as_str(), node.size), ("node", 24));
        assert_eq!(of("next").ty.space(), Space::Kernel);
        assert_eq!(of("next").ty.to_string(), "struct node *");
        assert_eq!((of("text").ty.space(), of("text").offset), (Space::User, 8));
        assert_eq!((of("a").offset, of("a").bits), (16, Some((0, 3))));
        assert_eq!((of("b").offset, of("b").bits), (16, Some((3, 5))));
        assert_eq!(
            (of("c").offset, of("c").ty.to_string().as_str()),
            (20, "char [4]")
        );
        assert!(types.find(NameKind::Struct, "node").is_some());
        assert!(types.find(NameKind::Union, "node").is_none());
        assert!(types.find(NameKind::Struct, "nod").is_none());
    }

    #[test]
    fn damage_is_no_panic() {
        let whole = sample();
        for length in 0..whole.len() {
            if let Some(types) = Types::parse(whole[..length].to_vec()) {
                let _ = types.find(NameKind::Typedef, "node_t");
            }
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            if let Some(types) = Types::parse(damaged) {
                let _ = types.find(NameKind::Typedef, "node_t");
            }
        }
    }
}
