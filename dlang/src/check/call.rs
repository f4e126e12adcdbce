//! Calls of functions: their arguments are counted, checked and converted by the prototype, in
//! libdtrace's order: how many there are, then their types, then whether the function can be used.

use super::checker::{Checked, Checker};
use super::convert::{convert, is_string_like, node, stored};
use super::expr::valueless;
use super::operator::is_zero;
use super::variable::may_be_ours;
use crate::ast::{self, Name};
use crate::diag::{Diagnostic, Span};
use crate::names::{self, ActionName, Kind, Parameter, Prototype, Takes};
use crate::program::{ASYNC, Expr, ExprKind, Scope, Subroutine};
use crate::tags::Tag;
use crate::types::Type;

impl Checker<'_> {
    /// A call whose value is wanted.
    pub(super) fn call(&mut self, name: &Name, args: &[ast::Expr], span: Span) -> Checked<Expr> {
        let function = name.text.as_str();
        let kind = if self.is_beneath() {
            names::function_beneath(function)
        } else {
            names::function(function)
        };
        let Some(kind) = kind else {
            return self.unknown_function(name);
        };
        let (args, awaits) = match (kind, args.split_last()) {
            (Kind::Subroutine(_, Ok(Subroutine::Pystack)), Some((last, before))) if matches!(&last.kind, ast::ExprKind::Ident(word) if word == ASYNC) => {
                (before, true)
            }
            _without_it => (args, false),
        };
        if let Some(prototype) = kind.prototype() {
            self.count_arguments(function, args.len(), prototype, span)?;
        }
        match kind {
            Kind::Subroutine(prototype, Ok(subroutine)) => {
                let subroutine = if awaits {
                    &Subroutine::PystackAsync
                } else {
                    subroutine
                };
                let mut checked = Vec::with_capacity(args.len());
                for (n, (arg, parameter)) in args.iter().zip(prototype.parameters).enumerate() {
                    checked.push(self.argument(function, n + 1, arg, *parameter)?);
                }
                self.stack_arguments(*subroutine, &checked)?;
                self.python_name(*subroutine, &checked)?;
                self.alloca_size(*subroutine, &checked, span)?;
                let call = ExprKind::Call(*subroutine, checked);
                self.fold(node(call, prototype.result.ty(), span))
            }
            Kind::Reading(prototype, function) => {
                let mut checked = Vec::with_capacity(args.len());
                for (n, (arg, parameter)) in args.iter().zip(prototype.parameters).enumerate() {
                    let arg = self.argument(&name.text, n + 1, arg, *parameter)?;
                    if arg.ty == Type::String {
                        let error =
                            self.wrong_argument(&name.text, n + 1, parameter.spelling, &arg);
                        return self.reject(error);
                    }
                    checked.push(arg);
                }
                self.memory_function(*function, &checked, prototype.result.ty(), span)
            }
            Kind::Subroutine(prototype, Err(why))
            | Kind::Action(prototype, Err(why))
            | Kind::Aggregating(prototype, Err(why)) => {
                self.check_typed_arguments(function, args, prototype)?;
                self.lacking(function, *why, name.span)
            }
            Kind::Action(_, Ok(ActionName::Symbol(_))) => {
                let message = format!(
                    "tracing function {function}( ) may not be called from a D expression (D program context required)"
                );
                let hint = "it is a statement of its own, or a key of an aggregation";
                let error = self.diagnostic(Tag::CgExpr, name.span, &message);
                self.reject(error.with_hint(hint))
            }
            Kind::Action(_, Ok(_)) | Kind::Aggregating(_, Ok(_)) => Ok(valueless(span)),
            Kind::Variable(..) | Kind::Array(_) => self.unknown_function(name),
        }
    }

    /// Errors if a clause asks for more memory than there is, as far as that is a constant.
    fn alloca_size(&mut self, of: Subroutine, args: &[Expr], span: Span) -> Checked<()> {
        let size = match (of, args) {
            (Subroutine::Alloca, [size]) | (Subroutine::Copyin, [_, size]) => size,
            _others => return Ok(()),
        };
        let most = u64::from(self.options.scratchsize);
        let ExprKind::Int(size) = size.kind else {
            return Ok(());
        };
        let size = size.cast_unsigned();
        if size <= most {
            return Ok(());
        }
        let message = format!("alloca({size}) size larger than scratchsize {most}");
        let error = Diagnostic::new(Tag::AllocaSize, span, &message);
        self.reject(error.with_hint("-x scratchsize=BYTES allows for more"))
    }

    /// Checks the arguments whose types the prototype says.
    pub(super) fn check_typed_arguments(
        &mut self,
        function: &str,
        args: &[ast::Expr],
        prototype: &Prototype,
    ) -> Checked<()> {
        for (n, (arg, parameter)) in args.iter().zip(prototype.parameters).enumerate() {
            if !matches!(parameter.takes, Takes::Any | Takes::More) {
                self.argument(function, n + 1, arg, *parameter)?;
            }
        }
        Ok(())
    }

    /// An argument, converted to what the parameter takes.
    pub(super) fn argument(
        &mut self,
        function: &str,
        n: usize,
        arg: &ast::Expr,
        parameter: Parameter,
    ) -> Checked<Expr> {
        let place = self.place(arg)?;
        if matches!(parameter.takes, Takes::Str | Takes::StrOrNull) && is_string_like(&place.ty) {
            return Ok(convert(place, &Type::String));
        }
        if parameter.takes == Takes::Memory && place.ty == Type::String {
            return Ok(place);
        }
        let value = self.value(place)?;
        match (parameter.takes, &value.ty) {
            (Takes::Address, Type::Int(_) | Type::Pointer(..)) => Ok(convert(value, &Type::U64)),
            (Takes::Scratch, Type::Pointer(..)) if may_be_ours(&value) => Ok(value),
            (Takes::Scratch, _) => {
                let message = format!(
                    "{function}( ) argument #{n} is incompatible with prototype:\n\tprototype: {}\n\t argument: non-alloca pointer",
                    parameter.spelling
                );
                let error = self.diagnostic(Tag::ProtoArg, value.span, &message);
                self.reject(error.with_hint(
                    "memory that a program may store into comes from alloca(), copyin() or a variable",
                ))
            }
            (Takes::StrOrNull, _)
                if value.ty.is_scalar() && matches!(value.kind, ExprKind::Int(0)) =>
            {
                Ok(value)
            }
            // The null string, which is a fault when it is used.
            (Takes::Str, _) if is_zero(&value) => Ok(convert(value, &Type::String)),
            (Takes::Memory, _) if is_zero(&value) => {
                Ok(convert(value, &Type::pointer_to(Type::Void)))
            }
            (Takes::Memory, Type::Pointer(..)) | (Takes::Any | Takes::More, _) => Ok(value),
            (Takes::Number(int), Type::Int(_)) => {
                let value = stored(value, &Type::Int(int));
                self.fold(value)
            }
            (Takes::Constant(least, most), Type::Int(_)) => {
                if let ExprKind::Int(number) = value.kind
                    && (least..=most).contains(&number)
                {
                    return Ok(value);
                }
                let message = format!(
                    "{function}( ) argument #{n} must be an integer constant from {least} to {most}"
                );
                self.error(Tag::ProtoArg, value.span, &message)
            }
            (
                Takes::Str
                | Takes::StrOrNull
                | Takes::Address
                | Takes::Memory
                | Takes::Number(_)
                | Takes::Constant(..),
                _,
            ) => {
                let error = self.wrong_argument(function, n, parameter.spelling, &value);
                let is_address = parameter.takes == Takes::Str && value.ty.is_scalar();
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
    ) -> Diagnostic {
        let message = format!(
            "{function}( ) argument #{n} is incompatible with prototype:\n\tprototype: {prototype}\n\t argument: {}",
            argument.ty
        );
        self.diagnostic(Tag::ProtoArg, argument.span, &message)
    }

    /// Errors when a function has too few or too many arguments.
    pub(super) fn count_arguments(
        &mut self,
        function: &str,
        given: usize,
        prototype: &Prototype,
        span: Span,
    ) -> Checked<()> {
        let (least, most) = (prototype.least(), prototype.most());
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

    /// The error for a name that is called and is no function.
    pub(super) fn unknown_function<T>(&mut self, name: &Name) -> Checked<T> {
        let Name { text, span } = name;
        let own = names::find(text).map(|row| row.kind.words());
        let variable = || {
            self.variables
                .contains_key(&(Scope::Global, text.clone()))
                .then_some("scalar")
        };
        if let Some(kind) = own.or_else(variable) {
            let message = format!("{kind} '{text}' may not be referenced as a function");
            return self.plain_error(Tag::FuncIdkind, *span, &message);
        }
        let mut error = Diagnostic::new(
            Tag::FuncUndef,
            *span,
            &format!("undefined function name: {text}"),
        );
        error.hint =
            names::nearest(text, names::functions()).map(|near| format!("did you mean `{near}`?"));
        self.reject(error)
    }
}
