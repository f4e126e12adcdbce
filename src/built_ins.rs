//! A hint for predicates that cannot hold: functions that are written in C have no function probe.

use std::collections::BTreeSet;

use dlang::program::{BinaryOp, Clause, Expr, ExprKind, Program, Subroutine};

/// The functions and types of Python's module `builtins`, but for exceptions. Sorted.
const BUILT_INS: [&str; 70] = [
    "__build_class__",
    "__import__",
    "abs",
    "aiter",
    "all",
    "anext",
    "any",
    "ascii",
    "bin",
    "bool",
    "breakpoint",
    "bytearray",
    "bytes",
    "callable",
    "chr",
    "classmethod",
    "compile",
    "complex",
    "delattr",
    "dict",
    "dir",
    "divmod",
    "enumerate",
    "eval",
    "exec",
    "filter",
    "float",
    "format",
    "frozenset",
    "getattr",
    "globals",
    "hasattr",
    "hash",
    "hex",
    "id",
    "input",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "list",
    "locals",
    "map",
    "max",
    "memoryview",
    "min",
    "next",
    "object",
    "oct",
    "open",
    "ord",
    "pow",
    "print",
    "property",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "staticmethod",
    "str",
    "sum",
    "super",
    "tuple",
    "type",
    "vars",
];

/// The names of built-in functions that predicates on Python's function probes compare the function's
/// name with.
pub(crate) fn compared(program: &Program) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for clause in program
        .clauses
        .iter()
        .filter(|clause| is_on_functions(clause))
    {
        if let Some(predicate) = &clause.predicate {
            look(predicate, &mut names);
        }
    }
    names
}

fn is_on_functions(clause: &Clause) -> bool {
    let mut names = clause
        .probes
        .iter()
        .map(|probe| probe.desc.name.replace("__", "-"));
    names.any(|name| matches!(name.as_str(), "function-entry" | "function-return"))
}

/// Looks for `copyinstr(arg1) == "name"`, either way round.
fn look<'p>(expr: &'p Expr, names: &mut BTreeSet<&'p str>) {
    if let ExprKind::Binary(BinaryOp::Equal, a, b) = &expr.kind {
        for (function, name) in [(a, b), (b, a)] {
            if let ExprKind::Str(name) = &name.kind
                && is_function_name(function)
                && let Ok(name) = std::str::from_utf8(name)
                && BUILT_INS.binary_search(&name).is_ok()
            {
                names.insert(name);
            }
        }
    }
    for operand in expr.operands() {
        look(operand, names);
    }
}

fn is_function_name(expr: &Expr) -> bool {
    let ExprKind::Call(Subroutine::Copyinstr, arguments) = &uncast(expr).kind else {
        return false;
    };
    arguments.first().is_some_and(|address| {
        matches!(
            uncast(address).kind,
            ExprKind::Arg(1) | ExprKind::TypedArg(1)
        )
    })
}

fn uncast(expr: &Expr) -> &Expr {
    if let ExprKind::Cast(of) = &expr.kind {
        uncast(of)
    } else {
        expr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sorted() {
        assert!(BUILT_INS.is_sorted());
    }
}
