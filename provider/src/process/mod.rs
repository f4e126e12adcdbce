//! Processes: the one that a command line starts, the one that `-p` names, and all the others.
//!
//! A command is started stopped ([`launch`]) and followed through its execs until the program that
//! is to be traced is ready to run; a process that already runs is never stopped
//! ([`Running::attach`]). What a process consists of is read from `/proc` ([`files`]).

pub mod command;
pub mod confined;
mod family;
pub mod files;
mod future;
pub mod launch;
pub mod mapped;
mod membership;
pub(crate) mod reports;
pub mod running;
pub(crate) mod same;
pub mod tree;

pub use command::split_command;
pub use future::may_run_other_files;
pub use launch::{Image, Stopped, launch_stopped};
pub use mapped::{Mapped, MappingWatch, Whose};
pub use membership::Membership;
pub use running::{Exit, Running};
