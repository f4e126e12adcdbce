//! D's types as the later stages need them: sizes, signs and what a value is.
//!
//! The data model is LP64 little-endian, the only one that rdtrace's targets have. A type names
//! what the compiler and the output do with a value; the spelling in the source (typedefs, enum
//! names) is kept only where printing the program back needs it.

use std::fmt::{self, Write as _};
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
///
/// Two types are equal also where they go by different names.
#[derive(Clone)]
pub enum Type {
    /// No value: the type of an action call.
    Void,
    /// An integer, an enumerator or a `char`.
    Int(Int),
    /// A `float` of 4 bytes, a `double` of 8, a `long double` of 16. Its value is kept as its bits, and D
    /// only moves and shows it.
    Float(u8),
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
    /// A type under a name. It stands inside of other types only: behind a pointer, in an array, as the
    /// type of a member. An expression has the type itself ([`Type::bare`]).
    Named(Arc<Named>),
}

/// A type with the name that it goes by, which decides how it shows and nothing else.
#[derive(Debug)]
pub struct Named {
    /// The name: a `typedef`'s, `enum` and a tag, or C's words for an integer (`unsigned long`).
    pub name: String,
    /// The type.
    pub ty: Type,
    /// The names of its values, of an enumeration.
    pub enumerators: Vec<(String, i64)>,
    /// Whether it is a function, of which nothing but its address can be had. The name is that of a pointer
    /// to it, as C writes it: `int (*)(char)`.
    pub is_function: bool,
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self.bare(), other.bare()) {
            (Self::Void, Self::Void)
            | (Self::String, Self::String)
            | (Self::Stack, Self::Stack) => true,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Pointer(a, x), Self::Pointer(b, y)) => (a, x) == (b, y),
            (Self::Array(a, x), Self::Array(b, y)) => (a, x) == (b, y),
            (Self::Struct(a), Self::Struct(b)) => a == b,
            (Self::Symbol(a), Self::Symbol(b)) => a == b,
            _of_two_kinds => false,
        }
    }
}

impl Eq for Type {}

impl std::hash::Hash for Type {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let bare = self.bare();
        std::mem::discriminant(bare).hash(state);
        match bare {
            Self::Int(int) => int.hash(state),
            Self::Float(size) => size.hash(state),
            Self::Pointer(to, space) => (to, space).hash(state),
            Self::Array(of, count) => (of, count).hash(state),
            Self::Struct(s) => s.hash(state),
            Self::Symbol(symbol) => symbol.hash(state),
            Self::Void | Self::String | Self::Stack | Self::Named(_) => {}
        }
    }
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

/// The beginning of the names of structs without a tag; a number follows.
const ANONYMOUS: &str = "anonymous_";

impl Struct {
    /// The name of the struct without a tag that has this number.
    #[must_use]
    pub fn anonymous_name(number: usize) -> String {
        format!("{ANONYMOUS}{number}")
    }

    /// The tag, if it has one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        let number = self.name.strip_prefix(ANONYMOUS);
        let is_anonymous = number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
        (!is_anonymous).then_some(&self.name)
    }

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

    /// The address of a symbol; `module` is "vmlinux" for the kernel itself, and empty for wherever it is.
    fn symbol(&self, module: &str, name: &str) -> Option<u64>;
}

/// No kernel type is known.
#[derive(Clone, Copy, Debug)]
pub struct NoKernelTypes;

impl KernelTypes for NoKernelTypes {
    fn find(&self, _kind: NameKind, _name: &str) -> Option<Type> {
        None
    }

    fn symbol(&self, _module: &str, _name: &str) -> Option<u64> {
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

    /// `ty` under a name.
    #[must_use]
    pub fn named(name: &str, ty: Self) -> Self {
        Self::enumeration(name, ty, Vec::new())
    }

    /// An enumeration: an integer whose values have names.
    #[must_use]
    pub fn enumeration(name: &str, ty: Self, enumerators: Vec<(String, i64)>) -> Self {
        Self::Named(Arc::new(Named {
            name: name.to_owned(),
            ty,
            enumerators,
            is_function: false,
        }))
    }

    /// A function that gives `result`.
    #[must_use]
    pub fn function(result: &Self, parameters: &[Self]) -> Self {
        let parameters: Vec<String> = parameters.iter().map(ToString::to_string).collect();
        Self::Named(Arc::new(Named {
            name: format!("{result} (*)({})", parameters.join(", ")),
            ty: Self::Void,
            enumerators: Vec::new(),
            is_function: true,
        }))
    }

    /// Whether it is a function's, by whatever name it goes.
    #[must_use]
    pub fn is_function(&self) -> bool {
        let Self::Named(named) = self else {
            return false;
        };
        named.is_function || named.ty.is_function()
    }

    /// The type itself, whatever name it goes by.
    #[must_use]
    pub fn bare(&self) -> &Self {
        let mut ty = self;
        while let Self::Named(named) = ty {
            ty = &named.ty;
        }
        ty
    }

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
        matches!(self, Self::Pointer(to, _) if matches!(to.bare(), Self::Struct(s) if s.name == PYTHON_OBJECT))
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
        match self.bare() {
            Self::Pointer(_, space) => *space,
            Self::Void
            | Self::Int(_)
            | Self::Float(_)
            | Self::String
            | Self::Array(..)
            | Self::Struct(_)
            | Self::Symbol(_)
            | Self::Stack
            | Self::Named(_) => Space::Unknown,
        }
    }

