//! Every Python that is found on the machine is a test case: those in `PATH`, in `/usr/bin`, of
//! pyenv, and those of the peers' chroot if it is there.
//!
//! What rdtrace reports is compared with what the same interpreter reports of itself, by
//! `sys.setprofile` in a twin. Which versions were covered is printed (`--nocapture`). Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stderr,
    reason = "tests say what was covered and skipped"
)]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

#[path = "pythons/answers.rs"]
mod answers;
#[path = "pythons/machine.rs"]
mod machine;

use self::answers::Answers;
use self::machine::{Python, bounded_rdtrace, deadline, each, rdtrace};

#[test]
fn each_lists_its_probes() {
    each("listing", |python| {
        let command = python.command.join(" ");
        let text = rdtrace(&["-l", "-n", "python$target:::", "-c", &command]);
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| {
                line.trim_end_matches(" (synthesised)")
                    .split(' ')
                    .next_back()
            })
            .collect();
        for name in [
            "function-entry",
            "function-return",
            "gc-start",
            "gc-done",
            "import-find-load-start",
            "import-find-load-done",
        ] {
            let count = names.iter().filter(|found| **found == name).count();
            assert_eq!(count, 1, "{}: {name}\n{text}", python.name());
        }
        None
    });
}

/// The command that shows all kinds of frames. Where another program starts the interpreter, that is known some
/// moments after its start only, and the command waits.
fn frames_command(python: &Python, script: &str, file: &str) -> String {
    let wait = if python.root == Path::new("/") { 0 } else { 3 };
    format!("{} {script} {file} {wait}", python.command.join(" "))
}

/// What is not made in a version is refused with the reason, and what there is instead; a misspelt name is answered with all that
/// the process has.
#[test]
fn each_says_what_it_has_and_why_not() {
    each("refusals", |python| {
        if python.root != Path::new("/") {
            return Some("another program starts it, and what it lacks is told at the end");
        }
        let command = format!("{} -c pass", python.command.join(" "));
        let refused = |name: &str| {
            let program = format!("python$target:::{name} {{}}");
            let mut rdtrace = bounded_rdtrace();
            let output = rdtrace.args(["-qn", &program, "-c", &command]).output();
            let output = output.unwrap();
            assert!(!output.status.success(), "{name}: {}", python.name());
            String::from_utf8(output.stderr).unwrap()
        };
        if python.version < (3, 11, 0) {
            let said = refused("cfunction-entry");
            let (_, minor, micro) = python.version;
            let version = format!("CPython 3.{minor}.{micro}");
            for part in ["nor can it be made from outside", &version, "builtin_len"] {
                assert!(said.contains(part), "{said}");
            }
        }
        let said = refused("gil-wiat");
        for name in [
            "exception-raise",
            "exception-caught",
            "function-entry",
            "gil-acquire",
            "gil-wait",
        ] {
            assert!(
                said.contains(&format!("{name}, ")) || said.contains(&format!("{name}\n")),
                "{said}"
            );
        }
        assert!(said.contains("did you mean `gil-wait`?"), "{said}");
        None
    });
}

/// Each exception is raised once, whatever it passes through, with its class, its message and its place.
#[test]
fn each_tells_what_is_raised() {
    each_tells_of_exceptions("raised", "exception-raise", "raises.py", 24);
}

/// Each handler of an exception is entered as it says itself: with the class, the message and the line.
#[test]
fn each_tells_what_is_caught() {
    each_tells_of_exceptions("caught", "exception-caught", "catches.py", 1230);
}

/// The probe `name` fires so often in a program that says itself of what.
fn each_tells_of_exceptions(what: &str, name: &str, file: &str, times: usize) {
    each(what, |python| {
        let script = python.file(&format!("tests/triggers/{file}"));
        let answers = Answers::of(python, what);
        let command = frames_command(python, &script, &answers.inside);
        let program = format!(
            r#"python$target:::{name} /basename(args[2]) == "{file}"/
            {{ printf("%s [%s] %d\n", args[0], args[1], args[3]); }}"#
        );
        let text = rdtrace(&["-qn", &program, "-c", &command]);
        let expected = answers.take();
        assert_eq!(expected.lines().count(), times, "{}", python.name());
        assert_eq!(text.trim(), expected.trim(), "{}", python.name());
        None
    });
}

