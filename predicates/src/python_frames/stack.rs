//! Stacks of Python functions, and the function that a thread is in.

use dlang::diag::Span;
use unwind::python::{AND_MORE, NUMBER_SHIFT};

use super::Slots;
use super::frame::Reading;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fetched, imm};
use crate::frames::{COUNT, Frames, PROCESS};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonFrames, PythonText, area};
use crate::storage::Counter;

/// Whose frames are in a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    /// Those of functions, each called by the next.
    Calls,
    /// The same, and behind the coroutine of a task those that wait for it.
    Awaits,
}

/// How many frames are looked at: a chain may be a trap, made to keep us busy.
const MOST_VISITED: i32 = 1 << 15;

impl Emit<'_> {
    /// Puts the Python functions that the thread is in, up to `wanted` of them, in the scratch, with those that wait for the
    /// task that it runs if `chain` says so. If `marks`, a word behind them says that there are more.
    pub(crate) fn find_python_frames(
        &mut self,
        frames: Frames,
        (wanted, marks): (u32, bool),
        chain: Chain,
        span: Span,
    ) -> Emitted<()> {
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        let s = self.python_slots(span)?;
        let count = self.buffer(8, span)?;
        self.clear_python(&[count], span)?;
        self.clear_python_slots(s, span)?;
        self.pid_tgid(Reg::R0, span)?;
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.store(Size::Word, Reg::R1, PROCESS, Reg::R0);
        self.asm.store_imm(Size::Word, Reg::R1, COUNT, 0);
        let [again, skip, cut, more, out, none] = [(); 6].map(|()| self.asm.label());
        let enough = |e: &mut Self, out: Label| {
            e.asm.load(Size::Double, Reg::R1, Reg::FP, count);
            e.unlink(Reg::R1);
            e.asm.jump_if_imm(Cond::Ge, Reg::R1, imm(wanted), out);
        };
        let reading = if wanted > 1 {
            Reading::WithCallers
        } else {
            Reading::Alone
        };
        self.start_python_walk(python, s, none, span)?;
        if chain == Chain::Awaits {
            self.list_awaiting(python, s);
        }

        self.asm.bind(again);
        self.next_python_frame(python, s, reading, (skip, cut, out), span)?;
        enough(self, if marks { more } else { out });
        self.add_word(frames.addresses(), count, Reg::R0);
        if !marks {
            enough(self, out);
        }
        self.asm.bind(skip);
        match chain {
            Chain::Calls => self.go_to_python_caller(python, s),
            Chain::Awaits => self.go_to_awaiting(python, s, out, &|e| {
                enough(e, if marks { more } else { out });
                e.add_word(frames.addresses(), count, Reg::R0);
            }),
        }
        self.asm.jump(again);
        self.asm.bind(cut);
        self.count(Counter::PythonCuts, span)?;
        self.asm.bind(more);
        self.asm.mov_imm(Reg::R0, AND_MORE.cast_signed());
        self.asm.load(Size::Double, Reg::R1, Reg::FP, count);
        self.bound(Reg::R1, frames.limits.most);
        self.add_word(frames.addresses(), count, Reg::R0);
        self.asm.bind(out);
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.load(Size::Double, Reg::R0, Reg::FP, count);
        self.asm.store(Size::Word, Reg::R1, COUNT, Reg::R0);
        self.copy_new_python_codes(python, s, span)?;
        self.asm.bind(none);
        self.stack.give_buffer(count, 8);
        self.give_python_slots(s);
        Ok(())
    }

    /// `r0 = how many Python functions the thread is in`.
    pub(crate) fn python_depth(&mut self, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        let s = self.python_slots(span)?;
        let count = self.buffer(8, span)?;
        self.clear_python(&[count], span)?;
        self.clear_python_slots(s, span)?;
        let [again, skip, cut, out, none] = [(); 5].map(|()| self.asm.label());
        self.start_python_walk(python, s, none, span)?;
        self.asm.bind(again);
        self.next_python_frame(python, s, Reading::WithCallers, (skip, cut, out), span)?;
        self.count_up(count);
        self.asm.bind(skip);
        self.go_to_python_caller(python, s);
        self.asm.jump(again);
        self.asm.bind(cut);
        self.count(Counter::PythonCuts, span)?;
        self.asm.bind(out);
        self.copy_new_python_codes(python, s, span)?;
        self.asm.bind(none);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, count);
        self.stack.give_buffer(count, 8);
        self.give_python_slots(s);
        Ok(())
    }

    /// `r0 = address of the frame` of the outermost function that the thread is in; on to `other` unless that has
    /// this name, a NUL behind it.
    pub(crate) fn outermost_python_frame(
        &mut self,
        name: &[u8],
        other: Label,
        span: Span,
    ) -> Emitted<()> {
        /// What is remembered of the last function so far: its frame, and the number of its code.
        const FRAME: i16 = 0;
        const NUMBER: i16 = 8;
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        let s = self.python_slots(span)?;
        self.clear_python_slots(s, span)?;
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store_imm(Size::Double, Reg::R1, NUMBER, 0);
        let [again, skip, cut, out, none] = [(); 5].map(|()| self.asm.label());
        self.start_python_walk(python, s, none, span)?;
        self.asm.bind(again);
        self.next_python_frame(python, s, Reading::WithCallers, (skip, cut, out), span)?;
        self.python_at(Reg::R1, python, area::WORK);
        for (slot, word) in [(s.frame, FRAME), (s.number, NUMBER)] {
            self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
            self.asm.store(Size::Double, Reg::R1, word, Reg::R0);
        }
        self.asm.bind(skip);
        self.go_to_python_caller(python, s);
        self.asm.jump(again);
        self.asm.bind(cut);
        self.count(Counter::PythonCuts, span)?;
        self.asm.bind(out);
        self.copy_new_python_codes(python, s, span)?;
        self.asm.bind(none);
        self.give_python_slots(s);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, NUMBER);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, other);
        let function = i64::from(PythonText::Function as u8) << NUMBER_SHIFT;
        self.asm.mov_imm(Reg::R1, function);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R1);
        self.python_at(Reg::R2, python, area::PIECE_KEY);
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R0);
        self.asm.map(Reg::R1, python.maps.texts);
        self.asm.call(Helper::MapLookupElem);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, other);
        self.match_bytes(Reg::R0, 0, name, false, other);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, FRAME);
        Ok(())
    }

    /// Finds the thread's current frame; on to `out` if there is none.
    fn start_python_walk(
        &mut self,
        python: PythonFrames,
        s: Slots,
        out: Label,
        span: Span,
    ) -> Emitted<()> {
        self.find_python_facts(python, s, out, span)?;
        self.find_python_frame(python, s, out, span)
    }

    /// The same where the facts of the process are known.
    pub(super) fn find_python_frame(
        &mut self,
        python: PythonFrames,
        s: Slots,
        out: Label,
        span: Span,
    ) -> Emitted<()> {
        self.find_python_state(python, s, out, span)?;
        self.frame_of_python_state(python, s, out);
        self.asm.store(Size::Double, Reg::FP, s.frame, Reg::R0);
        self.start_reading_frames(python);
        self.clear_python(&[s.visited], span)
    }

    /// `r0 = the frame, as in a stack`; on to `skip` if it is no function's, to `cut` if it or its code object cannot be
    /// read, to `out` behind the last one.
    fn next_python_frame(
        &mut self,
        python: PythonFrames,
        s: Slots,
        reading: Reading,
        (skip, cut, out): (Label, Label, Label),
        span: Span,
    ) -> Emitted<()> {
        self.read_next_python_frame(python, s, reading, (cut, out), span)?;
        self.name_python_frame(python, s, (skip, cut), span)
    }

    /// Reads the next frame; on to `cut` if it cannot be read, to `out` behind the last one, or where there are more than
    /// can be, which is counted.
    pub(super) fn read_next_python_frame(
        &mut self,
        python: PythonFrames,
        s: Slots,
        reading: Reading,
        (cut, out): (Label, Label),
        span: Span,
    ) -> Emitted<()> {
        let [endless, read] = [(); 2].map(|()| self.asm.label());
        self.asm.may_goto(out);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.frame);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, out);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.visited);
        self.asm
            .jump_if_imm(Cond::Gt, Reg::R1, MOST_VISITED, endless);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.store(Size::Double, Reg::FP, s.visited, Reg::R1);
        self.read_python_frame(python, s, reading, cut);
        self.asm.jump(read);
        self.asm.bind(endless);
        self.count_python_mismatch(span)?;
        self.asm.jump(out);
        self.asm.bind(read);
        Ok(())
    }

    /// `dst = the Python function that the thread is in`, as in a stack; 0 if it is in none.
    pub(super) fn python_top(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        let top = |e: &mut Self| -> Emitted<()> {
            e.python_at(Reg::R1, python, area::TOP);
            e.asm.store_imm(Size::Double, Reg::R1, 0, 0);
            let s = e.python_slots(span)?;
            let [again, skip, found, cut, out, none] = [(); 6].map(|()| e.asm.label());
            e.clear_python_slots(s, span)?;
            e.start_python_walk(python, s, none, span)?;
            e.asm.bind(again);
            e.next_python_frame(python, s, Reading::Alone, (skip, cut, out), span)?;
            e.asm.jump(found);
            e.asm.bind(skip);
            e.go_to_python_caller(python, s);
            e.asm.jump(again);
            e.asm.bind(cut);
            e.count(Counter::PythonCuts, span)?;
            e.asm.jump(out);
            e.asm.bind(found);
            e.python_at(Reg::R1, python, area::TOP);
            e.asm.store(Size::Double, Reg::R1, 0, Reg::R0);
            e.asm.load(Size::Double, Reg::R0, Reg::FP, s.frame);
            e.python_at(Reg::R1, python, area::TOP_FRAME);
            e.asm.store(Size::Double, Reg::R1, 0, Reg::R0);
            e.asm.load(Size::Double, Reg::R0, Reg::FP, s.code);
            e.python_at(Reg::R1, python, area::TOP_CODE);
            e.asm.store(Size::Double, Reg::R1, 0, Reg::R0);
            e.asm.bind(out);
            e.copy_new_python_codes(python, s, span)?;
            e.asm.bind(none);
            e.give_python_slots(s);
            e.load_zero(Reg::R0, span)?;
            e.asm.alu_imm(Alu::Or, Reg::R0, 1);
            Ok(())
        };
        // Before the branch in which it may be wanted.
        self.pid_tgid(Reg::R0, span)?;
        self.fetch_once(Reg::R0, Fetched::Python, span, top)?;
        self.python_at(Reg::R1, python, area::TOP);
        self.asm.load(Size::Double, dst, Reg::R1, 0);
        Ok(())
    }
}
