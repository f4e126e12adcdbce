//! What a D text says, before any name or type is known: the tree that `parse` gives and `check`
//! reads. Macro arguments are already in their place, and parentheses are gone.

use crate::diag::Span;
use crate::program::{BinaryOp, LogicOp, ProbeSpec, UnaryOp};

/// A parsed D program, of one or more sources in order.
#[derive(Clone, Debug, Default)]
pub struct Ast {
    /// What D libraries declare: inlines, types and translators, before all of the program.
    pub library: Vec<Item>,
    /// Clauses, declarations and definitions in program order.
    pub items: Vec<Item>,
    /// The `#pragma D` lines in order.
    pub pragmas: Vec<Pragma>,
}

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The identifier.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// `#pragma D word words...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pragma {
    /// `option`, `attributes`, `binding`, `depends_on`, `error`, `line`, ...
    pub word: String,
    /// The rest of the line.
    pub rest: String,
    /// The whole line.
    pub span: Span,
}

/// What stands at the outermost level.
#[derive(Clone, Debug)]
pub enum Item {
    /// Probe descriptions and what to do.
    Clause(Clause),
    /// `int x, *y;`, `self int z[int];`, `typedef ...;`, `struct s { ... };`.
    Declaration(Declaration),
    /// `inline int K = 7;`, `inline int f[int x] = x + 1;`.
    Inline(Inline),
    /// `translator out < in *p > { ... };`.
    Translator(Translator),
    /// `provider p { probe ...; };`.
    Provider(Provider),
}

/// A clause.
#[derive(Clone, Debug)]
pub struct Clause {
    /// The probe descriptions, macros expanded, fields right-aligned.
    pub probes: Vec<ProbeSpec>,
    /// The predicate.
    pub predicate: Option<Expr>,
    /// The statements; none for `{}` and for a clause without a body.
    pub body: Vec<Stmt>,
    /// The probe descriptions.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it says.
    pub kind: StmtKind,
    /// Its place, without the semicolon.
    pub span: Span,
}

/// The kinds of statement.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// An expression, an action call or an aggregation.
    Expr(Expr),
    /// `{ ... }`.
    Block(Vec<Stmt>),
    /// `if (cond) then else otherwise`.
    If {
        /// The condition.
        cond: Expr,
        /// What runs when it is not zero.
        then: Vec<Stmt>,
        /// What runs when it is zero.
        otherwise: Vec<Stmt>,
    },
}

/// `specifiers declarator, ...;`.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Storage class and type.
    pub specifiers: Specifiers,
    /// The declared names; none in `struct s { ... };`.
    pub declarators: Vec<Declarator>,
    /// The whole declaration.
    pub span: Span,
}

/// `inline type name[parameters] = body;`.
#[derive(Clone, Debug)]
pub struct Inline {
    /// The type; pointers before the name are in `pointers`.
    pub specifiers: Specifiers,
    /// How many `*` stand before the name.
    pub pointers: u8,
    /// The name.
    pub name: Name,
    /// The parameters; `None` for a plain inline.
    pub parameters: Option<Vec<Parameter>>,
    /// Whether `...` follows the parameters, which no inline may have.
    pub variadic: bool,
    /// Whether it is written as an array of some size, which no inline may be.
    pub sized: bool,
    /// What it stands for.
    pub body: Expr,
    /// The whole definition.
    pub span: Span,
}

/// `translator output < input > { member = expr; ... };`.
#[derive(Clone, Debug)]
pub struct Translator {
    /// The type it makes.
    pub output: TypeName,
    /// The type it reads.
    pub input: Specifiers,
    /// The name of what it reads.
    pub parameter: Declarator,
    /// The members it defines.
    pub members: Vec<(Name, Expr)>,
    /// The whole definition.
    pub span: Span,
}

/// `provider name { probe name(args) : (args); ... };`.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The provider.
    pub name: Name,
    /// Its probes.
    pub probes: Vec<ProviderProbe>,
    /// The whole definition.
    pub span: Span,
}

/// `probe name(args) : (args);` of a provider definition.
#[derive(Clone, Debug)]
pub struct ProviderProbe {
    /// The name, with `__` for each `-`.
    pub name: Name,
    /// What the program gives to the probe: its input prototype.
    pub input: Prototype,
    /// What `args[]` are, where it is not the same: its output prototype.
    pub output: Option<Prototype>,
}

/// The parameters of a probe.
#[derive(Clone, Debug)]
pub struct Prototype {
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
    /// Whether `...` stands behind them.
    pub variadic: bool,
    /// All of it, with its parentheses.
    pub span: Span,
}

/// What stands before a declarator: storage classes, qualifiers and a type.
#[derive(Clone, Debug)]
pub struct Specifiers {
    /// `self`, `this`, `typedef`, `const`, ... as written.
    pub qualifiers: Vec<Name>,
    /// The type.
    pub base: BaseType,
    /// Where it stands.
    pub span: Span,
}

