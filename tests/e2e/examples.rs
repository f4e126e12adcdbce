//! Every script in `examples/`, run as a user runs it, on the program made for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{
    Background, Outcome, PYTHON, RDTRACE, Running, can_find_frames, can_trace_python, python,
    rdtrace, repository, run, skipped, wait_for_text,
};

/// Runs an example as a program, as its first line says, on a Python script beside it.
fn example(script: &str, operands: &[&str], program: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = std::path::Path::new(RDTRACE).parent().unwrap();
    let mut command = Command::new(repository("examples").join(script));
    command
        .args(operands)
        .arg("-c")
        .arg(format!("{PYTHON} {program}"))
        .current_dir(repository("examples"))
        .env("PATH", format!("{}:{path}", bin.display()));
    run(command).clean_but_late()
}

/// Asserts that lines with these parts come in this order.
fn assert_lines(output: &str, expected: &[&str]) {
    let mut lines = output.lines();
    for part in expected {
        assert!(
            lines.any(|line| line.contains(part)),
            "no (further) {part:?} in\n{output}"
        );
    }
}

#[test]
fn all_are_programs_that_say_what_they_show() {
    for entry in fs::read_dir(repository("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        if name == "call_stack.d" || path.extension().is_none_or(|kind| kind != "d") {
            continue; // The script of Python's own documentation stays as it is.
        }
        let start = if name == "top.d" {
            "#!/usr/bin/env -S rdtrace -q --format top -s\n/*\n * Shows"
        } else {
            "#!/usr/bin/env -S rdtrace -qs\n/*\n * Shows"
        };
        assert!(text.starts_with(start), "{name}");
        assert!(
            text.contains(&format!("./{name}")),
            "{name} says how to run it"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name} is executable");
    }
}

#[test]
fn call_hierarchy_shows_calls_and_returns() {
    if can_trace_python() {
        assert_lines(
            &example("call_hierarchy.d", &[], "call_stack.py"),
            &[
                ":  => start in call_stack.py:24",
                ":   => function_1 in call_stack.py:4",
                ":    => function_3 in call_stack.py:12",
                ":    <= function_3 in call_stack.py:13",
                ":  <= start in call_stack.py:27",
                ": <= <module> in call_stack.py:30",
            ],
        );
    }
}

#[test]
fn gc_shows_a_histogram_for_each_generation() {
    if can_trace_python() {
        assert_lines(
            &example("gc.d", &[], "gc_cycles.py"),
            &[
                "generation 0: nanoseconds",
                "Distribution",
                "generation 1: nanoseconds",
                "generation 2: nanoseconds",
                "@",
                "generation 1: 1000 objects collected",
            ],
        );
    }
}

#[test]
fn imports_are_nested() {
    if can_trace_python() {
        assert_lines(
            &example("imports.d", &[], "imports.py"),
            &[
                " us    json.decoder",
                " us  json",
                " us  no_such_module (not found)",
            ],
        );
    }
}

#[test]
fn line_shows_lines_as_they_run() {
    if can_trace_python() {
        assert_lines(
            &example("line.d", &[], "call_stack.py"),
            &[
                "call_stack.py:25\tstart",
                "call_stack.py:5\tfunction_1",
                "call_stack.py:13\tfunction_3",
            ],
        );
    }
}

#[test]
fn audit_shows_events() {
    if can_find_frames() {
        assert_lines(
            &example("audit.d", &[], "audit_events.py"),
            &[
                "cpython.run_file",
                " open '/dev/null' 'r'",
                " compile b'1 + 1' '<example>'",
                " example.event 42 ",
            ],
        );
    }
}

#[test]
fn slow_shows_what_takes_longer() {
    if can_trace_python() {
        let output = example("slow.d", &["100"], "slow.py");
        // On a slow machine, what Python does before the script takes as long.
        let names: Vec<_> = output
            .lines()
            .filter(|line| line.contains(" slow.py:"))
            .filter_map(|line| line.split_whitespace().last())
            .collect();
        assert_eq!(names, ["slow", "main", "<module>"], "{output}");
    }
}

#[test]
fn syscalls_shows_how_many_and_which_failed() {
    if can_trace_python() {
        let output = example("syscalls.d", &[], "slow.py");
        assert_lines(
            &output,
            &[
                "SYSTEM CALL                   CALLS MICROSECONDS",
                "read ",
                "FAILED                        ERRNO        CALLS",
                "openat                            2 ",
            ],
        );
    }
}

#[test]
fn offcpu_shows_where_a_program_waits() {
    if !can_find_frames() || !has_probe("sched:::on-cpu") {
        return;
    }
    let output = example("offcpu.d", &[], "slow.py");
    assert_lines(
        &output,
        &[
            "slow.py:11 slow",
            "slow.py:18 main",
            "slow.py:22 <module>",
            " microseconds in 1 waits",
        ],
    );
}

/// Runs an example on a command.
fn example_on(script: &str, command: &str) -> String {
    outcome_on(script, command).clean_but_late()
}

