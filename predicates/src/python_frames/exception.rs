//! `pyexception`: the exception that the thread is raising.
//!
//! The interpreter keeps it in the thread's state from where it is raised to where it is caught. From 3.12 on that is the
//! exception. Before it is a class and a value, and while C code has raised it and nobody looked, the value is no
//! exception yet but what one is to be made of: then it is the class that is given.

use dlang::diag::Span;
use unwind::objects::Fact as Object;
use unwind::python::Fact;

use super::thread::NO_FIELD_IMM;
use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::python::EXCEPTION;
use crate::python_layout::area;

impl Emit<'_> {
    /// `r0 = address of the exception` that the thread is raising, or of its class; 0 if there is none.
    pub(crate) fn python_exception(&mut self, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        let s = self.python_slots(span)?;
        let none = self.asm.label();
        self.clear_python_slots(s, span)?;
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store_imm(Size::Double, Reg::R1, 0, 0);
        self.find_python_facts(python, s, none, span)?;
        self.find_python_state(python, s, none, span)?;
        self.fact(Reg::R0, Fact::Exception, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, NO_FIELD_IMM, none);
        self.python_field(s.state, Fact::Exception, s, none);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store(Size::Double, Reg::R1, 0, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.fact(Reg::R0, Fact::ExceptionValue, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, NO_FIELD_IMM, none);
        self.python_field(s.state, Fact::ExceptionValue, s, none);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.object_fact(Reg::R0, Object::Header, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.b);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, -8);
        self.python_word(s, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_object_fact(Reg::R3, Object::TypeFlags, Reg::R0, s);
        self.python_word(s, none);
        self.asm.alu_imm(Alu::And, Reg::R0, EXCEPTION);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.b);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store(Size::Double, Reg::R1, 0, Reg::R0);
        self.asm.bind(none);
        self.give_python_slots(s);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        Ok(())
    }
}
