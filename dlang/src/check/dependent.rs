//! Probes that depend on others: `proc:::exit` is the kernel's tracepoint `sched_process_exit`, where that
//! is passed by a process's first thread.
//!
//! The probe beneath is the *underlying* one. When the dependent probe fires and what its arguments are is
//! written in D over the arguments of the underlying probe. It is checked in the place of its use in a
//! clause, as an inline is: `arg0` becomes an input, `args[0]` an input as the type that the probe shows, and
//! the condition becomes a part of the predicate. So later stages know the underlying probe only.

use super::checker::{Checked, Checker};
use super::convert::{convert, int_node, node};
use crate::ast::{self, StmtKind};
use crate::diag::{Diagnostic, Origin, Region, Source, Span, SpecifierKind};
use crate::parse::{Macros, parse};
use crate::program::{Dependent, Expr, ExprKind, LogicOp};
use crate::tags::Tag;
use crate::types::{Int, Space, Type};

/// What a dependent probe's D text says, as a tree.
#[derive(Debug)]
pub struct Definition {
    when: Option<ast::Expr>,
    inputs: Vec<ast::Expr>,
    outputs: Vec<(u8, ast::TypeName)>,
}

impl Dependent {
    /// Reads the D text.
    ///
    /// # Errors
    ///
    /// Those of its syntax.
    pub fn parse(&self) -> Result<Definition, Vec<Diagnostic>> {
        let malformed = || {
            let message = format!("not the definition of a dependent probe: {}", self.text());
            vec![Diagnostic::new(Tag::Syntax, Span::default(), &message)]
        };
        let source = Source {
            origin: Origin::Specifier {
                text: String::new(),
                kind: SpecifierKind::Name,
            },
            text: self.text(),
        };
        let ast = parse(&[source], &Macros::default())?;
        let Some(ast::Item::Clause(clause)) = ast.items.into_iter().next() else {
            return Err(malformed());
        };
        let mut inputs = Vec::new();
        for statement in clause.body {
            let StmtKind::Expr(expr) = statement.kind else {
                return Err(malformed());
            };
            inputs.push(expr);
        }
        let mut outputs = Vec::new();
        for typed in inputs.split_off(self.inputs.len()) {
            let ast::ExprKind::Xlate(ty, _) = typed.kind else {
                return Err(malformed());
            };
            outputs.push(*ty);
        }
        let inputs_of_outputs = self.outputs.iter().map(|(input, _)| *input);
        Ok(Definition {
            when: clause.predicate,
            inputs,
            outputs: inputs_of_outputs.zip(outputs).collect(),
        })
    }

    /// All of it as one clause: the condition, the inputs, the types.
    fn text(&self) -> String {
        let inputs = self.inputs.iter().map(|input| format!("{input}; "));
        let types = self.outputs.iter();
        let types = types.map(|(_, ty)| format!("xlate <{ty}> (0); "));
        let body: String = inputs.chain(types).collect();
        let when = if self.when.is_empty() {
            String::new()
        } else {
            format!("/{}/ ", self.when)
        };
        format!("BEGIN {when}{{ {body}}}")
    }
}

