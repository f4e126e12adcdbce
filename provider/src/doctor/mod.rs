//! Why a description matches nothing, for people: which process or file was looked at, which
//! interpreter it runs and how that was built, which probes it does have, and what to do instead.
//!
//! [`diagnose()`] is asked after the fact, and looks again: what it tells is of the machine as it is
//! then. It goes by the description's provider: `diagnose` answers what cannot be a process's provider,
//! `process` looks at one process, `everywhere` at all of them, and both end in `missing` where the
//! provider is there but not the probe. Before anything is wrong, [`machine()`] says what can be traced here and
//! [`running`] which interpreters there are. Why an interpreter lacks a probe, its provider knows.

mod diagnose;
mod everywhere;
mod interpreters;
mod machine;
mod missing;
mod process;
mod untraceable;

pub use self::diagnose::{diagnose, never};
pub use self::interpreters::{Running, running};
pub use self::machine::{Finding, State, machine};
pub use self::untraceable::{Untraceable, lacking, untraceable};
pub use crate::diagnosis::Diagnosis;
