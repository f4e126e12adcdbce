//! Scratch that is too large for a thread's state, which the kernel limits to 64 KiB: that of programs with long
//! strings (`-x strsize`).
//!
//! An array has some places for each CPU, laid out like a thread's state, and a firing claims one until it
//! ends. A program stays on its CPU, but others may interrupt it there: each takes the next place that is free.
//! Who has a place stands in its word [`own_state::BUSY`], so that the parts of a program find it again: a thread, or a timer
//! that has interrupted it. Each of these has one firing at a time, so programs whose firings may interrupt another of
//! their thread (`Storage::nests`) have their scratch in the thread's state, however long strings are.

use dlang::diag::Span;

use crate::emit::{Emit, Emitted, Fetched};
use crate::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use crate::storage::{CLAIM_LEVELS, own_state};

/// Set in the owner's number for a timer.
const TIMER: i64 = i64::MIN;

impl Emit<'_> {
    /// `dst = address of the place that this firing has claimed`. A firing that finds none is given up and counted.
    /// Destroys `r0` to `r5`.
    pub(crate) fn claimed_scratch(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        self.gave_up = true;
        self.may_nest = true;
        let [owner, key] = [self.buffer(8, span)?, self.buffer(8, span)?];
        let done = self.fetch_once(dst, Fetched::Claimed, span, |e| {
            let claimed = e.asm.label();
            e.owner_and_key(owner, key);
            for _ in 0..CLAIM_LEVELS {
                e.place_at(key);
                e.asm.mov(Reg::R3, Reg::R0);
                e.asm.mov_imm(Reg::R0, 0);
                e.asm.load(Size::Double, Reg::R2, Reg::FP, owner);
                e.asm
                    .push(Insn::compare_exchange(Reg::R3, own_state::BUSY, Reg::R2));
                e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, claimed);
                e.move_key(key, 1);
            }
            let nested = e.nested;
            e.asm.jump(nested);
            e.asm.bind(claimed);
            e.asm.mov(Reg::R0, Reg::R3);
            e.empty_heap();
            e.clear_scratch(span)
        });
        self.stack.give_buffer(key, 8);
        self.stack.give_buffer(owner, 8);
        done
    }

    /// `r0 = address of the place that an earlier part of this firing has claimed`.
    pub(crate) fn find_claimed(&mut self, span: Span) -> Emitted<()> {
        self.gave_up = true;
        let [owner, key] = [self.buffer(8, span)?, self.buffer(8, span)?];
        let found = self.asm.label();
        self.owner_and_key(owner, key);
        self.move_key(key, CLAIM_LEVELS - 1);
        for _ in 0..CLAIM_LEVELS {
            self.place_at(key);
            self.asm
                .load(Size::Double, Reg::R1, Reg::R0, own_state::BUSY);
            self.asm.load(Size::Double, Reg::R2, Reg::FP, owner);
            self.asm.jump_if(Cond::Eq, Reg::R1, Reg::R2, found);
            self.move_key(key, -1);
        }
        let give_up = self.give_up;
        self.asm.jump(give_up);
        self.asm.bind(found);
        self.stack.give_buffer(key, 8);
        self.stack.give_buffer(owner, 8);
        Ok(())
    }

    /// The thread's ids, which are 0 for the one that idles, and the first place of this CPU.
    fn owner_and_key(&mut self, owner: i16, key: i16) {
        self.asm.call(Helper::GetCurrentPidTgid);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        if self.machine.timer {
            self.asm.mov_imm(Reg::R1, TIMER);
            self.asm.alu(Alu::Or, Reg::R0, Reg::R1);
        }
        self.asm.store(Size::Double, Reg::FP, owner, Reg::R0);
        self.asm.call(Helper::GetSmpProcessorId);
        self.asm.alu_imm(Alu::Mul, Reg::R0, CLAIM_LEVELS);
        self.asm.store(Size::Double, Reg::FP, key, Reg::R0);
    }

    fn move_key(&mut self, key: i16, by: i32) {
        self.asm.load(Size::Double, Reg::R0, Reg::FP, key);
        self.asm.alu_imm(Alu::Add, Reg::R0, by);
        self.asm.store(Size::Double, Reg::FP, key, Reg::R0);
    }

    /// `r0 = address of the place with this number`.
    fn place_at(&mut self, key: i16) {
        self.asm.map(Reg::R1, self.storage.scratch);
        self.stack_address(Reg::R2, key);
        self.asm.call(Helper::MapLookupElem);
        let give_up = self.give_up;
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, give_up);
    }
}
