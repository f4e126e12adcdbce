//! D's types as the later stages need them: sizes, signs and what a value is.
//!
//! The data model is LP64 little-endian, the only one that rdtrace's targets have. A type names
//! what the compiler and the output do with a value; the spelling in the source (typedefs, enum
//! names) is kept only where printing the program back needs it.

use std::fmt;
use std::sync::Arc;

use crate::symbol::Symbol;

/// An integer type: how many bytes a value has and whether it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Int {
    /// Size in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether values are two's complement.
    pub signed: bool,
}

impl Int {
    /// `char`, D's `int8_t`.
    pub const I8: Self = Self {
        size: 1,
        signed: true,
    };
    /// `short`, D's `int16_t`.
    pub const I16: Self = Self {
        size: 2,
        signed: true,
    };
    /// `int`, the type that C's promotions lead to.
    pub const I32: Self = Self {
        size: 4,
        signed: true,
    };
    /// `int64_t`, also `long` and `long long`.
    pub const I64: Self = Self {
        size: 8,
        signed: true,
    };
    /// `unsigned char`.
    pub const U8: Self = Self {
        size: 1,
        signed: false,
    };
    /// `unsigned short`.
    pub const U16: Self = Self {
        size: 2,
        signed: false,
    };
    /// `unsigned int`.
    pub const U32: Self = Self {
        size: 4,
        signed: false,
    };
    /// `uint64_t`, also `size_t` and `uintptr_t`.
    pub const U64: Self = Self {
        size: 8,
        signed: false,
    };

    /// The type of a result whose operands have types `a` and `b`: the wider one, and of two that
    /// are equally wide the unsigned one. D does not promote `char` and `short` to `int`.
    #[must_use]
    pub const fn common(a: Self, b: Self) -> Self {
        if a.size < b.size {
            b
        } else if a.size > b.size {
            a
        } else {
            Self {
                size: a.size,
                signed: a.signed && b.signed,
            }
        }
    }

    /// Whether every value of this type is in the range of `other`.
    #[must_use]
    pub const fn fits(self, other: Self) -> bool {
        other.size == 8
            || (self.size == other.size && self.signed == other.signed)
            || (self.size < other.size && (other.signed || !self.signed))
    }

    /// Cuts `value` to this type and extends it again to 64 bits, by the sign if the type has
    /// one: what a variable of this type holds after `value` was stored in it.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cutting and reinterpreting is what this is for"
    )]
    pub const fn wrap(self, value: i64) -> i64 {
        match (self.size, self.signed) {
            (1, true) => value as i8 as i64,
            (1, false) => value as u8 as i64,
            (2, true) => value as i16 as i64,
            (2, false) => value as u16 as i64,
            (4, true) => value as i32 as i64,
            (4, false) => value as u32 as i64,
            _ => value,
        }
    }
}

/// The memory that a pointer points into, which decides how a load is made. Variables, and what
/// a program writes, have [`Space::Unknown`]; a cast from one pointer to another keeps the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Space {
    /// The traced program's memory.
    User,
    /// The kernel's memory.
    Kernel,
    /// Memory of ours: what `alloca` and `copyin` give, and variables. The only one that a
    /// program may store into.
    Scratch,
    /// None: the pointer leads to a struct that is nowhere in memory. Its value is what the translator
    /// of this number reads, and `check` puts the translator's expressions in the place of members.
    Translated(u16),
    /// An address tells at run time: one in the lower half of the address space is the traced
    /// program's, one in the upper half the kernel's or ours.
    #[default]
    Unknown,
}

/// The type of an expression, variable or probe argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// No value: the type of an action call.
    Void,
    /// An integer, an enumerator or a `char`.
    Int(Int),
    /// D's `string`: NUL-terminated bytes of at most `strsize`, the NUL included.
    String,
    /// A pointer: to what, and in which memory that is.
    Pointer(Arc<Type>, Space),
    /// An array inside a struct or behind a pointer: element type and count.
    Array(Arc<Type>, u32),
    /// A struct or union.
    Struct(Arc<Struct>),
    /// An address that shows as a name.
    Symbol(Symbol),
    /// A stack: the frames of a thread. Its value is a number that stands for them.
    Stack,
}

/// A struct or union type with its members laid out. As in C its tag is its identity: two with the
/// same tag are equal, also when one of them was seen before its definition and has no members.
#[derive(Debug)]
pub struct Struct {
    /// The tag, without `struct`; `check` gives one to each anonymous type.
    pub name: String,
    /// Whether it is a union.
    pub union: bool,
    /// Size in bytes, padding included.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
    /// The members in source order; none where only the tag is known.
    pub members: Vec<Member>,
    /// Whether the running kernel defined it, and not the program.
    pub kernel: bool,
}

impl Struct {
    /// A struct or union of which only the tag is known.
    #[must_use]
    pub fn declared(name: &str, union: bool) -> Self {
        Self {
            name: name.to_owned(),
            union,
            size: 0,
            align: 1,
            members: Vec::new(),
            kernel: false,
        }
    }
}

/// What a name of a type stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// `struct name`.
    Struct,
    /// `union name`.
    Union,
    /// `enum name`.
    Enum,
    /// A `typedef`'s name.
    Typedef,
}

