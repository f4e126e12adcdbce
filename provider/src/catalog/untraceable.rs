//! The Pythons that run and have no probes: whoever traces all of them is to know which are left out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dlang::program::ProbeDesc;

use super::Catalog;
use crate::interpreter::is_of_python;
use crate::probe::Scope;
use crate::process::files::{all_processes, executable_files};
use crate::providers::names::means;
use crate::python::Refusal;
use crate::usdt::cpython::PROVIDER;

/// A Python that runs, has no markers, and of whose code none can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untraceable {
    /// The file with the interpreter.
    pub file: PathBuf,
    /// Why.
    pub why: Refusal,
    /// The processes that run it.
    pub pids: Vec<u32>,
}

impl Catalog {
    /// The Pythons that run and that `desc`, which means every process, would mean if they could be
    /// traced. None if it means other providers, or processes.
    pub fn untraceable(&mut self, desc: &ProbeDesc) -> Vec<Untraceable> {
        if !self.means_all(desc) || !means(&desc.provider, PROVIDER, Scope::System) {
            return Vec::new();
        }
        let mut found: BTreeMap<PathBuf, Untraceable> = BTreeMap::new();
        for pid in all_processes() {
            let files = executable_files(pid);
            if !files.iter().any(|file| is_of_python(file)) {
                continue;
            }
            let read = self.files.read(files.iter().cloned());
            let mut groups = read.iter().flat_map(|file| &file.groups);
            if groups.any(|group| group.provider == PROVIDER) {
                continue;
            }
            let Some((file, Err(why))) = self.interpreter_among(files) else {
                continue;
            };
            let entry = found.entry(file.clone());
            let entry = entry.or_insert_with(|| Untraceable {
                file,
                why,
                pids: Vec::new(),
            });
            entry.pids.push(pid);
        }
        found.into_values().collect()
    }
}
