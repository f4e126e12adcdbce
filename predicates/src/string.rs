//! String expressions.
//!
//! Every string that is computed is put on the *heap*: the part of the scratch behind the
//! record's fixed part, where strings of one firing stand back to back, each with its NUL. One
//! helper call copies a string there, cuts it to `strsize` and tells its length, so no code here
//! loops to find an end. A record that shows strings is then just its fixed part and the heap
//! behind it: nothing is copied twice.
//!
//! Strings from the traced program whose address cannot change in a firing are read once and
//! shared by all clauses. One that is only compared with a literal is read no further than that
//! takes, into the stack.

use dlang::diag::Span;
use dlang::program::{BinaryOp, Builtin, Expr, ExprKind, Subroutine};
use dlang::types::Type;

use crate::asm::Label;
use crate::condition::cond_of;
use crate::emit::{Emit, Emitted, Fault, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::int::internal;
use crate::python_layout::PythonText;
use crate::share::compared_with_literal;
use crate::stack::Val;

/// `strjoin(provider, lltostr(pid))`: a provider's name in the process that fires.
fn with_pid(provider: String, span: Span) -> Expr {
    let expr = |kind, ty| Expr { kind, ty, span };
    let pid = expr(ExprKind::Builtin(Builtin::Pid), Type::INT);
    let pid = expr(ExprKind::Cast(Box::new(pid)), Type::I64);
    let pid = expr(ExprKind::Call(Subroutine::Lltostr, vec![pid]), Type::String);
    let provider = expr(ExprKind::Str(provider.into_bytes()), Type::String);
    expr(
        ExprKind::Call(Subroutine::Strjoin, vec![provider, pid]),
        Type::String,
    )
}

/// What happens where a string is null.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OnNull {
    /// A fault: an invalid address.
    Fault,
    /// The code goes on here.
    Goto(Label),
}

/// A string on the heap.
#[derive(Debug)]
pub struct Str {
    /// Offset of its first byte in the heap.
    pub start: Val,
    /// Its length without the NUL.
    pub len: Val,
}

