//! The checked, typed program: what `check` gives and every later stage reads.
//!
//! Everything a later stage would have to look up or infer is settled here: names are ids,
//! inlines and macro arguments are expanded, `sizeof` is a number, every implicit conversion is
//! a [`ExprKind::Cast`] and every expression has a type. What rdtrace parses but cannot run never
//! gets this far; `check` refuses it at its position.

mod expr;
mod function;
mod statement;
mod variable;

pub use self::expr::{BinaryOp, Expr, ExprKind, LogicOp, UnaryOp};
pub use self::function::{ASYNC, Builtin, Subroutine};
pub use self::statement::{Action, Stmt, StmtKind};
pub use self::variable::{AggFunc, AggId, Aggregation, Scope, VarId, Variable};
use crate::diag::{Diagnostic, Span};
use crate::types::Type;

/// A whole D program, from one or more sources.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The clauses in program order, which is the order they run in on a common probe.
    pub clauses: Vec<Clause>,
    /// Which probes do not run which of their clauses.
    pub unfit: Vec<Unfit>,
    /// Every variable of every scope; a [`VarId`] is an index into this.
    pub variables: Vec<Variable>,
    /// Every aggregation; an [`AggId`] is an index into this.
    pub aggregations: Vec<Aggregation>,
    /// `#pragma D option` lines in order: name and value, if one was given.
    pub options: Vec<(String, Option<String>)>,
    /// `provider` declarations in order.
    pub providers: Vec<DeclaredProvider>,
}

/// A provider that the program declares: what `-h` writes a header for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredProvider {
    /// Its name, without a process id.
    pub name: String,
    /// Its probes, in order.
    pub probes: Vec<DeclaredProbe>,
}

/// A probe of a declared provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredProbe {
    /// The name as it is written, with `__` for `-`.
    pub name: String,
    /// What the program gives: `arg0` and so on.
    pub input: Vec<Type>,
    /// What `args[]` are: which input each one is, and its type.
    pub output: Vec<(usize, Type)>,
    /// Where its name stands.
    pub span: Span,
}

/// How a probe depends on another one, the *underlying* probe: when it fires, and what its arguments are made
/// of. All of it is D, over the arguments of the underlying probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// When it fires: whenever the other one does if this is empty.
    pub when: &'static str,
    /// `arg0` and so on.
    pub inputs: &'static [&'static str],
    /// `args[0]` and so on: each is the input of this number, as this type. A translator is used if there
    /// is one.
    pub outputs: &'static [(u8, &'static str)],
}

/// Probe descriptions, an optional predicate and what to do.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Which clause of the text it is, from 0. One that names `args[n]` whose types differ between
    /// its probes is several here.
    pub number: usize,
    /// The probe descriptions, macros expanded.
    pub probes: Vec<ProbeSpec>,
    /// The `args[n]` that it names, with the types that it was checked with: a probe runs it if it has
    /// these.
    pub args: Vec<(u8, Type)>,
    /// How its probes depend on others, if they do: of dependent probes one runs it that does so, too.
    pub dependent: Option<Dependent>,
    /// The predicate, of a scalar type.
    pub predicate: Option<Expr>,
    /// The statements; none means the default action.
    pub body: Vec<Stmt>,
    /// Where the clause starts (its probe descriptions).
    pub span: Span,
}

/// A clause that is wrong for probes with these arguments, though its description matches them and it is right for
/// others. They do not run it.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// Which clause of the text it is, from 0.
    pub number: usize,
    /// The probe description.
    pub spec: ProbeSpec,
    /// The types of `args[]`, all of them.
    pub args: Vec<Type>,
    /// How the probes depend on others, if they do.
    pub dependent: Option<Dependent>,
    /// What is wrong.
    pub error: Diagnostic,
}

/// What a probe gives a clause: the types of its `args[]`, of a dependent one those of the underlying probe, and
/// how it depends on that.
pub type Given<'p> = (&'p dyn Fn(u8) -> Option<Type>, Option<Dependent>);

impl Program {
    /// Whether the program has variables of asyncio's tasks (`task->x`).
    #[must_use]
    pub fn has_task_variables(&self) -> bool {
        let mut variables = self.variables.iter();
        variables.any(|variable| variable.scope == Scope::TaskLocal)
    }

    /// The clause that a probe runs: of those that the clause `number` of the text has become and that
    /// have the description, the one that was checked with these types of `args[]`.
    #[must_use]
    pub fn clause_for(
        &self,
        number: usize,
        spec: &ProbeSpec,
        (args, dependent): Given<'_>,
    ) -> Option<usize> {
        self.clauses_of(number, spec)
            .find(|(_, clause)| clause.dependent == dependent && clause.fits(args))
            .map(|(index, _)| index)
    }

    /// Why such a probe does not run the clause `number` of the text, though the description matches it.
    #[must_use]
    pub fn unfit_for(
        &self,
        number: usize,
        spec: &ProbeSpec,
        (args, dependent): Given<'_>,
    ) -> Option<&Unfit> {
        let has = |types: &[Type]| {
            let mut numbered = (0..).zip(types.iter().map(Some).chain([None]));
            numbered.all(|(n, ty)| args(n).as_ref() == ty)
        };
        self.unfit.iter().find(|unfit| {
            unfit.number == number
                && unfit.spec == *spec
                && unfit.dependent == dependent
                && has(&unfit.args)
        })
    }

    fn clauses_of(
        &self,
        number: usize,
        spec: &ProbeSpec,
    ) -> impl Iterator<Item = (usize, &Clause)> {
        let clauses = self.clauses.iter().enumerate();
        clauses.filter(move |(_, clause)| clause.number == number && clause.probes.contains(spec))
    }
}

impl Clause {
    /// Whether it was checked with these types of `args[]`, as far as it names them.
    fn fits(&self, args: &dyn Fn(u8) -> Option<Type>) -> bool {
        let same = |(n, ty): &(u8, Type)| args(*n).as_ref() == Some(ty);
        self.args.iter().all(same)
    }
}

/// A probe description as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The four fields.
    pub desc: ProbeDesc,
    /// Where it stands in the source.
    pub span: Span,
}

/// `provider:module:function:name`; an empty field matches anything, and each may be a glob
/// (`*`, `?`, `[...]`). Shared with `provider`, where the fields of a real probe are all literal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProbeDesc {
    /// The provider with its process id, as in `python1234`.
    pub provider: String,
    /// The module: the file's name.
    pub module: String,
    /// The function that holds the probe.
    pub function: String,
    /// The probe's name, in D's spelling (`function-entry`).
    pub name: String,
}

impl ProbeDesc {
    /// The number, if it is one that stands for a probe: no probe has such a name.
    pub fn id(&self) -> Option<u64> {
        let others = [&self.provider, &self.module, &self.function];
        if others.into_iter().any(|field| !field.is_empty()) {
            return None;
        }
        self.name.parse().ok()
    }
}

impl std::fmt::Display for ProbeDesc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}:{}:{}",
            self.provider, self.module, self.function, self.name
        )
    }
}
