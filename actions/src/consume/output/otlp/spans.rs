//! Calls as spans: which span each track is in, and the spans that have ended.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::super::calls::{Track, source};
use super::value::{attribute, number, text};

/// Makes ids that no other run makes.
#[derive(Debug)]
struct Ids(u64);

impl Ids {
    fn new() -> Self {
        // What the standard library keys its hash tables with is random.
        Self(RandomState::new().hash_one(std::process::id()))
    }

    /// Never 0, which means none: the generator `SplitMix64`, which repeats nothing.
    fn next(&mut self) -> u64 {
        loop {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut id = self.0;
            id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            id ^= id >> 31;
            if id != 0 {
                return id;
            }
        }
    }
}

/// A span, and the trace that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
}

/// A call that has not ended.
#[derive(Debug)]
struct Open {
    place: Place,
    start: u64,
    /// What its entry has shown.
    shown: Option<AnyValue>,
}

/// The spans of all tracks that have not ended.
#[derive(Debug)]
pub(super) struct Spans {
    ids: Ids,
    open: HashMap<Track, Vec<Open>>,
}

impl Spans {
    pub(super) fn new() -> Self {
        Self {
            ids: Ids::new(),
            open: HashMap::new(),
        }
    }

    /// The span that a track is in.
    pub(super) fn now(&self, track: Track) -> Option<Place> {
        Some(self.open.get(&track)?.last()?.place)
    }

    /// A call begins. The outermost of a track begins a trace.
    pub(super) fn enter(&mut self, track: Track, start: u64, shown: Option<AnyValue>) {
        let span = self.ids.next().to_be_bytes();
        let trace = self.now(track).map_or_else(
            || {
                let (high, low) = (self.ids.next(), self.ids.next());
                (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
            },
            |outer| outer.trace,
        );
        self.open.entry(track).or_default().push(Open {
            place: Place { trace, span },
            start,
            shown,
        });
    }

    /// The innermost call of a track ends.
    pub(super) fn leave(
        &mut self,
        track: Track,
        end: u64,
        (frame, task): (&str, Option<&str>),
        shown: Option<AnyValue>,
    ) -> Option<Span> {
        let open = self.open.get_mut(&track)?;
        let call = open.pop()?;
        let outer = open.last().map(|outer| outer.place.span);
        if open.is_empty() {
            self.open.remove(&track);
        }
        let (name, place) = source(frame).unwrap_or((frame, ("", 0)));
        let mut attributes = of_track(track, task);
        if !place.0.is_empty() {
            attributes.push(attribute("code.function.name", text(name)));
            attributes.push(attribute("code.file.path", text(place.0)));
            attributes.push(attribute("code.line.number", number(place.1)));
        }
        let shown = [("rdtrace.entry", call.shown), ("rdtrace.return", shown)];
        for (key, value) in shown {
            attributes.extend(value.map(|value| attribute(key, value)));
        }
        Some(Span {
            trace_id: call.place.trace.to_vec(),
            span_id: call.place.span.to_vec(),
            parent_span_id: outer.map(Vec::from).unwrap_or_default(),
            name: name.into(),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: call.start,
            end_time_unix_nano: end,
            attributes,
            ..Span::default()
        })
    }
}

/// The attributes that name a thread, and the task of asyncio that it runs.
pub(super) fn of_track(track: Track, task: Option<&str>) -> Vec<KeyValue> {
    let thread = attribute("thread.id", number(track.thread.into()));
    let task = task.map(|task| attribute("asyncio.task.name", text(task)));
    [Some(thread), task].into_iter().flatten().collect()
}
