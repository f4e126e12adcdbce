//! What comes while tracing goes on: programs that start and libraries that are loaded, by the target, in
//! its tree if it is followed, or anywhere on the machine, and the probes that they bring.
//!
//! A command that is followed becomes one program after the other; it is stopped at the start of
//! each until its probes are in place. One that is not followed is held by a signal while what may be an
//! interpreter is looked at that it has just mapped. All others run on meanwhile: whose probes came too late,
//! is told.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actions::lower::Enabled;
use anyhow::{Result, bail};
use dlang::program::{ProbeDesc, Program};
use dlang::tags::Tag;
use predicates::storage::own_globals;
use provider::catalog::Started;
use provider::doctor::{Diagnosis, diagnose};
use provider::features::KernelFeatures;
use provider::interpreter::{is_of_python, is_python_name};
use provider::probe::{File, ProbeId};
use provider::process::files::{executable_files, gone_for_good, may_look_into_all, runs};
use provider::process::{MappingWatch, Whose};
use provider::python::Refusal;
use provider::session::LinkId;
use provider::text::escaped;
use provider::usdt::cpython::PROVIDER;

use crate::check_python;
use crate::compile::{
    Compiled, Spec, check_program, explained, no_match, program_errors, refusal, with_reason,
};
use crate::follow::Followed;
use crate::matching::{Found, KnownArgs, Match, awaits_next_program, enabled, may_come};
use crate::run::{Live, Run, attachable, load_programs};
use crate::target::monotonic;

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
    /// The files whose probes were in place when tracing began.
    from_start: HashSet<(u64, u64)>,
    /// When the probes of files that came late were in place, by `CLOCK_MONOTONIC`.
    in_place: HashMap<(u64, u64), Duration>,
    /// When a command was stopped and let go the last time, by process and `CLOCK_MONOTONIC`.
    held: HashMap<u32, (Duration, Duration)>,
    /// The processes and files of which has been told that the probes came late, or nobody knows.
    told_late: HashSet<(u32, (u64, u64))>,
    /// Whether it has been told that there is no right to look into others' processes.
    told_hidden: bool,
    /// Whether it has been told how nothing would be missed.
    advised: bool,
    /// How many programs had ended, and their files were gone, before anybody could look at them.
    unseen: usize,
    /// The processes of which this is so as well, but whose files have no names as Pythons have.
    undecided: HashSet<u32>,
    /// When it is looked for files among these that are gone; not before.
    look: Option<Instant>,
    /// The files that could not be enabled.
    refused_files: HashSet<(u64, u64)>,
}

/// How much of a run could not be traced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Untraced {
    /// Files that could not be enabled.
    refused: usize,
    /// Pythons, by their names, that were gone before anybody could look at them.
    unseen: usize,
    /// Processes whose other files were gone.
    undecided: usize,
}

/// How many files that cannot be enabled are told of one by one, and programs that nobody could look at.
const TOLD: usize = 20;

/// No interpreter comes to its first function so soon after it has been mapped.
const NOTHING_YET: Duration = Duration::from_millis(2);

impl Expectations {
    /// When tracing begins.
    pub(crate) fn of(matches: &[Match]) -> Self {
        let awaited = matches.iter().filter(|found| found.awaited);
        let expected = matches.iter().filter(|found| !found.expected.is_empty());
        let files = matches.iter().flat_map(Match::all);
        let files = files.filter_map(|probe| Some(probe.kind.file()?.0.identity));
        Self {
            from_start: files.collect(),
            awaited: awaited.map(|found| found.spec).collect(),
            expected: expected.map(|found| found.spec).collect(),
            ..Self::default()
        }
    }

    /// How many files could not be enabled.
    fn refused(&self) -> usize {
        self.refused_files.len()
    }

    /// What is told in the end.
    pub(crate) fn untraced(&self) -> Untraced {
        Untraced {
            refused: self.refused(),
            unseen: self.unseen,
            undecided: self.undecided.len(),
        }
    }

