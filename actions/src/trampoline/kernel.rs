//! The context is words: what a tracepoint passes, or what a function of the kernel is given, and behind that
//! what it gives back.

use std::collections::BTreeSet;

use dlang::diag::Span;
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Helper, Reg, Size};
use provider::object::Target;
use provider::probe::{KernelHook, Probe, Way};

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
    for (n, slot) in (0..).zip(slots) {
        let Some(slot) = *slot else {
            continue;
        };
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
        match hook {
            KernelHook::Tracepoint(_) => {
                emit.asm.load(Size::Double, Reg::R0, Reg::R1, 8 * n);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            }
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

/// What the program is to be attached to.
pub(super) fn target(hook: &KernelHook) -> Target {
    match hook {
        KernelHook::Tracepoint(name) => Target::Tracepoint(name.clone()),
        KernelHook::Function(function, way) => Target::Function(function.clone(), *way),
    }
}
