//! What comes while tracing goes on: programs that start, anywhere on the machine or in the tree of a
//! followed target, and the probes that they bring.
//!
//! A command that is followed becomes one program after the other; it is stopped at the start of
//! each until its probes are in place. All others run on meanwhile.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use actions::lower::Enabled;
use anyhow::{Result, bail};
use dlang::program::{ProbeDesc, Program};
use predicates::storage::own_globals;
use provider::catalog::{Catalog, Started};
use provider::doctor::{Diagnosis, diagnose};
use provider::interpreter::runs_python;
use provider::probe::{File, ProbeId};
use provider::process::ExecWatch;
use provider::process::files::executable_files;
use provider::python::Refusal;
use provider::usdt::cpython::PROVIDER;

use crate::check_python;
use crate::compile::{explained, no_match, with_reason};
use crate::follow::Followed;
use crate::run::{Live, Run, attachable, rejected};
use crate::target::{Match, Spec, goes_on, may_come};

/// What is expected of programs that start.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    /// The descriptions that no process that has been looked at had a probe for.
    awaited: Vec<Spec>,
    /// The descriptions for which probes in programs that may be started were attached beforehand.
    expected: HashSet<Spec>,
    /// The interpreters that have been told to lack what a description means.
    told: HashSet<(Spec, PathBuf)>,
}

impl Outlook {
    /// When tracing begins.
    pub(crate) fn of(matches: &[Match]) -> Self {
        let awaited = matches.iter().filter(|found| found.awaited);
        let expected = matches.iter().filter(|found| !found.expected.is_empty());
        Self {
            awaited: awaited.map(Match::spec).collect(),
            expected: expected.map(Match::spec).collect(),
            told: HashSet::new(),
        }
    }

    /// The descriptions that nothing has matched so far.
    pub(crate) fn awaited(&self) -> &[Spec] {
        &self.awaited
    }
}

