//! Which probes exist, and which of them a description means.
//!
//! There are two questions. A listing asks for every probe there is, process by process
//! (`python1234`, [`Catalog::list`]). Tracing asks for as few things to attach as will do: a
//! description with a process id means that process; one with a glob (`python*`) means every
//! process, those that start later included, which is one probe for each file
//! ([`Catalog::enable`]). Such a probe's provider is the bare name, `python`.
//!
//! If the target's children are followed ([`Catalog::follow`]), a description with the target's
//! process id means its whole tree, and is one probe for each file as well.
//!
//! A probe is made when it is first asked for and keeps its id for the run.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dlang::program::ProbeDesc;
use dlang::types::Int;

use crate::glob::Glob;
use crate::probe::{
    File, Probe, ProbeArg, ProbeId, ProbeKind, PythonEvent, PythonSites, Scope, Site, Sites,
};
use crate::process::files;
use crate::profile;
use crate::python::cache::{Cache, Check, Findings};
use crate::python::{Build, Refusal};
use crate::usdt::elf::ElfError;
use crate::usdt::note::Note;
use crate::usdt::{UsdtFile, UsdtSite, args, cpython};

/// The probes that have been asked for, and the files that have been read for them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    target: Option<u32>,
    /// Processes whose trees are followed.
    roots: Vec<u32>,
    probes: Vec<Arc<Probe>>,
    ids: HashMap<Key, ProbeId>,
    origins: HashMap<ProbeId, (Arc<FileProbes>, usize)>,
    files: HashMap<(u64, u64), Arc<FileProbes>>,
    cache: Arc<OnceLock<Cache>>,
    /// Interpreters are used though they failed their self-test.
    unchecked: bool,
    /// Why markers are used though something better could be made, if they are.
    markers: Option<&'static str>,
    /// Files whose markers are used because nothing else could be tested.
    untestable: HashSet<(u64, u64)>,
}

/// What makes a probe the same one as before.
type Key = (ProbeDesc, Option<Place>);

/// A file, the scope there, and whether the probe is a marker of the file's own.
type Place = ((u64, u64), Scope, Origin);

/// Where a probe in a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    /// A USDT marker.
    Marker,
    /// The code of a CPython.
    Code,
}

/// A file's probes, ready to be matched.
#[derive(Clone, Debug)]
struct FileProbes {
    file: Arc<File>,
    usdt: UsdtFile,
    groups: Vec<Group>,
    /// What its own code tells, once that has been asked for.
    python: OnceLock<Findings>,
}

impl FileProbes {
    fn read(file: &Arc<File>) -> Self {
        let usdt = UsdtFile::read(&file.path).unwrap_or_default();
        let groups = group(&usdt, &file.shown);
        Self {
            file: Arc::clone(file),
            usdt,
            groups,
            python: OnceLock::new(),
        }
    }

    /// What is wrong with a marker, if anything is.
    fn drawback(&self, group: &Group) -> Option<&'static str> {
        let version = self.usdt.python?;
        (group.provider == cpython::PROVIDER)
            .then(|| cpython::drawback(version, &group.name))
            .flatten()
    }

    /// The file has a marker of this name, so that none needs to be made.
    fn has_marker(&self, name: &str) -> bool {
        self.groups
            .iter()
            .any(|group| group.provider == cpython::PROVIDER && group.name == name)
    }

    /// The interpreter in the file. Found out at the first call, which takes a while.
    fn python(&self, cache: &Cache) -> &Findings {
        self.python.get_or_init(|| cache.find_out(&self.file.path))
    }
}

/// The sites that share provider, function and name: one probe.
#[derive(Clone, Debug)]
struct Group {
    provider: String,
    module: String,
    function: String,
    name: String,
    sites: Vec<usize>,
}

/// A process that has started, or has become another program, while tracing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The process.
    pub pid: u32,
    /// The root of the tree that it belongs to, if it is followed.
    pub root: Option<u32>,
}

/// What `-lv` shows of a USDT probe beside its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The file, as the target sees it.
    pub file: PathBuf,
    /// Its build id, lower-case hex.
    pub build_id: Option<String>,
    /// The notes of its sites, as `readelf -n` shows them.
    pub notes: Vec<Note>,
}

impl Catalog {
    /// A catalogue with `dtrace:::BEGIN`, `END` and `ERROR`, whose ids are 1, 2 and 3.
    #[must_use]
    pub fn new() -> Self {
        let mut catalog = Self::default();
        for (name, kind) in [
            ("BEGIN", ProbeKind::Begin),
            ("END", ProbeKind::End),
            ("ERROR", ProbeKind::Error),
        ] {
            catalog.builtin("dtrace", name, kind);
        }
        catalog
    }