impl Emit<'_> {
    /// Computes a string expression; the null string is a fault.
    pub fn string(&mut self, expr: &Expr) -> Emitted<Str> {
        self.string_or(expr, OnNull::Fault)
    }

    /// Computes a string expression that may be null.
    pub(crate) fn string_or(&mut self, expr: &Expr, on_null: OnNull) -> Emitted<Str> {
        let span = expr.span;
        if expr.is_null_string() {
            return self.null_literal(on_null, span);
        }
        if let Some(bytes) = self.constant_string(expr) {
            return self.literal(bytes, span);
        }
        if let ExprKind::Builtin(builtin) = expr.kind
            && let Some(name) = self.shared_name(builtin, span)
        {
            return name;
        }
        match &expr.kind {
            ExprKind::Var(_) | ExprKind::Element(..) => self.read_string_variable(expr, on_null),
            ExprKind::Member { .. } | ExprKind::Index { .. } => self.read_string_part(expr),
            ExprKind::Builtin(Builtin::Execname) => self.execname(span),
            ExprKind::Builtin(Builtin::Pyfile) => self.python_function_text(PythonText::File, span),
            ExprKind::Builtin(Builtin::Pyfunc) => {
                self.python_function_text(PythonText::Function, span)
            }
            ExprKind::Builtin(Builtin::Pymodule) => self.python_module(span),
            ExprKind::Builtin(Builtin::Pythread) => self.python_thread(span),
            ExprKind::Builtin(Builtin::Pytask) => self.python_task(span),
            ExprKind::Builtin(Builtin::Pyqualname) => {
                self.python_function_text(PythonText::QualifiedName, span)
            }
            ExprKind::Builtin(Builtin::Probeprov) => {
                let provider = self.machine.provider.clone();
                self.string(&with_pid(provider, span))
            }
            ExprKind::Call(Subroutine::Copyinstr, args) => self.copyinstr(args, span),
            ExprKind::Call(Subroutine::DPath, args) => self.path_of_file(args, span),
            ExprKind::Call(Subroutine::Execargs, args) => self.execargs(args, span),
            ExprKind::Call(Subroutine::Strjoin, args) => self.strjoin(&args[0], &args[1], span),
            ExprKind::Call(subroutine @ (Subroutine::Pystr | Subroutine::Pytype), args) => {
                self.python_text(*subroutine, args, span)
            }
            ExprKind::Call(subroutine, args) => {
                self.string_subroutine(*subroutine, args, on_null, span)
            }
            ExprKind::Cast(of) if of.ty == Type::String => self.string_or(of, on_null),
            ExprKind::Cast(of) => self.stringof(of, span),
            ExprKind::Ternary(cond, a, b) => self.string_ternary(cond, a, b, on_null, span),
            ExprKind::Comma(first, second) => {
                self.effect(first)?;
                self.string_or(second, on_null)
            }
            ExprKind::Assign(None, target, value) => {
                self.assign_string(target, value)?;
                self.string_or(target, on_null)
            }
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Logic(..)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Deref(_)
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Recorded(_) => Err(internal(expr)),
        }
    }

    /// Gives a string's registers back; its bytes stay on the heap until the firing ends.
    pub fn give_string(&mut self, string: Str) {
        self.stack.give(string.start);
        self.stack.give(string.len);
    }

    /// A literal, copied to the heap.
    pub(crate) fn literal(&mut self, mut bytes: Vec<u8>, span: Span) -> Emitted<Str> {
        bytes.push(0);
        let offset = self.rodata.put(bytes);
        let rodata = self.storage.rodata;
        self.push_kernel_string(span, |e| {
            e.asm.map_value(Reg::R3, rodata, offset);
            Ok(())
        })
    }

    /// Copies a string in kernel memory to the heap; `source` brings its address to `r3`.
    pub(crate) fn push_kernel_string(
        &mut self,
        span: Span,
        source: impl FnOnce(&mut Self) -> Emitted<()>,
    ) -> Emitted<Str> {
        self.scratch(Reg::R1, span)?;
        source(self)?;
        self.asm.mov_imm(Reg::R2, i64::from(self.storage.strsize));
        self.push_kernel_bytes(span)
    }

    /// Copies to the heap what stands at `r3` up to a NUL: at most `r2` bytes with the NUL that
    /// ends the copy. The scratch has been fetched.
    pub(crate) fn push_kernel_bytes(&mut self, span: Span) -> Emitted<Str> {
        let start = self.heap_end(Reg::R1, span)?;
        self.asm.call(Helper::ProbeReadKernelStr);
        self.pushed(start, &Val::Const(0), span)
    }

    /// Reads a string of the traced program to the heap: at most `max` bytes, if given, the NUL
    /// that ends it among them.
    fn push_user_string(&mut self, address: &Val, max: Option<&Val>, span: Span) -> Emitted<Str> {
        let strsize = i64::from(self.storage.strsize);
        self.scratch(Reg::R1, span)?;
        let start = self.heap_end(Reg::R1, span)?;
        match max {
            None => self.asm.mov_imm(Reg::R2, strsize),
            Some(Val::Const(max)) if (0..strsize).contains(max) => {
                self.asm.mov_imm(Reg::R2, (*max).max(1));
            }
            Some(max) => {
                let (fits, some) = (self.asm.label(), self.asm.label());
                self.load(Reg::R2, max);
                self.asm
                    .jump_if_imm(Cond::Le, Reg::R2, imm(self.storage.strsize), fits);
                self.asm.mov_imm(Reg::R2, strsize);
                self.asm.bind(fits);
                self.asm.jump_if_imm(Cond::Ge, Reg::R2, 1, some);
                self.asm.mov_imm(Reg::R2, 1);
                self.asm.bind(some);
                self.make_bounded(Reg::R2, Reg::R3, self.storage.strsize + 1);
            }
        }
        self.load(Reg::R3, address);
        self.read_text(span)?;
        self.pushed(start, address, span)
    }

    /// After a helper has put a string at `start`, the end of the heap: checks its result in `r0`
    /// (bytes with the NUL, or an error) and takes the string into the heap.
    pub(crate) fn pushed(&mut self, start: Val, address: &Val, span: Span) -> Emitted<Str> {
        let bad = self.fault(Fault::BadAddress, address);
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, bad);
        self.heap_grows(self.storage.strsize);
        self.load(Reg::R1, &start);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.set_heap_used(Reg::R1, Reg::R2);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        let len = self.keep(Reg::R0, span)?;
        Ok(Str { start, len })
    }

    fn copyinstr(&mut self, args: &[Expr], span: Span) -> Emitted<Str> {
        let [address, max @ ..] = args else {
            return Err(Refusal {
                span,
                message: "copyinstr() needs an address".into(),
            });
        };
        if max.is_empty()
            && let Some((length, start, known)) = self.shared_string(address)?
        {
            return self.shared_copyinstr(address, length, start, known, span);
        }
        let source = self.int(address)?;
        let most = max.first().map(|max| self.int(max)).transpose()?;
        let string = self.push_user_string(&source, most.as_ref(), span)?;
        if let Some(most) = most {
            self.stack.give(most);
        }
        self.stack.give(source);
        Ok(string)
    }

    /// A string that this firing reads once: from its slots, or now.
    ///
    /// ```text
    ///     if (length == 0) { length = read; start = where; }
    /// ```
    fn shared_copyinstr(
        &mut self,
        address: &Expr,
        length: i16,
        start: i16,
        known: bool,
        span: Span,
    ) -> Emitted<Str> {
        if !known {
            let have = self.asm.label();
            // The scratch outside of the branch: what uses the string needs it either way.
            self.scratch(Reg::R1, span)?;
            self.asm.load(Size::Double, Reg::R0, Reg::FP, length);
            self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, have);
            let source = self.int(address)?;
            let read = self.push_user_string(&source, None, span)?;
            let reg = self.reg(&read.start, Reg::R1);
            self.asm.store(Size::Double, Reg::FP, start, reg);
            let reg = self.reg(&read.len, Reg::R0);
            self.asm.mov(Reg::R0, reg);
            self.asm.alu_imm(Alu::Add, Reg::R0, 1);
            self.asm.store(Size::Double, Reg::FP, length, Reg::R0);
            self.give_string(read);
            self.stack.give(source);
            self.asm.bind(have);
        }
        // What is in the slots is known here and unknown there: made the same for both.
        self.asm.load(Size::Double, Reg::R0, Reg::FP, length);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.make_bounded(Reg::R0, Reg::R1, self.storage.strsize);
        let len = self.keep(Reg::R0, span)?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, start);
        self.through_memory(Reg::R0, Reg::R1);
        self.bound_start(Reg::R0);
        let start = self.keep(Reg::R0, span)?;
        Ok(Str { start, len })
    }

    fn execname(&mut self, span: Span) -> Emitted<Str> {
        let comm = self.buffer(16, span)?;
        let string = self.push_kernel_string(span, |e| {
            e.stack_address(Reg::R1, comm);
            e.asm.mov_imm(Reg::R2, 16);
            e.asm.call(Helper::GetCurrentComm);
            e.stack_address(Reg::R3, comm);
            Ok(())
        });
        self.stack.give_buffer(comm, 16);
        string
    }

    /// `stringof(address)`: the bytes there up to a NUL. An array of `char` ends with its last byte
    /// at the latest where it is in a variable.
    fn stringof(&mut self, of: &Expr, span: Span) -> Emitted<Str> {
        if matches!(of.ty, Type::Array(..)) && !matches!(of.kind, ExprKind::Deref(_)) {
            self.scratch(Reg::R1, span)?;
            self.char_array(of)?;
            return self.push_kernel_bytes(span);
        }
        let pointer = if let ExprKind::Deref(address) = &of.kind
            && matches!(of.ty, Type::Array(..))
        {
            address
        } else {
            of
        };
        let space = pointer.ty.space();
        let address = self.int(pointer)?;
        self.scratch(Reg::R1, span)?;
        let start = self.heap_end(Reg::R1, span)?;
        self.asm.mov_imm(Reg::R2, i64::from(self.storage.strsize));
        self.load(Reg::R3, &address);
        self.read_memory(space, Helper::ProbeReadUserStr, Helper::ProbeReadKernelStr);
        let string = self.pushed(start, &address, span)?;
        self.stack.give(address);
        Ok(string)
    }

    fn string_ternary(
        &mut self,
        cond: &Expr,
        a: &Expr,
        b: &Expr,
        on_null: OnNull,
        span: Span,
    ) -> Emitted<Str> {
        let (no, done) = (self.asm.label(), self.asm.label());
        // The scratch before the branches, since both need it and what follows does.
        self.scratch(Reg::R1, span)?;
        let result = self.take_string(span)?;
        self.jump_when(cond, false, no)?;
        let before = self.fetched();
        for (branch, label, last) in [(a, no, false), (b, done, true)] {
            let string = self.string_or(branch, on_null)?;
            self.move_string(string, &result);
            if !last {
                self.asm.jump(done);
            }
            self.asm.bind(label);
            self.fetched_only(&before);
        }
        self.make_any_string(&result);
        Ok(result)
    }

    /// `strjoin(a, b)`: a copy of `a`, then `b` over its NUL, cut to `strsize` together.
    fn strjoin(&mut self, a: &Expr, b: &Expr, span: Span) -> Emitted<Str> {
        let left = self.string(a)?;
        let right = self.string(b)?;
        let alias = left.start.alias();
        let joined = self.push_kernel_string(span, |e| {
            e.heap_address_known(Reg::R3, &alias);
            Ok(())
        })?;
        self.give_string(left);
        let alias = right.start.alias();
        self.append(&joined, |e| e.heap_address_known(Reg::R3, &alias));
        self.give_string(right);
        Ok(joined)
    }

    /// Copies the string whose address `source` brings to `r3` over the NUL of the string that was
    /// made last, cut to `strsize` together. `source` may destroy `r0` and `r5`.
    pub(crate) fn append(&mut self, joined: &Str, source: impl FnOnce(&mut Self)) {
        let strsize = self.storage.strsize;
        // What is left of strsize bounds the second part, but the verifier does not know that it is
        // less the longer the first part is.
        self.heap_reaches(2 * strsize);
        source(self);
        self.heap_address_known(Reg::R1, &joined.start);
        self.load(Reg::R0, &joined.len);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.mov_imm(Reg::R2, i64::from(strsize));
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R0);
        self.asm.call(Helper::ProbeReadKernelStr);
        let bad = self.fault(Fault::BadAddress, &Val::Const(0));
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, bad);
        self.load(Reg::R1, &joined.len);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R1, -1);
        self.bound(Reg::R1, strsize);
        self.put(&joined.len, Reg::R1);
        self.load(Reg::R0, &joined.start);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.set_heap_used(Reg::R1, Reg::R2);
    }

    /// Jumps to `to` if the comparison of two strings is `when`.
    pub(crate) fn compare_strings(
        &mut self,
        expr: &Expr,
        op: BinaryOp,
        a: &Expr,
        b: &Expr,
        when: bool,
        to: Label,
    ) -> Emitted<()> {
        if self.may_be_null(a) || self.may_be_null(b) {
            return self.compare_with_nulls(expr.span, op, a, b, when, to);
        }
        let equality = matches!(op, BinaryOp::Equal | BinaryOp::NotEqual);
        let jump_if_equal = (op == BinaryOp::Equal) == when;
        if let Some((address, literal)) = compared_with_literal(expr, self)
            && !self.is_shared(address)
        {
            return self.compare_user_string(address, literal, jump_if_equal, to);
        }
        if equality {
            for (string, constant) in [(a, b), (b, a)] {
                if let Some(literal) = self.constant_string(constant) {
                    return self.compare_with_literal(string, literal, jump_if_equal, to);
                }
            }
        }
        let left = self.string(a)?;
        let right = self.string(b)?;
        self.difference(&left, &right, expr.span)?;
        self.give_string(left);
        self.give_string(right);
        let cond = cond_of(op, true);
        let cond = if when { cond } else { cond.negated() };
        self.asm.jump_if_imm(cond, Reg::R0, 0, to);
        Ok(())
    }

    /// Compares a user string that nothing else needs: reads just enough of it to the stack.
    fn compare_user_string(
        &mut self,
        address: &Expr,
        mut literal: Vec<u8>,
        jump_if_equal: bool,
        to: Label,
    ) -> Emitted<()> {
        let span = address.span;
        // One byte more than the literal and its NUL, so that a longer string shows.
        let size = i16::try_from(literal.len() + 2).expect("such literals are short");
        let room = (size + 7) & !7;
        let source = self.int(address)?;
        let buffer = self.buffer(room, span)?;
        self.stack_address(Reg::R1, buffer);
        self.asm.mov_imm(Reg::R2, i64::from(size));
        self.load(Reg::R3, &source);
        self.read_text(span)?;
        let bad = self.fault(Fault::BadAddress, &source);
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, bad);
        literal.push(0);
        self.match_bytes(Reg::FP, buffer, &literal, jump_if_equal, to);
        self.stack.give_buffer(buffer, room);
        self.stack.give(source);
        Ok(())
    }

    fn compare_with_literal(
        &mut self,
        string: &Expr,
        literal: Vec<u8>,
        jump_if_equal: bool,
        to: Label,
    ) -> Emitted<()> {
        let string = self.string(string)?;
        self.match_literal(string, literal, jump_if_equal, to);
        Ok(())
    }

    /// Jumps to `to` if a string is (or is not) a literal.
    pub(crate) fn match_literal(
        &mut self,
        string: Str,
        mut literal: Vec<u8>,
        jump_if_equal: bool,
        to: Label,
    ) {
        literal.push(0);
        self.heap_address_known(Reg::R0, &string.start);
        self.match_bytes(Reg::R0, 0, &literal, jump_if_equal, to);
        self.give_string(string);
    }

    /// Jumps to `to` if the bytes at `base + offset` are (or are not) `bytes`. Destroys `r1`, `r2`.
    pub(crate) fn match_bytes(
        &mut self,
        base: Reg,
        offset: i16,
        bytes: &[u8],
        jump_if_equal: bool,
        to: Label,
    ) {
        let different = if jump_if_equal { self.asm.label() } else { to };
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let bytes: u8 = match rest.len() {
                8.. => 8,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let (chunk, after) = rest.split_at(usize::from(bytes));
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let value = i64::from_le_bytes(word);
            self.asm.load(Size::of(bytes), Reg::R1, base, at);
            if let Ok(value) = i32::try_from(value) {
                self.asm.jump_if_imm(Cond::Ne, Reg::R1, value, different);
            } else {
                self.asm.mov_imm(Reg::R2, value);
                self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, different);
            }
            at += i16::from(bytes);
            rest = after;
        }
        if jump_if_equal {
            self.asm.jump(to);
            self.asm.bind(different);
        }
    }

    /// `r0 = difference of the first bytes that differ`, 0 for equal strings.
    ///
    /// Whole words first, up to one that differs or holds a NUL, then the bytes of that one. The
    /// loops are made as `scan` explains.
    pub(crate) fn difference(&mut self, a: &Str, b: &Str, span: Span) -> Emitted<()> {
        let strsize = self.storage.strsize;
        // The last word may reach beyond the end of the string, and its bytes are looked at once
        // more.
        self.heap_reaches(strsize + 16);
        let (words, bytes) = (self.asm.label(), self.asm.label());
        let (word, done) = (self.asm.label(), self.asm.label());
        self.heap_at(Reg::R1, &a.start, span)?;
        self.heap_address_known(Reg::R2, &b.start);
        self.asm.mov_imm(Reg::R3, 0);
        let kind = self.next_loop();
        self.turn(kind, (Reg::R3, strsize + 8), Reg::R0, (words, word));
        for (word, start) in [(Reg::R0, Reg::R1), (Reg::R4, Reg::R2)] {
            self.asm.mov(word, start);
            self.asm.alu(Alu::Add, word, Reg::R3);
            self.asm.load(Size::Double, word, word, 0);
        }
        self.go_on_if(Cond::Eq, Reg::R0, Reg::R4, word);
        // (x - 0x0101...) & ~x & 0x8080... is 0 when no byte of x is.
        self.asm.mov_imm(Reg::R5, 0x0101_0101_0101_0101);
        self.asm.alu(Alu::Sub, Reg::R4, Reg::R5);
        self.asm.alu_imm(Alu::Xor, Reg::R0, -1);
        self.asm.alu(Alu::And, Reg::R4, Reg::R0);
        self.asm.alu_imm(Alu::Lsh, Reg::R5, 7);
        self.asm.alu(Alu::And, Reg::R4, Reg::R5);
        self.go_on_if_imm(Cond::Eq, Reg::R4, 0, word);
        self.next_turn(kind, (Reg::R3, 8, strsize), words);
        self.asm.bind(word);
        self.make_bounded(Reg::R3, Reg::R1, strsize + 8);
        for (pointer, string) in [(Reg::R1, a), (Reg::R2, b)] {
            self.heap_address_known(pointer, &string.start);
            self.asm.alu(Alu::Add, pointer, Reg::R3);
        }
        self.asm.mov_imm(Reg::R3, 0);
        self.asm.bind(bytes);
        self.asm.load(Size::Byte, Reg::R5, Reg::R1, 0);
        self.asm.load(Size::Byte, Reg::R4, Reg::R2, 0);
        self.asm.mov(Reg::R0, Reg::R5);
        self.asm.alu(Alu::Sub, Reg::R0, Reg::R4);
        self.go_on_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.go_on_if_imm(Cond::Ne, Reg::R5, 0, done);
        for reg in [Reg::R1, Reg::R2, Reg::R3] {
            self.asm.alu_imm(Alu::Add, reg, 1);
        }
        self.asm.jump_if_imm(Cond::Lt, Reg::R3, 8, bytes);
        self.asm.bind(done);
        self.through_memory(Reg::R0, Reg::R1);
        Ok(())
    }
}
