//! The stack of a process, walked by the generated code: from the registers that the thread had in its
//! program, by tables that user space has made of the files' `.eh_frame` (the crate `unwind` has
//! their form; [`lookup`] finds the rule in them).
//!
//! ```text
//!     pc, sp, bp = registers of the program; before = 0
//!     while (count < wanted) {
//!         addresses[count++] = pc;
//!         if (rule found not long ago for pc - before) goto found;
//!         range = the last one of the process with range.start <= pc - before;
//!         if (pc - before >= range.end) break;                  // no table
//!         rule = that of the range's table for pc - before - range.base;
//! found:  cfa = by the rule from sp or bp; if (cfa <= sp) break;
//!         bp = by the rule from memory; pc = *(cfa - 8); sp = cfa;
//!         before = 1;                                           // pc is behind the call
//!         if (pc < 4096) break;                                 // nothing is ever mapped there
//!     }
//! ```
//!
//! Behind a signal's handler all three come from what the kernel has put on the stack, and `before`
//! is 0: that function was not calling anything.
//!
//! A CFA in a register other than `rsp` and `rbp` is found in the first turn only, while it is the thread's own.
//!
//! In a process that runs a Python some of these frames are calls of the interpreter; Python's functions take their
//! place ([`crate::mixed`]).
//!
//! What cannot be found ends the stack with the frames that are sure. All that a turn leaves to the
//! next is in stack slots, unknown to the verifier and to it no copy of anything else, so that it
//! follows few turns; the searches have no branches but their end.

mod lookup;

use dlang::diag::Span;
use unwind::rule::{
    KIND_MASK, OFFSET_SHIFT, RBP_AT_RBP, RBP_MASK, RBP_SHIFT, RBP_UNKNOWN, REGISTER_BITS, kind,
};

use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
pub use crate::frame_layout::UnwindMaps;
use crate::frame_layout::{COUNT, Frames, PROCESS, WINDOW};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::mixed::MixedSlots;
use crate::process::{CS, USER_MODE};
use crate::words::Words;

/// Offsets in the kernel's `struct pt_regs` of x86-64.
mod registers {
    pub(super) const BP: i16 = 32;
    pub(super) const IP: i16 = 128;
    pub(super) const SP: i16 = 152;
}

/// Where `rbp` is from where `rsp` points when a signal's handler has returned, and how far behind
/// it `rsp` and `rip` are (`struct ucontext`).
mod ucontext {
    pub(super) const BP: i32 = 120;
    pub(super) const BYTES: i64 = 56;
    pub(super) const SP: i16 = 40;
    pub(super) const IP: i16 = 48;
}

/// No process has code below this address: what a caller at one would be is no caller.
const NO_CODE: i32 = 4096;

/// The stack slots of a walk.
#[derive(Clone, Copy)]
pub(crate) struct Slots {
    pub(crate) pc: i16,
    pub(crate) sp: i16,
    bp: i16,
    pub(crate) count: i16,
    /// 1 if `pc` is where a call returns to.
    pub(crate) before: i16,
    /// The address that is looked up.
    at: i16,
    /// The first range of the process, and how many it has.
    first: i16,
    ranges: i16,
    pub(crate) cfa: i16,
    pub(crate) rule: i16,
    /// What is read of the stack; to the verifier the first two words are numbers in every turn, and the rest bytes.
    pub(crate) read: i16,
    /// Where the part of the stack starts that is in the window; 0 if none is, -1 if too little of the stack is there.
    window: i16,
}

impl Slots {
    pub(crate) const READ: i16 = 56;
    /// The words of it that are numbers.
    pub(crate) const NUMBERS: i16 = 16;
    /// All of them.
    const BYTES: i16 = Self::READ + 8 * 11;
}

