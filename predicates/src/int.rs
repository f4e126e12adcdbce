//! Integer expressions.
//!
//! Every integer is computed in 64 bits, as in DTrace: an operator needs no cut to its type, and
//! widening costs nothing. A value is cut to a type, and extended again by its sign, where it is
//! stored in a variable or key and where a cast says so ([`Expr::fits`] tells where that changes
//! nothing).

use dlang::diag::Span;
use dlang::eval::Value;
use dlang::program::{BinaryOp, Builtin, Expr, ExprKind, Subroutine, UnaryOp};
use dlang::types::{Int, Type};

use crate::emit::{Argument, Emit, Emitted, Fault, Refusal};
use crate::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use crate::python_frames::exception::Raised;
use crate::python_frames::stack::Chain;
use crate::stack::Val;
use crate::storage::{Place, own_globals};

impl Emit<'_> {
    /// Computes an integer or pointer expression.
    pub fn int(&mut self, expr: &Expr) -> Emitted<Val> {
        if let Some(Value::Int(value)) = self.constant(expr) {
            return Ok(Val::Const(value));
        }
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int(value) => Ok(Val::Const(*value)),
            ExprKind::Var(_) | ExprKind::Element(..) => {
                let place = self.open(expr)?;
                let val = self.read_place(&place, type_of(expr)?, span)?;
                self.close(place);
                Ok(val)
            }
            ExprKind::Builtin(builtin) => self.builtin(*builtin, span),
            ExprKind::Arg(n) => self.argument(*n, None, span),
            ExprKind::TypedArg(n) => self.argument(*n, Some(&expr.ty), span),
            ExprKind::Unary(UnaryOp::Not, _) | ExprKind::Logic(..) => self.condition(expr),
            ExprKind::Unary(op, of) => self.unary(*op, of, span),
            ExprKind::Binary(op, a, b) => match alu_of(*op) {
                Some(_) => self.arithmetic(*op, a, b, span),
                None => self.condition(expr),
            },
            ExprKind::Ternary(cond, then, otherwise) => self.ternary(cond, then, otherwise, span),
            ExprKind::Assign(op, target, value) => self.assign_int(*op, target, value, true),
            ExprKind::Step { target, by, post } => self.step(target, *by, Some(*post)),
            ExprKind::Cast(of) => self.cast(of, expr),
            ExprKind::Deref(address) => self.deref(address, type_of(expr)?, span),
            ExprKind::Member { .. } | ExprKind::Index { .. } => {
                let part = self.open_part(expr)?;
                let val = self.read_part(&part, type_of(expr)?, span)?;
                self.close_part(part);
                Ok(val)
            }
            ExprKind::AddressOf(of) => self.address_of(of, span),
            ExprKind::BitField { of, first, bits } => {
                let val = self.int(of)?;
                let int = type_of(expr)?;
                self.modify(val, span, |e, reg| {
                    e.asm.alu_imm(Alu::Lsh, reg, 64 - i32::from(first + bits));
                    let op = if int.signed { Alu::Arsh } else { Alu::Rsh };
                    e.asm.alu_imm(op, reg, 64 - i32::from(*bits));
                })
            }
            ExprKind::Byte(of, index) => self.byte_of(of, index, span),
            ExprKind::Call(Subroutine::Copyin, args) => self.copyin(args, span),
            ExprKind::Call(Subroutine::Uregs, args) => self.user_register(args, span),
            ExprKind::Call(Subroutine::Speculation, _) => self.speculation(span),
            ExprKind::Call(Subroutine::Alloca, args) => self.alloca(args, span),
            ExprKind::Call(subroutine @ (Subroutine::Pyarg | Subroutine::Pylocal), args) => {
                self.python_variable(*subroutine, args, span)
            }
            ExprKind::Call(subroutine @ (Subroutine::Pyattr | Subroutine::Pyself), args) => {
                self.python_attribute(*subroutine, args, span)
            }
            ExprKind::Call(Subroutine::Pyaudit, args) => self.audit_argument(args, span),
            ExprKind::Call(
                subroutine @ (Subroutine::Pyint | Subroutine::Pyfloat | Subroutine::Pylen),
                args,
            ) => self.python_number(*subroutine, args, span),
            ExprKind::Call(Subroutine::Stack, args) => self.kernel_stack(args.first(), span),
            ExprKind::Call(Subroutine::Ustack, args) => self.user_stack(args.first(), span),
            ExprKind::Call(Subroutine::Pystack, args) => {
                self.python_stack(args.first(), Chain::Calls, span)
            }
            ExprKind::Call(Subroutine::PystackAsync, args) => {
                self.python_stack(args.first(), Chain::Awaits, span)
            }
            ExprKind::Call(subroutine, args) => self.int_subroutine(*subroutine, args, span),
            ExprKind::Comma(first, second) => {
                self.effect(first)?;
                self.int(second)
            }
            ExprKind::Str(_) | ExprKind::Recorded(_) => Err(internal(expr)),
        }
    }

    /// Runs an expression for its effect only.
    pub fn effect(&mut self, expr: &Expr) -> Emitted<()> {
        match &expr.kind {
            ExprKind::Assign(_, target, value) if target.ty == Type::String => {
                self.assign_string(target, value)
            }
            ExprKind::Assign(_, target, value) if matches!(target.ty, Type::Struct(_)) => {
                self.assign_struct(target, value)
            }
            ExprKind::Assign(op, target, value) => {
                let val = self.assign_int(*op, target, value, false)?;
                self.stack.give(val);
                Ok(())
            }
            ExprKind::Step { target, by, .. } => {
                let val = self.step(target, *by, None)?;
                self.stack.give(val);
                Ok(())
            }
            ExprKind::Comma(first, second) => {
                self.effect(first)?;
                self.effect(second)
            }
            ExprKind::Call(Subroutine::Copyinto, args) => self.copyinto(args, expr.span),
            ExprKind::Call(Subroutine::Bcopy, args) => self.bcopy(args, expr.span),
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Logic(..)
            | ExprKind::Ternary(..)
            | ExprKind::Cast(_)
            | ExprKind::Deref(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Call(..)
            | ExprKind::Recorded(_) => self.value_unused(expr),
        }
    }

    /// Evaluates an expression that has no effect but a possible fault.
    fn value_unused(&mut self, expr: &Expr) -> Emitted<()> {
        match expr.ty {
            Type::Void => Ok(()),
            Type::String => {
                // As in DTrace the bytes at an address are read where they are used.
                if let ExprKind::Cast(of) = &expr.kind
                    && of.ty.is_scalar()
                {
                    return self.effect(of);
                }
                if self.constant(expr).is_none() {
                    let string = self.string(expr)?;
                    self.give_string(string);
                }
                Ok(())
            }
            Type::Int(_)
            | Type::Float(_)
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_) => {
                let val = self.int(expr)?;
                self.stack.give(val);
                Ok(())
            }
        }
    }

    /// Changes a value in a register: loads it, runs `change`, stores it back.
    pub(crate) fn modify(
        &mut self,
        val: Val,
        span: Span,
        change: impl FnOnce(&mut Self, Reg),
    ) -> Emitted<Val> {
        let val = if matches!(val, Val::Const(_)) {
            self.load(Reg::R0, &val);
            self.keep(Reg::R0, span)?
        } else {
            val
        };
        let reg = self.reg(&val, Reg::R0);
        change(self, reg);
        self.put(&val, reg);
        Ok(val)
    }

    /// Cuts the value in `reg` to `int` and extends it again to 64 bits.
    pub(crate) fn wrap(&mut self, reg: Reg, int: Int) {
        let bits = 64 - 8 * i32::from(int.size);
        if bits > 0 {
            self.asm.alu_imm(Alu::Lsh, reg, bits);
            self.asm
                .alu_imm(if int.signed { Alu::Arsh } else { Alu::Rsh }, reg, bits);
        }
    }

    /// `dst = *(int *)(base + offset)`, extended to 64 bits.
    pub(crate) fn load_int(&mut self, dst: Reg, base: Reg, offset: i16, int: Int) {
        self.asm.load(Size::of(int.size), dst, base, offset);
        if int.signed {
            self.wrap(dst, int);
        }
    }

    fn builtin(&mut self, builtin: Builtin, span: Span) -> Emitted<Val> {
        match builtin {
            Builtin::Pid => {
                self.pid_tgid(Reg::R0, span)?;
                self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
            }
            Builtin::Tid => {
                self.pid_tgid(Reg::R0, span)?;
                self.wrap(Reg::R0, Int::U32);
            }
            Builtin::Uid => {
                self.uid_gid(Reg::R0, span)?;
                self.wrap(Reg::R0, Int::U32);
            }
            Builtin::Gid => {
                self.uid_gid(Reg::R0, span)?;
                self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
            }
            Builtin::Timestamp => self.timestamp(Reg::R0, span)?,
            Builtin::Walltimestamp => {
                self.timestamp(Reg::R0, span)?;
                let globals = self.storage.globals;
                self.asm
                    .map_value(Reg::R1, globals, own_globals::WALL_OFFSET);
                self.asm.load(Size::Double, Reg::R1, Reg::R1, 0);
                self.asm.alu(Alu::Add, Reg::R0, Reg::R1);
            }
            Builtin::Cpu => self.asm.call(Helper::GetSmpProcessorId),
            Builtin::Curthread => self.asm.call(Helper::GetCurrentTask),
            Builtin::Ppid => self.parent_pid(span)?,
            Builtin::Vtimestamp => self.vtimestamp(span)?,
            Builtin::Caller => self.caller(span)?,
            Builtin::Stackdepth => self.stack_depth(span)?,
            Builtin::Ucaller => self.user_caller(span)?,
            Builtin::Ustackdepth => self.user_stack_depth(span)?,
            Builtin::Pyline => self.python_line(span)?,
            Builtin::Pyexception => self.python_raised(Raised::Exception, span)?,
            Builtin::Pytraceback => self.python_raised(Raised::Traceback, span)?,
            Builtin::Pyreturn => self.python_returned(span)?,
            Builtin::Pyresumed => self.python_resumed(span)?,
            Builtin::Pydepth => self.python_depth(span)?,
            Builtin::Pyframe => self.python_frame(span)?,
            Builtin::Pygreenlet => self.python_greenlet(span)?,
            Builtin::Id => self.shared_id(Reg::R0),
            Builtin::Epid => self.shared_epid(Reg::R0),
            Builtin::Errno => self.error_number(),
            Builtin::Execname
            | Builtin::Pyfile
            | Builtin::Pyfunc
            | Builtin::Pymodule
            | Builtin::Pythread
            | Builtin::Pytask
            | Builtin::Pyqualname
            | Builtin::Probeprov
            | Builtin::Probemod
            | Builtin::Probefunc
            | Builtin::Probename => {
                return Err(Refusal {
                    span,
                    message: "not an integer".into(),
                });
            }
        }
        self.keep(Reg::R0, span)
    }

    /// `r0 = errno`: what a system call gave back, if it is one of the numbers by which the kernel says that
    /// it failed.
    ///
    /// ```text
    ///     r0 = -result;  if (r0 - 1 >= 4095) r0 = 0;
    /// ```
    fn error_number(&mut self) {
        const MOST: i32 = 4095; // MAX_ERRNO
        let Some(slot) = self.machine.result else {
            return self.asm.mov_imm(Reg::R0, 0);
        };
        let failed = self.asm.label();
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        self.asm.alu_imm(Alu::Neg, Reg::R0, 0);
        self.asm.mov(Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::Sub, Reg::R1, 1);
        self.asm.jump_if_imm(Cond::Lt, Reg::R1, MOST, failed);
        self.asm.mov_imm(Reg::R0, 0);
        self.asm.bind(failed);
    }

    /// An argument as a word, or by the type that `args[n]` has.
    pub(crate) fn argument(&mut self, n: u8, ty: Option<&Type>, span: Span) -> Emitted<Val> {
        let argument = self.machine.args.get(usize::from(n));
        match argument.unwrap_or(&Argument::Absent) {
            &(Argument::Slot(slot) | Argument::Word(slot)) => {
                let cut = match (argument, ty) {
                    (Some(Argument::Word(_)), Some(Type::Int(int))) => Some(*int),
                    _whole => None,
                };
                let val = self.take(span)?;
                let reg = if let Val::Reg(reg) = val {
                    reg
                } else {
                    Reg::R0
                };
                self.asm.load(Size::Double, reg, Reg::FP, slot);
                if let Some(int) = cut {
                    self.wrap(reg, int);
                }
                self.put(&val, reg);
                Ok(val)
            }
            Argument::Constant(value) => Ok(Val::Const(*value)),
            Argument::Absent => Ok(Val::Const(0)),
            Argument::Unreadable(why) => Err(Refusal {
                span,
                message: format!("arg{n} cannot be read here: {why}"),
            }),
        }
    }

    fn unary(&mut self, op: UnaryOp, of: &Expr, span: Span) -> Emitted<Val> {
        let val = self.int(of)?;
        self.modify(val, span, |e, reg| match op {
            UnaryOp::Negate => e.asm.alu_imm(Alu::Neg, reg, 0),
            UnaryOp::Complement => e.asm.alu_imm(Alu::Xor, reg, -1),
            UnaryOp::Not => {}
        })
    }

    /// Both operands, the deeper one first when neither has an effect, so that long chains to
    /// the right take no more registers than chains to the left.
    pub(crate) fn operands(&mut self, a: &Expr, b: &Expr) -> Emitted<(Val, Val)> {
        if depth(b) > depth(a) && !has_effect(a) && !has_effect(b) {
            let right = self.int(b)?;
            let left = self.int(a)?;
            return Ok((left, right));
        }
        let left = self.int(a)?;
        let right = self.int(b)?;
        Ok((left, right))
    }

    fn arithmetic(&mut self, op: BinaryOp, a: &Expr, b: &Expr, span: Span) -> Emitted<Val> {
        let signed = op.is_signed(&a.ty, &b.ty);
        let (left, right) = self.operands(a, b)?;
        let result = self.modify(left, span, |e, reg| e.operate(op, reg, &right, signed))?;
        self.stack.give(right);
        Ok(result)
    }

    /// `reg = reg op right`. `reg` is not `r1` or `r2`.
    fn operate(&mut self, op: BinaryOp, reg: Reg, right: &Val, signed: bool) {
        if matches!(op, BinaryOp::Divide | BinaryOp::Remainder) {
            self.divide(op, reg, right, signed);
            return;
        }
        let alu = if op == BinaryOp::ShiftRight && signed {
            Alu::Arsh
        } else {
            alu_of(op).expect("comparisons are conditions, not arithmetic")
        };
        let shift = matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight);
        let constant = if let Val::Const(value) = right {
            // The processor masks a count in a register, the verifier refuses a large constant.
            if shift {
                Some(i32::from(value.to_le_bytes()[0] & 63))
            } else {
                i32::try_from(*value).ok()
            }
        } else {
            None
        };
        if let Some(constant) = constant {
            self.asm.alu_imm(alu, reg, constant);
            return;
        }
        if shift {
            self.load(Reg::R1, right);
            self.asm.alu_imm(Alu::And, Reg::R1, 63);
            self.asm.alu(alu, reg, Reg::R1);
        } else {
            let operand = self.reg(right, Reg::R1);
            self.asm.alu(alu, reg, operand);
        }
    }

    /// Division and remainder, rounding towards zero.
    ///
    /// eBPF divides unsigned and defines division by zero as 0 (the remainder as the dividend);
    /// in D it is a fault that ends the clause. Signed operands are divided as magnitudes.
    ///
    /// ```text
    ///     if (b == 0) fault(DIVIDE_BY_ZERO);
    ///     r2 = sign of the result; a = |a|; b = |b|;
    ///     a = a / b;  if (r2) a = -a;
    /// ```
    fn divide(&mut self, op: BinaryOp, reg: Reg, right: &Val, signed: bool) {
        let alu = if op == BinaryOp::Divide {
            Alu::Div
        } else {
            Alu::Mod
        };
        self.load(Reg::R1, right);
        if !matches!(right, Val::Const(value) if *value != 0) {
            let zero = self.fault(Fault::DivideByZero, &Val::Const(0));
            self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, zero);
        }
        if !signed {
            self.asm.alu(alu, reg, Reg::R1);
            return;
        }
        // The quotient is negative if the signs differ, the remainder if the dividend is.
        self.asm.mov(Reg::R2, reg);
        if op == BinaryOp::Divide {
            self.asm.alu(Alu::Xor, Reg::R2, Reg::R1);
        }
        self.magnitude(reg);
        self.magnitude(Reg::R1);
        self.asm.alu(alu, reg, Reg::R1);
        let positive = self.asm.label();
        self.asm.jump_if_imm(Cond::SGe, Reg::R2, 0, positive);
        self.asm.alu_imm(Alu::Neg, reg, 0);
        self.asm.bind(positive);
    }

    fn magnitude(&mut self, reg: Reg) {
        let positive = self.asm.label();
        self.asm.jump_if_imm(Cond::SGe, reg, 0, positive);
        self.asm.alu_imm(Alu::Neg, reg, 0);
        self.asm.bind(positive);
    }

    /// `val = constant`.
    pub(crate) fn put_imm(&mut self, val: &Val, value: i64) {
        let reg = if let Val::Reg(reg) = *val {
            reg
        } else {
            Reg::R0
        };
        self.asm.mov_imm(reg, value);
        self.put(val, reg);
    }

    fn ternary(&mut self, cond: &Expr, a: &Expr, b: &Expr, span: Span) -> Emitted<Val> {
        let (no, done) = (self.asm.label(), self.asm.label());
        let result = self.take(span)?;
        self.jump_when(cond, false, no)?;
        let before = self.fetched();
        for (branch, label, last) in [(a, no, false), (b, done, true)] {
            let val = self.int(branch)?;
            let reg = self.reg(&val, Reg::R0);
            self.put(&result, reg);
            self.stack.give(val);
            if !last {
                self.asm.jump(done);
            }
            self.asm.bind(label);
            self.fetched_only(&before);
        }
        self.make_value_unknown(&result, span)?;
        Ok(result)
    }

    fn cast(&mut self, of: &Expr, expr: &Expr) -> Emitted<Val> {
        let val = if let ExprKind::Deref(address) = &of.kind
            && matches!(of.ty, Type::Array(..) | Type::Struct(_))
        {
            // An array's value is its address.
            self.int(address)?
        } else {
            self.int(of)?
        };
        let int = type_of(expr)?;
        if of.ty.as_int().is_none() || of.fits(int) {
            return Ok(val);
        }
        self.modify(val, expr.span, |e, reg| e.wrap(reg, int))
    }

    /// `++`, `--`: with `want` the value before (`true`) or after the change, else only the
    /// effect. On globals of 4 and 8 bytes it is atomic, so that no count is lost between CPUs.
    fn step(&mut self, target: &Expr, by: i64, want: Option<bool>) -> Emitted<Val> {
        let int = type_of(target)?;
        if let Some(offset) = self.atomic_global(target, int) {
            let globals = self.storage.globals;
            self.asm.map_value(Reg::R1, globals, offset);
            self.asm.mov_imm(Reg::R2, by);
            let size = Size::of(int.size);
            self.asm
                .push(Insn::atomic_add(size, Reg::R1, 0, Reg::R2, want.is_some()));
            let Some(post) = want else {
                return Ok(Val::Const(0));
            };
            self.asm.mov(Reg::R0, Reg::R2);
            self.wrap(Reg::R0, int);
            if !post {
                self.add_const(Reg::R0, by);
            }
            return self.keep(Reg::R0, target.span);
        }
        let place = self.open(target)?;
        let old = self.read_place(&place, int, target.span)?;
        let new = self.take(target.span)?;
        let reg = self.reg(&old, Reg::R0);
        self.asm.mov(Reg::R1, reg);
        self.add_const(Reg::R1, by);
        self.put(&new, Reg::R1);
        self.write_place(&place, &new, int, false, target.span)?;
        self.close(place);
        let (keep, drop) = if want == Some(true) {
            (old, new)
        } else {
            (new, old)
        };
        self.stack.give(drop);
        Ok(keep)
    }

    /// `reg += by`. Destroys `r2`.
    fn add_const(&mut self, reg: Reg, by: i64) {
        if let Ok(by) = i32::try_from(by) {
            self.asm.alu_imm(Alu::Add, reg, by);
        } else {
            self.asm.mov_imm(Reg::R2, by);
            self.asm.alu(Alu::Add, reg, Reg::R2);
        }
    }

    /// The offset of a global that hardware can change atomically.
    fn atomic_global(&self, target: &Expr, int: Int) -> Option<u32> {
        if let ExprKind::Var(var) = target.kind
            && let Place::Global(offset) = self.storage.places[var.0 as usize]
        {
            (int.size >= 4).then_some(offset)
        } else {
            None
        }
    }

    fn assign_int(
        &mut self,
        op: Option<BinaryOp>,
        target: &Expr,
        value: &Expr,
        wanted: bool,
    ) -> Emitted<Val> {
        if let ExprKind::BitField { .. } = target.kind {
            return self.assign_bits(target, value);
        }
        let int = type_of(target)?;
        let Some(op) = op else {
            let val = self.int(value)?;
            let place = self.open(target)?;
            self.write_place(&place, &val, int, value.fits(int), target.span)?;
            self.close(place);
            return Ok(val);
        };
        let adds = matches!(op, BinaryOp::Add | BinaryOp::Subtract);
        if adds
            && !wanted
            && let Some(offset) = self.atomic_global(target, int)
        {
            let val = self.int(value)?;
            self.load(Reg::R2, &val);
            if op == BinaryOp::Subtract {
                self.asm.alu_imm(Alu::Neg, Reg::R2, 0);
            }
            let globals = self.storage.globals;
            self.asm.map_value(Reg::R1, globals, offset);
            self.asm.push(Insn::atomic_add(
                Size::of(int.size),
                Reg::R1,
                0,
                Reg::R2,
                false,
            ));
            return Ok(val);
        }
        let right = self.int(value)?;
        let place = self.open(target)?;
        let old = self.read_place(&place, int, target.span)?;
        let new = self.modify(old, value.span, |e, reg| {
            e.operate(op, reg, &right, int.signed);
        })?;
        self.stack.give(right);
        self.write_place(&place, &new, int, false, target.span)?;
        self.close(place);
        Ok(new)
    }
}

