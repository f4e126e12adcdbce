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
