//! End-to-end tests: the `rdtrace` command on real processes and the real kernel.
//!
//! Most need root and Debian's `/usr/bin/python3`. A test that cannot run says why on standard
//! error, adds that line to the file `skipped` in `target/tmp`, and
//! passes; `.ci/run` fails if root was missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod aggregations;
mod bad_input;
mod command;
mod computed;
mod examples;
mod followfork;
mod golden;
mod harness;
mod header;
mod installed;
mod json;
mod kernel;
mod late;
mod loaded;
mod mixed;
mod one_cpu;
mod otlp;
mod outputs;
mod pages;
mod parts;
mod python;
mod replaced;
mod returns;
mod stacks;
mod stress;
mod stripped;
mod top;
mod tracks;
