//! Histograms: buckets with their labels, and the bars.
//!
//! As in libdtrace, one empty bucket shows below and above the data.

use std::fmt;
use std::ops::Range;

use dlang::program::AggFunc;

use super::super::convert::{self, Style};
use super::bars::Bars;
use super::value;
use crate::record::llquantize_bounds;

/// The bucket of `quantize` for zero.
const QUANTIZE_ZERO: usize = 63;

/// A bucket's range, with the numbers that its label shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bucket {
    /// Less than a number.
    Below(i64),
    /// At most a number: the far end of the negative half of `llquantize`.
    AtMost(i64),
    /// From a number on.
    From(i64),
    /// Nearer to zero than a number.
    Around(i64),
    /// A number or more.
    AtLeast(i64),
}

/// The buckets of `func` in order, and which one shows first when there are no data.
fn buckets(func: AggFunc) -> (Vec<Bucket>, usize) {
    match func {
        AggFunc::Quantize => {
            let power = |n: usize| 1_i64 << n;
            let negative = (0..QUANTIZE_ZERO).rev().map(|n| -power(n));
            let positive = (0..QUANTIZE_ZERO).map(power);
            let all = negative
                .chain([0])
                .chain(positive)
                .map(Bucket::From)
                .collect();
            (all, QUANTIZE_ZERO - 1)
        }
        AggFunc::Lquantize { low, high, step } => {
            let (low, step) = (i64::from(low), i64::from(step).max(1));
            let levels = (i64::from(high) - low).max(0) / step;
            let mut all = vec![Bucket::Below(low)];
            all.extend((0..levels).map(|level| Bucket::From(low + level * step)));
            all.push(Bucket::AtLeast(low + levels * step));
            (all, 0)
        }
        AggFunc::Llquantize {
            factor,
            low,
            high,
            steps,
        } => {
            let bounds = llquantize_bounds(factor, low, high, steps);
            let bounds = bounds
                .iter()
                .map(|bound| i64::try_from(*bound).unwrap_or(i64::MAX));
            let power = |n: u16| i64::from(factor.max(2)).saturating_pow(u32::from(n));
            let end = power(high.saturating_add(1));
            let mut all = vec![Bucket::AtMost(-end)];
            all.extend(bounds.clone().rev().map(|bound| Bucket::From(-bound)));
            let zero = all.len();
            all.push(if low == 0 {
                Bucket::From(0)
            } else {
                Bucket::Around(power(low))
            });
            all.extend(bounds.map(Bucket::From));
            all.push(Bucket::AtLeast(end));
            (all, zero)
        }
        AggFunc::Count
        | AggFunc::Sum
        | AggFunc::Avg
        | AggFunc::Min
        | AggFunc::Max
        | AggFunc::Stddev => (Vec::new(), 0),
    }
}

/// A bucket with its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The least value that counts here; `None` for no bound.
    pub(crate) low: Option<i64>,
    /// The largest.
    pub(crate) high: Option<i64>,
    /// How many, divided by what `normalize()` says.
    pub(crate) count: i64,
}

/// The buckets of a value of `func` that are not empty.
pub(super) fn filled(func: AggFunc, words: &[u64], normal: i64) -> Vec<Counted> {
    let buckets = buckets(func).0;
    let bound = |bucket: &Bucket| match *bucket {
        Bucket::Below(n) | Bucket::AtMost(n) | Bucket::From(n) | Bucket::AtLeast(n) => n,
        Bucket::Around(_) => 0,
    };
    // The label of a negative bucket is its far end, but for linear ones.
    let linear = matches!(func, AggFunc::Lquantize { .. });
    let filled = counts(words).take(buckets.len()).enumerate();
    let filled = filled.filter(|(_, count)| *count != 0);
    filled
        .map(|(i, count)| {
            let before = i.checked_sub(1).and_then(|i| buckets.get(i)).map(bound);
            let after = buckets.get(i + 1).map(bound);
            let (low, high) = match buckets[i] {
                Bucket::Below(n) => (None, Some(n - 1)),
                Bucket::AtMost(n) => (None, Some(n)),
                Bucket::AtLeast(n) => (Some(n), None),
                Bucket::Around(n) => (Some(1 - n), Some(n - 1)),
                Bucket::From(n) if n < 0 && !linear => (before.map(|n| n + 1), Some(n)),
                Bucket::From(0) if !linear => (Some(0), Some(0)),
                Bucket::From(n) => (Some(n), after.map(|n| n - 1)),
            };
            let count = value::divided(count, normal);
            Counted { low, high, count }
        })
        .collect()
}

/// What sorts histograms: the sum of the buckets' bounds times their counts, then the count at
/// zero.
pub(super) fn weight(func: AggFunc, words: &[u64]) -> (i128, i64) {
    let mut sum = 0_i128;
    let mut zeros = 0;
    for (bucket, count) in buckets(func).0.into_iter().zip(counts(words)) {
        let bound = match bucket {
            Bucket::Below(n) => n - 1,
            Bucket::AtLeast(n) => n.saturating_add(1),
            Bucket::AtMost(n) | Bucket::From(n) => n,
            Bucket::Around(_) => 0,
        };
        if bound == 0 {
            zeros = count;
        }
        sum = sum.saturating_add(i128::from(bound).saturating_mul(i128::from(count)));
    }
    (sum, zeros)
}

