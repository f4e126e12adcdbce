//! The global interpreter lock: where threads ask for it, get it, and let go of it.
//!
//! The two functions that do so, `take_gil` and `drop_gil`, are not exported, and compilers copy the second
//! into its callers (13 copies in Debian's 3.13). But what they do with the lock's mutex and condition variables
//! is done by a macro that ends the process with a message of its own where one of these fails:
//!
//! ```text
//!   take_gil                                      drop_gil
//!     lock(gil.mutex)       <--- gil-wait           lock(gil.mutex)
//!     while (gil.locked)                            gil.locked = 0
//!         wait(gil.cond, gil.mutex)                 signal(gil.cond)      <--- gil-release
//!     lock(gil.switch_mutex)                        unlock(gil.mutex)
//!     gil.locked = 1
//!     signal(switch_cond)   <--- gil-acquire
//!     unlock(gil.switch_mutex)
//!     unlock(gil.mutex)
//!
//!   call pthread_cond_signal
//!   test %eax,%eax
//!   jne  failed             <--- the site: a jump that the kernel emulates
//!   ...
//!   failed: lea "PyCOND_SIGNAL(gil->cond) failed",%rsi
//! ```
//!
//! So each copy of the code is known by its messages: a jump that decides whether one is printed is passed once, right
//! behind the operation that it names. `signal(switch_cond)` is in `take_gil` alone and `signal(gil.cond)` in
//! `drop_gil`; the mutex is locked by both, and it is `take_gil`'s where the way goes on to `signal(switch_cond)`. A
//! message with no such jump is a copy that was not understood, and there are no probes then.
//!
//! Both sites are reached with the mutex locked, so the order in which they are hit is that in which the lock goes from
//! thread to thread.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use iced_x86::{FlowControl, Instruction};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::code::{emulated, straight};
use super::event::PythonEvent;
use super::flow::reachable;
use super::image::Image;
use super::references::references;
use super::site::Execution;
use super::unwind::Functions;

/// Where the lock is taken and dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gil {
    /// Where a thread has begun to ask for it; each is followed by a hit of `acquires` in the same thread, or the
    /// thread ends.
    pub waits: Vec<GilSite>,
    /// Where a thread has got it.
    pub acquires: Vec<GilSite>,
    /// Where a thread has let go of it.
    pub releases: Vec<GilSite>,
}

/// An instruction to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GilSite {
    /// The instruction's virtual address as linked.
    pub address: u64,
    /// Where the instruction is in the file.
    pub file_offset: u64,
    /// How the kernel executes it.
    pub execution: Execution,
}

impl Gil {
    /// The sites of an event: none if it has nothing to do with the lock.
    pub fn sites(&self, event: PythonEvent) -> &[GilSite] {
        match event {
            PythonEvent::GilWait => &self.waits,
            PythonEvent::GilAcquire => &self.acquires,
            PythonEvent::GilRelease => &self.releases,
            PythonEvent::FunctionEntry
            | PythonEvent::FunctionReturn
            | PythonEvent::GcStart
            | PythonEvent::GcDone
            | PythonEvent::ImportStart
            | PythonEvent::ImportDone
            | PythonEvent::Audit
            | PythonEvent::CfunctionEntry
            | PythonEvent::CfunctionReturn => &[],
        }
    }
}

/// The messages of the three operations, as 3.6, 3.7 and later versions write them.
const LOCK: &str = r"(?-u)PyMUTEX_LOCK\((?:gil_|gil->|_PyRuntime\.ceval\.gil\.)mutex\) failed\x00";
const SIGNAL: &str =
    r"(?-u)PyCOND_SIGNAL\((?:gil_|gil->|_PyRuntime\.ceval\.gil\.)cond\) failed\x00";
const SWITCH_SIGNAL: &str =
    r"(?-u)PyCOND_SIGNAL\((?:gil->|_PyRuntime\.ceval\.gil\.)?switch_cond\) failed\x00";

/// Finds the sites; the error says what was missing.
pub(super) fn find(image: &Image<'_>) -> Result<Gil, String> {
    let texts = [LOCK, SIGNAL, SWITCH_SIGNAL].map(|text| address_of(image, text));
    let [Some(lock), Some(signal), Some(switch_signal)] = texts else {
        return Err("the messages of the interpreter's lock are not in the file".to_owned());
    };
    let functions = Functions::of(image).ok_or("the file has no unwind tables")?;
    let references = references(image, &[lock, signal, switch_signal]);
    let body = body(image, &functions, references.values().flatten());
    let checks = checks(image, &body, references.values().flatten());
    let of = |text: u64| references.get(&text).map_or(&[][..], Vec::as_slice);
    let acquires = all(&checks, of(switch_signal))?;
    let releases = all(&checks, of(signal))?;
    let locks = of(lock).iter().filter_map(|place| checks.get(place));
    let locks = locks.flatten().filter(|lock| {
        acquires
            .iter()
            .any(|acquire| leads_to(&body, lock.on, acquire, &releases))
    });
    let waits: Vec<Check> = locks.copied().collect();
    let is_asked = |acquire: &Check| {
        let mut waits = waits.iter();
        waits.any(|wait| leads_to(&body, wait.on, acquire, &releases))
    };
    if !acquires.iter().all(is_asked) {
        return Err("where a thread asks for the lock was not found".to_owned());
    }
    Ok(Gil {
        waits: sites(image, &waits)?,
        acquires: sites(image, &acquires)?,
        releases: sites(image, &releases)?,
    })
}

