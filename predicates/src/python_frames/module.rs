//! `pymodule`: the name of the module that a function belongs to, its globals' `__name__`.
//!
//! ```text
//!     frame --> globals, a dict --> its entries: (key, value) or (hash, key, value)
//!                                     key "__name__", nearly always the first: the value, if it is a str
//! ```

use dlang::diag::Span;
use unwind::objects::Fact as Object;
use unwind::python::LAYOUT;

use super::Slots;
use crate::asm::Label;
use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::python::{MOST_ENTRIES, STR};
use crate::python_layout::{PythonFrames, area};
use crate::string::Str;

/// The name that is looked for, as a word.
const NAME: i64 = i64::from_le_bytes(*b"__name__");

// What the loop remembers: words from `area::WORK` on.
/// Where the next entry is, and how far apart they are.
const AT: i16 = 0;
const STEP: i16 = 8;
/// How many are left.
const LEFT: i16 = 16;

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

    /// `dst = how the process lays out its objects`: one number.
    pub(super) fn object_fact(&mut self, dst: Reg, fact: Object, s: Slots) {
        self.asm.load(Size::Double, dst, Reg::FP, s.facts);
        let at = LAYOUT + 4 * u32::from(fact as u8);
        let at = i16::try_from(at).expect("there are few facts");
        self.asm.load(Size::Word, dst, dst, at);
    }

    pub(super) fn add_object_fact(&mut self, dst: Reg, fact: Object, spare: Reg, s: Slots) {
        self.object_fact(spare, fact, s);
        self.asm.alu(Alu::Add, dst, spare);
    }

    /// Finds the entries of the frame's globals.
    fn open_globals(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let keys = s.a;
        self.object_fact(Reg::R0, Object::Header, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.python_at(Reg::R1, python, area::TOP_FRAME);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, 0);
        self.add_object_fact(Reg::R3, Object::FrameGlobals, Reg::R0, s);
        self.python_word(s, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_object_fact(Reg::R3, Object::DictKeys, Reg::R0, s);
        self.read_python(s, 16, none);
        // Where the values are apart, it is an object's own dict.
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.read + 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.read);
        self.asm.store(Size::Double, Reg::FP, keys, Reg::R3);
        self.add_object_fact(Reg::R3, Object::KeysUsed, Reg::R0, s);
        self.python_word(s, none);
        self.at_most(Reg::R0, MOST_ENTRIES);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, LEFT, Reg::R0);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, keys);
        self.asm.alu_imm(Alu::Add, Reg::R3, 8);
        self.python_word(s, none);
        self.asm.mov(Reg::R1, Reg::R0);
        self.object_fact(Reg::R0, Object::KeysLogarithm, s);
        self.size_of_indices();
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, STEP, Reg::R4);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, keys);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.add_object_fact(Reg::R1, Object::KeysIndices, Reg::R0, s);
        // A hash stands before the key.
        self.asm.alu_imm(Alu::Add, Reg::R4, -16);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R4);
        self.asm.store(Size::Double, Reg::R5, AT, Reg::R1);
    }

    /// `c = the str under "__name__"`; on to `none` if there is none.
    fn find_module_name(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let (key, value) = (s.b, s.c);
        let again = self.asm.label();
        self.asm.bind(again);
        self.asm.may_goto(none);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LEFT);
        self.asm.jump_if_imm(Cond::SLe, Reg::R0, 0, none);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, LEFT, Reg::R0);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, AT);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, STEP);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R3);
        self.asm.store(Size::Double, Reg::R5, AT, Reg::R0);
        self.read_python(s, 16, none);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.read + 8);
        self.asm.store(Size::Double, Reg::FP, value, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, again);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.read);
        self.asm.store(Size::Double, Reg::FP, key, Reg::R3);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, again);
        self.add_object_fact(Reg::R3, Object::Header, Reg::R0, s);
        self.python_word(s, none);
        let length = i32::try_from(NAME.to_le_bytes().len()).expect("a word is short");
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, length, again);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, key);
        self.add_object_fact(Reg::R3, Object::AsciiData, Reg::R0, s);
        self.python_word(s, none);
        self.asm.mov_imm(Reg::R1, NAME);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, again);

        // A program may have put anything there.
        self.asm.load(Size::Double, Reg::R3, Reg::FP, value);
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
