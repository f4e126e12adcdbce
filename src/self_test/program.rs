//! The program by which an interpreter is tested.

use std::path::{Path, PathBuf};

use provider::interpreters::is_program_of_one;
use provider::probe::{PythonSites, Scope};
use provider::process::confined::Like;
use provider::process::files;

/// A program that runs this interpreter, and with whose rights to run it.
pub(super) fn program_for(sites: &PythonSites) -> Option<(Like, PathBuf)> {
    let of_process = |pid: u32| {
        let program = files::program(pid)?;
        let root = std::fs::read_link(format!("/proc/{pid}/root")).ok()?;
        let program = match program.strip_prefix(&root) {
            Ok(inside) => Path::new("/").join(inside),
            Err(_) => program,
        };
        is_program_of_one(&program).then_some((Like::Process(pid), program))
    };
    let runs_it = |pid: &u32| {
        let files = files::executable_files(*pid);
        files
            .iter()
            .any(|file| file.identity == sites.file.identity)
    };
    let root = match sites.scope {
        Scope::Process(pid) => return of_process(pid),
        Scope::Tree(root) => Some(root),
        Scope::System => None,
    };
    let mut running = root
        .into_iter()
        .chain(files::all_processes())
        .filter(runs_it);
    if let Some(found) = running.find_map(of_process) {
        return Some(found);
    }
    let file = &sites.file.path;
    if is_program_of_one(file) {
        return Some((Like::Us, file.clone()));
    }
    // lib/libpython3.12.so.1.0 belongs to bin/python3.12.
    let version = sites.build.version;
    let beside = format!("../bin/python{}.{}", version.major, version.minor);
    let program = file.parent()?.join(beside);
    program.exists().then_some((Like::Us, program))
}
