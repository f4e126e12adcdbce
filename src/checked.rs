//! A checked program, and what it was checked with.

use std::sync::Arc;

use actions::lower::Enabled;
use anyhow::Result;
use dlang::diag::Diagnostic;
use dlang::program::{Program, Unfit};
use dlang::tags::Tag;

use crate::compile::{Parsed, check_program, program_errors, refusal};
use crate::matching::{Found, KnownArgs};
use crate::options::Options;

/// A checked program and what its messages need.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// As it is written.
    pub(crate) parsed: Arc<Parsed>,
    /// The program.
    pub(crate) program: Arc<Program>,
    /// The types of `args[]` that it was checked with.
    known: KnownArgs,
}

impl Checked {
    /// Checks a program with what is known of its probes.
    pub(crate) fn new(
        parsed: Arc<Parsed>,
        options: &Options,
        known: KnownArgs,
    ) -> Result<Self, Vec<Diagnostic>> {
        let program = Arc::new(check_program(&parsed, options, &known)?);
        Ok(Self {
            parsed,
            program,
            known,
        })
    }

    /// The clauses on these probes; those that are wrong for a probe's arguments are not on it.
    pub(crate) fn on(&self, found: &[Found]) -> Vec<Enabled> {
        let on = |Found { spec, probe }: &Found| {
            let types = |n| probe.arg_type(n);
            let desc = self.parsed.spec(*spec);
            let given = (&types as &dyn Fn(u8) -> _, probe.dependent);
            let clause = self.program.clause_for(spec.0, desc, given)?;
            Some(Enabled {
                clause,
                probe: Arc::clone(probe),
            })
        };
        found.iter().filter_map(on).collect()
    }

    /// The program checked with these probes, too; `None` if their `args[]` have the types of some that it
    /// was checked with.
    pub(crate) fn with(&self, found: &[Found], options: &Options) -> Result<Option<Self>> {
        let is_known = |found| self.has_clause_for(found) || self.unfit_for(found).is_some();
        if found.iter().all(is_known) {
            return Ok(None);
        }
        let parsed = &self.parsed;
        let mut known = self.known.clone();
        for found in found {
            known.add(&parsed.spec(found.spec).desc, [&found.probe]);
        }
        match Self::new(Arc::clone(parsed), options, known) {
            Ok(checked) => Ok(Some(checked)),
            Err(errors) => Err(program_errors(&errors, &parsed.sources, options)),
        }
    }

    /// The error for probes with whose arguments variables or aggregations would be others than those
    /// that there are.
    pub(crate) fn refuse_types(&self, found: &[Found], options: &Options) -> anyhow::Error {
        let parsed = &self.parsed;
        let mut unfit = found.iter().filter(|found| !self.has_clause_for(found));
        let other = unfit.next().or(found.first());
        let (span, desc) = other.map_or_else(Default::default, |found| {
            (parsed.spec(found.spec).span, found.probe.desc.clone())
        });
        let text = format!(
            "args[ ] may not be referenced because {desc} has other argument types than those that \
             the variables and aggregations of the program were made for"
        );
        let sources = &parsed.sources;
        anyhow::Error::msg(refusal(Tag::ArgsMulti, span, &text, sources, options))
    }

    /// Why a probe does not run a clause whose description it matches.
    pub(crate) fn unfit_for(&self, found: &Found) -> Option<&Unfit> {
        let types = |n| found.probe.arg_type(n);
        let desc = self.parsed.spec(found.spec);
        let given = (&types as &dyn Fn(u8) -> _, found.probe.dependent);
        self.program.unfit_for(found.spec.0, desc, given)
    }

    fn has_clause_for(&self, found: &Found) -> bool {
        let types = |n| found.probe.arg_type(n);
        let desc = self.parsed.spec(found.spec);
        let given = (&types as &dyn Fn(u8) -> _, found.probe.dependent);
        let clause = self.program.clause_for(found.spec.0, desc, given);
        clause.is_some()
    }
}
