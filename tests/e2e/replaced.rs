//! Functions of a program whose file has met with something since it was mapped: they have their own names, or none.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Outcome, RDTRACE, can_find_frames, compiled_as, run};

/// What may be at the program's path when tracing begins.
const WHAT_HAPPENS: [&str; 3] = [
    "mv other victim",
    "rm victim",
    // Another file system, whose first file has the same number.
    "mount -t tmpfs none \"$PWD\" && cd \"$PWD\" && cp ../other victim",
];

/// All rights that tracing takes, but not the one to open what another process has mapped.
const WITHOUT_MAPPED_FILES: &str =
    "setpriv --inh-caps=-all --bounding-set=-all,+bpf,+perfmon,+sys_ptrace,+dac_override";

/// Traces a program that calls `old()` after something has happened to its file, from where a program with a `new()` in its
/// place can be.
fn traced(rights: &str, what_happens: &str, clauses: &str) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let source = "#include <unistd.h>\n\
        __attribute__((noinline)) void NAME(void) { getppid(); __asm__ volatile(\"\"); }\n\
        int main(void) { for (int i = 0; i < 3000; i++) { usleep(WAIT); NAME(); } return 0; }\n";
    fs::write(at("victim.c"), source).unwrap();
    // What differs in its names alone has the same build id.
    for (program, function, wait) in [("victim", "old", 10000), ("other", "new", 10001)] {
        let defined = [format!("-DNAME={function}"), format!("-DWAIT={wait}")];
        compiled_as(&at("victim.c"), &at(program), &defined);
    }
    let script = r#"mkdir "$1/here" && mount -t tmpfs none "$1/here" && cd "$1/here" || exit 9
        cp ../victim . && cp ../other . || exit 9
        ./victim & target=$!
        sleep 0.3
        eval "$2" || exit 9
        $3 "$4" -x strsize=64 -qn "$5" -p $target
        status=$?
        kill $target
        exit $status"#;
    let clauses = format!("{clauses} tick-1s {{ exit(0); }}");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([directory.path(), Path::new(what_happens)])
        .args([rights, RDTRACE, &clauses]);
    run(command)
}

#[test]
fn what_is_mapped_has_its_own_names_and_probes() {
    if !can_find_frames() {
        return;
    }
    for what_happens in WHAT_HAPPENS {
        let clauses = "pid$target:victim::entry { @[probefunc] = count(); } \
            syscall::getppid:entry /pid == $target/ { @stacks[ustack(2)] = count(); }";
        let output = traced("", what_happens, clauses).clean();
        assert!(output.contains("  old  "), "{what_happens}: {output}");
        assert!(output.contains("victim`old+0x"), "{what_happens}: {output}");
        assert!(!output.contains("new"), "{what_happens}: {output}");
    }
}

#[test]
fn what_cannot_be_opened_has_no_names_and_that_is_told() {
    if !can_find_frames() {
        return;
    }
    for what_happens in WHAT_HAPPENS {
        let stacks = "syscall::getppid:entry /pid == $target/ { @[ufunc(ucaller)] = count(); @s[ustack(2)] = count(); }";
        let outcome = traced(WITHOUT_MAPPED_FILES, what_happens, stacks);
        assert_eq!(outcome.status, 0, "{what_happens}: {outcome:?}");
        assert!(
            !outcome.stdout.contains("new"),
            "{what_happens}: {outcome:?}"
        );
        let told = "victim has been replaced, deleted or written over since process ";
        let lines = outcome.stderr.lines().filter(|line| line.contains(told));
        assert_eq!(lines.count(), 1, "{what_happens}: {outcome:?}");

        let probes = "pid$target:victim::entry { @[probefunc] = count(); }";
        let message = traced(WITHOUT_MAPPED_FILES, what_happens, probes).failure(1);
        let told = "`victim` has been replaced or deleted since process ";
        assert!(message.contains(told), "{what_happens}: {message}");
    }
}
