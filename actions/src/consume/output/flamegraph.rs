//! `-x oformat=flamegraph`: stacks as a picture, an SVG that a browser shows: a click goes into a
//! frame, Ctrl-F searches. Made by `inferno`.

use std::io::{self, Write};
use std::path::Path;

use inferno::{differential, flamegraph};

use super::folded::lines;
use super::of_stacks::Form;
use super::stacks::{Profile, Stacks, Unit};

/// A picture.
#[derive(Debug)]
pub(super) struct Flamegraph;

impl Form for Flamegraph {
    fn write(&mut self, stacks: &Stacks, profiles: &[Profile], _time: u64, out: &mut Vec<u8>) {
        let lines = lines(stacks, profiles);
        let lines = lines.iter().map(String::as_str);
        // Of nothing it makes a picture that says so, and an error that `NOTHING` has better words for.
        let _ = flamegraph::from_lines(&mut options(profiles), lines, out);
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
