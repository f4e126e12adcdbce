//! The interpreters whose probes the providers know: which of them a description means, a process runs, a
//! file belongs to. Whoever asks this need not know their names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dlang::program::ProbeDesc;

use crate::probe::File;
use crate::process::files::{executable_files, program, same_mounts};
use crate::providers::PROVIDERS;
pub use crate::providers::interpreter::Interpreter;
pub use crate::providers::python::exceptions::of_build as exception_probes;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Interpreter> {
    PROVIDERS.iter().filter_map(|part| part.interpreter())
}

/// The one whose probes in this process a description means.
#[must_use]
pub fn meant_in(desc: &ProbeDesc, pid: u32) -> Option<&'static Interpreter> {
    all().find(|interpreter| desc.provider == interpreter.provider_in(pid))
}

/// Whether a file belongs to one, by its name.
#[must_use]
pub fn is_of_one(file: &File) -> bool {
    is_file_of_one(&file.shown)
}

/// Whether a file with this name belongs to one.
#[must_use]
pub fn is_file_of_one(path: &Path) -> bool {
    all().any(|interpreter| interpreter.has_file(path))
}

/// Whether a file with this name is a program of one.
#[must_use]
pub fn is_program_of_one(path: &Path) -> bool {
    all().any(|interpreter| interpreter.has_program(path))
}

/// The files that a process has mapped to execute, and those that it may be about to map: a process that has
/// just exec'd has its program only. Of an interpreter, the libraries are known that lie in the `lib` beside
/// its program's directory.
#[must_use]
pub fn files_to_come(pid: u32) -> Vec<Arc<File>> {
    let mut files = executable_files(pid);
    let root = if same_mounts(pid) {
        PathBuf::from("/")
    } else {
        PathBuf::from(format!("/proc/{pid}/root"))
    };
    let program = program(pid).unwrap_or_default();
    files.extend(libraries_of(&root, &program));
    files
}

/// The libraries that a program of ours may map, as [`files_to_come`] knows them.
pub(crate) fn files_beside(program: &Path) -> Vec<Arc<File>> {
    libraries_of(Path::new("/"), program)
}

fn libraries_of(root: &Path, program: &Path) -> Vec<Arc<File>> {
    all()
        .flat_map(|interpreter| interpreter.libraries_of(root, program))
        .collect()
}

/// Whether a process runs one.
#[must_use]
pub fn is_run_by(pid: u32) -> bool {
    all().any(|interpreter| interpreter.is_run_by(pid))
}
