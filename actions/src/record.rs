//! What a record looks like, chosen once by `lower` and used by both sides: the generated code
//! stores by it, the consumer decodes by it.
//!
//! A record is what one ECB writes in one firing:
//!
//! ```text
//!      0        4        8              heap             end
//!      +--------+--------+---------------+----------------+
//!      |  epid  |  cpu   | fixed fields  | strings        |
//!      |  u32   |  u32   | naturally     | NUL-terminated,|
//!      |        |        | aligned       | back to back   |
//!      +--------+--------+---------------+----------------+
//! ```
//!
//! A string field in the fixed part is a `u32` offset from the start of the record and a `u32`
//! length without the NUL. The heap may hold strings of the same firing that this record does not
//! name: clauses share what they read. Nothing constant travels (probe names, literals, formats):
//! the consumer knows them from the EPID.
//!
//! EPIDs from [`FIRST_SPECIAL_EPID`] up mark the kernel side's own records.

use std::ops::Range;
use std::sync::Arc;

use dlang::format::Format;
use dlang::program::{AggFunc, AggId, Expr};
use dlang::types::{Int, Type};
use provider::object::MapId;

/// An enabled probe's id: one clause on one probe. Counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epid(pub u32);

/// EPIDs from here on are not ECBs.
pub const FIRST_SPECIAL_EPID: u32 = 0xffff_ff00;

/// A fault record: `{ u32 FAULT_EPID, u32 cpu, u32 epid, u32 kind, u64 pc, u64 address }`, in 32
/// bytes; `kind` is a [`Fault`] and `pc` the index of the faulting instruction.
pub const FAULT_EPID: u32 = 0xffff_ff01;

/// Not from the kernel side: the drain thread's mark that BEGIN's firing is over, a header alone.
pub const BEGUN_EPID: u32 = 0xffff_ff02;

/// Not from the kernel side: the drain thread's mark that `exit()` has run, a header alone.
pub const EXIT_EPID: u32 = 0xffff_ff03;

/// Bytes of the header that every record starts with: EPID and CPU.
pub const HEADER_SIZE: u32 = 8;

pub use predicates::emit::Fault;

/// One clause on one probe, as the consumer knows it.
#[derive(Clone, Debug)]
pub struct Ecb {
    /// Its id.
    pub epid: Epid,
    /// The probe, for the default format and `probename` and its like.
    pub probe: Arc<provider::probe::Probe>,
    /// Which clause of the program.
    pub clause: usize,
    /// The layout of its records.
    pub layout: RecordLayout,
}

/// How to decode and show the records of one ECB.
#[derive(Clone, Debug, Default)]
pub struct RecordLayout {
    /// Size of header and fixed fields: where the heap starts.
    pub fixed: u32,
    /// The recorded values; [`dlang::program::ExprKind::Recorded`] is an index into this.
    pub fields: Vec<Field>,
    /// What to do, in program order.
    pub outputs: Vec<Output>,
    /// The field with the thread's id, present when the run shows flow (`-F`), or the output shows
    /// where a record comes from.
    pub thread: Option<u16>,
    /// The field with the process's id, present when the output shows where a record comes from.
    pub process: Option<u16>,
    /// The field with the firing's `timestamp`, present when the clause does something with an
    /// aggregation (what one firing prints and clears must be the same), or the output shows it.
    pub time: Option<u16>,
    /// The name of the running task of asyncio, an expression over the fields, present when the output has a track for each.
    pub task: Option<Expr>,
    /// The aggregations that the clauses on this probe add to.
    pub adds: Vec<AggId>,
    /// Whether flow indentation takes this record as an entry, a return, or neither.
    pub flow: Flow,
    /// What `-F` prints for this probe in the place of the function, when the provider says more
    /// than `probefunc`: an expression over the fields.
    pub flow_name: Option<Expr>,
}

/// A recorded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// An integer in native byte order.
    Int {
        /// Offset in the record, a multiple of its size.
        offset: u32,
        /// Width and sign.
        int: Int,
    },
    /// A string: two `u32`, its offset in the record and its length.
    Str {
        /// Offset of the pair in the record, a multiple of 4.
        offset: u32,
    },
    /// A Python object: two `u32`, the offset in the record of what was read of it and how many bytes.
    /// Its text is made when the record is read.
    Object {
        /// Offset of the pair in the record, a multiple of 4.
        offset: u32,
    },
    /// A struct or union, in the fixed part.
    Bytes {
        /// Offset in the record.
        offset: u32,
        /// How many.
        len: u32,
    },
}