fn address_of(image: &Image<'_>, text: &str) -> Option<u64> {
    image.find(&Regex::new(text).ok()?)
}

/// A conditional jump that decides whether a message is printed.
#[derive(Clone, Copy, Debug)]
struct Check {
    jump: Instruction,
    /// Where the way goes on that prints nothing.
    on: u64,
}

/// The instructions to probe; an error if one would not be emulated.
fn sites(image: &Image<'_>, checks: &[Check]) -> Result<Vec<GilSite>, String> {
    let site = |check: &Check| {
        Some(GilSite {
            address: check.jump.ip(),
            file_offset: image.file_offset(check.jump.ip())?,
            execution: Execution::Emulated(emulated(image, &check.jump)?),
        })
    };
    let sites: Option<Vec<GilSite>> = checks.iter().map(site).collect();
    sites.ok_or_else(|| "the kernel would not emulate a jump that is about the lock".to_owned())
}

/// The checks of all these references to a message; an error if one has none.
fn all(checks: &BTreeMap<u64, Vec<Check>>, places: &[u64]) -> Result<Vec<Check>, String> {
    let mut found = Vec::new();
    for place in places {
        let Some(checks) = checks.get(place) else {
            return Err(format!(
                "the code at {place:#x}, which is about the lock, is not understood"
            ));
        };
        found.extend(checks);
    }
    if found.is_empty() {
        return Err("nothing in the code refers to the messages of the lock".to_owned());
    }
    Ok(found)
}

/// The code of all functions that refer to one of these places. Where the compiler has put a part of a function
/// elsewhere, jumps from the rest of it lead there.
fn body<'p>(
    image: &Image<'_>,
    functions: &Functions<'_>,
    places: impl Iterator<Item = &'p u64>,
) -> BTreeMap<u64, Instruction> {
    let mut parts: Vec<Range<u64>> = places.filter_map(|&at| functions.around(at)).collect();
    parts.sort_unstable_by_key(|part| part.start);
    parts.dedup();
    let from = jumps_into(image, &parts);
    let functions = from.into_iter().filter_map(|at| functions.around(at));
    let mut starts: Vec<u64> = functions.chain(parts).map(|part| part.start).collect();
    starts.sort_unstable();
    starts.dedup();
    reachable(image, starts, BODY_LIMIT)
}

const BODY_LIMIT: usize = 200_000;

/// Where the bytes of a jump are that would lead into one of `parts`, which are in order and apart.
fn jumps_into(image: &Image<'_>, parts: &[Range<u64>]) -> Vec<u64> {
    let part_of = |at: u64| {
        let part = parts.get(parts.partition_point(|part| part.end <= at));
        part.filter(|part| part.contains(&at))
    };
    let mut found = Vec::new();
    for (start, bytes) in image.code() {
        for (window, at) in bytes.windows(6).zip(start..) {
            let (length, field) = match *window {
                [0x0f, 0x80..=0x8f, a, b, c, d] => (6, [a, b, c, d]),
                [0xe9, a, b, c, d, _] => (5, [a, b, c, d]),
                _ => continue,
            };
            let distance = i64::from(i32::from_le_bytes(field));
            let to = at.wrapping_add(length).wrapping_add_signed(distance);
            if part_of(to).is_some_and(|part| !part.contains(&at)) {
                found.push(at);
            }
        }
    }
    found
}

/// The jumps that decide whether a message is printed, by the places that refer to it.
fn checks<'p>(
    image: &Image<'_>,
    body: &BTreeMap<u64, Instruction>,
    places: impl Iterator<Item = &'p u64>,
) -> BTreeMap<u64, Vec<Check>> {
    let mut places: Vec<u64> = places.copied().collect();
    places.sort_unstable();
    let mut found: BTreeMap<u64, Vec<Check>> = BTreeMap::new();
    for jump in body.values() {
        if jump.flow_control() != FlowControl::ConditionalBranch {
            continue;
        }
        let (there, next) = (jump.near_branch_target(), jump.next_ip());
        let printing = |at| printing(image, body, at, &places);
        let (place, on) = match (printing(there), printing(next)) {
            (Some(place), None) => (place, next),
            (None, Some(place)) => (place, there),
            (Some(_), Some(_)) | (None, None) => continue,
        };
        found
            .entry(place)
            .or_default()
            .push(Check { jump: *jump, on });
    }
    found
}

