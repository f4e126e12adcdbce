//! Statements and actions.

use std::sync::Arc;

use super::checker::{Checked, Checker};
use super::convert::node;
use super::operator::constant_choice;
use super::python::shown;
use super::syntax::base_of;
use super::translate::is_translated;
use crate::ast::{self, Name};
use crate::diag::Span;
use crate::names::{self, ActionName, Attributes, Kind, Prototype};
use crate::program::{Action, AggId, ExprKind, Stmt, StmtKind};
use crate::tags::Tag;
use crate::types::{Space, Struct, Type};

/// The signal that stops a process.
const SIGSTOP: i64 = 19;

/// The largest struct that is recorded as a whole, in bytes.
pub(super) const LARGEST_RECORDED: u32 = 4096;

/// Whether an expression is only a statement: a call of an action, or an aggregation.
fn is_action(expr: &ast::Expr) -> bool {
    if let ast::ExprKind::Call(name, _) = &expr.kind {
        return names::is_action(&name.text);
    }
    if let ast::ExprKind::Assign(_, target, _) = &expr.kind {
        return matches!(base_of(target).kind, ast::ExprKind::Aggregation(_));
    }
    if let ast::ExprKind::Ternary(_, first, second) | ast::ExprKind::Comma(first, second) =
        &expr.kind
    {
        return is_action(first) || is_action(second);
    }
    false
}

