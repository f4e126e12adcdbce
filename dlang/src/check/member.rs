//! Memory: pointers followed, arrays indexed, members found. What a pointer leads to is address
//! arithmetic below a [`ExprKind::Deref`]; a part of a variable is named as such
//! ([`ExprKind::Member`], [`ExprKind::Index`]).

use super::checker::{Checked, Checker};
use super::convert::{convert, convert_pointer, int_node, node};
use super::syntax::base_of;
use super::types::is_incomplete;
use crate::ast::{self, Name};
use crate::diag::Span;
use crate::names::{self, Array, Kind};
use crate::program::{BinaryOp, Expr, ExprKind};
use crate::tags::Tag;
use crate::types::{Int, Member, Space, Struct, Type};

impl Checker<'_> {
    /// `base[arguments]`: an element, an inline with parameters, `args[n]`, or memory.
    pub(super) fn index(
        &mut self,
        base: &ast::Expr,
        args: &[ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        if let ast::ExprKind::Aggregation(name) = &base.kind {
            return self.stray_aggregation(name, span);
        }
        if let ast::ExprKind::Aggregation(name) = &base_of(base).kind {
            return self.multi_dimensional(name, span);
        }
        if let ast::ExprKind::Ident(name) = &base.kind {
            if let Some(inline) = self.inlines.get(name).copied()
                && inline.parameters.is_some()
            {
                return self.inline_call(inline, args, span);
            }
            if let Some(Kind::Array(array)) = names::find(name).map(|row| row.kind) {
                let [index] = args else {
                    let message = format!(
                        "{name}[ ] prototype mismatch: {} args passed, 1 expected",
                        args.len()
                    );
                    return self.error(Tag::ProtoLen, span, &message);
                };
                return match array {
                    Ok(Array::Args) => self.typed_argument(index, span),
                    Ok(Array::Uregs) => self.user_register(index, span),
                    Err(why) => self.lacking(name, why, span),
                };
            }
        }
        if let Some((scope, name)) = self.variable_name(base) {
            let known = self.variables.get(&(scope, name.clone()));
            if known.is_none_or(|id| self.program.variables[id.0 as usize].is_array()) {
                return self.element(scope, &name, args, None, span);
            }
        }
        let base_name = if let ast::ExprKind::Ident(name) = &base.kind {
            Some(name.as_str())
        } else {
            None
        };
        let base = self.place(base)?;
        if !matches!(base.ty, Type::Pointer(..) | Type::Array(..) | Type::String) {
            let message = "cannot dereference non-pointer type";
            return self.error(Tag::DerefNonptr, base.span, message);
        }
        let [index] = args else {
            let message = format!(
                "cannot access scalar {} as an associative array",
                base_name.unwrap_or("value")
            );
            return self.error(Tag::ArrBadref, span, &message);
        };
        let index = self.expr(index)?;
        let Type::Int(_) = index.ty else {
            let message = format!(
                "operands have incompatible types: \"{}\" + \"{}\"",
                base.ty, index.ty
            );
            return self.error(Tag::OpIncompat, index.span, &message);
        };
        if base.ty == Type::String {
            return self.byte_of(base, index, span);
        }
        if let Type::Array(of, count) = base.ty.clone()
            && is_in_variable(&base)
        {
            return self.array_element(base, &of, count, index, span);
        }
        if let Type::Array(_, count @ 1..) = base.ty {
            self.in_bounds(&index, count)?;
        }
        let base = self.value(base)?;
        let ty = base.ty.clone();
        if matches!(&ty, Type::Pointer(of, _) if **of == Type::Void) {
            let message = format!(
                "operands have incompatible types: \"{ty}\" + \"{}\"",
                index.ty
            );
            let error = self.diagnostic(Tag::OpIncompat, span, &message);
            return self.reject(error.with_hint("cast it to a pointer of the right type first"));
        }
        let offset = self.scaled(index, &ty)?;
        let address = self.add_bytes(base, offset, &ty)?;
        self.follow(address, span)
    }

    /// `array[index]` of an array in a variable.
    fn array_element(
        &mut self,
        array: Expr,
        of: &Type,
        count: u32,
        index: Expr,
        span: Span,
    ) -> Checked<Expr> {
        let index = self.fold(convert(index, &Type::I64))?;
        self.in_bounds(&index, count)?;
        let ty = self.types.complete(of);
        let (of, index) = (Box::new(array), Box::new(index));
        Ok(node(ExprKind::Index { of, index }, ty, span))
    }

    /// Errors if a constant index is outside of an array.
    fn in_bounds(&mut self, index: &Expr, count: u32) -> Checked<()> {
        if let ExprKind::Int(at) = index.kind
            && !(0..i64::from(count)).contains(&at)
        {
            let at = at.cast_unsigned();
            let message = format!("index outside array bounds: {at}, max is {count}");
            return self.error(Tag::ArrBounds, index.span, &message);
        }
        Ok(())
    }

    fn inline_call(
        &mut self,
        inline: &ast::Inline,
        args: &[ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let mut prototype = Vec::new();
        for parameter in inline.parameters.iter().flatten() {
            prototype.push(self.parameter_type(&parameter.specifiers, &parameter.declarator)?);
        }
        let args: Checked<Vec<Expr>> = args.iter().map(|arg| self.expr(arg)).collect();
        let args = args?;
        // The arguments keep their own types, as an inline's value does.
        self.match_keys(
            &inline.name.text,
            args.clone(),
            &prototype,
            span,
            Tag::ProtoArg,
        )?;
        self.expand_inline(inline, args, span)
    }

    /// `base.name` or `base->name`.
    pub(super) fn member_access(
        &mut self,
        base: &ast::Expr,
        name: &Name,
        arrow: bool,
        span: Span,
    ) -> Checked<Expr> {
        let address = if arrow {
            let base = self.place(base)?;
            if !matches!(base.ty, Type::Pointer(..)) {
                let message = "operator -> must be applied to a pointer";
                return self.error(Tag::OpPtr, base.span, message);
            }
            base
        } else {
            let place = self.place(base)?;
            if let Type::Struct(s) = self.types.complete(&place.ty)
                && is_in_variable(&place)
            {
                return self.variable_member(place, &s, name, span);
            }
            match (&place.ty, place.kind) {
                (Type::Struct(_), ExprKind::Deref(address)) => *address,
                (ty, _) => {
                    let message = format!(
                        "operator . cannot be applied to type \"{ty}\"; must be applied to a struct or union"
                    );
                    let mut error = self.diagnostic(Tag::OpSou, place.span, &message);
                    if matches!(ty, Type::Pointer(..)) {
                        error.hint = Some("a member of what a pointer leads to: p->member".into());
                    }
                    return self.reject(error);
                }
            }
        };
        if let Some(translated) = self.translated_member(&address, name, span) {
            return translated;
        }
        let Type::Pointer(of, _) = &address.ty else {
            return self.error(Tag::OpPtr, span, "operator -> must be applied to a pointer");
        };
        let (Type::Struct(s), op) = (self.types.complete(of), if arrow { "->" } else { "." })
        else {
            let message = format!(
                "operator {} cannot be applied to pointer to type \"{of}\"; must be applied to a struct or union pointer",
                if arrow { "->" } else { "." }
            );
            return self.error(Tag::OpSou, span, &message);
        };
        if s.members.is_empty() {
            let message = format!(
                "operator {op} cannot be applied to a forward declaration: no {of} definition is available"
            );
            return self.error(Tag::OpIncomplete, span, &message);
        }
        let Some((offset, member)) = find_member(&s, &name.text) else {
            return self.unknown_member(&s, name);
        };
        let ty = Type::pointer_in(address.ty.space(), member.ty.clone());
        let offset = int_node(i64::from(offset), Int::U64, span);
        let address = self.add_bytes(address, offset, &ty)?;
        let object = self.follow(address, span)?;
        Ok(with_bits(object, member))
    }

    /// `place.name` of a struct or union in a variable.
    fn variable_member(
        &mut self,
        place: Expr,
        s: &Struct,
        name: &Name,
        span: Span,
    ) -> Checked<Expr> {
        let Some((offset, member)) = find_member(s, &name.text) else {
            return self.unknown_member(s, name);
        };
        let kind = ExprKind::Member {
            of: Box::new(place),
            name: name.text.clone(),
            offset,
        };
        let object = node(kind, self.types.complete(&member.ty), span);
        Ok(with_bits(object, member))
    }

    fn unknown_member<T>(&mut self, s: &Struct, name: &Name) -> Checked<T> {
        let kind = if s.union { "union" } else { "struct" };
        let message = format!("{} is not a member of {kind} {}", name.text, s.name);
        let mut error = self.diagnostic(Tag::TypeMember, name.span, &message);
        let known = s.members.iter().map(|member| member.name.as_str());
        error.hint =
            names::nearest(&name.text, known).map(|near| format!("did you mean `{near}`?"));
        self.reject(error)
    }

    /// `*e`.
    pub(super) fn indirect(&mut self, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        let address = self.expr(operand)?;
        if address.ty == Type::String {
            let first = int_node(0, Int::I32, span);
            return self.byte_of(address, first, span);
        }
        if !matches!(address.ty, Type::Pointer(..)) {
            let message = "cannot dereference non-pointer type";
            let error = self
                .diagnostic(Tag::DerefNonptr, address.span, message)
                .with_hint("cast an address first: *(int *)arg0");
            return self.reject(error);
        }
        self.follow(address, span)
    }

    /// `s[i]`: a string is used as a `char *` is.
    fn byte_of(&mut self, of: Expr, index: Expr, span: Span) -> Checked<Expr> {
        let kind = ExprKind::Byte(Box::new(of), Box::new(index));
        self.fold(node(kind, Type::Int(Int::I8), span))
    }

    /// The object that a pointer points to.
    fn follow(&mut self, address: Expr, span: Span) -> Checked<Expr> {
        let Type::Pointer(of, _) = &address.ty else {
            return self.error(
                Tag::DerefNonptr,
                span,
                "cannot dereference non-pointer type",
            );
        };
        if of.is_function() {
            return self.error(
                Tag::DerefFunc,
                span,
                "cannot dereference pointer to function",
            );
        }
        let of = self.types.complete(of);
        if is_incomplete(&of) && !matches!(of, Type::Void | Type::Array(..)) {
            let message = format!("cannot dereference pointer to {of}, which is not defined");
            return self.error(Tag::OpIncomplete, span, &message);
        }
        match of {
            Type::Void => self.error(Tag::DerefVoid, span, "cannot dereference pointer to void"),
            Type::String => {
                let pointer = convert_pointer(address, Type::Int(Int::I8));
                Ok(node(ExprKind::Cast(Box::new(pointer)), Type::String, span))
            }
            Type::Float(16) => self.unsupported(span, "a long double cannot be read"),
            ty @ (Type::Int(_)
            | Type::Float(_)
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_)) => Ok(node(ExprKind::Deref(Box::new(address)), ty, span)),
        }
    }

    fn add_bytes(&mut self, address: Expr, offset: Expr, ty: &Type) -> Checked<Expr> {
        if matches!(offset.kind, ExprKind::Int(0)) {
            return Ok(convert(address, ty));
        }
        let span = address.span;
        let address = Box::new(convert(address, &Type::U64));
        let sum = node(
            ExprKind::Binary(BinaryOp::Add, address, Box::new(offset)),
            Type::U64,
            span,
        );
        let sum = self.fold(sum)?;
        Ok(convert(sum, ty))
    }

    /// `&e`, for what is in memory.
    pub(super) fn address_of(&mut self, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        let place = self.place(operand)?;
        match place.kind.clone() {
            ExprKind::Deref(address) if address.ty.is_scalar() => Ok(Expr {
                span,
                ..convert_pointer(*address, self.spelled(&place))
            }),
            ExprKind::Member { .. } | ExprKind::Index { .. }
                if matches!(place.whole().kind, ExprKind::Var(_)) =>
            {
                let ty = Type::pointer_in(Space::Scratch, self.spelled(&place));
                Ok(node(ExprKind::AddressOf(Box::new(place)), ty, span))
            }
            _ if is_aggregation(operand) => self.error(
                Tag::AddrofVar,
                span,
                "cannot take address of dynamic variable",
            ),
            ExprKind::BitField { .. } => self.error(
                Tag::AddrofBitfield,
                span,
                "cannot take address of bit-field",
            ),
            ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_) => self.error(
                Tag::AddrofVar,
                span,
                "cannot take address of dynamic variable",
            ),
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Logic(..)
            | ExprKind::Ternary(..)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Cast(_)
            | ExprKind::Deref(_)
            | ExprKind::AddressOf(_)
            | ExprKind::Byte(..)
            | ExprKind::Call(..)
            | ExprKind::Comma(..)
            | ExprKind::Recorded(_) => self.error(
                Tag::AddrofLval,
                span,
                "unacceptable operand for unary & operator",
            ),
        }
    }

    /// The type of an object under the name that it goes by where it stands.
    fn spelled(&self, object: &Expr) -> Type {
        if let ExprKind::Deref(address) = &object.kind
            && let Type::Pointer(to, _) = &address.ty
            && **to == object.ty
        {
            return Type::clone(to);
        }
        if let ExprKind::Member { of, name, .. } = &object.kind
            && let Type::Struct(s) = self.types.complete(&of.ty)
            && let Some((_, member)) = find_member(&s, name)
        {
            return member.ty.clone();
        }
        if let ExprKind::Index { of, .. } = &object.kind
            && let Type::Array(element, _) = &of.ty
        {
            return Type::clone(element);
        }
        object.ty.clone()
    }

    /// `offsetof (type, member.member)`.
    pub(super) fn offsetof(
        &mut self,
        ty: &ast::TypeName,
        path: &[Name],
        span: Span,
    ) -> Checked<Expr> {
        let mut ty = self.type_name(ty)?;
        let mut total = 0i64;
        for name in path {
            let Type::Struct(s) = self.types.complete(&ty) else {
                let message = "offsetof operand must be a struct or union type";
                return self.error(Tag::OffsetofType, span, message);
            };
            if s.members.is_empty() {
                let message = "offsetof operand must be a struct or union type";
                return self.error(Tag::OffsetofType, span, message);
            }
            let Some((offset, member)) = find_member(&s, &name.text) else {
                let message = format!(
                    "failed to determine offset of {}: Member name not found.",
                    name.text
                );
                return self.error(Tag::Unknown, name.span, &message);
            };
            if member.bits.is_some() {
                let message = format!("cannot take offset of a bit-field: {}", name.text);
                return self.error(Tag::OffsetofBitfield, name.span, &message);
            }
            total += i64::from(offset);
            ty = member.ty.clone();
        }
        Ok(int_node(total, Int::I32, span))
    }
}

