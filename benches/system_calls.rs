//! What tracing system calls costs the traced program.
//!
//! ```text
//! sudo RDTRACE_PEERS=/path/to/tree cargo bench --bench system_calls
//! ```
//!
//! Each row is a loop of `getppid` under one tracer, in nanoseconds for each call: the least of several
//! rounds, the rows taking turns. With `RDTRACE_PEERS`, a tree to chroot into, bpftrace does the same beside.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CALLS: u32 = 2_000_000;
const TURNS: usize = 4;

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let looping = directory.path().join("loop");
    let source = directory.path().join("loop.c");
    let code = "#include <stdlib.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
                int main(int c, char **v) { for (long n = atol(v[1]); n > 0; n--) syscall(SYS_getppid); }\n";
    fs::write(&source, code).expect("written");
    let compiled = Command::new("cc")
        .arg("-O2")
        .arg("-o")
        .arg(&looping)
        .arg(&source)
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "needs cc");

    let mut rows: Vec<(&str, Option<Vec<String>>)> = vec![("untraced", None)];
    let mut add = |name, command: &[&str]| {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        rows.push((name, Some(command)));
    };
    let rdtrace = env!("CARGO_BIN_EXE_rdtrace");
    let by_name = "syscall:::entry { @[probefunc] = count(); }";
    add(
        "rdtrace: syscall:::entry { @[probefunc] = count(); }",
        &[rdtrace, "-qn", by_name],
    );
    add(
        "rdtrace: another call",
        &[rdtrace, "-qn", "syscall::read:entry { @ = count(); }"],
    );
    let arguments = "syscall::getppid:return /errno == 0/ { @[arg1] = count(); }";
    add("rdtrace: result and errno", &[rdtrace, "-qn", arguments]);
    if let Some(root) = std::env::var_os("RDTRACE_PEERS").map(PathBuf::from) {
        let root = root.to_string_lossy().into_owned();
        let bpftrace = |program| {
            [
                "chroot",
                &*root.clone().leak(),
                "bpftrace",
                "-q",
                "-e",
                program,
            ]
        };
        add(
            "bpftrace: tracepoint:syscalls:sys_enter_* { @[probe] = count(); }",
            &bpftrace("tracepoint:syscalls:sys_enter_* { @[probe] = count(); }"),
        );
    }
    let mut best = vec![f64::INFINITY; rows.len()];
    for _ in 0..TURNS {
        for ((_, tracer), best) in rows.iter().zip(&mut best) {
            let tracing = tracer.as_ref().map(|command| start(command));
            let begin = Instant::now();
            let ran = Command::new(&looping).arg(CALLS.to_string()).status();
            let each = begin.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
            assert!(ran.is_ok_and(|status| status.success()), "the loop runs");
            *best = best.min(each);
            if let Some(tracing) = tracing {
                end(tracing);
            }
        }
    }
    println!("{:72} {:>8} {:>8}", "", "ns/call", "added");
    for ((name, _), each) in rows.iter().zip(&best) {
        println!("{name:72} {each:8.1} {:8.1}", each - best[0]);
    }
}

/// Starts a tracer, and gives it time to attach.
fn start(command: &[String]) -> Child {
    let child = Command::new(&command[0])
        .args(&command[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tracer starts");
    let patience = if command[0] == "chroot" { 8 } else { 2 };
    thread::sleep(Duration::from_secs(patience));
    child
}

fn end(mut tracing: Child) {
    let pid = Pid::from_raw(i32::try_from(tracing.id()).expect("a process id"));
    let _ = kill(pid, Signal::SIGINT);
    let _ = tracing.wait();
}
