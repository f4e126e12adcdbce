//! Which registers hold the frame and the next instruction in the interpreter loop.
//!
//! The compiler keeps each in one place for the whole loop, a register as a rule, because every handler uses
//! them and computed gotos can jump from any handler to any other. Each handler's store
//! `mov [frame + 0x38], next_instr` names the pair, so all of them vote. In every build seen
//! the vote was unanimous; a single dissenting handler means that the loop is not what we take it
//! to be, and the build is refused.
//!
//! Where registers ran short, the loop has one of the two in a stack slot instead (GCC 10 does
//! with 3.13's frame); the vote is then for the slot.
//!
//! Some compilers keep a copy of the frame in a second register. Where the copy is made before
//! every dispatch it may be relied on at the start of a handler, which matters when a handler
//! overwrites the first register before it reaches an instruction that a probe can sit on (GCC 12
//! does both in 3.12's `YIELD_VALUE`).

use std::collections::{BTreeSet, HashMap};

use iced_x86::{FlowControl, Register as R};

use super::code::{Home, State, Value, straight};
use super::image::Image;
use super::table::{FEWEST_STORES, Table, stored_pair};

/// Where the loop has its two main variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoopRegisters {
    /// Holds the `_PyInterpreterFrame *`.
    pub(super) frame: Home,
    /// Holds the address of the current instruction when a handler starts.
    pub(super) next_instr: Home,
    /// Hold the frame too when a handler starts.
    pub(super) frame_copies: Vec<R>,
    /// How many distinct handlers agreed, of how many.
    pub(super) votes: (usize, usize),
}

/// What the handlers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Vote {
    Unanimous(LoopRegisters),
    /// Each pair and how many handlers use it.
    Split(Vec<(Home, Home, usize)>),
}

/// Counts the votes of the distinct handlers.
pub(super) fn vote(image: &Image<'_>, table: &Table) -> Vote {
    let handlers: BTreeSet<u64> = table.targets.iter().copied().collect();
    let mut pairs: HashMap<(Home, Home), usize> = HashMap::new();
    for &handler in &handlers {
        if let Some(pair) = stored_pair(image, handler) {
            *pairs.entry(pair).or_default() += 1;
        }
    }
    // A handler that works on another object with a pointer at 0x38 may have that and the value in
    // stack slots: slots are listened to only where the registers say nothing.
    let in_registers =
        |p: &(Home, Home, usize)| matches!((p.0, p.1), (Home::Register(_), Home::Register(_)));
    let mut pairs: Vec<(Home, Home, usize)> =
        pairs.into_iter().map(|((f, n), c)| (f, n, c)).collect();
    if pairs
        .iter()
        .filter(|p| in_registers(p))
        .map(|p| p.2)
        .sum::<usize>()
        >= FEWEST_STORES
    {
        pairs.retain(in_registers);
    }
    pairs.sort_unstable_by_key(|p| std::cmp::Reverse(p.2));
    match *pairs.as_slice() {
        [(frame, next_instr, count)] if frame != next_instr => Vote::Unanimous(LoopRegisters {
            frame,
            next_instr,
            frame_copies: copies(image, &handlers, frame),
            votes: (count, handlers.len()),
        }),
        _ => Vote::Split(pairs),
    }
}

/// Registers that equal `frame` at every indirect jump that ends a handler's straight path.
fn copies(image: &Image<'_>, handlers: &BTreeSet<u64>, frame: Home) -> Vec<R> {
    let mut common: Option<BTreeSet<R>> = None;
    let mut seen = 0;
    for &handler in handlers {
        let mut state = State::new();
        if let Home::Stack(..) = frame {
            state.enter(frame, Value::named(u32::MAX));
        }
        for insn in straight(image, handler, 150) {
            if insn.flow_control() == FlowControl::IndirectBranch {
                let here: BTreeSet<R> = state
                    .at_home(frame)
                    .map(|v| state.holders(v).collect())
                    .unwrap_or_default();
                common = Some(match common {
                    Some(old) => old.intersection(&here).copied().collect(),
                    None => here,
                });
                seen += 1;
            }
            state.step(&insn);
        }
    }
    let enough = seen >= FEWEST_DISPATCHES;
    common
        .into_iter()
        .flatten()
        .filter(|&r| enough && Home::Register(r) != frame)
        .collect()
}

/// Slots of the stack that equal the next instruction at every indirect jump that ends a handler's
/// straight path: some compilers keep `this_instr` there, where a handler starts.
pub(super) fn slots_of_next_instr(
    image: &Image<'_>,
    table: &Table,
    registers: &LoopRegisters,
) -> BTreeSet<Home> {
    let handlers: BTreeSet<u64> = table.targets.iter().copied().collect();
    let mut common: Option<BTreeSet<Home>> = None;
    let mut seen = 0;
    for &handler in &handlers {
        let mut state = State::new();
        for insn in straight(image, handler, 150) {
            if insn.flow_control() == FlowControl::IndirectBranch {
                let next = state.at_home(registers.next_instr);
                let here: BTreeSet<Home> = next
                    .map(|next| state.slots(next).collect())
                    .unwrap_or_default();
                common = Some(match common {
                    Some(old) => &old & &here,
                    None => here,
                });
                seen += 1;
            }
            state.step(&insn);
        }
    }
    let enough = seen >= FEWEST_DISPATCHES;
    common.filter(|_| enough).unwrap_or_default()
}

/// Fewer dispatches seen than this prove nothing.
const FEWEST_DISPATCHES: usize = 20;
