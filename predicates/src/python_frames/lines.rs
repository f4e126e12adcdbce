//! `pyline`: the line that the function is at, decoded from the code object's table.
//!
//! `provider::python::lines` describes the three formats; its `line_at` and this must agree. The table is read a
//! kilobyte at a time, and gone through byte by byte. What the loop remembers from turn to turn is in memory, so that
//! to the verifier each turn is like the one before:
//!
//! ```text
//!     for (;;) {
//!         if (at == have) { if (!left) break; read the next piece; continue; }
//!         byte = piece[at++];   one step of the format, which ends the loop where the entry covers the instruction
//!     }
//! ```

use dlang::diag::Span;
use unwind::python::{Fact, LINE_TABLE, LNOTAB, LOCATIONS, PIECE};

use super::Slots;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fetched, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python::Caught;
use crate::python_layout::{PythonFrames, area};

/// The line where none can be found out, or there is no function.
const UNKNOWN: i64 = 0;
/// The line of an instruction that has none, as CPython's own probes say it.
const NO_LINE: i64 = -1;
/// The bytes of an instruction without more words.
const INSTRUCTION: i32 = 2;
/// Set in the slot of what has been found.
const FOUND: i64 = 1 << 32;

/// The longest table that is looked into, in bytes: that of some 200,000 lines.
const LONGEST_TABLE: i32 = 1 << 20;

/// More than any number of bits to shift: no number is being read.
const NO_NUMBER: i32 = 64;
/// Bits after which a number is at its end in any case.
const LONGEST_NUMBER: i32 = 30;

// What the loop remembers: words from `area::WORK` on.
/// The instruction's place in the byte code.
const TARGET: i16 = 0;
/// Where the next piece of the table is, and how many bytes are left there.
const FROM: i16 = 8;
const LEFT: i16 = 16;
/// The next byte of the piece, and how many it has.
const AT: i16 = 24;
const HAVE: i16 = 32;
/// The line, and the place in the byte code up to which it holds.
const LINE: i16 = 40;
const END: i16 = 48;
/// The kind of the entry; of a pair, its first byte.
const KIND: i16 = 56;
/// The number that is being read, and by how much to shift its next bits.
const NUMBER: i16 = 64;
const SHIFT: i16 = 72;
/// The format.
const FORMAT: i16 = 80;
const _: () = assert!(FORMAT.unsigned_abs() as u32 + 8 <= area::WORK_BYTES);

/// Where a step of the loop goes on.
#[derive(Clone, Copy)]
struct Ways {
    /// The next byte.
    again: Label,
    /// The line is found.
    found: Label,
    /// The instruction has none.
    none: Label,
    /// It cannot be found out.
    unknown: Label,
}

