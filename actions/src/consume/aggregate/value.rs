//! Values of aggregations: merging what each CPU counted, the number that prints, and the order.
//!
//! A value is the `u64` words of [`AggregationLayout`](crate::record::AggregationLayout), `hits`
//! first, in one CPU's copy and in the sum of all alike.

use std::cmp::Ordering;

use dlang::program::AggFunc;

use super::histogram;
use crate::record::value_words;

/// The words of a value without data. A minimum of nothing is the largest number, and a maximum
/// the smallest, as libdtrace prints them.
pub(super) fn empty(func: AggFunc) -> Vec<u64> {
    let mut words = vec![0; value_words(func) as usize];
    if let Some(value) = words.get_mut(1) {
        match func {
            AggFunc::Min => *value = i64::MAX.cast_unsigned(),
            AggFunc::Max => *value = i64::MIN.cast_unsigned(),
            AggFunc::Count
            | AggFunc::Sum
            | AggFunc::Avg
            | AggFunc::Stddev
            | AggFunc::Quantize
            | AggFunc::Lquantize { .. }
            | AggFunc::Llquantize { .. } => {}
        }
    }
    words
}

/// A minimum or maximum as the map has it, or back: the better of two is the larger word, and 0 is
/// the value of no hits. So a fresh entry needs no first hit to be told from the others.
///
/// ```text
///     min    i64::MAX   0           -1    i64::MIN
///     max    i64::MIN   -1          0     i64::MAX
///     word   0          2^63 - 1    2^63  2^64 - 1
/// ```
pub(super) fn encode(func: AggFunc, word: u64) -> u64 {
    word ^ crate::record::extreme_mask(func).cast_unsigned()
}

/// Adds one CPU's words to `total`.
pub(super) fn merge(func: AggFunc, total: &mut [u64], cpu: &[u64]) {
    match (func, total, cpu) {
        (AggFunc::Min | AggFunc::Max, [hits, value], [more, other]) => {
            *hits = hits.wrapping_add(*more);
            let (a, b) = (value.cast_signed(), other.cast_signed());
            if *more > 0 {
                *value = if func == AggFunc::Min {
                    a.min(b)
                } else {
                    a.max(b)
                }
                .cast_unsigned();
            }
        }
        (_, total, cpu) => combine(func, total, cpu, u128::wrapping_add),
    }
}

/// Takes `base` from `words`, which is how a value starts again after `clear()`.
pub(super) fn subtract(func: AggFunc, words: &mut [u64], base: &[u64]) {
    combine(func, words, base, u128::wrapping_sub);
}

/// `a = op(a, b)` for each number: the words, but for the 128-bit sum of squares.
#[expect(
    clippy::cast_possible_truncation,
    reason = "wrapping arithmetic in the word's own width"
)]
fn combine(func: AggFunc, a: &mut [u64], b: &[u64], op: fn(u128, u128) -> u128) {
    let one = |a: &mut u64, b: u64| *a = op(u128::from(*a), u128::from(b)) as u64;
    if let (AggFunc::Stddev, [hits, sum, low, high], [b_hits, b_sum, b_low, b_high]) =
        (func, &mut *a, b)
    {
        one(hits, *b_hits);
        one(sum, *b_sum);
        let squares = op(wide(*low, *high), wide(*b_low, *b_high));
        (*low, *high) = (squares as u64, (squares >> 64) as u64);
        return;
    }
    for (a, b) in a.iter_mut().zip(b) {
        one(a, *b);
    }
}

fn wide(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The number of a value, divided by `normal`; a histogram has none.
pub(super) fn number(func: AggFunc, words: &[u64], normal: i64) -> Option<i64> {
    let word = |i: usize| words.get(i).copied().unwrap_or(0).cast_signed();
    let average = || match word(0) {
        0 => 0,
        hits => divided(word(1), normal).wrapping_div(hits),
    };
    Some(match func {
        AggFunc::Count => divided(word(0), normal),
        AggFunc::Sum | AggFunc::Min | AggFunc::Max => divided(word(1), normal),
        AggFunc::Avg => average(),
        AggFunc::Stddev => {
            // The approximation sqrt(avg(x^2) - avg(x)^2) with libdtrace's order of divisions,
            // which shows in the last digits and under normalize().
            let squares = wide(word(2).cast_unsigned(), word(3).cast_unsigned());
            let of = |n: u128, by: i64| n / u128::from(by.unsigned_abs().max(1));
            let average_of_squares = of(of(squares, normal), word(0));
            let square_of_average = u128::from(average().unsigned_abs()).pow(2);
            let variance = average_of_squares.saturating_sub(square_of_average);
            i64::try_from(variance.isqrt()).unwrap_or(i64::MAX)
        }
        AggFunc::Quantize | AggFunc::Lquantize { .. } | AggFunc::Llquantize { .. } => return None,
    })
}

/// `n` divided as `normalize()` says: by 0, not at all.
pub(super) fn divided(n: i64, normal: i64) -> i64 {
    n.wrapping_div(if normal == 0 { 1 } else { normal })
}

/// The order of two values of one function: by the number, or for histograms by the sum of what
/// they hold and then by how much of it is zeros.
pub(super) fn compare(func: AggFunc, a: &[u64], b: &[u64]) -> Ordering {
    match (number(func, a, 1), number(func, b, 1)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => histogram::weight(func, a).cmp(&histogram::weight(func, b)),
    }
}
