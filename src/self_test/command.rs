//! `--check-python`: what there is to know of one Python, and its self-test.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use provider::interpreters::{exception_probes, is_program_of_one};
use provider::probe::{File, PythonEvent, PythonSites, Scope};
use provider::process::confined::{Confined, Like, launch_confined};
use provider::process::files;
use provider::python::Refusal;
use provider::python::cache::{Cache, Check};
use provider::usdt::UsdtFile;
use provider::usdt::cpython;

use super::experiment::{LONGEST, test};
use super::outcome::Outcome;
use super::program::program_for;

/// `--check-python`: analyses and tests one Python anew, and tells all about it.
pub(crate) fn command(program: &str) -> Result<i32> {
    let program = std::path::absolute(in_path(program))?;
    let mut out = io::stdout().lock();
    let file = interpreter_of(&program)?;
    writeln!(out, "{}", file.shown.display())?;
    let start = Instant::now();
    let contents = std::fs::read(&file.path)?;
    let analysis = provider::python::analyse(&contents);
    let analysed = start.elapsed();
    let build = match analysis {
        Ok(build) => Arc::new(build),
        Err(refusal) => {
            writeln!(out, "\tno probes can be made: {refusal}")?;
            return Ok(1);
        }
    };
    for line in build.describe(PythonEvent::FunctionEntry) {
        writeln!(out, "\t{line}")?;
    }
    let own = cpython::markers_of(&UsdtFile::read(&file.path).unwrap_or_default());
    for event in PythonEvent::ALL {
        let state = match (own.get(event.name()), event.is_in(&build)) {
            (Some(Some(drawback)), true) => {
                format!("can be made, and is used for the file's own marker, which {drawback}")
            }
            (Some(_), _) => "the file's own marker is used".into(),
            (None, true) if build.is_partial(event) => {
                "can be made, but some events are not seen".into()
            }
            (None, true) => "can be made".into(),
            (None, false) => "cannot be made in this build".into(),
        };
        writeln!(out, "\t{}: {state}", event.name())?;
    }
    for (name, found) in exception_probes(&build) {
        match found {
            Ok(()) => writeln!(out, "\t{name}: can be made")?,
            Err(why) => writeln!(out, "\t{name}: cannot be made in this build: {why}")?,
        }
    }
    if own.get(PythonEvent::FunctionEntry.name()) == Some(&None) {
        let analysed = millis(analysed);
        writeln!(
            out,
            "\tanalysis: {analysed} ms\n\tself-test: not needed, functions have markers of their own"
        )?;
        return Ok(0);
    }
    let sites = PythonSites {
        file: Arc::clone(&file),
        scope: Scope::System,
        build,
        event: PythonEvent::FunctionEntry,
    };
    let start = Instant::now();
    let program = if is_program_of_one(&program) {
        Some((Like::Us, program))
    } else {
        program_for(&sites)
    };
    let outcome = match program {
        Some((like, program)) => test(like, &program, Some(&sites)),
        None => Outcome::NotRun("no program was found that runs it".into()),
    };
    writeln!(
        out,
        "\tanalysis: {} ms\n\tself-test: {outcome}, {} ms",
        millis(analysed),
        millis(start.elapsed())
    )?;
    let check = match outcome {
        Outcome::Passed(_) => Check::Passed,
        Outcome::Failed(why) => Check::Failed { why },
        Outcome::NotRun(_) => return Ok(1),
    };
    let status = i32::from(check != Check::Passed);
    let cache = Cache::of_user();
    let mut findings = cache.find_out(&file.path);
    cache.record(&mut findings, check);
    Ok(status)
}

/// A command's name, looked up as a shell does.
fn in_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").filter(|_| !name.contains('/'));
    let path = path.unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| name.into())
}

/// The file with the interpreter that a program runs (it may be a script that starts one), or that
/// a library is.
fn interpreter_of(program: &Path) -> Result<Arc<File>> {
    let cache = Cache::of_user();
    let is_it = |file: &Arc<File>| {
        !matches!(
            cache.find_out(&file.path).analysis,
            Err(Refusal::NotPython | Refusal::NotElf(_) | Refusal::InLibrary { .. })
        )
    };
    if let Some(file) = files::file_at(program).filter(is_it) {
        return Ok(file);
    }
    let mut stopped = launch_confined(Confined {
        like: Like::Us,
        program,
        arguments: &["-c", ""],
        files: &[],
        cpu_seconds: LONGEST,
    })?;
    while let Some(image) = stopped.next_image()? {
        if let Some(file) = files::executable_files(image.pid).into_iter().find(is_it) {
            return Ok(file);
        }
    }
    bail!("failed to check {}: it is no Python", program.display())
}

fn millis(time: Duration) -> u128 {
    time.as_millis()
}
