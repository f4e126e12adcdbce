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
//! The way of a description:
//!
//! ```text
//!     scopes     whose executions it means
//!     providers  each is asked for its probes that are in no file, then for those of each file
//!     probes     the probe with its id: made when it is first asked for, the same for the run
//! ```

mod probes;
#[cfg(test)]
mod python_tests;
mod scopes;

use std::collections::HashSet;
use std::sync::Arc;

use dlang::program::ProbeDesc;

use self::probes::Probes;
use self::scopes::Scopes;
use crate::interpreters::{files_beside, files_to_come};
use crate::probe::{File, Probe, ProbeId, ProbeKind, Scope};
use crate::process::Mapped;
use crate::process::files::{all_processes, executable_files};
use crate::process::tree::descendants;
pub use crate::providers::file::Details;
use crate::providers::file::{FileProbes, Files};
pub use crate::providers::names::split_provider;
use crate::providers::part::Search;
use crate::providers::python::choice::Choice;
use crate::providers::{OTHER_PROVIDERS, PROVIDERS};
use crate::python::cache::Check;
use crate::spelling::near;

/// The probes that have been asked for, and the files that have been read for them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    scopes: Scopes,
    files: Files,
    choice: Choice,
    probes: Probes,
}

/// A process that has mapped something to execute while tracing goes on: it has started, has become
/// another program, or has loaded a library. One look at it, which all that is said of it goes by.
#[derive(Clone, Debug)]
pub struct Started {
    /// The process.
    pub pid: u32,
    /// The root of the tree that it belongs to, if it is followed.
    pub root: Option<u32>,
    /// The files that it executes, or is about to.
    pub files: Vec<Arc<File>>,
    /// What it is known to have mapped lately.
    pub mapped: Mapped,
}

impl Started {
    /// A process as it is now.
    #[must_use]
    pub fn now(pid: u32, root: Option<u32>) -> Self {
        Self {
            pid,
            root,
            files: files_to_come(pid),
            mapped: Mapped::default(),
        }
    }

    /// A process as it is now, of which is known what it has mapped: it may have ended since.
    #[must_use]
    pub fn after(pid: u32, root: Option<u32>, mapped: Mapped) -> Self {
        let mut files = files_to_come(pid);
        for (file, _) in &mapped.files {
            let beside = if files.is_empty() {
                files_beside(&file.path)
            } else {
                Vec::new()
            };
            for file in std::iter::once(file.clone()).chain(beside) {
                if files.iter().all(|known| known.identity != file.identity) {
                    files.push(file);
                }
            }
        }
        Self {
            pid,
            root,
            files,
            mapped,
        }
    }

    /// Whether its executions count for probes of this scope.
    fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Process(pid) => self.pid == pid,
            Scope::Tree(root) => self.root == Some(root),
            Scope::System => true,
        }
    }

    /// Whether the process runs what it ran when it was looked at.
    #[must_use]
    pub fn is_as_it_was(&self) -> bool {
        let program = |files: &[Arc<File>]| files.first().map(|file| file.identity);
        let now = executable_files(self.pid);
        program(&now).is_some() && program(&now) == program(&self.files)
    }
}

impl Catalog {
    /// A catalogue with `dtrace:::BEGIN`, `END` and `ERROR`, whose ids are 1, 2 and 3.
    #[must_use]
    pub fn new() -> Self {
        let mut catalog = Self::default();
        catalog.in_no_file(&ProbeDesc {
            provider: "dtrace".into(),
            ..ProbeDesc::default()
        });
        catalog
    }

    /// Names the process that `-c` or `-p` gave: a description without a provider means its
    /// probes then, not every process's.
    pub fn set_target(&mut self, pid: u32) {
        self.scopes.target = Some(pid);
    }

    /// Follows these processes: a description that means one of them means all that it starts,
    /// too. What [`list`](Self::list) shows stays the same.
    pub fn follow(&mut self, roots: &[u32]) {
        self.scopes.roots = roots.to_vec();
    }

