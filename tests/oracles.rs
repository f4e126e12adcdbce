//! Every Python of the machine against what it says of itself: whole programs with all that the
//! standard library does for them, and CPython's own tests.
//!
//! `sys.setprofile` in a twin is the oracle for functions, `gc.callbacks` and `sys.addaudithook`
//! in the same process for the others. Which versions were covered is printed (`--nocapture`).
//! Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stderr,
    reason = "tests say what was covered and skipped"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[path = "pythons/machine.rs"]
mod machine;

use self::machine::{Python, bounded_rdtrace, each};

/// A run of rdtrace on a script: what either wrote.
#[derive(Debug)]
struct Run {
    /// rdtrace's output.
    events: String,
    /// What it said of losses.
    messages: String,
    /// The script's output.
    script: String,
}

fn trace(python: &Python, program: &str, script: &str, environment: &[(&str, &str)]) -> Run {
    let output = tempfile::NamedTempFile::new().unwrap();
    let command = format!("{} {script}", python.command.join(" "));
    let run = bounded_rdtrace()
        .args(["-q", "-x", "bufsize=32m", "-n", program, "-c", &command])
        .arg("-o")
        .arg(output.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        run.status.success(),
        "{}: {}",
        python.name(),
        text(&run.stderr)
    );
    Run {
        events: fs::read_to_string(output.path()).unwrap(),
        messages: text(&run.stderr),
        script: text(&run.stdout),
    }
}

/// Prints each entry and return with its thread.
const FUNCTIONS: &str = r#"
    python$target:::function-entry
    { printf("%d > %s %s %d\n", tid, copyinstr(arg0), copyinstr(arg1), arg2); }
    python$target:::function-return
    { printf("%d < %s %s %d\n", tid, copyinstr(arg0), copyinstr(arg1), arg2); }"#;

/// From the entry of each outermost function with one of these names to its return.
fn calls_of<'l>(threads: impl Iterator<Item = Vec<&'l str>>, names: &[&str]) -> Vec<Vec<&'l str>> {
    let mut found = Vec::new();
    for thread in threads {
        let mut depth = 0;
        for line in thread {
            let name = line.rsplit(' ').nth(1).unwrap_or_default();
            if depth == 0 && line.starts_with('>') && names.contains(&name) {
                found.push(Vec::new());
            } else if depth == 0 {
                continue;
            }
            found.last_mut().unwrap().push(line);
            depth += if line.starts_with('>') { 1 } else { -1 };
        }
    }
    found.sort();
    found
}

/// Compares the calls of some functions of a script, with all that they call, thread by thread.
fn compare_functions(what: &str, script: &str, names: &[&str], fewest: usize) {
    each(what, |python| {
        let script = python.file(script);
        let run = trace(python, FUNCTIONS, &script, &[]);
        assert_eq!(run.messages, "", "{}", python.name());
        let mut threads: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in run.events.lines() {
            if let Some((thread, event)) = line.split_once(' ') {
                threads.entry(thread).or_default().push(event);
            }
        }
        let seen = calls_of(threads.into_values(), names);
        let twin = python.run(&[&python.file("tests/pythons/twin.py"), &script]);
        let twin = String::from_utf8(twin.stdout).unwrap();
        let threads = twin
            .split("thread\n")
            .map(|thread| thread.lines().collect());
        let told = calls_of(threads, names);
        let events: usize = told.iter().map(Vec::len).sum();
        assert!(events >= fewest, "{}: {events} events", python.name());
        for (seen, told) in seen.iter().zip(&told) {
            let same = seen.iter().zip(told).take_while(|(a, b)| a == b).count();
            let [seen, told] =
                [seen, told].map(|events| events.iter().skip(same).take(5).collect::<Vec<_>>());
            assert_eq!(seen, told, "{}: event {same}", python.name());
        }
        assert_eq!(seen.len(), told.len(), "{}", python.name());
        None
    });
}