/// The place to which the code from `start` goes straight, if it does.
fn printing(
    image: &Image<'_>,
    body: &BTreeMap<u64, Instruction>,
    start: u64,
    places: &[u64],
) -> Option<u64> {
    let within = |range: Range<u64>| {
        let place = places.get(places.partition_point(|&at| at < range.start))?;
        range.contains(place).then_some(*place)
    };
    let is_jump = body.get(&start)?.flow_control() == FlowControl::UnconditionalBranch;
    if !is_jump && within(start..start.saturating_add(PRINTING_BYTES)).is_none() {
        return None; // most of the code, without another look
    }
    for insn in straight(image, start, PRINTING_LIMIT) {
        if let Some(place) = within(insn.ip()..insn.next_ip()) {
            return Some(place);
        }
        match insn.flow_control() {
            FlowControl::Next | FlowControl::UnconditionalBranch => {}
            _ => return None,
        }
    }
    None
}

/// The most bytes and instructions between where printing starts and where it refers to the message.
const PRINTING_BYTES: u64 = 32;
const PRINTING_LIMIT: usize = 6;

/// Whether a way goes from `start` to `acquire` on which none of `releases` is passed.
fn leads_to(
    body: &BTreeMap<u64, Instruction>,
    start: u64,
    acquire: &Check,
    releases: &[Check],
) -> bool {
    let mut seen: HashSet<u64> = HashSet::new();
    let mut todo = vec![start];
    while let Some(at) = todo.pop() {
        let is_end = releases.iter().any(|release| release.jump.ip() == at);
        if at == acquire.jump.ip() && !is_end {
            return true;
        }
        let Some(insn) = body.get(&at).filter(|_| !is_end && seen.insert(at)) else {
            continue;
        };
        match insn.flow_control() {
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                todo.push(insn.next_ip());
            }
            FlowControl::ConditionalBranch => {
                todo.extend([insn.next_ip(), insn.near_branch_target()]);
            }
            FlowControl::UnconditionalBranch => todo.push(insn.near_branch_target()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::image::tests::executable;
    use super::*;

    const LOCK: u32 = 0x7000_0001;
    const SWITCH_SIGNAL: u32 = 0x7000_0002;
    const SIGNAL: u32 = 0x7000_0003;

    /// Takes the lock, and drops it.
    const CODE: [u8; 55] = [
        0x85, 0xc0, //                 test %eax,%eax       lock(gil.mutex)
        0x75, 0x14, //                 jne  18              <--- gil-wait
        0x83, 0xfb, 0x00, //      04:  cmp  $0,%ebx         while (gil.locked)
        0x75, 0xfb, //                 jne  04
        0x85, 0xc0, //                 test %eax,%eax       signal(switch_cond)
        0x74, 0x02, //                 je   0f              <--- gil-acquire
        0xeb, 0x13, //                 jmp  22
        0x85, 0xc0, //            0f:  test %eax,%eax       signal(gil.cond)
        0x75, 0x19, //                 jne  2c              <--- gil-release
        0xc3, 0x90, 0x90, 0x90, 0x90, // ret
        0xbe, 0x01, 0x00, 0x00, 0x70, // 18: mov $LOCK,%esi
        0xe8, 0x00, 0x00, 0x00, 0x00, //     call
        0xbe, 0x02, 0x00, 0x00, 0x70, // 22: mov $SWITCH_SIGNAL,%esi
        0xe8, 0x00, 0x00, 0x00, 0x00, //     call
        0xbe, 0x03, 0x00, 0x00, 0x70, // 2c: mov $SIGNAL,%esi
        0xe8, 0x00, 0x00, 0x00, 0x00, //     call
        0xc3,
    ];

    #[test]
    fn operations_are_known_by_the_messages_of_their_failures() {
        let (file, start) = executable(&CODE);
        let image = Image::parse(&file).unwrap();
        let texts = [LOCK, SWITCH_SIGNAL, SIGNAL].map(u64::from);
        let references = references(&image, &texts);
        let places = texts.map(|text| references[&text].clone());
        assert_eq!(
            places,
            [0x19, 0x23, 0x2d].map(|distance| vec![start + distance])
        );
        let body = reachable(&image, [start], 100);
        let checks = checks(&image, &body, references.values().flatten());
        let [lock, acquire, release] = places.map(|places| all(&checks, &places).unwrap()[0]);
        let at = [lock, acquire, release].map(|check| check.jump.ip() - start);
        assert_eq!(at, [0x02, 0x0b, 0x11]);
        assert!(leads_to(&body, lock.on, &acquire, &[release]));
        assert!(!leads_to(&body, acquire.on, &acquire, &[release]));
        assert!(!leads_to(&body, lock.on, &acquire, &[release, acquire]));
    }

    #[test]
    fn a_message_that_no_jump_decides_about_is_an_error() {
        let mut code = CODE;
        code[0x11..0x13].fill(0x90); // nop
        let (file, start) = executable(&code);
        let image = Image::parse(&file).unwrap();
        let places = [start + 0x2d];
        let body = reachable(&image, [start], 100);
        let checks = checks(&image, &body, places.iter());
        let refusal = all(&checks, &places).unwrap_err();
        assert!(refusal.contains("is not understood"), "{refusal}");
        assert!(all(&checks, &[]).unwrap_err().contains("nothing"));
    }
}
