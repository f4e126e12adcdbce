//! Why a Python lacks a probe, why none can be made in its place, and what to do.
//!
//! Which markers a CPython can have depends on its version: there are some since 3.6; those for
//! imports came in 3.7, `audit` in 3.8; those for functions and lines went in 3.12, and the function
//! probes came back in 3.15. Whether it does have them depends on how it was configured.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::file::FileProbes;
use super::super::interpreter::{Lacking, Why};
use super::choice::Choice;
use super::exceptions;
use super::version::python_of;
use crate::probe::PythonEvent;
use crate::process::files;
use crate::process::tree::descendants;
use crate::python::{Build, Refusal};
use crate::text::escaped;
use crate::usdt::cpython::{MARKERS, Version};

/// What the analysis of the interpreter gave.
type Analysis = Result<Arc<Build>, Refusal>;

/// So many processes are named.
const MOST_NAMED: usize = 5;

/// The file with the interpreter among those of a process, and what its code tells; `None` if there is
/// none.
pub(super) fn interpreter_in(
    files: &[Arc<FileProbes>],
    choice: &Choice,
) -> Option<(PathBuf, Analysis)> {
    let mut all = files
        .iter()
        .map(|file| (file.file.shown.clone(), choice.build(file)))
        .filter(|(_, build)| !matches!(build, Err(Refusal::NotPython | Refusal::NotElf(_))));
    // A starter is not it, if there is better.
    let first = all.next()?;
    if matches!(first.1, Err(Refusal::InLibrary { .. })) {
        Some(all.next().unwrap_or(first))
    } else {
        Some(first)
    }
}

/// Why a process that runs a Python has no such probe.
pub(super) fn why_lacking(process: &Lacking<'_>) -> Why {
    let interpreter = interpreter_in(process.files, process.choice);
    let python = python_of(process.pid);
    let lines = match (&python, &interpreter) {
        (Some(python), _) => {
            let analysis = interpreter.as_ref().map(|(_, analysis)| analysis);
            let mut lines = Vec::new();
            if !process.has_others {
                lines.push("this build has no USDT probes at all".to_owned());
            }
            let is_marker = MARKERS.iter().any(|(name, _)| *name == process.name);
            if !process.has_others || is_marker || is_made(process.name) {
                lines.extend(instead(python.version, process.name, analysis));
            }
            lines
        }
        (None, Some((file, Err(refusal)))) if !process.has_others => {
            let file = file.display();
            vec![format!(
                "{file} has no USDT probes, and none can be made: {refusal}"
            )]
        }
        // Which one the process runs is not known yet where it was held before it started.
        (None, Some((_, analysis @ Ok(build)))) if is_made(process.name) => {
            instead(version_of(build), process.name, Some(analysis))
        }
        (None, _) => Vec::new(),
    };
    Why {
        runs: python.map(|python| python.to_string()),
        lines,
    }
}

/// The version of an interpreter that was understood.
fn version_of(build: &Build) -> Version {
    Version {
        major: build.version.major,
        minor: build.version.minor,
        micro: build.version.micro.unwrap_or_default(),
    }
}

/// What there is to say of a process that is no Python and has started some.
pub(super) fn python_children(pid: u32, is_python: impl Fn(u32) -> bool) -> Option<String> {
    let children = descendants(pid, &[]).into_iter();
    let children: Vec<u32> = children.filter(|pid| is_python(*pid)).collect();
    let name = |pid: &u32| {
        let program = files::program(*pid).unwrap_or_default();
        format!("{pid} ({})", escaped(program))
    };
    let first = children.first()?;
    let names: Vec<String> = children.iter().take(MOST_NAMED).map(name).collect();
    let more = match children.len().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "it has started Python: {}{more}; `-p {first}` traces that process, -x followfork all of them",
        names.join(", ")
    ))
}

/// Whether a probe is made from code and has no marker in some versions or in any.
fn is_made(name: &str) -> bool {
    PythonEvent::named(name).is_some() || exceptions::names().any(|made| made == name)
}

