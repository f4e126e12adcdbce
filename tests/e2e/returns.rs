//! Returns of functions in programs that look for callers on the stack: they are seen at `ret`
//! instructions or not at all, and the program goes on.

use std::path::PathBuf;

use crate::harness::{can_trace, compiled_as, rdtrace, repository, run, skipped};

/// The program, if it can be compiled.
fn throws() -> Option<(tempfile::TempDir, PathBuf)> {
    if !can_trace() || !test_support::has("/usr/bin/c++") {
        return None;
    }
    if !cfg!(target_arch = "x86_64") {
        skipped("needs x86-64");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("throws");
    let source = repository("tests/triggers/throws.cc");
    compiled_as(&source, &program, &["-O2".into()]);
    Some((dir, program))
}

#[test]
fn a_program_that_throws_goes_on_with_probes_on_its_returns() {
    let Some((_dir, program)) = throws() else {
        return;
    };
    let command = program.to_str().unwrap();
    let clause = "pid$target:a.out::return { @[probefunc] = count(); }
        END { printa(\"%s %@d\\n\", @); }";
    let output = run(rdtrace(["-qn", clause, "-c", command])).clean();
    assert!(output.contains("caught 6\n"), "{output}");
    // Four calls of middle() and two of the other do not throw. Where GCC keeps what throws apart, it is
    // read, too.
    assert!(output.contains("\nthrower 6\n"), "{output}");
    assert!(output.contains("\nmiddle 4\n"), "{output}");
    assert!(!output.contains("ends_in_a_call"), "{output}");
}

#[test]
fn a_return_that_would_end_the_program_is_refused() {
    let Some((_dir, program)) = throws() else {
        return;
    };
    let command = program.to_str().unwrap();
    let clause = "pid$target:a.out:ends_in_a_call:return {}";
    let message = run(rdtrace(["-qn", clause, "-c", command])).failure(1);
    assert!(
        message.contains("`ends_in_a_call` ends by more than its `ret`s"),
        "{message}"
    );
    let clause = "pid$target:a.out:ends_in_a_call:entry { @ = count(); }";
    let output = run(rdtrace(["-qn", clause, "-c", command])).clean();
    assert_eq!(output, "caught 6\n\n                6\n");
}
