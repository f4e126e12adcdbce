//! Expressions: what each form means and its type.

use super::checker::{Checked, Checker, Reported};
use super::convert::{convert, convert_pointer, int_node, is_string_like, node};
use super::member::is_in_variable;
use super::operator::{aggregation_words, is_zero};
use super::syntax::dynamic_words;
use super::translate::pointers_agree;
use super::types::{in_kernel, is_incomplete};
use crate::ast::{self, IntSign};
use crate::diag::{Diagnostic, Span};
use crate::names::{self, Kind, Lack, Variable};
use crate::program::{Expr, ExprKind, Scope};
use crate::tags::Tag;
use crate::types::{Int, NameKind, Space, Type};

impl Checker<'_> {
    /// Checks an expression that must have a value: arrays have become pointers.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let checked = self.place(expr)?;
        self.value(checked)
    }

    /// Checks an expression whose value may be a whole struct or union.
    pub(super) fn object_of(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let checked = self.place(expr)?;
        self.object(checked)
    }

    /// The value of a checked expression, which may be a whole struct or union.
    pub(super) fn object(&mut self, checked: Expr) -> Checked<Expr> {
        if matches!(checked.ty, Type::Struct(_)) {
            return Ok(checked);
        }
        self.value(checked)
    }

    /// Turns an object into the value that C makes of it. A struct stays one: whoever wants the
    /// value says what it must be.
    pub(super) fn value(&mut self, expr: Expr) -> Checked<Expr> {
        match (&expr.ty, expr.kind) {
            (Type::Array(of, _), ExprKind::Deref(address)) => {
                Ok(convert_pointer(*address, (**of).clone()))
            }
            (Type::Array(of, _), kind)
                if is_in_variable(&node(kind.clone(), Type::Void, expr.span)) =>
            {
                let array = node(kind, expr.ty.clone(), expr.span);
                if !matches!(array.whole().kind, ExprKind::Var(_)) {
                    let message = "cannot take address of dynamic variable";
                    return self.error(Tag::AddrofVar, expr.span, message);
                }
                let ty = Type::pointer_in(Space::Scratch, (**of).clone());
                Ok(node(ExprKind::AddressOf(Box::new(array)), ty, expr.span))
            }
            (_, kind) => Ok(Expr { kind, ..expr }),
        }
    }

    /// An expression that is more than an operand which every operator refuses: its value is no whole
    /// struct or union (one that is assigned is none), and it is no [`valueless`] one.
    pub(super) fn no_struct(&mut self, expr: Expr) -> Checked<Expr> {
        let expr = self.with_value(expr)?;
        if matches!(expr.ty, Type::Struct(_)) && !matches!(expr.kind, ExprKind::Assign(..)) {
            let message = format!("{} cannot be used as a value", expr.ty);
            return self.error(Tag::OpSou, expr.span, &message);
        }
        Ok(expr)
    }

    /// An expression that is no [`valueless`] operand.
    pub(super) fn with_value(&mut self, expr: Expr) -> Checked<Expr> {
        if is_valueless(&expr) {
            let message = "a value is wanted here, and aggregations and actions give none";
            let hint = "an action is a statement of its own; print an aggregation with printa()";
            let error = self.diagnostic(Tag::OpAct, expr.span, message);
            return self.reject(error.with_hint(hint));
        }
        Ok(expr)
    }

    /// Checks an expression that may also be an object of array or struct type.
    pub(super) fn place(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let span = expr.span;
        match &expr.kind {
            ast::ExprKind::Int {
                value,
                unsigned,
                long,
            } => match literal_type(*value, *unsigned, *long) {
                Some(int) => Ok(int_node(value.cast_signed(), int, span)),
                None => {
                    let message = format!(
                        "integer constant {value:#x} cannot be represented in any built-in \
                         integral type"
                    );
                    let error = Diagnostic::new(Tag::IntOflow, span, &message);
                    self.reject(error.with_hint("an unsigned constant is written with a u"))
                }
            },
            ast::ExprKind::Char(value) => {
                let is_int = i32::try_from(*value).is_ok();
                let ty = if is_int { Int::I32 } else { Int::I64 };
                Ok(int_node(*value, ty, span))
            }
            ast::ExprKind::Str(text) => Ok(node(ExprKind::Str(text.clone()), Type::String, span)),
            ast::ExprKind::Ident(name) => self.ident(name, span),
            ast::ExprKind::SelfVar(name) => self.scoped_variable(Scope::ThreadLocal, name),
            ast::ExprKind::ThisVar(name) => self.scoped_variable(Scope::ClauseLocal, name),
            ast::ExprKind::Kernel(name) => self.kernel_symbol(name, span),
            ast::ExprKind::Aggregation(name) => self.stray_aggregation(name, span),
            ast::ExprKind::Call(name, args) => self.call(name, args, span),
            ast::ExprKind::Index(base, args) => self.index(base, args, span),
            ast::ExprKind::Member(base, name, arrow) => {
                if let Some(name) = self.task_variable(expr) {
                    return self.scoped_variable(Scope::TaskLocal, name);
                }
                self.member_access(base, name, *arrow, span)
            }
            ast::ExprKind::Unary(op, operand) => self.unary(*op, operand, span),
            ast::ExprKind::Plus(operand) => self.plus(operand, span),
            ast::ExprKind::Indirect(operand) => self.indirect(operand, span),
            ast::ExprKind::Address(operand) => self.address_of(operand, span),
            ast::ExprKind::Stringof(operand) => self.stringof(operand, span),
            ast::ExprKind::Step { target, up, post } => self.step(target, *up, *post, span),
            ast::ExprKind::Binary(op, a, b) => self.binary(*op, a, b, span),
            ast::ExprKind::Logic(op, a, b) => self.logic(*op, a, b, span),
            ast::ExprKind::Assign(op, target, value) => self.assign(*op, target, value, span),
            ast::ExprKind::Ternary(cond, then, otherwise) => {
                self.ternary(cond, then, otherwise, span)
            }
            ast::ExprKind::Comma(a, b) => {
                let a = self.expr(a)?;
                let a = self.no_struct(a)?;
                let b = self.expr(b)?;
                let b = self.no_struct(b)?;
                let ty = b.ty.clone();
                self.fold(node(ExprKind::Comma(Box::new(a), Box::new(b)), ty, span))
            }
            ast::ExprKind::Cast(ty, operand) => self.cast(ty, operand, span),
            ast::ExprKind::SizeofType(ty) => {
                let ty = self.type_name(ty)?;
                self.sizeof(&ty, span)
            }
            ast::ExprKind::Sizeof(operand) => {
                if let ast::ExprKind::Str(text) = &operand.kind {
                    let size = i64::try_from(text.len()).unwrap_or(i64::MAX - 1) + 1;
                    return Ok(int_node(size, Int::U64, span));
                }
                let ty = if let ast::ExprKind::Ident(name) = &operand.kind
                    && let Some(ty) = self.types.typedef(name)
                {
                    ty.clone()
                } else if let ast::ExprKind::Kernel(name) = &operand.kind
                    && let Some(name) = in_kernel(name)
                    && let Some(ty) = self.types.of_kernel(NameKind::Typedef, name)
                {
                    ty
                } else if dynamic_words(operand).is_some() {
                    self.known_dynamic(operand)?;
                    let message = "cannot apply sizeof to an operand of unknown size";
                    return self.error(Tag::SizeofType, span, message);
                } else {
                    let of = self.place(operand)?;
                    if matches!(of.kind, ExprKind::BitField { .. }) {
                        let message = "cannot apply sizeof to a bit-field";
                        return self.error(Tag::SizeofBitfield, span, message);
                    }
                    of.ty
                };
                self.sizeof(&ty, span)
            }
            ast::ExprKind::Offsetof(ty, path) => self.offsetof(ty, path, span),
            ast::ExprKind::Xlate(ty, operand) => self.xlate(ty, operand, span),
        }
    }

    fn ident(&mut self, name: &str, span: Span) -> Checked<Expr> {
        if matches!(name, "self" | "this") {
            let message = format!("pointer '{name}' may not be referenced as scalar");
            let hint = format!("a variable follows: {name}->name");
            let error = self.diagnostic(Tag::IdentBadref, span, &message);
            return self.reject(error.with_hint(&hint));
        }
        if let Some(argument) = self.parameters.last().and_then(|frame| frame.get(name)) {
            let argument = argument.clone();
            self.count_expanded(&argument, name, span)?;
            return Ok(Expr { span, ..argument });
        }
        if let Some(inline) = self.inlines.get(name).copied() {
            if inline.parameters.is_some() {
                let message = format!("associative array '{name}' may not be referenced as scalar");
                let error = self.diagnostic(Tag::IdentBadref, span, &message);
                return self
                    .reject(error.with_hint(&format!("its parameters follow: {name}[...]")));
            }
            return self.expand_inline(inline, Vec::new(), span);
        }
        let own = names::find(name).map(|row| row.kind);
        if let Some(Kind::Variable(_, Ok(Variable::Argument(n)))) = own
            && let Some(dependent) = self.dependent()
        {
            return self.raw_input(dependent, n, span);
        }
        if let Some(Kind::Variable(ty, Ok(variable))) = own {
            let (kind, ty) = match variable {
                Variable::Builtin(builtin) => (ExprKind::Builtin(builtin), ty.ty()),
                Variable::Argument(n) => (ExprKind::Arg(n), ty.ty()),
                Variable::Null => (ExprKind::Int(0), Type::INT),
                Variable::Execargs => return self.execargs(span),
                Variable::Path(of) => return self.process_path(of, span),
            };
            return Ok(node(kind, ty, span));
        }
        if let Some(value) = self.types.enumerator(name) {
            return Ok(int_node(value, Int::I32, span));
        }
        match own {
            Some(Kind::Variable(..)) => self.refuse_unsupported(name, span)?,
            Some(kind) => {
                let message = format!("{} '{name}' may not be referenced as scalar", kind.words());
                return self.error(Tag::IdentBadref, span, &message);
            }
            None => {}
        }
        self.variable(Scope::Global, name, span)
    }

    /// Errors for a name that D knows and rdtrace does not run.
    pub(super) fn refuse_unsupported(&mut self, name: &str, span: Span) -> Checked<()> {
        match names::find(name).and_then(|row| row.kind.lack()) {
            Some(why) => self.lacking(name, why, span),
            None => Ok(()),
        }
    }

    /// The error for a name that D knows and rdtrace does not run.
    pub(super) fn lacking<T>(&mut self, name: &str, why: Lack, span: Span) -> Checked<T> {
        let why = match why {
            Lack::Unsupported(why) => why,
            Lack::Impossible => {
                if let Some(Kind::Variable(..)) = names::find(name).map(|row| row.kind) {
                    let message = format!("built-in variable '{name}' not implemented");
                    return self.plain_error(Tag::IdentUndef, span, &message);
                }
                let message = format!("{name}() is not implemented (yet)");
                return self.plain_error(Tag::Unknown, span, &message);
            }
            Lack::Unimplemented => {
                let message = format!("unimplemented subroutine: {name}");
                return self.plain_error(Tag::FuncUndef, span, &message);
            }
            Lack::Unknown(hint) => {
                let (tag, message) = match names::find(name).map(|row| row.kind) {
                    Some(Kind::Array(_)) => (
                        Tag::VarUndef,
                        format!("{name} has not yet been declared or assigned"),
                    ),
                    Some(Kind::Variable(..)) | None => (
                        Tag::IdentUndef,
                        format!("failed to resolve {name}: Unknown variable name"),
                    ),
                    Some(
                        Kind::Subroutine(..)
                        | Kind::Reading(..)
                        | Kind::Action(..)
                        | Kind::Aggregating(..),
                    ) => (Tag::FuncUndef, format!("undefined function name: {name}")),
                };
                let error = self.diagnostic(tag, span, &message).with_hint(hint);
                return self.reject(error);
            }
        };
        self.unsupported(span, &format!("{name} is not supported yet: {why}"))
    }

    /// Checks an inline's body in the place of its name, with its parameters bound.
    pub(super) fn expand_inline(
        &mut self,
        inline: &ast::Inline,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Checked<Expr> {
        let ty = self.inline_type(inline)?;
        let mut frame = std::collections::HashMap::new();
        for (parameter, argument) in inline.parameters.iter().flatten().zip(arguments) {
            let wanted = self.parameter_type(&parameter.specifiers, &parameter.declarator)?;
            let argument = self.convert_to(argument, &wanted, "=")?;
            if let Some(name) = &parameter.declarator.name {
                frame.insert(name.text.clone(), argument);
            }
        }
        let name = &inline.name.text;
        let body =
            self.with_parameters(frame, name, span, |checker| checker.object_of(&inline.body))?;
        self.count_expanded(&body, &inline.name.text, span)?;
        // As in libdtrace a constant keeps its own type and value: `inline int B = 5000000000`.
        let constant = converts(&body, &ty) && matches!(body.kind, ExprKind::Int(_));
        if ty == Type::Void || constant {
            return Ok(Expr { span, ..body });
        }
        // Where a pointer leads is known better from the value than from the declaration.
        let ty = if let Type::Pointer(_, space) = &body.ty {
            ty.in_space(*space)
        } else {
            ty
        };
        if !converts(&body, &ty) {
            let message = format!(
                "inline {name} definition uses incompatible types: \"{ty}\" = \"{}\"",
                body.ty
            );
            return self.error(Tag::OpIncompat, body.span, &message);
        }
        let converted = self.convert_to(body, &ty, "=")?;
        Ok(Expr { span, ..converted })
    }

    /// Checks what is put in the place of a name, with its parameters bound.
    pub(super) fn with_parameters(
        &mut self,
        frame: std::collections::HashMap<String, Expr>,
        name: &str,
        span: Span,
        check: impl FnOnce(&mut Self) -> Checked<Expr>,
    ) -> Checked<Expr> {
        const MAX_DEPTH: usize = 24;
        if self.expanding >= MAX_DEPTH {
            let message = format!("inline {name} expands too far");
            return self.error(Tag::Nesting, span, &message);
        }
        self.parameters.push(frame);
        self.expanding += 1;
        let checked = check(self);
        self.expanding -= 1;
        self.parameters.pop();
        checked
    }

    /// Takes account of what an inline or its parameter was expanded to: a text of one line can
    /// double at each level.
    pub(super) fn count_expanded(&mut self, made: &Expr, name: &str, span: Span) -> Checked<()> {
        const MOST: usize = 200_000;
        if self.expanded > MOST {
            return Err(Reported);
        }
        self.expanded += made.count_nodes();
        if self.expanded <= MOST {
            return Ok(());
        }
        let message = format!("inline {name} expands too far");
        let error = self
            .diagnostic(Tag::Nesting, span, &message)
            .with_hint("keep values that are used more than once in this-> variables");
        self.reject(error)
    }

    /// Converts as an assignment does.
    pub(super) fn convert_to(&mut self, expr: Expr, ty: &Type, op: &str) -> Checked<Expr> {
        if converts(&expr, ty) {
            let converted = convert(expr, ty);
            return self.fold(converted);
        }
        let message = format!(
            "operands have incompatible types: \"{ty}\" {op} \"{}\"",
            expr.ty
        );
        self.error(Tag::OpIncompat, expr.span, &message)
    }

    fn sizeof(&mut self, ty: &Type, span: Span) -> Checked<Expr> {
        let ty = self.types.complete(ty);
        if is_incomplete(&ty) {
            let message = "cannot apply sizeof to an operand of unknown size";
            return self.error(Tag::SizeofType, span, message);
        }
        Ok(int_node(
            i64::from(ty.size(self.options.strsize)),
            Int::U64,
            span,
        ))
    }

    fn cast(&mut self, ty: &ast::TypeName, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        let spelled = self.spelled_type(&ty.specifiers, &ty.declarator)?;
        if spelled.is_function() {
            let operand = self.object_of(operand)?;
            let message = format!(
                "invalid cast expression: \"{}\" to \"{spelled}\"",
                operand.ty
            );
            return self.error(Tag::CastInval, span, &message);
        }
        let ty = spelled.bare().clone();
        if ty == Type::String {
            return self.stringof(operand, span);
        }
        if let Some(words) = aggregation_words(operand) {
            self.known_dynamic(operand)?;
            let message = format!("invalid cast expression: \"{words}\" to \"{ty}\"");
            return self.error(Tag::CastInval, span, &message);
        }
        if ty == Type::Void {
            return self.without_value(operand, span);
        }
        let operand = self.object_of(operand)?;
        if operand.ty == ty && matches!(ty, Type::Struct(_) | Type::Float(_)) {
            return Ok(Expr { span, ..operand });
        }
        if !ty.is_scalar() || !operand.ty.is_scalar() {
            let message = format!("invalid cast expression: \"{}\" to \"{ty}\"", operand.ty);
            return self.error(Tag::CastInval, span, &message);
        }
        // What a pointer leads to may change, where that is does not.
        let ty = if let Type::Pointer(_, space) = &operand.ty {
            ty.in_space(*space)
        } else {
            ty
        };
        let converted = Expr {
            span,
            ..convert(operand, &ty)
        };
        self.fold(converted)
    }

    /// `(void) e`: what it does, and no value.
    fn without_value(&mut self, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        let done = self.object_of(operand)?;
        if let (ast::ExprKind::Call(name, _), Some(words)) = (&operand.kind, dynamic_words(operand))
        {
            let message = format!(
                "{words} {}( ) may not be called from a D expression (D program context required)",
                name.text
            );
            return self.error(Tag::CgExpr, span, &message);
        }
        // A struct as a whole is no operand, and does nothing.
        let done = if matches!(done.ty, Type::Struct(_)) {
            int_node(0, Int::I32, span)
        } else {
            done
        };
        let both = ExprKind::Comma(Box::new(done), Box::new(valueless(span)));
        Ok(node(both, Type::Void, span))
    }

    /// `stringof e` and `(string) e`.
    fn stringof(&mut self, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        let operand = self.place(operand)?;
        if is_string_like(&operand.ty) && operand.ty != Type::String {
            return Ok(node(ExprKind::Cast(Box::new(operand)), Type::String, span));
        }
        match &operand.ty {
            Type::String => Ok(Expr { span, ..operand }),
            Type::Int(_) | Type::Pointer(..) => {
                let pointer = convert_pointer(operand, Type::Int(Int::I8));
                Ok(node(ExprKind::Cast(Box::new(pointer)), Type::String, span))
            }
            ty @ (Type::Void
            | Type::Float(_)
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_)) => {
                let message = format!("cannot apply stringof to a value of type {ty}");
                self.error(Tag::StringofType, span, &message)
            }
        }
    }

    /// `@name` in an expression.
    pub(super) fn stray_aggregation(&mut self, name: &str, span: Span) -> Checked<Expr> {
        if self.aggregations.contains_key(name) || self.spoiled.contains(name) {
            return Ok(valueless(span));
        }
        self.unknown_aggregation(name, span)
    }
}

