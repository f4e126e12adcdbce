//! The context is what a timer interrupted: `arg0` is the kernel's program counter and `arg1` the
//! user's, each 0 where the other was running, as in DTrace.

use std::collections::BTreeSet;

use dlang::diag::Span;
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Alu, Cond, Reg, Size};
use provider::probe::Register;

use super::locations::load_register;

/// How many arguments there are.
const ARGUMENTS: u8 = 2;

/// The register that says in which mode the CPU was: on x86-64 the code segment's selector, on
/// aarch64 the saved program state.
const MODE: Register = Register(if cfg!(target_arch = "aarch64") {
    264
} else {
    136
});

/// The bits of it that are 0 in one mode only.
const MODE_BITS: i32 = if cfg!(target_arch = "aarch64") {
    0xf
} else {
    3
};

/// The mode in which those bits are 0.
const ZERO_IS_USER: bool = cfg!(target_arch = "aarch64");

/// Gives the arguments that are used a slot.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
) -> Emitted<()> {
    for (n, place) in (0..ARGUMENTS).zip(slots) {
        let mut argument = Argument::Absent;
        if used.contains(&n) {
            let slot = emit.buffer(8, Span::default())?;
            *place = Some(slot);
            argument = Argument::Slot(slot);
        }
        emit.machine.args.push(argument);
    }
    Ok(())
}

/// Fetches the arguments that have slots.
pub(super) fn fetch_arguments(emit: &mut Emit<'_>, slots: &[Option<i16>; 10]) {
    let [kernel, user, ..] = *slots;
    if kernel.is_none() && user.is_none() {
        return;
    }
    for slot in [kernel, user].into_iter().flatten() {
        emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
    }
    emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
    load_register(emit, Reg::R0, Reg::R1, Register::IP);
    load_register(emit, Reg::R2, Reg::R1, MODE);
    emit.asm.alu_imm(Alu::And, Reg::R2, MODE_BITS);
    let (zero, other) = if ZERO_IS_USER {
        (user, kernel)
    } else {
        (kernel, user)
    };
    let (is_zero, end) = (emit.asm.label(), emit.asm.label());
    emit.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, is_zero);
    store(emit, other);
    emit.asm.jump(end);
    emit.asm.bind(is_zero);
    store(emit, zero);
    emit.asm.bind(end);
}

fn store(emit: &mut Emit<'_>, slot: Option<i16>) {
    if let Some(slot) = slot {
        emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
    }
}
