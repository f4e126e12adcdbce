//! Whether an entry is of a generator or coroutine that goes on, `pyresumed`.
//!
//! Before 3.11 a frame's `f_lasti` is negative until the function has executed its first instruction. From 3.11 on, the
//! argument of `RESUME` tells what is before it:
//!
//! ```text
//!     0 the function's start      1 a yield      2 a yield from      3 an await
//! ```
//!
//! in its two lowest bits. `throw()` and `close()` do not execute `RESUME`; where the generator stands is the instruction
//! that handed the last value out (3.11, 3.12) or the `RESUME` behind that (3.13 on). One that has not started stands at
//! or behind `RETURN_GENERATOR`.

use predicates::asm::Label;
use predicates::emit::Emit;
use predicates::insn::{Alu, Cond, Reg, Size};
use provider::python::opcodes::{self, Opcodes};
use provider::python::{Event, Method, Site};

use super::dispatch::{Dispatch, starts};
use super::read::read;

/// What of the argument of `RESUME` tells what is before it.
const BEFORE: i32 = 3;

impl Dispatch<'_> {
    /// Whether a hit has to say if the function goes on: the slot for it.
    pub(super) fn resumed_at(&self, site: &Site) -> Option<i16> {
        let enabled = self.firings[0].is_some();
        self.resumed.filter(|_| enabled && starts(site.event))
    }

    /// Finds whether the function goes on. `r8` is the instruction; destroys `r0` to `r5`.
    pub(super) fn find_resumed(&self, emit: &mut Emit<'_>, site: &Site, slot: i16) {
        let [yes, done] = [(); 2].map(|()| emit.asm.label());
        emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
        if self.build.method == Method::Calls {
            emit.asm.jump_if_imm(Cond::SLt, Reg::R8, 0, done);
        } else {
            let word = self.scratch.word;
            emit.asm.mov(Reg::R3, Reg::R8);
            read(emit, word, 2); // opcode and argument
            if site.event == Event::Throw {
                self.stands_after_a_yield(emit, yes, done);
            }
            emit.asm.load(Size::Byte, Reg::R0, Reg::FP, word + 1);
            emit.asm.alu_imm(Alu::And, Reg::R0, BEFORE);
            emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        }
        emit.asm.bind(yes);
        emit.asm.store_imm(Size::Double, Reg::FP, slot, 1);
        emit.asm.bind(done);
    }

    /// Where no `RESUME` is executed, looks at the instruction that has been read: on to `yes` if it hands a value out, to `no`
    /// if it is another one than `RESUME`.
    fn stands_after_a_yield(&self, emit: &mut Emit<'_>, yes: Label, no: Label) {
        let minor = self.build.version.minor;
        let all = opcodes::of(minor);
        let list = |of: fn(&Opcodes) -> &'static [u8]| all.map_or(&[][..], of);
        let masking = self.build.masking_opcodes;
        let (yields, resumes) = if minor >= 13 {
            (&[][..], [list(|all| all.resume), masking])
        } else {
            // No tool puts anything in the place of `RETURN_GENERATOR`.
            (masking, [&[][..]; 2])
        };
        emit.asm
            .load(Size::Byte, Reg::R0, Reg::FP, self.scratch.word);
        for &opcode in list(|all| all.yield_value).iter().chain(yields) {
            emit.asm
                .jump_if_imm(Cond::Eq, Reg::R0, i32::from(opcode), yes);
        }
        let resume = emit.asm.label();
        for &opcode in resumes.into_iter().flatten() {
            emit.asm
                .jump_if_imm(Cond::Eq, Reg::R0, i32::from(opcode), resume);
        }
        emit.asm.jump(no);
        emit.asm.bind(resume);
    }
}
