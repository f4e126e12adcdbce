//! The consumer: from the records that the probes write to the bytes that DTrace prints.
//!
//! [`Consumer`] does it for one record after another, in memory and without a system call but for
//! reading aggregations; [`pipeline`] runs it on a thread of its own, behind another that drains
//! the ring buffer.
//!
//! What there is to show it hands as events to an output ([`event`]), of which DTrace's text is one
//! ([`output`]). Output goes to a buffer of the caller. What else there is to do, messages for standard
//! error and what `system` and `freopen` ask for, is collected apart, each with the place in the output
//! that it belongs at, so that all of it happens in order ([`Effect`]).

mod aggregate;
mod consumer;
mod convert;
mod decode;
mod default;
mod drops;
mod effect;
mod event;
mod fault;
mod flow;
mod format;
mod names;
mod object;
mod options;
pub mod otlp;
mod output;
pub mod pipeline;
mod planned;
mod printf;
mod python;
pub mod snapshot;
mod speculation;
mod stats;
mod sys;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use self::aggregate::{AggregationMaps, Drawing, Letters, SortOptions};
pub use self::consumer::{Consumer, SetOption};
pub use self::drops::DropCounts;
pub use self::effect::{Effect, EffectKind, Outcome};
pub use self::format::OutputFormat;
pub use self::names::Names;
pub use self::options::OutputOptions;
pub use self::output::difference;
pub use self::stats::ConsumerStats;
