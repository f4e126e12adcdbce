//! `pystack(ASYNC)`: the coroutines that wait for the asyncio task that a thread is running. They stand behind that task's
//! own coroutine, which in truth the event loop has called.
//!
//! From 3.14 on asyncio keeps by whom each task and each future is awaited, for tools such as this one:
//!
//! ```text
//!     running task --awaited by--> future of gather() --awaited by--> task --> its coroutine
//!                                                                                `--awaits--> coroutine --awaits--> ...
//! ```
//!
//! A coroutine that is suspended in an `await` has what it awaits on top of the stack in its frame. So a task's coroutines
//! are found from the outermost on, and turned around; the frames are listed before the stack is walked, the innermost
//! first. One loop does this, which remembers what it is at ([`MODE`]):
//!
//! ```text
//!     FUTURE      task = task.awaited_by; if it is a task: SEGMENT = LISTED, on with its coroutine
//!     COROUTINE   list[LISTED++] = its frame; on with what it awaits, or to TURN
//!     TURN        turns list[SEGMENT..LISTED] around, two words at a time; on with FUTURE
//! ```
//!
//! `...` stands for what is not known: several await one and the same, or what a coroutine awaits is no coroutine and no
//! future, such as an asynchronous generator.

use unwind::objects::Fact as Object;
use unwind::python::{AND_MORE, Fact};

use super::Slots;
use super::dict::words_of;
use crate::asm::Label;
use crate::emit::Emit;
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonFrames, area};
use crate::words::Words;

// What is remembered: words from `area::WORK` on.
/// The task or future whose waiting ones are looked for.
const TASK: i16 = 0;
/// The frame of the running task's coroutine; 0 once the stack has come to it.
const COROUTINE: i16 = 8;
/// How many tasks, futures and classes may still be looked at.
const LEFT: i16 = 16;
/// What is done in a turn: one of the three below.
const MODE: i16 = 24;
const FUTURE: i32 = 0;
const OF_COROUTINE: i32 = 1;
const TURN: i32 = 2;
/// Where the frames of the task begin that is looked at, and, while they are turned around, where they end.
const SEGMENT: i16 = 32;
const END: i16 = 40;
/// How many words the list has.
const LISTED: i16 = 48;
/// Which one comes next in the stack, from 1 on; 0 while none does.
const NEXT: i16 = 56;
/// The frame behind that of the running task's coroutine.
const BEHIND: i16 = 64;
const ALL: [i16; 9] = [
    TASK, COROUTINE, LEFT, MODE, SEGMENT, END, LISTED, NEXT, BEHIND,
];

/// How many tasks, futures and classes are looked at: a chain may be a trap.
const MOST: i32 = 256;
/// How many words the list has room for; the last one is kept for what stands at its end.
const ROOM: u32 = 128;

/// Behind the field with who awaits a future, which is an object or a set of them: whether the future is a task, and
/// whether it is a set.
const IS_TASK: i16 = 12;
const IS_SET: i16 = 13;
/// In front of a coroutine's frame: whether it is suspended in an `await`.
const STATE_BEFORE: i32 = 5;
/// The bits of a word on a function's stack that are no address.
const TAGS: i32 = 3;
/// In a type: the class that it is made of, so far behind its flags.
const BASE_BEHIND_FLAGS: i32 = 88;

/// The class of tasks that C has made, and that of what a coroutine has on its stack that awaits a future.
const TASK_CLASS: &[u8] = b"_asyncio.Task\0";
const AWAITED_FUTURE: &[u8] = b"_asyncio.FutureIter\0";

