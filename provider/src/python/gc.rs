//! The garbage collector: the function that runs one collection.
//!
//! It is not exported, but it prints `gc: collecting generation %d...` when asked to, and so
//! refers to that text. The unwind tables say where the function around the reference starts;
//! where the compiler moved the printing to a cold part, a jump into that part comes from the
//! function proper. Which argument is the generation (it differs by version, and a copy of the
//! function specialised by the compiler has its arguments moved) is read off the same call: it is
//! the register whose value is passed on to the printing.

use std::ops::Range;

use iced_x86::{FlowControl, Instruction, Register as R};
use regex::bytes::Regex;

use super::code::{State, emulated, pt_regs, straight};
use super::flow::reachable;
use super::image::Image;
use super::site::Execution;
use super::unwind::Functions;
use crate::probe::Register;

/// The function that runs one collection.
///
/// `gc-start(generation)` is its entry, `gc-done(collected)` its return, whose value is the number
/// of objects collected. Collections are rare: a return probe is cheap enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Where the function's first instruction is in the file, for a return probe.
    pub function_offset: u64,
    /// Where to probe its entry: the first instruction that the kernel emulates.
    pub entry_offset: u64,
    /// The virtual address of that instruction, as linked.
    pub entry_address: u64,
    /// How the kernel executes it.
    pub execution: Execution,
    /// Holds the generation there, a 32-bit integer; `None` if that could not be found out.
    pub generation: Option<Register>,
}

/// Finds the collector; the error says what was missing.
pub(super) fn find(image: &Image<'_>) -> Result<Collector, String> {
    let text = Regex::new(r"(?-u)gc: collecting generation %d\.\.\.").map_err(|e| e.to_string())?;
    let text = image
        .find(&text)
        .ok_or("the collector's message is not in the file")?;
    let functions = Functions::of(image).ok_or("the file has no unwind tables")?;
    let mut found: Vec<(Range<u64>, u64)> = Vec::new();
    for place in references(image, text) {
        let Some(part) = functions.around(place) else {
            continue;
        };
        let starts = std::iter::once(part.clone()).chain(parents(image, &functions, &part));
        for function in starts {
            let body = reachable(image, [function.start], BODY_LIMIT);
            let is_reference = |i: &&Instruction| (i.ip()..i.next_ip()).contains(&place);
            if let Some(reference) = body.values().find(is_reference)
                && !is_jumped_into(image, &functions, &function)
            {
                found.push((function, reference.ip()));
                break;
            }
        }
    }
    found.dedup_by_key(|(function, _)| function.start);
    match found.as_slice() {
        [] => Err("no function refers to the collector's message".to_owned()),
        [(function, reference)] => entry(image, function.start, *reference)
            .ok_or_else(|| "its entry has no place for a probe".to_owned()),
        _ => Err("several functions refer to the collector's message".to_owned()),
    }
}

const BODY_LIMIT: usize = 20_000;

/// The places in the code that may refer to `target`: every 32-bit field that is its distance
/// from the next instruction (a field may be followed by an immediate, not in a `lea`), or in
/// code linked below 2 GiB its address. Some may be chance; they are checked by disassembly.
fn references(image: &Image<'_>, target: u64) -> Vec<u64> {
    let absolute = u32::try_from(target).ok();
    let mut places = Vec::new();
    for (start, bytes) in image.code() {
        for (window, at) in bytes.windows(4).zip(start..) {
            let Some(&field) = window.first_chunk::<4>() else {
                continue;
            };
            let relative = at
                .wrapping_add(4)
                .wrapping_add_signed(i64::from(i32::from_le_bytes(field)));
            if relative == target || Some(u32::from_le_bytes(field)) == absolute {
                places.push(at);
            }
        }
    }
    places
}

/// The functions with a near jump into `part`.
fn parents(image: &Image<'_>, functions: &Functions<'_>, part: &Range<u64>) -> Vec<Range<u64>> {
    let mut parents: Vec<Range<u64>> = Vec::new();
    for (start, bytes) in image.code() {
        for (window, at) in bytes.windows(6).zip(start..) {
            let jump = match *window {
                [0x0f, 0x80..=0x8f, a, b, c, d] => (6, [a, b, c, d]),
                [0xe9, a, b, c, d, _] => (5, [a, b, c, d]),
                _ => continue,
            };
            let (length, field) = jump;
            let target = at
                .wrapping_add(length)
                .wrapping_add_signed(i64::from(i32::from_le_bytes(field)));
            if part.contains(&target) && !part.contains(&at) {
                parents.extend(functions.around(at).filter(|f| !parents.contains(f)));
            }
        }
    }
    parents
}

/// Whether `part` is a cold part: jumped into from another function behind its start.
fn is_jumped_into(image: &Image<'_>, functions: &Functions<'_>, part: &Range<u64>) -> bool {
    let calls = calls_of(image, part.start);
    calls == 0 && !parents(image, functions, part).is_empty()
}

/// How many near calls or jumps lead exactly to `start`.
fn calls_of(image: &Image<'_>, start: u64) -> usize {
    image
        .code()
        .flat_map(|(base, bytes)| bytes.windows(5).zip(base..))
        .filter(|(window, at)| {
            matches!(**window, [0xe8 | 0xe9, a, b, c, d] if at
                .wrapping_add(5)
                .wrapping_add_signed(i64::from(i32::from_le_bytes([a, b, c, d]))) == start)
        })
        .count()
}

fn entry(image: &Image<'_>, start: u64, reference: u64) -> Option<Collector> {
    let generation = generation(image, start, reference);
    let mut state = State::new();
    for insn in straight(image, start, 32) {
        if let Some(kind) = emulated(image, &insn) {
            let generation =
                generation.and_then(|r| state.holders(State::initial(r)).find_map(pt_regs));
            return Some(Collector {
                function_offset: image.file_offset(start)?,
                entry_offset: image.file_offset(insn.ip())?,
                entry_address: insn.ip(),
                execution: Execution::Emulated(kind),
                generation,
            });
        }
        state.step(&insn);
    }
    None
}

/// The register that holds the generation when the function starts: the one whose value is the
/// second argument of the call after `reference`.
fn generation(image: &Image<'_>, start: u64, reference: u64) -> Option<R> {
    let mut todo = vec![(start, State::narrow())];
    let mut seen = std::collections::HashSet::new();
    while let Some((from, mut state)) = todo.pop() {
        if seen.len() > PATHS || !seen.insert(from) {
            continue;
        }
        let mut passed = false;
        for insn in straight(image, from, 200) {
            passed |= insn.ip() == reference;
            match insn.flow_control() {
                FlowControl::Call if passed => {
                    // PySys_WriteStderr(format, generation); fortified builds have no other form.
                    let value = state.get(R::RSI)?;
                    return State::initial_register(value.name)
                        .filter(|r| value.plus == 0 && ARGUMENTS.contains(r));
                }
                FlowControl::ConditionalBranch => {
                    todo.push((insn.near_branch_target(), state.fork()));
                }
                _ => {}
            }
            state.step(&insn);
        }
    }
    None
}

const PATHS: usize = 2000;

const ARGUMENTS: [R; 6] = [R::RDI, R::RSI, R::RDX, R::RCX, R::R8, R::R9];