/// How `-F` indents around a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Neither entry nor return: `| `.
    #[default]
    None,
    /// An entry: `-> `.
    Entry,
    /// A return: `<- `.
    Return,
}

/// One action of a clause, as the consumer does it.
#[derive(Clone, Debug)]
pub struct Output {
    /// A condition of the clause under which the action ran: a field that must not be zero.
    pub guard: Option<u16>,
    /// The action.
    pub kind: OutputKind,
}

/// What the consumer does for an action. Every [`Expr`] here computes from constants,
/// [`ExprKind::Recorded`](dlang::program::ExprKind::Recorded) fields and the built-ins that the
/// ECB knows (`probename`, `epid`, ...).
#[derive(Clone, Debug)]
pub enum OutputKind {
    /// `trace(e)`, shown by the type of `e`.
    Trace(Expr),
    /// `printf`.
    Printf(Arc<Format>, Vec<Expr>),
    /// `printa`.
    Printa(Option<Arc<Format>>, Vec<AggId>),
    /// `exit(e)`, which shows nothing; the status comes by another way.
    Exit,
    /// `clear(@a)`.
    Clear(AggId),
    /// `trunc(@a[, n])`.
    Trunc(AggId, Option<Expr>),
    /// `normalize(@a, n)`.
    Normalize(AggId, Expr),
    /// `denormalize(@a)`.
    Denormalize(AggId),
    /// `tracemem`: the memory, and how much of it shows.
    Tracemem(Expr, Option<Expr>),
    /// `print`.
    Print {
        /// The address.
        address: Expr,
        /// The memory there, or the first part of it.
        memory: Expr,
        /// The type of what is there.
        ty: Arc<Type>,
    },
    /// `speculate(id)`.
    Speculate(Speculation),
    /// `commit(id)`.
    Commit(Speculation),
    /// `discard(id)`.
    Discard(Speculation),
    /// `system`: the command.
    System(Arc<Format>, Vec<Expr>),
    /// `freopen`: the file, or none for the output that there was at first.
    Freopen(Option<Arc<Format>>, Vec<Expr>),
    /// `ftruncate()`.
    Ftruncate,
    /// `setopt(name[, value])`.
    Setopt(Expr, Option<Expr>),
    /// `raise(signal)` and its like, which the kernel side has done.
    Silent,
}

/// The fields that say which speculation is meant. Both are 0 if none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speculation {
    /// Its number, from 1.
    pub number: u16,
    /// Its state, which no earlier one with that number had.
    pub state: u16,
}

/// Where an aggregation's data is and how to read it.
///
/// A key is its integers, 8 bytes each in tuple order and canonical for their types, then its
/// strings back to back in tuple order, each with its NUL, then zeros to the size of the map's
/// key. The same tuple always lands in the same map: the one with the smallest key that holds
/// it. An unkeyed aggregation is entry 0 of a per-CPU array.
///
/// A `min` or `max` that the program clears or truncates has an *epoch*, a number that the consumer
/// counts up and the probes read. Its remainder by [`EPOCH_SLOTS`], its *slot*, is in the key
/// ([`KeySelector`]); an unkeyed aggregation has an entry for each slot.
///
/// A value, per CPU, is `u64` words:
///
/// ```text
/// count      hits
/// sum        hits, sum
/// min, max   hits, value ^ mask          with the mask from [`extreme_mask`]
/// avg        hits, sum
/// stddev     hits, sum, sum of squares (low), (high)
/// quantize   hits, 127 buckets: value < 0 ... 0 ... > 0, as libdtrace's DTRACE_QUANTIZE_*
/// lquantize  hits, below, (high - low) / step buckets, above
/// llquantize hits, <= -end, n negative buckets (largest magnitude first), |v| < factor^low,
///            n positive buckets (ascending), >= end      with n and the bounds from
///            [`llquantize_bounds`], end = factor^(high + 1)
/// ```
///
/// `hits` counts the updates (for the quantizing functions too, whatever the increment). A
/// record with no hits on any CPU does not exist.
#[derive(Clone, Debug)]
pub struct AggregationLayout {
    /// Its id.
    pub id: AggId,
    /// The name without `@`; `_` for the anonymous one.
    pub name: String,
    /// The function.
    pub func: AggFunc,
    /// The key's types in tuple order.
    pub key: Vec<Type>,
    /// The maps that hold it, by ascending key size.
    pub maps: Vec<MapId>,
    /// The words of one CPU's value in the maps: those of the function, and some to spare.
    pub stride: u32,
    /// What tells its keys from others in its maps, if those are shared or it has epochs.
    pub selector: Option<KeySelector>,
}

