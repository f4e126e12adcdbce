//! What runs a program: a timer, the instructions of a file, and so on. Probes with the same source share one
//! program.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use predicates::asm::Label;
use provider::object::Context;
use provider::probe::{
    File, KernelHook, Probe, ProbeId, ProbeKind, PythonSites, Scope, Sites, Timer, Way,
};

/// The probes of one program while its prologue is made.
pub(crate) struct Firing<'u> {
    /// Those that have each their own code.
    pub(crate) probes: &'u [Arc<Probe>],
    /// Where each one's clauses start.
    pub(crate) entries: &'u [Label],
    /// Which arguments each one's clauses use.
    pub(crate) used: &'u [BTreeSet<u8>],
    /// Those that share it.
    pub(crate) shared: &'u [SharedFiring<'u>],
    /// Where arguments are put.
    pub(crate) slots: &'u [Option<i16>; 10],
    /// Where to go when nothing fires.
    pub(crate) leave: Label,
}

/// Probes that share code while a program's prologue is made.
pub(crate) struct SharedFiring<'u> {
    pub(crate) probes: &'u [Arc<Probe>],
    /// Where their clauses start.
    pub(crate) entry: Label,
    /// The slot for the number of the one that fires.
    pub(crate) slot: i16,
}

/// What runs a program, as far as it is known before its code is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// rdtrace, before all else.
    Begin,
    /// rdtrace, after all else.
    End,
    /// A timer; each probe has its own.
    Timer(ProbeId, Timer),
    /// Instructions of one file, for some processes.
    File(OneFile, Scope),
    /// System calls, on the way in or out: those of `syscall`, or those that make one dependent probe fire.
    SystemCalls(Way, Option<ProbeId>),
    /// A place in the kernel; each probe has its own program.
    Kernel(ProbeId, KernelHook),
}

impl Source {
    /// What runs the program of a probe; `None` for ERROR, whose clauses are a part of all programs.
    pub(crate) fn of(probe: &Probe) -> Option<Self> {
        Some(match &probe.kind {
            ProbeKind::Begin => Self::Begin,
            ProbeKind::End => Self::End,
            ProbeKind::Error => return None,
            ProbeKind::Timer(timer) => Self::Timer(probe.id, *timer),
            ProbeKind::Sites(Sites { file, scope, .. })
            | ProbeKind::Python(PythonSites { file, scope, .. }) => {
                Self::File(OneFile(Arc::clone(file)), *scope)
            }
            ProbeKind::SystemCall(call) => {
                Self::SystemCalls(call.way, probe.dependent.map(|_| probe.id))
            }
            ProbeKind::Kernel(hook) => Self::Kernel(probe.id, hook.clone()),
        })
    }

    /// What the program is given when it runs.
    pub(crate) fn context(&self) -> Context {
        match self {
            Self::Begin | Self::End => Context::Nothing,
            Self::Timer(..) => Context::PerfData,
            Self::File(..) => Context::Registers,
            Self::SystemCalls(..) | Self::Kernel(_, KernelHook::Tracepoint(_)) => {
                Context::TracepointArguments
            }
            Self::Kernel(_, KernelHook::Event(_)) => Context::EventRecord,
            Self::Kernel(_, KernelHook::Symbol(..)) => Context::KernelRegisters,
            Self::Kernel(_, KernelHook::Function(function, way)) => {
                Context::FunctionArguments(function.id, *way)
            }
        }
    }

    /// Whether it is decided before a firing on which CPU it is: rdtrace has its own programs run there, and
    /// makes timers of CPUs.
    pub(crate) fn keeps_its_cpu(&self) -> bool {
        match self {
            Self::Begin | Self::End | Self::Timer(..) => true,
            Self::File(..) | Self::SystemCalls(..) | Self::Kernel(..) => false,
        }
    }

    /// Whether the program may interrupt a thread in the middle of another one, and needs memory of its own
    /// for that. Those of the kernel's tracepoints and functions may, too, in an interrupt or in what another
    /// program calls; they are not run then (`predicates::fetch`).
    pub(crate) fn interrupts(&self) -> bool {
        match self {
            Self::Timer(..) => true,
            // A thread that enters or leaves the kernel is in the middle of nothing of ours.
            Self::Begin | Self::End | Self::File(..) | Self::SystemCalls(..) | Self::Kernel(..) => {
                false
            }
        }
    }
}

/// A file, which is the same under each of its paths.
#[derive(Clone, Debug)]
pub(crate) struct OneFile(pub(super) Arc<File>);

impl PartialEq for OneFile {
    fn eq(&self, other: &Self) -> bool {
        self.0.identity == other.0.identity
    }
}

impl Eq for OneFile {}

impl PartialOrd for OneFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OneFile {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.identity.cmp(&other.0.identity)
    }
}
