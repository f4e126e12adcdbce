//! Real Python programs: launched, running, in other roots, forking, and killed.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{
    Background, PYTHON, Running, can_trace_python, install, python, rdtrace, repository, run,
    skipped, trigger, wait_for_text, wait_until,
};

/// What `call_stack.d` shows of `call_stack.py`, without the times.
const CALL_STACK: &str = "\
\x20function-entry:call_stack.py:start:24
 function-entry: call_stack.py:function_1:4
 function-entry:  call_stack.py:function_3:12
function-return:  call_stack.py:function_3:13
function-return: call_stack.py:function_1:5
 function-entry: call_stack.py:function_2:8
 function-entry:  call_stack.py:function_1:4
 function-entry:   call_stack.py:function_3:12
function-return:   call_stack.py:function_3:13
function-return:  call_stack.py:function_1:5
function-return: call_stack.py:function_2:9
 function-entry: call_stack.py:function_5:20
 function-entry:  call_stack.py:function_4:16
 function-entry:   call_stack.py:<listcomp>:17
 function-entry:    call_stack.py:function_3:12
function-return:    call_stack.py:function_3:13
 function-entry:    call_stack.py:function_3:12
function-return:    call_stack.py:function_3:13
function-return:   call_stack.py:<listcomp>:17
function-return:  call_stack.py:function_4:17
function-return: call_stack.py:function_5:21
function-return:call_stack.py:start:27

";

/// A clause that counts the calls of one function.
fn count_calls(provider: &str, function: &str) -> String {
    format!("{provider}:::function-entry /copyinstr(arg1) == \"{function}\"/ {{ @ = count(); }}")
}

/// Takes the time from each line and checks that it does not go back.
fn without_times(output: &str) -> String {
    let mut last = 0;
    let mut lines = String::new();
    for line in output.lines() {
        let Some((time, rest)) = line.split_once('\t') else {
            lines.extend([line, "\n"]);
            continue;
        };
        let time: u64 = time.parse().unwrap_or_else(|_| panic!("no time: {line}"));
        assert!(time >= last, "out of order: {line}");
        last = time;
        lines.extend([rest, "\n"]);
    }
    lines
}

fn call_stack_of(command: &str) -> String {
    let mut rdtrace = rdtrace(["-q", "-s", "examples/call_stack.d", "-c", command]);
    rdtrace.current_dir(repository(""));
    without_times(&run(rdtrace).clean())
}

/// A Python that calls `start()` again and again, after it has begun to.
fn waiting_python(dir: &Path) -> Background {
    let ready = dir.join("ready");
    let process = Background::start(python(
        &repository("tests/triggers/waits.py"),
        &[ready.to_str().unwrap()],
    ));
    wait_for_text(&ready, "ready");
    process
}

#[test]
fn call_stack_shows_the_whole_tree() {
    if can_trace_python() {
        for _ in 0..3 {
            assert_eq!(
                call_stack_of(&format!("{PYTHON} examples/call_stack.py")),
                CALL_STACK
            );
        }
    }
}

#[test]
fn call_stack_follows_shells_and_shims() {
    if !can_trace_python() {
        return;
    }
    for command in [
        format!("sh -c 'exec {PYTHON} examples/call_stack.py'"),
        format!("sh -c 'true; exec {PYTHON} examples/call_stack.py'"),
        format!("env -i {PYTHON} examples/call_stack.py"),
        format!(
            "chroot / {PYTHON} {}",
            repository("examples/call_stack.py").display()
        ),
    ] {
        assert_eq!(call_stack_of(&command), CALL_STACK, "{command}");
    }
}

