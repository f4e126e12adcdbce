//! The events of an interpreter that probes are made for.

use super::build::Build;

/// A probe of the `python` provider that can be made from outside: a marker of CPython's, or one that it has no
/// marker for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PythonEvent {
    /// `function-entry(file, function, line)`.
    FunctionEntry,
    /// `function-return(file, function, line)`.
    FunctionReturn,
    /// `gc-start(generation)`.
    GcStart,
    /// `gc-done(collected)`.
    GcDone,
    /// `import-find-load-start(name)`.
    ImportStart,
    /// `import-find-load-done(name, found)`.
    ImportDone,
    /// `audit(event, tuple)`.
    Audit,
    /// `gil-wait()`: a thread asks for the global interpreter lock.
    GilWait,
    /// `gil-acquire(waited)`: it has got it.
    GilAcquire,
    /// `gil-release()`: it has let go of it.
    GilRelease,
    /// `cfunction-entry(file, function, line, module)`: Python code calls a function that is written in C.
    CfunctionEntry,
    /// `cfunction-return(file, function, line, module)`: it has returned.
    CfunctionReturn,
}

impl PythonEvent {
    /// All of them, in the order in which they get their ids.
    pub const ALL: [Self; 12] = [
        Self::FunctionEntry,
        Self::FunctionReturn,
        Self::GcStart,
        Self::GcDone,
        Self::ImportStart,
        Self::ImportDone,
        Self::Audit,
        Self::GilWait,
        Self::GilAcquire,
        Self::GilRelease,
        Self::CfunctionEntry,
        Self::CfunctionReturn,
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
            Self::GilWait => "gil-wait",
            Self::GilAcquire => "gil-acquire",
            Self::GilRelease => "gil-release",
            Self::CfunctionEntry => "cfunction-entry",
            Self::CfunctionReturn => "cfunction-return",
        }
    }

    /// Whether CPython has a marker of that name. What it has none for is meant only by descriptions that name it
    /// from its beginning: a script for `python$target:::` was written for the markers, and these
    /// events are frequent.
    #[must_use]
    pub fn is_marker(self) -> bool {
        match self {
            Self::FunctionEntry
            | Self::FunctionReturn
            | Self::GcStart
            | Self::GcDone
            | Self::ImportStart
            | Self::ImportDone
            | Self::Audit => true,
            Self::GilWait
            | Self::GilAcquire
            | Self::GilRelease
            | Self::CfunctionEntry
            | Self::CfunctionReturn => false,
        }
    }

    /// The function of CPython that holds the marker, where it has one.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::FunctionEntry
            | Self::FunctionReturn
            | Self::CfunctionEntry
            | Self::CfunctionReturn => "_PyEval_EvalFrameDefault",
            Self::GcStart | Self::GcDone => "gc_collect_main",
            Self::ImportStart | Self::ImportDone => "PyImport_ImportModuleLevelObject",
            Self::Audit => "sys_audit_tstate",
            Self::GilWait | Self::GilAcquire => "take_gil",
            Self::GilRelease => "drop_gil",
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
            Self::GilWait | Self::GilAcquire | Self::GilRelease => build.gil.is_ok(),
            Self::CfunctionEntry | Self::CfunctionReturn => build.cfunctions.is_ok(),
            Self::Audit => build.audits.as_ref().is_some_and(|a| !a.sites.is_empty()),
        }
    }
}
