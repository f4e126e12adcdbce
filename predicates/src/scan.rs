//! Subroutines that look into strings; their meaning is defined by `dlang::strings`.
//!
//! The loops are bounded by `strsize` and end with the string, so a short string costs little.
//! The verifier follows every way out of every turn. Hence, beside what `join` says, in all loops
//! here:
//!
//! * the turn is counted in a register that starts at a constant;
//! * an address is the string's start, which stays the same, plus a number;
//! * the result is made one unknown number behind the loop, so that it is not one case per turn;
//! * what a turn compares is no plain copy of a value that lives on ([`Emit::copy_apart`]), or
//!   the verifier would know that value in every case, too.
//!
//! A part that runs to the end of its string shares the string's bytes; others are copied.

use dlang::diag::Span;
use dlang::eval::Value;
use dlang::program::{Expr, Subroutine};
use dlang::types::Int;

use crate::emit::{Emit, Emitted, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::join::Loop;
use crate::null::OnNull;
use crate::stack::Val;
use crate::string::Str;

/// `/`, which separates the components of a path.
const SLASH: Val = Val::Const(b'/' as i64);

/// The most characters of a number: a sign or prefix, and 64 binary digits.
const DIGITS: i16 = 72;
/// Where 64 digits and the NUL begin in them.
const FIRST_DIGIT: i32 = DIGITS as i32 - 65;

impl Emit<'_> {
    /// A subroutine that gives a string.
    pub(crate) fn string_subroutine(
        &mut self,
        subroutine: Subroutine,
        args: &[Expr],
        on_null: OnNull,
        span: Span,
    ) -> Emitted<Str> {
        match (subroutine, args) {
            (Subroutine::Basename, [path]) => self.basename(path, span),
            (Subroutine::Dirname, [path]) => self.dirname(path, span),
            (Subroutine::Strchr, [of, byte]) => self.strchr(of, byte, on_null, span),
            (Subroutine::Strrchr, [of, byte]) => self.strrchr(of, byte, on_null, span),
            (Subroutine::Strstr, [of, sub]) => self.strstr(of, sub, on_null, span),
            (Subroutine::Substr, [of, index, length @ ..]) => {
                self.substr(of, index, length.first(), span)
            }
            (Subroutine::Lltostr, [value, base @ ..]) => self.lltostr(value, base.first(), span),
            (Subroutine::Toupper, [of]) => {
                self.with_letters(of, |byte| byte.to_ascii_uppercase(), span)
            }
            (Subroutine::Tolower, [of]) => {
                self.with_letters(of, |byte| byte.to_ascii_lowercase(), span)
            }
            (Subroutine::Strtok, [of, delimiters]) => self.strtok(of, delimiters, on_null, span),
            (Subroutine::Cleanpath, [path]) => self.cleanpath(path, span),
            (Subroutine::InetNtoa, [address]) => self.inet_ntoa(address, span),
            (Subroutine::InetNtoa6, [high, low]) => self.inet_ntoa6((high, low), span),
            (Subroutine::LinkNtop, words) => self.link_ntop(words, span),
            (Subroutine::Json, [text, path]) => self.json(text, path, span),
            _ => Err(unknown(subroutine, span)),
        }
    }

    /// A subroutine that gives an integer.
    pub(crate) fn int_subroutine(
        &mut self,
        subroutine: Subroutine,
        args: &[Expr],
        span: Span,
    ) -> Emitted<Val> {
        match (subroutine, args) {
            (Subroutine::Strlen, [of]) => {
                let string = self.string(of)?;
                self.stack.give(string.start);
                Ok(string.len)
            }
            (Subroutine::Index, [of, sub, start @ ..]) => self.index(of, sub, start.first(), span),
            (Subroutine::Rindex, [of, sub, start @ ..]) => {
                self.rindex(of, sub, start.first(), span)
            }
            (Subroutine::Strtoll, [of, base @ ..]) => self.strtoll(of, base.first(), span),
            (Subroutine::Rand, []) => self.rand(span),
            (Subroutine::Progenyof, [pid]) => self.progenyof(pid, span),
            (Subroutine::Contention, [lock, part]) => self.contention(lock, part, span),
            (Subroutine::Getmajor | Subroutine::Getminor, [of]) => {
                self.device_part(subroutine, of, span)
            }
            (Subroutine::Htons | Subroutine::Ntohs, [of]) => self.swapped(of, 16, span),
            (Subroutine::Htonl | Subroutine::Ntohl, [of]) => self.swapped(of, 32, span),
            (Subroutine::Htonll | Subroutine::Ntohll, [of]) => self.swapped(of, 64, span),
            _ => Err(unknown(subroutine, span)),
        }
    }

    /// Byte `index` of a string, 0 where it has none.
    ///
    /// ```text
    ///     slot = 0;
    ///     if (index < len) slot = *(char *)(heap + start + index);
    /// ```
    pub(crate) fn byte_of(&mut self, of: &Expr, index: &Expr, span: Span) -> Emitted<Val> {
        let string = self.string(of)?;
        let index = self.int(index)?;
        let slot = self.buffer(8, span)?;
        let beyond = self.asm.label();
        self.asm.store_imm(Size::Double, Reg::FP, slot, 0);
        self.load(Reg::R0, &index);
        let len = self.reg(&string.len, Reg::R1);
        self.asm.jump_if(Cond::Ge, Reg::R0, len, beyond);
        let start = self.reg(&string.start, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R0, start);
        self.bound_start(Reg::R0);
        self.asm.mov(Reg::R4, Reg::R0);
        self.scratch_known(Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R3, imm(self.storage.heap));
        self.asm.alu(Alu::Add, Reg::R3, Reg::R4);
        self.stack_address(Reg::R1, slot);
        self.asm.mov_imm(Reg::R2, 1);
        self.asm.call(Helper::ProbeReadKernel);
        self.asm.bind(beyond);
        self.load_int(Reg::R0, Reg::FP, slot, Int::I8);
        self.stack.give_buffer(slot, 8);
        self.stack.give(index);
        self.give_string(string);
        self.keep(Reg::R0, span)
    }

    /// `basename(path)`: what stands behind the last slash, trailing ones left off.
    fn basename(&mut self, path: &Expr, span: Span) -> Emitted<Str> {
        let string = self.string(path)?;
        let end = self.seek_back(&string, &string.len, &SLASH, true, span)?;
        let start = self.seek_back(&string, &end, &SLASH, false, span)?;
        let result = self.take_string(span)?;
        let (root, cut, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        let reg = self.reg(&end, Reg::R1);
        self.asm.jump_if_imm(Cond::Eq, reg, 0, root);
        // Without trailing slashes, as nearly always, it is the end of the path itself.
        let len = self.reg(&string.len, Reg::R2);
        self.asm.jump_if(Cond::Ne, reg, len, cut);
        self.load(Reg::R0, &start);
        self.asm.alu(Alu::Sub, reg, Reg::R0);
        self.put(&result.len, reg);
        let whole = self.reg(&string.start, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R0, whole);
        self.put(&result.start, Reg::R0);
        self.asm.jump(done);
        self.asm.bind(cut);
        let reg = self.reg(&end, Reg::R2);
        self.asm.mov(Reg::R2, reg);
        let reg = self.reg(&start, Reg::R1);
        self.asm.alu(Alu::Sub, Reg::R2, reg);
        let part = self.part(&string, &start, span)?;
        self.move_string(part, &result);
        self.asm.jump(done);
        self.asm.bind(root);
        self.root_or_dot(&string, &result, span)?;
        self.asm.bind(done);
        self.make_any_string(&result);
        self.stack.give(end);
        self.stack.give(start);
        self.give_string(string);
        Ok(result)
    }

    /// `dirname(path)`: what stands before the last component and the slashes there.
    fn dirname(&mut self, path: &Expr, span: Span) -> Emitted<Str> {
        let string = self.string(path)?;
        let end = self.seek_back(&string, &string.len, &SLASH, true, span)?;
        let start = self.seek_back(&string, &end, &SLASH, false, span)?;
        let stop = self.seek_back(&string, &start, &SLASH, true, span)?;
        let result = self.take_string(span)?;
        let (root, dot, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        for (val, label) in [(&end, root), (&start, dot)] {
            let reg = self.reg(val, Reg::R1);
            self.asm.jump_if_imm(Cond::Eq, reg, 0, label);
        }
        let slash = self.asm.label();
        let reg = self.reg(&stop, Reg::R2);
        self.asm.jump_if_imm(Cond::Eq, reg, 0, slash);
        self.asm.mov(Reg::R2, reg);
        let part = self.part(&string, &Val::Const(0), span)?;
        self.move_string(part, &result);
        self.asm.jump(done);
        self.asm.bind(root);
        self.root_or_dot(&string, &result, span)?;
        self.asm.jump(done);
        for (label, text) in [(slash, b"/"), (dot, b".")] {
            self.asm.bind(label);
            let text = self.literal(text.to_vec(), span)?;
            self.move_string(text, &result);
            self.asm.jump(done);
        }
        self.asm.bind(done);
        self.make_any_string(&result);
        for val in [end, start, stop] {
            self.stack.give(val);
        }
        self.give_string(string);
        Ok(result)
    }

    /// What `basename` and `dirname` give for a path of slashes only, or of nothing.
    fn root_or_dot(&mut self, path: &Str, result: &Str, span: Span) -> Emitted<()> {
        let (empty, done) = (self.asm.label(), self.asm.label());
        let reg = self.reg(&path.len, Reg::R1);
        self.asm.jump_if_imm(Cond::Eq, reg, 0, empty);
        let slash = self.literal(b"/".to_vec(), span)?;
        self.move_string(slash, result);
        self.asm.jump(done);
        self.asm.bind(empty);
        let dot = self.literal(b".".to_vec(), span)?;
        self.move_string(dot, result);
        self.asm.bind(done);
        Ok(())
    }

    fn strchr(&mut self, of: &Expr, byte: &Expr, on_null: OnNull, span: Span) -> Emitted<Str> {
        let string = self.string(of)?;
        let byte = self.int(byte)?;
        let at = self.seek(&string, &byte, span)?;
        self.stack.give(byte);
        let null = self.null_label(on_null);
        let reg = self.reg(&at, Reg::R1);
        let len = self.reg(&string.len, Reg::R2);
        self.asm.jump_if(Cond::Ge, reg, len, null);
        self.suffix(string, at, span)
    }

    fn strrchr(&mut self, of: &Expr, byte: &Expr, on_null: OnNull, span: Span) -> Emitted<Str> {
        let string = self.string(of)?;
        let byte = self.int(byte)?;
        let behind = self.seek_back(&string, &string.len, &byte, false, span)?;
        self.stack.give(byte);
        let null = self.null_label(on_null);
        let reg = self.reg(&behind, Reg::R1);
        self.asm.jump_if_imm(Cond::Eq, reg, 0, null);
        self.asm.alu_imm(Alu::Add, reg, -1);
        self.make_bounded(reg, Reg::R2, self.storage.strsize);
        self.put(&behind, reg);
        self.suffix(string, behind, span)
    }

    /// `substr(s, index[, length])`.
    ///
    /// ```text
    ///     if (index < 0) { index += len; if (index < 0 && index + length > 0) { length += index; index = 0; } }
    ///     if (index >= len, unsigned) index = length = 0;
    ///     if (length < 0) length += len - index;
    ///     if (length < 0) length = 0;
    ///     if (length > len - index) length = len - index;
    /// ```
    fn substr(
        &mut self,
        of: &Expr,
        index: &Expr,
        length: Option<&Expr>,
        span: Span,
    ) -> Emitted<Str> {
        let string = self.string(of)?;
        let index = self.int(index)?;
        let length = length.map_or(Ok(Val::Const(i64::MAX)), |length| self.int(length))?;
        let (len, at, count) = (Reg::R1, Reg::R2, Reg::R3);
        self.load(len, &string.len);
        self.load(at, &index);
        self.load(count, &length);
        let (before, inside, positive) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.jump_if_imm(Cond::SGe, at, 0, before);
        self.asm.alu(Alu::Add, at, len);
        self.asm.jump_if_imm(Cond::SGe, at, 0, before);
        // A negative length leaves nothing here; adding it might overflow.
        self.asm.jump_if_imm(Cond::SLt, count, 0, before);
        self.asm.alu(Alu::Add, count, at);
        self.asm.jump_if_imm(Cond::SLe, count, 0, before);
        self.asm.mov_imm(at, 0);
        self.asm.bind(before);
        self.asm.jump_if(Cond::Lt, at, len, inside);
        self.asm.mov(at, len);
        self.asm.mov_imm(count, 0);
        self.asm.bind(inside);
        self.asm.alu(Alu::Sub, len, at); // what there is behind `at`
        self.asm.jump_if_imm(Cond::SGe, count, 0, positive);
        self.asm.alu(Alu::Add, count, len);
        self.asm.jump_if_imm(Cond::SGe, count, 0, positive);
        self.asm.mov_imm(count, 0);
        self.asm.bind(positive);
        let fits = self.asm.label();
        self.asm.jump_if(Cond::Le, count, len, fits);
        self.asm.mov(count, len);
        self.asm.bind(fits);
        for reg in [at, count] {
            self.make_bounded(reg, Reg::R0, self.storage.strsize);
        }
        self.stack.give(index);
        let whole = length == Val::Const(i64::MAX);
        self.stack.give(length);
        let start = self.keep(at, span)?;
        if whole {
            return self.suffix(string, start, span);
        }
        self.asm.mov(Reg::R2, count);
        let part = self.part(&string, &start, span)?;
        self.stack.give(start);
        self.give_string(string);
        Ok(part)
    }

    /// `lltostr(value[, base])`: the digits are put down from the last one on.
    fn lltostr(&mut self, value: &Expr, base: Option<&Expr>, span: Span) -> Emitted<Str> {
        let base = match base.map(|base| self.constant(base)) {
            None => 10,
            Some(Some(Value::Int(base @ 2..=36))) => u32::from(base.to_le_bytes()[0]),
            // `check` takes no other base.
            Some(_) => return Err(unknown(Subroutine::Lltostr, span)),
        };
        let value = self.int(value)?;
        let buffer = self.buffer(DIGITS, span)?;
        // r1 = address of the last character put, r2 = rest, r3 = r1's place in the buffer
        self.scratch(Reg::R1, span)?;
        self.stack_address(Reg::R1, buffer);
        self.asm.alu_imm(Alu::Add, Reg::R1, i32::from(DIGITS) - 1);
        self.asm.store_imm(Size::Byte, Reg::R1, 0, 0);
        self.load(Reg::R2, &value);
        if base == 10 {
            let positive = self.asm.label();
            self.asm.jump_if_imm(Cond::SGe, Reg::R2, 0, positive);
            self.asm.alu_imm(Alu::Neg, Reg::R2, 0);
            self.asm.bind(positive);
        }
        self.asm.mov_imm(Reg::R3, i64::from(DIGITS) - 1);
        let (again, done) = (self.asm.label(), self.asm.label());
        self.asm.bind(again);
        let digit = Reg::R5;
        self.asm.mov(digit, Reg::R2);
        self.asm.alu_imm(Alu::Mod, digit, imm(base));
        self.asm.alu_imm(Alu::Div, Reg::R2, imm(base));
        if base > 10 {
            // 'a' - 10 - '0' more from 10 on: the difference's sign makes the mask.
            self.asm.mov(Reg::R0, digit);
            self.asm.alu_imm(Alu::Add, Reg::R0, -10);
            self.asm.alu_imm(Alu::Arsh, Reg::R0, 63);
            self.asm.alu_imm(Alu::Xor, Reg::R0, -1);
            self.asm
                .alu_imm(Alu::And, Reg::R0, i32::from(b'a' - 10 - b'0'));
            self.asm.alu(Alu::Add, digit, Reg::R0);
        }
        self.asm.alu_imm(Alu::Add, digit, i32::from(b'0'));
        self.put_character(digit);
        self.go_on_if_imm(Cond::Ne, Reg::R2, 0, done);
        self.asm.jump_if_imm(Cond::Gt, Reg::R3, FIRST_DIGIT, again);
        self.asm.bind(done);
        self.make_bounded(Reg::R3, Reg::R1, DIGITS.unsigned_abs().into());
        self.asm
            .jump_if_imm(Cond::Lt, Reg::R3, FIRST_DIGIT, self.give_up);
        self.stack_address(Reg::R1, buffer);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R3);
        let (prefix, plain): (&[u8], _) = match base {
            8 => (b"0", (Cond::Eq, 0)),
            10 => (b"-", (Cond::SGe, 0)),
            16 => (b"x0", (Cond::Eq, 1)),
            _ => (b"", (Cond::Eq, 0)),
        };
        let bare = self.asm.label();
        // `0x0` has its prefix, `0` in base 8 has none, and only negative decimals have a sign.
        if base != 16 && !prefix.is_empty() {
            self.load(Reg::R4, &value);
            self.asm.jump_if_imm(plain.0, Reg::R4, plain.1, bare);
        }
        for &character in prefix {
            self.asm.mov_imm(Reg::R5, i64::from(character));
            self.put_character(Reg::R5);
        }
        self.asm.bind(bare);
        self.make_bounded(Reg::R3, Reg::R1, DIGITS.unsigned_abs().into());
        let at = self.keep(Reg::R3, span)?;
        let text = self.push_kernel_string(span, |e| {
            e.stack_address(Reg::R3, buffer);
            let at = e.reg(&at, Reg::R0);
            e.asm.alu(Alu::Add, Reg::R3, at);
            Ok(())
        })?;
        self.stack.give(at);
        self.stack.give_buffer(buffer, DIGITS);
        self.stack.give(value);
        Ok(text)
    }

    /// One character more before those that are there; `r1` and `r3` move on.
    fn put_character(&mut self, character: Reg) {
        self.asm.alu_imm(Alu::Add, Reg::R1, -1);
        self.asm.alu_imm(Alu::Add, Reg::R3, -1);
        self.asm.store(Size::Byte, Reg::R1, 0, character);
    }

    /// Where `byte` first stands in a string; its length when it does not.
    fn seek(&mut self, string: &Str, byte: &Val, span: Span) -> Emitted<Val> {
        let (again, done) = (self.asm.label(), self.asm.label());
        self.heap_at(Reg::R1, &string.start, span)?;
        self.copy_apart(Reg::R2, &string.len);
        self.load(Reg::R4, byte);
        self.asm.alu_imm(Alu::And, Reg::R4, 0xff);
        self.asm.mov_imm(Reg::R3, 0);
        let (kind, strsize) = (self.next_loop(), self.storage.strsize);
        self.turn(kind, (Reg::R3, strsize), Reg::R0, (again, done));
        self.go_on_if(Cond::Gt, Reg::R2, Reg::R3, done);
        self.asm.mov(Reg::R5, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R3);
        self.asm.load(Size::Byte, Reg::R0, Reg::R5, 0);
        self.go_on_if(Cond::Ne, Reg::R0, Reg::R4, done);
        self.next_turn(kind, (Reg::R3, 1, strsize), again);
        self.asm.bind(done);
        self.make_bounded(Reg::R3, Reg::R1, self.storage.strsize);
        self.keep(Reg::R3, span)
    }

    /// How much of the first `from` bytes remains when all bytes at their end are left off that
    /// are (`equal`) or are not `byte`.
    fn seek_back(
        &mut self,
        string: &Str,
        from: &Val,
        byte: &Val,
        equal: bool,
        span: Span,
    ) -> Emitted<Val> {
        let (again, done) = (self.asm.label(), self.asm.label());
        self.heap_at(Reg::R1, &string.start, span)?;
        self.copy_apart(Reg::R2, from);
        self.bound(Reg::R2, self.storage.strsize);
        self.load(Reg::R4, byte);
        self.asm.alu_imm(Alu::And, Reg::R4, 0xff);
        self.asm.mov_imm(Reg::R3, 0);
        let (kind, strsize) = (self.next_loop(), self.storage.strsize);
        self.turn(kind, (Reg::R2, strsize), Reg::R0, (again, done));
        self.go_on_if_imm(Cond::Ge, Reg::R2, 1, done);
        self.asm.mov(Reg::R5, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R2);
        self.asm.load(Size::Byte, Reg::R0, Reg::R5, -1);
        let cond = if equal { Cond::Eq } else { Cond::Ne };
        self.go_on_if(cond, Reg::R0, Reg::R4, done);
        self.asm.alu_imm(Alu::Add, Reg::R2, -1);
        match kind {
            Loop::Closed => self.next_turn(kind, (Reg::R3, 1, strsize), again),
            Loop::Open => self.asm.jump(again),
        }
        self.asm.bind(done);
        self.make_bounded(Reg::R2, Reg::R1, self.storage.strsize);
        self.keep(Reg::R2, span)
    }

    /// `dst = val` by an addition: of plain copies the verifier knows that they are equal.
    pub(crate) fn copy_apart(&mut self, dst: Reg, val: &Val) {
        let spare = if dst == Reg::R0 { Reg::R5 } else { Reg::R0 };
        let val = self.reg(val, spare);
        self.asm.mov_imm(dst, 0);
        self.asm.alu(Alu::Add, dst, val);
    }

    /// The string from byte `at` on, which shares the bytes.
    pub(crate) fn suffix(&mut self, string: Str, at: Val, span: Span) -> Emitted<Str> {
        let start = self.modify(string.start, span, |e, reg| {
            let at = e.reg(&at, Reg::R1);
            e.asm.alu(Alu::Add, reg, at);
            e.bound_start(reg);
        })?;
        let len = self.modify(string.len, span, |e, reg| {
            let at = e.reg(&at, Reg::R1);
            e.asm.alu(Alu::Sub, reg, at);
            e.bound(reg, e.storage.strsize);
        })?;
        self.stack.give(at);
        Ok(Str { start, len })
    }

    /// A copy of `r2` bytes of a string from byte `at` on.
    pub(crate) fn part(&mut self, string: &Str, at: &Val, span: Span) -> Emitted<Str> {
        self.make_bounded(Reg::R2, Reg::R3, self.storage.strsize);
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        self.heap_address_known(Reg::R3, &string.start);
        let at = self.reg(at, Reg::R5);
        self.asm.alu(Alu::Add, Reg::R3, at);
        self.push_kernel_bytes(span)
    }

    /// A place for a string that several ways lead to.
    pub(crate) fn take_string(&mut self, span: Span) -> Emitted<Str> {
        Ok(Str {
            start: self.take(span)?,
            len: self.take(span)?,
        })
    }

    /// `to = from`, and gives `from` back.
    pub(crate) fn move_string(&mut self, from: Str, to: &Str) {
        let reg = self.reg(&from.start, Reg::R0);
        self.put(&to.start, reg);
        let reg = self.reg(&from.len, Reg::R0);
        self.put(&to.len, reg);
        self.give_string(from);
    }
}

/// For calls that `check` lets nobody write.
pub(crate) fn unknown(subroutine: Subroutine, span: Span) -> Refusal {
    Refusal {
        span,
        message: format!("{subroutine:?} is not possible here"),
    }
}
