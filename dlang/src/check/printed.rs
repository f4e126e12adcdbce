//! `print(pointer)`: what a pointer leads to, shown by its type.

use std::sync::Arc;

use super::action::LARGEST_RECORDED;
use super::checker::{Checked, Checker};
use super::convert::node;
use super::symbol::symbol_call;
use super::types::is_incomplete;
use crate::ast;
use crate::program::{Action, Expr, ExprKind, Scope, Variable};
use crate::tags::Tag;
use crate::types::{Space, Struct, Type};

impl Checker<'_> {
    /// `print(pointer)`. What it leads to is recorded as a struct of so many bytes; of more than
    /// `printsize` only the first are.
    pub(super) fn print(&mut self, arg: &ast::Expr) -> Checked<Action> {
        let address = match symbol_call(arg) {
            Some((symbol, name, args)) => self.symbol(symbol, name, args, arg.span)?,
            None => self.expr(arg)?,
        };
        let Type::Pointer(to, space) = address.ty.clone() else {
            let error = self.wrong_argument("print", 1, "pointer", &address);
            let hint = "print() shows what is at an address; trace() shows a value";
            return self.reject(error.with_hint(hint));
        };
        let whole = self.types.with_members(&to);
        if whole == Type::Void {
            let message = format!(
                "print( ) argument #1 reference has type '{whole}' with size 0; cannot print( ) it."
            );
            let error = self.diagnostic(Tag::PrintSize, arg.span, &message);
            return self.reject(error.with_hint("cast it to a pointer of the right type first"));
        }
        if is_incomplete(&whole) {
            let message = format!("print( ) argument #1 points to {whole}, which is not defined");
            return self.error(Tag::OpIncomplete, arg.span, &message);
        }
        let most = self.options.printsize.unwrap_or(LARGEST_RECORDED);
        let size = whole.size(self.options.strsize);
        let memory = Type::Struct(Arc::new(Struct {
            size: size.min(most).min(LARGEST_RECORDED),
            ..Struct::declared("memory", false)
        }));
        let pointer = Type::pointer_in(space, memory.clone());
        let (address, again) = self.used_twice(address);
        let pointer = node(ExprKind::Cast(Box::new(again)), pointer, arg.span);
        Ok(Action::Print {
            address,
            memory: node(ExprKind::Deref(Box::new(pointer)), memory, arg.span),
            ty: whole,
        })
    }

    /// An expression for two uses, the first of which comes first: one that is to be computed once only
    /// is kept in a variable.
    fn used_twice(&mut self, e: Expr) -> (Expr, Expr) {
        if !is_computed_once(&e) {
            return (e.clone(), e);
        }
        let (ty, span) = (e.ty.clone().in_space(Space::Unknown), e.span);
        let variable = Variable {
            name: format!("print_{}", self.program.variables.len()),
            scope: Scope::ClauseLocal,
            ty: ty.clone(),
            key: None,
        };
        let variable = node(
            ExprKind::Var(self.new_variable(variable, span)),
            ty.clone(),
            span,
        );
        let target = Box::new(variable.clone());
        let assigned = ExprKind::Assign(None, target, Box::new(e));
        (node(assigned, ty, span), variable)
    }
}

/// Whether computing an expression does something, or takes something that there is little of.
fn is_computed_once(e: &Expr) -> bool {
    matches!(
        e.kind,
        ExprKind::Assign(..) | ExprKind::Step { .. } | ExprKind::Call(..)
    ) || e.operands().into_iter().any(is_computed_once)
}
