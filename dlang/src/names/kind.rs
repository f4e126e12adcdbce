//! What a name can be, and the prototypes of functions.

use std::sync::Arc;

use crate::aggregating::AggregatingName;
use crate::program::{Builtin, Subroutine};
use crate::symbol::Symbol;
use crate::types::{Int, Space, Struct, Type};

/// One of D's names.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The name as a program writes it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What a program's author may have to allow first.
    pub attributes: Attributes,
}

/// Why rdtrace does not run a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It could. The reason completes the sentence `NAME is not supported yet: `.
    Unsupported(&'static str),
    /// No Linux can do it: `DTrace` refuses the name in the same words.
    Impossible,
    /// The same for a subroutine, of which `DTrace` says it in other words.
    Unimplemented,
    /// `DTrace` for Linux does not know the name either, which other systems have. The reason is a hint.
    Unknown(&'static str),
}

/// What a name is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A variable.
    Variable(ValueType, Result<Variable, Lack>),
    /// A variable that is indexed: `args[0]`.
    Array(Result<Array, Lack>),
    /// A function that gives a value.
    Subroutine(Prototype, Result<Subroutine, Lack>),
    /// A function whose value is a short expression of what it reads in memory.
    Reading(Prototype, MemoryFunction),
    /// A function that is a statement.
    Action(Prototype, Result<ActionName, Lack>),
    /// A function whose value is assigned to an aggregation.
    Aggregating(Prototype, Result<AggregatingName, Lack>),
}

/// The functions of [`Kind::Reading`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the functions' names")]
pub enum MemoryFunction {
    DPath,
    InetNtoa,
    InetNtoa6,
    InetNtop,
    LinkNtop,
    MutexOwned,
    MutexOwner,
    MutexTypeAdaptive,
    MutexTypeSpin,
    RwReadHeld,
    RwWriteHeld,
    RwIswriter,
}

/// A variable without an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// One that a firing has, whatever the probe.
    Builtin(Builtin),
    /// `arg0` to `arg9`.
    Argument(u8),
    /// `NULL`.
    Null,
    /// `execargs`: the command line of the process.
    Execargs,
    /// `cwd` and `root`: a path of the process.
    Path(ProcessPath),
}

/// The paths that a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessPath {
    /// `cwd`: its working directory.
    WorkingDirectory,
    /// `root`: its root directory.
    Root,
}

/// An array that a firing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Array {
    /// `args`: the probe's arguments with their types.
    Args,
    /// `uregs`: the registers of the thread's program.
    Uregs,
}

/// The actions that rdtrace runs; [`crate::program::Action`] has their arguments as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the functions' names")]
pub enum ActionName {
    Trace,
    Printf,
    Printa,
    Exit,
    Clear,
    Trunc,
    Normalize,
    Denormalize,
    Tracemem,
    Print,
    Symbol(Symbol),
    Speculate,
    Commit,
    Discard,
    System,
    Freopen,
    Ftruncate,
    Setopt,
    Raise,
    Stop,
    Copyout,
    Copyoutstr,
    Return,
}

/// What an action does beyond the program's own variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// It changes the traced system, so `-w` must allow it.
    pub destructive: bool,
    /// It leaves data in the record of its clause.
    pub records: bool,
}

/// A function's prototype.
#[derive(Clone, Copy, Debug)]
pub struct Prototype {
    /// The type of its value; [`ValueType::Void`] if it has none.
    pub result: ValueType,
    /// Its parameters; [`Takes::More`] can only be the last.
    pub parameters: &'static [Parameter],
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What may be passed.
    pub takes: Takes,
    /// Its type as libdtrace's messages show it.
    pub spelling: &'static str,
    /// Whether it may be left out, and with it all that follow.
    pub optional: bool,
}

/// What may be passed to a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A string, a `char *` or a `char` array.
    Str,
    /// What [`Takes::Str`] takes, or `NULL`.
    StrOrNull,
    /// An address: an integer or a pointer.
    Address,
    /// A pointer to anything, or an address as an integer.
    Memory,
    /// The address of memory that a program may store into: a pointer that may lead there.
    Scratch,
    /// An integer, converted to this type.
    Number(Int),
    /// An integer constant from the first to the second of these.
    Constant(i64, i64),
    /// What the function itself checks: an aggregation, or a value of any type.
    Any,
    /// Any number of further arguments, which the function itself checks.
    More,
}

/// The type of a variable or of a function's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// No value.
    Void,
    /// An integer.
    Int(Int),
    /// A string.
    String,
    /// `void *` to memory of ours.
    Scratch,
    /// `struct NAME *` to memory of the kernel.
    Kernel(&'static str),
    /// A stack.
    Stack,
    /// The address of a Python object in the traced program.
    PythonObject,
    /// Something that rdtrace has no type for.
    Other,
}

impl ValueType {
    /// The type as expressions have it.
    #[must_use]
    pub fn ty(self) -> Type {
        match self {
            Self::Void | Self::Other => Type::Void,
            Self::Stack => Type::Stack,
            Self::PythonObject => Type::python_object(),
            Self::Int(int) => Type::Int(int),
            Self::String => Type::String,
            Self::Scratch => Type::pointer_in(Space::Scratch, Type::Void),
            Self::Kernel(tag) => {
                let to = Type::Struct(Arc::new(Struct::declared(tag, false)));
                Type::pointer_in(Space::Kernel, to)
            }
        }
    }
}

impl Prototype {
    /// How many arguments must be passed.
    #[must_use]
    pub fn least(&self) -> usize {
        let required = |p: &&Parameter| !p.optional && p.takes != Takes::More;
        self.parameters.iter().take_while(required).count()
    }

    /// How many arguments can be passed; `None` if there is no limit.
    #[must_use]
    pub fn most(&self) -> Option<usize> {
        let open = self
            .parameters
            .last()
            .is_some_and(|p| p.takes == Takes::More);
        (!open).then_some(self.parameters.len())
    }
}

impl Kind {
    /// The prototype of a function.
    #[must_use]
    pub fn prototype(&self) -> Option<&Prototype> {
        match self {
            Self::Subroutine(prototype, _)
            | Self::Reading(prototype, _)
            | Self::Action(prototype, _)
            | Self::Aggregating(prototype, _) => Some(prototype),
            Self::Variable(..) | Self::Array(_) => None,
        }
    }

    /// Why rdtrace does not run it; `None` if it does.
    #[must_use]
    pub fn lack(&self) -> Option<Lack> {
        match self {
            Self::Variable(_, runs) => runs.err(),
            Self::Array(runs) => runs.err(),
            Self::Subroutine(_, runs) => runs.err(),
            Self::Reading(..) => None,
            Self::Action(_, runs) => runs.err(),
            Self::Aggregating(_, runs) => runs.err(),
        }
    }

    /// libdtrace's words for it.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Variable(..) => "scalar",
            Self::Array(_) => "associative array",
            Self::Subroutine(..) | Self::Reading(..) => "function",
            Self::Action(..) => "tracing function",
            Self::Aggregating(..) => "aggregating function",
        }
    }
}
