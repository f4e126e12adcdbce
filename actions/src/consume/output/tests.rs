//! Calls, stacks, and what the formats make of them, from records that are made here.

mod tasks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dlang::program::{AggFunc, AggId};
use dlang::types::Type;
use provider::addresses::Symbol;
use provider::object::MapId;

use super::super::consumer::Consumer;
use super::super::format::OutputFormat;
use super::super::names::Names;
use super::super::options::OutputOptions;
use super::super::otlp::Request;
use super::super::testing::{Datum, consumer};
use super::super::testing::{FakeMaps, ecb, lay_out, probe, recorded, string};
use crate::frames::Stack;
use crate::python_code::Code;
use crate::record::{AggregationLayout, Ecb, Flow, OutputKind, extreme_mask};
use dlang::types::Int;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric;
use prost::Message as _;

/// What a record says of its origin, and the function.
fn data(thread: u32, time: u64, function: &'static str) -> [Datum; 4] {
    let time = time.cast_signed();
    [
        Datum::I(thread.into(), Int::U32),
        Datum::I(1, Int::U32),
        Datum::I(time, Int::U64),
        string(function),
    ]
}

/// A clause on an entry or return probe of a provider that tells places in a source.
fn clause(epid: u32, flow: Flow, outputs: Vec<OutputKind>) -> Ecb {
    let data = data(1, 0, "");
    let mut ecb = ecb(epid, &data, outputs);
    ecb.layout.thread = Some(0);
    ecb.layout.process = Some(1);
    ecb.layout.time = Some(2);
    ecb.layout.flow = flow;
    ecb.layout.flow_name = Some(recorded(3, string("")));
    let name = match flow {
        Flow::Entry => "function-entry",
        Flow::Return => "function-return",
        Flow::None => "tick",
    };
    ecb.probe = probe(epid, "f", name);
    ecb
}

const ENTRY: u32 = 1;
const RETURN: u32 = 2;
const OTHER: u32 = 3;
const SECOND_ENTRY: u32 = 4;

fn open(format: OutputFormat) -> Consumer {
    let mut consumer = consumer(OutputOptions {
        format,
        ..OutputOptions::default()
    });
    let mut second = clause(SECOND_ENTRY, Flow::Entry, Vec::new());
    second.probe = probe(ENTRY, "f", "function-entry");
    consumer.add_ecbs([
        clause(ENTRY, Flow::Entry, Vec::new()),
        clause(RETURN, Flow::Return, Vec::new()),
        clause(
            OTHER,
            Flow::None,
            vec![OutputKind::Trace(recorded(3, string("")))],
        ),
        second,
    ]);
    consumer
}

