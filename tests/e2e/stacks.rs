//! Stacks of processes, against what the C library's own unwinder finds at the same moment.

use nix::sys::signal::Signal;

use crate::harness::{
    Running, can_find_frames, can_trace, can_trace_python, compiled_as, rdtrace, repository, run,
    wait_for_text,
};

/// The frames below `probed()`: once as `ustack()` shows them, once as the program has found them.
const PROGRAM: &str = r#"
    pid$target:a.out:probed:entry
    {
        printf("stack %d\n%k", arg1, ustack());
        this->frames = (uint64_t *)copyin(arg0, 32 * 8);
        printf("own\n%A\n%A\n%A\n%A\n%A\n%A\n%A\n%A\n%A\n%A\n%A\n%A\n",
            this->frames[1], this->frames[2], this->frames[3], this->frames[4], this->frames[5],
            this->frames[6], this->frames[7], this->frames[8], this->frames[9], this->frames[10],
            this->frames[11], this->frames[12]);
    }
"#;

/// A firing's two lists.
fn lists(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (count, rest) = text.split_once('\n').unwrap();
    let count: usize = count.parse().unwrap();
    let (walked, own) = rest.split_once("own\n").unwrap();
    let walked = walked.lines().filter(|line| !line.is_empty()).collect();
    // The first is in the function that asked.
    (walked, own.lines().take(count - 1).collect())
}

#[test]
fn stacks_without_frame_pointers_are_walked_to_their_ends() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("stacks");
    let options = ["-O2", "-fomit-frame-pointer", "-pthread"].map(str::to_owned);
    compiled_as(&repository("tests/triggers/stacks.c"), &program, &options);
    let command = program.to_str().unwrap();
    let output = run(rdtrace(["-x", "strsize=64", "-qn", PROGRAM, "-c", command])).clean();
    let firings: Vec<_> = output.split("stack ").skip(1).map(lists).collect();
    assert_eq!(firings.len(), 4, "{output}");
    for (walked, own) in &firings {
        // Above what the program has found: probed() itself, and the call of it.
        assert_eq!(walked.len(), own.len() + 2, "{output}");
        assert_eq!(walked[2..], own[..], "{output}");
    }
    let ends: Vec<_> = firings
        .iter()
        .map(|(walked, _)| walked[walked.len() - 1])
        .collect();
    assert!(
        ends[..3].iter().all(|end| end.contains("_start")),
        "{output}"
    );
}

/// At each instruction of two functions whose frame's address is in r10, in rax and in memory.
#[test]
fn frames_whose_address_is_in_other_registers_and_in_memory_are_found() {
    if !can_trace() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("aligned");
    let options = ["-O2", "-fomit-frame-pointer", "-mforce-drap"].map(str::to_owned);
    compiled_as(&repository("tests/triggers/aligned.c"), &program, &options);
    let source = "pid$target:a.out:aligned:,pid$target:a.out:kept: { printf(\"at %s %s\\n%k\", probefunc, probename, ustack()); }";
    let output = run(rdtrace(["-qn", source, "-c", program.to_str().unwrap()])).clean();
    let stacks: Vec<_> = output.split("at ").skip(1).collect();
    let is_of = |stack: &&&str, function: &str| stack.starts_with(function);
    let count = |function: &str| stacks.iter().filter(|stack| is_of(stack, function)).count();
    assert!(count("aligned ") > 20 && count("kept ") > 5, "{output}");
    for stack in stacks {
        let frames: Vec<_> = stack
            .lines()
            .skip(1)
            .filter(|line| line.contains('`'))
            .collect();
        assert!(frames[1].starts_with("aligned`main+"), "{stack}");
        assert!(
            frames.last().unwrap().starts_with("aligned`_start+"),
            "{stack}"
        );
    }
}

/// Two stacks in the first firing of a timer, where a map that grows has room for one.
#[test]
fn the_first_stacks_of_a_timer_find_room() {
    if !can_trace() {
        return;
    }
    let source =
        "profile-997 { @[stack(), ustack()] = count(); } tick-300ms { exit(0); } END { trunc(@); }";
    let outcome = run(rdtrace(["-qn", source]));
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    // What else is told is of other programs of the machine.
    assert!(
        !outcome.stderr.contains("stack dropped"),
        "{}",
        outcome.stderr
    );
}

