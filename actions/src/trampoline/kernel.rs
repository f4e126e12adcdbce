//! The context is words: what a tracepoint passes, the record that it writes, or what a function of the kernel is given, and behind that
//! what it gives back.

use std::collections::BTreeSet;

use dlang::diag::Span;
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Alu, Helper, Reg, Size};
use provider::object::Target;
use provider::probe::{FieldPlace, KernelHook, Probe, Way};

/// Where a function returns, `arg0` would be the place of the return: as in DTrace, -1 says that it is not
/// known.
const NO_PLACE: i64 = -1;

/// Gives the arguments that are used a slot.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    probe: &Probe,
    hook: &KernelHook,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
) -> Emitted<()> {
    if used.is_empty() {
        return Ok(());
    }
    let is_return = matches!(hook, KernelHook::Function(_, Way::Return));
    for ((n, place), _) in (0..).zip(slots).zip(&*probe.args) {
        let argument = if is_return && n == 0 {
            Argument::Constant(NO_PLACE)
        } else if used.contains(&n) {
            let slot = emit.buffer(8, Span::default())?;
            *place = Some(slot);
            Argument::Word(slot)
        } else {
            Argument::Absent
        };
        emit.machine.args.push(argument);
    }
    Ok(())
}

/// Fetches the arguments that have slots. Those of a function are asked for by helpers, which the kernel turns
/// into loads: what a program loads itself from there are pointers to the verifier, with which no numbers can be
/// computed.
pub(super) fn fetch_arguments(emit: &mut Emit<'_>, hook: &KernelHook, slots: &[Option<i16>; 10]) {
    let places = match hook {
        KernelHook::Event(event) if slots.iter().any(Option::is_some) => event.places(),
        KernelHook::Event(_) | KernelHook::Tracepoint(_) | KernelHook::Function(..) => Vec::new(),
    };
    for (n, slot) in (0_u8..).zip(slots) {
        let Some(slot) = *slot else {
            continue;
        };
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
        match hook {
            KernelHook::Tracepoint(_) => {
                emit.asm
                    .load(Size::Double, Reg::R0, Reg::R1, 8 * i16::from(n));
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            }
            KernelHook::Event(_) => fetch_field(emit, places.get(usize::from(n)), slot),
            KernelHook::Function(_, Way::Entry) => {
                emit.asm.mov_imm(Reg::R2, n.into());
                emit.stack_address(Reg::R3, slot);
                emit.asm.call(Helper::GetFuncArg);
            }
            KernelHook::Function(_, Way::Return) => {
                emit.stack_address(Reg::R2, slot);
                emit.asm.call(Helper::GetFuncRet);
            }
        }
    }
}

/// Fetches a field of the record at `r1`. Of what is larger than a word the address is taken: as a number, by way
/// of a helper that reads it, since to the verifier it is a pointer.
fn fetch_field(emit: &mut Emit<'_>, place: Option<&FieldPlace>, slot: i16) {
    match place {
        Some(FieldPlace::Int { offset, size }) => {
            emit.asm.load(Size::of(*size), Reg::R0, Reg::R1, *offset);
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        Some(FieldPlace::Memory { offset }) => {
            emit.asm.alu_imm(Alu::Add, Reg::R1, i32::from(*offset));
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
            emit.stack_address(Reg::R3, slot);
            emit.stack_address(Reg::R1, slot);
            emit.asm.mov_imm(Reg::R2, 8);
            emit.asm.call(Helper::ProbeReadKernel);
        }
        None => emit.asm.store_imm(Size::Double, Reg::FP, slot, 0),
    }
}

/// What the program is to be attached to.
pub(super) fn target(hook: &KernelHook) -> Target {
    match hook {
        KernelHook::Tracepoint(name) => Target::Tracepoint(name.clone()),
        KernelHook::Function(function, way) => Target::Function(function.clone(), *way),
        KernelHook::Event(event) => Target::Event(event.clone()),
    }
}
