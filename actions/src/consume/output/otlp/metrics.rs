//! Aggregations as metrics. docs/output.md says what becomes of what.

use dlang::program::AggFunc;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
    metric, number_data_point,
};

use super::super::super::aggregate::{Bucket, Result as Aggregated, Table};
use super::super::series::largest;
use super::value::{attribute, of};

/// From when to when values were collected, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) start: u64,
    pub(super) end: u64,
}

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// The metrics of one aggregation of a table.
pub(super) fn of_aggregation(table: &Table<'_>, index: usize, interval: Interval) -> Vec<Metric> {
    let Some((_, layout)) = table.aggregations().find(|(other, _)| *other == index) else {
        return Vec::new();
    };
    let name = match layout.name.as_str() {
        "_" => "rdtrace.aggregation".to_owned(),
        name => format!("rdtrace.{name}"),
    };
    let (series, left_out) = largest(table.entries(index));
    let mut numbers = Vec::new();
    let mut histograms = Vec::new();
    for keyed in series {
        let parts = (1..).zip(&keyed.key);
        let attributes = parts.map(|(n, (value, ty))| attribute(format!("key{n}"), of(value, ty)));
        let attributes = attributes.collect();
        match keyed.result {
            Aggregated::Number(number) => numbers.push(point(number, attributes, interval)),
            Aggregated::Buckets(buckets) => {
                histograms.push(histogram(&buckets, attributes, interval));
            }
        }
    }
    let data = match layout.func {
        AggFunc::Count | AggFunc::Sum => sum(numbers, layout.func == AggFunc::Count),
        AggFunc::Avg | AggFunc::Min | AggFunc::Max | AggFunc::Stddev => {
            metric::Data::Gauge(Gauge {
                data_points: numbers,
            })
        }
        AggFunc::Quantize | AggFunc::Lquantize { .. } | AggFunc::Llquantize { .. } => {
            metric::Data::Histogram(Histogram {
                data_points: histograms,
                aggregation_temporality: CUMULATIVE,
            })
        }
    };
    let description = format!("@{} = {}()", layout.name, layout.func.name());
    let mut metrics = vec![named(&name, &description, data)];
    if left_out > 0 {
        let number = i64::try_from(left_out).unwrap_or(i64::MAX);
        let data_points = vec![point(number, Vec::new(), interval)];
        let description = format!("Keys of @{} beyond the largest.", layout.name);
        let data = metric::Data::Gauge(Gauge { data_points });
        metrics.push(named(&format!("{name}.left_out"), &description, data));
    }
    metrics
}

/// A counter of rdtrace's own.
pub(super) fn counter(name: &str, description: &str, number: u64, interval: Interval) -> Metric {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let data = sum(vec![point(number, Vec::new(), interval)], true);
    named(name, description, data)
}

fn named(name: &str, description: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.into(),
        description: description.into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn sum(data_points: Vec<NumberDataPoint>, is_monotonic: bool) -> metric::Data {
    metric::Data::Sum(Sum {
        data_points,
        aggregation_temporality: CUMULATIVE,
        is_monotonic,
    })
}

fn point(number: i64, attributes: Vec<KeyValue>, interval: Interval) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: interval.start,
        time_unix_nano: interval.end,
        value: Some(number_data_point::Value::AsInt(number)),
        ..NumberDataPoint::default()
    }
}

/// A bucket of OpenTelemetry begins where the one before it ends. Ours have gaps, those that are empty.
fn histogram(
    buckets: &[Bucket],
    attributes: Vec<KeyValue>,
    interval: Interval,
) -> HistogramDataPoint {
    #[expect(
        clippy::cast_precision_loss,
        reason = "bounds are that of OpenTelemetry"
    )]
    let bound = |bound: i64| bound as f64;
    let (mut bounds, mut counts) = (Vec::new(), Vec::new());
    let mut last = None;
    for bucket in buckets {
        let below = bucket.low.map(|low| low.saturating_sub(1));
        if let Some(below) = below.filter(|below| last != Some(*below)) {
            bounds.push(bound(below));
            counts.push(0);
        }
        counts.push(u64::try_from(bucket.count).unwrap_or(0));
        last = bucket.high;
        bounds.extend(bucket.high.map(bound));
    }
    if counts.len() == bounds.len() {
        counts.push(0);
    }
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: interval.start,
        time_unix_nano: interval.end,
        count: counts.iter().sum(),
        bucket_counts: counts,
        explicit_bounds: bounds,
        ..HistogramDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_buckets_is_an_empty_one() {
        let bucket = |low, high, count| Bucket { low, high, count };
        let interval = Interval { start: 1, end: 2 };
        let of = |buckets: &[Bucket]| {
            let point = histogram(buckets, Vec::new(), interval);
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
            (point.explicit_bounds, point.bucket_counts)
        };
        let buckets = [
            bucket(Some(4), Some(7), 2),
            bucket(Some(8), Some(15), 3),
            bucket(Some(64), Some(127), 1),
        ];
        let (bounds, counts) = of(&buckets);
        assert_eq!(bounds, [3.0, 7.0, 15.0, 63.0, 127.0]);
        assert_eq!(counts, [0, 2, 3, 0, 1, 0]);
        let (bounds, counts) = of(&[bucket(None, Some(0), 1), bucket(Some(10), None, 5)]);
        assert_eq!((bounds, counts), (vec![0.0, 9.0], vec![1, 0, 5]));
        assert_eq!(of(&[]), (vec![], vec![0]));
    }
}
