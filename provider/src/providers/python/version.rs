//! Which Python a file has, and how it was configured.
//!
//! The version is read from the interpreter itself. How it was configured is not in there: the
//! arguments of `configure` are in `lib/pythonX.Y/_sysconfigdata_*.py` of the same prefix, if that was
//! installed (a distribution may have it in a package of its own).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::files;
use crate::usdt::cpython::{self, Version};
use crate::usdt::elf::Contents;

/// A CPython interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Python {
    /// The file with the interpreter: the program or its libpython.
    pub(super) file: PathBuf,
    /// Its version.
    pub(super) version: Version,
    /// How it was configured, if its `_sysconfigdata` is where it belongs.
    pub(super) configured: Option<String>,
}

impl Python {
    /// Whether it was configured with `--with-dtrace`, if that is known.
    fn with_dtrace(&self) -> Option<bool> {
        self.configured
            .as_ref()
            .map(|arguments| arguments.contains("--with-dtrace"))
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPython {} in {}", self.version, self.file.display())?;
        match self.with_dtrace() {
            Some(true) => f.write_str(", configured with --with-dtrace"),
            Some(false) => f.write_str(", configured without --with-dtrace"),
            None => Ok(()),
        }
    }
}

/// The interpreter that a process runs.
pub(super) fn python_of(pid: u32) -> Option<Python> {
    files::executable_files(pid)
        .iter()
        .find_map(|file| python_in(&file.path, &file.shown))
}

/// The interpreter in a file, which people know as `shown`.
fn python_in(path: &Path, shown: &Path) -> Option<Python> {
    let name = shown.file_name()?.to_str()?;
    if !name.contains("python") {
        return None; // not worth reading: no distribution hides it under another name
    }
    let contents = Contents::open(path).ok()?;
    let version = cpython::version(&contents.elf().ok()?)?;
    let prefix = path.parent()?.parent()?;
    Some(Python {
        file: shown.to_owned(),
        version,
        configured: configured(prefix, version),
    })
}

/// The arguments of `configure`, from the `_sysconfigdata` that is installed with the library.
fn configured(prefix: &Path, version: Version) -> Option<String> {
    let lib = prefix.join(format!("lib/python{}.{}", version.major, version.minor));
    let data = fs::read_dir(lib).ok()?.flatten().find(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("_sysconfigdata")
    })?;
    let text = fs::read_to_string(data.path()).ok()?;
    let (_, after) = text.split_once("'CONFIG_ARGS':")?;
    // A Python string, broken over lines: up to the next key.
    let end = after.find("\n '").unwrap_or(after.len());
    Some(after[..end].trim().trim_end_matches(',').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_configure_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let version = Version {
            major: 3,
            minor: 12,
            micro: 1,
        };
        assert_eq!(configured(dir.path(), version), None);
        let lib = dir.path().join("lib/python3.12");
        fs::create_dir_all(&lib).unwrap();
        let text = "build_time_vars = {'CC': 'gcc',\n 'CONFIG_ARGS': \"'--prefix=/opt' \"\n                \
                    \"'--with-dtrace'\",\n 'CXX': 'g++'}\n";
        fs::write(lib.join("_sysconfigdata__linux_x86_64-linux-gnu.py"), text).unwrap();
        let python = Python {
            file: "/opt/bin/python3.12".into(),
            version,
            configured: configured(dir.path(), version),
        };
        let configured = python.configured.as_deref().unwrap();
        assert!(configured.starts_with("\"'--prefix=/opt'"), "{configured}");
        assert!(configured.ends_with("'--with-dtrace'\""), "{configured}");
        assert_eq!(
            python.to_string(),
            "CPython 3.12.1 in /opt/bin/python3.12, configured with --with-dtrace"
        );
    }
}