/// Prints each call of a function that is written in C besides, with its module.
const WITH_C: &str = r#"
    python$target:::cfunction-entry { printf("%d > %s c:%s:%s %d\n", tid, args[0], args[3], args[1], args[2]); }
    python$target:::cfunction-return { printf("%d < %s c:%s:%s %d\n", tid, args[0], args[3], args[1], args[2]); }"#;

/// Those of some events that a profiler tells of, too, as it does.
fn as_told(seen: &[&str], told: &[&str], without: &[&str]) -> [Vec<String>; 2] {
    let is_kept = |line: &&&str| {
        let name = line.rsplit([':', ' ']).nth(1).unwrap_or_default();
        let is_without = line.contains(" c:") && without.contains(&name);
        !is_without && !line.contains("/twin.py ")
    };
    let [seen, told] = [seen, told].map(|lines| lines.iter().filter(is_kept).collect::<Vec<_>>());
    // A profiler is not told of which class a method is.
    let modules = told.iter().map(|line| line.contains(" c:-:"));
    let without_class = |line: &str| {
        let (start, rest) = line.split_once(" c:").unwrap_or((line, ""));
        let (_, name) = rest.split_once(':').unwrap_or_default();
        format!("{start} c:-:{name}")
    };
    let seen = seen.iter().zip(modules.chain(std::iter::repeat(false)));
    let seen = seen.map(|(line, is_method)| {
        if is_method {
            without_class(line)
        } else {
            (**line).to_owned()
        }
    });
    [
        seen.collect(),
        told.iter().map(|line| (**line).to_owned()).collect(),
    ]
}

/// Without a profiler, and with the one that tells what to expect.
#[test]
fn calls_of_c_functions_are_those_that_a_profiler_is_told() {
    each("C functions", |python| {
        if python.version < (3, 11, 0) {
            return Some("calls are not looked for in versions before 3.11");
        }
        let twin = python.file("tests/pythons/twin.py");
        for script in ["tests/pythons/cfunctions.py", "tests/pythons/tasks.py"] {
            let script = python.file(script);
            let with_profiler = format!("{twin} {script} c");
            for traced in [&script, &with_profiler] {
                let program = format!("{FUNCTIONS}{WITH_C}");
                let run = trace(python, &program, traced, &[]);
                assert_eq!(run.messages, "", "{}", python.name());
                let mut threads: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for line in run.events.lines() {
                    if let Some((thread, event)) = line.split_once(' ') {
                        threads.entry(thread).or_default().push(event);
                    }
                }
                let names = ["everything", "in_thread"];
                let seen = calls_of(threads.into_values(), &names);
                let told = python.run(&[&twin, &script, "c"]);
                let told = String::from_utf8(told.stdout).unwrap();
                let threads = told
                    .split("thread\n")
                    .map(|thread| thread.lines().collect());
                let told = calls_of(threads, &names);
                assert_eq!(seen.len(), told.len(), "{}", python.name());
                // What the interpreter does itself where it has specialised the call.
                let specialised = ["len", "isinstance", "append"];
                let without = if traced == &script {
                    &specialised[..]
                } else {
                    &[]
                };
                for (seen, told) in seen.iter().zip(&told) {
                    let [seen, told] = as_told(seen, told, without);
                    assert!(told.len() > 200, "{}: {} events", python.name(), told.len());
                    let same = seen.iter().zip(&told).take_while(|(a, b)| a == b).count();
                    let [seen, told] = [seen, told]
                        .map(|events| events.into_iter().skip(same).take(5).collect::<Vec<_>>());
                    assert_eq!(seen, told, "{}: event {same}", python.name());
                }
            }
        }
        None
    });
}

#[test]
fn tasks_are_seen_with_all_that_asyncio_does() {
    compare_functions("tasks", "tests/pythons/tasks.py", &["everything"], 1000);
}

#[test]
fn code_without_a_file_is_seen_as_it_says_it_is() {
    compare_functions("made code", "tests/pythons/made.py", &["everything"], 100);
}

