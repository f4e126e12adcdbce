//! `-x followfork`: the processes that a target starts are traced like it, and no others.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{
    Background, PYTHON, Running, can_trace_python, python, rdtrace, repository, run, skipped,
    wait_for_text, wait_until,
};
use crate::python::semaphore;

/// A run of `program` that follows, quietly.
fn follow(program: &str, how: &[&str]) -> Command {
    let mut command = rdtrace(["-x", "followfork", "-qn", program]);
    command.args(how);
    command
}

/// `python tree.py WHAT`.
fn tree(python: &str, what: &str) -> String {
    format!("{python} {} {what}", script())
}

fn script() -> String {
    let path = repository("tests/triggers/tree.py");
    path.to_str().unwrap().to_owned()
}

/// Prints the process of each call of `work()`.
const WORK: &str = "python$target:::function-entry /copyinstr(arg1) == \"work\"/ \
    { printf(\"%d \", pid); }";

/// What [`WORK`] printed, as the numbers of calls and of processes.
fn calls(output: &str) -> String {
    let pids: Vec<u32> = output
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    let processes: HashSet<u32> = pids.iter().copied().collect();
    format!("{} in {}", pids.len(), processes.len())
}

fn work_of(command: &str) -> String {
    calls(&run(follow(WORK, &["-c", command])).clean())
}

/// A Python of another version and without markers, if there is one.
fn other_python() -> Option<String> {
    let versions = std::env::home_dir()?.join(".pyenv/versions");
    let mut found: Vec<PathBuf> = fs::read_dir(versions)
        .ok()?
        .flatten()
        .map(|version| version.path().join("bin/python3"))
        .filter(|path| path.exists() && !path.to_string_lossy().contains("/3.11"))
        .collect();
    found.sort();
    found.pop()?.to_str().map(str::to_owned)
}

/// The Pythons to try: with markers, and without if there is one.
fn pythons() -> Vec<String> {
    let mut pythons = vec![PYTHON.to_owned()];
    match other_python() {
        Some(other) => pythons.push(other),
        None => {
            skipped("needs a Python of pyenv");
        }
    }
    pythons
}

#[test]
fn forked_children_and_theirs_are_traced() {
    if !can_trace_python() {
        return;
    }
    for python in pythons() {
        assert_eq!(work_of(&tree(&python, "fork")), "9 in 3", "{python}");
    }
}

#[test]
fn without_the_option_they_are_not() {
    if can_trace_python() {
        let command = tree(PYTHON, "fork");
        let outcome = run(rdtrace(["-qn", WORK, "-c", &command]));
        assert_eq!(calls(&outcome.stdout), "0 in 0");
        let told = "nothing was recorded of the target, but what it started ran Python";
        assert!(outcome.stderr.contains(told), "{outcome:?}");
        let command = format!("sh -c '{command}; true'");
        let message = run(rdtrace(["-qn", WORK, "-c", &command])).failure(1);
        assert!(
            message.contains("-x followfork traces that, too"),
            "{message}"
        );
    }
}

#[test]
fn the_workers_of_a_pool_are_traced() {
    if !can_trace_python() {
        return;
    }
    for python in pythons() {
        for method in ["fork", "spawn"] {
            let work = work_of(&tree(&python, &format!("pool {method}")));
            assert!(
                work == "12 in 2" || work == "12 in 1",
                "{python} {method}: {work}"
            );
        }
    }
}

#[test]
fn frames_that_were_active_return_in_the_child() {
    if !can_trace_python() {
        return;
    }
    let program = "python$target:::function-return /pid != $target && copyinstr(arg1) == \"fork\"/ \
        { printf(\"returned\"); }";
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("inside.py");
    let code = "import os\ndef fork():\n  return os.fork()\nif fork(): os.wait()\n";
    fs::write(&script, code).unwrap();
    for python in pythons() {
        let command = format!("{python} {}", script.display());
        let output = run(follow(program, &["-c", &command])).clean();
        assert_eq!(output.trim_end(), "returned", "{python}");
    }
}

