//! The choice between a file's markers and what can be made from the code of its interpreter.
//!
//! A Python may have a marker, which it was built with, and the same event can be seen in the machine
//! code of most ([`crate::python`]). A probe is
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

use dlang::program::ProbeDesc;

use super::file::{FileProbes, Group, Identity};
use super::meaning::{description, fits, means, provider_in};
use super::probes::{Key, Origin, Place};
use crate::probe::{Probe, ProbeArg, ProbeKind, PythonEvent, Scope};
use crate::python::cache::{Cache, Check, Findings};
use crate::python::{Build, Refusal};
use crate::usdt::cpython;

/// What is preferred, and what is known that speaks against it.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Interpreters are used though they failed their self-test.
    pub(super) unchecked: bool,
    /// Why markers are used though something better could be made, if they are.
    pub(super) markers: Option<&'static str>,
    /// Files whose markers are used because nothing else could be tested.
    untestable: HashSet<Identity>,
    cache: Arc<OnceLock<Cache>>,
}

/// A probe that a file has for a description.
#[derive(Clone, Debug)]
pub(super) struct Offer<'f> {
    file: &'f FileProbes,
    scope: Scope,
    /// The full name.
    desc: ProbeDesc,
    source: Source<'f>,
}

/// What a probe is made of.
#[derive(Clone, Debug)]
enum Source<'f> {
    Marker(&'f Group),
    Code(Arc<Build>, PythonEvent),
}

