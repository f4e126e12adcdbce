//! What a test does that cannot run on this machine: it says so, is counted, and passes.
//!
//! The tests of all crates are counted in one list, the file `skipped` in `target/tmp`: a line for each time. Delete it
//! before a run to have that run's.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

/// Counts the test of this thread as skipped; gives `false`.
pub fn skipped(why: &str) -> bool {
    let thread = thread::current();
    let line = format!("test {}: skipped: {why}\n", thread.name().unwrap_or("?"));
    // Not `eprint`, which `cargo test` hides when a test passes.
    let _ = io::stderr().write_all(line.as_bytes());
    let file = list().and_then(|list| OpenOptions::new().create(true).append(true).open(list).ok());
    if let Some(mut file) = file {
        let _ = file.write_all(line.as_bytes());
    }
    false
}

/// Whether this is root, which tracing needs; counts the test as skipped if not.
#[must_use]
pub fn root() -> bool {
    nix::unistd::geteuid().is_root() || skipped("needs root")
}

/// Whether there is such a file; counts the test as skipped if not.
#[must_use]
pub fn has(path: &str) -> bool {
    Path::new(path).exists() || skipped(&format!("needs {path}"))
}

/// The list, from the test's own place: `target/debug/deps/NAME`.
fn list() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let target = test.ancestors().nth(3)?;
    let folder = target.join("tmp");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("skipped"))
}