impl Run<'_> {
    /// Watches for new programs, if a description means those too.
    pub(crate) fn watch_execs(&self, program: &Program) -> Result<Option<ExecWatch>> {
        let grows = program
            .clauses
            .iter()
            .flat_map(|clause| &clause.probes)
            .any(|spec| self.catalog.may_grow(&spec.desc));
        Ok(if grows {
            Some(ExecWatch::start()?)
        } else {
            None
        })
    }

    /// Lets the command go: for good, or as far as its next program, if that may have the probes
    /// that are missing in this one.
    pub(crate) fn let_go(&mut self, program: &Program, missing: &[Spec]) -> Result<()> {
        let missing: Vec<_> = missing
            .iter()
            .map(|&(clause, spec)| &program.clauses[clause].probes[spec].desc)
            .collect();
        if goes_on(&missing, &mut self.catalog, &self.target) {
            self.target.run_on()
        } else {
            self.target.resume()
        }
    }

    /// Enables what the command's next program brings, before anything of it runs, and lets it go.
    pub(crate) fn enable_image(&mut self, live: &mut Live, pid: u32) -> Result<()> {
        let image = [Started::now(pid, Some(pid))];
        let found = self.enable_started(live, &image).unwrap_or_else(|error| {
            self.messages.say(&error.to_string());
            HashSet::new()
        });
        let program = Arc::clone(&live.program);
        let missing: Vec<Spec> = specs(&program)
            .filter(|(spec, desc)| !found.contains(spec) && !self.catalog.trees(desc).is_empty())
            .map(|(spec, _)| spec)
            .collect();
        if !self.options.zdefs {
            for spec in missing
                .iter()
                .filter(|spec| live.outlook.awaited.contains(spec))
            {
                self.refuse_hopeless(&program, *spec)?;
            }
        }
        self.let_go(&program, &missing)
    }

    /// Enables what programs bring that run on meanwhile, and tells which of them got ahead.
    pub(crate) fn enable_late(&mut self, live: &mut Live, started: &[Started]) {
        let known = self.catalog.newest();
        if let Err(error) = self.enable_started(live, started) {
            // One program that cannot be traced is no reason to stop tracing the others.
            self.messages.say(&error.to_string());
            return;
        }
        let new = (known.0 + 1..=self.catalog.newest().0).map(ProbeId);
        let new: HashSet<_> = new
            .filter_map(|id| self.catalog.probe(id)?.kind.file())
            .map(|(file, _)| file.identity)
            .collect();
        let is_new = |file: &&Arc<File>| new.contains(&file.identity);
        if new.is_empty() {
            return;
        }
        for process in started {
            let Some(file) = process.files.iter().find(is_new) else {
                continue;
            };
            let now = executable_files(process.pid);
            let fate = if now.is_empty() {
                "had ended before its probes were attached: its events"
            } else if now.iter().any(|file| is_new(&file)) {
                "was a moment ahead of its probes: its first events"
            } else {
                continue; // it has not come to it yet
            };
            let (pid, file) = (process.pid, file.shown.display());
            self.messages
                .say(&format!("process {pid} {fate} in {file} are not seen"));
        }
    }

    /// Tells which followed processes run a Python that lacks what a description means: nobody
    /// would know from the output. Once for each interpreter.
    pub(crate) fn tell_lacking(&mut self, live: &mut Live, started: &[Started]) {
        let followed = started.iter().filter(|process| process.root.is_some());
        let pythons = followed.filter(|process| runs_python(process.pid));
        for process in pythons.filter(|_| !self.options.zdefs) {
            for (why, key) in self.lacking(&live.program, process) {
                if live.outlook.told.insert(key) {
                    self.messages.say(&why.to_string());
                }
            }
        }
    }

    /// The descriptions that mean the Python that a followed process runs, and that it has no probe for.
    fn lacking(&self, program: &Program, process: &Started) -> Vec<(Diagnosis, (Spec, PathBuf))> {
        // What is looked at here must not count as found before it is enabled.
        let mut catalog = self.catalog.clone();
        let provider = |pid| format!("{PROVIDER}{pid}");
        // Of one that is a starter, the library is yet to come.
        let file = match catalog.interpreter(process.pid) {
            Some((_, Err(Refusal::InLibrary { .. }))) | None => return Vec::new(),
            Some((file, _)) => file,
        };
        let mut lacking = Vec::new();
        for (spec, desc) in specs(program) {
            let meant = process
                .root
                .is_some_and(|root| desc.provider == provider(root));
            if meant
                && catalog
                    .enable_started(desc, std::slice::from_ref(process))
                    .is_empty()
            {
                let desc = ProbeDesc {
                    provider: provider(process.pid),
                    ..desc.clone()
                };
                lacking.push((diagnose(&mut catalog, &desc), (spec, file.clone())));
            }
        }
        lacking
    }

    /// Ends the run, as if it had not begun, for a description that no probe of the command's program
    /// matches though it is what was meant, and that nothing has matched before.
    fn refuse_hopeless(&mut self, program: &Program, spec: Spec) -> Result<()> {
        let probe = &program.clauses[spec.0].probes[spec.1];
        if may_come(&probe.desc, &mut self.catalog, &self.target) {
            return Ok(());
        }
        let error = no_match(&self.compiled, probe, self.options);
        bail!(explained(&error, &mut self.catalog, &probe.desc))
    }

    /// Enables the probes that new processes bring; gives the descriptions that they match.
    pub(crate) fn enable_started(
        &mut self,
        live: &mut Live,
        started: &[Started],
    ) -> Result<HashSet<Spec>> {
        if started.is_empty() {
            return Ok(HashSet::new());
        }
        let known = self.catalog.newest();
        let look = |catalog: &mut Catalog| {
            let mut matched = HashSet::new();
            let mut enabled = Vec::new();
            for (spec, desc) in specs(&live.program) {
                let found = catalog.enable_started(desc, started);
                if !found.is_empty() {
                    matched.insert(spec);
                }
                let new = found.into_iter().filter(|probe| probe.id > known);
                enabled.extend(new.map(|probe| Enabled {
                    clause: spec.0,
                    probe,
                }));
            }
            (matched, enabled)
        };
        let (mut matched, mut enabled) = look(&mut self.catalog);
        let unsound = check_python::unsound(
            self.options,
            self.messages,
            &mut self.catalog,
            enabled.iter().map(|enabled| &enabled.probe),
        );
        if !unsound.is_empty() {
            (matched, enabled) = look(&mut self.catalog);
        }
        live.outlook.awaited.retain(|spec| !matched.contains(spec));
        if enabled.is_empty() {
            return Ok(matched);
        }
        let object = self.lower(&mut live.compiler, &enabled)?;
        live.session.create_maps(&object.maps)?;
        let mut first = None;
        for (program, listing) in object.programs.iter().zip(&object.listings) {
            let id = live
                .session
                .load(program)
                .map_err(|error| rejected(error, listing))?;
            first.get_or_insert(id.0);
        }
        live.pipeline.consumer().add_ecbs(object.ecbs);
        let probes: Vec<_> = enabled.into_iter().map(|enabled| enabled.probe).collect();
        live.session.attach_wakes(&probes)?;
        live.session
            .attach_all(&attachable(&object.attachments, first.unwrap_or(0)))?;
        Ok(matched)
    }

    /// Tells which descriptions were awaited in vain.
    pub(crate) fn report_unmatched(&self, unmatched: &[Spec]) {
        for &(clause, spec) in unmatched {
            let spec = &self.compiled.program.clauses[clause].probes[spec];
            let error = no_match(&self.compiled, spec, self.options);
            let why = "none of the programs that the target and its children ran had such a probe";
            self.messages.say(&with_reason(&error, why));
        }
    }
}

impl Live {
    /// The processes that have become another program, as far as that may bring new probes.
    pub(crate) fn started(&mut self) -> Vec<Started> {
        let pids = self.watch.as_mut().map(ExecWatch::take).unwrap_or_default();
        let root = |pid| self.followed.as_ref().and_then(|all| all.root_of(pid));
        pids.into_iter()
            .map(|pid| Started::now(pid, root(pid)))
            .collect()
    }

    /// The descriptions that surely matched nothing. A process may have come and gone unseen: then
    /// it has hit probes that were there before it.
    pub(crate) fn unmatched(&self) -> Vec<Spec> {
        let hit = || {
            let map = self.session.map(self.compiler.globals()).ok()?;
            let mut value = vec![0; map.value_len()];
            map.lookup(&0u32.to_ne_bytes(), &mut value).ok()?;
            value.get(own_globals::FOLLOWED_HIT as usize).copied()
        };
        let mut unmatched = self.outlook.awaited.clone();
        if !unmatched.is_empty() && hit() != Some(0) {
            unmatched.retain(|spec| !self.outlook.expected.contains(spec));
        }
        unmatched
    }

    /// Whether no followed process runs any more.
    pub(crate) fn are_over(&mut self) -> Result<bool> {
        self.followed.as_mut().map_or(Ok(true), Followed::are_over)
    }
}

/// All descriptions of a program.
fn specs(program: &Program) -> impl Iterator<Item = (Spec, &ProbeDesc)> {
    let clauses = program.clauses.iter().enumerate();
    clauses.flat_map(|(clause, of)| {
        let specs = of.probes.iter().enumerate();
        specs.map(move |(spec, probe)| ((clause, spec), &probe.desc))
    })
}
