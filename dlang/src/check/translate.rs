//! Translators: `translator out < in *p > { member = expr; ... }`, and `xlate`.
//!
//! A translated struct is nowhere in memory. A pointer to one holds the value that the translator
//! reads, and its type says which translator that is ([`Space::Translated`]), also where it has
//! been assigned to a variable; a member of it is the translator's expression, checked in the
//! place of its use with that value as the parameter, as an inline is. So a translator of which
//! nothing is used costs nothing, and asks for no kernel type.

use std::collections::HashMap;

use super::checker::{Checked, Checker, Reported, Translator};
use super::convert::{convert, is_string_like, node, stored};
use super::member::find_member;
use super::types::is_incomplete;
use crate::ast::{self, Name};
use crate::diag::Span;
use crate::program::{Expr, ExprKind};
use crate::tags::Tag;
use crate::types::{Int, Space, Struct, Type};

impl<'a> Checker<'a> {
    /// Takes a translator's declaration; the members of one of the program itself are checked.
    pub(super) fn translator(
        &mut self,
        declared: &'a ast::Translator,
        of_library: bool,
    ) -> Checked<()> {
        let output = self.type_name(&declared.output)?;
        let input = self.parameter_type(&declared.input, &declared.parameter)?;
        let output = self.types.complete(&output);
        let same = |known: &Translator<'_>| known.output == output && alike(&known.input, &input);
        if let Some(known) = self.translators.iter().find(|known| same(known)) {
            let message = format!("translator from {input} to {output} has already been declared");
            let error = self
                .diagnostic(Tag::XlateRedecl, declared.span, &message)
                .with_label(known.span, "first declared here");
            return self.reject(error);
        }
        if !matches!(output, Type::Struct(_)) {
            let message = "translator output type must be a struct or union";
            return self.plain_error(Tag::XlateSou, declared.span, message);
        }
        if is_incomplete(&output) {
            let message = format!("incomplete struct/union/enum {output}");
            return self.plain_error(Tag::XlateSou, declared.span, &message);
        }
        let Ok(id) = u16::try_from(self.translators.len()) else {
            return self.unsupported(declared.span, "a program has at most 65536 translators");
        };
        let parameter = &declared.parameter.name;
        self.translators.push(Translator {
            output,
            input,
            parameter: parameter.as_ref().map_or("", |name| &name.text),
            members: &declared.members,
            span: declared.span,
        });
        if of_library {
            return Ok(());
        }
        for (name, _) in &declared.members {
            self.check_member(id, name)?;
        }
        Ok(())
    }

