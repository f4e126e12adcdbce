//! `print()`: memory by its type, with the names that its members have.
//!
//! As in libdtrace what is 0 is left out of structs and arrays, and a `char` array ends at its first NUL.
//! The layout to the byte:
//!
//! ```text
//! 0xffff888122488d50 = *
//!                                             (struct s) {
//!                                              .a = (int)1,
//!                                              .n = (char [4]) [
//!                                               (char)'B',
//!                                              ],
//!                                             }
//! ```

use std::io::Write as _;

use dlang::types::{Int, Member, Struct, Type};

use super::convert::{self, Style};
use super::decode;
use super::event::Object;

/// The columns before the outermost type.
const INDENT: usize = 44;

/// What is in some memory.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Its type, under the name that it goes by.
    pub(super) ty: &'a Type,
    pub(super) content: Content<'a>,
}

/// The same without its type.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// An integer of this type.
    Number(i64, Int),
    Char(u8),
    /// A value of an enumeration that has a name.
    Name(&'a str),
    Pointer(u64),
    Float(f64),
    /// The members that are not 0, by their names; those without a name have the empty one.
    Members(Vec<(&'a str, Node<'a>)>, Rest),
    /// The elements that are not 0.
    Elements(Vec<Node<'a>>, Rest),
    /// What has no value that could be shown.
    Nothing,
}

/// Whether there is more that was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    None,
    CutOff,
}

impl<'a> Object<'a> {
    /// All that is recorded of it.
    pub(super) fn node(&self) -> Node<'a> {
        let memory = Memory(self.memory);
        node(self.ty, memory, None)
    }

    /// As `print` shows it.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = writeln!(out, "{:#x} = *", self.address);
        begin(out, INDENT);
        let node = self.node();
        put(out, &node, INDENT);
        // All but a struct ends as a member does.
        if !matches!(node.content, Content::Members(..)) {
            out.push(b',');
        }
        out.push(b'\n');
    }
}

/// Memory that may have been cut off. What lies beyond reads as zeros.
#[derive(Clone, Copy)]
struct Memory<'a>(&'a [u8]);

impl Memory<'_> {
    fn part(self, offset: u32, size: u32) -> Self {
        let start = usize::try_from(offset).map_or(self.0.len(), |at| at.min(self.0.len()));
        let rest = &self.0[start..];
        let size = usize::try_from(size).map_or(rest.len(), |size| size.min(rest.len()));
        Self(&rest[..size])
    }

    fn begins_before_the_end(self, offset: u32) -> bool {
        usize::try_from(offset).is_ok_and(|offset| offset < self.0.len())
    }

    fn is_zero(self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    fn int(self, int: Int) -> i64 {
        let mut bytes = [0; 8];
        let size = usize::from(int.size).min(self.0.len());
        bytes[..size].copy_from_slice(&self.0[..size]);
        decode::int(&bytes, 0, int).unwrap_or_default()
    }
}

fn node<'a>(ty: &'a Type, memory: Memory<'a>, bits: Option<(u8, u8)>) -> Node<'a> {
    let content = match ty.bare() {
        Type::Int(int) => number(
            ty,
            *int,
            bits.map_or_else(
                || memory.int(*int),
                |bits| bit_field(memory.int(*int), *int, bits),
            ),
        ),
        Type::Pointer(..) => Content::Pointer(memory.int(Int::U64).cast_unsigned()),
        Type::Struct(s) => members(s, memory),
        Type::Array(of, count) => elements(of, *count, memory),
        Type::Float(4) => Content::Float(convert::float(memory.int(Int::U32), Int::U32)),
        Type::Float(8) => Content::Float(convert::float(memory.int(Int::U64), Int::U64)),
        Type::String => elements(
            &CHAR,
            u32::try_from(memory.0.len()).unwrap_or(u32::MAX),
            memory,
        ),
        Type::Void | Type::Float(_) | Type::Symbol(_) | Type::Stack | Type::Named(_) => {
            Content::Nothing
        }
    };
    Node { ty, content }
}

/// What a string is made of.
static CHAR: Type = Type::Int(Int::I8);

