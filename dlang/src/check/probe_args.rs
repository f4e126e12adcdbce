//! What `check` asks about probes: the types of `args[]`.

use std::fmt;

use crate::program::ProbeDesc;
use crate::types::Type;

/// What is known of the probes that a program describes.
pub trait ProbeArgs: fmt::Debug {
    /// What a description matches.
    fn matched(&self, desc: &ProbeDesc) -> Matched;

    /// Hears that a clause names an `args[n]` of probes of which nothing is known yet.
    fn guessed(&self) {}
}

/// What a description matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// Nothing, and that is an error.
    Nothing,
    /// Nothing that is known yet: each argument is an `int64_t` until it is.
    NothingYet,
    /// Probes of these kinds, the first probe's first.
    Kinds(Vec<ArgKind>),
}

/// The types of `args[]`, which some probes have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgKind {
    /// The types, that of `args[0]` first.
    pub types: Vec<Type>,
    /// One of the probes, which messages name.
    pub probe: ProbeDesc,
}

/// Nothing is known about any probe.
#[derive(Clone, Copy, Debug)]
pub struct UnknownArgs;

impl ProbeArgs for UnknownArgs {
    fn matched(&self, _desc: &ProbeDesc) -> Matched {
        Matched::NothingYet
    }
}