/// The stacks that a program says it is in, and those that rdtrace finds there, from a probe in the C library.
#[test]
fn each_has_its_frames_in_any_probe() {
    each("frames", |python| {
        let script = python.file("tests/triggers/frames.py");
        let answers = Answers::of(python, "frames");
        let command = frames_command(python, &script, &answers.inside);
        let program = "pid$target:libc.so.6:getppid:entry
            { printf(\"at %s:%d %s\\n%k\", pyfile, pyline, pyfunc, jstack(4000)); }";
        let text = rdtrace(&["-qn", program, "-c", &command]);
        let expected = answers.take();
        let expected: Vec<Vec<&str>> = expected
            .trim_end()
            .split("\n\n")
            .map(|list| list.lines().collect())
            .collect();
        let found: Vec<Vec<&str>> = text
            .split("at ")
            .skip(1)
            .map(|list| list.lines().filter(|line| !line.is_empty()).collect())
            .collect();
        assert_eq!(found.len(), expected.len(), "{}: {text}", python.name());
        for (found, expected) in found.iter().zip(&expected) {
            let (top, frames) = found.split_first().unwrap();
            assert_eq!(frames, &expected[..], "{}", python.name());
            assert_eq!(*top, expected[0], "{}", python.name());
        }
        None
    });
}

/// What a run of rdtrace prints that goes well and walks the stacks of processes. On a busy machine the memory for
/// that may be full, which is said; then there is nothing to compare.
fn walks(arguments: &[&str]) -> Result<String, &'static str> {
    let output = bounded_rdtrace().args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    if errors.contains("the memory for walking the stacks of processes has no room") {
        return Err("no room for walking stacks");
    }
    Ok(String::from_utf8(output.stdout).unwrap())
}

/// The stack of a program, in which functions of Python are between those of C where these call them.
#[test]
fn each_has_its_functions_between_those_of_c() {
    each("mixed stacks", |python| {
        let script = python.file("tests/triggers/mixed_stacks.py");
        let answers = Answers::of(python, "mixed");
        let program = "pid$target:libc.so.6:getppid:entry { printf(\"at\\n%k\", ustack(120)); }";
        let traced = |wait: u32| {
            let command = format!(
                "{} {script} {} {wait}",
                python.command.join(" "),
                answers.inside
            );
            let text = walks(&["-qn", program, "-c", &command]);
            let expected = answers.take();
            text.map(|text| (text, expected))
        };
        // How to walk through the libraries that it loads is known some moments later, longer ones on a busy machine.
        let is_whole = |text: &str| !text.lines().any(|line| line.trim() == "...");
        let mut outcome = traced(3);
        for wait in [10, 30] {
            if outcome.as_ref().is_ok_and(|(text, _)| !is_whole(text)) {
                outcome = traced(wait);
            }
        }
        let (text, expected) = match outcome {
            Ok(outcome) => outcome,
            Err(why) => return Some(why),
        };
        let expected: Vec<Vec<&str>> = expected
            .trim_end()
            .split("\n\n")
            .map(|list| list.lines().collect())
            .collect();
        let found: Vec<Vec<&str>> = text
            .split("at\n")
            .skip(1)
            .map(|list| list.lines().filter(|line| !line.is_empty()).collect())
            .collect();
        assert_eq!(found.len(), expected.len(), "{}: {text}", python.name());
        for (found, expected) in found.iter().zip(&expected) {
            let mut frames = found.clone();
            for frame in &mut frames {
                if frame.contains('`') {
                    *frame = "C";
                }
            }
            frames.dedup_by(|a, b| *a == "C" && *b == "C");
            // Before 3.11 it is always C that calls.
            let in_python = |frame: &&&str| **frame != "C";
            let of_c = expected.iter().filter(in_python);
            let of_c = of_c.flat_map(|frame| ["C", *frame]).chain(["C"]);
            let expected = if python.version < (3, 11, 0) {
                of_c.collect()
            } else {
                expected.clone()
            };
            assert_eq!(frames, expected, "{}: {found:#?}", python.name());
            let eval = |frame: &&str| frame.contains("`_PyEval_EvalFrameDefault");
            assert!(!found.iter().any(eval), "{}: {found:#?}", python.name());
        }
        None
    });
}

/// With `-x pystack=off`, a program's own frames.
#[test]
fn each_shows_its_own_frames_if_asked_to() {
    each("stacks of C", |python| {
        let script = python.file("tests/triggers/mixed_stacks.py");
        let command = frames_command(python, &script, "/dev/null");
        let program = "#pragma D option pystack=off
            pid$target:libc.so.6:getppid:entry { @[ustack()] = count(); }";
        let text = match walks(&["-qn", program, "-c", &command]) {
            Ok(text) => text,
            Err(why) => return Some(why),
        };
        assert!(text.contains("`getppid"), "{}: {text}", python.name());
        assert!(
            !text.contains("mixed_stacks.py"),
            "{}: {text}",
            python.name()
        );
        None
    });
}

/// Line, module and depth of where a program says that it is.
#[test]
fn each_tells_line_module_and_depth() {
    each("places", |python| {
        let script = python.file("tests/triggers/places.py");
        let answers = Answers::of(python, "places");
        let command = frames_command(python, &script, &answers.inside);
        let program = "pid$target:libc.so.6:getppid:entry
            { printf(\"%d [%s] %d\\n\", pyline, pymodule, pydepth); }";
        let text = rdtrace(&["-qn", program, "-c", &command]);
        let expected = answers.take();
        let found: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(found, expected, "{}", python.name());
        None
    });
}

/// The exceptions of an example, and the functions that they pass through.
#[test]
fn each_shows_its_exceptions() {
    each("exceptions", |python| {
        if python.root != Path::new("/") {
            return Some("what is started is chroot, which does not have the function");
        }
        let script = python.file("examples/exceptions.py");
        let command = format!("{} {script}", python.command.join(" "));
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/exceptions.d");
        let text = rdtrace(&["-qs", program, "-c", &command]);
        let found: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("exceptions.py:"))
            .collect();
        let of_c = match python.version {
            (3, ..12, _) => "<class 'ValueError'>",
            _ => r#"ValueError("invalid literal for int() with base 10: 'two'")"#,
        };
        let expected = [
            &format!("exceptions.py:5 parse: {of_c}"),
            "    through exceptions.py:14 number",
            "exceptions.py:21 check: ArithmeticError('negative', -3)",
            "    through exceptions.py:26 pay",
            "    through exceptions.py:31 <module>",
        ];
        assert_eq!(found, expected, "{}", python.name());
        None
    });
}

/// Of a deep stack the innermost functions, and a mark that there are more.
#[test]
fn each_marks_a_stack_that_is_cut() {
    each("deep stacks", |python| {
        let script = python.file("tests/triggers/frames.py");
        let command = frames_command(python, &script, "/dev/null");
        let program = "pid$target:libc.so.6:getppid:entry { @[jstack()] = count(); }
            END { printa(\"%k%@d\\n\", @); }";
        let text = rdtrace(&["-qn", program, "-c", &command]);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let cut = lines.iter().position(|line| *line == "...");
        let cut = cut.unwrap_or_else(|| panic!("{}: {text}", python.name()));
        let before = lines[..cut].iter().rev();
        let deep = before.take_while(|line| line.ends_with(" recursive"));
        assert_eq!(deep.count(), 512, "{}", python.name());
        assert_eq!(lines[cut + 1], "1", "{}", python.name());
        None
    });
}

/// What rdtrace prints and says when `tests/pythons/forged_frames.py` forges something.
fn forged(python: &Python, what: &str, clause: &str) -> (String, String) {
    let script = python.file("tests/pythons/forged_frames.py");
    let command = frames_command(python, &script, what);
    let program = format!("pid$target:libc.so.6:getppid:entry {{ {clause} }}");
    let mut rdtrace = bounded_rdtrace();
    rdtrace.args(["-qn", &program, "-x", "droptags", "-c", &command]);
    let output = rdtrace.output().unwrap();
    let [text, said] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{}: {what}: {said}", python.name());
    (text, said)
}

/// Chains without an end are followed for a while, which is counted; what leads into the kernel is not followed, which is
/// counted, too, and marked.
#[test]
fn each_search_ends_in_what_is_forged() {
    const ENDLESS: &str = "[RDTRACEDROP_MISMATCH] 1 hit";
    const CUT: &str = "[RDTRACEDROP_CUT] 1 Python stack not followed to its end";
    each("forged frames", |python| {
        for (what, depth, told) in [
            ("cycle", "32769", Some(ENDLESS)),
            ("kernel", "3", Some(CUT)),
            ("edge", "4", None),
            ("states", "0", Some(ENDLESS)),
        ] {
            let (text, said) = forged(python, what, "trace(pydepth);");
            assert_eq!(text.trim(), depth, "{}: {what}: {said}", python.name());
            for message in [ENDLESS, CUT] {
                assert_eq!(
                    said.contains(message),
                    told == Some(message),
                    "{}: {what}: {said}",
                    python.name()
                );
            }
        }
        for (clause, last) in [
            ("jstack();", Some("...")),
            ("jstack(4);", Some("...")),
            ("jstack(3);", None),
        ] {
            let (text, said) = forged(python, "kernel", clause);
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let main = lines.iter().position(|line| line.ends_with(" main"));
            let behind = main.and_then(|main| lines.get(main + 1));
            assert_eq!(
                behind.filter(|line| !line.is_empty()),
                last.as_ref(),
                "{text}"
            );
            assert_eq!(said.contains(CUT), last.is_some(), "{clause}: {said}");
        }
        None
    });
}

/// Functions whose call in C is not on the stack of C: the stack is shown without them, and that is counted.
#[test]
fn each_function_without_a_frame_in_c_is_counted() {
    each("forged places", |python| {
        if python.version < (3, 11, 0) {
            return Some("before 3.11 calls have no places");
        }
        let (text, said) = forged(python, "place", "@[ustack(120)] = count();");
        // From 3.12 on, a call's functions are known by the frame behind them, which is the forged one.
        let innermost = python.version < (3, 12, 0);
        for (function, shown) in [
            (" ask_with", innermost),
            (" forge_place", innermost),
            (" main", false),
        ] {
            let is_there = text.lines().any(|line| line.ends_with(function));
            assert_eq!(is_there, shown, "{}: {function}: {text}", python.name());
        }
        let counted = "[RDTRACEDROP_MIXED] 1 stack not shown with all Python functions";
        assert!(said.contains(counted), "{}: {said}", python.name());
        None
    });
}

#[test]
fn each_shows_the_call_stack_exactly() {
    each("call stack", |python| {
        let script = python.file("examples/call_stack.py");
        let command = format!("{} {script}", python.command.join(" "));
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/call_stack.d");
        let text = rdtrace(&["-q", "-s", program, "-c", &command]);
        let seen: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.split_once('\t')?.1)) // without the time
            .collect();
        let twin = python.run(&[&python.file("tests/pythons/call_stack_twin.py"), &script]);
        let twin = String::from_utf8(twin.stdout).unwrap();
        let expected: Vec<&str> = twin.lines().collect();
        assert!(expected.len() > 10, "{}: {twin}", python.name());
        assert_eq!(seen, expected, "{}", python.name());
        None
    });
}

#[test]
fn each_sees_every_call_and_return() {
    const PROGRAM: &str = r#"
        python$target:::function-entry /basename(copyinstr(arg0)) == "calls.py"/
        { printf("> %s %d\n", copyinstr(arg1), arg2); }
        python$target:::function-return /basename(copyinstr(arg0)) == "calls.py"/
        { printf("< %s %d\n", copyinstr(arg1), arg2); }"#;
    each("calls", |python| {
        let script = python.file("tests/pythons/calls.py");
        let command = format!("{} {script}", python.command.join(" "));
        let text = rdtrace(&["-q", "-n", PROGRAM, "-c", &command]);
        let twin = python.run(&[&script, "twin"]);
        let twin = String::from_utf8(twin.stdout).unwrap();
        let seen: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let expected: Vec<&str> = twin.lines().collect();
        assert!(expected.len() > 50, "{}: {twin}", python.name());
        // What runs before the twin's profiler does.
        let profiled = |line: &&str| !["<module>", "Base", "Derived"].contains(&function(line));
        let seen: Vec<&str> = seen.into_iter().filter(profiled).collect();
        assert_eq!(seen, expected, "{}", python.name());
        None
    });
}

#[test]
fn each_sees_every_entry_where_returns_are_not_wanted() {
    const WITH_LINES: &str = r#"
        python$target:::function-entry /basename(copyinstr(arg0)) == "calls.py"/
        { printf("> %s %d\n", copyinstr(arg1), arg2); }"#;
    const NAMES: &str = r#"
        python$target:::function-entry /basename(copyinstr(arg0)) == "calls.py"/
        { printf("> %s\n", copyinstr(arg1)); }"#;
    each("entries alone", |python| {
        let script = python.file("tests/pythons/calls.py");
        let command = format!("{} {script}", python.command.join(" "));
        let twin = python.run(&[&script, "twin"]);
        let twin = String::from_utf8(twin.stdout).unwrap();
        let told: Vec<&str> = twin.lines().filter(|line| line.starts_with('>')).collect();
        assert!(told.len() > 25, "{}: {twin}", python.name());
        let names: Vec<String> = told
            .iter()
            .map(|line| format!("> {}", function(line)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (program, expected) in [(WITH_LINES, told), (NAMES, names)] {
            let text = rdtrace(&["-q", "-n", program, "-c", &command]);
            // What runs before the twin's profiler does.
            let profiled = |line: &&str| {
                !line.is_empty() && !["<module>", "Base", "Derived"].contains(&function(line))
            };
            let seen: Vec<&str> = text.lines().filter(profiled).collect();
            assert_eq!(seen, expected, "{}", python.name());
        }
        None
    });
}

/// Generator expressions are told from functions whose code was at the same addresses before, and in Debian's 3.15 the
/// argument that tells is not read at each hit.
#[test]
fn each_tells_generator_expressions_from_functions() {
    const PROGRAM: &str = r#"
        python$target:::function-entry /copyinstr(arg0) == "<string>"/
        { @[copyinstr(arg1)] = count(); }"#;
    each("reused addresses", |python| {
        let script = python.file("tests/pythons/reused.py");
        let answers = Answers::of(python, "reused");
        let command = format!("{} {script} {}", python.command.join(" "), answers.inside);
        let text = rdtrace(&["-x", "pyusdt=off", "-qn", PROGRAM, "-c", &command]);
        let expected = answers.take();
        let of = |text: &str, name: &str| {
            let mut lines = text.lines().map(str::split_whitespace);
            let line = lines.find(|words| words.clone().next() == Some(name));
            line.and_then(|words| words.last()?.parse::<u32>().ok())
        };
        assert!(of(&expected, "again") > Some(0), "{}", python.name());
        for name in ["<genexpr>", "function"] {
            assert!(of(&expected, name).is_some(), "{expected}");
            assert_eq!(
                of(&text, name),
                of(&expected, name),
                "{name} of {}",
                python.name()
            );
        }
        if python.root != Path::new("/") && python.version >= (3, 15, 0) {
            let program = python.command.last().unwrap().trim_start_matches('/');
            let file = python.root.join(program);
            // It cannot start here, so that its self-test fails.
            let shown = bounded_rdtrace().arg("--check-python").arg(file).output();
            let sites = String::from_utf8(shown.unwrap().stdout).unwrap();
            assert!(sites.contains("specialised instructions only"), "{sites}");
        }
        None
    });
}

#[test]
fn each_tells_names_qualified_and_not() {
    const PROGRAM: &str = r#"
        python$target:::function-entry
        /basename(copyinstr(arg0)) == "names.py" && copyinstr(arg1) != "<module>"/
        { printf("%s %s %d\n", copyinstr(arg1), pyqualname, arg3); }"#;
    each("names", |python| {
        let script = python.file("tests/pythons/names.py");
        let command = format!("{} {script}", python.command.join(" "));
        let text = rdtrace(&["-q", "-n", PROGRAM, "-c", &command]);
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let expected = match python.version {
            (3, ..11, _) => ["Wörld Wörld 0", "méthod méthod 0", "inner inner 0"],
            _ => [
                "Wörld Wörld 0",
                "méthod Wörld.méthod 0",
                "inner Wörld.méthod.<locals>.inner 0",
            ],
        };
        assert_eq!(lines, expected, "{}", python.name());
        None
    });
}

#[test]
fn each_ends_what_was_active_at_attach_and_at_a_fork() {
    const PROGRAM: &str = r#"
        python*:::function-entry, python*:::function-return
        /(pid == $target || ppid == $target) && basename(copyinstr(arg0)) == "attach.py"/
        { printf("%s %s %s\n", pid == $target ? "parent" : "child",
            probename == "function-entry" ? ">" : "<", copyinstr(arg1)); }"#;
    // `sum` goes on with the generator once more, which then ends.
    const EXPECTED: &str = "parent < tick, parent < numbers, parent > numbers, parent < numbers, \
        parent < consume, parent < __init__, parent < wait, parent < drive, parent < key, \
        parent > fork, child < fork, child < main, child < <module>, \
        parent < fork, parent < main, parent < <module>";
    let _alone = BREAKPOINTS.lock();
    each("attach", |python| {
        let dir = tempfile::tempdir_in(python.root.join("tmp")).unwrap();
        let go = dir.path().join("go");
        let mut target = waiting(python, &go);
        let out = dir.path().join("out");
        let pid = target.id().to_string();
        let mut tracer = bounded_rdtrace()
            .args(["-qn", PROGRAM, "-p", &pid, "-o"])
            .arg(&out)
            .spawn()
            .unwrap();
        let text = || fs::read_to_string(&out).unwrap_or_default();
        wait_until(|| text().contains("< tick"));
        fs::write(&go, "").unwrap();
        assert!(target.wait().unwrap().success(), "{}", python.name());
        assert!(tracer.wait().unwrap().success(), "{}", python.name());
        let text = text();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let last = lines.iter().rposition(|line| *line == "parent < tick");
        lines.drain(..last.unwrap_or(0));
        assert_eq!(lines.join(", "), EXPECTED, "{}", python.name());
        None
    });
}

/// Held where all processes get breakpoints, and where they are looked for.
static BREAKPOINTS: Mutex<()> = Mutex::new(());

#[test]
fn each_is_left_as_it_was() {
    let _alone = BREAKPOINTS.lock();
    each("detach", |python| {
        let dir = tempfile::tempdir_in(python.root.join("tmp")).unwrap();
        let go = dir.path().join("go");
        let mut target = waiting(python, &go);
        let out = dir.path().join("out");
        let pid = target.id().to_string();
        let mut tracer = Command::new(env!("CARGO_BIN_EXE_rdtrace"))
            .args([
                "-q",
                "-n",
                "python$target:::function-* { trace(probename); }",
            ])
            .args(["-p", &pid, "-o"])
            .arg(&out)
            .spawn()
            .unwrap();
        let written = || fs::metadata(&out).is_ok_and(|file| file.len() > 0);
        wait_until(written);
        let during = changed_code(target.id());
        let interrupt = nix::sys::signal::Signal::SIGINT;
        let tracer_pid = nix::unistd::Pid::from_raw(tracer.id().cast_signed());
        nix::sys::signal::kill(tracer_pid, interrupt).unwrap();
        assert!(tracer.wait().unwrap().success());
        let after = changed_code(target.id());
        fs::write(&go, "").unwrap();
        assert!(target.wait().unwrap().success(), "{}", python.name());
        assert!(during > 0, "{}: no breakpoint was seen", python.name());
        assert_eq!(after, 0, "{}", python.name());
        None
    });
}

/// Runs `attach.py` up to where it waits for the file `go`.
fn waiting(python: &Python, go: &Path) -> Child {
    let inside = Path::new("/").join(go.strip_prefix(&python.root).unwrap());
    let (program, first) = python.command.split_first().unwrap();
    let target = Command::new(program)
        .args(first)
        .args([python.file("tests/pythons/attach.py").into(), inside])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| go.with_extension("ready").exists());
    target
}

/// In how many bytes a process's code differs from the files that it is mapped from.
fn changed_code(pid: u32) -> usize {
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut changed = 0;
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[range, "r-xp", offset, _, _, file] = words.as_slice() else {
            continue;
        };
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let Ok(file) = fs::File::open(file) else {
            continue; // not a file: [vdso]
        };
        let mut bytes =
            [(); 2].map(|()| vec![0; usize::try_from(number(end) - number(start)).unwrap()]);
        memory.read_exact_at(&mut bytes[0], number(start)).unwrap();
        // The last page may reach beyond the file.
        let length = file.read_at(&mut bytes[1], number(offset)).unwrap();
        let [now, before] = bytes;
        changed += (0..length).filter(|&n| now[n] != before[n]).count();
    }
    changed
}

/// Waits for something that happens soon.
fn wait_until(happened: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(deadline());
    while !happened() && Instant::now() < limit {
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn each_tells_a_program_from_the_one_that_it_was_before() {
    const PROGRAM: &str = r#"
        python$target:::function-entry, python$target:::function-return
        /basename(copyinstr(arg0)) == "exec.py"/
        { printf("%s %s\n", probename == "function-entry" ? ">" : "<", copyinstr(arg1)); }"#;
    const EXPECTED: &str = "> <module>, > main, > again, > <module>, > main, > again, \
        > <module>, > main, > again, > last, < last, < again, < main, < <module>";
    each("exec", |python| {
        let script = python.file("tests/pythons/exec.py");
        // Without randomisation, frames are where those of the program before were.
        let (program, first) = python.command.split_first().unwrap();
        let command = format!("setarch -R {program} {} {script} 2", first.join(" "));
        let text = rdtrace(&["-q", "-n", PROGRAM, "-c", &command]);
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.join(", "), EXPECTED, "{}", python.name());
        None
    });
}

#[test]
fn each_sees_every_import() {
    const PROGRAM: &str = r#"
        python$target:::import-find-load-start { printf("> %s\n", copyinstr(arg0)); }
        python$target:::import-find-load-done { printf("< %s %d\n", copyinstr(arg0), arg1); }"#;
    each("imports", |python| {
        let script = python.file("tests/pythons/imports.py");
        let command = format!("{} {script}", python.command.join(" "));
        let text = rdtrace(&["-q", "-n", PROGRAM, "-c", &command]);
        let twin = python.run(&[&script, "twin"]);
        let twin = String::from_utf8(twin.stdout).unwrap();
        let expected: Vec<&str> = twin.lines().collect();
        assert!(expected.len() > 60, "{}: {twin}", python.name());
        let seen: Vec<&str> = text
            .lines()
            .skip_while(|line| *line != expected[0])
            .take(expected.len())
            .collect();
        assert_eq!(seen, expected, "{}", python.name());
        None
    });
}

/// The function of an event: `> leaf 1`.
fn function<'l>(line: &&'l str) -> &'l str {
    line.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn each_without_probes_passes_its_self_test() {
    each("self-test", |python| {
        if python.root != Path::new("/") {
            return Some("its libraries are not to be found from here");
        }
        let program = python.command.last().unwrap();
        let text = rdtrace(&["--check-python", program]);
        let own = text.contains("function-entry: the file's own marker is used");
        assert!(own || text.contains("self-test: passed"), "{text}");
        for probe in ["exception-raise", "exception-caught"] {
            assert!(text.contains(&format!("\t{probe}: can")), "{probe}: {text}");
        }
        None
    });
}

#[test]
fn each_marker_that_is_replaced_is_replaced_by_its_equal() {
    const PROGRAM: &str = r#"
        python$target:::function-entry { printf("> %s %d\n", copyinstr(arg1), arg2); }
        python$target:::function-return { printf("< %s %d\n", copyinstr(arg1), arg2); }
        python$target:::line { printf("= %s %d\n", copyinstr(arg1), arg2); }"#;
    each("markers", |python| {
        if python.version < (3, 11, 0) || python.version >= (3, 12, 0) {
            return Some("its markers, if it has any, are as good as those that are made");
        }
        let command = format!(
            "{} {}",
            python.command.join(" "),
            python.file("tests/pythons/calls.py")
        );
        let list = ["-l", "-n", "python$target:::line", "-c", &command];
        let listed = Command::new(env!("CARGO_BIN_EXE_rdtrace"))
            .args(list)
            .output()
            .unwrap();
        if !String::from_utf8(listed.stdout).unwrap().contains(" line") {
            return Some("it has no markers");
        }
        let made = rdtrace(&["-q", "-n", PROGRAM, "-c", &command]);
        let markers = rdtrace(&["-q", "-x", "pyusdt", "-n", PROGRAM, "-c", &command]);
        assert!(made.lines().count() > 10_000);
        assert_eq!(made, markers, "{}", python.name());
        None
    });
}
