//! The provider is there, but no probe of it fits.
//!
//! The name is looked at first: a probe of that name elsewhere is nearer to what was meant than another
//! one in the right place. If there is one, it is the module or the function that does not fit.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::program::ProbeDesc;

use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::Probe;
use crate::providers::interpreter::Why;
use crate::providers::of_interpreter;
use crate::spelling::near;

/// Where a probe was looked for.
#[derive(Debug)]
pub(super) enum Place {
    /// In one process.
    Process {
        /// The process, for people.
        who: String,
        /// What is known of the interpreter that was meant.
        why: Why,
    },
    /// In all of them.
    Everywhere,
}

/// Says what is missing: none of the probes `found`, which are those of the wanted provider, is
/// what `desc` means.
pub(super) fn missing(
    desc: &ProbeDesc,
    provider: &str,
    found: &[Arc<Probe>],
    place: Place,
) -> Diagnosis {
    let name = desc.name.replace("__", "-");
    let names = values(found, |probe| &probe.name);
    if !any_fits(&name, &names) {
        return no_such_name(&name, provider, names, place);
    }
    let modules = values(found, |probe| &probe.module);
    let (what, wanted, known) = if any_fits(&desc.module, &modules) {
        let functions = values(found, |probe| &probe.function);
        ("function", &desc.function, functions)
    } else {
        ("module", &desc.module, modules)
    };
    let known: Vec<String> = known.into_iter().filter(|text| !text.is_empty()).collect();
    let advice = if known.is_empty() {
        format!("the file is stripped, so that no {what} is known: leave the field empty")
    } else {
        format!("{what}s with probes: {}", known.join(", "))
    };
    let there = match place {
        Place::Process { who, .. } => format!("{who} has `{provider}` probes"),
        Place::Everywhere => format!("there are `{provider}` probes"),
    };
    Diagnosis {
        reason: format!("{there}, but none in the {what} `{wanted}`"),
        did_you_mean: near(wanted, &known),
        advice: vec![advice],
        ..Diagnosis::default()
    }
}

/// No probe of the provider has this name; it has those `names`.
fn no_such_name(name: &str, provider: &str, names: Vec<String>, place: Place) -> Diagnosis {
    let (reason, why) = match place {
        Place::Process { who, why } => (format!("{who} has no probe `{provider}:::{name}`"), why),
        Place::Everywhere => (
            format!("no process has a probe `{provider}:::{name}`"),
            Why::default(),
        ),
    };
    let mut did_you_mean = near(name, &names);
    if !why.lines.is_empty() {
        did_you_mean = None;
    } else if let Some(part) = of_interpreter(provider) {
        did_you_mean = did_you_mean.or_else(|| near(name, &part.known_names()));
    }
    Diagnosis {
        reason,
        did_you_mean,
        runs: why.runs,
        available: names,
        advice: why.lines,
    }
}

/// The values that a field has, each once, in alphabetical order.
fn values(probes: &[Arc<Probe>], field: fn(&ProbeDesc) -> &String) -> Vec<String> {
    let values: BTreeSet<&String> = probes.iter().map(|probe| field(&probe.desc)).collect();
    values.into_iter().cloned().collect()
}

fn any_fits(glob: &str, values: &[String]) -> bool {
    values.iter().any(|value| Glob::new(glob).matches(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{ProbeId, ProbeKind};

    fn probe(function: &str, name: &str) -> Arc<Probe> {
        Arc::new(Probe {
            id: ProbeId(1),
            desc: desc("python3", function, name),
            place: 0,
            dependent: None,
            args: Vec::new().into(),
            kind: ProbeKind::Begin,
            source: None,
            python: None,
        })
    }

    fn desc(module: &str, function: &str, name: &str) -> ProbeDesc {
        ProbeDesc {
            provider: "python12".into(),
            module: module.into(),
            function: function.into(),
            name: name.into(),
        }
    }

    fn in_process() -> Place {
        Place::Process {
            who: "process 12 (/bin/python3)".into(),
            why: Why::default(),
        }
    }

    #[test]
    fn the_field_that_does_not_fit_is_told() {
        let found = [probe("collect", "gc-start"), probe("collect", "gc-done")];
        for (desc, place, text) in [
            (
                desc("", "", "gc__strat"),
                in_process(),
                "process 12 (/bin/python3) has no probe `python:::gc-strat`\n  \
                 there are: gc-done, gc-start\n  did you mean `gc-start`?",
            ),
            (
                desc("python4", "", "gc-start"),
                in_process(),
                "process 12 (/bin/python3) has `python` probes, but none in the module `python4`\n  \
                 did you mean `python3`?\n  modules with probes: python3",
            ),
            (
                desc("python*", "gather", "gc-*"),
                Place::Everywhere,
                "there are `python` probes, but none in the function `gather`\n  \
                 functions with probes: collect",
            ),
            (
                desc("", "", "nosuch"),
                Place::Everywhere,
                "no process has a probe `python:::nosuch`\n  there are: gc-done, gc-start",
            ),
        ] {
            assert_eq!(missing(&desc, "python", &found, place).to_string(), text);
        }
        let stripped = [probe("", "gc-start")];
        let text = missing(
            &desc("", "collect", "gc-start"),
            "python",
            &stripped,
            in_process(),
        );
        assert!(text.to_string().contains("the file is stripped"), "{text}");
    }
}
