//! Values of Python's objects, on every Python of the machine, compared with what the process itself
//! says of them: `tests/pythons/values.py` writes `repr` of each, as far as rdtrace reads it. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stderr,
    reason = "tests say what was covered and skipped"
)]

use std::path::Path;

#[path = "pythons/answers.rs"]
mod answers;
#[path = "pythons/machine.rs"]
mod machine;

use self::answers::Answers;
use self::machine::{Python, each, rdtrace};

/// What a program shows of `values.py`, and what that has written. The lines of both start with the
/// object's number.
fn values(python: &Python, program: &str) -> (String, String) {
    shown_and_written(python, program, "values.py", 0)
}

/// The same of any script, which is to wait so many seconds before.
fn shown_and_written(
    python: &Python,
    program: &str,
    script: &str,
    seconds: u32,
) -> (String, String) {
    shown_and_written_with(python, program, script, &seconds.to_string())
}

/// The same of a script with these operands behind its file.
fn shown_and_written_with(
    python: &Python,
    program: &str,
    script: &str,
    operands: &str,
) -> (String, String) {
    let script = python.file(&format!("tests/pythons/{script}"));
    let this = std::thread::current();
    let answers = Answers::of(python, this.name().unwrap_or("test"));
    let command = format!(
        "{} {script} {} {operands}",
        python.command.join(" "),
        answers.inside
    );
    let shown = rdtrace(&["-qn", program, "-c", &command]);
    (shown, answers.take())
}

fn assert_alike(python: &Python, shown: &str, expected: &str) {
    for (shown, expected) in shown.lines().zip(expected.lines()) {
        assert_eq!(shown, expected, "{}", python.name());
    }
    let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).count();
    assert_eq!(lines(shown), lines(expected), "{}", python.name());
    assert!(lines(shown) > 90, "{shown}");
}

/// Why an audit event's arguments cannot be had, if they cannot.
fn no_tuple(python: &Python) -> Option<&'static str> {
    if python.version < (3, 8, 0) {
        return Some("there are no audit events before 3.8");
    }
    let command = python.command.join(" ");
    let listed = rdtrace(&["-ln", "python$target:::audit", "-c", &command]);
    let made = listed.contains("synthesised");
    made.then_some("it has no audit marker, and the tuple is nowhere")
}

#[test]
fn an_audit_events_arguments_are_shown_as_repr_does() {
    const PROGRAM: &str = r#"python$target:::audit /pystr(pyaudit(2)) == "of values.py"/
        { printf("%d %s\n", pyint(pyaudit(1)), pyaudit(0)); }"#;
    each("audit arguments", |python| {
        if let Some(why) = no_tuple(python) {
            return Some(why);
        }
        let (shown, expected) = values(python, PROGRAM);
        assert_alike(python, &shown, &expected);
        None
    });
}

#[test]
fn arguments_are_found_by_name_and_number_wherever_they_are() {
    const FILE: &str = r#"basename(copyinstr(arg0)) == "arguments.py" && copyinstr(arg1)"#;
    const EXPECTED: &str = "\
'ann' 1500 () 'EUR' {}||'ann' \n\
ann pays 1500\n\
3000 1500\n\
'bob' -7 ('a', 'b') 'USD' {'note': [1]}||'bob' \n\
little\n\
-14 -7\n\
'in a cell' 3 'in a cell'\n\
'inner' 'inner' 'in a cell'|\n\
Account 12\n\
1|\n\
1|0\n\
'something'\n";
    let clause = |function: &str, body: &str| {
        format!("python$target:::function-entry /{FILE} == \"{function}\"/ {{ {body} }}\n")
    };
    // Long enough to be cut into parts.
    let program = [
        clause(
            "plain",
            r#"printf("%s %s %s %s %s|%s|%s %s\n", pyarg("user"), pyarg("amount"), pyarg("rest"),
                pyarg("currency"), pyarg("more"), pyarg("nothing"), pyarg(0), pyarg(7));"#,
        ),
        clause(
            "plain",
            r#"pyint(pyarg("amount")) > 1000 ? printf("%s pays %d\n", pystr(pyarg("user")), pyint(pyarg(1)))
                : printf("little\n");"#,
        ),
        clause(
            "in_cell",
            r#"printf("%s %s %s\n", pyarg("kept"), pyarg("other"), pyarg(0));"#,
        ),
        clause(
            "inner",
            r#"printf("%s %s %s|%s\n", pyarg("argument"), pylocal("argument"), pylocal("kept"), pyarg("kept"));"#,
        ),
        clause(
            "charge",
            r#"printf("%s %s\n", pytype(pyarg("self")), pyarg("amount"));"#,
        ),
        clause(
            "generate",
            r#"printf("%s|%s\n", pyarg("count"), pylocal("number"));"#,
        ),
        clause("something", r#"printf("%s\n", pyarg("nothing"));"#),
        // Where a function ends its variables are still there.
        format!(
            "python$target:::function-return /{FILE} == \"plain\"/ \
             {{ printf(\"%s %s\\n\", pylocal(\"doubled\"), pyarg(\"amount\")); }}"
        ),
    ]
    .concat();
    each("arguments", |python| {
        let script = python.file("tests/pythons/arguments.py");
        let command = format!("{} {script}", python.command.join(" "));
        let shown = rdtrace(&["-qn", &program, "-c", &command]);
        assert_eq!(shown.trim_end(), EXPECTED.trim_end(), "{}", python.name());
        None
    });
}

