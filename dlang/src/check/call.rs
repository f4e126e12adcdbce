//! Calls of subroutines: their arguments are counted, checked and converted.

use super::convert::{convert, is_string_like, node, stored};
use super::names::{self, Parameter, Signature};
use super::{Checked, Checker};
use crate::ast::{self, Name};
use crate::diag::Span;
use crate::program::{Expr, ExprKind, Subroutine};
use crate::tags::Tag;
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn call(&mut self, name: &Name, args: &[ast::Expr], span: Span) -> Checked<Expr> {
        let Some(signature) = names::subroutine(&name.text) else {
            return self.not_a_subroutine(name);
        };
        let most = signature.parameters.len();
        self.count_arguments(&name.text, args.len(), signature.required, Some(most), span)?;
        let mut checked = Vec::with_capacity(args.len());
        for (n, (arg, parameter)) in args.iter().zip(signature.parameters).enumerate() {
            checked.push(self.argument(&name.text, n + 1, arg, *parameter)?);
        }
        self.check_base(&signature, &checked)?;
        let call = ExprKind::Call(signature.subroutine, checked);
        self.fold(node(call, signature.result, span))
    }

    fn argument(
        &mut self,
        function: &str,
        n: usize,
        arg: &ast::Expr,
        parameter: Parameter,
    ) -> Checked<Expr> {
        let place = self.place(arg)?;
        if parameter == Parameter::Str && is_string_like(&place.ty) {
            return Ok(convert(place, &Type::String));
        }
        let value = self.value(place)?;
        match (parameter, &value.ty) {
            (Parameter::Address, Type::Int(_) | Type::Pointer(..)) => {
                Ok(convert(value, &Type::U64))
            }
            (Parameter::Number(int), Type::Int(_)) => Ok(stored(value, &Type::Int(int))),
            _ => {
                let error = self.wrong_argument(function, n, parameter.prototype(), &value);
                let is_address = parameter == Parameter::Str && value.ty.is_scalar();
                let hint = "a string of the traced program is read with copyinstr(address)";
                self.reject(if is_address {
                    error.with_hint(hint)
                } else {
                    error
                })
            }
        }
    }

    /// libdtrace's error for an argument of the wrong type.
    pub(super) fn wrong_argument(
        &self,
        function: &str,
        n: usize,
        prototype: &str,
        argument: &Expr,
    ) -> crate::diag::Diagnostic {
        let message = format!(
            "{function}( ) argument #{n} is incompatible with prototype:\n\tprototype: {prototype}\n\t argument: {}",
            argument.ty
        );
        self.diagnostic(Tag::ProtoArg, argument.span, &message)
    }

    /// Errors when a function has too few or too many arguments; `most` of `None` has no limit.
    pub(super) fn count_arguments(
        &mut self,
        function: &str,
        given: usize,
        least: usize,
        most: Option<usize>,
        span: Span,
    ) -> Checked<()> {
        if given >= least && most.is_none_or(|most| given <= most) {
            return Ok(());
        }
        let plural = if given == 1 { "" } else { "s" };
        let (bound, expected) = match most {
            Some(most) if given > most && most > least => ("at most ", most),
            Some(most) if most == least => ("", least),
            _ => ("at least ", least),
        };
        let message = format!(
            "{function}( ) prototype mismatch: {given} arg{plural} passed, {bound}{expected} expected"
        );
        self.error(Tag::ProtoLen, span, &message)
    }

    /// A base of `lltostr` must be a constant that digits exist for.
    fn check_base(&mut self, signature: &Signature, args: &[Expr]) -> Checked<()> {
        match (signature.subroutine, args.get(1)) {
            (Subroutine::Lltostr, Some(base)) if !matches!(base.kind, ExprKind::Int(2..=36)) => {
                let message = "lltostr( ) argument #2 must be an integer constant from 2 to 36";
                self.error(Tag::ProtoArg, base.span, message)
            }
            _ => Ok(()),
        }
    }

    fn not_a_subroutine(&mut self, name: &Name) -> Checked<Expr> {
        let Name { text, span } = name;
        self.refuse_unsupported(text, *span)?;
        if let Some(kind) = names::function_kind(text) {
            let (tag, hint) = if kind == "tracing function" {
                (Tag::OpAct, "an action is a statement of its own")
            } else {
                (
                    Tag::AggNull,
                    "an aggregating function is assigned to an aggregation: @name[keys] = func(...)",
                )
            };
            let message = format!("{kind} '{text}' gives no value");
            let error = self.diagnostic(tag, *span, &message).with_hint(hint);
            return self.reject(error);
        }
        self.unknown_function(name)
    }

    pub(super) fn unknown_function<T>(&mut self, name: &Name) -> Checked<T> {
        let Name { text, span } = name;
        let variable = names::builtin(text).is_some()
            || names::raw_argument(text).is_some()
            || self
                .variables
                .contains_key(&(crate::program::Scope::Global, text.clone()));
        if variable {
            let message = format!("scalar '{text}' may not be referenced as a function");
            return self.plain_error(Tag::FuncIdkind, *span, &message);
        }
        let mut error = crate::diag::Diagnostic::new(
            Tag::FuncUndef,
            *span,
            &format!("undefined function name: {text}"),
        );
        error.hint =
            names::nearest(text, names::functions()).map(|near| format!("did you mean `{near}`?"));
        self.reject(error)
    }
}
