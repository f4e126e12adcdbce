//! The choice between a Python's markers and what can be made from the code of its interpreter.
//!
//! A Python may have a marker, which it was built with, and the same event can be seen in the machine
//! code of most ([`python_analysis`]). A probe is
//!
//! - the marker, if there is one without a drawback;
//! - made from the code, if there is no marker, or one with a drawback
//!   ([`cpython::drawback`]): it then stands in for the marker, under its full name;
//! - the marker with its drawback, if none can be made, or is not wanted, or cannot be trusted.
//!
//! What is made from code is trusted until the interpreter's self-test has failed; where markers can
//! be had instead, only once it has passed ([`Choice::give_up_stand_ins`]).
//!
//! An analysis takes tens of milliseconds for each interpreter that has not been met before, and for a
//! description that means every process there may be many: it is asked for only where it matters.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use super::super::file::{FileProbes, Group, Identity};
use crate::probe::{Probe, ProbeKind, PythonEvent};
use crate::python::cache::{Cache, Check, Findings};
use crate::python::{Build, Refusal};
use crate::usdt::cpython;

/// What is preferred, and what is known that speaks against it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// Interpreters are used though they failed their self-test.
    pub(crate) unchecked: bool,
    /// Why markers are used though something better could be made, if they are.
    pub(crate) markers: Option<&'static str>,
    /// Files whose markers are used because nothing else could be tested.
    pub(crate) untestable: HashSet<Identity>,
    pub(crate) cache: Arc<OnceLock<Cache>>,
}

impl Choice {
    /// What is used in place of a marker: if that has a drawback, and the interpreter's code
    /// gives the same probe without it. All else about the probe stays.
    pub(crate) fn stand_in(
        &self,
        file: &FileProbes,
        group: &Group,
    ) -> Option<(Arc<Build>, PythonEvent)> {
        let wanted = self.markers.is_none() && !self.untestable.contains(&file.file.identity);
        if !wanted || drawback(file, group).is_none() {
            return None; // not worth an analysis
        }
        let event = PythonEvent::named(&group.name)?;
        let build = self.build(file).ok()?;
        event.is_in(&build).then_some((build, event))
    }

    /// The interpreter in a file, or why nothing is made of it.
    pub(crate) fn build(&self, file: &FileProbes) -> Result<Arc<Build>, Refusal> {
        self.usable(file.findings(self.cache()))
    }

    /// What is known of an interpreter, its self-test included.
    fn usable(&self, findings: &Findings) -> Result<Arc<Build>, Refusal> {
        match &findings.check {
            Some(Check::Failed { why }) if !self.unchecked => Err(Refusal::SelfTest(why.clone())),
            _ => findings.analysis.clone(),
        }
    }

    /// Keeps how a self-test went.
    pub(crate) fn record(&self, findings: &mut Findings, check: Check) {
        self.cache().record(findings, check);
    }

    /// Uses the markers of this file from now on, since its self-test cannot be run. Whether that
    /// changes anything.
    pub(crate) fn give_up_stand_ins(&mut self, file: &FileProbes) -> bool {
        let mut groups = file.groups.iter();
        let any = groups.any(|group| drawback(file, group).is_some());
        any && self.untestable.insert(file.file.identity)
    }

    /// Why it is this probe, if its file has a marker with a drawback.
    pub(crate) fn remark(&self, file: &FileProbes, probe: &Probe) -> Option<String> {
        let drawback = drawback(file, file.group_of(probe)?)?;
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
            let refusal = self.usable(file.findings.get()?).err()?;
            format!("no other can be made: {refusal}")
        };
        Some(format!("the file's own marker {drawback}; {why}"))
    }

    fn cache(&self) -> &Cache {
        self.cache.get_or_init(Cache::of_user)
    }
}

/// Whether the file has a marker of this name, so that none needs to be made.
pub(crate) fn has_marker(file: &FileProbes, name: &str) -> bool {
    let mut groups = file.groups.iter();
    groups.any(|group| group.provider == cpython::PROVIDER && group.name == name)
}

/// What is wrong with a marker, if anything is.
fn drawback(file: &FileProbes, group: &Group) -> Option<&'static str> {
    let version = file.usdt.python?;
    (group.provider == cpython::PROVIDER)
        .then(|| cpython::drawback(version, &group.name))
        .flatten()
}