/// The same objects as those of audit events, on all Pythons.
#[test]
fn arguments_are_shown_as_repr_does() {
    const PROGRAM: &str = r#"python$target:::function-entry
        /copyinstr(arg1) == "show" && basename(copyinstr(arg0)) == "values.py"/
        { printf("%d %s\n", pyint(pyarg("number")), pyarg("value")); }"#;
    each("argument values", |python| {
        let (shown, expected) = values(python, PROGRAM);
        assert_alike(python, &shown, &expected);
        None
    });
}

/// `tests/pythons/forged.py` gives addresses of objects with a size, a type or an address in them that is
/// none: each shows as something, and nothing of the kernel's memory is read.
#[test]
fn forged_objects_are_bounded_and_told() {
    const PROGRAM: &str = r#"python$target:::function-entry
        /copyinstr(arg1) == "show" && basename(copyinstr(arg0)) == "forged.py"/
        { printf("%d %s\n", pyint(pyarg("number")), pyrepr(pyint(pyarg("address")))); }"#;
    each("forged objects", |python| {
        let script = python.file("tests/pythons/forged.py");
        let command = format!("{} {script}", python.command.join(" "));
        let shown = rdtrace(&["-qn", PROGRAM, "-c", &command]);
        let lines: Vec<&str> = shown.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 140, "{}: {shown}", python.name());
        for (number, line) in lines.iter().enumerate() {
            let is_it = line.starts_with(&format!("{number} "));
            assert!(is_it, "{}: {line}", python.name());
        }
        // A type, and an item, at an address of the kernel's.
        assert!(lines[0].contains("<unreadable at 0x"), "{}", lines[0]);
        let of_kernel = "<unreadable at 0xffff888000000000>";
        assert!(shown.contains(of_kernel), "{}: {shown}", python.name());
        None
    });
}

/// How long a script waits until it is known as a Python in probes that are not Python's: one that another program
/// becomes is known some moments after its start.
fn seconds_to_be_known(python: &Python) -> u32 {
    if python.root == Path::new("/") { 0 } else { 3 }
}

/// The same objects as those of made probes.
#[test]
fn values_are_read_in_any_probe() {
    const PROGRAM: &str = r#"syscall::getppid:entry /pid == $target && pyfunc == "show"/
        { printf("%d %s\n", pyint(pyarg("number")), pyarg("value")); }"#;
    each("values in system calls", |python| {
        let wait = seconds_to_be_known(python);
        let (shown, expected) = shown_and_written(python, PROGRAM, "values.py", wait);
        assert_alike(python, &shown, &expected);
        None
    });
}

