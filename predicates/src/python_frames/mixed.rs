//! The Python functions of a thread by the calls of the interpreter's function in C that run them: the list by which
//! `ustack()` puts them in the place of those (`crate::mixed` has its form).
//!
//! Each of these calls leaves something on the stack of C that the interpreter's structures lead to, which is its
//! *place*:
//!
//! ```text
//!     3.12 on   a frame of its own, in front of the functions that it runs: owned by no function
//!     3.11      a struct that has the current frame, and the address of that of the call before; a byte of the
//!               outermost frame of each call says that it is that
//! ```
//!
//! Before 3.11 it leaves nothing there. But then each call runs one function, and each function has a call, so it is enough to
//! know a call when it is met: by the code that it is in, of the ranges that the facts have. Their place in the list is
//! [`NEXT_CALL`].

use dlang::diag::Span;
use unwind::python::{AND_MORE, EVAL_RANGES, EvalCalls, Fact};

use super::Slots;
use super::frame::{BYTES, GENERATOR, Reading};
use super::thread::NO_FIELD_IMM;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::mixed::NEXT_CALL;
use crate::python_layout::{PythonFrames, area};
use crate::storage::Counter;
use crate::words::Words;

/// Where the list is, and the stack slots that it takes to make it.
#[derive(Clone, Copy)]
struct List {
    /// All but the last word, which ends it.
    words: Words,
    /// How many there are.
    count: i16,
    /// The number of the word with the place of the functions that are being listed.
    place: i16,
    /// How many functions there are.
    functions: i16,
    /// 3.11: the address of the struct of the call whose functions are being listed; before, [`NEXT_CALL`].
    call: i16,
}

impl List {
    const BYTES: i16 = 32;
}

