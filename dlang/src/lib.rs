//! D text to a checked, typed program. This crate does no I/O.

mod aggregating;
pub mod ast;
pub mod check;
pub mod diag;
pub mod dump;
pub mod eval;
pub mod format;
pub mod json;
pub mod library;
pub mod names;
mod null;
pub mod parse;
pub mod print;
pub mod program;
pub mod render;
pub mod strings;
pub mod symbol;
pub mod tags;
pub mod types;
pub mod walk;

pub use check::{ArgKind, ArgTypes, CheckOptions, Matched, ProbeArgs, check, check_with};
pub use parse::{Macros, option_lines, parse};
pub use print::print;
pub use render::{RenderOptions, render};
