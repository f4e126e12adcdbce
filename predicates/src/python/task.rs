//! `pytask`: the name of the asyncio task that a thread is running.
//!
//! A task that C has made, `_asyncio.Task` or a class that is made of it, has its name in a field: a `str`, from 3.12 on
//! also the number that a default name ends with. One that Python has made has an attribute `_name`.

use dlang::diag::Span;

use super::capture::{READ_MORE, READ_TYPE, flags};
use super::layout::Fact;
use super::region::{NODES, OBJECT, READ, RESULT, SCAN_INDEX, SCAN_LEFT};
use super::value::Head;
use crate::emit::{Emit, Emitted, Fetched, Refusal};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::python_frames::dict::words_of;
use crate::stack::Val;
use crate::string::Str;

/// Who asks, in messages.
const FUNCTION: &str = "pytask";
/// The class that C has made.
const CLASS: &[u8] = b"_asyncio.Task\0";
/// The attribute of a task that Python has made.
const NAME: &[u8] = b"_name";
/// What the default name starts with.
const DEFAULT: &[u8] = b"Task-";

/// In a type: the class that it is made of, so far behind its flags.
const BASE_BEHIND_FLAGS: i32 = 88;
/// How many classes are looked at.
const MOST_CLASSES: i32 = 8;

/// While classes are looked at: the next one, and how many are left.
const NEXT_CLASS: i16 = SCAN_INDEX;
const CLASSES: i16 = SCAN_LEFT;

/// Where the last digit of a number goes, from [`NODES`] on.
const LAST_DIGIT: i16 = 31;
/// How many digits a number of 63 bits has.
const MOST_DIGITS: i16 = 19;
const _: () = assert!(LAST_DIGIT - MOST_DIGITS > 5 && LAST_DIGIT == 0x1f);

