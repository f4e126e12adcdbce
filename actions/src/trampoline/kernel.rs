//! The context is words: what a tracepoint passes, the record that it writes, or what a function of the kernel is given, and behind that
//! what it gives back. At a function that is known by its symbol alone, it is the registers.

use std::collections::BTreeSet;

use dlang::diag::Span;
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Alu, Helper, Reg, Size};
use provider::object::Target;
use provider::probe::{FieldPlace, KernelHook, Probe, Register, Way};

use super::locations::load_register;

/// Where a function returns, `arg0` would be the place of the return: as in DTrace, -1 says that it is not
/// known.
const NO_PLACE: i64 = -1;

/// What is in front of a function's arguments where it returns: that place, and the result.
const BEFORE_ARGUMENTS: u8 = 2;

/// Where a function's first arguments are when it is called, those behind them, and its result: offsets in `struct pt_regs`.
const ARGUMENTS: &[Register] = if cfg!(target_arch = "aarch64") {
    &[
        Register(0),
        Register(8),
        Register(16),
        Register(24),
        Register(32),
        Register(40),
        Register(48),
        Register(56),
    ]
} else {
    &[
        Register(112), // rdi
        Register(104), // rsi
        Register(96),  // rdx
        Register(88),  // rcx
        Register(72),  // r8
        Register(64),  // r9
    ]
};
const STACK: Register = Register(if cfg!(target_arch = "aarch64") {
    248
} else {
    152
});
/// From the stack pointer to the first argument that is on the stack.
const ON_STACK: i32 = if cfg!(target_arch = "aarch64") { 0 } else { 8 };
const RESULT: Register = Register(if cfg!(target_arch = "aarch64") { 0 } else { 80 });

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
    let is_return = matches!(
        hook,
        KernelHook::Function(_, Way::Return) | KernelHook::Symbol(_, Way::Return)
    );
    let count = match hook {
        KernelHook::Symbol(_, Way::Entry) => slots.len(),
        KernelHook::Symbol(_, Way::Return) => 2,
        KernelHook::Tracepoint(_) | KernelHook::Function(..) | KernelHook::Event(_) => {
            probe.args.len()
        }
    };
    for (n, place) in (0..).zip(slots).take(count) {
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
        KernelHook::Event(_)
        | KernelHook::Tracepoint(_)
        | KernelHook::Function(..)
        | KernelHook::Symbol(..) => Vec::new(),
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
            KernelHook::Symbol(_, Way::Entry) => fetch_by_convention(emit, n, slot),
            KernelHook::Symbol(_, Way::Return) => {
                load_register(emit, Reg::R0, Reg::R1, RESULT);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            }
            KernelHook::Function(_, Way::Return) => match n.checked_sub(BEFORE_ARGUMENTS) {
                Some(argument) => {
                    emit.asm.mov_imm(Reg::R2, argument.into());
                    emit.stack_address(Reg::R3, slot);
                    emit.asm.call(Helper::GetFuncArg);
                }
                None => {
                    emit.stack_address(Reg::R2, slot);
                    emit.asm.call(Helper::GetFuncRet);
                }
            },
        }
    }
}

/// Fetches an argument from where the calling convention has it; `r1` has the registers. What is on the stack beyond the
/// arguments that there are is whatever is there.
fn fetch_by_convention(emit: &mut Emit<'_>, n: u8, slot: i16) {
    let index = usize::from(n);
    if let Some(register) = ARGUMENTS.get(index) {
        load_register(emit, Reg::R0, Reg::R1, *register);
        emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        return;
    }
    let behind = i32::from(n) - i32::try_from(ARGUMENTS.len()).expect("they are few");
    load_register(emit, Reg::R3, Reg::R1, STACK);
    emit.asm.alu_imm(Alu::Add, Reg::R3, ON_STACK + 8 * behind);
    emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
    emit.stack_address(Reg::R1, slot);
    emit.asm.mov_imm(Reg::R2, 8);
    emit.asm.call(Helper::ProbeReadKernel);
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
        KernelHook::Symbol(symbol, way) => Target::Symbol(symbol.clone(), *way),
        KernelHook::Event(event) => Target::Event(event.clone()),
    }
}