/// Whether an object is a variable, an element of an associative array, or a part of one.
pub(super) fn is_in_variable(object: &Expr) -> bool {
    matches!(
        object.whole().kind,
        ExprKind::Var(_) | ExprKind::Element(..)
    )
}

fn is_aggregation(expr: &ast::Expr) -> bool {
    matches!(base_of(expr).kind, ast::ExprKind::Aggregation(_))
}

/// The bits of `object` that are the member, if it is a bit-field. As in libdtrace its type is the smallest
/// integer that holds it.
fn with_bits(object: Expr, member: &Member) -> Expr {
    let Some((first, bits)) = member.bits else {
        return object;
    };
    let (mut ty, span) = (object.ty.clone(), object.span);
    if let Type::Int(int) = &mut ty {
        int.size = bits.div_ceil(8).next_power_of_two();
    }
    let of = Box::new(object);
    node(ExprKind::BitField { of, first, bits }, ty, span)
}

/// A member by its name, with its offset; members of anonymous members count as own ones.
pub(super) fn find_member<'s>(s: &'s Struct, name: &str) -> Option<(u32, &'s Member)> {
    s.members.iter().find_map(|member| {
        if member.name == name {
            return Some((member.offset, member));
        }
        let Type::Struct(inner) = member.ty.bare() else {
            return None;
        };
        if !member.name.is_empty() {
            return None;
        }
        let (offset, found) = find_member(inner, name)?;
        Some((member.offset.saturating_add(offset), found))
    })
}
