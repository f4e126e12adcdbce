//! `pymodule`: the name of the module that a function belongs to, its globals' `__name__`.
//!
//! ```text
//!     frame --> globals, a dict --> its entries: (key, value) or (hash, key, value)
//!                                     key "__name__", nearly always the first: the value, if it is a str
//! ```

use dlang::diag::Span;
use unwind::objects::Fact as Object;

use super::Slots;
use crate::asm::Label;
use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::python::STR;
use crate::python_layout::{PythonFrames, area};
use crate::string::Str;

/// The name that is looked for.
const NAME: &[u8] = b"__name__";

impl Emit<'_> {
    /// The name of the module of the function that the thread is in; empty if it is in none.
    pub(crate) fn python_module(&mut self, span: Span) -> Emitted<Str> {
        let python = self.python_frames(span)?;
        self.push_kernel_string(span, |e| {
            let none = e.asm.label();
            e.python_top(Reg::R0, span)?;
            e.python_at(Reg::R1, python, area::NAMES);
            e.asm.store_imm(Size::Byte, Reg::R1, 0, 0);
            e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
            let s = e.python_slots(span)?;
            e.clear_python_slots(s, span)?;
            e.find_python_facts(python, s, none, span)?;
            e.open_globals(python, s, none);
            e.find_module_name(python, s, none);
            e.copy_python_text(python, s, area::NAMES, span)?;
            e.asm.bind(none);
            e.give_python_slots(s);
            e.python_at(Reg::R3, python, area::NAMES);
            Ok(())
        })
    }

    /// Finds the entries of the frame's globals.
    fn open_globals(&mut self, python: PythonFrames, s: Slots, none: Label) {
        self.object_fact(Reg::R0, Object::Header, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.python_at(Reg::R1, python, area::TOP_FRAME);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, 0);
        self.add_object_fact(Reg::R3, Object::FrameGlobals, Reg::R0, s);
        self.python_word(s, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.open_dict(python, s, none);
    }

    /// `c = the str under "__name__"`; on to `none` if there is none.
    fn find_module_name(&mut self, python: PythonFrames, s: Slots, none: Label) {
        self.value_of_name(python, s, NAME, none);
        // A program may have put anything there.
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.c);
        self.add_object_fact(Reg::R3, Object::Header, Reg::R0, s);
        self.asm.alu_imm(Alu::Add, Reg::R3, -8);
        self.python_word(s, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_object_fact(Reg::R3, Object::TypeFlags, Reg::R0, s);
        self.python_word(s, none);
        self.asm.alu_imm(Alu::And, Reg::R0, STR);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
    }
}