#[test]
fn each_thread_has_its_own_sequence() {
    let names = ["worker", "worker_on_shared", "share_generator"];
    compare_functions("threads", "tests/pythons/threads.py", &names, 10_000);
}

#[test]
fn functions_that_the_recursion_limit_ends_are_balanced() {
    const PROGRAM: &str = r#"
        python$target:::function-entry /basename(copyinstr(arg0)) == "recursion.py"/
        { @[copyinstr(arg1)] = sum(1); @deepest[copyinstr(arg1)] = count(); }
        python$target:::function-return /basename(copyinstr(arg0)) == "recursion.py"/
        { @[copyinstr(arg1)] = sum(-1); }
        END { printa("%s %@d\n", @); printa("%s %@d times\n", @deepest); }"#;
    each("recursion", |python| {
        let script = python.file("tests/pythons/recursion.py");
        let run = trace(python, PROGRAM, &script, &[]);
        assert_eq!(run.messages, "", "{}", python.name());
        let words = run.events.lines().map(|line| line.split_whitespace());
        let mut deep = 0;
        for words in words.map(Iterator::collect::<Vec<_>>) {
            match *words.as_slice() {
                [function, left] => assert_eq!(left, "0", "{}: {function}", python.name()),
                ["plain" | "by_generator", times, _] => {
                    deep += u64::from(times.parse::<u64>().unwrap() > 900);
                }
                _ => {}
            }
        }
        assert_eq!(deep, 2, "{}: {}", python.name(), run.events);
        None
    });
}

#[test]
fn other_interpreters_of_a_process_are_seen_too() {
    const PROGRAM: &str = r#"
        python$target:::function-entry, python$target:::function-return
        /copyinstr(arg0) == "<string>" || copyinstr(arg0) == "<script>"/
        { @[copyinstr(arg1), probename] = count(); }
        END { printa("%s %s %@d\n", @); }"#;
    each("subinterpreters", |python| {
        let script = python.file("tests/pythons/subinterpreters.py");
        let run = trace(python, PROGRAM, &script, &[]);
        if run.script != "True\n" {
            return Some("it has none");
        }
        assert_eq!(run.messages, "", "{}", python.name());
        let lines: Vec<&str> = run.events.lines().map(str::trim).collect();
        for (function, calls) in [("leaf", 364), ("worker", 7), ("fail", 7), ("numbers", 14)] {
            for event in ["function-entry", "function-return"] {
                let line = format!("{function} {event} {calls}");
                assert!(lines.contains(&&*line), "{}: {lines:?}", python.name());
            }
        }
        None
    });
}

#[test]
fn collections_are_those_that_the_collector_tells() {
    const PROGRAM: &str = r#"
        python$target:::gc-start { printf("> %d\n", arg0); }
        python$target:::gc-done { printf("< %d\n", arg0); }"#;
    each("collections", |python| {
        let script = python.file("tests/pythons/collect.py");
        let run = trace(python, PROGRAM, &script, &[]);
        assert_eq!(run.messages, "", "{}", python.name());
        assert!(run.script.lines().count() >= 8, "{}", run.script);
        // Others come before the callback is there, and at the end.
        let found = run.events.contains(&run.script);
        assert!(found, "{}: {} {}", python.name(), run.events, run.script);
        None
    });
}

#[test]
fn audit_events_are_those_that_a_hook_gets() {
    const PROGRAM: &str = r#"python$target:::audit { printf("%s\n", copyinstr(arg0)); }"#;
    each("audit", |python| {
        if python.version < (3, 8, 0) {
            return Some("there are no audit events before 3.8");
        }
        let command = python.command.join(" ");
        let listed = machine::rdtrace(&["-lvn", "python$target:::audit", "-c", &command]);
        let script = python.file("tests/pythons/audit.py");
        let run = trace(python, PROGRAM, &script, &[]);
        assert_eq!(run.messages, "", "{}", python.name());
        let told: Vec<&str> = run.script.lines().collect();
        assert!(told.len() > 20, "{}", run.script);
        let after = run.events.lines().skip_while(|&event| event != "first");
        let seen: Vec<&str> = after.take_while(|&event| event != "last").collect();
        if listed.contains("copied code") {
            let mut rest = told.iter();
            let are_told = seen.iter().all(|event| rest.any(|other| other == event));
            assert!(are_told, "{}: {seen:?} {told:?}", python.name());
            assert!(seen.len() > 5, "{}: {seen:?}", python.name());
        } else {
            assert_eq!(seen, told, "{}", python.name());
        }
        None
    });
}

