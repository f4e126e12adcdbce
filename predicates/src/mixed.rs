//! `ustack()` in a process that runs a Python: the frames of its program, in which each call of the interpreter's
//! function is replaced by the Python functions that it runs.
//!
//! One call in C may run several Python functions, one calling the other. Which those are, and where on the stack of
//! C that call has its frame, is listed first (`python_frames/mixed.rs`):
//!
//! ```text
//!     the list: words
//!         place     an address in the frame of the innermost call, the highest bit clear
//!         function  as in a stack, the highest bit set; the innermost first
//!         ...
//!         place     of the next call
//!         ...
//!         0         the end
//! ```
//!
//! Then the program's stack is walked as ever (`unwind.rs`). A frame reaches from the stack pointer to its CFA:
//! the one in which the next place lies is that call, wherever its code is. So a frame is replaced only by what it
//! runs; a call that has not got to its function yet, or has left it, is shown as it is.
//!
//! ```text
//!     if (copying) {
//!         word = list[next++];
//!         if (word is a function) { addresses[count++] = word; continue; }
//!         place = word; copying = 0;                        // on with the caller in C
//!     } else {
//!         addresses[count++] = pc; find the CFA;
//!         if (place - sp < cfa - sp) { count--; copying = 1; continue; }
//!     }
//! ```
//!
//! Before CPython 3.11 no place is known, but each call runs one function. The next call is the frame whose code is where the
//! interpreter's function runs one: neither before the thread's state has that function, nor after.
//!
//! ```text
//!         if (place == NEXT_CALL && pc - before is in one of the ranges) { count--; copying = 1; continue; }
//! ```
//!
//! Where the walk ends before it has come to the next place, a word says that frames are missing ("..."), and the
//! functions that are left follow. Where a place was passed without being found, the list and the stack are not in
//! step: the rest is shown as C has it, and that is counted.

use dlang::diag::Span;
use unwind::python::{AND_MORE, EVAL_RANGES};

use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::python_layout::area;
use crate::storage::Counter;
use crate::unwind::Slots;
use crate::words::Words;

/// The place of the next call where none is known.
pub(crate) const NEXT_CALL: i32 = 1;

/// Where the two stacks are put together, and the stack slots that takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MixedSlots {
    addresses: Words,
    list: Words,
    /// The next place.
    pub(crate) place: i16,
    /// The number of the word in the list that comes next.
    next: i16,
    /// Not 0 while functions are put in the place of a frame.
    copying: i16,
}

impl MixedSlots {
    const BYTES: i16 = 24;
}

