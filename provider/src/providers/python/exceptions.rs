//! `exception-raise`: a probe that depends on the function by which an exception gets its traceback.
//!
//! The interpreter calls that function for each Python function that an exception comes to. While there is no traceback,
//! the exception is in the function in which it was raised; so it is raised once, however many functions it leaves, and
//! one that is caught and raised once more is not raised again.

use std::sync::Arc;

use dlang::program::{Dependent, ProbeDesc};

use super::super::names::{begins_a_name, fits, full_name, means};
use super::super::part::{Made, Offer, Origin, Search};
use super::NAME;
use crate::probe::{Moment, ProbeKind, Site, Sites};
use crate::python::Place;

pub(super) const RAISE: &str = "exception-raise";

/// The function that holds the site.
const FUNCTION: &str = "PyTraceBack_Here";

const DEPENDENT: Dependent = Dependent {
    when: "(uint64_t)pyexception != 0 && pytraceback == 0",
    inputs: &[
        "pytype(pyexception)",
        "pystr(pyexception)",
        "pyfile",
        "pyline",
    ],
    outputs: &[(0, "string"), (1, "string"), (2, "string"), (3, "int")],
};

/// The probe in a file, if the description names it.
pub(super) fn offer<'f>(search: &Search<'f>, desc: &ProbeDesc) -> Option<Offer<'f>> {
    let Search { file, scope, .. } = *search;
    let module = file.module();
    if !begins_a_name(desc)
        || !means(&desc.provider, NAME, scope)
        || !fits(desc, &module, FUNCTION, RAISE)
    {
        return None;
    }
    let Place {
        address,
        file_offset,
    } = search.choice.build(file).ok()?.passes?;
    let name = full_name(scope, NAME, &module, FUNCTION, RAISE);
    Some(Offer {
        key: search.key(name, Origin::Interpreter),
        make: Box::new(move || Made {
            dependent: Some(DEPENDENT),
            args: Vec::new().into(),
            kind: ProbeKind::Sites(Sites {
                file: Arc::clone(&file.file),
                scope,
                sites: vec![Site {
                    file_offset,
                    address,
                    semaphore: None,
                    args: Vec::new(),
                }],
                moment: Moment::Reached,
                raises: Vec::new(),
            }),
            source: None,
            python: Some(Arc::clone(&file.objects)),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_definition_is_d() {
        DEPENDENT.parse().unwrap();
    }
}
