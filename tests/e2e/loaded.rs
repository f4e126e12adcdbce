//! Interpreters that come while tracing goes on: by exec, by dlopen, and for a moment only.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{
    Background, Outcome, PYTHON, RDTRACE, Running, as_nobody, can_trace_python, install, rdtrace,
    run, skipped, trigger, wait_for_text, wait_until,
};

/// A Python of pyenv that has its interpreter in a library.
struct Pyenv {
    program: PathBuf,
    library: PathBuf,
    prefix: PathBuf,
}

/// The Pythons of pyenv that can be loaded into another program: the newest first.
fn of_pyenv() -> Vec<Pyenv> {
    let versions = std::env::home_dir().unwrap().join(".pyenv/versions");
    let mut found = Vec::new();
    for version in fs::read_dir(versions).into_iter().flatten().flatten() {
        let prefix = version.path();
        for minor in 10..15 {
            let library = prefix.join(format!("lib/libpython3.{minor}.so.1.0"));
            if library.exists() {
                let program = prefix.join("bin/python3");
                found.push((minor, program, library, prefix.clone()));
            }
        }
    }
    found.sort_by_key(|(minor, ..)| std::cmp::Reverse(*minor));
    let pyenv = |(_, program, library, prefix)| Pyenv {
        program,
        library,
        prefix,
    };
    let found: Vec<Pyenv> = found.into_iter().map(pyenv).collect();
    if found.len() < 2 {
        skipped("needs two Pythons of pyenv with shared libraries");
    }
    found
}

/// Counts the calls of `work()` by interpreter.
fn count_work(provider: &str) -> String {
    format!(
        "{provider}:::function-entry /copyinstr(arg1) == \"work\"/ {{ @[probemod] = count(); }}"
    )
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// `loads SECONDS LIBRARY...`, which finds its modules.
fn loads(seconds: &str, libraries: &[&Pyenv]) -> Vec<String> {
    let mut argv = trigger("loads.c");
    argv.push(seconds.to_owned());
    argv.extend(
        libraries
            .iter()
            .map(|python| python.library.to_str().unwrap().to_owned()),
    );
    argv
}

fn at_home(mut command: Command, python: &Pyenv) -> Command {
    command.env("PYTHONHOME", &python.prefix);
    command
}

/// What was counted, a word for each column.
fn counted(outcome: Outcome) -> Vec<String> {
    let output = outcome.clean_but_late();
    output.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn an_interpreter_that_is_loaded_late_is_traced() {
    if !can_trace_python() {
        return;
    }
    let pythons = of_pyenv();
    let [python, ..] = &pythons[..] else { return };
    let expected = [name(&python.library), "100"];
    let command = loads("1", &[python]).join(" ");
    let target = count_work("python$target");
    let everywhere = count_work("python*").replace("/copy", "/pid == $target && copy");
    for options in [
        vec!["-qn", &target, "-c", &command],
        vec!["-x", "followfork", "-qn", &target, "-c", &command],
        vec!["-qn", &everywhere, "-c", &command],
    ] {
        let outcome = run(at_home(rdtrace(&options), python));
        // While all processes are watched, another's interpreter may be looked at first.
        let told = options[1] == everywhere && outcome.stderr.contains(expected[0]);
        let counted = counted(outcome);
        assert!(told || counted == expected, "{options:?}: {counted:?}");
    }
    let nested = format!("sh -c \"{command}; true\"");
    let options = ["-x", "followfork", "-qn", &target, "-c", &nested];
    let outcome = run(at_home(rdtrace(options), python));
    let told = outcome.stderr.contains(expected[0]);
    let counted = counted(outcome);
    let all = counted == expected;
    assert!(
        all || told,
        "a child's calls are counted or told: {counted:?}"
    );
}

#[test]
fn an_interpreter_that_a_running_process_loads_is_traced() {
    if !can_trace_python() {
        return;
    }
    let pythons = of_pyenv();
    let [python, ..] = &pythons[..] else { return };
    // The second time its library is known, and nothing is missed.
    let argv = loads("1", &[python]);
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]);
    let target = Background::start(at_home(command, python));
    let program = count_work("python$target");
    let outcome = run(rdtrace(["-Zqn", &program, "-p", &target.pid().to_string()]));
    let told = outcome.stderr.contains(name(&python.library));
    let counted = counted(outcome);
    assert!(told || !counted.is_empty(), "neither counted nor told");
}

