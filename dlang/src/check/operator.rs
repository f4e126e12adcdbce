//! Operators: C's conversions made explicit.

use super::checker::{Checked, Checker};
use super::convert::{convert, int_node, is_string_like, node, stored};
use super::syntax::{base_of, is_of_literals};
use super::translate::pointers_agree;
use super::types::is_incomplete;
use crate::ast;
use crate::diag::Span;
use crate::program::{BinaryOp, Expr, ExprKind, LogicOp, Subroutine, UnaryOp};
use crate::tags::Tag;
use crate::types::{Int, Space, Type};

impl Checker<'_> {
    pub(super) fn unary(&mut self, op: UnaryOp, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        if op == UnaryOp::Not {
            let message = "operator ! requires an operand of scalar type";
            let operand = self.scalar(operand, message)?;
            return self.fold(node(
                ExprKind::Unary(op, Box::new(operand)),
                Type::INT,
                span,
            ));
        }
        let is_of_literals = is_of_literals(operand);
        let operand = self.expr(operand)?;
        let Type::Int(int) = operand.ty else {
            let (tag, what) = if op == UnaryOp::Negate {
                (Tag::OpArith, "arithmetic")
            } else {
                (Tag::OpInt, "integral")
            };
            let message = format!("operator {op} requires an operand of {what} type");
            return self.error(tag, operand.span, &message);
        };
        if let (UnaryOp::Negate, ExprKind::Int(value), false) = (op, &operand.kind, int.signed)
            && is_of_literals
        {
            // As in libdtrace -1U is the constant 4294967295, while the result of `-` on a
            // variable, or on what a function returns, has all 64 bits.
            return Ok(int_node(value.wrapping_neg(), int, span));
        }
        let ty = operand.ty.clone();
        self.fold(node(ExprKind::Unary(op, Box::new(operand)), ty, span))
    }

    pub(super) fn plus(&mut self, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        let operand = self.expr(operand)?;
        if !matches!(operand.ty, Type::Int(_)) {
            let message = "operator + requires an operand of arithmetic type";
            return self.error(Tag::OpArith, operand.span, message);
        }
        Ok(Expr { span, ..operand })
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        // Both sides are checked before either fails, so that both report.
        let (a, b) = (self.operand(left), self.operand(right));
        let (a, b) = (a?, b?);
        // An aggregation shows as what it is, and not as a type.
        if let (Some(words), _) | (_, Some(words)) =
            (aggregation_words(left), aggregation_words(right))
            && (is_comparison(op) || matches!(op, BinaryOp::Add | BinaryOp::Subtract))
        {
            let shown = |e: &Expr, is: bool| {
                if is {
                    words.to_owned()
                } else {
                    e.ty.to_string()
                }
            };
            let message = format!(
                "operands have incompatible types: \"{}\" {op} \"{}\"",
                shown(&a, aggregation_words(left).is_some()),
                shown(&b, aggregation_words(right).is_some())
            );
            return self.error(Tag::OpIncompat, span, &message);
        }
        let combined = if is_comparison(op) {
            self.compare(op, a, b, span)?
        } else {
            self.arithmetic(op, a, b, span)?
        };
        self.fold(combined)
    }

    /// An operand; a `char` array stays one, so that it can become a string.
    fn operand(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let place = self.place(expr)?;
        if matches!(place.ty, Type::Array(..)) && is_string_like(&place.ty) {
            return Ok(place);
        }
        self.value(place)
    }

    fn compare(&mut self, op: BinaryOp, a: Expr, b: Expr, span: Span) -> Checked<Expr> {
        let make = |a, b| {
            node(
                ExprKind::Binary(op, Box::new(a), Box::new(b)),
                Type::INT,
                span,
            )
        };
        let is_string = |e: &Expr| e.ty == Type::String;
        if (is_string(&a) && is_string_like(&b.ty)) || (is_string(&b) && is_string_like(&a.ty)) {
            return Ok(make(convert(a, &Type::String), convert(b, &Type::String)));
        }
        if matches!(op, BinaryOp::Equal | BinaryOp::NotEqual) {
            if is_string(&a) && is_null(&b) {
                return Ok(compare_with_null(op, a, span));
            }
            if is_string(&b) && is_null(&a) {
                return Ok(compare_with_null(op, b, span));
            }
        }
        if (is_string(&a) && is_null(&b)) || (is_string(&b) && is_null(&a)) {
            let string = |e| convert_or_null(e, &Type::String);
            return Ok(make(string(a), string(b)));
        }
        let (a, b) = (self.value(a)?, self.value(b)?);
        match (&a.ty, &b.ty) {
            (x, y)
                if x.is_scalar()
                    && y.is_scalar()
                    && pointers_agree(x, y, is_zero(&a) || is_zero(&b)) =>
            {
                Ok(make(a, b))
            }
            _ => self.incompatible(&a.ty, op, &b.ty, span),
        }
    }

    /// An arithmetic or bitwise operator on values.
    pub(super) fn arithmetic(
        &mut self,
        op: BinaryOp,
        a: Expr,
        b: Expr,
        span: Span,
    ) -> Checked<Expr> {
        let (a, b) = (self.value(a)?, self.value(b)?);
        let make = |a, b, ty| node(ExprKind::Binary(op, Box::new(a), Box::new(b)), ty, span);
        match (&a.ty, &b.ty, op) {
            (Type::Int(_), Type::Int(_), BinaryOp::ShiftLeft | BinaryOp::ShiftRight) => {
                let ty = a.ty.clone();
                Ok(make(a, b, ty))
            }
            (Type::Int(x), Type::Int(y), _) => {
                let ty = Type::Int(Int::common(*x, *y));
                Ok(make(a, b, ty))
            }
            (Type::Pointer(of, _), Type::Int(_), BinaryOp::Add | BinaryOp::Subtract)
                if **of != Type::Void =>
            {
                let ty = a.ty.clone();
                let offset = self.scaled(b, &ty)?;
                let sum = make(convert(a, &Type::U64), offset, Type::U64);
                let sum = self.fold(sum)?;
                Ok(convert(sum, &ty))
            }
            (Type::Int(_), Type::Pointer(of, _), BinaryOp::Add) if **of != Type::Void => {
                let ty = b.ty.clone();
                let offset = self.scaled(a, &ty)?;
                let sum = make(convert(b, &Type::U64), offset, Type::U64);
                let sum = self.fold(sum)?;
                Ok(convert(sum, &ty))
            }
            // A string is used as a `char *` is: what is left of it from a place on.
            (Type::String, Type::Int(_), BinaryOp::Add) => self.rest_of_string(a, b, span),
            (Type::Int(_), Type::String, BinaryOp::Add) => self.rest_of_string(b, a, span),
            (Type::Pointer(of, _), Type::Pointer(other, _), BinaryOp::Subtract)
                if of == other && **of != Type::Void =>
            {
                let size = i64::from(self.types.complete(of).size(self.options.strsize).max(1));
                let distance = make(convert(a, &Type::I64), convert(b, &Type::I64), Type::I64);
                let size = Box::new(int_node(size, Int::I64, span));
                Ok(node(
                    ExprKind::Binary(BinaryOp::Divide, Box::new(distance), size),
                    Type::I64,
                    span,
                ))
            }
            _ if op == BinaryOp::Add || op == BinaryOp::Subtract => {
                let message = format!(
                    "operands have incompatible types: \"{}\" {op} \"{}\"",
                    a.ty, b.ty
                );
                let mut error = self.diagnostic(Tag::OpIncompat, span, &message);
                if a.ty == Type::String && b.ty == Type::String && op == BinaryOp::Add {
                    error.hint = Some("strings are joined with strjoin(a, b)".into());
                }
                self.reject(error)
            }
            _ => {
                let (tag, what) = if matches!(op, BinaryOp::Multiply | BinaryOp::Divide) {
                    (Tag::OpArith, "arithmetic")
                } else {
                    (Tag::OpInt, "integral")
                };
                let message = format!("operator {op} requires operands of {what} type");
                self.error(tag, span, &message)
            }
        }
    }

    fn rest_of_string(&mut self, of: Expr, from: Expr, span: Span) -> Checked<Expr> {
        let from = stored(from, &Type::INT);
        let call = ExprKind::Call(Subroutine::Substr, vec![of, from]);
        self.fold(node(call, Type::String, span))
    }

    /// An index as a distance in bytes, `uint64_t`.
    pub(super) fn scaled(&mut self, index: Expr, pointer: &Type) -> Checked<Expr> {
        let span = index.span;
        let size = self.element_size(pointer, span)?;
        let index = convert(convert(index, &Type::I64), &Type::U64);
        let size = Box::new(int_node(size, Int::U64, span));
        self.fold(node(
            ExprKind::Binary(BinaryOp::Multiply, Box::new(index), size),
            Type::U64,
            span,
        ))
    }

    /// The size of what a pointer points to; `void` counts as bytes.
    pub(super) fn element_size(&mut self, pointer: &Type, span: Span) -> Checked<i64> {
        let Type::Pointer(of, _) = pointer else {
            return Ok(1);
        };
        let of = self.types.complete(of);
        if is_incomplete(&of) && of != Type::Void {
            let message = format!("operator needs a complete type: {of} is not defined");
            return self.error(Tag::OpIncomplete, span, &message);
        }
        Ok(i64::from(of.size(self.options.strsize).max(1)))
    }

    pub(super) fn logic(
        &mut self,
        op: LogicOp,
        a: &ast::Expr,
        b: &ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let message = format!("operator {op} requires operands of scalar type");
        let (a, b) = (self.scalar(a, &message), self.scalar(b, &message));
        let (a, b) = (a?, b?);
        self.fold(node(
            ExprKind::Logic(op, Box::new(a), Box::new(b)),
            Type::INT,
            span,
        ))
    }

    pub(super) fn ternary(
        &mut self,
        cond: &ast::Expr,
        then: &ast::Expr,
        otherwise: &ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let cond = self.scalar(cond, "operator ?: expression must be of scalar type");
        if let Ok(Some(chosen)) = cond
            .as_ref()
            .map(|cond| constant_choice(cond, then, otherwise))
        {
            let chosen = self.operand(chosen)?;
            let chosen = self.with_value(chosen)?;
            return Ok(Expr { span, ..chosen });
        }
        if let Some(dynamic) = [then, otherwise]
            .into_iter()
            .find(|e| aggregation_words(e).is_some())
        {
            self.known_dynamic(dynamic)?;
            let message = "operator ?: operands cannot be of dynamic type";
            return self.error(Tag::OpDyn, span, message);
        }
        let (then, otherwise) = (self.operand(then), self.operand(otherwise));
        let (cond, then, otherwise) = (cond?, self.no_struct(then?)?, self.no_struct(otherwise?)?);
        let is_string = |e: &Expr| e.ty == Type::String;
        let any_string = is_string(&then) || is_string(&otherwise);
        let stringish = |e: &Expr| is_string_like(&e.ty) || is_null(e);
        let ty = match (&then.ty, &otherwise.ty) {
            _ if any_string && stringish(&then) && stringish(&otherwise) => Type::String,
            (Type::Int(a), Type::Int(b)) => Type::Int(Int::common(*a, *b)),
            (a, b) if !pointers_agree(a, b, is_zero(&then) || is_zero(&otherwise)) => {
                return self.unlike_operands(a, b, span);
            }
            (Type::Pointer(_, a), Type::Pointer(_, b)) if a != b => {
                then.ty.clone().in_space(Space::Unknown)
            }
            (Type::Pointer(..), _) if otherwise.ty.is_scalar() => then.ty.clone(),
            (_, Type::Pointer(..)) if then.ty.is_scalar() => otherwise.ty.clone(),
            (a, b) if a == b && *a != Type::Void => a.clone(),
            _ => {
                return self.unlike_operands(&then.ty, &otherwise.ty, span);
            }
        };
        let branch = |e: Expr| match (&e.ty, &ty) {
            (Type::Int(_), Type::Int(_)) => Box::new(e),
            _ => Box::new(convert_or_null(e, &ty)),
        };
        let (then, otherwise) = (branch(then), branch(otherwise));
        Ok(node(
            ExprKind::Ternary(Box::new(cond), then, otherwise),
            ty,
            span,
        ))
    }

    /// The error for operands of `?:` of two types.
    fn unlike_operands<T>(&mut self, a: &Type, b: &Type, span: Span) -> Checked<T> {
        let message = "operator ?: operands must have compatible types";
        let error = self.diagnostic(Tag::OpIncompat, span, message);
        self.reject(error.with_hint(&format!("one is \"{a}\", the other \"{b}\"")))
    }

    /// An operand that must be an integer or a pointer. An array is none here, though it is a pointer
    /// wherever one is wanted.
    pub(super) fn scalar(&mut self, expr: &ast::Expr, message: &str) -> Checked<Expr> {
        let expr = self.place(expr)?;
        if expr.ty.is_scalar() {
            return Ok(expr);
        }
        let mut error = self.diagnostic(Tag::OpScalar, expr.span, message);
        if expr.ty == Type::String {
            error.hint = Some("compare the string: s != \"\"".into());
        }
        self.reject(error)
    }

    fn incompatible<T>(&mut self, a: &Type, op: BinaryOp, b: &Type, span: Span) -> Checked<T> {
        let message = format!("operands have incompatible types: \"{a}\" {op} \"{b}\"");
        let mut error = self.diagnostic(Tag::OpIncompat, span, &message);
        let string_and_int = |a: &Type, b: &Type| *a == Type::String && b.is_scalar();
        if string_and_int(a, b) || string_and_int(b, a) {
            error.hint =
                Some("read a string at an address with copyinstr(), or write lltostr(n)".into());
        }
        self.reject(error)
    }
}