#[test]
fn call_stack_attaches_to_a_running_process() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut target = waiting_python(dir.path());
    let out = dir.path().join("out");
    let tracer = Running::start(rdtrace([
        "-q".as_ref(),
        "-o".as_ref(),
        out.as_os_str(),
        "-s".as_ref(),
        repository("examples/call_stack.d").as_os_str(),
        "-p".as_ref(),
        target.pid().to_string().as_ref(),
    ]));
    wait_for_text(&out, "function-return:waits.py:start");
    tracer.signal(Signal::SIGINT);
    assert_eq!(tracer.finish().clean(), "");
    let tree = without_times(&fs::read_to_string(&out).unwrap());
    let first: Vec<&str> = tree.lines().take(4).collect();
    assert_eq!(
        first,
        [
            " function-entry:waits.py:start:11",
            " function-entry: waits.py:helper:7",
            "function-return: waits.py:helper:8",
            "function-return:waits.py:start:12"
        ]
    );
    assert!(target.is_alive(), "the target was harmed");
}

/// A Python in a mount namespace and root of its own: its binary exists nowhere else, so that it
/// can be read through `/proc/PID/root` only.
fn in_another_root(dir: &Path, script: &str) -> String {
    let root = dir.join("root");
    fs::create_dir(&root).unwrap();
    let root = root.display();
    format!(
        "unshare -m sh -c 'set -e; mount -t tmpfs none {root}; cd {root}; \
         mkdir usr lib lib64 etc work proc; for d in usr lib lib64 etc; do mount --rbind /$d $d; done; \
         mount --bind {} work; cp {PYTHON} work.python; exec chroot . /work.python /work/{script}'",
        repository("").display()
    )
}

#[test]
fn call_stack_works_in_another_root() {
    if can_trace_python() {
        let dir = tempfile::tempdir().unwrap();
        let command = in_another_root(dir.path(), "examples/call_stack.py");
        assert_eq!(call_stack_of(&command), CALL_STACK);
    }
}

#[test]
fn a_running_process_in_another_root_is_traced() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let line = in_another_root(dir.path(), "tests/triggers/waits.py");
    let mut shell = Command::new("/bin/sh");
    let target = Background::start({
        shell.arg("-c").arg(format!("exec {line}"));
        shell
    });
    let exe = format!("/proc/{}/cmdline", target.pid());
    wait_for_text(exe.as_ref(), "/work.python");
    let maps = format!("/proc/{}/maps", target.pid());
    wait_for_text(maps.as_ref(), "work.python"); // not yet when the command line is set up
    let program = "python$target:::function-entry /copyinstr(arg1) == \"helper\" && n++ == 20/ \
        { printf(\"twenty\"); exit(0); }";
    let output = run(rdtrace(["-qn", program, "-p", &target.pid().to_string()])).clean();
    assert_eq!(output.trim(), "twenty");
}

#[test]
fn a_python_that_starts_later_is_seen_system_wide() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let program = "tick-100ms /n++ == 0/ { printf(\"ready\\n\"); } \
        python*:::function-entry /copyinstr(arg1) == \"in_parent\"/ { printf(\"%d seen\\n\", pid); }";
    let tracer = Running::start(rdtrace(["-q", "-o", out.to_str().unwrap(), "-n", program]));
    wait_for_text(&out, "ready");
    // Its probes may come after the timer's.
    wait_until("a Python is seen twice", || {
        let first = Running::start(python(&repository("tests/triggers/forks.py"), &[]));
        let pid = first.pid();
        first.finish().clean();
        let seen = || fs::read_to_string(&out).unwrap();
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(10));
            seen().contains(&format!("{pid} seen\n{pid} seen\n"))
        })
    });
    tracer.signal(Signal::SIGTERM);
    tracer.finish().clean_but_late();
}

