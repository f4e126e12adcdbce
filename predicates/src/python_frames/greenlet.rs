//! The greenlet that a thread is running.
//!
//! `provider::python::greenlets` says where the extension module keeps it. From greenlet 2.0 on no interpreter is asked: it is
//! in the thread's own storage, the blocks of which are in a table that the base of the segment FS leads to. Before, there is
//! one variable for all threads, with the greenlet that ran last, as far as greenlet has looked: if that is another thread's,
//! this thread's is in a dict of its own.
//!
//! ```text
//!     fs:8 --> table of the blocks     glibc:  words -2: how many there are;  2 n: the block of number n
//! ```

use dlang::diag::Span;
use unwind::objects::Fact as Object;
use unwind::python::Fact;

use super::Slots;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fetched};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonFrames, area};

/// Under what a thread's dict has its greenlet, while another thread's is in the variable.
const CURRENT: &[u8] = b"__greenlet_ts_curkey";

/// At the base of FS: the table of the thread's blocks.
const BLOCKS: i32 = 8;
/// Bytes of an entry, as a shift.
const ENTRY: i32 = 4;

/// Where the result is: a word from `area::WORK` on, behind what going through a dict needs.
const RESULT: i16 = 32;

/// The slots that are used otherwise while no frame is looked at.
impl Slots {
    const fn blocks(self) -> i16 {
        self.frame
    }
    const fn number_of_block(self) -> i16 {
        self.number
    }
    const fn greenlet(self) -> i16 {
        self.code
    }
    const fn dict(self) -> i16 {
        self.offset
    }
}

impl Emit<'_> {
    /// `r0 = address of the greenlet` that the thread is running, looked for at most once where there is one; 0 if it has run
    /// none.
    pub(crate) fn python_greenlet(&mut self, span: Span) -> Emitted<()> {
        // Where the greenlet is known already, these need not be.
        self.scratch(Reg::R1, span)?;
        self.pid_tgid(Reg::R0, span)?;
        self.fetch_once(Reg::R0, Fetched::Greenlet, span, |e| e.find_greenlet(span))
    }

    fn find_greenlet(&mut self, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        let s = self.python_slots(span)?;
        let [of_process, found, none] = [(); 3].map(|()| self.asm.label());
        self.clear_python_slots(s, span)?;
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store_imm(Size::Double, Reg::R1, RESULT, 0);
        self.find_python_facts(python, s, none, span)?;
        self.fact(Reg::R3, Fact::GreenletBlock, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, of_process);
        self.greenlet_of_thread(s, none);
        self.asm.jump(found);
        self.asm.bind(of_process);
        self.greenlet_of_process(python, s, none, span)?;
        self.asm.bind(found);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store(Size::Double, Reg::R1, RESULT, Reg::R0);
        self.asm.bind(none);
        self.give_python_slots(s);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, RESULT);
        Ok(())
    }

    /// `r0 = the greenlet` of greenlet 2.0 on; `r3` is where the number of its blocks is.
    fn greenlet_of_thread(&mut self, s: Slots, none: Label) {
        self.python_word(s, none);
        self.asm
            .store(Size::Double, Reg::FP, s.number_of_block(), Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.call(Helper::GetCurrentTaskBtf);
        let fs_base = self.storage.task.fs_base;
        let fs_base = fs_base.and_then(|offset| i16::try_from(offset).ok());
        self.asm
            .load(Size::Double, Reg::R3, Reg::R0, fs_base.unwrap_or(0));
        self.asm.alu_imm(Alu::Add, Reg::R3, BLOCKS);
        self.python_word(s, none);
        self.asm.store(Size::Double, Reg::FP, s.blocks(), Reg::R0);
        // A thread's table grows when it asks for a block that has no place there.
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, -(1 << ENTRY));
        self.python_word(s, none);
        self.asm
            .load(Size::Double, Reg::R1, Reg::FP, s.number_of_block());
        self.asm.jump_if(Cond::Gt, Reg::R1, Reg::R0, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.blocks());
        self.asm.alu_imm(Alu::Lsh, Reg::R1, ENTRY);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.python_word(s, none);
        // Not the address of a block, -1, before the thread has asked for it.
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, -1, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_fact(Reg::R3, Fact::GreenletState, Reg::R0, s);
        self.python_word(s, none);
        self.asm.jump_if_imm(Cond::Le, Reg::R0, 1, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_fact(Reg::R3, Fact::Greenlet, Reg::R0, s);
        self.python_word(s, none);
    }

    /// The same before.
    fn greenlet_of_process(
        &mut self,
        python: PythonFrames,
        s: Slots,
        none: Label,
        span: Span,
    ) -> Emitted<()> {
        let [kept, found] = [(); 2].map(|()| self.asm.label());
        self.fact(Reg::R3, Fact::LastGreenlet, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, none);
        self.python_word(s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.greenlet(), Reg::R0);
        self.find_python_state(python, s, none, span)?;
        self.python_field(s.state, Fact::DictOfGreenlets, s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.dict(), Reg::R0);
        self.python_field(s.greenlet(), Fact::GreenletDict, s, none);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.dict());
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, kept);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.greenlet());
        self.asm.jump(found);
        self.asm.bind(kept);
        self.object_fact(Reg::R0, Object::Header, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.dict());
        self.open_dict(python, s, none);
        self.value_of_name(python, s, CURRENT, none);
        self.asm.bind(found);
        Ok(())
    }
}
