//! What it takes to walk the stack of a program that keeps no frame pointers: tables made of
//! `.eh_frame`, in a form that an eBPF program can read.
//!
//! `.eh_frame` says for each instruction how the registers of the caller are found: the *canonical
//! frame address* (CFA: what the stack pointer was before the call), the return address just below
//! it, and where the caller's `rbp` is. Here that becomes one [`Row`] for each range of instructions
//! with the same rule, sorted by address, and a [`Table`] of the rows, in which what comes again is kept once; [`rule`] has a
//! rule's bits, [`memory`] the place of all tables.
//!
//! No I/O: bytes go in, tables come out. Both the generated code and the side that fills its
//! memory go by what is said here.

mod compact;
mod eh_frame;
pub mod memory;
pub mod objects;
pub mod python;
pub mod rule;

pub use compact::Table;
pub use eh_frame::{Row, Section, ranges, rows};
