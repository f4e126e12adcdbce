//! Conversions between types, and constant folding.

use super::checker::{Checked, Checker};
use crate::diag::Span;
use crate::eval::{self, EvalError, Value};
use crate::program::{Expr, ExprKind};
use crate::tags::Tag;
use crate::types::{Int, Type};

/// An expression from its parts.
pub(super) fn node(kind: ExprKind, ty: Type, span: Span) -> Expr {
    Expr { kind, ty, span }
}

/// An integer constant, cut to its type.
pub(super) fn int_node(value: i64, int: Int, span: Span) -> Expr {
    node(ExprKind::Int(int.wrap(value)), Type::Int(int), span)
}

/// Whether a value can stand where a string is wanted: a string, or `char` behind a pointer or
/// in an array (libdtrace's `dt_node_is_strcompat`).
pub(super) fn is_string_like(ty: &Type) -> bool {
    match ty {
        Type::String => true,
        Type::Pointer(of, _) | Type::Array(of, _) => {
            matches!(of.bare(), Type::Int(Int { size: 1, .. }))
        }
        Type::Named(named) => is_string_like(&named.ty),
        Type::Void
        | Type::Int(_)
        | Type::Float(_)
        | Type::Struct(_)
        | Type::Symbol(_)
        | Type::Stack => false,
    }
}

/// Converts as a store does: an integer has been cut to the type afterwards, also if it was an
/// expression of that type.
pub(super) fn stored(expr: Expr, ty: &Type) -> Expr {
    match ty.as_int() {
        Some(int) if expr.ty == *ty && !expr.fits(int) => expr.cast_to(ty),
        _ => convert(expr, ty),
    }
}

/// Converts to a type between which C and D convert. As in DTrace an expression of the same type
/// stays as it is, even where its value is outside of the type's range.
pub(super) fn convert(expr: Expr, ty: &Type) -> Expr {
    if expr.ty == *ty {
        return expr;
    }
    let span = expr.span;
    if let (ExprKind::Int(value), Some(int)) = (&expr.kind, ty.as_int()) {
        return node(ExprKind::Int(int.wrap(*value)), ty.clone(), span);
    }
    // Between words of 64 bits a cast changes no bit, so the last one alone counts.
    let is_word = |ty: &Type| ty.is_scalar() && ty.as_int().is_some_and(|int| int.size == 8);
    if is_word(ty)
        && is_word(&expr.ty)
        && let ExprKind::Cast(inner) = expr.kind
    {
        if is_word(&inner.ty) {
            return convert(*inner, ty);
        }
        return node(ExprKind::Cast(inner), expr.ty, span).cast_to(ty);
    }
    node(ExprKind::Cast(Box::new(expr)), ty.clone(), span)
}

/// Makes an address a pointer to `to`, in the memory that it is known to be in.
pub(super) fn convert_pointer(address: Expr, to: Type) -> Expr {
    let ty = Type::pointer_in(address.ty.space(), to);
    convert(address, &ty)
}

impl Expr {
    fn cast_to(self, ty: &Type) -> Self {
        let span = self.span;
        node(ExprKind::Cast(Box::new(self)), ty.clone(), span)
    }
}

impl Checker<'_> {
    /// Computes an operator whose operands are constants. Division by zero is an error, as in
    /// libdtrace; what only the traced machine knows stays as it is.
    pub(super) fn fold(&mut self, expr: Expr) -> Checked<Expr> {
        if !has_constant_operands(&expr) {
            return Ok(expr);
        }
        let kind = match eval::eval(&expr, &self.constants()) {
            Ok(Value::Int(value)) => ExprKind::Int(value),
            Ok(Value::Str(bytes)) => ExprKind::Str(bytes.into_owned()),
            // What is a fault at run time is one then.
            Err(EvalError::NotConstant | EvalError::NullString | EvalError::BadAddress) => {
                return Ok(expr);
            }
            Err(EvalError::DivideByZero) => {
                let message = "expression contains division by zero";
                return self.plain_error(Tag::DivZero, expr.span, message);
            }
        };
        Ok(node(kind, expr.ty, expr.span))
    }
}

fn has_constant_operands(expr: &Expr) -> bool {
    let folds = if let ExprKind::Call(subroutine, _) = &expr.kind {
        subroutine.is_pure()
    } else {
        matches!(
            expr.kind,
            ExprKind::Unary(..)
                | ExprKind::Cast(_)
                | ExprKind::BitField { .. }
                | ExprKind::Binary(..)
                | ExprKind::Logic(..)
                | ExprKind::Byte(..)
                | ExprKind::Comma(..)
        )
    };
    let constant = |e: &&Expr| matches!(e.kind, ExprKind::Int(_) | ExprKind::Str(_));
    folds && expr.operands().iter().all(constant)
}