#[test]
fn every_clause_sees_an_interpreter_that_is_new_to_the_machine() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (out, copy) = (dir.path().join("out"), dir.path().join("newpython"));
    let clause = |text| {
        format!(
            "python*:::function-entry /probemod == \"newpython\" && copyinstr(arg1) == \"tock\"/ \
             {{ printf(\"{text}\\n\"); }} "
        )
    };
    let program = format!(
        "BEGIN {{ printf(\"ready\\n\"); }} {}{}",
        clause("one"),
        clause("two")
    );
    let tracer = Running::start(rdtrace(["-q", "-o", out.to_str().unwrap(), "-n", &program]));
    wait_for_text(&out, "ready");
    install("/usr/bin/python3".as_ref(), &copy);
    let mut ticking = Command::new(&copy);
    ticking.args([
        "-c",
        "import time\ndef tock(): time.sleep(0.01)\nfor _ in range(200): tock()",
    ]);
    Running::start(ticking).finish().clean();
    wait_for_text(&out, "one\ntwo\none\ntwo\n");
    tracer.signal(Signal::SIGTERM);
    let outcome = tracer.finish();
    let late = "was a moment ahead of its probes: its first events in ";
    assert!(outcome.stderr.contains(late), "{}", outcome.stderr);
    outcome.clean_but_late();
}

#[test]
fn a_signal_during_a_self_test_ends_the_run_and_proves_nothing() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("python-copy");
    let command = format!("{} -c \"import time; time.sleep(1)\"", copy.display());
    let program = count_calls("python$target", "nothing");
    for millis in (20..220).step_by(40) {
        // A file that is new is tested before it is used; some bytes more make it another.
        let mut contents = fs::read("/usr/bin/python3").unwrap();
        contents.extend(format!("{millis} {}", std::process::id()).bytes());
        let different = dir.path().join("different");
        fs::write(&different, contents).unwrap();
        install(&different, &copy);
        let tracer = Running::start(rdtrace(["-qn", &program, "-c", &command]));
        thread::sleep(Duration::from_millis(millis));
        tracer.signal(Signal::SIGTERM);
        tracer.finish(); // which fails after a minute
        let text = run(rdtrace(["--check-python", copy.to_str().unwrap()])).clean();
        assert!(text.contains("self-test: passed"), "{millis}: {text}");
    }
}

#[test]
fn forked_children_are_seen_system_wide_and_left_out_of_target() {
    if !can_trace_python() {
        return;
    }
    let command = trigger("forks.py").join(" ");
    for (provider, in_child, in_parent) in [("python$target", "0", "2"), ("python*", "3", "2")] {
        let program = format!(
            "BEGIN {{ child = 0; parent = 0; }} \
             {provider}:::function-entry /(pid == $target || ppid == $target) && \
             copyinstr(arg1) == \"in_child\"/ {{ child++; }} \
             {provider}:::function-entry /pid == $target && copyinstr(arg1) == \"in_parent\"/ \
             {{ parent++; }} END {{ printf(\"%d %d\", child, parent); }}"
        );
        let output = run(rdtrace(["-qn", &program, "-c", &command])).clean_but_late();
        assert_eq!(
            output.trim_end(),
            format!("{in_child} {in_parent}"),
            "{provider}"
        );
    }
}

#[test]
fn signals_end_the_run_with_aggregations_printed() {
    if !can_trace_python() {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let dir = tempfile::tempdir().unwrap();
        let target = waiting_python(dir.path());
        let out = dir.path().join("out");
        let program = "python$target:::function-entry /copyinstr(arg1) == \"start\"/ \
            { @ = count(); } \
            python$target:::function-entry /copyinstr(arg1) == \"start\" && n++ == 5/ \
            { printf(\"six\"); }";
        let tracer = Running::start(rdtrace([
            "-qo",
            out.to_str().unwrap(),
            "-n",
            program,
            "-p",
            &target.pid().to_string(),
        ]));
        wait_for_text(&out, "six");
        tracer.signal(signal);
        tracer.finish().clean();
        let output = fs::read_to_string(&out).unwrap();
        let count = output.trim_start_matches("six").trim();
        let count = count.parse::<u64>();
        assert!(count.is_ok_and(|count| count > 5), "{signal}: {output:?}");
    }
}

