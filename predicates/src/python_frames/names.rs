//! The text of a `str` as UTF-8 with a NUL.
//!
//! A string of ASCII characters is stored so in the interpreter. Any other has one, two or four bytes to a character,
//! and where C code has asked for it UTF-8 besides; if not, it is converted. A byte of a path that was no UTF-8 to
//! begin with is kept by the interpreter as a lone surrogate, U+DC80 to U+DCFF; it becomes that byte again.
//! A text that is too long ends early, between two characters.

use dlang::diag::Span;
use unwind::python::{Fact, TEXT};

use super::Slots;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::PythonFrames;

/// The bits of a place in a text, whose last bytes are never reached: a character has up to four.
const PLACE: i32 = {
    assert!(TEXT == 256);
    0xff
};

impl Emit<'_> {
    /// Copies the text of the `str` in `c` to a place in the memory of Python; nothing if there is none.
    pub(super) fn copy_python_text(
        &mut self,
        python: PythonFrames,
        s: Slots,
        to: u32,
        span: Span,
    ) -> Emitted<()> {
        let [ascii, copy, convert, done] = [(); 4].map(|()| self.asm.label());
        self.python_at(Reg::R1, python, to);
        self.asm.store_imm(Size::Byte, Reg::R1, 0, 0);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.c);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, done);
        self.add_fact(Reg::R3, Fact::State, Reg::R0, s);
        self.read_python(s, 4, done);
        self.asm.load(Size::Word, Reg::R1, Reg::FP, s.read);
        self.asm.store(Size::Double, Reg::FP, s.a, Reg::R1);
        self.fact(Reg::R2, Fact::Ascii, s);
        self.asm.alu(Alu::And, Reg::R1, Reg::R2);
        self.asm.jump_if(Cond::Eq, Reg::R1, Reg::R2, ascii);
        self.python_field(s.c, Fact::Utf8, s, done);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, convert);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.jump(copy);
        self.asm.bind(ascii);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.c);
        self.add_fact(Reg::R3, Fact::AsciiText, Reg::R0, s);
        self.asm.bind(copy);
        self.python_at(Reg::R1, python, to);
        self.asm.mov_imm(Reg::R2, i64::from(TEXT));
        self.asm.call(Helper::ProbeReadUserStr);
        self.asm.jump(done);
        self.asm.bind(convert);
        self.convert_python_text(python, s, to, done, span)?;
        self.asm.bind(done);
        Ok(())
    }

    fn convert_python_text(
        &mut self,
        python: PythonFrames,
        s: Slots,
        to: u32,
        done: Label,
        span: Span,
    ) -> Emitted<()> {
        let [apart, next, end] = [(); 3].map(|()| self.asm.label());
        let slots = self.buffer(24, span)?;
        let (width, left, written) = (slots, slots + 8, slots + 16);
        self.clear_python(&[written], span)?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.a);
        self.fact(Reg::R1, Fact::KindShift, s);
        self.asm.alu_imm(Alu::And, Reg::R1, 63);
        self.asm.alu(Alu::Rsh, Reg::R0, Reg::R1);
        self.asm.alu_imm(Alu::And, Reg::R0, 7);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.asm.jump_if_imm(Cond::Gt, Reg::R0, 4, done);
        self.asm.store(Size::Double, Reg::FP, width, Reg::R0);
        self.python_field(s.c, Fact::Length, s, done);
        self.asm.store(Size::Double, Reg::FP, left, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.a);
        self.fact(Reg::R1, Fact::Compact, s);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.c);
        self.add_fact(Reg::R3, Fact::WideText, Reg::R1, s);
        self.asm.store(Size::Double, Reg::FP, s.c, Reg::R3);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, apart);
        self.python_word(s, done);
        self.asm.store(Size::Double, Reg::FP, s.c, Reg::R0);
        self.asm.bind(apart);

        self.asm.bind(next);
        self.asm.may_goto(end);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, left);
        self.asm.jump_if_imm(Cond::SLe, Reg::R0, 0, end);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::FP, left, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, written);
        self.unlink(Reg::R0);
        self.asm.jump_if_imm(Cond::Gt, Reg::R0, imm(TEXT) - 5, end);
        self.asm.store_imm(Size::Double, Reg::FP, s.read, 0);
        self.stack_address(Reg::R1, s.read);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, width);
        self.asm.alu_imm(Alu::And, Reg::R2, 7);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.c);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.store(Size::Double, Reg::FP, s.c, Reg::R0);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, end);
        self.asm.load(Size::Word, Reg::R1, Reg::FP, s.read);
        self.write_utf8(python, to, written, next);

        self.asm.bind(end);
        self.text_place(python, to, written);
        self.asm.store_imm(Size::Byte, Reg::R5, 0, 0);
        self.stack.give_buffer(slots, 24);
        Ok(())
    }

    /// `r5 = address behind what has been written`, `r0 = how much that is`.
    fn text_place(&mut self, python: PythonFrames, to: u32, written: i16) {
        self.python_at(Reg::R5, python, to);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, written);
        self.asm.alu_imm(Alu::And, Reg::R0, PLACE);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
    }

    /// Writes the character in `r1`; on to `next`.
    fn write_utf8(&mut self, python: PythonFrames, to: u32, written: i16, next: Label) {
        let [byte, two, three, four, whole] = [(); 5].map(|()| self.asm.label());
        self.text_place(python, to, written);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x80, two);
        self.asm.bind(byte);
        self.write_bytes(1, 0, written, next);
        self.asm.bind(two);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x800, three);
        self.write_bytes(2, 0xc0, written, next);
        self.asm.bind(three);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x1_0000, four);
        self.asm.jump_if_imm(Cond::Lt, Reg::R1, 0xdc80, whole);
        self.asm.jump_if_imm(Cond::Le, Reg::R1, 0xdcff, byte);
        self.asm.bind(whole);
        self.write_bytes(3, 0xe0, written, next);
        self.asm.bind(four);
        self.write_bytes(4, 0xf0, written, next);
    }

    /// Writes the character in `r1` to `r5` as so many bytes, the first with the bits of `lead`; one is written as
    /// it is.
    fn write_bytes(&mut self, bytes: i16, lead: i32, written: i16, next: Label) {
        for at in 0..bytes {
            let shift = 6 * i32::from(bytes - 1 - at);
            self.asm.mov(Reg::R2, Reg::R1);
            if shift > 0 {
                self.asm.alu_imm(Alu::Rsh, Reg::R2, shift);
            }
            if at > 0 {
                self.asm.alu_imm(Alu::And, Reg::R2, 0x3f);
            }
            let mark = if at > 0 { 0x80 } else { lead };
            if mark > 0 {
                self.asm.alu_imm(Alu::Or, Reg::R2, mark);
            }
            self.asm.store(Size::Byte, Reg::R5, at, Reg::R2);
        }
        self.asm.alu_imm(Alu::Add, Reg::R0, i32::from(bytes));
        self.asm.store(Size::Double, Reg::FP, written, Reg::R0);
        self.asm.jump(next);
    }
}
