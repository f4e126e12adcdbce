//! D text to a checked, typed program. This crate does no I/O.

pub mod diag;
pub mod eval;
pub mod format;
pub mod program;
pub mod strings;
pub mod tags;
pub mod types;
