//! Loads and stores of what is in the region where an object is read.

use super::region::{MOST_NODES, NODE, NODES, ObjectRegion, READ};
use crate::emit::{Emit, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};

impl Emit<'_> {
    /// `dst = address of the region`, where the scratch has been fetched.
    pub(super) fn object_region(&mut self, dst: Reg, region: ObjectRegion) {
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(region.at));
    }

    /// `dst = a word of the region`.
    pub(super) fn object_word(&mut self, region: ObjectRegion, dst: Reg, word: i16) {
        self.object_region(dst, region);
        self.asm.load(Size::Double, dst, dst, word);
    }

    /// `a word of the region = src`. Destroys `r5`, which `src` is not.
    pub(super) fn set_object_word(&mut self, region: ObjectRegion, word: i16, src: Reg) {
        self.object_region(Reg::R5, region);
        self.asm.store(Size::Double, Reg::R5, word, src);
    }

    /// `r0 = bpf_probe_read_user(READ + offset, size, r3)`.
    pub(super) fn read_object(&mut self, region: ObjectRegion, offset: i16, size: i64) {
        self.object_region(Reg::R1, region);
        let at = i32::from(READ) + i32::from(offset);
        self.asm.alu_imm(Alu::Add, Reg::R1, at);
        self.asm.mov_imm(Reg::R2, size);
        self.asm.call(Helper::ProbeReadUser);
    }

    /// `dst = address of the current node`, `spare` destroyed; the place is in the region whatever it is.
    pub(super) fn object_node(&mut self, region: ObjectRegion, dst: Reg, spare: Reg) {
        self.object_region(dst, region);
        self.asm.load(Size::Double, spare, dst, NODE);
        self.gave_up = true;
        let give_up = self.give_up;
        self.asm
            .jump_if_imm(Cond::Ge, spare, imm(MOST_NODES), give_up);
        self.asm.alu(Alu::Add, dst, spare);
        self.asm.alu_imm(Alu::Add, dst, i32::from(NODES));
    }
}
