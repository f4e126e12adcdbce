//! The `python` probes that are made from a CPython's own code, for interpreters that have no
//! marker of that name ([`crate::python`] finds the places).
//!
//! A synthesised probe has the names and arguments of the marker that it stands for, so that a
//! script does not see the difference; `-l` tells. What `audit` lacks is the tuple of
//! arguments, which does not exist where the event is seen.

use dlang::types::Int;

use crate::probe::{ProbeArg, PythonEvent};
use crate::python::Build;
use crate::usdt::cpython::{self, PROVIDER};

impl PythonEvent {
    /// All of them, in the order in which they get their ids.
    pub const ALL: [Self; 7] = [
        Self::FunctionEntry,
        Self::FunctionReturn,
        Self::GcStart,
        Self::GcDone,
        Self::ImportStart,
        Self::ImportDone,
        Self::Audit,
    ];

    /// The event whose marker has this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// The marker's name, in D's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FunctionEntry => "function-entry",
            Self::FunctionReturn => "function-return",
            Self::GcStart => "gc-start",
            Self::GcDone => "gc-done",
            Self::ImportStart => "import-find-load-start",
            Self::ImportDone => "import-find-load-done",
            Self::Audit => "audit",
        }
    }

    /// The function of CPython that holds the marker, where it has one.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::FunctionEntry | Self::FunctionReturn => "_PyEval_EvalFrameDefault",
            Self::GcStart | Self::GcDone => "gc_collect_main",
            Self::ImportStart | Self::ImportDone => "PyImport_ImportModuleLevelObject",
            Self::Audit => "sys_audit_tstate",
        }
    }

    /// Whether it can be made in this build.
    #[must_use]
    pub fn is_in(self, build: &Build) -> bool {
        match self {
            Self::FunctionEntry | Self::FunctionReturn => !build.sites.is_empty(),
            Self::ImportStart | Self::ImportDone => {
                build.imports.as_ref().is_ok_and(|i| !i.sites.is_empty())
            }
            Self::GcStart | Self::GcDone => build.collectors.as_ref().is_ok_and(|c| !c.is_empty()),
            Self::Audit => build.audits.as_ref().is_some_and(|a| !a.sites.is_empty()),
        }
    }

    /// The arguments, typed as CPython's markers have them.
    #[must_use]
    pub fn args(self) -> Vec<ProbeArg> {
        let types: &[Int] = match self {
            Self::FunctionEntry | Self::FunctionReturn => &[Int::U64, Int::U64, Int::I32, Int::U64],
            Self::GcStart => &[Int::I32],
            Self::GcDone => &[Int::I64],
            Self::ImportStart | Self::Audit => &[Int::U64],
            Self::ImportDone => &[Int::U64, Int::I32],
        };
        types
            .iter()
            .enumerate()
            .map(|(index, ty)| ProbeArg {
                ty: *ty,
                meaning: cpython::meaning(PROVIDER, self.name(), index),
            })
            .collect()
    }
}
