//! Programs for CPythons without probes, through the kernel's verifier: every interpreter that is
//! found on the machine, with `may_goto` and without. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "tests say what was covered")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actions::follow::FollowFields;
use actions::lower::{Compiler, Enabled, LowerOptions, Object};
use dlang::check::UnknownArgs;
use dlang::diag::{Origin, Source};
use dlang::program::ProbeDesc;
use dlang::{CheckOptions, Macros};
use predicates::storage::TaskFields;
use provider::btf::Btf;
use provider::features::KernelFeatures;
use provider::object::Target;
use provider::probe::{File, Probe, ProbeId, ProbeKind, PythonEvent, PythonSites, Scope};
use provider::python::{self, Build, Event, Recipe};
use provider::session::Session;

/// Uses all arguments in all ways: compared, as keys alone and with others, printed.
const ALL: &str = r#"
function-entry /copyinstr(arg1) == "main"/ { self->on = 1; }
function-entry /self->on/ { printf("%s:%s:%d", basename(copyinstr(arg0)), copyinstr(arg1), arg2); }
function-return { @[copyinstr(arg3)] = count(); @both[copyinstr(arg0), arg2] = count(); }
gc-start { self->generation = arg0; }
gc-done { @collected[self->generation] = sum(arg0); }
audit { @events[copyinstr(arg0)] = count(); }
import-find-load-start { self->module = copyinstr(arg0); }
import-find-load-done { printf("%s %d", copyinstr(arg0), arg1); @modules[copyinstr(arg0)] = sum(arg1); }
"#;

/// Programs of single probes, with arguments and without.
const SOME: [&str; 11] = [
    "function-entry { @[copyinstr(arg1)] = count(); @both[copyinstr(arg0), arg1] = count(); }",
    "function-entry { this->x = 0; }",
    "function-return { this->x = 0; }",
    "function-entry { this->x = 0; } function-return { trace(arg2); }",
    "function-return { trace(copyinstr(arg0)); }",
    "gc-done { trace(arg0); }",
    "gc-start { trace(arg0); }",
    "import-find-load-start { trace(copyinstr(arg0)); }",
    "import-find-load-start { this->x = 0; }",
    "import-find-load-done { trace(arg1); }",
    "import-find-load-start { this->x = 0; }\nimport-find-load-done { trace(copyinstr(arg0)); }",
];

/// The interpreters of pyenv, the system and the peers' chroot, with what was found out of them.
fn builds() -> Vec<(PathBuf, Arc<Build>)> {
    let home = std::env::home_dir().unwrap_or_default();
    let mut folders = vec![
        PathBuf::from("/usr/bin"),
        home.join(".cache/rdtrace-peers/usr/bin"),
    ];
    let versions = std::fs::read_dir(home.join(".pyenv/versions"));
    for version in versions.into_iter().flatten().flatten() {
        folders.push(version.path().join("bin"));
        folders.push(version.path().join("lib"));
    }
    let mut files: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(Iterator::flatten)
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("python3") || name.starts_with("libpython3")
        })
        .filter_map(|entry| entry.path().canonicalize().ok())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.dedup();
    files
        .into_iter()
        .filter_map(|path| {
            let build = python::analyse(&std::fs::read(&path).ok()?).ok()?;
            Some((path, Arc::new(build)))
        })
        .flat_map(|(path, build)| [without_lock(&path, &build), Some((path, build))])
        .flatten()
        .collect()
}

/// The same build as if it were free-threaded, if its version can be: for the verifier, only the
/// offsets are different.
fn without_lock(path: &Path, build: &Build) -> Option<(PathBuf, Arc<Build>)> {
    let build = Build {
        free_threaded: true,
        offsets: python::offsets_of(build.version.minor, true)?,
        ..build.clone()
    };
    Some((path.to_owned(), Arc::new(build)))
}

/// Compiles clauses on the synthesised probes of a build; those that it lacks are left out.
fn lower(text: &str, path: &Path, build: &Arc<Build>, scope: Scope, may_goto: bool) -> Object {
    let source = Source {
        origin: Origin::Script("test.d".into()),
        text: text
            .lines()
            .map(|line| format!("{}\n", line.replace("function-", "python1:::function-")))
            .map(|line| {
                let bare = ["gc-", "audit", "import-"]
                    .iter()
                    .any(|name| line.starts_with(name));
                if bare {
                    format!("python1:::{line}")
                } else {
                    line
                }
            })
            .collect(),
    };
    let ast = dlang::parse(std::slice::from_ref(&source), &Macros::default()).unwrap();
    let program = dlang::check(&ast, &UnknownArgs, &CheckOptions::default()).unwrap();
    let file = Arc::new(File {
        path: path.to_owned(),
        shown: path.to_owned(),
        identity: (1, 1),
    });
    let probes: Vec<Arc<Probe>> = (1..)
        .zip(PythonEvent::ALL)
        .filter(|(_, event)| event.is_in(build))
        .map(|(id, event)| {
            Arc::new(Probe {
                id: ProbeId(id),
                desc: ProbeDesc {
                    provider: "python1".into(),
                    module: "python".into(),
                    function: "eval".into(),
                    name: event.name().into(),
                },
                args: provider::synthesised::args(event),
                kind: ProbeKind::Python(PythonSites {
                    file: Arc::clone(&file),
                    scope,
                    build: Arc::clone(build),
                    event,
                }),
                source: None,
            })
        })
        .collect();
    let enabled: Vec<Enabled> = program
        .clauses
        .iter()
        .enumerate()
        .flat_map(|(clause, of)| {
            let named =
                |probe: &&Arc<Probe>| of.probes.iter().any(|d| d.desc.name == probe.desc.name);
            let probes: Vec<_> = probes.iter().filter(named).cloned().collect();
            probes
                .into_iter()
                .map(move |probe| Enabled { clause, probe })
        })
        .collect();
    let options = LowerOptions {
        strsize: 256,
        ring_bytes: 1 << 16,
        aggregation_keys: 1024,
        dynvarsize: 1 << 20,
        flow: false,
        task: task_fields(),
        may_goto,
        grows: false,
        follow: matches!(scope, Scope::Tree(_)).then_some(FollowFields {
            tgid: 8,
            signal: 16,
            live: 24,
        }),
    };
    Compiler::new(Arc::new(program), options)
        .lower(&enabled)
        .unwrap()
}

