//! What tracing costs the traced program, as ratios taken in one run.
//!
//! ```text
//! sudo cargo bench --bench overhead
//! sudo RDTRACE_PEERS=/path/to/tree cargo bench --bench overhead
//! ```
//!
//! Each row runs `calls.py` under one tracer and prints nanoseconds per call of an empty Python
//! function: the least of several rounds, the rows taking turns so that a machine that slows down
//! slows all of them. Two ratios follow, against the *null probe* (an eBPF program of two
//! instructions on the site of `function-entry`) and against rdtrace's empty clause. With
//! `RDTRACE_PEERS`, a tree to chroot into that holds `dtrace`, `bpftrace` and a Python 3.15 with live
//! function probes, that Python is traced, and the peers do the same beside.
//!
//! rdtrace uses the Python's own markers here (`-x pyusdt`), as the peers do; the rows called *made*
//! are by probes made from the interpreter's code, which is what it would choose. One of these is
//! repeated with Python 3.14: in 3.15 a hit has to look at the instruction's argument.
//!
//! Other work on the machine ends up in the numbers, so ratios count, and nothing is asserted.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dlang::program::ProbeDesc;
use provider::catalog::Catalog;
use provider::features::KernelFeatures;
use provider::object::{Attachment, Context, Program, ProgramId, Target, UprobeSite};
use provider::probe::{ProbeKind, Sites};
use provider::process::launch_stopped;
use provider::session::Session;

/// Calls in a round, rounds in a run, runs of each row. A round is so short that many of them are not
/// interrupted by anything.
const CALLS: u32 = 500;
const ROUNDS: u32 = 400;
const TURNS: usize = 5;

/// Calls of the run that counts lost records.
const MANY_CALLS: u32 = 1_000_000;

/// A Python of the peers' tree without live function probes.
const OLDER: &str = "/usr/bin/python3.14";

/// The Python that is traced: its path, and the tree to chroot into for it.
struct Subject {
    root: Option<PathBuf>,
    python: &'static str,
}

struct Row {
    name: &'static str,
    tracer: Tracer,
    best: f64,
}

enum Tracer {
    None,
    /// The program of two instructions.
    Null,
    /// rdtrace with these arguments.
    Rdtrace(Vec<String>),
    /// The same, on another Python of the tree.
    RdtraceOn(&'static str, Vec<String>),
    /// A peer, inside of its tree: its program and arguments.
    Peer(Vec<String>),
}

fn main() {
    let subject = Subject::find();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(
        here.join("benches/calls.py"),
        subject.inside("/tmp/rdtrace-bench.py"),
    )
    .expect("calls.py can be copied to the Python's /tmp");
    let script = subject.inside("/tmp/rdtrace-bench.d");
    fs::write(&script, every_call(&here.join("examples/call_stack.d")))
        .expect("a script can be written");

    let mut rows = subject.rows(&script);
    for _ in 0..TURNS {
        for row in &mut rows {
            row.best = row.best.min(subject.time(&row.tracer));
        }
    }
    let best = |name| {
        rows.iter()
            .find(|row| row.name == name)
            .map_or(f64::NAN, |row| row.best)
    };
    let (null, empty) = (best("null probe"), best("empty clause"));
    println!(
        "{:42} {:>8} {:>7} {:>7}",
        subject.python, "ns/call", "/null", "/empty"
    );
    for row in rows.iter().filter(|row| row.best.is_finite()) {
        let (name, ns) = (row.name, row.best);
        println!("{name:42} {ns:>8.0} {:>7.2} {:>7.2}", ns / null, ns / empty);
    }
    println!();
    subject.lose_nothing(&script);
    for (name, run) in subject.starts() {
        println!(
            "whole run of a BEGIN-only program: {:>6.0} ms  {name}",
            shortest(run)
        );
    }
}

/// `call_stack.d` with the trace always on.
fn every_call(script: &Path) -> String {
    let text = fs::read_to_string(script).expect("the example is there");
    text.replace("/self->trace/", "/1/")
}

fn calls_of(python: &str, calls: u32, rounds: u32) -> String {
    format!("{python} /tmp/rdtrace-bench.py /tmp/rdtrace-bench.ns {calls} {rounds}")
}

impl Subject {
    fn find() -> Self {
        let root = std::env::var_os("RDTRACE_PEERS").map(PathBuf::from);
        match root.filter(|root| root.join("usr/bin/python3.15").exists()) {
            Some(root) => Self {
                root: Some(root),
                python: "/usr/bin/python3.15",
            },
            None => Self {
                root: None,
                python: "/usr/bin/python3",
            },
        }
    }

