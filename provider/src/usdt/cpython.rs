//! What rdtrace knows about CPython's own markers, beyond what the notes say.
//!
//! | marker | arguments |
//! | --- | --- |
//! | `function-entry`, `function-return`, `line` | file, function, line |
//! | `gc-start` | generation |
//! | `gc-done` | objects collected |
//! | `import-find-load-start` | module |
//! | `import-find-load-done` | module, whether it was found |
//! | `audit` | event, the tuple of its arguments |
//!
//! **3.11's sleeping entry.** The interpreter of 3.11 calls a function inline, without a C call, and
//! on that path looks for tracing at all only when the thread's `cframe.use_tracing` is set;
//! the `line` marker's semaphore sets it. So `function-entry` alone sees the few calls that come
//! from C (5 in a small run), and with that semaphore raised all of them (2259). The
//! semaphore can be raised without paying for the `line` probe: by an empty program on an
//! instruction that is hardly ever executed. The target then takes the slow tracing path in
//! each call, which costs it 215-300 ns; a program on `line` itself would cost 700 ns per line.
//! A probe that is made from the interpreter's code ([`crate::python`]) needs neither, so the marker
//! is used only where none can be made: see [`drawback`].

use std::collections::HashMap;

use dlang::types::Int;
use object::ReadRef;

use super::elf::Elf;
use super::file::{UsdtFile, UsdtSite};
use super::symbols;
pub use super::version::{Version, version};
use crate::object::UprobeSite;
use crate::probe::ProbeArg;

/// The provider's name.
pub const PROVIDER: &str = "python";

/// The eight markers, in D's spelling, and their arguments.
pub const MARKERS: [(&str, &[&str]); 8] = [
    ("function-entry", FUNCTION),
    ("function-return", FUNCTION),
    ("line", FUNCTION),
    ("gc-start", &["int (generation)"]),
    ("gc-done", &["int64_t (collected)"]),
    ("import-find-load-start", &["const char * (module)"]),
    (
        "import-find-load-done",
        &["const char * (module)", "int (found)"],
    ),
    ("audit", &["const char * (event)", "PyObject * (arguments)"]),
];

const FUNCTION: &[&str] = &[
    "const char * (filename)",
    "const char * (function)",
    "int (line)",
];

/// Argument `index` of a probe named like a marker, of which the site says that it is an `int`.
#[must_use]
pub fn argument(name: &str, index: usize, int: Int) -> ProbeArg {
    match meaning(name, index) {
        Some(text) if text.starts_with("const char *") => ProbeArg::user_text(text),
        meaning => ProbeArg {
            meaning: meaning.map(Into::into),
            ..ProbeArg::int(int)
        },
    }
}

fn meaning(name: &str, index: usize) -> Option<&'static str> {
    let (_, arguments) = MARKERS.iter().find(|(marker, _)| *marker == name)?;
    arguments.get(index).copied()
}

/// What is wrong with a marker, as the rest of a sentence that it begins; `None` if nothing is. Such
/// a marker is replaced by a probe that is made from the interpreter's code, where that is possible.
#[must_use]
pub fn drawback(version: Version, marker: &str) -> Option<&'static str> {
    match (version.minor, marker) {
        (11, "function-entry" | "function-return") => Some(
            "sees all calls only while the interpreter looks for `line` probes, which slows it",
        ),
        (15, "function-entry" | "function-return") => {
            Some("is not balanced where generators and coroutines are made, thrown into or closed")
        }
        (_, "import-find-load-start" | "import-find-load-done") => Some(
            "raises SystemError in the program when it imports a name that is no UTF-8 (a lone surrogate)",
        ),
        _ => None,
    }
}

/// The names of the markers that CPython's developers put into a file, and what is wrong with each.
#[must_use]
pub fn markers_of(usdt: &UsdtFile) -> HashMap<String, Option<&'static str>> {
    let own = usdt.sites.iter().filter(|site| is_own(site));
    own.map(|site| {
        let name = site.note.d_name();
        let drawback = usdt.python.and_then(|version| drawback(version, &name));
        (name, drawback)
    })
    .collect()
}

/// Whether it is a marker of CPython's.
pub(super) fn is_own(site: &UsdtSite) -> bool {
    site.note.provider == PROVIDER
}

/// Instructions that run at most once in a process's life: the semaphores that an empty program raises hang
/// on one of them.
const RARE: [&str; 4] = [
    "Py_RunMain",
    "Py_FinalizeEx",
    "Py_Finalize",
    "Py_InitializeFromConfig",
];

/// What must be raised besides a probe's own semaphore for it to fire (see the module's text).
pub(super) fn raises<'a, R: ReadRef<'a>>(
    elf: &Elf<'a, R>,
    sites: &[UsdtSite],
    version: Option<Version>,
) -> Vec<UprobeSite> {
    if version.map(|version| (version.major, version.minor)) != Some((3, 11)) {
        return Vec::new();
    }
    let line = sites
        .iter()
        .find(|site| is_own(site) && site.note.d_name() == "line")
        .and_then(|site| site.site.semaphore);
    let rare = RARE.iter().find_map(|name| {
        let address = symbols::address_of(elf, name)?;
        elf.file_offset(address)
            .filter(|(_, executable)| *executable)
            .map(|(offset, _)| offset)
    });
    match (line, rare) {
        (Some(semaphore), Some(file_offset)) => {
            vec![UprobeSite {
                file_offset,
                semaphore: Some(semaphore),
                cookie: 0,
            }]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_meanings() {
        let text = ProbeArg::user_text("const char * (function)");
        assert_eq!(argument("line", 1, Int::U64), text);
        let generation = ProbeArg {
            meaning: Some("int (generation)".into()),
            ..ProbeArg::int(Int::I32)
        };
        assert_eq!(argument("gc-start", 0, Int::I32), generation);
        assert_eq!(argument("gc-start", 1, Int::I32), ProbeArg::int(Int::I32));
    }

    #[test]
    fn few_markers_have_a_drawback() {
        let version = |minor| Version {
            major: 3,
            minor,
            micro: 0,
        };
        for minor in [11, 15] {
            assert!(drawback(version(minor), "function-entry").is_some());
            assert!(drawback(version(minor), "function-return").is_some());
            assert_eq!(drawback(version(minor), "gc-start"), None);
        }
        assert_eq!(drawback(version(10), "function-entry"), None);
        assert_eq!(drawback(version(11), "line"), None);
        for minor in 7..=15 {
            assert!(drawback(version(minor), "import-find-load-start").is_some());
            assert!(drawback(version(minor), "import-find-load-done").is_some());
        }
    }
}
