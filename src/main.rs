//! The `rdtrace` command.
fn main() {}