    /// Names the process that `-c` or `-p` gave: a description without a provider means its
    /// probes then, not every process's.
    pub fn set_target(&mut self, pid: u32) {
        self.target = Some(pid);
    }

    /// Follows these processes: a description that means one of them means all that it starts,
    /// too. What [`list`](Self::list) shows stays the same.
    pub fn follow(&mut self, roots: &[u32]) {
        self.roots = roots.to_vec();
    }

    /// Whether processes are followed.
    #[must_use]
    pub fn follows(&self) -> bool {
        !self.roots.is_empty()
    }

    /// A probe by its id.
    #[must_use]
    pub fn probe(&self, id: ProbeId) -> Option<&Arc<Probe>> {
        self.probes.get((id.0 as usize).checked_sub(1)?)
    }

    /// Every probe that `desc` matches, process by process: what `-l` shows, in order of id.
    pub fn list(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let mut found = self.builtins(desc);
        if wants_usdt(desc, &found) {
            for pid in self.processes(desc) {
                let files = self.files_of(pid);
                self.match_process(files, desc, pid, &mut found);
            }
        }
        found.sort_by_key(|probe| probe.id);
        found
    }

    /// The probes to attach to for `desc`, in order of id: of what runs now, and for descriptions
    /// that mean every process also of the Pythons that are installed.
    pub fn enable(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let mut found = self.builtins(desc);
        if !wants_usdt(desc, &found) {
            return found;
        }
        if !means_everywhere(desc, self.target) {
            for pid in self.processes(desc) {
                let files = self.files_of(pid);
                if self.roots.contains(&pid) {
                    self.match_tree(files, desc, pid, &mut found);
                } else {
                    self.match_process(files, desc, pid, &mut found);
                }
            }
            found.sort_by_key(|probe| probe.id);
            return found;
        }
        let mut files: Vec<Arc<FileProbes>> = Vec::new();
        for pid in files::all_processes() {
            files.extend(self.files_of(pid));
        }
        if could_be_python(&desc.provider) {
            files.extend(installed_pythons().iter().map(|file| self.file(file)));
        }
        self.match_everywhere(files, desc, &mut found);
        found.sort_by_key(|probe| probe.id);
        found
    }

    /// The probes that `desc` may mean in programs that a followed process may start: those of the
    /// Pythons that are installed. Attached before one is started, they miss nothing of it.
    pub fn expect(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let mut found = Vec::new();
        for root in self.trees(desc) {
            if of_tree(&desc.provider, cpython::PROVIDER, root) {
                let files = installed_pythons();
                let files = files.iter().map(|file| self.file(file)).collect();
                self.match_tree(files, desc, root, &mut found);
            }
        }
        found.sort_by_key(|probe| probe.id);
        found
    }

    /// The roots of the followed trees that `desc` means.
    #[must_use]
    pub fn trees(&self, desc: &ProbeDesc) -> Vec<u32> {
        if means_everywhere(desc, self.target) || !may_be_usdt(desc) {
            return Vec::new();
        }
        let mut roots = self.processes_of(desc, || self.roots.clone());
        roots.retain(|pid| self.roots.contains(pid));
        roots
    }

    /// The id of the probe that was found last.
    #[must_use]
    pub fn newest(&self) -> ProbeId {
        ProbeId(u32::try_from(self.probes.len()).unwrap_or(u32::MAX))
    }

    /// The probes that `desc` matches in processes that have started while tracing goes on. Those
    /// with an id above [`newest`](Self::newest) before the call are new; several descriptions may
    /// ask for the same ones. Empty unless `desc` means every process, or the trees of some.
    pub fn enable_started(&mut self, desc: &ProbeDesc, started: &[Started]) -> Vec<Arc<Probe>> {
        let mut found = Vec::new();
        if means_everywhere(desc, self.target) {
            let files = self.files_of_started(started.iter());
            self.match_everywhere(files, desc, &mut found);
        }
        for root in self.trees(desc) {
            let tree = started.iter().filter(|started| started.root == Some(root));
            let files = self.files_of_started(tree);
            self.match_tree(files, desc, root, &mut found);
        }
        found
    }

    /// Whether processes that start later may have more probes that `desc` matches.
    #[must_use]
    pub fn may_grow(&self, desc: &ProbeDesc) -> bool {
        means_everywhere(desc, self.target) && may_be_usdt(desc) || !self.trees(desc).is_empty()
    }

