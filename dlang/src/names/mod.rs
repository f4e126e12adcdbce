//! D's own names: variables, subroutines, actions and aggregating functions, those too that
//! rdtrace knows but does not run. [`TABLE`] has one row for each.
//!
//! A row says what the name is, and for a function its prototype: the types of its parameters and
//! of its value. The checker counts and converts arguments by the prototype, messages suggest names
//! from the table, a checked program is printed with its names, and the tests that make random
//! programs call what it lists. So a subroutine is one row here, its meaning in [`crate::eval`] and
//! its code in `predicates`.
//!
//! The prototypes are those of libdtrace's identifier table (`DTrace` 2.0.7), so that a wrong call
//! is the same error in both, also of a function that rdtrace does not run.

mod near;
mod table;

use std::sync::Arc;

pub use crate::aggregating::{AggregatingName, aggregating_name};
use crate::program::{Builtin, Subroutine};
use crate::symbol::Symbol;
use crate::types::{Int, Space, Struct, Type};

pub(crate) use near::nearest;
pub use table::TABLE;

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
}

/// An array that a firing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Array {
    /// `args`: the probe's arguments with their types.
    Args,
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
            Self::Array(_) => "array",
            Self::Subroutine(..) | Self::Reading(..) => "function",
            Self::Action(..) => "tracing function",
            Self::Aggregating(..) => "aggregating function",
        }
    }
}

/// The row of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Name> {
    TABLE.iter().find(|row| row.name == name)
}

/// What a name is as a function; `None` for variables and unknown names.
pub(crate) fn function(name: &str) -> Option<&'static Kind> {
    find(name)
        .map(|row| &row.kind)
        .filter(|kind| kind.prototype().is_some())
}

/// Whether this is the name of an action.
pub(crate) fn is_action(name: &str) -> bool {
    matches!(function(name), Some(Kind::Action(..)))
}

/// The names of the variables that rdtrace has.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    runs(|kind| matches!(kind, Kind::Variable(..) | Kind::Array(_)))
}

/// The names of the functions that rdtrace runs.
pub(crate) fn functions() -> impl Iterator<Item = &'static str> {
    runs(|kind| kind.prototype().is_some())
}

fn runs(which: impl Fn(&Kind) -> bool) -> impl Iterator<Item = &'static str> {
    TABLE
        .iter()
        .filter(move |row| which(&row.kind) && row.kind.lack().is_none())
        .map(|row| row.name)
}

/// The name of a built-in variable in D.
#[must_use]
pub const fn builtin_name(builtin: Builtin) -> &'static str {
    match builtin {
        Builtin::Caller => "caller",
        Builtin::Stackdepth => "stackdepth",
        Builtin::Ucaller => "ucaller",
        Builtin::Ustackdepth => "ustackdepth",
        Builtin::Cpu => "cpu",
        Builtin::Curthread => "curthread",
        Builtin::Epid => "epid",
        Builtin::Errno => "errno",
        Builtin::Execname => "execname",
        Builtin::Gid => "gid",
        Builtin::Id => "id",
        Builtin::Pid => "pid",
        Builtin::Ppid => "ppid",
        Builtin::Probefunc => "probefunc",
        Builtin::Probemod => "probemod",
        Builtin::Probename => "probename",
        Builtin::Probeprov => "probeprov",
        Builtin::Tid => "tid",
        Builtin::Timestamp => "timestamp",
        Builtin::Uid => "uid",
        Builtin::Vtimestamp => "vtimestamp",
        Builtin::Walltimestamp => "walltimestamp",
    }
}

/// The name of a subroutine in D.
#[must_use]
pub const fn subroutine_name(subroutine: Subroutine) -> &'static str {
    match subroutine {
        Subroutine::Alloca => "alloca",
        Subroutine::Basename => "basename",
        Subroutine::Bcopy => "bcopy",
        Subroutine::Cleanpath => "cleanpath",
        Subroutine::Copyin => "copyin",
        Subroutine::Copyinstr => "copyinstr",
        Subroutine::Copyinto => "copyinto",
        Subroutine::Dirname => "dirname",
        Subroutine::Getmajor => "getmajor",
        Subroutine::Getminor => "getminor",
        Subroutine::Htonl => "htonl",
        Subroutine::Htonll => "htonll",
        Subroutine::Htons => "htons",
        Subroutine::Index => "index",
        Subroutine::Json => "json",
        Subroutine::Lltostr => "lltostr",
        Subroutine::Ntohl => "ntohl",
        Subroutine::Ntohll => "ntohll",
        Subroutine::Ntohs => "ntohs",
        Subroutine::Progenyof => "progenyof",
        Subroutine::Rand => "rand",
        Subroutine::Rindex => "rindex",
        Subroutine::Speculation => "speculation",
        Subroutine::Stack => "stack",
        Subroutine::Ustack => "ustack",
        Subroutine::Strchr => "strchr",
        Subroutine::Strjoin => "strjoin",
        Subroutine::Strlen => "strlen",
        Subroutine::Strrchr => "strrchr",
        Subroutine::Strstr => "strstr",
        Subroutine::Strtok => "strtok",
        Subroutine::Strtoll => "strtoll",
        Subroutine::Substr => "substr",
        Subroutine::Tolower => "tolower",
        Subroutine::Toupper => "toupper",
        Subroutine::InetNtoa => "inet_ntoa",
        Subroutine::InetNtoa6 => "inet_ntoa6",
        Subroutine::LinkNtop => "link_ntop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_stand_once() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
        }
    }

    #[test]
    fn names_of_variants_are_those_of_the_table() {
        for row in TABLE {
            let name = match row.kind {
                Kind::Variable(_, Ok(Variable::Builtin(builtin))) => builtin_name(builtin),
                Kind::Subroutine(_, Ok(subroutine)) => subroutine_name(subroutine),
                Kind::Aggregating(_, Ok(function)) => aggregating_name(function),
                Kind::Variable(..)
                | Kind::Array(_)
                | Kind::Subroutine(..)
                | Kind::Reading(..)
                | Kind::Action(..)
                | Kind::Aggregating(..) => row.name,
            };
            assert_eq!(name, row.name);
        }
    }

    #[test]
    fn further_arguments_come_last_and_nothing_required_behind_an_optional_one() {
        for row in TABLE {
            let Some(prototype) = row.kind.prototype() else {
                continue;
            };
            let last = prototype.parameters.len().saturating_sub(1);
            for (n, parameter) in prototype.parameters.iter().enumerate() {
                assert!(parameter.takes != Takes::More || n == last, "{}", row.name);
                let behind = n >= prototype.least();
                let may_lack = parameter.optional || parameter.takes == Takes::More;
                assert_eq!(behind, may_lack, "{}", row.name);
            }
        }
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        for (name, meant) in [
            ("exename", Some("execname")),
            ("timestmap", Some("timestamp")),
            ("pdi", Some("pid")),
            ("xyz", None),
            ("a", None),
        ] {
            assert_eq!(nearest(name, variables()).as_deref(), meant, "{name}");
        }
    }
}