/// The integer type of an expression.
pub(crate) fn type_of(expr: &Expr) -> Emitted<Int> {
    expr.ty.as_int().ok_or_else(|| internal(expr))
}

/// An expression that `check` should not have let through.
pub(crate) fn internal(expr: &Expr) -> Refusal {
    Refusal {
        span: expr.span,
        message: format!("an expression of type {} has no place here", expr.ty),
    }
}

/// The instruction for an operator; `None` for comparisons.
pub(crate) fn alu_of(op: BinaryOp) -> Option<Alu> {
    Some(match op {
        BinaryOp::Add => Alu::Add,
        BinaryOp::Subtract => Alu::Sub,
        BinaryOp::Multiply => Alu::Mul,
        BinaryOp::Divide => Alu::Div,
        BinaryOp::Remainder => Alu::Mod,
        BinaryOp::And => Alu::And,
        BinaryOp::Or => Alu::Or,
        BinaryOp::Xor => Alu::Xor,
        BinaryOp::ShiftLeft => Alu::Lsh,
        BinaryOp::ShiftRight => Alu::Rsh,
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual => return None,
    })
}

fn depth(expr: &Expr) -> usize {
    1 + expr.operands().into_iter().map(depth).max().unwrap_or(0)
}

/// Whether computing an expression changes anything.
pub(crate) fn has_effect(expr: &Expr) -> bool {
    if matches!(expr.kind, ExprKind::Assign(..) | ExprKind::Step { .. }) {
        return true;
    }
    expr.operands().into_iter().any(has_effect)
}
