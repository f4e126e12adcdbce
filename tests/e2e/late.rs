//! Programs that start while tracing goes on: what each brings is enabled as a whole, or told of and
//! left out, and neither has any effect on the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{
    Background, Outcome, PYTHON, RDTRACE, Running, can_trace, can_trace_python, compiled_as,
    deadline, install, rdtrace, repository, run, trigger, wait_for_text, wait_until,
};

/// A tracer that waits for programs, and the directory of what it traces.
struct Tracer {
    running: Running,
    out: PathBuf,
    dir: tempfile::TempDir,
}

impl Tracer {
    fn start(options: &[&str], program: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let program = format!("BEGIN {{ printf(\"ready\\n\"); }} {program}");
        let mut command = rdtrace(["-qZ", "-o", out.to_str().unwrap(), "-n", &program]);
        command.args(options);
        let running = Running::start(command);
        wait_for_text(&out, "ready\n");
        Self { running, out, dir }
    }

    /// Starts a program that is new to the machine, whose provider has this name.
    fn program(&self, provider: &str, argument: &str) -> Background {
        let file = self.dir.path().join(provider);
        let defines = [
            format!("-DPROVIDER=\"{provider}\""),
            format!("-DARGS=\"{argument}\""),
        ];
        compiled_as(&repository("tests/triggers/late.c"), &file, &defines);
        Background::start(Command::new(file))
    }

    /// Starts such a program, and waits until it is traced.
    fn traces(&self, provider: &str) {
        let _program = self.program(provider, "8@$7");
        wait_for_text(&self.out, &format!("{provider} seen"));
    }

    fn end(self) -> Outcome {
        self.running.signal(Signal::SIGTERM);
        self.running.finish()
    }
}

/// The messages that are about a file of this name.
fn told(outcome: &Outcome, file: &str) -> String {
    let start = format!("/{file} are not enabled: ");
    let at = outcome.stderr.find(&start);
    let at = at.unwrap_or_else(|| panic!("nothing of {file}: {:?}", outcome.stderr));
    outcome.stderr[at..].to_owned()
}

const SEEN: &str = "one*:::hit, two*:::hit, three*:::hit { printf(\"%s seen\\n\", execname); } ";

#[test]
fn what_comes_late_may_need_more_strings_than_what_ran_first() {
    if !can_trace() {
        return;
    }
    let program = "one*:::hit { trace(execname); trace(strjoin(execname, \" seen\")); } \
        two*:::hit { printf(\"%s%s%s%s seen\", execname, execname, probemod, strjoin(execname, \"x\")); }";
    let tracer = Tracer::start(&[], program);
    tracer.traces("one");
    let _two = tracer.program("two", "8@$7");
    wait_for_text(&tracer.out, "twotwotwotwox seen");
    tracer.end().clean_but_late();
}

#[test]
fn a_refused_program_leaves_the_others_as_they_are() {
    if !can_trace() {
        return;
    }
    let program = format!("{SEEN} float*:::hit\n{{ trace(arg0); }}");
    let tracer = Tracer::start(&[], &program);
    tracer.traces("one");
    for again in ["float", "floatier"] {
        let _float = tracer.program(again, "8f@%xmm0");
        let out = &tracer.out;
        // It is told at once; the next ones are looked at after it.
        assert!(!fs::read_to_string(out).unwrap().contains(again));
        tracer.traces(if again == "float" { "two" } else { "three" });
    }
    let outcome = tracer.end();
    for file in ["float", "floatier"] {
        let told = told(&outcome, file);
        assert!(
            told.contains("2 | { trace(arg0); }"),
            "the wrong place: {told}"
        );
        assert!(told.contains("arg0 cannot be read"), "no reason: {told}");
    }
    for wrong in [
        "internal error",
        "float are not seen",
        "floatier are not seen",
    ] {
        assert!(!outcome.stderr.contains(wrong), "{}", outcome.stderr);
    }
}

#[test]
fn a_clause_with_too_many_strings_is_named_and_no_other() {
    if !can_trace() {
        return;
    }
    let many: Vec<String> = (0..20)
        .map(|n| format!("trace(copyinstr(arg0 + {n}));"))
        .collect();
    let program = format!("{SEEN}\nmany*:::hit {{ {} }}", many.join(" "));
    let tracer = Tracer::start(&["-x", "strsize=4096"], &program);
    tracer.traces("one");
    let _many = tracer.program("many", "8@$7");
    tracer.traces("two");
    let outcome = tracer.end();
    let told = told(&outcome, "many");
    assert!(told.contains("2 | many*:::hit"), "the wrong place: {told}");
    assert!(told.contains("strsize"), "no remedy: {told}");
}

