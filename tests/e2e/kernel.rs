//! The kernel's probes: system calls, tracepoints, and functions where the machine allows programs at them.

use crate::harness::{can_trace_python, rdtrace, run, skipped, trigger};

const PROGRAM: &str = r#"
    fbt::do_filp_open:entry
    /pid == $target && stringof(args[1]->name) == "/nonexistent/file"/
    {
        self->opens = 1;
        printf("%s:%s:%s(%d, \"%s\")\n", probeprov, probemod, probefunc, args[0], stringof(args[1]->name));
    }

    fbt::do_filp_open:return
    /self->opens/
    {
        self->opens = 0;
        printf("= %d, from %d\n", (int)arg1, (int)args[0]);
    }

    fbt::ksys_write:entry,
    syscall::write:entry
    /pid == $target/
    {
        @[probeprov] = count();
    }
"#;

#[test]
fn functions_have_arguments_and_results() {
    if !can_trace_python() {
        return;
    }
    let listed = run(rdtrace(["-ln", "fbt::do_filp_open:entry"]));
    if !listed.stdout.contains("do_filp_open") {
        skipped("this machine allows no programs at the kernel's functions");
        return;
    }
    let program = trigger("system_calls.c");
    let command = &program[0];
    let output = run(rdtrace(["-qn", PROGRAM, "-c", command])).clean();
    let expected = "fbt:vmlinux:do_filp_open(-100, \"/nonexistent/file\")\n= -2, from -1\n\n  \
                    fbt                                                               1\n  \
                    syscall                                                           1\n";
    assert_eq!(output, expected);
}

#[test]
fn probes_with_other_arguments_do_not_run_the_clause() {
    if !can_trace_python() {
        return;
    }
    let program = trigger("system_calls.c");
    let text = "syscall::getpid:entry { @[\"getpid\"] = count(); } \
                syscall::write:entry, syscall::get*id:entry /pid == $target/ { @[probefunc] = count(); } \
                syscall::*:entry /pid == $target && probefunc == \"write\"/ { trace(args[2]); }";
    let output = run(rdtrace(["-qn", text, "-c", &program[0]]));
    let told: Vec<_> = output
        .stderr
        .lines()
        .filter(|line| line.contains("do not run"))
        .collect();
    let [told] = told[..] else {
        panic!("{}", output.stderr);
    };
    assert!(
        told.contains("probes that syscall::*:entry matches do not run the clause: with the arguments of syscall:")
            && told.contains(", index 2 is out of range for syscall::*:entry args[ ]"),
        "{told}"
    );
    assert!(output.stderr.contains("trace(args[2]"), "{}", output.stderr);
    assert!(output.stdout.contains("write"), "{}", output.stdout);
}
