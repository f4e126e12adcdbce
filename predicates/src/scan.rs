//! Subroutines that look into strings.

use dlang::diag::Span;
use dlang::program::{Expr, Subroutine};

use crate::emit::{Emit, Emitted, Refusal};
use crate::stack::Val;
use crate::string::Str;

impl Emit<'_> {
    /// A subroutine that gives a string.
    pub(crate) fn string_subroutine(
        &mut self,
        subroutine: Subroutine,
        _args: &[Expr],
        span: Span,
    ) -> Emitted<Str> {
        Err(Refusal {
            span,
            message: format!("{subroutine:?} not supported yet"),
        })
    }

    /// A subroutine that gives an integer.
    pub(crate) fn int_subroutine(
        &mut self,
        subroutine: Subroutine,
        args: &[Expr],
        span: Span,
    ) -> Emitted<Val> {
        match subroutine {
            Subroutine::Strlen => {
                let string = self.string(&args[0])?;
                self.stack.give(string.start);
                Ok(string.len)
            }
            _ => Err(Refusal {
                span,
                message: format!("{subroutine:?} not supported yet"),
            }),
        }
    }
}
