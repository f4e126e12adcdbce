//! Following commands to their first instruction, and finding probes in what runs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{counter, has, install, map, root};
use dlang::program::ProbeDesc;
use nix::sys::signal::Signal;
use provider::catalog::{Catalog, Started};
use provider::features::KernelFeatures;
use provider::object::{Attachment, Context, MapId, MapKind, Target, UprobeSite};
use provider::probe::{Probe, ProbeKind, Scope};
use provider::process::{
    Exit, Mapped, MappingWatch, Running, Stopped, Whose, files, launch_stopped,
};
use provider::session::Session;

/// Debian 12's, which has all eight markers.
const PYTHON: &str = "/usr/bin/python3.11";

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn launch(words: &[&str]) -> Stopped {
    launch_stopped(&argv(words)).unwrap()
}

fn desc(text: &str) -> ProbeDesc {
    let mut fields = text.split(':').map(str::to_owned);
    let mut next = || fields.next().unwrap();
    ProbeDesc {
        provider: next(),
        module: next(),
        function: next(),
        name: next(),
    }
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleeping_python() -> Killed {
    let mut child = Command::new(PYTHON)
        .args(["-c", "import time; print('up', flush=True); time.sleep(60)"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    Killed(child)
}

fn script(dir: &Path, name: &str, text: &str) -> String {
    let (path, draft) = (dir.join(name), dir.join(format!("{name}.draft")));
    fs::write(&draft, text).unwrap();
    install(&draft, &path);
    path.to_str().unwrap().to_owned()
}

fn program_names(mut stopped: Stopped) -> (Vec<String>, Option<Exit>) {
    let mut names = Vec::new();
    while let Some(image) = stopped.next_image().unwrap() {
        names.push(
            image
                .program
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned(),
        );
    }
    let exit = stopped.resume().unwrap().exited();
    (names, exit)
}

#[test]
fn a_command_runs_and_its_status_is_known() {
    for (words, expected, text) in [
        (&["true"][..], Exit::Status(0), "has exited"),
        (
            &["sh", "-c", "exit 3"],
            Exit::Status(3),
            "exited with status 3",
        ),
        (
            &["sh", "-c", "kill -9 $$"],
            Exit::Signal(9),
            "terminated by SIGKILL",
        ),
    ] {
        let mut running = launch(words).resume().unwrap();
        let exit = running.wait(Duration::from_secs(10));
        assert_eq!(exit, Some(expected), "{words:?}");
        assert_eq!(exit.unwrap().to_string(), text);
    }
}

#[test]
fn nothing_runs_before_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("made");
    let mut stopped = launch(&["touch", file.to_str().unwrap()]);
    assert!(stopped.next_image().unwrap().is_some());
    sleep(Duration::from_millis(50));
    assert!(!file.exists());
    let mut running = stopped.resume().unwrap();
    assert_eq!(running.wait(Duration::from_secs(10)), Some(Exit::Status(0)));
    assert!(file.exists());
}

#[test]
fn a_command_that_does_not_exist_is_an_error_at_once() {
    for name in ["nosuch", "/nosuch/dir/nosuch", "/etc", "/etc/passwd", ""] {
        let error = launch_stopped(&argv(&[name])).unwrap_err().to_string();
        let reason = if name.starts_with("/etc") {
            "Permission denied"
        } else {
            "No such file or directory"
        };
        assert_eq!(error, format!("failed to execute {name}: {reason}"));
    }
}

#[test]
fn every_program_of_an_exec_chain_is_seen() {
    if !has(PYTHON) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let inner = script(
        dir.path(),
        "inner",
        "#!/bin/sh\nexec /usr/bin/python3.11 -c 'exit(7)'\n",
    );
    let outer = script(
        dir.path(),
        "outer",
        &format!("#!/usr/bin/env bash\nexec {inner}\n"),
    );
    let (names, exit) = program_names(launch(&[&outer]));
    let shell = fs::canonicalize("/bin/sh").unwrap();
    let shell = shell.file_name().unwrap().to_str().unwrap();
    assert_eq!(names, ["env", "bash", shell, "python3.11"]);
    assert_eq!(exit, Some(Exit::Status(7)));
}

#[test]
fn libraries_are_mapped_when_an_image_is_ready() {
    let mut stopped = launch(&["ls", "/"]);
    let image = stopped.next_image().unwrap().unwrap();
    let files = files::executable_files(image.pid);
    assert!(
        files
            .iter()
            .any(|file| file.shown.to_string_lossy().contains("libc.so")),
        "{files:?}"
    );
    drop(stopped);
    assert!(
        !Path::new(&format!("/proc/{}", image.pid)).exists(),
        "dropped means killed"
    );
}

#[test]
fn forked_children_run_free() {
    let (_, exit) = program_names(launch(&["sh", "-c", "(sleep 0.1; true) & wait; exit 5"]));
    assert_eq!(exit, Some(Exit::Status(5)));
}

#[test]
fn signals_reach_a_command_that_is_followed() {
    let (_, exit) = program_names(launch(&[
        "sh",
        "-c",
        "trap 'exit 9' USR1; kill -USR1 $$; sleep 5; exit 1",
    ]));
    assert_eq!(exit, Some(Exit::Status(9)));
    let (_, exit) = program_names(launch(&["bash", "-c", "kill -RTMIN+3 $$"]));
    assert!(
        matches!(exit, Some(Exit::Signal(signal)) if signal > 31),
        "{exit:?}"
    );
}

/// Waits until a command that ran on has arrived at its next program, or has ended.
fn arrives(stopped: &mut Stopped) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let arrived = stopped.arrived().unwrap();
        if arrived || stopped.has_ended() {
            return arrived;
        }
        assert!(Instant::now() < deadline, "it neither arrives nor ends");
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_command_runs_on_to_its_next_program_by_itself() {
    let script = "trap : USR1; kill -USR1 $$; (true; exit 3) && exit 1; exec env A=1 sleep 0";
    let mut stopped = launch(&["sh", "-c", script]);
    assert!(stopped.next_image().unwrap().is_some());
    assert!(stopped.arrived().unwrap(), "it is where it was");
    let mut programs = Vec::new();
    loop {
        stopped.run_on().unwrap();
        if !arrives(&mut stopped) {
            break;
        }
        let program = files::program(stopped.pid()).unwrap();
        programs.push(program.file_name().unwrap().to_string_lossy().into_owned());
    }
    assert_eq!(programs, ["env", "sleep"]);
    let mut running = stopped.resume().unwrap();
    assert_eq!(running.exited(), Some(Exit::Status(0)));
}

#[test]
fn a_command_that_runs_on_can_be_let_go_anywhere() {
    let mut stopped = launch(&["sh", "-c", "while :; do :; done"]);
    assert!(stopped.next_image().unwrap().is_some());
    stopped.run_on().unwrap();
    sleep(Duration::from_millis(20));
    let mut running = stopped.resume().unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    assert!(status.contains("TracerPid:\t0"), "{status}");
    sleep(Duration::from_millis(20));
    let stat = fs::read_to_string(format!("/proc/{}/stat", running.pid())).unwrap();
    assert!(stat.contains(") R "), "it goes on: {stat}");
    running.signal(Signal::SIGKILL).unwrap();
    let end = running.wait(Duration::from_secs(10));
    assert_eq!(end, Some(Exit::Signal(9)));
}

#[test]
fn a_followed_process_means_its_tree() {
    if !has(PYTHON) {
        return;
    }
    let (python, other) = (sleeping_python(), sleeping_python());
    let (root, pid) = (python.0.id(), other.0.id());
    let mut catalog = Catalog::new();
    catalog.follow(&[root]);
    let scopes = |probes: &[Arc<Probe>]| -> Vec<(String, Scope)> {
        let of = |probe: &Arc<Probe>| {
            let (_, scope) = probe.kind.file().unwrap();
            (probe.desc.provider.clone(), scope)
        };
        probes.iter().map(of).collect()
    };
    let its = desc(&format!("python{root}:python3.11::gc-start"));
    let tree = ("python".to_owned(), Scope::Tree(root));
    assert_eq!(scopes(&catalog.enable(&its)), std::slice::from_ref(&tree));
    assert_eq!(catalog.trees(&its), [root]);
    assert!(catalog.may_bring(&its).is_none());
    let listed = catalog.list(&its);
    assert_eq!(
        scopes(&listed),
        [(format!("python{root}"), Scope::Process(root))],
        "a listing names processes"
    );
    let others = desc(&format!("python{pid}:python3.11::gc-start"));
    assert_eq!(
        scopes(&catalog.enable(&others)),
        [(format!("python{pid}"), Scope::Process(pid))]
    );
    assert!(catalog.trees(&others).is_empty() && catalog.may_bring(&others).is_some());
    let all = desc("python*:python3.11::gc-start");
    assert_eq!(
        scopes(&catalog.enable(&all)),
        [("python".to_owned(), Scope::System)]
    );
    // What starts in the tree is the tree's, and nobody else's.
    let started = |root| [Started::now(pid, root)];
    let in_tree = catalog.enable_started(&its, &started(Some(root)));
    assert_eq!(scopes(&in_tree), [tree]);
    assert!(catalog.enable_started(&its, &started(None)).is_empty());
}

#[test]
fn processes_that_cannot_be_grabbed() {
    for pid in [999_999_999, 0] {
        let error = Running::attach(pid).unwrap_err().to_string();
        assert_eq!(error, format!("failed to grab pid {pid}: No such process"));
    }
    // A kernel thread has no program.
    assert!(Running::attach(2).is_err());
}

#[test]
fn the_end_of_a_grabbed_process_is_noticed() {
    let mut child = Killed(Command::new("sleep").arg("60").spawn().unwrap());
    let mut running = Running::attach(child.0.id()).unwrap();
    assert_eq!(running.wait(Duration::from_millis(20)), None);
    running.signal(Signal::SIGTERM).unwrap();
    child.0.wait().unwrap();
    assert_eq!(running.wait(Duration::from_secs(10)), Some(Exit::Gone));
}

fn probe_names(probes: &[Arc<Probe>]) -> BTreeSet<String> {
    probes
        .iter()
        .map(|probe| format!("{}:{}", probe.desc.provider, probe.desc.name))
        .collect()
}

#[test]
fn a_process_lists_its_eight_markers() {
    if !has(PYTHON) {
        return;
    }
    let python = sleeping_python();
    let pid = python.0.id();
    let mut catalog = markers();
    let probes = catalog.list(&desc(&format!("python{pid}:::")));
    let expected = [
        "audit",
        "function-entry",
        "function-return",
        "gc-done",
        "gc-start",
        "import-find-load-done",
        "import-find-load-start",
        "line",
    ];
    let expected: BTreeSet<String> = expected
        .iter()
        .map(|name| format!("python{pid}:{name}"))
        .collect();
    assert_eq!(probe_names(&probes), expected);
    assert!(probes.iter().all(|probe| probe.desc.module == "python3.11"));

    let again = catalog.list(&desc(&format!("python{pid}:::function__entry")));
    let [entry] = &again[..] else {
        panic!("{again:?}")
    };
    assert!(probes.iter().any(|probe| probe.id == entry.id), "ids stay");
    let types: Vec<String> = entry.args.iter().map(|arg| arg.ty.to_string()).collect();
    assert_eq!(types, ["char *", "char *", "int"]);
    assert_eq!(
        entry.args[0].meaning.as_deref(),
        Some("const char * (filename)")
    );

    catalog.set_target(pid);
    assert_eq!(catalog.list(&desc(":::gc-*")).len(), 2);
    assert!(
        catalog
            .list(&desc(&format!("ruby{pid}:::gc-start")))
            .is_empty()
    );
    assert!(catalog.list(&desc(":libc.so.6::gc-start")).is_empty());
}

#[test]
fn details_are_what_readelf_shows() {
    if !has(PYTHON) || !has("/usr/bin/readelf") {
        return;
    }
    let mut catalog = markers();
    let readelf = Command::new("readelf")
        .args(["-n", PYTHON])
        .output()
        .unwrap();
    let readelf = String::from_utf8(readelf.stdout).unwrap();
    let probes = catalog.enable(&desc("python*:python3.11::"));
    assert_eq!(probes.len(), 8);
    for probe in probes {
        let details = catalog.details(&probe).unwrap();
        assert!(readelf.contains(details.build_id.as_deref().unwrap()));
        for note in details.notes {
            let text = format!(
                "    Provider: {}\n    Name: {}\n    Location: {:#018x}, Base: {:#018x}, \
                 Semaphore: {:#018x}\n    Arguments: {}\n",
                note.provider, note.name, note.location, note.base, note.semaphore, note.arguments
            );
            assert!(readelf.contains(&text), "{text}");
        }
    }
}

/// A catalogue of probes that a Python has itself, whatever could be made in their place.
fn markers() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.prefer_markers("asked for");
    catalog
}

/// Counts firings of a probe while `during` runs.
fn count(probe: &Arc<Probe>, during: impl FnOnce()) -> u64 {
    let mut session = Session::new(KernelFeatures::detect());
    session
        .create_maps(&[map(MapKind::Array, 4, 8, 1)])
        .unwrap();
    let program = session
        .load(&counter(Context::Registers, MapId(0)))
        .unwrap();
    let ProbeKind::Sites(sites) = &probe.kind else {
        panic!("{probe:?}")
    };
    let target = Target::Uprobes {
        file: Arc::clone(&sites.file),
        scope: sites.scope,
        sites: sites
            .sites
            .iter()
            .map(|site| UprobeSite {
                file_offset: site.file_offset,
                semaphore: site.semaphore,
                cookie: 0,
            })
            .collect(),
    };
    session
        .raise_semaphores(std::slice::from_ref(probe))
        .unwrap();
    session.attach(&Attachment { program, target }).unwrap();
    during();
    session.detach_all();
    let mut value = [0; 8];
    session
        .map(MapId(0))
        .unwrap()
        .lookup(&[0; 4], &mut value)
        .unwrap();
    u64::from_ne_bytes(value)
}

const CALLS: &str = "def f(): pass\nfor i in range(1000): f()";

#[test]
fn a_launched_python_fires_every_entry() {
    if !root() || !has(PYTHON) {
        return;
    }
    let mut stopped = launch(&[PYTHON, "-S", "-c", CALLS]);
    let image = stopped.next_image().unwrap().unwrap();
    let mut catalog = markers();
    catalog.set_target(image.pid);
    let probes = catalog.enable(&desc(&format!("python{}:::function-entry", image.pid)));
    let [probe] = &probes[..] else {
        panic!("{probes:?}")
    };
    let fired = count(probe, || {
        let mut running = stopped.resume().unwrap();
        assert_eq!(running.wait(Duration::from_secs(20)), Some(Exit::Status(0)));
    });
    assert!(fired > 1000, "{fired}");
}

#[test]
fn a_glob_means_processes_that_start_later() {
    if !root() || !has(PYTHON) {
        return;
    }
    let mut catalog = markers();
    let probes = catalog.enable(&desc("python*:python3.11::function-entry"));
    let [probe] = &probes[..] else {
        panic!("{probes:?}")
    };
    assert_eq!(probe.desc.provider, "python");
    let ProbeKind::Sites(sites) = &probe.kind else {
        panic!()
    };
    assert_eq!(sites.scope, Scope::System);
    let fired = count(probe, || {
        assert!(
            Command::new(PYTHON)
                .args(["-S", "-c", CALLS])
                .status()
                .unwrap()
                .success()
        );
    });
    assert!(fired > 1000, "{fired}");
}

#[test]
fn what_is_mapped_is_noticed_though_the_process_has_ended() {
    if !root() {
        return;
    }
    let mut watch = MappingWatch::start(&KernelFeatures::detect(), Whose::default()).unwrap();
    let one = Whose {
        only: Some(vec![1]),
        ..Whose::default()
    };
    let mut others = MappingWatch::start(&KernelFeatures::detect(), one).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("true");
    install(Path::new("/bin/true"), &copy);
    let mut child = Command::new(&copy).spawn().unwrap();
    child.wait().unwrap();
    // What it did last is known as soon as the watch has been stopped.
    watch.stop();
    others.stop();
    let mapped = watch.take().remove(&child.id()).unwrap_or_default();
    assert!(mapped.gone.is_empty() && !mapped.incomplete, "{mapped:?}");
    let files = mapped.files.iter();
    let names: Vec<_> = files
        .map(|(file, _)| file.shown.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names.first(), Some(&"true"), "{names:?}");
    assert!(names.contains(&"libc.so.6"), "{names:?}");
    assert!(!others.take().contains_key(&child.id()));
}

#[test]
fn a_new_file_is_found_when_it_starts() {
    if !root() || !has(PYTHON) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("mypython");
    install(Path::new(PYTHON), &copy);
    let mut catalog = Catalog::new();
    let everywhere = desc("python*:::gc-start");
    catalog.enable(&everywhere);
    let known = catalog.newest();
    let mut watch = MappingWatch::start(&KernelFeatures::detect(), Whose::default()).unwrap();
    let child = Killed(
        Command::new(&copy)
            .args(["-c", "import time; time.sleep(9)"])
            .spawn()
            .unwrap(),
    );
    // The report comes when the program has been mapped, a moment after spawn returns.
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut mapped = None;
    while mapped.is_none() && Instant::now() < deadline {
        sleep(Duration::from_millis(2));
        mapped = watch.take().remove(&child.0.id());
    }
    let started = [Started::after(child.0.id(), None, mapped.unwrap())];
    let mut new = catalog.enable_started(&everywhere, &started);
    new.retain(|probe| probe.id > known);
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(new[0].desc.module, "mypython");
    let newest = catalog.newest();
    let again = catalog.enable_started(&everywhere, &started);
    assert!(!again.is_empty(), "another clause may ask for it too");
    assert_eq!(catalog.newest(), newest, "and it is the same probe");
}

#[test]
fn the_doctor_knows_this_python() {
    if !has(PYTHON) {
        return;
    }
    let python = sleeping_python();
    let pid = python.0.id();
    let told = |text: &str| {
        let desc = desc(&text.replace("PID", &pid.to_string()));
        provider::doctor::diagnose(&mut Catalog::new(), &desc).to_string()
    };
    let text = told("pythonPID:::function-enty");
    assert!(text.contains("did you mean `function-entry`?"), "{text}");
    assert!(
        text.contains("this is CPython 3.11.2 in /usr/bin/python3.11"),
        "{text}"
    );
    let text = told("pythonPID:nosuch::line");
    assert!(text.contains("none in the module `nosuch`"), "{text}");
    assert!(text.contains("modules with probes: python3.11"), "{text}");
    let text = told("pytonPID:::line");
    assert!(
        text.contains(&format!("did you mean `python{pid}`?")),
        "{text}"
    );
    let text = told("python*:::function-enty");
    assert!(text.contains("did you mean `function-entry`?"), "{text}");
}

#[test]
fn a_file_of_a_layer_that_two_containers_share_is_one_file() {
    if !root() || !has(PYTHON) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("lower")).unwrap();
    fs::copy(PYTHON, path("lower/python3.11")).unwrap();
    let mount = |name: &str| {
        for part in ["", "-upper", "-work"] {
            fs::create_dir(path(&format!("{name}{part}"))).unwrap();
        }
        let part = |part: &str| path(&format!("{name}{part}")).display().to_string();
        let lower = path("lower").display().to_string();
        let options = format!(
            "lowerdir={lower},upperdir={},workdir={}",
            part("-upper"),
            part("-work")
        );
        let mut command = Command::new("mount");
        command.args(["-t", "overlay", "overlay", "-o", &options]);
        let mounted = command.arg(path(name)).status();
        mounted.is_ok_and(|status| status.success())
    };
    let unmount = |name: &str| Command::new("umount").arg(path(name)).status();
    if mount("a") && mount("b") {
        let started = |name: &str, pid| Started {
            pid,
            root: None,
            mapped: Mapped::default(),
            files: vec![files::file_at(&path(name).join("python3.11")).unwrap()],
        };
        let mut catalog = markers();
        let desc = desc("python*:::gc-start");
        let first = catalog.enable_started(&desc, &[started("a", 1)]);
        let second = catalog.enable_started(&desc, &[started("b", 2)]);
        assert_eq!(first.len(), 1);
        let ids = |probes: &[Arc<Probe>]| probes.iter().map(|probe| probe.id).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&second), "one probe, attached once");
        let (file, _) = first[0].kind.file().unwrap();
        assert!(catalog.stands_for_others(file));
    } else {
        test_support::skipped("needs overlay file systems");
    }
    let _ = (unmount("a"), unmount("b"));
}