    /// What stands in the file about a USDT probe.
    #[must_use]
    pub fn details(&self, probe: &Probe) -> Option<Details> {
        let ProbeKind::Sites(_) = probe.kind else {
            return None;
        };
        let (file, group) = self.origins.get(&probe.id)?;
        let sites = &file.groups.get(*group)?.sites;
        Some(Details {
            file: file.file.shown.clone(),
            build_id: file.usdt.build_id.clone(),
            notes: sites
                .iter()
                .map(|site| file.usdt.sites[*site].note.clone())
                .collect(),
        })
    }

    /// Why a Python's marker is used, or another probe in its place, where that is not a matter of
    /// course.
    #[must_use]
    pub fn remark(&self, probe: &Probe) -> Option<String> {
        let (file, group) = self.origins.get(&probe.id)?;
        let drawback = file.drawback(file.groups.get(*group)?)?;
        if matches!(probe.kind, ProbeKind::Python(_)) {
            return Some(format!(
                "it stands in for the file's own marker, which {drawback}"
            ));
        }
        let why = if let Some(why) = self.markers {
            why.to_owned()
        } else if self.untestable.contains(&file.file.identity) {
            "the self-test of any other cannot be run".to_owned()
        } else {
            // As it is now: the self-test may have been run since.
            let now = self.files.get(&file.file.identity)?;
            let refusal = verdict(now.python.get()?, self.unchecked).err()?;
            format!("no other can be made: {refusal}")
        };
        Some(format!("the file's own marker {drawback}; {why}"))
    }

    /// The interpreter that a process runs, and what its code tells; `None` if it is no Python.
    pub fn interpreter(&mut self, pid: u32) -> Option<(PathBuf, Result<Arc<Build>, Refusal>)> {
        let files = self.files_of(pid);
        let cache = self.cache.get_or_init(Cache::of_user);
        let verdict = |file: &FileProbes| verdict(file.python(cache), self.unchecked);
        let mut all = files
            .iter()
            .map(|file| (file.file.shown.clone(), verdict(file)))
            .filter(|(_, analysis)| {
                !matches!(analysis, Err(Refusal::NotPython | Refusal::NotElf(_)))
            });
        // A starter is not it, if there is better.
        let first = all.next()?;
        match first.1 {
            Err(Refusal::InLibrary { .. }) => Some(all.next().unwrap_or(first)),
            _ => Some(first),
        }
    }

    /// Uses interpreters though they failed their self-test, as the test itself must.
    pub fn use_unchecked(&mut self) {
        self.unchecked = true;
    }

    /// Uses the markers of a Python wherever there are any, those with a drawback too; `why` says
    /// the reason to people.
    pub fn prefer_markers(&mut self, why: &'static str) {
        self.markers = Some(why);
    }

    /// Gives up what stands in for a file's own markers, since its self-test could not be run:
    /// markers with a drawback are better than probes that nobody has tested. Whether there was
    /// anything to give up.
    pub fn give_up_stand_ins(&mut self, file: &File) -> bool {
        let any = self.files.get(&file.identity).is_some_and(|file| {
            let mut groups = file.groups.iter();
            groups.any(|group| file.drawback(group).is_some())
        });
        any && self.untestable.insert(file.identity)
    }

    /// How the self-test of the interpreter in a file went, if there was one, in this run or earlier.
    #[must_use]
    pub fn check(&self, file: &File) -> Option<&Check> {
        let findings = self.files.get(&file.identity)?.python.get()?;
        findings.check.as_ref()
    }

    /// Keeps how the self-test of the interpreter in a file went. If it failed, descriptions do
    /// not match the probes that were made from its code any more.
    pub fn record_check(&mut self, file: &File, check: Check) {
        let cache = self.cache.get_or_init(Cache::of_user);
        if let Some(entry) = self.files.get_mut(&file.identity)
            && let Some(findings) = Arc::make_mut(entry).python.get_mut()
        {
            cache.record(findings, check);
        }
    }

    /// Reads a process's files and gives the first program file's trouble, if it has any: why a
    /// target cannot have probes at all (32-bit, another machine).
    #[must_use]
    pub fn trouble(pid: u32) -> Option<(PathBuf, ElfError)> {
        let file = files::executable_files(pid).into_iter().next()?;
        let error = UsdtFile::read(&file.path).err()?;
        Some((file.shown.clone(), error))
    }