#[test]
fn attributes_are_found_wherever_they_are() {
    const IN_CALLS: &str = r#"syscall::getppid:entry /pid == $target && pyfunc == "show"/
        {
            printf("%d %s|%s|%s\n", pyint(pyarg("number")), pyattr(pyarg("value"), "x"),
                pyattr(pyattr(pyarg("value"), "inner"), "x"), pyattr(pyarg("value"), "kind"));
        }
        syscall::getppid:entry /pid == $target && pystr(pyself("owner")) == "ann"/
        { printf("%s %d %d\n", pyself("owner"), pyint(pyself("limit")), pyint(pylocal("amount"))); }"#;
    const IN_FUNCTIONS: &str = r#"python$target:::function-entry /copyinstr(arg1) == "show"/
        {
            printf("%d %s|%s|%s\n", pyint(pyarg("number")), pyattr(pyarg("value"), "x"),
                pyattr(pyattr(pyarg("value"), "inner"), "x"), pyattr(pyarg("value"), "kind"));
        }
        python$target:::function-entry /copyinstr(arg1) == "charge" && pystr(pyself("owner")) == "ann"/
        { printf("%s %d %d\n", pyself("owner"), pyint(pyself("limit")), pyint(pylocal("amount"))); }"#;
    each("attributes", |python| {
        let wait = seconds_to_be_known(python);
        for program in [IN_CALLS, IN_FUNCTIONS] {
            let (shown, expected) = shown_and_written(python, program, "attributes.py", wait);
            let shown: Vec<&str> = shown.lines().filter(|line| !line.is_empty()).collect();
            let expected: Vec<&str> = expected.lines().collect();
            assert_eq!(shown, expected, "{}", python.name());
        }
        None
    });
}

#[test]
fn what_functions_return_is_shown() {
    const PROGRAM: &str = r#"python$target:::function-return
        /basename(copyinstr(arg0)) == "returns.py" && copyinstr(arg1) != "main" && copyinstr(arg1) != "tell" &&
         copyinstr(arg1) != "inner" && copyinstr(arg1) != "Made" && copyinstr(arg1) != "<module>"/
        { printf("%s %s\n", copyinstr(arg1), pyreturn); }
        python$target:::function-return
        /copyinstr(arg1) == "many_constants"/
        { printf("%s %s\n", copyinstr(arg1), pyreturn); }"#;
    each("returned values", |python| {
        let (shown, expected) = shown_and_written(python, PROGRAM, "returns.py", 0);
        let shown: Vec<&str> = shown.lines().filter(|line| !line.is_empty()).collect();
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(shown, expected, "{}", python.name());
        None
    });
}

/// With entries alone, which are seen at other places, and with returns.
#[test]
fn entries_say_whether_they_go_on() {
    const ENTRIES: &str = r#"python$target:::function-entry
        /basename(copyinstr(arg0)) == "resumes.py" && copyinstr(arg1) != "<module>"/
        { @[copyinstr(arg1)] = count(); @goes_on[copyinstr(arg1)] = sum(pyresumed); }
        END { printa("%s %@d %@d\n", @, @goes_on); }"#;
    const NUMBER: &str = r#"python$target:::function-entry
        /pyresumed && basename(copyinstr(arg0)) == "resumes.py"/ { @[copyinstr(arg1)] = count(); }
        python$target:::function-return { } END { printa("%s %@d\n", @); }"#;
    each("resumed", |python| {
        let (shown, expected) = shown_and_written(python, ENTRIES, "resumes.py", 0);
        let count = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, starts, resumes] = words[..] else {
                panic!("{line}");
            };
            let all = starts.parse::<u32>().unwrap() + resumes.parse::<u32>().unwrap();
            format!("{name} {all} {resumes}")
        };
        let own = |name: &str| !["main", "run", "expect", "<lambda>", "<listcomp>"].contains(&name);
        let lines = |text: &str| {
            let lines = text.lines().filter(|line| !line.is_empty());
            let lines = lines.filter(|line| own(line.split(' ').next().unwrap()));
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let wanted: Vec<String> = expected.lines().map(count).collect();
        assert_eq!(
            lines(&shown),
            lines(&wanted.join("\n")),
            "{}",
            python.name()
        );

        let (shown, _) = shown_and_written(python, NUMBER, "resumes.py", 0);
        for line in expected.lines() {
            let (name, numbers) = line.split_once(' ').unwrap();
            let resumes = numbers.split_once(' ').unwrap().1;
            let found = shown
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name} ")));
            assert_eq!(found.unwrap_or("0"), resumes, "{name}: {}", python.name());
        }
        None
    });
}

