//! The context is what the kernel's tracepoints of system calls pass: one program runs for all of them, on
//! the way in or out.
//!
//! ```text
//!     sys_enter    struct pt_regs *, number
//!     sys_exit     struct pt_regs *, result
//! ```
//!
//! The registers of the thread in user mode, which hold arguments and number, are found by a helper, so
//! that they can be read by plain loads. A number is looked up in a table in read-only memory, which says which
//! probe it is, from 1, or 0 for none; for a few numbers comparisons are quicker. Numbers of 32-bit programs,
//! whose calls are others, are told by a flag of the thread.

use std::collections::BTreeSet;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::object::Target;
use provider::probe::{Probe, ProbeKind, Register, SystemCall, Way};

use super::choose::choose;
use super::source::{Firing, SharedFiring};

/// The registers with the arguments, as offsets in `struct pt_regs`.
const ARGUMENTS: [Register; 6] = if cfg!(target_arch = "aarch64") {
    [
        // The first argument's register is where the result will be: it is kept elsewhere.
        Register(272),
        Register(8),
        Register(16),
        Register(24),
        Register(32),
        Register(40),
    ]
} else {
    [
        Register(112), // rdi
        Register(104), // rsi
        Register(96),  // rdx
        Register(56),  // r10
        Register(72),  // r8
        Register(64),  // r9
    ]
};

/// Where `struct pt_regs` has the number of the call: `orig_ax`, `syscallno`.
const NUMBER: (Size, i16) = if cfg!(target_arch = "aarch64") {
    (Size::Word, 280)
} else {
    (Size::Double, 120)
};

/// The bits in the thread's flags that are set while it is in a call of a 32-bit program: `TS_COMPAT`,
/// `TIF_32BIT`.
const IS_32_BIT: i32 = if cfg!(target_arch = "aarch64") {
    1 << 22
} else {
    2
};

/// So many numbers are looked for one after the other; more are looked up.
const MOST_COMPARED: usize = 4;

/// Gives the arguments that are used a slot, and what `errno` is computed from.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    probe: &Probe,
    call: SystemCall,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
) -> Emitted<()> {
    match call.way {
        Way::Entry => {
            for (n, place) in (0..).zip(slots.iter_mut().take(ARGUMENTS.len())) {
                let mut argument = Argument::Absent;
                if used.contains(&n) && usize::from(n) < probe.args.len() {
                    argument = Argument::Word(slot(emit, place)?);
                }
                emit.machine.args.push(argument);
            }
        }
        // As in DTrace, `arg0` and `arg1` are both the result.
        Way::Return if !used.is_empty() => {
            let result = slot(emit, &mut slots[0])?;
            emit.machine.args = vec![Argument::Word(result), Argument::Word(result)];
            emit.machine.result = Some(result);
        }
        Way::Return => {}
    }
    Ok(())
}

fn slot(emit: &mut Emit<'_>, place: &mut Option<i16>) -> Emitted<i16> {
    let slot = match *place {
        Some(slot) => slot,
        None => emit.buffer(8, Span::default())?,
    };
    *place = Some(slot);
    Ok(slot)
}

/// What a call's number leads to.
enum Arm<'p> {
    /// A probe of its own.
    Alone(&'p Probe, Label),
    /// One of those that share code; their numbers count up from the one given.
    Shared(&'p SharedFiring<'p>, u16),
}

/// Emits the choice of the probe, its arguments' fetching and the jump to it; gives what the program is to
/// be attached to.
pub(super) fn dispatch(emit: &mut Emit<'_>, way: Way, firing: &Firing<'_>) -> Vec<Target> {
    let mut arms = Vec::new();
    let mut numbers = Vec::new();
    for (probe, &entry) in firing.probes.iter().zip(firing.entries) {
        arms.push(Arm::Alone(probe, entry));
        numbers.extend(number(probe));
    }
    for shared in firing.shared {
        let first = u16::try_from(numbers.len() + 1).expect("system calls are few");
        arms.push(Arm::Shared(shared, first));
        numbers.extend(shared.probes.iter().filter_map(|probe| number(probe)));
    }
    emit_filter(emit, firing.leave);
    emit_number(emit, way);
    let labels: Vec<Label> = arms.iter().map(|_| emit.asm.label()).collect();
    if firing.shared.is_empty() && numbers.len() <= MOST_COMPARED {
        for (&number, &label) in numbers.iter().zip(&labels) {
            let number = i32::from(number);
            emit.asm.jump_if_imm(Cond::Eq, Reg::R0, number, label);
        }
        emit.asm.jump(firing.leave);
    } else {
        look_up(emit, &numbers, firing.leave);
        let firsts = arms.iter().zip(1..).map(|(arm, place)| match arm {
            Arm::Alone(..) => place,
            Arm::Shared(_, first) => i32::from(*first),
        });
        let choices: Vec<(i32, Label)> = firsts.zip(labels.iter().copied()).collect();
        choose(emit, &choices);
    }
    for (arm, label) in arms.into_iter().zip(labels) {
        emit.asm.bind(label);
        let (probe, entry) = match arm {
            Arm::Alone(probe, entry) => (Some(probe), entry),
            Arm::Shared(shared, first) => {
                emit.asm.alu_imm(Alu::Sub, Reg::R0, i32::from(first));
                emit.asm.store(Size::Double, Reg::FP, shared.slot, Reg::R0);
                (shared.probes.first().map(|probe| &**probe), shared.entry)
            }
        };
        let count = probe.map_or(0, |probe| available(probe, firing.slots));
        fetch_arguments(emit, way, &firing.slots[..count]);
        emit.asm.jump(entry);
    }
    let tracepoint = match way {
        Way::Entry => "sys_enter",
        Way::Return => "sys_exit",
    };
    vec![Target::Tracepoint(tracepoint.into())]
}

