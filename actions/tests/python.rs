//! Programs for CPythons without probes, through the kernel's verifier: every interpreter that is
//! found on the machine, with loops of either kind and without. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "tests say what was covered")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actions::active_frames::ActiveFrames;
use actions::follow::FollowFields;
use actions::lower::{Compiler, Enabled, Extras, LowerOptions, Object};
use dlang::check::UnknownArgs;
use dlang::diag::{Origin, Source};
use dlang::program::ProbeDesc;
use dlang::{CheckOptions, Macros};
use predicates::asm::OpenLoops;
use predicates::storage::TaskFields;
use provider::btf::Btf;
use provider::features::{self, KernelFeatures};
use provider::object::{MapId, Target};
use provider::probe::{File, Probe, ProbeId, ProbeKind, PythonEvent, PythonSites, Scope};
use provider::python::{self, Build, Event, Method};
use provider::session::Session;
use test_support::skipped;

/// Uses all arguments in all ways: compared, as keys alone and with others, printed.
const ALL: &str = r#"
function-entry /copyinstr(arg1) == "main"/ { self->on = 1; }
function-entry /self->on/ { printf("%s:%s:%d", basename(copyinstr(arg0)), copyinstr(arg1), arg2); }
function-return { @[copyinstr(arg1)] = count(); @both[copyinstr(arg0), arg2] = count(); }
gc-start { self->generation = arg0; }
gc-done { @collected[self->generation] = sum(arg0); }
audit { @events[copyinstr(arg0)] = count(); }
import-find-load-start { self->module = copyinstr(arg0); }
import-find-load-done { printf("%s %d", copyinstr(arg0), arg1); @modules[copyinstr(arg0)] = sum(arg1); }
"#;

