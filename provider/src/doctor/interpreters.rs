//! The interpreters that run, and which probes each has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dlang::program::ProbeDesc;

use crate::catalog::Catalog;
use crate::process::files::executable_files;
use crate::providers::PROVIDERS;
use crate::providers::interpreter::{Interpreter, Located};

/// An interpreter's file, and the processes that run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which interpreter.
    pub interpreter: &'static Interpreter,
    /// The file with it.
    pub file: PathBuf,
    /// The processes, ascending.
    pub pids: Vec<u32>,
    /// The names of its probes.
    pub probes: Vec<String>,
    /// Why no probes can be made from its code, if that is so.
    pub refusal: Option<String>,
}

/// The interpreters that some processes run, by file.
pub fn running(catalog: &mut Catalog, pids: &[u32]) -> Vec<Running> {
    let mut found: BTreeMap<PathBuf, Running> = BTreeMap::new();
    for part in PROVIDERS {
        let Some(interpreter) = part.interpreter() else {
            continue;
        };
        for &pid in pids {
            let files = executable_files(pid);
            if !interpreter.is_among(&files) {
                continue;
            }
            let read = catalog.read(files);
            let Some(located) = part.locate(&read, catalog.choice()) else {
                continue;
            };
            let Located { file, refusal, .. } = located;
            if let Some(known) = found.get_mut(&file) {
                known.pids.push(pid);
                continue;
            }
            let desc = ProbeDesc {
                provider: interpreter.provider_in(pid),
                ..ProbeDesc::default()
            };
            let listed = catalog.list(&desc);
            let mut probes: Vec<_> = listed.iter().map(|probe| probe.desc.name.clone()).collect();
            probes.sort_unstable();
            probes.dedup();
            let running = Running {
                interpreter,
                file: file.clone(),
                pids: vec![pid],
                probes,
                refusal,
            };
            found.insert(file, running);
        }
    }
    found.into_values().collect()
}
