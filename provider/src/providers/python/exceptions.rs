//! `exception-raise` and `exception-caught`: probes that depend on what the interpreter does with exceptions.
//!
//! It calls a function (`PyTraceBack_Here`) for each Python function that an exception comes to. While there is no
//! traceback, the exception is in the function in which it was raised; so it is raised once, however many functions it
//! leaves, and one that is caught and raised once more is not raised again.
//!
//! Where an exception is caught it calls none: the places are in its own code ([`Caught`]). They are given what `pyexception` and
//! `pyline` need to mean the exception and the line of its handler there.

use std::sync::Arc;

use dlang::program::{Dependent, ProbeDesc};
use dlang::types::Int;

use super::super::names::{begins_a_name, fits, full_name, means};
use super::super::part::{Made, Offer, Origin, Search};
use super::NAME;
use crate::probe::{ArgLocation, Moment, ProbeKind, Site, Sites};
use crate::python::{Build, Caught, CaughtSite, Location, Place};
use crate::synthesised::{EXCEPTION_CAUGHT, HANDLER};

/// A probe that tells of exceptions.
struct Exceptions {
    name: &'static str,
    /// The function that holds the sites.
    function: &'static str,
    /// When it fires.
    when: &'static str,
    /// Where, in an interpreter; or why that is not known.
    sites: fn(&Build) -> Result<Vec<Site>, String>,
}

const ALL: [Exceptions; 2] = [
    Exceptions {
        name: "exception-raise",
        function: "PyTraceBack_Here",
        when: "(uint64_t)pyexception != 0 && pytraceback == 0",
        sites: |build| {
            let start = build.passes.ok_or("PyTraceBack_Here is not exported")?;
            Ok(vec![site(start, Vec::new())])
        },
    },
    Exceptions {
        name: EXCEPTION_CAUGHT,
        function: "_PyEval_EvalFrameDefault",
        when: "",
        sites: |build| {
            let sites = build.caught.as_ref().map_err(Clone::clone)?;
            Ok(sites.iter().map(caught).collect())
        },
    },
];

impl Exceptions {
    /// Type, message, file, line.
    fn dependent(&self) -> Dependent {
        Dependent {
            when: self.when,
            inputs: &[
                "pytype(pyexception)",
                "pystr(pyexception)",
                "pyfile",
                "pyline",
            ],
            outputs: &[(0, "string"), (1, "string"), (2, "string"), (3, "int")],
        }
    }
}

/// The names of the probes.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|probe| probe.name)
}

/// The probes of exceptions by their names, and why this build lacks one, if it does.
pub fn of_build(build: &Build) -> impl Iterator<Item = (&'static str, Result<(), String>)> {
    ALL.iter()
        .map(|probe| (probe.name, (probe.sites)(build).map(drop)))
}

/// Why an interpreter that was understood lacks one of the probes; `None` if it does not, or `name` is none of them.
pub(super) fn why_not(build: &Build, name: &str) -> Option<String> {
    let (_, sites) = of_build(build).find(|(probe, _)| *probe == name)?;
    sites.err()
}

/// Those of the probes in a file that the description names.
pub(super) fn offers<'f>(search: &Search<'f>, desc: &ProbeDesc) -> Vec<Offer<'f>> {
    let Search { file, scope, .. } = *search;
    if !begins_a_name(desc) || !means(&desc.provider, NAME, scope) {
        return Vec::new();
    }
    let module = file.module();
    let meant = ALL
        .iter()
        .filter(|probe| fits(desc, &module, probe.function, probe.name));
    let offer = |probe: &'static Exceptions| {
        let build = search.choice.build(file).ok()?;
        let sites = (probe.sites)(&build).ok()?;
        let name = full_name(scope, NAME, &module, probe.function, probe.name);
        Some(Offer {
            key: search.key(name, Origin::Interpreter),
            make: Box::new(move || Made {
                dependent: Some(probe.dependent()),
                args: Vec::new().into(),
                kind: ProbeKind::Sites(Sites {
                    file: Arc::clone(&file.file),
                    scope,
                    sites,
                    moment: Moment::Reached,
                    raises: Vec::new(),
                }),
                source: None,
                python: Some(Arc::clone(&file.objects)),
            }),
        })
    };
    meant.filter_map(offer).collect()
}

fn site(place: Place, args: Vec<ArgLocation>) -> Site {
    Site {
        file_offset: place.file_offset,
        address: place.address,
        semaphore: None,
        args,
    }
}

/// A place where an exception has found its handler, with what is at hand there.
fn caught(found: &CaughtSite) -> Site {
    let in_register = |register, int| ArgLocation::Register {
        register,
        shift: 0,
        int,
    };
    let argument = match found.caught {
        Caught::Handler(register) => in_register(register, HANDLER),
        Caught::Exception(Location::Register(register)) => in_register(register, Int::U64),
        Caught::Exception(Location::Memory { base, offset }) => ArgLocation::Memory {
            base: Some(base),
            index: None,
            displacement: offset.into(),
            int: Int::U64,
        },
    };
    site(found.place, vec![argument])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_definitions_are_d() {
        for probe in &ALL {
            probe.dependent().parse().unwrap();
        }
    }
}