#[test]
fn children_of_a_process_that_runs_are_traced_from_then_on() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (ready, go) = (dir.path().join("ready"), dir.path().join("go"));
    let code = format!(
        "import os, sys, time; sys.path.insert(0, {:?}); import tree\n\
         open({ready:?}, 'w').write('ready')\n\
         while not os.path.exists({go:?}): time.sleep(0.01)\n\
         tree.main('fork')",
        repository("tests/triggers")
    );
    for python in pythons() {
        for file in [&ready, &go] {
            let _ = fs::remove_file(file);
        }
        let mut target = Command::new(&python);
        target.args(["-c", &code]);
        let target = Background::start(target);
        wait_for_text(&ready, "ready");
        let out = dir.path().join("out");
        let _ = fs::remove_file(&out);
        let program = format!("tick-100ms /n++ == 0/ {{ printf(\"0 \"); }} {WORK}");
        let pid = target.pid().to_string();
        let tracer = Running::start(follow(&program, &["-o", out.to_str().unwrap(), "-p", &pid]));
        wait_for_text(&out, "0");
        fs::write(&go, "").unwrap();
        tracer.finish().clean();
        let text = fs::read_to_string(&out).unwrap();
        assert_eq!(calls(&text), "10 in 4", "{python}");
    }
}

/// The workers of a server that runs already.
#[test]
fn children_that_run_already_belong_to_the_tree() {
    if !can_trace_python() {
        return;
    }
    let code = "import os, time\n\
        def work(): time.sleep(0.01)\n\
        if os.fork() == 0 or os.fork() == 0:\n  while True: work()\n\
        while True: time.sleep(1)";
    let program = "python$target:::function-entry /copyinstr(arg1) == \"work\"/ { @[pid] = count(); } \
        tick-1s { exit(0); }";
    for python in pythons() {
        // In a process group of its own, to end them all.
        let mut target = Command::new(&python);
        target.args(["-c", code]).process_group(0);
        let target = Background::start(target);
        let pid = target.pid();
        wait_until("there are workers", || children_of(pid) == 2);
        let pid_text = pid.to_string();
        let workers = run(follow(program, &["-p", &pid_text])).clean();
        assert_eq!(workers.split_whitespace().count(), 4, "{python}: {workers}");
        let alone = run(rdtrace(["-qn", program, "-p", &pid_text]));
        let group = nix::unistd::Pid::from_raw(pid.cast_signed());
        nix::sys::signal::killpg(group, Signal::SIGKILL).unwrap();
        let told = format!("process {pid} has children that run Python and are not traced");
        assert!(alone.stderr.contains(&told), "{python}: {}", alone.stderr);
        assert_eq!(
            alone.stderr.lines().count(),
            1,
            "{python}: {}",
            alone.stderr
        );
        assert_eq!(alone.stdout.trim(), "", "{python}");
    }
}

fn children_of(pid: u32) -> usize {
    let path = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(path)
        .unwrap_or_default()
        .split_whitespace()
        .count()
}

#[test]
fn a_shells_children_are_traced_from_their_first_instruction() {
    if !can_trace_python() {
        return;
    }
    let one = tree(PYTHON, "work");
    assert_eq!(work_of(&format!("sh -c '{one}; {one}'")), "6 in 2");
    assert_eq!(work_of(&format!("sh -c '{one}; exec {one}'")), "6 in 2");
    assert_eq!(
        work_of(&format!("sh -c '(sh -c \"{one}; true\"); true'")),
        "3 in 1"
    );
}

#[test]
fn the_command_itself_misses_nothing_whatever_it_becomes() {
    if !can_trace_python() {
        return;
    }
    let Some(other) = other_python() else {
        skipped("needs a Python of pyenv");
        return;
    };
    let work = tree(&other, "work");
    assert_eq!(work_of(&format!("sh -c 'true; exec {work}'")), "3 in 1");
    assert_eq!(
        work_of(&format!("sh -c 'true; exec env A=1 {work}'")),
        "3 in 1"
    );
}