    /// A path inside of the tree, as seen from outside.
    fn inside(&self, path: &str) -> PathBuf {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        root.join(path.trim_start_matches('/'))
    }

    fn rows(&self, script: &Path) -> Vec<Row> {
        let row = |name, tracer| Row {
            name,
            tracer,
            best: f64::INFINITY,
        };
        let rdtrace = |name, args: &[&str]| {
            row(
                name,
                Tracer::Rdtrace(args.iter().map(|arg| (*arg).into()).collect()),
            )
        };
        let out = self.inside("/tmp/rdtrace-bench.out");
        let (script, out) = (script.to_string_lossy(), out.to_string_lossy());
        let mut rows = vec![
            row("untraced", Tracer::None),
            row("null probe", Tracer::Null),
            rdtrace(
                "empty clause",
                &["-qn", "python$target:::function-entry { this->x = 0; }"],
            ),
            rdtrace(
                "@[copyinstr(arg1)] = count()",
                &[
                    "-qn",
                    "python$target:::function-entry { @[copyinstr(arg1)] = count(); }",
                ],
            ),
            rdtrace(
                "@[basename(copyinstr(arg0))] = count()",
                &[
                    "-qn",
                    "python$target:::function-entry { @[basename(copyinstr(arg0))] = count(); }",
                ],
            ),
            rdtrace(
                "empty clause on entry and return",
                &[
                    "-qn",
                    "python$target:::function-entry,python$target:::function-return { this->x = 0; }",
                ],
            ),
            rdtrace(
                "@ = quantize(time in function)",
                &[
                    "-qn",
                    "python$target:::function-entry { self->t = timestamp; } \
                     python$target:::function-return { @ = quantize(timestamp - self->t); }",
                ],
            ),
            rdtrace(
                "call_stack.d, every call, to a file",
                &["-qs", &script, "-o", &out],
            ),
            rdtrace(
                "made: empty clause",
                &[
                    "-x",
                    "pyusdt=off",
                    "-qn",
                    "python$target:::function-entry { this->x = 0; }",
                ],
            ),
            rdtrace(
                "made: empty clause on entry and return",
                &[
                    "-x",
                    "pyusdt=off",
                    "-qn",
                    "python$target:::function-entry,python$target:::function-return { this->x = 0; }",
                ],
            ),
            rdtrace(
                "made: @[copyinstr(arg1)] = count()",
                &[
                    "-x",
                    "pyusdt=off",
                    "-qn",
                    "python$target:::function-entry { @[copyinstr(arg1)] = count(); }",
                ],
            ),
            rdtrace(
                "made: call_stack.d, every call, to a file",
                &["-x", "pyusdt=off", "-qs", &script, "-o", &out],
            ),
        ];
        if self.has(OLDER.trim_start_matches('/')) {
            let args = [
                "-x",
                "pyusdt=off",
                "-qn",
                "python$target:::function-entry { this->x = 0; }",
            ];
            rows.push(row(
                "made: empty clause, Python 3.14",
                Tracer::RdtraceOn(OLDER, args.map(Into::into).to_vec()),
            ));
        }
        let peer = |name, args: &[&str]| {
            row(
                name,
                Tracer::Peer(args.iter().map(|arg| (*arg).into()).collect()),
            )
        };
        if self.has("usr/bin/bpftrace") {
            let probe = "usdt:/usr/bin/python3.15:python:function__";
            let clause = |on: &str, body: &str| format!("{probe}{on} {{ {body} }}");
            let print = |on: &str| {
                clause(
                    on,
                    "printf(\"%lld %s:%s:%d\\n\", nsecs, str(arg0), str(arg1), arg2);",
                )
            };
            let both = format!("{} {}", print("entry"), print("return"));
            rows.push(peer(
                "bpftrace: empty",
                &["bpftrace", "-q", "-e", &clause("entry", "")],
            ));
            rows.push(peer(
                "bpftrace: @[str(arg1)] = count()",
                &[
                    "bpftrace",
                    "-q",
                    "-e",
                    &clause("entry", "@[str(arg1)] = count();"),
                ],
            ));
            rows.push(peer(
                "bpftrace: print entry and return, to a file",
                &[
                    "bpftrace",
                    "-q",
                    "-o",
                    "/tmp/rdtrace-bench.out",
                    "-e",
                    &both,
                ],
            ));
        }
        if self.has("usr/sbin/dtrace") {
            rows.push(peer(
                "dtrace: empty",
                &[
                    "dtrace",
                    "-qn",
                    "python$target:::function-entry { this->x = 0; }",
                ],
            ));
            rows.push(peer(
                "dtrace: @[copyinstr(arg1)] = count()",
                &[
                    "dtrace",
                    "-qn",
                    "python$target:::function-entry { @[copyinstr(arg1)] = count(); }",
                ],
            ));
            rows.push(peer(
                "dtrace: call_stack.d, every call, to a file",
                &[
                    "dtrace",
                    "-qs",
                    "/tmp/rdtrace-bench.d",
                    "-o",
                    "/tmp/rdtrace-bench.out",
                ],
            ));
        }
        rows
    }