/// As the command finds them.
fn task_fields() -> TaskFields {
    let mut btf = Btf::of_kernel();
    TaskFields {
        self_exec_id: btf
            .as_mut()
            .and_then(|btf| btf.member_offset("task_struct", "self_exec_id")),
        ..TaskFields::default()
    }
}

#[test]
fn every_program_passes_the_verifier() {
    let features = KernelFeatures::detect();
    if !KernelFeatures::loads_programs() {
        eprintln!("skipped: no rights to load programs");
        return;
    }
    for (path, build) in builds() {
        for may_goto in [true, false] {
            if may_goto && !KernelFeatures::may_goto() {
                continue;
            }
            for text in std::iter::once(ALL).chain(SOME) {
                // Lines take `may_goto`.
                if !may_goto && text.contains("arg2") {
                    continue;
                }
                let scopes = [Scope::System, Scope::Tree(1)];
                for scope in &scopes[..if text == ALL { 2 } else { 1 }] {
                    let object = lower(text, &path, &build, *scope, may_goto);
                    let mut session = Session::new(features.clone());
                    session.create_maps(&object.maps).unwrap();
                    for program in &object.programs {
                        if let Err(error) = session.load(program) {
                            let path = path.display();
                            panic!("{path}, {scope:?}, may_goto {may_goto}: {text}: {error}");
                        }
                    }
                }
            }
        }
        eprintln!(
            "covered: {} {:?} {}",
            build.version,
            build.recipe,
            path.display()
        );
    }
}

#[test]
fn imports_are_attached_ends_first_and_cost_functions_nothing() {
    for (path, build) in builds() {
        let imports = build.imports.as_ref().unwrap();
        let starts: Vec<u64> = imports.sites.iter().map(|s| s.start_offset).collect();
        let ends: Vec<u64> = imports.sites.iter().map(|s| s.done_offset).collect();
        for (text, expected) in [
            ("import-find-load-start { trace(arg0); }", starts.clone()),
            (
                "import-find-load-done { trace(arg1); }",
                [ends, starts].concat(),
            ),
        ] {
            let object = lower(text, &path, &build, Scope::System, true);
            let [attachment] = object.attachments.as_slice() else {
                panic!("one attachment: {:?}", object.attachments);
            };
            let Target::Uprobes { sites, .. } = &attachment.target else {
                panic!("uprobes: {:?}", attachment.target);
            };
            let sites: Vec<u64> = sites.iter().map(|site| site.file_offset).collect();
            assert_eq!(sites, expected, "{}", path.display());
        }
    }
}

#[test]
fn sites_are_attached_ends_first_and_all_where_they_pair() {
    for (path, build) in builds() {
        for text in &SOME[..3] {
            let object = lower(text, &path, &build, Scope::System, true);
            let [attachment] = object.attachments.as_slice() else {
                panic!("one attachment: {:?}", object.attachments);
            };
            let Target::Uprobes { sites, .. } = &attachment.target else {
                panic!("uprobes: {:?}", attachment.target);
            };
            let starts: Vec<bool> = sites
                .iter()
                .filter_map(|at| build.sites.iter().find(|s| s.file_offset == at.file_offset))
                .map(|site| matches!(site.event, Event::Entry | Event::Throw))
                .collect();
            assert_eq!(starts.len(), sites.len(), "{}", path.display());
            assert!(starts.is_sorted(), "{}", path.display());
            if build.recipe == Recipe::Handlers {
                assert_eq!(starts.len(), build.sites.len(), "{}", path.display());
            } else {
                let entry = text.contains("-entry");
                assert!(starts.iter().all(|&start| start == entry), "{text}");
            }
        }
    }
}

#[test]
fn collections_end_where_the_collector_returns() {
    for (path, build) in builds() {
        let Ok(collectors) = &build.collectors else {
            continue;
        };
        let object = lower(
            "gc-done { trace(arg0); }",
            &path,
            &build,
            Scope::System,
            true,
        );
        let returns = object.attachments.iter().find_map(|a| match &a.target {
            Target::Returns { sites, .. } => Some(sites.len()),
            _ => None,
        });
        assert_eq!(returns, Some(collectors.len()), "{}", path.display());
    }
}