#[test]
fn audit_events_of_python_code_are_seen_with_and_without_a_hook() {
    const PROGRAM: &str = r#"python$target:::audit /strstr(copyinstr(arg0), "my.") != NULL/
        { @[copyinstr(arg0)] = count(); } END { printa("%s %@d\n", @); }"#;
    each("sys.audit()", |python| {
        if python.version < (3, 8, 0) {
            return Some("there are no audit events before 3.8");
        }
        let command = python.command.join(" ");
        let listed = machine::rdtrace(&["-lvn", "python$target:::audit", "-c", &command]);
        if listed.contains("seen only if there is a hook") {
            return Some("those without a hook are not seen, which is told");
        }
        let script = python.file("tests/pythons/sys_audit.py");
        let run = trace(python, PROGRAM, &script, &[]);
        // The name of an event of C code may lie in a page that has not been read yet: that is told.
        let mut messages = run.messages.lines();
        let told = messages.all(|line| line.contains("invalid address (0x"));
        assert!(told, "{}: {}", python.name(), run.messages);
        let mut told: Vec<&str> = run.script.lines().collect();
        let mut seen: Vec<&str> = run.events.lines().filter(|line| !line.is_empty()).collect();
        told.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, told, "{}", python.name());
        None
    });
}

/// What a thread did with the lock, when, and how long it had waited for it.
#[derive(Debug)]
struct OfLock<'t> {
    what: &'t str,
    thread: &'t str,
    time: u64,
    waited: u64,
}

impl<'t> OfLock<'t> {
    fn parse(line: &'t str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, thread, time, waited] = words[..] else {
            panic!("{line}")
        };
        let number = |text: &str| text.parse().unwrap();
        Self {
            what,
            thread,
            time: number(time),
            waited: number(waited),
        }
    }
}

/// One thread at a time has the lock: who takes it drops it before another takes it. And a thread asked for it
/// after it had dropped it, and waited until the one before had dropped it.
#[test]
fn the_lock_goes_from_thread_to_thread() {
    const PROGRAM: &str = r#"
        python$target:::gil-wait { printf("wait %d %d 0\n", tid, timestamp); }
        python$target:::gil-acquire { printf("acquire %d %d %d\n", tid, timestamp, arg0); }
        python$target:::gil-release { printf("release %d %d 0\n", tid, timestamp); }"#;
    each("lock", |python| {
        let script = python.file("tests/pythons/gil.py");
        let run = trace(python, PROGRAM, &script, &[]);
        let name = python.name();
        let in_another_root = python.root != Path::new("/");
        assert!(
            in_another_root || run.messages.is_empty(),
            "{name}: {}",
            run.messages
        );
        let lines = run.events.lines().filter(|line| !line.is_empty());
        let events: Vec<OfLock<'_>> = lines.map(OfLock::parse).collect();
        let mut holder = None;
        let mut released: BTreeMap<&str, u64> = BTreeMap::new();
        let mut asked: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut last_release, mut waits) = (0, 0);
        let first = events.iter().position(|event| event.what == "acquire");
        for event in &events[..first.unwrap()] {
            asked.insert(event.thread, event.time); // by one that has been met while it held the lock
        }
        for event in &events[first.unwrap()..] {
            match event.what {
                "wait" => {
                    assert_ne!(holder, Some(event.thread), "{name}: {event:?}");
                    asked.insert(event.thread, event.time);
                }
                "acquire" => {
                    assert_eq!(holder, None, "{name}: {event:?}");
                    holder = Some(event.thread);
                    if let Some(before) = asked.remove(event.thread) {
                        let own = released.get(event.thread).copied().unwrap_or_default();
                        assert!(event.waited <= event.time - own, "{name}: {event:?}");
                        let at_least = last_release.max(before) - before;
                        assert!(event.waited >= at_least, "{name}: {event:?}");
                        waits += 1;
                    } else {
                        assert_eq!(event.waited, 0, "{name}: {event:?}");
                    }
                }
                _ => {
                    assert_eq!(holder, Some(event.thread), "{name}: {event:?}");
                    holder = None;
                    last_release = event.time;
                    released.insert(event.thread, event.time);
                }
            }
        }
        // Four times 200 naps, each of which drops the lock and takes it again.
        assert!(waits >= 800, "{name}: {waits}");
        assert!(released.len() >= 8, "{name}: {released:?}");
        None
    });
}