impl Choice {
    /// The probes of a file that `desc` means in a scope: those that it has markers for, then those
    /// that are made from nothing but code.
    pub(super) fn offers<'f>(
        &self,
        file: &'f FileProbes,
        desc: &ProbeDesc,
        scope: Scope,
    ) -> Vec<Offer<'f>> {
        // A name may be written with `__`, as in the program's source.
        let wanted = ProbeDesc {
            name: desc.name.replace("__", "-"),
            ..desc.clone()
        };
        let mut offers = self.for_markers(file, &wanted, scope);
        offers.extend(self.without_markers(file, &wanted, scope));
        offers
    }

    /// The probes that a file has markers for, whether they are used or not.
    fn for_markers<'f>(
        &self,
        file: &'f FileProbes,
        wanted: &ProbeDesc,
        scope: Scope,
    ) -> Vec<Offer<'f>> {
        let module = file.module();
        let groups = file.groups.iter().filter(|group| {
            means(&wanted.provider, &group.provider, scope)
                && fits(wanted, &module, &group.function, &group.name)
        });
        groups
            .map(|group| Offer {
                file,
                scope,
                desc: description(
                    &provider_in(scope, &group.provider),
                    &module,
                    &group.function,
                    &group.name,
                ),
                source: match self.stand_in(file, group) {
                    Some((build, event)) => Source::Code(build, event),
                    None => Source::Marker(group),
                },
            })
            .collect()
    }

    /// The probes of a Python that it has no markers for.
    fn without_markers<'f>(
        &self,
        file: &'f FileProbes,
        wanted: &ProbeDesc,
        scope: Scope,
    ) -> Vec<Offer<'f>> {
        if !means(&wanted.provider, cpython::PROVIDER, scope) {
            return Vec::new();
        }
        let module = file.module();
        let mut events = PythonEvent::ALL.to_vec();
        events.retain(|event| {
            fits(wanted, &module, event.function(), event.name()) && !file.has_marker(event.name())
        });
        if events.is_empty() {
            return Vec::new(); // not worth an analysis
        }
        let Ok(build) = self.build(file) else {
            return Vec::new();
        };
        let provider = provider_in(scope, cpython::PROVIDER);
        let made = events.into_iter().filter(|event| event.is_in(&build));
        made.map(|event| Offer {
            file,
            scope,
            desc: description(&provider, &module, event.function(), event.name()),
            source: Source::Code(Arc::clone(&build), event),
        })
        .collect()
    }

    /// What is used in place of a marker: if that has a drawback, and the interpreter's code
    /// gives the same probe without it. All else about the probe stays.
    fn stand_in(&self, file: &FileProbes, group: &Group) -> Option<(Arc<Build>, PythonEvent)> {
        let wanted = self.markers.is_none() && !self.untestable.contains(&file.file.identity);
        if !wanted || file.drawback(group).is_none() {
            return None; // not worth an analysis
        }
        let event = PythonEvent::named(&group.name)?;
        let build = self.build(file).ok()?;
        event.is_in(&build).then_some((build, event))
    }

    /// The interpreter in a file, or why nothing is made of it.
    pub(super) fn build(&self, file: &FileProbes) -> Result<Arc<Build>, Refusal> {
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
    pub(super) fn record(&self, findings: &mut Findings, check: Check) {
        self.cache().record(findings, check);
    }

    /// Uses the markers of this file from now on, since its self-test cannot be run. Whether that
    /// changes anything.
    pub(super) fn give_up_stand_ins(&mut self, file: &FileProbes) -> bool {
        let mut groups = file.groups.iter();
        let any = groups.any(|group| file.drawback(group).is_some());
        any && self.untestable.insert(file.file.identity)
    }

    /// Why it is this probe, if its file has a marker with a drawback.
    pub(super) fn remark(&self, file: &FileProbes, probe: &Probe) -> Option<String> {
        let drawback = file.drawback(file.group_of(probe)?)?;
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

impl Offer<'_> {
    /// What makes it the same probe as before.
    pub(super) fn key(&self) -> Key {
        Key {
            desc: self.desc.clone(),
            place: Some(Place {
                file: self.file.file.identity,
                scope: self.scope,
                origin: match self.source {
                    Source::Marker(_) => Origin::Marker,
                    Source::Code(..) => Origin::Code,
                },
            }),
        }
    }

    /// Its arguments, and what fires it.
    pub(super) fn make(self) -> (Vec<ProbeArg>, ProbeKind) {
        match self.source {
            Source::Marker(group) => self.file.marker(group, self.scope),
            Source::Code(build, event) => self.file.synthesised(build, event, self.scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Catalog;
    use super::super::tests::desc;
    use super::*;
    use crate::probe::File;
    use crate::usdt::UsdtFile;

    /// A CPython 3.11 that is not there, with two markers, and what its code tells.
    fn with_markers(findings: OnceLock<Findings>) -> Arc<FileProbes> {
        let group = |name: &str| Group {
            provider: cpython::PROVIDER.into(),
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
                shown: "/usr/bin/python3.11".into(),
                identity: (1, 2),
            }),
            usdt: UsdtFile {
                python: Some(version),
                ..UsdtFile::default()
            },
            findings,
        })
    }

    /// What the code of a 3.11 tells.
    fn findings() -> Findings {
        let files = crate::python::recorded::recorded();
        let (_, python) = files
            .iter()
            .find(|(name, _)| name.starts_with("3.11.2"))
            .unwrap();
        let mut findings = Cache::default().find_out(Path::new("/nonexistent"));
        findings.analysis = crate::python::analyse(python).map(Arc::new);
        findings
    }

    fn match_name(catalog: &mut Catalog, file: &Arc<FileProbes>, name: &str) -> Arc<Probe> {
        catalog.files.insert(Arc::clone(file));
        let desc = desc(&format!("python*:::{name}"));
        let files = [Arc::clone(&file.file)];
        let mut found = catalog.match_files(files, &desc, Scope::System);
        assert_eq!(found.len(), 1, "{name}");
        found.remove(0)
    }

    #[test]
    fn a_marker_with_a_drawback_is_replaced_where_the_code_gives_the_same() {
        let mut file = with_markers(findings().into());
        let mut catalog = Catalog::new();

        let made = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(made.kind, ProbeKind::Python(_)));
        assert_eq!(
            made.desc,
            desc("python:python3.11:sys_trace:function-entry")
        );
        assert!(catalog.remark(&made).unwrap().contains("stands in"));

        // While its self-test cannot be run, or once it has failed, the marker is what there is.
        assert!(catalog.give_up_stand_ins(&file.file));
        let marker = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(marker.kind, ProbeKind::Sites(_)));
        let remark = catalog.remark(&marker).unwrap();
        assert!(remark.ends_with("cannot be run"), "{remark}");
        catalog.choice.untestable.clear();
        let failed = Check::Failed { why: "no".into() };
        Arc::make_mut(&mut file).findings.get_mut().unwrap().check = Some(failed);
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
        assert!(file.findings.get().is_none(), "not worth an analysis");
        let marker = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(marker.kind, ProbeKind::Sites(_)));
        assert!(
            file.findings
                .get()
                .is_some_and(|found| found.analysis.is_err())
        );

        let mut catalog = Catalog::new();
        catalog.prefer_markers("asked for");
        let file = with_markers(OnceLock::new());
        let marker = match_name(&mut catalog, &file, "function-entry");
        assert!(matches!(marker.kind, ProbeKind::Sites(_)));
        assert!(file.findings.get().is_none(), "not worth an analysis");
        assert!(catalog.remark(&marker).unwrap().ends_with("; asked for"));
    }

    #[test]
    fn what_has_no_marker_is_made_from_the_code_until_that_fails_its_test() {
        let mut findings = findings();
        let names = |findings: &Findings, unchecked| {
            let choice = Choice {
                unchecked,
                ..Choice::default()
            };
            let file = with_markers(findings.clone().into());
            let offers = choice.offers(&file, &desc("python12:::function__*"), Scope::Process(12));
            let name = |offer: Offer<'_>| format!("{}:{}", offer.desc.provider, offer.desc.name);
            offers.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&findings, false),
            ["python12:function-entry", "python12:function-return"]
        );
        findings.check = Some(Check::Failed { why: "no".into() });
        assert_eq!(names(&findings, false), ["python12:function-entry"]);
        assert_eq!(
            names(&findings, true),
            ["python12:function-entry", "python12:function-return"]
        );
    }
}