/// Programs of single probes, with arguments and without.
const SOME: [&str; 17] = [
    "function-entry { @[copyinstr(arg1)] = count(); @both[copyinstr(arg0), arg1] = count(); }",
    "function-entry { this->x = 0; }",
    "function-return { this->x = 0; }",
    "function-entry { this->x = 0; } function-return { trace(arg2); }",
    "function-return { trace(copyinstr(arg0)); }",
    "gc-done { trace(arg0); }",
    "gc-start { trace(arg0); }",
    "gil-wait { self->ts = timestamp; }",
    "gil-acquire { @[tid] = sum(arg0); }\ngil-release { @released = count(); }",
    "gil-wait { trace(1); }\ngil-acquire /arg0 > 9/ { @[tid] = max(arg0); }\nfunction-entry { trace(arg0); }",
    "cfunction-entry { trace(copyinstr(arg0)); }",
    "cfunction-return { this->x = 0; }",
    "cfunction-entry { this->x = 0; }\ncfunction-return { @[copyinstr(arg1), copyinstr(arg0)] = count(); }",
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
fn lower(
    text: &str,
    path: &Path,
    build: &Arc<Build>,
    scope: Scope,
    open_loops: Option<OpenLoops>,
) -> Object {
    compile(text, path, build, scope, open_loops).1
}

/// The same, and gives the compiler too.
fn compile(
    text: &str,
    path: &Path,
    build: &Arc<Build>,
    scope: Scope,
    open_loops: Option<OpenLoops>,
) -> (Compiler, Object) {
    let source = Source {
        origin: Origin::Script("test.d".into()),
        text: text
            .lines()
            .map(|line| format!("{}\n", line.replace("function-", "python1:::function-")))
            .map(|line| {
                let bare = ["gc-", "gil-", "audit", "import-", "cfunction-"]
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
        born: None,
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
                place: 0,
                dependent: None,
                args: provider::synthesised::args(event).into(),
                kind: ProbeKind::Python(PythonSites {
                    file: Arc::clone(&file),
                    scope,
                    build: Arc::clone(build),
                    event,
                }),
                source: None,
                python: None,
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
        scratchsize: 256,
        ring_bytes: 1 << 16,
        aggregation_keys: Some(1024),
        dynvarsize: 1 << 20,
        speculations: 4,
        extras: Extras::default(),
        task: task_fields(),
        part_length: actions::lower::PART_LENGTH,
        open_loops,
        grows: false,
        frames: actions::frames::FrameOptions::default(),
        cpus: 1,
        cpu: None,
        in_locks: false,
        nests: false,
        follow: matches!(scope, Scope::Tree(_)).then_some(FollowFields {
            tgid: 8,
            signal: 16,
            live: 24,
        }),
    };
    let mut compiler = Compiler::new(Arc::new(program), options);
    let object = compiler.lower(&enabled).unwrap();
    (compiler, object)
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
        skipped("needs root");
        return;
    }
    for (path, build) in builds() {
        for open_loops in [Some(OpenLoops::MayGoto), Some(OpenLoops::Calls), None] {
            let found = KernelFeatures::open_loops();
            if open_loops == Some(OpenLoops::MayGoto) && found != Some(features::OpenLoops::MayGoto)
                || open_loops.is_some() && found.is_none()
            {
                continue;
            }
            for text in std::iter::once(ALL).chain(SOME) {
                // Lines take loops without a bound, and those by calls leave too little of the stack
                // for all of this at once.
                let has_lines = text.contains("arg2");
                let is_too_much = open_loops == Some(OpenLoops::Calls) && text == ALL;
                if has_lines && open_loops.is_none() || is_too_much {
                    continue;
                }
                let scopes = [Scope::System, Scope::Tree(1)];
                for scope in &scopes[..if text == ALL { 2 } else { 1 }] {
                    let object = lower(text, &path, &build, *scope, open_loops);
                    let mut session = Session::new(features.clone());
                    session.create_maps(&object.maps).unwrap();
                    for program in &object.programs {
                        if let Err(error) = session.load(program) {
                            let path = path.display();
                            panic!("{path}, {scope:?}, {open_loops:?}: {text}: {error}");
                        }
                    }
                }
            }
        }
        eprintln!(
            "covered: {} {:?} {}",
            build.version,
            build.method,
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
            let object = lower(text, &path, &build, Scope::System, Some(OpenLoops::MayGoto));
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

/// The file offsets that a program of one attachment is attached to.
fn attached(object: &Object) -> Vec<u64> {
    let [attachment] = object.attachments.as_slice() else {
        panic!("one attachment: {:?}", object.attachments);
    };
    let Target::Uprobes { sites, .. } = &attachment.target else {
        panic!("uprobes: {:?}", attachment.target);
    };
    sites.iter().map(|site| site.file_offset).collect()
}

#[test]
fn sites_are_attached_ends_first_and_all_where_they_pair() {
    const ENTRY: &str = "function-entry { this->x = 0; }";
    const RETURN: &str = "function-return { this->x = 0; }";
    let starts = |event| matches!(event, Event::Entry | Event::Throw);
    for (path, build) in builds() {
        for text in [ENTRY, RETURN, &format!("{ENTRY}\n{RETURN}")] {
            let mut sites = attached(&lower(
                text,
                &path,
                &build,
                Scope::System,
                Some(OpenLoops::MayGoto),
            ));
            let (entry, exit) = (text.contains("-entry"), text.contains("-return"));
            let all = build.sites.iter();
            let mut expected: Vec<u64> = match (build.method, &build.entries) {
                (Method::Handlers, Ok(alone)) if !exit => {
                    let others = [Event::Throw, Event::Compiled];
                    let others = all.filter(|site| others.contains(&site.event));
                    let alone = alone.iter().map(|entry| &entry.site);
                    alone.chain(others).map(|site| site.file_offset).collect()
                }
                (Method::Handlers, _) => all.map(|site| site.file_offset).collect(),
                (Method::Calls, _) => all
                    .filter(|site| if starts(site.event) { entry } else { exit })
                    .map(|site| site.file_offset)
                    .collect(),
            };
            let is_start = |at: &u64| {
                let site = build.sites.iter().find(|site| site.file_offset == *at);
                site.is_none_or(|site| starts(site.event))
            };
            if exit {
                assert!(sites.is_sorted_by_key(is_start), "{}", path.display());
            }
            sites.sort_unstable();
            expected.sort_unstable();
            assert_eq!(sites, expected, "{}: {text}", path.display());
        }
    }
}

#[test]
fn frames_of_dead_processes_are_taken_out() {
    const FULL: u64 = 64;
    if !KernelFeatures::loads_programs() {
        skipped("needs root");
        return;
    }
    let builds = builds();
    let paired = builds.iter().find(|(_, b)| b.method == Method::Handlers);
    let Some((path, build)) = paired else {
        skipped("needs a Python from 3.11 on");
        return;
    };
    let text = "function-return { this->x = 0; }";
    let (compiler, object) = compile(text, path, build, Scope::System, Some(OpenLoops::MayGoto));
    let mut session = Session::new(KernelFeatures::detect());
    session.create_maps(&object.maps).unwrap();
    let map = |name: &str| {
        let mut ids = (0..).map_while(|id| session.map(MapId(id)).ok());
        ids.find(|map| map.spec().name == name).unwrap()
    };
    let (table, more) = (map("python_active"), map("python_more"));
    let words = table.words().unwrap();
    let words = words.as_slice();
    let count = words.last().unwrap();
    // Two processes in turns, in the table and beyond.
    for n in 0..FULL {
        let at = usize::try_from(2 * n).unwrap();
        words[at].store(0x1000 + n, Ordering::SeqCst);
        words[at + 1].store(10 + n % 2, Ordering::SeqCst);
        let key = [0x5000 + n, 10 + n % 2].map(u64::to_ne_bytes).concat();
        more.update(&key, &[0; 8]).unwrap();
    }
    count.store(FULL, Ordering::SeqCst);
    let left = || {
        let mut processes = Vec::new();
        more.for_each(&mut |key, _| processes.push(key[8])).unwrap();
        processes.sort_unstable();
        processes.dedup();
        let taken = words.iter().take(words.len() - 1).step_by(2);
        let taken = taken.filter(|frame| frame.load(Ordering::SeqCst) != 0);
        (processes, taken.count())
    };
    assert_eq!(left(), (vec![10, 11], 64));
    let frames = ActiveFrames::of(&session, &compiler).unwrap().unwrap();
    frames.free_dead(|pid| pid == 10).unwrap();
    assert_eq!(left(), (vec![10], 32));
    assert_ne!(count.load(Ordering::SeqCst), 0, "there are some");
    frames.free_dead(|_| false).unwrap();
    assert_eq!(left(), (vec![], 0));
    assert_eq!(
        count.load(Ordering::SeqCst),
        0,
        "nothing has to be looked for"
    );
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
            Some(OpenLoops::MayGoto),
        );
        let returns = object.attachments.iter().find_map(|a| {
            if let Target::Returns { sites, .. } = &a.target {
                Some(sites.len())
            } else {
                None
            }
        });
        assert_eq!(returns, Some(collectors.len()), "{}", path.display());
    }
}
