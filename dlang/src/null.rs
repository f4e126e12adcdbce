//! Which string variables may hold the null string.

use crate::program::{ExprKind, Program, Scope, Variable};
use crate::types::Type;
use crate::walk::{each_clause_expr, each_part};

impl Program {
    /// Which scalar string variables may hold the null string, by [`VarId`]. Those of a thread do
    /// until they are assigned; the others are empty then, and null only if that is stored in them.
    #[must_use]
    pub fn null_variables(&self) -> Vec<bool> {
        let is_scalar = |v: &Variable| v.ty == Type::String && v.key.is_none();
        let mut null: Vec<bool> = self
            .variables
            .iter()
            .map(|v| is_scalar(v) && v.scope == Scope::ThreadLocal)
            .collect();
        let mut stored = Vec::new();
        for clause in &self.clauses {
            each_clause_expr(clause, &mut |expr| {
                each_part(expr, &mut |part| {
                    if let ExprKind::Assign(None, target, value) = &part.kind
                        && let ExprKind::Var(var) = target.kind
                        && target.ty == Type::String
                    {
                        stored.push((var.0 as usize, &**value));
                    }
                });
            });
        }
        // One that holds another's value may be null once the other may.
        loop {
            let known = null.clone();
            for (var, value) in &stored {
                null[*var] |= value.may_be_null(&|other| known[other.0 as usize]);
            }
            if null == known {
                return null;
            }
        }
    }
}
