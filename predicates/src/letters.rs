//! Subroutines that look each byte up in a table of 256: `toupper`, `tolower`, `strtoll`, `strtok`.
//!
//! A table has no branches, so that a turn of a loop is one way to the verifier, whatever the byte is.
//! Tables that are known when the code is made are read-only data.

use dlang::diag::Span;
use dlang::eval::Value;
use dlang::program::{Expr, Subroutine};
use dlang::types::Type;

use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fault, Fetched, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::null::OnNull;
use crate::scan::unknown;
use crate::stack::Val;
use crate::string::Str;

/// Bytes of a table.
const TABLE: u32 = 256;

/// A byte that is no digit in any base.
const NO_DIGIT: u8 = 255;

fn table(of: impl Fn(u8) -> u8) -> Vec<u8> {
    (0..=u8::MAX).map(of).collect()
}

impl Emit<'_> {
    /// A copy of a string in which each byte has become another.
    ///
    /// ```text
    ///     for (n = 0; n < len; n++) copy[n] = table[copy[n]];
    /// ```
    pub(crate) fn with_letters(
        &mut self,
        of: &Expr,
        letter: impl Fn(u8) -> u8,
        span: Span,
    ) -> Emitted<Str> {
        let string = self.string(of)?;
        self.load(Reg::R2, &string.len);
        let copy = self.part(&string, &Val::Const(0), span)?;
        self.give_string(string);
        self.change_letters(&copy, letter);
        Ok(copy)
    }

    /// Makes each byte of a string that nothing shares yet another.
    pub(crate) fn change_letters(&mut self, copy: &Str, letter: impl Fn(u8) -> u8) {
        let letters = self.rodata.put(table(letter));
        let rodata = self.storage.rodata;
        self.heap_address_known(Reg::R1, &copy.start);
        self.copy_apart(Reg::R2, &copy.len);
        self.asm.map_value(Reg::R4, rodata, letters);
        self.for_each_byte(|e, done| {
            e.go_on_if(Cond::Gt, Reg::R2, Reg::R3, done);
            e.letter_in_table();
            e.asm.mov(Reg::R5, Reg::R1);
            e.asm.alu(Alu::Add, Reg::R5, Reg::R3);
            e.asm.store(Size::Byte, Reg::R5, 0, Reg::R0);
        });
    }

    /// A loop over the bytes from `r1` on: `turn` is done with `r3` = 0, 1 and so on, and leaves for
    /// the label that it is given, which is behind the loop. The scratch has been fetched; destroys `r0`.
    fn for_each_byte(&mut self, turn: impl FnOnce(&mut Self, Label)) {
        let (again, done) = (self.asm.label(), self.asm.label());
        let (kind, strsize) = (self.next_loop(), self.storage.strsize);
        self.asm.mov_imm(Reg::R3, 0);
        self.turn(kind, (Reg::R3, strsize), Reg::R0, (again, done));
        turn(self, done);
        self.next_turn(kind, (Reg::R3, 1, strsize), again);
        self.asm.bind(done);
    }

    /// `r0 = r1[r3]`. Destroys `r5`.
    fn byte_of_turn(&mut self) {
        self.asm.mov(Reg::R5, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R3);
        self.asm.load(Size::Byte, Reg::R0, Reg::R5, 0);
    }

    /// `r5 = r4 + r1[r3]`: where the byte is in the table at `r4`. Destroys `r0`.
    fn place_in_table(&mut self) {
        self.byte_of_turn();
        self.asm.mov(Reg::R5, Reg::R4);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
    }

    /// `r0 = r4[r1[r3]]`. Destroys `r5`.
    fn letter_in_table(&mut self) {
        self.place_in_table();
        self.asm.load(Size::Byte, Reg::R0, Reg::R5, 0);
    }

    /// `strtoll(s[, base])`, as `dlang::strings::strtoll`.
    ///
    /// ```text
    ///     n = blanks at the start; sign; 0x
    ///     while (n < len && digit[s[n]] < base) { value = value * base + digit[s[n]]; n++; }
    /// ```
    pub(crate) fn strtoll(&mut self, of: &Expr, base: Option<&Expr>, span: Span) -> Emitted<Val> {
        let base = match base.map(|base| self.constant(base)) {
            None => 10,
            Some(Some(Value::Int(base @ 2..=36))) => i32::from(base.to_le_bytes()[0]),
            // `check` takes no other base.
            Some(_) => return Err(unknown(Subroutine::Strtoll, span)),
        };
        let string = self.string(of)?;
        let blanks = table(|byte| u8::from(matches!(byte, b' ' | b'\t')));
        let blanks = self.rodata.put(blanks);
        let from = self.run_of(&string, &Val::Const(0), Table::Constant(blanks), true, span)?;
        let negative = self.take(span)?;
        self.put_imm(&negative, 0);
        let (plus, unsigned) = (self.asm.label(), self.asm.label());
        self.byte_at(&string, &from, 0);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R0, i32::from(b'+'), plus);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R0, i32::from(b'-'), unsigned);
        self.put_imm(&negative, -1);
        self.asm.bind(plus);
        self.skip(&from, 1);
        self.asm.bind(unsigned);
        self.make_value_unknown(&negative, span)?;
        let digits = self.rodata.put(table(|byte| {
            let digit = char::from(byte).to_digit(36);
            digit.map_or(NO_DIGIT, |digit| digit.to_le_bytes()[0])
        }));
        if base == 16 {
            self.skip_0x(&string, &from, digits);
        }
        self.bounded_place(&from);
        let rodata = self.storage.rodata;
        // r1 = bytes, r2 = value, r4 = table; the string's NUL is no digit.
        self.address_in(Reg::R1, &string, &from);
        self.asm.map_value(Reg::R4, rodata, digits);
        self.load_zero(Reg::R2, span)?;
        self.for_each_byte(|e, done| {
            e.letter_in_table();
            e.go_on_if_imm(Cond::Lt, Reg::R0, base, done);
            e.asm.alu_imm(Alu::Mul, Reg::R2, base);
            e.asm.alu(Alu::Add, Reg::R2, Reg::R0);
        });
        // (value ^ -1) - -1 is -value, (value ^ 0) - 0 the value.
        let sign = self.reg(&negative, Reg::R1);
        self.asm.alu(Alu::Xor, Reg::R2, sign);
        self.asm.alu(Alu::Sub, Reg::R2, sign);
        self.make_unknown(Reg::R2, Reg::R1, span)?;
        for val in [negative, from] {
            self.stack.give(val);
        }
        self.give_string(string);
        self.keep(Reg::R2, span)
    }

    /// Moves `from` behind `0x`, if a hexadecimal digit follows.
    fn skip_0x(&mut self, string: &Str, from: &Val, digits: u32) {
        let none = self.asm.label();
        self.byte_at(string, from, 0);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R0, i32::from(b'0'), none);
        self.byte_at(string, from, 1);
        self.asm.alu_imm(Alu::Or, Reg::R0, 0x20);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R0, i32::from(b'x'), none);
        let rodata = self.storage.rodata;
        self.byte_at(string, from, 2);
        self.asm.map_value(Reg::R1, rodata, digits);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.load(Size::Byte, Reg::R0, Reg::R1, 0);
        self.asm.jump_if_imm(Cond::Ge, Reg::R0, 16, none);
        self.skip(from, 2);
        self.asm.bind(none);
    }

    /// `r0 = byte of the string, so many behind from`. What is behind its end is in the heap, too.
    fn byte_at(&mut self, string: &Str, from: &Val, behind: i16) {
        self.bounded_place(from);
        self.address_in(Reg::R1, string, from);
        self.asm.load(Size::Byte, Reg::R0, Reg::R1, behind);
    }

    fn bounded_place(&mut self, at: &Val) {
        let reg = self.reg(at, Reg::R0);
        self.make_bounded(reg, Reg::R1, self.storage.strsize);
        self.put(at, reg);
    }

    fn skip(&mut self, at: &Val, bytes: i32) {
        let reg = self.reg(at, Reg::R0);
        self.asm.alu_imm(Alu::Add, reg, bytes);
        self.put(at, reg);
    }

    /// `dst = address of byte at of the string`, for loads there and for up to `strsize` bytes behind.
    /// Destroys `r0` and `r5`.
    fn address_in(&mut self, dst: Reg, string: &Str, at: &Val) {
        self.heap_reaches(2 * self.storage.strsize + 8);
        self.load(Reg::R0, &string.start);
        let at = self.reg(at, Reg::R5);
        self.asm.alu(Alu::Add, Reg::R0, at);
        self.bound_start(Reg::R0);
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        self.asm.alu(Alu::Add, dst, Reg::R0);
    }

    /// How many bytes of the string from `from` on are (`within`) or are not in the table's set.
    fn run_of(
        &mut self,
        string: &Str,
        from: &Val,
        set: Table,
        within: bool,
        span: Span,
    ) -> Emitted<Val> {
        self.load(Reg::R2, &string.len);
        let start = self.reg(from, Reg::R0);
        self.asm.alu(Alu::Sub, Reg::R2, start);
        self.make_bounded(Reg::R2, Reg::R0, self.storage.strsize);
        self.load_table(Reg::R4, set);
        self.address_in(Reg::R1, string, from);
        self.for_each_byte(|e, done| {
            e.go_on_if(Cond::Gt, Reg::R2, Reg::R3, done);
            e.letter_in_table();
            let cond = if within { Cond::Ne } else { Cond::Eq };
            e.go_on_if_imm(cond, Reg::R0, 0, done);
        });
        self.make_bounded(Reg::R3, Reg::R1, self.storage.strsize);
        self.keep(Reg::R3, span)
    }

    /// `strtok(s, delimiters)`: the rest of `s` is kept in two slots for `strtok(NULL, delimiters)`
    /// of the same firing, which without a string before it is a fault. Without a token left it is
    /// the null string. The slot of the length holds one more, and 0 where there is no string.
    ///
    /// ```text
    ///     n = run of delimiters at the start of the rest; m = run of other bytes behind it
    ///     token = copy of these m bytes;  rest = what is behind them
    /// ```
    pub(crate) fn strtok(
        &mut self,
        of: &Expr,
        delimiters: &Expr,
        on_null: OnNull,
        span: Span,
    ) -> Emitted<Str> {
        let start = self.slot(Fetched::TokenStart, span)?;
        let len = self.slot(Fetched::TokenLen, span)?;
        if of.ty == Type::String {
            let go_on = self.asm.label();
            self.scratch(Reg::R1, span)?;
            let before = self.fetched();
            let string = self.string_or(of, OnNull::Goto(go_on))?;
            for (slot, val, more) in [(start, &string.start, 0), (len, &string.len, 1)] {
                self.load(Reg::R0, val);
                self.asm.alu_imm(Alu::Add, Reg::R0, more);
                self.through_memory(Reg::R0, Reg::R1);
                self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            }
            self.give_string(string);
            self.asm.bind(go_on);
            self.fetched_only(&before);
        }
        let set = match self.constant_string(delimiters) {
            Some(bytes) => {
                let set = table(|byte| u8::from(bytes.contains(&byte)));
                Table::Constant(self.rodata.put(set))
            }
            None => {
                let delimiters = self.string(delimiters)?;
                self.table_of(&delimiters, span)?;
                self.give_string(delimiters);
                Table::BehindHeap
            }
        };
        self.scratch(Reg::R1, span)?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, start);
        self.through_memory(Reg::R0, Reg::R1);
        self.bound_start(Reg::R0);
        let start_val = self.keep(Reg::R0, span)?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, len);
        self.unlink(Reg::R0);
        let none = self.fault(Fault::BadAddress, &Val::Const(0));
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.make_bounded(Reg::R0, Reg::R1, self.storage.strsize);
        let len_val = self.keep(Reg::R0, span)?;
        let rest = Str {
            start: start_val,
            len: len_val,
        };
        let from = self.run_of(&rest, &Val::Const(0), set, true, span)?;
        let token = self.run_of(&rest, &from, set, false, span)?;
        self.keep_rest(&rest, &from, &token, (start, len));
        let null = self.null_label(on_null);
        let reg = self.reg(&token, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, reg, 0, null);
        self.load(Reg::R2, &token);
        let part = self.part(&rest, &from, span)?;
        for val in [from, token] {
            self.stack.give(val);
        }
        self.give_string(rest);
        Ok(part)
    }

    /// Stores what is left of `rest` behind a token: as in `DTrace` 2.0.7 from the delimiter on, which
    /// another call with other delimiters takes for a part of its token.
    ///
    /// ```text
    ///     start += from + token;  len -= from + token;  (len is stored as len + 1)
    /// ```
    fn keep_rest(&mut self, rest: &Str, from: &Val, token: &Val, (start, len): (i16, i16)) {
        self.load(Reg::R1, from);
        let reg = self.reg(token, Reg::R0);
        self.asm.alu(Alu::Add, Reg::R1, reg);
        self.load(Reg::R2, &rest.len);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R1);
        let reg = self.reg(&rest.start, Reg::R0);
        self.asm.alu(Alu::Add, Reg::R1, reg);
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        for (slot, reg) in [(start, Reg::R1), (len, Reg::R2)] {
            self.through_memory(reg, Reg::R3);
            self.asm.store(Size::Double, Reg::FP, slot, reg);
        }
    }

    /// Makes the table of a computed string's bytes behind the heap, where it stands until the next
    /// string is made.
    fn table_of(&mut self, string: &Str, span: Span) -> Emitted<()> {
        self.heap_reaches(TABLE);
        let zeros = self.rodata.put(vec![0; TABLE as usize]);
        let rodata = self.storage.rodata;
        self.copy_apart(Reg::R1, &string.len);
        let count = self.keep(Reg::R1, span)?;
        self.scratch(Reg::R1, span)?;
        self.table_behind_heap(Reg::R1);
        self.asm.mov_imm(Reg::R2, i64::from(TABLE));
        self.asm.map_value(Reg::R3, rodata, zeros);
        self.asm.call(Helper::ProbeReadKernel);
        self.heap_address_known(Reg::R1, &string.start);
        self.table_behind_heap(Reg::R4);
        self.load(Reg::R2, &count);
        self.for_each_byte(|e, done| {
            e.go_on_if(Cond::Gt, Reg::R2, Reg::R3, done);
            e.place_in_table();
            e.asm.store_imm(Size::Byte, Reg::R5, 0, 1);
        });
        self.stack.give(count);
        Ok(())
    }

    fn load_table(&mut self, dst: Reg, set: Table) {
        match set {
            Table::Constant(offset) => {
                let rodata = self.storage.rodata;
                self.asm.map_value(dst, rodata, offset);
            }
            Table::BehindHeap => self.table_behind_heap(dst),
        }
    }
}

/// Where a table is.
#[derive(Clone, Copy, Debug)]
enum Table {
    /// In the read-only data, at this offset.
    Constant(u32),
    /// Behind the heap.
    BehindHeap,
}
