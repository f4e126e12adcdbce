//! Which probes exist on this machine, and attaching eBPF programs to them.

pub mod addition;
pub mod addresses;
pub mod btf;
mod c_type;
pub mod catalog;
mod diagnosis;
pub mod doctor;
pub mod error;
pub mod features;
pub mod glob;
pub mod interpreters;
mod kallsyms;
pub mod kernel_types;
mod kprobes;
pub mod lack;
pub mod limits;
pub mod map;
pub mod object;
mod place;
pub mod plan;
pub mod probe;
pub mod process;
mod providers;
pub mod python_objects;
pub mod rejection;
mod remedy;
pub mod session;
mod spelling;
pub mod synthesised;
mod sys;
pub mod text;
mod traceable;
mod tracefs;
pub mod usdt;

pub use python_analysis as python;
