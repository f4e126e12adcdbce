//! Runs `rdtrace` under a deadline and looks at what comes out.
//!
//! Whatever a test is about, no run may hang, panic, or make the kernel's verifier refuse a
//! program: [`Running::finish`] checks that for all of them.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provider::features::KernelFeatures;
pub(crate) use test_support::skipped;

/// The command under test.
pub(crate) const RDTRACE: &str = env!("CARGO_BIN_EXE_rdtrace");

/// The Python with all eight markers: Debian 12's 3.11.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// How long one run may take, on a machine that is busy with other tests: `RDTRACE_DEADLINE` seconds, or a
/// minute.
pub(crate) fn deadline() -> Duration {
    let seconds = std::env::var("RDTRACE_DEADLINE");
    let seconds = seconds.ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit status, or 128 and the signal's number.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Standard output as it came: it need not be UTF-8.
    pub(crate) stdout_bytes: Vec<u8>,
}

impl Outcome {
    /// The output of a run that must have gone well, without a word on standard error.
    pub(crate) fn clean(self) -> String {
        assert_eq!(
            (self.status, self.stderr.as_str()),
            (0, ""),
            "stdout:\n{}",
            self.stdout
        );
        self.stdout
    }

    /// [`clean`](Self::clean), but some programs may have started ahead of their probes: new files on
    /// the machine, and there may be those of other tests.
    pub(crate) fn clean_but_late(mut self) -> String {
        let late = |line: &str| {
            line.contains("rdtrace: process")
                && (line.contains(" its probes") || line.contains("could be looked at"))
                || line.contains("just started when tracing ended")
                || line.contains(" were gone before ")
                || line
                    .contains("was replaced by another file while its probes were being attached")
        };
        let others = self.stderr.lines().filter(|line| !late(line));
        self.stderr = others.collect::<Vec<_>>().join("\n");
        self.clean()
    }

    /// The message of a run that must have failed with this status.
    pub(crate) fn failure(self, status: i32) -> String {
        assert_eq!(
            self.status, status,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        assert!(
            self.stderr.starts_with("rdtrace: "),
            "no message: {:?}",
            self.stderr
        );
        self.stderr
    }
}

/// A run of `rdtrace` with these arguments.
pub(crate) fn rdtrace<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Command {
    let mut command = Command::new(RDTRACE);
    command.args(args);
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Outcome {
    Running::start(command).finish()
}

/// A command that runs in the background; killed if the test ends first.
pub(crate) struct Running {
    child: Child,
    title: String,
    stdout: Stream,
    stderr: Stream,
}

/// A thread that collects what a child writes.
type Stream = JoinHandle<Vec<u8>>;

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let title = format!("{command:?}");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            child,
            title,
            stdout,
            stderr,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end and checks what holds for every run.
    pub(crate) fn finish(mut self) -> Outcome {
        let end = Instant::now() + deadline();
        let mut late = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end && !late {
                late = true;
                self.child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(2));
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stdout_bytes = self.stdout.join().unwrap();
        let stdout = text(&stdout_bytes);
        let stderr = text(&self.stderr.join().unwrap());
        let all = || format!("{}\nstdout:\n{stdout}\nstderr:\n{stderr}", self.title);
        assert!(!late, "did not end within {:?}: {}", deadline(), all());
        for bad in ["panicked", "RUST_BACKTRACE", "verifier", "processed "] {
            assert!(!stderr.contains(bad), "says {bad:?}: {}", all());
        }
        let status = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap());
        Outcome {
            status,
            stdout,
            stderr,
            stdout_bytes,
        }
    }
}

/// Reads on until the other side is closed, so that the child never waits for us.
fn collect(mut from: impl Read + Send + 'static) -> Stream {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// A process to trace, in the background, without output; killed when dropped.
pub(crate) struct Background(Child);

impl Background {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's Python with a script.
pub(crate) fn python(script: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PYTHON);
    command.arg(script).args(args);
    command
}

/// Waits until something is the case.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + deadline();
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Reads a file that a running command writes, until it holds a text.
pub(crate) fn wait_for_text(path: &Path, text: &str) -> String {
    let mut content = String::new();
    wait_until(&format!("{} says {text:?}", path.display()), || {
        content = fs::read_to_string(path).unwrap_or_default();
        content.contains(text)
    });
    content
}

/// A command as a user without rights starts it: the program, or more of `setpriv`'s options, are to be
/// added.
pub(crate) fn as_nobody() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command
}

/// A copy of rdtrace that any user can run, wherever the build folder is.
pub(crate) fn public_rdtrace() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("rdtrace");
    install(RDTRACE.as_ref(), &copy);
    (dir, copy)
}

/// Puts a program in its place, executable, by a process of its own. A file that is open for writing
/// cannot be run, and a descriptor of ours would be open, for a moment, in every command that
/// another test starts meanwhile.
pub(crate) fn install(from: &Path, to: &Path) {
    let status = Command::new("install")
        .args(["-m", "755"])
        .arg(from)
        .arg(to)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "install {}",
        to.display()
    );
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program that a trigger's name stands for, with its arguments: `calls.py 3`.
pub(crate) fn trigger(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace().map(str::to_owned);
    let name = words.next().expect("a trigger has a name");
    let path = repository("tests/triggers").join(&name);
    let file = path.to_str().unwrap().to_owned();
    assert!(path.exists(), "{file} does not exist");
    let mut argv = match path.extension().and_then(OsStr::to_str) {
        Some("py") => vec![PYTHON.to_owned(), file],
        Some("sh") => vec!["/bin/sh".to_owned(), file],
        Some("c") => vec![compiled(&path).to_str().unwrap().to_owned()],
        _ => vec![file],
    };
    argv.extend(words);
    argv
}

/// Compiles a C program to where all tests find it.
fn compiled(source: &Path) -> PathBuf {
    let program = scratch().join(source.file_stem().unwrap());
    compiled_as(source, &program, &[]);
    program
}

/// Compiles a C or C++ program with more arguments for the compiler; tests that run at the same time do not
/// see a half-written file.
pub(crate) fn compiled_as(source: &Path, program: &Path, more: &[String]) {
    let unfinished = program.with_extension(format!("{:?}", thread::current().id()));
    let is_cpp = source
        .extension()
        .is_some_and(|extension| extension == "cc");
    let status = Command::new(if is_cpp { "c++" } else { "cc" })
        .arg("-O1")
        .args(more)
        .arg("-o")
        .arg(&unfinished)
        .arg(source)
        .status();
    assert!(
        status.expect("the compiler runs").success(),
        "cannot compile {}",
        source.display()
    );
    fs::rename(unfinished, program).unwrap();
}

/// Cargo's directory for tests.
fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// Whether this machine can run tests of real tracing; counts the test as skipped if not.
pub(crate) fn can_trace() -> bool {
    test_support::root()
}

/// As [`can_trace`], for tests of Python's probes.
pub(crate) fn can_trace_python() -> bool {
    can_trace() && test_support::has(PYTHON)
}

/// As [`can_trace_python`], for tests of Python's frames and objects in any probe.
pub(crate) fn can_find_frames() -> bool {
    can_trace_python() && (KernelFeatures::open_loops().is_some() || skipped("needs Linux 5.17"))
}
