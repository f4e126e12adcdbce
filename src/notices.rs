//! What a run leaves out, for people: nobody would know it from the output.

use std::collections::HashSet;

use dlang::diag::Origin;
use dlang::program::{ProbeDesc, Program};
use provider::catalog::Catalog;
use provider::interpreter::runs_python;
use provider::process::files::hidden_processes;
use provider::process::tree::descendants;
use provider::usdt::cpython::PROVIDER;

use crate::built_ins;
use crate::cli::Cli;
use crate::compile::Parsed;
use crate::matching::Match;
use crate::message::Messages;
use crate::stability;

/// How many of several things are named in a message.
const NAMED: usize = 5;

/// Some of these, and how many more there are.
fn first_few(all: &[String]) -> String {
    let named = all[..all.len().min(NAMED)].join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Tells which processes are left out of what is meant to be about all of them.
pub(crate) fn tell_hidden(is_about_all: bool, messages: &Messages) {
    if !is_about_all {
        return;
    }
    let hidden = hidden_processes();
    let names = hidden.iter().map(|(pid, name)| format!("{pid} ({name})"));
    let names: Vec<_> = names.collect();
    if let Some(first) = names.first() {
        let count = names.len();
        let which = if count == 1 {
            first.clone()
        } else {
            first_few(&names)
        };
        let plural = if count == 1 { "" } else { "es" };
        messages.say(&format!(
            "{count} process{plural} of others could not be looked at: {which}; this needs root, or \
             CAP_SYS_PTRACE"
        ));
    }
}

/// Tells that a process of `-p` has children that run Python and are left out: workers, usually, and
/// just what was meant.
pub(crate) fn tell_children(cli: &Cli, parsed: &Parsed, messages: &Messages) {
    let pids: Vec<u32> = cli.pids.iter().filter_map(|pid| pid.parse().ok()).collect();
    for pid in pids.iter().filter(|pid| means_python_of(parsed, **pid)) {
        let children = descendants(*pid, &pids).into_iter();
        let children: Vec<_> = children.filter(|pid| runs_python(*pid)).collect();
        let names: Vec<_> = children.iter().map(u32::to_string).collect();
        if !names.is_empty() {
            let names = first_few(&names);
            messages.say(&format!(
                "process {pid} has children that run Python and are not traced ({names}): \
                 -x followfork traces them, too"
            ));
        }
    }
}

/// Whether a description means Python's probes in this process.
pub(crate) fn means_python_of(parsed: &Parsed, pid: u32) -> bool {
    let provider = format!("{PROVIDER}{pid}");
    parsed.descs().any(|desc| desc.provider == provider)
}

/// Tells, at the end of a run that has recorded nothing, that the Pythons which the target has started were
/// not meant.
pub(crate) fn tell_untraced_children(children: &[u32], messages: &Messages) {
    let names: Vec<_> = children.iter().map(u32::to_string).collect();
    if !names.is_empty() {
        let names = first_few(&names);
        messages.say(&format!(
            "nothing was recorded of the target, but what it started ran Python ({names}): -x followfork \
             traces that, too"
        ));
    }
}

/// Tells, at the end of a run that has recorded nothing, which functions were waited for in vain.
pub(crate) fn tell_built_ins(program: &Program, messages: &Messages) {
    let names = built_ins::compared(program);
    if let Some(first) = names.first() {
        let audit = if names.contains("open") {
            "; the audit probe sees the files that are opened (\"open\")"
        } else {
            ""
        };
        messages.say(&format!(
            "nothing was recorded of `{first}`: functions that are written in C, as Python's built-in \
             ones are, have no function-entry and function-return{audit}"
        ));
    }
}

/// Tells which Pythons that run are left out of what is meant to be about all of them: those that are too
/// old, above all.
pub(crate) fn tell_untraceable(parsed: &Parsed, catalog: &mut Catalog, messages: &Messages) {
    let mut told = HashSet::new();
    for desc in parsed.descs() {
        for python in catalog.untraceable(desc) {
            if !told.insert(python.file.clone()) {
                continue;
            }
            let names: Vec<_> = python.pids.iter().map(u32::to_string).collect();
            let plural = if names.len() == 1 { "" } else { "es" };
            messages.say(&format!(
                "the Python of process{plural} {}, {}, cannot be traced: {}",
                first_few(&names),
                python.file.display(),
                python.why
            ));
        }
    }
}

/// Tells that the command runs, and that a description has found nothing yet.
pub(crate) fn tell_waiting(desc: &ProbeDesc, messages: &Messages) {
    messages.say(&format!(
        "{desc} matches no probe yet: the command runs, untraced, until a program or a library that it \
         loads has one"
    ));
}

/// `description 'BEGIN' matched 1 probe`, for each source.
pub(crate) fn announce(parsed: &Parsed, matches: &[Match], messages: &Messages) {
    for (index, source) in parsed.sources.iter().enumerate() {
        let count: usize = matches
            .iter()
            .filter(|found| source_of(parsed, found) == index)
            .map(|found| found.all().count())
            .sum();
        let what = match &source.origin {
            Origin::Library(_) => continue,
            Origin::Script(path) => format!("script '{path}'"),
            Origin::Specifier { text, .. } => {
                format!("description '{}'", stability::description(text))
            }
        };
        let plural = if count == 1 { "" } else { "s" };
        messages.say(&format!("{what} matched {count} probe{plural}"));
    }
}

fn source_of(parsed: &Parsed, found: &Match) -> usize {
    usize::from(parsed.spec(found.spec).span.source)
}