/// A type without its declarator.
#[derive(Clone, Debug)]
pub enum BaseType {
    /// `unsigned long`, `string`, `void`: the words as written.
    Words(Vec<String>),
    /// A typedef name, perhaps with a module: `` mod`name ``.
    Named(String),
    /// `struct tag { ... }` or `union`; the members are there when it is a definition.
    Struct {
        /// Whether it is a union.
        union: bool,
        /// The tag; empty when anonymous.
        tag: String,
        /// The members.
        members: Option<Vec<MemberDecl>>,
    },
    /// `enum tag { ... }`.
    Enum {
        /// The tag; empty when anonymous.
        tag: String,
        /// The enumerators with their values.
        enumerators: Option<Vec<(Name, Option<Expr>)>>,
    },
    /// `long struct tag`: words beside a tag, which no type has.
    Mixed(Vec<String>),
}

/// One line of a struct: a type and the members of it.
#[derive(Clone, Debug)]
pub struct MemberDecl {
    /// The type.
    pub specifiers: Specifiers,
    /// The members, each with the width of a bit-field. No declarator for an unnamed bit-field.
    pub declarators: Vec<(Option<Declarator>, Option<Expr>)>,
}

/// What stands around a name in a declaration, inside out: `*x[3]` is x, array of 3, pointer.
#[derive(Clone, Debug, Default)]
pub struct Declarator {
    /// The name; `None` in a type name.
    pub name: Option<Name>,
    /// From the name outwards.
    pub parts: Vec<DeclaratorPart>,
    /// Where it stands.
    pub span: Span,
}

/// One step of a declarator.
#[derive(Clone, Debug)]
pub enum DeclaratorPart {
    /// `*`.
    Pointer,
    /// `[]` or `[size]`.
    Array(Option<Expr>),
    /// `[type, ...]`: an associative array. A lone name may also be an array's size: only the
    /// checker knows what it names.
    Keys(Vec<TypeName>),
    /// `[type, ...]` with the three dots, which no array may have.
    OpenKeys,
    /// `(parameters)`.
    Function(Vec<Parameter>),
}

/// A parameter of a function, a probe or an inline.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The type.
    pub specifiers: Specifiers,
    /// The rest of the type and the name, if there is one.
    pub declarator: Declarator,
}

/// A type as in a cast.
#[derive(Clone, Debug)]
pub struct TypeName {
    /// The type.
    pub specifiers: Specifiers,
    /// The rest of it, without a name.
    pub declarator: Declarator,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// An integer constant with its suffixes.
    Int {
        /// The value.
        value: u64,
        /// Whether it has the suffix `u`, or is hexadecimal or octal.
        unsigned: IntSign,
        /// Whether it has the suffix `l`.
        long: bool,
    },
    /// A character constant's value, an `int`.
    Char(i64),
    /// A string literal, escapes resolved.
    Str(Vec<u8>),
    /// A name: variable, built-in, inline or enumerator.
    Ident(String),
    /// `self->name`.
    SelfVar(Name),
    /// `this->name`.
    ThisVar(Name),
    /// `` module`name ``.
    Kernel(String),
    /// `@name`; a bare `@` is `@_`.
    Aggregation(String),
    /// `name(arguments)`.
    Call(Name, Vec<Expr>),
    /// `base[arguments]`.
    Index(Box<Expr>, Vec<Expr>),
    /// `base.name`, or `base->name` with the flag.
    Member(Box<Expr>, Name, bool),
    /// `-e`, `~e`, `!e`.
    Unary(UnaryOp, Box<Expr>),
    /// `+e`.
    Plus(Box<Expr>),
    /// `*e`.
    Indirect(Box<Expr>),
    /// `&e`.
    Address(Box<Expr>),
    /// `stringof e`.
    Stringof(Box<Expr>),
    /// `++e`, `e--` and the like.
    Step {
        /// What is changed.
        target: Box<Expr>,
        /// Whether it goes up.
        up: bool,
        /// Whether the operator stands after it.
        post: bool,
    },
    /// Two operands and an operator.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `&&`, `||`, `^^`.
    Logic(LogicOp, Box<Expr>, Box<Expr>),
    /// `=` and the like.
    Assign(Option<BinaryOp>, Box<Expr>, Box<Expr>),
    /// `cond ? then : otherwise`.
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `a, b`.
    Comma(Box<Expr>, Box<Expr>),
    /// `(type) e`.
    Cast(Box<TypeName>, Box<Expr>),
    /// `sizeof (type)`.
    SizeofType(Box<TypeName>),
    /// `sizeof e`.
    Sizeof(Box<Expr>),
    /// `offsetof (type, member.member)`.
    Offsetof(Box<TypeName>, Vec<Name>),
    /// `xlate <type> (e)`.
    Xlate(Box<TypeName>, Box<Expr>),
}

/// What an integer constant's text says about its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntSign {
    /// A decimal without suffix: signed, whatever it takes.
    Signed,
    /// Hexadecimal or octal without suffix: unsigned where the signed type is too small.
    Either,
    /// The suffix `u`.
    Unsigned,
}
