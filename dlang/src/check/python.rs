//! Python's objects: where one is shown it is shown as `repr` would.

use super::convert::node;
use crate::program::{Expr, ExprKind, Subroutine};
use crate::types::Type;

/// What shows in the place of a value: of a Python object its text, of all else the value.
pub(super) fn shown(value: Expr) -> Expr {
    if !value.ty.is_python_object() {
        return value;
    }
    let span = value.span;
    let call = ExprKind::Call(Subroutine::Pyrepr, vec![value]);
    node(call, Type::String, span)
}