#[test]
fn two_interpreters_in_one_process_are_counted_and_listed_by_module() {
    if !can_trace_python() {
        return;
    }
    let pythons = of_pyenv();
    let [newest, .., oldest] = &pythons[..] else {
        return;
    };
    let argv = loads("0.3", &[newest, oldest]);
    let program = count_work("python$target");
    // No PYTHONHOME serves both.
    let outcome = run(rdtrace(["-qn", &program, "-c", &argv.join(" ")]));
    let mut rows: Vec<String> = counted(outcome);
    rows.sort_unstable();
    let mut expected = ["100", "100", name(&newest.library), name(&oldest.library)];
    expected.sort_unstable();
    assert_eq!(rows, expected);
    let both = format!(
        "import ctypes, time; ctypes.CDLL({:?}); print('loaded', flush=True); time.sleep(60)",
        oldest.library
    );
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut command = Command::new(&newest.program);
    command
        .args(["-c", &both])
        .stdout(fs::File::create(&out).unwrap());
    let mut child = command.spawn().unwrap();
    wait_for_text(&out, "loaded");
    let pid = child.id().to_string();
    let listing = run(rdtrace([
        "-ln",
        "python$target:::function-entry",
        "-p",
        &pid,
    ]))
    .clean();
    child.kill().unwrap();
    child.wait().unwrap();
    for python in [newest, oldest] {
        let module = name(&python.library);
        assert_eq!(listing.matches(module).count(), 1, "{module}: {listing}");
    }
}

#[test]
fn a_launcher_that_becomes_another_python_is_traced() {
    if !can_trace_python() {
        return;
    }
    let pythons = of_pyenv();
    let [python, ..] = &pythons[..] else { return };
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let code = "import time\ndef work(): time.sleep(0.01)\nfor _ in range(100): work()";
    let launcher = dir.path().join("launcher.py");
    let text = format!(
        "import os, time\nwhile not os.path.exists({go:?}): time.sleep(0.01)\n\
         os.execv({:?}, ['python3', '-c', {code:?}])",
        python.program
    );
    fs::write(&launcher, text).unwrap();
    let module = name(&python.library);
    let program = count_work("python$target");
    // It is held while its new interpreter is looked at: all calls are seen.
    fs::write(&go, "").unwrap();
    let command = format!("{PYTHON} {}", launcher.display());
    let outcome = run(rdtrace(["-qn", &program, "-c", &command]));
    assert_eq!(counted(outcome), [module, "100"]);
    // A process that was there before is not.
    fs::remove_file(&go).unwrap();
    let mut command = Command::new(PYTHON);
    let target = Background::start({
        command.arg(&launcher);
        command
    });
    let out = dir.path().join("out");
    let tracer = Running::start(rdtrace([
        "-qn",
        &format!("{program} tick-100ms /n++ == 0/ {{ printf(\"ready\\n\"); }}"),
        "-o",
        out.to_str().unwrap(),
        "-p",
        &target.pid().to_string(),
    ]));
    wait_for_text(&out, "ready");
    fs::write(&go, "").unwrap();
    tracer.finish().clean_but_late();
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains(module), "{text}");
}

