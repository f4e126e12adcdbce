//! The names that D itself defines: built-in variables, functions, and what rdtrace knows but does
//! not run yet.

use std::sync::Arc;

use crate::program::{Builtin, Subroutine};
use crate::types::{Int, Space, Struct, Type};

/// A built-in variable without an index: what it is and its type, which does not depend on the
/// probe.
pub(super) fn builtin(name: &str) -> Option<(Builtin, Type)> {
    BUILTINS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, builtin, ty)| match builtin {
            Builtin::Curthread => {
                let task = Type::Struct(Arc::new(Struct::declared("task_struct", false)));
                (*builtin, Type::pointer_in(Space::Kernel, task))
            }
            other => (*other, ty.clone()),
        })
}

const U32: Type = Type::Int(Int::U32);

const BUILTINS: [(&str, Builtin, Type); 18] = [
    ("pid", Builtin::Pid, Type::INT),
    ("tid", Builtin::Tid, Type::INT),
    ("ppid", Builtin::Ppid, Type::INT),
    ("uid", Builtin::Uid, U32),
    ("gid", Builtin::Gid, U32),
    ("execname", Builtin::Execname, Type::String),
    ("timestamp", Builtin::Timestamp, Type::U64),
    ("walltimestamp", Builtin::Walltimestamp, Type::I64),
    ("vtimestamp", Builtin::Vtimestamp, Type::U64),
    ("cpu", Builtin::Cpu, Type::INT),
    ("probeprov", Builtin::Probeprov, Type::String),
    ("probemod", Builtin::Probemod, Type::String),
    ("probefunc", Builtin::Probefunc, Type::String),
    ("probename", Builtin::Probename, Type::String),
    ("id", Builtin::Id, U32),
    ("epid", Builtin::Epid, U32),
    ("errno", Builtin::Errno, Type::INT),
    // The type, a pointer, is put in where the name is used.
    ("curthread", Builtin::Curthread, Type::Void),
];

/// `arg0` to `arg9`.
pub(super) fn raw_argument(name: &str) -> Option<u8> {
    match name.strip_prefix("arg")?.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}

/// What a parameter of a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// A string, a `char *` or a `char` array.
    Str,
    /// An address: an integer or a pointer.
    Address,
    /// An integer, converted to this type.
    Number(Int),
}

impl Parameter {
    /// How messages name the type.
    pub(super) fn prototype(self) -> &'static str {
        match self {
            Self::Str => "char *",
            Self::Address => "uintptr_t",
            Self::Number(Int::I8) => "char",
            Self::Number(Int::I32) => "int",
            Self::Number(Int { signed: true, .. }) => "int64_t",
            Self::Number(_) => "size_t",
        }
    }
}

/// A function's signature.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    /// What it is.
    pub(super) subroutine: Subroutine,
    /// All its parameters.
    pub(super) parameters: &'static [Parameter],
    /// How many of them must be given.
    pub(super) required: usize,
    /// The type of its value.
    pub(super) result: Type,
}

/// The signature of a subroutine, as in libdtrace's identifier table.
pub(super) fn subroutine(name: &str) -> Option<Signature> {
    use Parameter::{Address, Number, Str};
    const INT: Parameter = Number(Int::I32);
    let (subroutine, parameters, required, result): (_, &'static [Parameter], _, _) = match name {
        "copyin" => (
            Subroutine::Copyin,
            &[Address, Number(Int::U64)],
            2,
            Type::pointer_in(Space::Scratch, Type::Void),
        ),
        "copyinstr" => (
            Subroutine::Copyinstr,
            &[Address, Number(Int::U64)],
            1,
            Type::String,
        ),
        "basename" => (Subroutine::Basename, &[Str], 1, Type::String),
        "dirname" => (Subroutine::Dirname, &[Str], 1, Type::String),
        "strlen" => (Subroutine::Strlen, &[Str], 1, Type::U64),
        "strjoin" => (Subroutine::Strjoin, &[Str, Str], 2, Type::String),
        "strstr" => (Subroutine::Strstr, &[Str, Str], 2, Type::String),
        "strchr" => (Subroutine::Strchr, &[Str, Number(Int::I8)], 2, Type::String),
        "strrchr" => (
            Subroutine::Strrchr,
            &[Str, Number(Int::I8)],
            2,
            Type::String,
        ),
        "substr" => (Subroutine::Substr, &[Str, INT, INT], 2, Type::String),
        "index" => (Subroutine::Index, &[Str, Str, INT], 2, Type::INT),
        "rindex" => (Subroutine::Rindex, &[Str, Str, INT], 2, Type::INT),
        "lltostr" => (
            Subroutine::Lltostr,
            &[Number(Int::I64), INT],
            1,
            Type::String,
        ),
        _ => return None,
    };
    Some(Signature {
        subroutine,
        parameters,
        required,
        result,
    })
}

/// The name of a subroutine in D.
pub(crate) fn subroutine_name(subroutine: Subroutine) -> &'static str {
    match subroutine {
        Subroutine::Copyinstr => "copyinstr",
        Subroutine::Copyin => "copyin",
        Subroutine::Basename => "basename",
        Subroutine::Dirname => "dirname",
        Subroutine::Strlen => "strlen",
        Subroutine::Strjoin => "strjoin",
        Subroutine::Strstr => "strstr",
        Subroutine::Strchr => "strchr",
        Subroutine::Strrchr => "strrchr",
        Subroutine::Substr => "substr",
        Subroutine::Index => "index",
        Subroutine::Rindex => "rindex",
        Subroutine::Lltostr => "lltostr",
    }
}

