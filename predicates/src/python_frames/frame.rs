//! One frame: what it belongs to, its code object, its instruction, and its caller's frame.
//!
//! Not every frame is a function's. The interpreter puts frames of its own between C and Python, which have an owner
//! of another kind or no code object; and what calls the `__init__` of a class, or a function that has not got to its
//! first instruction yet, stands before where its function starts. Python's own tracebacks leave them
//! out, and so do we.
//!
//! From 3.11 on frames lie one behind the other, that of the caller below. So with a frame those below it are read, and what
//! follows is looked for there first:
//!
//! ```text
//!     place = frame - read_from;
//!     if (place > last_place) {                    // as at first, when both are 0
//!         place = frame & (WINDOW - 1);            // from a multiple of WINDOW on: pages that the frame itself is in
//!         bpf_probe_read_user(read, place + FrameBytes, read_from = frame - place);
//!         last_place = place;
//!     }
//! ```

use dlang::diag::Span;
use unwind::python::{CODE_BYTES, FRAME_BYTES, Fact, NUMBER_SHIFT, WINDOW};

use super::Slots;
use super::thread::NO_FIELD_IMM;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonFrames, area};

/// Owners of frames (`enum _frameowner`): a thread, a generator; higher ones are no functions'.
pub(super) const GENERATOR: i32 = 1;

/// The masks that keep offsets in what was read of a frame: of a word, of half a word, of a byte.
const WORDS: i32 = 0x78;
const HALVES: i32 = 0x7c;
pub(super) const BYTES: i32 = 0x7f;
const _: () = assert!(FRAME_BYTES == 0x80);

/// The bits of the place of a frame in what was read.
const PLACES: i32 = 0x3ff;
const _: () = assert!(WINDOW == 0x400);

/// The same in what was read of a code object, for which there is more room than is read.
const CODE_WORDS: i32 = 0xf8;
const CODE_HALVES: i32 = 0xfc;
const CODE_BOUND: i32 = 0xff;
const _: () = assert!(CODE_BYTES <= 0x100 && area::KEY - area::CODE == 0x100);

/// What the hash of a code object is multiplied with for each word: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

// What is known of the frames that were read, in front of them.
/// How far from the start of them the current one is,
const PLACE: i16 = 0;
/// and the last one that was read with it.
const LAST_PLACE: i16 = 8;
/// The address of that start in the traced program.
const READ_FROM: i16 = 16;
const READ: i16 = 24;
const _: () = assert!(area::READ - area::FRAMES == 24);

/// What is read with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing: it is likely to be the only one.
    Alone,
    /// Those of its callers that lie below it.
    WithCallers,
}