#[test]
fn of_pythons_that_run_for_a_moment_each_is_counted_or_told() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let program = "BEGIN { printf(\"ready\\n\"); } \
        python*:::function-entry /copyinstr(arg1) == \"once\"/ { @[probemod] = count(); }";
    let tracer = Running::start(rdtrace(["-qo", out.to_str().unwrap(), "-n", program]));
    wait_for_text(&out, "ready");
    let mut names = Vec::new();
    for number in 0..12 {
        // Under any name: a program may have its interpreter in itself.
        let kind = ["python3.11_copy", "renamed"][number / 2 % 2];
        let copy = dir.path().join(format!("{kind}{number}"));
        install("/usr/bin/python3".as_ref(), &copy);
        let mut command = Command::new(&copy);
        command.args(["-S", "-c", "def once(): pass\nonce()"]);
        run(command).clean();
        names.push(name(&copy).to_owned());
        if number % 2 == 1 {
            fs::remove_file(&copy).unwrap();
        }
    }
    // The last one is surely looked at when this has been counted.
    let mut last = Command::new(PYTHON);
    last.args(["-c", "def once(): pass\nonce()"]);
    run(last).clean();
    tracer.signal(Signal::SIGTERM);
    let outcome = tracer.finish();
    let counted = fs::read_to_string(&out).unwrap();
    let mut unnamed = 0;
    for name in names {
        if !is_named(&name, &counted, &outcome) {
            assert!(
                name.starts_with("renamed"),
                "{name} in\n{counted}\n{outcome:?}"
            );
            unnamed += 1;
        }
    }
    let lines = outcome.stderr.lines();
    let gone = lines.filter_map(|line| {
        line.strip_prefix("rdtrace: files of ")?
            .split_once(" process")
    });
    let gone = gone.filter(|(_, rest)| rest.contains("were gone before"));
    let gone: usize = gone.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
    assert!(
        gone >= unnamed,
        "{unnamed} of {gone}: {counted}\n{outcome:?}"
    );
}

/// Whether a program is in the output or in a message.
fn is_named(program: &str, output: &str, outcome: &Outcome) -> bool {
    let mut lines = output.lines().chain(outcome.stderr.lines());
    lines.any(|line| line.split([' ', '/']).any(|word| word == program))
}

#[test]
fn what_starts_as_tracing_ends_is_counted_or_told() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = "BEGIN { printf(\"ready\\n\"); } \
        python*:::function-entry /copyinstr(arg1) == \"once\"/ { @[probemod] = count(); } \
        python*:::function-entry /copyinstr(arg1) == \"the_end\"/ { exit(0); }";
    for (number, signal) in [Some(Signal::SIGINT), Some(Signal::SIGTERM), None]
        .into_iter()
        .cycle()
        .take(9)
        .enumerate()
    {
        let out = dir.path().join(format!("out{number}"));
        let tracer = Running::start(rdtrace(["-qo", out.to_str().unwrap(), "-n", program]));
        wait_for_text(&out, "ready");
        let copy = dir.path().join(format!("last{number}"));
        install("/usr/bin/python3".as_ref(), &copy);
        let mut command = Command::new(&copy);
        command.args(["-S", "-c", "def once(): pass\nonce()"]);
        run(command).clean();
        match signal {
            Some(signal) => tracer.signal(signal),
            None => {
                let mut last = Command::new(PYTHON);
                last.args(["-S", "-c", "def the_end(): pass\nthe_end()"]);
                run(last).clean();
            }
        }
        let outcome = tracer.finish();
        let counted = fs::read_to_string(&out).unwrap();
        let is_told = is_named(name(&copy), &counted, &outcome);
        assert!(is_told, "{signal:?}: {counted}\n{outcome:?}");
        outcome.clean_but_late();
    }
}

/// Puts a Python in its place that nobody has seen before.
fn install_new(copy: &Path) {
    let mut contents = fs::read("/usr/bin/python3").unwrap();
    contents.extend(copy.as_os_str().as_encoded_bytes());
    let different = copy.with_extension("different");
    fs::write(&different, contents).unwrap();
    install(&different, copy);
}

