//! What comes while tracing goes on: programs that start, anywhere on the machine or in the tree of a
//! followed target, and the probes that they bring.
//!
//! A command that is followed becomes one program after the other; it is stopped at the start of
//! each until its probes are in place. All others run on meanwhile.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use actions::lower::Enabled;
use anyhow::{Result, bail};
use dlang::program::{ProbeDesc, Program};
use predicates::storage::own_globals;
use provider::catalog::{Catalog, Started};
use provider::doctor::{Diagnosis, diagnose};
use provider::interpreter::runs_python;
use provider::probe::{File, ProbeId};
use provider::process::ExecWatch;
use provider::process::files::{executable_files, gone_for_good};
use provider::python::Refusal;
use provider::session::LinkId;
use provider::usdt::cpython::PROVIDER;

use crate::check_python;
use crate::compile::{explained, no_match, with_reason};
use crate::follow::Followed;
use crate::run::{Live, Run, attachable, load_programs};
use crate::target::{Match, Spec, awaits_next_program, may_come};

/// What is expected of programs that start.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    /// The descriptions that no process that has been looked at had a probe for.
    awaited: Vec<Spec>,
    /// The descriptions for which probes in programs that may be started were attached beforehand.
    expected: HashSet<Spec>,
    /// The interpreters that have been told to lack what a description means.
    told: HashSet<(Spec, PathBuf)>,
    /// What has been attached since tracing began.
    attached: Vec<(LinkId, Arc<File>)>,
    /// When it is looked for files among these that are gone; not before.
    look: Option<Instant>,
    /// The files that could not be enabled.
    refused_files: HashSet<(u64, u64)>,
}

/// How many files that cannot be enabled are told of one by one.
const TOLD: usize = 20;

impl Expectations {
    /// When tracing begins.
    pub(crate) fn of(matches: &[Match]) -> Self {
        let awaited = matches.iter().filter(|found| found.awaited);
        let expected = matches.iter().filter(|found| !found.expected.is_empty());
        Self {
            awaited: awaited.map(Match::spec).collect(),
            expected: expected.map(Match::spec).collect(),
            ..Self::default()
        }
    }

    /// How many files could not be enabled.
    pub(crate) fn refused(&self) -> usize {
        self.refused_files.len()
    }

    /// The descriptions that nothing has matched so far.
    pub(crate) fn awaited(&self) -> &[Spec] {
        &self.awaited
    }
}

