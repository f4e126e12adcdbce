//! The state that the interpreter has of a thread.
//!
//! ```text
//!     state = the one that this thread had last
//!     check:  in its list (prev.next or first of its interpreter), of this thread, and the last active one
//!     walk:   for each interpreter, for each state: of this thread, and the last active one?
//! ```
//!
//! A thread may have several: one for each interpreter that it works for. From 3.12 on a bit tells the last one
//! that was active. Before, it is the newest that has a frame: lists are the newest first, and what a thread does
//! for another interpreter comes to an end before it goes on with the first.

use dlang::diag::Span;
use unwind::python::{Fact, NO_FIELD, WINDOW};

use super::Slots;
use crate::asm::Label;
use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonFrames, area, state_of_thread};

/// How many states and interpreters are looked at: a list may be a trap, made to keep us busy.
const MOST_STATES: i32 = 1 << 15;

/// The masks that keep offsets in what was read of a state: of a byte, and of a word.
const STATE: i32 = 0x3ff;
const STATE_WORDS: i32 = 0x3f8;
const _: () = assert!(WINDOW == 0x400);

/// Offsets in a thread state, the same in all versions.
const NEXT: i32 = 8;
pub(super) const INTERPRETER: i16 = 16;

/// How often a state is looked for that then is not what it should be.
const ATTEMPTS: i32 = 2;

