//! What `-F` shows of a probe.

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, Subroutine};
use dlang::types::Type;
use provider::probe::{Probe, SourceArgs};

use crate::record::Flow;

/// How a probe changes the indentation: by the end of its name, as DTrace does for every provider.
pub(crate) fn flow_of(probe: &Probe) -> Flow {
    match probe.desc.name.as_str() {
        name if name == "entry" || name.ends_with("-entry") => Flow::Entry,
        name if name == "return" || name.ends_with("-return") => Flow::Return,
        _ => Flow::None,
    }
}

/// What is shown in the place of a probe's name if it tells where in a program's source it fires:
/// `file:func:line`.
pub(crate) fn flow_name(probe: &Probe) -> Option<Expr> {
    let SourceArgs {
        file,
        function,
        line,
    } = probe.source?;
    let expr = |kind, ty| Expr {
        kind,
        ty,
        span: Span::default(),
    };
    let string = |n| {
        let address = expr(ExprKind::Arg(n), Type::I64);
        expr(
            ExprKind::Call(Subroutine::Copyinstr, vec![address]),
            Type::String,
        )
    };
    let join = |a, b| {
        expr(
            ExprKind::Call(Subroutine::Strjoin, vec![a, b]),
            Type::String,
        )
    };
    let text = |s: &str| expr(ExprKind::Str(s.into()), Type::String);
    let file = expr(
        ExprKind::Call(Subroutine::Basename, vec![string(file)]),
        Type::String,
    );
    let line = expr(ExprKind::Arg(line), Type::I64);
    let line = expr(
        ExprKind::Call(Subroutine::Lltostr, vec![line]),
        Type::String,
    );
    Some(join(
        join(join(file, text(":")), join(string(function), text(":"))),
        line,
    ))
}
