//! `pythread`: the name that Python's `threading` has for a thread, or else the kernel's.
//!
//! A thread that a Python program starts begins in `Thread._bootstrap`: that is the outermost function that it is in,
//! and its first argument the `Thread` with the name. Other threads, the first one among them, do not begin so.

use dlang::diag::Span;

use super::capture::READ_MORE;
use super::layout::Fact;
use super::region::{NODES, ObjectRegion, READ, RESULT};
use crate::asm::Label;
use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;
use crate::string::Str;

/// Who asks, in messages.
const FUNCTION: &str = "pythread";
/// The function that threads begin in, and the attribute that has their name.
const BEGINNING: &[u8] = b"_bootstrap\0";
const NAME: &[u8] = b"_name";
/// Bytes of the kernel's name.
const COMM: i64 = 16;

/// The bits of an address in a frame; the lowest are tags from 3.14 on.
const ADDRESS: i32 = -8;

impl Emit<'_> {
    /// The name of the thread.
    pub(crate) fn python_thread(&mut self, span: Span) -> Emitted<Str> {
        let region = self.object_place(FUNCTION, span)?;
        let slot = self.buffer(8, span)?;
        let object = Val::Slot(slot);
        let string = self.push_kernel_string(span, |e| {
            let [kernels, have] = [(); 2].map(|()| e.asm.label());
            e.find_thread_object(region, slot, kernels, span)?;
            e.with_object(FUNCTION, &object, span, |e, head| {
                e.find_attribute(head, NAME);
            })?;
            e.object_region(Reg::R5, region);
            e.asm.store_imm(Size::Double, Reg::R5, NODES, 0);
            e.asm.load(Size::Double, Reg::R0, Reg::R5, RESULT);
            e.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            e.with_object(FUNCTION, &object, span, Self::text)?;
            e.object_region(Reg::R5, region);
            e.asm.load(Size::Byte, Reg::R0, Reg::R5, NODES);
            e.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, have);
            e.asm.bind(kernels);
            e.object_region(Reg::R1, region);
            e.asm.alu_imm(Alu::Add, Reg::R1, i32::from(NODES));
            e.asm.mov_imm(Reg::R2, COMM);
            e.asm.call(Helper::GetCurrentComm);
            e.asm.bind(have);
            e.object_region(Reg::R3, region);
            e.asm.alu_imm(Alu::Add, Reg::R3, i32::from(NODES));
            Ok(())
        });
        self.stack.give_buffer(slot, 8);
        string
    }

    /// Puts the address of the thread's `Thread` in a slot; on to `none` if it has not begun as one.
    fn find_thread_object(
        &mut self,
        region: ObjectRegion,
        slot: i16,
        none: Label,
        span: Span,
    ) -> Emitted<()> {
        self.outermost_python_frame(BEGINNING, none, span)?;
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        let facts = self.python_facts(FUNCTION, none, span)?;
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slot);
        self.add_python_fact(facts, Reg::R3, Fact::FrameLocals);
        self.give_python_facts(facts);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, none);
        self.object_word(region, Reg::R0, READ + READ_MORE);
        self.asm.alu_imm(Alu::And, Reg::R0, ADDRESS);
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        Ok(())
    }
}
