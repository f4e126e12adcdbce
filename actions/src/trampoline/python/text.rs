//! The text of a `str`, as an argument: the address of UTF-8 with a zero behind it.
//!
//! A string of ASCII characters is stored so in the interpreter, and the argument is the address of that.
//! For any other string the argument is at first the address of the object with [`WIDE`] set, and is
//! replaced by that of UTF-8 before the clauses run.
//!
//! The interpreter keeps such a string with one, two or four bytes to a character, and, where C
//! code has asked for it, as UTF-8 besides. If there is no UTF-8, the text is converted to a place
//! in the thread's scratch. Names and paths are nearly always ASCII, so the result is not kept: it is
//! converted again at each firing.
//!
//! A byte of a path that was no UTF-8 to begin with is kept by the interpreter as a lone surrogate,
//! U+DC80 to U+DCFF; it becomes that byte again. Text that is too long for its place
//! ([`Storage::texts`](predicates::storage::Storage::texts)) ends early, between two characters.

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted, imm};
use predicates::insn::{Alu, Cond, Reg, Size};
use provider::python::Build;
use provider::python::offsets::StringOffsets;

use super::maps::PythonMaps;
use super::read::{add, read, signed};

/// Set in the address of a string whose text has to be converted.
const WIDE: i32 = 1;

/// How a build has its strings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strings {
    offsets: StringOffsets,
    /// Where a string that is not ASCII has the address of its UTF-8, if it has it.
    known_utf8: u16,
    /// Whether the kernel has loops without a bound.
    open_loops: bool,
    /// Eight bytes of the stack for single values.
    word: i16,
}

impl Strings {
    /// Those of `build`; `word` is a place on the stack for eight bytes.
    pub(super) fn new(build: &Build, maps: PythonMaps, word: i16) -> Self {
        let offsets = build.offsets.string;
        // Before 3.12, a pointer and a length of the old representation lie between.
        let after = if build.version.minor >= 12 { 8 } else { 16 };
        Self {
            offsets,
            known_utf8: offsets.wide_data - after,
            open_loops: maps.open_loops,
            word,
        }
    }

    /// `r0 = address of the text` of the `str` in `r6`, to be given to [`Self::convert`].
    pub(super) fn address(&self, emit: &mut Emit<'_>) {
        let string = self.offsets;
        let (plain, done) = (emit.asm.label(), emit.asm.label());
        let plain_bits = string.ascii | string.compact;
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i32::from(string.state));
        read(emit, self.word, 4);
        emit.asm.load(Size::Word, Reg::R1, Reg::FP, self.word);
        emit.asm.alu_imm(Alu::And, Reg::R1, plain_bits);
        emit.asm.mov(Reg::R0, Reg::R6);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R1, plain_bits, plain);
        emit.asm.alu_imm(Alu::Or, Reg::R0, WIDE);
        emit.asm.jump(done);
        emit.asm.bind(plain);
        emit.asm
            .alu_imm(Alu::Add, Reg::R0, i32::from(signed(string.ascii_data)));
        emit.asm.bind(done);
    }

    /// Makes the argument in `slot` the address of UTF-8, if it is a string's that needs it; 0 if
    /// there is none, or no way to convert it without loops. Which of the texts it is
    /// decides the place.
    pub(super) fn convert(&self, emit: &mut Emit<'_>, slot: i16, which: u32) -> Emitted<()> {
        let string = self.offsets;
        let done = emit.asm.label();
        emit.asm.load(Size::Double, Reg::R6, Reg::FP, slot);
        emit.asm.mov(Reg::R1, Reg::R6);
        emit.asm.alu_imm(Alu::And, Reg::R1, WIDE);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, done);
        emit.asm.note("text that is not ASCII");
        emit.asm.alu_imm(Alu::Add, Reg::R6, -WIDE);
        self.load_from(emit, self.known_utf8, 8);
        emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, done);
        if !self.open_loops {
            emit.asm.bind(done);
            return Ok(());
        }

        // r7: bytes to a character; none in the strings of old interfaces that were never looked at.
        self.load_from(emit, string.state, 4);
        emit.asm.mov(Reg::R7, Reg::R0);
        let kind = string.kind;
        emit.asm.alu_imm(Alu::Rsh, Reg::R7, i32::from(kind.shift));
        emit.asm.alu_imm(Alu::And, Reg::R7, kind.mask);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R7, 0, done);
        emit.asm.jump_if_imm(Cond::Gt, Reg::R7, 4, done);

        // r8: characters left, r9: bytes written, a zero that the verifier does not know.
        self.load_from(emit, string.length, 8);
        emit.asm.mov(Reg::R8, Reg::R0);
        emit.asm.mov(Reg::R9, Reg::R0);
        emit.asm.alu(Alu::Sub, Reg::R9, Reg::R0);
        self.find_data(emit);
        let span = Span::default();
        let place = emit.buffer(8, span)?;
        emit.early_scratch(Reg::R1, span)?;
        let (start, size) = emit.storage.texts;
        add(emit, Reg::R1, imm(start + which * size));
        emit.asm.store(Size::Double, Reg::FP, place, Reg::R1);
        self.convert_all(emit, place, imm(size));

        // The address as a number like any other: what is loaded from a map has no type.
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, place);
        emit.early_scratch(Reg::R2, span)?;
        let temps = emit.temps_offset(span)?;
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, place);
        emit.asm.store(Size::Double, Reg::R2, temps, Reg::R1);
        emit.asm.load(Size::Double, Reg::R1, Reg::R2, temps);
        emit.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
        emit.stack.give_buffer(place, 8);
        emit.asm.bind(done);
        Ok(())
    }

    /// `r6 = address of the characters` of the string in `r6`: they follow its header if it is compact.
    /// If not, as those of classes made from `str` are, there is their address.
    fn find_data(&self, emit: &mut Emit<'_>) {
        let string = self.offsets;
        let (compact, found) = (emit.asm.label(), emit.asm.label());
        self.load_from(emit, string.state, 4);
        emit.asm.alu_imm(Alu::And, Reg::R0, string.compact);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, compact);
        self.load_from(emit, string.wide_data, 8);
        emit.asm.mov(Reg::R6, Reg::R0);
        emit.asm.jump(found);
        emit.asm.bind(compact);
        add(emit, Reg::R6, i32::from(string.wide_data));
        emit.asm.bind(found);
    }

    /// `r0 = value` of `size` bytes at `r6 + offset` in the traced program.
    fn load_from(&self, emit: &mut Emit<'_>, offset: u16, size: u8) {
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i32::from(offset));
        read(emit, self.word, u16::from(size));
        emit.asm.load(Size::of(size), Reg::R0, Reg::FP, self.word);
    }

    /// Converts the `r8` characters of `r7` bytes at `r6`.
    fn convert_all(&self, emit: &mut Emit<'_>, place: i16, size: i32) {
        let (next, end) = (emit.asm.label(), emit.asm.label());
        let word = self.word;
        emit.asm.bind(next);
        emit.asm.may_goto(end);
        emit.asm.jump_if_imm(Cond::SLe, Reg::R8, 0, end);
        emit.asm.alu_imm(Alu::Add, Reg::R8, -1);
        emit.asm.jump_if_imm(Cond::Gt, Reg::R9, size - 5, end);
        emit.asm.store_imm(Size::Double, Reg::FP, word, 0);
        emit.stack_address(Reg::R1, word);
        emit.asm.mov(Reg::R2, Reg::R7);
        emit.asm.mov(Reg::R3, Reg::R6);
        emit.asm.call(predicates::insn::Helper::ProbeReadUser);
        emit.asm.alu(Alu::Add, Reg::R6, Reg::R7);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, word);
        encode(emit, place, next);
        emit.asm.bind(end);
        let fits = emit.asm.label();
        emit.asm.jump_if_imm(Cond::Lt, Reg::R9, size, fits);
        emit.asm.mov_imm(Reg::R9, 0);
        emit.asm.bind(fits);
        emit.asm.load(Size::Double, Reg::R5, Reg::FP, place);
        emit.asm.alu(Alu::Add, Reg::R5, Reg::R9);
        emit.asm.store_imm(Size::Byte, Reg::R5, 0, 0);
    }
}

