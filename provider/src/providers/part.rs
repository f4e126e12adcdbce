//! What every provider answers.

use std::fmt;
use std::sync::Arc;

use dlang::program::{Dependent, ProbeDesc};

use super::file::{FileProbes, Identity};
use super::interpreter::{Interpreter, Lacking, Located, Why};
use super::python::choice::Choice;
use crate::diagnosis::Diagnosis;
use crate::probe::{Arguments, File, ProbeKind, Scope, SourceArgs};
use crate::python_objects::PythonObjects;

/// A provider: which probes a description means, and what they are.
///
/// Its probes are in files ([`in_file`](Self::in_file)) or not ([`own`](Self::own)); a provider
/// implements what applies to it.
pub(crate) trait Provider: fmt::Debug + Sync {
    /// What it has, in a few words, for people who look for a provider that there is none of.
    fn summary(&self) -> &'static str;

    /// Its name, if that is whole without a process's id.
    fn name(&self) -> Option<&'static str> {
        None
    }

    /// The probes that `desc` means and that are in no file.
    fn own(&self, _desc: &ProbeDesc) -> Vec<Offer<'static>> {
        Vec::new()
    }

    /// Whether `desc` can mean only probes of this provider that are in no file, so that there is no
    /// need to look at processes.
    fn is_meant_alone(&self, _desc: &ProbeDesc) -> bool {
        false
    }

    /// The types of D libraries that `args[]` of the probes may have which `desc` means, as it can be said
    /// without a look at the machine.
    fn translated_types(&self, _desc: &ProbeDesc) -> Vec<&'static str> {
        Vec::new()
    }

    /// The name that USDT markers bear which belong to this provider.
    fn markers(&self) -> Option<&'static str> {
        None
    }

    /// The probes of a file that `desc` means.
    fn in_file<'f>(&self, _search: &Search<'f>, _desc: &ProbeDesc) -> Vec<Offer<'f>> {
        Vec::new()
    }

    /// The files with probes that `desc` means in a scope, though no process may run them yet.
    fn installed(&self, _desc: &ProbeDesc, _scope: Scope) -> Vec<Arc<File>> {
        Vec::new()
    }

    /// Whether a process that has no probe for `desc`, whose provider without the process id is
    /// `name`, will not have it as another program either, since it is already what was meant.
    /// `None` if the provider does not know.
    fn will_never_have(&self, _desc: &ProbeDesc, _name: &str, _pid: u32) -> Option<bool> {
        None
    }

    /// Why `desc` matches nothing, if it is about this provider and no process matters.
    fn why_not(&self, _desc: &ProbeDesc) -> Option<Diagnosis> {
        None
    }

    /// Why `desc` matches nothing in a process that has these files, the program first, if its
    /// provider without the process id, `name`, is this one.
    fn why_not_in(
        &self,
        _files: &[Arc<FileProbes>],
        _desc: &ProbeDesc,
        _name: &str,
        _pid: u32,
    ) -> Option<Diagnosis> {
        None
    }

    /// The interpreter whose probes these are, if they are an interpreter's. Such a provider answers
    /// what follows, too.
    fn interpreter(&self) -> Option<&'static Interpreter> {
        None
    }

    /// The names of all probes that some build of the interpreter has.
    fn known_names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The interpreter among the files of a process.
    fn locate(&self, _files: &[Arc<FileProbes>], _choice: &Choice) -> Option<Located> {
        None
    }

    /// Why a process that runs the interpreter lacks a probe.
    fn why_lacking(&self, _process: &Lacking<'_>) -> Why {
        Why::default()
    }

    /// What there is to say of a process that does not run the interpreter and has, or has not,
    /// probes of other providers.
    fn why_not_run(&self, _pid: u32, _has_others: bool) -> Option<String> {
        None
    }
}

/// A file in which probes are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'f> {
    pub(crate) file: &'f FileProbes,
    /// Whose executions of the file are meant.
    pub(crate) scope: Scope,
    /// How Python's probes are chosen.
    pub(crate) choice: &'f Choice,
    /// The names of the markers that belong to some provider ([`Provider::markers`]).
    pub(crate) claimed: &'f [&'static str],
}

/// A probe that a provider has for a description.
pub(crate) struct Offer<'f> {
    /// What makes it the same one as before.
    pub(crate) key: Key,
    /// Makes it, if it is asked for for the first time.
    pub(crate) make: Box<dyn FnOnce() -> Made + 'f>,
}

/// What a probe is, beside its name.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// Its arguments.
    pub(crate) args: Arguments,
    /// How it depends on another probe, whose arguments these are then.
    pub(crate) dependent: Option<Dependent>,
    /// What makes it fire.
    pub(crate) kind: ProbeKind,
    /// Which of its arguments say where in a program's source it fires.
    pub(crate) source: Option<SourceArgs>,
    /// How the objects are laid out of the Python that it fires in.
    pub(crate) python: Option<Arc<PythonObjects>>,
}

/// What makes a probe the same one as before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Its full name.
    pub(crate) desc: ProbeDesc,
    /// Where it is; `None` for a probe that is in no file.
    pub(crate) place: Option<Place>,
    /// Which of several places that make it fire, from 0; each is a probe to attach.
    pub(crate) hook: u8,
}

/// What else than its name makes a probe of a file that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: Identity,
    /// Whose executions of it count.
    pub(crate) scope: Scope,
    /// What in the file it was made of.
    pub(crate) origin: Origin,
}

/// What a probe of a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A USDT marker.
    Marker,
    /// The code of a CPython.
    Interpreter,
    /// A function's code.
    Function,
}

impl Search<'_> {
    /// What makes a probe of this file the same one as before.
    pub(crate) fn key(&self, desc: ProbeDesc, origin: Origin) -> Key {
        Key {
            desc,
            place: Some(Place {
                file: self.file.file.identity,
                scope: self.scope,
                origin,
            }),
            hook: 0,
        }
    }
}

impl Made {
    /// A probe without arguments.
    pub(crate) fn plain(kind: ProbeKind) -> Self {
        Self {
            args: Arguments::default(),
            dependent: None,
            kind,
            source: None,
            python: None,
        }
    }
}

impl Offer<'static> {
    /// A probe that is in no file.
    pub(crate) fn own(desc: ProbeDesc, made: Made) -> Self {
        Self {
            key: Key {
                desc,
                place: None,
                hook: 0,
            },
            make: Box::new(|| made),
        }
    }
}