    fn builtins(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let mut found: Vec<Arc<Probe>> = self.probes[..3]
            .iter()
            .filter(|probe| matches(desc, &probe.desc))
            .map(Arc::clone)
            .collect();
        let names: Vec<&str> = if Glob::new(&desc.name).is_literal() {
            vec![&desc.name]
        } else {
            profile::LISTED.to_vec()
        };
        for name in names {
            let full = description("profile", "", "", name);
            if let (true, Some(kind)) = (matches(desc, &full), profile::parse(name)) {
                found.push(self.builtin("profile", name, kind));
            }
        }
        found
    }

    fn builtin(&mut self, provider: &str, name: &str, kind: ProbeKind) -> Arc<Probe> {
        self.intern(description(provider, "", "", name), None, || {
            (Vec::new(), kind)
        })
        .0
    }

    /// The processes whose probes `desc` can mean.
    fn processes(&self, desc: &ProbeDesc) -> Vec<u32> {
        self.processes_of(desc, files::all_processes)
    }

    /// The processes whose probes `desc` can mean, of `all` that come into question.
    fn processes_of(&self, desc: &ProbeDesc, all: impl Fn() -> Vec<u32>) -> Vec<u32> {
        if desc.provider.is_empty()
            && let Some(target) = self.target
        {
            return vec![target];
        }
        if !Glob::new(&desc.provider).is_literal() {
            return all();
        }
        split_provider(&desc.provider)
            .into_iter()
            .map(|(_, pid)| pid)
            .collect()
    }

    /// The files that a process executes.
    fn files_of(&mut self, pid: u32) -> Vec<Arc<FileProbes>> {
        files::executable_files(pid)
            .iter()
            .map(|file| self.file(file))
            .collect()
    }