/// What a format makes of records: which clause, thread, time, place.
fn show(format: OutputFormat, records: &[(u32, u32, u64, &'static str)]) -> String {
    let mut consumer = open(format);
    let mut out = Vec::new();
    for (epid, thread, time, function) in records {
        let bytes = lay_out(*epid, 0, &data(*thread, *time, function)).2;
        consumer.record(&bytes, &mut out);
    }
    consumer.finish(&mut out);
    assert_eq!(consumer.stats().corrupt, 0);
    String::from_utf8(out).unwrap()
}

fn folded(records: &[(u32, u32, u64, &'static str)]) -> Vec<String> {
    let text = show(OutputFormat::Folded, records);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn calls_have_the_time_that_they_spend_themselves() {
    let lines = folded(&[
        (ENTRY, 1, 100, "a.py:main:1"),
        (ENTRY, 1, 110, "a.py:work:5"),
        (RETURN, 1, 140, "a.py:work:7"),
        (ENTRY, 1, 150, "a.py:work:5"),
        (RETURN, 1, 155, "a.py:work:7"),
        (RETURN, 1, 200, "a.py:main:3"),
    ]);
    assert_eq!(
        lines,
        ["main (a.py:1) 65", "main (a.py:1);work (a.py:5) 35"]
    );
}

#[test]
fn threads_are_apart() {
    let lines = folded(&[
        (ENTRY, 1, 0, "a:f:1"),
        (ENTRY, 2, 5, "a:g:2"),
        (RETURN, 1, 10, "a:f:1"),
        (RETURN, 2, 25, "a:g:2"),
    ]);
    assert_eq!(lines, ["f (a:1) 10", "g (a:2) 20"]);
}

#[test]
fn a_return_ends_what_was_left_open_inside() {
    let lines = folded(&[
        (ENTRY, 1, 0, "a:f:1"),
        (ENTRY, 1, 10, "a:g:2"),
        (ENTRY, 1, 30, "a:h:3"),
        // The returns of h and g are missing.
        (RETURN, 1, 60, "a:f:1"),
        (ENTRY, 1, 100, "a:f:1"),
        (RETURN, 1, 101, "a:f:1"),
    ]);
    let expected = [
        "f (a:1) 11",
        "f (a:1);g (a:2) 20",
        "f (a:1);g (a:2);h (a:3) 30",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_return_of_what_began_before_the_tracing_ends_nothing() {
    let lines = folded(&[
        (ENTRY, 1, 0, "a:f:1"),
        (RETURN, 1, 10, "a:other:2"),
        (RETURN, 1, 30, "a:f:1"),
    ]);
    assert_eq!(lines, ["f (a:1) 30"]);
}

#[test]
fn recursion_ends_the_innermost() {
    let lines = folded(&[
        (ENTRY, 1, 0, "a:f:1"),
        (ENTRY, 1, 10, "a:f:1"),
        (RETURN, 1, 30, "a:f:2"),
        (RETURN, 1, 60, "a:f:2"),
    ]);
    assert_eq!(lines, ["f (a:1) 40", "f (a:1);f (a:1) 20"]);
}

#[test]
fn several_clauses_of_a_firing_are_one_call() {
    let lines = folded(&[
        (ENTRY, 1, 0, "a:f:1"),
        (SECOND_ENTRY, 1, 0, "a:f:1"),
        (RETURN, 1, 30, "a:f:1"),
        (ENTRY, 1, 50, "a:f:1"),
        (RETURN, 1, 60, "a:f:1"),
    ]);
    assert_eq!(lines, ["f (a:1) 40"]);
}

#[test]
fn what_has_not_ended_ends_with_the_last_record() {
    let lines = folded(&[
        (ENTRY, 1, 0, "a:f:1"),
        (ENTRY, 2, 70, "a:g:1"),
        (RETURN, 2, 75, "a:g:1"),
    ]);
    assert_eq!(lines, ["f (a:1) 75", "g (a:1) 5"]);
}

#[test]
fn names_do_not_break_lines_apart() {
    let lines = folded(&[
        (ENTRY, 1, 0, "a;b\n.py:f:1"),
        (RETURN, 1, 7, "a;b\n.py:f:1"),
    ]);
    assert_eq!(lines, ["f (a:b .py:1) 7"]);
}

#[test]
fn trace_events_begin_and_end_and_the_rest_are_instants() {
    let text = show(
        OutputFormat::Chrome,
        &[
            (ENTRY, 1, 1000, "a:f:1"),
            (OTHER, 1, 1234, "hi\u{e9}"),
            (ENTRY, 1, 2000, "a:g:2"),
            (RETURN, 1, 3000, "a:f:1"),
            (RETURN, 1, 4000, "a:gone:1"),
            (ENTRY, 1, 5000, "a:open:3"),
        ],
    );
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let events = file["traceEvents"].as_array().unwrap().iter();
    let shown: Vec<String> = events
        .map(|event| {
            let name = event["name"].as_str().unwrap_or_default();
            format!("{} {} {name}", event["ph"].as_str().unwrap(), event["ts"])
        })
        .collect();
    let expected = [
        "B 1.0 f (a:1)",
        "i 1.234 dtrace::f:tick",
        "B 2.0 g (a:2)",
        "E 3.0 g (a:2)",
        "E 3.0 f (a:1)",
        "B 5.0 open (a:3)",
        "E 5.0 open (a:3)",
    ];
    assert_eq!(shown, expected);
    assert_eq!(
        file["traceEvents"][1]["args"]["output"][0]["value"],
        "hi\u{e9}"
    );
}

#[test]
fn trace_events_cut_off_anywhere_are_made_whole() {
    let mut consumer = open(OutputFormat::Chrome);
    let mut out = Vec::new();
    for time in 0..20 {
        let bytes = lay_out(OTHER, 0, &data(1, time * 1000, "value")).2;
        consumer.record(&bytes, &mut out);
    }
    let mut whole = 0;
    for length in 0..out.len() {
        let Some((keep, end)) = consumer.close_early(&out[..length]) else {
            assert!(length < 400, "there are elements in {length} bytes");
            continue;
        };
        assert!(keep + end.len() <= length, "the end has room");
        let text = [&out[..keep], end].concat();
        let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
        whole = whole.max(file["traceEvents"].as_array().unwrap().len());
    }
    assert_eq!(whole, 19);
}

#[test]
fn an_empty_run_is_a_whole_document() {
    for format in [OutputFormat::Chrome, OutputFormat::Speedscope] {
        serde_json::from_str::<serde_json::Value>(&show(format, &[])).unwrap();
    }
}

#[test]
fn where_there_are_no_stacks_it_is_said() {
    let mut consumer = open(OutputFormat::Folded);
    let mut out = Vec::new();
    consumer.finish(&mut out);
    let told = format!("{:?}", consumer.take_effects(&mut out));
    assert!(told.contains("there are no stacks to show"), "{told}");
}

#[test]
fn speedscope_has_each_thread_and_the_frames() {
    let text = show(
        OutputFormat::Speedscope,
        &[
            (ENTRY, 7, 1000, "a:f:1"),
            (ENTRY, 7, 2000, "a:g:2"),
            (RETURN, 7, 3000, "a:f:1"),
            (ENTRY, 8, 5000, "a:f:1"),
        ],
    );
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!([
        {"type": "O", "frame": 0, "at": 1000},
        {"type": "O", "frame": 1, "at": 2000},
        {"type": "C", "frame": 1, "at": 3000},
        {"type": "C", "frame": 0, "at": 3000},
    ]);
    assert_eq!(file["profiles"][0]["events"], expected);
    assert_eq!(file["profiles"][1]["name"], "thread 8 of process 1");
    assert_eq!(file["shared"]["frames"][1]["name"], "g (a:2)");
}

/// Stack 1 is `outer+0x10` calling `inner+0x2`; stack 2 is `outer` alone.
#[derive(Debug)]
struct TwoStacks;

impl Names for TwoStacks {
    fn of_kernel(&mut self, address: u64) -> Symbol {
        Symbol::unknown(address)
    }

    fn of_process(&mut self, _process: u32, address: u64) -> Symbol {
        Symbol::unknown(address)
    }

    fn stack(&mut self, number: u64) -> Option<Stack> {
        let addresses = if number == 1 {
            vec![0x22, 0x11]
        } else {
            vec![0x11]
        };
        Some(Stack {
            process: 5,
            addresses,
        })
    }

    fn code(&mut self, _number: u32) -> Option<Code> {
        None
    }
}

/// A consumer with `@n[stack]`, which has been 3 times in stack 1 and once in stack 2.
fn with_stacks(format: OutputFormat) -> Consumer {
    let key = |stack: u64| [&[1], &stack.to_le_bytes()[..]].concat();
    let maps = BTreeMap::from([(key(1), vec![3]), (key(2), vec![1])]);
    let options = OutputOptions {
        format,
        ..OutputOptions::default()
    };
    let maps = FakeMaps(Arc::new(Mutex::new(maps)));
    let mut consumer = Consumer::with_names(options, Box::new(maps), Box::new(TwoStacks));
    consumer.add_aggregations([AggregationLayout {
        id: AggId(0),
        name: "n".into(),
        func: AggFunc::Count,
        key: vec![Type::Stack],
        maps: vec![MapId(1)],
        stride: 1,
        selector: None,
    }]);
    consumer
}

#[test]
fn aggregations_by_stacks_are_folded() {
    let mut out = Vec::new();
    with_stacks(OutputFormat::Folded).finish(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "0x11 1\n0x11;0x22 3\n");
}

/// What is printed again is not counted again, unless it was cleared between.
#[test]
fn what_is_printed_twice_counts_once() {
    for (clears, expected) in [
        (false, "0x11 1\n0x11;0x22 3\n"),
        (true, "0x11 2\n0x11;0x22 6\n"),
    ] {
        let mut consumer = with_stacks(OutputFormat::Folded);
        let mut outputs = vec![OutputKind::Printa(None, vec![AggId(0)])];
        if clears {
            outputs.push(OutputKind::Clear(AggId(0)));
        }
        consumer.add_ecbs([
            ecb(1, &[], outputs),
            ecb(2, &[], vec![OutputKind::Printa(None, vec![AggId(0)])]),
        ]);
        let mut out = Vec::new();
        consumer.record(&lay_out(1, 0, &[]).2, &mut out);
        if clears {
            // What has been counted since the baseline.
            let maps = BTreeMap::from([
                ([&[1], &1_u64.to_le_bytes()[..]].concat(), vec![6]),
                ([&[1], &2_u64.to_le_bytes()[..]].concat(), vec![2]),
            ]);
            consumer.maps = Box::new(FakeMaps(Arc::new(Mutex::new(maps))));
        }
        consumer.record(&lay_out(2, 0, &[]).2, &mut out);
        consumer.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{clears}");
    }
}

#[test]
fn a_picture_has_the_frames() {
    let mut out = Vec::new();
    with_stacks(OutputFormat::Flamegraph).finish(&mut out);
    let picture = String::from_utf8(out).unwrap();
    assert!(
        picture.contains("<title>0x22 (3 times, 75.00%)</title>"),
        "{picture}"
    );
}

#[test]
fn a_table_has_one_width() {
    let mut out = Vec::new();
    with_stacks(OutputFormat::Csv).finish(&mut out);
    let mut reader = csv::Reader::from_reader(out.as_slice());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(&rows[0][0], "count");
}

#[test]
fn metrics_are_of_the_last_state() {
    let mut out = Vec::new();
    with_stacks(OutputFormat::Prometheus).finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let start = "# HELP rdtrace_n_total @n = count()\n# TYPE rdtrace_n_total counter\n\
         rdtrace_n_total{key1=\"0x11\"} 1\nrdtrace_n_total{key1=\"0x22;0x11\"} 3\n";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("\nrdtrace_records_total 0\n"), "{text}");
}

/// What `clear()` takes is what `printa()` has shown in the same firing, though somebody has looked
/// between.
#[test]
fn looking_on_changes_nothing() {
    let stack_2 = || [&[1], &2_u64.to_le_bytes()[..]].concat();
    for func in [AggFunc::Count, AggFunc::Min] {
        let value = |n: u64| {
            if func == AggFunc::Min {
                vec![1, n ^ extreme_mask(func).cast_unsigned()]
            } else {
                vec![n]
            }
        };
        let maps = FakeMaps::default();
        let options = OutputOptions {
            quiet: true,
            ..OutputOptions::default()
        };
        let names = Box::new(TwoStacks);
        let mut consumer = Consumer::with_names(options, Box::new(maps.clone()), names);
        consumer.add_aggregations([AggregationLayout {
            id: AggId(0),
            name: "n".into(),
            func,
            key: vec![Type::Stack],
            maps: vec![MapId(1)],
            stride: u32::try_from(value(0).len()).unwrap(),
            selector: None,
        }]);
        let show = |id| vec![OutputKind::Printa(None, vec![AggId(id)])];
        consumer.add_ecbs([
            clause(1, Flow::None, show(0)),
            clause(2, Flow::None, vec![OutputKind::Clear(AggId(0))]),
        ]);
        let record = |epid| lay_out(epid, 0, &data(1, 100, "")).2;
        let set = |n| maps.0.lock().unwrap().insert(stack_2(), value(n));
        let mut out = Vec::new();
        set(3);
        consumer.record(&record(1), &mut out);
        set(5);
        let seen = consumer.metrics().unwrap();
        let number = if func == AggFunc::Min {
            " 5\n"
        } else {
            "total{key1=\"0x11\"} 5\n"
        };
        assert!(seen.contains(number), "{seen}");
        let before = String::from_utf8_lossy(&out).into_owned();
        assert!(before.trim_end().ends_with(" 3"), "{before}");
        if func == AggFunc::Count {
            consumer.record(&record(2), &mut out);
            consumer.record(&lay_out(1, 0, &data(1, 200, "")).2, &mut out);
            let after = String::from_utf8(out).unwrap();
            assert!(after.trim_end().ends_with(" 2"), "{after}");
        }
    }
}

/// The requests of a run, decoded.
fn requests(consumer: &mut Consumer, records: &[(u32, u32, u64, &'static str)]) -> Vec<Request> {
    let mut out = Vec::new();
    for (epid, thread, time, function) in records {
        let bytes = lay_out(*epid, 0, &data(*thread, *time, function)).2;
        consumer.record(&bytes, &mut out);
    }
    consumer.finish(&mut out);
    consumer.before_write(&mut out);
    std::iter::from_fn(|| Request::take(&mut out)).collect()
}

#[test]
fn spans_are_of_the_trace_of_the_outermost_call() {
    let records = [
        (ENTRY, 1, 100, "a.py:main:1"),
        (ENTRY, 1, 110, "a.py:work:5"),
        (OTHER, 1, 120, "seen"),
        // The return of work is missing.
        (RETURN, 1, 150, "a.py:main:3"),
        (ENTRY, 2, 160, "a.py:other:9"),
    ];
    let requests = requests(&mut open(OutputFormat::Otlp), &records);
    let [traces, logs, metrics] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!((traces.items, logs.items, metrics.items), (3, 1, 3));
    let traces = ExportTraceServiceRequest::decode(&traces.body[..]).unwrap();
    let spans = &traces.resource_spans[0].scope_spans[0].spans;
    let [work, main, other] = &spans[..] else {
        panic!("{spans:?}")
    };
    let times = spans.iter();
    let times = times.map(|span| {
        (
            &*span.name,
            span.end_time_unix_nano - span.start_time_unix_nano,
        )
    });
    let times: Vec<_> = times.collect();
    assert_eq!(times[..2], [("work", 40), ("main", 50)]);
    // The last one goes on when the run ends.
    assert_eq!(times[2].0, "other");
    assert_eq!(work.parent_span_id, main.span_id);
    assert_eq!(work.trace_id, main.trace_id);
    assert!(main.parent_span_id.is_empty() && main.trace_id != other.trace_id);
    let logs = ExportLogsServiceRequest::decode(&logs.body[..]).unwrap();
    let record = &logs.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.span_id, work.span_id);
    assert_eq!(
        record.body,
        Some(AnyValue {
            value: Some(any_value::Value::StringValue("seen".into()))
        })
    );
}

#[test]
fn counts_are_sums_and_stacks_are_arrays() {
    let mut consumer = with_stacks(OutputFormat::Otlp);
    let mut out = Vec::new();
    consumer.finish(&mut out);
    let requests: Vec<_> = std::iter::from_fn(|| Request::take(&mut out)).collect();
    let request = ExportMetricsServiceRequest::decode(&requests[0].body[..]).unwrap();
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(metric::Data::Sum(sum)) = &metric.data else {
        panic!("{metric:?}")
    };
    assert!(sum.is_monotonic && !sum.data_points.is_empty());
    let key = sum.data_points[0].attributes[0]
        .value
        .clone()
        .unwrap()
        .value;
    assert!(
        matches!(key, Some(any_value::Value::ArrayValue(_))),
        "{key:?}"
    );
}
