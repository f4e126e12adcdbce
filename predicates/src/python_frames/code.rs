//! A code object that is met for the first time gets a number, and all that is to be shown of it is copied: when
//! somebody looks at the stack, the process may be gone, or something else be in this place.
//!
//! It is copied when the walk is over, so that the verifier sees loops one after the other instead of one in the other.

use dlang::diag::Span;
use unwind::python::{Fact, HEADER, NUMBER_SHIFT, PIECE, PIECES, TEXTS};

use super::Slots;
use super::thread::NO_FIELD_IMM;
use crate::asm::{Label, MapRef};
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use crate::python_layout::{MOST_NEW, PythonFrames, area};
use crate::storage::{Counter, own_globals};

/// Bytes of a new code object in their list: its address and its number.
const NEW: u32 = 16;

impl Emit<'_> {
    /// Gives the code object that was read a number, and puts it in the list of new ones. Without room for it, its
    /// number is 0, which is counted.
    pub(super) fn number_python_code(
        &mut self,
        python: PythonFrames,
        s: Slots,
        span: Span,
    ) -> Emitted<()> {
        let [full, done] = [(); 2].map(|()| self.asm.label());
        self.find_python_start(s, span)?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.new);
        self.unlink(Reg::R0);
        self.asm.jump_if_imm(Cond::Ge, Reg::R0, imm(MOST_NEW), full);
        let globals = self.storage.globals;
        self.asm
            .map_value(Reg::R1, globals, own_globals::PYTHON_CODES);
        self.asm.mov_imm(Reg::R2, 1);
        let last = Insn::atomic_add(Size::Double, Reg::R1, 0, Reg::R2, true);
        self.asm.push(last);
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        self.asm.alu_imm(Alu::And, Reg::R2, i32::MAX);
        self.asm.store(Size::Double, Reg::FP, s.number, Reg::R2);
        self.python_at(Reg::R3, python, area::VALUE);
        self.asm.store(Size::Word, Reg::R3, 0, Reg::R2);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.traceable);
        self.asm.store(Size::Word, Reg::R3, 4, Reg::R1);
        self.asm.map(Reg::R1, python.maps.codes);
        self.python_at(Reg::R2, python, area::KEY);
        self.asm.mov_imm(Reg::R4, 0);
        self.asm.call(Helper::MapUpdateElem);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, full);
        self.new_python_code(python, s.new, full);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.code);
        self.asm.store(Size::Double, Reg::R5, 0, Reg::R1);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.number);
        self.asm.store(Size::Double, Reg::R5, 8, Reg::R1);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.new);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.store(Size::Double, Reg::FP, s.new, Reg::R1);
        self.asm.jump(done);
        self.asm.bind(full);
        self.count(Counter::StackDrops, span)?;
        self.clear_python(&[s.number], span)?;
        self.asm.bind(done);
        Ok(())
    }

    /// `r5 = address of a new code object` in their list, whose number there is in a slot; on to `end` if that is
    /// behind all that there may be.
    fn new_python_code(&mut self, python: PythonFrames, slot: i16, end: Label) {
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        self.unlink(Reg::R0);
        self.asm.jump_if_imm(Cond::Ge, Reg::R0, imm(MOST_NEW), end);
        self.asm
            .alu_imm(Alu::Lsh, Reg::R0, imm(NEW.trailing_zeros()));
        self.python_at(Reg::R5, python, area::NEW);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
    }

    /// `traceable = number of the instruction at which the function starts`, 0 where that is the first or is
    /// not known.
    fn find_python_start(&mut self, s: Slots, span: Span) -> Emitted<()> {
        let done = self.asm.label();
        self.clear_python(&[s.traceable], span)?;
        self.fact(Reg::R0, Fact::FirstTraceable, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, NO_FIELD_IMM, done);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.code);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.read_python(s, 4, done);
        self.asm.load(Size::Word, Reg::R0, Reg::FP, s.read);
        self.asm.store(Size::Double, Reg::FP, s.traceable, Reg::R0);
        self.asm.bind(done);
        Ok(())
    }

    /// Copies what is to be shown of all new code objects to the maps.
    pub(super) fn copy_new_python_codes(
        &mut self,
        python: PythonFrames,
        s: Slots,
        span: Span,
    ) -> Emitted<()> {
        let none = self.asm.label();
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.new);
        self.unlink(Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.copy_texts(python, s, span)?;
        self.copy_line_tables(python, s, span)?;
        self.asm.bind(none);
        Ok(())
    }

    /// Takes the next new code object, by its place in `b`, to `code` and `number`; on to `end` behind the last.
    fn take_new_code(&mut self, python: PythonFrames, s: Slots, end: Label) {
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.new);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.b);
        self.unlink(Reg::R0);
        self.unlink(Reg::R1);
        self.asm.jump_if(Cond::Ge, Reg::R0, Reg::R1, end);
        self.new_python_code(python, s.b, end);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, 0);
        self.asm.store(Size::Double, Reg::FP, s.code, Reg::R1);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, 8);
        self.asm.store(Size::Double, Reg::FP, s.number, Reg::R1);
    }

    /// ```text
    ///     for each new code object, for each of its texts: texts[number | which << 32] = text;
    /// ```
    fn copy_texts(&mut self, python: PythonFrames, s: Slots, span: Span) -> Emitted<()> {
        let [again, same, out] = [(); 3].map(|()| self.asm.label());
        let which = s.owner;
        self.clear_python(&[s.b, which], span)?;
        self.asm.bind(again);
        self.asm.may_goto(out);
        self.take_new_code(python, s, out);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, which);
        self.asm.alu_imm(Alu::And, Reg::R1, 3);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.facts);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R1);
        self.asm
            .load(Size::Double, Reg::R3, Reg::R0, Fact::File.offset());
        self.code_field_address(s);
        // What cannot be read has no text.
        self.asm.store_imm(Size::Double, Reg::FP, s.read, 0);
        let read = self.asm.label();
        self.read_python(s, 8, read);
        self.asm.bind(read);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.read);
        self.asm.store(Size::Double, Reg::FP, s.c, Reg::R0);
        self.copy_python_text(python, s, area::NAMES, span)?;
        self.put_piece(python, python.maps.texts, s.number, which, span)?;
        self.asm.load(Size::Double, Reg::R1, Reg::FP, which);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.store(Size::Double, Reg::FP, which, Reg::R1);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Lt, Reg::R1, imm(TEXTS), same);
        self.clear_python(&[which], span)?;
        self.count_up(s.b);
        self.asm.bind(same);
        self.asm.jump(again);
        self.asm.bind(out);
        Ok(())
    }

    /// ```text
    ///     for each new code object {
    ///         texts[number | HEADER << 32] = first line, format, bytes of the line table;
    ///         for each piece: tables[number | piece << 32] = bytes;
    ///     }
    /// ```
    fn copy_line_tables(&mut self, python: PythonFrames, s: Slots, span: Span) -> Emitted<()> {
        let [again, copy, fits, empty, next, all, out] = [(); 7].map(|()| self.asm.label());
        let (from, left, piece) = (s.c, s.a, s.owner);
        self.clear_python(&[s.b, from, left, piece], span)?;
        self.asm.bind(again);
        self.asm.may_goto(out);
        self.take_new_code(python, s, out);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, piece);
        self.unlink(Reg::R0);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, copy);

        self.clear_python(&[left], span)?;
        self.fact(Reg::R3, Fact::LineTable, s);
        self.code_field_address(s);
        self.python_word(s, empty);
        self.asm.store(Size::Double, Reg::FP, from, Reg::R0);
        self.python_field(from, Fact::BytesLength, s, empty);
        self.asm
            .jump_if_imm(Cond::Le, Reg::R0, imm(PIECE * PIECES), fits);
        self.asm.mov_imm(Reg::R0, i64::from(PIECE * PIECES));
        self.asm.bind(fits);
        self.make_unknown(Reg::R0, Reg::R1, span)?;
        self.asm.store(Size::Double, Reg::FP, left, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, from);
        self.add_fact(Reg::R0, Fact::BytesData, Reg::R1, s);
        self.asm.store(Size::Double, Reg::FP, from, Reg::R0);
        self.asm.bind(empty);
        self.fact(Reg::R3, Fact::FirstLine, s);
        self.code_field_address(s);
        let read = self.asm.label();
        self.read_python(s, 4, read);
        self.asm.bind(read);
        self.asm.load(Size::Word, Reg::R0, Reg::FP, s.read);
        self.python_at(Reg::R5, python, area::NAMES);
        self.asm.store(Size::Word, Reg::R5, 0, Reg::R0);
        self.fact(Reg::R0, Fact::LineFormat, s);
        self.asm.store(Size::Word, Reg::R5, 4, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, left);
        self.asm.store(Size::Word, Reg::R5, 8, Reg::R0);
        self.load_zero(Reg::R0, span)?;
        self.asm.alu_imm(Alu::Add, Reg::R0, imm(HEADER));
        self.asm.store(Size::Double, Reg::FP, piece, Reg::R0);
        self.put_piece(python, python.maps.texts, s.number, piece, span)?;
        self.clear_python(&[piece], span)?;

        self.asm.bind(copy);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, left);
        self.unlink(Reg::R2);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, next);
        self.asm.jump_if_imm(Cond::Le, Reg::R2, imm(PIECE), all);
        self.asm.mov_imm(Reg::R2, i64::from(PIECE));
        self.asm.bind(all);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, left);
        self.asm.alu(Alu::Sub, Reg::R0, Reg::R2);
        self.make_unknown(Reg::R0, Reg::R1, span)?;
        self.asm.store(Size::Double, Reg::FP, left, Reg::R0);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, from);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.store(Size::Double, Reg::FP, from, Reg::R0);
        self.python_at(Reg::R1, python, area::NAMES);
        self.asm.call(Helper::ProbeReadUser);
        self.count_up(piece);
        self.put_piece(python, python.maps.tables, s.number, piece, span)?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, piece);
        self.unlink(Reg::R0);
        self.asm.jump_if_imm(Cond::Lt, Reg::R0, imm(PIECES), again);

        self.asm.bind(next);
        self.clear_python(&[piece], span)?;
        self.count_up(s.b);
        self.asm.jump(again);
        self.asm.bind(out);
        Ok(())
    }

    /// `r3 = r3 + address of what is read of the code object`.
    pub(super) fn code_field_address(&mut self, s: Slots) {
        self.asm.load(Size::Double, Reg::R1, Reg::FP, s.code);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.add_fact(Reg::R3, Fact::CodeFields, Reg::R1, s);
    }

    /// `map[number | piece << 32] = what has been put together`. What finds no room is counted.
    fn put_piece(
        &mut self,
        python: PythonFrames,
        map: MapRef,
        number: i16,
        piece: i16,
        span: Span,
    ) -> Emitted<()> {
        let placed = self.asm.label();
        self.asm.load(Size::Double, Reg::R0, Reg::FP, piece);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, imm(NUMBER_SHIFT));
        self.asm.load(Size::Double, Reg::R1, Reg::FP, number);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R1);
        self.python_at(Reg::R2, python, area::PIECE_KEY);
        self.asm.store(Size::Double, Reg::R2, 0, Reg::R0);
        self.asm.map(Reg::R1, map);
        self.python_at(Reg::R3, python, area::NAMES);
        self.asm.mov_imm(Reg::R4, 0);
        self.asm.call(Helper::MapUpdateElem);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, placed);
        self.count(Counter::StackDrops, span)?;
        self.asm.bind(placed);
        Ok(())
    }
}