impl Checker<'_> {
    /// Errors if an expression is an aggregation that the program does not have.
    pub(super) fn known_dynamic(&mut self, expr: &ast::Expr) -> Checked<()> {
        if let ast::ExprKind::Aggregation(name) = &base_of(expr).kind
            && !self.aggregations.contains_key(name)
        {
            return self.unknown_aggregation(name, expr.span);
        }
        Ok(())
    }

    /// Errors if an expression is an aggregation, where nothing else is said about its type.
    fn refuse_aggregation(&mut self, expr: &ast::Expr) -> Checked<()> {
        let ast::ExprKind::Aggregation(name) = &base_of(expr).kind else {
            return Ok(());
        };
        self.known_dynamic(expr)?;
        let message = format!("aggregation @{name} may not be used as a value");
        let error = self
            .diagnostic(Tag::AggNull, expr.span, &message)
            .with_hint("print it with printa(), or let it print at the end");
        self.reject(error)
    }

    /// The error for `@a[1][2]`.
    pub(super) fn multi_dimensional<T>(&mut self, name: &str, span: Span) -> Checked<T> {
        let message = format!("improper attempt to reference @{name} as a multi-dimensional array");
        self.error(Tag::AggMdim, span, &message)
    }

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

    /// An expression statement; expressions joined by commas are statements after each other.
    fn expr_statement(&mut self, expr: &ast::Expr, out: &mut Vec<Stmt>) -> Checked<()> {
        let span = expr.span;
        let kind = if let ast::ExprKind::Comma(first, second) = &expr.kind {
            if let Some(action) = [first, second].into_iter().find(|e| is_action(e)) {
                let (tag, what) = if matches!(action.kind, ast::ExprKind::Assign(..)) {
                    (Tag::OpDyn, "of dynamic type")
                } else {
                    (Tag::OpAct, "actions")
                };
                let message = format!("operator , operands cannot be {what}");
                let error = self.diagnostic(tag, span, &message);
                return self.reject(error.with_hint("separate statements with semicolons"));
            }
            let first = self.expr_statement(first, out);
            self.expr_statement(second, out)?;
            return first;
        } else if let ast::ExprKind::Assign(op, target, value) = &expr.kind
            && matches!(base_of(target).kind, ast::ExprKind::Aggregation(_))
        {
            let aggregate = self.aggregate(*op, target, value, span)?;
            self.aggregation_follows(span)?;
            aggregate
        } else if let ast::ExprKind::Call(name, args) = &expr.kind
            && names::is_action(&name.text)
        {
            StmtKind::Action(self.action(name, args, span)?)
        } else if let ast::ExprKind::Ternary(cond, then, otherwise) = &expr.kind
            && (is_action(then) || is_action(otherwise))
        {
            let checked = self.expr(cond)?;
            if let Some(chosen) = constant_choice(&checked, then, otherwise) {
                return self.expr_statement(chosen, out);
            }
            if !checked.ty.is_scalar() {
                let message = "operator ?: expression must be of scalar type";
                return self.error(Tag::OpScalar, cond.span, message);
            }
            // As the statements `if` and `else`.
            let (mut yes, mut no) = (Vec::new(), Vec::new());
            let first = self.expr_statement(then, &mut yes);
            self.expr_statement(otherwise, &mut no)?;
            first?;
            StmtKind::If {
                cond: checked,
                then: yes,
                otherwise: no,
            }
        } else if let ast::ExprKind::Call(name, args) = &expr.kind
            && let Some(Kind::Aggregating(prototype, Ok(_))) = names::function(&name.text)
        {
            self.count_arguments(&name.text, args.len(), prototype, span)?;
            let message = format!(
                "aggregating function {}( ) may not be called from a D expression (D program context required)",
                name.text
            );
            let hint = "it is assigned to an aggregation: @name[keys] = func(...)";
            let error = self.diagnostic(Tag::CgExpr, span, &message).with_hint(hint);
            return self.reject(error);
        } else {
            self.refuse_aggregation(expr)?;
            let value = self.expr(expr)?;
            if value.ty == Type::Stack {
                let attributes = Attributes {
                    records: true,
                    ..Attributes::default()
                };
                self.follows(ActionName::Trace, attributes, span)?;
                StmtKind::Action(Action::Trace(value))
            } else {
                StmtKind::Expr(self.no_struct(value)?)
            }
        };
        out.push(Stmt { kind, span });
        Ok(())
    }

    fn action(&mut self, name: &Name, args: &[ast::Expr], span: Span) -> Checked<Action> {
        let function = name.text.as_str();
        let Some(Kind::Action(prototype, runs)) = names::function(function) else {
            return self.unknown_function(name);
        };
        self.count_arguments(function, args.len(), prototype, span)?;
        let number = |checker: &mut Self, n: usize| {
            checker.argument(function, n + 1, &args[n], prototype.parameters[n])
        };
        let aggregation =
            |checker: &mut Self, tag| checker.aggregation_argument(function, 1, &args[0], tag);
        let action = match *runs {
            Ok(ActionName::Trace) => self.trace(&args[0])?,
            Ok(ActionName::Printf) => self.printf(args, span)?,
            Ok(ActionName::Printa) => self.printa(args, span)?,
            Ok(ActionName::Exit) => Action::Exit(number(self, 0)?),
            Ok(ActionName::Clear) => Action::Clear(aggregation(self, Tag::ClearAggarg)?),
            Ok(ActionName::Trunc) => {
                let count = match args.len() {
                    1 => None,
                    _with_count => Some(number(self, 1)?),
                };
                Action::Trunc(aggregation(self, Tag::TruncAggarg)?, count)
            }
            Ok(ActionName::Normalize) => {
                let factor = number(self, 1)?;
                Action::Normalize(aggregation(self, Tag::NormalizeAggarg)?, factor)
            }
            Ok(ActionName::Denormalize) => {
                Action::Denormalize(aggregation(self, Tag::NormalizeAggarg)?)
            }
            Ok(ActionName::Tracemem) => self.tracemem(args, prototype)?,
            Ok(ActionName::Print) => self.print(&args[0])?,
            Ok(ActionName::Symbol(symbol)) => Action::Trace(self.symbol(symbol, name, args, span)?),
            Ok(ActionName::Speculate) => Action::Speculate(number(self, 0)?),
            Ok(ActionName::Commit) => Action::Commit(number(self, 0)?),
            Ok(ActionName::Discard) => Action::Discard(number(self, 0)?),
            Ok(ActionName::System) => {
                let (format, args) = self.formatted("system", args, span)?;
                Action::System(format, args)
            }
            Ok(ActionName::Freopen) => self.freopen(args, span)?,
            Ok(ActionName::Ftruncate) => Action::Ftruncate,
            Ok(ActionName::Setopt) => {
                let value = match args.len() {
                    1 => None,
                    _with_value => Some(number(self, 1)?),
                };
                Action::Setopt(number(self, 0)?, value)
            }
            Ok(ActionName::Raise) => Action::Raise(number(self, 0)?),
            Ok(ActionName::Stop) => {
                let signal = node(ExprKind::Int(SIGSTOP), Type::INT, span);
                Action::Raise(signal)
            }
            Ok(ActionName::Copyout | ActionName::Copyoutstr) => {
                Action::WriteUser([number(self, 0)?, number(self, 1)?, number(self, 2)?])
            }
            Ok(ActionName::Return) => {
                number(self, 0)?;
                return self.no_return(span);
            }
            Err(why) => {
                self.check_typed_arguments(function, args, prototype)?;
                return self.lacking(function, why, name.span);
            }
        };
        if let Ok(runs) = *runs {
            let attributes = names::find(function).map(|name| name.attributes);
            self.follows(runs, attributes.unwrap_or_default(), span)?;
        }
        Ok(action)
    }

    /// `freopen(format, ...)`; the empty format is the output that there was at first.
    fn freopen(&mut self, args: &[ast::Expr], span: Span) -> Checked<Action> {
        if let [format] = args
            && let ast::ExprKind::Str(text) = &format.kind
            && text.is_empty()
        {
            return Ok(Action::Freopen(None, Vec::new()));
        }
        let (format, args) = self.formatted("freopen", args, span)?;
        Ok(Action::Freopen(Some(format), args))
    }

    /// `return()` changes what a function of the kernel gives back: no probe here is in one.
    fn no_return<T>(&mut self, span: Span) -> Checked<T> {
        let desc = self.clause_probes.as_ref().map(|probes| &probes.spec.desc);
        let probe = desc.map(ToString::to_string).unwrap_or_default();
        let message = format!("return() not allowed for {probe}");
        self.plain_error(Tag::ActReturn, span, &message)
    }

    fn trace(&mut self, arg: &ast::Expr) -> Checked<Action> {
        if let ast::ExprKind::Call(name, args) = &arg.kind
            && let Some(
                kind @ (Kind::Action(prototype, Ok(_)) | Kind::Aggregating(prototype, Ok(_))),
            ) = names::function(&name.text)
        {
            self.count_arguments(&name.text, args.len(), prototype, arg.span)?;
            let (tag, what) = match kind {
                Kind::Aggregating(..) => (Tag::TraceDyn, "a dynamic expression"),
                Kind::Variable(..)
                | Kind::Array(_)
                | Kind::Subroutine(..)
                | Kind::Reading(..)
                | Kind::Action(..) => (Tag::TraceVoid, "a void expression"),
            };
            let message = format!("trace( ) may not be applied to {what}");
            return self.plain_error(tag, arg.span, &message);
        }
        if matches!(base_of(arg).kind, ast::ExprKind::Aggregation(_)) {
            self.known_dynamic(arg)?;
            let message = "trace( ) may not be applied to a dynamic expression";
            let error = self.diagnostic(Tag::TraceDyn, arg.span, message);
            return self
                .reject(error.with_hint("print it with printa(), or let it print at the end"));
        }
        let place = self.place(arg)?;
        if is_translated(&place) {
            let message = "trace( ) may not be applied to a dynamic expression";
            let error = self.diagnostic(Tag::TraceDyn, arg.span, message);
            return self.reject(error.with_hint("trace the members of what xlate gives"));
        }
        let value = match place.ty.bare() {
            Type::Struct(_) | Type::Array(..)
                if place.ty.size(self.options.strsize) > LARGEST_RECORDED =>
            {
                let message = format!(
                    "trace( ) may not be applied to {} bytes; {LARGEST_RECORDED} is the most",
                    place.ty.size(self.options.strsize)
                );
                return self.unsupported(arg.span, &message);
            }
            Type::Struct(_) | Type::Symbol(_) | Type::Stack => place,
            // Of strings, which have no fixed size, the address shows.
            Type::Array(..) if place.ty.size(0) == place.ty.size(self.options.strsize) => place,
            Type::Void if matches!(place.kind, ExprKind::Call(..) | ExprKind::Comma(..)) => {
                let message = "trace( ) may not be applied to a void expression";
                return self.plain_error(Tag::TraceVoid, arg.span, message);
            }
            Type::Void
            | Type::Int(_)
            | Type::Float(_)
            | Type::String
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Named(_) => {
                let value = self.value(place)?;
                self.no_struct(shown(value))?
            }
        };
        Ok(Action::Trace(value))
    }

    /// `tracemem(address, size[, shown])`. The memory is that of a struct of `size` bytes.
    fn tracemem(&mut self, args: &[ast::Expr], prototype: &Prototype) -> Checked<Action> {
        let mut number =
            |n: usize| self.argument("tracemem", n + 1, &args[n], prototype.parameters[n]);
        let size = number(1)?;
        let shown = if args.len() > 2 {
            Some(number(2)?)
        } else {
            None
        };
        let address = self.expr(&args[0])?;
        let space = match &address.ty {
            Type::Pointer(_, space) => *space,
            Type::Int(_) => Space::Unknown,
            Type::Void
            | Type::Float(_)
            | Type::String
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_) => {
                let message = format!(
                    "tracemem( ) argument #1 is incompatible with prototype:\n\tprototype: pointer or integer\n\t argument: {}",
                    address.ty
                );
                return self.plain_error(Tag::TracememAddr, address.span, &message);
            }
        };
        let ExprKind::Int(size @ 1..) = size.kind else {
            let message =
                "tracemem( ) argument #2 must be a non-zero positive integral constant expression";
            return self.plain_error(Tag::TracememSize, args[1].span, message);
        };
        let Some(size) = u32::try_from(size)
            .ok()
            .filter(|size| *size <= LARGEST_RECORDED)
        else {
            let message = format!("tracemem( ) of more than {LARGEST_RECORDED} bytes");
            return self.unsupported(args[1].span, &message);
        };
        let memory = Type::Struct(Arc::new(Struct {
            size,
            ..Struct::declared("memory", false)
        }));
        let span = address.span;
        let pointer = node(
            ExprKind::Cast(Box::new(address)),
            Type::pointer_in(space, memory.clone()),
            span,
        );
        let memory = node(ExprKind::Deref(Box::new(pointer)), memory, span);
        Ok(Action::Tracemem(memory, shown))
    }

    /// An argument that must be an aggregation: `@name`, or one of its keys, which means all of it as in
    /// DTrace.
    pub(super) fn aggregation_argument(
        &mut self,
        function: &str,
        n: usize,
        arg: &ast::Expr,
        tag: Tag,
    ) -> Checked<AggId> {
        if let ast::ExprKind::Index(_, keys) = &arg.kind
            && matches!(base_of(arg).kind, ast::ExprKind::Aggregation(_))
        {
            for key in keys {
                self.expr(key)?;
            }
        }
        if let ast::ExprKind::Aggregation(name) = &base_of(arg).kind {
            return match self.aggregations.get(name) {
                Some(&id) => Ok(id),
                None => self.unknown_aggregation(name, arg.span),
            };
        }
        let value = self.expr(arg)?;
        let message = format!(
            "{function}( ) argument #{n} is incompatible with prototype:\n\tprototype: aggregation\n\t argument: {}",
            value.ty
        );
        self.plain_error(tag, arg.span, &message)
    }
}