impl Emit<'_> {
    /// Walks the stack of the thread's program, up to `wanted` frames, into the scratch. Python's functions are taken
    /// from the list of them, if there is one.
    pub(crate) fn find_user_frames(
        &mut self,
        frames: Frames,
        maps: UnwindMaps,
        (wanted, listed): (u32, Option<Words>),
        span: Span,
    ) -> Emitted<()> {
        let slots = self.walk_slots(span)?;
        self.scratch(Reg::R1, span)?;
        let mixed = match listed {
            Some(list) => Some(self.start_mixing((frames.addresses(), list), slots, span)?),
            None => None,
        };
        for slot in [slots.count, slots.before, slots.window] {
            self.clear_slot(slot, span)?;
        }
        let out = self.asm.label();
        self.pid_tgid(Reg::R0, span)?;
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.store(Size::Word, Reg::R1, PROCESS, Reg::R0);
        self.asm.store(Size::Double, Reg::FP, slots.at, Reg::R0);
        self.program_registers(slots, out);
        self.ranges_of_process(slots, maps);
        if let Some(mixed) = mixed {
            let python = self.asm.label();
            self.asm.load(Size::Double, Reg::R1, Reg::FP, mixed.place);
            self.unlink(Reg::R1);
            self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, python);
            self.walk_alone(frames, maps, slots, wanted, out, span)?;
            self.asm.jump(out);
            self.asm.bind(python);
            self.walk(frames, maps, (slots, Some(mixed)), wanted, out);
        } else {
            self.walk_alone(frames, maps, slots, wanted, out, span)?;
        }
        self.asm.bind(out);
        if let Some(mixed) = mixed {
            self.put_python_beyond(mixed, slots, wanted, span)?;
        }
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.at));
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slots.count);
        self.asm.store(Size::Word, Reg::R1, COUNT, Reg::R0);
        self.stack.give_buffer(slots.read, Slots::BYTES);
        if let Some(mixed) = mixed {
            self.end_mixing(mixed);
        }
        Ok(())
    }

    fn walk_slots(&mut self, span: Span) -> Emitted<Slots> {
        let read = self.buffer(Slots::BYTES, span)?;
        let word = |n: i16| read + Slots::READ + 8 * n;
        Ok(Slots {
            pc: word(0),
            sp: word(1),
            bp: word(2),
            count: word(3),
            before: word(4),
            at: word(5),
            first: word(6),
            ranges: word(7),
            cfa: word(8),
            rule: word(9),
            window: word(10),
            read,
        })
    }

    /// The registers that the thread had when it last was in its program, wherever the kernel is now.
    fn program_registers(&mut self, slots: Slots, out: Label) {
        self.asm.call(Helper::GetCurrentTaskBtf);
        self.asm.mov(Reg::R1, Reg::R0);
        self.asm.call(Helper::TaskPtRegs);
        // A thread of the kernel has no program.
        self.asm.load(Size::Half, Reg::R1, Reg::R0, CS);
        self.asm.alu_imm(Alu::And, Reg::R1, USER_MODE);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, USER_MODE, out);
        for (slot, register) in [
            (slots.pc, registers::IP),
            (slots.sp, registers::SP),
            (slots.bp, registers::BP),
        ] {
            self.asm.load(Size::Double, Reg::R1, Reg::R0, register);
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
        }
    }

    /// What ranges the process has, whose id is in `at`; none if it is not known.
    fn ranges_of_process(&mut self, slots: Slots, maps: UnwindMaps) {
        let (known, done) = (self.asm.label(), self.asm.label());
        self.asm.map(Reg::R1, maps.processes);
        self.stack_address(Reg::R2, slots.at);
        self.asm.call(Helper::MapLookupElem);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, known);
        // Through memory, as what is known.
        for slot in [slots.first, slots.ranges] {
            self.asm.load(Size::Double, Reg::R0, Reg::FP, slots.before);
            self.unlink(Reg::R0);
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        self.asm.jump(done);
        self.asm.bind(known);
        for (slot, offset) in [(slots.first, 0), (slots.ranges, 4)] {
            self.asm.load(Size::Word, Reg::R1, Reg::R0, offset);
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
        }
        self.asm.bind(done);
    }

    /// Walks the stack of a program in which there is no Python function: what is read of it is read through the window.
    fn walk_alone(
        &mut self,
        frames: Frames,
        maps: UnwindMaps,
        slots: Slots,
        wanted: u32,
        out: Label,
        span: Span,
    ) -> Emitted<()> {
        // As in the turns that follow.
        for at in (0..Slots::NUMBERS).step_by(8) {
            self.clear_slot(slots.read + at, span)?;
        }
        self.walk(frames, maps, (slots, None), wanted, out);
        Ok(())
    }

    fn walk(
        &mut self,
        frames: Frames,
        maps: UnwindMaps,
        (slots, mixed): (Slots, Option<MixedSlots>),
        wanted: u32,
        out: Label,
    ) {
        let (again, caller, signal) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.bind(again);
        self.asm.may_goto(out);
        // addresses[count++] = pc
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.count);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, imm(wanted), out);
        if let Some(mixed) = mixed {
            self.put_python_frame(mixed, slots, (again, caller, out));
        }
        self.asm.load(Size::Double, Reg::R4, Reg::FP, slots.pc);
        self.add_word(frames.addresses(), slots.count, Reg::R4);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.before);
        self.asm.alu(Alu::Sub, Reg::R4, Reg::R1);
        self.asm.store(Size::Double, Reg::FP, slots.at, Reg::R4);
        let found = self.asm.label();
        self.find_again(maps, slots, (found, out));
        self.find_range(maps, slots, out);
        self.find_rule(maps, slots, out);
        self.keep_found(maps, slots, out);
        self.asm.bind(found);
        let alone = mixed.is_none();
        self.find_cfa(slots, alone, signal, out);
        if let Some(mixed) = mixed {
            self.begin_python_call(mixed, slots, again);
        }
        self.asm.bind(caller);
        self.find_caller(alone.then_some(frames), slots, out);
        self.asm.jump(again);
        self.asm.bind(signal);
        self.find_interrupted(slots, alone, out);
        self.asm.jump(again);
    }

    /// Computes the CFA. Leaves for `signal` where a handler was called.
    fn find_cfa(&mut self, slots: Slots, alone: bool, signal: Label, out: Label) {
        let [others, plt, in_memory, register, done] = [(); 5].map(|()| self.asm.label());
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.rule);
        // r2 = offset, with its sign.
        self.asm.mov(Reg::R2, Reg::R1);
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 32);
        self.asm.alu_imm(Alu::Arsh, Reg::R2, imm(32 + OFFSET_SHIFT));
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 3);
        self.asm.alu_imm(Alu::And, Reg::R1, imm(KIND_MASK));
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.sp);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R1, imm(kind::RSP), others);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
        self.asm.jump(done);
        self.asm.bind(others);
        for (kind, to) in [
            (kind::SIGNAL, signal),
            (kind::PLT, plt),
            (kind::REGISTER, register),
            (kind::AT_RSP, in_memory),
            (kind::AT_RSP_AND_8, in_memory),
        ] {
            self.asm.jump_if_imm(Cond::Eq, Reg::R1, imm(kind), to);
        }
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.bp);
        for kind in [kind::AT_RBP, kind::AT_RBP_AND_8] {
            self.asm
                .jump_if_imm(Cond::Eq, Reg::R1, imm(kind), in_memory);
        }
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, imm(kind::RBP), out);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
        self.asm.jump(done);
        self.asm.bind(in_memory);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
        self.read_stack(slots.read, 8, out);
        if alone {
            self.read_as_numbers(slots);
        }
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.read);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.rule);
        self.asm.alu_imm(Alu::And, Reg::R1, imm(kind::AND_8));
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.asm.jump(done);
        self.asm.bind(register);
        self.add_register(slots, out);
        self.asm.jump(done);
        self.asm.bind(plt);
        // rsp + 8 + ((rip & 15) >= 11) * 8
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.pc);
        self.asm.alu_imm(Alu::And, Reg::R2, 15);
        self.asm.alu_imm(Alu::Add, Reg::R2, 5);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, 4);
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 3);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
        self.asm.alu_imm(Alu::Add, Reg::R3, 8);
        self.asm.bind(done);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.sp);
        self.asm.jump_if(Cond::Le, Reg::R3, Reg::R1, out);
        self.asm.store(Size::Double, Reg::FP, slots.cfa, Reg::R3);
    }

    /// `r3 = a register of the thread + offset`, by the words in `r2`; leaves for `out` behind the first turn.
    fn add_register(&mut self, slots: Slots, out: Label) {
        let of_register = (1 << (REGISTER_BITS + 3)) - 8;
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.count);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 1, out);
        self.asm.store(Size::Double, Reg::FP, slots.cfa, Reg::R2);
        self.asm.call(Helper::GetCurrentTaskBtf);
        self.asm.mov(Reg::R1, Reg::R0);
        self.asm.call(Helper::TaskPtRegs);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.cfa);
        self.asm.alu_imm(Alu::And, Reg::R2, of_register);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
        self.stack_address(Reg::R1, slots.read);
        self.asm.mov_imm(Reg::R2, 8);
        self.asm.call(Helper::ProbeReadKernel);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, out);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.read);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.cfa);
        self.asm.alu_imm(Alu::Arsh, Reg::R2, imm(REGISTER_BITS));
        self.asm.alu_imm(Alu::And, Reg::R2, -8);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
    }

    /// `bpf_probe_read_user(slot, bytes, r3)`.
    fn read_stack(&mut self, slot: i16, bytes: i64, out: Label) {
        self.stack_address(Reg::R1, slot);
        self.asm.mov_imm(Reg::R2, bytes);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, out);
    }

    /// Reads the last two words of the frame, those below the CFA: from the window, which is filled anew if they are not in
    /// it. Where less of the stack is there than the window takes, as at its start, they are read by themselves from then on.
    ///
    /// ```text
    ///     if (window == -1) goto direct;
    ///     if (window == 0 || cfa - 16 - window > WINDOW - 16) {
    ///         window = min(max(sp, cfa - 64), cfa - 16);     // with the registers that are saved there
    ///         if (bpf_probe_read_user(bytes, WINDOW, window) != 0) { window = -1; goto direct; }
    ///     }
    ///     read = bytes[cfa - 16 - window .. +16];
    /// ```
    fn read_end_of_frame(&mut self, frames: Frames, slots: Slots, out: Label) {
        /// So many bytes are looked at of what a frame has saved.
        const SAVED: i32 = 64;
        let last = imm(WINDOW - 16);
        let [direct, fill, not_below, not_above, within, failed, done] =
            [(); 7].map(|()| self.asm.label());
        self.end_of_frame(Reg::R3, slots);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.window);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, fill);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, -1, direct);
        self.asm.mov(Reg::R2, Reg::R3);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R1);
        self.through_memory(Reg::R2, Reg::R1);
        self.asm.jump_if_imm(Cond::Le, Reg::R2, last, within);
        self.asm.bind(fill);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.cfa);
        self.asm.alu_imm(Alu::Add, Reg::R1, -SAVED);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.sp);
        self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, not_below);
        self.asm.mov(Reg::R1, Reg::R2);
        self.asm.bind(not_below);
        self.asm.jump_if(Cond::Le, Reg::R1, Reg::R3, not_above);
        self.asm.mov(Reg::R1, Reg::R3);
        self.asm.bind(not_above);
        self.through_memory(Reg::R1, Reg::R2);
        self.asm.store(Size::Double, Reg::FP, slots.window, Reg::R1);
        self.asm.mov(Reg::R3, Reg::R1);
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.window));
        self.asm.mov_imm(Reg::R2, WINDOW.into());
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, failed);
        self.end_of_frame(Reg::R2, slots);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.window);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R1);
        self.through_memory(Reg::R2, Reg::R1);
        // It is within now; the verifier does not know.
        self.asm.jump_if_imm(Cond::Gt, Reg::R2, last, failed);
        self.asm.bind(within);
        self.in_window(frames);
        for at in [0, 8] {
            self.asm.load(Size::Double, Reg::R0, Reg::R1, at);
            self.asm
                .store(Size::Double, Reg::FP, slots.read + at, Reg::R0);
        }
        self.asm.jump(done);
        self.asm.bind(failed);
        // -1, which the verifier does not know.
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.count);
        self.asm.mov(Reg::R2, Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        self.asm.alu(Alu::Sub, Reg::R1, Reg::R2);
        self.asm.store(Size::Double, Reg::FP, slots.window, Reg::R1);
        self.asm.bind(direct);
        self.end_of_frame(Reg::R3, slots);
        self.read_stack(slots.read, 16, out);
        self.read_as_numbers(slots);
        self.asm.bind(done);
    }

    /// `dst = cfa - 16`.
    fn end_of_frame(&mut self, dst: Reg, slots: Slots) {
        self.asm.load(Size::Double, dst, Reg::FP, slots.cfa);
        self.asm.alu_imm(Alu::Add, dst, -16);
    }

    /// `r1 = address in the window`, of the byte `r2`, which the verifier knows to be in it.
    fn in_window(&mut self, frames: Frames) {
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(frames.window));
        self.asm.alu(Alu::Add, Reg::R1, Reg::R2);
    }

    /// Has the verifier take what a helper has read for numbers, as it is in the turns in which none has. Destroys `r0`.
    fn read_as_numbers(&mut self, slots: Slots) {
        for at in (0..Slots::NUMBERS).step_by(8) {
            self.asm
                .load(Size::Double, Reg::R0, Reg::FP, slots.read + at);
            self.asm
                .store(Size::Double, Reg::FP, slots.read + at, Reg::R0);
        }
    }

    /// The registers of the caller, by CFA and rule; with `frames` read through the window in their scratch.
    fn find_caller(&mut self, frames: Option<Frames>, slots: Slots, out: Label) {
        let [same, near, unknown, failed, have] = [(); 5].map(|()| self.asm.label());
        if let Some(frames) = frames {
            self.read_end_of_frame(frames, slots, out);
        } else {
            self.end_of_frame(Reg::R3, slots);
            self.read_stack(slots.read, 16, out);
        }
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.rule);
        self.asm.alu_imm(Alu::Rsh, Reg::R1, imm(RBP_SHIFT));
        self.asm.alu_imm(Alu::And, Reg::R1, imm(RBP_MASK));
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, same);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 2, near);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, imm(RBP_UNKNOWN), unknown);
        let at_rbp = self.asm.label();
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.bp);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, imm(RBP_AT_RBP), at_rbp);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.cfa);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        self.asm.alu(Alu::Sub, Reg::R3, Reg::R1);
        self.asm.bind(at_rbp);
        if let Some(frames) = frames {
            let outside = self.asm.label();
            self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.window);
            self.asm.mov(Reg::R2, Reg::R3);
            self.asm.alu(Alu::Sub, Reg::R2, Reg::R1);
            self.through_memory(Reg::R2, Reg::R1);
            self.asm
                .jump_if_imm(Cond::Gt, Reg::R2, imm(WINDOW - 8), outside);
            self.in_window(frames);
            self.asm.load(Size::Double, Reg::R1, Reg::R1, 0);
            self.asm.jump(have);
            self.asm.bind(outside);
        }
        self.read_stack(slots.read + 16, 8, failed);
        self.asm
            .load(Size::Double, Reg::R1, Reg::FP, slots.read + 16);
        self.asm.jump(have);
        self.asm.bind(near);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.read);
        self.asm.jump(have);
        self.asm.bind(failed);
        self.asm.bind(unknown);
        // A CFA that needs it is not above the stack pointer, which ends the stack.
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.before);
        self.asm.bind(have);
        self.asm.store(Size::Double, Reg::FP, slots.bp, Reg::R1);
        self.asm.bind(same);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.cfa);
        self.asm.store(Size::Double, Reg::FP, slots.sp, Reg::R1);
        self.asm
            .load(Size::Double, Reg::R1, Reg::FP, slots.read + 8);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Lt, Reg::R1, NO_CODE, out);
        self.asm.store(Size::Double, Reg::FP, slots.pc, Reg::R1);
        // 1, which the verifier does not know: r1 is not 0.
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.count);
        self.asm.mov(Reg::R1, Reg::R2);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.alu(Alu::Sub, Reg::R1, Reg::R2);
        self.asm.store(Size::Double, Reg::FP, slots.before, Reg::R1);
    }

    /// The registers that a signal's handler interrupted.
    fn find_interrupted(&mut self, slots: Slots, alone: bool, out: Label) {
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.sp);
        self.asm.alu_imm(Alu::Add, Reg::R3, ucontext::BP);
        self.read_stack(slots.read, ucontext::BYTES, out);
        for (slot, offset) in [
            (slots.bp, 0),
            (slots.sp, ucontext::SP),
            (slots.pc, ucontext::IP),
        ] {
            self.asm
                .load(Size::Double, Reg::R1, Reg::FP, slots.read + offset);
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
        }
        if alone {
            self.read_as_numbers(slots);
        }
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.pc);
        self.asm.jump_if_imm(Cond::Lt, Reg::R1, NO_CODE, out);
        // 0, which the verifier does not know.
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.count);
        self.asm.mov(Reg::R2, Reg::R1);
        self.asm.alu(Alu::Sub, Reg::R1, Reg::R2);
        self.asm.store(Size::Double, Reg::FP, slots.before, Reg::R1);
    }
}