impl Emit<'_> {
    /// Before a walk: takes the first place. The scratch has been fetched.
    pub(crate) fn start_mixing(
        &mut self,
        (addresses, list): (Words, Words),
        slots: Slots,
        span: Span,
    ) -> Emitted<MixedSlots> {
        let place = self.buffer(MixedSlots::BYTES, span)?;
        let mixed = MixedSlots {
            addresses,
            list,
            place,
            next: place + 8,
            copying: place + 16,
        };
        for slot in [mixed.copying, slots.sp, slots.cfa, slots.rule] {
            self.clear_slot(slot, span)?;
        }
        // For the verifier, the first turn is to be one like those that follow: with bytes in these slots, as a helper
        // has read them, no words.
        self.load_zero(Reg::R0, span)?;
        for at in (0..Slots::READ).step_by(4) {
            self.asm
                .store(Size::Word, Reg::FP, slots.read + at, Reg::R0);
        }
        self.scratch_known(Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(list.at));
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.asm.store(Size::Double, Reg::FP, place, Reg::R0);
        self.load_zero(Reg::R0, span)?;
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::FP, mixed.next, Reg::R0);
        Ok(mixed)
    }

    /// Behind all that uses the slots.
    pub(crate) fn end_mixing(&mut self, mixed: MixedSlots) {
        self.stack.give_buffer(mixed.place, MixedSlots::BYTES);
    }

    /// In a turn of the walk, with the count in `r1`: puts the next function, if functions are being put, and goes on to
    /// `again`, or behind the last one to `caller`. Leaves `r1` as it is if none are.
    pub(crate) fn put_python_frame(
        &mut self,
        mixed: MixedSlots,
        slots: Slots,
        (again, caller, out): (Label, Label, Label),
    ) {
        let [native, function] = [(); 2].map(|()| self.asm.label());
        self.asm.load(Size::Double, Reg::R0, Reg::FP, mixed.copying);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, native);
        self.listed_word(mixed, out);
        self.count_up(mixed.next);
        self.asm.jump_if_imm(Cond::SLt, Reg::R4, 0, function);
        self.asm.store(Size::Double, Reg::FP, mixed.place, Reg::R4);
        self.zero_slot(mixed.copying);
        self.asm.jump(caller);
        self.asm.bind(function);
        self.add_word(mixed.addresses, slots.count, Reg::R4);
        self.asm.jump(again);
        self.asm.bind(native);
    }

    /// When the CFA of the frame that was put last has been found: if the next place is in that frame, takes
    /// it back, and on to `again` to put functions.
    pub(crate) fn begin_python_call(&mut self, mixed: MixedSlots, slots: Slots, again: Label) {
        let [by_place, call, other] = [(); 3].map(|()| self.asm.label());
        self.asm.load(Size::Double, Reg::R1, Reg::FP, mixed.place);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, NEXT_CALL, by_place);
        self.is_eval_code(slots, call);
        self.asm.jump(other);
        self.asm.bind(by_place);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, mixed.place);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.cfa);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.sp);
        self.asm.alu(Alu::Sub, Reg::R1, Reg::R3);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R3);
        self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, other);
        self.asm.bind(call);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.count);
        self.asm.alu_imm(Alu::Add, Reg::R1, -1);
        self.asm.store(Size::Double, Reg::FP, slots.count, Reg::R1);
        // An address, which is not 0.
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.cfa);
        self.unlink(Reg::R1);
        self.asm
            .store(Size::Double, Reg::FP, mixed.copying, Reg::R1);
        self.asm.jump(again);
        self.asm.bind(other);
    }

    /// On to `call` if the frame is at code in which the interpreter's function runs a function.
    fn is_eval_code(&mut self, slots: Slots, call: Label) {
        self.asm.load(Size::Double, Reg::R4, Reg::FP, slots.pc);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.before);
        self.asm.alu(Alu::Sub, Reg::R4, Reg::R1);
        self.scratch_known(Reg::R5);
        let python = self.storage.python.map_or(0, |python| python.at);
        self.asm
            .alu_imm(Alu::Add, Reg::R5, imm(python + area::EVAL_CODE));
        for range in (0..).step_by(16).take(EVAL_RANGES as usize) {
            self.asm.load(Size::Double, Reg::R1, Reg::R5, range);
            self.asm.load(Size::Double, Reg::R2, Reg::R5, range + 8);
            self.asm.mov(Reg::R3, Reg::R4);
            self.asm.alu(Alu::Sub, Reg::R3, Reg::R1);
            self.asm.jump_if(Cond::Lt, Reg::R3, Reg::R2, call);
        }
    }

    /// Behind the walk: the functions further out, if it has not come so far; counts those whose place it has
    /// passed.
    ///
    /// ```text
    ///     for (; count < wanted; next++) {
    ///         word = list[next];
    ///         if (word is a place) { if (word == 0) break; else continue; }
    ///         if (!told) {
    ///             if (place < sp) { out of step; break; }
    ///             addresses[count++] = AND_MORE; told = 1;
    ///             continue without next++;
    ///         }
    ///         addresses[count++] = word;
    ///     }
    /// ```
    pub(crate) fn put_python_beyond(
        &mut self,
        mixed: MixedSlots,
        slots: Slots,
        wanted: u32,
        span: Span,
    ) -> Emitted<()> {
        let [again, function, told, next, done] = [(); 5].map(|()| self.asm.label());
        let tells = mixed.copying;
        // A list that ends here has no more than a place.
        self.asm.load(Size::Double, Reg::R0, Reg::FP, mixed.place);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.clear_slot(tells, span)?;
        self.asm.bind(again);
        self.asm.may_goto(done);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.count);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, imm(wanted), done);
        self.listed_word(mixed, done);
        self.asm.jump_if_imm(Cond::SLt, Reg::R4, 0, function);
        self.asm.jump_if_imm(Cond::Eq, Reg::R4, 0, done);
        self.asm.jump(next);
        self.asm.bind(function);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, tells);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, told);
        let further = self.asm.label();
        self.asm.load(Size::Double, Reg::R0, Reg::FP, mixed.place);
        self.unlink(Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, NEXT_CALL, further);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.sp);
        self.asm.jump_if(Cond::Ge, Reg::R0, Reg::R2, further);
        self.count(Counter::MixedMismatches, span)?;
        self.asm.jump(done);
        self.asm.bind(further);
        self.asm.store(Size::Double, Reg::FP, tells, Reg::R0);
        self.asm.mov_imm(Reg::R4, AND_MORE.cast_signed());
        self.add_word(mixed.addresses, slots.count, Reg::R4);
        self.asm.jump(again);
        self.asm.bind(told);
        self.add_word(mixed.addresses, slots.count, Reg::R4);
        self.asm.bind(next);
        self.count_up(mixed.next);
        self.asm.jump(again);
        self.asm.bind(done);
        Ok(())
    }

    /// `r4 = list[next]`; on to `out` behind what the list has room for. Destroys `r2` and `r3`.
    fn listed_word(&mut self, mixed: MixedSlots, out: Label) {
        self.asm.load(Size::Double, Reg::R3, Reg::FP, mixed.next);
        self.word_of(mixed.list, out);
        self.asm.load(Size::Double, Reg::R4, Reg::R2, 0);
    }

    /// The same within a walk, which has no other zero: what is in the slot less itself.
    fn zero_slot(&mut self, slot: i16) {
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slot);
        self.unlink(Reg::R2);
        self.asm.alu(Alu::Sub, Reg::R0, Reg::R2);
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
    }
}