impl Emit<'_> {
    /// Finds the state of the thread; on to `none` if it has none.
    pub(super) fn find_python_state(
        &mut self,
        python: PythonFrames,
        s: Slots,
        none: Label,
        span: Span,
    ) -> Emitted<()> {
        let [check, walk, have, lost] = [(); 4].map(|()| self.asm.label());
        self.asm.call(Helper::GetCurrentTaskBtf);
        let fs_base = self.storage.task.fs_base;
        let fs_base = fs_base.and_then(|offset| i16::try_from(offset).ok());
        self.asm
            .load(Size::Double, Reg::R1, Reg::R0, fs_base.unwrap_or(0));
        self.asm.store(Size::Double, Reg::FP, s.thread, Reg::R1);
        self.task_value(python.maps.threads, true);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, check);
        self.asm
            .load(Size::Double, Reg::R1, Reg::R0, state_of_thread::STATE);
        self.asm.store(Size::Double, Reg::FP, s.state, Reg::R1);

        // A loop with one start, and without a bound: verifiers before Linux 6.7 see no difference between its turns,
        // of which there are two.
        self.asm.bind(check);
        self.asm.may_goto(lost);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.state);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, walk);
        self.check_python_state(python, s, walk);
        self.asm.jump(have);

        self.asm.bind(walk);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.attempts);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, ATTEMPTS, lost);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.store(Size::Double, Reg::FP, s.attempts, Reg::R1);
        self.walk_python_states(s, (check, none, lost), span)?;

        self.asm.bind(lost);
        self.count_python_mismatch(span)?;
        self.asm.jump(none);

        self.asm.bind(have);
        let kept = self.asm.label();
        self.task_value(python.maps.threads, true);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, kept);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.state);
        self.asm
            .store(Size::Double, Reg::R0, state_of_thread::STATE, Reg::R1);
        self.asm.bind(kept);
        Ok(())
    }

    /// On to `walk` unless the state is this thread's, in its list, and the one that counts.
    fn check_python_state(&mut self, python: PythonFrames, s: Slots, walk: Label) {
        let [first, linked, by_bit, done] = [(); 4].map(|()| self.asm.label());
        self.python_at(Reg::R1, python, area::READ);
        self.fact(Reg::R2, Fact::StateBytes, s);
        self.asm.alu_imm(Alu::And, Reg::R2, STATE);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.state);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, walk);
        self.state_field(python, s, Fact::ThreadId, (Size::Double, STATE_WORDS));
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.thread);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, walk);
        self.python_at(Reg::R1, python, area::READ);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, INTERPRETER);
        self.asm.store(Size::Double, Reg::FP, s.a, Reg::R0);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, 0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, first);
        self.asm.alu_imm(Alu::Add, Reg::R3, NEXT);
        self.python_word(s, walk);
        self.asm.jump(linked);
        self.asm.bind(first);
        self.python_field(s.a, Fact::FirstThread, s, walk);
        self.asm.bind(linked);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.state);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, walk);
        self.fact(Reg::R1, Fact::LastActive, s);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, by_bit);
        // Where no bit tells, one that was not looked for just now holds while there is one interpreter.
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.attempts);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, done);
        self.python_field(s.a, Fact::NextInterpreter, s, walk);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, walk);
        self.fact(Reg::R3, Fact::Interpreters, s);
        self.python_word(s, walk);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.a);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, walk);
        self.asm.jump(done);
        self.asm.bind(by_bit);
        self.state_field(python, s, Fact::Status, (Size::Byte, STATE));
        self.fact(Reg::R2, Fact::LastActive, s);
        self.asm.alu(Alu::And, Reg::R0, Reg::R2);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, walk);
        self.asm.bind(done);
    }

    /// `r0 = a field` of the state that was found, as it was read then; destroys `r5`.
    fn state_field(
        &mut self,
        python: PythonFrames,
        s: Slots,
        fact: Fact,
        (size, mask): (Size, i32),
    ) {
        self.fact(Reg::R0, fact, s);
        self.asm.alu_imm(Alu::And, Reg::R0, mask);
        self.python_at(Reg::R5, python, area::READ);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.asm.load(size, Reg::R0, Reg::R5, 0);
    }

    /// On to `other` unless the state is the last active one of its thread, by its bit.
    fn test_last_active(&mut self, s: Slots, other: Label, failed: Label) {
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.state);
        self.add_fact(Reg::R3, Fact::Status, Reg::R0, s);
        self.read_python(s, 1, failed);
        self.asm.load(Size::Byte, Reg::R1, Reg::FP, s.read);
        self.fact(Reg::R2, Fact::LastActive, s);
        self.asm.alu(Alu::And, Reg::R1, Reg::R2);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, other);
    }

    /// Goes through all states: on to `found` with one of this thread, to `none`, or to `lost` if there are more than can
    /// be.
    fn walk_python_states(
        &mut self,
        s: Slots,
        (found, none, lost): (Label, Label, Label),
        span: Span,
    ) -> Emitted<()> {
        let [again, look, next, by_frame] = [(); 4].map(|()| self.asm.label());
        let interpreter = s.a;
        self.clear_python(&[s.state, s.visited], span)?;
        self.fact(Reg::R3, Fact::Interpreters, s);
        self.python_word(s, none);
        self.asm.store(Size::Double, Reg::FP, interpreter, Reg::R0);

        self.asm.bind(again);
        self.asm.may_goto(none);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.visited);
        self.asm.jump_if_imm(Cond::Gt, Reg::R1, MOST_STATES, lost);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.store(Size::Double, Reg::FP, s.visited, Reg::R1);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.state);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, look);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, interpreter);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, none);
        self.python_field(interpreter, Fact::FirstThread, s, none);
        self.asm.store(Size::Double, Reg::FP, s.state, Reg::R0);
        self.python_field(interpreter, Fact::NextInterpreter, s, none);
        self.asm.store(Size::Double, Reg::FP, interpreter, Reg::R0);
        self.asm.jump(again);

        self.asm.bind(look);
        self.python_field(s.state, Fact::ThreadId, s, none);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.thread);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, next);
        self.fact(Reg::R1, Fact::LastActive, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, by_frame);
        self.test_last_active(s, next, none);
        self.asm.jump(found);
        self.asm.bind(by_frame);
        self.python_field(s.state, Fact::Frame, s, none);
        self.current_python_frame(s, none);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, found);

        self.asm.bind(next);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.state);
        self.asm.alu_imm(Alu::Add, Reg::R3, NEXT);
        self.python_word(s, none);
        self.asm.store(Size::Double, Reg::FP, s.state, Reg::R0);
        self.asm.jump(again);
        Ok(())
    }

    /// `r0 = address of the current frame` of the state that was found, 0 if there is none.
    pub(super) fn frame_of_python_state(&mut self, python: PythonFrames, s: Slots, failed: Label) {
        self.state_field(python, s, Fact::Frame, (Size::Double, STATE_WORDS));
        self.current_python_frame(s, failed);
    }

    /// The same of what a state has as its [`Fact::Frame`] in `r0`.
    fn current_python_frame(&mut self, s: Slots, failed: Label) {
        let done = self.asm.label();
        self.fact(Reg::R1, Fact::FrameWithin, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, NO_FIELD_IMM, done);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.python_word(s, failed);
        self.asm.bind(done);
    }
}

/// [`NO_FIELD`] as the operand of a comparison, which extends it with its sign.
pub(super) const NO_FIELD_IMM: i32 = {
    assert!(NO_FIELD == u64::MAX);
    -1
};
