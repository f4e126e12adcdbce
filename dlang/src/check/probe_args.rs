//! What `check` asks about probes: the types of `args[]`.

use std::fmt;
use std::sync::Arc;

use crate::program::{Dependent, ProbeDesc};
use crate::types::Type;

/// What is known of the probes that a program describes.
pub trait ProbeArgs: fmt::Debug {
    /// What a description matches.
    fn matched(&self, desc: &ProbeDesc) -> Matched;

    /// Hears that a clause names an `args[n]` of probes of which nothing is known yet.
    fn guessed(&self) {}
}

/// What a description matches.
#[derive(Clone, Debug)]
pub enum Matched {
    /// Nothing, and that is an error.
    Nothing,
    /// Nothing that is known yet: each argument is an `int64_t` until it is.
    NothingYet,
    /// Probes of these kinds, the first probe's first.
    Kinds(Vec<ArgKind>),
}

/// The types of `args[]`, which some probes have in common.
#[derive(Clone, Debug)]
pub struct ArgKind {
    /// The types, that of `args[0]` first; of dependent probes those of the underlying one.
    pub types: ArgTypes,
    /// How the probes depend on another one, if they do.
    pub dependent: Option<Dependent>,
    /// One of the probes, which messages name.
    pub probe: ProbeDesc,
}

/// The types of a probe's arguments.
#[derive(Clone)]
pub enum ArgTypes {
    /// They are known.
    Known(Vec<Type>),
    /// To know them takes a look at the machine, which is made if a clause names an argument.
    Later(Arc<dyn Fn() -> Vec<Type> + Send + Sync>),
}

impl ArgTypes {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Type> {
        match self {
            Self::Known(types) => types.clone(),
            Self::Later(find) => find(),
        }
    }
}

impl fmt::Debug for ArgTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(types) => types.fmt(f),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// Nothing is known about any probe.
#[derive(Clone, Copy, Debug)]
pub struct UnknownArgs;

impl ProbeArgs for UnknownArgs {
    fn matched(&self, _desc: &ProbeDesc) -> Matched {
        Matched::NothingYet
    }
}
