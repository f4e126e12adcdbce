//! The self-test of the probes that are made from a Python's own code.
//!
//! What the analysis says of an interpreter is checked by experiment before it is first relied
//! on: the same interpreter runs a short script under the probes, and what they report must be
//! what the script does, function by function and line by line. The script has what is
//! hard to see from outside: exceptions, generators that are thrown into and closed, recursion, Python
//! called from C, class bodies, comprehensions, and imports. The result is kept with the analysis, so each
//! build is tested once (`-x pycheck=off` skips it, `--check-python` repeats it).
//!
//! The file may belong to others, and it is run: with the rights of the traced process at most, see
//! [`provider::process::confined`].

mod command;
mod experiment;
mod outcome;
mod program;
mod script;

use std::collections::HashSet;
use std::sync::Arc;

use provider::catalog::Catalog;
use provider::probe::{Probe, PythonSites};
use provider::python::cache::Check;

pub(crate) use self::command::command;
use self::experiment::test;
use self::outcome::Outcome;
use self::program::program_for;
use crate::compile::Parsed;
use crate::late::CheckBeforeUse;
use crate::matching::Match;
use crate::message::Messages;

/// Tests interpreters before what is made from their code is used.
#[derive(Debug)]
pub(crate) struct SelfTest {
    pub(crate) messages: Messages,
}

impl CheckBeforeUse for SelfTest {
    /// Tests the interpreters behind these probes that have not been tested yet. Those that fail, with
    /// a message, do not pass, nor those that cannot be tested and have markers of their own.
    fn all_pass(&self, catalog: &mut Catalog, probes: &[Arc<Probe>]) -> bool {
        let mut all = true;
        for sites in untested(catalog, probes) {
            all &= passes(&sites, &self.messages, catalog);
        }
        all
    }
}

/// Has what these descriptions matched checked. Where something does not pass, the descriptions are matched
/// again: by an interpreter's own markers, if it has any.
pub(crate) fn before_use(
    check: &dyn CheckBeforeUse,
    catalog: &mut Catalog,
    parsed: &Parsed,
    matches: &mut [Match],
) {
    let found = matches.iter().flat_map(Match::all).cloned();
    if check.all_pass(catalog, &found.collect::<Vec<_>>()) {
        return;
    }
    for found in matches {
        let desc = found.desc(parsed);
        found.probes = catalog.enable(desc);
        found.expect(catalog, desc);
    }
}

/// One probe for each interpreter that has not been tested.
fn untested(catalog: &Catalog, probes: &[Arc<Probe>]) -> Vec<PythonSites> {
    let mut seen = HashSet::new();
    probes
        .iter()
        .filter_map(|probe| probe.kind.python())
        .filter(|sites| catalog.check(&sites.file).is_none() && seen.insert(sites.file.identity))
        .cloned()
        .collect()
}

fn passes(sites: &PythonSites, messages: &Messages, catalog: &mut Catalog) -> bool {
    let file = sites.file.shown.display();
    let progress = messages.during(&format!("testing the Python in {file}"));
    let outcome = match program_for(sites) {
        Some((like, program)) => test(like, &program, Some(sites)),
        // Nothing to run it with: unless there are markers, the analysis has to do.
        None => return !catalog.give_up_stand_ins(&sites.file),
    };
    drop(progress);
    match outcome {
        Outcome::Passed(_) => catalog.record_check(&sites.file, Check::Passed),
        Outcome::Failed(why) => {
            messages.say(&format!(
                "nothing is made from the code of the Python in {file}, its self-test failed: {why}"
            ));
            catalog.record_check(&sites.file, Check::Failed { why });
            return false;
        }
        Outcome::NotRun(_) => return !catalog.give_up_stand_ins(&sites.file),
    }
    true
}
