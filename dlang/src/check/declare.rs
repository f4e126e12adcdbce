//! Declarations: variables, typedefs, structs, unions, enums and inlines.

use std::sync::Arc;

use super::types::{Layout, is_incomplete, words_type};
use super::{Checked, Checker};
use crate::ast::{
    BaseType, Declaration, Declarator, DeclaratorPart, Expr, Inline, MemberDecl, Name, Specifiers,
    TypeName,
};
use crate::diag::Span;
use crate::eval::Value;
use crate::names;
use crate::program::{Scope, Variable};
use crate::tags::Tag;
use crate::types::{Int, NameKind, Type};

/// The largest array that may be declared.
const MAX_ELEMENTS: i64 = 1 << 24;

impl<'a> Checker<'a> {
    pub(super) fn declaration(&mut self, declaration: &'a Declaration) -> Checked<()> {
        let base = self.base_type(&declaration.specifiers)?;
        let has = |word: &str| {
            declaration
                .specifiers
                .qualifiers
                .iter()
                .any(|q| q.text == word)
        };
        if has("self") && has("this") {
            let at = declaration.specifiers.span;
            return self.plain_error(
                Tag::DeclScope,
                at,
                "self and this cannot be used in one declaration",
            );
        }
        let scope = if has("self") {
            Scope::ThreadLocal
        } else if has("this") {
            Scope::ClauseLocal
        } else {
            Scope::Global
        };
        if has("static") || has("auto") || has("register") {
            let at = declaration.specifiers.span;
            let message = "specified storage class not appropriate in D";
            return self.plain_error(Tag::DeclBadclass, at, message);
        }
        for declarator in &declaration.declarators {
            let Some(name) = &declarator.name else {
                continue;
            };
            let (ty, key) = self.declared_type(base.clone(), declarator)?;
            if has("typedef") {
                self.types.define_typedef(&name.text, ty);
            } else {
                self.declare_variable(name, scope, ty, key)?;
            }
        }
        Ok(())
    }

    fn declare_variable(
        &mut self,
        name: &Name,
        scope: Scope,
        ty: Type,
        key: Option<Vec<Type>>,
    ) -> Checked<()> {
        let describe = |ty: &Type, key: &Option<Vec<Type>>| {
            let kind = if key.is_some() {
                "associative array"
            } else {
                "scalar"
            };
            format!("{kind} {ty}")
        };
        if scope == Scope::Global && names::find(&name.text).is_some() {
            let message = format!("identifier redeclared: {}", name.text);
            let error = self
                .diagnostic(Tag::DeclIdred, name.span, &message)
                .with_hint("this name is built into D");
            return self.reject(error);
        }
        if let Some(&id) = self.variables.get(&(scope, name.text.clone())) {
            let index = id.0 as usize;
            let old = self.program.variables[index].clone();
            if (&old.ty, &old.key) == (&ty, &key) {
                return Ok(());
            }
            let message = format!(
                "identifier redeclared: {}\n\t current: {}\n\tprevious: {}",
                name.text,
                describe(&ty, &key),
                describe(&old.ty, &old.key)
            );
            let error = self
                .diagnostic(Tag::DeclIdred, name.span, &message)
                .with_label(self.variable_spans[index], "first declared here");
            return self.reject(error);
        }
        let ty = self.types.complete(&ty);
        if let Some(reason) = unstorable(&ty) {
            let message = format!("{}: {reason}", name.text);
            let tag = if ty == Type::Void {
                Tag::DeclVoidobj
            } else {
                Tag::Unsupported
            };
            return self.plain_error(tag, name.span, &message);
        }
        if is_incomplete(&ty) {
            let message = format!("incomplete struct/union/enum {ty}: {}", name.text);
            return self.plain_error(Tag::DeclIncomplete, name.span, &message);
        }
        if key.is_some() && scope == Scope::ClauseLocal {
            let message = "clause-local associative arrays are not permitted";
            return self.plain_error(Tag::DeclLocassc, name.span, message);
        }
        self.new_variable(
            Variable {
                name: name.text.clone(),
                scope,
                ty,
                key,
            },
            name.span,
        );
        Ok(())
    }

