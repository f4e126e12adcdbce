//! Going through the statements and expressions of a checked program.

use crate::program::{Action, Clause, Expr, Program, Stmt, StmtKind};

/// Calls `f` for every statement, those inside of `if` too.
pub fn each_statement<'s>(body: &'s [Stmt], f: &mut dyn FnMut(&'s Stmt)) {
    for stmt in body {
        f(stmt);
        if let StmtKind::If {
            then, otherwise, ..
        } = &stmt.kind
        {
            each_statement(then, f);
            each_statement(otherwise, f);
        }
    }
}

/// Calls `f` for the expressions that stand directly in a statement.
pub fn each_expr<'s>(stmt: &'s Stmt, f: &mut dyn FnMut(&'s Expr)) {
    match &stmt.kind {
        StmtKind::Expr(expr) | StmtKind::If { cond: expr, .. } => f(expr),
        StmtKind::Action(action) => match action {
            Action::Trace(expr)
            | Action::Exit(expr)
            | Action::Normalize(_, expr)
            | Action::Speculate(expr)
            | Action::Commit(expr)
            | Action::Discard(expr)
            | Action::Raise(expr) => f(expr),
            Action::Print {
                address, memory, ..
            } => {
                f(address);
                f(memory);
            }
            Action::Tracemem(memory, shown) => {
                f(memory);
                shown.iter().for_each(f);
            }
            Action::Printf(_, args) | Action::System(_, args) | Action::Freopen(_, args) => {
                args.iter().for_each(f);
            }
            Action::WriteUser(args) => args.iter().for_each(f),
            Action::Setopt(name, value) => {
                f(name);
                value.iter().for_each(f);
            }
            Action::Trunc(_, count) => count.iter().for_each(f),
            Action::Printa(..) | Action::Clear(_) | Action::Denormalize(_) | Action::Ftruncate => {}
        },
        StmtKind::Aggregate {
            keys,
            value,
            increment,
            ..
        } => {
            keys.iter().chain(value).chain(increment).for_each(f);
        }
    }
}

/// Calls `f` for every expression that stands directly in a clause.
pub fn each_clause_expr<'c>(clause: &'c Clause, f: &mut dyn FnMut(&'c Expr)) {
    clause.predicate.iter().for_each(&mut *f);
    each_statement(&clause.body, &mut |stmt| each_expr(stmt, f));
}

/// Calls `f` for an expression and all that it consists of.
pub fn each_part<'e>(expr: &'e Expr, f: &mut dyn FnMut(&'e Expr)) {
    f(expr);
    for operand in expr.operands() {
        each_part(operand, f);
    }
}

/// Whether an expression of a clause, or a part of one, is such a one.
pub fn clause_has(clause: &Clause, is_one: &dyn Fn(&Expr) -> bool) -> bool {
    let mut found = false;
    each_clause_expr(clause, &mut |expr| {
        each_part(expr, &mut |part| found = found || is_one(part));
    });
    found
}

/// Whether an expression of any clause, or a part of one, is such a one.
pub fn program_has(program: &Program, is_one: &dyn Fn(&Expr) -> bool) -> bool {
    let mut clauses = program.clauses.iter();
    clauses.any(|clause| clause_has(clause, is_one))
}