impl Run<'_> {
    /// Whether programs that start while tracing goes on may bring more probes.
    pub(crate) fn grows(&self) -> bool {
        let mut specs = specs(&self.compiled.program);
        specs.any(|(_, desc)| self.catalog.may_grow(desc))
    }

    /// Watches for new programs, if a description means those too.
    pub(crate) fn watch_execs(&self) -> Result<Option<ExecWatch>> {
        let watch = self.grows().then(ExecWatch::start);
        Ok(watch.transpose()?)
    }

    /// Lets the command go: for good, or as far as its next program, if that may have the probes
    /// that are missing in this one.
    pub(crate) fn let_go(&mut self, program: &Program, missing: &[Spec]) -> Result<()> {
        let missing: Vec<_> = missing
            .iter()
            .map(|&(clause, spec)| &program.clauses[clause].probes[spec].desc)
            .collect();
        if awaits_next_program(&missing, &mut self.catalog, &self.target) {
            self.target.run_on()
        } else {
            self.target.resume()
        }
    }

    /// Enables what the command's next program brings, before anything of it runs, and lets it go.
    pub(crate) fn enable_image(&mut self, live: &mut Live, pid: u32) -> Result<()> {
        let image = [Started::now(pid, Some(pid))];
        let found = self.enable_started(live, &image);
        let program = Arc::clone(&live.program);
        let missing: Vec<Spec> = specs(&program)
            .filter(|(spec, desc)| !found.contains(spec) && !self.catalog.trees(desc).is_empty())
            .map(|(spec, _)| spec)
            .collect();
        if !self.options.zdefs {
            for spec in missing
                .iter()
                .filter(|spec| live.expectations.awaited.contains(spec))
            {
                self.refuse_unmatchable(&program, *spec)?;
            }
        }
        self.let_go(&program, &missing)
    }

    /// Enables what programs bring that run on meanwhile, and tells which of them got ahead.
    pub(crate) fn enable_late(&mut self, live: &mut Live, started: &[Started]) {
        let known = self.catalog.newest();
        self.enable_started(live, started);
        let new = (known.0 + 1..=self.catalog.newest().0).map(ProbeId);
        let new: HashSet<_> = new
            .filter_map(|id| self.catalog.probe(id)?.kind.file())
            .map(|(file, _)| file.identity)
            .collect();
        let refused = &live.expectations.refused_files;
        let is_new =
            |file: &&Arc<File>| new.contains(&file.identity) && !refused.contains(&file.identity);
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
                if live.expectations.told.insert(key) {
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
    fn refuse_unmatchable(&mut self, program: &Program, spec: Spec) -> Result<()> {
        let probe = &program.clauses[spec.0].probes[spec.1];
        if may_come(&probe.desc, &mut self.catalog, &self.target) {
            return Ok(());
        }
        let error = no_match(&self.compiled, probe, self.options);
        bail!(explained(&error, &mut self.catalog, &probe.desc))
    }

    /// Enables the probes that new processes bring; gives the descriptions that they match. What cannot
    /// be enabled is told, and is no reason not to enable the rest.
    fn enable_started(&mut self, live: &mut Live, started: &[Started]) -> HashSet<Spec> {
        if started.is_empty() {
            return HashSet::new();
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
        live.expectations
            .awaited
            .retain(|spec| !matched.contains(spec));
        for (file, of_file) in by_file(enabled) {
            match self.join(live, &of_file) {
                Ok(links) => {
                    let links = links.into_iter().map(|link| (link, Arc::clone(&file)));
                    live.expectations.attached.extend(links);
                }
                Err(error) => self.tell_refused(live, &file, &error),
            }
        }
        matched
    }

    /// Adds the clauses on new probes to what runs: all of them, or none and everything is as before.
    fn join(&self, live: &mut Live, enabled: &[Enabled]) -> Result<Vec<LinkId>> {
        let before = live.compiler.clone();
        let joined = self.try_to_join(live, enabled);
        if joined.is_err() {
            live.compiler.go_back(before);
        }
        joined
    }

    fn try_to_join(&self, live: &mut Live, enabled: &[Enabled]) -> Result<Vec<LinkId>> {
        let object = self.lower(&mut live.compiler, enabled)?;
        let mut addition = live.session.add();
        addition.create_maps(&object.maps)?;
        let first = load_programs(&mut addition, &object)?;
        // The consumer must know the records before the first one comes.
        live.pipeline.consumer().add_ecbs(object.ecbs);
        let probes: Vec<_> = enabled.iter().map(|one| Arc::clone(&one.probe)).collect();
        addition.raise_semaphores(&probes)?;
        addition.attach_all(&attachable(&object.attachments, first))?;
        Ok(addition.join())
    }

    /// Tells why a file's probes are not enabled; of too many files only how many, in the end.
    fn tell_refused(&self, live: &mut Live, file: &File, error: &anyhow::Error) {
        live.expectations.refused_files.insert(file.identity);
        if live.expectations.refused() <= TOLD {
            let file = file.shown.display();
            self.messages
                .say(&format!("the probes in {file} are not enabled: {error:#}"));
        }
    }

    /// Tells of how many files the probes are not enabled, if that has not been told of each.
    pub(crate) fn report_refused(&self, refused: usize) {
        if refused > TOLD {
            self.messages.say(&format!(
                "the probes in {refused} files were not enabled, of which the first {TOLD} are told \
                 above"
            ));
        }
    }

    /// Detaches from files that have been deleted and that nobody runs any more. Looking for them takes
    /// a hundredth of the time at most.
    pub(crate) fn release_gone(&mut self, live: &mut Live) {
        let expectations = &mut live.expectations;
        let now = Instant::now();
        if expectations.attached.is_empty() || expectations.look.is_some_and(|look| now < look) {
            return;
        }
        let files: Vec<_> = expectations
            .attached
            .iter()
            .map(|(_, file)| Arc::clone(file))
            .collect();
        let gone = gone_for_good(&files);
        expectations.look = Some(Instant::now() + 100 * now.elapsed());
        expectations.attached.retain(|(link, file)| {
            let is_gone = gone.iter().any(|gone| gone.identity == file.identity)
                && !self.catalog.stands_for_others(file);
            if is_gone {
                live.session.detach_file(*link, file);
                self.catalog.forget(file);
            }
            !is_gone
        });
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
        let mut unmatched = self.expectations.awaited.clone();
        if !unmatched.is_empty() && hit() != Some(0) {
            unmatched.retain(|spec| !self.expectations.expected.contains(spec));
        }
        unmatched
    }

    /// Whether no followed process runs any more.
    pub(crate) fn are_over(&mut self) -> Result<bool> {
        self.followed.as_mut().map_or(Ok(true), Followed::are_over)
    }
}

/// The clauses on the probes of each file, in one scope: what one program is made of.
fn by_file(enabled: Vec<Enabled>) -> Vec<(Arc<File>, Vec<Enabled>)> {
    let mut files: Vec<(Arc<File>, Vec<Enabled>)> = Vec::new();
    let mut places = HashMap::new();
    for one in enabled {
        let Some((file, scope)) = one.probe.kind.file() else {
            continue; // a process brings no others
        };
        let place = *places.entry((file.identity, scope)).or_insert_with(|| {
            files.push((Arc::clone(file), Vec::new()));
            files.len() - 1
        });
        files[place].1.push(one);
    }
    files
}

/// All descriptions of a program.
fn specs(program: &Program) -> impl Iterator<Item = (Spec, &ProbeDesc)> {
    let clauses = program.clauses.iter().enumerate();
    clauses.flat_map(|(clause, of)| {
        let specs = of.probes.iter().enumerate();
        specs.map(move |(spec, probe)| ((clause, spec), &probe.desc))
    })
}
