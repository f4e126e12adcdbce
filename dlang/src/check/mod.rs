//! The tree to a checked, typed [`Program`].
//!
//! All meaning errors end here: names become ids, inlines are expanded, types are resolved and
//! laid out for LP64, C's conversions become casts, constants are folded (by [`crate::eval`]).
//! Errors are collected: one bad statement does not hide the next. What D has and rdtrace does
//! not run yet is refused by its name (see [`crate::names`]), never called unknown.
//!
//! As in libdtrace a program is read from top to bottom: a variable exists from its declaration
//! or first assignment on.

mod action;
mod aggregation;
mod call;
mod convert;
mod declare;
mod expr;
mod member;
mod operator;
mod printf;
mod speculation;
mod translate;
mod types;
mod variable;

use std::collections::HashMap;

use crate::ast::{self, Ast, Item};
use crate::diag::{Diagnostic, Region, Span};
use crate::eval::Constants;
use crate::program::{AggId, Clause, Expr, ProbeDesc, ProbeSpec, Program, Scope, VarId};
use crate::tags::Tag;
use crate::types::{KernelTypes, NoKernelTypes, Type};

use types::TypeTable;

pub use printf::parse_format;

/// What `check` asks about probes.
pub trait ProbeArgs {
    /// The types of `args[]` of the probes that match a description; `None` when nothing is
    /// known about them, and then each argument is an `int64_t`.
    fn args(&self, desc: &ProbeDesc) -> Option<Vec<Type>>;
}

/// Nothing is known about any probe.
#[derive(Clone, Copy, Debug)]
pub struct UnknownArgs;

impl ProbeArgs for UnknownArgs {
    fn args(&self, _desc: &ProbeDesc) -> Option<Vec<Type>> {
        None
    }
}

/// Options that change what a program means.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// The size of a string variable, its NUL included.
    pub strsize: u32,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { strsize: 256 }
    }
}

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
    for item in &ast.library {
        // An error in a library is told as one of the program.
        let _ = checker.library_item(item);
    }
    for pragma in &ast.pragmas {
        checker.pragma(pragma);
    }
    for item in &ast.items {
        if checker.item(item).is_err() {
            // The error is noted; its names give no further errors.
            checker.spoil(item);
        }
    }
    if checker.errors.is_empty() {
        Ok(checker.program)
    } else {
        Err(checker.errors)
    }
}

/// An error that is already in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reported;

type Checked<T> = Result<T, Reported>;

struct Checker<'a> {
    probes: &'a dyn ProbeArgs,
    options: CheckOptions,
    program: Program,
    errors: Vec<Diagnostic>,
    types: TypeTable<'a>,
    variables: HashMap<(Scope, String), VarId>,
    /// Where each variable was declared or first assigned.
    variable_spans: Vec<Span>,
    aggregations: HashMap<String, AggId>,
    /// Aggregations that are only known from a failed statement: no second error about them.
    spoiled: std::collections::HashSet<String>,
    inlines: HashMap<String, &'a ast::Inline>,
    /// The parameters of the inlines that are being expanded, innermost last.
    parameters: Vec<HashMap<String, Expr>>,
    /// The translators; a [`crate::types::Space::Translated`] is an index into these.
    translators: Vec<translate::Translator<'a>>,
    /// How many expressions the expanding of inlines has made, and how deep they nest now.
    expanded: usize,
    expanding: usize,
    region: Region,
    /// The probes of the clause that is being checked.
    clause_probes: Vec<ProbeSpec>,
    /// What the clause has done so far.
    done: speculation::Done,
}

impl<'a> Checker<'a> {
    fn new(probes: &'a dyn ProbeArgs, kernel: &'a dyn KernelTypes, options: CheckOptions) -> Self {
        Self {
            probes,
            options,
            program: Program::default(),
            errors: Vec::new(),
            types: TypeTable::new(kernel),
            variables: HashMap::new(),
            variable_spans: Vec::new(),
            aggregations: HashMap::new(),
            spoiled: std::collections::HashSet::new(),
            inlines: HashMap::new(),
            parameters: Vec::new(),
            translators: Vec::new(),
            expanded: 0,
            expanding: 0,
            region: Region::None,
            clause_probes: Vec::new(),
            done: speculation::Done::default(),
        }
    }

