//! Ways in which a run meets its surroundings: pipes that close, disks that are full.

use std::process::Command;

use crate::harness::{PYTHON, RDTRACE, can_trace, can_trace_python, rdtrace, run, trigger};

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