#[test]
fn another_python_is_found_when_a_child_starts_it() {
    if !can_trace_python() {
        return;
    }
    let Some(other) = other_python() else {
        skipped("needs a Python of pyenv");
        return;
    };
    // Debian's is installed where it is looked for beforehand.
    let command = tree(&other, &format!("run {}", tree(PYTHON, "work")));
    assert_eq!(work_of(&command), "3 in 1");
    // The other is not: it is found when it runs.
    let dir = tempfile::tempdir().unwrap();
    let (out, seen) = (dir.path().join("out"), dir.path().join("seen"));
    let program = "python$target:::function-entry /copyinstr(arg1) == \"work\" && pid != $target/ \
        { printf(\"%s %s\\n\", probemod, probeprov == strjoin(\"python\", lltostr(pid)) ? \
        \"named\" : \"not named\"); }";
    let command = tree(PYTHON, &format!("run {}", tree(&other, "until")));
    let command = format!("{command} {}", seen.display());
    let tracer = Running::start(follow(
        program,
        &["-o", out.to_str().unwrap(), "-c", &command],
    ));
    let text = wait_for_text(&out, "named");
    fs::write(&seen, "").unwrap();
    let outcome = tracer.finish();
    let late = "was a moment ahead of its probes: its first events in ";
    assert!(outcome.stderr.contains(late), "{}", outcome.stderr);
    outcome.clean_but_late();
    assert!(text.starts_with("libpython3"), "{text}");
    assert!(!text.contains("not named"), "{text}");
}

#[test]
fn a_childs_python_that_lacks_a_probe_is_told() {
    if !can_trace_python() {
        return;
    }
    let Some(other) = other_python() else {
        skipped("needs a Python of pyenv");
        return;
    };
    // Long enough to be looked at.
    let child = format!("{other} -c \"import time; time.sleep(0.5)\"");
    let command = format!("sh -c '{child}; {child}; {}'", tree(PYTHON, "work"));
    let program = format!("python$target:::line {{ @ = count(); }} {WORK}");
    let outcome = run(follow(&program, &["-c", &command]));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let told = outcome
        .stderr
        .matches("has no probe `python:::line`")
        .count();
    assert_eq!(told, 1, "{outcome:?}");
    assert_eq!(
        outcome.stderr.matches("has no probe").count(),
        1,
        "{outcome:?}"
    );
}

#[test]
fn others_that_run_the_same_file_are_left_out() {
    if !can_trace_python() {
        return;
    }
    for python in pythons() {
        let dir = tempfile::tempdir().unwrap();
        let never = dir.path().join("never");
        let mut other = Command::new(&python);
        other.args([&script(), "until", never.to_str().unwrap()]);
        let other = Background::start(other);
        let program = "python$target:::function-entry \
            { @[pid == $target || ppid == $target || progenyof] = count(); }"
            .replace(" || progenyof", &format!(" || pid != {}", other.pid()));
        let command = tree(&python, "run sleep 1");
        let output = run(follow(&program, &["-c", &command])).clean();
        let rows: Vec<&str> = output.trim().lines().collect();
        assert_eq!(rows.len(), 1, "{python}: {output}");
        assert!(rows[0].trim_start().starts_with('1'), "{python}: {output}");
    }
}

#[test]
fn tracing_ends_with_the_last_of_them() {
    if !can_trace_python() {
        return;
    }
    let command = format!("sh -c '(sleep 0.7; {}) &'", tree(PYTHON, "work"));
    assert_eq!(work_of(&command), "3 in 1");
}

#[test]
fn what_goes_on_after_the_end_goes_on_well() {
    if !can_trace_python() {
        return;
    }
    for python in pythons() {
        let dir = tempfile::tempdir().unwrap();
        let (stop, mark) = (dir.path().join("stop"), dir.path().join("mark"));
        let command = format!(
            "sh -c '({} {}; echo $? > {}) > /dev/null 2>&1 &'",
            tree(&python, "until"),
            stop.display(),
            mark.display()
        );
        let program = "python$target:::function-entry /copyinstr(arg1) == \"work\" && n++ == 50/ \
            { exit(0); }";
        run(follow(program, &["-c", &command])).clean_but_late();
        thread::sleep(Duration::from_millis(200));
        fs::write(&stop, "").unwrap();
        assert_eq!(wait_for_text(&mark, "\n"), "0\n", "{python}");
    }
}

