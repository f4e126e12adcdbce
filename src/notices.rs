//! Messages about what a run leaves out, which its output does not show.

use std::collections::{BTreeMap, HashSet};

use dlang::diag::Origin;
use dlang::program::{ProbeDesc, Program, Subroutine, Unfit};
use dlang::render::excerpt;
use predicates::python::PythonName;
use provider::catalog::Catalog;
use provider::doctor::untraceable;
use provider::interpreters::{self, Interpreter};
use provider::process::files::hidden_processes;
use provider::process::tree::descendants;

use crate::built_ins;
use crate::checked::Checked;
use crate::cli::Cli;
use crate::compile::{Parsed, Spec};
use crate::matching::{Found, Match};
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

/// Tells that a process of `-p` has children that run the interpreter that is meant, and are left out:
/// workers, usually, and just what was meant.
pub(crate) fn tell_children(cli: &Cli, parsed: &Parsed, messages: &Messages) {
    let pids: Vec<u32> = cli.pids.iter().filter_map(|pid| pid.parse().ok()).collect();
    for &pid in &pids {
        let Some(interpreter) = interpreter_meant(parsed, pid) else {
            continue;
        };
        let children = descendants(pid, &pids).into_iter();
        let children: Vec<_> = children.filter(|pid| interpreter.is_run_by(*pid)).collect();
        let names: Vec<_> = children.iter().map(u32::to_string).collect();
        if !names.is_empty() {
            let names = first_few(&names);
            messages.say(&format!(
                "process {pid} has children that run {} and are not traced ({names}): -x followfork \
                 traces them, too",
                interpreter.name
            ));
        }
    }
}

/// The interpreter whose probes in this process a description means.
pub(crate) fn interpreter_meant(parsed: &Parsed, pid: u32) -> Option<&'static Interpreter> {
    let mut descs = parsed.descs();
    descs.find_map(|desc| interpreters::meant_in(desc, pid))
}

/// Tells, at the end of a run that has recorded nothing, that processes which the target has started and
/// which run this interpreter were not meant.
pub(crate) fn tell_untraced_children(
    interpreter: &Interpreter,
    children: &[u32],
    messages: &Messages,
) {
    let names: Vec<_> = children.iter().map(u32::to_string).collect();
    if !names.is_empty() {
        let names = first_few(&names);
        messages.say(&format!(
            "nothing was recorded of the target, but what it started ran {} ({names}): -x followfork \
             traces that, too",
            interpreter.name
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

/// Tells, at the end of a run, of a variable that no Python function has that was asked for it: a misspelling, most
/// likely.
pub(crate) fn tell_name(name: &PythonName, messages: &Messages) {
    let kind = if name.function == Subroutine::Pyarg {
        "argument"
    } else {
        "variable"
    };
    let text = String::from_utf8_lossy(&name.name);
    messages.say(&format!(
        "no Python function that was asked for it has the {kind} `{text}`"
    ));
}

/// Tells which interpreters that run are left out of what is meant to be about all of them: those that are
/// too old, above all.
pub(crate) fn tell_untraceable(parsed: &Parsed, catalog: &mut Catalog, messages: &Messages) {
    let mut told = HashSet::new();
    for desc in parsed.descs() {
        for one in untraceable(catalog, desc) {
            if !told.insert(one.file.clone()) {
                continue;
            }
            let names: Vec<_> = one.pids.iter().map(u32::to_string).collect();
            let plural = if names.len() == 1 { "" } else { "es" };
            messages.say(&format!(
                "the {} of process{plural} {}, {}, cannot be traced: {}",
                one.interpreter.name,
                first_few(&names),
                one.file.display(),
                one.why
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
            .map(|found| found.all().filter(|probe| probe.place == 0).count())
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

/// Tells which of these probes do not run a clause, since it is wrong for their arguments: for each
/// description once, and not for those of `told`. Gives the descriptions that it was told of.
pub(crate) fn tell_unfit(
    checked: &Checked,
    found: &[Found],
    told: &HashSet<Spec>,
    messages: &Messages,
) -> Vec<Spec> {
    let mut unfit: BTreeMap<Spec, Vec<(&Found, &Unfit)>> = BTreeMap::new();
    for found in found.iter().filter(|found| !told.contains(&found.spec)) {
        if let Some(why) = checked.unfit_for(found) {
            unfit.entry(found.spec).or_default().push((found, why));
        }
    }
    let sources = &checked.parsed.sources;
    for (&spec, without) in &unfit {
        let Some((first, why)) = without.first() else {
            continue;
        };
        let all = found.iter().filter(|found| found.spec == spec).count();
        let desc = &checked.parsed.spec(spec).desc;
        let (count, verb) = match without.len() {
            1 => (1, "does"),
            more => (more, "do"),
        };
        let text = format!(
            "{count} of the {all} probes that {desc} matches {verb} not run the clause: with the arguments of \
             {}, {}",
            first.probe.desc, why.error.message
        );
        let excerpt = excerpt(&why.error, sources);
        messages.say(format!("{text}\n{excerpt}").trim_end());
    }
    unfit.into_keys().collect()
}

fn source_of(parsed: &Parsed, found: &Match) -> usize {
    usize::from(parsed.spec(found.spec).span.source)
}
