//! Records that say in which task of asyncio they were made: each task has a track.

use super::*;

/// A clause whose records have the name of a task behind what others have.
fn of_task(epid: u32, flow: Flow) -> Ecb {
    let mut data = data(1, 0, "").to_vec();
    data.push(string(""));
    let plain = clause(epid, flow, Vec::new());
    let mut ecb = ecb(epid, &data, Vec::new());
    ecb.layout.task = Some(recorded(4, string("")));
    ecb.probe = plain.probe;
    ecb.layout.flow = flow;
    ecb.layout.flow_name = plain.layout.flow_name;
    ecb.layout.thread = plain.layout.thread;
    ecb.layout.process = plain.layout.process;
    ecb.layout.time = plain.layout.time;
    ecb
}

/// The loop runs two tasks in turns. The outer function of the first, by an error of whoever wrote the records, returns
/// while the second is running.
const RECORDS: [(u32, &str, u64, &str); 9] = [
    (ENTRY, "", 100, "a:loop:1"),
    (ENTRY, "first", 200, "a:outer:2"),
    (ENTRY, "first", 300, "a:inner:3"),
    (ENTRY, "second", 400, "a:inner:3"),
    (RETURN, "first", 500, "a:inner:4"),
    (RETURN, "second", 600, "a:outer:2"),
    (RETURN, "second", 700, "a:inner:4"),
    (RETURN, "first", 800, "a:outer:4"),
    (RETURN, "", 900, "a:loop:9"),
];

fn run(format: OutputFormat) -> (Consumer, Vec<u8>) {
    let mut consumer = consumer(OutputOptions {
        format,
        ..OutputOptions::default()
    });
    consumer.add_ecbs([of_task(ENTRY, Flow::Entry), of_task(RETURN, Flow::Return)]);
    let mut out = Vec::new();
    for (epid, task, time, function) in RECORDS {
        let mut data = data(7, time, function).to_vec();
        data.push(string(task));
        consumer.record(&lay_out(epid, 0, &data).2, &mut out);
    }
    consumer.finish(&mut out);
    assert_eq!(consumer.stats().corrupt, 0);
    (consumer, out)
}

#[test]
fn trace_events_of_a_task_have_a_track_with_its_name() {
    let (_, out) = run(OutputFormat::Chrome);
    let file: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let events = file["traceEvents"].as_array().unwrap().iter();
    let shown: Vec<String> = events
        .map(|event| {
            let track = event["tid"].as_u64().unwrap();
            let (phase, name) = (&event["ph"], &event["name"]);
            let named = event["args"]["name"].as_str().unwrap_or_default();
            format!("{track} {phase} {name} {named}").replace('"', "")
        })
        .collect();
    let expected = [
        "7 B loop (a:1) ",
        "16777216 M thread_name task first of thread 7",
        "16777216 B outer (a:2) ",
        "16777216 B inner (a:3) ",
        "16777217 M thread_name task second of thread 7",
        "16777217 B inner (a:3) ",
        "16777216 E inner (a:3) ",
        "16777217 E inner (a:3) ",
        "16777216 E outer (a:2) ",
        "7 E loop (a:1) ",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn speedscope_has_a_profile_for_each_task() {
    let (_, out) = run(OutputFormat::Speedscope);
    let file: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let profiles = file["profiles"].as_array().unwrap().iter();
    let names: Vec<_> = profiles
        .map(|profile| {
            (
                profile["name"].as_str().unwrap(),
                profile["events"].as_array().unwrap().len(),
            )
        })
        .collect();
    let expected = [
        ("thread 7 of process 1", 2),
        ("task first of thread 7 of process 1", 4),
        ("task second of thread 7 of process 1", 2),
    ];
    assert_eq!(names, expected);
}

#[test]
fn spans_have_the_name_of_their_task() {
    let (mut consumer, mut out) = run(OutputFormat::Otlp);
    consumer.before_write(&mut out);
    let request = Request::take(&mut out).unwrap();
    let traces = ExportTraceServiceRequest::decode(&request.body[..]).unwrap();
    let spans = &traces.resource_spans[0].scope_spans[0].spans;
    let shown: Vec<_> = spans
        .iter()
        .map(|span| {
            let mut attributes = span.attributes.iter();
            let task = attributes.find(|attribute| attribute.key == "asyncio.task.name");
            let task = task.and_then(|task| task.value.clone()?.value);
            let outer = spans
                .iter()
                .find(|outer| outer.span_id == span.parent_span_id);
            (&*span.name, task, outer.map(|outer| &*outer.name))
        })
        .collect();
    let named = |name: &str| Some(any_value::Value::StringValue(name.into()));
    let expected = [
        ("inner", named("first"), Some("outer")),
        ("inner", named("second"), None),
        ("outer", named("first"), None),
        ("loop", None, None),
    ];
    assert_eq!(shown, expected);
}