    /// Whether processes are followed.
    #[must_use]
    pub fn follows(&self) -> bool {
        !self.scopes.roots.is_empty()
    }

    /// A probe by its id.
    #[must_use]
    pub fn probe(&self, id: ProbeId) -> Option<&Arc<Probe>> {
        self.probes.get(id)
    }

    /// Every probe that `desc` matches, process by process: what `-l` shows, in order of id.
    pub fn list(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let mut found = self.in_no_file(desc);
        for pid in self.scopes.processes(desc) {
            found.extend(self.match_files(executable_files(pid), desc, Scope::Process(pid)));
        }
        found.retain(|probe| probe.place == 0);
        in_order(found)
    }

    /// The probes to attach to for `desc`, in order of id: of what runs now, and for descriptions
    /// that mean every process also of the Pythons that are installed.
    pub fn enable(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let mut found = self.in_no_file(desc);
        for scope in self.scopes.of(desc) {
            let files = match scope {
                Scope::Process(pid) => executable_files(pid),
                Scope::Tree(root) => {
                    let tree = std::iter::once(root).chain(descendants(root, &self.scopes.roots));
                    tree.flat_map(executable_files).collect()
                }
                Scope::System => {
                    let running = all_processes().into_iter().flat_map(executable_files);
                    running.chain(installed_for(desc, scope)).collect()
                }
            };
            found.extend(self.match_files(files, desc, scope));
        }
        in_order(found)
    }

    /// The probes that `desc` may mean in programs that a followed process may start: those of the
    /// Pythons that are installed. Attached before one is started, they miss nothing of it.
    pub fn expect(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let mut found = Vec::new();
        for root in self.trees(desc) {
            let scope = Scope::Tree(root);
            found.extend(self.match_files(installed_for(desc, scope), desc, scope));
        }
        in_order(found)
    }

    /// The roots of the followed trees that `desc` means.
    #[must_use]
    pub fn trees(&self, desc: &ProbeDesc) -> Vec<u32> {
        let root = |scope| match scope {
            Scope::Tree(root) => Some(root),
            Scope::Process(_) | Scope::System => None,
        };
        self.scopes.of(desc).into_iter().filter_map(root).collect()
    }

    /// The id of the probe that was found last.
    #[must_use]
    pub fn newest(&self) -> ProbeId {
        self.probes.newest()
    }

    /// The probes that `desc` matches in processes that have started, or have mapped something more,
    /// while tracing goes on. Those with an id above [`newest`](Self::newest) before the call are
    /// new; several descriptions may ask for the same ones.
    pub fn enable_started(&mut self, desc: &ProbeDesc, started: &[Started]) -> Vec<Arc<Probe>> {
        let mut found = Vec::new();
        for scope in self.scopes.of(desc) {
            let meant = started.iter().filter(|process| process.is_in(scope));
            let files = meant.flat_map(|process| &process.files).cloned();
            found.extend(self.match_files(files, desc, scope));
        }
        in_order(found)
    }

    /// Whether `desc` means this process.
    #[must_use]
    pub fn means_process(&self, desc: &ProbeDesc, process: &Started) -> bool {
        let scopes = self.scopes.of(desc);
        scopes.into_iter().any(|scope| process.is_in(scope))
    }

    /// Whether `desc` is of a provider that knows that this process has all the probes that it will have.
    #[must_use]
    pub fn is_complete(&self, desc: &ProbeDesc, pid: u32) -> bool {
        let name = desc.provider.strip_suffix(&pid.to_string());
        let known = |name| {
            PROVIDERS
                .iter()
                .find_map(|part| part.will_never_have(desc, name, pid))
        };
        name.and_then(known) == Some(true)
    }