    /// A pointer's type with the memory given; any other type as it is.
    #[must_use]
    pub fn in_space(self, space: Space) -> Self {
        if let Self::Pointer(to, _) = self.bare() {
            Self::Pointer(Arc::clone(to), space)
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
            Self::Float(size) => u32::from(*size),
            Self::String => strsize,
            Self::Pointer(..) | Self::Symbol(_) | Self::Stack => 8,
            Self::Array(of, count) => of.size(strsize) * count,
            Self::Struct(s) => s.size,
            Self::Named(named) => named.ty.size(strsize),
        }
    }

    /// What the address of a stored value is a multiple of, as C lays it out.
    #[must_use]
    pub fn align(&self) -> u32 {
        match self {
            Self::Int(int) => int.size.into(),
            Self::Float(size) => u32::from(*size),
            Self::Pointer(..) | Self::Symbol(_) | Self::Stack => 8,
            Self::Array(of, _) => of.align(),
            Self::Named(named) => named.ty.align(),
            Self::Struct(s) => s.align,
            Self::Void | Self::String => 1,
        }
    }

    /// The integer that holds a value of this type in a register: itself for integers, `uint64_t`
    /// for pointers and arrays (their address), symbols and stacks, the bits of a floating-point number;
    /// `None` for what no register holds.
    #[must_use]
    pub fn as_int(&self) -> Option<Int> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Float(4) => Some(Int::U32),
            Self::Float(8) => Some(Int::U64),
            Self::Pointer(..) | Self::Array(..) | Self::Symbol(_) | Self::Stack => Some(Int::U64),
            Self::Void | Self::Float(_) | Self::String | Self::Struct(_) => None,
            Self::Named(named) => named.ty.as_int(),
        }
    }

    /// Whether this is an integer or a pointer, which is what a predicate must be.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        matches!(self.bare(), Self::Int(_) | Self::Pointer(..))
    }
}

/// The type itself, without the name that it goes by.
impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Void => f.write_str("Void"),
            Self::Int(int) => f.debug_tuple("Int").field(int).finish(),
            Self::Float(size) => f.debug_tuple("Float").field(size).finish(),
            Self::String => f.write_str("String"),
            Self::Pointer(to, space) => f.debug_tuple("Pointer").field(to).field(space).finish(),
            Self::Array(of, count) => f.debug_tuple("Array").field(of).field(count).finish(),
            Self::Struct(s) => f.debug_tuple("Struct").field(s).finish(),
            Self::Symbol(symbol) => f.debug_tuple("Symbol").field(symbol).finish(),
            Self::Stack => f.write_str("Stack"),
            Self::Named(named) => fmt::Debug::fmt(&named.ty, f),
        }
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
            Self::Float(4) => f.write_str("float"),
            Self::Float(8) => f.write_str("double"),
            Self::Float(_) => f.write_str("long double"),
            Self::String => f.write_str("string"),
            Self::Pointer(to, _) if matches!(&**to, Self::Named(named) if named.is_function) => {
                write!(f, "{to}")
            }
            Self::Pointer(to, _) if matches!(**to, Self::Pointer(..)) => write!(f, "{to}*"),
            Self::Pointer(to, _) => write!(f, "{to} *"),
            Self::Array(..) => {
                let (mut of, mut counts) = (self, String::new());
                while let Self::Array(inner, count) = of {
                    write!(counts, "[{count}]")?;
                    of = inner;
                }
                let of = of.to_string();
                let space = if of.ends_with('*') { "" } else { " " };
                write!(f, "{of}{space}{counts}")
            }
            Self::Struct(s) if s.name == PYTHON_OBJECT => f.write_str("PyObject"),
            Self::Struct(s) => {
                let kind = if s.union { "union" } else { "struct" };
                match s.tag() {
                    Some(tag) => write!(f, "{kind} {tag}"),
                    None => f.write_str(kind),
                }
            }
            // libdtrace's names for them.
            Self::Symbol(symbol) if symbol.is_user() => f.write_str("_usymaddr"),
            Self::Symbol(_) => f.write_str("_symaddr"),
            Self::Stack => f.write_str("dt_stack_t"),
            Self::Named(named) => f.write_str(&named.name),
        }
    }
}
