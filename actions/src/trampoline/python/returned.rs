//! What a function returns, `pyreturn`: found where it ends.
//!
//! Before 3.11 it is an argument of the call at which the function ends, 0 if it is left by an exception.
//!
//! From 3.11 on the interpreter's loop has it in a variable that is nobody's business. But the instruction that
//! returns it found it at the bottom of the function's stack, with nothing above, where it still is:
//!
//! ```text
//!     frame:  ... | arguments, variables, cells | the value | ...
//!                  `---- co_nlocalsplus -------'
//! ```
//!
//! or, for `RETURN_CONST` (3.12, 3.13), among the constants of the code. A function whose last instruction is another one
//! is left by an exception, or is a generator that is suspended: what that hands out is above other things, and is not
//! found.

use predicates::emit::Emit;
use predicates::insn::{Alu, Cond, Reg, Size};
use provider::python::{Returned, Site};

use super::dispatch::{Dispatch, starts};
use super::read::{add, read};
use crate::trampoline::locations::load_register;

/// The most constants of which the number fits in an instruction.
const NUMBERED: i32 = 256;

/// The bits of an address in a frame; the lowest are tags from 3.14 on.
const ADDRESS: i32 = -8;

impl Dispatch<'_> {
    /// Whether a hit has to say what is returned: the slot for it.
    pub(super) fn returned_at(&self, site: &Site) -> Option<i16> {
        let wanted = self.firings[1].is_some_and(|firing| firing.returned);
        self.returned.filter(|_| wanted && !starts(site.event))
    }

    /// Finds what is returned. `r6` is the frame and, from 3.11 on, `r7` the code object and `r8` the instruction;
    /// destroys `r0` to `r5`.
    pub(super) fn find_returned(&self, emit: &mut Emit<'_>, slot: i16) {
        match self.build.returned() {
            Returned::Register(register) => {
                load_register(emit, Reg::R0, Reg::R9, register);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            }
            Returned::Stack {
                variables,
                constants,
                values,
                constant,
            } => {
                let word = self.scratch.word;
                let [value, number, have, done] = [(); 4].map(|()| emit.asm.label());
                emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
                emit.asm.mov(Reg::R3, Reg::R8);
                read(emit, word, 2); // opcode and argument
                emit.asm.load(Size::Byte, Reg::R0, Reg::FP, word);
                for opcode in values {
                    emit.asm
                        .jump_if_imm(Cond::Eq, Reg::R0, i32::from(opcode), value);
                }
                for opcode in constant {
                    emit.asm
                        .jump_if_imm(Cond::Eq, Reg::R0, i32::from(opcode), number);
                }
                emit.asm.jump(done);

                emit.asm.bind(number);
                emit.asm.load(Size::Byte, Reg::R0, Reg::FP, word + 1);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
                emit.asm.mov(Reg::R3, Reg::R7);
                add(emit, Reg::R3, i32::from(constants));
                read(emit, word, 8);
                let string = self.build.offsets.string;
                let items = string.length
                    + if self.build.version.minor >= 14 {
                        16
                    } else {
                        8
                    };
                emit.asm.load(Size::Double, Reg::R3, Reg::FP, word);
                add(emit, Reg::R3, i32::from(items));
                emit.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
                emit.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
                emit.asm.alu(Alu::Add, Reg::R0, Reg::R3);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
                // Where there are more, the number may begin in the instruction before.
                add(emit, Reg::R3, i32::from(string.length) - i32::from(items));
                read(emit, word, 8);
                emit.asm.load(Size::Double, Reg::R0, Reg::FP, word);
                emit.asm.load(Size::Double, Reg::R3, Reg::FP, slot);
                emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
                emit.asm.jump_if_imm(Cond::Gt, Reg::R0, NUMBERED, done);
                emit.asm.jump(have);

                emit.asm.bind(value);
                emit.asm.mov(Reg::R3, Reg::R7);
                add(emit, Reg::R3, i32::from(variables));
                read(emit, word, 4);
                emit.asm.load(Size::Word, Reg::R0, Reg::FP, word);
                emit.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
                emit.asm.mov(Reg::R3, Reg::R6);
                add(emit, Reg::R3, i32::from(self.build.offsets.frame.locals));
                emit.asm.alu(Alu::Add, Reg::R3, Reg::R0);
                emit.asm.bind(have);
                read(emit, word, 8);
                emit.asm.load(Size::Double, Reg::R0, Reg::FP, word);
                emit.asm.alu_imm(Alu::And, Reg::R0, ADDRESS);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
                emit.asm.bind(done);
            }
        }
    }
}
