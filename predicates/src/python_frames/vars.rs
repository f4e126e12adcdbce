//! The variables that say which Python function a thread is in.

use dlang::diag::Span;
use unwind::python::NUMBER_SHIFT;

use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonText, area};
use crate::string::Str;

impl Emit<'_> {
    /// A text of the function that the thread is in; empty if it is in none.
    pub(crate) fn python_function_text(&mut self, which: PythonText, span: Span) -> Emitted<Str> {
        let python = self.python_frames(span)?;
        let nothing = self.rodata.put(vec![0]);
        let rodata = self.storage.rodata;
        self.push_kernel_string(span, |e| {
            let [none, have] = [(); 2].map(|()| e.asm.label());
            e.python_top(Reg::R0, span)?;
            e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
            // Without the bit that tells it from an address.
            e.asm.alu_imm(Alu::Lsh, Reg::R0, 1);
            e.asm.alu_imm(Alu::Rsh, Reg::R0, imm(NUMBER_SHIFT + 1));
            e.asm
                .mov_imm(Reg::R1, i64::from(which as u8) << NUMBER_SHIFT);
            e.asm.alu(Alu::Or, Reg::R0, Reg::R1);
            e.python_at(Reg::R2, python, area::PIECE_KEY);
            e.asm.store(Size::Double, Reg::R2, 0, Reg::R0);
            e.asm.map(Reg::R1, python.maps.texts);
            e.asm.call(Helper::MapLookupElem);
            e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
            e.asm.mov(Reg::R3, Reg::R0);
            e.asm.jump(have);
            e.asm.bind(none);
            e.asm.map_value(Reg::R3, rodata, nothing);
            e.asm.bind(have);
            Ok(())
        })
    }

    /// The address of the frame that the thread is in, 0 if it is in none.
    pub(crate) fn python_frame(&mut self, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        let none = self.asm.label();
        self.python_top(Reg::R0, span)?;
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.python_at(Reg::R1, python, area::TOP_FRAME);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.asm.bind(none);
        self.make_unknown(Reg::R0, Reg::R1, span)
    }
}
