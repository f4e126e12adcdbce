//! Events: what a run has to say, before anybody has decided how it is shown.
//!
//! The consumer decodes records and does what the program says to aggregations; what there is to
//! show it hands to an [`Output`], one call for each event, in the order in which they happened:
//!
//! ```text
//! begin_record    a clause has run: which probe, on which CPU, in which thread, when
//!   data          what one of its actions shows, any number of times
//! end_record
//! cleared         an aggregation has been emptied
//! fault, drops    what went wrong, between records
//! looks_on        whether aggregations are wanted as they are
//!   now           one of them
//! before_write    what has been shown is about to be written
//! interrupted     Ctrl-C
//! finish          no more records
//! unprinted       an aggregation that the program has not printed, any number of times
//! end             the run is over
//! ```
//!
//! Values are borrowed from the record, and nothing is formatted or allocated for them here: an
//! output pays only for what it shows.

use std::fmt;

use dlang::eval::{EvalError, Value};
use dlang::program::{AggId, Expr, Program};
use dlang::types::Type;

use super::aggregate::{self, Table};
use super::decode::Record;
use super::fault::Fault;
use super::options::OutputOptions;
use super::printf;
use super::stats::ConsumerStats;

/// Where events go. All that is written goes to the end of `out`; when a record turns out to be
/// corrupt, what its events have written is taken back, and [`Output::end_record`] does not come.
///
/// An output says nothing to events that it has no use for.
pub(super) trait Output: fmt::Debug + Send {
    /// The program whose events come. Probes that come later are of the same program.
    fn expect(&mut self, _program: &Program) {}

    /// The first record is about to come.
    fn before_records(&mut self, _out: &mut Vec<u8>) {}

    /// A record begins.
    fn begin_record(&mut self, _record: &Record<'_>, _out: &mut Vec<u8>) {}

    /// An action of the record shows something.
    ///
    /// # Errors
    ///
    /// When a value cannot be computed from the record.
    fn data(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError>;

    /// All actions of the record are done.
    fn end_record(&mut self, _record: &Record<'_>, _out: &mut Vec<u8>) {}

    /// An aggregation has been emptied, by `clear()` or `trunc()`.
    fn cleared(&mut self, _id: AggId) {}

    /// A clause was ended by a fault. Its message goes to standard error besides.
    fn fault(&mut self, _fault: &Fault<'_>, _out: &mut Vec<u8>) {}

    /// The program has set options.
    fn set_options(&mut self, _options: &OutputOptions) {}

    /// Something was lost. Its message goes to standard error besides.
    fn drops(&mut self, _drops: &Drops, _out: &mut Vec<u8>) {}

    /// Ctrl-C ends the run.
    fn interrupted(&mut self, _out: &mut Vec<u8>) {}

    /// Whether the aggregations are wanted as they are now: asked before what has been shown is written,
    /// which is the case at least once a second.
    fn looks_on(&mut self) -> bool {
        false
    }

    /// An aggregation as it is now.
    fn now(&mut self, _table: &Table<'_>, _out: &mut Vec<u8>) {}

    /// What has been shown is about to be written.
    fn before_write(&mut self, _out: &mut Vec<u8>) {}

    /// There are no more records.
    fn finish(&mut self, _out: &mut Vec<u8>) {}

    /// An aggregation that the program has not printed itself.
    fn unprinted(&mut self, table: &Table<'_>, out: &mut Vec<u8>);

    /// The run is over.
    fn end(&mut self, _stats: ConsumerStats, _out: &mut Vec<u8>) {}

    /// What there is to say about it, for people, when it is complete.
    fn advice(&self) -> Option<&'static str> {
        None
    }

    /// How it is made complete where it takes no more; `None` if it is complete at any time.
    fn closing(&self) -> Option<Closing> {
        None
    }
}

/// What makes an output complete that ends early: what has been written up to a separator, and then the
/// text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    /// What separates the elements.
    pub(super) between: &'static [u8],
    /// What stands behind the last.
    pub(super) text: &'static [u8],
}

/// What one action shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Data<'e> {
    /// `trace()`: a value.
    Trace {
        /// The value.
        value: &'e Value<'e>,
        /// Its type.
        ty: &'e Type,
    },
    /// `tracemem()`: memory, as much of it as shows.
    Tracemem(&'e [u8]),
    /// `print()`: what is at an address.
    Print(Object<'e>),
    /// `printf()`.
    Printf {
        /// What computes the values, those of `*` among them.
        args: &'e [Expr],
        /// The format, ready to be filled in.
        plan: &'e printf::Plan,
    },
    /// `printa()`: the aggregations as they are now.
    Printa {
        /// The format, if there is one.
        plan: Option<&'e aggregate::Plan>,
        /// Keys and values.
        table: &'e Table<'e>,
    },
}

/// What is at an address, and of which type it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'e> {
    /// The address.
    pub(super) address: u64,
    /// What was read from there: all of it, or the first part.
    pub(super) memory: &'e [u8],
    /// The type of the whole.
    pub(super) ty: &'e Type,
}

/// Something that was lost for lack of room, or left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drops {
    /// What kind, as `-x droptags` shows it.
    pub(super) tag: &'static str,
    /// One of what was lost, in words.
    pub(super) what: &'static str,
    /// How many since the last report.
    pub(super) count: u64,
    /// The CPU, for what is counted by CPU.
    pub(super) cpu: Option<usize>,
}
