//! Rows of words in the scratch: stacks of frames, and the list of the Python functions that go between them.

use dlang::diag::Span;

use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Reg, Size};

/// A row of words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// Offset in the scratch.
    pub(crate) at: u32,
    /// How many there is room for.
    pub(crate) room: u32,
}

impl Emit<'_> {
    /// `r2 = address of word number r3`; on to `out` unless there is room for it. Destroys `r3`. The scratch has been
    /// fetched.
    pub(crate) fn word_of(&mut self, words: Words, out: Label) {
        self.unlink(Reg::R3);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R3, imm(words.room), out);
        self.word_within(words);
    }

    /// The same of a word that the verifier knows to be there.
    pub(crate) fn word_within(&mut self, words: Words) {
        self.scratch_known(Reg::R2);
        self.asm.alu_imm(Alu::Add, Reg::R2, imm(words.at));
        self.asm.alu_imm(Alu::Lsh, Reg::R3, 3);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R3);
    }

    /// `words[count++] = value`, where `r1` is the count, which the verifier knows to be below what there is room for.
    /// Destroys `r2` and `r3`.
    pub(crate) fn add_word(&mut self, words: Words, count: i16, value: Reg) {
        self.asm.mov(Reg::R3, Reg::R1);
        self.word_within(words);
        self.asm.store(Size::Double, Reg::R2, 0, value);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.store(Size::Double, Reg::FP, count, Reg::R1);
    }

    /// `*slot += 1`. Destroys `r0`.
    pub(crate) fn count_up(&mut self, slot: i16) {
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
    }

    /// `*slot = 0`, which the verifier does not know. Destroys `r0`.
    pub(crate) fn clear_slot(&mut self, slot: i16, span: Span) -> Emitted<()> {
        self.load_zero(Reg::R0, span)?;
        self.unlink(Reg::R0);
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        Ok(())
    }
}