    fn pragma(&mut self, pragma: &ast::Pragma) {
        if pragma.word == "option" {
            let (name, value) = match pragma.rest.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (pragma.rest.as_str(), None),
            };
            self.program.options.push((name.to_owned(), value));
        }
    }

    fn item(&mut self, item: &'a Item) -> Checked<()> {
        match item {
            Item::Clause(clause) => {
                self.clause(clause);
                Ok(())
            }
            Item::Declaration(declaration) => self.declaration(declaration),
            Item::Inline(inline) => self.inline_definition(inline),
            Item::Translator(translator) => self.translator(translator, false),
            Item::Provider(provider) => self.unsupported(
                provider.span,
                "provider declarations are for dtrace -h and -G, which are not supported yet",
            ),
        }
    }

    fn library_item(&mut self, item: &'a Item) -> Checked<()> {
        match item {
            Item::Translator(translator) => self.translator(translator, true),
            Item::Clause(clause) => {
                let message = "a D library cannot contain probe clauses";
                self.plain_error(Tag::Syntax, clause.span, message)
            }
            Item::Declaration(_) | Item::Inline(_) | Item::Provider(_) => self.item(item),
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
            for scope in [Scope::Global, Scope::ThreadLocal, Scope::ClauseLocal] {
                self.spoiled.insert(variable::shown_name(scope, &name.text));
            }
        }
    }

    fn clause(&mut self, clause: &'a ast::Clause) {
        self.clause_probes.clone_from(&clause.probes);
        self.done = speculation::Done::default();
        let first_error = self.errors.len();
        let spoiled = self.spoiled.clone();
        let mut predicate = self.clause_predicate(clause);
        let again = predicate == Some(Err(Reported));
        if again {
            // A predicate may use what only the clause's own body assigns.
            self.errors.truncate(first_error);
            self.spoiled = spoiled;
        }
        self.region = Region::Actions;
        let mut body = Vec::new();
        self.statements(&clause.body, &mut body);
        if again {
            let mut of_body = self.errors.split_off(first_error);
            predicate = self.clause_predicate(clause);
            self.errors.append(&mut of_body);
        }
        self.region = Region::None;
        self.program.clauses.push(Clause {
            probes: clause.probes.clone(),
            predicate: predicate.and_then(Result::ok),
            body,
            span: clause.span,
        });
    }

    fn clause_predicate(&mut self, clause: &'a ast::Clause) -> Option<Checked<Expr>> {
        self.region = Region::Predicate;
        let predicate = clause.predicate.as_ref()?;
        Some(self.predicate(predicate))
    }

    fn predicate(&mut self, predicate: &'a ast::Expr) -> Checked<Expr> {
        let checked = self.expr(predicate)?;
        if checked.ty.is_scalar() {
            return Ok(checked);
        }
        let mut error = self.diagnostic(
            Tag::PredScalar,
            predicate.span,
            "predicate result must be of scalar type",
        );
        if checked.ty == Type::String {
            error.hint = Some("compare the string: /s != \"\"/".into());
        }
        self.reject(error)
    }

    fn constants(&self) -> Constants {
        Constants {
            strsize: self.options.strsize as usize,
        }
    }

    fn diagnostic(&self, tag: Tag, span: Span, message: &str) -> Diagnostic {
        Diagnostic {
            region: self.region,
            ..Diagnostic::new(tag, span, message)
        }
    }

    fn reject<T>(&mut self, error: Diagnostic) -> Checked<T> {
        self.errors.push(error);
        Err(Reported)
    }

    fn error<T>(&mut self, tag: Tag, span: Span, message: &str) -> Checked<T> {
        let error = self.diagnostic(tag, span, message);
        self.reject(error)
    }

    /// An error without a region, as libdtrace gives those that it finds before or after the
    /// checking of expressions.
    fn plain_error<T>(&mut self, tag: Tag, span: Span, message: &str) -> Checked<T> {
        self.reject(Diagnostic::new(tag, span, message))
    }

    fn unsupported<T>(&mut self, span: Span, message: &str) -> Checked<T> {
        self.plain_error(Tag::Unsupported, span, message)
    }
}
