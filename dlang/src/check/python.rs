//! Python's objects: where one is shown it is shown as `repr` would; and what functions' variables are named by.

use super::checker::{Checked, Checker};
use super::convert::node;
use crate::names;
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

impl Checker<'_> {
    /// Checks what a variable or an attribute is named by: a literal; of an argument, also its number.
    pub(super) fn python_name(&mut self, subroutine: Subroutine, args: &[Expr]) -> Checked<()> {
        let number = subroutine == Subroutine::Pyarg;
        let place = if matches!(
            subroutine,
            Subroutine::Pyarg | Subroutine::Pylocal | Subroutine::Pyself
        ) {
            0
        } else if subroutine == Subroutine::Pyattr {
            1
        } else {
            return Ok(());
        };
        let Some(which) = args.get(place) else {
            return Ok(());
        };
        let is_number = matches!(which.ty, Type::Int(_)) && number;
        if is_number || matches!(which.kind, ExprKind::Str(_)) {
            return Ok(());
        }
        let spelling = if number {
            "string constant or int"
        } else {
            "string constant"
        };
        let function = names::subroutine_name(subroutine);
        let error = self.wrong_argument(function, place + 1, spelling, which);
        self.reject(error)
    }
}