    /// Whether a process that has no probe for `desc` will not have one when it becomes another
    /// program, since it is already the one that was meant: it has the provider, or is a Python.
    pub fn will_never_have(&mut self, desc: &ProbeDesc, pid: u32) -> bool {
        let Some(name) = desc.provider.strip_suffix(&pid.to_string()) else {
            return false;
        };
        let provider = ProbeDesc {
            provider: desc.provider.clone(),
            ..ProbeDesc::default()
        };
        let known = PROVIDERS
            .iter()
            .find_map(|part| part.will_never_have(desc, name, pid));
        known.unwrap_or_else(|| {
            OTHER_PROVIDERS.contains(&name) // will never be there
                || !self.list(&provider).is_empty()
                || self.is_misspelt(name, pid)
        })
    }

    /// Whether a process has a provider whose name is much like this one.
    fn is_misspelt(&mut self, name: &str, pid: u32) -> bool {
        let suffix = pid.to_string();
        let probes = self.list(&ProbeDesc {
            provider: format!("*{pid}"),
            ..ProbeDesc::default()
        });
        let there = probes.iter().map(|probe| &*probe.desc.provider);
        let there: Vec<&str> = there
            .filter_map(|name| name.strip_suffix(&suffix))
            .collect();
        // Short names are much like each other: `libc`, `libm`.
        name.len() > 4 && near(name, &there).is_some()
    }

    /// Whether the probes of a file are those of other files, too: of the same layer in another
    /// container. They are needed then, though the file may be gone.
    #[must_use]
    pub fn stands_for_others(&self, file: &File) -> bool {
        self.files.stands_for_others(file)
    }

    /// Forgets a file that is gone for good, and its probes. The kernel may give its inode number to
    /// another file, which has nothing to do with it.
    pub fn forget(&mut self, file: &File) {
        self.files.forget(file.identity);
        self.probes.forget(file.identity);
    }

    /// The processes that may bring more probes that `desc` matches; `None` if any may.
    #[must_use]
    pub fn may_bring(&self, desc: &ProbeDesc) -> Option<Vec<u32>> {
        let mut pids = Vec::new();
        for scope in self.scopes.of(desc) {
            match scope {
                Scope::Process(pid) => pids.push(pid),
                Scope::Tree(_) | Scope::System => return None,
            }
        }
        Some(pids)
    }

    /// The files that were gone before they could be read, since the last call: their probes are not
    /// known.
    pub fn vanished(&mut self) -> Vec<Arc<File>> {
        self.files.vanished()
    }

    /// The file whose probes are those of this one: itself, or of a layer that containers share, the one
    /// that was met first.
    #[must_use]
    pub fn stand_in(&self, file: &File) -> (u64, u64) {
        self.files.stand_in(file)
    }

    /// Whether `desc` may mean probes in files, as against rdtrace's own.
    #[must_use]
    pub fn means_files(&self, desc: &ProbeDesc) -> bool {
        !self.scopes.of(desc).is_empty()
    }

    /// Whether `desc` means every process.
    #[must_use]
    pub fn means_all(&self, desc: &ProbeDesc) -> bool {
        self.scopes.of(desc).contains(&Scope::System)
    }

    /// What stands in the file about a USDT probe.
    #[must_use]
    pub fn details(&self, probe: &Probe) -> Option<Details> {
        let ProbeKind::Sites(sites) = &probe.kind else {
            return None;
        };
        let file = self.files.get(&sites.file)?;
        Some(file.details(file.group_of(probe)?))
    }

    /// Why a Python's marker is used, or another probe in its place, where that is not a matter of
    /// course.
    #[must_use]
    pub fn remark(&self, probe: &Probe) -> Option<String> {
        let (file, _) = probe.kind.file()?;
        self.choice.remark(self.files.get(file)?, probe)
    }

    /// The files of a process, the program first.
    pub(crate) fn files_of(&mut self, pid: u32) -> Vec<Arc<FileProbes>> {
        self.files.read(executable_files(pid))
    }

    /// What is in some files.
    pub(crate) fn read(
        &mut self,
        files: impl IntoIterator<Item = Arc<File>>,
    ) -> Vec<Arc<FileProbes>> {
        self.files.read(files)
    }

