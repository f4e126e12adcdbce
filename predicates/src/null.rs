//! The null string.
//!
//! D's strings are addresses, and an address may be 0: what a search has not found, an element or
//! a thread's variable that was never assigned. Such a string can be compared (it equals only
//! another one, and comes before all that are there), assigned, and chosen by `?:`; any other use
//! of it is a fault, as is a read at address 0.
//!
//! Here strings are bytes on the heap, and a null one is a way of the code: whoever computes a
//! string that may be null says where to go then ([`OnNull`]). Only what may be null costs
//! anything ([`dlang::program::Expr::may_be_null`]); how variables keep it is said at
//! [`crate::storage::NullMark`].

use dlang::diag::Span;
use dlang::program::{BinaryOp, Expr, ExprKind, VarId};

use crate::asm::Label;
use crate::condition::cond_of;
use crate::emit::{Emit, Emitted, Fault};
use crate::insn::{Cond, Reg, Size};
use crate::stack::Val;
pub(crate) use crate::string::OnNull;
use crate::string::Str;

impl Emit<'_> {
    /// Whether a string may be null.
    pub(crate) fn may_be_null(&self, expr: &Expr) -> bool {
        expr.may_be_null(&|var| self.storage.null_marks[var.0 as usize].is_some())
    }

    /// Where the code goes for a null string.
    pub(crate) fn null_label(&mut self, on_null: OnNull) -> Label {
        match on_null {
            OnNull::Fault => self.fault(Fault::BadAddress, &Val::Const(0)),
            OnNull::Goto(label) => label,
        }
    }

    /// `NULL` where a string is wanted. What follows is never reached; it has a string nevertheless.
    pub(crate) fn null_literal(&mut self, on_null: OnNull, span: Span) -> Emitted<Str> {
        let null = self.null_label(on_null);
        self.asm.jump(null);
        self.literal(Vec::new(), span)
    }

    /// Goes to where null strings go if the variable holds one. Destroys `r0` to `r5`.
    pub(crate) fn check_null(&mut self, var: VarId, on_null: OnNull, span: Span) -> Emitted<()> {
        let Some(mark) = self.storage.null_marks[var.0 as usize] else {
            return Ok(());
        };
        self.variable_address(Reg::R1, var, span)?;
        self.asm.load(Size::Half, Reg::R0, Reg::R1, 0);
        let null = self.null_label(on_null);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R0, i32::from(mark.null), null);
        Ok(())
    }

    /// Jumps to `to` if the comparison of two strings, one of which may be null, is `when`.
    ///
    /// ```text
    ///     r0 = a is null ? (b is null ? 0 : -1) : b is null ? 1 : difference(a, b)
    /// ```
    pub(crate) fn compare_with_nulls(
        &mut self,
        span: Span,
        op: BinaryOp,
        a: &Expr,
        b: &Expr,
        when: bool,
        to: Label,
    ) -> Emitted<()> {
        self.scratch(Reg::R1, span)?;
        let before = self.fetched();
        let equal = (op == BinaryOp::Equal) == when;
        if matches!(op, BinaryOp::Equal | BinaryOp::NotEqual) {
            for (string, other) in [(a, b), (b, a)] {
                if other.is_null_string() {
                    self.jump_if_null(string, equal, to)?;
                    self.fetched_only(&before);
                    return Ok(());
                }
                if let Some(literal) = self.constant_string(other) {
                    let differs = self.asm.label();
                    let null = if equal { differs } else { to };
                    let string = self.string_or(string, OnNull::Goto(null))?;
                    self.match_literal(string, literal, equal, to);
                    self.asm.bind(differs);
                    self.fetched_only(&before);
                    return Ok(());
                }
            }
        }
        let [decide, no_a, no_b, neither] = [(); 4].map(|()| self.asm.label());
        let left = self.string_or(a, OnNull::Goto(no_a))?;
        let right = self.string_or(b, OnNull::Goto(no_b))?;
        self.difference(&left, &right, span)?;
        self.give_string(left);
        self.give_string(right);
        self.asm.jump(decide);
        self.asm.bind(no_a);
        self.fetched_only(&before);
        let right = self.string_or(b, OnNull::Goto(neither))?;
        self.give_string(right);
        for (label, order) in [(None, -1), (Some(no_b), 1), (Some(neither), 0)] {
            if let Some(label) = label {
                self.asm.bind(label);
            }
            self.fetched_only(&before);
            self.asm.mov_imm(Reg::R0, order);
            self.through_memory(Reg::R0, Reg::R1);
            self.asm.jump(decide);
        }
        self.asm.bind(decide);
        let cond = cond_of(op, true);
        let cond = if when { cond } else { cond.negated() };
        self.asm.jump_if_imm(cond, Reg::R0, 0, to);
        self.fetched_only(&before);
        Ok(())
    }

    /// Jumps to `to` if a string is null, or, if not `when`, if it is there.
    fn jump_if_null(&mut self, string: &Expr, when: bool, to: Label) -> Emitted<()> {
        let null = self.asm.label();
        let on_null = OnNull::Goto(if when { to } else { null });
        if let ExprKind::Var(var) = string.kind {
            self.check_null(var, on_null, string.span)?;
        } else if string.is_null_string() {
            let null = self.null_label(on_null);
            self.asm.jump(null);
        } else {
            let string = self.string_or(string, on_null)?;
            self.give_string(string);
        }
        if !when {
            self.asm.jump(to);
        }
        self.asm.bind(null);
        Ok(())
    }
}