fn outcome_on(script: &str, command: &str) -> Outcome {
    let script = repository("examples").join(script);
    let mut rdtrace = rdtrace(["-qs", script.to_str().unwrap(), "-c", command]);
    rdtrace.current_dir(repository("examples"));
    run(rdtrace)
}

#[test]
fn execsnoop_shows_programs_that_start_and_end() {
    if can_trace_python() {
        assert_lines(
            &example_on("execsnoop.d", "sh -c 'exec /bin/true'"),
            &[
                "WHAT           PID    PPID  PROGRAM",
                "start ",
                " true after ",
            ],
        );
    }
}

#[test]
fn locks_shows_who_waits_for_whom() {
    if can_find_frames() {
        let output = example("locks.d", &[], "locks.py");
        assert_lines(
            &output,
            &["locks.py:15 want", "locks.py:23 main", " microseconds in "],
        );
        assert_lines(&output, &["all waits, in nanoseconds", "Distribution"]);
    }
}

#[test]
fn malloc_shows_who_asks_for_memory() {
    if can_find_frames() {
        assert_lines(
            &example("malloc.d", &[], "slow.py"),
            &["importlib._bootstrap", " bytes in ", " calls"],
        );
    }
}

#[test]
fn opensnoop_and_rwsnoop_show_files() {
    if can_trace_python() {
        assert_lines(
            &example("opensnoop.d", &[], "slow.py"),
            &["PID PROGRAM", " 0  /", "/slow.py"],
        );
        assert_lines(
            &example("rwsnoop.d", &[], "slow.py"),
            &["PID PROGRAM", " R ", "  slow.py"],
        );
    }
}

#[test]
fn errinfo_and_procsystime_count_system_calls() {
    if can_trace_python() {
        assert_lines(
            &example("errinfo.d", &[], "slow.py"),
            &["PROGRAM ", "python3          openat                    2 "],
        );
        let output = example_on("procsystime.d", "sleep 1");
        assert_lines(
            &output,
            &["PROGRAM          SYSTEM CALL            MICROSECONDS      CALLS"],
        );
        assert!(output.lines().count() > 10, "{output}");
    }
}

#[test]
fn iosnoop_shows_what_disks_do() {
    if can_trace_python() && has_probe("io:::start") {
        let writes = repository("tests/triggers/writes.py");
        let mut outcome = outcome_on("iosnoop.d", &format!("{PYTHON} {}", writes.display()));
        // Where an interrupt finds the kernel at the same place of a table, there is no element, and that is told.
        let others = outcome.stderr.lines();
        let others = others.filter(|line| !line.contains(" dynamic variable drop"));
        outcome.stderr = others.collect();
        let output = outcome.clean_but_late();
        assert_lines(&output, &["PROGRAM              PID DISK", " W "]);
    }
}

#[test]
fn tcp_shows_connections() {
    if can_trace_python() {
        let output = example("tcp.d", &[], "connect.py");
        for line in [
            "WHAT     LOCAL",
            " python3, after ",
            "accept         127.0.0.1:",
            "refused        127.0.0.1:",
            "close          127.0.0.1:",
        ] {
            assert_lines(&output, &[line]);
        }
    }
}

/// Whether the kernel has a probe; it is told if not.
fn has_probe(probe: &str) -> bool {
    let has = run(rdtrace(["-ln", probe])).stdout.lines().count() > 1;
    if !has {
        skipped(&format!("this kernel has no {probe}"));
    }
    has
}

#[test]
fn calls_shows_the_busiest_functions_of_the_machine() {
    if !can_trace_python() {
        return;
    }
    let target = Background::start(python(&repository("examples/busy.py"), &["60"]));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut command = rdtrace(["-q", "-o", out.to_str().unwrap(), "-s", "calls.d"]);
    command.current_dir(repository("examples"));
    let tracer = Running::start(command);
    let often = format!(
        "{:6} {:>60} {:6} {:>30} ",
        target.pid(),
        repository("examples/busy.py").display(),
        7,
        "often"
    );
    let screen = wait_for_text(&out, &often);
    assert!(screen.starts_with("\x1b[2J\x1b[1;1H   PID "), "{screen:?}");
    tracer.signal(Signal::SIGINT);
    tracer.finish().clean_but_late();
}

/// The stacks of an output: the functions of each, the innermost first, and its count.
fn stacks(output: &str) -> Vec<(Vec<&str>, u64)> {
    let mut stacks = Vec::new();
    let mut functions = Vec::new();
    for line in output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if let Ok(count) = line.parse() {
            stacks.push((std::mem::take(&mut functions), count));
        } else {
            functions.push(line.rsplit_once(' ').map_or(line, |(_, function)| function));
        }
    }
    stacks
}

