//! The Pythons that a user would start, found before anything runs them.
//!
//! The kernel attaches to files, so a probe in a Python that no process runs yet misses nothing of it
//! from its first instruction on. Looked for are the programs in `PATH` whose names begin with
//! `python`, and the libraries with the interpreter of those that are only starters: `libpython*`, where
//! distributions put it, and in the `lib` beside a directory of `PATH`. Those elsewhere (an environment
//! that is not active, a container) are met when they start.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::probe::File;
use crate::process::files;

/// The Pythons in `PATH`, and the libraries that belong to them; each file once.
pub(super) fn pythons() -> Vec<Arc<File>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.sort();
    dirs.dedup();
    let mut files = Vec::new();
    let mut libraries: HashSet<PathBuf> = ["/usr/lib64", "/usr/local/lib"]
        .iter()
        .map(PathBuf::from)
        .collect();
    libraries.insert(format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH).into());
    for dir in &dirs {
        let pythons = named(dir, "python");
        if !pythons.is_empty() {
            libraries.insert(dir.join("../lib"));
        }
        files.extend(pythons);
    }
    files.extend(libraries.iter().flat_map(|dir| named(dir, "libpython")));
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.identity));
    files
}

/// The regular files of a directory whose names start so, or that such names lead to.
fn named(dir: &Path, start: &str) -> Vec<Arc<File>> {
    files::named(dir, start)
        .filter_map(|path| files::file_at(&path))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn regular_files_are_found_by_the_start_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("python3.13"), "").unwrap();
        fs::write(path("ipython"), "").unwrap();
        fs::create_dir(path("python.d")).unwrap();
        std::os::unix::fs::symlink("python3.13", path("python3")).unwrap();
        let found = named(dir.path(), "python");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], found[1], "a link leads to its file");
        assert!(found[0].path.ends_with("python3.13"));
        assert!(named(&path("nosuch"), "python").is_empty());
    }
}
