//! Reads of the traced program: values at a hit, and its memory.
//!
//! All memory is of the traced program's own, and in pages that it has just used.

use predicates::asm::Label;
use predicates::emit::Emit;
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::probe::Register;
use provider::python::{FlagTest, Location};

use crate::trampoline::locations::load_register;

/// Which bits of the processor's flags the sign and the overflow of the last operation are.
const SIGN: i32 = 7;
const OVERFLOW: i32 = 11;

/// `dst = value at a location`; `r9` holds the context, and the slot `word` may be used.
pub(super) fn locate(emit: &mut Emit<'_>, dst: Reg, location: Location, word: i16) {
    match location {
        Location::Register(register) => load_register(emit, dst, Reg::R9, register),
        Location::Memory { base, offset } => {
            load_register(emit, Reg::R3, Reg::R9, base);
            add(emit, Reg::R3, offset);
            read(emit, word, 8);
            emit.asm.load(Size::Double, dst, Reg::FP, word);
        }
    }
}

/// Leaves unless the processor's flags are as `test` says; `r9` holds the context.
pub(super) fn leave_unless(emit: &mut Emit<'_>, test: FlagTest, leave: Label) {
    load_register(emit, Reg::R0, Reg::R9, Register::FLAGS);
    if test.less {
        // The overflow flag where the sign flag is: whether they differ.
        emit.asm.mov(Reg::R1, Reg::R0);
        emit.asm.alu_imm(Alu::Rsh, Reg::R1, OVERFLOW - SIGN);
        emit.asm.alu(Alu::Xor, Reg::R1, Reg::R0);
        emit.asm.alu_imm(Alu::And, Reg::R1, 1 << SIGN);
        emit.asm.alu_imm(Alu::And, Reg::R0, i32::from(test.mask));
        emit.asm.alu(Alu::Or, Reg::R0, Reg::R1);
    } else {
        emit.asm.alu_imm(Alu::And, Reg::R0, i32::from(test.mask));
    }
    let other = if test.set { Cond::Eq } else { Cond::Ne };
    emit.asm.jump_if_imm(other, Reg::R0, 0, leave);
}

/// Reads `size` bytes at the user address in `r3` to the stack; zeros where it cannot.
pub(super) fn read(emit: &mut Emit<'_>, to: i16, size: u16) {
    emit.stack_address(Reg::R1, to);
    emit.asm.mov_imm(Reg::R2, i64::from(size));
    emit.asm.call(Helper::ProbeReadUser);
}

pub(super) fn add(emit: &mut Emit<'_>, reg: Reg, distance: i32) {
    if distance != 0 {
        emit.asm.alu_imm(Alu::Add, reg, distance);
    }
}

/// A field's offset, or the size of what is read of an object, for loads and stores.
pub(super) fn signed(offset: u16) -> i16 {
    i16::try_from(offset).expect("the fields of Python's objects are near their start")
}
