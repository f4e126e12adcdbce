//! How many values what a program shows has at the most: the columns of its table.

use dlang::program::{Action, Program, StmtKind};
use dlang::walk::each_statement;

/// The most values of a `printf`, `trace` or `tracemem`, and the most parts of an aggregation's key.
pub(super) fn columns(program: &Program) -> usize {
    let mut most = 0;
    for clause in &program.clauses {
        each_statement(&clause.body, &mut |stmt| {
            let count = match &stmt.kind {
                StmtKind::Action(Action::Printf(_, args)) => args.len(),
                StmtKind::Action(
                    Action::Trace(_) | Action::Tracemem(..) | Action::Print { .. },
                ) => 1,
                StmtKind::Aggregate { keys, .. } => keys.len(),
                StmtKind::Action(_) | StmtKind::Expr(_) | StmtKind::If { .. } => 0,
            };
            most = most.max(count);
        });
    }
    most
}
