//! Loops without a bound, for kernels that do not know `may_goto` (before Linux 6.9): each becomes a function that
//! the helper `bpf_loop` (5.17) calls once for each turn.
//!
//! Code is generated with `may_goto` at the head of such a loop, whatever the kernel. Here its body is moved behind the
//! program:
//!
//! ```text
//!     again: may_goto out              save the registers that the body uses; left = 0
//!            body                      bpf_loop(MOST_TURNS, turn, frame pointer, 0)
//!            if (..) goto other        if (left == 1) { load registers; goto other; }
//!            goto again                load registers; goto out
//!     out:   ...                 out:  ...
//!     other: ...                 other: ...
//!
//!                                turn: base = r2; load registers
//!                                      body, with base in the place of the frame pointer
//!                                      if (..) goto end
//!                                      save registers; left = 0; return 0       the next turn
//!                                end:  save registers; left = 1; return 1       the last one
//! ```
//!
//! So a turn works on the stack of the program, whose address it is given, and keeps in a register that the body does
//! not use, or else on the stack of its own. What is in registers from turn to turn, or
//! where the loop is left, goes through slots that are kept free for that ([`SLOTS`]); which registers these are is
//! found by looking which are read later.
//!
//! A loop in a loop is a function that a function calls. It is given that one's frame pointer, behind which it finds the
//! program's, and where it says how it was left. That must not be on the program's stack: before Linux 6.8
//! the verifier forgets that it matters which number is in a slot if that is read by another register than the frame
//! pointer. It takes one way out for another then, does not follow it, and removes its code.
//!
//! The verifier has to see the same as with `may_goto`: a turn that leaves nothing to the next that it could tell
//! apart ([`crate::join`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::flow::{Flow, Regs};
use crate::insn::{Alu, Cond, Insn, PSEUDO_FUNC, Reg, Size};
use crate::layout::Jump;

/// How a kernel lets a program have loops without a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenLoops {
    /// By an instruction that counts (Linux 6.9).
    #[default]
    MayGoto,
    /// By a helper that calls a function for each turn (Linux 5.17).
    Calls,
}

impl OpenLoops {
    /// Bytes at the end of the stack that loops need: with `may_goto` for its counter; else for the slots of
    /// registers, and for the frames of two functions, one called by the other.
    pub(crate) const fn stack(self) -> i16 {
        match self {
            Self::MayGoto => 16,
            Self::Calls => CALLEES + 8 * SLOTS,
        }
    }
}

/// A loop that cannot be made a function: it uses all registers at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too complex for this kernel, whose loops are functions, which need registers (Linux 6.9 has others)"
)]
pub struct NoRegister;

/// Bytes of stack that the kernel counts for the functions: it rounds those of each up to a multiple of 32.
const CALLEES: i16 = 64;
/// The slots for registers `r0` to `r9`, and for which way a loop of the program was left.
const SLOTS: i16 = 11;
/// Behind the lowest of the program's own.
const FIRST_SLOT: i16 = -(512 - OpenLoops::Calls.stack()) - 8;
const LEFT: i16 = FIRST_SLOT - 80;
/// In a function's own stack: the program's frame pointer, if no register has it or a loop in this one needs it;
const BASE: i16 = -8;
/// that of the function that calls it, if it is not the program;
const CALLER: i16 = -16;
/// and which way a loop in this one was left.
const INNER_LEFT: i16 = -24;

/// The most turns (`BPF_MAX_LOOPS`).
const MOST_TURNS: i32 = 1 << 23;

/// The registers that a call leaves as they are.
const KEPT: Regs = Regs::of(&[Reg::R6, Reg::R7, Reg::R8, Reg::R9]);

/// A program whose loops are functions.
#[derive(Debug, Default)]
pub(crate) struct Outlined {
    pub(crate) insns: Vec<Insn>,
    pub(crate) jumps: BTreeMap<usize, Jump>,
    /// For each instruction the one that it was.
    pub(crate) origins: Vec<Option<usize>>,
    /// Where the functions start.
    pub(crate) functions: Vec<usize>,
    /// The `ld_imm64` instructions that name a function, and where it starts.
    pub(crate) uses: Vec<(usize, usize)>,
}

/// A loop.
struct Loop {
    head: usize,
    body: BTreeSet<usize>,
    /// The loop that it is in.
    parent: Option<usize>,
    /// Where it is left to; first where it is left when there were too many turns.
    exits: Vec<usize>,
    /// The registers that its body uses.
    used: Regs,
    /// The register with the program's frame pointer in its function; `None` if its body uses all that are kept.
    base: Option<Reg>,
}

/// A place that a jump leads to while the program is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    /// An instruction as it was, in a function or in the program.
    At(Option<usize>, usize),
    /// The end of a turn after which there is another.
    Again(usize),
    /// The end of the last turn, by its exit.
    Last(usize, usize),
}

