//! The line of an instruction, decoded from the code object's table in eBPF.
//!
//! The formats are described in `provider::python::lines`, whose `line_at` this must equal. The
//! table is read eight bytes at a time: its address is a multiple of eight, so a read never
//! crosses into a page that the table has no part of.
//!
//! The longest tables, of large modules, have some ten thousand bytes, so the loop has no bound
//! that the verifier could follow: it takes a loop without a bound (Linux 5.17). Elsewhere the line cannot be
//! had. Where the table cannot be read, the line is [`UNKNOWN`]; an instruction that has no line
//! by the table has line -1, as the interpreter's own probes say.

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Reg, Size};
use provider::python::lines::LineFormat;

use super::dispatch::Dispatch;
use super::read::{add, read};

/// The line where none can be found out.
const UNKNOWN: i64 = 0;
/// The line of an instruction that has none.
const NO_LINE: i64 = -1;

/// The longest table that is looked into, in bytes: that of some 200,000 lines.
const LONGEST_TABLE: i32 = 1 << 20;

/// More than any number of bits to shift: no number is being read.
const NO_NUMBER: i32 = 64;
/// Bits after which a number is at its end in any case.
const LONGEST: i32 = 30;

/// Where the loop's variables are that have no register.
///
/// `r6` holds the bytes that were read and not yet used, `r7` the line, `r8` the byte code's
/// length up to the end of the current entry, `r9` how much of the table is left.
#[derive(Clone, Copy)]
struct Loop {
    /// The instruction's place in the byte code.
    target: i16,
    /// Where the next eight bytes of the table are.
    table: i16,
    /// Bytes in `r6`.
    ready: i16,
    /// The kind of the current entry.
    kind: i16,
    /// The number that is being read, and by how much to shift its next bits.
    number: i16,
    shift: i16,
    /// Zero.
    zero: i16,
}

impl Loop {
    /// Sets a variable to a constant that the verifier does not know. What it knows, it keeps
    /// apart, and would follow the loop for each combination of values.
    fn set(self, emit: &mut Emit<'_>, slot: i16, value: i32) {
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, self.zero);
        if value != 0 {
            emit.asm.alu_imm(Alu::Add, Reg::R1, value);
        }
        emit.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
    }
}

