//! Files in which programs say what is right.

use std::fs;
use std::path::PathBuf;

use super::machine::Python;

/// A file in which a program says what is right, to be compared with what rdtrace says.
pub(crate) struct Answers {
    /// Its path where the program sees it.
    pub(crate) inside: String,
    path: PathBuf,
}

impl Answers {
    /// One for a program of this Python in the test `test`.
    pub(crate) fn of(python: &Python, test: &str) -> Self {
        let inside = format!("/tmp/rdtrace-{test}-{}", std::process::id());
        let path = python.root.join(inside.trim_start_matches('/'));
        Self { inside, path }
    }

    /// What was written; the file is removed.
    pub(crate) fn take(&self) -> String {
        let written = fs::read_to_string(&self.path).unwrap();
        fs::remove_file(&self.path).unwrap();
        written
    }
}