    /// Whether a peer is installed.
    fn has(&self, program: &str) -> bool {
        self.root
            .as_ref()
            .is_some_and(|root| root.join(program).exists())
    }

    /// The command, as it is run inside of the tree.
    fn calls(&self, calls: u32, rounds: u32) -> String {
        calls_of(self.python, calls, rounds)
    }

    /// The same, run from outside.
    fn outside(&self, command: &str) -> String {
        match &self.root {
            Some(root) => format!("chroot {} {command}", root.display()),
            None => command.to_owned(),
        }
    }

    /// Runs the calls under a tracer and gives nanoseconds per call.
    fn time(&self, tracer: &Tracer) -> f64 {
        let result = self.inside("/tmp/rdtrace-bench.ns");
        let _ = fs::remove_file(&result);
        let _ = fs::remove_file(self.inside("/tmp/rdtrace-bench.out"));
        let calls = self.calls(CALLS, ROUNDS);
        match tracer {
            Tracer::None => run(Command::new("sh").args(["-c", &self.outside(&calls)])),
            Tracer::Null => Self::null_probe(&self.outside(&calls)),
            Tracer::Rdtrace(args) => run(rdtrace().args(args).args(["-c", &self.outside(&calls)])),
            Tracer::RdtraceOn(python, args) => {
                let calls = self.outside(&calls_of(python, CALLS, ROUNDS));
                run(rdtrace().args(args).args(["-c", &calls]));
            }
            Tracer::Peer(args) => {
                let root = self.root.as_deref().unwrap_or(Path::new("/"));
                run(Command::new("chroot")
                    .arg(root)
                    .args(args)
                    .args(["-c", &calls]));
            }
        }
        let text = fs::read_to_string(result).unwrap_or_default();
        text.trim().parse().unwrap_or(f64::INFINITY)
    }

