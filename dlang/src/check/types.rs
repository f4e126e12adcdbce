//! The types of a program: typedefs, tags, enumerators, and the layout of structs for LP64.
//!
//! A struct that points to itself has no finite type tree, so a pointer may lead to a struct that
//! has only a tag; [`TypeTable::complete`] finds its members when they are wanted. What the program
//! does not define, the running kernel is asked for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::tags::Tag;
use crate::types::{Int, KernelTypes, Member, NameKind, Struct, Type};

/// What the program's type names mean.
#[derive(Debug)]
pub(super) struct TypeTable<'k> {
    kernel: &'k dyn KernelTypes,
    typedefs: HashMap<String, Type>,
    /// The names of the program's own typedefs.
    own: HashSet<String>,
    tags: HashMap<String, Arc<Struct>>,
    /// The tags that the program is about to define.
    open: HashSet<String>,
    enumerators: HashMap<String, i64>,
    /// The program's own enumerations by their tags.
    enums: HashMap<String, Type>,
}

impl<'k> TypeTable<'k> {
    pub(super) fn new(kernel: &'k dyn KernelTypes) -> Self {
        let typedefs = STANDARD
            .iter()
            .flat_map(|(int, names)| {
                names
                    .iter()
                    .map(|name| ((*name).to_owned(), Type::named(name, Type::Int(*int))))
            })
            .chain([("caddr_t".to_owned(), Type::pointer_to(Type::Int(Int::I8)))])
            .collect();
        Self {
            kernel,
            typedefs,
            own: HashSet::new(),
            tags: HashMap::new(),
            open: HashSet::new(),
            enumerators: HashMap::new(),
            enums: HashMap::new(),
        }
    }

    pub(super) fn typedef(&self, name: &str) -> Option<&Type> {
        self.typedefs.get(name)
    }

    /// Whether the program itself has defined a typedef of this name.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.own.contains(name)
    }

    pub(super) fn typedef_names(&self) -> impl Iterator<Item = &str> {
        self.typedefs.keys().map(String::as_str)
    }

    /// Defines a typedef; false when it is defined already. Those of D itself can be defined again by a
    /// library.
    pub(super) fn define_typedef(&mut self, name: &str, ty: Type, in_library: bool) -> bool {
        let named = Type::named(name, ty);
        let known = self.typedefs.insert(name.to_owned(), named);
        self.own.insert(name.to_owned()) && (in_library || known.is_none())
    }

    pub(super) fn enumerator(&self, name: &str) -> Option<i64> {
        self.enumerators.get(name).copied()
    }

    /// Defines the tag of an enumeration, if it has one.
    pub(super) fn define_enum(&mut self, tag: &str, ty: &Type) {
        if !tag.is_empty() {
            self.enums.insert(tag.to_owned(), ty.clone());
        }
    }

    /// The program's own enumeration of this tag.
    pub(super) fn enumeration(&self, tag: &str) -> Option<&Type> {
        self.enums.get(tag)
    }

    pub(super) fn define_enumerator(&mut self, name: &str, value: i64) {
        self.enumerators.insert(name.to_owned(), value);
    }

    /// The struct or union of a tag; one without members when it is not defined.
    pub(super) fn tag(&self, name: &str, union: bool) -> Arc<Struct> {
        self.tags
            .get(&tag_key(name, union))
            .cloned()
            .unwrap_or_else(|| Arc::new(Struct::declared(name, union)))
    }

    /// A type of the running kernel, for which [`in_kernel`] has the name.
    pub(super) fn of_kernel(&self, kind: NameKind, name: &str) -> Option<Type> {
        self.kernel.find(kind, name)
    }

    /// The address of a symbol of the running kernel.
    pub(super) fn kernel_symbol(&self, module: &str, name: &str) -> Option<u64> {
        self.kernel.symbol(module, name)
    }

    /// A tag for a struct that has none.
    pub(super) fn fresh_tag(&self) -> String {
        Struct::anonymous_name(self.tags.len())
    }

    /// Notes that a definition of this tag has begun: until its end the type is incomplete, also if the
    /// kernel has one of this name.
    pub(super) fn open_tag(&mut self, name: &str, union: bool) {
        self.open.insert(tag_key(name, union));
    }

    /// Notes the end of a definition, good or bad.
    pub(super) fn close_tag(&mut self, name: &str, union: bool) {
        self.open.remove(&tag_key(name, union));
    }

    /// Defines a tag; false when it already has members.
    pub(super) fn define_tag(&mut self, defined: Arc<Struct>) -> bool {
        self.tags
            .insert(tag_key(&defined.name, defined.union), defined)
            .is_none()
    }

    /// The type with its members, under the name that it goes by.
    pub(super) fn with_members(&self, ty: &Type) -> Type {
        if let Type::Named(named) = ty {
            let of = self.with_members(&named.ty);
            return Type::enumeration(&named.name, of, named.enumerators.clone());
        }
        self.complete(ty)
    }

    /// The type itself, without the name that it goes by; with its members, if it is a struct whose tag
    /// was defined later.
    pub(super) fn complete(&self, ty: &Type) -> Type {
        let ty = ty.bare();
        let Type::Struct(s) = ty else {
            return ty.clone();
        };
        if !s.members.is_empty() || s.name.is_empty() {
            return ty.clone();
        }
        let own = self.tag(&s.name, s.union);
        if self.open.contains(&tag_key(&s.name, s.union)) {
            return Type::Struct(own);
        }
        let kind = if s.union {
            NameKind::Union
        } else {
            NameKind::Struct
        };
        let kernels = || self.of_kernel(kind, &s.name);
        let defined = (!own.members.is_empty()).then(|| Type::Struct(Arc::clone(&own)));
        defined.or_else(kernels).unwrap_or(Type::Struct(own))
    }
}

