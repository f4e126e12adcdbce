//! `-x oformat=chrome`: trace events, for Perfetto, Chrome and speedscope. docs/output.md says what
//! becomes of what.
//!
//! Events are written as they come, so that a run of any length takes the memory of the calls that have
//! not ended. What is in a file is one JSON object whenever the run ends ([`Output::closing`] is for an
//! output that takes no more).

use std::collections::HashMap;
use std::io::Write as _;

use dlang::eval::{EvalError, Value};
use dlang::types::Type;
use serde_json::{Map, Value as Json, json};

use super::super::aggregate::{Keyed, Result as Aggregated, Table};
use super::super::decode::Record;
use super::super::event::{Closing, Data, Drops, Output};
use super::super::fault::Fault;
use super::super::options::OutputOptions;
use super::super::stats::ConsumerStats;
use super::calls::{Calls, Step, Track};
use super::values::{Elements, Text, put};

/// What stands before all events.
const START: &[u8] = b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";

/// What stands behind them.
const CLOSING: &[u8] = b"\n]}\n";

/// What stands between two.
pub(super) const BETWEEN: &[u8] = b",\n";

/// The most series of a counter: the largest of an aggregation's keys.
const MOST_SERIES: usize = 100;

/// The number of the first track of a task: more than any thread has (`PID_MAX_LIMIT`).
const FIRST_TASK: u32 = 1 << 24;

/// Writes trace events.
#[derive(Debug)]
pub(super) struct Chrome {
    calls: Calls,
    elements: Elements,
    started: bool,
    /// Whether an event has been written.
    has_event: bool,
    /// What the actions of the record show: JSON objects with commas between.
    shown: Vec<u8>,
    /// The events of counters that belong behind the record.
    counters: Vec<Json>,
    /// The last time that a record says.
    time: u64,
    /// The tracks of tasks, with the numbers that they have in the place of a thread's.
    tasks: HashMap<Track, u32>,
}

/// One event, but for its arguments.
#[derive(Clone, Copy)]
struct Event<'a> {
    phase: char,
    name: &'a str,
    /// Ends have none: Perfetto ends the innermost call that has both name and category of the end, and
    /// calls that an exception has left may be another provider's.
    category: Option<&'a str>,
    time: u64,
    track: Track,
}

impl Chrome {
    pub(super) fn new(options: &OutputOptions) -> Self {
        Self {
            calls: Calls::default(),
            elements: Elements::new(options),
            started: false,
            has_event: false,
            shown: Vec::new(),
            counters: Vec::new(),
            time: 0,
            tasks: HashMap::new(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            out.extend_from_slice(START);
        }
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        if self.has_event {
            out.extend_from_slice(BETWEEN);
        }
        self.has_event = true;
    }

    /// The number of a track: a thread's own, or one that no thread has, with a name, for a task.
    fn number(&mut self, track: Track, out: &mut Vec<u8>) -> u32 {
        let Some(task) = self.calls.task(track) else {
            return track.thread;
        };
        if let Some(number) = self.tasks.get(&track) {
            return *number;
        }
        let count = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        let number = FIRST_TASK.saturating_add(count);
        let name = format!("task {task} of thread {}", track.thread);
        self.tasks.insert(track, number);
        let event = json!({
            "ph": "M", "pid": track.process, "tid": number, "name": "thread_name", "args": { "name": name },
        });
        self.other(&event, out);
        number
    }

    /// Writes an event with what its record has shown.
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let thread = self.number(event.track, out);
        self.separate(out);
        let Event {
            phase, time, track, ..
        } = event;
        let (micros, nanos) = (time / 1000, time % 1000);
        let process = track.process;
        let written = write!(
            out,
            r#"{{"ph":"{phase}","ts":{micros}.{nanos:03},"pid":{process},"tid":{thread}"#
        );
        written.expect("a vector takes all bytes");
        out.extend_from_slice(b",\"name\":");
        put(out, &event.name);
        if let Some(category) = event.category {
            out.extend_from_slice(b",\"cat\":");
            put(out, &category);
        }
        if *phase == 'i' {
            out.extend_from_slice(b",\"s\":\"t\"");
        }
        if !self.shown.is_empty() {
            out.extend_from_slice(b",\"args\":{\"output\":[");
            out.append(&mut self.shown);
            out.extend_from_slice(b"]}");
        }
        out.push(b'}');
    }

    /// Writes an event that is not of a record.
    fn other(&mut self, event: &Json, out: &mut Vec<u8>) {
        self.separate(out);
        put(out, event);
    }

    /// A message, at the time of the last record.
    fn message(&mut self, name: &str, text: &str, out: &mut Vec<u8>) {
        let event = json!({
            "ph": "i", "s": "g", "ts": micros(self.time), "pid": 0, "tid": 0,
            "name": name, "cat": "rdtrace", "args": { "message": text },
        });
        self.other(&event, out);
    }

