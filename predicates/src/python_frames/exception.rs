//! `pyexception`: the exception that the thread is raising, and `pytraceback`, whether a function has been left by it.
//!
//! The interpreter keeps it in the thread's state from where it is raised to where it is caught. From 3.12 on that is the
//! exception, which has the traceback. Before it is a class, a value and a traceback, one behind the other, and while C
//! code has raised it and nobody looked, the value is no exception yet but what one is to be made of: then it is the
//! class that is given. `pytype(pyexception)` and `pystr(pyexception)` are the name of the class and the message in
//! either case.
//!
//! Where an exception has found its handler (`exception-caught`) it is that exception. From 3.11 on it is no longer in the
//! thread's state there, but an argument of the probe.

use dlang::diag::Span;
use unwind::objects::Fact as Object;
use unwind::python::Fact;

use super::Slots;
use super::thread::NO_FIELD_IMM;
use crate::asm::Label;
use crate::emit::{Argument, Emit, Emitted};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::python::{Caught, EXCEPTION};
use crate::python_layout::{PythonFrames, area};

/// What is wanted of the exception that the thread is raising.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raised {
    /// The exception; its class, where there is no exception yet.
    Exception,
    /// Its class.
    Class,
    /// What it was raised with, if that is one object.
    Message,
    /// Its traceback.
    Traceback,
}

/// Before 3.12: the traceback is in the thread's state behind the value.
const BEHIND_VALUE: i32 = 8;

/// From 3.11 on: the traceback is in the exception behind its arguments and its notes.
const BEHIND_ARGUMENTS: i32 = 16;

/// The bits of an address where the interpreter keeps marks in the lowest ones.
const ADDRESS: i32 = !3;

impl Emit<'_> {
    /// `r0 = address` of what is wanted; 0 if there is none.
    pub(crate) fn python_raised(&mut self, what: Raised, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        let s = self.python_slots(span)?;
        let none = self.asm.label();
        self.clear_python_slots(s, span)?;
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store_imm(Size::Double, Reg::R1, 0, 0);
        self.find_python_facts(python, s, none, span)?;
        self.object_fact(Reg::R0, Object::Header, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        if let Some(slot) = self.caught(Caught::Exception) {
            self.caught_exception(what, slot, s, none);
            self.raised_is(python);
        } else {
            self.find_python_state(python, s, none, span)?;
            self.fact(Reg::R0, Fact::Exception, s);
            self.asm.jump_if_imm(Cond::Eq, Reg::R0, NO_FIELD_IMM, none);
            match what {
                Raised::Exception => self.raised_exception(python, s, none),
                Raised::Class => self.raised_class(python, s, none),
                Raised::Message => self.raised_message(python, s, none),
                Raised::Traceback => self.raised_traceback(python, s, none),
            }
        }
        self.asm.bind(none);
        self.give_python_slots(s);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        Ok(())
    }

    /// The slot with what is known of an exception that has found its handler, if it is this.
    pub(super) fn caught(&self, what: Caught) -> Option<i16> {
        let python = self.machine.python.as_ref()?;
        if let Some(Argument::Slot(slot)) = self.machine.args.first()
            && python.caught == Some(what)
        {
            return Some(*slot);
        }
        None
    }

    /// `r0 = what is wanted` of the exception in a slot, which has found its handler.
    fn caught_exception(&mut self, what: Raised, slot: i16, s: Slots, none: Label) {
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        self.asm.alu_imm(Alu::And, Reg::R0, ADDRESS);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        match what {
            Raised::Exception => {}
            Raised::Class => self.type_of(s, none),
            Raised::Message => self.message_of(s, none),
            Raised::Traceback => self.traceback_of(s, none),
        }
    }

    fn raised_exception(&mut self, python: PythonFrames, s: Slots, none: Label) {
        self.python_field(s.state, Fact::Exception, s, none);
        self.raised_is(python);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.fact(Reg::R0, Fact::ExceptionValue, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, NO_FIELD_IMM, none);
        self.python_field(s.state, Fact::ExceptionValue, s, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.jump_if_no_exception(s, none, none);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.b);
        self.raised_is(python);
    }

    fn raised_class(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let done = self.asm.label();
        self.python_field(s.state, Fact::Exception, s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        self.fact(Reg::R1, Fact::ExceptionValue, s);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, NO_FIELD_IMM, done);
        self.type_of(s, none);
        self.asm.bind(done);
        self.raised_is(python);
    }

    fn raised_message(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let [of_state, value, done] = [(); 3].map(|()| self.asm.label());
        self.fact(Reg::R0, Fact::ExceptionValue, s);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R0, NO_FIELD_IMM, of_state);
        self.python_field(s.state, Fact::Exception, s, none);
        self.asm.jump(value);
        self.asm.bind(of_state);
        self.python_field(s.state, Fact::ExceptionValue, s, none);
        self.asm.bind(value);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        self.jump_if_no_exception(s, done, none);
        self.message_of(s, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        self.asm.bind(done);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.b);
        self.raised_is(python);
    }

    /// `r0 = what the exception at *s.b was raised with`; on to `none` unless that is one object.
    fn message_of(&mut self, s: Slots, none: Label) {
        // The arguments, a tuple.
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.b);
        self.add_object_fact(Reg::R3, Object::ExceptionArguments, Reg::R0, s);
        self.python_word(s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_object_fact(Reg::R3, Object::Header, Reg::R0, s);
        self.python_word(s, none);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 1, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.b);
        self.add_object_fact(Reg::R3, Object::TupleItems, Reg::R0, s);
        self.python_word(s, none);
    }

    fn raised_traceback(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let [of_exception, done] = [(); 2].map(|()| self.asm.label());
        self.fact(Reg::R0, Fact::ExceptionValue, s);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R0, NO_FIELD_IMM, of_exception);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.state);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, BEHIND_VALUE);
        self.asm.jump(done);
        self.asm.bind(of_exception);
        self.python_field(s.state, Fact::Exception, s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        self.traceback_place(s);
        self.asm.bind(done);
        self.python_word(s, none);
        self.raised_is(python);
    }

    /// `r0 = the traceback of the exception at *s.b`, 3.11 on.
    fn traceback_of(&mut self, s: Slots, none: Label) {
        self.traceback_place(s);
        self.python_word(s, none);
    }

    /// `r3 = where the exception at *s.b has its traceback`, 3.11 on.
    fn traceback_place(&mut self, s: Slots) {
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.b);
        self.add_object_fact(Reg::R3, Object::ExceptionArguments, Reg::R0, s);
        self.asm.alu_imm(Alu::Add, Reg::R3, BEHIND_ARGUMENTS);
    }

    /// What is wanted is `r0`, which stays.
    fn raised_is(&mut self, python: PythonFrames) {
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store(Size::Double, Reg::R1, 0, Reg::R0);
    }

    /// `r0 = the type of the object at *s.b`.
    fn type_of(&mut self, s: Slots, failed: Label) {
        self.object_fact(Reg::R0, Object::Header, s);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.b);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, -8);
        self.python_word(s, failed);
    }

    /// On to `other` unless the object at `*s.b` is an exception.
    fn jump_if_no_exception(&mut self, s: Slots, other: Label, failed: Label) {
        self.type_of(s, failed);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_object_fact(Reg::R3, Object::TypeFlags, Reg::R0, s);
        self.python_word(s, failed);
        self.asm.alu_imm(Alu::And, Reg::R0, EXCEPTION);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, other);
    }
}
