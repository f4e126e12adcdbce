//! `-x oformat=flamegraph`: stacks as a picture, an SVG that a browser shows: a click goes into a
//! frame, Ctrl-F searches. Made by `inferno`.

use std::io::{self, Write};
use std::path::Path;

use dlang::eval::EvalError;
use dlang::program::AggId;
use inferno::{differential, flamegraph};

use super::super::aggregate::Table;
use super::super::decode::Record;
use super::super::event::{Data, Output};
use super::super::stats::ConsumerStats;
use super::folded::lines;
use super::stacks::{NOTHING, Profile, Stacks, Unit};

/// Draws stacks.
#[derive(Debug, Default)]
pub(super) struct Flamegraph {
    stacks: Stacks,
    empty: bool,
}

impl Output for Flamegraph {
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

    fn unprinted(&mut self, table: &Table<'_>, _out: &mut Vec<u8>) {
        self.stacks.table(table);
    }

    fn end(&mut self, _stats: ConsumerStats, out: &mut Vec<u8>) {
        let profiles = self.stacks.finish();
        self.empty = profiles.is_empty();
        let lines = lines(&self.stacks, &profiles);
        let lines = lines.iter().map(String::as_str);
        // Of nothing it makes a picture that says so, and an error that `advice` has better words for.
        let _ = flamegraph::from_lines(&mut options(&profiles), lines, out);
    }

    fn advice(&self) -> Option<&'static str> {
        self.empty.then_some(NOTHING)
    }
}

/// Names and numbers as they are shown.
fn options(profiles: &[Profile]) -> flamegraph::Options<'static> {
    let mut options = flamegraph::Options::default();
    let (title, count) = match profiles {
        [only] if only.unit == Unit::Nanoseconds => ("Time in calls, without what they call", "ns"),
        [only] if only.unit == Unit::Count => ("Stacks", "times"),
        [only] => {
            options.subtitle = Some(only.title.clone());
            ("Stacks by an aggregation", "")
        }
        _ => ("Calls and stacks", ""),
    };
    options.title = title.into();
    options.text_truncate_direction = flamegraph::TextTruncateDirection::Right;
    options.count_name = count.into();
    options
}

/// Draws what is different between two files of folded stacks.
///
/// # Errors
///
/// When a file cannot be read, or has no stacks.
pub fn difference(before: &Path, after: &Path, out: &mut dyn Write) -> io::Result<()> {
    let mut folded = Vec::new();
    differential::from_files(differential::Options::default(), before, after, &mut folded)?;
    let mut options = flamegraph::Options::default();
    options.title = format!("From {} to {}", before.display(), after.display());
    options.count_name = String::new();
    options.text_truncate_direction = flamegraph::TextTruncateDirection::Right;
    let lines = String::from_utf8_lossy(&folded);
    let mut picture = Vec::new();
    flamegraph::from_lines(&mut options, lines.lines(), &mut picture)?;
    out.write_all(&picture)
}
