//! Stacks and how much there is of each, from all that has some:
//!
//! - calls ([`calls`](super::calls)): the time that each spent itself, without what it called;
//! - stacks in keys of aggregations: the value, or how many values a histogram has;
//! - `stack()` and `ustack()` as actions: how many times.
//!
//! Each is a [`Profile`] of its own, since their numbers mean different things. What is printed of an
//! aggregation twice counts once, unless it was cleared between.

use std::collections::{BTreeMap, HashMap};

use dlang::eval::Value;
use dlang::program::{AggFunc, AggId};
use dlang::types::Type;

use super::super::aggregate::{Keyed, Result as Aggregated, Table};
use super::super::decode::Record;
use super::super::event::Data;
pub(super) use super::super::snapshot::Unit;
use super::calls::{Calls, Frame, Frames, Step, Track};
use super::values::Text;

/// A stack: a node of the tree of all stacks, in which a parent is the caller.
pub(super) type Node = usize;

/// The outermost, which is no frame.
const ROOT: Node = 0;

/// The most different stacks that are kept apart. What comes beyond counts for its caller.
const MAX_NODES: usize = 1 << 22;

/// All stacks.
#[derive(Debug)]
pub(super) struct Tree {
    /// Each one's parent and its innermost frame.
    nodes: Vec<(Node, Frame)>,
    children: HashMap<(Node, Frame), Node>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![(ROOT, Frame(0))],
            children: HashMap::new(),
        }
    }
}

impl Tree {
    fn child(&mut self, parent: Node, frame: Frame) -> Node {
        if let Some(known) = self.children.get(&(parent, frame)) {
            return *known;
        }
        if self.nodes.len() >= MAX_NODES {
            return parent;
        }
        self.nodes.push((parent, frame));
        let node = self.nodes.len() - 1;
        self.children.insert((parent, frame), node);
        node
    }

    fn parent(&self, node: Node) -> Node {
        self.nodes.get(node).map_or(ROOT, |(parent, _)| *parent)
    }

    /// The frames of a stack, the innermost first.
    pub(super) fn frames(&self, mut node: Node) -> impl Iterator<Item = Frame> {
        std::iter::from_fn(move || {
            let (parent, frame) = *self.nodes.get(node).filter(|_| node != ROOT)?;
            node = parent;
            Some(frame)
        })
    }
}

/// Numbers for stacks.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// What it is: `calls`, `stacks`, or an aggregation's name.
    pub(super) title: String,
    pub(super) unit: Unit,
    values: HashMap<Node, i64>,
}

impl Profile {
    fn new(title: &str, unit: Unit) -> Self {
        Self {
            title: title.into(),
            unit,
            values: HashMap::new(),
        }
    }

    fn add_time(&mut self, node: Node, time: u64) {
        if node != ROOT {
            let value = self.values.entry(node).or_default();
            *value = value.saturating_add_unsigned(time);
        }
    }

    /// The stacks with their numbers, those that have come first first.
    pub(super) fn values(&self) -> Vec<(Node, i64)> {
        let values = self.values.iter().map(|(node, value)| (*node, *value));
        let mut values: Vec<_> = values.filter(|(_, value)| *value > 0).collect();
        values.sort_unstable();
        values
    }
}

/// An aggregation: what it had when it was cleared, and what it has had since.
#[derive(Debug)]
struct Aggregation {
    profile: Profile,
    latest: HashMap<Node, i64>,
}

/// Collects stacks from events.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    pub(super) tree: Tree,
    calls: Calls,
    /// In which call each thread is, and since when.
    now: HashMap<Track, (Node, u64)>,
    time: u64,
    own: Option<Profile>,
    traced: Option<Profile>,
    aggregations: BTreeMap<AggId, Aggregation>,
}

impl Stacks {
    /// The texts of frames.
    pub(super) fn frames(&self) -> &Frames {
        &self.calls.frames
    }

    /// Where a record belongs.
    pub(super) fn track(&mut self, record: &Record<'_>) -> Track {
        self.calls.track(record)
    }

    /// The name of a track's task.
    pub(super) fn task(&self, track: Track) -> Option<&str> {
        self.calls.task(track)
    }

    /// The time of the last record.
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    /// A record is complete: what it means for the calls of its thread.
    pub(super) fn end_record(&mut self, record: &Record<'_>) -> Step {
        let Some(time) = record.time() else {
            return Step::Nothing;
        };
        self.time = self.time.max(time);
        let step = self.calls.step(record);
        if matches!(step, Step::Nothing | Step::Unknown) {
            return step;
        }
        let id = self.calls.track(record);
        let (node, since) = *self.now.entry(id).or_insert((ROOT, time));
        self.spent(node, time.saturating_sub(since));
        let node = match step {
            Step::Enter(frame) => self.tree.child(node, frame),
            Step::Leave(count) => (0..count).fold(node, |node, _| self.tree.parent(node)),
            Step::Unknown | Step::Nothing => node,
        };
        if node == ROOT {
            self.now.remove(&id);
        } else {
            self.now.insert(id, (node, time));
        }
        step
    }

    fn spent(&mut self, node: Node, time: u64) {
        let own = self
            .own
            .get_or_insert_with(|| Profile::new("calls", Unit::Nanoseconds));
        own.add_time(node, time);
    }

