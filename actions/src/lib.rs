//! D statements to eBPF, records, and the output.

mod agg;
mod clause;
pub mod consume;
pub mod follow;
pub mod lower;
mod plan;
pub mod record;
mod trampoline;
mod unit;
mod vtime;
