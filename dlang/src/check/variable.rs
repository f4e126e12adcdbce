//! Variables: looking them up, making them at their first assignment, and associative arrays.

use super::checker::{Checked, Checker, Reported};
use super::convert::{is_string_like, node, stored};
use super::declare::unstorable;
use super::dependent::of_kernel;
use super::member::is_in_variable;
use super::operator::is_zero;
use super::symbol::is_alike;
use super::translate::pointers_agree;
use crate::ast::{self, Name};
use crate::diag::{Diagnostic, Span};
use crate::names;
use crate::program::{Expr, ExprKind, Scope, Subroutine, VarId, Variable};
use crate::tags::Tag;
use crate::types::{Space, Type};

/// How many arguments a probe has at most.
pub(super) const ARGUMENTS: u8 = 10;

impl Checker<'_> {
    pub(super) fn new_variable(&mut self, variable: Variable, span: Span) -> VarId {
        let id = VarId(u32::try_from(self.program.variables.len()).unwrap_or(u32::MAX));
        self.variables
            .insert((variable.scope, variable.name.clone()), id);
        self.variable_spans.push(span);
        self.program.variables.push(variable);
        id
    }

    /// Reads a scalar variable.
    pub(super) fn variable(&mut self, scope: Scope, name: &str, span: Span) -> Checked<Expr> {
        let Some(&id) = self.variables.get(&(scope, name.to_owned())) else {
            return self.unknown_variable(scope, name, span);
        };
        let variable = &self.program.variables[id.0 as usize];
        if variable.is_array() {
            let shown = shown_name(scope, name);
            let message = format!("associative array '{shown}' may not be referenced as scalar");
            return self.error(Tag::IdentBadref, span, &message);
        }
        Ok(node(scalar(id, variable), variable.ty.clone(), span))
    }

    pub(super) fn scoped_variable(&mut self, scope: Scope, name: &Name) -> Checked<Expr> {
        let span = Span {
            start: name.span.start.saturating_sub(6),
            ..name.span
        };
        self.variable(scope, &name.text, span)
    }

    fn unknown_variable<T>(&mut self, scope: Scope, name: &str, span: Span) -> Checked<T> {
        let shown = shown_name(scope, name);
        if self.spoiled.contains(&shown) {
            return Err(Reported);
        }
        let is_assigned = self.assigned.as_deref() == Some(name);
        let (tag, message) = if scope == Scope::Global && !is_assigned {
            (
                Tag::IdentUndef,
                format!("failed to resolve {name}: Unknown variable name"),
            )
        } else {
            (
                Tag::VarUndef,
                format!("{shown} has not yet been declared or assigned"),
            )
        };
        let mut error = self.diagnostic(tag, span, &message);
        error.hint = self.variable_hint(scope, name);
        self.reject(error)
    }

    fn variable_hint(&self, scope: Scope, name: &str) -> Option<String> {
        let elsewhere = SCOPES
            .into_iter()
            .find(|other| self.variables.contains_key(&(*other, name.to_owned())));
        if let Some(other) = elsewhere {
            return Some(format!("did you mean `{}`?", shown_name(other, name)));
        }
        if scope == Scope::Global && names::function(name).is_some() {
            return Some(format!("`{name}` is a function"));
        }
        let mut own: Vec<&str> = self
            .variables
            .keys()
            .filter(|(other, _)| *other == scope)
            .map(|(_, name)| name.as_str())
            .chain(
                (scope == Scope::Global)
                    .then_some(self.inlines.keys())
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            )
            .collect();
        own.sort_unstable();
        if scope == Scope::Global {
            for name in names::variables() {
                own.push(name);
            }
        }
        names::nearest(name, own.into_iter())
            .map(|near| format!("did you mean `{}`?", shown_name(scope, &near)))
            .or_else(|| {
                Some("a variable exists from its declaration or first assignment on".into())
            })
    }

    /// The name in `task->name`, a variable of the running task. Where the program has something of its own that is called
    /// `task`, it is a member of what that points to.
    pub(super) fn task_variable<'e>(&self, expr: &'e ast::Expr) -> Option<&'e Name> {
        const TASK: &str = "task";
        let ast::ExprKind::Member(base, name, true) = &expr.kind else {
            return None;
        };
        let is_task = matches!(&base.kind, ast::ExprKind::Ident(name) if name == TASK);
        let own = || {
            let parameters = self.parameters.last();
            parameters.is_some_and(|frame| frame.contains_key(TASK))
                || self.inlines.contains_key(TASK)
                || self
                    .variables
                    .contains_key(&(Scope::Global, TASK.to_owned()))
        };
        (is_task && !own()).then_some(name)
    }

    /// The scope and name, when an expression is a variable that a program may make.
    pub(super) fn variable_name(&self, expr: &ast::Expr) -> Option<(Scope, String)> {
        let (scope, name) = if let ast::ExprKind::SelfVar(name) = &expr.kind {
            (Scope::ThreadLocal, &name.text)
        } else if let ast::ExprKind::ThisVar(name) = &expr.kind {
            (Scope::ClauseLocal, &name.text)
        } else if let Some(name) = self.task_variable(expr) {
            (Scope::TaskLocal, &name.text)
        } else if let ast::ExprKind::Ident(name) = &expr.kind
            && !matches!(name.as_str(), "self" | "this")
        {
            (Scope::Global, name)
        } else {
            return None;
        };
        let bound = self
            .parameters
            .last()
            .is_some_and(|frame| frame.contains_key(name));
        let taken = scope == Scope::Global
            && (bound
                || names::find(name).is_some()
                || self.inlines.contains_key(name)
                || self.types.enumerator(name).is_some());
        (!taken).then(|| (scope, name.clone()))
    }

    /// The target of an assignment: a known variable or element, or a new one of `ty`, the
    /// type of the assigned value.
    pub(super) fn target(&mut self, expr: &ast::Expr, ty: &Type, op: &str) -> Checked<Expr> {
        if let ast::ExprKind::Index(base, keys) = &expr.kind
            && let Some((scope, name)) = self.variable_name(base)
        {
            let known = self.variables.get(&(scope, name.clone())).copied();
            let is_array = known.is_none_or(|id| self.program.variables[id.0 as usize].is_array());
            if is_array {
                return self.element(scope, &name, keys, Some(ty), expr.span);
            }
        }
        if let Some((scope, name)) = self.variable_name(expr)
            && !self.variables.contains_key(&(scope, name.clone()))
        {
            let ty = self.storable(ty, expr.span)?;
            let variable = Variable {
                name,
                scope,
                ty: ty.clone(),
                key: (scope == Scope::TaskLocal).then(Vec::new),
            };
            let id = self.new_variable(variable, expr.span);
            let kind = scalar(id, &self.program.variables[id.0 as usize]);
            return Ok(node(kind, ty, expr.span));
        }
        let target = self.place(expr)?;
        let stored = if let ExprKind::BitField { of, .. } = &target.kind {
            of
        } else {
            &target
        };
        match &stored.kind {
            _ if is_in_variable(stored) => Ok(target),
            ExprKind::Deref(address) if may_be_ours(address) => Ok(target),
            ExprKind::Builtin(_) | ExprKind::Arg(_) | ExprKind::TypedArg(_) => {
                let message = format!("operator {op} can only be applied to a writable variable");
                self.error(Tag::OpWrite, expr.span, &message)
            }
            ExprKind::Deref(_) => {
                let message = format!("operator {op} can only be applied to a writable variable");
                let error = self
                    .diagnostic(Tag::OpWrite, expr.span, &message)
                    .with_hint(
                        "memory of the traced program and the kernel is read only; a pointer to \
                         store through comes from alloca(), copyin() or a variable",
                    );
                self.reject(error)
            }
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Logic(..)
            | ExprKind::Ternary(..)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Cast(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Call(..)
            | ExprKind::Comma(..)
            | ExprKind::Recorded(_) => {
                let message = format!("operator {op} requires modifiable lvalue as an operand");
                self.error(Tag::OpLval, expr.span, &message)
            }
        }
    }

    /// An element of an associative array; with `make`, the array may be new.
    pub(super) fn element(
        &mut self,
        scope: Scope,
        name: &str,
        keys: &[ast::Expr],
        make: Option<&Type>,
        span: Span,
    ) -> Checked<Expr> {
        let shown = shown_name(scope, name);
        for (n, key) in keys.iter().enumerate() {
            self.has_key_type(key, n, "associative array")?;
        }
        let keys: Checked<Vec<Expr>> = keys.iter().map(|key| self.expr(key)).collect();
        let keys = keys?;
        let id = match (self.variables.get(&(scope, name.to_owned())), make) {
            (Some(&id), _) => id,
            (None, None) => {
                let array = self.spoiled.contains(&shown);
                return if array || scope != Scope::Global {
                    self.unknown_variable(scope, name, span)
                } else {
                    let message = format!("{shown} has not yet been declared or assigned");
                    let mut error = self.diagnostic(Tag::VarUndef, span, &message);
                    error.hint = self.variable_hint(scope, name);
                    self.reject(error)
                };
            }
            (None, Some(_)) if scope == Scope::ClauseLocal => {
                let message =
                    format!("local variables may not be used as associative arrays: {name}");
                return self.error(Tag::ArrLocal, span, &message);
            }
            (None, Some(_)) if keys.is_empty() => {
                let message = format!("{shown}[ ] needs a key");
                return self.error(Tag::ProtoLen, span, &message);
            }
            (None, Some(ty)) => {
                let ty = self.storable(ty, span)?;
                let key: Checked<Vec<Type>> = keys.iter().map(|key| self.key_type(key)).collect();
                let variable = Variable {
                    name: name.to_owned(),
                    scope,
                    ty,
                    key: Some(key?),
                };
                self.new_variable(variable, span)
            }
        };
        let variable = &self.program.variables[id.0 as usize];
        let Some(prototype) = variable.key.clone().filter(|key| !key.is_empty()) else {
            let message = "cannot dereference non-pointer type";
            return self.error(Tag::DerefNonptr, span, message);
        };
        let ty = variable.ty.clone();
        let keys = self.match_keys(&shown, keys, &prototype, span, Tag::ProtoArg)?;
        Ok(node(ExprKind::Element(id, keys), ty, span))
    }

    /// Converts a tuple to the key types it must have.
    pub(super) fn match_keys(
        &mut self,
        name: &str,
        keys: Vec<Expr>,
        prototype: &[Type],
        span: Span,
        tag: Tag,
    ) -> Checked<Vec<Expr>> {
        if keys.len() != prototype.len() {
            let plural = if keys.len() == 1 { "" } else { "s" };
            let message = format!(
                "{name}[ ] prototype mismatch: {} key{plural} passed, {} expected",
                keys.len(),
                prototype.len()
            );
            return self.error(Tag::ProtoLen, span, &message);
        }
        let mut matched = Vec::with_capacity(keys.len());
        for (n, (key, ty)) in keys.into_iter().zip(prototype).enumerate() {
            let fits = if *ty == Type::String {
                is_string_like(&key.ty)
            } else {
                let scalars = ty.is_scalar() && key.ty.is_scalar();
                scalars && pointers_agree(ty, &key.ty, is_zero(&key)) || is_alike(ty, &key.ty)
            };
            if !fits {
                let message = format!(
                    "{name}[ ] key #{} is incompatible with prototype:\n\tprototype: {ty}\n\t      key: {}",
                    n + 1,
                    key.ty
                );
                return self.error(tag, key.span, &message);
            }
            let key = stored(key, ty);
            matched.push(if ty.is_scalar() { self.fold(key)? } else { key });
        }
        Ok(matched)
    }

    /// The same for an aggregation, where symbols and stacks may be keys.
    pub(super) fn aggregation_key_type(&mut self, key: &Expr) -> Checked<Type> {
        match &key.ty {
            Type::Symbol(_) | Type::Stack => Ok(key.ty.clone()),
            Type::Void
            | Type::Int(_)
            | Type::Float(_)
            | Type::String
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Named(_) => self.key_type(key),
        }
    }

    /// The type in which a key is kept: `char` arrays and pointers as strings.
    pub(super) fn key_type(&mut self, key: &Expr) -> Checked<Type> {
        match &key.ty {
            ty if is_string_like(ty) => Ok(Type::String),
            ty if ty.is_python_object() => {
                let message =
                    "a Python object cannot be a key: its address says nothing of its value";
                let error = self.diagnostic(Tag::KeyType, key.span, message);
                self.reject(error.with_hint(
                    "pystr(), pyint() and pytype() of an object are values that can be keys",
                ))
            }
            ty if ty.is_scalar() => Ok(ty.clone()),
            ty => {
                let message = format!("a key cannot be of type {ty}");
                self.error(Tag::KeyType, key.span, &message)
            }
        }
    }

    /// The type of a variable that is made for a value of type `ty`.
    fn storable(&mut self, ty: &Type, span: Span) -> Checked<Type> {
        if *ty == Type::Void {
            let message = "operands have incompatible types: \"void\" = \"void\"";
            return self.error(Tag::OpIncompat, span, message);
        }
        match unstorable(ty) {
            Some(why) => self.unsupported(span, why),
            None if matches!(ty.space(), Space::Translated(_)) => Ok(ty.clone()),
            None => Ok(ty.clone().in_space(Space::Unknown)),
        }
    }

    /// `args[n]`, with the type that the probes have which the clause is being checked for.
    pub(super) fn typed_argument(&mut self, index: &ast::Expr, span: Span) -> Checked<Expr> {
        let index = self.expr(index)?;
        let (ExprKind::Int(number), Type::Int(_)) = (&index.kind, &index.ty) else {
            let message = format!(
                "args[ ] argument #1 is incompatible with prototype:\n\tprototype: integer constant\n\t argument: {}",
                index.ty
            );
            return self.error(Tag::ProtoArg, index.span, &message);
        };
        if let Some(dependent) = self.dependent() {
            return self.output(dependent, *number, span);
        }
        let Some(probes) = &mut self.clause_probes else {
            let message = "args[ ] may not be referenced outside of a probe clause";
            return self.error(Tag::ArgsNone, span, message);
        };
        let number = *number;
        let n = u8::try_from(number).ok().filter(|n| *n < ARGUMENTS);
        let Some((n, ty)) = n.and_then(|n| Some((n, probes.ty(n)?))) else {
            let desc = &probes.spec.desc;
            let message = format!("index {number} is out of range for {desc} args[ ]");
            let other = probes.kind.as_ref().filter(|kind| kind.probe != *desc);
            let hint = other.map(|kind| match kind.types.all().len() {
                0 => format!("{} has none", kind.probe),
                count => format!("{} has args[0] to args[{}]", kind.probe, count - 1),
            });
            let error = self.diagnostic(Tag::ArgsIdx, index.span, &message);
            return self.reject(Diagnostic { hint, ..error });
        };
        if probes.kind.is_none() {
            self.probes.guessed();
        }
        if !probes.named.iter().any(|(known, _)| *known == n) {
            probes.named.push((n, ty.clone()));
        }
        let ty = if probes.beneath { of_kernel(ty) } else { ty };
        if let Type::Array(..) = ty {
            // What the probe gives is where in the kernel it is.
            let pointer = Type::pointer_in(Space::Kernel, ty.clone());
            let address = node(ExprKind::TypedArg(n), pointer, span);
            return Ok(node(ExprKind::Deref(Box::new(address)), ty, span));
        }
        Ok(node(ExprKind::TypedArg(n), ty, span))
    }
}