#[test]
fn threads_have_the_names_that_python_has_for_them() {
    const PROGRAM: &str = r#"syscall::getppid:entry /pid == $target && pyfunc == "work"/
        { printf("%s\n", tid == pid && pythread == execname ? "the kernel's" : pythread); }"#;
    each("names of threads", |python| {
        let wait = seconds_to_be_known(python);
        let (shown, expected) = shown_and_written(python, PROGRAM, "named_threads.py", wait);
        assert_eq!(shown.trim(), expected.trim(), "{}", python.name());
        None
    });
}

/// In a system call, where no probe of Python's has anything to do with it.
#[test]
fn tasks_have_the_names_that_asyncio_has_for_them_and_variables() {
    const PROGRAM: &str = r#"syscall::getppid:entry /pid == $target && pyfunc == "say"/
        { task->count++; task->in[pyfunc] = 2 * task->count; printf("[%s] ", pytask); printf("%d %d\n", task->count, task->in["say"]); }"#;
    each("names of tasks", |python| {
        if python.version < (3, 8, 0) {
            return Some("tasks have names from 3.8 on");
        }
        let wait = seconds_to_be_known(python);
        let (shown, expected) = shown_and_written(python, PROGRAM, "task_names.py", wait);
        assert_eq!(shown.trim(), expected.trim(), "{}", python.name());
        assert!(expected.lines().count() > 60, "{}", python.name());
        None
    });
}

/// A directory, where this Python sees it.
fn copied(python: &Python, from: &Path) -> String {
    if python.root == Path::new("/") {
        return from.to_str().unwrap().to_owned();
    }
    let name = from.file_name().unwrap().to_str().unwrap();
    let mut copy = std::process::Command::new("cp");
    copy.arg("-rT")
        .arg(from)
        .arg(python.root.join("tmp").join(name));
    assert!(copy.status().unwrap().success());
    format!("/tmp/{name}")
}

/// Which are what `id(greenlet.getcurrent())` says, and may be keys of variables.
#[test]
fn greenlets_are_told_from_each_other() {
    const PROGRAM: &str = r#"syscall::getppid:entry /pid == $target && pyfunc == "say"/
        { self->calls[pygreenlet]++; printf("%d %d\n", pygreenlet, self->calls[pygreenlet]); }"#;
    each("greenlets", |python| {
        let tag = python.run(&[
            "-c",
            "import sys; print(sys.implementation.cache_tag + 't' * ('t' in sys.abiflags))",
        ]);
        let tag = String::from_utf8(tag.stdout).unwrap();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let directory = target.join("readers/greenlets").join(tag.trim());
        if !test_support::has(directory.to_str().unwrap()) {
            return Some("it has no greenlet in target/readers/greenlets");
        }
        let operands = format!(
            "{} {}",
            seconds_to_be_known(python),
            copied(python, &directory)
        );
        let (shown, expected) = shown_and_written_with(python, PROGRAM, "greenlets.py", &operands);
        assert_alike(python, shown.trim(), &expected);
        assert!(expected.lines().count() > 330, "{}", python.name());
        let of_greenlets = expected.lines().filter(|line| !line.starts_with("0 "));
        assert!(of_greenlets.count() > 300, "{}", python.name());
        None
    });
}

#[test]
fn that_a_module_is_no_greenlet_that_is_known_is_told() {
    const MAPS: &str = "import mmap, os, sys, time; file = open(sys.argv[1], 'rb'); \
        mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC); time.sleep(0.5); os.getppid()";
    if !test_support::root() || !test_support::has("/usr/bin/python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("maps.py");
    std::fs::write(&script, MAPS.replace("; ", "\n")).unwrap();
    let module = dir.path().join("_greenlet.so");
    std::fs::copy("/usr/bin/true", &module).unwrap();
    let command = format!("/usr/bin/python3 {} {}", script.display(), module.display());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rdtrace"))
        .args([
            "-qn",
            "syscall::getppid:entry /pid == $target/ { trace(pygreenlet); }",
        ])
        .args(["-c", &command])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "0");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("how _greenlet.so keeps its greenlets is not known"),
        "{said}"
    );
}

