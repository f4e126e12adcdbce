//! The keys of an aggregation as series of a metric: not more than those who keep them can bear.

use super::super::aggregate::{Keyed, Result as Aggregated};

/// The most series of an aggregation: the largest of its keys.
pub(super) const MOST_SERIES: usize = 1000;

/// The largest, and how many are left out.
pub(super) fn largest<'t>(entries: impl Iterator<Item = Keyed<'t>>) -> (Vec<Keyed<'t>>, usize) {
    let mut series: Vec<_> = entries.collect();
    let left_out = series.len().saturating_sub(MOST_SERIES);
    if left_out > 0 {
        series.sort_by_key(|keyed| std::cmp::Reverse(weight(&keyed.result)));
        series.truncate(MOST_SERIES);
    }
    (series, left_out)
}

fn weight(result: &Aggregated) -> i64 {
    match result {
        Aggregated::Number(number) => *number,
        Aggregated::Buckets(buckets) => {
            let counts = buckets.iter().map(|bucket| bucket.count);
            counts.fold(0, i64::saturating_add)
        }
    }
}
