//! What the rest of rdtrace knows of an interpreter, whichever it is.
//!
//! The probes of a provider may be those of an interpreter: whatever program it runs, they are there. So a
//! process that runs it was most likely meant, and lacks a probe for a reason that people want to know: the
//! interpreter's version, how it was built, what could not be found in its code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::FileProbes;
use super::python::choice::Choice;
use crate::probe::File;
use crate::process::files;

/// An interpreter.
#[derive(Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// What people call it.
    pub name: &'static str,
    /// The bare name of the provider whose probes it has.
    pub provider: &'static str,
    /// What the names of its programs begin with.
    pub(crate) program: &'static str,
    /// What the names of its libraries begin with.
    pub(crate) library: &'static str,
}

impl Interpreter {
    /// Whether a file is one of its programs, by its name.
    #[must_use]
    pub fn has_program(&self, path: &Path) -> bool {
        name_starts(path, self.program)
    }

    /// Whether a file is one of its programs or libraries, by its name.
    #[must_use]
    pub fn has_file(&self, path: &Path) -> bool {
        self.has_program(path) || name_starts(path, self.library)
    }

    /// The libraries below a root that one of its programs may map: those that lie in the `lib` beside its
    /// directory. None for another program.
    pub(crate) fn libraries_of(&self, root: &Path, program: &Path) -> Vec<Arc<File>> {
        let prefix = program.parent().and_then(Path::parent);
        let prefix = prefix.filter(|_| self.has_program(program));
        prefix.map_or_else(Vec::new, |prefix| {
            files::files_below(root, &prefix.join("lib"), self.library)
        })
    }

    /// Whether a process that executes these files runs it, by their names.
    #[must_use]
    pub fn is_among(&self, files: &[Arc<File>]) -> bool {
        files.iter().any(|file| self.has_file(&file.shown))
    }

    /// Whether a process runs it, by the names of the files that the process executes.
    #[must_use]
    pub fn is_run_by(&self, pid: u32) -> bool {
        self.is_among(&files::executable_files(pid))
    }

    /// The provider's name in a process.
    #[must_use]
    pub fn provider_in(&self, pid: u32) -> String {
        format!("{}{pid}", self.provider)
    }
}

fn name_starts(path: &Path, start: &str) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(start)
}

/// The file of a process that has the interpreter, and what its code tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// The file.
    pub(crate) file: PathBuf,
    /// Why no probes can be made from its code, if that is so.
    pub(crate) refusal: Option<String>,
    /// It only starts the interpreter, which is in a library that is not mapped yet.
    pub(crate) is_starter: bool,
}

/// A process that lacks a probe of an interpreter's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lacking<'p> {
    /// The process.
    pub(crate) pid: u32,
    /// The files that it executes, the program first.
    pub(crate) files: &'p [Arc<FileProbes>],
    /// How probes are chosen.
    pub(crate) choice: &'p Choice,
    /// The name of the probe, in D's spelling.
    pub(crate) name: &'p str,
    /// Whether it has other probes of the provider.
    pub(crate) has_others: bool,
}

/// Why a process lacks a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Why {
    /// What it runs, for people: the interpreter's version, file and configuration.
    pub(crate) runs: Option<String>,
    /// Why that has no such probe, and what to do; empty if it is not known to lack it.
    pub(crate) lines: Vec<String>,
}
