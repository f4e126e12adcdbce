//! The interpreters whose probes the providers know: which of them a description means, a process runs, a
//! file belongs to. Whoever asks this need not know their names.

use std::path::Path;

use dlang::program::ProbeDesc;

use crate::probe::File;
use crate::providers::PROVIDERS;
pub use crate::providers::interpreter::Interpreter;

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

/// Whether a process runs one.
#[must_use]
pub fn is_run_by(pid: u32) -> bool {
    all().any(|interpreter| interpreter.is_run_by(pid))
}
