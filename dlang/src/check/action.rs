//! Statements and actions.

use super::operator::{base_of, constant_choice};
use super::{Checked, Checker, names};
use crate::ast::{self, Name};
use crate::diag::Span;
use crate::program::{Action, AggId, Expr, Stmt, StmtKind};
use crate::tags::Tag;
use crate::types::{Int, Type};

/// The largest struct that is recorded as a whole, in bytes.
const LARGEST_RECORDED: u32 = 4096;

/// Whether an expression is only a statement: a call of an action, or an aggregation.
fn is_action(expr: &ast::Expr) -> bool {
    match &expr.kind {
        ast::ExprKind::Call(name, _) => names::ACTIONS.contains(&name.text.as_str()),
        ast::ExprKind::Assign(_, target, _) => {
            matches!(base_of(target).kind, ast::ExprKind::Aggregation(_))
        }
        ast::ExprKind::Ternary(_, then, otherwise) => is_action(then) || is_action(otherwise),
        ast::ExprKind::Comma(first, second) => is_action(first) || is_action(second),
        _ => false,
    }
}

impl Checker<'_> {
    /// Checks statements in order. A statement with an error is left out; the others go on.
    pub(super) fn statements(&mut self, body: &[ast::Stmt], out: &mut Vec<Stmt>) {
        for stmt in body {
            // The error is already noted.
            let _ = self.statement(stmt, out);
        }
    }

    fn statement(&mut self, stmt: &ast::Stmt, out: &mut Vec<Stmt>) -> Checked<()> {
        match &stmt.kind {
            ast::StmtKind::Expr(expr) => self.expr_statement(expr, out),
            ast::StmtKind::Block(body) => {
                self.statements(body, out);
                Ok(())
            }
            ast::StmtKind::If {
                cond,
                then,
                otherwise,
            } => {
                let condition = self.expr(cond);
                let (mut yes, mut no) = (Vec::new(), Vec::new());
                self.statements(then, &mut yes);
                self.statements(otherwise, &mut no);
                let condition = condition?;
                if !condition.ty.is_scalar() {
                    let message = "if condition must be of scalar type";
                    return self.error(Tag::OpScalar, cond.span, message);
                }
                let kind = StmtKind::If {
                    cond: condition,
                    then: yes,
                    otherwise: no,
                };
                out.push(Stmt {
                    kind,
                    span: stmt.span,
                });
                Ok(())
            }
        }
    }

    /// An expression statement; actions joined by commas are statements after each other.
    fn expr_statement(&mut self, expr: &ast::Expr, out: &mut Vec<Stmt>) -> Checked<()> {
        let span = expr.span;
        let kind = match &expr.kind {
            ast::ExprKind::Comma(first, second) => {
                let first = self.expr_statement(first, out);
                self.expr_statement(second, out)?;
                return first;
            }
            ast::ExprKind::Assign(op, target, value)
                if matches!(base_of(target).kind, ast::ExprKind::Aggregation(_)) =>
            {
                self.aggregate(*op, target, value, span)?
            }
            ast::ExprKind::Call(name, args) if names::ACTIONS.contains(&name.text.as_str()) => {
                StmtKind::Action(self.action(name, args, span)?)
            }
            ast::ExprKind::Ternary(cond, then, otherwise)
                if is_action(then) || is_action(otherwise) =>
            {
                let checked = self.expr(cond)?;
                return match constant_choice(&checked, then, otherwise) {
                    Some(chosen) => self.expr_statement(chosen, out),
                    None => {
                        let message = "action cannot be used in a conditional context";
                        let error = self
                            .diagnostic(Tag::OpIncompat, span, message)
                            .with_hint("use if (condition) { ... }, or a predicate");
                        self.reject(error)
                    }
                };
            }
            _ => StmtKind::Expr(self.expr(expr)?),
        };
        out.push(Stmt { kind, span });
        Ok(())
    }

    fn action(&mut self, name: &Name, args: &[ast::Expr], span: Span) -> Checked<Action> {
        let function = name.text.as_str();
        match function {
            "trace" => {
                self.count_arguments(function, args.len(), 1, Some(1), span)?;
                self.trace(&args[0])
            }
            "printf" => self.printf(args, span),
            "printa" => self.printa(args, span),
            "exit" => {
                self.count_arguments(function, args.len(), 1, Some(1), span)?;
                Ok(Action::Exit(self.number(
                    function,
                    1,
                    &args[0],
                    Int::I32,
                )?))
            }
            "clear" | "denormalize" => {
                self.count_arguments(function, args.len(), 1, Some(1), span)?;
                let tag = if function == "clear" {
                    Tag::ClearAggarg
                } else {
                    Tag::NormalizeAggarg
                };
                let agg = self.aggregation_argument(function, 1, &args[0], tag)?;
                Ok(if function == "clear" {
                    Action::Clear(agg)
                } else {
                    Action::Denormalize(agg)
                })
            }
            "trunc" => {
                self.count_arguments(function, args.len(), 1, Some(2), span)?;
                let agg = self.aggregation_argument(function, 1, &args[0], Tag::TruncAggarg)?;
                let count = match args.get(1) {
                    Some(count) => Some(self.number(function, 2, count, Int::I64)?),
                    None => None,
                };
                Ok(Action::Trunc(agg, count))
            }
            _ => {
                self.count_arguments(function, args.len(), 2, Some(2), span)?;
                let agg = self.aggregation_argument(function, 1, &args[0], Tag::NormalizeAggarg)?;
                Ok(Action::Normalize(
                    agg,
                    self.number(function, 2, &args[1], Int::U64)?,
                ))
            }
        }
    }

    fn trace(&mut self, arg: &ast::Expr) -> Checked<Action> {
        if let ast::ExprKind::Call(name, _) = &arg.kind {
            if names::AGGREGATING.contains(&name.text.as_str()) {
                let message = "trace( ) may not be applied to a dynamic expression";
                return self.plain_error(Tag::TraceDyn, arg.span, message);
            }
            if names::ACTIONS.contains(&name.text.as_str()) {
                let message = "trace( ) may not be applied to a void expression";
                return self.plain_error(Tag::TraceVoid, arg.span, message);
            }
        }
        let place = self.place(arg)?;
        let value = match &place.ty {
            Type::Array(..) if super::convert::is_string_like(&place.ty) => {
                super::convert::convert(place, &Type::String)
            }
            Type::Struct(s) if s.size > LARGEST_RECORDED => {
                let message = format!(
                    "trace( ) may not be applied to {} bytes; {LARGEST_RECORDED} is the most",
                    s.size
                );
                return self.unsupported(arg.span, &message);
            }
            Type::Struct(_) => place,
            _no_struct => self.value(place)?,
        };
        Ok(Action::Trace(value))
    }

    /// An integer argument, converted to `int`.
    fn number(&mut self, function: &str, n: usize, arg: &ast::Expr, int: Int) -> Checked<Expr> {
        let value = self.expr(arg)?;
        if !matches!(value.ty, Type::Int(_)) {
            let prototype = Type::Int(int).to_string();
            let error = self.wrong_argument(function, n, &prototype, &value);
            return self.reject(error);
        }
        let value = super::convert::stored(value, &Type::Int(int));
        self.fold(value)
    }

    /// An argument that must be `@name` without keys.
    pub(super) fn aggregation_argument(
        &mut self,
        function: &str,
        n: usize,
        arg: &ast::Expr,
        tag: Tag,
    ) -> Checked<AggId> {
        match &arg.kind {
            ast::ExprKind::Aggregation(name) => match self.aggregations.get(name) {
                Some(&id) => Ok(id),
                None => self.unknown_aggregation(name, arg.span),
            },
            ast::ExprKind::Index(base, _) if matches!(base.kind, ast::ExprKind::Aggregation(_)) => {
                let message = format!("{function}( ) takes the whole aggregation, without keys");
                self.plain_error(tag, arg.span, &message)
            }
            _ => {
                let value = self.expr(arg)?;
                let message = format!(
                    "{function}( ) argument #{n} is incompatible with prototype:\n\tprototype: aggregation\n\t argument: {}",
                    value.ty
                );
                self.plain_error(tag, arg.span, &message)
            }
        }
    }
}
