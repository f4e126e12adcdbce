//! `-x cpu`: one CPU is traced, and no other.

use crate::harness::{can_trace_python, rdtrace, run, skipped, trigger};

fn has_two_cpus() -> bool {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    can_trace_python() && (cpus > 1 || skipped("needs two CPUs"))
}

#[test]
fn everything_fires_on_that_cpu() {
    const TEXT: &str = r#"
        dtrace:::BEGIN, dtrace:::END { printf("%s %d\n", probename, cpu); }
        profile-97, tick-100ms, syscall:::entry, sched:::off-cpu { @[cpu] = count(); }
        tick-500ms { exit(0); }
        dtrace:::END { printa("%d\n", @); }
    "#;
    if !has_two_cpus() {
        return;
    }
    for cpu in ["0", "1"] {
        let output = run(rdtrace(["-qn", TEXT, "-x", &format!("cpu={cpu}")])).clean();
        assert_eq!(output, format!("BEGIN {cpu}\nEND {cpu}\n{cpu}\n\n"));
    }
}

#[test]
fn what_a_thread_does_on_another_cpu_does_not_count() {
    const TEXT: &str = "syscall::write:entry, pid$target:libc.so.6:syscall:entry \
                        /pid == $target && execname != \"taskset\"/ { @ = count(); } \
                        dtrace:::END { printa(\"%@d\", @); }";
    if !has_two_cpus() {
        return;
    }
    let program = trigger("system_calls.c");
    for (cpu, expected) in [("0", ""), ("1", "5")] {
        let option = format!("cpu={cpu}");
        let command = format!("taskset -c 1 {}", program[0]);
        let output = run(rdtrace(["-qn", TEXT, "-x", &option, "-c", &command])).clean();
        assert_eq!(output.trim_end(), expected, "CPU {cpu}");
    }
}

#[test]
fn a_cpu_that_there_is_not_is_refused() {
    if !can_trace_python() {
        return;
    }
    let refused = run(rdtrace(["-x", "cpu=4095", "-n", "BEGIN { exit(0); }"])).failure(1);
    assert!(
        refused.contains(
            "rdtrace: could not enable tracing: CPU 4095 of option cpu is not online; these are: 0"
        ),
        "{refused}"
    );
    let refused = run(rdtrace(["-x", "cpu=first", "-n", "BEGIN"])).failure(1);
    assert_eq!(
        refused.trim_end(),
        "rdtrace: failed to set -x cpu: Invalid value for specified option"
    );
}
