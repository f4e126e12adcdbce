//! Which probes exist on this machine, and attaching eBPF programs to them.

pub mod catalog;
pub mod doctor;
pub mod error;
pub mod features;
pub mod glob;
pub mod map;
pub mod object;
pub mod plan;
pub mod probe;
mod remedy;
pub mod process;
mod profile;
pub mod python;
pub mod session;
mod sys;
pub mod usdt;