/// It is tested by running it, which is nothing that anybody asked about.
#[test]
fn of_a_python_that_is_new_only_the_process_that_was_meant_is_told() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let told = |outcome: &Outcome, name: &str| {
        let lines = outcome.stderr.lines();
        lines.filter(|line| line.contains(name)).count()
    };
    let copy = dir.path().join("python-in-tree");
    install_new(&copy);
    let command = format!("sh -c '{} -S -c pass; true'", copy.display());
    let program = count_work("python$target");
    let outcome = run(rdtrace([
        "-Zx",
        "followfork",
        "-qn",
        &program,
        "-c",
        &command,
    ]));
    assert_eq!(told(&outcome, "python-in-tree"), 1, "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");

    let copy = dir.path().join("python-anywhere");
    install_new(&copy);
    let program = format!(
        "BEGIN {{ printf(\"ready\\n\"); }} {}",
        count_work("python*")
    );
    let tracer = Running::start(rdtrace(["-qo", out.to_str().unwrap(), "-n", &program]));
    wait_for_text(&out, "ready");
    let mut command = Command::new(&copy);
    let mut child = command.args(["-S", "-c", "pass"]).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    tracer.signal(Signal::SIGTERM);
    let outcome = tracer.finish();
    // Another tracer of the machine, in a test beside this one, may try the new file, too.
    let process = format!("process {} had", child.id());
    let lines = outcome.stderr.lines();
    let of_process = lines.filter(|line| line.contains(&process));
    let of_copy = of_process.filter(|line| line.contains("python-anywhere"));
    assert_eq!(of_copy.count(), 1, "{outcome:?}");
}

/// What is said of a process comes from one look at it.
#[test]
fn shells_that_become_pythons_are_told_nothing_wrong() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("python-copy");
    install("/usr/bin/python3".as_ref(), &copy);
    let work = "python$target:::function-entry /copyinstr(arg1) == \"work\"/ { @ = count(); }";
    let script = dir.path().join("work.py");
    fs::write(&script, "def work(): pass\nwork()\n").unwrap();
    let command = format!("sh -c 'exec {} {}'", copy.display(), script.display());
    let outcome = run(rdtrace(["-x", "followfork", "-qn", work, "-c", &command]));
    assert_eq!(outcome.clean_but_late().trim(), "1");
    let one = format!("sh -c \"true; exec {PYTHON} {}\"", script.display());
    let twenty = format!("sh -c '{}true'", format!("{one}; ").repeat(20));
    let outcome = run(rdtrace(["-x", "followfork", "-qn", work, "-c", &twenty]));
    assert_eq!(outcome.clean().trim(), "20");
}

/// The work is done by children that nobody asked to follow.
#[test]
fn a_run_that_recorded_nothing_names_the_children_that_ran_python() {
    if !can_trace_python() {
        return;
    }
    let told = "what it started ran Python (";
    let count = "python$target:::function-entry /copyinstr(arg1) == \"work\"/ { @ = count(); }";
    let print = "python$target:::function-entry /copyinstr(arg1) == \"work\"/ { trace(1); } \
        END { trace(2); }";
    let silent = "python$target:::function-entry { calls++; }";
    let tree = |what: &str| {
        [
            vec![PYTHON.to_owned()],
            trigger(&format!("tree.py {what}"))[1..].to_vec(),
        ]
        .concat()
        .join(" ")
    };
    let again = format!("run {}", tree("work"));
    for (program, what, is_told) in [
        (count, "fork", true),
        (print, "fork", true),
        (count, &*again, true),
        (print, &*again, true),
        (count, "run true", false),
        (count, "work", false),
        (print, "work", false),
        (silent, "fork", false),
    ] {
        let outcome = run(rdtrace(["-qn", program, "-c", &tree(what)]));
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(
            outcome.stderr.contains(told),
            is_told,
            "{program} {what}: {outcome:?}"
        );
        let lines = outcome.stderr.lines().count();
        assert_eq!(lines, usize::from(is_told), "{program} {what}: {outcome:?}");
    }
}