/// Makes functions of the loops. `jumps` has the jumps of the `live` ones of `insns`.
pub(crate) fn outline(
    insns: &[Insn],
    live: &[bool],
    jumps: &BTreeMap<usize, Jump>,
) -> Result<Outlined, NoRegister> {
    let flow = Flow::of(insns, live, jumps);
    let loops = find_loops(&flow, insns, jumps);
    let innermost = innermost(&loops, insns.len());
    let mut maker = Maker {
        insns,
        jumps,
        flow: &flow,
        loops: &loops,
        innermost: &innermost,
        out: Outlined::default(),
        open: Vec::new(),
        places: HashMap::new(),
        starts: vec![0; loops.len()],
        uses: Vec::new(),
    };
    maker.region(None)?;
    for number in 0..loops.len() {
        maker.starts[number] = maker.out.insns.len();
        maker.out.functions.push(maker.starts[number]);
        maker.region(Some(number))?;
    }
    Ok(maker.finish())
}

/// The loops, the outer ones behind those in them.
fn find_loops(flow: &Flow, insns: &[Insn], jumps: &BTreeMap<usize, Jump>) -> Vec<Loop> {
    let heads = flow.order.iter().filter(|&&at| insns[at].is_may_goto());
    let mut loops = Vec::new();
    for &head in heads {
        let body = flow.loop_of(head);
        debug_assert!(
            is_entered_at_its_head(flow, &body, head),
            "a loop is entered elsewhere than at {head}, its `may_goto`"
        );
        let mut exits = vec![jumps[&head].target];
        let mut used = Regs::default();
        for &at in &body {
            let (reads, writes) = insns[at].reads_and_writes();
            used = used.and(reads).and(writes);
            for &next in &flow.next[at] {
                if !body.contains(&next) && !exits.contains(&next) {
                    exits.push(next);
                }
            }
        }
        let spare = [Reg::R9, Reg::R8, Reg::R7, Reg::R6];
        loops.push(Loop {
            head,
            body,
            parent: None,
            exits,
            used,
            base: spare.into_iter().find(|&reg| !used.has(reg)),
        });
    }
    loops.sort_by_key(|l: &Loop| l.body.len());
    for inner in 0..loops.len() {
        let head = loops[inner].head;
        let mut outer = inner + 1..loops.len();
        loops[inner].parent = outer.find(|&outer| loops[outer].body.contains(&head));
    }
    loops
}

/// Whether no instruction outside of a loop leads into it but to its head: what is in front of that would be in the program as
/// well as in the function.
fn is_entered_at_its_head(flow: &Flow, body: &BTreeSet<usize>, head: usize) -> bool {
    let outside = flow.order.iter().filter(|at| !body.contains(at));
    outside
        .flat_map(|&at| &flow.next[at])
        .all(|next| *next == head || !body.contains(next))
}

/// The innermost loop of each instruction.
fn innermost(loops: &[Loop], insns: usize) -> Vec<Option<usize>> {
    let mut innermost = vec![None; insns];
    for (number, l) in loops.iter().enumerate() {
        for &at in &l.body {
            innermost[at].get_or_insert(number);
        }
    }
    innermost
}

struct Maker<'a> {
    insns: &'a [Insn],
    jumps: &'a BTreeMap<usize, Jump>,
    flow: &'a Flow,
    loops: &'a [Loop],
    innermost: &'a [Option<usize>],
    out: Outlined,
    /// Jumps, where they lead, and whether that way soon ends.
    open: Vec<(usize, Place, bool)>,
    places: HashMap<Place, usize>,
    /// Where each loop's function starts.
    starts: Vec<usize>,
    uses: Vec<(usize, usize)>,
}

