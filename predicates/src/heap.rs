//! The heap: where the strings of one firing stand back to back.
//!
//! It is the part of the scratch behind the record's fixed part. How much of it is in use is a
//! word at the start of the scratch (`own_state::HEAP_USED`), zeroed when a firing first looks for
//! its scratch. What is loaded from there is an unknown number to the verifier, which
//! [`Emit::bound_start`] then bounds by the most that any firing of the program uses. So wherever
//! the code stands, and whichever way led there, a string's start has the same range, and ways that
//! put different strings on the heap meet as equals (see [`crate::join`]).
//!
//! The most that a firing uses is added up while the code is made: `strsize` for each string. It is
//! known at the end only, so the checks are filled in by [`Emit::finish`].

use dlang::diag::Span;

use crate::emit::{Emit, Emitted, Fetched, imm};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::stack::Val;
use crate::storage::own_state;

/// So many bytes of strings may one clause leave for the next.
const FULL: u32 = 12_288;

impl Emit<'_> {
    /// Between two clauses: where many strings may be on the heap, empties it, so that a firing of
    /// any number of clauses needs no more. Strings that clauses share are read again then.
    pub fn empty_heap_if_full(&mut self, span: Span) -> Emitted<()> {
        if self.heap.now < FULL {
            return Ok(());
        }
        let unused = self.asm.label();
        let scratch = self.scratch_slot(span)?;
        self.load_zero(Reg::R0, span)?;
        let lengths: Vec<i16> = self
            .slots
            .iter()
            .filter(|(what, _)| matches!(what, Fetched::Length(_)))
            .map(|(_, &slot)| slot)
            .collect();
        for slot in lengths {
            self.unlink(Reg::R0);
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        self.fetched
            .retain(|what| !matches!(what, Fetched::Length(_)));
        self.asm.load(Size::Double, Reg::R1, Reg::FP, scratch);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, unused);
        self.asm
            .store(Size::Double, Reg::R1, own_state::HEAP_USED, Reg::R0);
        self.heap.now = 0;
        self.keep_token_rest(span)?;
        self.asm.bind(unused);
        Ok(())
    }

    /// What is left of a string that `strtok` takes apart goes to the start of the heap that has just
    /// been emptied.
    fn keep_token_rest(&mut self, span: Span) -> Emitted<()> {
        let Some(&start) = self.slots.get(&Fetched::TokenStart) else {
            return Ok(());
        };
        let before = self.fetched();
        let rest = self.push_kernel_string(span, |e| {
            e.asm.load(Size::Double, Reg::R0, Reg::FP, start);
            e.through_memory(Reg::R0, Reg::R1);
            e.bound_start(Reg::R0);
            e.scratch_known(Reg::R3);
            e.asm.alu_imm(Alu::Add, Reg::R3, imm(e.storage.heap));
            e.asm.alu(Alu::Add, Reg::R3, Reg::R0);
            Ok(())
        })?;
        let reg = self.reg(&rest.start, Reg::R0);
        self.through_memory(reg, Reg::R1);
        self.asm.store(Size::Double, Reg::FP, start, reg);
        self.give_string(rest);
        self.fetched_only(&before);
        Ok(())
    }

    /// Notes that a string of at most `size` bytes is put on the heap.
    pub(crate) fn heap_grows(&mut self, size: u32) {
        self.heap.now += size;
        self.heap.max = self.heap.max.max(self.heap.now);
    }

    /// Notes that `size` bytes from any place in the heap, or behind it, may be used.
    pub(crate) fn heap_reaches(&mut self, size: u32) {
        self.heap.beyond = self.heap.beyond.max(size);
    }

    /// The most heap that a firing uses, and what may be touched behind the `strsize` bytes that
    /// are always there behind it, in bytes.
    #[must_use]
    pub fn heap_max(&self) -> u32 {
        self.heap.max + self.heap.beyond.saturating_sub(self.storage.strsize)
    }

    /// Tells the verifier that `reg`, a place in the heap, is in it. It always is.
    pub(crate) fn bound_start(&mut self, reg: Reg) {
        self.heap.checks.push(self.asm.here());
        self.gave_up = true;
        self.asm.jump_if_imm(Cond::Gt, reg, 0, self.give_up);
    }

    /// Fills in what [`Self::bound_start`] compares with.
    pub(crate) fn fill_in_heap_checks(&mut self) {
        let max = imm(self.heap.max);
        for check in std::mem::take(&mut self.heap.checks) {
            self.asm.set_imm(check, max);
        }
    }

    /// `dst = number of heap bytes in use`, where the scratch has surely been fetched.
    pub fn heap_used(&mut self, dst: Reg) {
        self.scratch_known(dst);
        self.asm.load(Size::Double, dst, dst, own_state::HEAP_USED);
        self.bound_start(dst);
    }

    /// `number of heap bytes in use = src`, where the scratch has surely been fetched; destroys
    /// `spare`.
    pub fn set_heap_used(&mut self, src: Reg, spare: Reg) {
        self.scratch_known(spare);
        self.asm
            .store(Size::Double, spare, own_state::HEAP_USED, src);
    }

    /// Keeps in a stack slot how full the heap is, in code that may run before any that looks for
    /// the scratch, or after: 0 if the heap is not in use.
    pub fn save_heap(&mut self, span: Span) -> Emitted<i16> {
        let saved = self.buffer(8, span)?;
        let unused = self.asm.label();
        let scratch = self.scratch_slot(span)?;
        self.load_zero(Reg::R0, span)?;
        self.asm.load(Size::Double, Reg::R1, Reg::FP, scratch);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, unused);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R1, own_state::HEAP_USED);
        self.asm.bind(unused);
        self.asm.store(Size::Double, Reg::FP, saved, Reg::R0);
        Ok(saved)
    }

    /// Empties the heap down to what [`Self::save_heap`] has kept, and gives the slot back.
    pub fn restore_heap(&mut self, saved: i16, span: Span) -> Emitted<()> {
        let unused = self.asm.label();
        let scratch = self.scratch_slot(span)?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, saved);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, scratch);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, unused);
        self.asm
            .store(Size::Double, Reg::R1, own_state::HEAP_USED, Reg::R0);
        self.asm.bind(unused);
        self.stack.give_buffer(saved, 8);
        Ok(())
    }

    /// `dst = address of the heap's end`; gives that place. The scratch has been fetched.
    pub(crate) fn heap_end(&mut self, dst: Reg, span: Span) -> Emitted<Val> {
        let at = self.take(span)?;
        let reg = if let Val::Reg(reg) = at { reg } else { Reg::R5 };
        self.scratch_known(dst);
        self.asm.load(Size::Double, reg, dst, own_state::HEAP_USED);
        self.bound_start(reg);
        self.put(&at, reg);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        self.asm.alu(Alu::Add, dst, reg);
        Ok(at)
    }

    /// `dst = address of heap + offset`. Destroys `r0` to `r5`.
    pub fn heap_at(&mut self, dst: Reg, offset: &Val, span: Span) -> Emitted<()> {
        self.scratch(dst, span)?;
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        let spare = if dst == Reg::R5 { Reg::R4 } else { Reg::R5 };
        let offset = self.reg(offset, spare);
        self.asm.alu(Alu::Add, dst, offset);
        Ok(())
    }

    /// `dst = address of heap + offset` where the scratch has surely been fetched. Destroys `r5`.
    pub(crate) fn heap_address_known(&mut self, dst: Reg, offset: &Val) {
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        let offset = self.reg(offset, Reg::R5);
        self.asm.alu(Alu::Add, dst, offset);
    }
}
