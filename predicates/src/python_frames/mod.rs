//! The Python function that a thread is in, found from any probe that fires there.
//!
//! No register of the interpreter is needed, so it does not matter which instruction the thread is at, or whether it
//! is in the kernel. The way (`provider::python::frames` says how it is found in a build):
//!
//! ```text
//!     process --facts--> interpreters --> the thread's state --> its current frame --> its code object
//! ```
//!
//! The code is the same for all builds: what differs between them are the *facts*, which it looks up by
//! process (`unwind::python`). The thread itself is at rest while a program runs in it, so its frames do not change
//! while they are read. Other threads may change the list of states: what was found there is checked, looked for
//! once more if it does not hold, and given up and counted if it does not hold again.
//!
//! All reads are of the traced program's own memory. Every loop has an end of its own, whatever is there.

mod awaiting;
mod code;
pub(crate) mod dict;
pub(crate) mod exception;
mod frame;
mod greenlet;
mod lines;
mod mixed;
mod module;
mod names;
pub(crate) mod stack;
mod task;
mod thread;
mod vars;

use dlang::diag::Span;
use unwind::python::Fact;

use crate::asm::Label;
use crate::emit::{Emit, Emitted, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonFrames, area};
use crate::storage::Counter;

/// The stack slots of a search.
#[derive(Clone, Copy, Debug)]
struct Slots {
    /// The address of the process's facts.
    facts: i16,
    /// What the thread is known by: the base of its segment FS.
    thread: i16,
    /// Its state.
    state: i16,
    /// How often that was looked for.
    attempts: i16,
    frame: i16,
    owner: i16,
    code: i16,
    /// How far the instruction is from the start of the byte code.
    offset: i16,
    /// The number of the code object, and where its function starts.
    number: i16,
    traceable: i16,
    /// How many frames have been looked at.
    visited: i16,
    /// How many new code objects there are.
    new: i16,
    /// For what is done in between.
    a: i16,
    b: i16,
    c: i16,
    /// What was read: three words.
    read: i16,
}

impl Slots {
    const WORDS: i16 = 18;
}

impl Emit<'_> {
    pub(crate) fn python_frames(&self, span: Span) -> Emitted<PythonFrames> {
        let refusal = |message: &str| Refusal {
            span,
            message: message.into(),
        };
        if !cfg!(target_arch = "x86_64") {
            return Err(refusal("Python's frames are found on x86-64 only"));
        }
        if self.storage.open_loops.is_none() {
            return Err(refusal(
                "Python's frames are found by loops without a bound, which this kernel does not know: \
                 they take Linux 5.17",
            ));
        }
        if self.storage.task.fs_base.is_none() {
            return Err(refusal(
                "Python's frames are found by what the kernel's type information (BTF) says, which this \
                 kernel does not have",
            ));
        }
        let python = self.storage.python;
        python.ok_or_else(|| refusal("the memory for Python's frames has no place"))
    }

    fn python_slots(&mut self, span: Span) -> Emitted<Slots> {
        let first = self.buffer(8 * Slots::WORDS, span)?;
        let word = |n: i16| first + 8 * n;
        Ok(Slots {
            read: word(0),
            facts: word(3),
            thread: word(4),
            state: word(5),
            attempts: word(6),
            frame: word(7),
            owner: word(8),
            code: word(9),
            offset: word(10),
            number: word(11),
            traceable: word(12),
            visited: word(13),
            a: word(14),
            b: word(15),
            c: word(16),
            new: word(17),
        })
    }

    /// Sets all numbers among the slots to 0, so that the verifier sees the first turn of a loop as it does the next.
    fn clear_python_slots(&mut self, s: Slots, span: Span) -> Emitted<()> {
        let numbers = [
            s.read,
            s.read + 8,
            s.read + 16,
            s.thread,
            s.state,
            s.attempts,
            s.frame,
            s.owner,
            s.code,
            s.offset,
            s.number,
            s.traceable,
            s.visited,
            s.new,
            s.a,
            s.b,
            s.c,
        ];
        self.clear_python(&numbers, span)
    }

    fn give_python_slots(&mut self, slots: Slots) {
        self.stack.give_buffer(slots.read, 8 * Slots::WORDS);
    }

    /// Looks the facts of the thread's process up: on to `none` if there are none. The scratch has been
    /// fetched.
    fn find_python_facts(
        &mut self,
        python: PythonFrames,
        s: Slots,
        none: Label,
        span: Span,
    ) -> Emitted<()> {
        self.pid_tgid(Reg::R0, span)?;
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        self.asm.store(Size::Double, Reg::FP, s.a, Reg::R0);
        self.asm.map(Reg::R1, python.maps.processes);
        self.stack_address(Reg::R2, s.a);
        self.asm.call(Helper::MapLookupElem);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.store(Size::Double, Reg::FP, s.facts, Reg::R0);
        // The process of code objects: a program that another one becomes has others at the same addresses.
        let execs = self.storage.task.self_exec_id;
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.a);
        if let Some(execs) = execs.and_then(|offset| i16::try_from(offset).ok()) {
            self.asm.call(Helper::GetCurrentTaskBtf);
            self.asm.load(Size::Word, Reg::R2, Reg::R0, execs);
            self.asm.load(Size::Double, Reg::R1, Reg::FP, s.a);
            self.asm.alu_imm(Alu::Lsh, Reg::R2, 32);
            self.asm.alu(Alu::Or, Reg::R1, Reg::R2);
        }
        self.python_at(Reg::R2, python, area::KEY);
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R1);
        Ok(())
    }

    /// `dst = a fact of the process`.
    fn fact(&mut self, dst: Reg, fact: Fact, s: Slots) {
        self.asm.load(Size::Double, dst, Reg::FP, s.facts);
        self.asm.load(Size::Double, dst, dst, fact.offset());
    }

    /// `dst = dst + a fact of the process`; destroys `spare`.
    fn add_fact(&mut self, dst: Reg, fact: Fact, spare: Reg, s: Slots) {
        self.fact(spare, fact, s);
        self.asm.alu(Alu::Add, dst, spare);
    }

    /// `dst = address in the memory of Python`.
    fn python_at(&mut self, dst: Reg, python: PythonFrames, offset: u32) {
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(python.at + offset));
    }

    /// Reads `bytes` at `r3` of the traced program; on to `failed` if they are not there.
    fn read_python(&mut self, s: Slots, bytes: i64, failed: Label) {
        self.stack_address(Reg::R1, s.read);
        self.asm.mov_imm(Reg::R2, bytes);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, failed);
    }

    /// `r0 = the word at r3` of the traced program; on to `failed` if it is not there.
    fn python_word(&mut self, s: Slots, failed: Label) {
        self.read_python(s, 8, failed);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.read);
    }

    /// `r0 = the word at *slot + fact`.
    fn python_field(&mut self, slot: i16, fact: Fact, s: Slots, failed: Label) {
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slot);
        self.add_fact(Reg::R3, fact, Reg::R0, s);
        self.python_word(s, failed);
    }

    /// Sets slots to 0, which the verifier does not know.
    fn clear_python(&mut self, slots: &[i16], span: Span) -> Emitted<()> {
        for slot in slots {
            self.clear_slot(*slot, span)?;
        }
        Ok(())
    }

    /// Counts what was not as it should be.
    fn count_python_mismatch(&mut self, span: Span) -> Emitted<()> {
        self.count(Counter::PythonMismatches, span)
    }
}