    /// The files of processes that have just started.
    fn files_of_started<'s>(
        &mut self,
        started: impl Iterator<Item = &'s Started>,
    ) -> Vec<Arc<FileProbes>> {
        started
            .flat_map(|process| files::files_to_come(process.pid))
            .map(|file| self.file(&file))
            .collect()
    }

    /// A file's probes. Read once in a run.
    fn file(&mut self, file: &Arc<File>) -> Arc<FileProbes> {
        let entry = self
            .files
            .entry(file.identity)
            .or_insert_with(|| Arc::new(FileProbes::read(file)));
        // The cached path may lead through a process that is gone.
        if entry.file.path != file.path && fs::metadata(&entry.file.path).is_err() {
            let mut moved = FileProbes::clone(entry);
            moved.file = Arc::clone(file);
            moved.groups = group(&moved.usdt, &file.shown);
            *entry = Arc::new(moved);
        }
        Arc::clone(entry)
    }

    /// The probes of one process, whose provider has its id.
    fn match_process(
        &mut self,
        files: Vec<Arc<FileProbes>>,
        desc: &ProbeDesc,
        pid: u32,
        found: &mut Vec<Arc<Probe>>,
    ) {
        for file in files {
            let provider = |bare: &str| {
                let full = format!("{bare}{pid}");
                Glob::new(&desc.provider).matches(&full).then_some(full)
            };
            self.match_file(&file, desc, &provider, Scope::Process(pid), found);
        }
    }

    /// One probe for each file and matching name, for all processes.
    fn match_everywhere(
        &mut self,
        files: Vec<Arc<FileProbes>>,
        desc: &ProbeDesc,
        found: &mut Vec<Arc<Probe>>,
    ) {
        let matches = |bare: &str| everywhere(&desc.provider, bare);
        self.match_bare(files, desc, &matches, Scope::System, found);
    }

    /// One probe for each file and matching name, for the tree of a root. Whichever process fires
    /// it, the description has the root's id.
    fn match_tree(
        &mut self,
        files: Vec<Arc<FileProbes>>,
        desc: &ProbeDesc,
        root: u32,
        found: &mut Vec<Arc<Probe>>,
    ) {
        let matches = |bare: &str| of_tree(&desc.provider, bare, root);
        self.match_bare(files, desc, &matches, Scope::Tree(root), found);
    }

    /// One probe for each file and matching name, of a provider without a process id.
    fn match_bare(
        &mut self,
        files: Vec<Arc<FileProbes>>,
        desc: &ProbeDesc,
        matches: &dyn Fn(&str) -> bool,
        scope: Scope,
        found: &mut Vec<Arc<Probe>>,
    ) {
        let mut seen = HashSet::new();
        for file in files {
            if seen.insert(same_contents(&file)) {
                let provider = |bare: &str| matches(bare).then(|| bare.to_owned());
                self.match_file(&file, desc, &provider, scope, found);
            }
        }
    }

    fn match_file(
        &mut self,
        file: &Arc<FileProbes>,
        desc: &ProbeDesc,
        provider: &dyn Fn(&str) -> Option<String>,
        scope: Scope,
        found: &mut Vec<Arc<Probe>>,
    ) {
        let name = desc.name.replace("__", "-");
        for (index, group) in file.groups.iter().enumerate() {
            let Some(provider) = provider(&group.provider) else {
                continue;
            };
            if Glob::new(&desc.module).matches(&group.module)
                && Glob::new(&desc.function).matches(&group.function)
                && Glob::new(&name).matches(&group.name)
            {
                let full = description(&provider, &group.module, &group.function, &group.name);
                let identity = file.file.identity;
                let (probe, new) = match self.stand_in(file, group) {
                    Some((build, event)) => {
                        self.intern(full, Some((identity, scope, Origin::Code)), || {
                            python_probe(file, build, event, scope)
                        })
                    }
                    None => self.intern(full, Some((identity, scope, Origin::Marker)), || {
                        usdt_probe(file, group, scope)
                    }),
                };
                if new {
                    self.origins.insert(probe.id, (Arc::clone(file), index));
                }
                found.push(probe);
            }
        }
        if let Some(provider) = provider(cpython::PROVIDER) {
            self.match_synthesised(file, desc, &provider, scope, found);
        }
    }

    /// What is used in place of a marker: if that has a drawback, and the interpreter's code
    /// gives the same probe without it. All else about the probe stays.
    fn stand_in(&self, file: &FileProbes, group: &Group) -> Option<(Arc<Build>, PythonEvent)> {
        let wanted = self.markers.is_none() && !self.untestable.contains(&file.file.identity);
        if !wanted || file.drawback(group).is_none() {
            return None; // not worth an analysis
        }
        let event = PythonEvent::named(&group.name)?;
        let cache = self.cache.get_or_init(Cache::of_user);
        let build = verdict(file.python(cache), self.unchecked).ok()?;
        event.is_in(&build).then_some((build, event))
    }

    /// The probes that are made from the code of a CPython: where there is no such marker.
    fn match_synthesised(
        &mut self,
        file: &Arc<FileProbes>,
        desc: &ProbeDesc,
        provider: &str,
        scope: Scope,
        found: &mut Vec<Arc<Probe>>,
    ) {
        let module = module_of(&file.file.shown);
        let name = desc.name.replace("__", "-");
        let fits = |event: &PythonEvent| {
            Glob::new(&name).matches(event.name())
                && Glob::new(&desc.function).matches(event.function())
                && !file.has_marker(event.name())
        };
        let wanted: Vec<PythonEvent> = PythonEvent::ALL.into_iter().filter(fits).collect();
        if wanted.is_empty() || !Glob::new(&desc.module).matches(&module) {
            return; // not worth an analysis
        }
        let cache = self.cache.get_or_init(Cache::of_user);
        let Ok(build) = verdict(file.python(cache), self.unchecked) else {
            return;
        };
        for event in wanted.into_iter().filter(|event| event.is_in(&build)) {
            let full = description(provider, &module, event.function(), event.name());
            let place = (file.file.identity, scope, Origin::Code);
            let (probe, _) = self.intern(full, Some(place), || {
                python_probe(file, Arc::clone(&build), event, scope)
            });
            found.push(probe);
        }
    }

    /// The probe with this key, made if there is none; and whether it was made.
    fn intern(
        &mut self,
        desc: ProbeDesc,
        place: Option<Place>,
        make: impl FnOnce() -> (Vec<ProbeArg>, ProbeKind),
    ) -> (Arc<Probe>, bool) {
        let key = (desc, place);
        if let Some(probe) = self.ids.get(&key).and_then(|id| self.probe(*id)) {
            return (Arc::clone(probe), false);
        }
        let id = ProbeId(u32::try_from(self.probes.len() + 1).unwrap_or(u32::MAX));
        let (args, kind) = make();
        let probe = Arc::new(Probe {
            id,
            desc: key.0.clone(),
            args,
            kind,
        });
        self.probes.push(Arc::clone(&probe));
        self.ids.insert(key, id);
        (probe, true)
    }
}

/// What is known of an interpreter, its self-test included.
fn verdict(findings: &Findings, unchecked: bool) -> Result<Arc<Build>, Refusal> {
    match &findings.check {
        Some(Check::Failed { why }) if !unchecked => Err(Refusal::SelfTest(why.clone())),
        _ => findings.analysis.clone(),
    }
}

fn description(provider: &str, module: &str, function: &str, name: &str) -> ProbeDesc {
    ProbeDesc {
        provider: provider.into(),
        module: module.into(),
        function: function.into(),
        name: name.into(),
    }
}