fn tag_key(name: &str, union: bool) -> String {
    format!("{} {name}", if union { "union" } else { "struct" })
}

/// Whether a type has no size yet (or never: `void`).
pub(super) fn is_incomplete(ty: &Type) -> bool {
    match ty {
        Type::Void => true,
        Type::Struct(s) => s.members.is_empty(),
        Type::Array(of, _) => is_incomplete(of),
        Type::Named(named) => is_incomplete(&named.ty),
        Type::Int(_)
        | Type::Float(_)
        | Type::String
        | Type::Pointer(..)
        | Type::Symbol(_)
        | Type::Stack => false,
    }
}

/// The type names that D itself defines.
const STANDARD: [(Int, &[&str]); 8] = [
    (Int::I8, &["int8_t"]),
    (Int::I16, &["int16_t"]),
    (
        Int::I32,
        &[
            "int32_t",
            "pid_t",
            "id_t",
            "key_t",
            "processorid_t",
            "psetid_t",
            "zoneid_t",
            "clockid_t",
        ],
    ),
    (
        Int::I64,
        &[
            "int64_t",
            "intptr_t",
            "ssize_t",
            "off_t",
            "offset_t",
            "hrtime_t",
            "longlong_t",
            "time_t",
            "clock_t",
            "ptrdiff_t",
            "intmax_t",
            "quad_t",
            "loff_t",
            "index_t",
        ],
    ),
    (Int::U8, &["uint8_t", "uchar_t", "u8", "__u8", "_Bool"]),
    (
        Int::U16,
        &["uint16_t", "ushort_t", "u16", "__u16", "umode_t"],
    ),
    (
        Int::U32,
        &[
            "uint32_t", "uint_t", "u32", "__u32", "uid_t", "gid_t", "mode_t", "gfp_t",
        ],
    ),
    (
        Int::U64,
        &[
            "uint64_t",
            "ulong_t",
            "u_longlong_t",
            "size_t",
            "uintptr_t",
            "u64",
            "__u64",
            "pc_t",
            "ino_t",
            "dev_t",
            "uintmax_t",
            "sector_t",
        ],
    ),
];

/// The type of `unsigned long` and the like, or libdtrace's error for words that do not go together.
pub(super) fn words_type(words: &[String]) -> Result<Type, (Tag, String)> {
    let count = |word: &str| words.iter().filter(|w| *w == word).count();
    let refuse = |tag, why: &str| Err((tag, format!("invalid type declaration: {why}")));
    let kinds = ["char", "double", "float", "int", "string", "void"];
    let named: Vec<&str> = kinds.into_iter().filter(|kind| count(kind) > 0).collect();
    let signs = count("signed") + count("unsigned");
    let is_both = count("signed") > 0 && count("unsigned") > 0;
    let (shorts, longs) = (count("short"), count("long"));
    if named.len() > 1 || named.iter().any(|kind| count(kind) > 1) {
        return Err((Tag::DeclCombo, "invalid type combination".to_owned()));
    }
    let named = named.first().copied().unwrap_or("int");
    match named {
        "void" if signs + shorts + longs > 0 => {
            return refuse(
                Tag::DeclVoidattr,
                "attributes may not be used with void type",
            );
        }
        "string" | "float" | "double" if signs > 0 => {
            return refuse(
                Tag::DeclSignint,
                "signed and unsigned may only be used with integer type",
            );
        }
        "char" if shorts + longs > 0 => {
            return refuse(
                Tag::DeclCharattr,
                "short and long may not be used with char type",
            );
        }
        "string" if shorts + longs > 0 => {
            return refuse(
                Tag::DeclLongint,
                "short and long may only be used with integer and floating-point types",
            );
        }
        _ => {}
    }
    let unknown = is_both
        || longs > 2
        || (shorts > 0 && longs > 0)
        || (named == "float" && longs > 0)
        || (matches!(named, "float" | "double") && (shorts > 0 || longs > 1));
    if unknown {
        // In this order in libdtrace, too.
        let sorted = ["signed", "unsigned", "short", "long"];
        let (mut attributes, others): (Vec<&str>, Vec<&str>) = words
            .iter()
            .map(String::as_str)
            .partition(|word| sorted.contains(word));
        attributes.sort_by_key(|word| sorted.iter().position(|known| known == word));
        let mut words = [attributes, others].concat().join(" ");
        if kinds.iter().all(|kind| count(kind) == 0) {
            words.push(' ');
        }
        let message = format!("failed to resolve type {words}: Unknown type name");
        return Err((Tag::Unknown, message));
    }
    let size = match named {
        "void" => return Ok(Type::Void),
        "string" => return Ok(Type::String),
        "float" => return Ok(Type::Float(4)),
        "double" => return Ok(Type::Float(if longs > 0 { 16 } else { 8 })),
        "char" => 1,
        _ if shorts > 0 => 2,
        _ if longs > 0 => 8,
        _ => 4,
    };
    let signed = count("unsigned") == 0;
    let name = match (named, shorts, longs) {
        ("int", 1, _) => "short",
        ("int", _, 1) => "long",
        ("int", _, 2) => "long long",
        (other, ..) => other,
    };
    let sign = if signed { "" } else { "unsigned " };
    let int = Type::Int(Int { size, signed });
    Ok(Type::named(&format!("{sign}{name}"), int))
}

