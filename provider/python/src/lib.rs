//! Any CPython, from outside: where its functions start and end, found in the file alone.
//!
//! Few builds of CPython carry the USDT probes `function-entry` and `function-return`. This
//! crate finds, in the ELF file of an interpreter from 3.6 to 3.15 for x86-64, the instructions
//! that play their part, and says what is in the registers there, so that eBPF on plain uprobes
//! can report the same events with the same arguments. It needs no symbols but the dynamic ones,
//! no debug information, and no help from the process. `docs/python.md` explains the method.
//!
//! The analysis is pure: bytes in, [`Build`] out, or a [`Refusal`] that says in plain words why
//! this build cannot be traced so. It prefers to refuse: each step has a check that a build it
//! does not understand fails.

mod analyse;
mod asyncio;
mod audit;
mod awaiting;
mod build;
pub mod cache;
mod called;
mod calls;
mod caught;
mod cfunctions;
mod code;
mod describe;
mod entries;
mod eval_code;
mod event;
mod exceptions;
mod exclusive;
mod finder;
mod flow;
mod frames;
mod free_threaded;
mod gc;
mod gil;
mod greenlets;
mod handlers;
mod headers;
mod identify;
mod image;
mod import;
mod import_method;
pub mod lines;
pub mod objects;
pub mod offsets;
pub mod opcodes;
mod published;
mod references;
mod refusal;
mod register;
mod returned;
mod site;
mod store;
mod sys_audit;
mod table;
mod unwind;
mod version;
mod vote;

pub use self::analyse::analyse;
pub use self::asyncio::{RunningLoop, RunningTask};
pub use self::audit::{AuditSite, Audits};
pub use self::awaiting::Awaiting;
pub use self::build::{Build, Method, Place};
pub use self::caught::{Caught, CaughtSite};
pub use self::cfunctions::{CallSite, Cfunctions, ReturnSite};
pub use self::code::Emulated;
pub use self::entries::{EntrySite, FlagTest};
pub use self::eval_code::EvalCode;
pub use self::event::PythonEvent;
pub use self::frames::{Frames, ThreadStates, frames, frames_of};
pub use self::gc::Collector;
pub use self::gil::{Gil, GilSite};
pub use self::greenlets::{Greenlets, greenlets_of};
pub use self::headers::offsets_of;
pub use self::import::{ImportSite, Imports};
pub use self::objects::{NoObjects, Objects, objects_in};
pub use self::refusal::Refusal;
pub use self::register::Register;
pub use self::returned::Returned;
pub use self::site::{Condition, Event, Execution, InstructionPointer, Location, Site};
pub use self::sys_audit::NoHookSite;
pub use self::version::Version;

#[cfg(any(test, feature = "recorded"))]
pub mod recorded;
#[cfg(test)]
mod tests;
