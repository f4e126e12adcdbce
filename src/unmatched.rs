//! Descriptions that match nothing: which of them is an error, and what is said of it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use dlang::program::ProbeDesc;
use dlang::tags::Tag;
use provider::catalog::Catalog;
use provider::probe::{Probe, ProbeKind};

use crate::checked::Checked;
use crate::compile::{self, Parsed, ProgramError, ProgramErrors};
use crate::matching::{KnownArgs, Match, may_come};
use crate::message::Messages;
use crate::options::Options;
use crate::target::Target;

/// Checks a program with the probes that its descriptions have matched. One that matches nothing is an
/// error, unless `-Z` allows it.
pub(crate) fn check_matched(
    parsed: Arc<Parsed>,
    options: &Options,
    matches: &[Match],
    catalog: &mut Catalog,
    target: &Target,
) -> Result<Checked> {
    let missing = if options.zdefs {
        None
    } else {
        first_missing(&parsed, matches, catalog, target)
    };
    let known = KnownArgs::of(&parsed, matches);
    let known = known.without(missing.map(|missing| missing.desc(&parsed)));
    Checked::new(Arc::clone(&parsed), options, known).map_err(|errors| {
        let told = errors.iter().map(|error| {
            let text = match missing {
                Some(missing) if error.tag == Tag::PdescZero => {
                    no_match(&parsed, missing, options, catalog, target)
                }
                _ => compile::message(error, &parsed.sources, options),
            };
            ProgramError::new(error, text, &parsed.sources)
        });
        ProgramErrors(told.collect()).into()
    })
}

/// A description that matches nothing, and would not with a target either: its provider has no process's id in its
/// name. For a program that is checked without a target.
pub(crate) fn missing_anywhere<'p>(
    parsed: &'p Parsed,
    options: &Options,
    matches: &[Match],
) -> Option<&'p ProbeDesc> {
    let may_mean_a_process = |desc: &ProbeDesc| {
        let last = desc.provider.chars().last();
        last.is_some_and(|last| last.is_ascii_digit() || matches!(last, '*' | '?' | ']'))
    };
    let mut missing = matches.iter().filter(|found| found.is_missing());
    let missing = missing.find(|found| !may_mean_a_process(found.desc(parsed)));
    missing
        .filter(|_| !options.zdefs)
        .map(|found| found.desc(parsed))
}

/// Refuses descriptions whose provider ends with the id of a process that there is not, as libdtrace does, whether or
/// not they have to match something.
pub(crate) fn check_processes(parsed: &Parsed, options: &Options) -> Result<()> {
    for (_, spec) in parsed.specs() {
        let provider = &spec.desc.provider;
        let (tag, text) = if let Some(pid) = gone_process(provider) {
            (Tag::ProcGrab, format!("failed to grab process {pid}"))
        } else if provider == "pid0" {
            // What `pid$target` is without a target.
            let text = format!("{provider} does not contain a valid pid");
            (Tag::ProcBadpid, text)
        } else {
            continue;
        };
        let text = compile::refusal(tag, spec.span, &text, &parsed.sources, options);
        return Err(anyhow::Error::msg(text));
    }
    Ok(())
}

/// The process that a provider's name ends with, if there is none of that id.
fn gone_process(provider: &str) -> Option<u32> {
    if provider.contains(['*', '?', '[', '\\']) {
        return None;
    }
    let name = provider.trim_end_matches(|c: char| c.is_ascii_digit());
    let pid: u32 = provider[name.len()..].parse().ok()?;
    let is_there = || Path::new("/proc").join(pid.to_string()).exists();
    (!name.is_empty() && pid != 0 && !is_there()).then_some(pid)
}

/// A description that has found nothing and will not: one that no other program of the command could
/// have matched either, if there is such a one, else the first.
fn first_missing<'m>(
    parsed: &Parsed,
    matches: &'m [Match],
    catalog: &mut Catalog,
    target: &Target,
) -> Option<&'m Match> {
    let missing: Vec<&Match> = matches.iter().filter(|found| found.is_missing()).collect();
    let mut all = missing.iter().copied();
    let never = all.find(|found| !may_come(found.desc(parsed), catalog, target.pid()));
    never.or(missing.first().copied())
}