impl Emit<'_> {
    /// `r0 = the line` of the function that the thread is in: 0 if it is in none, -1 if its instruction has none.
    pub(crate) fn python_line(&mut self, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        // Before the branch in which it may be wanted.
        self.python_top(Reg::R0, span)?;
        self.fetch_once(Reg::R0, Fetched::PythonLine, span, |e| {
            let s = e.python_slots(span)?;
            let [have, unknown] = [(); 2].map(|()| e.asm.label());
            let ways = Ways {
                again: e.asm.label(),
                found: e.asm.label(),
                none: e.asm.label(),
                unknown,
            };
            e.clear_python_slots(s, span)?;
            e.begin_line(python, s, ways, span)?;
            e.find_line(python, ways);
            e.asm.bind(ways.found);
            e.python_at(Reg::R5, python, area::WORK);
            e.asm.load(Size::Double, Reg::R0, Reg::R5, LINE);
            e.asm.jump(have);
            e.asm.bind(ways.none);
            e.asm.mov_imm(Reg::R0, NO_LINE);
            e.asm.jump(have);
            e.asm.bind(unknown);
            e.asm.mov_imm(Reg::R0, UNKNOWN);
            e.asm.bind(have);
            e.through_memory(Reg::R0, Reg::R1);
            e.asm.alu_imm(Alu::Lsh, Reg::R0, 32);
            e.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
            e.asm.mov_imm(Reg::R1, FOUND);
            e.asm.alu(Alu::Or, Reg::R0, Reg::R1);
            e.give_python_slots(s);
            Ok(())
        })?;
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 32);
        self.asm.alu_imm(Alu::Arsh, Reg::R0, 32);
        self.make_unknown(Reg::R0, Reg::R1, span)
    }

    /// Finds the table, and sets what the loop remembers.
    fn begin_line(
        &mut self,
        python: PythonFrames,
        s: Slots,
        ways: Ways,
        span: Span,
    ) -> Emitted<()> {
        let Ways { found, unknown, .. } = ways;
        self.python_at(Reg::R1, python, area::TOP);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, unknown);
        self.python_at(Reg::R1, python, area::TOP_CODE);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.asm.store(Size::Double, Reg::FP, s.code, Reg::R0);
        self.find_python_facts(python, s, unknown, span)?;
        self.python_at(Reg::R5, python, area::WORK);
        for word in [AT, HAVE, END, KIND, NUMBER] {
            self.asm.store_imm(Size::Double, Reg::R5, word, 0);
        }
        self.asm.store_imm(Size::Double, Reg::R5, SHIFT, NO_NUMBER);
        self.fact(Reg::R0, Fact::LineFormat, s);
        self.asm.store(Size::Double, Reg::R5, FORMAT, Reg::R0);
        self.fact(Reg::R3, Fact::FirstLine, s);
        self.code_field_address(s);
        self.read_python(s, 4, unknown);
        self.asm.load(Size::Word, Reg::R0, Reg::FP, s.read);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, LINE, Reg::R0);
        // Before its first instruction a function is at its first line.
        self.python_at(Reg::R1, python, area::TOP);
        self.asm.load(Size::Word, Reg::R0, Reg::R1, 0);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 32);
        self.asm.alu_imm(Alu::Arsh, Reg::R0, 32);
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 0, found);
        self.go_to_handler(s);
        self.asm.store(Size::Double, Reg::R5, TARGET, Reg::R0);
        self.fact(Reg::R3, Fact::LineTable, s);
        self.code_field_address(s);
        self.python_word(s, unknown);
        self.asm.store(Size::Double, Reg::FP, s.a, Reg::R0);
        self.python_field(s.a, Fact::BytesLength, s, unknown);
        self.asm
            .jump_if_imm(Cond::Gt, Reg::R0, LONGEST_TABLE, unknown);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, LEFT, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.a);
        self.add_fact(Reg::R0, Fact::BytesData, Reg::R1, s);
        self.asm.store(Size::Double, Reg::R5, FROM, Reg::R0);
        Ok(())
    }

    /// Where an exception has found its handler: `r0 = the handler's place` in the byte code, from which its line is.
    fn go_to_handler(&mut self, s: Slots) {
        if let Some(slot) = self.caught(Caught::Handler) {
            self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
            self.fact(Reg::R1, Fact::IndexScale, s);
            self.asm.alu(Alu::Mul, Reg::R0, Reg::R1);
        } else if self.caught(Caught::Exception).is_some() {
            self.asm.alu_imm(Alu::Add, Reg::R0, INSTRUCTION);
        }
    }

    /// Goes through the table up to the entry of the instruction.
    fn find_line(&mut self, python: PythonFrames, ways: Ways) {
        let Ways {
            again,
            found,
            none,
            unknown,
        } = ways;
        let [byte, fits, end, locations, check] = [(); 5].map(|()| self.asm.label());
        self.asm.bind(again);
        self.asm.may_goto(unknown);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, AT);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, HAVE);
        self.asm.jump_if(Cond::Lt, Reg::R1, Reg::R2, byte);

        self.asm.load(Size::Double, Reg::R2, Reg::R5, LEFT);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, end);
        self.asm.mov(Reg::R0, Reg::R2);
        self.asm.jump_if_imm(Cond::Le, Reg::R2, imm(PIECE), fits);
        self.asm.mov_imm(Reg::R2, i64::from(PIECE));
        self.asm.bind(fits);
        self.asm.alu(Alu::Sub, Reg::R0, Reg::R2);
        self.asm.store(Size::Double, Reg::R5, LEFT, Reg::R0);
        self.asm.store(Size::Double, Reg::R5, HAVE, Reg::R2);
        self.asm.store_imm(Size::Double, Reg::R5, AT, 0);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, FROM);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.store(Size::Double, Reg::R5, FROM, Reg::R0);
        self.python_at(Reg::R1, python, area::NAMES);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, again);
        self.asm.jump(unknown);

        self.asm.bind(byte);
        self.asm.mov(Reg::R3, Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R3, 1);
        self.asm.store(Size::Double, Reg::R5, AT, Reg::R3);
        self.asm.alu_imm(Alu::And, Reg::R1, imm(PIECE - 1));
        self.python_at(Reg::R2, python, area::NAMES);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R1);
        self.asm.load(Size::Byte, Reg::R0, Reg::R2, 0);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, FORMAT);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, imm(LOCATIONS), locations);
        self.pair_byte(ways);
        self.asm.bind(locations);
        self.location_byte(ways, check);

        self.asm.bind(end);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, FORMAT);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, imm(LNOTAB), found);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, imm(LINE_TABLE), none);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, TARGET);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, END);
        self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, none);
        self.asm.bind(check);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, KIND);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 15, none);
    }

    /// A byte in `r0` of a table of pairs, whose place is `r3 - 1`: how much code, by how much the line changes; in
    /// 3.10 before that code, earlier behind it. The format is in `r1`.
    fn pair_byte(&mut self, ways: Ways) {
        let Ways {
            again, found, none, ..
        } = ways;
        let [second, before, no_line] = [(); 3].map(|()| self.asm.label());
        self.asm.alu_imm(Alu::And, Reg::R3, 1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, second);
        self.asm.store(Size::Double, Reg::R5, KIND, Reg::R0);
        self.asm.jump(again);
        self.asm.bind(second);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 56);
        self.asm.alu_imm(Alu::Arsh, Reg::R0, 56);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, END);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, KIND);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R3);
        self.asm.store(Size::Double, Reg::R5, END, Reg::R2);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, TARGET);
        self.asm.load(Size::Double, Reg::R4, Reg::R5, LINE);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R1, imm(LINE_TABLE), before);
        self.asm.jump_if(Cond::Lt, Reg::R3, Reg::R2, found);
        self.asm.alu(Alu::Add, Reg::R4, Reg::R0);
        self.asm.store(Size::Double, Reg::R5, LINE, Reg::R4);
        self.asm.jump(again);
        self.asm.bind(before);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, -128, no_line);
        self.asm.alu(Alu::Add, Reg::R4, Reg::R0);
        self.asm.store(Size::Double, Reg::R5, LINE, Reg::R4);
        self.asm.jump_if(Cond::Lt, Reg::R3, Reg::R2, found);
        self.asm.jump(again);
        self.asm.bind(no_line);
        self.asm.jump_if(Cond::Lt, Reg::R3, Reg::R2, none);
        self.asm.jump(again);
    }

    /// A byte in `r0` of 3.11's format: of an entry that covers the instruction, on to `check`.
    fn location_byte(&mut self, ways: Ways, check: Label) {
        let again = ways.again;
        let [more, by_number, last, positive] = [(); 4].map(|()| self.asm.label());
        self.asm.jump_if_imm(Cond::Lt, Reg::R0, 0x80, more);
        // A new entry, so the one before is complete. Is it the instruction's?
        self.asm.load(Size::Double, Reg::R1, Reg::R5, TARGET);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, END);
        self.asm.jump_if(Cond::Lt, Reg::R1, Reg::R2, check);
        self.asm.mov(Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::And, Reg::R1, 7);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 1);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R1);
        self.asm.store(Size::Double, Reg::R5, END, Reg::R2);
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 3);
        self.asm.alu_imm(Alu::And, Reg::R0, 15);
        self.asm.store(Size::Double, Reg::R5, KIND, Reg::R0);
        self.asm.store_imm(Size::Double, Reg::R5, SHIFT, NO_NUMBER);
        self.asm.jump_if_imm(Cond::Lt, Reg::R0, 11, again);
        self.asm.jump_if_imm(Cond::Gt, Reg::R0, 14, again);
        self.asm.jump_if_imm(Cond::Gt, Reg::R0, 12, by_number);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, LINE);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R1, -10);
        self.asm.store(Size::Double, Reg::R5, LINE, Reg::R1);
        self.asm.jump(again);
        self.asm.bind(by_number);
        for word in [SHIFT, NUMBER] {
            self.asm.store_imm(Size::Double, Reg::R5, word, 0);
        }
        self.asm.jump(again);

        // Inside of an entry: columns, or the next bits of the number.
        self.asm.bind(more);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, SHIFT);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R1, LONGEST_NUMBER, again);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, NUMBER);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::And, Reg::R3, 63);
        self.asm.alu(Alu::Lsh, Reg::R3, Reg::R1);
        self.asm.alu(Alu::Or, Reg::R2, Reg::R3);
        self.asm.store(Size::Double, Reg::R5, NUMBER, Reg::R2);
        self.asm.alu_imm(Alu::Add, Reg::R1, 6);
        self.asm.store(Size::Double, Reg::R5, SHIFT, Reg::R1);
        self.asm.jump_if_imm(Cond::Lt, Reg::R0, 64, last);
        self.asm
            .jump_if_imm(Cond::Lt, Reg::R1, LONGEST_NUMBER, again);
        self.asm.bind(last);
        self.asm.store_imm(Size::Double, Reg::R5, SHIFT, NO_NUMBER);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, LINE);
        // The sign is the lowest bit.
        self.asm.mov(Reg::R1, Reg::R2);
        self.asm.alu_imm(Alu::And, Reg::R1, 1);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, 1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, positive);
        self.asm.alu_imm(Alu::Neg, Reg::R2, 0);
        self.asm.bind(positive);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
        self.asm.store(Size::Double, Reg::R5, LINE, Reg::R3);
        self.asm.jump(again);
    }
}
