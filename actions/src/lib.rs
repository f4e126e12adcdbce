//! D statements to eBPF, records, and the output.

pub mod record;