#[test]
fn flame_shows_no_stack_that_cannot_be() {
    if !can_find_frames() {
        return;
    }
    let output = example("flame.d", &[], "flame.py 2");
    let mut leaves = [0, 0];
    for (functions, count) in stacks(&output) {
        for (n, (leaf, caller)) in [("left_leaf", "left"), ("right_leaf", "right")]
            .into_iter()
            .enumerate()
        {
            if let Some(at) = functions.iter().position(|name| *name == leaf) {
                leaves[n] += count;
                let callers = [caller, "main", "<module>"];
                assert_eq!(functions[at + 1..], callers, "{output}");
            }
        }
    }
    assert!(leaves[0] > 0 && leaves[1] > 0, "{output}");
}

#[test]
fn args_shows_the_arguments_of_one_function() {
    if !can_find_frames() {
        return;
    }
    let output = example("args.d", &["slow"], "slow.py");
    assert_lines(&output, &[" slow 0.15 ", " slow 0.05 "]);
    assert!(!output.contains("fast"), "{output}");
}

#[test]
fn whocalls_shows_the_callers_of_one_function() {
    if !can_find_frames() {
        return;
    }
    let output = example("whocalls.d", &["right_leaf"], "flame.py 0.2");
    let found = stacks(&output);
    assert_eq!(found.len(), 1, "{output}");
    assert_eq!(
        found[0].0,
        ["right_leaf", "right", "main", "<module>"],
        "{output}"
    );
}

#[test]
fn exceptions_shows_where_they_are_raised_and_pass() {
    if !can_find_frames() {
        return;
    }
    let output = example("exceptions.d", &[], "exceptions.py");
    assert_lines(
        &output,
        &[
            "exceptions.py:5 parse: ",
            "through exceptions.py:14 number",
            "exceptions.py:21 check: ArithmeticError('negative', -3)",
            "through exceptions.py:26 pay",
            "through exceptions.py:31 <module>",
        ],
    );
}

#[test]
fn allocs_shows_who_takes_memory() {
    if !can_find_frames() {
        return;
    }
    let output = example("allocs.d", &[], "allocs.py");
    assert_lines(
        &output,
        &[
            "allocs.py:13 small",
            "2000020 bytes",
            "allocs.py:8 large",
            "20000020 bytes",
        ],
    );
}

#[test]
fn gil_shows_who_waits_for_whom() {
    if !can_find_frames() {
        return;
    }
    let output = example("gil.d", &[], "gil.py");
    let (waits, taken) = output.split_once("\n\n").unwrap();
    let pair = |of: &str, by: &str| {
        let mut lines = waits.lines().map(|line| line.split_whitespace());
        lines.any(|mut words| words.next() == Some(of) && words.next() == Some(by))
    };
    assert!(
        pair("first", "second") && pair("second", "first"),
        "{output}"
    );
    assert!(
        pair("sleeper", "first") || pair("sleeper", "second"),
        "{output}"
    );
    for thread in ["first", "second", "sleeper"] {
        assert!(
            taken.lines().any(|line| line.starts_with(thread)),
            "{output}"
        );
    }
}

#[test]
fn cfunctions_shows_where_time_goes_in_c() {
    if !can_find_frames() {
        return;
    }
    let output = example("cfunctions.d", &[], "cfunctions.py");
    let row = |module: &str, name: &str| {
        let mut rows = output.lines().map(|line| line.split_whitespace());
        let row = rows.find(|row| {
            let names: Vec<&str> = row.clone().take(2).collect();
            names == [module, name]
        });
        let numbers = row.into_iter().flatten().skip(2);
        let numbers = numbers.map(|number| number.parse::<u64>().unwrap());
        numbers.collect::<Vec<u64>>()
    };
    // Microseconds, of the longest, calls: 20 times 1 ms in each of the sorts.
    let [slept, sorted] = [row("time", "sleep"), row("builtins", "sorted")];
    assert!(slept[0] >= 3 * 70_000 && slept[1] >= 50_000, "{output}");
    assert!(sorted[0] >= 3 * 20_000, "{output}");
    assert_eq!(slept[2], 63, "{output}");
    // The interpreter's start has some of these, too.
    assert!(sorted[2] >= 3 && row("str", "join")[2] >= 3, "{output}");
}

#[test]
fn tasks_shows_who_computes_and_who_stops_the_loop() {
    if !can_find_frames() {
        return;
    }
    let output = example("tasks.d", &[], "tasks.py");
    let (computing, waiting) = output.split_once("\n\n").unwrap();
    let has = |table: &str, task: &str, what: &str| {
        let mut lines = table.lines().map(|line| line.split_whitespace());
        lines.any(|mut words| {
            words.next() == Some(task) && words.next().is_some_and(|word| word.contains(what))
        })
    };
    assert!(has(computing, "computing", "compute"), "{output}");
    assert!(!has(computing, "sleeping", "compute"), "{output}");
    assert!(has(waiting, "sleeping", "nanosleep"), "{output}");
    assert!(!has(waiting, "waiting", "nanosleep"), "{output}");
    assert!(!output.contains("epoll"), "{output}");
}