/// Whether an address may be one in memory of ours, which a program may store into. What a
/// variable holds is known at run time only.
pub(super) fn may_be_ours(address: &Expr) -> bool {
    match address.ty.space() {
        Space::Scratch => return true,
        Space::User | Space::Kernel | Space::Translated(_) => return false,
        Space::Unknown => {}
    }
    match &address.kind {
        ExprKind::Var(_)
        | ExprKind::Element(..)
        | ExprKind::Member { .. }
        | ExprKind::Index { .. }
        | ExprKind::Deref(_)
        | ExprKind::AddressOf(_)
        | ExprKind::Call(Subroutine::Copyin | Subroutine::Alloca, _) => true,
        ExprKind::Call(..)
        | ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Builtin(_)
        | ExprKind::Arg(_)
        | ExprKind::TypedArg(_)
        | ExprKind::BitField { .. }
        | ExprKind::Byte(..)
        | ExprKind::Logic(..)
        | ExprKind::Recorded(_) => false,
        ExprKind::Unary(..)
        | ExprKind::Binary(..)
        | ExprKind::Ternary(..)
        | ExprKind::Assign(..)
        | ExprKind::Step { .. }
        | ExprKind::Cast(_)
        | ExprKind::Comma(..) => address.operands().into_iter().any(may_be_ours),
    }
}

/// Where variables may live.
pub(super) const SCOPES: [Scope; 4] = [
    Scope::ThreadLocal,
    Scope::ClauseLocal,
    Scope::TaskLocal,
    Scope::Global,
];

/// A variable that needs no index.
fn scalar(id: VarId, variable: &Variable) -> ExprKind {
    match variable.key {
        Some(_) => ExprKind::Element(id, Vec::new()),
        None => ExprKind::Var(id),
    }
}

/// How a program writes a variable.
pub(super) fn shown_name(scope: Scope, name: &str) -> String {
    match scope {
        Scope::Global => name.to_owned(),
        Scope::ThreadLocal => format!("self->{name}"),
        Scope::TaskLocal => format!("task->{name}"),
        Scope::ClauseLocal => format!("this->{name}"),
    }
}