impl Checker<'_> {
    /// How the probes of the clause depend on others, if they do and what is checked is the program itself.
    pub(super) fn dependent(&self) -> Option<Dependent> {
        let probes = self.clause_probes.as_ref()?;
        let kind = probes.kind.as_ref().filter(|_| !probes.beneath)?;
        kind.dependent
    }

    /// `args[n]` of a dependent probe.
    pub(super) fn output(&mut self, dependent: Dependent, n: i64, span: Span) -> Checked<Expr> {
        self.beneath(dependent, span, |checker, definition| {
            let output = usize::try_from(n).ok();
            let Some((input, ty)) = output.and_then(|n| definition.outputs.get(n)) else {
                let desc = checker
                    .clause_probes
                    .as_ref()
                    .map(|probes| &probes.spec.desc);
                let desc = desc.cloned().unwrap_or_default();
                let message = format!("index {n} is out of range for {desc} args[ ]");
                return checker.error(Tag::ArgsIdx, span, &message);
            };
            let value = checker.input(definition, *input, span)?;
            let ty = checker.type_name(ty)?;
            checker.as_output(value, &ty, span)
        })
    }

    /// `arg0` to `arg9` of a dependent probe.
    pub(super) fn raw_input(&mut self, dependent: Dependent, n: u8, span: Span) -> Checked<Expr> {
        self.beneath(dependent, span, |checker, definition| {
            if usize::from(n) >= definition.inputs.len() {
                return Ok(int_node(0, Int::I64, span)); // there is none: it reads as 0
            }
            let value = checker.input(definition, n, span)?;
            if value.ty == Type::String {
                let message = format!("arg{n} is a string here, and no number: it is args[{n}]");
                return checker.error(Tag::OpIncompat, span, &message);
            }
            checker.fold(convert(value, &Type::I64))
        })
    }

    /// A clause's predicate with the condition of its dependent probe before it.
    pub(super) fn with_condition(
        &mut self,
        predicate: Option<Checked<Expr>>,
        span: Span,
    ) -> Option<Checked<Expr>> {
        let Some(dependent) = self
            .dependent()
            .filter(|dependent| !dependent.when.is_empty())
        else {
            return predicate;
        };
        let condition = self.beneath(dependent, span, |checker, definition| {
            match &definition.when {
                Some(when) => checker.expr(when),
                None => Ok(int_node(1, Int::I32, span)),
            }
        });
        let (condition, predicate) = match (condition, predicate) {
            (Ok(condition), Some(Ok(predicate))) => (condition, predicate),
            (Ok(condition), None) => return Some(Ok(condition)),
            (Err(error), _) | (_, Some(Err(error))) => return Some(Err(error)),
        };
        let both = ExprKind::Logic(LogicOp::And, Box::new(condition), Box::new(predicate));
        Some(Ok(node(both, Type::INT, span)))
    }

    fn input(&mut self, definition: &Definition, n: u8, span: Span) -> Checked<Expr> {
        match definition.inputs.get(usize::from(n)) {
            Some(input) => self.expr(input),
            None => Ok(int_node(0, Int::I64, span)),
        }
    }

    /// A value as the type that the probe shows: translated, if a translator makes that.
    fn as_output(&mut self, value: Expr, ty: &Type, span: Span) -> Checked<Expr> {
        if let Type::Pointer(to, _) = ty {
            if self.find_translator(to, &value.ty).is_some() {
                return self.translated(value, ty, span);
            }
            let ty = ty.clone().in_space(value.ty.space());
            return self.fold(convert(value, &ty));
        }
        self.fold(convert(value, ty))
    }

    /// Checks a part of a dependent probe's definition: names of arguments are those of the underlying
    /// probe, and all of it stands where it is used.
    fn beneath(
        &mut self,
        dependent: Dependent,
        span: Span,
        check: impl FnOnce(&mut Self, &Definition) -> Checked<Expr>,
    ) -> Checked<Expr> {
        let definition = match dependent.parse() {
            Ok(definition) => definition,
            Err(errors) => {
                let messages: Vec<String> = errors.into_iter().map(|e| e.message).collect();
                return self.error(Tag::Syntax, span, &messages.join(", "));
            }
        };
        let errors = self.errors.len();
        let parameters = std::mem::take(&mut self.parameters);
        self.set_beneath(true);
        let checked = check(self, &definition);
        self.set_beneath(false);
        self.parameters = parameters;
        let region: Region = self.region;
        for error in &mut self.errors[errors..] {
            (error.span, error.region) = (span, region);
            error.labels.clear();
        }
        Ok(checked?.placed_at(span))
    }

    /// Whether what is checked is the definition of a dependent probe.
    pub(super) fn is_beneath(&self) -> bool {
        let probes = self.clause_probes.as_ref();
        probes.is_some_and(|probes| probes.beneath)
    }

    fn set_beneath(&mut self, beneath: bool) {
        if let Some(probes) = &mut self.clause_probes {
            probes.beneath = beneath;
        }
    }
}

/// The type of an underlying probe's argument: what the kernel passes leads to its own memory, unless it is
/// said to lead to a program's.
pub(super) fn of_kernel(ty: Type) -> Type {
    match ty.space() {
        Space::Unknown => ty.in_space(Space::Kernel),
        Space::User | Space::Kernel | Space::Scratch | Space::Translated(_) => ty,
    }
}
