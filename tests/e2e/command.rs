//! Ways in which a run meets its surroundings: pipes that close, disks that are full.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{
    Background, PYTHON, RDTRACE, Running, as_nobody, can_trace, can_trace_python, compiled_as,
    public_rdtrace, rdtrace, repository, run, skipped, trigger, wait_until,
};

#[test]
fn a_closed_pipe_ends_the_run_quietly() {
    if !can_trace() {
        return;
    }
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(r#"{ "$0" -qn 'tick-1ms { printf("line %d\n", ++n); }'; echo "status $?" >&2; } | head -n 1"#)
        .arg(RDTRACE);
    let outcome = run(shell);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("line 1\n", "status 0\n")
    );
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    ends_by_a_second_signal("exec \"$@\"");
}

/// So it is for what a script of the shell has started in the background.
#[test]
fn a_second_signal_ends_the_run_where_it_is_ignored() {
    ends_by_a_second_signal("trap '' INT; exec \"$@\"");
}

/// Runs rdtrace by a script of the shell, to which it is given as arguments.
fn ends_by_a_second_signal(script: &str) {
    const TEXT: &str =
        "BEGIN { printf(\"ready\\n\"); } END { system(\"exec sleep 30 >/dev/null 2>&1\"); }";
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh", RDTRACE]);
    command.args(["-wqo", out.to_str().unwrap(), "-n", TEXT]);
    let tracer = Running::start(command);
    wait_until("it has begun", || {
        std::fs::read_to_string(&out).is_ok_and(|text| text.contains("ready"))
    });
    let start = Instant::now();
    tracer.signal(Signal::SIGINT);
    tracer.signal(Signal::SIGINT); // as one: both come before the first has been looked at, or soon after
    std::thread::sleep(Duration::from_secs(1));
    tracer.signal(Signal::SIGINT);
    let outcome = tracer.finish();
    let told = "rdtrace: ended at once: what has not been shown yet is lost\n";
    assert_eq!((outcome.status, &*outcome.stderr), (128 + 2, told));
    let took = start.elapsed();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_secs(20),
        "{took:?}"
    );
}

#[test]
fn a_listing_that_nobody_reads_to_its_end_is_no_error() {
    for what in ["-l", "--man", "-V"] {
        let mut shell = Command::new("/bin/sh");
        // A pipe that is closed from the start.
        let line = r#"{ sleep 0.1; "$0" "$1"; echo "status $?" >&2; } | true"#;
        shell.args(["-c", line, RDTRACE, what]);
        assert_eq!(run(shell).stderr, "status 0\n", "{what}");
    }
}

#[test]
fn in_a_pid_namespace_pid_and_target_agree() {
    if !can_trace_python() || !can_enter_namespaces() {
        return;
    }
    let program = "BEGIN { printf(\"%d \", pid == $pid); } \
        python$target:::function-entry /copyinstr(arg1) == \"called\" && pid == $target/ { n++; } \
        END { printf(\"%d\", n); }";
    let command = format!("{PYTHON} -c \"def called(): pass\ncalled()\"");
    let mut inside = Command::new("unshare");
    inside.args([
        "--pid",
        "--fork",
        "--mount-proc",
        RDTRACE,
        "-qn",
        program,
        "-c",
        &command,
    ]);
    assert_eq!(run(inside).clean().trim_end(), "1 1");
}

fn can_enter_namespaces() -> bool {
    let mut unshare = Command::new("unshare");
    let status = unshare
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .status();
    status.is_ok_and(|status| status.success()) || skipped("needs unshare(1) and its rights")
}

#[test]
fn names_of_others_cannot_speak_to_the_terminal() {
    if !can_trace() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b"odd\xff\x1b[31m\nname");
    let file = dir.path().join(name);
    compiled_as(&repository("tests/triggers/late.c"), &file, &[]);
    let target = Background::start(Command::new(&file));
    let shown = r"odd\xff\x1b[31m\x0aname";
    let pid = target.pid().to_string();
    let list = ["-l", "-n", "late$target:::", "-p", &pid];
    wait_until("the program runs", || {
        run(rdtrace(list)).stdout.contains("hit")
    });
    assert!(run(rdtrace(list)).clean().contains(shown));
    let missing = run(rdtrace(["-n", "late$target:::hat", "-p", &pid])).failure(1);
    assert!(missing.contains(shown), "{missing}");
    // And it is traced like any other.
    let program = "late$target:::hit { printf(\"%s\", execname); exit(0); }";
    let traced = run(rdtrace(["-qn", program, "-p", &pid]));
    assert_eq!(traced.status, 0, "{}", traced.stderr);
    assert!(traced.stdout.contains('\u{1b}'), "data stays as it is");
}

#[test]
fn whoever_may_not_see_everything_is_told() {
    if !can_trace() {
        return;
    }
    let (_dir, copy) = public_rdtrace();
    let mut command = as_nobody();
    command.arg(&copy).arg("-l");
    let outcome = run(command);
    assert_eq!(outcome.status, 0);
    let told = outcome.stderr;
    assert!(told.contains("could not be looked at: 1 ("), "{told}");
    assert_eq!(told.lines().count(), 1, "once: {told}");
    for desc in ["pid1::malloc:entry", "python1:::line", "foo1:::bar"] {
        let mut command = as_nobody();
        command.arg(&copy).args(["-n", desc]);
        let message = run(command).failure(1);
        let (who, why) = ("process 1 (", ") may not be looked at: this needs root");
        assert!(message.contains(who) && message.contains(why), "{message}");
    }
}

#[test]
fn a_full_disk_is_told_and_fails() {
    if !can_trace() {
        return;
    }
    let program = "BEGIN { printf(\"text\\n\"); exit(0); }";
    let message = run(rdtrace(["-q", "-o", "/dev/full", "-n", program])).failure(1);
    assert!(message.contains("No space left on device"), "{message}");
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg("exec \"$0\" -qn \"$1\" > /dev/full")
        .arg(RDTRACE)
        .arg(program);
    let message = run(shell).failure(1);
    assert!(message.contains("No space left on device"), "{message}");
}

#[test]
fn the_target_goes_on_when_the_output_fails() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let command = format!(
        "sh -c '{} && echo done > {}'",
        trigger("calls.py 2000").join(" "),
        done.display()
    );
    let program = "python*:::function-entry { printf(\"%s\\n\", copyinstr(arg1)); }";
    run(rdtrace([
        "-q",
        "-o",
        "/dev/full",
        "-n",
        program,
        "-c",
        &command,
    ]))
    .failure(1);
    crate::harness::wait_for_text(&done, "done");
}

#[test]
fn a_crashing_target_is_told_of() {
    if !can_trace_python() {
        return;
    }
    let command = format!("{PYTHON} -c \"import os; os.abort()\"");
    let program =
        "python$target:::audit /copyinstr(arg0) == \"cpython.run_command\"/ { @ = count(); }";
    let outcome = run(rdtrace(["-n", program, "-c", &command]));
    assert_eq!(outcome.status, 0);
    assert_eq!(outcome.stdout.trim(), "1");
    assert!(
        outcome.stderr.contains("terminated by SIGABRT"),
        "{}",
        outcome.stderr
    );
}
