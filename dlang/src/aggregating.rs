//! The aggregating functions by name.

/// The aggregating functions; [`crate::program::AggFunc`] has their parameters as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the functions' names")]
pub enum AggregatingName {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Stddev,
    Quantize,
    Lquantize,
    Llquantize,
}

/// The name of an aggregating function in D.
#[must_use]
pub const fn aggregating_name(function: AggregatingName) -> &'static str {
    match function {
        AggregatingName::Avg => "avg",
        AggregatingName::Count => "count",
        AggregatingName::Llquantize => "llquantize",
        AggregatingName::Lquantize => "lquantize",
        AggregatingName::Max => "max",
        AggregatingName::Min => "min",
        AggregatingName::Quantize => "quantize",
        AggregatingName::Stddev => "stddev",
        AggregatingName::Sum => "sum",
    }
}