/// The name of a built-in variable in D.
pub(crate) fn builtin_name(builtin: Builtin) -> &'static str {
    BUILTINS
        .iter()
        .find(|(_, known, _)| *known == builtin)
        .map_or("pid", |(name, ..)| name)
}

/// Actions, which give no value.
pub(super) const ACTIONS: [&str; 8] = [
    "trace",
    "printf",
    "printa",
    "exit",
    "clear",
    "trunc",
    "normalize",
    "denormalize",
];

/// Aggregating functions.
pub(super) const AGGREGATING: [&str; 9] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "quantize",
    "lquantize",
    "llquantize",
];

const SUBROUTINES: [&str; 13] = [
    "copyin",
    "copyinstr",
    "basename",
    "dirname",
    "strlen",
    "strjoin",
    "strstr",
    "strchr",
    "strrchr",
    "substr",
    "index",
    "rindex",
    "lltostr",
];

/// Whether a name belongs to D, so that a program cannot declare it.
pub(super) fn is_reserved(name: &str) -> bool {
    builtin(name).is_some()
        || raw_argument(name).is_some()
        || matches!(name, "args" | "NULL")
        || is_function(name)
        || unsupported(name).is_some()
}

/// Whether a name is a function of any kind that rdtrace runs.
pub(super) fn is_function(name: &str) -> bool {
    function_kind(name).is_some()
}

/// libdtrace's words for the kind of a function.
pub(super) fn function_kind(name: &str) -> Option<&'static str> {
    if SUBROUTINES.contains(&name) {
        Some("function")
    } else if AGGREGATING.contains(&name) {
        Some("aggregating function")
    } else if ACTIONS.contains(&name) {
        Some("tracing function")
    } else {
        None
    }
}

/// Why a name that D knows cannot be used yet; `None` for other names.
pub(super) fn unsupported(name: &str) -> Option<&'static str> {
    UNSUPPORTED
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map(|(_, why)| *why)
}

/// Known names by the reason why they are refused. Each reason completes `NAME is not supported
/// yet: `.
const UNSUPPORTED: &[(&[&str], &str)] = &[
    (
        &["speculation", "speculate", "commit", "discard"],
        "rdtrace has no speculative tracing",
    ),
    (
        &[
            "stack",
            "ustack",
            "jstack",
            "caller",
            "ucaller",
            "stackdepth",
            "ustackdepth",
        ],
        "rdtrace does not walk stacks",
    ),
    (
        &["sym", "func", "mod", "usym", "ufunc", "umod", "uaddr"],
        "rdtrace does not resolve addresses to symbols",
    ),
    (
        &[
            "curpsinfo",
            "curlwpsinfo",
            "curcpu",
            "cwd",
            "root",
            "execargs",
            "fds",
        ],
        "it needs the kernel's own types; pid, tid, execname and cpu are available",
    ),
    (
        &["uregs", "vmregs", "regs", "ipl"],
        "rdtrace does not read machine registers",
    ),
    (
        &["zonename", "jid", "jailname"],
        "Linux has no zones or jails",
    ),
    (
        &["tracemem", "print", "printm", "printt"],
        "rdtrace does not record memory; trace the members you need",
    ),
    (
        &["alloca", "bcopy", "copyinto", "memref", "memstr"],
        "rdtrace has no scratch memory; copyin and copyinstr read the target's",
    ),
    (
        &["system", "freopen", "ftruncate", "setopt"],
        "rdtrace runs no commands from a program and changes no options while it traces",
    ),
    (
        &[
            "copyout",
            "copyoutstr",
            "raise",
            "stop",
            "chill",
            "panic",
            "breakpoint",
            "return",
        ],
        "rdtrace has no destructive actions",
    ),
    (
        &[
            "rand",
            "progenyof",
            "strtok",
            "cleanpath",
            "toupper",
            "tolower",
            "strtoll",
            "json",
        ],
        "this subroutine is still to be written",
    ),
    (
        &[
            "inet_ntoa",
            "inet_ntoa6",
            "inet_ntop",
            "link_ntop",
            "htons",
            "htonl",
            "htonll",
            "ntohs",
            "ntohl",
            "ntohll",
        ],
        "rdtrace has no network subroutines",
    ),
    (
        &[
            "mutex_owned",
            "mutex_owner",
            "mutex_type_adaptive",
            "mutex_type_spin",
            "rw_iswriter",
            "rw_read_held",
            "rw_write_held",
            "getmajor",
            "getminor",
            "ddi_pathname",
            "msgsize",
            "msgdsize",
            "d_path",
            "pcap",
        ],
        "rdtrace traces programs, not the kernel",
    ),
];

/// All names that may be meant where a value is wanted.
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    BUILTINS
        .iter()
        .map(|(name, ..)| *name)
        .chain(["arg0", "arg1", "arg2", "args"])
}

/// All names that may be meant where a function is called.
pub(super) fn functions() -> impl Iterator<Item = &'static str> {
    ACTIONS.into_iter().chain(AGGREGATING).chain(SUBROUTINES)
}

/// The known name that is most like `name`, if one is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let limit = name.len().div_ceil(3).min(3);
    known
        .filter(|other| other.len().abs_diff(name.len()) <= limit)
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| *distance <= limit && *distance < name.len())
        .min()
        .map(|(_, other)| other.to_owned())
}

/// How many letters must be changed, added, dropped or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let change = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn every_subroutine_has_a_signature_and_its_own_name() {
        for name in SUBROUTINES {
            let signature = subroutine(name).unwrap();
            assert_eq!(subroutine_name(signature.subroutine), name);
        }
    }
}
