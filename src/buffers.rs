//! Whether the buffers that the options ask for hold what the program puts there at least once.
//! libdtrace refuses others when tracing is about to start.

use actions::record::{Ecb, Field, value_words};
use anyhow::{Result, bail};
use dlang::program::{Program, Scope};

use crate::options::Options;

/// Refuses buffers that are too small for one record, one key of each aggregation, or one variable.
pub(crate) fn check(program: &Program, ecbs: &[Ecb], options: &Options) -> Result<()> {
    let strsize = u64::from(options.output.strsize);
    let record = ecbs.iter().map(|ecb| record_bytes(ecb, strsize)).max();
    let keys = program.aggregations.iter().map(|aggregation| {
        let key = aggregation.key.iter();
        let key: u64 = key
            .map(|ty| u64::from(ty.size(options.output.strsize)))
            .sum();
        key + 8 * u64::from(value_words(aggregation.func))
    });
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
        && options.aggsize.is_none_or(|size| keys.sum::<u64>() <= size)
        && variables
            .max()
            .is_none_or(|bytes| bytes <= options.dynvarsize);
    if !fits {
        bail!("could not enable tracing: Enabling exceeds size of buffer");
    }
    Ok(())
}

/// The most bytes that a record takes.
fn record_bytes(ecb: &Ecb, strsize: u64) -> u64 {
    let is_string = |field: &&Field| matches!(field, Field::Str { .. } | Field::Object { .. });
    let strings = ecb.layout.fields.iter().filter(is_string).count();
    u64::from(ecb.layout.fixed) + strsize * u64::try_from(strings).unwrap_or(u64::MAX / strsize)
}
