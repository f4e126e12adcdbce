//! The kernel's probes: system calls, tracepoints, and functions where the machine allows programs at them.

use crate::harness::{can_trace, can_trace_python, rdtrace, run, skipped, trigger};

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

#[test]
fn functions_without_a_type_have_words() {
    const TEXT: &str = r#"
        rawfbt::do_filp_open:entry
        /pid == $target && stringof(((struct filename *)arg1)->name) == "/nonexistent/file"/
        {
            self->opens = 1;
            printf("%s:%s:%s(%d)\n", probeprov, probemod, probefunc, (int)arg0);
            printf("called by %s\n", stackdepth > 1 ? "somebody" : "nobody");
        }

        rawfbt::do_filp_open:return
        /self->opens/
        {
            self->opens = 0;
            printf("= %d, from %d\n", (int)arg1, (int)arg0);
        }
    "#;
    if !can_trace_python() {
        return;
    }
    let listed = run(rdtrace(["-ln", "rawfbt::do_filp_open:entry"]));
    if !listed.stdout.contains("do_filp_open") {
        let refused = run(rdtrace(["-n", "rawfbt::do_filp_open:entry"]));
        assert!(
            refused.stderr.contains("this kernel has no kprobes"),
            "{}",
            refused.stderr
        );
        skipped("this kernel has no kprobes");
        return;
    }
    let program = trigger("system_calls.c");
    let output = run(rdtrace(["-qn", TEXT, "-c", &program[0]])).clean();
    let expected = "rawfbt:vmlinux:do_filp_open(-100)\ncalled by somebody\n= -2, from -1\n\n";
    assert_eq!(output.trim_end(), expected.trim_end());
}

#[test]
fn who_waits_for_a_disk_goes_on() {
    const TEXT: &str = "io:::wait-start { self->request = arg0; @[\"waits\"] = count(); } \
                        io:::wait-done /self->request/ { @[self->request == arg0 ? \"goes on\" : \"?\"] = count(); }";
    if !can_trace_python() {
        return;
    }
    let listed = run(rdtrace(["-ln", "io:::wait-done"]));
    if !listed.stdout.contains("wait-done") {
        skipped("this machine allows no programs at the kernel's functions");
        return;
    }
    // The file system's own thread is the one that waits.
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dd = format!(
        "dd if=/dev/zero of={} bs=4k count=2 oflag=sync status=none",
        file.path().display()
    );
    let command = format!("sh -c '{dd}; sync'");
    let output = run(rdtrace(["-qn", TEXT, "-c", &command])).clean();
    let counts: Vec<(&str, u32)> = output
        .lines()
        .filter_map(|line| line.trim().rsplit_once(' '))
        .map(|(what, count)| (what.trim(), count.parse().unwrap()))
        .collect();
    let [(first, done), (second, waits)] = counts[..] else {
        panic!("{output}");
    };
    assert_eq!((first, second), ("goes on", "waits"));
    assert_eq!(done, waits);
}

#[test]
fn who_waits_for_a_mutex_has_waited_as_long_as_it_has() {
    // A pipe's ends share a mutex. What lies between the two tracepoints is all that was waited.
    const TEXT: &str = r#"
        BEGIN { @parts = sum(0); @all = sum(0); @ends = count(); @other = sum(0); }
        rawtp:lock::contention_begin
        /(arg1 & 32) && self->lock != arg0/
        {
            self->lock = arg0;
            self->since = timestamp;
        }
        lockstat:::adaptive-block,
        lockstat:::adaptive-spin
        /self->lock == arg0/
        {
            @parts = sum(arg1);
            @other = sum((uint64_t)args[0] != arg0);
        }
        rawtp:lock::contention_end
        /self->lock == arg0/
        {
            @all = sum(timestamp - self->since);
            @ends = count();
        }
        rawtp:lock::contention_end { self->lock = 0; }
        END { printa("%@d %@d %@d %@d", @parts, @all, @ends, @other); }
    "#;
    const LOAD: &str = "{ for i in 1 2 3 4; do dd if=/dev/zero bs=4k count=20000 status=none & done; wait; } | \
                        dd of=/dev/null bs=64k status=none";
    if !can_trace_python() {
        return;
    }
    if !run(rdtrace(["-ln", "lockstat:::adaptive-spin"]))
        .stdout
        .contains("adaptive-spin")
    {
        skipped("needs tracepoints of waiting for locks (Linux 5.19)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("load.sh");
    std::fs::write(&script, LOAD).unwrap();
    let command = format!("sh {}", script.display());
    let output = run(rdtrace(["-qn", TEXT, "-c", &command]));
    let numbers = output.stdout.split_whitespace();
    let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
    let [parts, all, ends, other] = numbers[..] else {
        panic!("{output:?}");
    };
    assert_eq!(other, 0, "{output:?}");
    // One processor lets nobody wait.
    if ends > 100 {
        assert!(parts <= all && parts > all / 2, "{parts} of {all}");
    }
}

#[test]
fn locks_that_ebpf_takes_itself_have_no_probes() {
    if !can_trace_python() {
        return;
    }
    for probe in ["spin-acquire", "spin-release"] {
        let refused = run(rdtrace(["-n", &format!("lockstat:::{probe}")])).failure(1);
        assert!(refused.contains("eBPF's maps and buffers"), "{refused}");
    }
}

/// Before Linux 6.15, a record that is sent while the same thread has the lock of the ring buffer would stop the machine.
#[test]
fn clauses_at_functions_of_spin_locks_send_nothing_in_the_middle_of_a_record() {
    const TEXT: &str = r#"
        syscall:::entry /pid == $target/ { trace("call"); }
        fbt::_raw_spin_lock_irqsave:return,
        fbt::_raw_spin_unlock_irqrestore:entry
        /pid == $target/
        {
            trace("lock");
        }
    "#;
    if !can_trace() {
        return;
    }
    let probe = "fbt::_raw_spin_lock_irqsave:return";
    if !run(rdtrace(["-ln", probe])).stdout.contains("irqsave") {
        skipped("this machine allows no programs at the kernel's functions of spin locks");
        return;
    }
    let outcome = run(rdtrace(["-qn", TEXT, "-c", "ls /"]));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let count = |what: &str| outcome.stdout.matches(what).count();
    assert!(count("call") > 10 && count("lock") > 10, "{outcome:?}");
    assert!(outcome.stderr.contains(" drops on CPU "), "{outcome:?}");
}
