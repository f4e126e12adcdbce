//! What a firing knows of the Python that it is in: how objects are laid out there, and where the probe
//! has one.

use predicates::python::{Caught, Python};
use provider::probe::{ArgLocation, Probe, ProbeKind, PythonEvent};
use provider::python::Objects;
use provider::python_objects::layout;
use provider::synthesised::{EXCEPTION_CAUGHT, HANDLER};

/// The number of the argument of `audit` that is the tuple of the event's own.
pub(crate) const AUDIT_TUPLE: u8 = 1;

/// The number of the argument of `exception-caught` that tells of the exception or its handler.
pub(crate) const CAUGHT: u8 = 0;

/// Where the frame of the function that fires is put: the last of the places for arguments, of which
/// Python's probes have fewer.
pub(crate) const FRAME: u8 = 9;

/// Where what the function returns that fires is put.
pub(crate) const RETURNED: u8 = 8;

/// Where it is put whether the function that fires is a generator or coroutine that goes on.
pub(crate) const RESUMED: u8 = 7;

/// What is known of the Python that fires a probe; `None` if it may be any program.
pub(super) fn python(probe: &Probe) -> Option<Python> {
    let objects = probe.python.as_ref()?;
    Some(Python {
        layout: objects
            .known()
            .map(|objects| layout(&objects))
            .map_err(str::to_owned),
        task: objects.known().map_err(str::to_owned).and_then(task),
        awaiting: objects.known().map_err(str::to_owned).and_then(awaiting),
        audit: audit(probe),
        frame: Err(format!(
            "the frame of a Python function is known in function-entry and function-return that are made from the \
             interpreter's code, and not in {}",
            probe.desc.name
        )),
        returned: Err(format!(
            "what a Python function returns is known in function-return that is made from the interpreter's code, and not \
             in {}",
            probe.desc.name
        )),
        resumed: Err(format!(
            "whether a function goes on is known in function-entry that is made from the interpreter's code, and not in \
             {}",
            if let ProbeKind::Sites(_) = &probe.kind {
                format!("this file's own marker {}", probe.desc.name)
            } else {
                probe.desc.name.clone()
            }
        )),
        caught: caught(probe),
    })
}

/// What the argument is of a probe that fires where an exception has found its handler.
pub(crate) fn caught(probe: &Probe) -> Option<Caught> {
    let ProbeKind::Sites(sites) = &probe.kind else {
        return None;
    };
    if probe.dependent.is_none() || probe.desc.name != EXCEPTION_CAUGHT {
        return None;
    }
    let given = sites.sites.first()?.args.get(usize::from(CAUGHT))?;
    let is_handler = matches!(given, ArgLocation::Register { int, .. } if *int == HANDLER);
    Some(if is_handler {
        Caught::Handler
    } else {
        Caught::Exception
    })
}

/// Whether a Python's tasks have names.
fn task(objects: Objects) -> Result<(), String> {
    match objects.task_name {
        Some(_) => Ok(()),
        None => Err(format!(
            "tasks have names from Python 3.8 on, and this is {}",
            objects.version
        )),
    }
}

/// Whether it can be had by whom a Python's tasks are awaited.
fn awaiting(objects: Objects) -> Result<(), String> {
    if !objects.version.keeps_who_awaits() {
        return Err(format!(
            "asyncio keeps by whom a task is awaited from Python 3.14 on, and this is {}",
            objects.version
        ));
    }
    if objects.is_free_threaded() {
        return Err(format!(
            "in a free-threaded build, as this {} is one, other threads change by whom a task is awaited meanwhile",
            objects.version
        ));
    }
    Ok(())
}

/// The argument that is an audit event's tuple.
fn audit(probe: &Probe) -> Result<u8, String> {
    let name = &probe.desc.name;
    if name != PythonEvent::Audit.name() {
        return Err(format!("{name} is no audit event"));
    }
    if let ProbeKind::Sites(_) = &probe.kind
        && probe.arg_types().len() > usize::from(AUDIT_TUPLE)
    {
        return Ok(AUDIT_TUPLE);
    }
    Err(
        "this Python has no audit marker, and where its code raises an event the tuple of the \
         event's arguments does not exist"
            .to_owned(),
    )
}
