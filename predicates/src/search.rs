//! Looking for a string in another one: `strstr`, `index` and `rindex`.
//!
//! A literal is looked for by shift-or (Baeza-Yates and Gonnet), which looks at each byte once and has
//! no inner loop, and so suits the verifier. Bit `j` of the state `d` is 0 when the last `j + 1`
//! bytes are the first `j + 1` of what is looked for; a table, read-only data, has for every byte a
//! word with the bits 0 where that byte stands:
//!
//! ```text
//!     d = -1;  for each byte c: d = d << 1 | table[c];  found if bit m - 1 is 0
//! ```
//!
//! A literal of more than 64 bytes, and what only the probe knows, is compared at one place after
//! another, by one open loop that counts places and bytes that were alike:
//!
//! ```text
//!     if (alike == m) found;
//!     if (string[place + alike] == needle[alike]) alike += 1;
//!     else { alike = 0; place += 1; }
//! ```
//!
//! Where the kernel has no open loops (before Linux 5.17), a table is made for what only the probe
//! knows, behind the heap, where the next string will be put. What is looked for has at most 64 bytes
//! there: a longer literal is refused, and a longer string at run time is a fault.

use dlang::diag::Span;
use dlang::program::Expr;

use crate::emit::{Emit, Emitted, Fault, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::join::Loop;
use crate::null::OnNull;
use crate::stack::Val;
use crate::string::Str;

/// Bits of the state, and so the most bytes to look for.
const MOST: u8 = 64;
/// Bytes of a table.
const TABLE: u32 = 256 * 8;

/// What is looked for, before the search is prepared.
enum Sought {
    /// A constant of at most [`MOST`] bytes.
    Literal(Vec<u8>),
    /// A string on the heap.
    Computed(Str),
}

/// What is looked for.
enum Needle {
    /// By a table, with at most [`MOST`] bytes.
    Table {
        len: Val,
        /// Its offset in the read-only data; `None` if it is behind the heap.
        table: Option<u32>,
    },
    /// By comparing it, a string on the heap.
    Compared(Str),
}

impl Needle {
    /// How many bytes it has.
    fn len(&self) -> &Val {
        match self {
            Self::Table { len, .. } | Self::Compared(Str { len, .. }) => len,
        }
    }
}

impl Emit<'_> {
    pub(crate) fn strstr(
        &mut self,
        of: &Expr,
        sub: &Expr,
        on_null: OnNull,
        span: Span,
    ) -> Emitted<Str> {
        let string = self.string(of)?;
        let sub = self.sought(sub)?;
        let needle = self.needle(sub, span)?;
        let at = self.find(&string, &needle, &Val::Const(0), &string.len, false, span)?;
        self.give_needle(needle);
        let null = self.null_label(on_null);
        let reg = self.reg(&at, Reg::R1);
        self.asm.jump_if_imm(Cond::SLt, reg, 0, null);
        self.make_bounded(reg, Reg::R2, self.storage.strsize);
        self.put(&at, reg);
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
        let sub = self.sought(sub)?;
        let from = start.map_or(Ok(Val::Const(0)), |start| self.int(start))?;
        let needle = self.needle(sub, span)?;
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
        for reg in [Reg::R1, Reg::R2] {
            self.make_bounded(reg, Reg::R0, self.storage.strsize);
        }
        self.stack.give(from);
        let from = self.keep(Reg::R1, span)?;
        let count = self.keep(Reg::R2, span)?;
        let at = self.find(&string, &needle, &from, &count, false, span)?;
        let reg = self.reg(&at, Reg::R0);
        self.put(&result, reg);
        self.asm.bind(done);
        self.make_value_unknown(&result, span)?;
        for val in [at, from, count] {
            self.stack.give(val);
        }
        self.give_needle(needle);
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
        let sub = self.sought(sub)?;
        let start = start.map(|start| self.int(start)).transpose()?;
        let needle = self.needle(sub, span)?;
        let result = self.take(span)?;
        self.put_imm(&result, -1);
        let (done, whole) = (self.asm.label(), self.asm.label());
        // What begins at `start` ends as many bytes behind it as it has.
        self.load(Reg::R2, &string.len);
        if let Some(start) = start {
            self.load(Reg::R1, &start);
            self.asm.jump_if_imm(Cond::SLt, Reg::R1, 0, done);
            self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, whole);
            let len = self.reg(needle.len(), Reg::R0);
            self.asm.alu(Alu::Add, Reg::R1, len);
            self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, whole);
            self.asm.mov(Reg::R2, Reg::R1);
            self.stack.give(start);
        }
        self.asm.bind(whole);
        self.make_bounded(Reg::R2, Reg::R0, self.storage.strsize);
        let count = self.keep(Reg::R2, span)?;
        let at = self.find(&string, &needle, &Val::Const(0), &count, true, span)?;
        let reg = self.reg(&at, Reg::R0);
        self.put(&result, reg);
        self.asm.bind(done);
        self.make_value_unknown(&result, span)?;
        for val in [at, count] {
            self.stack.give(val);
        }
        self.give_needle(needle);
        self.give_string(string);
        Ok(result)
    }

    /// Computes what is looked for.
    fn sought(&mut self, sub: &Expr) -> Emitted<Sought> {
        let span = sub.span;
        match self.constant_string(sub) {
            Some(bytes) if bytes.len() <= usize::from(MOST) => Ok(Sought::Literal(bytes)),
            Some(_) if self.storage.open_loops.is_none() => Err(Refusal {
                span,
                message: format!("looking for more than {MOST} bytes needs Linux 5.17"),
            }),
            _ => self.string(sub).map(Sought::Computed),
        }
    }

    /// Prepares the search. A table behind the heap is there until the next string is made, so
    /// all operands have been computed before.
    fn needle(&mut self, sought: Sought, span: Span) -> Emitted<Needle> {
        match sought {
            Sought::Literal(bytes) => {
                let mut table = [u64::MAX; 256];
                for (j, &byte) in bytes.iter().enumerate() {
                    table[usize::from(byte)] &= !(1 << j);
                }
                let table = table.iter().flat_map(|word| word.to_le_bytes()).collect();
                let len = i64::try_from(bytes.len()).expect("it has been compared with MOST");
                Ok(Needle::Table {
                    len: Val::Const(len),
                    table: Some(self.rodata.put(table)),
                })
            }
            Sought::Computed(string) if self.storage.open_loops.is_some() => {
                Ok(Needle::Compared(string))
            }
            Sought::Computed(string) => {
                self.make_table(&string, span)?;
                self.stack.give(string.start);
                Ok(Needle::Table {
                    len: string.len,
                    table: None,
                })
            }
        }
    }

    fn give_needle(&mut self, needle: Needle) {
        match needle {
            Needle::Table { len, .. } => self.stack.give(len),
            Needle::Compared(string) => self.give_string(string),
        }
    }

    fn make_table(&mut self, sub: &Str, span: Span) -> Emitted<()> {
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
        self.scratch(Reg::R1, span)?;
        self.table_behind_heap(Reg::R1);
        self.asm.mov_imm(Reg::R2, i64::from(TABLE));
        self.asm.map_value(Reg::R3, rodata, ones);
        self.asm.call(Helper::ProbeReadKernel);
        // r1 = start, r2 = table, r3 = j, r4 = 1 << j
        self.heap_address_known(Reg::R1, &sub.start);
        self.table_behind_heap(Reg::R2);
        self.asm.mov_imm(Reg::R3, 0);
        let (kind, most) = (self.next_loop(), u32::from(MOST));
        self.turn(kind, (Reg::R3, most + 1), Reg::R0, (again, done));
        let len = self.reg(&count, Reg::R0);
        self.go_on_if(Cond::Gt, len, Reg::R3, done);
        self.asm.mov(Reg::R5, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R3);
        self.asm.load(Size::Byte, Reg::R5, Reg::R5, 0);
        self.asm.alu_imm(Alu::Lsh, Reg::R5, 3);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, 0);
        self.asm.alu_imm(Alu::Xor, Reg::R0, -1);
        self.asm.mov_imm(Reg::R4, 1);
        self.asm.alu(Alu::Lsh, Reg::R4, Reg::R3);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R4);
        self.asm.alu_imm(Alu::Xor, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, 0, Reg::R0);
        self.next_turn(kind, (Reg::R3, 1, most), again);
        self.asm.bind(done);
        self.stack.give(count);
        Ok(())
    }

    /// `dst = address of the table behind the heap`. The scratch has been fetched. Destroys `r5`.
    pub(crate) fn table_behind_heap(&mut self, dst: Reg) {
        self.heap_used(Reg::R5);
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        self.asm.alu(Alu::Add, dst, Reg::R5);
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
        self.scratch(Reg::R1, span)?;
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(self.storage.heap));
        self.load(Reg::R0, &string.start);
        let start = self.reg(from, Reg::R5);
        self.asm.alu(Alu::Add, Reg::R0, start);
        self.bound_start(Reg::R0);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        let result = match needle {
            Needle::Table { len, table } => {
                self.find_by_table(len, *table, (from, count), last, span)
            }
            Needle::Compared(needle) => self.find_by_comparing(needle, (from, count), last, span),
        }?;
        self.make_value_unknown(&result, span)?;
        Ok(result)
    }

    /// [`find`](Self::find) by shift-or. `r1` is where the bytes start.
    fn find_by_table(
        &mut self,
        len: &Val,
        table: Option<u32>,
        (from, count): (&Val, &Val),
        last: bool,
        span: Span,
    ) -> Emitted<Val> {
        let strsize = self.storage.strsize;
        let result = self.take(span)?;
        let (again, nothing, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        let (empty, end) = (self.asm.label(), self.asm.label());
        // The bit that tells: 1 << (m - 1).
        self.load(Reg::R0, len);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, empty);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.alu_imm(Alu::And, Reg::R0, 63);
        if let Some(offset) = table {
            let rodata = self.storage.rodata;
            self.asm.map_value(Reg::R2, rodata, offset);
        } else {
            self.table_behind_heap(Reg::R2);
        }
        self.asm.mov_imm(Reg::R5, 1);
        self.asm.alu(Alu::Lsh, Reg::R5, Reg::R0);
        let bit = self.keep(Reg::R5, span)?;
        self.put_imm(&result, -1);
        self.copy_apart(Reg::R3, count);
        let most = self.keep(Reg::R3, span)?;
        // r1 = start, r2 = table, r3 = d, r4 = bytes seen
        self.asm.mov_imm(Reg::R3, -1);
        self.asm.mov_imm(Reg::R4, 0);
        let kind = self.next_loop();
        self.turn(kind, (Reg::R4, strsize), Reg::R0, (again, nothing));
        let limit = self.reg(&most, Reg::R0);
        self.go_on_if(Cond::Gt, limit, Reg::R4, nothing);
        self.asm.mov(Reg::R5, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R4);
        self.asm.load(Size::Byte, Reg::R0, Reg::R5, 0);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::R0, 0);
        self.asm.alu_imm(Alu::Lsh, Reg::R3, 1);
        self.asm.alu(Alu::Or, Reg::R3, Reg::R0);
        self.load(Reg::R0, &bit);
        self.asm.alu(Alu::And, Reg::R0, Reg::R3);
        if last {
            // result = r0 == 0 ? r4 : result, without a branch, of which one more would wait for
            // the verifier in every turn. r0 is 0 or one bit, so r0 - 1 is negative or not.
            self.asm.alu_imm(Alu::Add, Reg::R0, -1);
            self.asm.alu_imm(Alu::Arsh, Reg::R0, 63);
            self.asm.alu_imm(Alu::Xor, Reg::R0, -1);
            let best = self.reg(&result, Reg::R5);
            self.asm.alu(Alu::Xor, best, Reg::R4);
            self.asm.alu(Alu::And, best, Reg::R0);
            self.asm.alu(Alu::Xor, best, Reg::R4);
            self.put(&result, best);
        } else {
            self.go_on_if_imm(Cond::Ne, Reg::R0, 0, done);
        }
        self.next_turn(kind, (Reg::R4, 1, strsize), again);
        self.asm.bind(nothing);
        self.stack.give(most);
        self.stack.give(bit);
        if last {
            self.load(Reg::R4, &result);
        } else {
            self.asm.mov_imm(Reg::R4, -1);
        }
        self.asm.bind(done);
        // One more, so that not found is 0 and the number is bounded.
        self.asm.alu_imm(Alu::Add, Reg::R4, 1);
        self.make_bounded(Reg::R4, Reg::R1, strsize + 1);
        let absent = self.asm.label();
        self.asm.jump_if_imm(Cond::Eq, Reg::R4, 0, absent);
        for (op, val) in [(Alu::Add, from), (Alu::Sub, len)] {
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

    /// [`find`](Self::find) by comparing at one place after another. `r1` is where the bytes start.
    fn find_by_comparing(
        &mut self,
        needle: &Str,
        (from, count): (&Val, &Val),
        last: bool,
        span: Span,
    ) -> Emitted<Val> {
        let strsize = self.storage.strsize;
        let result = self.take(span)?;
        let (again, alike) = (self.asm.label(), self.asm.label());
        let (found, done) = (self.asm.label(), self.asm.label());
        let too_long = self.fault(Fault::NoScratch, &Val::Const(0));
        // The last place to look at.
        self.copy_apart(Reg::R3, count);
        let len = self.reg(&needle.len, Reg::R0);
        self.asm.alu(Alu::Sub, Reg::R3, len);
        self.put_imm(&result, -1);
        self.asm.jump_if_imm(Cond::SLt, Reg::R3, 0, done);
        let end = self.keep(Reg::R3, span)?;
        self.copy_apart(Reg::R3, &needle.len);
        let len = self.keep(Reg::R3, span)?;
        self.heap_address_known(Reg::R2, &needle.start);
        // r1 = bytes, r2 = needle, r3 = alike, r4 = places left behind
        self.asm.mov_imm(Reg::R3, 0);
        self.asm.mov_imm(Reg::R4, 0);
        self.turn(Loop::Open, (Reg::R4, strsize), Reg::R0, (again, too_long));
        self.make_bounded(Reg::R3, Reg::R0, strsize);
        let all = self.reg(&len, Reg::R0);
        self.go_on_if(Cond::Ne, all, Reg::R3, found);
        self.compared_at(Reg::R5, &end, last);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R3);
        self.bound(Reg::R5, strsize);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R1);
        self.asm.load(Size::Byte, Reg::R0, Reg::R5, 0);
        self.asm.mov(Reg::R5, Reg::R2);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R3);
        self.asm.load(Size::Byte, Reg::R5, Reg::R5, 0);
        self.asm.alu_imm(Alu::Add, Reg::R3, 1);
        self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R5, alike);
        self.asm.mov_imm(Reg::R3, 0);
        self.asm.alu_imm(Alu::Add, Reg::R4, 1);
        let most = self.reg(&end, Reg::R0);
        self.go_on_if(Cond::Ge, most, Reg::R4, done);
        self.asm.bind(alike);
        self.asm.jump(again);
        self.asm.bind(found);
        self.compared_at(Reg::R5, &end, last);
        let from = self.reg(from, Reg::R0);
        self.asm.alu(Alu::Add, Reg::R5, from);
        self.put(&result, Reg::R5);
        self.asm.bind(done);
        self.stack.give(end);
        self.stack.give(len);
        Ok(result)
    }

    /// `dst = where a needle is compared` when `r4` places have been left behind.
    fn compared_at(&mut self, dst: Reg, end: &Val, last: bool) {
        if last {
            self.load(dst, end);
            self.asm.alu(Alu::Sub, dst, Reg::R4);
        } else {
            self.asm.mov(dst, Reg::R4);
        }
    }
}
