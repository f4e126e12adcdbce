//! Clauses: checked once for each different set of types that `args[n]` has on their probes.
//!
//! libdtrace compiles a clause once for each of its descriptions, with the argument types of the first
//! probe that the description matches. Here a clause that names no `args[n]` is checked once. One that
//! does becomes as many clauses of the checked program as there are different types of the arguments
//! that it names; their order among the other clauses is that of the text, and a probe runs one of them.
//! A clause that is wrong for every probe of a description is an error, that of the first one. If it is
//! right for some, the others do not run it, and the program says why ([`Unfit`]); in libdtrace, which looks at one
//! probe only, they run it with that one's types.

use super::checker::{Checked, Checker, ClauseProbes, Reported};
use super::probe_args::Matched;
use super::syntax::dynamic_words;
use super::variable::ARGUMENTS;
use crate::ast;
use crate::diag::{Diagnostic, Region};
use crate::program::{Clause, Dependent, Expr, Unfit};
use crate::tags::Tag;
use crate::types::Type;

impl ClauseProbes {
    /// The type of `args[n]`; `None` if there is no such argument.
    pub(super) fn ty(&self, n: u8) -> Option<Type> {
        match &self.kind {
            None => (n < ARGUMENTS).then_some(Type::I64),
            Some(kind) => kind.types.all().into_iter().nth(usize::from(n)),
        }
    }

    fn dependent(&self) -> Option<Dependent> {
        self.kind.as_ref()?.dependent
    }

    /// That these probes do not run the clause `number` of the text, for this reason.
    fn unfit(&self, number: usize, error: Diagnostic) -> Unfit {
        Unfit {
            number,
            spec: self.spec.clone(),
            args: self
                .kind
                .as_ref()
                .map_or_else(Vec::new, |kind| kind.types.all()),
            dependent: self.dependent(),
            error,
        }
    }

    fn agree(&self, made: &Clause) -> bool {
        let same = |(n, ty): &(u8, Type)| self.ty(*n).as_ref() == Some(ty);
        self.dependent() == made.dependent && made.args.iter().all(same)
    }
}

impl<'a> Checker<'a> {
    /// The clause that is the `number`th of the text.
    pub(super) fn clause(&mut self, number: usize, clause: &'a ast::Clause) {
        let (first, errors) = (self.program.clauses.len(), self.errors.len());
        let Ok(kinds) = self.kinds(clause) else {
            self.is_over = true;
            return;
        };
        let by_spec = kinds.chunk_by(|one, other| one.spec.span == other.spec.span);
        for (index, kinds) in by_spec.enumerate() {
            if !self.clause_on(number, clause, first, kinds) {
                if index > 0 {
                    self.label_last_errors(errors, kinds);
                }
                return;
            }
        }
    }

    /// The clause on the probes of one description; whether it is right for any of them. Those clauses
    /// from `first` on are for other descriptions and kinds.
    fn clause_on(
        &mut self,
        number: usize,
        clause: &'a ast::Clause,
        first: usize,
        kinds: &[ClauseProbes],
    ) -> bool {
        let (errors, spoiled) = (self.errors.len(), self.spoiled.clone());
        let mut wrong = Vec::new();
        let mut fits = false;
        for probes in kinds {
            let mut made = self.program.clauses[first..].iter_mut();
            if let Some(made) = made.find(|made| probes.agree(made)) {
                if !made.probes.contains(&probes.spec) {
                    made.probes.push(probes.spec.clone());
                }
                fits = true;
                continue;
            }
            let checked = self.clause_for(number, clause, probes.clone());
            if self.errors.len() == errors {
                self.program.clauses.push(checked);
                fits = true;
            } else {
                wrong.push((probes, self.errors.split_off(errors)));
                self.spoiled.clone_from(&spoiled);
            }
        }
        if fits {
            let unfit = wrong.into_iter().filter_map(|(probes, mut errors)| {
                let error = errors.drain(..).next()?;
                Some(probes.unfit(number, error))
            });
            self.program.unfit.extend(unfit);
        } else if let Some((_, of_first)) = wrong.into_iter().next() {
            self.errors.extend(of_first);
        }
        fits
    }

    /// Says of the errors from the `from`th on which probe they are about.
    fn label_last_errors(&mut self, from: usize, kinds: &[ClauseProbes]) {
        let Some(spec) = kinds.first().map(|probes| &probes.spec) else {
            return;
        };
        for error in &mut self.errors[from..] {
            let text = "with the arguments of this probe";
            error.labels.push((spec.span, text.to_owned()));
        }
    }

    /// The kinds of probes that a clause is for; an error if a description matches nothing.
    fn kinds(&mut self, clause: &ast::Clause) -> Checked<Vec<ClauseProbes>> {
        let mut kinds = Vec::new();
        for spec in &clause.probes {
            let mut add = |kind| {
                kinds.push(ClauseProbes {
                    spec: spec.clone(),
                    kind,
                    named: Vec::new(),
                    beneath: false,
                });
            };
            match self.probes.matched(&spec.desc) {
                Matched::Nothing => {
                    let desc = &spec.desc;
                    let message = format!("probe description {desc} does not match any probes");
                    return self.plain_error(Tag::PdescZero, spec.span, &message);
                }
                Matched::NothingYet => add(None),
                Matched::Kinds(kinds) if kinds.is_empty() => add(None),
                Matched::Kinds(kinds) => kinds.into_iter().map(Some).for_each(add),
            }
        }
        Ok(kinds)
    }

    fn clause_for(
        &mut self,
        number: usize,
        clause: &'a ast::Clause,
        probes: ClauseProbes,
    ) -> Clause {
        let (spec, dependent) = (probes.spec.clone(), probes.dependent());
        self.clause_probes = Some(probes);
        self.done = super::checker::Done::default();
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
        let named = self.clause_probes.take().map(|probes| probes.named);
        Clause {
            number,
            probes: vec![spec],
            args: named.unwrap_or_default(),
            dependent,
            predicate: predicate.and_then(Result::ok),
            body,
            span: clause.span,
        }
    }

    fn clause_predicate(&mut self, clause: &'a ast::Clause) -> Option<Checked<Expr>> {
        self.region = Region::Predicate;
        let predicate = clause.predicate.as_ref();
        let predicate = predicate.map(|predicate| self.predicate(predicate));
        self.with_condition(predicate, clause.span)
    }

    fn predicate(&mut self, predicate: &'a ast::Expr) -> Checked<Expr> {
        if dynamic_words(predicate).is_some() {
            self.known_dynamic(predicate)?;
            let message = "predicate result must be of scalar type";
            return self.error(Tag::PredScalar, predicate.span, message);
        }
        let checked = self.place(predicate)?;
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
}