/// The types of the running kernel, asked by name: only for names that a program uses and does
/// not define itself.
pub trait KernelTypes: fmt::Debug {
    /// The type of this name, with its members; `None` if the kernel has none.
    ///
    /// Structs that are behind a pointer may have only their tag, and are asked for when their
    /// members are wanted. Pointers are to kernel memory.
    fn find(&self, kind: NameKind, name: &str) -> Option<Type>;
}

/// No kernel type is known.
#[derive(Clone, Copy, Debug)]
pub struct NoKernelTypes;

impl KernelTypes for NoKernelTypes {
    fn find(&self, _kind: NameKind, _name: &str) -> Option<Type> {
        None
    }
}

impl PartialEq for Struct {
    fn eq(&self, other: &Self) -> bool {
        (self.union, &self.name) == (other.union, &other.name)
    }
}

impl Eq for Struct {}

impl std::hash::Hash for Struct {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.union, &self.name).hash(state);
    }
}

/// The tag of the struct that stands for Python's objects: one that no program can write, so that it
/// may have a `struct PyObject` of its own.
const PYTHON_OBJECT: &str = "Python object";

/// One member of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The name; empty for an anonymous struct or union member.
    pub name: String,
    /// The type.
    pub ty: Type,
    /// Byte offset in the struct.
    pub offset: u32,
    /// For a bit-field, its first bit from `offset` and its width in bits.
    pub bits: Option<(u8, u8)>,
}

impl Type {
    /// `int`.
    pub const INT: Self = Self::Int(Int::I32);
    /// `int64_t`.
    pub const I64: Self = Self::Int(Int::I64);
    /// `uint64_t`.
    pub const U64: Self = Self::Int(Int::U64);

    /// The address of a Python object in the traced program. Nothing is known of its members, which
    /// differ from version to version.
    #[must_use]
    pub fn python_object() -> Self {
        let object = Struct::declared(PYTHON_OBJECT, false);
        Self::pointer_in(Space::User, Self::Struct(Arc::new(object)))
    }

    /// Whether this is the address of a Python object.
    #[must_use]
    pub fn is_python_object(&self) -> bool {
        matches!(self, Self::Pointer(to, _) if matches!(&**to, Self::Struct(s) if s.name == PYTHON_OBJECT))
    }

    /// A pointer to `to`, in memory of which nothing is known.
    #[must_use]
    pub fn pointer_to(to: Self) -> Self {
        Self::pointer_in(Space::Unknown, to)
    }

    /// A pointer to `to` in the memory `space`.
    #[must_use]
    pub fn pointer_in(space: Space, to: Self) -> Self {
        Self::Pointer(Arc::new(to), space)
    }

    /// The memory that a pointer points into; of any other type nothing is known.
    #[must_use]
    pub fn space(&self) -> Space {
        match self {
            Self::Pointer(_, space) => *space,
            Self::Void
            | Self::Int(_)
            | Self::String
            | Self::Array(..)
            | Self::Struct(_)
            | Self::Symbol(_)
            | Self::Stack => Space::Unknown,
        }
    }

    /// A pointer's type with the memory given; any other type as it is.
    #[must_use]
    pub fn in_space(self, space: Space) -> Self {
        if let Self::Pointer(to, _) = self {
            Self::Pointer(to, space)
        } else {
            self
        }
    }

    /// Size in bytes of a stored value; a string's is `strsize`.
    #[must_use]
    pub fn size(&self, strsize: u32) -> u32 {
        match self {
            Self::Void => 0,
            Self::Int(int) => u32::from(int.size),
            Self::String => strsize,
            Self::Pointer(..) | Self::Symbol(_) | Self::Stack => 8,
            Self::Array(of, count) => of.size(strsize) * count,
            Self::Struct(s) => s.size,
        }
    }

    /// The integer that holds a value of this type in a register: itself for integers, `uint64_t`
    /// for pointers and arrays (their address), symbols and stacks; `None` for what no register holds.
    #[must_use]
    pub fn as_int(&self) -> Option<Int> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Pointer(..) | Self::Array(..) | Self::Symbol(_) | Self::Stack => Some(Int::U64),
            Self::Void | Self::String | Self::Struct(_) => None,
        }
    }

    /// Whether this is an integer or a pointer, which is what a predicate must be.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Pointer(..))
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.size, self.signed) {
            (1, true) => "char",
            (1, false) => "uint8_t",
            (2, true) => "short",
            (2, false) => "uint16_t",
            (4, true) => "int",
            (4, false) => "uint32_t",
            (_, true) => "int64_t",
            (_, false) => "uint64_t",
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Void => f.write_str("void"),
            Self::Int(int) => int.fmt(f),
            Self::String => f.write_str("string"),
            Self::Pointer(to, _) => write!(f, "{to} *"),
            Self::Array(of, count) => write!(f, "{of} [{count}]"),
            Self::Struct(s) if s.name == PYTHON_OBJECT => f.write_str("PyObject"),
            Self::Struct(s) if s.union => write!(f, "union {}", s.name),
            Self::Struct(s) => write!(f, "struct {}", s.name),
            // libdtrace's names for them.
            Self::Symbol(symbol) if symbol.is_user() => f.write_str("_usymaddr"),
            Self::Symbol(_) => f.write_str("_symaddr"),
            Self::Stack => f.write_str("dt_stack_t"),
        }
    }
}