#[test]
fn semaphores_are_up_in_children_and_go_down_with_the_run() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (pids, stop) = (dir.path().join("pids"), dir.path().join("stop"));
    // A forked child, and one that runs the program anew.
    let code = format!(
        "import os, sys, time\n\
         def stay():\n\
         \twhile not os.path.exists({stop:?}): time.sleep(0.01)\n\
         if len(sys.argv) > 1: stay(); sys.exit()\n\
         forked = os.fork()\n\
         if not forked: stay(); os._exit(0)\n\
         new = os.spawnv(os.P_NOWAIT, {PYTHON:?}, ['python3', __file__, 'new'])\n\
         open({pids:?}, 'w').write(f'{{forked}} {{new}} ok')\n\
         os.wait(); os.wait()\n"
    );
    let script = dir.path().join("semaphores.py");
    fs::write(&script, code).unwrap();
    let tracer = Running::start(follow(
        "python$target:::gc-start { }",
        &["-c", &format!("{PYTHON} {}", script.display())],
    ));
    let text = wait_for_text(&pids, "ok");
    let children: Vec<u32> = text.split(' ').filter_map(|pid| pid.parse().ok()).collect();
    assert_eq!(children.len(), 2);
    for &child in &children {
        wait_until("the child's semaphore is raised", || {
            semaphore(child, "gc-start") == 1
        });
    }
    tracer.signal(Signal::SIGKILL);
    for &child in &children {
        wait_until("the child's semaphore is lowered", || {
            semaphore(child, "gc-start") == 0
        });
    }
    fs::write(&stop, "").unwrap();
    tracer.finish();
}

#[test]
fn a_followed_shell_gets_its_signals() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (ready, mark) = (dir.path().join("ready"), dir.path().join("mark"));
    let command = format!(
        "sh -c 'trap \"echo TERM > {}; exit\" TERM; echo ready > {}; while :; do sleep 0.05; done'",
        mark.display(),
        ready.display()
    );
    let tracer = Running::start(follow(
        "tick-1s { } python$target:::line { }",
        &["-c", &command],
    ));
    wait_for_text(&ready, "ready");
    tracer.signal(Signal::SIGTERM);
    tracer.finish();
    assert_eq!(wait_for_text(&mark, "TERM"), "TERM\n");
}

#[test]
fn the_end_of_the_run_ends_a_followed_shell() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let command = format!(
        "sh -c 'echo $$ > {}; while :; do sleep 0.05; done'",
        mark.display()
    );
    let program = "tick-300ms { exit(3); } python$target:::gc-start { }";
    assert_eq!(run(follow(program, &["-c", &command])).status, 3);
    let pid = fs::read_to_string(&mark).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn each_target_has_a_tree_of_its_own() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (go, out) = (dir.path().join("go"), dir.path().join("out"));
    let code = format!(
        "import os, sys, time; sys.path.insert(0, {:?}); import tree\n\
         open(sys.argv[1], 'w').write('ready')\n\
         while not os.path.exists({go:?}): time.sleep(0.01)\n\
         tree.main('fork')",
        repository("tests/triggers")
    );
    let targets = ["a", "b"].map(|name| {
        let ready = dir.path().join(name);
        let mut target = Command::new(PYTHON);
        target.args(["-c", &code, ready.to_str().unwrap()]);
        let target = Background::start(target);
        wait_for_text(&ready, "ready");
        target
    });
    let [a, b] = [targets[0].pid().to_string(), targets[1].pid().to_string()];
    let clause = |pid: &str, name: &str| {
        format!(
            "python{pid}:::function-entry /copyinstr(arg1) == \"work\"/ \
             {{ @[\"{name}\", pid == {a} || pid == {b}] = count(); }}"
        )
    };
    let program = format!(
        "#pragma D option followfork\ntick-100ms /n++ == 0/ {{ printf(\"ready\"); }} {} {}",
        clause(&a, "a"),
        clause(&b, "b")
    );
    let script = dir.path().join("trees.d");
    fs::write(&script, program).unwrap();
    let tracer = Running::start(rdtrace([
        "-q",
        "-s",
        script.to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
        "-p",
        &a,
        "-p",
        &b,
    ]));
    wait_for_text(&out, "ready");
    fs::write(&go, "").unwrap();
    tracer.finish().clean();
    let text = fs::read_to_string(&out).unwrap();
    let rows: Vec<Vec<&str>> = text
        .trim_start_matches("ready")
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|row: &Vec<&str>| !row.is_empty())
        .collect();
    assert_eq!(rows, [["a", "0", "9"], ["b", "0", "9"]], "{text}");
}