/// Refuses a program that means more of the kernel's functions and tracepoints than may be enabled at a time: each
/// is a program of its own, which the kernel takes milliseconds to attach and to detach.
pub(crate) fn check_number(parsed: &Parsed, options: &Options, matches: &[Match]) -> Result<()> {
    const MOST: usize = 256;
    let is_hook = |probe: &&Arc<Probe>| matches!(probe.kind, ProbeKind::Kernel(_));
    for found in matches {
        let hooks = found.probes.iter().filter(is_hook).count();
        if hooks > MOST {
            let spec = parsed.spec(found.spec);
            let text = format!(
                "probe description {} matches {hooks} probes in the kernel, each of which is a program of its \
                 own, and {MOST} is the most: describe fewer",
                spec.desc
            );
            let text =
                compile::refusal(Tag::PdescInval, spec.span, &text, &parsed.sources, options);
            return Err(anyhow::Error::msg(text));
        }
    }
    Ok(())
}

/// Tells, for `-Z`, which descriptions will never match anything.
pub(crate) fn tell_never_matching(
    parsed: &Parsed,
    matches: &[Match],
    catalog: &mut Catalog,
    messages: &Messages,
) {
    for found in matches.iter().filter(|found| found.probes.is_empty()) {
        let desc = found.desc(parsed);
        if let Some(why) = provider::doctor::never(catalog, desc) {
            messages.say(&format!("{desc} will match no probe: {}", why.reason));
        }
    }
}

/// The error for a description that matches nothing: what it is, where it stands, and what the
/// probe doctor found out.
fn no_match(
    parsed: &Parsed,
    missing: &Match,
    options: &Options,
    catalog: &mut Catalog,
    target: &Target,
) -> String {
    let spec = parsed.spec(missing.spec);
    let error = match of_process(catalog, &spec.desc) {
        Some((tag, text)) => compile::refusal(tag, spec.span, &text, &parsed.sources, options),
        None => compile::no_match(parsed, spec, options),
    };
    let pid = target.pid();
    let is_complete = pid.is_some_and(|pid| catalog.is_complete(&spec.desc, pid));
    let is_of_target = catalog.means_files(&spec.desc) && !catalog.means_all(&spec.desc);
    if is_of_target && !is_complete && !target.ended_early() && target.may_run_other_files() {
        // A program that makes its probes while it runs has none where -c looks.
        let made_later = "probes that a program makes while it runs (libstapsdt) are not there when it \
             starts: start it first, then trace it with -p";
        let error = compile::explained(&error, catalog, &spec.desc);
        compile::with_reason(&error, made_later)
    } else if target.ended_early() {
        let reason = "the command has ended, and no such probe was found in what it ran and loaded; what is \
             called right after it was loaded may have been missed\n\
             what it started was not looked at: -x followfork traces that, too";
        compile::with_reason(&error, reason)
    } else {
        compile::explained(&error, catalog, &spec.desc)
    }
}

/// Why a description of functions in one process matches none, where libdtrace has words of its own for that.
fn of_process(catalog: &mut Catalog, desc: &ProbeDesc) -> Option<(Tag, String)> {
    let pid = desc.provider.strip_prefix("pid")?;
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (module, function, name) = (&desc.module, &desc.function, &desc.name);
    if function == "-" && module != "a.out" {
        let text = "only the a.out module is valid with the '-' function";
        return Some((Tag::ProcLib, text.into()));
    }
    let mut probes = |function: &str, name: &str| {
        catalog.list(&ProbeDesc {
            function: function.into(),
            name: name.into(),
            ..desc.clone()
        })
    };
    if probes("", "entry").is_empty() {
        return None;
    }
    if !is_pattern(function) && probes(function, "entry").is_empty() {
        let text = format!("failed to lookup '{function}' in module '{module}'");
        return (!is_pattern(module)).then_some((Tag::ProcFunc, text));
    }
    if is_pattern(name) || matches!(name.as_str(), "entry" | "return") {
        return None;
    }
    let Ok(offset) = u64::from_str_radix(name.trim_start_matches("0x"), 16) else {
        let text = format!("'{name}' is an invalid probe name");
        return Some((Tag::ProcName, text));
    };
    let offsets = probes(function, "");
    let offsets = offsets.iter();
    let mut offsets = offsets.filter_map(|probe| u64::from_str_radix(&probe.desc.name, 16).ok());
    let is_inside = is_pattern(function) || offsets.any(|inside| inside >= offset);
    let text = format!("offset {offset:#x} outside of function '{function}'");
    (!is_inside).then_some((Tag::ProcOff, text))
}

/// Whether a field of a description may mean more than one.
fn is_pattern(field: &str) -> bool {
    field.is_empty() || field.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_are_gone_are_seen_in_the_provider() {
        assert_eq!(gone_process("python4294967295"), Some(u32::MAX));
        let own = format!("python{}", std::process::id());
        for provider in [&own, "python", "4294967295", "pid0", "python*4294967295"] {
            assert_eq!(gone_process(provider), None, "{provider}");
        }
    }
}
