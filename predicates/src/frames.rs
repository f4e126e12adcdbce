//! Stacks: the frames of a thread, found by the kernel, and the number that stands for them.
//!
//! A stack is some hundred bytes, and the same ones come again and again. So it is put in a map once,
//! under a number that is computed from its frames, and records and keys have only the number:
//!
//! ```text
//!     the scratch, and a value of the map        the number
//!       0    u32 process, 0 for the kernel's     h = (h ^ word) * K, folded, for each word
//!       4    u32 count                           two stacks have the same one once in 2^64
//!       8    u64 addresses, the innermost first
//! ```
//!
//! The number of a stack without frames is 0, and no look-up is needed for it: that of a process in each sample of the
//! kernel's own threads, and the kernel's in each of a program. That of a stack that found no room is 0, too, which is counted.

use dlang::diag::Span;
use dlang::eval::Value;
use dlang::program::Expr;

use crate::emit::{Emit, Emitted, KernelStack, Refusal, imm};
pub use crate::frame_layout::{ADDRESSES, COUNT, FrameLimits, Frames, MOST_PYTHON_FRAMES, PROCESS};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::process::{CS, USER_MODE};
use crate::python_frames::stack::Chain;
use crate::stack::Val;
use crate::storage::Counter;

/// Stacks of more frames are gone through by open loops only.
const LONG_STACK: u32 = 256;

/// What the number of a stack is multiplied with for each word: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The kernel's `BPF_NOEXIST`.
const NEW_ONLY: i64 = 1;

/// The kernel's `-EEXIST`.
const EXISTS: i32 = -17;

