//! What is known of a program while it is checked, and how errors are noted.

use std::collections::{HashMap, HashSet};

use super::probe_args::{ArgKind, ProbeArgs};
use super::types::TypeTable;
use crate::ast::{self, Name};
use crate::diag::{Diagnostic, Region, Span};
use crate::eval::Constants;
use crate::program::{AggId, Expr, ProbeSpec, Program, Scope, VarId};
use crate::tags::Tag;
use crate::types::{KernelTypes, Type};

/// Options that change what a program means.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// The size of a string variable, its NUL included.
    pub strsize: u32,
    /// The most bytes that a clause can ask for with `alloca` and `copyin`.
    pub scratchsize: u32,
    /// The most bytes that `print` shows of an object.
    pub printsize: Option<u32>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            strsize: 256,
            scratchsize: 256,
            printsize: None,
        }
    }
}

/// An error that is already in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reported;

/// What a check gives; its error is in the list already.
pub(super) type Checked<T> = Result<T, Reported>;

/// A program while it is checked. Each kind of thing that a program has is checked in a file of its own, by
/// methods that call each other.
pub(super) struct Checker<'a> {
    pub(super) probes: &'a dyn ProbeArgs,
    pub(super) options: CheckOptions,
    pub(super) program: Program,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) types: TypeTable<'a>,
    pub(super) variables: HashMap<(Scope, String), VarId>,
    /// Where each variable was declared or first assigned.
    pub(super) variable_spans: Vec<Span>,
    pub(super) aggregations: HashMap<String, AggId>,
    /// Aggregations that are only known from a failed statement: no second error about them.
    pub(super) spoiled: HashSet<String>,
    /// The global variable that the assignment makes whose value is being checked.
    pub(super) assigned: Option<String>,
    pub(super) inlines: HashMap<String, &'a ast::Inline>,
    /// The parameters of the inlines that are being expanded, innermost last.
    pub(super) parameters: Vec<HashMap<String, Expr>>,
    /// The translators; a [`crate::types::Space::Translated`] is an index into these.
    pub(super) translators: Vec<Translator<'a>>,
    /// How many expressions the expanding of inlines has made, and how deep they nest now.
    pub(super) expanded: usize,
    pub(super) expanding: usize,
    pub(super) region: Region,
    /// The probes that the clause is being checked for; none outside of clauses.
    pub(super) clause_probes: Option<ClauseProbes>,
    /// What the clause has done so far.
    pub(super) done: Done,
    /// Whether a D library is being read.
    pub(super) in_library: bool,
    /// Whether a description matches nothing, which ends the checking.
    pub(super) is_over: bool,
}

/// The probes that a clause is being checked for.
#[derive(Clone, Debug)]
pub(super) struct ClauseProbes {
    /// Their description.
    pub(super) spec: ProbeSpec,
    /// What the arguments of these probes are; `None` if that is not known.
    pub(super) kind: Option<ArgKind>,
    /// The `args[n]` that the clause has named so far, with their types; of dependent probes those of the
    /// underlying one.
    pub(super) named: Vec<(u8, Type)>,
    /// Whether what is being checked is the definition of a dependent probe, whose arguments are those of
    /// the underlying one.
    pub(super) beneath: bool,
}

/// What a clause has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) speculate: bool,
    pub(super) commit: bool,
    pub(super) data: bool,
}

/// A translator as it was declared.
#[derive(Debug)]
pub(super) struct Translator<'a> {
    /// The struct or union that it makes.
    pub(super) output: Type,
    /// What it reads.
    pub(super) input: Type,
    /// The parameter's name.
    pub(super) parameter: &'a str,
    /// The members that it makes, each with its expression.
    pub(super) members: &'a [(Name, ast::Expr)],
    /// Where it is declared.
    pub(super) span: Span,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        probes: &'a dyn ProbeArgs,
        kernel: &'a dyn KernelTypes,
        options: CheckOptions,
    ) -> Self {
        Self {
            probes,
            options,
            program: Program::default(),
            errors: Vec::new(),
            types: TypeTable::new(kernel),
            variables: HashMap::new(),
            variable_spans: Vec::new(),
            aggregations: HashMap::new(),
            spoiled: HashSet::new(),
            assigned: None,
            inlines: HashMap::new(),
            parameters: Vec::new(),
            translators: Vec::new(),
            expanded: 0,
            expanding: 0,
            region: Region::None,
            clause_probes: None,
            done: Done::default(),
            in_library: false,
            is_over: false,
        }
    }

    pub(super) fn constants(&self) -> Constants {
        Constants {
            strsize: self.options.strsize as usize,
        }
    }

    pub(super) fn diagnostic(&self, tag: Tag, span: Span, message: &str) -> Diagnostic {
        Diagnostic {
            region: self.region,
            ..Diagnostic::new(tag, span, message)
        }
    }

    pub(super) fn reject<T>(&mut self, error: Diagnostic) -> Checked<T> {
        self.errors.push(error);
        Err(Reported)
    }

    pub(super) fn error<T>(&mut self, tag: Tag, span: Span, message: &str) -> Checked<T> {
        let error = self.diagnostic(tag, span, message);
        self.reject(error)
    }

    /// An error without a region, as libdtrace gives those that it finds before or after the
    /// checking of expressions.
    pub(super) fn plain_error<T>(&mut self, tag: Tag, span: Span, message: &str) -> Checked<T> {
        self.reject(Diagnostic::new(tag, span, message))
    }

    pub(super) fn unsupported<T>(&mut self, span: Span, message: &str) -> Checked<T> {
        self.plain_error(Tag::Unsupported, span, message)
    }
}