#[test]
fn files_that_are_gone_cost_no_descriptors() {
    if !can_trace() {
        return;
    }
    // No other test has programs with these.
    let program = "first*:::hit, second*:::hit, third*:::hit { printf(\"%s seen\\n\", execname); }";
    let tracer = Tracer::start(&[], program);
    let descriptors = || {
        let dir = format!("/proc/{}/fd", tracer.running.pid());
        fs::read_dir(dir).unwrap().count()
    };
    tracer.traces("first");
    let before = descriptors();
    let next = |provider: &str| {
        tracer.traces(provider);
        fs::remove_file(tracer.dir.path().join(provider)).unwrap();
    };
    next("second");
    assert!(descriptors() <= before + 1, "a link, and nothing else");
    next("third");
    wait_until("the descriptors are closed", || descriptors() <= before);
    // A file that has the place of one that is gone is another file.
    fs::write(&tracer.out, "").unwrap();
    tracer.traces("second");
    tracer.end().clean_but_late();
}

/// The soft limit of open files is ours to raise, and what a command has is its own.
#[test]
fn the_limit_of_open_files_is_raised_for_us_alone() {
    if !can_trace() {
        return;
    }
    let line = "ulimit -Sn 100; exec \"$0\" -qn 'BEGIN { }' -c 'sh -c \"ulimit -Sn\"'";
    let mut command = Command::new("sh");
    command.args(["-c", line, RDTRACE]);
    let running = Running::start(command);
    let output = running.finish().clean();
    assert_eq!(output.trim(), "100");
}

#[test]
fn limits_of_ours_are_named() {
    if !can_trace() {
        return;
    }
    for (limit, option) in [("-n 6", "ulimit -n"), ("-v 60000", "ulimit -v")] {
        for what in ["-ln :::", "-qn 'BEGIN { exit(0); }'", "-qn 'x*:::y'"] {
            let mut command = Command::new("sh");
            command.args([
                "-c",
                &format!("ulimit {limit}; exec \"$0\" {what}"),
                RDTRACE,
            ]);
            let told = Running::start(command).finish().failure(1);
            assert!(told.contains(option), "{limit} {what}: {told}");
            assert!(!told.contains("Python"), "{limit} {what}: {told}");
        }
    }
}

#[test]
fn arguments_of_what_comes_late_have_their_types() {
    if !can_trace() {
        return;
    }
    let program = "one*:::hit { printf(\"%s seen, %d of %d\\n\", execname, args[0], sizeof (args[0])); } \
        two*:::hit { kept = args[0]; printf(\"two seen\\n\"); } \
        three*:::hit { printf(\"%d\\n\", args[1]); }";
    let tracer = Tracer::start(&[], program);
    let [two, three] = ["two", "three"].map(|name| tracer.program(name, "-4@$7"));
    let _one = tracer.program("one", "-4@$7");
    wait_for_text(&tracer.out, "one seen, 7 of 4\n");
    // Another version of it, in another file.
    let _other = tracer.program("one2", "-2@$-7");
    wait_for_text(&tracer.out, "one2 seen, -7 of 2\n");
    drop((two, three));
    let text = fs::read_to_string(&tracer.out).unwrap();
    assert!(!text.contains("two seen"), "{text}");
    let outcome = tracer.end();
    let two = told(&outcome, "two");
    assert!(two.contains("has other argument types than those"), "{two}");
    let three = told(&outcome, "three");
    assert!(
        three.contains("index 1 is out of range for three"),
        "{three}"
    );
}

/// A program that makes a library with probes in memory, waits, and fires them five times.
fn made(dir: &Path, seconds: &str) -> String {
    let library = dir.join("libmade.so");
    let options = ["-shared", "-fPIC", "-DLIBRARY"].map(str::to_owned);
    compiled_as(&repository("tests/triggers/made.c"), &library, &options);
    format!(
        "{} {}",
        trigger(&format!("made.c {seconds}")).join(" "),
        library.display()
    )
}

#[test]
fn probes_of_a_library_that_is_in_no_file_are_found() {
    if !can_trace() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = "made$target:::hit { @[probemod, probename] = sum(arg0); }";
    // What is called in the microseconds after it was loaded may be ahead of its probes.
    let command = made(dir.path(), "0.2");
    let outcome = run(rdtrace(["-qn", program, "-c", &command]));
    let output = outcome.clean();
    let words: Vec<_> = output.split_whitespace().collect();
    assert_eq!(words, ["memfd:probes", "hit", "15"]);
}