/// The counts of a value's buckets, behind its hits.
pub(super) fn counts(
    words: &[u64],
) -> impl ExactSizeIterator<Item = i64> + DoubleEndedIterator + Clone {
    words
        .get(1..)
        .unwrap_or_default()
        .iter()
        .map(|word| word.cast_signed())
}

/// The buckets that a line for each of `values` shows: those of `lquantize` all, of others those from
/// the first to the last that any of them fills, and one more at each end, but none below 0 if nothing
/// is negative.
pub(super) fn shown<'a>(func: AggFunc, values: impl Iterator<Item = &'a [u64]>) -> Range<usize> {
    let (buckets, _) = buckets(func);
    let all = 0..buckets.len();
    if matches!(func, AggFunc::Lquantize { .. }) {
        return all;
    }
    let filled = values.flat_map(|words| {
        let counts = counts(words).enumerate();
        counts.filter_map(|(at, count)| (count != 0).then_some(at))
    });
    let ends = filled.fold(None, |ends: Option<(usize, usize)>, at| {
        let (first, last) = ends.unwrap_or((at, at));
        Some((first.min(at), last.max(at)))
    });
    let (first, last) = ends.unwrap_or((QUANTIZE_ZERO, QUANTIZE_ZERO));
    let first = if first == QUANTIZE_ZERO {
        first
    } else {
        first.saturating_sub(1)
    };
    first..(last + 2).min(all.end)
}

/// Prints the histogram of a value of `func`, its counts divided by `normal`; `zoomed`, the largest count
/// and not the sum of all has the longest bar.
pub(super) fn put(out: &mut Vec<u8>, func: AggFunc, words: &[u64], normal: i64, zoomed: bool) {
    out.extend_from_slice(
        b"\n           value  ------------- Distribution ------------- count    \n",
    );
    let (buckets, nothing) = buckets(func);
    let counts: Vec<i64> = counts(words).take(buckets.len()).collect();
    let first = counts.iter().position(|count| *count != 0);
    let last = counts.iter().rposition(|count| *count != 0);
    let (first, last) = match (first, last) {
        (Some(first), Some(last)) => (first.saturating_sub(1), last + 1),
        _ => (nothing, nothing + 2),
    };
    let shown = first..buckets.len().min(counts.len()).min(last + 1);
    let bars = Bars::new(&counts, zoomed);
    for i in shown {
        let label = format!("{:>16} ", buckets[i].to_string());
        out.extend_from_slice(label.as_bytes());
        bars.put(out, counts[i]);
        out.push(b' ');
        let flags = dlang::format::Flags {
            left: true,
            ..Default::default()
        };
        let count = value::divided(counts[i], normal);
        convert::put_signed(
            out,
            count,
            Style {
                width: 9,
                flags,
                ..Style::default()
            },
        );
        out.push(b'\n');
    }
}

/// The label of bucket `at` of `func`.
pub(super) fn label(func: AggFunc, at: usize) -> String {
    buckets(func)
        .0
        .get(at)
        .map_or_else(String::new, Bucket::to_string)
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(n) => write!(f, "< {n}"),
            Self::AtMost(n) => write!(f, "<= {n}"),
            Self::From(n) => write!(f, "{n}"),
            Self::Around(n) => write!(f, "abs() < {n}"),
            Self::AtLeast(n) => write!(f, ">= {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds of the buckets that `counts` fills, from the bucket of the first on.
    fn bounds(func: AggFunc, filled: &[usize]) -> Vec<(Option<i64>, Option<i64>)> {
        let mut words = vec![0; crate::record::value_words(func) as usize];
        for bucket in filled {
            words[bucket + 1] = 6;
        }
        let counted = super::filled(func, &words, 3);
        assert!(counted.iter().all(|counted| counted.count == 2));
        let counted = counted.into_iter();
        counted.map(|counted| (counted.low, counted.high)).collect()
    }

    #[test]
    fn a_bucket_counts_from_low_to_high() {
        let some = |low, high| (Some(low), Some(high));
        assert_eq!(
            bounds(AggFunc::Quantize, &[61, 62, 63, 64, 65]),
            [
                some(-3, -2),
                some(-1, -1),
                some(0, 0),
                some(1, 1),
                some(2, 3)
            ]
        );
        let (low, high, step) = (-4, 8, 4);
        let linear = AggFunc::Lquantize { low, high, step };
        assert_eq!(
            bounds(linear, &[0, 1, 2, 3, 4]),
            [
                (None, Some(-5)),
                some(-4, -1),
                some(0, 3),
                some(4, 7),
                (Some(8), None)
            ]
        );
        let (factor, low, high, steps) = (10, 1, 1, 2);
        let log = AggFunc::Llquantize {
            factor,
            low,
            high,
            steps,
        };
        assert_eq!(
            bounds(log, &[0, 1, 2, 3, 4, 5, 6]),
            [
                (None, Some(-100)),
                some(-99, -50),
                some(-49, -10),
                some(-9, 9),
                some(10, 49),
                some(50, 99),
                (Some(100), None)
            ]
        );
    }
}
