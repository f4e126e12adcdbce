//! Whether a process may come to run other files than those it has mapped.
//!
//! A program that is linked with the C library can become another one, or load a library, by the C
//! library's functions only, and its dynamic symbols say which of them it, or a library of it, calls.
//! What the C library loads of its own accord (for names of users and hosts, for character sets) does not
//! count, nor does a program that makes the system calls itself.

use std::sync::Arc;

use super::files::executable_files;
use crate::probe::File;
use crate::usdt::symbols::imports_any;

/// The functions that make a process run other files.
const BRINGING_FILES: [&[u8]; 13] = [
    b"dlopen",
    b"dlmopen",
    b"__libc_dlopen_mode",
    b"execl",
    b"execle",
    b"execlp",
    b"execv",
    b"execve",
    b"execveat",
    b"execvp",
    b"execvpe",
    b"fexecve",
    b"syscall",
];

/// The files of the C library itself, by how their names begin.
const C_LIBRARY: [&str; 8] = [
    "libc.so",
    "libc-2.",
    "libc.musl",
    "ld-linux",
    "ld-2.",
    "ld-musl",
    "libpthread",
    "libdl",
];

/// Whether a process whose libraries are mapped may become another program, or load one more library. It
/// may if that is not known.
#[must_use]
pub fn may_run_other_files(pid: u32) -> bool {
    let files = executable_files(pid);
    let (c_library, own): (Vec<_>, Vec<_>) = files.into_iter().partition(is_c_library);
    c_library.is_empty()
        || own.is_empty()
        || own
            .iter()
            .any(|file| imports_any(&file.path, &BRINGING_FILES).unwrap_or(true))
}

fn is_c_library(file: &Arc<File>) -> bool {
    let name = file.shown.file_name().unwrap_or_default().to_string_lossy();
    C_LIBRARY.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn programs_that_call_exec_or_dlopen_may_run_other_files() {
        // Each has mapped its libraries when it has answered.
        for (program, arguments, may) in [("/bin/cat", &[][..], false), ("/bin/sh", &["-s"], true)]
        {
            let mut child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (mut stdin, mut stdout) =
                (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            std::io::Write::write_all(&mut stdin, b"echo .\n").unwrap();
            std::io::Read::read_exact(&mut stdout, &mut [0]).unwrap();
            assert_eq!(may_run_other_files(child.id()), may, "{program}");
            drop((stdin, stdout));
            child.wait().unwrap();
        }
        assert!(may_run_other_files(0), "nothing is known of it");
    }
}
