//! What a clause may ask about the probe that fires: the machine state.

use std::borrow::Cow;

use dlang::eval::Value;
use dlang::program::Builtin;

use crate::python::Python;
use crate::shared::Shared;

/// Where a probe argument is when a clause runs: what the trampoline prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// In a stack slot, canonical for its type.
    Slot(i16),
    /// In a stack slot as it was passed, in a register of 64 bits: `args[n]` is the part of it that its type
    /// says.
    Word(i16),
    /// The same at every site.
    Constant(i64),
    /// The probe has no such argument: it reads as 0, as in DTrace.
    Absent,
    /// It exists but cannot be read; the reason.
    Unreadable(String),
}

/// Everything about the probe that fires which an expression may ask for. The trampolines fill
/// it; expressions read only this and so never learn which provider it is.
#[derive(Clone, Debug)]
pub struct MachineState {
    /// Where `arg0` to `arg9` are.
    pub args: Vec<Argument>,
    /// The stack slot with what a system call gave back, if that is what fires: `errno` is a part of it.
    pub result: Option<i16>,
    /// `probeprov`, less the process id if `any_process`.
    pub provider: String,
    /// Whether any process may fire the probe, so that the firing one's id ends `probeprov`.
    pub any_process: bool,
    /// `probemod`.
    pub module: String,
    /// `probefunc`.
    pub function: String,
    /// `probename`.
    pub name: String,
    /// `id`.
    pub id: u32,
    /// `epid` of the clause being compiled; of probes that share code, of the first.
    pub epid: u32,
    /// The probes that share the code, if there are several; the names above are the first one's.
    pub shared: Option<Shared>,
    /// What is known of the Python that fires the probe, if one does.
    pub python: Option<Python>,
    /// Whether a timer may have interrupted the thread in the middle of its own scratch.
    pub timer: bool,
    /// What is on the kernel's stack beside what it shows.
    pub kernel_stack: KernelStack,
}

/// What the kernel's stack is where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelStack {
    /// rdtrace itself has the kernel run the program: the stack is of no interest, and empty, as in libdtrace,
    /// whose own functions these probes are in.
    Ours,
    /// The program has been called: it is the innermost frame itself.
    Calling,
    /// The program is given the registers of what was interrupted for it: the stack starts there.
    Interrupted,
}

impl MachineState {
    /// What a built-in variable is when it is the same for every firing of this clause.
    #[must_use]
    pub fn constant(&self, builtin: Builtin) -> Option<Value<'_>> {
        let differs = |shared: &Shared| shared.differs(builtin);
        if self.shared.as_ref().is_some_and(differs) {
            return None;
        }
        self.of_ecb(builtin)
    }

    /// What a built-in variable is when a record's EPID tells it: the same for every firing of this
    /// clause on one probe. Of probes that share code, for the first.
    #[must_use]
    pub fn of_ecb(&self, builtin: Builtin) -> Option<Value<'_>> {
        let text = |s: &'_ str| Value::Str(Cow::Owned(s.as_bytes().to_vec()));
        Some(match builtin {
            Builtin::Probeprov if !self.any_process => text(&self.provider),
            Builtin::Probemod => text(&self.module),
            Builtin::Probefunc => text(&self.function),
            Builtin::Probename => text(&self.name),
            Builtin::Id => Value::Int(i64::from(self.id)),
            Builtin::Epid => Value::Int(i64::from(self.epid)),
            // Only where a system call returns is there an error at hand.
            Builtin::Errno if self.result.is_none() => Value::Int(0),
            Builtin::Errno
            | Builtin::Probeprov
            | Builtin::Pid
            | Builtin::Tid
            | Builtin::Ppid
            | Builtin::Uid
            | Builtin::Gid
            | Builtin::Execname
            | Builtin::Timestamp
            | Builtin::Walltimestamp
            | Builtin::Vtimestamp
            | Builtin::Cpu
            | Builtin::Curthread
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
            | Builtin::Pyframe => return None,
        })
    }
}