/// The coroutines that wait for a task stand behind its own, from 3.14 on; before, that is refused in Python's own probes, and
/// told in others.
#[test]
fn stacks_have_those_that_wait_for_the_task() {
    const PROGRAM: &str =
        r#"pid$target:libc.so.6:getppid:entry { printf("at\n%k", pystack(4000, ASYNC)); }"#;
    each("who waits for tasks", |python| {
        let wait = seconds_to_be_known(python);
        if python.version < (3, 14, 0) {
            if python.root != Path::new("/") {
                return Some("tried with others");
            }
            let command = format!("{} -c pass", python.command.join(" "));
            let run = |program: &str| {
                let mut rdtrace = std::process::Command::new(env!("CARGO_BIN_EXE_rdtrace"));
                let output = rdtrace.args(["-qn", program, "-c", &command]).output();
                String::from_utf8(output.unwrap().stderr).unwrap()
            };
            let why = "asyncio keeps by whom a task is awaited from Python 3.14 on";
            let said = run("python$target:::function-entry { pystack(ASYNC); }");
            assert!(said.contains(&format!("pystack(ASYNC): {why}")), "{said}");
            let said = run(
                "syscall:::entry /pid == $target/ { @[pystack(ASYNC)] = count(); }
                END { trunc(@); }",
            );
            assert_eq!(said.matches(why).count(), 1, "{said}");
            return None;
        }
        let (shown, expected) = shown_and_written(python, PROGRAM, "awaiting.py", wait);
        let stacks = |text: &str| -> Vec<String> {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let text: Vec<&str> = lines.collect();
            let stacks = text.split(|line| *line == "at").skip(1);
            stacks.map(|lines| lines.join("\n")).collect()
        };
        let expected = format!("at\n{}", expected.replace("\n\n", "\nat\n"));
        let (shown, expected) = (stacks(&shown), stacks(&expected));
        assert!(expected.len() > 30, "{}", python.name());
        assert_eq!(shown.len(), expected.len(), "{}", python.name());
        for (shown, expected) in shown.iter().zip(&expected) {
            assert_eq!(shown, expected, "{}", python.name());
        }
        None
    });
}

#[test]
fn that_tasks_have_no_names_is_told() {
    each("tasks without names", |python| {
        if python.version >= (3, 8, 0) || python.root != Path::new("/") {
            return Some("its tasks have names");
        }
        let command = format!("{} -c pass", python.command.join(" "));
        let run = |program: &str| {
            let mut rdtrace = std::process::Command::new(env!("CARGO_BIN_EXE_rdtrace"));
            let output = rdtrace.args(["-qn", program, "-c", &command]).output();
            String::from_utf8(output.unwrap().stderr).unwrap()
        };
        let (major, minor, micro) = python.version;
        let said = run("python$target:::function-entry { trace(pytask); }");
        let why =
            format!("tasks have names from Python 3.8 on, and this is {major}.{minor}.{micro}");
        assert!(said.contains(&why), "{said}");
        let said =
            run("syscall:::entry /pid == $target/ { @[pytask] = count(); } END { trunc(@); }");
        let why = "): tasks have names from Python 3.8 on";
        assert_eq!(said.matches(why).count(), 1, "{said}");
        None
    });
}

#[test]
fn a_name_that_no_function_has_is_told() {
    const PROGRAM: &str = r#"python$target:::function-entry
        /copyinstr(arg1) == "plain" && basename(copyinstr(arg0)) == "arguments.py"/
        { printf("%s %s %s\n", pyarg("user"), pyarg("uesr"), pylocal("kept")); }
        python$target:::function-entry /copyinstr(arg1) == "inner"/ { trace(pylocal("kept")); }"#;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rdtrace"))
        .args(["-qn", PROGRAM, "-c"])
        .arg("/usr/bin/python3 tests/pythons/arguments.py")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let told: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(" has the "))
        .collect();
    assert_eq!(
        told,
        ["rdtrace: no Python function that was asked for it has the argument `uesr`"],
        "{said}"
    );
}
