//! D statements to eBPF, records, and the output.

pub mod active_frames;
mod agg;
mod clause;
mod compiler;
pub mod consume;
mod contention;
mod exit;
mod faults;
mod flow;
pub mod follow;
pub mod frames;
pub mod lower;
mod maps;
mod one_cpu;
mod options;
mod parts;
mod pieces;
mod plan;
mod program;
pub mod python_code;
pub mod record;
mod ring;
mod tables;
mod trampoline;
mod unit;
mod vtime;
mod watcher;
