//! CPython 3.6 to 3.10: where in its code the interpreter's function is running a Python function.
//!
//! There, every Python function is a call of `_PyEval_EvalFrameDefault` of its own. So in the stack of C each frame of that
//! function belongs to the next one of the thread's Python frames, if the thread's state has it already, and still:
//!
//! ```text
//!     if (Py_EnterRecursiveCall(...)) return NULL;
//!     tstate->frame = f;                              from here on
//!     ...
//!     tstate->frame = f->f_back;                      to here
//!     return _Py_CheckFunctionResult(...);
//! ```
//!
//! Which of the two it is is seen from the place in the code. The function may be in several parts (GCC moves what is unlikely
//! elsewhere), which `.eh_frame` tells; what is before the first store or behind the second is found by following the flow of
//! control.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;
use std::ops::Range;

use iced_x86::{Code, FlowControl, Instruction, OpKind};

use super::calls::{Function, TSTATE_FRAME, before, function, handlers, reads_back};
use super::image::Image;
use super::unwind::Functions;

/// The code in which the interpreter's function runs a Python function, as linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvalCode {
    /// Starts and ends; those that are left are empty.
    pub ranges: [(u64, u64); Self::RANGES],
}

impl EvalCode {
    /// How many ranges there may be.
    pub const RANGES: usize = 8;
}

/// So many instructions there are at most before the frame is in the thread's state, and behind.
const MOST_OUTSIDE: usize = 400;

/// Finds it in 3.`minor`; `None` if it is not in so few ranges, or the function is not as it should be.
pub(super) fn eval_code(image: &Image<'_>, minor: u8) -> Option<EvalCode> {
    let function = function(image, minor).ok()?;
    let linked = function.entry.linked;
    let exits = function.exits.iter();
    let unlinked: Vec<u64> = exits
        .map(|exit| unlinked(&function, exit))
        .collect::<Option<_>>()?;
    // A call that never returns seems to go on with what happens to stand behind it.
    let running = reached(
        &function.code,
        once(linked).chain(handlers(image)),
        &unlinked,
    );
    let starts = once(function.start).chain(unlinked.iter().copied());
    let mut outside = reached(&function.code, starts, &[linked]);
    outside.retain(|address| !running.contains(address));
    if outside.len() > MOST_OUTSIDE {
        return None;
    }
    let mut inside = Vec::new();
    for part in parts(image, &function)? {
        let mut start = part.start;
        for address in outside.range(part.clone()) {
            if start < *address {
                inside.push((start, *address));
            }
            start = function.code.get(address)?.next_ip();
        }
        if start < part.end {
            inside.push((start, part.end));
        }
    }
    let mut found = EvalCode::default();
    if inside.len() > EvalCode::RANGES {
        return None;
    }
    for (to, range) in found.ranges.iter_mut().zip(inside) {
        *to = range;
    }
    Some(found)
}

/// The instruction behind the store of `f->f_back` before a call that the function ends with.
fn unlinked(function: &Function, exit: &Instruction) -> Option<u64> {
    let mut insns = before(&function.code, exit);
    let back = insns.find_map(|insn| reads_back(insn, function.entry.register))?;
    let store = insns.find(|insn| {
        insn.code() == Code::Mov_rm64_r64
            && insn.op0_kind() == OpKind::Memory
            && insn.op1_register() == back
            && insn.memory_displacement64().cast_signed() == TSTATE_FRAME
    });
    Some(store?.next_ip())
}

/// The instructions that are reached from these on, but for those from `ends` on.
fn reached(
    code: &BTreeMap<u64, Instruction>,
    starts: impl Iterator<Item = u64>,
    ends: &[u64],
) -> BTreeSet<u64> {
    let mut todo: Vec<u64> = starts.collect();
    let mut found = BTreeSet::new();
    while let Some(address) = todo.pop() {
        let Some(insn) = code.get(&address) else {
            continue;
        };
        if ends.contains(&address) || !found.insert(address) {
            continue;
        }
        let flow = insn.flow_control();
        if matches!(
            flow,
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
        ) {
            todo.push(insn.near_branch_target());
        }
        if matches!(
            flow,
            FlowControl::Next
                | FlowControl::Call
                | FlowControl::IndirectCall
                | FlowControl::ConditionalBranch
        ) {
            todo.push(insn.next_ip());
        }
    }
    found
}

/// The parts of the function: that with its start, and those that it jumps to in the middle of its work, with all that it has on
/// the stack. What it jumps to as another function begins as functions do.
fn parts(image: &Image<'_>, function: &Function) -> Option<Vec<Range<u64>>> {
    let functions = Functions::of(image)?;
    let mut parts = vec![functions.around(function.start)?];
    let mut looked_at = 0;
    while let Some(part) = parts.get(looked_at).cloned() {
        looked_at += 1;
        for insn in function.code.range(part).map(|(_, insn)| insn) {
            if !matches!(
                insn.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            ) {
                continue;
            }
            let target = insn.near_branch_target();
            if parts.iter().all(|part| !part.contains(&target)) {
                let part = functions.around(target)?;
                if functions.continues(part.start)? {
                    parts.push(part);
                }
            }
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::super::identify::identify_soon;
    use super::super::tests::{interpreter_file, interpreters};
    use super::*;

    /// Nearly all of the function, but neither its start nor what it ends with.
    #[test]
    fn each_interpreter_before_3_11_says_where_it_runs_functions() {
        for python in interpreters() {
            let Some((path, file)) = interpreter_file(&python) else {
                continue;
            };
            let image = Image::parse(&file).unwrap();
            let (version, _) = identify_soon(&image).unwrap();
            if version.minor >= 11 {
                continue;
            }
            let path = path.display();
            let found = eval_code(&image, version.minor).unwrap_or_else(|| panic!("{path}"));
            let is_in = |address| {
                found
                    .ranges
                    .iter()
                    .any(|(start, end)| (*start..*end).contains(&address))
            };
            let function = function(&image, version.minor).unwrap();
            assert!(
                !is_in(function.start) && is_in(function.entry.linked),
                "{path}"
            );
            for exit in &function.exits {
                assert!(!is_in(exit.ip()) && !is_in(exit.next_ip()), "{path}");
            }
            let all = function
                .code
                .keys()
                .filter(|address| is_in(**address))
                .count();
            let outside = function.code.len() - all;
            assert!(
                all > 4000 && outside < all / 10,
                "{path}: {all}, {outside}: {found:x?}"
            );
        }
    }
}
