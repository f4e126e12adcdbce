//! The garbage collector: the function that runs one collection.
//!
//! It is not exported, but it prints `gc: collecting generation %d...` when asked to, and so
//! refers to that text. The unwind tables say where the function around the reference starts;
//! where the compiler moved the printing to a cold part, a jump into that part comes from the
//! function proper.
//!
//! Every collection passes the test of whether to print, a conditional jump, right where
//! `gc-start` belongs (where the compiler has copied the test into the branches before it, one of
//! the copies): after 3.13's collector has chosen the generation, and decided that there is
//! something to do at all. What the printing would get as its second argument is the generation,
//! so the code behind the jump tells where it is.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::BTreeMap;
use std::ops::Range;

use iced_x86::{FlowControl, Instruction, Register as R};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::code::{Home, State, emulated, straight};
use super::flow::reachable;
use super::image::Image;
use super::references::references;
use super::site::{Execution, Location};
use super::unwind::Functions;

/// The function that runs one collection, with one of its tests of whether to print; a compiler may
/// have made several copies of both.
///
/// `gc-start(generation)` is the site, `gc-done(collected)` the function's return, whose value is
/// the number of objects collected. A return without a start in the same thread is none: the
/// function returns early if a collection is going on. Collections are rare, so a return probe is
/// cheap enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collector {
    /// Where the function's first instruction is in the file, for the return probe.
    pub function_offset: u64,
    /// Where the jump to probe is in the file.
    pub start_offset: u64,
    /// The jump's virtual address as linked.
    pub start_address: u64,
    /// How the kernel executes the jump.
    pub execution: Execution,
    /// Holds the generation there, in its low 32 bits.
    pub generation: Location,
}

/// Finds the collector and its copies; the error says what was missing.
pub(super) fn find(image: &Image<'_>) -> Result<Vec<Collector>, String> {
    let text = Regex::new(r"(?-u)gc: collecting generation %d\.\.\.").map_err(|e| e.to_string())?;
    let text = image
        .find(&text)
        .ok_or("the collector's message is not in the file")?;
    let functions = Functions::of(image).ok_or("the file has no unwind tables")?;
    let mut found: Vec<Collector> = Vec::new();
    let places = references(image, &[text]);
    for place in places.into_values().flatten() {
        let Some(part) = functions.around(place) else {
            continue;
        };
        let starts = std::iter::once(part.clone()).chain(parents(image, &functions, &part));
        for function in starts {
            let body = reachable(image, [function.start], BODY_LIMIT);
            let is_reference = |i: &&Instruction| (i.ip()..i.next_ip()).contains(&place);
            let Some(reference) = body.values().find(is_reference) else {
                continue;
            };
            if is_cold(image, &functions, &function) {
                continue;
            }
            let tests = tests(image, function.start, &body, reference.ip());
            for test in tests {
                if !found.contains(&test) {
                    found.push(test);
                }
            }
            break;
        }
    }
    if found.is_empty() {
        return Err("the function that collects was not found by its message".to_owned());
    }
    Ok(found)
}

const BODY_LIMIT: usize = 20_000;

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

/// Whether `part` is a cold part: entered by jumps into its middle, never by a call.
fn is_cold(image: &Image<'_>, functions: &Functions<'_>, part: &Range<u64>) -> bool {
    !is_called(image, part.start) && !parents(image, functions, part).is_empty()
}

/// Whether a near call or jump leads exactly to `start`.
fn is_called(image: &Image<'_>, start: u64) -> bool {
    image
        .code()
        .flat_map(|(base, bytes)| bytes.windows(5).zip(base..))
        .any(|(window, at)| {
            matches!(*window, [0xe8 | 0xe9, a, b, c, d] if at
                .wrapping_add(5)
                .wrapping_add_signed(i64::from(i32::from_le_bytes([a, b, c, d]))) == start)
        })
}

/// The tests of whether to print in a function with this `body`.
fn tests(
    image: &Image<'_>,
    function: u64,
    body: &BTreeMap<u64, Instruction>,
    reference: u64,
) -> impl Iterator<Item = Collector> {
    body.values()
        .filter_map(move |insn| collector(image, function, insn, reference))
}

/// The collector, if `jump` is the conditional jump that decides whether to print.
fn collector(
    image: &Image<'_>,
    function: u64,
    jump: &Instruction,
    reference: u64,
) -> Option<Collector> {
    if jump.flow_control() != FlowControl::ConditionalBranch {
        return None;
    }
    let kind = emulated(image, jump)?;
    let printing = [jump.near_branch_target(), jump.next_ip()];
    let generation = printing
        .into_iter()
        .find_map(|start| generation(image, start, reference))?;
    Some(Collector {
        function_offset: image.file_offset(function)?,
        start_offset: image.file_offset(jump.ip())?,
        start_address: jump.ip(),
        execution: Execution::Emulated(kind),
        generation: Location::of(generation)?,
    })
}

/// Where the second argument of the call that prints is when the code from `start` begins, if
/// that code goes straight to the `reference` and the call.
fn generation(image: &Image<'_>, start: u64, reference: u64) -> Option<Home> {
    let mut state = State::narrow();
    let mut passed = false;
    for insn in straight(image, start, PRINTING_LIMIT) {
        passed |= insn.ip() == reference;
        match insn.flow_control() {
            FlowControl::Next | FlowControl::UnconditionalBranch => state.step(&insn),
            FlowControl::Call if passed => {
                let value = state.get(R::RSI)?;
                return state.home(value.name).filter(|_| value.plus == 0);
            }
            _ => return None,
        }
    }
    None
}

const PRINTING_LIMIT: usize = 24;

#[cfg(test)]
mod tests {
    use super::super::image::tests::executable;
    use super::super::register::Register;
    use super::*;

    /// A collector whose test of whether to print GCC has copied into the branches of an earlier
    /// one, as it does in 3.14.
    const COPIED: [u8; 30] = [
        0x85, 0xd2, //                    test %edx,%edx
        0x75, 0x07, //                    jne  b
        0xf6, 0x47, 0x10, 0x01, //        testb $1,0x10(%rdi)
        0x75, 0x07, //                    jne  print
        0xc3, //                   end:   ret
        0xf6, 0x47, 0x10, 0x01, // b:     testb $1,0x10(%rdi)
        0x74, 0xf9, //                    je   end
        0x89, 0xde, //             print: mov  %ebx,%esi
        0xbf, 0, 0, 0, 0, //              mov  $text,%edi
        0xe8, 0, 0, 0, 0,    //              call
        0xc3, //                          ret
    ];

    #[test]
    fn each_copy_of_the_test_is_found() {
        let (file, start) = executable(&COPIED);
        let image = Image::parse(&file).unwrap();
        let body = reachable(&image, [start], 100);
        let found: Vec<Collector> = tests(&image, start, &body, start + 0x13).collect();
        let places: Vec<u64> = found.iter().map(|c| c.start_address - start).collect();
        assert_eq!(places, [0x08, 0x0f]);
        for collector in found {
            assert_eq!(collector.function_offset, 120);
            assert_eq!(collector.generation, Location::Register(Register(40))); // rbx
        }
    }
}
