//! The assembler: instructions in order, labels, and symbolic maps.
//!
//! Jumps name labels, which may be bound before or after them. Maps are numbers that mean
//! something to the caller; `finish` lists where they stand, and nothing here opens one.

use std::fmt::Write as _;

use crate::insn::{Alu, Cond, Helper, Insn, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE, Reg, Size};

/// A place to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(usize);

/// A map, by its number in the enabling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapRef(pub u32);

/// An `ld_imm64` that names a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapUse {
    /// Index of the instruction.
    pub insn: usize,
    /// The map.
    pub map: MapRef,
    /// `None` for the map; else the byte in its first value.
    pub value_offset: Option<u32>,
}

/// Finished code.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The instructions, jumps resolved.
    pub insns: Vec<Insn>,
    /// Where maps are named.
    pub maps: Vec<MapUse>,
    /// What the code from an instruction on computes, for listings.
    pub notes: Vec<(usize, String)>,
}

/// A jump that does not fit its 16 bits: the program is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the generated program is too long: a jump over {distance} instructions")]
pub struct JumpTooFar {
    /// How far it would have to jump.
    pub distance: usize,
}

/// Collects instructions.
#[derive(Debug, Default)]
pub struct Asm {
    code: Code,
    /// Where each label stands, once bound.
    labels: Vec<Option<usize>>,
    /// Jumps and the labels they lead to.
    jumps: Vec<(usize, Label)>,
}

impl Asm {
    /// The index of the next instruction.
    #[must_use]
    pub fn here(&self) -> usize {
        self.code.insns.len()
    }

    /// A new label, not yet bound.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Binds `label` to the next instruction.
    pub fn bind(&mut self, label: Label) {
        debug_assert!(self.labels[label.0].is_none(), "a label is bound once");
        self.labels[label.0] = Some(self.here());
    }

    /// Says what follows, for listings.
    pub fn note(&mut self, text: impl Into<String>) {
        self.code.notes.push((self.here(), text.into()));
    }

    /// Appends an instruction that is neither a jump nor an `ld_imm64`.
    pub fn push(&mut self, insn: Insn) {
        self.code.insns.push(insn);
    }

    /// `dst = src`, unless they are the same.
    pub fn mov(&mut self, dst: Reg, src: Reg) {
        if dst != src {
            self.push(Insn::alu(Alu::Mov, dst, src));
        }
    }

    /// `dst = value`.
    pub fn mov_imm(&mut self, dst: Reg, value: i64) {
        if let Ok(imm) = i32::try_from(value) {
            self.push(Insn::alu_imm(Alu::Mov, dst, imm));
        } else {
            self.code
                .insns
                .extend(Insn::load_imm64(dst, 0, value.cast_unsigned()));
        }
    }

    /// `dst op= src`.
    pub fn alu(&mut self, op: Alu, dst: Reg, src: Reg) {
        self.push(Insn::alu(op, dst, src));
    }

    /// `dst op= imm`.
    pub fn alu_imm(&mut self, op: Alu, dst: Reg, imm: i32) {
        self.push(Insn::alu_imm(op, dst, imm));
    }

    /// `dst = *(size *)(base + offset)`.
    pub fn load(&mut self, size: Size, dst: Reg, base: Reg, offset: i16) {
        self.push(Insn::load(size, dst, base, offset));
    }

    /// `*(size *)(base + offset) = src`.
    pub fn store(&mut self, size: Size, base: Reg, offset: i16, src: Reg) {
        self.push(Insn::store(size, base, offset, src));
    }

    /// `*(size *)(base + offset) = imm`.
    pub fn store_imm(&mut self, size: Size, base: Reg, offset: i16, imm: i32) {
        self.push(Insn::store_imm(size, base, offset, imm));
    }

    /// `dst = map`.
    pub fn map(&mut self, dst: Reg, map: MapRef) {
        self.map_use(dst, map, None);
    }

    /// `dst = address of byte offset in the first value of an array map`.
    pub fn map_value(&mut self, dst: Reg, map: MapRef, offset: u32) {
        self.map_use(dst, map, Some(offset));
    }

    fn map_use(&mut self, dst: Reg, map: MapRef, value_offset: Option<u32>) {
        let pseudo = if value_offset.is_some() {
            PSEUDO_MAP_VALUE
        } else {
            PSEUDO_MAP_FD
        };
        self.code.maps.push(MapUse {
            insn: self.here(),
            map,
            value_offset,
        });
        let value = u64::from(map.0) | u64::from(value_offset.unwrap_or(0)) << 32;
        self.code.insns.extend(Insn::load_imm64(dst, pseudo, value));
    }

    /// `goto label`.
    pub fn jump(&mut self, label: Label) {
        self.jumps.push((self.here(), label));
        self.push(Insn::jump());
    }

    /// `if a cond b goto label`.
    pub fn jump_if(&mut self, cond: Cond, a: Reg, b: Reg, label: Label) {
        self.jumps.push((self.here(), label));
        self.push(Insn::jump_if(cond, a, b));
    }

    /// `if a cond imm goto label`.
    pub fn jump_if_imm(&mut self, cond: Cond, a: Reg, imm: i32, label: Label) {
        self.jumps.push((self.here(), label));
        self.push(Insn::jump_if_imm(cond, a, imm));
    }

    /// `r0 = helper(r1, ..., r5)`.
    pub fn call(&mut self, helper: Helper) {
        self.push(Insn::call(helper));
    }

    /// Resolves the jumps.
    pub fn finish(mut self) -> Result<Code, JumpTooFar> {
        for &(at, label) in &self.jumps {
            let target = self.labels[label.0].expect("every label that is jumped to is bound");
            let distance = i64::try_from(target).unwrap_or(i64::MAX)
                - i64::try_from(at).unwrap_or(i64::MAX)
                - 1;
            self.code.insns[at].offset = i16::try_from(distance).ok().ok_or(JumpTooFar {
                distance: target.abs_diff(at),
            })?;
        }
        Ok(self.code)
    }
}

impl Code {
    /// The instructions as text, numbered, with the notes above what they speak of.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut text = String::new();
        let mut notes = self.notes.iter().peekable();
        for (index, insn) in self.insns.iter().enumerate() {
            while let Some((_, note)) = notes.next_if(|(at, _)| *at <= index) {
                let _ = writeln!(text, "; {note}");
            }
            let _ = writeln!(text, "{index:5}: {insn}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_count_from_the_next_instruction() {
        let mut asm = Asm::default();
        let (start, end) = (asm.label(), asm.label());
        asm.bind(start);
        asm.jump_if_imm(Cond::Eq, Reg::R1, 0, end);
        asm.jump(start);
        asm.bind(end);
        asm.push(Insn::exit());
        let code = asm.finish().unwrap();
        assert_eq!((code.insns[0].offset, code.insns[1].offset), (1, -2));
    }

    #[test]
    fn a_jump_that_is_too_far_is_an_error() {
        let mut asm = Asm::default();
        let end = asm.label();
        asm.jump(end);
        for _ in 0..40_000 {
            asm.mov_imm(Reg::R0, 0);
        }
        asm.bind(end);
        assert_eq!(asm.finish().unwrap_err(), JumpTooFar { distance: 40_001 });
    }

    #[test]
    fn wide_constants_take_two_slots() {
        let mut asm = Asm::default();
        asm.mov_imm(Reg::R1, i64::from(i32::MIN));
        asm.mov_imm(Reg::R1, i64::from(u32::MAX));
        assert_eq!(asm.here(), 3);
    }
}
