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

mod kind;
mod near;
mod table;

pub use crate::aggregating::{AggregatingName, aggregating_name};
use crate::program::{Builtin, Subroutine};

pub use kind::{
    ActionName, Array, Attributes, Kind, Lack, MemoryFunction, Name, Parameter, ProcessPath,
    Prototype, Takes, ValueType, Variable,
};
pub(crate) use near::nearest;
pub use table::TABLE;

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

/// The same in the definition of a dependent probe, which has functions of its own.
pub(crate) fn function_beneath(name: &str) -> Option<&'static Kind> {
    let own = table::BENEATH.iter().find(|row| row.name == name);
    own.map(|row| &row.kind).or_else(|| function(name))
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
        Builtin::Pyfile => "pyfile",
        Builtin::Pyfunc => "pyfunc",
        Builtin::Pyqualname => "pyqualname",
        Builtin::Pyline => "pyline",
        Builtin::Pymodule => "pymodule",
        Builtin::Pyexception => "pyexception",
        Builtin::Pyreturn => "pyreturn",
        Builtin::Pyresumed => "pyresumed",
        Builtin::Pythread => "pythread",
        Builtin::Pytask => "pytask",
        Builtin::Pygreenlet => "pygreenlet",
        Builtin::Pytraceback => "pytraceback",
        Builtin::Pydepth => "pydepth",
        Builtin::Pyframe => "pyframe",
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
        Subroutine::Contention => "contention",
        Subroutine::Copyin => "copyin",
        Subroutine::Copyinstr => "copyinstr",
        Subroutine::Copyinto => "copyinto",
        Subroutine::Dirname => "dirname",
        Subroutine::DPath => "d_path",
        Subroutine::Execargs => "execargs",
        Subroutine::Uregs => "uregs",
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
        Subroutine::Pyarg => "pyarg",
        Subroutine::Pyaudit => "pyaudit",
        Subroutine::Pylocal => "pylocal",
        Subroutine::Pyattr => "pyattr",
        Subroutine::Pyself => "pyself",
        Subroutine::Pyfloat => "pyfloat",
        Subroutine::Pyint => "pyint",
        Subroutine::Pylen => "pylen",
        Subroutine::Pyrepr => "pyrepr",
        Subroutine::Pystr => "pystr",
        Subroutine::Pytype => "pytype",
        Subroutine::Rand => "rand",
        Subroutine::Rindex => "rindex",
        Subroutine::Speculation => "speculation",
        Subroutine::Stack => "stack",
        Subroutine::Ustack => "ustack",
        Subroutine::Pystack | Subroutine::PystackAsync => "jstack",
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
        // jstack() by another name.
        for row in TABLE.iter().filter(|row| row.name != "pystack") {
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