    /// Checks one member of a translator with a parameter of which nothing but the type is known.
    fn check_member(&mut self, id: u16, name: &Name) -> Checked<()> {
        let translator = &self.translators[usize::from(id)];
        let Type::Struct(output) = translator.output.clone() else {
            return Err(Reported);
        };
        let input = translator.input.clone();
        if find_member(&output, &name.text).is_none() {
            let message = format!(
                "translator member {} is not a member of {}",
                name.text,
                Type::Struct(output)
            );
            return self.plain_error(Tag::XlateMemb, name.span, &message);
        }
        let unknown = node(ExprKind::Arg(0), Type::I64, name.span);
        let placeholder = match &input {
            Type::Struct(_) | Type::Array(..) => {
                let address = convert(unknown, &Type::pointer_to(input.clone()));
                node(ExprKind::Deref(Box::new(address)), input, name.span)
            }
            Type::Void
            | Type::String
            | Type::Int(_)
            | Type::Float(_)
            | Type::Pointer(..)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_) => convert(unknown, &input),
        };
        self.translate(id, &output, placeholder, name, name.span)?;
        Ok(())
    }

    /// `xlate < type > ( e )`.
    pub(super) fn xlate(
        &mut self,
        ty: &ast::TypeName,
        operand: &ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let wanted = self.type_name(ty)?;
        let operand = self.object_of(operand)?;
        self.translated(operand, &wanted, span)
    }

    /// A value translated to a struct, or to a pointer to one.
    pub(super) fn translated(&mut self, operand: Expr, wanted: &Type, span: Span) -> Checked<Expr> {
        let (output, by_pointer) = if let Type::Pointer(to, _) = wanted {
            ((**to).clone(), true)
        } else {
            (wanted.clone(), false)
        };
        let Some(id) = self.find_translator(&output, &operand.ty) else {
            let message = format!("cannot translate from \"{}\" to \"{wanted}\"", operand.ty);
            return self.error(Tag::XlateNone, span, &message);
        };
        if by_pointer && !operand.ty.is_scalar() {
            let message = format!("a pointer to a translated {} is not supported", operand.ty);
            let error = self
                .diagnostic(Tag::Unsupported, span, &message)
                .with_hint("translate to the struct itself: xlate <struct s> (e).member");
            return self.reject(error);
        }
        let output = self.types.complete(&output);
        let pointer = Type::pointer_in(Space::Translated(id), output.clone());
        let pointer = node(ExprKind::Cast(Box::new(operand)), pointer, span);
        if by_pointer {
            return Ok(pointer);
        }
        Ok(node(ExprKind::Deref(Box::new(pointer)), output, span))
    }

    /// The translator to a struct: one from exactly this type, or else one from a type to which
    /// the value converts.
    pub(super) fn find_translator(&self, output: &Type, input: &Type) -> Option<u16> {
        let find = |fits: &dyn Fn(&Type) -> bool| {
            let fitting = |t: &Translator<'_>| t.output == *output && fits(&t.input);
            self.translators.iter().position(fitting)
        };
        let found = find(&|to| alike(to, input)).or_else(|| find(&|to| is_compatible(input, to)));
        found.and_then(|index| u16::try_from(index).ok())
    }

    /// The member `name` of the struct that `pointer` leads to, if a translator makes that.
    pub(super) fn translated_member(
        &mut self,
        pointer: &Expr,
        name: &Name,
        span: Span,
    ) -> Option<Checked<Expr>> {
        let Space::Translated(id) = pointer.ty.space() else {
            return None;
        };
        let translator = self.translators.get(usize::from(id))?;
        let Type::Struct(output) = translator.output.clone() else {
            return None;
        };
        let input = if let ExprKind::Cast(operand) = &pointer.kind
            && (alike(&operand.ty, &translator.input)
                || !operand.ty.is_scalar()
                || matches!(translator.input, Type::Int(_)))
        {
            (**operand).clone()
        } else {
            convert(pointer.clone(), &translator.input)
        };
        Some(self.translate(id, &output, input, name, span))
    }

    /// A member's expression with the parameter bound, as the type that the member has.
    fn translate(
        &mut self,
        id: u16,
        output: &Struct,
        input: Expr,
        name: &Name,
        span: Span,
    ) -> Checked<Expr> {
        let translator = &self.translators[usize::from(id)];
        let made = translator
            .members
            .iter()
            .rfind(|(n, _)| n.text == name.text);
        let (Some((_, body)), Some((_, member))) = (made, find_member(output, &name.text)) else {
            let message = format!(
                "translator does not define conversion for member: {}",
                name.text
            );
            return self.error(Tag::XlateNoconv, name.span, &message);
        };
        let wanted = self.types.complete(&member.ty);
        let frame = HashMap::from([(translator.parameter.to_owned(), input)]);
        let body = self.with_parameters(frame, &name.text, span, |checker| checker.place(body))?;
        self.count_expanded(&body, &name.text, span)?;
        let value = self.as_member(body, &wanted, &name.text)?;
        Ok(Expr { span, ..value })
    }

    fn as_member(&mut self, body: Expr, wanted: &Type, name: &str) -> Checked<Expr> {
        if is_string_like(wanted) && is_string_like(&body.ty) && body.ty != *wanted {
            return if matches!(wanted, Type::Pointer(..)) {
                self.value(body)
            } else {
                Ok(convert(body, &Type::String))
            };
        }
        if body.ty == *wanted {
            return Ok(body);
        }
        let body = self.object(body)?;
        match (&body.ty, wanted) {
            (Type::Int(_), Type::Int(_)) => self.fold(stored(body, wanted)),
            (Type::Pointer(a, space), Type::Pointer(b, _))
                if alike(a, b) || **a == Type::Void || **b == Type::Void =>
            {
                let wanted = wanted.clone().in_space(*space);
                Ok(convert(body, &wanted))
            }
            // Kernel structures keep addresses in integers, and 0 is a null pointer.
            (Type::Int(Int { size: 8, .. }), Type::Pointer(..)) => Ok(convert(body, wanted)),
            (Type::Int(_), Type::Pointer(..)) if matches!(body.kind, ExprKind::Int(0)) => {
                Ok(convert(body, wanted))
            }
            _ => {
                let message = format!(
                    "translator member {name} definition uses incompatible types: \"{wanted}\" = \"{}\"",
                    body.ty
                );
                self.plain_error(Tag::XlateIncompat, body.span, &message)
            }
        }
    }

    /// Errors where a whole translated struct is wanted: it has no memory that could be copied.
    pub(super) fn refuse_translated(&mut self, object: &Expr) -> Checked<()> {
        if is_translated(object) {
            let message = format!("a translated {} cannot be used as a whole", object.ty);
            let error = self
                .diagnostic(Tag::Unsupported, object.span, &message)
                .with_hint("use its members");
            return self.reject(error);
        }
        Ok(())
    }
}

/// Whether an object is what a translator makes, as a whole.
pub(super) fn is_translated(object: &Expr) -> bool {
    matches!(&object.kind, ExprKind::Deref(address) if matches!(address.ty.space(), Space::Translated(_)))
}

/// Whether a value of one type is one of the other without a translator, as in libdtrace's
/// `dt_node_is_argcompat`.
pub(super) fn is_compatible(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Int(_), Type::Int(_)) => true,
        _ if is_string_like(from) && is_string_like(to) => true,
        (Type::Pointer(a, _), Type::Pointer(b, _)) if **a == Type::Void || **b == Type::Void => {
            true
        }
        _ => alike(from, to),
    }
}

/// Whether a pointer of one type can become one of the other without a cast, as in libdtrace's
/// `dt_node_is_ptrcompat`; true for types of which neither is a pointer. Of integers only the constant 0
/// is a pointer, unless the other one leads into the traced program: an argument that is a pointer
/// here may be an integer in `DTrace`.
pub(super) fn pointers_agree(a: &Type, b: &Type, zero: bool) -> bool {
    let user = |ty: &Type| ty.space() == Space::User;
    match (a, b) {
        (Type::Pointer(..), Type::Pointer(..)) => is_compatible(a, b),
        (Type::Pointer(..), _) | (_, Type::Pointer(..)) => zero || user(a) || user(b),
        _no_pointers => true,
    }
}

/// Whether two types are the same; the memory that pointers lead to does not count.
fn alike(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Pointer(a, _), Type::Pointer(b, _)) => alike(a, b),
        (Type::Array(a, n), Type::Array(b, m)) => n == m && alike(a, b),
        _ => a == b,
    }
}