    /// The descriptions that nothing has matched so far.
    pub(crate) fn awaited(&self) -> &[Spec] {
        &self.awaited
    }
}

impl Run<'_> {
    /// The processes that may bring more probes while tracing goes on; `None` if any may.
    fn may_bring(&self) -> Option<Vec<u32>> {
        let mut pids = Vec::new();
        for desc in self.compiled.parsed.descs() {
            pids.extend(self.catalog.may_bring(desc)?);
        }
        let targets = self.target.pids();
        pids.retain(|pid| targets.contains(pid));
        Some(pids)
    }

    /// Whether more probes may come while tracing goes on.
    pub(crate) fn grows(&self) -> bool {
        self.may_bring().is_none_or(|pids| !pids.is_empty())
    }

    /// Watches what is mapped to execute, if that may bring more probes.
    pub(crate) fn watch_mappings(&self) -> Result<Option<MappingWatch>> {
        if !self.grows() {
            return Ok(None);
        }
        let whose = Whose {
            only: self.may_bring(),
            roots: self.target.pids(),
        };
        Ok(Some(MappingWatch::start(&KernelFeatures::detect(), whose)?))
    }

    /// Lets the command go: for good, or as far as its next program, if that may have the probes
    /// that are missing in this one.
    pub(crate) fn let_go(&mut self, missing: &[Spec]) -> Result<()> {
        let parsed = &self.compiled.parsed;
        let missing: Vec<_> = missing
            .iter()
            .map(|&spec| &parsed.spec(spec).desc)
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
        let specs = self.compiled.parsed.specs();
        let missing: Vec<Spec> = specs
            .filter(|(spec, probe)| {
                !found.contains(spec) && !self.catalog.trees(&probe.desc).is_empty()
            })
            .map(|(spec, _)| spec)
            .collect();
        if !self.options.zdefs {
            for spec in missing
                .iter()
                .filter(|spec| live.expectations.awaited.contains(spec))
            {
                self.refuse_unmatchable(*spec)?;
            }
        }
        let held = (Duration::ZERO, monotonic());
        live.expectations.held.insert(pid, held);
        self.let_go(&missing)
    }

    /// Enables what programs bring that run on meanwhile, and tells which of them got ahead.
    pub(crate) fn enable_late(&mut self, live: &mut Live, started: &[Started]) -> Result<()> {
        let held = self.hold(&live.expectations, started);
        let known = self.catalog.newest();
        self.enable_started(live, started);
        self.note_new(&mut live.expectations, known, monotonic());
        for (pid, since) in held {
            live.expectations.held.insert(pid, (since, monotonic()));
            self.target.go_on(pid)?;
        }
        let fate = "was a moment ahead of its probes: its first events";
        self.tell_late(&mut live.expectations, started, fate);
        self.tell_unseen(&mut live.expectations, started);
        Ok(())
    }

    /// Tells what programs brought just before the run ended, at `until` by `CLOCK_MONOTONIC`: nothing is
    /// attached any more.
    pub(crate) fn tell_last(&mut self, live: &mut Live, until: Duration) {
        if let Some(watch) = &mut live.watch {
            watch.stop();
        }
        let started = live.started();
        let known = self.catalog.newest();
        let (matched, _) = self.match_started(known, &started);
        let expectations = &mut live.expectations;
        expectations.awaited.retain(|spec| !matched.contains(spec));
        self.note_new(expectations, known, until);
        let fate = "had only just started when tracing ended: its events";
        self.tell_late(expectations, &started, fate);
        self.tell_unseen(expectations, &started);
        self.tell_lacking(live, &started);
    }

    /// Stops the command if it has just mapped what may be an interpreter and has no probes yet; gives
    /// since when.
    fn hold(&mut self, expectations: &Expectations, started: &[Started]) -> Vec<(u32, Duration)> {
        let has_probes = |file: &File| {
            let file = self.catalog.stand_in(file);
            expectations.from_start.contains(&file) || expectations.in_place.contains_key(&file)
        };
        let mut held = Vec::new();
        for process in started {
            let mut files = process.mapped.files.iter();
            if files.any(|(file, _)| is_of_python(file) && !has_probes(file))
                && let Some(since) = self.target.hold(process.pid)
            {
                held.push((process.pid, since));
            }
        }
        held
    }

    /// Notes since when the probes are in place that came after `known`.
    fn note_new(&self, expectations: &mut Expectations, known: ProbeId, since: Duration) {
        let new = (known.0 + 1..=self.catalog.newest().0).map(ProbeId);
        let files = new.filter_map(|id| self.catalog.probe(id)?.kind.file());
        let Expectations {
            in_place,
            refused_files,
            ..
        } = expectations;
        let enabled = files.filter(|(file, _)| !refused_files.contains(&file.identity));
        in_place.extend(enabled.map(|(file, _)| (file.identity, since)));
    }

    /// Tells which processes were ahead of their probes; `running` says it of those that have not ended.
    fn tell_late(&self, expectations: &mut Expectations, started: &[Started], running: &str) {
        for process in started {
            let pid = process.pid;
            let Some(file) = self.missed(expectations, process) else {
                continue;
            };
            if !expectations.told_late.insert((pid, file.identity)) {
                continue;
            }
            let fate = if runs(pid) {
                running
            } else {
                "had ended before its probes were attached: its events"
            };
            // Those in `PATH` are looked for when tracing begins, where a description may mean them.
            let advice = if is_of_python(&file) && !expectations.advised && process.root.is_some() {
                expectations.advised = true;
                "; of a Python whose directory is in PATH, nothing is missed"
            } else {
                ""
            };
            let file = file.shown.display();
            self.messages.say(&format!(
                "process {pid} {fate} in {file} are not seen{advice}"
            ));
        }
    }

    /// A file that a process had mapped before its probes were in place, though not while it was held.
    fn missed(&self, expectations: &Expectations, process: &Started) -> Option<Arc<File>> {
        let came_late = |file: &File| {
            let place = expectations.in_place.get(&self.catalog.stand_in(file));
            place.copied()
        };
        let held = expectations.held.get(&process.pid);
        let in_time = |time: Duration| {
            held.is_some_and(|(since, until)| *since < time + NOTHING_YET && time < *until)
        };
        if process.mapped.incomplete {
            let now = executable_files(process.pid);
            return now.into_iter().find(|file| came_late(file).is_some());
        }
        let mut mapped = process.mapped.files.iter();
        let missed = mapped.find(|(file, time)| {
            !in_time(*time) && came_late(file).is_some_and(|in_place| *time < in_place)
        });
        missed.map(|(file, _)| Arc::clone(file))
    }

    /// Tells which programs had come and gone, their files too, before anybody could look at them.
    fn tell_unseen(&mut self, expectations: &mut Expectations, started: &[Started]) {
        let vanished = self.catalog.vanished();
        for process in started {
            let told = &mut expectations.told_late;
            let mapped = process.mapped.files.iter().map(|(file, _)| file);
            let mapped = mapped.filter(|file| {
                let is_it =
                    |gone: &Arc<File>| gone.identity == file.identity && gone.born == file.born;
                vanished.iter().any(is_it) && told.insert((process.pid, file.identity))
            });
            let mapped = mapped.map(|file| file.shown.display().to_string());
            let names: Vec<String> = process
                .mapped
                .gone
                .iter()
                .map(escaped)
                .chain(mapped)
                .collect();
            let python = names.iter().find(|name| is_python_name(name.as_ref()));
            let Some(name) = python else {
                // Any program may have probes. Most have none, and in another root all that have
                // ended look like this: these are counted.
                if !names.is_empty() {
                    expectations.undecided.insert(process.pid);
                }
                continue;
            };
            // Of another user's it is not known whether it has ended.
            if !may_look_into_all() {
                if !std::mem::replace(&mut expectations.told_hidden, true) {
                    self.messages.say(&format!(
                        "process {} has started {name}, which could not be looked at, nor will others of \
                         other users be: this needs root, or CAP_SYS_PTRACE",
                        process.pid,
                    ));
                }
                continue;
            }
            expectations.unseen += 1;
            if expectations.unseen <= TOLD {
                self.messages.say(&format!(
                    "process {} had ended before {name} could be looked at: if there are probes in it, \
                     its events are not seen",
                    process.pid,
                ));
            }
        }
    }

    /// Tells which followed processes run a Python that lacks what a description means: nobody
    /// would know from the output. Once for each interpreter.
    pub(crate) fn tell_lacking(&mut self, live: &mut Live, started: &[Started]) {
        let followed = started.iter().filter(|process| process.root.is_some());
        let runs_python = |process: &&Started| process.files.iter().any(|file| is_of_python(file));
        let pythons = followed.filter(runs_python);
        for process in pythons.filter(|_| !self.options.zdefs) {
            for (why, key) in self.lacking(process) {
                // By now it may be another program than the one that was looked at.
                if process.is_as_it_was() && live.expectations.told.insert(key) {
                    self.messages.say(&why.to_string());
                }
            }
        }
    }

    /// The descriptions that mean the Python that a followed process runs, and that it has no probe for.
    fn lacking(&self, process: &Started) -> Vec<(Diagnosis, (Spec, PathBuf))> {
        // What is looked at here must not count as found before it is enabled.
        let mut catalog = self.catalog.clone();
        let provider = |pid| format!("{PROVIDER}{pid}");
        // Of one that is a starter, the library is yet to come.
        let file = match catalog.interpreter_among(process.files.iter().cloned()) {
            Some((_, Err(Refusal::InLibrary { .. }))) | None => return Vec::new(),
            Some((file, _)) => file,
        };
        let mut lacking = Vec::new();
        for (spec, probe) in self.compiled.parsed.specs() {
            let desc = &probe.desc;
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
    fn refuse_unmatchable(&mut self, spec: Spec) -> Result<()> {
        let probe = self.compiled.parsed.spec(spec);
        if may_come(&probe.desc, &mut self.catalog, &self.target) {
            return Ok(());
        }
        let error = no_match(&self.compiled.parsed, probe, self.options);
        bail!(explained(&error, &mut self.catalog, &probe.desc))
    }

    /// Enables the probes that new processes bring; gives the descriptions that they match. What cannot
    /// be enabled is told, and is no reason not to enable the rest.
    fn enable_started(&mut self, live: &mut Live, started: &[Started]) -> HashSet<Spec> {
        if started.is_empty() {
            return HashSet::new();
        }
        let known = self.catalog.newest();
        let (mut matched, mut enabled) = self.match_started(known, started);
        let unsound = check_python::unsound(
            self.options,
            self.messages,
            &mut self.catalog,
            enabled.iter().map(|enabled| &enabled.probe),
        );
        if !unsound.is_empty() {
            (matched, enabled) = self.match_started(known, started);
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

    /// The descriptions that new processes have probes for, and those of these probes that came after
    /// `known`.
    fn match_started(
        &mut self,
        known: ProbeId,
        started: &[Started],
    ) -> (HashSet<Spec>, Vec<Found>) {
        let mut matched = HashSet::new();
        let mut enabled = Vec::new();
        for (spec, described) in self.compiled.parsed.specs() {
            let found = self.catalog.enable_started(&described.desc, started);
            if !found.is_empty() {
                matched.insert(spec);
            }
            let new = found.into_iter().filter(|probe| probe.id > known);
            enabled.extend(new.map(|probe| Found { spec, probe }));
        }
        (matched, enabled)
    }

    /// Adds the clauses on new probes to what runs: all of them, or none and everything is as before.
    fn join(&mut self, live: &mut Live, late: &[Found]) -> Result<Vec<LinkId>> {
        let before = live.compiler.clone();
        let checked = self.check_late(late)?;
        if let Some((program, _)) = &checked
            && !live.compiler.adopt(Arc::new(program.clone()))
        {
            return Err(self.refuse_types(late));
        }
        let program = checked
            .as_ref()
            .map_or(&self.compiled.program, |(program, _)| program);
        let joined = self.try_to_join(live, &enabled(&self.compiled.parsed, program, late));
        match (&joined, checked) {
            (Ok(_), Some((program, known))) => {
                self.compiled.program = program;
                self.known = known;
            }
            (Ok(_), None) => {}
            (Err(_), _) => live.compiler.go_back(before),
        }
        joined
    }

    /// The program as it is with late probes, if their `args[]` have types that it was not checked
    /// with, and what it was checked with then.
    fn check_late(&self, late: &[Found]) -> Result<Option<(Program, KnownArgs)>> {
        let Compiled { program, parsed } = &self.compiled;
        let fits = |late: &Found| {
            let types = late.probe.arg_types();
            let clause = program.clause_for(late.spec.0, parsed.spec(late.spec), &types);
            clause.is_some()
        };
        if late.iter().all(fits) {
            return Ok(None);
        }
        let mut known = self.known.clone();
        for late in late {
            known.add(&parsed.spec(late.spec).desc, [&late.probe]);
        }
        match check_program(parsed, self.options, &known) {
            Ok(program) => Ok(Some((program, known))),
            Err(errors) => Err(program_errors(&errors, &parsed.sources, self.options)),
        }
    }

    /// The error for late probes with whose arguments variables or aggregations would be others than
    /// those that there are.
    fn refuse_types(&self, late: &[Found]) -> anyhow::Error {
        let parsed = &self.compiled.parsed;
        let fits = |late: &&Found| {
            let (spec, types) = (parsed.spec(late.spec), late.probe.arg_types());
            let program = &self.compiled.program;
            program.clause_for(late.spec.0, spec, &types).is_none()
        };
        let other = late.iter().find(fits).or(late.first());
        let (span, desc) = other.map_or_else(Default::default, |late| {
            (parsed.spec(late.spec).span, late.probe.desc.clone())
        });
        let text = format!(
            "args[ ] may not be referenced because {desc} has other argument types than those that \
             the variables and aggregations of the program were made for"
        );
        let sources = &parsed.sources;
        anyhow::Error::msg(refusal(Tag::ArgsMulti, span, &text, sources, self.options))
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

    /// Tells how much could not be traced, as far as that has not been told one by one.
    pub(crate) fn report_untraced(&self, untraced: Untraced) {
        let Untraced {
            refused,
            unseen,
            undecided,
        } = untraced;
        if refused > TOLD {
            self.messages.say(&format!(
                "the probes in {refused} files were not enabled, of which the first {TOLD} are told \
                 above"
            ));
        }
        if unseen > TOLD {
            self.messages.say(&format!(
                "{unseen} programs had ended before they could be looked at, of which the first {TOLD} \
                 are told above"
            ));
        }
        if undecided > 0 {
            let (plural, their) = if undecided == 1 {
                ("", "its")
            } else {
                ("es", "their")
            };
            self.messages.say(&format!(
                "{undecided} process{plural} had ended, and {their} files were gone, before these could \
                 be looked at: if there were probes in them, {their} events are not seen"
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
        for &spec in unmatched {
            let parsed = &self.compiled.parsed;
            let error = no_match(parsed, parsed.spec(spec), self.options);
            let why = "none of the programs that the target and its children ran had such a probe";
            self.messages.say(&with_reason(&error, why));
        }
    }
}

impl Live {
    /// The processes that have mapped something to execute, as far as that may bring new probes.
    pub(crate) fn started(&mut self) -> Vec<Started> {
        let mapped = self.watch.as_mut().map(MappingWatch::take);
        let root = |pid| self.followed.as_ref().and_then(|all| all.root_of(pid));
        let mapped = mapped.unwrap_or_default().into_iter();
        mapped
            .map(|(pid, mapped)| {
                let root = root(pid).or(mapped.root.filter(|_| self.followed.is_some()));
                Started::after(pid, root, mapped)
            })
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
fn by_file(enabled: Vec<Found>) -> Vec<(Arc<File>, Vec<Found>)> {
    let mut files: Vec<(Arc<File>, Vec<Found>)> = Vec::new();
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
