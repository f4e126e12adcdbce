//! Functions of the kernel, where the machine allows programs at them.

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