#[test]
fn own_tests_pass_and_end_what_they_start() {
    const PROGRAM: &str = "
        python$target:::function-entry { @entries = count(); }
        python$target:::function-return { @returns = count(); }";
    each("own tests", |python| {
        let script = python.file("tests/pythons/own_tests.py");
        let untraced = python.run(&[&script]);
        let untraced = String::from_utf8(untraced.stdout).unwrap();
        if untraced.starts_with("0 modules") {
            return Some("its tests are not installed");
        }
        let run = trace(python, PROGRAM, &script, &[]);
        assert_eq!(run.script, untraced, "{}", python.name());
        assert_eq!(run.messages, "", "{}", python.name());
        let counts: Vec<u64> = run
            .events
            .split_whitespace()
            .map(|count| count.parse().unwrap())
            .collect();
        assert_eq!(counts[0], counts[1], "{}", python.name());
        (counts[0] < 100_000).then_some("balanced, but few of its tests are installed")
    });
}

#[test]
fn entries_are_exact_while_tools_watch() {
    const ENTRIES: &str = r#"
        python$target:::function-entry /basename(copyinstr(arg0)) == "watched.py"/
        { @[copyinstr(arg1)] = count(); }
        END { printa("%s %@d\n", @); }"#;
    // With returns enabled, entries are had in another way.
    let paired = format!("{ENTRIES} python$target:::function-return {{ this->x = 0; }}");
    each("watched", |python| {
        let script = python.file("tests/pythons/watched.py");
        for program in [ENTRIES, &paired] {
            let run = trace(python, program, &script, &[]);
            assert_eq!(run.messages, "", "{}", python.name());
            let seen: BTreeMap<&str, &str> = run
                .events
                .lines()
                .filter_map(|line| line.trim().split_once(' '))
                .collect();
            let told: Vec<(&str, &str)> = run
                .script
                .lines()
                .filter_map(|line| line.split_once(' '))
                .collect();
            assert!(told.len() >= 6, "{}: {told:?}", python.name());
            for (function, times) in told {
                let seen = seen.get(function);
                assert_eq!(seen, Some(&times), "{}: {function}", python.name());
            }
        }
        None
    });
}

#[test]
fn a_jit_compiler_at_work_is_told() {
    const PROGRAM: &str = "python$target:::function-entry { @[copyinstr(arg1)] = count(); }";
    const HOT: &str = "tests/pythons/hot.py";
    each("JIT", |python| {
        let script = python.file(HOT);
        let told = python.run(&[&script, "jit"]);
        if told.stdout != b"True\n" {
            return Some("it has none, or does not say so");
        }
        let run = trace(python, PROGRAM, &script, &[("PYTHON_JIT", "0")]);
        assert_eq!(run.messages, "", "{}", python.name());
        assert!(run.events.contains("50000"), "{}", run.events);
        let run = trace(python, PROGRAM, &script, &[("PYTHON_JIT", "1")]);
        let told = run.messages.contains("in Python's JIT compiler");
        assert!(told, "{}: {}", python.name(), run.messages);
        None
    });
}
