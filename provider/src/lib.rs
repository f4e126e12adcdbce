//! Which probes exist on this machine, and attaching eBPF programs to them.

pub mod btf;
pub mod catalog;
pub mod doctor;
pub mod error;
pub mod features;
pub mod glob;
pub mod map;
pub mod object;
mod place;
pub mod plan;
pub mod probe;
pub mod process;
mod profile;
mod remedy;
pub mod session;
pub mod synthesised;
mod sys;
pub mod usdt;

pub use python_analysis as python;