impl Emit<'_> {
    /// Before the first frame is read.
    pub(super) fn start_reading_frames(&mut self, python: PythonFrames) {
        self.python_at(Reg::R1, python, area::FRAMES);
        for word in [LAST_PLACE, READ_FROM] {
            self.asm.store_imm(Size::Double, Reg::R1, word, 0);
        }
    }

    /// Reads the frame; on to `failed` if it is not there.
    pub(super) fn read_python_frame(
        &mut self,
        python: PythonFrames,
        s: Slots,
        reading: Reading,
        failed: Label,
    ) {
        let have = self.asm.label();
        self.python_at(Reg::R1, python, area::FRAMES);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.frame);
        match reading {
            Reading::Alone => {
                self.asm.store_imm(Size::Double, Reg::R1, PLACE, 0);
                self.fact(Reg::R2, Fact::FrameBytes, s);
                self.asm.alu_imm(Alu::And, Reg::R2, BYTES);
            }
            Reading::WithCallers => {
                self.asm.mov(Reg::R2, Reg::R3);
                self.asm.load(Size::Double, Reg::R0, Reg::R1, READ_FROM);
                self.asm.alu(Alu::Sub, Reg::R2, Reg::R0);
                self.asm.store(Size::Double, Reg::R1, PLACE, Reg::R2);
                self.asm.load(Size::Double, Reg::R0, Reg::R1, LAST_PLACE);
                self.asm.jump_if(Cond::Le, Reg::R2, Reg::R0, have);
                self.fact(Reg::R2, Fact::FrameWindow, s);
                self.asm.alu(Alu::And, Reg::R2, Reg::R3);
                self.asm.alu_imm(Alu::And, Reg::R2, PLACES);
                self.asm.alu(Alu::Sub, Reg::R3, Reg::R2);
                self.asm.store(Size::Double, Reg::R1, READ_FROM, Reg::R3);
                for word in [PLACE, LAST_PLACE] {
                    self.asm.store(Size::Double, Reg::R1, word, Reg::R2);
                }
                self.fact(Reg::R0, Fact::FrameBytes, s);
                self.asm.alu_imm(Alu::And, Reg::R0, BYTES);
                self.asm.alu(Alu::Add, Reg::R2, Reg::R0);
            }
        }
        self.asm.alu_imm(Alu::Add, Reg::R1, READ.into());
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, failed);
        self.asm.bind(have);
    }

    /// `r0 = a field` of the frame that was read; destroys `r5`.
    pub(super) fn frame_field(
        &mut self,
        python: PythonFrames,
        s: Slots,
        fact: Fact,
        (size, mask): (Size, i32),
    ) {
        self.python_at(Reg::R5, python, area::FRAMES);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, PLACE);
        self.asm.alu_imm(Alu::And, Reg::R0, PLACES);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.fact(Reg::R0, fact, s);
        self.asm.alu_imm(Alu::And, Reg::R0, mask);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.asm.load(size, Reg::R0, Reg::R5, READ);
    }

    /// Goes on with the frame's caller.
    pub(super) fn go_to_python_caller(&mut self, python: PythonFrames, s: Slots) {
        self.frame_field(python, s, Fact::Previous, (Size::Double, WORDS));
        self.asm.store(Size::Double, Reg::FP, s.frame, Reg::R0);
    }

    /// `r0 = the frame that was read, as in a stack`: on to `skip` if it is no function's, to `failed` if it
    /// cannot be read.
    pub(super) fn name_python_frame(
        &mut self,
        python: PythonFrames,
        s: Slots,
        (skip, failed): (Label, Label),
        span: Span,
    ) -> Emitted<()> {
        let [known, started] = [(); 2].map(|()| self.asm.label());
        self.frame_field(python, s, Fact::Owner, (Size::Byte, BYTES));
        self.fact(Reg::R1, Fact::OwnerMask, s);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.asm.store(Size::Double, Reg::FP, s.owner, Reg::R0);
        self.asm.jump_if_imm(Cond::Gt, Reg::R0, GENERATOR, skip);
        self.frame_field(python, s, Fact::Code, (Size::Double, WORDS));
        self.fact(Reg::R1, Fact::CodeMask, s);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.asm.store(Size::Double, Reg::FP, s.code, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, skip);
        self.find_python_offset(python, s, failed);
        self.read_python_code(python, s, (skip, failed));

        self.asm.map(Reg::R1, python.maps.codes);
        self.python_at(Reg::R2, python, area::KEY);
        self.asm.call(Helper::MapLookupElem);
        let new = self.asm.label();
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, new);
        self.asm.load(Size::Word, Reg::R1, Reg::R0, 0);
        self.asm.store(Size::Double, Reg::FP, s.number, Reg::R1);
        self.asm.load(Size::Word, Reg::R1, Reg::R0, 4);
        self.asm.store(Size::Double, Reg::FP, s.traceable, Reg::R1);
        self.asm.jump(known);
        self.asm.bind(new);
        self.number_python_code(python, s, span)?;
        self.asm.bind(known);

        // A generator that has not started is not in a stack.
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.offset);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, s.traceable);
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, started);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.owner);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, GENERATOR, started);
        self.asm.jump_if(Cond::SLt, Reg::R1, Reg::R2, skip);
        self.asm.bind(started);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.offset);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 32);
        self.asm.alu_imm(Alu::Rsh, Reg::R1, 32);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.number);
        // The highest bit, which tells frames from addresses.
        self.asm.mov_imm(Reg::R2, 1 << 31);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R2);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, imm(NUMBER_SHIFT));
        self.asm.alu(Alu::Or, Reg::R0, Reg::R1);
        Ok(())
    }

    /// Finds how far the instruction is from the start of the byte code, or of its thread's copy of that.
    fn find_python_offset(&mut self, python: PythonFrames, s: Slots, failed: Label) {
        let [numbered, original, have, done] = [(); 4].map(|()| self.asm.label());
        self.fact(Reg::R1, Fact::IndexScale, s);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, numbered);
        self.frame_field(python, s, Fact::Instruction, (Size::Double, WORDS));
        self.asm.store(Size::Double, Reg::FP, s.offset, Reg::R0);
        self.fact(Reg::R1, Fact::CopyNumber, s);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, NO_FIELD_IMM, original);
        self.frame_field(python, s, Fact::CopyNumber, (Size::Word, HALVES));
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, original);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
        self.asm.store(Size::Double, Reg::FP, s.a, Reg::R0);
        self.python_field(s.code, Fact::Copies, s, failed);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.a);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.add_fact(Reg::R3, Fact::CopyEntries, Reg::R1, s);
        self.python_word(s, failed);
        self.asm.jump(have);
        self.asm.bind(original);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.code);
        self.add_fact(Reg::R0, Fact::ByteCode, Reg::R1, s);
        self.asm.bind(have);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.offset);
        self.asm.alu(Alu::Sub, Reg::R1, Reg::R0);
        self.asm.store(Size::Double, Reg::FP, s.offset, Reg::R1);
        self.asm.jump(done);
        self.asm.bind(numbered);
        self.frame_field(python, s, Fact::Instruction, (Size::Word, HALVES));
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 32);
        self.asm.alu_imm(Alu::Arsh, Reg::R0, 32);
        self.fact(Reg::R1, Fact::IndexScale, s);
        self.asm.alu(Alu::Mul, Reg::R0, Reg::R1);
        self.asm.store(Size::Double, Reg::FP, s.offset, Reg::R0);
        self.asm.bind(done);
    }

    /// Reads the code object, and makes its key: on to `skip` if it is none or has no name.
    fn read_python_code(&mut self, python: PythonFrames, s: Slots, (skip, failed): (Label, Label)) {
        self.python_at(Reg::R1, python, area::CODE);
        let whole = i16::try_from(CODE_BYTES).expect("code objects are small");
        for word in 1..=3 {
            self.asm
                .store_imm(Size::Double, Reg::R1, whole - 8 * word, 0);
        }
        self.fact(Reg::R2, Fact::CodeBytes, s);
        self.asm.alu_imm(Alu::And, Reg::R2, CODE_BOUND);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.code);
        self.add_fact(Reg::R3, Fact::CodeFields, Reg::R0, s);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, failed);
        self.python_at(Reg::R1, python, area::CODE);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.fact(Reg::R2, Fact::CodeType, s);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R2, skip);
        self.read_code_field(python, s, Fact::Name, Size::Double);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, skip);

        // What changes while it lives is left out of the hash.
        self.read_code_field(python, s, Fact::Changing, Size::Double);
        self.fact(Reg::R1, Fact::ChangingMask, s);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.asm.store(Size::Double, Reg::R5, 0, Reg::R0);
        self.python_at(Reg::R1, python, area::CODE);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, s.code);
        self.asm.mov(Reg::R4, Reg::R2);
        self.asm.mov_imm(Reg::R3, FACTOR.cast_signed());
        // Two sums, of every other word each, so that neither has to wait for the other.
        let mut words = (8..whole).step_by(8);
        while let Some(first) = words.next() {
            let sums = [(Reg::R2, Reg::R0), (Reg::R4, Reg::R5)];
            for (at, (sum, spare)) in std::iter::once(first).chain(words.next()).zip(sums) {
                self.asm.load(Size::Double, spare, Reg::R1, at);
                self.asm.alu(Alu::Xor, sum, spare);
                self.asm.alu(Alu::Mul, sum, Reg::R3);
                self.asm.mov(spare, sum);
                self.asm.alu_imm(Alu::Rsh, spare, 32);
                self.asm.alu(Alu::Xor, sum, spare);
            }
        }
        self.asm.alu(Alu::Mul, Reg::R4, Reg::R3);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R4);
        self.python_at(Reg::R1, python, area::KEY);
        self.asm.store(Size::Double, Reg::R1, 16, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.code);
        self.asm.store(Size::Double, Reg::R1, 8, Reg::R0);
    }

    /// `r0 = a field` of the code object that was read, `r5` its address.
    pub(super) fn read_code_field(
        &mut self,
        python: PythonFrames,
        s: Slots,
        fact: Fact,
        size: Size,
    ) {
        self.fact(Reg::R0, fact, s);
        let mask = if size == Size::Double {
            CODE_WORDS
        } else {
            CODE_HALVES
        };
        self.asm.alu_imm(Alu::And, Reg::R0, mask);
        self.python_at(Reg::R5, python, area::CODE);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.asm.load(size, Reg::R0, Reg::R5, 0);
    }
}
