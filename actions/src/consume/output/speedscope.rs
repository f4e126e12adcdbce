//! `-x oformat=speedscope`: a file for speedscope: the calls of each thread in their order, and each
//! other profile of [`stacks`](super::stacks).
//!
//! The events of a thread must stand together, so they are kept until the end, in 16 bytes each.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::decode::Record;
use super::calls::{Frame, Step, Track};
use super::of_stacks::Form;
use super::stacks::{Profile, Stacks, Unit};
use super::values::put_line;

/// The most beginnings and ends of calls that are kept: 128 MiB of them.
const MOST_EVENTS: usize = 8 << 20;

/// Said when there are more.
const TOO_MANY: &str = "the file for speedscope has only the first 8388608 beginnings and ends of \
     calls; -x oformat=chrome has no such limit, and speedscope opens it too";

/// Collects what speedscope shows.
#[derive(Debug, Default)]
pub(super) struct Speedscope {
    threads: BTreeMap<Track, Thread>,
    events: usize,
}

/// The calls of a thread.
#[derive(Debug, Default)]
struct Thread {
    open: Vec<Frame>,
    events: Vec<Event>,
}

/// A call begins or ends.
#[derive(Clone, Copy, Debug, Serialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Kind,
    frame: u32,
    at: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
enum Kind {
    #[serde(rename = "O")]
    Begin,
    #[serde(rename = "C")]
    End,
}

impl Thread {
    fn begin(&mut self, frame: Frame, at: u64) {
        let at = self.not_before(at);
        self.open.push(frame);
        let Frame(frame) = frame;
        self.events.push(Event {
            kind: Kind::Begin,
            frame,
            at,
        });
    }

    fn end(&mut self, count: usize, at: u64) {
        let at = self.not_before(at);
        for Frame(frame) in self
            .open
            .drain(self.open.len().saturating_sub(count)..)
            .rev()
        {
            self.events.push(Event {
                kind: Kind::End,
                frame,
                at,
            });
        }
    }

    /// Times must not go back.
    fn not_before(&self, at: u64) -> u64 {
        self.events.last().map_or(at, |last| last.at.max(at))
    }
}

impl Form for Speedscope {
    fn record(&mut self, record: &Record<'_>, step: Step, stacks: &mut Stacks) {
        let Some(time) = record.time() else {
            return;
        };
        // Room is left for the ends of what has begun.
        let has_room = self.events < MOST_EVENTS;
        let thread = self.threads.entry(stacks.track(record));
        match step {
            Step::Enter(frame) if has_room => {
                self.events += 2;
                thread.or_default().begin(frame, time);
            }
            Step::Leave(count) => {
                thread.and_modify(|thread| thread.end(count, time));
            }
            Step::Enter(_) => self.events = MOST_EVENTS + 1,
            Step::Unknown | Step::Nothing => {}
        }
    }

    fn write(&mut self, stacks: &Stacks, profiles: &[Profile], time: u64, out: &mut Vec<u8>) {
        let sampled = profiles
            .iter()
            .filter(|profile| profile.unit != Unit::Nanoseconds)
            .map(|profile| Shown::Sampled(Sampled::new(profile, stacks)));
        for thread in self.threads.values_mut() {
            thread.end(thread.open.len(), time);
        }
        let evented = self
            .threads
            .iter()
            .map(|(id, thread)| Shown::Evented(Evented::new(*id, thread, stacks.task(*id))));
        let frames = stacks.frames().texts();
        let file = File {
            schema: "https://www.speedscope.app/file-format-schema.json",
            exporter: concat!("rdtrace ", env!("CARGO_PKG_VERSION")),
            shared: Shared {
                frames: frames.map(|name| Named { name }).collect(),
            },
            profiles: evented.chain(sampled).collect(),
        };
        put_line(out, &file);
    }

    fn advice(&self) -> Option<&'static str> {
        (self.events > MOST_EVENTS).then_some(TOO_MANY)
    }
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    shared: Shared<'a>,
    profiles: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Named<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Shown<'a> {
    Evented(Evented<'a>),
    Sampled(Sampled),
}

/// Calls in their order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Evented<'a> {
    name: String,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    events: &'a [Event],
}

impl<'a> Evented<'a> {
    fn new(id: Track, thread: &'a Thread, task: Option<&str>) -> Self {
        let events = &thread.events;
        let place = format!("thread {} of process {}", id.thread, id.process);
        Self {
            name: task.map_or(place.clone(), |task| format!("task {task} of {place}")),
            unit: "nanoseconds",
            start_value: events.first().map_or(0, |event| event.at),
            end_value: events.last().map_or(0, |event| event.at),
            events,
        }
    }
}

/// Stacks with their numbers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled {
    name: String,
    unit: &'static str,
    start_value: i64,
    end_value: i64,
    samples: Vec<Vec<u32>>,
    weights: Vec<i64>,
}

impl Sampled {
    fn new(profile: &Profile, stacks: &Stacks) -> Self {
        let stack = |node| {
            let mut frames: Vec<u32> = stacks.tree.frames(node).map(|Frame(frame)| frame).collect();
            frames.reverse();
            frames
        };
        let values = profile.values();
        let (samples, weights) = values
            .into_iter()
            .map(|(node, value)| (stack(node), value))
            .unzip();
        let weights: Vec<i64> = weights;
        Self {
            name: profile.title.clone(),
            unit: "none",
            start_value: 0,
            end_value: weights.iter().copied().fold(0, i64::saturating_add),
            samples,
            weights,
        }
    }
}
