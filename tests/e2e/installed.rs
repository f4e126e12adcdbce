//! rdtrace as it is installed: with capabilities in the place of root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::harness::{as_nobody, can_trace_python, public_rdtrace, run, skipped};

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