    /// An action of a record shows something.
    pub(super) fn data(&mut self, data: Data<'_>) {
        match data {
            Data::Trace {
                value: Value::Str(frames),
                ty: Type::Stack,
            } => {
                let node = self.node(ROOT, frames);
                let traced = &mut self.traced;
                let traced = traced.get_or_insert_with(|| Profile::new("stacks", Unit::Count));
                *traced.values.entry(node).or_default() += 1;
            }
            Data::Printa { table, .. } => self.table(table),
            Data::Trace { .. } | Data::Printf { .. } | Data::Tracemem(_) | Data::Print(_) => {}
        }
    }

    /// Aggregations as they are now.
    pub(super) fn table(&mut self, table: &Table<'_>) {
        for (index, layout) in table.aggregations() {
            if !layout.key.contains(&Type::Stack) {
                continue;
            }
            let unit = match layout.func {
                AggFunc::Count
                | AggFunc::Quantize
                | AggFunc::Lquantize { .. }
                | AggFunc::Llquantize { .. } => Unit::Count,
                AggFunc::Sum | AggFunc::Avg | AggFunc::Min | AggFunc::Max | AggFunc::Stddev => {
                    Unit::Value
                }
            };
            // Several keys may be one stack here: their frames differ in the place in a function.
            let mut values: HashMap<Node, i64> = HashMap::new();
            for keyed in table.entries(index) {
                let value = match &keyed.result {
                    Aggregated::Number(number) => *number,
                    Aggregated::Buckets(buckets) => buckets
                        .iter()
                        .map(|bucket| bucket.count)
                        .fold(0, i64::saturating_add),
                };
                let total = values.entry(self.key(&keyed)).or_default();
                *total = total.saturating_add(value);
            }
            let aggregation = self.aggregations.entry(layout.id);
            let aggregation = aggregation.or_insert_with(|| Aggregation {
                profile: Profile::new(&format!("@{}", layout.name), unit),
                latest: HashMap::new(),
            });
            aggregation.latest.extend(values);
        }
    }

    /// An aggregation has been cleared: what it shows from now on is more.
    pub(super) fn cleared(&mut self, id: AggId) {
        if let Some(aggregation) = self.aggregations.get_mut(&id) {
            for (node, value) in aggregation.latest.drain() {
                let total = aggregation.profile.values.entry(node).or_default();
                *total = total.saturating_add(value);
            }
        }
    }

    /// The profiles as they are now; calls that have not ended have had their time up to the last record.
    pub(super) fn now(&self) -> Vec<Profile> {
        let mut own = self.own.clone();
        if let Some(own) = &mut own {
            for (node, since) in self.now.values() {
                own.add_time(*node, self.time.saturating_sub(*since));
            }
        }
        let aggregations = self.aggregations.values().map(|aggregation| {
            let mut profile = aggregation.profile.clone();
            for (node, value) in &aggregation.latest {
                let total = profile.values.entry(*node).or_default();
                *total = total.saturating_add(*value);
            }
            profile
        });
        let all = own
            .into_iter()
            .chain(self.traced.clone())
            .chain(aggregations);
        all.filter(|profile| !profile.values().is_empty()).collect()
    }

    /// No more comes: calls that have not ended end now. The profiles that there are.
    pub(super) fn finish(&mut self) -> Vec<Profile> {
        for (_, (node, since)) in std::mem::take(&mut self.now) {
            self.spent(node, self.time.saturating_sub(since));
        }
        let ids: Vec<AggId> = self.aggregations.keys().copied().collect();
        for id in ids {
            self.cleared(id);
        }
        let aggregations = std::mem::take(&mut self.aggregations).into_values();
        let own = self.own.take().into_iter().chain(self.traced.take());
        let all = own.chain(aggregations.map(|aggregation| aggregation.profile));
        all.filter(|profile| !profile.values().is_empty()).collect()
    }

    /// The stack of a key: its other parts are the outermost frames; of several stacks the last is
    /// outside, as in `@[stack(), ustack(), execname]`.
    fn key(&mut self, keyed: &Keyed<'_>) -> Node {
        let (stacks, others): (Vec<_>, Vec<_>) =
            keyed.key.iter().partition(|(_, ty)| **ty == Type::Stack);
        let mut node = ROOT;
        for (value, ty) in others {
            let text = match value {
                Value::Int(number) => match ty.as_int() {
                    Some(int) if !int.signed => int.wrap(*number).cast_unsigned().to_string(),
                    Some(_) | None => number.to_string(),
                },
                Value::Str(text) => Text(text).to_string(),
            };
            let frame = self.calls.frames.number(&text);
            node = self.tree.child(node, frame);
        }
        for (value, _) in stacks.into_iter().rev() {
            if let Value::Str(frames) = value {
                node = self.node(node, frames);
            }
        }
        node
    }

    /// The stack with these frames, one a line, the innermost first, inside of another.
    fn node(&mut self, outside: Node, frames: &[u8]) -> Node {
        let lines = frames.split(|byte| *byte == b'\n').rev();
        let lines = lines.filter(|line| !line.is_empty());
        lines.fold(outside, |node, line| {
            let text = Text(line).to_string();
            let frame = self.calls.frames.number(function(&text));
            self.tree.child(node, frame)
        })
    }
}

/// A frame without the distance from the function's start: ``libc.so.6`read`` of
/// ``libc.so.6`read+0xd``.
fn function(frame: &str) -> &str {
    match frame.rsplit_once("+0x") {
        Some((name, distance)) if distance.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        Some(_) | None => frame,
    }
}

/// What to say where there is nothing to show.
pub(super) const NOTHING: &str = "there are no stacks to show: this format shows the calls between \
     entry and return probes whose clauses record something (an empty clause does), aggregations with \
     stack() or ustack() in their key, and what the actions stack() and ustack() record";
