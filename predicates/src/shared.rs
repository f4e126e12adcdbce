//! Probes that share code: what differs from one to the next is looked up by a number.
//!
//! Probes whose arguments are found in the same way, and that have the same clauses, run the same
//! instructions (3,000 functions of a library, say). The trampoline puts the number of the one that
//! fires, from 0, into a stack slot. What the consumer needs to know it tells by the EPID of a record,
//! which counts up with the number; what the code itself needs (`probefunc` as a key, say) is in a table in
//! read-only memory:
//!
//! ```text
//!     number * 16   id u32 | module u32 | function u32 | name u32     the last three: where the
//!                                                                     text is in that memory
//! ```

use std::sync::Arc;

use dlang::program::Builtin;

/// The probes that share the code that is being made.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The stack slot with the number of the one that fires.
    pub slot: i16,
    /// How many EPIDs each has: one for each clause.
    pub clauses: u32,
    /// What differs, in the order of their numbers.
    pub probes: Arc<[Names]>,
}

/// What clauses may ask about one of the probes that share code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// `id`.
    pub id: u32,
    /// `probemod`.
    pub module: String,
    /// `probefunc`.
    pub function: String,
    /// `probename`.
    pub name: String,
}

/// What the table has of a probe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Id,
    Module,
    Function,
    Name,
}

impl Field {
    /// What a built-in variable is looked up by; `None` if it is not in the table.
    pub(crate) fn of(builtin: Builtin) -> Option<Self> {
        match builtin {
            Builtin::Id => Some(Self::Id),
            Builtin::Probemod => Some(Self::Module),
            Builtin::Probefunc => Some(Self::Function),
            Builtin::Probename => Some(Self::Name),
            Builtin::Pid
            | Builtin::Tid
            | Builtin::Ppid
            | Builtin::Uid
            | Builtin::Gid
            | Builtin::Cpu
            | Builtin::Timestamp
            | Builtin::Vtimestamp
            | Builtin::Walltimestamp
            | Builtin::Execname
            | Builtin::Errno
            | Builtin::Curthread
            | Builtin::Probeprov
            | Builtin::Epid
            | Builtin::Caller
            | Builtin::Stackdepth
            | Builtin::Ucaller
            | Builtin::Ustackdepth
            | Builtin::Pyfile
            | Builtin::Pyfunc
            | Builtin::Pyline
            | Builtin::Pymodule
            | Builtin::Pyexception
            | Builtin::Pytraceback
            | Builtin::Pyreturn
            | Builtin::Pyresumed
            | Builtin::Pythread
            | Builtin::Pytask
            | Builtin::Pygreenlet
            | Builtin::Pyqualname
            | Builtin::Pydepth
            | Builtin::Pyframe => None,
        }
    }

    /// Where it is in a probe's part of the table.
    pub(crate) fn offset(self) -> i16 {
        match self {
            Self::Id => 0,
            Self::Module => 4,
            Self::Function => 8,
            Self::Name => 12,
        }
    }
}

impl Shared {
    /// Whether a built-in variable is not the same for all of these probes.
    pub(crate) fn differs(&self, builtin: Builtin) -> bool {
        let same = |field: fn(&Names) -> &str| {
            let mut values = self.probes.iter().map(field);
            let first = values.next();
            values.all(|value| Some(value) == first)
        };
        match Field::of(builtin) {
            Some(Field::Id) => self.probes.len() > 1,
            Some(Field::Module) => !same(|names| &names.module),
            Some(Field::Function) => !same(|names| &names.function),
            Some(Field::Name) => !same(|names| &names.name),
            // It is computed.
            None => builtin == Builtin::Epid && self.probes.len() > 1,
        }
    }
}
