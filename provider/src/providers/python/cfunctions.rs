//! `cfunction-entry` and `cfunction-return`: probes that depend on the interpreter's calls of functions that are written in C.
//!
//! Where it calls one, the addresses of the function's name and of that of its module are at hand. File and line are those of the Python
//! code that calls.

use dlang::program::Dependent;

use crate::probe::PythonEvent;

/// File, function, line, module.
const CALL: Dependent = Dependent {
    when: "",
    inputs: &[
        "pyfile",
        "copyinstr(arg0)",
        "pyline",
        "arg1 == 0 ? \"\" : copyinstr(arg1)",
    ],
    outputs: &[(0, "string"), (1, "string"), (2, "int"), (3, "string")],
};

/// How the probe of an event depends on what is seen, if it does.
pub(super) fn dependent(event: PythonEvent) -> Option<Dependent> {
    match event {
        PythonEvent::CfunctionEntry | PythonEvent::CfunctionReturn => Some(CALL),
        PythonEvent::FunctionEntry
        | PythonEvent::FunctionReturn
        | PythonEvent::GcStart
        | PythonEvent::GcDone
        | PythonEvent::ImportStart
        | PythonEvent::ImportDone
        | PythonEvent::Audit
        | PythonEvent::GilWait
        | PythonEvent::GilAcquire
        | PythonEvent::GilRelease => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_definition_is_d() {
        CALL.parse().unwrap();
    }
}
