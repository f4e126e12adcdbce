//! Which probes exist on this machine, and attaching eBPF programs to them.

pub mod error;
pub mod features;
pub mod map;
pub mod object;
pub mod plan;
pub mod probe;
mod remedy;
pub mod session;
mod sys;