    /// The aggregations of a table as counters.
    fn count(&self, table: &Table<'_>) -> Vec<Json> {
        let counter = |name: &str, series: Vec<(String, i64)>| {
            let series = series.into_iter().map(|(name, value)| (name, value.into()));
            json!({
                "ph": "C", "ts": micros(self.time), "pid": 0, "tid": 0,
                "name": name, "cat": "aggregation", "args": series.collect::<Map<_, _>>(),
            })
        };
        let mut counters = Vec::new();
        for (index, layout) in table.aggregations() {
            let name = format!("@{}", layout.name);
            let mut numbers = Vec::new();
            for Keyed { key, result } in table.entries(index) {
                let parts: Vec<String> = key.iter().map(|(value, ty)| part(value, ty)).collect();
                let key = parts.join(", ");
                match result {
                    Aggregated::Number(number) => {
                        let key = if parts.is_empty() {
                            layout.func.name().into()
                        } else {
                            key
                        };
                        numbers.push((key, number));
                    }
                    Aggregated::Buckets(buckets) => {
                        let bound = |bound: Option<i64>| bound.map(|n| n.to_string());
                        let series = buckets.into_iter().map(|bucket| {
                            let (low, high) = (bound(bucket.low), bound(bucket.high));
                            let (low, high) = (low.unwrap_or_default(), high.unwrap_or_default());
                            (format!("{low}..{high}"), bucket.count)
                        });
                        let name = if parts.is_empty() {
                            name.clone()
                        } else {
                            format!("{name}[{key}]")
                        };
                        counters.push(counter(&name, series.collect()));
                    }
                }
            }
            if !numbers.is_empty() {
                numbers.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
                numbers.truncate(MOST_SERIES);
                counters.push(counter(&name, numbers));
            }
        }
        counters
    }
}

/// The microseconds of trace events.
fn micros(time: u64) -> Json {
    // Exact for the first hundred days of a machine, and to the microsecond long after.
    #[expect(clippy::cast_precision_loss, reason = "said above")]
    let micros = time as f64 / 1000.0;
    micros.into()
}

/// A part of a key.
fn part(value: &Value<'_>, ty: &Type) -> String {
    match (value, ty) {
        (Value::Int(n), _) => match ty.as_int() {
            Some(int) if !int.signed => int.wrap(*n).cast_unsigned().to_string(),
            Some(_) | None => n.to_string(),
        },
        (Value::Str(frames), Type::Stack) => Text(frames).to_string().replace('\n', ";"),
        (Value::Str(bytes), _) => Text(bytes).to_string(),
    }
}

impl Output for Chrome {
    fn before_records(&mut self, out: &mut Vec<u8>) {
        self.start(out);
    }

    fn begin_record(&mut self, record: &Record<'_>, _out: &mut Vec<u8>) {
        self.shown.clear();
        self.counters.clear();
        self.time = record.time().map_or(self.time, |time| time.max(self.time));
    }

    fn data(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        _out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        if !self.shown.is_empty() {
            self.shown.push(b',');
        }
        if let Data::Printa { table, .. } = data {
            let counters = self.count(table);
            self.counters.extend(counters);
        }
        self.elements.put(record, data, &mut self.shown)
    }

    fn end_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let (track, time) = (self.calls.track(record), record.time().unwrap_or(self.time));
        let probe = &record.ecb.probe.desc;
        let event = Event {
            phase: 'i',
            name: "",
            category: Some(&probe.provider),
            time,
            track,
        };
        match self.calls.step(record) {
            Step::Enter(frame) => {
                let name = self.calls.frames.text(frame).to_owned();
                let (phase, name) = ('B', name.as_str());
                self.event(
                    &Event {
                        phase,
                        name,
                        ..event
                    },
                    out,
                );
            }
            Step::Leave(_) => {
                for frame in std::mem::take(&mut self.calls.ended) {
                    let name = self.calls.frames.text(frame).to_owned();
                    let (phase, name) = ('E', name.as_str());
                    self.event(
                        &Event {
                            phase,
                            name,
                            category: None,
                            ..event
                        },
                        out,
                    );
                }
            }
            Step::Unknown | Step::Nothing => {
                let is_same = record.ecb.layout.flow != crate::record::Flow::None;
                if !(is_same && self.shown.is_empty()) {
                    let name = probe.to_string();
                    self.event(
                        &Event {
                            name: &name,
                            ..event
                        },
                        out,
                    );
                }
            }
        }
        for counter in std::mem::take(&mut self.counters) {
            self.other(&counter, out);
        }
    }

    fn fault(&mut self, fault: &Fault<'_>, out: &mut Vec<u8>) {
        self.message("fault", &fault.message(), out);
    }

    fn set_options(&mut self, options: &OutputOptions) {
        self.elements.set_options(options);
    }

    fn drops(&mut self, drops: &Drops, out: &mut Vec<u8>) {
        self.message("drops", &drops.message(false), out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        let time = self.time;
        let open = self.calls.open().flat_map(|(track, calls)| {
            let calls: Vec<_> = calls.map(|call| (track, call)).collect();
            calls.into_iter().rev()
        });
        let open: Vec<_> = open.collect();
        for (track, frame) in open {
            let name = self.calls.frames.text(frame).to_owned();
            let event = Event {
                phase: 'E',
                name: &name,
                category: None,
                time,
                track,
            };
            self.event(&event, out);
        }
    }

    fn unprinted(&mut self, table: &Table<'_>, out: &mut Vec<u8>) {
        for counter in self.count(table) {
            self.other(&counter, out);
        }
    }

    fn end(&mut self, _stats: ConsumerStats, out: &mut Vec<u8>) {
        out.extend_from_slice(CLOSING);
    }

    fn closing(&self) -> Option<Closing> {
        Some(Closing {
            between: BETWEEN,
            text: CLOSING,
        })
    }
}
