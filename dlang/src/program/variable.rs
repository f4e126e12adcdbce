//! What a program has declared, or uses for the first time: variables and aggregations.

use crate::aggregating::{AggregatingName, aggregating_name};
use crate::diag::Span;
use crate::types::Type;

/// Index into [`Program::variables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VarId(pub u32);

/// Index into [`Program::aggregations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AggId(pub u32);

/// A variable, scalar or associative array, of any scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name without `self->`, `this->` or `task->`.
    pub name: String,
    /// Where it lives.
    pub scope: Scope,
    /// The type of the value (of an element, for an associative array).
    pub ty: Type,
    /// The key types of an associative array; `None` for a scalar. A scalar of a task is kept as an element with no
    /// keys but the task itself, and has an empty list.
    pub key: Option<Vec<Type>>,
}

impl Variable {
    /// Whether a program must write an index behind its name.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.key.as_ref().is_some_and(|key| !key.is_empty())
    }
}

/// Where a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `x`: one for all threads and CPUs.
    Global,
    /// `self->x`: one for each thread, zero until assigned.
    ThreadLocal,
    /// `task->x`: one for each running task of asyncio, zero until assigned, and always where no task is running.
    TaskLocal,
    /// `this->x`: lives through all clauses of one firing; undefined before it is assigned.
    ClauseLocal,
}

/// An aggregation: its name, the one aggregating function it is used with, and its key types.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// The name without `@`; `_` for the anonymous one.
    pub name: String,
    /// The aggregating function with its constant parameters.
    pub func: AggFunc,
    /// The types of the tuple; empty for an unkeyed aggregation.
    pub key: Vec<Type>,
    /// Where it is first used.
    pub span: Span,
}

/// An aggregating function and its compile-time parameters (as in libdtrace's `dt_agg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggFunc {
    /// `count()`.
    Count,
    /// `sum(e)`.
    Sum,
    /// `avg(e)`.
    Avg,
    /// `min(e)`.
    Min,
    /// `max(e)`.
    Max,
    /// `stddev(e)`.
    Stddev,
    /// `quantize(e[, incr])`: power-of-two buckets.
    Quantize,
    /// `lquantize(e, low, high[, step[, incr]])`.
    Lquantize {
        /// Lower bound of the first bucket.
        low: i32,
        /// Upper bound of the last bucket.
        high: i32,
        /// Width of a bucket; `(high - low) / step` buckets, plus one below and one above.
        step: u16,
    },
    /// `llquantize(e, factor, low, high, steps[, incr])`: log-linear buckets.
    Llquantize {
        /// The base of the magnitudes.
        factor: u16,
        /// The lowest magnitude.
        low: u16,
        /// The highest magnitude.
        high: u16,
        /// Linear buckets in each magnitude.
        steps: u16,
    },
}

impl AggFunc {
    /// The function without its parameters.
    #[must_use]
    pub const fn kind(self) -> AggregatingName {
        match self {
            Self::Count => AggregatingName::Count,
            Self::Sum => AggregatingName::Sum,
            Self::Avg => AggregatingName::Avg,
            Self::Min => AggregatingName::Min,
            Self::Max => AggregatingName::Max,
            Self::Stddev => AggregatingName::Stddev,
            Self::Quantize => AggregatingName::Quantize,
            Self::Lquantize { .. } => AggregatingName::Lquantize,
            Self::Llquantize { .. } => AggregatingName::Llquantize,
        }
    }

    /// The function's name in D.
    #[must_use]
    pub fn name(self) -> &'static str {
        aggregating_name(self.kind())
    }
}
