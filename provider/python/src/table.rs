//! The dispatch table: where the handler of each opcode starts.
//!
//! CPython 3.11 and later, built with computed gotos (every GCC and clang build, unless asked
//! otherwise), jump from each instruction straight to the next one's handler through
//! `opcode_targets`, an array of 256 code addresses. It has no symbol in a stripped file, but it
//! is easily told: a run of at least 256 consecutive code addresses of which most lead to code
//! that stores one register to `[another + 0x38]` at once. That store is
//! `frame->instr_ptr = next_instr` (`prev_instr` before 3.13), the first thing that a handler
//! does.
//!
//! In an interpreter made of tail calls (`--with-tail-call-interp`, 3.14) the handlers are functions with the
//! loop's variables as their arguments, always in the same registers, and each ends by a jump to
//! the next one's start through a like table. Nothing here is different for that.
//!
//! The function's symbol is of no use here: GCC 16 moves the whole loop to a cold part outside
//! of `_PyEval_EvalFrameDefault`, and LTO spreads the handlers over more than a megabyte.

use std::collections::HashMap;

use iced_x86::{Code, OpKind, Register as R};

use super::code::{Home, State, straight};
use super::image::Image;
use super::unwind::Functions;

/// The dispatch table of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Where the table is.
    pub(super) address: u64,
    /// The handler of each opcode, 256 of them.
    pub(super) targets: Vec<u64>,
    /// How many of the targets start with the store of the instruction pointer.
    pub(super) stores: usize,
}

impl Table {
    /// Whether the targets are functions of their own, as in an interpreter made of tail calls,
    /// rather than places in one.
    pub(super) fn is_of_functions(&self, image: &Image<'_>) -> bool {
        let Some(functions) = Functions::of(image) else {
            return false;
        };
        let is_start = |&&t: &&u64| functions.around(t).is_some_and(|f| f.start == t);
        2 * self.targets.iter().filter(is_start).count() > self.targets.len()
    }
}

/// Opcodes are one byte.
pub(super) const OPCODES: usize = 256;

/// Offset of `prev_instr`/`instr_ptr` in `_PyInterpreterFrame`, 3.11 to 3.15.
pub(super) const INSTRUCTION_POINTER: i64 = 56;

/// Within how many instructions of its start a handler stores the instruction pointer.
const PROLOGUE: usize = 12;

/// A handler may store an instruction pointer that it has moved on: `YIELD_VALUE` of 3.13 does.
const AHEAD: i64 = 2;

/// Fewer stores than this, and it is some other array of functions, unless it has the version's
/// fingerprint.
pub(super) const FEWEST_STORES: usize = 24;

/// Fewer stores than this, and it is some other array in any case. A loop that keeps the address of
/// the field itself in a register has few of the form that names the frame (clang's 3.11 without
/// profile has 19).
const FEWEST_WITH_FINGERPRINT: usize = 12;

/// A window of 256 words: stores, alike opcodes, the words.
type Candidate<'w> = (usize, usize, &'w [(u64, u64)]);

/// Finds the table. `unknown` are the opcodes that the version leaves undefined: all of them lead
/// to one place, which decides between windows that are equally good otherwise.
pub(super) fn find(image: &Image<'_>, unknown: &[u8]) -> Option<Table> {
    let words = image.words();
    let mut cache: HashMap<u64, bool> = HashMap::new();
    let mut best: Option<Candidate<'_>> = None;
    for run in words.chunk_by(|a, b| b.0 == a.0.wrapping_add(8)) {
        if run.len() < OPCODES {
            continue;
        }
        let is_store: Vec<bool> = run
            .iter()
            .map(|&(_, target)| {
                *cache
                    .entry(target)
                    .or_insert_with(|| stored_pair(image, target).is_some())
            })
            .collect();
        for (window, stores) in run.windows(OPCODES).zip(is_store.windows(OPCODES)) {
            let count = stores.iter().filter(|&&s| s).count();
            if count < FEWEST_WITH_FINGERPRINT || best.is_some_and(|b| count < b.0) {
                continue;
            }
            let rank = (count, alike(window, unknown));
            if count < FEWEST_STORES && rank.1 < unknown.len() {
                continue;
            }
            if best.is_none_or(|b| rank > (b.0, b.1)) {
                best = Some((rank.0, rank.1, window));
            }
        }
    }
    let (stores, _, window) = best?;
    Some(Table {
        address: window.first()?.0,
        targets: window.iter().map(|&(_, target)| target).collect(),
        stores,
    })
}

/// Where a handler has the frame and the next instruction when it starts, from the store
/// `mov [frame + 0x38], next_instr` near its start, whatever copies were made on the way. A store
/// of something that the handler itself computed is not one.
pub(super) fn stored_pair(image: &Image<'_>, handler: u64) -> Option<(Home, Home)> {
    let mut state = State::new();
    for insn in straight(image, handler, PROLOGUE) {
        if insn.code() == Code::Mov_rm64_r64
            && insn.op0_kind() == OpKind::Memory
            && let Some(place) = state.place(&insn)
            && place.plus == INSTRUCTION_POINTER
            && let Some(frame) = state.home(place.name)
            && let Some(value) = state.get(insn.op1_register())
            && let Some(next_instr) = state.home(value.name)
            && (0..=AHEAD).contains(&value.plus)
            && frame != Home::Register(R::RSP)
        {
            return Some((frame, next_instr));
        }
        state.step(&insn);
    }
    None
}

/// The opcodes that lead to the most common target: those that the version does not define, and
/// in some builds others that can never be reached.
pub(super) fn unknown_opcodes(targets: &[u64]) -> Vec<u8> {
    let mut count: HashMap<u64, usize> = HashMap::new();
    for &target in targets {
        *count.entry(target).or_default() += 1;
    }
    let common = count
        .into_iter()
        .max_by_key(|&(target, n)| (n, target))
        .map(|(t, _)| t);
    (0..=u8::MAX)
        .zip(targets)
        .filter(|&(_, t)| Some(*t) == common)
        .map(|(op, _)| op)
        .collect()
}

/// How many of the opcodes `unknown` share one target in this window.
fn alike(window: &[(u64, u64)], unknown: &[u8]) -> usize {
    let target = |op: &u8| window.get(usize::from(*op)).map(|w| w.1);
    let Some(first) = unknown.first().and_then(target) else {
        return 0;
    };
    unknown
        .iter()
        .filter(|op| target(op) == Some(first))
        .count()
}
