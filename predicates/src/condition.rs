//! Conditions.
//!
//! They are not computed as 0 and 1 and then tested: [`Emit::jump_when`] turns a whole condition with its
//! short circuits into jumps.

use dlang::eval::Value;
use dlang::program::{BinaryOp, Builtin, Expr, ExprKind, LogicOp, UnaryOp};
use dlang::types::{Int, Type};

use crate::asm::Label;
use crate::emit::{Emit, Emitted};
use crate::insn::{Cond, Reg};
use crate::int::alu_of;
use crate::stack::Val;
use crate::storage::Place;

impl Emit<'_> {
    /// A condition as `int` 0 or 1.
    pub(crate) fn condition(&mut self, expr: &Expr) -> Emitted<Val> {
        let (no, done) = (self.asm.label(), self.asm.label());
        let before = self.fetched();
        // The place is taken first so that both ways meet with the same registers in use.
        let val = self.take(expr.span)?;
        self.jump_when(expr, false, no)?;
        self.put_imm(&val, 1);
        self.asm.jump(done);
        self.asm.bind(no);
        self.put_imm(&val, 0);
        self.asm.bind(done);
        self.make_value_unknown(&val, expr.span)?;
        self.fetched_only(&before);
        Ok(val)
    }

    /// Jumps to `to` when the scalar expression is true (`when`) or false; else falls through.
    pub fn jump_when(&mut self, expr: &Expr, when: bool, to: Label) -> Emitted<()> {
        if let Some(Value::Int(value)) = self.constant(expr) {
            if (value != 0) == when {
                self.asm.jump(to);
            }
            return Ok(());
        }
        match &expr.kind {
            ExprKind::Unary(UnaryOp::Not, of) => self.jump_when(of, !when, to),
            ExprKind::Cast(of) if keeps_truth(of, expr) => self.jump_when(of, when, to),
            ExprKind::Logic(LogicOp::And, a, b) => self.short_circuit(a, b, false, when, to),
            ExprKind::Logic(LogicOp::Or, a, b) => self.short_circuit(a, b, true, when, to),
            ExprKind::Logic(LogicOp::Xor, a, b) => {
                let left = self.truth(a)?;
                let right = self.truth(b)?;
                let (x, y) = (self.reg(&left, Reg::R0), self.reg(&right, Reg::R1));
                self.asm
                    .jump_if(if when { Cond::Ne } else { Cond::Eq }, x, y, to);
                self.stack.give(left);
                self.stack.give(right);
                Ok(())
            }
            ExprKind::Binary(op, a, b) if alu_of(*op).is_none() => {
                if a.ty == Type::String {
                    return self.compare_strings(expr, *op, a, b, when, to);
                }
                let cond = cond_of(*op, op.is_signed(&a.ty, &b.ty));
                let cond = if when { cond } else { cond.negated() };
                let (left, right) = self.operands(a, b)?;
                let x = self.own_register(a, &left, Reg::R0);
                if let Val::Const(value) = right
                    && let Ok(value) = i32::try_from(value)
                {
                    self.asm.jump_if_imm(cond, x, value, to);
                } else {
                    let y = self.own_register(b, &right, Reg::R1);
                    self.asm.jump_if(cond, x, y, to);
                }
                self.stack.give(left);
                self.stack.give(right);
                Ok(())
            }
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Ternary(..)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Cast(_)
            | ExprKind::Deref(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Call(..)
            | ExprKind::Comma(..)
            | ExprKind::Recorded(_) => {
                let val = self.int(expr)?;
                let reg = self.own_register(expr, &val, Reg::R0);
                self.asm
                    .jump_if_imm(if when { Cond::Ne } else { Cond::Eq }, reg, 0, to);
                self.stack.give(val);
                Ok(())
            }
        }
    }

    /// The register that holds an expression's value, no copy of anything that lives on, to be
    /// compared.
    fn own_register(&mut self, expr: &Expr, val: &Val, spare: Reg) -> Reg {
        let reg = self.reg(val, spare);
        if self.is_slot(expr) && !matches!(val, Val::Const(_)) {
            self.unlink(reg);
        }
        reg
    }

    /// Whether an expression may be just what some stack slot holds.
    fn is_slot(&self, expr: &Expr) -> bool {
        if let ExprKind::Cast(of) | ExprKind::Comma(_, of) | ExprKind::Assign(_, _, of) = &expr.kind
        {
            return self.is_slot(of);
        }
        if let ExprKind::Var(var) = expr.kind {
            return matches!(self.storage.places[var.0 as usize], Place::Local(_));
        }
        matches!(
            expr.kind,
            ExprKind::Arg(_)
                | ExprKind::TypedArg(_)
                | ExprKind::Builtin(Builtin::Timestamp | Builtin::Walltimestamp)
        )
    }

    /// `a && b` (`decisive` false) or `a || b` (`decisive` true): `b` is computed only when `a`
    /// is not `decisive`.
    fn short_circuit(
        &mut self,
        a: &Expr,
        b: &Expr,
        decisive: bool,
        when: bool,
        to: Label,
    ) -> Emitted<()> {
        if when == decisive {
            self.jump_when(a, decisive, to)?;
            let before = self.fetched();
            self.jump_when(b, when, to)?;
            self.fetched_only(&before);
            return Ok(());
        }
        let skip = self.asm.label();
        self.jump_when(a, decisive, skip)?;
        let before = self.fetched();
        self.jump_when(b, when, to)?;
        self.asm.bind(skip);
        self.fetched_only(&before);
        Ok(())
    }

    /// An expression's truth as 0 or 1.
    fn truth(&mut self, expr: &Expr) -> Emitted<Val> {
        self.condition(expr)
    }
}

/// The jump condition for a comparison of two integers.
pub(crate) fn cond_of(op: BinaryOp, signed: bool) -> Cond {
    match (op, signed) {
        (BinaryOp::NotEqual, _) => Cond::Ne,
        (BinaryOp::Less, true) => Cond::SLt,
        (BinaryOp::Less, false) => Cond::Lt,
        (BinaryOp::LessEqual, true) => Cond::SLe,
        (BinaryOp::LessEqual, false) => Cond::Le,
        (BinaryOp::Greater, true) => Cond::SGt,
        (BinaryOp::Greater, false) => Cond::Gt,
        (BinaryOp::GreaterEqual, true) => Cond::SGe,
        (BinaryOp::GreaterEqual, false) => Cond::Ge,
        _ => Cond::Eq,
    }
}

/// Whether a cast cannot turn a true value into a false one.
fn keeps_truth(of: &Expr, to: &Expr) -> bool {
    let cut_to_itself = |int: Int| match of.ty.as_int() {
        // As many bits or more: a value of the operand's type keeps its truth when it is cut.
        Some(own) => own.size <= int.size && of.fits(own),
        None => false,
    };
    to.ty.as_int().is_some_and(cut_to_itself)
}
