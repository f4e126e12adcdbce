//! Where each instruction of a program goes, and how jumps reach what their 16 bits do not.
//!
//! A jump reaches 32,767 instructions. Longer programs have **islands**: every few thousand
//! instructions a row of jumps, one for each place that jumps over a greater distance lead to, and
//! such a jump goes from island to island. The straight path jumps over an island.
//!
//! ```text
//!     segment 0 | island 0 | segment 1 | island 1 | segment 2 | ...
//! ```
//!
//! (Linux 6.6 has a jump of 32 bits; islands serve every kernel, and cost a jump where such a jump
//! would cost one, too.)
//!
//! The verifier lets no more than 8,192 branches wait to be followed. It follows what comes next
//! first, and the branch later. So in programs with many branches a check whose way out ends the
//! firing or the clause is turned round: the way out comes next, and is done with before the
//! program goes on.

use std::collections::{BTreeMap, BTreeSet};

use crate::insn::Insn;

/// A jump that neither fits its 16 bits nor is helped by islands: the program is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the generated program is too long: a jump over {distance} instructions")]
pub struct JumpTooFar {
    /// How far it would have to jump.
    pub distance: usize,
}

/// Instructions between two islands. Twice as many, and two islands, are within reach.
const SEGMENT: usize = 8_000;

/// A program with more branches than this has its checks turned round.
const MANY_BRANCHES: usize = 3_000;

/// A jump: where it leads, and whether that way soon ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump {
    pub(crate) target: usize,
    pub(crate) ends: bool,
}

/// Instructions in their places.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) insns: Vec<Insn>,
    /// Where each instruction is now; what was left out is where the next one is.
    pub(crate) moved: Vec<usize>,
}

/// An instruction that is an island's, or a jump of the program that is to be resolved.
struct Open {
    at: usize,
    /// The island that it goes to first, if it does not reach its target.
    by: Option<usize>,
    target: usize,
}

/// Puts the `live` ones of `insns` in their places and resolves the jumps.
pub(crate) fn lay_out(
    insns: &[Insn],
    live: &[bool],
    jumps: &BTreeMap<usize, Jump>,
) -> Result<Layout, JumpTooFar> {
    let turned = turned(insns, live, jumps);
    let size = |at: usize| {
        if live[at] {
            1 + usize::from(turned.contains(&at))
        } else {
            0
        }
    };
    let gaps = gaps(insns, live, &size);
    let segment = |at: usize| gaps.partition_point(|&gap| gap <= at);
    let mut islands: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (&at, jump) in jumps.iter().filter(|(at, _)| live[**at]) {
        let mut by = first_island(segment(at), segment(jump.target));
        while let Some(island) = by {
            if !islands.entry(island).or_default().insert(jump.target) {
                break; // and so are all further ones
            }
            by = next_island(island, segment(jump.target));
        }
    }
    let mut layout = Layout::default();
    let mut open = Vec::new();
    let mut places = BTreeMap::new();
    let mut falls_through = true;
    for (at, insn) in insns.iter().enumerate() {
        if let Ok(island) = gaps.binary_search(&at)
            && let Some(targets) = islands.get(&island)
        {
            if falls_through {
                let over = i16::try_from(targets.len());
                let over = over.or(Err(JumpTooFar {
                    distance: targets.len(),
                }))?;
                layout.insns.push(Insn {
                    offset: over,
                    ..Insn::jump()
                });
            }
            for &target in targets {
                places.insert((island, target), layout.insns.len());
                let by = next_island(island, segment(target));
                open.push(Open {
                    at: layout.insns.len(),
                    by,
                    target,
                });
                layout.insns.push(Insn::jump());
            }
        }
        layout.moved.push(layout.insns.len());
        if !live[at] {
            continue;
        }
        let by = |jump: &Jump| first_island(segment(at), segment(jump.target));
        let jump = jumps.get(&at);
        if let (Some(jump), true) = (jump, turned.contains(&at)) {
            let opposite = insn
                .opposite()
                .expect("what is turned round has an opposite");
            layout.insns.push(Insn {
                offset: 1,
                ..opposite
            });
            open.push(Open {
                at: layout.insns.len(),
                by: by(jump),
                target: jump.target,
            });
            layout.insns.push(Insn::jump());
            falls_through = true;
            continue;
        }
        if let Some(jump) = jump {
            open.push(Open {
                at: layout.insns.len(),
                by: by(jump),
                target: jump.target,
            });
        }
        layout.insns.push(*insn);
        falls_through = insn.falls_through();
    }
    layout.moved.push(layout.insns.len());
    for Open { at, by, target } in open {
        let to = match by {
            Some(island) => places[&(island, target)],
            None => layout.moved[target],
        };
        layout.insns[at].offset = distance(at + 1, to)?;
    }
    Ok(layout)
}

/// The checks that are turned round.
fn turned(insns: &[Insn], live: &[bool], jumps: &BTreeMap<usize, Jump>) -> BTreeSet<usize> {
    let branches = || {
        let live = jumps.iter().filter(|(at, _)| live[**at]);
        live.filter(|(at, _)| insns[**at].opposite().is_some())
    };
    if branches().count() <= MANY_BRANCHES {
        return BTreeSet::new();
    }
    let ends = branches().filter(|(_, jump)| jump.ends);
    ends.map(|(&at, _)| at).collect()
}

/// The instructions before which there is room for an island.
fn gaps(insns: &[Insn], live: &[bool], size: &dyn Fn(usize) -> usize) -> Vec<usize> {
    let mut gaps = Vec::new();
    let mut since = 0;
    for at in 0..insns.len() {
        let second = at > 0 && insns[at - 1].is_wide();
        if since >= SEGMENT && live[at] && !second {
            gaps.push(at);
            since = 0;
        }
        since += size(at);
    }
    gaps
}

/// Where a jump from one segment to another goes first, if the other is too far.
fn first_island(from: usize, to: usize) -> Option<usize> {
    match () {
        () if from.abs_diff(to) <= 1 => None,
        () if to > from => Some(from + 1),
        () => Some(from - 2),
    }
}

/// Where an island's jump goes next. Island `n` is between the segments `n` and `n + 1`.
fn next_island(island: usize, to: usize) -> Option<usize> {
    if to > island {
        (to - island > 2).then_some(island + 2)
    } else {
        (island - to > 1).then(|| island - 2)
    }
}

fn distance(from: usize, to: usize) -> Result<i16, JumpTooFar> {
    let distance = from.abs_diff(to);
    i16::try_from(distance)
        .map(|offset| if to < from { -offset } else { offset })
        .ok()
        .ok_or(JumpTooFar { distance })
}
