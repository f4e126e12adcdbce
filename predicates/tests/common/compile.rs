//! D text to typed expressions, for the tests.

use dlang::check::UnknownArgs;
use dlang::diag::{Origin, Source};
use dlang::program::{Action, Program, StmtKind};
use dlang::{CheckOptions, Macros};

/// Compiles each text to the statements of one clause, the last of which is an expression whose
/// value is wanted. Variables are common to all.
pub fn compile(sources: &[&str]) -> (Program, Vec<Vec<StmtKind>>) {
    compile_with("", sources)
}

/// [`compile`] with declarations in front.
pub fn compile_with(declarations: &str, sources: &[&str]) -> (Program, Vec<Vec<StmtKind>>) {
    let text: String = std::iter::once(format!("{declarations}\n"))
        .chain(sources.iter().map(|source| match source.rsplit_once("; ") {
            Some((before, last)) => format!("BEGIN {{ {before}; trace(({last})); }}\n"),
            None => format!("BEGIN {{ trace(({source})); }}\n"),
        }))
        .collect();
    let source = Source {
        origin: Origin::Script("test.d".into()),
        text,
    };
    let ast = dlang::parse(std::slice::from_ref(&source), &Macros::default())
        .unwrap_or_else(|errors| panic!("{}: {errors:?}", source.text));
    let program = dlang::check(&ast, &UnknownArgs, &CheckOptions::default())
        .unwrap_or_else(|errors| panic!("{}: {errors:?}", source.text));
    let bodies = program
        .clauses
        .iter()
        .map(|clause| {
            let body = clause.body.iter();
            body.map(|stmt| {
                if let StmtKind::Action(Action::Trace(expr)) = &stmt.kind {
                    StmtKind::Expr(expr.clone())
                } else {
                    stmt.kind.clone()
                }
            })
            .collect()
        })
        .collect();
    (program, bodies)
}