fn matches(desc: &ProbeDesc, probe: &ProbeDesc) -> bool {
    Glob::new(&desc.provider).matches(&probe.provider)
        && Glob::new(&desc.module).matches(&probe.module)
        && Glob::new(&desc.function).matches(&probe.function)
        && Glob::new(&desc.name).matches(&probe.name)
}

/// Whether `desc` may mean USDT probes at all. `BEGIN` and `tick-1s` without a provider don't: no
/// need to look at every process for a probe of that name.
fn wants_usdt(desc: &ProbeDesc, builtins: &[Arc<Probe>]) -> bool {
    let named = Glob::new(&desc.name).is_literal() && !builtins.is_empty();
    !(named || matches!(&*desc.provider, "dtrace" | "profile"))
}

/// Whether `desc` may mean a probe that a file has: it names none of rdtrace's own, and no timer.
fn may_be_usdt(desc: &ProbeDesc) -> bool {
    !matches!(&*desc.name, "BEGIN" | "END" | "ERROR")
        && profile::parse(&desc.name).is_none()
        && !matches!(&*desc.provider, "dtrace" | "profile")
}

/// Whether `desc` means every process: its provider is a glob for any process id, or empty while
/// there is no target.
fn means_everywhere(desc: &ProbeDesc, target: Option<u32>) -> bool {
    match &*desc.provider {
        "" => target.is_none(),
        glob => !Glob::new(glob).is_literal() && glob.ends_with('*'),
    }
}

/// Whether a glob means provider `bare` in every process: it matches the name with any process
/// id, as `python*` and `python[0-9]*` do.
fn everywhere(glob: &str, bare: &str) -> bool {
    let glob = Glob::new(glob);
    ["1", "25", "98", "4000"]
        .iter()
        .all(|pid| glob.matches(&format!("{bare}{pid}")))
}

/// Whether a glob means provider `bare` in the process `root`.
fn of_tree(glob: &str, bare: &str, root: u32) -> bool {
    Glob::new(glob).matches(&format!("{bare}{root}"))
}

fn could_be_python(provider: &str) -> bool {
    everywhere(provider, cpython::PROVIDER)
}

/// The ways to read `python1234` as a name and a process id: names may end in digits themselves.
#[must_use]
pub fn split_provider(provider: &str) -> Vec<(&str, u32)> {
    let name = provider.trim_end_matches(|c: char| c.is_ascii_digit());
    (name.len().max(1)..provider.len())
        .filter(|at| provider.is_char_boundary(*at) && provider.as_bytes()[*at] != b'0')
        .filter_map(|at| Some((&provider[..at], provider[at..].parse().ok()?)))
        .collect()
}