    pub(super) fn inline_definition(&mut self, inline: &'a Inline) -> Checked<()> {
        let name = &inline.name;
        let known = self.inlines.contains_key(&name.text)
            || self
                .variables
                .contains_key(&(Scope::Global, name.text.clone()))
            || names::find(&name.text).is_some();
        if known {
            let message = format!("identifier redeclared: {}", name.text);
            return self.plain_error(Tag::DeclIdred, name.span, &message);
        }
        self.inline_type(inline)?;
        for parameter in inline.parameters.iter().flatten() {
            self.parameter_type(&parameter.specifiers, &parameter.declarator)?;
            if parameter.declarator.name.is_none() {
                let at = parameter.specifiers.span;
                return self.plain_error(Tag::DeclProtoName, at, "inline parameter needs a name");
            }
        }
        if inline.parameters.is_none() {
            // A plain inline is checked where it stands, so that errors show here and once.
            self.expand_inline(inline, Vec::new(), inline.body.span)?;
        }
        self.inlines.insert(name.text.clone(), inline);
        Ok(())
    }

    pub(super) fn inline_type(&mut self, inline: &Inline) -> Checked<Type> {
        let base = self.base_type(&inline.specifiers)?;
        Ok((0..inline.pointers).fold(base, |ty, _| Type::pointer_to(ty)))
    }

    pub(super) fn parameter_type(
        &mut self,
        specifiers: &Specifiers,
        declarator: &Declarator,
    ) -> Checked<Type> {
        let base = self.base_type(specifiers)?;
        Ok(self.declared_type(base, declarator)?.0)
    }

    /// The type of a cast, `sizeof` or `offsetof`.
    pub(super) fn type_name(&mut self, name: &TypeName) -> Checked<Type> {
        self.parameter_type(&name.specifiers, &name.declarator)
    }

    fn base_type(&mut self, specifiers: &Specifiers) -> Checked<Type> {
        let span = specifiers.span;
        match &specifiers.base {
            BaseType::Words(words) => match words_type(words) {
                Ok(ty) => Ok(ty),
                Err(why) if why.contains("supported") => self.unsupported(span, why),
                Err(why) => self.plain_error(Tag::DeclCombo, span, why),
            },
            BaseType::Named(name) => match self.types.typedef(name) {
                Some(ty) => Ok(ty.clone()),
                None => match self.types.of_kernel(NameKind::Typedef, name) {
                    Some(ty) => Ok(ty),
                    None => self.unknown_type(name, span),
                },
            },
            BaseType::Struct {
                union,
                tag,
                members: None,
            } => Ok(Type::Struct(self.types.tag(tag, *union))),
            BaseType::Struct {
                union,
                tag,
                members: Some(members),
            } => self.define_struct(*union, tag, members, span),
            BaseType::Enum { tag, enumerators } => {
                self.define_enumerators(enumerators.as_deref().unwrap_or_default())?;
                let kernels = enumerators
                    .is_none()
                    .then(|| self.types.of_kernel(NameKind::Enum, tag));
                Ok(kernels.flatten().unwrap_or(Type::INT))
            }
        }
    }

    fn unknown_type<T>(&mut self, name: &str, span: Span) -> Checked<T> {
        let message = format!("failed to resolve type {name}: Unknown type name");
        let near = names::nearest(name, self.types.typedef_names());
        let mut error = self.diagnostic(Tag::TypeErr, span, &message);
        error.hint = near.map(|near| format!("did you mean `{near}`?"));
        self.reject(error)
    }

    fn define_struct(
        &mut self,
        union: bool,
        tag: &str,
        members: &[MemberDecl],
        span: Span,
    ) -> Checked<Type> {
        let mut layout = Layout::new(union);
        for line in members {
            let base = self.base_type(&line.specifiers)?;
            if line.declarators.is_empty() {
                layout.add("", base.clone(), self.options.strsize);
            }
            for (declarator, width) in &line.declarators {
                self.member(&mut layout, &base, declarator.as_ref(), width.as_ref())?;
            }
        }
        let tag = if tag.is_empty() {
            self.types.fresh_tag()
        } else {
            tag.to_owned()
        };
        let Some(defined) = layout.finish(&tag) else {
            return self.plain_error(Tag::DeclArrbig, span, "struct is too large");
        };
        let defined = Arc::new(defined);
        if !self.types.define_tag(Arc::clone(&defined)) {
            let kind = if union { "union" } else { "struct" };
            return self.plain_error(
                Tag::DeclTypered,
                span,
                &format!("type redeclared: {kind} {tag}"),
            );
        }
        Ok(Type::Struct(defined))
    }

