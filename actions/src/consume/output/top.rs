//! `-x oformat=top`: stacks while they are collected, for a live screen. Once a second, and at the end, all
//! of them are written as they are ([`Snapshot`]).
//!
//! Of a program with several profiles (calls, stacks, aggregations), the first is shown.

use std::time::{Duration, Instant};

use dlang::eval::EvalError;
use dlang::program::AggId;

use super::super::aggregate::Table;
use super::super::decode::Record;
use super::super::event::{Data, Output};
use super::super::snapshot::Snapshot;
use super::super::stats::ConsumerStats;
use super::calls::Frame;
use super::stacks::{NOTHING, Profile, Stacks};
use super::values::put_line;

/// The time between two snapshots.
const EACH: Duration = Duration::from_millis(900);

/// Writes snapshots.
#[derive(Debug)]
pub(super) struct Top {
    stacks: Stacks,
    /// When the last one was written.
    written: Instant,
    started: Instant,
    /// Whether it is time for one.
    due: bool,
    /// Whether the run is over.
    over: bool,
    empty: bool,
}

impl Default for Top {
    fn default() -> Self {
        Self {
            stacks: Stacks::default(),
            written: Instant::now(),
            started: Instant::now(),
            due: false,
            over: false,
            empty: true,
        }
    }
}

impl Top {
    fn write(&mut self, profiles: &[Profile], last: bool, out: &mut Vec<u8>) {
        let Some(profile) = profiles.first() else {
            return;
        };
        self.empty = false;
        let tree = &self.stacks.tree;
        let stacks = profile.values().into_iter().map(|(node, value)| {
            let frames = tree.frames(node).map(|Frame(frame)| frame);
            (frames.collect(), value)
        });
        let passed = self.started.elapsed().as_nanos();
        let snapshot = Snapshot {
            time: u64::try_from(passed).unwrap_or(u64::MAX),
            title: profile.title.clone(),
            unit: profile.unit,
            frames: self.stacks.frames().texts().map(str::to_owned).collect(),
            stacks: stacks.collect(),
            last,
        };
        put_line(out, &snapshot);
    }
}

impl Output for Top {
    fn data(
        &mut self,
        _record: &Record<'_>,
        data: Data<'_>,
        _out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        self.stacks.data(data);
        Ok(())
    }

    fn end_record(&mut self, record: &Record<'_>, _out: &mut Vec<u8>) {
        self.stacks.end_record(record);
    }

    fn cleared(&mut self, id: AggId) {
        self.stacks.cleared(id);
    }

    fn looks_on(&mut self) -> bool {
        self.due = !self.over && self.written.elapsed() >= EACH;
        self.due
    }

    fn now(&mut self, table: &Table<'_>, _out: &mut Vec<u8>) {
        self.stacks.table(table);
    }

    fn before_write(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.due) {
            self.written = Instant::now();
            let profiles = self.stacks.now();
            self.write(&profiles, false, out);
        }
    }

    fn unprinted(&mut self, table: &Table<'_>, _out: &mut Vec<u8>) {
        self.stacks.table(table);
    }

    fn end(&mut self, _stats: ConsumerStats, out: &mut Vec<u8>) {
        self.over = true;
        let profiles = self.stacks.finish();
        self.write(&profiles, true, out);
    }

    fn advice(&self) -> Option<&'static str> {
        self.empty.then_some(NOTHING)
    }
}
