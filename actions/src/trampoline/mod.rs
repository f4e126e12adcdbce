//! Trampolines: from a firing to the machine state that every clause reads.
//!
//! What differs between providers and between the sites of one probe ends here: arguments are
//! fetched from registers, memory or constants into stack slots, by the site's own code, and from
//! there on a clause runs the same whatever fired.

mod choose;
mod kernel;
mod locations;
mod objects;
mod perf;
mod python;
mod registers;
mod source;
mod system_call;

use std::collections::BTreeSet;

use predicates::asm::{Label, MapRef};
use predicates::emit::{Argument, Emit, Emitted, KernelStack, MachineState};
use provider::object::{MapSpec, Target};
use provider::probe::{KernelHook, Probe, ProbeKind, Scope, SystemCall, Way};

pub(crate) use self::objects::{AUDIT_TUPLE, CAUGHT, FRAME, RESUMED, RETURNED, caught};
pub(crate) use self::python::maps;
use self::python::maps::PythonMaps;
use self::source::OneFile;
pub(crate) use self::source::{Firing, SharedFiring, Source};
use crate::clause::FaultSlots;
use crate::follow;

/// The maps that trampolines need beside those that every enabling has: for each kind of probe that needs
/// any, from when the first probe of that kind is enabled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KindMaps {
    /// Of probes that are made from an interpreter's code.
    python: Option<PythonMaps>,
}

impl KindMaps {
    /// Numbers the maps that these probes need and that there are not yet, from `next` on; gives what to
    /// create for them.
    pub(crate) fn add<'p>(
        &mut self,
        probes: impl IntoIterator<Item = &'p Probe>,
        next: u32,
        open_loops: bool,
    ) -> Vec<MapSpec> {
        let is_python = |probe: &Probe| matches!(probe.kind, ProbeKind::Python(_));
        if self.python.is_some() || !probes.into_iter().any(is_python) {
            return Vec::new();
        }
        self.python = Some(PythonMaps::new(next, open_loops));
        PythonMaps::specs()
    }

    /// Those of the active frames, if there are any.
    pub(crate) fn active_frames(self) -> Option<[MapRef; 2]> {
        Some(self.python?.active_frames())
    }
}

/// The machine state of a probe, its arguments not yet placed.
pub(crate) fn machine(probe: &Probe, timer: bool) -> MachineState {
    MachineState {
        args: Vec::new(),
        result: None,
        provider: probe.desc.provider.clone(),
        any_process: matches!(probe.kind.file(), Some((_, Scope::System | Scope::Tree(_)))),
        module: probe.desc.module.clone(),
        function: probe.desc.function.clone(),
        name: probe.desc.name.clone(),
        id: probe.id.0,
        epid: 0,
        shared: None,
        python: objects::python(probe),
        timer,
        kernel_stack: kernel_stack(&probe.kind),
    }
}

/// What the kernel's stack is where a probe of this kind fires.
fn kernel_stack(kind: &ProbeKind) -> KernelStack {
    match kind {
        ProbeKind::Begin | ProbeKind::End => KernelStack::Ours,
        ProbeKind::Timer(_) | ProbeKind::Kernel(KernelHook::Symbol(..)) => KernelStack::Interrupted,
        ProbeKind::Error
        | ProbeKind::Sites(_)
        | ProbeKind::Python(_)
        | ProbeKind::SystemCall(_)
        | ProbeKind::Kernel(
            KernelHook::Tracepoint(_) | KernelHook::Function(..) | KernelHook::Event(_),
        ) => KernelStack::Calling,
    }
}

/// The machine state of ERROR: `arg1` the probe's id, `arg2` the number of the clause, as in DTrace's message, `arg3` the
/// instruction, `arg4` the fault, `arg5` the address.
pub(crate) fn error_machine(probe: &Probe, fault: Option<(&FaultSlots, usize)>) -> MachineState {
    let mut machine = machine(probe, false);
    if let Some((slots, clause)) = fault {
        machine.args = vec![
            Argument::Constant(0),
            Argument::Slot(slots.probe),
            Argument::Constant(i64::try_from(clause).unwrap_or(i64::MAX)),
            Argument::Slot(slots.pc),
            Argument::Slot(slots.kind),
            Argument::Slot(slots.address),
        ];
    }
    machine
}

/// Gives each argument that is used a place. Slots are shared by the probes of a program.
pub(crate) fn place_arguments(
    emit: &mut Emit<'_>,
    probe: &Probe,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
    maps: KindMaps,
) -> Emitted<()> {
    match &probe.kind {
        ProbeKind::Sites(sites) => locations::place_arguments(emit, &sites.sites, used, slots),
        ProbeKind::Python(sites) => python::place_arguments(emit, sites, used, slots, maps.python),
        ProbeKind::Timer(_) => perf::place_arguments(emit, used, slots),
        ProbeKind::Kernel(hook) => kernel::place_arguments(emit, probe, hook, used, slots),
        ProbeKind::SystemCall(call) => {
            system_call::place_arguments(emit, probe, *call, used, slots)
        }
        ProbeKind::Begin | ProbeKind::End | ProbeKind::Error => Ok(()),
    }
}

/// The argument that `errno` is computed from, where there is an error at hand.
pub(crate) fn error_argument(probe: &Probe) -> Option<u8> {
    let is_return = matches!(
        probe.kind,
        ProbeKind::SystemCall(SystemCall {
            way: Way::Return,
            ..
        })
    );
    is_return.then_some(0)
}

/// Emits the question whether the process belongs to the tree whose probes these are: the first
/// thing that a program asks. Where the kernel itself knows whose hits count, there is none.
pub(crate) fn emit_filter(
    emit: &mut Emit<'_>,
    probe: &Probe,
    followed: Option<MapRef>,
    leave: Label,
) -> Emitted<()> {
    if let (Some((_, Scope::Tree(root))), Some(followed)) = (probe.kind.file(), followed) {
        follow::emit_filter(emit, followed, root, leave)?;
    }
    Ok(())
}

/// Emits what comes between the start of a program and the clauses of the probe that fires; gives
/// what the program is to be attached to.
pub(crate) fn emit_dispatch(
    emit: &mut Emit<'_>,
    source: &Source,
    firing: &Firing<'_>,
    maps: KindMaps,
) -> Emitted<Vec<Target>> {
    let target = match source {
        Source::File(OneFile(file), scope) => {
            return registers::dispatch(emit, (file, *scope), firing, maps.python);
        }
        Source::SystemCalls(way, _) => return Ok(system_call::dispatch(emit, *way, firing)),
        Source::Kernel(_, hook) => {
            kernel::fetch_arguments(emit, hook, firing.slots);
            kernel::target(hook)
        }
        Source::Begin => Target::Begin,
        Source::End => Target::End,
        Source::Timer(_, timer) => {
            perf::fetch_arguments(emit, firing.slots);
            Target::Timer(*timer)
        }
    };
    for &entry in firing.entries {
        emit.asm.jump(entry);
    }
    Ok(vec![target])
}
