//! A checked program, and what it was checked with.

use std::sync::Arc;

use actions::lower::Enabled;
use anyhow::Result;
use dlang::diag::Diagnostic;
use dlang::program::{Given, ProbeSpec, Program, Unfit};
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
        let on = |found: &Found| {
            Some(Enabled {
                clause: self.clause_on(found)?,
                probe: Arc::clone(&found.probe),
            })
        };
        found.iter().filter_map(on).collect()
    }

    /// The program checked with these probes, too; `None` if their `args[]` have the types of some that it
    /// was checked with.
    pub(crate) fn with(&self, found: &[Found], options: &Options) -> Result<Option<Self>> {
        if found.iter().all(|found| self.knows(found)) {
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
        let mut unknown = found.iter().filter(|found| !self.knows(found));
        let other = unknown.next().or(found.first());
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
        let program = &self.program;
        self.ask(found, |spec, given| {
            program.unfit_for(found.spec.0, spec, given)
        })
    }

    fn clause_on(&self, found: &Found) -> Option<usize> {
        let program = &self.program;
        self.ask(found, |spec, given| {
            program.clause_for(found.spec.0, spec, given)
        })
    }

    /// Whether the program was checked with such a probe.
    fn knows(&self, found: &Found) -> bool {
        self.clause_on(found).is_some() || self.unfit_for(found).is_some()
    }

    /// Asks the program about a probe: by the description that it matches, and what it gives.
    fn ask<T>(&self, found: &Found, ask: impl FnOnce(&ProbeSpec, Given<'_>) -> T) -> T {
        let types = |n| found.probe.arg_type(n);
        ask(
            self.parsed.spec(found.spec),
            (&types, found.probe.dependent),
        )
    }
}
