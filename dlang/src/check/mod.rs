//! The tree to a checked, typed [`Program`].
//!
//! All meaning errors end here: names become ids, inlines are expanded, types are resolved and
//! laid out for LP64, C's conversions become casts, constants are folded (by [`crate::eval`]).
//! Errors are collected: one bad statement does not hide the next. What D has and rdtrace does
//! not run yet is refused by its name (see [`crate::names`]), never called unknown.
//!
//! As in libdtrace a program is read from top to bottom: a variable exists from its declaration
//! or first assignment on, and a probe description that matches nothing is an error before anything is
//! that stands in its clause.

mod action;
mod aggregation;
mod assign;
mod call;
mod checker;
mod clause;
mod convert;
mod declare;
mod dependent;
mod expr;
mod member;
mod operator;
mod pragma;
mod printed;
mod printf;
mod probe_args;
mod process;
mod provider;
mod python;
mod rewrite;
mod speculation;
mod symbol;
mod syntax;
mod translate;
mod types;
mod variable;

use crate::ast::{self, Ast, Item};
use crate::diag::Diagnostic;
use crate::program::Program;
use crate::tags::Tag;
use crate::types::{KernelTypes, NoKernelTypes};

pub use checker::CheckOptions;
use checker::{Checked, Checker};
pub use dependent::Definition;
pub use printf::parse_format;
pub use probe_args::{ArgKind, ArgTypes, Matched, ProbeArgs, UnknownArgs};

/// Checks a program.
///
/// # Errors
///
/// All errors that were found, in the order of the program.
pub fn check(
    ast: &Ast,
    probes: &dyn ProbeArgs,
    options: &CheckOptions,
) -> Result<Program, Vec<Diagnostic>> {
    check_with(ast, probes, &NoKernelTypes, options)
}

/// [`check`] for a program that may use the running kernel's types.
///
/// # Errors
///
/// As those of [`check`].
pub fn check_with(
    ast: &Ast,
    probes: &dyn ProbeArgs,
    kernel: &dyn KernelTypes,
    options: &CheckOptions,
) -> Result<Program, Vec<Diagnostic>> {
    let mut checker = Checker::new(probes, kernel, *options);
    checker.in_library = true;
    for item in &ast.library {
        // An error in a library is told as one of the program.
        let _ = checker.library_item(item);
    }
    checker.in_library = false;
    for pragma in &ast.pragmas {
        checker.pragma(pragma);
    }
    let mut clauses = 0;
    for item in &ast.items {
        if let Item::Clause(clause) = item {
            checker.clause(clauses, clause);
            clauses += 1;
        } else if checker.definition(item).is_err() {
            // The error is noted; its names give no further errors.
            checker.spoil(item);
        }
        if checker.is_over {
            break;
        }
    }
    if checker.errors.is_empty() {
        for pragma in &ast.pragmas {
            let _ = checker.checked_pragma(ast, pragma);
        }
    }
    if checker.errors.is_empty() {
        Ok(checker.program)
    } else {
        Err(checker.errors)
    }
}

impl<'a> Checker<'a> {
    fn pragma(&mut self, pragma: &ast::Pragma) {
        if pragma.word == "option" {
            let (name, value) = match pragma.rest.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (pragma.rest.as_str(), None),
            };
            self.program.options.push((name.to_owned(), value));
        }
    }

    fn definition(&mut self, item: &'a Item) -> Checked<()> {
        match item {
            Item::Clause(_) => Ok(()),
            Item::Declaration(declaration) => self.declaration(declaration),
            Item::Inline(inline) => self.inline_definition(inline),
            Item::Translator(translator) => self.translator(translator, false),
            Item::Provider(provider) => self.provider(provider),
        }
    }

    fn library_item(&mut self, item: &'a Item) -> Checked<()> {
        match item {
            Item::Translator(translator) => self.translator(translator, true),
            Item::Clause(clause) => {
                let message = "a D library cannot contain probe clauses";
                self.plain_error(Tag::Syntax, clause.span, message)
            }
            Item::Declaration(_) | Item::Inline(_) | Item::Provider(_) => self.definition(item),
        }
    }

    fn spoil(&mut self, item: &Item) {
        let names: Vec<&ast::Name> = match item {
            Item::Inline(inline) => vec![&inline.name],
            Item::Declaration(declaration) => declaration
                .declarators
                .iter()
                .filter_map(|d| d.name.as_ref())
                .collect(),
            Item::Clause(_) | Item::Translator(_) | Item::Provider(_) => Vec::new(),
        };
        for name in names {
            for scope in variable::SCOPES {
                self.spoiled.insert(variable::shown_name(scope, &name.text));
            }
        }
    }
}