pub(super) fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterEqual
    )
}

/// `NULL` or the constant 0.
pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Int(0)) && expr.ty.is_scalar()
}

/// The integer constant 0, which is a pointer too.
pub(super) fn is_zero(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Int(0)) && matches!(expr.ty, Type::Int(_))
}

/// Converts; the constant 0 becomes the null string.
pub(super) fn convert_or_null(expr: Expr, ty: &Type) -> Expr {
    if *ty == Type::String && is_null(&expr) {
        return Expr::null_string(expr.span);
    }
    convert(expr, ty)
}

/// `s == NULL` and `s != NULL`. A search that found nothing gives the null string: it is asked
/// as `index(...) == -1`, which any part of rdtrace can compute.
fn compare_with_null(op: BinaryOp, s: Expr, span: Span) -> Expr {
    let searched = searched_for(&s).ok_or(s);
    let (left, right) = match searched {
        Ok(args) => {
            let at = node(ExprKind::Call(Subroutine::Index, args), Type::INT, span);
            (at, int_node(-1, Int::I32, span))
        }
        // `json` gives an empty string for what it has not found.
        Err(s) if matches!(s.kind, ExprKind::Call(Subroutine::Json, _)) => {
            (s, node(ExprKind::Str(Vec::new()), Type::String, span))
        }
        Err(s) => (s, Expr::null_string(span)),
    };
    node(
        ExprKind::Binary(op, Box::new(left), Box::new(right)),
        Type::INT,
        span,
    )
}