impl Emit<'_> {
    fn frames(&self, span: Span) -> Emitted<Frames> {
        self.storage.frames.ok_or_else(|| Refusal {
            span,
            message: "the program's stacks have no place".into(),
        })
    }

    /// `stack([frames])`: the number of the kernel's stack.
    pub(crate) fn kernel_stack(&mut self, wanted: Option<&Expr>, span: Span) -> Emitted<Val> {
        let limits = self.frames(span)?.limits;
        let wanted = match wanted.and_then(|wanted| self.constant(wanted)) {
            Some(Value::Int(wanted)) => u32::try_from(wanted).unwrap_or(u32::MAX),
            Some(Value::Str(_)) | None => limits.kernel,
        };
        self.find_kernel_frames(wanted.min(limits.most), span)?;
        self.number_of_frames(span)
    }

    /// `ustack([frames])`: the number of the stack of the thread's program.
    pub(crate) fn user_stack(&mut self, wanted: Option<&Expr>, span: Span) -> Emitted<Val> {
        let limits = self.frames(span)?.limits;
        let wanted = match wanted.and_then(|wanted| self.constant(wanted)) {
            Some(Value::Int(wanted)) => u32::try_from(wanted).unwrap_or(u32::MAX),
            Some(Value::Str(_)) | None => limits.user,
        };
        self.user_frames(wanted.min(limits.most), true, span)?;
        self.number_of_frames(span)
    }

    /// `jstack([frames])`: the number of the stack of the Python functions that the thread is in.
    pub(crate) fn python_stack(
        &mut self,
        wanted: Option<&Expr>,
        chain: Chain,
        span: Span,
    ) -> Emitted<Val> {
        let frames = self.frames(span)?;
        if chain == Chain::Awaits
            && let Some(python) = &self.machine.python
        {
            python.awaiting.as_ref().map_err(|why| Refusal {
                span,
                message: format!("pystack(ASYNC): {why}"),
            })?;
        }
        let (wanted, marks) = match wanted.and_then(|wanted| self.constant(wanted)) {
            Some(Value::Int(wanted)) => (u32::try_from(wanted).unwrap_or(u32::MAX), false),
            Some(Value::Str(_)) | None => (frames.limits.python, true),
        };
        let wanted = wanted.min(MOST_PYTHON_FRAMES);
        self.find_python_frames(frames, (wanted, marks), chain, span)?;
        self.number_of_frames(span)
    }

    /// Finds the frames of the thread's program; if `mixed`, Python's functions in the place of the interpreter's.
    fn user_frames(&mut self, wanted: u32, mixed: bool, span: Span) -> Emitted<()> {
        let refusal = |message: &str| Refusal {
            span,
            message: message.into(),
        };
        let frames = self.frames(span)?;
        let maps = frames
            .unwind
            .ok_or_else(|| refusal("the tables for walking stacks have no place"))?;
        if self.storage.open_loops.is_none() {
            return Err(refusal(
                "the stacks of processes are walked by loops without a bound, which this kernel does \
                 not know: they take Linux 5.17",
            ));
        }
        if !cfg!(target_arch = "x86_64") {
            return Err(refusal("the stacks of processes are walked on x86-64 only"));
        }
        let listed = frames.listed().filter(|_| mixed);
        if let Some(words) = listed {
            self.list_python_frames(words, wanted, span)?;
        }
        self.find_user_frames(frames, maps, (wanted, listed), span)
    }

    /// `ustackdepth`.
    pub(crate) fn user_stack_depth(&mut self, span: Span) -> Emitted<()> {
        let frames = self.frames(span)?;
        self.user_frames(frames.limits.most, false, span)?;
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.load(Size::Word, Reg::R0, Reg::R1, COUNT);
        Ok(())
    }

    /// `ucaller`.
    pub(crate) fn user_caller(&mut self, span: Span) -> Emitted<()> {
        let frames = self.frames(span)?;
        self.user_frames(2, false, span)?;
        self.second_frame(frames, span)
    }

    /// `stackdepth`.
    pub(crate) fn stack_depth(&mut self, span: Span) -> Emitted<()> {
        let frames = self.frames(span)?;
        self.find_kernel_frames(frames.limits.most, span)?;
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.load(Size::Word, Reg::R0, Reg::R1, COUNT);
        Ok(())
    }

    /// `caller`: the second frame.
    pub(crate) fn caller(&mut self, span: Span) -> Emitted<()> {
        let frames = self.frames(span)?;
        self.find_kernel_frames(2, span)?;
        self.second_frame(frames, span)
    }

    /// `r0 = the second frame`, 0 if there is none.
    fn second_frame(&mut self, frames: Frames, span: Span) -> Emitted<()> {
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.load(Size::Word, Reg::R2, Reg::R1, COUNT);
        let (none, done) = (self.asm.label(), self.asm.label());
        self.asm.jump_if_imm(Cond::Lt, Reg::R2, 2, none);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 16);
        self.asm.jump(done);
        self.asm.bind(none);
        self.load_zero(Reg::R0, span)?;
        self.asm.bind(done);
        Ok(())
    }

    /// Has the kernel walk its own stack, of which there is none where a probe fires in a program.
    ///
    /// ```text
    ///     bytes = 0;
    ///     if (the kernel is what was interrupted)
    ///         bytes = bpf_get_stack(context, addresses, 8 * wanted, frames of our own);
    ///     process = 0; count = bytes < 0 ? 0 : bytes / 8;
    /// ```
    fn find_kernel_frames(&mut self, wanted: u32, span: Span) -> Emitted<()> {
        let frames = self.frames(span)?;
        let innermost = match self.machine.kernel_stack {
            KernelStack::Ours => None,
            KernelStack::Calling => Some(1),
            KernelStack::Interrupted => Some(0),
        };
        let Some(ours) = innermost else {
            self.scratch_at(Reg::R1, frames.at, span)?;
            self.asm.store_imm(Size::Word, Reg::R1, PROCESS, 0);
            self.asm.store_imm(Size::Word, Reg::R1, COUNT, 0);
            return Ok(());
        };
        self.scratch_at(Reg::R2, frames.at + ADDRESSES, span)?;
        let [none, found] = [(); 2].map(|()| self.asm.label());
        self.asm.load(Size::Double, Reg::R1, Reg::FP, Self::CONTEXT);
        if self.machine.kernel_stack == KernelStack::Interrupted && cfg!(target_arch = "x86_64") {
            self.asm.load(Size::Double, Reg::R0, Reg::R1, CS);
            self.asm.alu_imm(Alu::And, Reg::R0, USER_MODE);
            self.asm.jump_if_imm(Cond::Eq, Reg::R0, USER_MODE, none);
        }
        self.asm.mov_imm(Reg::R3, i64::from(8 * wanted));
        self.asm.mov_imm(Reg::R4, ours);
        self.asm.call(Helper::GetStack);
        self.asm.jump_if_imm(Cond::SGe, Reg::R0, 0, found);
        self.asm.bind(none);
        self.asm.mov_imm(Reg::R0, 0);
        self.asm.bind(found);
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 3);
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.store_imm(Size::Word, Reg::R1, PROCESS, 0);
        self.asm.store(Size::Word, Reg::R1, COUNT, Reg::R0);
        Ok(())
    }

    /// The number of the stack in the scratch, which is put in the map if it is new: 0 if it has no frames.
    fn number_of_frames(&mut self, span: Span) -> Emitted<Val> {
        let frames = self.frames(span)?;
        let key = self.buffer(8, span)?;
        let known = self.asm.label();
        self.clear_slot(key, span)?;
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.load(Size::Word, Reg::R0, Reg::R1, COUNT);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, known);
        self.number_to(frames, span)?;
        self.asm.store(Size::Double, Reg::FP, key, Reg::R2);
        self.asm.map(Reg::R1, frames.map);
        self.stack_address(Reg::R2, key);
        self.asm.call(Helper::MapLookupElem);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, known);
        self.asm.map(Reg::R1, frames.map);
        self.stack_address(Reg::R2, key);
        self.scratch_known(Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R3, imm(frames.at));
        self.asm.mov_imm(Reg::R4, NEW_ONLY);
        self.asm.call(Helper::MapUpdateElem);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, known);
        // Another CPU was faster.
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, EXISTS, known);
        self.count(Counter::StackDrops, span)?;
        self.load_zero(Reg::R0, span)?;
        self.asm.store(Size::Double, Reg::FP, key, Reg::R0);
        self.asm.bind(known);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, key);
        self.stack.give_buffer(key, 8);
        self.keep(Reg::R0, span)
    }

    /// `r2 = number of the stack in the scratch`. Destroys `r0` to `r5`.
    ///
    /// ```text
    ///     h = header;
    ///     for (n = 0; n < count; n++) { h = (h ^ addresses[n]) * FACTOR; h ^= h >> 32; }
    ///     h |= 1;
    /// ```
    fn number_to(&mut self, frames: Frames, span: Span) -> Emitted<()> {
        let most = frames.limits.most;
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.load(Size::Double, Reg::R2, Reg::R1, 0);
        self.asm.load(Size::Word, Reg::R4, Reg::R1, COUNT);
        self.make_unknown(Reg::R2, Reg::R0, span)?;
        self.asm.mov_imm(Reg::R3, 0);
        let (again, done) = (self.asm.label(), self.asm.label());
        let kind = if most > LONG_STACK {
            self.next_branching_loop()
        } else {
            self.next_loop()
        };
        // Behind the last of as many as there may be, a loop without a bound has one more turn, which ends it.
        self.turn(kind, (Reg::R3, most + 1), Reg::R0, (again, done));
        self.go_on_if(Cond::Gt, Reg::R4, Reg::R3, done);
        self.asm.mov(Reg::R5, Reg::R3);
        self.asm.alu_imm(Alu::Lsh, Reg::R5, 3);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R1);
        let first = i16::try_from(ADDRESSES).expect("the header is small");
        self.asm.load(Size::Double, Reg::R0, Reg::R5, first);
        self.asm.alu(Alu::Xor, Reg::R2, Reg::R0);
        self.asm.mov_imm(Reg::R0, FACTOR.cast_signed());
        self.asm.alu(Alu::Mul, Reg::R2, Reg::R0);
        self.asm.mov(Reg::R0, Reg::R2);
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        self.asm.alu(Alu::Xor, Reg::R2, Reg::R0);
        self.next_turn(kind, (Reg::R3, 1, most), again);
        self.asm.bind(done);
        self.asm.alu_imm(Alu::Or, Reg::R2, 1);
        Ok(())
    }
}
