//! `-x oformat=folded`: stacks in lines, the outermost frame first, as all tools for flame graphs read
//! them: `main;parse;read 12`.
//!
//! Where there are several profiles ([`stacks`](super::stacks)), the outermost frame says which it is.

use dlang::eval::EvalError;
use dlang::program::AggId;

use super::super::aggregate::Table;
use super::super::decode::Record;
use super::super::event::{Data, Output};
use super::super::stats::ConsumerStats;
use super::stacks::{NOTHING, Profile, Stacks};

/// Writes stacks.
#[derive(Debug, Default)]
pub(super) struct Folded {
    stacks: Stacks,
    empty: bool,
}

impl Output for Folded {
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
        for line in lines(&self.stacks, &profiles) {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
    }

    fn advice(&self) -> Option<&'static str> {
        self.empty.then_some(NOTHING)
    }
}

/// The lines.
pub(super) fn lines(stacks: &Stacks, profiles: &[Profile]) -> Vec<String> {
    let several = profiles.len() > 1;
    let mut lines = Vec::new();
    for profile in profiles {
        for (node, value) in profile.values() {
            let mut frames: Vec<_> = stacks.tree.frames(node).collect();
            frames.reverse();
            let frames = frames.into_iter().map(|frame| stacks.frames().text(frame));
            let title = Some(profile.title.as_str()).filter(|_| several);
            let frames: Vec<String> = title.into_iter().chain(frames).map(shown).collect();
            lines.push(format!("{} {value}", frames.join(";")));
        }
    }
    lines
}

/// A frame without what separates frames and lines.
fn shown(frame: &str) -> String {
    frame
        .chars()
        .map(|c| match c {
            ';' => ':',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}
