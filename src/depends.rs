//! `#pragma D depends_on provider NAME` and `module NAME`: a program that needs what is not there is
//! refused, in libdtrace's words.

use std::path::Path;

use anyhow::Result;
use dlang::diag::Diagnostic;
use dlang::program::ProbeDesc;
use dlang::tags::Tag;
use provider::catalog::Catalog;

use crate::compile::{Parsed, program_errors};
use crate::options::Options;

/// The kernel itself, as a module.
const KERNEL: &str = "vmlinux";

/// Refuses a program that says it needs a provider or a module of the kernel that there is not.
pub(crate) fn check(parsed: &Parsed, options: &Options, catalog: &mut Catalog) -> Result<()> {
    let pragmas = parsed.ast.pragmas.iter();
    for pragma in pragmas.filter(|pragma| pragma.word == "depends_on") {
        let mut words = pragma.rest.split_whitespace();
        let (Some(class), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        let is_there = match class {
            "provider" => has_provider(catalog, name),
            "module" => has_module(name),
            _other_class => true,
        };
        if !is_there {
            let message = format!("program requires {class} {name}");
            let error = Diagnostic::new(Tag::PragmaDepend, pragma.span, &message);
            return Err(program_errors(&[error], &parsed.sources, options));
        }
    }
    Ok(())
}

fn has_provider(catalog: &mut Catalog, name: &str) -> bool {
    let provider = name.to_owned();
    let desc = ProbeDesc {
        provider,
        ..ProbeDesc::default()
    };
    !catalog.list(&desc).is_empty()
}

/// Whether the kernel has loaded a module.
fn has_module(name: &str) -> bool {
    let is_name = !name.starts_with('.') && !name.contains('/');
    // What is built in has a directory there, too, if it has parameters.
    let state = || Path::new("/sys/module").join(name).join("initstate");
    name == KERNEL || is_name && state().exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_a_module() {
        assert!(has_module("vmlinux"));
        for none in ["nosuch", "kernel", ".", "../module", "x/y"] {
            assert!(!has_module(none), "{none}");
        }
    }
}
