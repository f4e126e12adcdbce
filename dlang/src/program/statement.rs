//! Statements and actions: what a clause does.

use super::{AggId, Expr};
use crate::diag::Span;
use crate::format::Format;
use crate::types::Type;

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// An expression run for its effect.
    Expr(Expr),
    /// `if (cond) ... else ...`.
    If {
        /// The condition, of a scalar type.
        cond: Expr,
        /// What runs when it is not zero.
        then: Vec<Stmt>,
        /// What runs when it is zero.
        otherwise: Vec<Stmt>,
    },
    /// An action: something recorded or changed outside the program's variables.
    Action(Action),
    /// `@name[keys] = func(value[, increment])`.
    Aggregate {
        /// The aggregation.
        agg: AggId,
        /// The tuple, converted to the aggregation's key types.
        keys: Vec<Expr>,
        /// The value, `int64_t`; `None` for `count()`.
        value: Option<Expr>,
        /// The increment of the quantizing functions, when given.
        increment: Option<Expr>,
    },
}

/// An action, with its arguments checked.
#[derive(Clone, Debug)]
pub enum Action {
    /// `trace(e)`.
    Trace(Expr),
    /// `printf(format, ...)`; one expression for each argument the format consumes, `*` widths
    /// and precisions included, in order.
    Printf(Format, Vec<Expr>),
    /// `printa([format,] @a, ...)`.
    Printa(Option<Format>, Vec<AggId>),
    /// `exit(status)`.
    Exit(Expr),
    /// `clear(@a)`.
    Clear(AggId),
    /// `trunc(@a[, n])`: keep the `n` largest, or the `-n` smallest; none: remove all.
    Trunc(AggId, Option<Expr>),
    /// `normalize(@a, n)`.
    Normalize(AggId, Expr),
    /// `denormalize(@a)`.
    Denormalize(AggId),
    /// `tracemem(address, size[, shown])`: the memory as a struct of that size, and how much of it shows.
    Tracemem(Expr, Option<Expr>),
    /// `print(pointer)`.
    Print {
        /// The pointer.
        address: Expr,
        /// What it leads to as a struct of so many bytes as are recorded.
        memory: Expr,
        /// The type of what it leads to, with all members.
        ty: Type,
    },
    /// `speculate(id)`: the record is a part of a speculation.
    Speculate(Expr),
    /// `commit(id)`: the records of a speculation show.
    Commit(Expr),
    /// `discard(id)`: they do not.
    Discard(Expr),
    /// `system(format, ...)`: runs a command with `sh`, arguments as in [`Action::Printf`].
    System(Format, Vec<Expr>),
    /// `freopen(format, ...)`: what is printed from then on goes to this file; `None`, of `""`: to
    /// where it went at first.
    Freopen(Option<Format>, Vec<Expr>),
    /// `ftruncate()`: empties the file that the output goes to.
    Ftruncate,
    /// `setopt(name[, value])`.
    Setopt(Expr, Option<Expr>),
    /// `raise(signal)`, and `stop()` with `SIGSTOP`: sends the process that fires a signal.
    Raise(Expr),
    /// `copyout(from, to, size)` and `copyoutstr(from, to, size)`: writes to the memory of the process that
    /// fires. It is checked, and no code is made of it yet.
    WriteUser([Expr; 3]),
}

impl Action {
    /// Whether it changes the traced system, so that `-w` must allow it.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::System(..) | Self::Freopen(..) | Self::Raise(_) | Self::WriteUser(_) => true,
            Self::Trace(_)
            | Self::Printf(..)
            | Self::Printa(..)
            | Self::Exit(_)
            | Self::Clear(_)
            | Self::Trunc(..)
            | Self::Normalize(..)
            | Self::Denormalize(_)
            | Self::Tracemem(..)
            | Self::Print { .. }
            | Self::Speculate(_)
            | Self::Commit(_)
            | Self::Discard(_)
            | Self::Ftruncate
            | Self::Setopt(..) => false,
        }
    }
}
