//! Whether the buffers that the options ask for hold what the program puts there at least once.
//! libdtrace refuses others when tracing is about to start.

use actions::record::{Ecb, Field, value_words};
use anyhow::{Result, bail};
use dlang::program::{AggFunc, Aggregation, Program, Scope};
use dlang::types::Type;

use crate::options::Options;

/// Refuses buffers that are too small for one record, one key of each aggregation, or one variable.
pub(crate) fn check(program: &Program, ecbs: &[Ecb], options: &Options) -> Result<()> {
    let strsize = u64::from(options.output.strsize);
    let record = ecbs.iter().map(|ecb| record_bytes(ecb, strsize)).max();
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
    let fits = record.is_none_or(|bytes| bytes <= options.bufsize)
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

/// The most bytes that a record takes.
fn record_bytes(ecb: &Ecb, strsize: u64) -> u64 {
    let is_string = |field: &&Field| matches!(field, Field::Str { .. } | Field::Object { .. });
    let strings = ecb.layout.fields.iter().filter(is_string).count();
    u64::from(ecb.layout.fixed) + strsize * u64::try_from(strings).unwrap_or(u64::MAX / strsize)
}