/// A linker without gaps between the parts of a file (lld) has made our own program: a page of the file is mapped twice.
#[test]
fn our_own_stacks_are_walked_to_their_ends() {
    if !can_trace_python() {
        return;
    }
    let source = "pid$target:libc.so.6:open64:entry /ustackdepth > 3/ { @[ustack(127)] = count(); }
        END { printa(\"%kstack ends\\n\", @); }";
    let command = format!("{} -l -P profile", env!("CARGO_BIN_EXE_rdtrace"));
    let output = run(rdtrace([
        "-x",
        "ustackframes=127",
        "-qn",
        source,
        "-c",
        &command,
    ]))
    .clean();
    let stacks: Vec<_> = output.split("stack ends\n").map(str::trim_end).collect();
    let of_main = |stack: &&&str| stack.contains("rdtrace`main+");
    let main: Vec<_> = stacks.iter().filter(of_main).collect();
    assert!(!main.is_empty(), "{output}");
    for stack in main {
        // Before the first frame is what the command has printed.
        let frames = stack.lines().skip_while(|line| !line.contains("`open"));
        let frames: Vec<_> = frames.collect();
        assert!(frames.iter().all(|frame| frame.contains('`')), "{stack}");
        let last = frames.last().unwrap();
        assert!(last.contains("rdtrace`_start+"), "{stack}");
    }
}

#[test]
fn a_stack_is_a_key_with_as_many_frames_as_it_is_asked_for() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("stacks");
    let options = ["-O2", "-fomit-frame-pointer", "-pthread"].map(str::to_owned);
    compiled_as(&repository("tests/triggers/stacks.c"), &program, &options);
    let source = "pid$target:a.out:probed:entry { @[ustack(2)] = count(); @d[usym(ucaller), ustackdepth > 6] = count(); }
        END { printa(\"%k%@d\\n\", @); printa(\"%A %d %@d\\n\", @d); }";
    let output = run(rdtrace(["-qn", source, "-c", program.to_str().unwrap()])).clean();
    let lines: Vec<&str> = output.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 4, "{output}");
    assert_eq!(lines[0], "stacks`probed");
    assert!(lines[1].starts_with("stacks`deep+0x"), "{output}");
    assert_eq!(lines[2..], ["4", "stacks`deep 1 4"], "{output}");
}

/// A thread that follows what processes map runs beside the others; a signal is not for it.
#[test]
fn what_was_counted_by_stacks_is_printed_after_a_signal() {
    if !can_trace() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (key, signal) in [
        ("ustack()", Signal::SIGINT),
        ("ufunc(arg1)", Signal::SIGTERM),
        ("pyfunc", Signal::SIGINT),
        ("jstack()", Signal::SIGHUP),
    ] {
        let program = format!(
            "tick-50ms /n++ == 1/ {{ printf(\"ready\"); }} tick-50ms {{ @[{key}] = count(); }} \
             END {{ printf(\"ended\"); }}"
        );
        let out = dir.path().join(key);
        let tracer = Running::start(rdtrace(["-qo", out.to_str().unwrap(), "-n", &program]));
        wait_for_text(&out, "ready");
        tracer.signal(signal);
        tracer.finish().clean();
        wait_for_text(&out, "ended");
    }
}

/// Counts stacks of a program that is gone when they are shown, and whose file has met with something by then; gives the
/// output and what was said.
fn stacks_after(what_happens: &str) -> (String, String) {
    const TEXT: &str =
        "syscall::getppid:entry /execname == \"victim\"/ { @[ustack(2)] = count(); }";
    let dir = tempfile::tempdir().unwrap();
    // It is known by the time it makes its last calls.
    let source = "#include <unistd.h>\n\
                  int main(void) { for (int i = 0; i < 20; i++) { usleep(100000); getppid(); } return 0; }\n";
    std::fs::write(dir.path().join("victim.c"), source).unwrap();
    for (name, source) in [
        ("victim", dir.path().join("victim.c")),
        ("other", repository("tests/triggers/stacks.c")),
    ] {
        let options = ["-O1", "-pthread"].map(str::to_owned);
        compiled_as(&source, &dir.path().join(name), &options);
    }
    let command = format!(
        "sh -c 'cd {}; ./victim; {what_happens}'",
        dir.path().display()
    );
    let output = run(rdtrace(["-qn", TEXT, "-c", &command]));
    assert_eq!(output.status, 0, "{}", output.stderr);
    (output.stdout, output.stderr)
}

#[test]
fn functions_never_have_the_names_of_the_file_that_has_taken_the_place_of_theirs() {
    if !can_find_frames() {
        return;
    }
    // Renamed over, the old file can still be read; written over, it cannot.
    let (shown, told) = stacks_after("mv other victim");
    assert!(shown.contains("victim`main+"), "{shown}{told}");
    assert_eq!(told, "");
    let (shown, told) = stacks_after("cp other victim");
    assert!(shown.contains("victim`0x"), "{shown}{told}");
    let why = "victim has been replaced, deleted or written over since process ";
    assert!(told.contains(why), "{shown}{told}");
}