/// The value of a bit-field in the unit that holds it.
fn bit_field(unit: i64, int: Int, (first, bits): (u8, u8)) -> i64 {
    let unused = 64_u32.saturating_sub(u32::from(bits));
    let shifted = (unit.cast_unsigned() >> first) << unused;
    if int.signed {
        shifted.cast_signed() >> unused
    } else {
        (shifted >> unused).cast_signed()
    }
}

fn number(ty: &Type, int: Int, value: i64) -> Content<'_> {
    let mut ty = ty;
    let mut name = None;
    while let Type::Named(named) = ty {
        let is = |(_, known): &&(String, i64)| *known == value;
        if let Some((known, _)) = named.enumerators.iter().find(is) {
            return Content::Name(known);
        }
        name = Some(named.name.as_str());
        ty = &named.ty;
    }
    match value.to_le_bytes() {
        // `int8_t` is a number.
        [byte, ..] if int.size == 1 && name.map_or(int.signed, |name| name == "char") => {
            Content::Char(byte)
        }
        _ => Content::Number(value, int),
    }
}

fn members<'a>(s: &'a Struct, memory: Memory<'a>) -> Content<'a> {
    let mut shown = Vec::new();
    for member in &s.members {
        if !memory.begins_before_the_end(member.offset) {
            return Content::Members(shown, Rest::CutOff);
        }
        let part = memory.part(member.offset, member.ty.size(0));
        let is_zero = if let (Some(bits), Type::Int(int)) = (member.bits, member.ty.bare()) {
            bit_field(part.int(*int), *int, bits) == 0
        } else {
            part.is_zero()
        };
        if !is_zero {
            let Member { name, ty, bits, .. } = member;
            shown.push((name.as_str(), node(ty, part, *bits)));
        }
    }
    Content::Members(shown, Rest::None)
}

fn elements<'a>(of: &'a Type, count: u32, memory: Memory<'a>) -> Content<'a> {
    let size = of.size(0);
    let mut shown = Vec::new();
    for index in 0..count {
        let offset = index.saturating_mul(size);
        if !memory.begins_before_the_end(offset) {
            return Content::Elements(shown, Rest::CutOff);
        }
        let part = memory.part(offset, size);
        let element = node(of, part, None);
        if !part.is_zero() {
            shown.push(element);
        } else if matches!(element.content, Content::Char(_)) {
            break;
        }
    }
    Content::Elements(shown, Rest::None)
}

fn put(out: &mut Vec<u8>, node: &Node<'_>, indent: usize) {
    let Node { ty, content } = node;
    // Writing to a vector cannot fail.
    let _ = write!(out, "({ty})");
    match content {
        Content::Number(value, int) if int.signed => {
            let _ = write!(out, "{value}");
        }
        Content::Number(value, _) => {
            let _ = write!(out, "{}", value.cast_unsigned());
        }
        Content::Char(byte) => {
            out.extend([b'\'', *byte, b'\'']);
        }
        Content::Float(value) => convert::put_float(out, *value, 'f', Style::default()),
        Content::Name(name) => out.extend_from_slice(name.as_bytes()),
        Content::Pointer(address) => {
            let _ = write!(out, "{address:#x}");
        }
        Content::Members(members, rest) => {
            out.extend_from_slice(b" {\n");
            for (name, member) in members {
                begin(out, indent + 1);
                if !name.is_empty() {
                    let _ = write!(out, ".{name} = ");
                }
                put(out, member, indent + 1);
                out.extend_from_slice(b",\n");
            }
            end(out, *rest, b'}', indent);
        }
        Content::Elements(elements, rest) => {
            out.extend_from_slice(b" [\n");
            for element in elements {
                begin(out, indent + 1);
                put(out, element, indent + 1);
                out.extend_from_slice(b",\n");
            }
            end(out, *rest, b']', indent);
        }
        Content::Nothing => {}
    }
}

fn begin(out: &mut Vec<u8>, indent: usize) {
    out.extend(std::iter::repeat_n(b' ', indent));
}

