//! Finding the probes that processes bring while tracing goes on, and enabling them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use actions::consume::pipeline::EcbTable;
use anyhow::{Result, bail};
use provider::catalog::{Catalog, Started};
use provider::doctor::{Diagnosis, lacking};
use provider::interpreters;
use provider::probe::{File, Probe, ProbeId};
use provider::session::LinkId;

use crate::compile::{Spec, explained, no_match};
use crate::enabling::Enabling;
use crate::matching::{Found, awaits_next_program, may_come};
use crate::options::Options;

/// What probes have to pass before they are used.
pub(crate) trait CheckBeforeUse: fmt::Debug + Send {
    /// Checks what these probes are made from. `false` if some do not pass: the catalogue does not offer
    /// them any more.
    fn all_pass(&self, catalog: &mut Catalog, probes: &[Arc<Probe>]) -> bool;
}

/// What finds and enables probes while tracing goes on.
#[derive(Debug)]
pub(crate) struct Enabler {
    /// The probes there are.
    pub(crate) catalog: Catalog,
    /// What is enabled.
    pub(crate) enabling: Enabling,
    options: Arc<Options>,
    /// `$target`.
    target: Option<u32>,
    /// What new probes have to pass, if anything.
    check: Option<Box<dyn CheckBeforeUse>>,
}

/// What came of the probes that processes bring.
#[derive(Debug, Default)]
pub(super) struct Enabled {
    /// The descriptions that they match.
    pub(super) matched: HashSet<Spec>,
    /// What has been attached, by file.
    pub(super) links: Vec<(LinkId, Arc<File>)>,
    /// The files whose probes cannot be enabled, and why.
    pub(super) refused: Vec<(Arc<File>, anyhow::Error)>,
}

impl Enabler {
    /// One that has enabled nothing yet.
    pub(crate) fn new(
        catalog: Catalog,
        enabling: Enabling,
        options: Arc<Options>,
        target: Option<u32>,
        check: Option<Box<dyn CheckBeforeUse>>,
    ) -> Self {
        Self {
            catalog,
            enabling,
            options,
            target,
            check,
        }
    }

    pub(super) fn options(&self) -> &Arc<Options> {
        &self.options
    }

    /// Enables the probes that processes bring, file by file, and adds their ECBs to these.
    pub(super) fn enable(&mut self, started: &[Started], ecbs: &EcbTable) -> Enabled {
        if started.is_empty() {
            return Enabled::default();
        }
        let known = self.catalog.newest();
        let (mut matched, mut new) = self.match_started(known, started);
        if let Some(check) = &self.check {
            let probes: Vec<_> = new.iter().map(|found| Arc::clone(&found.probe)).collect();
            if !check.all_pass(&mut self.catalog, &probes) {
                (matched, new) = self.match_started(known, started);
            }
        }
        let mut enabled = Enabled {
            matched,
            ..Enabled::default()
        };
        for (file, of_file) in by_file(new) {
            match self.enabling.join(&of_file, ecbs) {
                Ok(links) => {
                    let links = links.into_iter().map(|link| (link, Arc::clone(&file)));
                    enabled.links.extend(links);
                }
                Err(error) => enabled.refused.push((file, error)),
            }
        }
        enabled
    }

    /// The descriptions that processes have probes for, and those of these probes that came after `known`.
    pub(super) fn match_started(
        &mut self,
        known: ProbeId,
        started: &[Started],
    ) -> (HashSet<Spec>, Vec<Found>) {
        let mut matched = HashSet::new();
        let mut new = Vec::new();
        for (spec, described) in self.enabling.checked.parsed.specs() {
            let found = self.catalog.enable_started(&described.desc, started);
            if !found.is_empty() {
                matched.insert(spec);
            }
            let found = found.into_iter().filter(|probe| probe.id > known);
            new.extend(found.map(|probe| Found { spec, probe }));
        }
        (matched, new)
    }

    /// The descriptions that mean a followed process and are not among these.
    pub(super) fn missing_in_tree(&self, matched: &HashSet<Spec>) -> Vec<Spec> {
        let specs = self.enabling.checked.parsed.specs();
        let missing = specs.filter(|(spec, probe)| {
            !matched.contains(spec) && !self.catalog.trees(&probe.desc).is_empty()
        });
        missing.map(|(spec, _)| spec).collect()
    }

    /// Whether the command's next program may have all that is missing in this one.
    pub(super) fn awaits_next_program(&mut self, missing: &[Spec]) -> bool {
        let parsed = &self.enabling.checked.parsed;
        let descs = missing.iter().map(|&spec| &parsed.spec(spec).desc);
        let descs: Vec<_> = descs.collect();
        awaits_next_program(&descs, &mut self.catalog, self.target)
    }

    /// Ends the run, as if it had not begun, for a description that no probe of the command's program
    /// matches though it is what was meant, and that nothing has matched before.
    pub(super) fn refuse_unmatchable<'s>(
        &mut self,
        missing: impl Iterator<Item = &'s Spec>,
    ) -> Result<()> {
        if self.options.zdefs {
            return Ok(());
        }
        let parsed = &self.enabling.checked.parsed;
        for spec in missing {
            let probe = parsed.spec(*spec);
            if !may_come(&probe.desc, &mut self.catalog, self.target) {
                let error = no_match(parsed, probe, &self.options);
                bail!(explained(&error, &mut self.catalog, &probe.desc))
            }
        }
        Ok(())
    }

    /// The descriptions that mean the interpreter that a followed process runs, and that it has no probe
    /// for: why, and what is told once. None with `-Z`.
    pub(super) fn lacking(&self, process: &Started) -> Vec<(Diagnosis, (Spec, PathBuf))> {
        let mut files = process.files.iter();
        if self.options.zdefs || !files.any(|file| interpreters::is_of_one(file)) {
            return Vec::new();
        }
        // What is looked at here must not count as found before it is enabled.
        let mut catalog = self.catalog.clone();
        let specs = self.enabling.checked.parsed.specs();
        let lacking = specs.filter_map(|(spec, probe)| {
            let (file, why) = lacking(&mut catalog, &probe.desc, process)?;
            Some((why, (spec, file)))
        });
        lacking.collect()
    }
}

/// The clauses on the probes of each file, in one scope: what one program is made of.
fn by_file(found: Vec<Found>) -> Vec<(Arc<File>, Vec<Found>)> {
    let mut files: Vec<(Arc<File>, Vec<Found>)> = Vec::new();
    let mut places = HashMap::new();
    for one in found {
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
