//! When each file's probes were attached, and which processes had executed the file before that.
//!
//! All times are by `CLOCK_MONOTONIC`, as the kernel's reports of what is mapped are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use provider::catalog::{Catalog, Started};
use provider::probe::{File, ProbeId};
use provider::process::files::executable_files;

use super::told::Told;
use crate::matching::Match;
use crate::target::monotonic;

/// No interpreter comes to its first function so soon after it has been mapped.
const NOTHING_YET: Duration = Duration::from_millis(2);

/// When the probes of which file were in place, and when a command could not run.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// The files whose probes were in place when tracing began.
    from_start: HashSet<(u64, u64)>,
    /// When the probes of files that came late were in place.
    in_place: HashMap<(u64, u64), Duration>,
    /// When a command was stopped and let go the last time, by process.
    held: HashMap<u32, (Duration, Duration)>,
}

impl Times {
    /// When tracing begins with these.
    pub(super) fn from_start(matches: &[Match]) -> Self {
        let files = matches.iter().flat_map(Match::all);
        let files = files.filter_map(|probe| Some(probe.kind.file()?.0.identity));
        Self {
            from_start: files.collect(),
            ..Self::default()
        }
    }

    /// Notes that a process was stopped since then, and is let go now.
    pub(super) fn held(&mut self, pid: u32, since: Duration) {
        self.held.insert(pid, (since, monotonic()));
    }

    /// Notes since when the probes are in place that came after `known`, but for those of files that were
    /// refused.
    pub(super) fn in_place(
        &mut self,
        catalog: &Catalog,
        known: ProbeId,
        told: &Told,
        since: Duration,
    ) {
        let new = (known.0 + 1..=catalog.newest().0).map(ProbeId);
        let files = new.filter_map(|id| catalog.probe(id)?.kind.file());
        let enabled = files.filter(|(file, _)| !told.has_refused(file));
        self.in_place
            .extend(enabled.map(|(file, _)| (file.identity, since)));
    }

    /// Whether a file's probes are in place.
    pub(super) fn has_probes(&self, file: &File, catalog: &Catalog) -> bool {
        let file = catalog.stand_in(file);
        self.from_start.contains(&file) || self.in_place.contains_key(&file)
    }

    /// Whether this very file's probes are in place, as far as that can be said without the catalogue.
    pub(super) fn is_known(&self, file: &File) -> bool {
        self.from_start.contains(&file.identity) || self.in_place.contains_key(&file.identity)
    }

    /// A file that a process had mapped before its probes were in place, though not while it was held.
    pub(super) fn missed(&self, process: &Started, catalog: &Catalog) -> Option<Arc<File>> {
        let came_late = |file: &File| {
            let place = self.in_place.get(&catalog.stand_in(file));
            place.copied()
        };
        let held = self.held.get(&process.pid);
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
}
