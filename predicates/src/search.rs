//! Looking for a string in another one: `strstr`, `index` and `rindex`.
//!
//! The method is shift-or (Baeza-Yates and Gonnet), which looks at each byte once and has no
//! inner loop, and so suits the verifier. Bit `j` of the state `d` is 0 when the last `j + 1`
//! bytes are the first `j + 1` of what is looked for; a table has for every byte a word with the
//! bits 0 where that byte stands:
//!
//! ```text
//!     d = -1;  for each byte c: d = d << 1 | table[c];  found if bit m - 1 is 0
//! ```
//!
//! So what is looked for has at most 64 bytes: a longer literal is refused, and a longer string
//! at run time is a fault. A literal's table is read-only data; any other's is made behind the
//! heap, where the next string will be put.

use dlang::diag::Span;
use dlang::program::Expr;

use crate::emit::{Emit, Emitted, Fault, Refusal};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;
use crate::string::Str;

/// Bits of the state, and so the most bytes to look for.
const MOST: u8 = 64;
/// Bytes of a table.
const TABLE: u32 = 256 * 8;

/// What is looked for.
struct Needle {
    /// Its length.
    len: Val,
    /// The offset of its table in the read-only data; `None` if the table is behind the heap.
    table: Option<u32>,
}

impl Emit<'_> {
    pub(crate) fn strstr(&mut self, of: &Expr, sub: &Expr, span: Span) -> Emitted<Str> {
        let string = self.string(of)?;
        let needle = self.needle(sub)?;
        let at = self.find(&string, &needle, &Val::Const(0), &string.len, false, span)?;
        self.stack.give(needle.len);
        // Not found is the null string, which reads as the empty one at the end.
        let found = self.asm.label();
        let reg = self.reg(&at, Reg::R1);
        self.asm.jump_if_imm(Cond::SGe, reg, 0, found);
        let len = self.reg(&string.len, Reg::R2);
        self.asm.mov(reg, len);
        self.put(&at, reg);
        self.asm.bind(found);
        self.suffix(string, at, span)
    }

    pub(crate) fn index(
        &mut self,
        of: &Expr,
        sub: &Expr,
        start: Option<&Expr>,
        span: Span,
    ) -> Emitted<Val> {
        let string = self.string(of)?;
        let needle = self.needle(sub)?;
        let from = start.map_or(Ok(Val::Const(0)), |start| self.int(start))?;
        let result = self.take(span)?;
        self.put_imm(&result, -1);
        let (positive, done) = (self.asm.label(), self.asm.label());
        self.load(Reg::R1, &from);
        self.asm.jump_if_imm(Cond::SGe, Reg::R1, 0, positive);
        self.asm.mov_imm(Reg::R1, 0);
        self.asm.bind(positive);
        self.load(Reg::R2, &string.len);
        self.asm.jump_if(Cond::Gt, Reg::R1, Reg::R2, done);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R1);
        self.stack.give(from);
        let from = self.keep(Reg::R1, span)?;
        let count = self.keep(Reg::R2, span)?;
        let at = self.find(&string, &needle, &from, &count, false, span)?;
        let reg = self.reg(&at, Reg::R0);
        self.put(&result, reg);
        self.asm.bind(done);
        for val in [at, from, count, needle.len] {
            self.stack.give(val);
        }
        self.give_string(string);
        Ok(result)
    }

    pub(crate) fn rindex(
        &mut self,
        of: &Expr,
        sub: &Expr,
        start: Option<&Expr>,
        span: Span,
    ) -> Emitted<Val> {
        let string = self.string(of)?;
        let needle = self.needle(sub)?;
        let start = start.map(|start| self.int(start)).transpose()?;
        let result = self.take(span)?;
        self.put_imm(&result, -1);
        let (done, whole) = (self.asm.label(), self.asm.label());
        // What begins at `start` ends as many bytes behind it as it has.
        self.load(Reg::R2, &string.len);
        if let Some(start) = start {
            self.load(Reg::R1, &start);
            self.asm.jump_if_imm(Cond::SLt, Reg::R1, 0, done);
            self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, whole);
            let len = self.reg(&needle.len, Reg::R0);
            self.asm.alu(Alu::Add, Reg::R1, len);
            self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, whole);
            self.asm.mov(Reg::R2, Reg::R1);
            self.stack.give(start);
        }
        self.asm.bind(whole);
        let count = self.keep(Reg::R2, span)?;
        let at = self.find(&string, &needle, &Val::Const(0), &count, true, span)?;
        let reg = self.reg(&at, Reg::R0);
        self.put(&result, reg);
        self.asm.bind(done);
        for val in [at, count, needle.len] {
            self.stack.give(val);
        }
        self.give_string(string);
        Ok(result)
    }

    /// Prepares what is looked for. The table is behind the heap until the next string is made.
    fn needle(&mut self, sub: &Expr) -> Emitted<Needle> {
        let span = sub.span;
        if let Some(bytes) = self.constant_string(sub) {
            if bytes.len() > usize::from(MOST) {
                return Err(Refusal {
                    span,
                    message: format!("looking for more than {MOST} bytes is not supported yet"),
                });
            }
            let mut table = [u64::MAX; 256];
            for (j, &byte) in bytes.iter().enumerate() {
                table[usize::from(byte)] &= !(1 << j);
            }
            let table = table.iter().flat_map(|word| word.to_le_bytes()).collect();
            return Ok(Needle {
                len: Val::Const(i64::try_from(bytes.len()).unwrap_or(0)),
                table: Some(self.rodata.put(table)),
            });
        }
        let string = self.string(sub)?;
        self.make_table(&string, span)?;
        self.stack.give(string.start);
        Ok(Needle {
            len: string.len,
            table: None,
        })
    }

    fn make_table(&mut self, sub: &Str, span: Span) -> Emitted<()> {
        let used = Val::Slot(self.heap_used(span)?);
        let (again, done) = (self.asm.label(), self.asm.label());
        self.heap_reaches(TABLE);
        let too_long = self.fault(Fault::NoScratch, &Val::Const(0));
        let len = self.reg(&sub.len, Reg::R0);
        self.asm
            .jump_if_imm(Cond::Gt, len, i32::from(MOST), too_long);
        self.copy_apart(Reg::R1, &sub.len);
        let count = self.keep(Reg::R1, span)?;
        let ones = self.rodata.put(vec![0xff; TABLE as usize]);
        let rodata = self.storage.rodata;
        self.heap_at(Reg::R1, &used, span)?;
        self.asm.mov_imm(Reg::R2, i64::from(TABLE));
        self.asm.map_value(Reg::R3, rodata, ones);
        self.asm.call(Helper::ProbeReadKernel);
        // r1 = byte, r2 = table, r3 = j, r4 = 1 << j
        self.heap_address_known(Reg::R1, &sub.start);
        self.heap_address_known(Reg::R2, &used);
        self.asm.mov_imm(Reg::R3, 0);
        self.asm.mov_imm(Reg::R4, 1);
        self.asm.bind(again);
        let len = self.reg(&count, Reg::R0);
        self.go_on_if(Cond::Gt, len, Reg::R3, done);
        self.asm.load(Size::Byte, Reg::R5, Reg::R1, 0);
        self.asm.alu_imm(Alu::Lsh, Reg::R5, 3);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, 0);
        self.asm.alu_imm(Alu::Xor, Reg::R0, -1);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R4);
        self.asm.alu_imm(Alu::Xor, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, 0, Reg::R0);
        self.asm.alu_imm(Alu::Lsh, Reg::R4, 1);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.alu_imm(Alu::Add, Reg::R3, 1);
        self.asm
            .jump_if_imm(Cond::Lt, Reg::R3, i32::from(MOST), again);
        self.asm.bind(done);
        self.stack.give(count);
        Ok(())
    }

    /// Where the needle first (or last) stands in the `count` bytes behind `from`; -1 when it
    /// does not.
    fn find(
        &mut self,
        string: &Str,
        needle: &Needle,
        from: &Val,
        count: &Val,
        last: bool,
        span: Span,
    ) -> Emitted<Val> {
        let strsize = self.storage.strsize;
        let result = self.take(span)?;
        let (again, nothing, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        let (empty, end) = (self.asm.label(), self.asm.label());
        self.heap_at(Reg::R1, &string.start, span)?;
        self.load(Reg::R0, from);
        self.bound(Reg::R0, strsize);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        // r5 = the bit that tells: 1 << (m - 1)
        self.load(Reg::R0, &needle.len);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, empty);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.alu_imm(Alu::And, Reg::R0, 63);
        if let Some(offset) = needle.table {
            let rodata = self.storage.rodata;
            self.asm.map_value(Reg::R2, rodata, offset);
        } else {
            let used = Val::Slot(self.heap_used(span)?);
            self.heap_address_known(Reg::R2, &used);
        }
        self.asm.mov_imm(Reg::R5, 1);
        self.asm.alu(Alu::Lsh, Reg::R5, Reg::R0);
        self.put_imm(&result, -1);
        self.copy_apart(Reg::R3, count);
        let most = self.keep(Reg::R3, span)?;
        // r1 = byte, r2 = table, r3 = d, r4 = bytes seen
        self.asm.mov_imm(Reg::R3, -1);
        self.asm.mov_imm(Reg::R4, 0);
        self.asm.bind(again);
        let limit = self.reg(&most, Reg::R0);
        self.go_on_if(Cond::Gt, limit, Reg::R4, nothing);
        self.asm.load(Size::Byte, Reg::R0, Reg::R1, 0);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::R0, 0);
        self.asm.alu_imm(Alu::Lsh, Reg::R3, 1);
        self.asm.alu(Alu::Or, Reg::R3, Reg::R0);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu(Alu::And, Reg::R0, Reg::R5);
        if last {
            let differs = self.asm.label();
            self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, differs);
            self.put(&result, Reg::R4);
            self.asm.bind(differs);
        } else {
            self.go_on_if_imm(Cond::Ne, Reg::R0, 0, done);
        }
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.next_turn(Reg::R4, again);
        self.asm.bind(nothing);
        self.stack.give(most);
        if last {
            self.load(Reg::R4, &result);
        } else {
            self.asm.mov_imm(Reg::R4, -1);
        }
        self.asm.bind(done);
        // One more, so that not found is 0 and the number is bounded.
        self.asm.alu_imm(Alu::Add, Reg::R4, 1);
        self.settle(Reg::R4, Reg::R1, strsize + 1, span)?;
        let absent = self.asm.label();
        self.asm.jump_if_imm(Cond::Eq, Reg::R4, 0, absent);
        for (op, val) in [(Alu::Add, from), (Alu::Sub, &needle.len)] {
            let reg = self.reg(val, Reg::R0);
            self.asm.alu(op, Reg::R4, reg);
        }
        self.put(&result, Reg::R4);
        self.asm.jump(end);
        self.asm.bind(absent);
        self.put_imm(&result, -1);
        self.asm.jump(end);
        self.asm.bind(empty);
        let here = self.reg(if last { count } else { from }, Reg::R0);
        self.put(&result, here);
        self.asm.bind(end);
        Ok(result)
    }
}
