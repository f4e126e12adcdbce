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
mod script;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use provider::catalog::Catalog;
use provider::probe::{Probe, PythonSites, Scope};
use provider::process::confined::Like;
use provider::process::files;
use provider::python::cache::Check;

pub(crate) use self::command::command;
use self::experiment::test;
use crate::compile::Parsed;
use crate::late::CheckBeforeUse;
use crate::matching::Match;
use crate::message::Messages;

/// What came of a self-test.
#[derive(Debug)]
enum Outcome {
    /// So many events, all as expected.
    Passed(usize),
    /// They differ.
    Failed(String),
    /// It could not be tried.
    NotRun(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(events) => write!(f, "passed, {events} events as expected"),
            Self::Failed(why) => write!(f, "FAILED, {why}"),
            Self::NotRun(why) => write!(f, "not possible: {why}"),
        }
    }
}

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
    let outcome = match program_for(sites) {
        Some((like, program)) => test(like, &program, Some(sites)),
        // Nothing to run it with: unless there are markers, the analysis has to do.
        None => return !catalog.give_up_stand_ins(&sites.file),
    };
    match outcome {
        Outcome::Passed(_) => catalog.record_check(&sites.file, Check::Passed),
        Outcome::Failed(why) => {
            let file = sites.file.shown.display();
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

/// A program that runs this interpreter, and with whose rights to run it.
fn program_for(sites: &PythonSites) -> Option<(Like, PathBuf)> {
    let of_process = |pid: u32| {
        let program = files::program(pid)?;
        let root = std::fs::read_link(format!("/proc/{pid}/root")).ok()?;
        let program = match program.strip_prefix(&root) {
            Ok(inside) => Path::new("/").join(inside),
            Err(_) => program,
        };
        is_python(&program).then_some((Like::Process(pid), program))
    };
    let runs_it = |pid: &u32| {
        let files = files::executable_files(*pid);
        files
            .iter()
            .any(|file| file.identity == sites.file.identity)
    };
    let root = match sites.scope {
        Scope::Process(pid) => return of_process(pid),
        Scope::Tree(root) => Some(root),
        Scope::System => None,
    };
    let mut running = root
        .into_iter()
        .chain(files::all_processes())
        .filter(runs_it);
    if let Some(found) = running.find_map(of_process) {
        return Some(found);
    }
    let file = &sites.file.path;
    if is_python(file) {
        return Some((Like::Us, file.clone()));
    }
    // lib/libpython3.12.so.1.0 belongs to bin/python3.12.
    let version = sites.build.version;
    let beside = format!("../bin/python{}.{}", version.major, version.minor);
    let program = file.parent()?.join(beside);
    program.exists().then_some((Like::Us, program))
}

fn is_python(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("python")
}