impl Dispatch<'_> {
    /// `r7 = line` of the instruction at `r8`, a place in the byte code; `r7` holds the first
    /// line, and the code object has been read.
    pub(super) fn decode_line(&self, emit: &mut Emit<'_>, span: Span) -> Emitted<()> {
        emit.asm.note("line");
        let mut slot = || emit.buffer(8, span);
        let at = Loop {
            target: slot()?,
            table: slot()?,
            ready: slot()?,
            kind: slot()?,
            number: slot()?,
            shift: slot()?,
            zero: slot()?,
        };
        let (next, unknown, none, found) = (
            emit.asm.label(),
            emit.asm.label(),
            emit.asm.label(),
            emit.asm.label(),
        );
        self.open_table(emit, at);
        emit.asm
            .jump_if_imm(Cond::Gt, Reg::R9, LONGEST_TABLE, unknown);
        emit.asm.bind(next);
        emit.asm.may_goto(unknown);
        match self.build.lines {
            LineFormat::Locations => self.location_step(emit, at, next, none, found),
            LineFormat::LineTable => self.pair_step(emit, at, next, none, found, true),
            LineFormat::Lnotab => self.pair_step(emit, at, next, found, found, false),
        }
        emit.asm.bind(unknown);
        emit.asm.mov_imm(Reg::R7, UNKNOWN);
        let done = emit.asm.label();
        emit.asm.jump(done);
        emit.asm.bind(none);
        emit.asm.mov_imm(Reg::R7, NO_LINE);
        emit.asm.bind(found);
        emit.asm.alu_imm(Alu::Lsh, Reg::R7, 32);
        emit.asm.alu_imm(Alu::Arsh, Reg::R7, 32);
        emit.asm.bind(done);
        for slot in [
            at.target, at.table, at.ready, at.kind, at.number, at.shift, at.zero,
        ] {
            emit.stack.give_buffer(slot, 8);
        }
        Ok(())
    }

    /// Finds the table and its length, and sets the loop's variables.
    fn open_table(&self, emit: &mut Emit<'_>, at: Loop) {
        let bytes = self.build.offsets.bytes;
        let table = self.field(self.build.offsets.code.line_table);
        emit.asm.store(Size::Double, Reg::FP, at.target, Reg::R8);
        emit.asm.load(Size::Double, Reg::R6, Reg::FP, table);
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i32::from(bytes.length));
        read(emit, self.scratch.word, 8);
        emit.asm
            .load(Size::Double, Reg::R9, Reg::FP, self.scratch.word);
        add(emit, Reg::R6, i32::from(bytes.data));
        emit.asm.store(Size::Double, Reg::FP, at.table, Reg::R6);
        // The difference of a value that the verifier does not know and itself.
        emit.asm.mov(Reg::R8, Reg::R9);
        emit.asm.alu(Alu::Sub, Reg::R8, Reg::R9);
        emit.asm.store(Size::Double, Reg::FP, at.zero, Reg::R8);
        for slot in [at.ready, at.kind, at.number] {
            at.set(emit, slot, 0);
        }
        at.set(emit, at.shift, NO_NUMBER);
        emit.asm.mov(Reg::R6, Reg::R8);
    }

    /// Makes the next `bytes` of the table the lowest of `r6`; at the table's end, goes to `end`.
    /// `take` afterwards.
    fn fetch(&self, emit: &mut Emit<'_>, at: Loop, bytes: i32, end: Label, unknown: Label) {
        let ready = emit.asm.label();
        emit.asm.jump_if_imm(Cond::SLt, Reg::R9, bytes, end);
        emit.asm.alu_imm(Alu::Sub, Reg::R9, bytes);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, at.ready);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, ready);
        emit.asm.load(Size::Double, Reg::R3, Reg::FP, at.table);
        emit.asm.mov(Reg::R1, Reg::R3);
        emit.asm.alu_imm(Alu::Add, Reg::R1, 8);
        emit.asm.store(Size::Double, Reg::FP, at.table, Reg::R1);
        read(emit, self.scratch.word, 8);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, unknown);
        emit.asm
            .load(Size::Double, Reg::R6, Reg::FP, self.scratch.word);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, at.zero);
        emit.asm.alu_imm(Alu::Add, Reg::R1, 8);
        emit.asm.bind(ready);
        emit.asm.alu_imm(Alu::Sub, Reg::R1, bytes);
        emit.asm.store(Size::Double, Reg::FP, at.ready, Reg::R1);
    }

    /// One byte of 3.11's format.
    fn location_step(&self, emit: &mut Emit<'_>, at: Loop, next: Label, none: Label, found: Label) {
        let (end, more, unknown) = (emit.asm.label(), emit.asm.label(), emit.asm.label());
        let check = emit.asm.label();
        self.fetch(emit, at, 1, end, unknown);
        emit.asm.mov(Reg::R0, Reg::R6);
        emit.asm.alu_imm(Alu::And, Reg::R0, 0xff);
        emit.asm.alu_imm(Alu::Rsh, Reg::R6, 8);
        emit.asm.jump_if_imm(Cond::Lt, Reg::R0, 0x80, more);

        // A new entry, so the one before is complete. Is it the instruction's?
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, at.target);
        emit.asm.jump_if(Cond::Lt, Reg::R1, Reg::R8, check);
        emit.asm.mov(Reg::R1, Reg::R0);
        emit.asm.alu_imm(Alu::And, Reg::R1, 7);
        emit.asm.alu_imm(Alu::Add, Reg::R1, 1);
        emit.asm.alu_imm(Alu::Lsh, Reg::R1, 1);
        emit.asm.alu(Alu::Add, Reg::R8, Reg::R1);
        emit.asm.alu_imm(Alu::Rsh, Reg::R0, 3);
        emit.asm.alu_imm(Alu::And, Reg::R0, 15);
        emit.asm.store(Size::Double, Reg::FP, at.kind, Reg::R0);
        at.set(emit, at.shift, NO_NUMBER);
        let by_number = emit.asm.label();
        emit.asm.jump_if_imm(Cond::Lt, Reg::R0, 11, next);
        emit.asm.jump_if_imm(Cond::Gt, Reg::R0, 14, next);
        emit.asm.jump_if_imm(Cond::Gt, Reg::R0, 12, by_number);
        emit.asm.alu_imm(Alu::Add, Reg::R7, -10);
        emit.asm.alu(Alu::Add, Reg::R7, Reg::R0);
        emit.asm.jump(next);
        emit.asm.bind(by_number);
        for slot in [at.shift, at.number] {
            at.set(emit, slot, 0);
        }
        emit.asm.jump(next);

        // Inside of an entry: columns, or the next bits of the number.
        emit.asm.bind(more);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, at.shift);
        emit.asm.jump_if_imm(Cond::Ge, Reg::R1, LONGEST, next);
        emit.asm.load(Size::Double, Reg::R2, Reg::FP, at.number);
        emit.asm.mov(Reg::R3, Reg::R0);
        emit.asm.alu_imm(Alu::And, Reg::R3, 63);
        emit.asm.alu(Alu::Lsh, Reg::R3, Reg::R1);
        emit.asm.alu(Alu::Or, Reg::R2, Reg::R3);
        emit.asm.store(Size::Double, Reg::FP, at.number, Reg::R2);
        let last = emit.asm.label();
        emit.asm.alu_imm(Alu::Add, Reg::R1, 6);
        emit.asm.store(Size::Double, Reg::FP, at.shift, Reg::R1);
        emit.asm.jump_if_imm(Cond::Lt, Reg::R0, 64, last);
        emit.asm.jump_if_imm(Cond::Lt, Reg::R1, LONGEST, next);
        emit.asm.bind(last);
        at.set(emit, at.shift, NO_NUMBER);
        emit.asm.mov(Reg::R1, Reg::R2);
        emit.asm.alu_imm(Alu::And, Reg::R1, 1);
        emit.asm.alu_imm(Alu::Rsh, Reg::R2, 1);
        let positive = emit.asm.label();
        emit.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, positive);
        emit.asm.alu(Alu::Sub, Reg::R7, Reg::R2);
        emit.asm.jump(next);
        emit.asm.bind(positive);
        emit.asm.alu(Alu::Add, Reg::R7, Reg::R2);
        emit.asm.jump(next);

        emit.asm.bind(end);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, at.target);
        emit.asm.jump_if(Cond::Ge, Reg::R1, Reg::R8, none);
        emit.asm.bind(check);
        emit.asm.load(Size::Double, Reg::R0, Reg::FP, at.kind);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 15, none);
        emit.asm.jump(found);
        emit.asm.bind(unknown);
    }

    /// One pair of bytes of the older formats: how much code, and by how much the line changes;
    /// in 3.10 before the code, earlier behind it.
    fn pair_step(
        &self,
        emit: &mut Emit<'_>,
        at: Loop,
        next: Label,
        end: Label,
        found: Label,
        before: bool,
    ) {
        let unknown = emit.asm.label();
        self.fetch(emit, at, 2, end, unknown);
        emit.asm.mov(Reg::R1, Reg::R6);
        emit.asm.alu_imm(Alu::And, Reg::R1, 0xff);
        emit.asm.alu(Alu::Add, Reg::R8, Reg::R1);
        emit.asm.load(Size::Double, Reg::R2, Reg::FP, at.target);
        emit.asm.mov(Reg::R0, Reg::R6);
        emit.asm.alu_imm(Alu::Lsh, Reg::R0, 48);
        emit.asm.alu_imm(Alu::Arsh, Reg::R0, 56);
        emit.asm.alu_imm(Alu::Rsh, Reg::R6, 16);
        if before {
            let (has_line, inside) = (emit.asm.label(), emit.asm.label());
            emit.asm.jump_if_imm(Cond::Ne, Reg::R0, -128, has_line);
            emit.asm.jump_if(Cond::Lt, Reg::R2, Reg::R8, end);
            emit.asm.jump(next);
            emit.asm.bind(has_line);
            emit.asm.alu(Alu::Add, Reg::R7, Reg::R0);
            emit.asm.jump_if(Cond::Lt, Reg::R2, Reg::R8, inside);
            emit.asm.jump(next);
            emit.asm.bind(inside);
            emit.asm.jump(found);
        } else {
            emit.asm.jump_if(Cond::Lt, Reg::R2, Reg::R8, found);
            emit.asm.alu(Alu::Add, Reg::R7, Reg::R0);
            emit.asm.jump(next);
        }
        emit.asm.bind(unknown);
    }
}
