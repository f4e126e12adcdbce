//! Which probes exist on this machine, and attaching eBPF programs to them.

pub mod object;
pub mod probe;