impl Emit<'_> {
    /// Lists the Python functions that the thread is in, up to `wanted` of them.
    pub(crate) fn list_python_frames(
        &mut self,
        words: Words,
        wanted: u32,
        span: Span,
    ) -> Emitted<()> {
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        let s = self.python_slots(span)?;
        let count = self.buffer(List::BYTES, span)?;
        let list = List {
            words: Words {
                room: words.room - 1,
                ..words
            },
            count,
            place: count + 8,
            functions: count + 16,
            call: count + 24,
        };
        self.clear_python(&[list.count, list.place, list.functions, list.call], span)?;
        self.clear_python_slots(s, span)?;
        // No place, for there may be none.
        self.asm.mov_imm(Reg::R4, 0);
        self.scratch_known(Reg::R2);
        self.asm.alu_imm(Alu::Add, Reg::R2, imm(words.at));
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R4);
        let [again, skip, next, cut, out, none] = [(); 6].map(|()| self.asm.label());
        self.find_python_facts(python, s, none, span)?;
        self.fact(Reg::R1, Fact::EvalCalls, s);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, imm(EvalCalls::Unknown as u32), none);
        self.take_eval_code(python, list, s, span)?;
        self.find_python_frame(python, s, none, span)?;
        self.first_place(list, s, out);

        self.asm.bind(again);
        self.read_next_python_frame(python, s, Reading::WithCallers, (cut, out), span)?;
        self.place_of_own_frame(python, list, s, wanted, (next, out));
        self.asm
            .load(Size::Double, Reg::R1, Reg::FP, list.functions);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, imm(wanted), skip);
        self.name_python_frame(python, s, (skip, cut), span)?;
        self.asm.mov(Reg::R4, Reg::R0);
        self.add_to_list(list, out);
        self.count_up(list.functions);
        self.asm.bind(skip);
        self.place_of_struct(python, list, s, wanted, (next, out));
        self.asm.bind(next);
        self.go_to_python_caller(python, s);
        self.asm.jump(again);
        self.asm.bind(cut);
        self.count(Counter::PythonCuts, span)?;
        self.asm.mov_imm(Reg::R4, AND_MORE.cast_signed());
        self.add_to_list(list, out);
        self.asm.bind(out);
        self.end_list(list);
        self.copy_new_python_codes(python, s, span)?;
        self.asm.bind(none);
        self.stack.give_buffer(count, List::BYTES);
        self.give_python_slots(s);
        Ok(())
    }

    /// Before 3.11, notes in which code the calls of the interpreter's function run one.
    fn take_eval_code(
        &mut self,
        python: PythonFrames,
        list: List,
        s: Slots,
        span: Span,
    ) -> Emitted<()> {
        let other = self.asm.label();
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R1, imm(EvalCalls::Code as u32), other);
        self.asm.mov_imm(Reg::R0, NEXT_CALL.into());
        self.make_unknown(Reg::R0, Reg::R1, span)?;
        self.asm.store(Size::Double, Reg::FP, list.call, Reg::R0);
        self.python_at(Reg::R1, python, area::EVAL_CODE);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, s.facts);
        for word in (0..).step_by(8).take(2 * EVAL_RANGES as usize) {
            let fact = Fact::EvalCode.offset() + word;
            self.asm.load(Size::Double, Reg::R0, Reg::R2, fact);
            self.asm.store(Size::Double, Reg::R1, word, Reg::R0);
        }
        self.asm.bind(other);
        Ok(())
    }

    /// Begins the list: the place of the innermost call, if it is known.
    fn first_place(&mut self, list: List, s: Slots, out: Label) {
        let known = self.asm.label();
        self.fact(Reg::R1, Fact::EntryFrame, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, NO_FIELD_IMM, known);
        self.python_field(s.state, Fact::Frame, s, out);
        self.asm.store(Size::Double, Reg::FP, list.call, Reg::R0);
        self.asm.bind(known);
        self.asm.load(Size::Double, Reg::R4, Reg::FP, list.call);
        self.add_to_list(list, out);
    }

    /// A frame that a call has of its own is the place of what was listed last: on to `next`. On to `out` if all
    /// functions are there that are wanted.
    fn place_of_own_frame(
        &mut self,
        python: PythonFrames,
        list: List,
        s: Slots,
        wanted: u32,
        (next, out): (Label, Label),
    ) {
        let function = self.asm.label();
        self.frame_field(python, s, Fact::Owner, (Size::Byte, BYTES));
        self.fact(Reg::R1, Fact::OwnerMask, s);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.asm.jump_if_imm(Cond::Le, Reg::R0, GENERATOR, function);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, list.place);
        self.word_of(list.words, out);
        self.asm.load(Size::Double, Reg::R4, Reg::FP, s.frame);
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R4);
        self.begin_call(list, wanted, out);
        // Not known before its frame is met.
        self.asm.load(Size::Double, Reg::R4, Reg::FP, list.call);
        self.add_to_list(list, out);
        self.asm.jump(next);
        self.asm.bind(function);
    }

    /// 3.11: if the frame is the outermost one of its call, goes on with the struct of the call before. Before, each frame is that.
    fn place_of_struct(
        &mut self,
        python: PythonFrames,
        list: List,
        s: Slots,
        wanted: u32,
        (next, out): (Label, Label),
    ) {
        let [by_code, have] = [(); 2].map(|()| self.asm.label());
        self.fact(Reg::R1, Fact::EntryFrame, s);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, NO_FIELD_IMM, by_code);
        self.frame_field(python, s, Fact::EntryFrame, (Size::Byte, BYTES));
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, next);
        // Behind the current frame.
        self.asm.load(Size::Double, Reg::R3, Reg::FP, list.call);
        self.add_fact(Reg::R3, Fact::FrameWithin, Reg::R0, s);
        self.asm.alu_imm(Alu::Add, Reg::R3, 8);
        self.python_word(s, out);
        self.asm.store(Size::Double, Reg::FP, list.call, Reg::R0);
        self.asm.jump(have);
        self.asm.bind(by_code);
        self.fact(Reg::R1, Fact::EvalCalls, s);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R1, imm(EvalCalls::Code as u32), next);
        self.asm.bind(have);
        self.begin_call(list, wanted, out);
        self.asm.load(Size::Double, Reg::R4, Reg::FP, list.call);
        self.add_to_list(list, out);
    }

    /// The next word is the place of a call; on to `out` if all functions are there that are wanted.
    fn begin_call(&mut self, list: List, wanted: u32, out: Label) {
        self.asm
            .load(Size::Double, Reg::R1, Reg::FP, list.functions);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, imm(wanted), out);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, list.count);
        self.asm.store(Size::Double, Reg::FP, list.place, Reg::R0);
    }

    /// `list[count++] = r4`; on to `out` without room for it and the last word.
    fn add_to_list(&mut self, list: List, out: Label) {
        self.asm.load(Size::Double, Reg::R3, Reg::FP, list.count);
        self.word_of(list.words, out);
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R4);
        self.count_up(list.count);
    }

    /// Puts a 0 behind the list.
    fn end_list(&mut self, list: List) {
        let full = self.asm.label();
        self.asm.load(Size::Double, Reg::R3, Reg::FP, list.count);
        let with_last = Words {
            room: list.words.room + 1,
            ..list.words
        };
        self.word_of(with_last, full);
        self.asm.mov_imm(Reg::R4, 0);
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R4);
        self.asm.bind(full);
    }
}
