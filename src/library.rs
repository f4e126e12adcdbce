//! D libraries: files of inlines, types and translators that are there before the program.
//!
//! Those of a directory (`-L DIR`, `-x libdir=DIR`, and [`SYSTEM_DIRECTORY`]) are all its files that
//! end in `.d`, by name; `#pragma D depends_on library NAME.d` puts one after another. What comes
//! with rdtrace is `dlang::library`.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use dlang::diag::{Origin, Source};

use crate::compile::preprocess;
use crate::message::reason;
use crate::options::Options;

/// Where an administrator puts libraries for all programs.
const SYSTEM_DIRECTORY: &str = "/usr/lib/rdtrace";

/// The sources of a program followed by the libraries that it needs, each after those that it
/// depends on.
pub(crate) fn with_libraries(mut sources: Vec<Source>, options: &Options) -> Result<Vec<Source>> {
    let mut own = Vec::new();
    if !options.nolibs {
        if Path::new(SYSTEM_DIRECTORY).is_dir() {
            own.append(&mut read_directory(SYSTEM_DIRECTORY, options)?);
        }
        for directory in &options.libdirs {
            own.append(&mut read_directory(directory, options)?);
        }
    }
    let own = in_order(own);
    let all: Vec<Source> = sources.iter().chain(&own).cloned().collect();
    sources.append(&mut dlang::library::used_by(&all));
    sources.extend(own);
    Ok(sources)
}

/// The sources of a program with the libraries that arguments of these types take, too. Those of the program
/// keep their places.
pub(crate) fn with_types(sources: &[Source], types: &[&str]) -> Vec<Source> {
    let ours = dlang::library::names();
    let is_ours = |source: &Source| matches!(&source.origin, Origin::Library(name) if ours.contains(&&**name));
    let is_library = |source: &Source| matches!(source.origin, Origin::Library(_));
    let others: Vec<Source> = sources.iter().filter(|s| !is_ours(s)).cloned().collect();
    let used = dlang::library::used_with(&others, types);
    let (libraries, program): (Vec<_>, Vec<_>) = others.into_iter().partition(is_library);
    program.into_iter().chain(used).chain(libraries).collect()
}

fn read_directory(directory: &str, options: &Options) -> Result<Vec<Source>> {
    let failed = |error: &std::io::Error| {
        anyhow!(
            "failed to open library directory {directory}: {}",
            reason(error)
        )
    };
    let mut paths = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        // As in libdtrace, a directory that is not there has no libraries.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| failed(&error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| failed(&error))?.path();
        if path.extension().is_some_and(|end| end == "d") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let read = paths.into_iter().map(|path| {
        let name = path.display().to_string();
        let bytes = std::fs::read(&path)
            .map_err(|error| anyhow!("failed to open library {name}: {}", reason(&error)))?;
        let bytes = if options.cpp {
            preprocess(bytes, options)?
        } else {
            bytes
        };
        let text = String::from_utf8(bytes)
            .map_err(|error| anyhow!("library {name} is not text: {error}"))?;
        Ok(Source {
            origin: Origin::Library(name),
            text,
        })
    });
    read.collect()
}

/// Libraries each after those that it depends on; of a circle, and of what nothing is known of, the
/// order stays.
fn in_order(libraries: Vec<Source>) -> Vec<Source> {
    let named = |source: &Source| match &source.origin {
        Origin::Library(name) | Origin::Script(name) => {
            name.rsplit('/').next().unwrap_or(name).to_owned()
        }
        Origin::Specifier { text, .. } => text.clone(),
    };
    let index: HashMap<String, usize> = libraries.iter().map(named).zip(0..).collect();
    let needs: Vec<Vec<usize>> = libraries
        .iter()
        .map(|source| {
            let wanted = source.text.lines().filter_map(|line| {
                let mut words = line.split_whitespace();
                let pragma = [words.next()?, words.next()?, words.next()?, words.next()?];
                let depends = pragma == ["#pragma", "D", "depends_on", "library"];
                depends.then(|| index.get(words.next()?).copied())?
            });
            wanted.collect()
        })
        .collect();
    let mut order = Vec::new();
    let mut seen = vec![false; libraries.len()];
    for start in 0..libraries.len() {
        // Depth first without recursion: a library is placed when what it needs has been.
        let mut open = vec![(start, false)];
        while let Some((at, done)) = open.pop() {
            if done {
                order.push(at);
            } else if !std::mem::replace(&mut seen[at], true) {
                open.push((at, true));
                open.extend(needs[at].iter().rev().map(|need| (*need, false)));
            }
        }
    }
    let mut libraries: Vec<Option<Source>> = libraries.into_iter().map(Some).collect();
    order
        .iter()
        .filter_map(|at| libraries[*at].take())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_after_those_that_they_depend_on() {
        let library = |name: &str, needs: &[&str]| Source {
            origin: Origin::Library(format!("/lib/{name}")),
            text: needs
                .iter()
                .map(|need| ["#pragma D depends_on library ", need, "\n"].concat())
                .collect(),
        };
        let ordered = in_order(vec![
            library("a.d", &["c.d", "b.d"]),
            library("b.d", &["c.d", "nosuch.d"]),
            library("c.d", &["a.d"]),
            library("d.d", &[]),
        ]);
        let names: Vec<String> = ordered
            .into_iter()
            .map(|source| match source.origin {
                Origin::Library(name) => name,
                Origin::Script(_) | Origin::Specifier { .. } => String::new(),
            })
            .collect();
        assert_eq!(names, ["/lib/c.d", "/lib/b.d", "/lib/a.d", "/lib/d.d"]);
    }
}