/// Whether an assignment converts a value to a type.
fn converts(expr: &Expr, ty: &Type) -> bool {
    expr.ty == *ty
        || (ty.is_scalar() && expr.ty.is_scalar() && pointers_agree(ty, &expr.ty, is_zero(expr)))
        || (*ty == Type::String && is_string_like(&expr.ty))
}

/// What stands in an expression for an aggregation, or for the call of an action: an operand of type
/// `void`, so that each operator refuses it in its own words.
pub(super) fn valueless(span: Span) -> Expr {
    node(ExprKind::Int(0), Type::Void, span)
}

fn is_valueless(expr: &Expr) -> bool {
    expr.ty == Type::Void && matches!(expr.kind, ExprKind::Int(_))
}

/// The type of an integer constant, as in C: the first that holds it of those that its suffix
/// and base allow.
fn literal_type(value: u64, sign: IntSign, long: bool) -> Option<Int> {
    let candidates = [Int::I32, Int::U32, Int::I64, Int::U64];
    let allowed = |int: &Int| {
        (int.size == 8 || !long)
            && match sign {
                IntSign::Signed => int.signed,
                IntSign::Either => true,
                IntSign::Unsigned => !int.signed,
            }
    };
    let holds = |int: &Int| {
        let bits = u32::from(int.size) * 8 - u32::from(int.signed);
        bits == 64 || value >> bits == 0
    };
    candidates
        .into_iter()
        .find(|int| allowed(int) && holds(int))
}