    /// Runs the command with an empty eBPF program on its `function-entry`.
    fn null_probe(command: &str) {
        let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let mut stopped = launch_stopped(&argv).expect("the Python can be started");
        let mut catalog = Catalog::new();
        catalog.prefer_markers("as the peers do");
        let desc = ProbeDesc {
            provider: format!("python{}", stopped.pid()),
            name: "function-entry".into(),
            ..ProbeDesc::default()
        };
        while stopped.next_image().expect("it can be traced").is_some() {
            let probes = catalog.enable(&desc);
            let Some(ProbeKind::Sites(Sites {
                file, scope, sites, ..
            })) = probes.first().map(|probe| &probe.kind)
            else {
                continue;
            };
            let mut session = Session::new(KernelFeatures::detect());
            let program = Program {
                name: "null".into(),
                context: Context::Registers,
                called: None,
                insns: vec![0xb7, 0x95], // r0 = 0; exit
                relocations: Vec::new(),
                functions: Vec::new(),
            };
            session.load(&program).expect("an empty program loads");
            session
                .raise_semaphores(&probes)
                .expect("semaphores can be raised");
            let sites = sites
                .iter()
                .map(|site| UprobeSite {
                    file_offset: site.file_offset,
                    semaphore: site.semaphore,
                    cookie: 0,
                })
                .collect();
            let target = Target::Uprobes {
                file: file.clone(),
                scope: *scope,
                sites,
            };
            session
                .attach(&Attachment {
                    program: ProgramId(0),
                    target,
                })
                .expect("it attaches");
            let mut running = stopped.resume().expect("it goes on");
            running.wait(Duration::from_secs(60));
            return;
        }
    }

    /// Counts what is lost of two million records, and what rdtrace needs of memory meanwhile.
    fn lose_nothing(&self, script: &Path) {
        let out = self.inside("/tmp/rdtrace-bench.out");
        let _ = fs::remove_file(&out);
        let command = self.outside(&self.calls(MANY_CALLS, 1));
        let child = rdtrace()
            .args([
                "-qs".as_ref(),
                script.as_os_str(),
                "-o".as_ref(),
                out.as_os_str(),
            ])
            .args(["-c", &command])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else { return };
        let mut memory = String::new();
        while matches!(child.try_wait(), Ok(None)) {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
            let line = |text: &str| {
                text.lines()
                    .find_map(|line| Some(line.strip_prefix("RssAnon:")?.trim().to_owned()))
            };
            memory = status.ok().as_deref().and_then(line).unwrap_or(memory);
            std::thread::sleep(Duration::from_millis(50));
        }
        let text = fs::read_to_string(&out).unwrap_or_default();
        let records = text
            .lines()
            .filter(|line| line.contains(":callee:"))
            .count();
        let expected = 2 * MANY_CALLS as usize;
        println!(
            "records lost of {expected}: {}",
            expected.saturating_sub(records)
        );
        println!("memory of rdtrace beside the buffers: {memory}");
        let _ = fs::remove_file(&out);
    }

    /// A BEGIN-only program under each tracer.
    fn starts(&self) -> Vec<(&'static str, Command)> {
        let mut runs = vec![("rdtrace", rdtrace())];
        for (name, path) in [
            ("dtrace", "usr/sbin/dtrace"),
            ("bpftrace", "usr/bin/bpftrace"),
        ] {
            if let Some(root) = self.root.as_ref().filter(|_| self.has(path)) {
                let mut command = Command::new("chroot");
                command.arg(root).arg(name);
                runs.push((name, command));
            }
        }
        for (name, command) in &mut runs {
            match *name {
                "bpftrace" => command.args(["-q", "-e", "BEGIN { exit(); }"]),
                _ => command.args(["-qn", "BEGIN { exit(0); }"]),
            };
        }
        runs
    }
}

/// rdtrace on a Python's own markers, as the peers are.
fn rdtrace() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rdtrace"));
    command.args(["-x", "pyusdt"]);
    command
}

/// Runs a command quietly to its end.
fn run(command: &mut Command) {
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Milliseconds that a command takes, the least of a few runs.
fn shortest(mut command: Command) -> f64 {
    (0..5)
        .map(|_| {
            let start = Instant::now();
            run(&mut command);
            start.elapsed().as_secs_f64() * 1000.0
        })
        .fold(f64::INFINITY, f64::min)
}
