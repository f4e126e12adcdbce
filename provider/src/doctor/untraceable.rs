//! Processes that run an interpreter and lack its probes: whoever means them is to know.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dlang::program::ProbeDesc;

use super::diagnose::diagnose;
use crate::catalog::{Catalog, Started};
use crate::diagnosis::Diagnosis;
use crate::probe::Scope;
use crate::process::files::{all_processes, executable_files};
use crate::providers::file::FileProbes;
use crate::providers::interpreter::{Interpreter, Located};
use crate::providers::names::means;
use crate::providers::part::Provider;
use crate::providers::{PROVIDERS, of_interpreter};

/// An interpreter that runs, has no markers, and of whose code no probes can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untraceable {
    /// Which.
    pub interpreter: &'static Interpreter,
    /// The file with it.
    pub file: PathBuf,
    /// Why.
    pub why: String,
    /// The processes that run it.
    pub pids: Vec<u32>,
}

/// The interpreters that run and that `desc`, which means every process, would mean if they could be
/// traced. None if it means other providers, or processes.
pub fn untraceable(catalog: &mut Catalog, desc: &ProbeDesc) -> Vec<Untraceable> {
    if !catalog.means_all(desc) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for part in PROVIDERS {
        if let Some(interpreter) = part.interpreter()
            && means(&desc.provider, interpreter.provider, Scope::System)
        {
            found.extend(untraceable_of(part, interpreter, catalog));
        }
    }
    found
}

fn untraceable_of(
    part: &dyn Provider,
    interpreter: &'static Interpreter,
    catalog: &mut Catalog,
) -> Vec<Untraceable> {
    let mut found: BTreeMap<PathBuf, Untraceable> = BTreeMap::new();
    for pid in all_processes() {
        let files = executable_files(pid);
        if !interpreter.is_among(&files) {
            continue;
        }
        let read = catalog.read(files);
        let has_markers = |file: &Arc<FileProbes>| {
            let mut groups = file.groups.iter();
            groups.any(|group| group.provider == interpreter.provider)
        };
        if read.iter().any(has_markers) {
            continue;
        }
        let Some(Located {
            file,
            refusal: Some(why),
            ..
        }) = part.locate(&read, catalog.choice())
        else {
            continue;
        };
        let entry = found.entry(file.clone());
        let entry = entry.or_insert_with(|| Untraceable {
            interpreter,
            file,
            why,
            pids: Vec::new(),
        });
        entry.pids.push(pid);
    }
    found.into_values().collect()
}

/// Whether `desc` means the interpreter that a followed process runs, and that has no such probe: the
/// file with it, and why. Nothing is said of a process whose interpreter is yet to be mapped.
pub fn lacking(
    catalog: &mut Catalog,
    desc: &ProbeDesc,
    process: &Started,
) -> Option<(PathBuf, Diagnosis)> {
    let meant = |interpreter: &&Interpreter| {
        let root = process.root.map(|root| interpreter.provider_in(root));
        root.as_ref() == Some(&desc.provider) && interpreter.is_among(&process.files)
    };
    let interpreter = PROVIDERS
        .iter()
        .find_map(|part| part.interpreter().filter(meant))?;
    let read = catalog.read(process.files.iter().cloned());
    let located = of_interpreter(interpreter.provider)?.locate(&read, catalog.choice())?;
    if located.is_starter
        || !catalog
            .enable_started(desc, std::slice::from_ref(process))
            .is_empty()
    {
        return None;
    }
    let desc = ProbeDesc {
        provider: interpreter.provider_in(process.pid),
        ..desc.clone()
    };
    Some((located.file, diagnose(catalog, &desc)))
}