/// The arguments of `index` that ask for the same as a search for a string or a character.
fn searched_for(s: &Expr) -> Option<Vec<Expr>> {
    let ExprKind::Call(subroutine, args) = &s.kind else {
        return None;
    };
    if *subroutine == Subroutine::Strstr {
        return Some(args.clone());
    }
    if !matches!(subroutine, Subroutine::Strchr | Subroutine::Strrchr) {
        return None;
    }
    let [text, wanted] = args.as_slice() else {
        return None;
    };
    let ExprKind::Int(wanted_value) = wanted.kind else {
        return None;
    };
    let letter = vec![wanted_value.to_le_bytes()[0]];
    let letter = node(ExprKind::Str(letter), Type::String, wanted.span);
    (wanted_value != 0).then(|| vec![text.clone(), letter])
}

/// The operand of `cond ? then : otherwise` that a constant condition chooses. As in libdtrace
/// the other one is not even looked at.
pub(super) fn constant_choice<'e>(
    cond: &Expr,
    then: &'e ast::Expr,
    otherwise: &'e ast::Expr,
) -> Option<&'e ast::Expr> {
    let ExprKind::Int(value) = cond.kind else {
        return None;
    };
    cond.ty
        .is_scalar()
        .then_some(if value == 0 { otherwise } else { then })
}

/// libdtrace's word for an operand that is an aggregation.
pub(super) fn aggregation_words(expr: &ast::Expr) -> Option<&'static str> {
    matches!(base_of(expr).kind, ast::ExprKind::Aggregation(_)).then_some("aggregation")
}
