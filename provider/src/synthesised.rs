//! The `python` probes that are made from a CPython's own code, for interpreters that have no
//! marker of that name ([`python_analysis`] finds the places).
//!
//! A synthesised probe has the names and arguments of the marker that it stands for, if there is one, so that a
//! script does not see the difference; `-l` tells. What `audit` lacks is the tuple of
//! arguments, which does not exist where the event is seen.

use dlang::types::Int;

use crate::probe::{ProbeArg, PythonEvent};
use crate::usdt::cpython;

/// The probe that fires where an exception has found its handler. What it is made from is the one argument of its sites
/// ([`python_analysis::Caught`]).
pub const EXCEPTION_CAUGHT: &str = "exception-caught";

/// The type of that argument where it is the handler's place in the byte code; where it is the exception, it is an address.
pub const HANDLER: Int = Int::I32;

/// The arguments of the probe, typed as CPython's markers have them.
#[must_use]
pub fn args(event: PythonEvent) -> Vec<ProbeArg> {
    let types: &[Int] = match event {
        PythonEvent::FunctionEntry | PythonEvent::FunctionReturn => &[Int::U64, Int::U64, Int::I32],
        PythonEvent::GcStart => &[Int::I32],
        PythonEvent::GcDone => &[Int::I64],
        PythonEvent::ImportStart | PythonEvent::Audit => &[Int::U64],
        PythonEvent::GilWait | PythonEvent::GilRelease => &[],
        PythonEvent::GilAcquire => return vec![nanoseconds("uint64_t (waited)")],
        PythonEvent::ImportDone => &[Int::U64, Int::I32],
        PythonEvent::CfunctionEntry | PythonEvent::CfunctionReturn => &[Int::U64, Int::U64],
    };
    types
        .iter()
        .enumerate()
        .map(|(index, int)| cpython::argument(event.name(), index, *int))
        .collect()
}

/// An argument that no marker has.
fn nanoseconds(meaning: &'static str) -> ProbeArg {
    ProbeArg {
        meaning: Some(meaning.into()),
        ..ProbeArg::int(Int::U64)
    }
}