/// A file's name, as the MODULE of its probes.
fn module_of(shown: &Path) -> String {
    let name = shown.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The probes of a file: its sites by provider, function and name, in order of appearance.
fn group(usdt: &UsdtFile, shown: &Path) -> Vec<Group> {
    let module = module_of(shown);
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<(&str, &str, String), usize> = HashMap::new();
    for (index, UsdtSite { note, function, .. }) in usdt.sites.iter().enumerate() {
        let function = function.as_deref().unwrap_or_default();
        let at = *places
            .entry((&note.provider, function, note.d_name()))
            .or_insert_with(|| {
                groups.push(Group {
                    provider: note.provider.clone(),
                    module: module.clone(),
                    function: function.to_owned(),
                    name: note.d_name(),
                    sites: Vec::new(),
                });
                groups.len() - 1
            });
        groups[at].sites.push(index);
    }
    groups
}

fn usdt_probe(file: &FileProbes, group: &Group, scope: Scope) -> (Vec<ProbeArg>, ProbeKind) {
    let of_group = || group.sites.iter().map(|index| &file.usdt.sites[*index]);
    let sites: Vec<Site> = of_group().map(|site| site.site.clone()).collect();
    let types: Vec<Vec<Int>> = of_group()
        .map(|site| args::types(&site.note.arguments))
        .collect();
    // Where the copies of a site differ, the widest type holds them all.
    let count = types.iter().map(Vec::len).min().unwrap_or(0);
    let widest = |index: usize| {
        types
            .iter()
            .map(|types| types[index])
            .max_by_key(|int| int.size)
            .unwrap_or(Int::I64)
    };
    let args = (0..count)
        .map(|index| ProbeArg {
            ty: widest(index),
            meaning: cpython::meaning(&group.provider, &group.name, index),
        })
        .collect();
    let wake = if group.provider == cpython::PROVIDER && group.name == "function-entry" {
        file.usdt.entry_wakes.clone()
    } else {
        Vec::new()
    };
    let file = Arc::clone(&file.file);
    (
        args,
        ProbeKind::Sites(Sites {
            file,
            scope,
            sites,
            wake,
        }),
    )
}

fn python_probe(
    file: &FileProbes,
    build: Arc<Build>,
    event: PythonEvent,
    scope: Scope,
) -> (Vec<ProbeArg>, ProbeKind) {
    let sites = PythonSites {
        file: Arc::clone(&file.file),
        scope,
        build,
        event,
    };
    (event.args(), ProbeKind::Python(sites))
}

/// Something that is the same for a file that is seen twice. On an overlay file system (the usual
/// one of containers), the same file of a shared layer has another device number in
/// each container but the same inode number; attaching to both would make every probe fire twice.
fn same_contents(file: &FileProbes) -> (u64, u64, Option<String>, i64) {
    use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
    use std::os::unix::fs::MetadataExt;
    let (device, inode) = file.file.identity;
    let overlay =
        statfs(&file.file.path).is_ok_and(|info| info.filesystem_type() == OVERLAYFS_SUPER_MAGIC);
    if !overlay {
        return (device, inode, None, 0);
    }
    let time = fs::metadata(&file.file.path).map_or(0, |meta| meta.mtime());
    (u64::MAX, inode, file.usdt.build_id.clone(), time)
}

/// The Pythons that a user would start: those in `PATH`, and the libraries that belong to them.
fn installed_pythons() -> Vec<Arc<File>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.sort();
    dirs.dedup();
    let mut files = Vec::new();
    let mut libraries: HashSet<PathBuf> = ["/usr/lib64", "/usr/local/lib"]
        .iter()
        .map(PathBuf::from)
        .collect();
    libraries.insert(format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH).into());
    for dir in &dirs {
        let pythons = named(dir, "python");
        if !pythons.is_empty() {
            libraries.insert(dir.join("../lib"));
        }
        files.extend(pythons);
    }
    files.extend(libraries.iter().flat_map(|dir| named(dir, "libpython")));
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.identity));
    files
}