#[test]
fn a_killed_target_ends_the_run() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let target = waiting_python(dir.path());
    let out = dir.path().join("out");
    let program = "python$target:::function-entry /copyinstr(arg1) == \"start\"/ \
        { printf(\"called\\n\"); @ = count(); }";
    let tracer = Running::start(rdtrace([
        "-qo",
        out.to_str().unwrap(),
        "-n",
        program,
        "-p",
        &target.pid().to_string(),
    ]));
    wait_for_text(&out, "called");
    drop(target);
    tracer.finish().clean();
    let output = fs::read_to_string(&out).unwrap();
    let count = output.split_whitespace().last().unwrap();
    assert!(count.parse::<u64>().is_ok(), "{output:?}");
}

#[test]
fn a_killed_rdtrace_leaves_the_target_well_and_traceable() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut target = waiting_python(dir.path());
    let pid = target.pid().to_string();
    for _ in 0..2 {
        let out = dir.path().join("out");
        let _ = fs::remove_file(&out);
        let program = "python$target:::function-entry { trace(copyinstr(arg1)); }";
        let mut tracer = Running::start(rdtrace([
            "-o",
            out.to_str().unwrap(),
            "-n",
            program,
            "-p",
            &pid,
        ]));
        wait_for_text(&out, "start");
        assert!(tracer.is_alive());
        tracer.signal(Signal::SIGKILL);
        assert_eq!(tracer.finish().status, 128 + 9);
        assert!(target.is_alive(), "the target died with rdtrace");
    }
    let program = format!(
        "{} tick-1s {{ exit(0); }}",
        count_calls("python$target", "start")
    );
    let output = run(rdtrace(["-qn", &program, "-p", &pid])).clean();
    assert!(
        output.trim().parse::<u64>().is_ok_and(|count| count > 5),
        "{output:?}"
    );
}

/// The value of a marker's semaphore in a process.
pub(crate) fn semaphore(pid: u32, probe: &str) -> u16 {
    let listing = run(rdtrace([
        "-lvn",
        &format!("python$target:::{probe}"),
        "-p",
        &pid.to_string(),
    ]));
    let site = listing
        .stdout
        .split("Semaphore: 0x")
        .nth(1)
        .expect("a semaphore is listed");
    let address = u64::from_str_radix(&site[..16], 16).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let base = maps
        .split_once('-')
        .map(|(base, _)| u64::from_str_radix(base, 16).unwrap())
        .unwrap();
    // Debian's Python is not position-independent: its addresses are its own.
    let address = if base < 0x1000_0000 {
        address
    } else {
        base + address
    };
    let mut value = [0; 2];
    fs::File::open(format!("/proc/{pid}/mem"))
        .unwrap()
        .read_exact_at(&mut value, address)
        .unwrap();
    u16::from_ne_bytes(value)
}

#[test]
fn semaphores_are_raised_while_tracing_and_lowered_after() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let target = waiting_python(dir.path());
    let out = dir.path().join("out");
    let tracer = Running::start(rdtrace([
        "-o",
        out.to_str().unwrap(),
        "-n",
        "python$target:::gc-start { } BEGIN { trace(\"ready\"); }",
        "-p",
        &target.pid().to_string(),
    ]));
    wait_until("the semaphore is raised", || {
        semaphore(target.pid(), "gc-start") > 0
    });
    tracer.signal(Signal::SIGKILL);
    tracer.finish();
    wait_until("the semaphore is lowered", || {
        semaphore(target.pid(), "gc-start") == 0
    });
}

/// Pythons of other versions, each in its own root.
fn peers() -> Option<String> {
    let root = format!(
        "{}/.cache/rdtrace-peers",
        std::env::var("HOME").unwrap_or_default()
    );
    Path::new(&root)
        .join("usr/bin/python3.15")
        .exists()
        .then_some(root)
}

