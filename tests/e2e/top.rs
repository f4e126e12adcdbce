//! `rdtrace run top`: on a terminal, which a program of Python's plays, and without.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{
    Background, Running, can_trace_python, python, rdtrace, repository, run, wait_for_text,
};

/// Runs a command on a terminal of 100 by 20, presses keys when words show, and prints what showed after
/// the screen was given back.
const TERMINAL: &str = r#"
import fcntl, os, pty, re, select, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    time.sleep(0.1)
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 100, 0, 0))
shown = b""
def until(word):
    global shown
    end = time.monotonic() + 60
    while word not in shown:
        assert time.monotonic() < end, (word, shown)
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
for word, key in [(b"often", b"n"), (b"*FUNCTION", b"\r"), (b"call", b"\x1b[Dq")]:
    until(word)
    shown = b""
    os.write(terminal, key)
until(b"\x1b[?1049l")
try:
    while True:
        part = os.read(terminal, 65536)
        if not part: break
        shown += part
except OSError:
    pass
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
print(shown.split(b"\x1b[?1049l", 1)[1].decode().replace("\r", ""))
"#;

const CALLS: &str = "python$target:::function-entry,python$target:::function-return {}";

#[test]
fn a_screen_shows_functions_and_goes_away() {
    if !can_trace_python() {
        return;
    }
    let target = Background::start(python(&repository("examples/busy.py"), &["60"]));
    let pid = target.pid().to_string();
    let mut command = Command::new("/usr/bin/python3");
    command.args([
        "-c",
        TERMINAL,
        crate::harness::RDTRACE,
        "-q",
        "--format",
        "top",
    ]);
    command.args(["-n", CALLS, "-p", &pid]);
    let outcome = run(command);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let (status, table) = outcome.stdout.split_once('\n').unwrap();
    assert_eq!(status, "0", "{table}");
    let table = table.trim_start_matches(|c: char| c != 'r');
    assert!(table.starts_with("rdtrace top  calls: "), "{table}");
    assert!(table.contains("since the start"), "{table}");
    assert!(table.contains(" often "), "{table}");
}

#[test]
fn without_a_terminal_there_is_a_table_each_second() {
    if !can_trace_python() {
        return;
    }
    let target = Background::start(python(&repository("examples/busy.py"), &["60"]));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let pid = target.pid().to_string();
    let mut command = rdtrace(["-q", "--format", "top", "-n", CALLS, "-p", &pid, "-o"]);
    command.arg(&out);
    let tracer = Running::start(command);
    wait_for_text(&out, "in the last");
    let text = wait_for_text(&out, " often ");
    assert!(text.starts_with("rdtrace top  calls: "), "{text}");
    tracer.signal(Signal::SIGINT);
    tracer.finish().clean_but_late();
    let last = std::fs::read_to_string(&out).unwrap();
    assert!(last.contains("since the start"), "{last}");
}

/// Its functions are found by samples, as in flame.d.
#[test]
fn the_script_finds_where_the_time_goes() {
    if !can_trace_python() {
        return;
    }
    let program = format!(
        "/usr/bin/python3 {} 2",
        repository("examples/busy.py").display()
    );
    let outcome = run(rdtrace(["run", "top", "-c", &program]));
    let last = outcome.stdout.rsplit("rdtrace top").next().unwrap();
    assert!(last.contains(" since the start "), "{}", outcome.stdout);
    let first = last.lines().nth(2).unwrap();
    let is_its_own = |name: &&str| first.contains(*name);
    assert!(
        [" often ", " seldom ", " main "].iter().any(is_its_own),
        "{last}"
    );
}
