//! What a command can do that is run in the place of a traced process. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use common::{has, install, root};
use provider::error::Error;
use provider::process::Stopped;
use provider::process::confined::{Confined, Like, launch_confined};

const SLEEP: &str = "/bin/sleep";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn launch(
    like: Like,
    program: &Path,
    arguments: &[&str],
    files: &[&Path],
) -> Result<Stopped, Error> {
    launch_confined(Confined {
        like,
        program,
        arguments,
        files,
        cpu_seconds: 5,
    })
}

fn field(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().to_owned()
}

fn namespace(pid: u32, name: &str) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    link.to_str().unwrap().to_owned()
}

fn assert_powerless(command: &Stopped) {
    let pid = command.pid();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(field(pid, "NoNewPrivs:"), "1");
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!environ.windows(5).any(|word| word == b"HOME="));
}

#[test]
fn root_s_own_file_runs_without_capabilities() {
    if !root() {
        return;
    }
    let mut command = launch(Like::Us, Path::new(SLEEP), &["9"], &[]).unwrap();
    command.next_image().unwrap().unwrap();
    assert_powerless(&command);
    assert_eq!(field(command.pid(), "Uid:"), "0\t0\t0\t0");
}

#[test]
fn another_user_s_file_runs_as_that_user() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("sleep");
    install(Path::new(SLEEP), &copy);
    std::os::unix::fs::chown(&copy, Some(1234), Some(1235)).unwrap();
    std::os::unix::fs::chown(dir.path(), Some(1234), Some(1235)).unwrap();
    let mut command = launch(Like::Us, &copy, &["9"], &[]).unwrap();
    command.next_image().unwrap().unwrap();
    assert_powerless(&command);
    assert_eq!(field(command.pid(), "Uid:"), "1234\t1234\t1234\t1234");
    assert_eq!(field(command.pid(), "Gid:"), "1235\t1235\t1235\t1235");
    assert_eq!(field(command.pid(), "Groups:"), "");
}

#[test]
fn namespaces_and_user_are_those_of_the_process() {
    if !root() || !has("/usr/bin/unshare") {
        return;
    }
    let inside = Killed(
        Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--uts", "--ipc", "--fork"])
            .args(["--kill-child", "setpriv", "--reuid=1234", "--regid=1235"])
            .args(["--groups=7,8", SLEEP, "9"])
            .spawn()
            .unwrap(),
    );
    let parent = inside.0.id();
    let children = format!("/proc/{parent}/task/{parent}/children");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let pid: u32 = loop {
        assert!(std::time::Instant::now() < deadline);
        let found = fs::read_to_string(&children).unwrap_or_default();
        let child = found.trim().parse().ok();
        let ready = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
        };
        if let Some(pid) = child.filter(ready) {
            break pid;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let mut command = launch(Like::Process(pid), Path::new(SLEEP), &["9"], &[]).unwrap();
    command.next_image().unwrap().unwrap();
    assert_powerless(&command);
    assert_eq!(field(command.pid(), "Uid:"), "1234\t1234\t1234\t1234");
    assert_eq!(field(command.pid(), "Gid:"), "1235\t1235\t1235\t1235");
    assert_eq!(field(command.pid(), "Groups:"), "7 8");
    for name in ["mnt", "pid", "net", "uts", "ipc"] {
        assert_eq!(
            namespace(command.pid(), name),
            namespace(pid, name),
            "{name}"
        );
        assert_ne!(
            namespace(std::process::id(), name),
            namespace(pid, name),
            "{name}"
        );
    }
    // What we start next is ours again.
    let ours = Killed(Command::new(SLEEP).arg("9").spawn().unwrap());
    assert_eq!(
        namespace(ours.0.id(), "pid"),
        namespace(std::process::id(), "pid")
    );
}

#[test]
fn control_groups_are_those_of_the_process() {
    let group = Path::new("/sys/fs/cgroup/devices/rdtrace-test");
    if !root() || !has("/sys/fs/cgroup/devices/cgroup.procs") {
        return;
    }
    let _ = fs::create_dir(group);
    let inside = Killed(Command::new(SLEEP).arg("9").spawn().unwrap());
    let pid = inside.0.id();
    fs::write(group.join("cgroup.procs"), pid.to_string()).unwrap();
    let groups = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let mut command = launch(Like::Process(pid), Path::new(SLEEP), &["9"], &[]).unwrap();
    command.next_image().unwrap().unwrap();
    assert!(groups(pid).contains("devices:/rdtrace-test"));
    assert_eq!(groups(command.pid()), groups(pid));
    drop(command);
    drop(inside);
    fs::remove_dir(group).unwrap();
}

#[test]
fn nothing_is_run_for_a_process_whose_system_calls_are_filtered() {
    const PYTHON: &str = "/usr/bin/python3";
    /// Allows everything, but is a filter: `BPF_RET | BPF_K, SECCOMP_RET_ALLOW`.
    const FILTERED: &str = "
import ctypes, time
class Insn(ctypes.Structure): _fields_ = [('c', ctypes.c_uint16), ('t', ctypes.c_uint8), ('f', ctypes.c_uint8), ('k', ctypes.c_uint32)]
class Prog(ctypes.Structure): _fields_ = [('n', ctypes.c_uint16), ('i', ctypes.POINTER(Insn))]
insn = Insn(6, 0, 0, 0x7fff0000)
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(Prog(1, ctypes.pointer(insn)))) == 0
time.sleep(9)
";
    if !root() || !has(PYTHON) {
        return;
    }
    let inside = Killed(Command::new(PYTHON).args(["-c", FILTERED]).spawn().unwrap());
    let pid = inside.0.id();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(9);
    while field(pid, "Seccomp:") != "2" {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let error = launch(Like::Process(pid), Path::new(PYTHON), &["-c", ""], &[]).unwrap_err();
    assert!(
        error.to_string().contains("filter of system calls"),
        "{error}"
    );
}

#[test]
fn what_is_executed_is_what_was_opened() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    install(Path::new(SLEEP), &program);
    let mut command = launch(Like::Us, &program, &["9"], &[]).unwrap();
    let image = command.next_image().unwrap().unwrap();
    assert_eq!(image.program, program, "by its descriptor, under its name");
    let arguments = fs::read(format!("/proc/{}/cmdline", command.pid())).unwrap();
    let name = program.to_str().unwrap();
    assert_eq!(arguments, format!("{name}\09\0").into_bytes());
}