/// The first integer of a key, or the index of an unkeyed aggregation: `base`, plus the slot of the
/// epoch if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySelector {
    /// No other aggregation in the map has this one, nor the next [`EPOCH_SLOTS`] if there is an epoch.
    pub base: u32,
    /// Where the probes read the epoch.
    pub epoch: Option<EpochPlace>,
}

impl KeySelector {
    /// The numbers that are its own.
    #[must_use]
    pub fn range(self) -> Range<u32> {
        let slots = if self.epoch.is_some() { EPOCH_SLOTS } else { 1 };
        self.base..self.base.saturating_add(slots)
    }
}

/// The place of an epoch: a `u64` in the one value of an array map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochPlace {
    /// The map.
    pub map: MapId,
    /// The offset in its value.
    pub offset: u32,
}

/// How many epochs of an aggregation may be in its map at the same time; a power of two.
pub const EPOCH_SLOTS: u32 = 8;

/// What a minimum or maximum is exclusive-ored with in its map, so that the better of two is the
/// larger unsigned word and 0, which a fresh entry holds, is the value of no hits.
#[must_use]
pub fn extreme_mask(func: AggFunc) -> i64 {
    if func == AggFunc::Min {
        i64::MAX
    } else {
        i64::MIN
    }
}

/// Words in one CPU's value of an aggregation.
#[must_use]
pub fn value_words(func: AggFunc) -> u32 {
    match func {
        AggFunc::Count => 1,
        AggFunc::Sum | AggFunc::Min | AggFunc::Max | AggFunc::Avg => 2,
        AggFunc::Stddev => 4,
        AggFunc::Quantize => 128,
        AggFunc::Lquantize { low, high, step } => 3 + high.abs_diff(low) / u32::from(step).max(1),
        AggFunc::Llquantize {
            factor,
            low,
            high,
            steps,
        } => 4 + 2 * llquantize_buckets(factor, low, high, steps),
    }
}

/// Positive buckets of an `llquantize`; there are as many negative ones.
#[must_use]
pub fn llquantize_buckets(factor: u16, low: u16, high: u16, steps: u16) -> u32 {
    u32::try_from(llquantize_bounds(factor, low, high, steps).len()).unwrap_or(u32::MAX)
}

/// A magnitude of an `llquantize`: from `factor^order` to `factor^(order + 1)`, cut at the
/// multiples of `width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Magnitude {
    /// The least value.
    pub start: u64,
    /// The least value of the next magnitude.
    pub end: u64,
    /// `end` divided by the steps, or 1 when it has fewer integers than steps.
    pub width: u64,
}

/// The magnitudes of an `llquantize`, ascending, as DTrace 2.0 has them. Those beyond 63 bits are
/// left out.
pub fn llquantize_magnitudes(
    factor: u16,
    low: u16,
    high: u16,
    steps: u16,
) -> impl Iterator<Item = Magnitude> {
    let factor = u64::from(factor.max(2));
    let steps = u64::from(steps.max(1));
    (u32::from(low)..=u32::from(high)).map_while(move |order| {
        let start = factor.checked_pow(order)?;
        let end = start
            .checked_mul(factor)
            .filter(|end| i64::try_from(*end).is_ok())?;
        let width = (end / steps).max(1);
        Some(Magnitude { start, end, width })
    })
}

/// The lower bounds of an `llquantize`'s positive buckets, ascending. A value `v` of the bucket
/// with bound `b` has `b <= v`; the negative buckets mirror them (`v <= -b`), so that `-b` is the
/// bound printed.
#[must_use]
pub fn llquantize_bounds(factor: u16, low: u16, high: u16, steps: u16) -> Vec<u64> {
    let mut bounds = Vec::new();
    for magnitude in llquantize_magnitudes(factor, low, high, steps) {
        let mut bound = magnitude.start;
        while bound < magnitude.end {
            bounds.push(bound);
            bound = (bound / magnitude.width + 1) * magnitude.width;
        }
    }
    bounds
}
