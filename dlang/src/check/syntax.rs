//! What the text of an expression tells, before it has been checked.

use crate::ast;
use crate::names::{self, Kind};

/// What an element is taken from.
pub(super) fn base_of(expr: &ast::Expr) -> &ast::Expr {
    if let ast::ExprKind::Index(base, _) = &expr.kind {
        base
    } else {
        expr
    }
}

/// libdtrace's words for an expression that has no value of a type: an aggregation, or the call of an
/// action or of an aggregating function; `None` for any other.
pub(super) fn dynamic_words(expr: &ast::Expr) -> Option<&'static str> {
    let ast::ExprKind::Call(name, _) = &expr.kind else {
        return matches!(base_of(expr).kind, ast::ExprKind::Aggregation(_))
            .then_some("aggregation");
    };
    match names::function(&name.text)? {
        kind @ (Kind::Action(..) | Kind::Aggregating(..)) => Some(kind.words()),
        Kind::Variable(..) | Kind::Array(_) | Kind::Subroutine(..) | Kind::Reading(..) => None,
    }
}

/// Whether libdtrace computes an expression while it compiles, if it can: what is made of literals by
/// operators. It calls no functions then.
pub(super) fn is_of_literals(expr: &ast::Expr) -> bool {
    match &expr.kind {
        ast::ExprKind::Int { .. }
        | ast::ExprKind::Char(_)
        | ast::ExprKind::Ident(_)
        | ast::ExprKind::SizeofType(_)
        | ast::ExprKind::Sizeof(_)
        | ast::ExprKind::Offsetof(..) => true,
        ast::ExprKind::Unary(_, operand)
        | ast::ExprKind::Plus(operand)
        | ast::ExprKind::Cast(_, operand) => is_of_literals(operand),
        ast::ExprKind::Binary(_, left, right) | ast::ExprKind::Logic(_, left, right) => {
            is_of_literals(left) && is_of_literals(right)
        }
        ast::ExprKind::Ternary(cond, then, otherwise) => [cond, then, otherwise]
            .into_iter()
            .all(|part| is_of_literals(part)),
        ast::ExprKind::Str(_)
        | ast::ExprKind::SelfVar(_)
        | ast::ExprKind::ThisVar(_)
        | ast::ExprKind::Kernel(_)
        | ast::ExprKind::Aggregation(_)
        | ast::ExprKind::Call(..)
        | ast::ExprKind::Index(..)
        | ast::ExprKind::Member(..)
        | ast::ExprKind::Indirect(_)
        | ast::ExprKind::Address(_)
        | ast::ExprKind::Stringof(_)
        | ast::ExprKind::Step { .. }
        | ast::ExprKind::Assign(..)
        | ast::ExprKind::Comma(..)
        | ast::ExprKind::Xlate(..) => false,
    }
}