/// Why this version lacks a marker, why none can be made in its place, and what to do.
fn instead(version: Version, name: &str, analysis: Option<&Analysis>) -> Vec<String> {
    let minor = version.minor;
    let why = match name {
        "function-entry" | "function-return" if (12..=14).contains(&minor) => {
            "CPython dropped its function probes in 3.12; they are back in 3.15"
        }
        "line" if minor >= 12 => "CPython dropped its line probe in 3.12",
        "import-find-load-start" | "import-find-load-done" if minor < 7 => {
            "CPython has import probes since 3.7"
        }
        "audit" if minor < 8 => "CPython has the audit probe since 3.8",
        _ if is_made(name) && !MARKERS.iter().any(|(marker, _)| *marker == name) => {
            "CPython itself has no such probe"
        }
        _ if minor < 6 => "CPython has probes since 3.6",
        _ => {
            "CPython has probes only when it is configured with --with-dtrace, which most builds \
              are not (pyenv, conda, the official container images)"
        }
    };
    let mut lines = vec![format!("why: {why}")];
    if name == "line" {
        lines.push(
            "nor can it be made from outside: with a probe on nearly every opcode, Python would \
             be 190 times slower"
                .into(),
        );
        lines.push(
            "instead: trace with a Python 3.6 to 3.11 that is built --with-dtrace, such as \
             Debian 12's /usr/bin/python3"
                .into(),
        );
        return lines;
    }
    if let Some(reason) = analysis.and_then(|analysis| why_not_made(analysis, name)) {
        lines.push(format!("nor can it be made from outside: {reason}"));
    }
    if name.starts_with("cfunction-") {
        lines.push(
            "instead: trace with a CPython 3.11 to 3.15; or trace a function by its own name, \
             pid$target::builtin_len:entry, where the file has symbols (ustack() shows which Python function has called it)"
                .into(),
        );
        return lines;
    }
    lines.push(
        "instead: trace with one of the usual builds of CPython 3.6 to 3.15 for x86-64, which need \
         no probes in them; `rdtrace --check-python FILE` tells of one"
            .into(),
    );
    lines
}

/// Why a probe is not synthesised.
fn why_not_made(analysis: &Analysis, name: &str) -> Option<String> {
    if !is_made(name) {
        return None;
    }
    let build = match analysis {
        Ok(build) => build,
        Err(refusal) => return Some(refusal.to_string()),
    };
    let Some(event) = PythonEvent::named(name) else {
        return exceptions::why_not(build, name);
    };
    if event.is_in(build) {
        return None;
    }
    let why = match event {
        PythonEvent::GcStart | PythonEvent::GcDone => build.collectors.as_ref().err(),
        PythonEvent::ImportStart | PythonEvent::ImportDone => build.imports.as_ref().err(),
        PythonEvent::GilWait | PythonEvent::GilAcquire | PythonEvent::GilRelease => {
            build.gil.as_ref().err()
        }
        PythonEvent::CfunctionEntry | PythonEvent::CfunctionReturn => {
            build.cfunctions.as_ref().err()
        }
        PythonEvent::FunctionEntry | PythonEvent::FunctionReturn | PythonEvent::Audit => None,
    };
    let not_found = || "the place was not found in the code of this build".to_owned();
    Some(why.cloned().unwrap_or_else(not_found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_told_with_the_reason() {
        let version = Version {
            major: 3,
            minor: 14,
            micro: 0,
        };
        let analysis = Err(Refusal::NoTable {
            version: crate::python::Version {
                major: 3,
                minor: 14,
                micro: None,
            },
        });
        let lines = instead(version, "function-entry", Some(&analysis)).join("\n");
        assert!(lines.contains("nor can it be made from outside"), "{lines}");
        assert!(lines.contains("without computed gotos"), "{lines}");
        let lines = instead(version, "line", Some(&analysis)).join("\n");
        assert!(lines.contains("190 times slower"), "{lines}");
        assert!(!lines.contains("computed gotos"), "{lines}");
    }

    #[test]
    fn versions_lack_what_they_lack() {
        let why = |minor, name| {
            instead(
                Version {
                    major: 3,
                    minor,
                    micro: 0,
                },
                name,
                None,
            )[0]
            .clone()
        };
        assert!(why(12, "function-entry").contains("dropped its function probes in 3.12"));
        assert!(why(15, "line").contains("dropped its line probe"));
        assert!(why(7, "audit").contains("since 3.8"));
        assert!(why(6, "import-find-load-done").contains("since 3.7"));
        assert!(why(11, "line").contains("--with-dtrace"));
        assert!(why(15, "function-entry").contains("--with-dtrace"));
    }

    #[test]
    fn what_the_analysis_missed_is_told() {
        let (_, file) = &crate::python::recorded::recorded()[0];
        let mut build = crate::python::analyse(file).unwrap();
        let reason = |build: &Build, name| why_not_made(&Ok(Arc::new(build.clone())), name);
        assert_eq!(reason(&build, "import-find-load-start"), None);
        build.imports = Err("the call was not found".into());
        build.caught = Err("the block was not found".into());
        let told = ["import-find-load-start", "exception-caught", "line"];
        assert_eq!(
            told.map(|name| reason(&build, name)),
            [
                Some("the call was not found".to_owned()),
                Some("the block was not found".to_owned()),
                None
            ]
        );
    }
}
