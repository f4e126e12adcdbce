//! Byte code of which each thread has a copy (free-threaded 3.14).
//!
//! The checks, the cache of arguments and the line table work on the byte code in the code object. So
//! an instruction in a copy is replaced by the one at the same distance from the start of that byte
//! code: it has the same opcode, or another form of it (`provider::python::free_threaded`).

use predicates::emit::Emit;
use predicates::insn::{Alu, Cond, Reg, Size};
use provider::python::offsets::{ByteCode, ThreadCopies};

use super::dispatch::Dispatch;
use super::read::{add, read};

impl Dispatch<'_> {
    /// Where frames have the number of their copy, if there are copies.
    pub(super) fn copies(&self) -> Option<(ThreadCopies, u16)> {
        if let ByteCode::Inline {
            start,
            copies: Some(copies),
            ..
        } = self.build.offsets.code.byte_code
        {
            Some((copies, start))
        } else {
            None
        }
    }

    /// Moves the instruction in the slot `instruction` from the copy whose number is in the slot
    /// `number` to the code object in `r7`. Destroys `r0` to `r5`.
    pub(super) fn leave_copy(&self, emit: &mut Emit<'_>, number: i16, instruction: i16) {
        let Some((copies, start)) = self.copies() else {
            return;
        };
        let word = self.scratch.word;
        let original = emit.asm.label();
        emit.asm.load(Size::Word, Reg::R1, Reg::FP, number);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, original);
        emit.asm.mov(Reg::R3, Reg::R7);
        add(emit, Reg::R3, i32::from(copies.array));
        read(emit, word, 8);
        emit.asm.load(Size::Double, Reg::R3, Reg::FP, word);
        emit.asm.load(Size::Word, Reg::R1, Reg::FP, number);
        emit.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        emit.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        add(emit, Reg::R3, i32::from(copies.entries));
        read(emit, word, 8);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, word);
        emit.asm.load(Size::Double, Reg::R2, Reg::FP, instruction);
        emit.asm.alu(Alu::Sub, Reg::R2, Reg::R1);
        emit.asm.alu(Alu::Add, Reg::R2, Reg::R7);
        add(emit, Reg::R2, i32::from(start));
        emit.asm.store(Size::Double, Reg::FP, instruction, Reg::R2);
        emit.asm.bind(original);
    }
}