fn end(out: &mut Vec<u8>, rest: Rest, bracket: u8, indent: usize) {
    if rest == Rest::CutOff {
        begin(out, indent + 1);
        out.extend_from_slice(b"...\n");
    }
    begin(out, indent);
    out.push(bracket);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn member(name: &str, ty: Type, offset: u32, bits: Option<(u8, u8)>) -> Member {
        Member {
            name: name.to_owned(),
            ty,
            offset,
            bits,
        }
    }

    fn structure(name: &str, size: u32, members: Vec<Member>) -> Type {
        Type::Struct(Arc::new(Struct {
            size,
            members,
            ..Struct::declared(name, false)
        }))
    }

    /// What shows of `memory`, without indentation.
    fn shown(ty: &Type, memory: &[u8]) -> String {
        let object = Object {
            address: 16,
            memory,
            ty,
        };
        let mut out = Vec::new();
        object.put(&mut out);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        assert_eq!(lines[0], "0x10 = *");
        lines[1..].join(" ")
    }

    #[test]
    fn numbers_show_by_their_types() {
        let long = Type::named("unsigned long", Type::U64);
        let color = Type::enumeration("enum color", Type::INT, vec![("RED".into(), 3)]);
        let pid = Type::named("pid_t", Type::named("int", Type::INT));
        let cases: [(Type, &[u8], &str); 11] = [
            (Type::INT, &[0xff; 4], "(int)-1,"),
            (long, &[0xff; 8], "(unsigned long)18446744073709551615,"),
            (pid, &[7, 0, 0, 0], "(pid_t)7,"),
            (color.clone(), &[3, 0, 0, 0], "(enum color)RED,"),
            (color, &[4, 0, 0, 0], "(enum color)4,"),
            (Type::Int(Int::I8), b"x", "(char)'x',"),
            (Type::named("char", Type::Int(Int::U8)), b"x", "(char)'x',"),
            (
                Type::named("int8_t", Type::Int(Int::I8)),
                b"x",
                "(int8_t)120,",
            ),
            (
                Type::pointer_to(Type::INT),
                &[1, 2, 0, 0, 0, 0, 0, 0],
                "(int *)0x201,",
            ),
            (Type::Float(4), &[0, 0, 0xc0, 0xbf], "(float)-1.500000,"),
            (
                Type::Float(8),
                &[0, 0, 0, 0, 0, 0, 4, 0x40],
                "(double)2.500000,",
            ),
        ];
        for (ty, memory, text) in cases {
            assert_eq!(shown(&ty, memory), text);
        }
    }

    #[test]
    fn what_is_zero_is_left_out() {
        let bits = |name, first, bits| member(name, Type::INT, 0, Some((first, bits)));
        let text = Type::Array(Arc::new(Type::Int(Int::I8)), 4);
        let numbers = Type::Array(Arc::new(Type::Int(Int::I16)), 3);
        let ty = structure(
            "s",
            16,
            vec![
                bits("a", 0, 3),
                bits("b", 3, 5),
                bits("c", 8, 24),
                member("text", text, 4, None),
                member("numbers", numbers, 8, None),
                member("none", Type::Int(Int::I16), 14, None),
            ],
        );
        let memory = [0x2f, 0, 0, 0, b'h', 0, b'x', 0, 0, 0, 5, 0, 0, 0, 0, 0];
        assert_eq!(
            shown(&ty, &memory),
            "(struct s) { .a = (int)-1, .b = (int)5, .text = (char [4]) [ (char)'h', ], \
             .numbers = (short [3]) [ (short)5, ], }"
        );
        assert_eq!(shown(&ty, &[0; 16]), "(struct s) { }");
    }

    #[test]
    fn what_was_not_recorded_is_told() {
        let half = Type::Int(Int::I16);
        let inner = Type::Array(Arc::new(half.clone()), 4);
        let anonymous = structure(
            &Struct::anonymous_name(1),
            8,
            vec![member("in", inner, 0, None)],
        );
        let ty = structure(
            "s",
            12,
            vec![
                member("a", half.clone(), 0, None),
                member("", anonymous, 2, None),
                member("z", half, 10, None),
            ],
        );
        assert_eq!(
            shown(&ty, &[1, 0, 2, 0, 3, 0]),
            "(struct s) { .a = (short)1, (struct) { .in = (short [4]) [ (short)2, (short)3, ... ], }, ... }"
        );
        assert_eq!(shown(&ty, &[]), "(struct s) { ... }");
    }
}