#[test]
fn python_3_15_has_its_function_probes_back() {
    let Some(root) = peers() else {
        skipped("needs a Python 3.15 built with probes");
        return;
    };
    if can_trace_python() {
        let code = "def start():\\n  return 1\\nstart()";
        let output = call_stack_of(&format!("chroot {root} python3.15 -c \"exec('{code}')\""));
        assert_eq!(
            output,
            " function-entry:<string>:start:1\nfunction-return:<string>:start:2\n\n"
        );
    }
}

#[test]
fn a_predicate_that_waits_for_a_built_in_function_is_told_why_it_never_holds() {
    if !can_trace_python() {
        return;
    }
    let command = format!("{PYTHON} -S -c \"len([])\"");
    let traced = |name: &str, what: &str| {
        let program = format!(
            "python$target:::function-entry /pid == $target && copyinstr(arg1) == \"{name}\"/ {what}"
        );
        run(rdtrace(["-qn", &program, "-c", &command]))
    };
    for (name, what, told) in [
        ("len", "{ @ = count(); }", true),
        ("open", "{ trace(1); }", true),
        ("lenient", "{ @ = count(); }", false),
        ("<module>", "{ trace(1); }", false),
        ("len", "{ n++; }", false),
    ] {
        let outcome = traced(name, what);
        let hint = format!("nothing was recorded of `{name}`: functions that are written in C");
        assert_eq!(
            outcome.stderr.contains(&hint),
            told,
            "{name} {what}: {outcome:?}"
        );
        let audit = outcome.stderr.contains("the audit probe sees the files");
        assert_eq!(audit, name == "open", "{outcome:?}");
        assert_eq!(outcome.status, 0);
    }
}

/// CPython's own markers make a program fail whose module's name they cannot encode.
#[test]
fn imports_of_names_that_are_no_utf_8_do_no_harm() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("surrogate.py");
    let code = "try:\n  __import__(\"a\\ud800b\")\nexcept ImportError:\n  print(\"no such module\")\n\
        exec(compile(\"def work(): pass\\nwork()\", \"c\\udcffd.py\", \"exec\"))\nprint(\"well\")\n";
    fs::write(&script, code).unwrap();
    let program = "python$target:::import-find-load-start, python$target:::import-find-load-done \
        { @[probename] = count(); } \
        python$target:::function-entry /copyinstr(arg1) == \"work\"/ { printf(\"%d bytes\", strlen(copyinstr(arg0))); }";
    let imports = "python$target:::import-find-load-start";
    let listing = run(rdtrace(["-ln", imports, "-c", &format!("{PYTHON} -V")])).clean();
    if !listing.contains("(synthesised)") {
        skipped("this kernel has CPython's own markers used");
        return;
    }
    let command = format!("{PYTHON} -S {}", script.display());
    let outcome = run(rdtrace(["-qn", program, "-c", &command]));
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""), "{outcome:?}");
    // A byte that is no UTF-8 is that byte.
    for text in [
        "6 bytes",
        "no such module",
        "well",
        "import-find-load-start",
        "import-find-load-done",
    ] {
        assert!(outcome.stdout.contains(text), "{outcome:?}");
    }
}

/// Empty values without a word would be taken for "no Python runs here".
#[test]
fn an_interpreter_in_which_no_frames_are_found_is_told() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("python-odd");
    let make = repository("tests/triggers/no_next.py");
    run(python(&make, &[odd.to_str().unwrap()])).clean();
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o755)).unwrap();
    let program = "profile-97 /pid == $target/ { @[pyfunc] = count(); } tick-200ms { exit(0); }";
    let command = format!("{} -S -c 'import time; time.sleep(5)'", odd.display());
    let outcome = run(rdtrace(["-qn", program, "-c", &command]));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let told: Vec<&str> = outcome.stderr.lines().collect();
    assert!(
        matches!(told[..], [one] if one.contains("python-odd runs cannot be found")
            && one.contains("PyThreadState_Next")),
        "{outcome:?}"
    );
}