fn number(probe: &Probe) -> Option<u16> {
    match &probe.kind {
        ProbeKind::SystemCall(call) => Some(call.number),
        ProbeKind::Begin
        | ProbeKind::End
        | ProbeKind::Error
        | ProbeKind::Timer(_)
        | ProbeKind::Sites(_)
        | ProbeKind::Python(_)
        | ProbeKind::Kernel(_) => None,
    }
}

/// How many slots may have an argument of this probe; nobody asks what its arguments are if no clause uses
/// any.
fn available(probe: &Probe, slots: &[Option<i16>; 10]) -> usize {
    if slots.iter().all(Option::is_none) {
        0
    } else {
        probe.args.len().min(ARGUMENTS.len())
    }
}

/// Leaves if the call is a 32-bit program's.
fn emit_filter(emit: &mut Emit<'_>, leave: Label) {
    let Some(flags) = emit.storage.task.call_flags else {
        return; // such a kernel has no such calls
    };
    emit.asm.note("no calls of 32-bit programs");
    emit.asm.call(Helper::GetCurrentTaskBtf);
    let flags = i16::try_from(flags).expect("they are at the start");
    emit.asm.load(Size::Word, Reg::R1, Reg::R0, flags);
    emit.asm.alu_imm(Alu::And, Reg::R1, IS_32_BIT);
    emit.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, leave);
}

/// `r0 = the number of the call`.
fn emit_number(emit: &mut Emit<'_>, way: Way) {
    match way {
        Way::Entry => {
            emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
            emit.asm.load(Size::Double, Reg::R0, Reg::R1, 8);
        }
        Way::Return => {
            user_registers(emit);
            let (size, offset) = NUMBER;
            emit.asm.load(size, Reg::R0, Reg::R0, offset);
        }
    }
}

/// `r0 = address of the thread's registers in user mode`.
fn user_registers(emit: &mut Emit<'_>) {
    emit.asm.call(Helper::GetCurrentTaskBtf);
    emit.asm.mov(Reg::R1, Reg::R0);
    emit.asm.call(Helper::TaskPtRegs);
}

/// `r0 = which probe`, from 1, of the call whose number is in `r0`; leaves if it is none.
///
/// ```text
///     table    a u16 for each number up to the largest
/// ```
fn look_up(emit: &mut Emit<'_>, numbers: &[u16], leave: Label) {
    let largest = numbers.iter().copied().max().unwrap_or(0);
    let mut table = vec![0_u16; usize::from(largest) + 1];
    for (place, &number) in (1..).zip(numbers) {
        table[usize::from(number)] = place;
    }
    let bytes = table.iter().flat_map(|place| place.to_ne_bytes()).collect();
    let at = emit.rodata.put(bytes);
    let rodata = emit.storage.rodata;
    let asm = &mut emit.asm;
    asm.jump_if_imm(Cond::Gt, Reg::R0, i32::from(largest), leave);
    asm.alu_imm(Alu::Lsh, Reg::R0, 1);
    asm.map_value(Reg::R1, rodata, at);
    asm.alu(Alu::Add, Reg::R1, Reg::R0);
    asm.load(Size::Half, Reg::R0, Reg::R1, 0);
    asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
}

/// Fetches the arguments that have slots.
fn fetch_arguments(emit: &mut Emit<'_>, way: Way, slots: &[Option<i16>]) {
    match way {
        Way::Return => {
            if let Some(Some(slot)) = slots.first() {
                emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
                emit.asm.load(Size::Double, Reg::R0, Reg::R1, 8);
                emit.asm.store(Size::Double, Reg::FP, *slot, Reg::R0);
            }
        }
        Way::Entry => {
            let used = slots.iter().zip(ARGUMENTS);
            let used = used.filter_map(|(slot, register)| Some(((*slot)?, register)));
            let used: Vec<(i16, Register)> = used.collect();
            if used.is_empty() {
                return;
            }
            user_registers(emit);
            for (slot, Register(offset)) in used {
                let offset = i16::try_from(offset).expect("registers are few");
                emit.asm.load(Size::Double, Reg::R1, Reg::R0, offset);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
            }
        }
    }
}