impl Emit<'_> {
    /// The name of the running task; empty if the thread runs none.
    pub(crate) fn python_task(&mut self, span: Span) -> Emitted<Str> {
        let region = self.object_place(FUNCTION, span)?;
        if let Some(python) = &self.machine.python {
            python.task.clone().map_err(|why| Refusal {
                span,
                message: format!("{FUNCTION}: {why}"),
            })?;
        }
        let slots = self.buffer(16, span)?;
        let (slot, start) = (slots, slots + 8);
        let object = Val::Slot(slot);
        let string = self.push_kernel_string(span, |e| {
            e.running_python_task(span)?;
            e.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            e.load_zero(Reg::R0, span)?;
            e.unlink(Reg::R0);
            e.asm.store(Size::Double, Reg::FP, start, Reg::R0);
            e.object_region(Reg::R5, region);
            e.asm.store_imm(Size::Double, Reg::R5, NODES, 0);
            e.with_object(FUNCTION, &object, span, Self::name_of_task)?;
            e.object_region(Reg::R5, region);
            e.asm.load(Size::Double, Reg::R0, Reg::R5, RESULT);
            e.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            e.with_object(FUNCTION, &object, span, |e, head| {
                let text = e.asm.label();
                e.jump_unless_type(head, flags::INT, text);
                e.default_name(head, start);
                e.asm.jump(head.done);
                e.asm.bind(text);
                e.text(head);
            })?;
            e.object_region(Reg::R3, region);
            e.asm.load(Size::Double, Reg::R0, Reg::FP, start);
            e.asm.alu_imm(Alu::And, Reg::R0, LAST_DIGIT.into());
            e.asm.alu(Alu::Add, Reg::R3, Reg::R0);
            e.asm.alu_imm(Alu::Add, Reg::R3, i32::from(NODES));
            Ok(())
        });
        self.stack.give_buffer(slots, 16);
        string
    }

    /// `dst = address of the running task`, looked for at most once where there is one; 0 if there is none. For `task->`
    /// variables.
    pub(crate) fn running_task_once(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        if let Some(python) = &self.machine.python {
            python.task.as_ref().map_err(|why| Refusal {
                span,
                message: format!("variables of tasks: {why}"),
            })?;
        }
        // Where the task is known already, these need not be.
        self.scratch(Reg::R1, span)?;
        self.pid_tgid(Reg::R0, span)?;
        self.fetch_once(dst, Fetched::Task, span, |e| e.running_python_task(span))
    }

    /// Leaves the address of a task's name in [`RESULT`].
    fn name_of_task(&mut self, head: Head) {
        let Head { region, facts, .. } = head;
        let [again, base, of_python] = [(); 3].map(|()| self.asm.label());
        self.object_word(region, Reg::R0, READ + READ_TYPE);
        self.set_object_word(region, NEXT_CLASS, Reg::R0);
        self.object_region(Reg::R5, region);
        self.asm
            .store_imm(Size::Double, Reg::R5, CLASSES, MOST_CLASSES);
        self.asm.bind(again);
        self.asm.may_goto(of_python);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, CLASSES);
        self.asm.jump_if_imm(Cond::SLe, Reg::R0, 0, of_python);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, CLASSES, Reg::R0);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, NEXT_CLASS);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, of_python);
        self.add_python_fact(facts, Reg::R3, Fact::TypeName);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, head.bad);
        self.object_word(region, Reg::R3, READ + READ_MORE);
        let length = i64::try_from(CLASS.len()).expect("it is short");
        self.read_object(region, READ_MORE, length);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, base);
        for (at, word) in words_of(CLASS) {
            self.object_word(region, Reg::R0, READ + READ_MORE + at);
            self.asm.mov_imm(Reg::R1, word);
            self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, base);
        }
        self.python_fact(facts, Reg::R1, Fact::TaskName);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, head.done);
        self.object_word(region, Reg::R3, OBJECT);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, head.bad);
        self.object_word(region, Reg::R0, READ + READ_MORE);
        self.set_object_word(region, RESULT, Reg::R0);
        self.asm.jump(head.done);

        self.asm.bind(base);
        self.object_word(region, Reg::R3, NEXT_CLASS);
        self.add_python_fact(facts, Reg::R3, Fact::TypeFlags);
        self.asm.alu_imm(Alu::Add, Reg::R3, BASE_BEHIND_FLAGS);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, head.bad);
        self.object_word(region, Reg::R0, READ + READ_MORE);
        self.set_object_word(region, NEXT_CLASS, Reg::R0);
        self.asm.jump(again);

        self.asm.bind(of_python);
        self.find_attribute(head, NAME);
    }

    /// Puts together the default name that ends with an `int`, and where it starts into a slot.
    fn default_name(&mut self, head: Head, start: i16) {
        let [have, done] = [(); 2].map(|()| self.asm.label());
        self.int_value(Head { done: have, ..head });
        self.asm.bind(have);
        // From its last digit on.
        self.object_region(Reg::R5, head.region);
        self.asm
            .store_imm(Size::Byte, Reg::R5, NODES + LAST_DIGIT + 1, 0);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, RESULT);
        for at in (0..MOST_DIGITS).map(|digit| LAST_DIGIT - digit) {
            self.asm.mov(Reg::R0, Reg::R2);
            self.asm.alu_imm(Alu::Mod, Reg::R0, 10);
            self.asm.alu_imm(Alu::Add, Reg::R0, i32::from(b'0'));
            self.asm.store(Size::Byte, Reg::R5, NODES + at, Reg::R0);
            self.asm.alu_imm(Alu::Div, Reg::R2, 10);
            self.asm.mov_imm(Reg::R1, at.into());
            self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, done);
        }
        self.asm.bind(done);
        self.make_bounded(Reg::R1, Reg::R0, u32::from(LAST_DIGIT.unsigned_abs()) + 1);
        let before = i16::try_from(DEFAULT.len()).expect("it is short");
        self.object_region(Reg::R5, head.region);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R1);
        for (at, byte) in (NODES - before..).zip(DEFAULT) {
            self.asm
                .store_imm(Size::Byte, Reg::R5, at, i32::from(*byte));
        }
        self.asm.alu_imm(Alu::Add, Reg::R1, -i32::from(before));
        self.asm.store(Size::Double, Reg::FP, start, Reg::R1);
    }
}