impl Maker<'_> {
    fn push(&mut self, insn: Insn, origin: Option<usize>) {
        self.out.insns.push(insn);
        self.out.origins.push(origin);
    }

    fn jump(&mut self, insn: Insn, origin: Option<usize>, (place, ends): (Place, bool)) {
        self.open.push((self.out.insns.len(), place, ends));
        self.push(insn, origin);
    }

    /// The register with the program's frame pointer; `None` if it is in memory.
    fn base(&self, region: Option<usize>) -> Option<Reg> {
        region.map_or(Some(Reg::FP), |number| self.loops[number].base)
    }

    /// The same, brought to a register that is not among `taken` if it is in memory.
    fn base_in(&mut self, region: Option<usize>, taken: Regs) -> Result<Reg, NoRegister> {
        if let Some(base) = self.base(region) {
            return Ok(base);
        }
        let mut free = taken.others().into_iter().flatten();
        let base = free.next().ok_or(NoRegister)?;
        self.push(Insn::load(Size::Double, base, Reg::FP, BASE), None);
        Ok(base)
    }

    /// Adds an instruction of the program, which works on its stack.
    fn push_own(&mut self, region: Option<usize>, at: usize) -> Result<(), NoRegister> {
        let insn = self.insns[at];
        if let Some(base) = self.base(region) {
            self.push(insn.with_frame_pointer(base), Some(at));
        } else if insn.dst == Reg::FP {
            // A store.
            let (reads, _) = insn.reads_and_writes();
            let base = self.base_in(region, reads.and(self.flow.read_behind(at)))?;
            self.push(insn.with_frame_pointer(base), Some(at));
        } else if insn.src == Reg::FP {
            // A load or a move: what is written there was not needed any more.
            let base = insn.dst;
            self.push(Insn::load(Size::Double, base, Reg::FP, BASE), Some(at));
            if insn != Insn::alu(Alu::Mov, base, Reg::FP) {
                self.push(insn.with_frame_pointer(base), Some(at));
            }
        } else {
            self.push(insn, Some(at));
        }
        Ok(())
    }

    /// Where a way leads to that leads to an instruction of the program as it was.
    fn place(&self, region: Option<usize>, target: usize) -> Place {
        let Some(number) = region else {
            return Place::At(None, target);
        };
        if target == self.loops[number].head {
            Place::Again(number)
        } else if self.loops[number].body.contains(&target) {
            Place::At(region, target)
        } else {
            Place::Last(number, target)
        }
    }

    /// The program, or the function of a loop, without the loops in it.
    fn region(&mut self, region: Option<usize>) -> Result<(), NoRegister> {
        let is_here = |at: usize| {
            self.innermost[at] == region
                || self.innermost[at]
                    .is_some_and(|l| self.loops[l].head == at && self.loops[l].parent == region)
        };
        let all: Vec<usize> = self
            .flow
            .order
            .iter()
            .copied()
            .filter(|&at| is_here(at))
            .collect();
        if let Some(number) = region {
            let head = self.loops[number].head;
            self.find_base(number);
            self.load(region, self.carried(number));
            let first = self.place(region, head + 1);
            self.jump(Insn::jump(), Some(head), (first, false));
        }
        for (n, &at) in all.iter().enumerate() {
            if region.is_some_and(|number| self.loops[number].head == at) {
                continue;
            }
            self.places
                .insert(Place::At(region, at), self.out.insns.len());
            if let Some(called) = self.innermost[at].filter(|_| self.innermost[at] != region) {
                self.call(region, called)?;
                continue;
            }
            let insn = self.insns[at];
            let behind = if insn.is_wide() { at + 2 } else { at + 1 };
            match self.jumps.get(&at) {
                Some(jump) => {
                    let to = (self.place(region, jump.target), jump.ends);
                    self.jump(insn, Some(at), to);
                }
                None => self.push_own(region, at)?,
            }
            if insn.is_wide() {
                self.push(self.insns[at + 1], Some(at));
            }
            let follows = all.get(n + 1) == Some(&behind)
                && region.is_none_or(|number| self.loops[number].head != behind);
            if insn.falls_through() && !follows {
                let to = (self.place(region, behind), false);
                self.jump(Insn::jump(), Some(at), to);
            }
        }
        if let Some(number) = region {
            self.ends(number)?;
        }
        Ok(())
    }

    /// The start of a turn: finds the program's frame pointer.
    fn find_base(&mut self, number: usize) {
        let mut base = Reg::R2;
        if self.loops[number].parent.is_some() {
            self.push(Insn::store(Size::Double, Reg::FP, CALLER, Reg::R2), None);
            base = Reg::R1;
            self.push(Insn::load(Size::Double, base, Reg::R2, BASE), None);
        }
        let own = self.loops[number].base;
        if own.is_none() || self.loops.iter().any(|l| l.parent == Some(number)) {
            self.push(Insn::store(Size::Double, Reg::FP, BASE, base), None);
        }
        if let Some(own) = own {
            self.push(Insn::alu(Alu::Mov, own, base), None);
        }
    }

    /// The ends of a turn.
    fn ends(&mut self, number: usize) -> Result<(), NoRegister> {
        let region = Some(number);
        let l = &self.loops[number];
        let again = Place::Again(number);
        if self.is_wanted(again) {
            self.places.insert(again, self.out.insns.len());
            self.leave(region, self.carried(number), (0, 0))?;
        }
        for (exit, &target) in l.exits.iter().enumerate() {
            let place = Place::Last(number, target);
            if !self.is_wanted(place) {
                continue;
            }
            self.places.insert(place, self.out.insns.len());
            let exit = i32::try_from(exit).expect("a loop has few exits");
            let registers = self.flow.read_from(target).among(l.used);
            self.leave(region, registers, (exit, 1))?;
        }
        Ok(())
    }

    /// Whether a jump leads there.
    fn is_wanted(&self, place: Place) -> bool {
        self.open.iter().any(|(_, to, _)| *to == place)
    }

    /// The end of a turn: saves registers and by which exit it leaves.
    fn leave(
        &mut self,
        region: Option<usize>,
        registers: Regs,
        (exit, result): (i32, i32),
    ) -> Result<(), NoRegister> {
        let base = self.base_in(region, registers.and(Regs::of(&[Reg::R0])))?;
        self.save(base, registers);
        let is_inner = region.is_some_and(|number| self.loops[number].parent.is_some());
        let (caller, left) = if is_inner {
            self.push(Insn::load(Size::Double, Reg::R1, Reg::FP, CALLER), None);
            (Reg::R1, INNER_LEFT)
        } else {
            (base, LEFT)
        };
        self.push(Insn::alu_imm(Alu::Mov, Reg::R0, exit), None);
        self.push(Insn::store(Size::Double, caller, left, Reg::R0), None);
        self.push(Insn::alu_imm(Alu::Mov, Reg::R0, result), None);
        self.push(Insn::exit(), None);
        Ok(())
    }

    /// Calls the function of a loop for each turn, and goes on where it has been left to.
    fn call(&mut self, region: Option<usize>, number: usize) -> Result<(), NoRegister> {
        let l = &self.loops[number];
        // What is not used in the function that this is in stays where it was saved.
        let known = region.map_or(Regs::ALL, |outer| self.loops[outer].used);
        let lost = l.used.and(KEPT.others());
        let needed = self.flow.read_from(l.head);
        let base = self.base_in(region, needed)?;
        self.save(base, needed.among(lost).among(known));
        let left = if region.is_some() { INNER_LEFT } else { LEFT };
        self.push(Insn::alu(Alu::Mov, Reg::R3, Reg::FP), Some(l.head));
        self.push(Insn::alu_imm(Alu::Mov, Reg::R0, 0), None);
        self.push(Insn::store(Size::Double, Reg::FP, left, Reg::R0), None);
        self.push(Insn::alu_imm(Alu::Mov, Reg::R1, MOST_TURNS), None);
        self.uses.push((self.out.insns.len(), number));
        for half in Insn::load_imm64(Reg::R2, PSEUDO_FUNC, 0) {
            self.push(half, None);
        }
        self.push(Insn::alu_imm(Alu::Mov, Reg::R4, 0), None);
        self.push(Insn::call_loop(), None);
        self.push(Insn::load(Size::Double, Reg::R1, Reg::FP, left), None);
        let mut tests = Vec::new();
        for exit in 1..l.exits.len() {
            let exit = i32::try_from(exit).expect("a loop has few exits");
            tests.push(self.out.insns.len());
            self.push(Insn::jump_if_imm(Cond::Eq, Reg::R1, exit), None);
        }
        for (exit, &target) in l.exits.iter().enumerate() {
            if let Some(test) = exit.checked_sub(1) {
                let here = self.out.insns.len();
                self.out.jumps.insert(
                    tests[test],
                    Jump {
                        target: here,
                        ends: false,
                    },
                );
            }
            self.load(region, self.flow.read_from(target).among(lost).among(known));
            let to = (self.place(region, target), false);
            self.jump(Insn::jump(), None, to);
        }
        Ok(())
    }

    /// The registers that a turn finds as the last one, or what was before the loop, has left them.
    fn carried(&self, number: usize) -> Regs {
        let l = &self.loops[number];
        self.flow.read_from(l.head).among(l.used)
    }

    fn save(&mut self, base: Reg, registers: Regs) {
        for (reg, slot) in slots(registers) {
            self.push(Insn::store(Size::Double, base, slot, reg), None);
        }
    }

    /// Loads registers; the last of them has the way to them before, if no other has.
    fn load(&mut self, region: Option<usize>, registers: Regs) {
        let registers: Vec<_> = slots(registers).collect();
        let Some((last, _)) = registers.last() else {
            return;
        };
        let base = self.base(region).unwrap_or_else(|| {
            self.push(Insn::load(Size::Double, *last, Reg::FP, BASE), None);
            *last
        });
        for (reg, slot) in registers {
            self.push(Insn::load(Size::Double, reg, base, slot), None);
        }
    }

    fn finish(mut self) -> Outlined {
        for (at, place, ends) in self.open {
            let target = self.places[&place];
            self.out.jumps.insert(at, Jump { target, ends });
        }
        let uses = self.uses.into_iter();
        self.out.uses = uses.map(|(at, number)| (at, self.starts[number])).collect();
        self.out
    }
}

fn slots(registers: Regs) -> impl Iterator<Item = (Reg, i16)> {
    registers
        .into_iter()
        .zip(0..)
        .filter_map(|(reg, number)| Some((reg?, FIRST_SLOT - 8 * number)))
}