/// Writes the character in `r1` behind `r9` bytes of the text; on to `next`.
fn encode(emit: &mut Emit<'_>, place: i16, next: Label) {
    emit.asm.load(Size::Double, Reg::R5, Reg::FP, place);
    emit.asm.alu(Alu::Add, Reg::R5, Reg::R9);
    let (two, byte) = (emit.asm.label(), emit.asm.label());
    emit.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x80, two);
    emit.asm.bind(byte);
    emit.asm.store(Size::Byte, Reg::R5, 0, Reg::R1);
    emit.asm.alu_imm(Alu::Add, Reg::R9, 1);
    emit.asm.jump(next);
    emit.asm.bind(two);
    let three = emit.asm.label();
    emit.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x800, three);
    encode_as(emit, 2, 0xc0, next);
    emit.asm.bind(three);
    let four = emit.asm.label();
    emit.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x1_0000, four);
    // Where a path has a byte that is no UTF-8.
    let whole = emit.asm.label();
    emit.asm.jump_if_imm(Cond::Lt, Reg::R1, 0xdc80, whole);
    emit.asm.jump_if_imm(Cond::Le, Reg::R1, 0xdcff, byte);
    emit.asm.bind(whole);
    encode_as(emit, 3, 0xe0, next);
    emit.asm.bind(four);
    encode_as(emit, 4, 0xf0, next);
}

/// Writes the character in `r1` as `bytes` bytes, the first with the bits of `lead`.
fn encode_as(emit: &mut Emit<'_>, bytes: i16, lead: i32, next: Label) {
    for at in 0..bytes {
        let shift = 6 * i32::from(bytes - 1 - at);
        emit.asm.mov(Reg::R2, Reg::R1);
        if shift > 0 {
            emit.asm.alu_imm(Alu::Rsh, Reg::R2, shift);
        }
        if at == 0 {
            emit.asm.alu_imm(Alu::Or, Reg::R2, lead);
        } else {
            emit.asm.alu_imm(Alu::And, Reg::R2, 0x3f);
            emit.asm.alu_imm(Alu::Or, Reg::R2, 0x80);
        }
        emit.asm.store(Size::Byte, Reg::R5, at, Reg::R2);
    }
    emit.asm.alu_imm(Alu::Add, Reg::R9, i32::from(bytes));
    emit.asm.jump(next);
}
