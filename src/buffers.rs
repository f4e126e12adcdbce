//! Whether the buffers that the options ask for hold what the program puts there at least once.
//! libdtrace refuses others when tracing is about to start.

use actions::record::{Ecb, Field, OutputKind, value_words};
use anyhow::{Result, bail};
use dlang::program::{AggFunc, Aggregation, Program, Scope};
use dlang::types::Type;

use crate::options::Options;

/// Refuses buffers that are too small for one record, one key of each aggregation, or one variable.
pub(crate) fn check(program: &Program, ecbs: &[Ecb], options: &Options) -> Result<()> {
    let record = ecbs
        .iter()
        .map(|ecb| record_bytes(ecb, options.output.strsize));
    let record = record.fold(LEAST_RECORD, u64::max) + EVENT_HEADER;
    let key = aggregated_bytes(program, options.output.strsize);
    let variables = program.variables.iter().filter_map(|variable| {
        let dynamic = variable.key.is_some() || variable.scope == Scope::ThreadLocal;
        let key = variable.key.iter().flatten();
        let parts = key.chain([&variable.ty]);
        dynamic.then(|| -> u64 {
            parts
                .map(|ty| u64::from(ty.size(options.output.strsize)))
                .sum()
        })
    });
    let fits = record <= options.bufsize
        && options.aggsize.is_none_or(|size| key <= size)
        && variables
            .max()
            .is_none_or(|bytes| bytes <= options.dynvarsize);
    if !fits {
        bail!("could not enable tracing: Enabling exceeds size of buffer");
    }
    Ok(())
}

/// The bytes that `aggsize` counts for each key of the program's aggregations: as in libdtrace those of
/// the largest key, with its aggregation's number before it, and of the largest value, which is
/// kept between two words.
pub(crate) fn aggregated_bytes(program: &Program, strsize: u32) -> u64 {
    let key = |aggregation: &Aggregation| {
        aggregation.key.iter().fold(4, |used: u64, ty| {
            if *ty == Type::String {
                return used + u64::from(strsize) + 1;
            }
            let align = u64::from(ty.align().max(1));
            used.next_multiple_of(align) + u64::from(ty.size(strsize))
        })
    };
    let value = |aggregation: &Aggregation| {
        let words = match aggregation.func {
            AggFunc::Count | AggFunc::Sum | AggFunc::Min | AggFunc::Max => 1,
            AggFunc::Avg => 2,
            AggFunc::Stddev => 4,
            AggFunc::Quantize => 127,
            AggFunc::Lquantize { low, high, step } => {
                u64::from(high.abs_diff(low)) / u64::from(step.max(1)) + 2
            }
            AggFunc::Llquantize { .. } => u64::from(value_words(aggregation.func)),
        };
        16 + 8 * words
    };
    let all = &program.aggregations;
    let most_of = |bytes: &dyn Fn(&Aggregation) -> u64| all.iter().map(bytes).max().unwrap_or(0);
    most_of(&key) + most_of(&value)
}

/// What libdtrace rounds the size of the principal buffer up to, if it does: a power of two and whole pages.
pub(crate) fn increased_bufsize(bufsize: u64) -> Option<u64> {
    let increased = bufsize.max(PAGE).checked_next_power_of_two()?;
    (increased != bufsize).then_some(increased)
}

const PAGE: u64 = 4096;

/// What each record has before its values in libdtrace: the clause's id and its like.
const RECORD_HEADER: u64 = 16;

/// What the kernel adds to each record in libdtrace's buffers.
const EVENT_HEADER: u64 = 8;

/// The largest record that libdtrace enables by itself: that of a fault, five words.
const LEAST_RECORD: u64 = RECORD_HEADER + 5 * 8;

/// The most bytes that a record of ours takes, or that libdtrace's takes, whichever are more: ours has no constants.
fn record_bytes(ecb: &Ecb, strsize: u32) -> u64 {
    let is_string = |field: &&Field| matches!(field, Field::Str { .. } | Field::Object { .. });
    let strings = ecb.layout.fields.iter().filter(is_string).count();
    let ours = u64::from(ecb.layout.fixed)
        + u64::from(strsize) * u64::try_from(strings).unwrap_or(u64::from(u32::MAX));
    let mut theirs = RECORD_HEADER;
    for output in &ecb.layout.outputs {
        match &output.kind {
            OutputKind::Trace(value) | OutputKind::Print { memory: value, .. } => {
                add_value(&mut theirs, &value.ty, strsize);
            }
            OutputKind::Tracemem(value, shown) => {
                let values = [Some(value), shown.as_ref()];
                for value in values.into_iter().flatten() {
                    add_value(&mut theirs, &value.ty, strsize);
                }
            }
            OutputKind::Printf(_, values)
            | OutputKind::System(_, values)
            | OutputKind::Freopen(_, values) => {
                for value in values {
                    add_value(&mut theirs, &value.ty, strsize);
                }
            }
            OutputKind::Exit => add_value(&mut theirs, &Type::INT, strsize),
            OutputKind::Printa(..)
            | OutputKind::Clear(_)
            | OutputKind::Trunc(..)
            | OutputKind::Normalize(..)
            | OutputKind::Denormalize(_)
            | OutputKind::Speculate(_)
            | OutputKind::Commit(_)
            | OutputKind::Discard(_)
            | OutputKind::Ftruncate
            | OutputKind::Setopt(..)
            | OutputKind::Silent => {}
        }
    }
    ours.max(theirs.next_multiple_of(8))
}

/// Adds a value to a record of `used` bytes, where its type lets it begin.
fn add_value(used: &mut u64, ty: &Type, strsize: u32) {
    let align = u64::from(ty.align().max(1));
    *used = used.next_multiple_of(align) + u64::from(ty.size(strsize));
}