/// The regular files of a directory whose names start so.
fn named(dir: &Path, start: &str) -> Vec<Arc<File>> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(start))
        })
        .filter_map(|entry| files::file_at(&entry.path()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desc(text: &str) -> ProbeDesc {
        let fields: Vec<&str> = text.split(':').collect();
        let [provider, module, function, name] = fields[..] else {
            panic!("{text}")
        };
        description(provider, module, function, name)
    }

    fn names(probes: &[Arc<Probe>]) -> Vec<String> {
        probes
            .iter()
            .map(|probe| format!("{} {}:{}", probe.id.0, probe.desc.provider, probe.desc.name))
            .collect()
    }

    #[test]
    fn begin_end_and_error_are_the_first_three() {
        let mut catalog = Catalog::new();
        assert_eq!(
            names(&catalog.enable(&desc("dtrace:::"))),
            ["1 dtrace:BEGIN", "2 dtrace:END", "3 dtrace:ERROR"]
        );
        assert_eq!(names(&catalog.enable(&desc(":::END"))), ["2 dtrace:END"]);
        assert!(catalog.enable(&desc("dtrace:x::END")).is_empty());
    }

    #[test]
    fn timers_exist_as_they_are_asked_for() {
        let mut catalog = Catalog::new();
        assert_eq!(
            names(&catalog.enable(&desc(":::tick-1sec"))),
            ["4 profile:tick-1sec"]
        );
        assert_eq!(
            names(&catalog.enable(&desc("profile:::profile-97"))),
            ["5 profile:profile-97"]
        );
        assert_eq!(
            names(&catalog.enable(&desc("profile:::tick-1sec"))),
            ["4 profile:tick-1sec"]
        );
        assert!(catalog.enable(&desc("profile:::tick-0")).is_empty());
        assert_eq!(catalog.list(&desc("profile:::tick-*")).len(), 6);
        assert_eq!(catalog.list(&desc("profile:::")).len(), 13);
    }

    #[test]
    fn a_providers_digits_are_a_process_id() {
        assert_eq!(
            split_provider("python1234"),
            [
                ("python", 1234),
                ("python1", 234),
                ("python12", 34),
                ("python123", 4)
            ]
        );
        assert_eq!(split_provider("libc10"), [("libc", 10)]);
        assert!(split_provider("python").is_empty());
        assert!(split_provider("").is_empty());
        assert!(split_provider("python0").is_empty());
        assert!(
            split_provider("python99999999999999999999")
                .iter()
                .all(|(name, _)| *name != "python")
        );
    }

    #[test]
    fn globs_for_any_process_id_mean_every_process() {
        for (provider, target, everywhere) in [
            ("python*", None, true),
            ("*", None, true),
            ("", None, true),
            ("", Some(1), false),
            ("python*", Some(1), true),
            ("python1*2", None, false),
            ("python1234", None, false),
            ("python??", None, false),
        ] {
            let desc = description(provider, "", "", "x");
            assert_eq!(
                means_everywhere(&desc, target),
                everywhere,
                "{provider} {target:?}"
            );
        }
        assert!(everywhere("python*", "python"));
        assert!(!everywhere("python12*", "python"));
        assert!(everywhere("p*", "postgres"));
    }

    /// A CPython 3.11 that is not there, with two markers, and what its code tells.
    fn with_markers(python: OnceLock<Findings>) -> Arc<FileProbes> {
        let shown = PathBuf::from("/usr/bin/python3.11");
        let group = |name: &str| Group {
            provider: cpython::PROVIDER.into(),
            module: module_of(&shown),
            function: "sys_trace".into(),
            name: name.into(),
            sites: Vec::new(),
        };
        let version = cpython::Version {
            major: 3,
            minor: 11,
            micro: 2,
        };
        Arc::new(FileProbes {
            groups: vec![group("function-entry"), group("gc-start")],
            file: Arc::new(File {
                path: "/nonexistent".into(),
                shown,
                identity: (1, 2),
            }),
            usdt: UsdtFile {
                python: Some(version),
                ..UsdtFile::default()
            },
            python,
        })
    }

    fn match_name(catalog: &mut Catalog, file: &Arc<FileProbes>, name: &str) -> Arc<Probe> {
        let mut found = Vec::new();
        let desc = description("python*", "", "", name);
        let bare = |bare: &str| Some(bare.to_owned());
        catalog.match_file(file, &desc, &bare, Scope::System, &mut found);
        assert_eq!(found.len(), 1, "{name}");
        found.remove(0)
    }

    #[test]
    fn a_marker_with_a_drawback_is_replaced_where_the_code_gives_the_same() {
        let files = crate::python::tests::recorded();
        let (_, python) = files
            .iter()
            .find(|(name, _)| name.starts_with("3.11.2"))
            .unwrap();
        let mut findings = Cache::default().find_out(Path::new("/nonexistent"));
        findings.analysis = crate::python::analyse(python).map(Arc::new);
        let mut file = with_markers(findings.into());
        let mut catalog = Catalog::new();

        let made = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(made.kind, ProbeKind::Python(_)));
        assert_eq!(
            made.desc,
            description("python", "python3.11", "sys_trace", "function-entry")
        );
        assert!(catalog.remark(&made).unwrap().contains("stands in"));

        // While its self-test cannot be run, or once it has failed, the marker is what there is.
        catalog.files.insert((1, 2), Arc::clone(&file));
        assert!(catalog.give_up_stand_ins(&file.file));
        let marker = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(marker.kind, ProbeKind::Sites(_)));
        let remark = catalog.remark(&marker).unwrap();
        assert!(remark.ends_with("cannot be run"), "{remark}");
        catalog.untestable.clear();
        let failed = Check::Failed { why: "no".into() };
        Arc::make_mut(&mut file).python.get_mut().unwrap().check = Some(failed);
        catalog.files.insert((1, 2), Arc::clone(&file));
        let marker = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(marker.kind, ProbeKind::Sites(_)));
        assert_eq!(marker.desc, made.desc);
        assert_ne!(marker.id, made.id);
        let remark = catalog.remark(&marker).unwrap();
        assert!(remark.ends_with("its self-test failed: no"), "{remark}");
    }

    #[test]
    fn markers_are_used_where_the_code_is_not_understood_or_they_are_asked_for() {
        let mut catalog = Catalog::new();
        let file = with_markers(OnceLock::new());
        match_name(&mut catalog, &file, "gc-start");
        assert!(file.python.get().is_none(), "not worth an analysis");
        let marker = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(marker.kind, ProbeKind::Sites(_)));
        assert!(
            file.python
                .get()
                .is_some_and(|found| found.analysis.is_err())
        );

        let mut catalog = Catalog::new();
        catalog.prefer_markers("asked for");
        let file = with_markers(OnceLock::new());
        let marker = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(marker.kind, ProbeKind::Sites(_)));
        assert!(file.python.get().is_none(), "not worth an analysis");
        assert!(catalog.remark(&marker).unwrap().ends_with("; asked for"));
    }
}
