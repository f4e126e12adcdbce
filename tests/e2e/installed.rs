//! rdtrace as it is installed: with capabilities in the place of root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::harness::{
    as_nobody, can_trace_python, public_rdtrace, rdtrace, run, skipped, wait_until,
};

/// What README.md says: `setcap` on the binary, and then any user may trace.
#[test]
fn a_user_traces_with_the_capabilities_of_the_file() {
    if !can_trace_python() {
        return;
    }
    let (dir, rdtrace) = public_rdtrace();
    let capabilities = "cap_bpf,cap_perfmon,cap_sys_ptrace+ep";
    let set = Command::new("setcap")
        .arg(capabilities)
        .arg(&rdtrace)
        .status();
    if !set.is_ok_and(|status| status.success()) {
        skipped("needs setcap, and a file system with capabilities");
        return;
    }
    let program = dir.path().join("program.py");
    fs::write(&program, "def waits():\n    pass\nwaits()\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = as_nobody();
    // None of root's rights can come from elsewhere.
    command.arg("--bounding-set=-all,+bpf,+perfmon,+sys_ptrace");
    command.arg(&rdtrace).args(["-q", "-n"]);
    command.arg("python$target:::function-entry /copyinstr(arg1) == \"waits\"/ { printf(\"%d %d\\n\", arg2, uid); }");
    command
        .arg("-c")
        .arg(format!("/usr/bin/python3 -S {}", program.display()));
    command.current_dir("/");
    assert_eq!(run(command).clean(), "1 65534\n\n");
}

#[test]
fn the_doctor_says_what_can_be_traced() {
    if !can_trace_python() {
        return;
    }
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", "import time; time.sleep(60)"]);
    let mut python = python.spawn().unwrap();
    let pid = python.id().to_string();
    wait_until("it runs Python", || provider_is_there(&pid));
    let text = run(rdtrace(["--doctor", "-p", &pid])).clean();
    python.kill().unwrap();
    python.wait().unwrap();
    let begins = |start: &str| text.lines().any(|line| line.starts_with(start));
    assert!(
        begins("ok    kernel: Linux ") && begins("ok    eBPF: "),
        "{text}"
    );
    let line = text.lines().last().unwrap();
    assert!(
        line.starts_with("ok    ") && line.contains(&format!("(process {pid}): ")),
        "{text}"
    );
    assert!(line.contains("function-entry, function-return"), "{text}");
    let failure = run(rdtrace(["--doctor", "-p", "x"])).failure(1);
    assert!(failure.contains("there is no process x"), "{failure}");
}

/// Whether the interpreter is there to be looked at.
fn provider_is_there(pid: &str) -> bool {
    let listed = Command::new(crate::harness::RDTRACE)
        .args(["-l", "-p", pid])
        .output();
    String::from_utf8_lossy(&listed.unwrap().stdout).contains("function-entry")
}

#[test]
fn without_rights_the_doctor_names_them() {
    if !can_trace_python() {
        return;
    }
    let (_dir, rdtrace) = public_rdtrace();
    let mut command = as_nobody();
    command.arg(&rdtrace).arg("--doctor").current_dir("/");
    let outcome = run(command);
    let text = outcome.stdout;
    assert_eq!(outcome.status, 1, "{text}");
    let rights = "Operation not permitted; this needs root, or CAP_BPF and CAP_PERFMON";
    assert!(
        text.contains(&format!("no    eBPF: programs cannot be loaded: {rights}")),
        "{text}"
    );
    assert!(text.contains("less  other processes: "), "{text}");
}
