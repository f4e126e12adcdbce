//! Declarations: variables, typedefs, structs, unions, enums and inlines.

use std::sync::Arc;

use super::checker::{Checked, Checker};
use super::syntax::dynamic_words;
use super::types::{Layout, in_kernel, is_incomplete, mixed_words, words_type};
use crate::ast::{
    BaseType, Declaration, Declarator, DeclaratorPart, Expr, Inline, MemberDecl, Name, Parameter,
    Specifiers, TypeName,
};
use crate::diag::Span;
use crate::eval::Value;
use crate::names;
use crate::program::{Builtin, ExprKind, Scope, Variable};
use crate::tags::Tag;
use crate::types::{Int, NameKind, Type};

/// The words for how a variable is kept; a declaration has at most one.
const STORAGE_CLASSES: [&str; 7] = [
    "self", "this", "static", "auto", "register", "extern", "typedef",
];

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
        let classes = &declaration.specifiers.qualifiers;
        if classes
            .iter()
            .filter(|q| STORAGE_CLASSES.contains(&q.text.as_str()))
            .count()
            > 1
        {
            let at = declaration.specifiers.span;
            let message = "only one storage class allowed in a declaration";
            return self.plain_error(Tag::DeclClass, at, message);
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
        let defines = !matches!(
            declaration.specifiers.base,
            BaseType::Words(_) | BaseType::Named(_)
        );
        if declaration.declarators.is_empty() && !defines {
            let message = "useless declaration";
            return self.plain_error(Tag::DeclUseless, declaration.span, message);
        }
        let unknown_enum = if let BaseType::Enum {
            tag,
            enumerators: None,
        } = &declaration.specifiers.base
            && self.types.enumeration(tag).is_none()
            && self.types.of_kernel(NameKind::Enum, tag).is_none()
        {
            Some(tag)
        } else {
            None
        };
        for declarator in &declaration.declarators {
            if let (Some(tag), Some(name), []) =
                (unknown_enum, &declarator.name, declarator.parts.as_slice())
                && !has("typedef")
            {
                let message = format!("incomplete struct/union/enum enum {tag}: {}", name.text);
                return self.plain_error(Tag::DeclIncomplete, name.span, &message);
            }
            let Some(name) = &declarator.name else {
                continue;
            };
            let (ty, key) = self.declared_type(base.clone(), declarator)?;
            let is_function = matches!(declarator.parts.first(), Some(DeclaratorPart::Function(_)))
                || ty.is_function();
            if is_function && !has("typedef") {
                // A function that some program has: D cannot call it, so there is nothing to keep.
                continue;
            }
            if has("typedef") {
                let is_variable = self
                    .variables
                    .contains_key(&(Scope::Global, name.text.clone()));
                if is_variable || names::find(&name.text).is_some() {
                    let message = format!("global variable identifier redeclared: {}", name.text);
                    return self.plain_error(Tag::DeclIdred, name.span, &message);
                }
                // As in libdtrace the name of an associative array is of no use.
                let ty = if key.is_some() { Type::Void } else { ty };
                if !self.types.define_typedef(&name.text, ty, self.in_library) {
                    let message = format!("typedef redeclared: {}", name.text);
                    return self.plain_error(Tag::DeclIdred, name.span, &message);
                }
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
            let message = format!("built-in identifier redeclared: {}", name.text);
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
        let is_taken = self.types.is_own(&name.text) || self.types.enumerator(&name.text).is_some();
        if scope == Scope::Global && is_taken {
            let message = format!("typedef identifier redeclared: {}", name.text);
            return self.plain_error(Tag::DeclIdred, name.span, &message);
        }
        if scope == Scope::Global && self.inlines.contains_key(&name.text) {
            if key.is_some() {
                let message = format!("identifier redeclared: {}", name.text);
                return self.plain_error(Tag::DeclIdred, name.span, &message);
            }
            // As in libdtrace the inline stays what the name means.
            return Ok(());
        }
        let ty = self.types.complete(&ty);
        let key: Option<Vec<Type>> =
            key.map(|key| key.iter().map(|ty| ty.bare().clone()).collect());
        if matches!(ty, Type::Array(_, 0)) {
            let message = format!(
                "array declaration requires array dimension or tuple signature: {}",
                name.text
            );
            return self.plain_error(Tag::DeclArrnull, name.span, &message);
        }
        if ty == Type::Void && key.is_some() {
            let message = "cannot declare array of void";
            return self.plain_error(Tag::DeclVoidobj, name.span, message);
        }
        if ty == Type::Void {
            let message = format!("cannot have void object: {}", name.text);
            return self.plain_error(Tag::DeclVoidobj, name.span, &message);
        }
        if let Some(reason) = unstorable(&ty) {
            let message = format!("{}: {reason}", name.text);
            return self.unsupported(name.span, &message);
        }
        if is_incomplete(&ty) {
            let message = format!("incomplete struct/union/enum {ty}: {}", name.text);
            return self.plain_error(Tag::DeclIncomplete, name.span, &message);
        }
        if key.is_some() && scope == Scope::ClauseLocal {
            let message = format!(
                "associative arrays may not be declared as local variables: {}",
                name.text
            );
            return self.plain_error(Tag::DeclLocassc, name.span, &message);
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
            let message = format!("identifier redefined: {}", name.text);
            return self.plain_error(Tag::DeclIdred, name.span, &message);
        }
        let classes = &inline.specifiers.qualifiers;
        if let Some(class) = classes
            .iter()
            .find(|q| STORAGE_CLASSES.contains(&q.text.as_str()))
        {
            let message = "specified storage class not appropriate for inline declaration";
            return self.plain_error(Tag::DeclBadclass, class.span, message);
        }
        if self.inline_type(inline)? == Type::Void {
            let message = format!("cannot declare void inline: {}", name.text);
            return self.plain_error(Tag::DeclVoidobj, name.span, &message);
        }
        if inline.variadic {
            let message = "array prototype may not use a variable-length argument list";
            return self.plain_error(Tag::DeclProtoVarargs, name.span, message);
        }
        if inline.sized {
            let message = format!(
                "inline declaration cannot be of scalar array type: {}",
                name.text
            );
            return self.plain_error(Tag::DeclArrnull, name.span, &message);
        }
        if inline.parameters.as_ref().is_some_and(Vec::is_empty) {
            let message = format!(
                "inline declaration requires array tuple signature: {}",
                name.text
            );
            return self.plain_error(Tag::DeclArrnull, name.span, &message);
        }
        self.check_prototype(inline.parameters.as_deref().unwrap_or_default(), "array")?;
        for (n, parameter) in inline.parameters.iter().flatten().enumerate() {
            let ty = self.parameter_type(&parameter.specifiers, &parameter.declarator)?;
            if ty == Type::Void {
                return self.void_parameter("array", n, parameter.specifiers.span);
            }
        }
        if let Some(words) = dynamic_words(&inline.body) {
            let known = self.inline_type(inline)?;
            let found = if words == "tracing function" {
                "void"
            } else {
                words
            };
            let message = format!(
                "inline {} definition uses incompatible types: \"{known}\" = \"{found}\"",
                name.text
            );
            self.known_dynamic(&inline.body)?;
            return self.plain_error(Tag::OpIncompat, inline.body.span, &message);
        }
        // An inline is checked where it stands, so that errors show here and once. Those of a library with
        // parameters are not: they ask for types of the kernel that the program may not need.
        let mut stand_ins = Vec::new();
        for parameter in inline.parameters.iter().flatten() {
            let ty = self.parameter_type(&parameter.specifiers, &parameter.declarator)?;
            stand_ins.push(stand_in(ty, parameter.specifiers.span));
        }
        let stand_ins = stand_ins.into_iter().collect::<Option<Vec<_>>>();
        if let Some(stand_ins) = stand_ins.filter(|s| s.is_empty() || !self.in_library) {
            self.expand_inline(inline, stand_ins, inline.body.span)?;
        }
        self.inlines.insert(name.text.clone(), inline);
        Ok(())
    }

    pub(super) fn inline_type(&mut self, inline: &Inline) -> Checked<Type> {
        let base = self.base_type(&inline.specifiers)?;
        let ty = (0..inline.pointers).fold(base, |ty, _| Type::pointer_to(ty));
        Ok(ty.bare().clone())
    }

    pub(super) fn parameter_type(
        &mut self,
        specifiers: &Specifiers,
        declarator: &Declarator,
    ) -> Checked<Type> {
        Ok(self.spelled_type(specifiers, declarator)?.bare().clone())
    }

    /// The same under the name that it goes by.
    pub(super) fn spelled_type(
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
                Err((tag, why)) => self.plain_error(tag, span, &why),
            },
            BaseType::Named(name) => match self.types.typedef(name) {
                Some(ty) => Ok(ty.clone()),
                None => match self
                    .types
                    .of_kernel(NameKind::Typedef, in_kernel(name).unwrap_or(name))
                {
                    Some(ty) => Ok(ty),
                    None => self.unknown_type(name, span),
                },
            },
            BaseType::Mixed(words) => {
                let (tag, why) = mixed_words(words);
                self.plain_error(tag, span, why)
            }
            BaseType::Struct {
                union,
                tag,
                members: None,
            } => {
                let tag = in_kernel(tag).unwrap_or(tag);
                Ok(Type::Struct(self.types.tag(tag, *union)))
            }
            BaseType::Struct {
                union,
                tag,
                members: Some(members),
            } => self.define_struct(*union, tag, members, span),
            BaseType::Enum {
                tag,
                enumerators: Some(enumerators),
            } => {
                if self.types.enumeration(tag).is_some() {
                    let message = format!("type redeclared: enum {tag}");
                    return self.plain_error(Tag::DeclTypered, span, &message);
                }
                let enumerators = self.define_enumerators(enumerators)?;
                // As C compilers choose it.
                let signed = enumerators.iter().any(|(_, value)| *value < 0);
                let int = if signed { Int::I32 } else { Int::U32 };
                let name = format!("enum {tag}");
                let ty = Type::enumeration(name.trim_end(), Type::Int(int), enumerators);
                self.types.define_enum(tag, &ty);
                Ok(ty)
            }
            BaseType::Enum {
                tag,
                enumerators: None,
            } => {
                let own = self.types.enumeration(tag).cloned();
                let known = own.or_else(|| self.types.of_kernel(NameKind::Enum, tag));
                // Only behind a pointer: no variable may have it.
                Ok(known.unwrap_or_else(|| Type::named(&format!("enum {tag}"), Type::INT)))
            }
        }
    }

    fn unknown_type<T>(&mut self, name: &str, span: Span) -> Checked<T> {
        let message = format!("failed to resolve type {name}: Unknown type name");
        let near = names::nearest(name, self.types.typedef_names());
        // libdtrace knows while it parses which names are types: all others are errors of syntax there.
        let mut error = self.diagnostic(Tag::Syntax, span, &message);
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
        self.types.open_tag(tag, union);
        let layout = self.members(union, members);
        self.types.close_tag(tag, union);
        let layout = layout?;
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

    fn members(&mut self, union: bool, members: &[MemberDecl]) -> Checked<Layout> {
        let mut layout = Layout::new(union);
        for line in members {
            let bad = |q: &&Name| STORAGE_CLASSES.contains(&q.text.as_str());
            if let Some(class) = line.specifiers.qualifiers.iter().find(bad) {
                let message = format!("syntax error near \"{}\"", class.text);
                return self.plain_error(Tag::Syntax, class.span, &message);
            }
            let base = self.base_type(&line.specifiers)?;
            if line.declarators.is_empty() {
                layout.add("", base.clone(), self.options.strsize);
            }
            for (declarator, width) in &line.declarators {
                if let (BaseType::Enum { .. }, Some(width)) = (&line.specifiers.base, width) {
                    let name = declarator.as_ref().and_then(|d| d.name.as_ref());
                    let name = name.map_or("", |name| name.text.as_str());
                    let message = format!("invalid type for bit-field: {name}");
                    return self.plain_error(Tag::DeclBftype, width.span, &message);
                }
                self.member(&mut layout, &base, declarator.as_ref(), width.as_ref())?;
            }
        }
        Ok(layout)
    }

    fn member(
        &mut self,
        layout: &mut Layout,
        base: &Type,
        declarator: Option<&Declarator>,
        width: Option<&Expr>,
    ) -> Checked<()> {
        let name = declarator.and_then(|d| d.name.as_ref());
        let (ty, key) = match declarator {
            Some(declarator) => self.declared_type(base.clone(), declarator)?,
            None => (base.clone(), None),
        };
        let span = declarator.map_or(Span::default(), |d| d.span);
        let text = name.map_or("", |name| name.text.as_str());
        if key.is_some() {
            let message = format!("cannot have dynamic member: {text}");
            return self.plain_error(Tag::DeclDynobj, span, &message);
        }
        if let Some(width) = width {
            return self.bit_field(layout, &ty, name, width);
        }
        if ty == Type::Void || matches!(ty.bare(), Type::Array(_, 0)) {
            let message = format!("cannot have void member: {text}");
            return self.plain_error(Tag::DeclVoidobj, span, &message);
        }
        if layout.has(text) {
            let message = format!(
                "failed to define member '{text}': Duplicate member, enumerator, or variable name."
            );
            return self.plain_error(Tag::Unknown, span, &message);
        }
        if is_incomplete(&self.types.complete(&ty)) {
            let message = format!("incomplete struct/union/enum {ty}: {text}");
            return self.plain_error(Tag::DeclIncomplete, span, &message);
        }
        // The name that the type goes by stays with the member, the members of a struct are found now.
        let ty = self.types.with_members(&ty);
        layout.add(text, ty, self.options.strsize);
        Ok(())
    }

    fn bit_field(
        &mut self,
        layout: &mut Layout,
        ty: &Type,
        name: Option<&Name>,
        width: &Expr,
    ) -> Checked<()> {
        let text = name.map_or("", |name| name.text.as_str());
        // An unnamed field of no bits ends its unit, as in C.
        let least = i64::from(name.is_some());
        let bits = self.constant_value(width)?.filter(|bits| *bits >= least);
        let Some(bits) = bits else {
            let message = "positive integral constant expression expected as bit-field size";
            return self.plain_error(Tag::DeclBfconst, width.span, message);
        };
        let Type::Int(int) = ty.bare() else {
            let message = format!("invalid type for bit-field: {text}");
            return self.plain_error(Tag::DeclBftype, width.span, &message);
        };
        match u8::try_from(bits) {
            Ok(bits) if bits <= int.size * 8 => {
                layout.add_bits(text, ty.clone(), *int, bits);
                Ok(())
            }
            _ => {
                let message = format!("bit-field too big for type: {text}");
                self.plain_error(Tag::DeclBfsize, width.span, &message)
            }
        }
    }

    fn define_enumerators(&mut self, list: &[(Name, Option<Expr>)]) -> Checked<Vec<(String, i64)>> {
        let mut next = 0;
        let mut defined = Vec::with_capacity(list.len());
        for (name, value) in list {
            let text = &name.text;
            if let Some(value) = value {
                let Some(given) = self.constant_value(value)? else {
                    let message = format!(
                        "enumerator '{text}' must be assigned to an integral constant expression"
                    );
                    return self.plain_error(Tag::DeclEnconst, value.span, &message);
                };
                next = given;
            }
            if i32::try_from(next).is_err() {
                let message = format!("enumerator '{text}' value overflows INT_MAX ({})", i32::MAX);
                return self.plain_error(Tag::DeclEnoflow, name.span, &message);
            }
            let taken = self.types.enumerator(text).is_some()
                || self.inlines.contains_key(text)
                || self.variables.contains_key(&(Scope::Global, text.clone()))
                || names::find(text).is_some();
            if taken {
                let message = format!("identifier redeclared: {text}");
                return self.plain_error(Tag::DeclIdred, name.span, &message);
            }
            self.types.define_enumerator(text, next);
            defined.push((text.clone(), next));
            next += 1;
        }
        Ok(defined)
    }

    /// The value of an expression, if it is an integer constant.
    fn constant_value(&mut self, expr: &Expr) -> Checked<Option<i64>> {
        let checked = self.expr(expr)?;
        let checked = self.no_struct(checked)?;
        Ok(match crate::eval::eval(&checked, &self.constants()) {
            Ok(Value::Int(value)) => Some(value),
            Ok(Value::Str(_)) | Err(_) => None,
        })
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
                    self.check_prototype(parameters, "function")?;
                    let mut types = Vec::with_capacity(parameters.len());
                    for parameter in parameters {
                        types
                            .push(self.spelled_type(&parameter.specifiers, &parameter.declarator)?);
                    }
                    ty = Type::function(&ty, &types);
                }
                DeclaratorPart::OpenKeys => {
                    let message = "array prototype may not use a variable-length argument list";
                    return self.plain_error(Tag::DeclProtoVarargs, declarator.span, message);
                }
                DeclaratorPart::Keys(types) => match self.size_in_disguise(types) {
                    Some(size) => ty = self.array_of(ty, &size)?,
                    None if n == 0 => {
                        let names = types.iter().map(|key| key.declarator.name.as_ref());
                        self.names_once("array", names)?;
                        let types: Checked<Vec<Type>> =
                            types.iter().map(|key| self.type_name(key)).collect();
                        let types = types?;
                        if let Some(n) = types.iter().position(|ty| *ty == Type::Void) {
                            return self.void_parameter("array", n, declarator.span);
                        }
                        key = Some(types);
                    }
                    None => {
                        let message = "cannot declare array of associative arrays";
                        return self.plain_error(Tag::DeclDynobj, declarator.span, message);
                    }
                },
            }
        }
        Ok((ty, key))
    }

    /// The parameters of a function's type, or of what `of` names.
    pub(super) fn check_prototype(&mut self, parameters: &[Parameter], of: &str) -> Checked<()> {
        for parameter in parameters {
            let span = parameter.specifiers.span;
            let classes = &parameter.specifiers.qualifiers;
            let bad = |q: &Name| STORAGE_CLASSES.contains(&q.text.as_str());
            let is_scope = |q: &&Name| matches!(q.text.as_str(), "self" | "this");
            if let Some(scope) = classes.iter().find(is_scope) {
                let message = format!("syntax error near \"{}\"", scope.text);
                return self.plain_error(Tag::Syntax, scope.span, &message);
            }
            if classes.iter().any(bad) {
                let message =
                    "inappropriate storage class for function or associative array parameter";
                return self.plain_error(Tag::DeclParmclass, span, message);
            }
            let ty = self.parameter_type(&parameter.specifiers, &parameter.declarator)?;
            if ty == Type::Void && parameter.declarator.parts.is_empty() && parameters.len() > 1 {
                return self.void_among_others(span);
            }
            let Some(name) = &parameter.declarator.name else {
                continue;
            };
            if ty == Type::Void && parameter.declarator.parts.is_empty() && of == "array" {
                let message = format!(
                    "array prototype may not use parameter of type void: {}, parameter #1",
                    name.text
                );
                return self.plain_error(Tag::DeclProtoType, name.span, &message);
            }
            if ty == Type::Void && parameter.declarator.parts.is_empty() {
                let message = format!("void parameter may not have a name: {}", name.text);
                return self.plain_error(Tag::DeclProtoName, name.span, &message);
            }
        }
        let names = parameters.iter().map(|p| p.declarator.name.as_ref());
        self.names_once(of, names)
    }

    /// Errors if two of the names of a prototype's parameters are one.
    fn names_once<'n>(
        &mut self,
        of: &str,
        names: impl Iterator<Item = Option<&'n Name>>,
    ) -> Checked<()> {
        let mut known: Vec<&str> = Vec::new();
        for (n, name) in names.enumerate() {
            let Some(name) = name else { continue };
            if known.contains(&name.text.as_str()) {
                let message = format!(
                    "parameter is already declared in {of} prototype: {}, parameter #{}",
                    name.text,
                    n + 1
                );
                return self.plain_error(Tag::DeclProtoForm, name.span, &message);
            }
            known.push(&name.text);
        }
        Ok(())
    }

    fn void_parameter<T>(&mut self, of: &str, n: usize, span: Span) -> Checked<T> {
        let message = format!(
            "{of} prototype may not use parameter of type void: (anonymous), parameter #{}",
            n + 1
        );
        self.plain_error(Tag::DeclProtoType, span, &message)
    }

    pub(super) fn void_among_others<T>(&mut self, span: Span) -> Checked<T> {
        self.plain_error(Tag::DeclProtoVoid, span, "void must be sole parameter")
    }

    fn array_of(&mut self, of: Type, size: &Expr) -> Checked<Type> {
        if of == Type::Void {
            let message = "cannot declare array of void";
            return self.plain_error(Tag::DeclVoidobj, size.span, message);
        }
        let Some(count) = self.constant_value(size)?.filter(|count| *count > 0) else {
            let message = "positive integral constant expression or tuple signature expected as \
                           array declaration subscript";
            return self.plain_error(Tag::DeclArrsub, size.span, message);
        };
        let Ok(count) = u32::try_from(count) else {
            let message = "array dimension too big";
            return self.plain_error(Tag::DeclArrbig, size.span, message);
        };
        let bytes = i64::from(count) * i64::from(of.size(self.options.strsize).max(1));
        if bytes > MAX_ELEMENTS {
            let message = "array dimension is out of range";
            return self.plain_error(Tag::DeclArrbig, size.span, message);
        }
        Ok(Type::Array(Arc::new(of), count))
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
        let is_type = self.types.of_kernel(NameKind::Typedef, name).is_some();
        let known = self.types.enumerator(name).is_some() || self.inlines.contains_key(name);
        let span = only.specifiers.span;
        (known || !is_type).then(|| Expr {
            kind: crate::ast::ExprKind::Ident(name.clone()),
            span,
        })
    }
}

/// A value of a type of which nothing is known, in the place of an inline's argument; none of a type that
/// is not checked without one.
fn stand_in(ty: Type, span: Span) -> Option<crate::program::Expr> {
    let kind = match ty {
        Type::Int(_) | Type::Pointer(..) => ExprKind::Arg(0),
        Type::String => ExprKind::Builtin(Builtin::Execname),
        Type::Void
        | Type::Float(_)
        | Type::Array(..)
        | Type::Struct(_)
        | Type::Symbol(_)
        | Type::Stack
        | Type::Named(_) => return None,
    };
    Some(crate::program::Expr { kind, ty, span })
}

/// Why a variable cannot have this type.
pub(super) fn unstorable(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Void => Some("cannot have void objects"),
        Type::Array(_, 0) => Some("an array variable needs its size"),
        Type::Array(of, _) => unstorable(of),
        Type::Symbol(_) | Type::Stack => {
            Some("a stack is traced, printed or a key of an aggregation; no variable holds one")
        }
        Type::Named(named) => unstorable(&named.ty),
        Type::Float(16) => Some("a long double is read by print() only; no variable holds one"),
        Type::Struct(_) | Type::Int(_) | Type::Float(_) | Type::String | Type::Pointer(..) => None,
    }
}