    /// How probes are chosen where there are several ways to make one.
    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Uses interpreters though they failed their self-test, as the test itself must.
    pub fn use_unchecked(&mut self) {
        self.choice.unchecked = true;
    }

    /// Uses the markers of a Python wherever there are any, those with a drawback too; `why` says
    /// the reason to people.
    pub fn prefer_markers(&mut self, why: &'static str) {
        self.choice.markers = Some(why);
    }

    /// Gives up what stands in for a file's own markers, since its self-test could not be run:
    /// markers with a drawback are better than probes that nobody has tested. Whether there was
    /// anything to give up.
    pub fn give_up_stand_ins(&mut self, file: &File) -> bool {
        let file = self.files.get(file);
        file.is_some_and(|file| self.choice.give_up_stand_ins(file))
    }

    /// How the self-test of the interpreter in a file went, if there was one, in this run or earlier.
    #[must_use]
    pub fn check(&self, file: &File) -> Option<&Check> {
        self.files.get(file)?.findings.get()?.check.as_ref()
    }

    /// Keeps how the self-test of the interpreter in a file went. If it failed, descriptions do
    /// not match the probes that were made from its code any more.
    pub fn record_check(&mut self, file: &File, check: Check) {
        if let Some(findings) = self.files.findings_mut(file) {
            self.choice.record(findings, check);
        }
    }

    /// The probes that are in no file.
    fn in_no_file(&mut self, desc: &ProbeDesc) -> Vec<Arc<Probe>> {
        let offers = PROVIDERS.iter().flat_map(|part| part.own(desc));
        offers.map(|offer| self.probes.intern(offer)).collect()
    }

    /// The probes that `desc` means in these files: one for each file and name.
    fn match_files(
        &mut self,
        files: impl IntoIterator<Item = Arc<File>>,
        desc: &ProbeDesc,
        scope: Scope,
    ) -> Vec<Arc<Probe>> {
        let claimed = claimed();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let files = self.files.read(files);
        for identity in self.files.reused() {
            self.probes.forget(identity);
        }
        for file in files {
            if seen.insert(file.file.identity) {
                let search = Search {
                    file: &file,
                    scope,
                    choice: &self.choice,
                    claimed: &claimed,
                };
                let offers = PROVIDERS
                    .iter()
                    .flat_map(|part| part.in_file(&search, desc));
                found.extend(offers.map(|offer| self.probes.intern(offer)));
            }
        }
        found
    }
}

/// The files with probes that `desc` means in a scope, though no process may run them yet.
fn installed_for(desc: &ProbeDesc, scope: Scope) -> Vec<Arc<File>> {
    let parts = PROVIDERS.iter();
    parts.flat_map(|part| part.installed(desc, scope)).collect()
}

/// The types of D libraries that `args[]` of the probes may have that a description means: known from the
/// providers' tables, without a look at the machine.
#[must_use]
pub fn translated_types(desc: &ProbeDesc) -> Vec<&'static str> {
    let parts = PROVIDERS.iter();
    parts.flat_map(|part| part.translated_types(desc)).collect()
}

/// The names of the USDT markers that belong to some provider of their own.
fn claimed() -> Vec<&'static str> {
    PROVIDERS.iter().filter_map(|part| part.markers()).collect()
}

fn in_order(mut probes: Vec<Arc<Probe>>) -> Vec<Arc<Probe>> {
    probes.sort_by_key(|probe| probe.hook());
    probes
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::providers::names::description;

    /// A description as it is written in D.
    pub(crate) fn desc(text: &str) -> ProbeDesc {
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
    fn a_probe_keeps_its_id() {
        let mut catalog = Catalog::new();
        for (text, found) in [
            (":::tick-1sec", "4 profile:tick-1sec"),
            ("profile:::profile-97", "5 profile:profile-97"),
            ("profile:::tick-1sec", "4 profile:tick-1sec"),
        ] {
            assert_eq!(names(&catalog.enable(&desc(text))), [found]);
        }
        assert_eq!(catalog.newest(), ProbeId(5));
    }
}