/// libdtrace's error for words beside a struct, union or enumeration.
pub(super) fn mixed_words(words: &[String]) -> (Tag, &'static str) {
    let is_sign = |word: &String| matches!(word.as_str(), "signed" | "unsigned");
    let is_length = |word: &String| matches!(word.as_str(), "short" | "long");
    if !words.iter().all(|word| is_sign(word) || is_length(word)) {
        (Tag::DeclCombo, "invalid type combination")
    } else if words.iter().any(is_sign) {
        (
            Tag::DeclSignint,
            "invalid type declaration: signed and unsigned may only be used with integer type",
        )
    } else {
        (
            Tag::DeclLongint,
            "invalid type declaration: long and long long may only be used with integer or floating-point type",
        )
    }
}

/// Places members one after the other as a C compiler does on x86-64 and aarch64.
#[derive(Debug)]
pub(super) struct Layout {
    union: bool,
    /// Bits used so far.
    bits: u64,
    size: u64,
    align: u32,
    members: Vec<Member>,
}

impl Layout {
    pub(super) fn new(union: bool) -> Self {
        Self {
            union,
            bits: 0,
            size: 0,
            align: 1,
            members: Vec::new(),
        }
    }

    /// Adds a member of a complete type.
    pub(super) fn add(&mut self, name: &str, ty: Type, strsize: u32) {
        let align = ty.align();
        let size = u64::from(ty.size(strsize));
        self.align = self.align.max(align);
        let offset = if self.union {
            0
        } else {
            self.bits.div_ceil(8).next_multiple_of(align.into())
        };
        self.bits = (offset + size) * 8;
        self.size = self.size.max(offset + size);
        self.push(name, ty, offset, None);
    }

    /// Adds a bit-field: it shares the storage unit of its type with its neighbours if it fits.
    /// An unnamed one of no bits ends the unit.
    pub(super) fn add_bits(&mut self, name: &str, ty: Type, int: Int, width: u8) {
        let unit = u64::from(int.size) * 8;
        let start = if self.union { 0 } else { self.bits };
        if width == 0 {
            self.bits = start.next_multiple_of(unit);
            return;
        }
        let fits = start % unit + u64::from(width) <= unit;
        let start = if fits {
            start
        } else {
            start.next_multiple_of(unit)
        };
        self.bits = start + u64::from(width);
        self.size = self.size.max(self.bits.div_ceil(8));
        if name.is_empty() {
            return;
        }
        self.align = self.align.max(int.size.into());
        let first = u8::try_from(start % unit).unwrap_or(0);
        self.push(
            name,
            ty,
            start / unit * u64::from(int.size),
            Some((first, width)),
        );
    }

    /// Whether there is a member of this name already; those without a name do not count.
    pub(super) fn has(&self, name: &str) -> bool {
        !name.is_empty() && self.members.iter().any(|member| member.name == name)
    }

    fn push(&mut self, name: &str, ty: Type, offset: u64, bits: Option<(u8, u8)>) {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        self.members.push(Member {
            name: name.to_owned(),
            ty,
            offset,
            bits,
        });
    }

    /// The finished struct; `None` when it is too large.
    pub(super) fn finish(self, name: &str) -> Option<Struct> {
        let size = u32::try_from(self.size.next_multiple_of(self.align.into())).ok()?;
        let name = name.to_owned();
        (size <= i32::MAX.cast_unsigned()).then_some(Struct {
            name,
            union: self.union,
            size,
            align: self.align,
            members: self.members,
            kernel: false,
        })
    }
}

/// The name of a type in ``vmlinux`name``: one of the kernel's own.
pub(super) fn in_kernel(name: &str) -> Option<&str> {
    name.strip_prefix("vmlinux`")
}