    fn member(
        &mut self,
        layout: &mut Layout,
        base: &Type,
        declarator: Option<&Declarator>,
        width: Option<&Expr>,
    ) -> Checked<()> {
        let name = declarator.and_then(|d| d.name.as_ref());
        let ty = match declarator {
            Some(declarator) => self.declared_type(base.clone(), declarator)?.0,
            None => base.clone(),
        };
        let span = declarator.map_or(Span::default(), |d| d.span);
        let text = name.map_or("", |name| name.text.as_str());
        if let Some(width) = width {
            let bits = self.constant_int(width, Tag::DeclBfconst, "positive integral constant")?;
            return match (&ty, u8::try_from(bits)) {
                (Type::Int(int), Ok(bits))
                    if bits <= int.size * 8 && (bits > 0 || name.is_none()) =>
                {
                    layout.add_bits(text, *int, bits);
                    Ok(())
                }
                _ => {
                    let message = format!("bit-field has a bad type or size: {text}");
                    self.plain_error(Tag::DeclBfsize, width.span, &message)
                }
            };
        }
        if is_incomplete(&self.types.complete(&ty)) {
            let message = format!("incomplete struct/union/enum {ty}: {text}");
            return self.plain_error(Tag::DeclIncomplete, span, &message);
        }
        layout.add(text, self.types.complete(&ty), self.options.strsize);
        Ok(())
    }

    fn define_enumerators(&mut self, list: &[(Name, Option<Expr>)]) -> Checked<()> {
        let mut next = 0;
        for (name, value) in list {
            if let Some(value) = value {
                next = self.constant_int(value, Tag::DeclEnconst, "enumerator")?;
            }
            self.types
                .define_enumerator(&name.text, Int::I32.wrap(next));
            next += 1;
        }
        Ok(())
    }

    /// The value of an expression that must be an integer constant.
    pub(super) fn constant_int(&mut self, expr: &Expr, tag: Tag, what: &str) -> Checked<i64> {
        let checked = self.expr(expr)?;
        match crate::eval::eval(&checked, &self.constants()) {
            Ok(Value::Int(value)) if u32::try_from(value.unsigned_abs()).is_ok() => Ok(value),
            _ => {
                let message = format!("{what} value must be an integer constant expression");
                self.plain_error(tag, expr.span, &message)
            }
        }
    }

    /// Puts a declarator around a type; associative arrays give their key types beside it.
    fn declared_type(
        &mut self,
        base: Type,
        declarator: &Declarator,
    ) -> Checked<(Type, Option<Vec<Type>>)> {
        let mut ty = base;
        let mut key = None;
        for (n, part) in declarator.parts.iter().enumerate().rev() {
            match part {
                DeclaratorPart::Pointer => ty = Type::pointer_to(ty),
                DeclaratorPart::Array(None) => ty = Type::Array(Arc::new(ty), 0),
                DeclaratorPart::Array(Some(size)) => ty = self.array_of(ty, size)?,
                DeclaratorPart::Function(parameters) => {
                    for parameter in parameters {
                        self.parameter_type(&parameter.specifiers, &parameter.declarator)?;
                    }
                    ty = Type::Void;
                }
                DeclaratorPart::Keys(types) => match self.size_in_disguise(types) {
                    Some(size) => ty = self.array_of(ty, &size)?,
                    None if n == 0 => {
                        let types: Checked<Vec<Type>> =
                            types.iter().map(|key| self.type_name(key)).collect();
                        key = Some(types?);
                    }
                    None => {
                        let message = "associative arrays of arrays are not supported";
                        return self.unsupported(declarator.span, message);
                    }
                },
            }
        }
        Ok((ty, key))
    }

    fn array_of(&mut self, of: Type, size: &Expr) -> Checked<Type> {
        let count = self.constant_int(size, Tag::DeclArrsub, "array size")?;
        match u32::try_from(count) {
            Ok(count)
                if i64::from(count) * i64::from(of.size(self.options.strsize).max(1))
                    <= MAX_ELEMENTS =>
            {
                Ok(Type::Array(Arc::new(of), count))
            }
            _ => self.plain_error(
                Tag::DeclArrbig,
                size.span,
                "array dimension is out of range",
            ),
        }
    }

    /// `int a[N]`, where `N` is an enumerator or an inline and not a type.
    fn size_in_disguise(&self, types: &[TypeName]) -> Option<Expr> {
        let [only] = types else { return None };
        let BaseType::Named(name) = &only.specifiers.base else {
            return None;
        };
        if !only.declarator.parts.is_empty() || self.types.typedef(name).is_some() {
            return None;
        }
        let known = self.types.enumerator(name).is_some() || self.inlines.contains_key(name);
        let span = only.specifiers.span;
        known.then(|| Expr {
            kind: crate::ast::ExprKind::Ident(name.clone()),
            span,
        })
    }
}

/// Why a variable cannot have this type.
pub(super) fn unstorable(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Void => Some("cannot have void objects"),
        Type::Array(_, 0) => Some("an array variable needs its size"),
        Type::Array(of, _) => unstorable(of),
        Type::Struct(_) | Type::Int(_) | Type::String | Type::Pointer(..) => None,
    }
}
