//! CPython's probes: its USDT markers, and what is made from the code of an interpreter; which of the
//! two, the [`Choice`](choice::Choice) says.

mod cfunctions;
pub(crate) mod choice;
pub(crate) mod exceptions;
mod installed;
mod lacking;
mod version;

use std::sync::Arc;

use dlang::program::ProbeDesc;

use self::choice::{Choice, has_marker};
use super::file::{FileProbes, Group};
use super::interpreter::{Interpreter, Lacking, Located, Why};
use super::names::{begins_a_name, d_name, fits, full_name, means};
use super::part::{Made, Offer, Origin, Provider, Search};
use super::usdt;
use crate::probe::{File, ProbeKind, PythonEvent, PythonSites, Scope, SourceArgs};
use crate::python::{Build, Refusal};
use crate::synthesised;
use crate::usdt::cpython;

/// The provider.
#[derive(Debug)]
pub(super) struct Python;

const NAME: &str = cpython::PROVIDER;

/// CPython.
static PYTHON: Interpreter = Interpreter {
    name: "Python",
    provider: NAME,
    program: "python",
    library: "libpython",
};

impl Provider for Python {
    fn summary(&self) -> &'static str {
        "`python1234` of any running CPython"
    }

    fn markers(&self) -> Option<&'static str> {
        Some(NAME)
    }

    fn in_file<'f>(&self, search: &Search<'f>, desc: &ProbeDesc) -> Vec<Offer<'f>> {
        let mut offers = for_markers(search, desc);
        offers.extend(without_markers(search, desc));
        offers.extend(exceptions::offers(search, &d_name(desc)));
        offers
    }

    fn installed(&self, desc: &ProbeDesc, scope: Scope) -> Vec<Arc<File>> {
        if means(&desc.provider, NAME, scope) {
            installed::pythons()
        } else {
            Vec::new()
        }
    }

    fn will_never_have(&self, _desc: &ProbeDesc, name: &str, pid: u32) -> Option<bool> {
        (name == NAME && PYTHON.is_run_by(pid)).then_some(true)
    }

    fn interpreter(&self) -> Option<&'static Interpreter> {
        Some(&PYTHON)
    }

    fn known_names(&self) -> Vec<&'static str> {
        let markers = cpython::MARKERS.iter().map(|(name, _)| *name);
        let others = PythonEvent::ALL.iter().filter(|event| !event.is_marker());
        let others = others.map(|event| event.name());
        markers.chain(others).chain(exceptions::names()).collect()
    }

    fn locate(&self, files: &[Arc<FileProbes>], choice: &Choice) -> Option<Located> {
        let (file, build) = lacking::interpreter_in(files, choice)?;
        Some(Located {
            file,
            is_starter: matches!(build, Err(Refusal::InLibrary { .. })),
            refusal: build.err().map(|refusal| refusal.to_string()),
        })
    }

    fn why_lacking(&self, process: &Lacking<'_>) -> Why {
        lacking::why_lacking(process)
    }

    fn why_not_run(&self, pid: u32, has_others: bool) -> Option<String> {
        lacking::python_children(pid, |child| PYTHON.is_run_by(child)).or_else(|| {
            (!has_others).then(|| {
                "it is not a Python, or its interpreter is not mapped yet; a wrapper that starts \
                 Python as a child has another process id"
                    .into()
            })
        })
    }
}

/// The probes that a file has markers for, whether they are used or not.
fn for_markers<'f>(search: &Search<'f>, desc: &ProbeDesc) -> Vec<Offer<'f>> {
    let markers = usdt::matching(search, desc).filter(|group| group.provider == NAME);
    markers
        .map(|group| {
            let name = usdt::name(search, group);
            match search.choice.stand_in(search.file, group) {
                Some((build, event)) => made_from_code(search, name, build, event),
                None => marker(search, name, group),
            }
        })
        .collect()
}

/// The probes of a Python that it has no markers for.
fn without_markers<'f>(search: &Search<'f>, desc: &ProbeDesc) -> Vec<Offer<'f>> {
    let Search { file, scope, .. } = *search;
    if !means(&desc.provider, NAME, scope) {
        return Vec::new();
    }
    let wanted = d_name(desc);
    let module = file.module();
    let mut events = PythonEvent::ALL.to_vec();
    events.retain(|event| {
        (event.is_marker() || begins_a_name(&wanted))
            && fits(&wanted, &module, event.function(), event.name())
            && !has_marker(file, event.name())
    });
    if events.is_empty() {
        return Vec::new(); // not worth an analysis
    }
    let Ok(build) = search.choice.build(file) else {
        return Vec::new();
    };
    let made = events.into_iter().filter(|event| event.is_in(&build));
    made.map(|event| {
        let name = full_name(scope, NAME, &module, event.function(), event.name());
        made_from_code(search, name, Arc::clone(&build), event)
    })
    .collect()
}

fn marker<'f>(search: &Search<'f>, name: ProbeDesc, group: &'f Group) -> Offer<'f> {
    let Search { file, scope, .. } = *search;
    Offer {
        key: search.key(name, Origin::Marker),
        make: Box::new(move || {
            let mut sites = file.sites(group, scope);
            if group.name == PythonEvent::FunctionEntry.name() {
                sites.raises.clone_from(&file.usdt.entry_raises);
            }
            Made {
                dependent: None,
                args: file
                    .arguments(group, |n, int| cpython::argument(&group.name, n, int))
                    .into(),
                kind: ProbeKind::Sites(sites),
                source: source_args(&group.name),
                python: Some(Arc::clone(&file.objects)),
            }
        }),
    }
}

fn made_from_code<'f>(
    search: &Search<'f>,
    name: ProbeDesc,
    build: Arc<Build>,
    event: PythonEvent,
) -> Offer<'f> {
    let Search { file, scope, .. } = *search;
    Offer {
        key: search.key(name, Origin::Interpreter),
        make: Box::new(move || {
            let sites = PythonSites {
                file: Arc::clone(&file.file),
                scope,
                build,
                event,
            };
            Made {
                dependent: cfunctions::dependent(event),
                args: synthesised::args(event).into(),
                kind: ProbeKind::Python(sites),
                source: source_args(event.name()),
                python: Some(Arc::clone(&file.objects)),
            }
        }),
    }
}

/// The probes of functions and lines say which one: file, function, line.
fn source_args(name: &str) -> Option<SourceArgs> {
    matches!(name, "function-entry" | "function-return" | "line").then_some(SourceArgs {
        file: 0,
        function: 1,
        line: 2,
    })
}