#[test]
fn probes_of_such_a_library_are_found_in_processes_that_run() {
    if !can_trace() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let command = made(dir.path(), "0.2");
    // Of a child there is no hold: it is counted, or told of by the library's name.
    let nested = format!("sh -c \"{command}; true\"");
    let follow = "made$target:::hit { @[probemod, probename] = sum(arg0); }";
    let outcome = run(rdtrace(["-x", "followfork", "-qn", follow, "-c", &nested]));
    let told = outcome.stderr.contains("/memfd:probes are not seen");
    let output = outcome.clean_but_late();
    let words: Vec<_> = output.split_whitespace().collect();
    assert!(told || words == ["memfd:probes", "hit", "15"], "{output}");
}

#[test]
fn a_signal_ends_the_run_whatever_is_being_enabled() {
    if !can_trace_python() {
        return;
    }
    let program = "python*:::function-entry /copyinstr(arg1) == \"nothing\"/ { n++; } \
        END { printf(\"the end\"); }";
    let tracer = Tracer::start(&[], program);
    // An interpreter that is new to the machine is tested before it is used: in a child of the tracer,
    // which never comes to its end here, once it has been met while it ran.
    let mut pythons = Vec::new();
    let tested = (0..30).find_map(|number| {
        let copy = tracer.dir.path().join(format!("python{number}"));
        let mut contents = fs::read(PYTHON).unwrap();
        contents.extend(copy.to_str().unwrap().bytes());
        fs::write(tracer.dir.path().join("different"), contents).unwrap();
        install(&tracer.dir.path().join("different"), &copy);
        let mut command = Command::new(&copy);
        command.args(["-S", "-c", "import time; time.sleep(100)"]);
        pythons.push(Background::start(command));
        let end = Instant::now() + deadline() / 30;
        std::iter::from_fn(|| (Instant::now() < end).then(|| children(tracer.running.pid())))
            .flatten()
            .find(|pid| is_let_go(*pid, &copy) && kill(*pid, Signal::SIGSTOP).is_ok())
    });
    let tested = tested.expect("a self-test is met");
    let Tracer { running, out, dir } = tracer;
    running.signal(Signal::SIGTERM);
    let outcome = running.finish();
    let text = fs::read_to_string(out).unwrap();
    assert!(text.contains("the end"), "{text}\n{outcome:?}");
    drop(dir);
    // It is not left behind either.
    let gone = || kill(tested, None).is_err();
    wait_until("the self-test is gone", gone);
}

/// The processes that a process has started, from whatever thread.
fn children(pid: u32) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")));
    let lists: Vec<String> = lists.map(Result::unwrap_or_default).collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    pids.map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

/// Whether a process runs this program, and is not held at its start any more.
fn is_let_go(pid: Pid, program: &Path) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let runs = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
    runs && status.contains("TracerPid:\t0\n")
}

/// What a process of `-p` maps for a moment, without a name soon after, may have had probes.
#[test]
fn files_of_a_target_that_nobody_could_look_at_are_counted() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let script = "import mmap, os, sys, time
while not os.path.exists('go'):
    time.sleep(0.01)
for name in map(str, range(50)):
    with open(name, 'wb+') as file:
        file.truncate(4096)
        mapped = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    os.unlink(name)
    mapped.close()
open('done', 'w').write('done')
time.sleep(600)
";
    fs::write(path("map.py"), script).unwrap();
    let mut target = Command::new(PYTHON);
    target.arg("map.py").current_dir(dir.path());
    let target = Background::start(target);
    let out = path("out");
    let program = "BEGIN { printf(\"ready\\n\"); } foo$target:::x { }";
    let pid = target.pid().to_string();
    let tracer = rdtrace([
        "-qZ",
        "-o",
        out.to_str().unwrap(),
        "-n",
        program,
        "-p",
        &pid,
    ]);
    let tracer = Running::start(tracer);
    wait_for_text(&out, "ready\n");
    fs::write(path("go"), "").unwrap();
    wait_for_text(&path("done"), "done");
    tracer.signal(Signal::SIGTERM);
    let outcome = tracer.finish();
    assert_eq!(
        outcome.stderr,
        "rdtrace: files of 1 process were gone before they could be looked at: if there were probes in \
         them, their events are not seen\n"
    );
}