#[test]
fn a_killed_rdtrace_leaves_a_followed_shell_alone() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (ready, go, mark) = (
        dir.path().join("ready"),
        dir.path().join("go"),
        dir.path().join("mark"),
    );
    let command = format!(
        "sh -c 'echo $$ ready > {}; while ! [ -e {} ]; do sleep 0.05; done; echo done > {}'",
        ready.display(),
        go.display(),
        mark.display()
    );
    let tracer = Running::start(follow("python$target:::gc-start { }", &["-c", &command]));
    let text = wait_for_text(&ready, "ready");
    let shell = Path::new("/proc").join(text.split(' ').next().unwrap());
    assert!(shell.exists());
    tracer.signal(Signal::SIGKILL);
    fs::write(&go, "").unwrap();
    tracer.finish();
    assert_eq!(wait_for_text(&mark, "done"), "done\n");
}

#[test]
fn a_description_that_nothing_matches_is_an_error_in_the_end() {
    if !can_trace_python() {
        return;
    }
    let awaited = "python$target:::gc-start { } END { printf(\"end\"); }";
    for (program, command, zero, status) in [
        (awaited, "sh -c 'true; true'", false, 1),
        (awaited, "sh -c 'true; true'", true, 0),
        ("nosuch$target:::gc { }", "true", false, 1),
        ("nosuch$target:::gc { }", "true", true, 0),
        (
            "nosuch$target:::gc { } tick-1ms { exit(0); }",
            "sleep 9",
            false,
            0,
        ),
    ] {
        let mut how = vec!["-c", command];
        if zero {
            how.push("-Z");
        }
        let outcome = run(follow(program, &how));
        assert_eq!(outcome.status, status, "{program} {outcome:?}");
        let told = outcome.stderr.contains("does not match any probes")
            && outcome.stderr.contains("the target and its children ran");
        assert_eq!(told, status == 1, "{outcome:?}");
    }
    // A Python that lacks the probe is no reason to wait.
    let dir = tempfile::tempdir().unwrap();
    let (script, mark) = (dir.path().join("long.py"), dir.path().join("mark"));
    let code = format!("import time; time.sleep(20); open({mark:?}, 'w')");
    fs::write(&script, code).unwrap();
    let command = format!("{PYTHON} {}", script.display());
    let message = run(follow("python$target:::nosuch { }", &["-c", &command])).failure(1);
    assert!(message.contains("has no probe"), "{message}");
    assert!(!mark.exists(), "it was waited for");
}

#[test]
fn the_option_alone_changes_nothing() {
    if !can_trace_python() {
        return;
    }
    let output = run(follow("BEGIN { printf(\"begin\"); exit(0); }", &[])).clean();
    assert_eq!(output.trim_end(), "begin");
    let mut listing = rdtrace(["-x", "followfork", "-ln", "python$target:::gc-start", "-c"]);
    listing.arg(format!("{PYTHON} -V"));
    let listing = run(listing).clean();
    assert_eq!(listing.lines().count(), 2, "{listing}");
    let script = repository("tests/triggers/waits.py");
    let other = Background::start(python(&script, &[]));
    let program = "tick-300ms { exit(0); }";
    let output = run(follow(program, &["-p", &other.pid().to_string()])).clean();
    assert_eq!(output.trim_end(), "");
}
