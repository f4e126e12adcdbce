//! What changes a variable: assignments, and `++` and `--`.

use super::checker::{Checked, Checker, Reported};
use super::convert::{convert, int_node, node};
use super::operator::{convert_or_null, is_null, is_zero};
use super::syntax::{base_of, dynamic_words};
use super::translate::pointers_agree;
use super::variable::shown_name;
use crate::ast;
use crate::diag::Span;
use crate::program::{BinaryOp, Expr, ExprKind, Scope};
use crate::tags::Tag;
use crate::types::{Int, Space, Type};

impl Checker<'_> {
    pub(super) fn assign(
        &mut self,
        op: Option<BinaryOp>,
        target: &ast::Expr,
        value: &ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let shown = op.map_or("=".to_owned(), |op| format!("{op}="));
        if op.is_none()
            && let ast::ExprKind::Cast(ty, _) = &value.kind
            && self.spelled_type(&ty.specifiers, &ty.declarator)? == Type::Void
        {
            let message = "operands have incompatible types: \"void\" = \"void\"";
            return self.error(Tag::OpIncompat, span, message);
        }
        if let ast::ExprKind::Aggregation(_) = base_of(target).kind {
            let message =
                "an aggregation is assigned in a statement of its own: @name[keys] = func(...)";
            return self.error(Tag::AggComm, span, message);
        }
        if let ast::ExprKind::Index(inner, _) = &target.kind
            && let ast::ExprKind::Aggregation(name) = &base_of(inner).kind
        {
            return self.multi_dimensional(name, target.span);
        }
        if let Some(words) = dynamic_words(value)
            && !matches!(value.kind, ast::ExprKind::Call(..) if words == "tracing function")
        {
            self.known_dynamic(value)?;
            let known = match self.variable_name(target) {
                Some(name) if !self.variables.contains_key(&name) => "scalar".to_owned(),
                _ => self.place(target)?.ty.to_string(),
            };
            let message =
                format!("operands have incompatible types: \"{known}\" {shown} \"{words}\"");
            return self.error(Tag::OpIncompat, span, &message);
        }
        // The name is known from the left-hand side on, but has no type yet.
        let new = match self.variable_name(target) {
            Some((Scope::Global, name)) if op.is_none() => Some(name),
            Some(_) | None => None,
        };
        let outer = std::mem::replace(&mut self.assigned, new);
        let place = self.place(value);
        self.assigned = outer;
        let assigned = place.and_then(|place| {
            self.refuse_new_array(target, &place.ty, &shown, span)?;
            let value = self.object(place)?;
            self.refuse_translated(&value)?;
            Ok(value)
        });
        let value = match assigned {
            Ok(value) => value,
            Err(reported) => {
                if let Some((scope, name)) = self.variable_name(base_of(target)) {
                    self.spoiled.insert(shown_name(scope, &name));
                }
                return Err(reported);
            }
        };
        if let (Some(_), Some((scope, name))) = (op, self.variable_name(base_of(target)))
            && !self.variables.contains_key(&(scope, name.clone()))
        {
            if self.spoiled.contains(&shown_name(scope, &name)) {
                return Err(Reported);
            }
            let message = format!(
                "{} has not yet been declared or assigned",
                shown_name(scope, &name)
            );
            return self.error(Tag::VarUndef, target.span, &message);
        }
        let alloca = |e: &Expr| {
            let of = if let ExprKind::Cast(of) = &e.kind {
                of
            } else {
                e
            };
            of.ty.space() == Space::Scratch
        };
        if let ExprKind::Ternary(_, then, otherwise) = &value.kind
            && matches!(value.ty, Type::Pointer(..))
            && alloca(then) != alloca(otherwise)
        {
            let message = "ternary conditional with alloca and non-alloca branches cannot be assigned to a variable";
            return self.error(Tag::AllocaIncompat, span, message);
        }
        let target = self.target(target, &value.ty, &shown)?;
        let ty = target.ty.clone();
        if let Type::Array(..) = ty {
            let message =
                format!("operator {shown} may not be applied to operand of type \"{ty}\"");
            return self.error(Tag::OpArrfun, target.span, &message);
        }
        if op.is_none() && matches!(ty, Type::Float(_)) {
            // As in libdtrace, also of one type: nothing is computed with them.
            let message = format!(
                "operands have incompatible types: \"{ty}\" = \"{}\"",
                value.ty
            );
            return self.error(Tag::OpIncompat, span, &message);
        }
        let has_no_size = match &ty {
            Type::Struct(_) | Type::Float(_) => true,
            Type::Pointer(to, _) => **to == Type::Void,
            Type::Void
            | Type::Int(_)
            | Type::String
            | Type::Array(..)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_) => false,
        };
        if op.is_some() && has_no_size {
            let message =
                format!("operator {shown} requires left-hand scalar operand of known size");
            return self.error(Tag::OpVfptr, target.span, &message);
        }
        let is_field = matches!(target.kind, ExprKind::BitField { .. });
        if let Some(op) = op
            && (is_field || matches!(ty, Type::Pointer(..)))
        {
            if !is_field && !matches!(op, BinaryOp::Add | BinaryOp::Subtract) {
                self.operation_value(op, &ty, value.clone(), span)?;
            }
            return self.operate_and_assign(op, target, value, span);
        }
        let value = match op {
            None if ty == Type::String && is_null(&value) => convert_or_null(value, &ty),
            None if ty.is_scalar()
                && value.ty.is_scalar()
                && pointers_agree(&ty, &value.ty, is_zero(&value)) =>
            {
                value
            }
            None => self.convert_to(value, &ty, "=")?,
            Some(op) => self.operation_value(op, &ty, value, span)?,
        };
        Ok(node(
            ExprKind::Assign(op, Box::new(target), Box::new(value)),
            ty,
            span,
        ))
    }

    /// Errors if a variable would get the type of an array from its first value.
    fn refuse_new_array(
        &mut self,
        target: &ast::Expr,
        ty: &Type,
        shown: &str,
        span: Span,
    ) -> Checked<()> {
        let is_new = self
            .variable_name(target)
            .is_some_and(|name| !self.variables.contains_key(&name));
        if !is_new || !matches!(ty, Type::Array(..)) {
            return Ok(());
        }
        let message = format!("operator {shown} may not be applied to operand of type \"{ty}\"");
        self.error(Tag::OpArrfun, span, &message)
    }

    /// `p += n` on pointers and bit-fields, as `p = p + n`.
    fn operate_and_assign(
        &mut self,
        op: BinaryOp,
        target: Expr,
        value: Expr,
        span: Span,
    ) -> Checked<Expr> {
        let ty = target.ty.clone();
        if target.operands().into_iter().any(changes_state) {
            return self.unsupported(
                span,
                "the index of a pointer or bit-field that is changed cannot have effects",
            );
        }
        // As with any other target, the operation goes by the target's sign.
        let value = match (&target.ty, &value.ty) {
            (Type::Int(int), Type::Int(_)) => convert(value, &Type::Int(Int { size: 8, ..*int })),
            _ => value,
        };
        let moved = self.arithmetic(op, target.clone(), value, span)?;
        let moved = Box::new(self.convert_to(moved, &ty, "=")?);
        Ok(node(
            ExprKind::Assign(None, Box::new(target), moved),
            ty,
            span,
        ))
    }

    /// The right side of `target op= value`.
    fn operation_value(
        &mut self,
        op: BinaryOp,
        target: &Type,
        value: Expr,
        span: Span,
    ) -> Checked<Expr> {
        match (target, &value.ty) {
            (Type::Int(_), Type::Int(_)) => Ok(value),
            (Type::Pointer(..), Type::Int(_))
                if matches!(op, BinaryOp::Add | BinaryOp::Subtract) =>
            {
                self.scaled(value, target)
            }
            _ if matches!(op, BinaryOp::Add | BinaryOp::Subtract) => {
                let message = format!(
                    "operands have incompatible types: \"{target}\" {op}= \"{}\"",
                    value.ty
                );
                self.error(Tag::OpIncompat, span, &message)
            }
            _ => {
                let (tag, what) = if matches!(op, BinaryOp::Multiply | BinaryOp::Divide) {
                    (Tag::OpArith, "arithmetic")
                } else {
                    (Tag::OpInt, "integral")
                };
                let message = format!("operator {op}= requires operands of {what} type");
                self.error(tag, span, &message)
            }
        }
    }

    pub(super) fn step(
        &mut self,
        target: &ast::Expr,
        up: bool,
        post: bool,
        span: Span,
    ) -> Checked<Expr> {
        let shown = if up { "++" } else { "--" };
        if let ast::ExprKind::Aggregation(name) = &base_of(target).kind {
            let message = format!("operator {shown} cannot be applied to aggregation @{name}");
            let error = self
                .diagnostic(Tag::AggComm, span, &message)
                .with_hint("count with @name = count()");
            return self.reject(error);
        }
        if matches!(target.kind, ast::ExprKind::Str(_)) {
            let message = format!("operator {shown} requires operand of scalar type");
            return self.error(Tag::OpScalar, target.span, &message);
        }
        // As in libdtrace, a scalar that is first seen here is a 64-bit counter.
        let target = self.target(target, &Type::I64, shown)?;
        if let Type::Pointer(to, _) = &target.ty
            && **to == Type::Void
        {
            let message = format!("operator {shown} requires an operand of known size");
            return self.error(Tag::OpVfptr, target.span, &message);
        }
        let size = match &target.ty {
            Type::Int(_) => 1,
            Type::Pointer(..) => self.element_size(&target.ty.clone(), span)?,
            Type::Void
            | Type::Float(_)
            | Type::String
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_) => {
                let message = format!("operator {shown} requires operand of scalar type");
                return self.error(Tag::OpScalar, target.span, &message);
            }
        };
        let ty = target.ty.clone();
        if let ExprKind::BitField { .. } = target.kind {
            let (forth, back) = if up {
                (BinaryOp::Add, BinaryOp::Subtract)
            } else {
                (BinaryOp::Subtract, BinaryOp::Add)
            };
            let one = int_node(1, ty.as_int().unwrap_or(Int::I32), span);
            let changed = self.operate_and_assign(forth, target, one.clone(), span)?;
            return if post {
                self.arithmetic(back, changed, one, span)
            } else {
                Ok(changed)
            };
        }
        let by = if up { size } else { -size };
        Ok(node(
            ExprKind::Step {
                target: Box::new(target),
                by,
                post,
            },
            ty,
            span,
        ))
    }
}

/// Whether evaluating an expression twice differs from once.
pub(super) fn changes_state(e: &Expr) -> bool {
    matches!(e.kind, ExprKind::Assign(..) | ExprKind::Step { .. })
        || e.operands().into_iter().any(changes_state)
}