#[test]
fn the_python_that_a_shell_has_started_is_named() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let wait = format!("open({ready:?}, \"w\").write(\"ready\"); import time; time.sleep(60)");
    let script = dir.path().join("wait.py");
    fs::write(&script, wait).unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{PYTHON} {}; true", script.display())])
        .process_group(0);
    let shell = Background::start(shell);
    wait_for_text(&ready, "ready");
    let pid = shell.pid();
    let program = "python$target:::function-entry { }";
    let outcome = run(rdtrace(["-qn", program, "-p", &pid.to_string()]));
    let group = nix::unistd::Pid::from_raw(pid.cast_signed());
    nix::sys::signal::killpg(group, Signal::SIGKILL).unwrap();
    let children = format!("process {pid} has children that run Python and are not traced (");
    assert!(outcome.stderr.contains(&children), "{outcome:?}");
    assert!(
        outcome.stderr.contains("it has started Python: "),
        "{outcome:?}"
    );
    assert!(
        outcome
            .stderr
            .contains("traces that process, -x followfork all of them")
    );
    assert_eq!(outcome.status, 1);
}

#[test]
fn a_running_python_that_is_too_old_is_named_once() {
    if !can_trace_python() {
        return;
    }
    let old = std::env::home_dir()
        .unwrap()
        .join(".pyenv/versions/2.7.18/bin/python2.7");
    if !old.exists() {
        skipped("needs Python 2.7 of pyenv");
        return;
    }
    let mut command = Command::new(old);
    let target = Background::start({
        command.args(["-c", "import time; time.sleep(60)"]);
        command
    });
    wait_until("it runs", || {
        let maps = fs::read_to_string(format!("/proc/{}/maps", target.pid()));
        maps.is_ok_and(|maps| maps.contains("python2.7"))
    });
    let pid = target.pid();
    let everywhere =
        "python*:::function-entry { } python*:::function-return { } BEGIN { exit(0); }";
    let tracing = run(rdtrace(["-Zqn", everywhere]));
    assert_eq!(tracing.status, 0, "{tracing:?}");
    let listing = run(rdtrace(["-ln", "python*:::function-entry"]));
    for outcome in [tracing, listing] {
        let lines = outcome.stderr.lines();
        let count = lines
            .filter(|line| line.contains("libpython2.7") && line.contains(&pid.to_string()))
            .count();
        assert_eq!(count, 1, "{outcome:?}");
        assert!(outcome.stderr.contains("it is a CPython older than 3.6"));
    }
    let one = run(rdtrace(["-qn", "BEGIN { exit(0); }"]));
    assert!(!one.stderr.contains("2.7"), "{one:?}");
}

/// With the rights to trace alone, another user's Python may be one that cannot be looked at.
#[test]
fn the_right_that_is_missing_for_programs_of_others_is_named() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (open, closed) = (dir.path().join("open"), dir.path().join("closed"));
    for (path, mode) in [(dir.path(), 0o755), (&*open, 0o777), (&*closed, 0o700)] {
        let _ = fs::create_dir(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let (tracer, python) = (open.join("rdtrace"), closed.join("python-closed"));
    install(RDTRACE.as_ref(), &tracer);
    install("/usr/bin/python3".as_ref(), &python);
    let out = open.join("out");
    let program = "tick-100ms /n++ == 0/ { printf(\"ready\"); } \
        python*:::function-entry /copyinstr(arg1) == \"nosuch\"/ { @ = count(); }";
    let caps = "-all,+bpf,+perfmon";
    let mut command = as_nobody();
    command
        .args([
            &format!("--inh-caps={caps}"),
            &format!("--ambient-caps={caps}"),
        ])
        .args([format!("--bounding-set={caps}")])
        .arg(&tracer)
        .args(["-qo", out.to_str().unwrap(), "-n", program])
        .env("HOME", &open)
        .current_dir("/");
    let tracer = Running::start(command);
    wait_for_text(&out, "ready");
    let mut command = Command::new(&python);
    command.args(["-S", "-c", "pass"]);
    for _ in 0..3 {
        let mut again = Command::new(&python);
        again.args(command.get_args());
        run(again).clean();
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    tracer.signal(Signal::SIGTERM);
    let outcome = tracer.finish();
    let lines = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("could not be looked at, nor"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{outcome:?}");
    assert!(
        lines[0].ends_with("this needs root, or CAP_SYS_PTRACE"),
        "{outcome:?}"
    );
    let wrong = |line: &str| line.contains("had ended") && line.contains("python-closed");
    assert!(!outcome.stderr.lines().any(wrong), "{outcome:?}");
}
