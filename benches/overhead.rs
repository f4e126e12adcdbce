//! What tracing costs the traced program, as ratios taken in one run.
//!
//! ```text
//! sudo cargo bench --bench overhead
//! RDTRACE_PEERS=/path/to/chroot sudo -E cargo bench --bench overhead
//! ```
//!
//! Each row runs `calls.py` under one tracer and prints nanoseconds per call of an empty Python
//! function: the least of several rounds, the rows taking turns so that a machine that slows down
//! slows all of them. The ratios are against the *null probe*: an eBPF program that does nothing
//! on the same site. With `RDTRACE_PEERS`, a directory to chroot into that holds `dtrace`,
//! `bpftrace` and a Python with live function probes, the peers run the same there.
//!
//! Times of other processes on the machine end up in the numbers, so the ratios count, and nothing
//! is asserted.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const CALLS: u32 = 200_000;
const ROUNDS: u32 = 3;
const TURNS: usize = 3;

/// The Python that is traced, and how to run it.
struct Subject {
    /// What to put before a command to run it where the Python is.
    root: Option<PathBuf>,
    python: String,
}

/// One row of the table.
struct Row {
    name: &'static str,
    tracer: Tracer,
    best: f64,
}

enum Tracer {
    None,
    /// rdtrace with these arguments.
    Rdtrace(Vec<String>),
    /// A peer, inside of its chroot: its program, and a `-c` command is added.
    Peer(Vec<String>),
}

fn main() {
    let subject = Subject::find();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = here.join("benches/calls.py");
    let in_root = subject.inside("/tmp/rdtrace-bench-calls.py");
    fs::copy(&script, &in_root).expect("calls.py can be copied to the Python's /tmp");
    let output = std::env::temp_dir().join("rdtrace-bench.out");
    let call_stack = std::env::temp_dir().join("rdtrace-bench-call_stack.d");
    fs::write(&call_stack, every_call(&here.join("examples/call_stack.d")))
        .expect("a script can be written");

    let mut rows = rows(&output, &call_stack);
    for peer in subject.peers() {
        rows.push(peer);
    }
    for _ in 0..TURNS {
        for row in &mut rows {
            let _ = fs::remove_file(&output);
            let time = subject.time(&row.tracer);
            row.best = row.best.min(time);
        }
    }
    let null = rows[1].best;
    println!("{:44} {:>10} {:>8}", subject.python, "ns/call", "x null");
    for row in &rows {
        println!("{:44} {:>10.0} {:>8.2}", row.name, row.best, row.best / null);
    }
    let begin = start_up();
    println!("\nwhole run of a BEGIN-only program: {begin:.0} ms");
}

fn rows(output: &Path, call_stack: &Path) -> Vec<Row> {
    let clause = |name, text: &str| Row {
        name,
        tracer: Tracer::Rdtrace(vec!["-qn".into(), text.into()]),
        best: f64::INFINITY,
    };
    vec![
        Row { name: "untraced", tracer: Tracer::None, best: f64::INFINITY },
        clause("null probe", "python$target:::function-entry /0/ { }"),
        clause("empty clause", "python$target:::function-entry { this->nothing = 0; }"),
        clause(
            "@[copyinstr(arg1)] = count()",
            "python$target:::function-entry { @[copyinstr(arg1)] = count(); }",
        ),
        clause(
            "@[basename(copyinstr(arg0))] = count()",
            "python$target:::function-entry { @[basename(copyinstr(arg0))] = count(); }",
        ),
        clause(
            "timing: self->t, quantize",
            "python$target:::function-entry { self->t = timestamp; } \
             python$target:::function-return { @ = quantize(timestamp - self->t); }",
        ),
        Row {
            name: "call_stack.d, every call, to a file",
            tracer: Tracer::Rdtrace(vec![
                "-qs".into(),
                call_stack.display().to_string(),
                "-o".into(),
                output.display().to_string(),
            ]),
            best: f64::INFINITY,
        },
    ]
}

/// `call_stack.d` with the trace always on.
fn every_call(script: &Path) -> String {
    let text = fs::read_to_string(script).expect("the example is there");
    text.replace("/self->trace/", "/1/")
}

impl Subject {
    fn find() -> Self {
        let root = std::env::var_os("RDTRACE_PEERS").map(PathBuf::from);
        match root {
            Some(root) if root.join("usr/bin/python3.15").exists() => {
                Self { root: Some(root), python: "/usr/bin/python3.15".into() }
            }
            _ => Self { root: None, python: "/usr/bin/python3".into() },
        }
    }

    fn inside(&self, path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => path.into(),
        }
    }

    fn python_command(&self) -> String {
        format!(
            "{} /tmp/rdtrace-bench-calls.py /tmp/rdtrace-bench.ns {CALLS} {ROUNDS}",
            self.python
        )
    }

    /// Runs the calls under a tracer and gives nanoseconds per call.
    fn time(&self, tracer: &Tracer) -> f64 {
        let result = self.inside("/tmp/rdtrace-bench.ns");
        let _ = fs::remove_file(&result);
        let chroot = self.root.as_ref().map(|root| format!("chroot {} ", root.display()));
        let outside = format!("{}{}", chroot.unwrap_or_default(), self.python_command());
        let mut command = match tracer {
            Tracer::None => shell(&outside),
            Tracer::Rdtrace(args) => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_rdtrace"));
                command.args(args).args(["-c", &outside]);
                command
            }
            Tracer::Peer(args) => {
                let mut command = Command::new("chroot");
                command.arg(self.root.as_deref().unwrap_or(Path::new("/")));
                command.args(args).args(["-c", &self.python_command()]);
                command
            }
        };
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            return f64::INFINITY;
        }
        fs::read_to_string(result)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(f64::INFINITY)
    }

    /// The peers' rows, where they are installed.
    fn peers(&self) -> Vec<Row> {
        let Some(root) = &self.root else { return Vec::new() };
        let mut rows = Vec::new();
        let mut add = |name, args: &[&str]| {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            rows.push(Row { name, tracer: Tracer::Peer(args), best: f64::INFINITY });
        };
        if root.join("usr/bin/bpftrace").exists() {
            let probe = "usdt:/usr/bin/python3.15:python:function__entry";
            let count = format!("{probe} {{ @[str(arg1)] = count(); }}");
            let null = format!("{probe} {{ }}");
            add("bpftrace, empty", &["bpftrace", "-q", "-e", &null]);
            add("bpftrace, @[str(arg1)] = count()", &["bpftrace", "-q", "-e", &count]);
        }
        if root.join("usr/sbin/dtrace").exists() {
            let probe = "python$target:::function-entry";
            let count = format!("{probe} {{ @[copyinstr(arg1)] = count(); }}");
            let null = format!("{probe} {{ this->nothing = 0; }}");
            add("dtrace, empty", &["dtrace", "-qn", &null]);
            add("dtrace, @[copyinstr(arg1)] = count()", &["dtrace", "-qn", &count]);
        }
        rows
    }
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

/// Milliseconds that a program with nothing but BEGIN takes, the least of ten runs.
fn start_up() -> f64 {
    (0..10)
        .map(|_| {
            let start = Instant::now();
            let _ = Command::new(env!("CARGO_BIN_EXE_rdtrace"))
                .args(["-qn", "BEGIN { exit(0); }"])
                .stdout(Stdio::null())
                .status();
            start.elapsed().as_secs_f64() * 1000.0
        })
        .fold(f64::INFINITY, f64::min)
}
