//! Which probe of a Python is chosen.

use std::path::Path;

use std::sync::OnceLock;

use super::tests::desc;
use super::*;
use crate::providers::file::{FileProbes, Group};
use crate::python::cache::{Cache, Findings};
use crate::python_objects::PythonObjects;
use crate::usdt::{UsdtFile, cpython};

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
            born: None,
        }),
        usdt: UsdtFile {
            python: Some(version),
            ..UsdtFile::default()
        },
        findings,
        functions: OnceLock::new(),
        frames: OnceLock::new(),
        looks_for_callers: OnceLock::new(),
        objects: Arc::new(PythonObjects::of(Path::new("/nonexistent"))),
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
        let search = Search {
            file: &file,
            scope: Scope::Process(12),
            choice: &choice,
            claimed: &claimed(),
        };
        let desc = desc("python12:::function__*");
        let offers = PROVIDERS
            .iter()
            .flat_map(|part| part.in_file(&search, &desc));
        let name = |desc: ProbeDesc| format!("{}:{}", desc.provider, desc.name);
        offers.map(|offer| name(offer.key.desc)).collect::<Vec<_>>()
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
