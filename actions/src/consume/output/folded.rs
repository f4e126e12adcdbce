//! `-x oformat=folded`: stacks in lines, the outermost frame first, as all tools for flame graphs read
//! them: `main;parse;read 12`.
//!
//! Where there are several profiles ([`stacks`](super::stacks)), the outermost frame says which it is.

use super::of_stacks::Form;
use super::stacks::{Profile, Stacks};

/// Lines.
#[derive(Debug)]
pub(super) struct Folded;

impl Form for Folded {
    fn write(&mut self, stacks: &Stacks, profiles: &[Profile], _time: u64, out: &mut Vec<u8>) {
        for line in lines(stacks, profiles) {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
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