impl Emit<'_> {
    /// Lists the frames of the coroutines that wait for the running task, if the thread runs one. The thread's state has
    /// been found.
    pub(super) fn list_awaiting(&mut self, python: PythonFrames, s: Slots) {
        let [again, coroutine, turn, unknown, innermost, full, end, done] =
            [(); 8].map(|()| self.asm.label());
        self.python_at(Reg::R5, python, area::WORK);
        for word in ALL {
            let first = if word == LEFT { MOST } else { 0 };
            self.asm.store_imm(Size::Double, Reg::R5, word, first);
        }
        self.fact(Reg::R0, Fact::AwaitedBy, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.find_own_coroutine(python, s, done);

        self.asm.bind(again);
        self.asm.may_goto(done);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, MODE);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R0, OF_COROUTINE, coroutine);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, TURN, turn);
        self.next_awaiting_task(python, s, (again, end, done));

        self.asm.bind(coroutine);
        self.next_awaiting_coroutine(python, s, (again, unknown, innermost, full));
        self.asm.bind(unknown);
        self.list_more(python, ROOM - 1, full);
        self.asm.bind(innermost);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store_imm(Size::Double, Reg::R5, MODE, TURN);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LISTED);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, END, Reg::R0);
        self.asm.jump(again);

        self.asm.bind(turn);
        self.turn_around(python, (again, done));

        self.asm.bind(full);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SEGMENT);
        self.asm.store(Size::Double, Reg::R5, LISTED, Reg::R0);
        self.asm.bind(end);
        self.list_more(python, ROOM, done);
        self.asm.bind(done);
    }

    /// Finds the running task and the frame of its coroutine; on to `none` if there is no task that C has made.
    fn find_own_coroutine(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let [class, base, found] = [(); 3].map(|()| self.asm.label());
        let kind = s.a;
        self.python_field(s.state, Fact::RunningTask, s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, TASK, Reg::R0);
        self.python_type(s, none);
        self.asm.store(Size::Double, Reg::FP, kind, Reg::R0);
        self.asm.bind(class);
        self.asm.may_goto(none);
        self.one_less_left(python, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, kind);
        self.jump_unless_named(python, s, TASK_CLASS, (base, none));
        self.asm.jump(found);
        self.asm.bind(base);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, kind);
        self.add_object_fact(Reg::R3, Object::TypeFlags, Reg::R0, s);
        self.asm.alu_imm(Alu::Add, Reg::R3, BASE_BEHIND_FLAGS);
        self.python_word(s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, kind, Reg::R0);
        self.asm.jump(class);
        self.asm.bind(found);
        self.coroutine_of_task(python, s, none);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.c);
        self.add_fact(Reg::R0, Fact::CoroutineFrame, Reg::R1, s);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, COROUTINE, Reg::R0);
    }

    /// FUTURE: on to `again` with the next task or future that waits, to `done` if none does, to `end` if that is not known.
    fn next_awaiting_task(
        &mut self,
        python: PythonFrames,
        s: Slots,
        (again, end, done): (Label, Label, Label),
    ) {
        self.one_less_left(python, end);
        self.read_awaited_by(python, s, end);
        self.asm.load(Size::Byte, Reg::R1, Reg::FP, s.read + IS_SET);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, end);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, TASK, Reg::R0);
        self.read_awaited_by(python, s, end);
        self.asm
            .load(Size::Byte, Reg::R1, Reg::FP, s.read + IS_TASK);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, again);
        self.coroutine_of_task(python, s, end);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LISTED);
        self.asm.store(Size::Double, Reg::R5, SEGMENT, Reg::R0);
        self.asm
            .store_imm(Size::Double, Reg::R5, MODE, OF_COROUTINE);
        self.asm.jump(again);
    }

    /// COROUTINE: lists the frame of the one in `c`; on to `again` with the one that it awaits, to `innermost` if that is none,
    /// to `unknown` if it is neither a coroutine nor a future.
    fn next_awaiting_coroutine(
        &mut self,
        python: PythonFrames,
        s: Slots,
        (again, unknown, innermost, full): (Label, Label, Label, Label),
    ) {
        self.asm.load(Size::Double, Reg::R4, Reg::FP, s.c);
        self.add_fact(Reg::R4, Fact::CoroutineFrame, Reg::R0, s);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R4);
        self.list_word(python, ROOM - 1, full);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.b);
        self.asm.alu_imm(Alu::Add, Reg::R3, -STATE_BEFORE);
        self.read_python(s, 1, unknown);
        self.asm.load(Size::Byte, Reg::R0, Reg::FP, s.read);
        self.fact(Reg::R1, Fact::Awaiting, s);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, innermost);
        self.python_field(s.b, Fact::StackPointer, s, unknown);
        self.asm.mov(Reg::R3, Reg::R0);
        self.fact(Reg::R1, Fact::AwaitedBehind, s);
        self.asm.alu(Alu::Sub, Reg::R3, Reg::R1);
        self.python_word(s, unknown);
        self.asm.alu_imm(Alu::And, Reg::R0, !TAGS);
        self.asm.store(Size::Double, Reg::FP, s.c, Reg::R0);
        self.python_type(s, unknown);
        for fact in [Fact::CoroutineType, Fact::GeneratorType] {
            self.fact(Reg::R1, fact, s);
            self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, again);
        }
        self.asm.mov(Reg::R3, Reg::R0);
        self.jump_unless_named(python, s, AWAITED_FUTURE, (unknown, unknown));
        self.asm.jump(innermost);
    }

    /// TURN: swaps the first and the last of the frames; on to `again`.
    fn turn_around(&mut self, python: PythonFrames, (again, out): (Label, Label)) {
        let swap = self.asm.label();
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SEGMENT);
        self.asm.load(Size::Double, Reg::R4, Reg::R5, END);
        self.asm.jump_if(Cond::SLt, Reg::R3, Reg::R4, swap);
        self.asm.store_imm(Size::Double, Reg::R5, MODE, FUTURE);
        self.asm.jump(again);
        self.asm.bind(swap);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::R5, SEGMENT, Reg::R0);
        self.asm.mov(Reg::R0, Reg::R4);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, END, Reg::R0);
        self.word_of(awaiting(python), out);
        self.asm.mov(Reg::R5, Reg::R2);
        self.asm.mov(Reg::R3, Reg::R4);
        self.word_of(awaiting(python), out);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, 0);
        self.asm.load(Size::Double, Reg::R1, Reg::R2, 0);
        self.asm.store(Size::Double, Reg::R5, 0, Reg::R1);
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R0);
        self.asm.jump(again);
    }

    /// In the walk of a stack: goes on with the frame behind the one that was looked at, which may be listed. `put` puts the
    /// word in `r0` in the stack.
    pub(super) fn go_to_awaiting(
        &mut self,
        python: PythonFrames,
        s: Slots,
        out: Label,
        put: &dyn Fn(&mut Self),
    ) {
        let [listed, caller, frame, behind, done] = [(); 5].map(|()| self.asm.label());
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, NEXT);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, listed);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, COROUTINE);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.frame);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, caller);
        self.asm.store_imm(Size::Double, Reg::R5, COROUTINE, 0);
        self.asm.store_imm(Size::Double, Reg::R5, NEXT, 1);
        self.go_to_python_caller(python, s);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.frame);
        self.asm.store(Size::Double, Reg::R5, BEHIND, Reg::R0);

        self.asm.bind(listed);
        self.next_listed(python, (behind, out));
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, MORE, frame);
        put(self);
        // A frame, if there is one: `...` stands in front of the frames of a task, or at the end.
        self.next_listed(python, (behind, out));
        self.asm.bind(frame);
        self.asm.store(Size::Double, Reg::FP, s.frame, Reg::R0);
        self.asm.jump(done);
        self.asm.bind(behind);
        self.asm.store_imm(Size::Double, Reg::R5, NEXT, 0);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, BEHIND);
        self.asm.store(Size::Double, Reg::FP, s.frame, Reg::R0);
        self.asm.jump(done);
        self.asm.bind(caller);
        self.go_to_python_caller(python, s);
        self.asm.bind(done);
    }

    /// `r0 = the next word of the list`; on to `behind`, with the memory in `r5`, behind the last one.
    fn next_listed(&mut self, python: PythonFrames, (behind, out): (Label, Label)) {
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, NEXT);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LISTED);
        self.asm.jump_if(Cond::Gt, Reg::R3, Reg::R0, behind);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::R5, NEXT, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, -1);
        self.word_of(awaiting(python), out);
        self.asm.load(Size::Double, Reg::R0, Reg::R2, 0);
    }

    /// Lists what stands for frames that are not known.
    fn list_more(&mut self, python: PythonFrames, room: u32, full: Label) {
        self.asm.mov_imm(Reg::R4, AND_MORE.cast_signed());
        self.list_word(python, room, full);
    }

    /// Lists the word in `r4`; on to `full` without room for it.
    fn list_word(&mut self, python: PythonFrames, room: u32, full: Label) {
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, LISTED);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.word_of(
            Words {
                room,
                ..awaiting(python)
            },
            full,
        );
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R4);
        self.asm.store(Size::Double, Reg::R5, LISTED, Reg::R0);
    }

    /// Counts down what may still be looked at; on to `out` if that is enough.
    fn one_less_left(&mut self, python: PythonFrames, out: Label) {
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LEFT);
        self.asm.jump_if_imm(Cond::SLe, Reg::R0, 0, out);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, LEFT, Reg::R0);
    }

    /// `r0 = who awaits the task`, and behind it in what was read what says more.
    fn read_awaited_by(&mut self, python: PythonFrames, s: Slots, failed: Label) {
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, TASK);
        self.add_fact(Reg::R3, Fact::AwaitedBy, Reg::R0, s);
        self.read_python(s, 16, failed);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.read);
    }

    /// `c = the coroutine of the task`; on to `other` if it is none of Python's.
    fn coroutine_of_task(&mut self, python: PythonFrames, s: Slots, other: Label) {
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, TASK);
        self.add_fact(Reg::R3, Fact::TaskCoroutine, Reg::R0, s);
        self.python_word(s, other);
        self.asm.store(Size::Double, Reg::FP, s.c, Reg::R0);
        self.python_type(s, other);
        self.fact(Reg::R1, Fact::CoroutineType, s);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, other);
    }

    /// `r0 = type of the object` in `r0`.
    fn python_type(&mut self, s: Slots, failed: Label) {
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_object_fact(Reg::R3, Object::Header, Reg::R0, s);
        self.asm.alu_imm(Alu::Add, Reg::R3, -8);
        self.python_word(s, failed);
    }

    /// On to `other` unless the type in `r3` has this name, with its NUL. No frame has been read yet: its name is, where they
    /// will be.
    fn jump_unless_named(
        &mut self,
        python: PythonFrames,
        s: Slots,
        name: &[u8],
        (other, failed): (Label, Label),
    ) {
        self.add_object_fact(Reg::R3, Object::TypeName, Reg::R0, s);
        self.python_word(s, failed);
        self.asm.mov(Reg::R3, Reg::R0);
        let length = i64::try_from(name.len()).expect("it is short");
        self.python_at(Reg::R1, python, area::READ);
        self.asm.mov_imm(Reg::R2, length);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, other);
        self.python_at(Reg::R5, python, area::READ);
        for (at, word) in words_of(name) {
            self.asm.load(Size::Double, Reg::R0, Reg::R5, at);
            self.asm.mov_imm(Reg::R1, word);
            self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, other);
        }
    }
}

/// [`AND_MORE`] as the operand of a comparison, which extends it with its sign.
const MORE: i32 = {
    assert!(AND_MORE == u64::MAX);
    -1
};

/// The list: where texts are put together when the walk is over.
fn awaiting(python: PythonFrames) -> Words {
    Words {
        at: python.at + area::NAMES,
        room: ROOM,
    }
}
