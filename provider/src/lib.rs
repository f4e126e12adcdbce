//! Which probes exist on this machine, and attaching eBPF programs to them.

pub mod btf;
pub mod catalog;
pub mod doctor;
pub mod error;
pub mod features;
pub mod glob;
pub mod map;
pub mod object;
pub mod plan;
pub mod probe;
pub mod process;
mod profile;
pub mod python;
mod remedy;
pub mod session;
mod synthesised;
mod sys;
pub mod usdt;
