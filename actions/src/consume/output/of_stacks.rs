//! The outputs that are a file made of all stacks when the run is over.

use std::fmt;

use dlang::eval::EvalError;
use dlang::program::AggId;

use super::super::aggregate::Table;
use super::super::decode::Record;
use super::super::event::{Data, Output};
use super::super::stats::ConsumerStats;
use super::calls::Step;
use super::stacks::{NOTHING, Profile, Stacks};

/// A file's form.
pub(super) trait Form: fmt::Debug + Send {
    /// A record is complete, which means this for the calls of its thread.
    fn record(&mut self, _record: &Record<'_>, _step: Step, _stacks: &mut Stacks) {}

    /// Writes the file. `time` is that of the last record.
    fn write(&mut self, stacks: &Stacks, profiles: &[Profile], time: u64, out: &mut Vec<u8>);

    /// What there is to say about the file, other than that nothing is in it.
    fn advice(&self) -> Option<&'static str> {
        None
    }
}

/// Collects stacks for a file of some form.
#[derive(Debug)]
pub(super) struct OfStacks<F> {
    form: F,
    stacks: Stacks,
    empty: bool,
}

impl<F> OfStacks<F> {
    pub(super) fn new(form: F) -> Self {
        Self {
            form,
            stacks: Stacks::default(),
            empty: false,
        }
    }
}

impl<F: Form> Output for OfStacks<F> {
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
        let step = self.stacks.end_record(record);
        self.form.record(record, step, &mut self.stacks);
    }

    fn cleared(&mut self, id: AggId) {
        self.stacks.cleared(id);
    }

    fn unprinted(&mut self, table: &Table<'_>, _out: &mut Vec<u8>) {
        self.stacks.table(table);
    }

    fn end(&mut self, _stats: ConsumerStats, out: &mut Vec<u8>) {
        let time = self.stacks.time();
        let profiles = self.stacks.finish();
        self.empty = profiles.is_empty();
        self.form.write(&self.stacks, &profiles, time, out);
    }

    fn advice(&self) -> Option<&'static str> {
        self.form.advice().or(self.empty.then_some(NOTHING))
    }
}
