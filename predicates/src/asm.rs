//! The assembler: instructions in order, labels, and symbolic maps.
//!
//! Jumps name labels, which may be bound before or after them. Maps are numbers that mean
//! something to the caller; `finish` lists where they stand, and nothing here opens one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use dlang::diag::Span;

use crate::insn::{Alu, Cond, Helper, Insn, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE, Reg, Size};
pub use crate::layout::JumpTooFar;
use crate::layout::{Jump, Layout, lay_out};
use crate::loops::outline;
pub use crate::loops::{NoRegister, OpenLoops};

/// A place to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(usize);

/// A map, by its number in the enabling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapRef(pub u32);

/// An `ld_imm64` that names a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapUse {
    /// Index of the instruction.
    pub insn: usize,
    /// The map.
    pub map: MapRef,
    /// `None` for the map; else the byte in its first value.
    pub value_offset: Option<u32>,
}

/// Finished code.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The instructions, jumps resolved.
    pub insns: Vec<Insn>,
    /// Where maps are named.
    pub maps: Vec<MapUse>,
    /// Where functions start that the program hands to helpers; they are behind it.
    pub functions: Vec<usize>,
    /// What the code from an instruction on computes, for listings.
    pub notes: Vec<(usize, String)>,
    /// From which instruction on the code belongs to a statement or predicate, and where that stands
    /// in the D program.
    pub places: Vec<(usize, Span)>,
}

/// Collects instructions.
#[derive(Debug, Default)]
pub struct Asm {
    code: Code,
    /// Where each label stands, once bound.
    labels: Vec<Option<usize>>,
    /// Jumps and the labels they lead to.
    jumps: Vec<(usize, Label)>,
    /// Labels behind which a firing or a clause soon ends.
    ending: HashSet<Label>,
    /// Instructions whose immediate is the index of another one.
    indexes: Vec<(usize, usize)>,
    /// How loops without a bound are made.
    open_loops: OpenLoops,
}

/// Why there is no finished code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// It is too long.
    #[error(transparent)]
    TooLong(#[from] JumpTooFar),
    /// A loop cannot be made as this kernel wants it.
    #[error(transparent)]
    Loop(#[from] NoRegister),
}

impl Asm {
    /// Code with loops as the kernel has them.
    #[must_use]
    pub(crate) fn with_loops(open_loops: OpenLoops) -> Self {
        Self {
            open_loops,
            ..Self::default()
        }
    }

    /// The index of the next instruction.
    #[must_use]
    pub fn here(&self) -> usize {
        self.code.insns.len()
    }

    /// A new label, not yet bound.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Binds `label` to the next instruction.
    pub fn bind(&mut self, label: Label) {
        debug_assert!(self.labels[label.0].is_none(), "a label is bound once");
        self.labels[label.0] = Some(self.here());
    }

    /// Whether a jump of those from the instruction `since` on leads to `label`.
    #[must_use]
    pub fn leads_to(&self, label: Label, since: usize) -> bool {
        let jumps = self.jumps.iter().rev();
        let mut jumps = jumps.take_while(|(at, _)| *at >= since);
        jumps.any(|(_, to)| *to == label)
    }

    /// Says that the firing or the clause soon ends behind `label`: it is where a check leads that
    /// has failed.
    pub fn ends(&mut self, label: Label) {
        self.ending.insert(label);
    }

    /// Says where what follows stands in the D program: nowhere, for a span of nothing.
    pub fn place(&mut self, span: Span) {
        self.code.places.push((self.here(), span));
    }

    /// Says what follows, for listings.
    pub fn note(&mut self, text: impl Into<String>) {
        self.code.notes.push((self.here(), text.into()));
    }

    /// Appends an instruction that is neither a jump nor an `ld_imm64`.
    pub fn push(&mut self, insn: Insn) {
        self.code.insns.push(insn);
    }

    /// `dst = src`, unless they are the same.
    pub fn mov(&mut self, dst: Reg, src: Reg) {
        if dst != src {
            self.push(Insn::alu(Alu::Mov, dst, src));
        }
    }

    /// `dst = value`.
    pub fn mov_imm(&mut self, dst: Reg, value: i64) {
        if let Ok(imm) = i32::try_from(value) {
            self.push(Insn::alu_imm(Alu::Mov, dst, imm));
        } else {
            self.code
                .insns
                .extend(Insn::load_imm64(dst, 0, value.cast_unsigned()));
        }
    }

    /// `dst op= src`.
    pub fn alu(&mut self, op: Alu, dst: Reg, src: Reg) {
        self.push(Insn::alu(op, dst, src));
    }

    /// `dst op= imm`.
    pub fn alu_imm(&mut self, op: Alu, dst: Reg, imm: i32) {
        self.push(Insn::alu_imm(op, dst, imm));
    }

    /// `dst = *(size *)(base + offset)`.
    pub fn load(&mut self, size: Size, dst: Reg, base: Reg, offset: i16) {
        self.push(Insn::load(size, dst, base, offset));
    }

    /// `*(size *)(base + offset) = src`.
    pub fn store(&mut self, size: Size, base: Reg, offset: i16, src: Reg) {
        self.push(Insn::store(size, base, offset, src));
    }

    /// `*(size *)(base + offset) = imm`.
    pub fn store_imm(&mut self, size: Size, base: Reg, offset: i16, imm: i32) {
        self.push(Insn::store_imm(size, base, offset, imm));
    }

    /// `dst = map`.
    pub fn map(&mut self, dst: Reg, map: MapRef) {
        self.map_use(dst, map, None);
    }

    /// `dst = address of byte offset in the first value of an array map`.
    pub fn map_value(&mut self, dst: Reg, map: MapRef, offset: u32) {
        self.map_use(dst, map, Some(offset));
    }

    fn map_use(&mut self, dst: Reg, map: MapRef, value_offset: Option<u32>) {
        let pseudo = if value_offset.is_some() {
            PSEUDO_MAP_VALUE
        } else {
            PSEUDO_MAP_FD
        };
        self.code.maps.push(MapUse {
            insn: self.here(),
            map,
            value_offset,
        });
        let value = u64::from(map.0) | u64::from(value_offset.unwrap_or(0)) << 32;
        self.code.insns.extend(Insn::load_imm64(dst, pseudo, value));
    }

    /// `goto label`.
    pub fn jump(&mut self, label: Label) {
        self.jumps.push((self.here(), label));
        self.push(Insn::jump());
    }

    /// `if a cond b goto label`.
    pub fn jump_if(&mut self, cond: Cond, a: Reg, b: Reg, label: Label) {
        self.jumps.push((self.here(), label));
        self.push(Insn::jump_if(cond, a, b));
    }

    /// `if a cond imm goto label`.
    pub fn jump_if_imm(&mut self, cond: Cond, a: Reg, imm: i32, label: Label) {
        self.jumps.push((self.here(), label));
        self.push(Insn::jump_if_imm(cond, a, imm));
    }

    /// Goes on, but to `label` after some millions of times: see [`Insn::may_goto`].
    pub fn may_goto(&mut self, label: Label) {
        self.jumps.push((self.here(), label));
        self.push(Insn::may_goto());
    }

    /// `r0 = helper(r1, ..., r5)`.
    pub fn call(&mut self, helper: Helper) {
        self.push(Insn::call(helper));
    }

    /// `dst = index` of the instruction that is now at `index`, in the finished code.
    pub fn mov_index(&mut self, dst: Reg, index: usize) {
        self.indexes.push((self.here(), index));
        self.mov_imm(dst, 0);
    }

    /// Sets the immediate of the instruction that is now at `at`.
    pub fn set_imm(&mut self, at: usize, imm: i32) {
        self.code.insns[at].imm = imm;
    }

    /// Leaves out what is never reached, which the verifier would refuse, and resolves the jumps.
    pub fn finish(self) -> Result<Code, Unfinished> {
        let targets: HashMap<usize, usize> = self
            .jumps
            .iter()
            .map(|&(at, label)| {
                let target = self.labels[label.0];
                (at, target.expect("every label that is jumped to is bound"))
            })
            .collect();
        let live = reachable(&self.code.insns, &targets);
        let jumps: BTreeMap<usize, Jump> = self
            .jumps
            .iter()
            .map(|(at, label)| {
                let (target, ends) = (targets[at], self.ending.contains(label));
                (*at, Jump { target, ends })
            })
            .collect();
        if self.open_loops == OpenLoops::Calls
            && self.live_insns(&live).any(|insn| insn.is_may_goto())
        {
            return self.finish_with_functions(&live, &jumps);
        }
        let Layout { insns, moved } = lay_out(&self.code.insns, &live, &jumps)?;
        Ok(self.in_places(insns, &live, &moved))
    }

    fn live_insns(&self, live: &[bool]) -> impl Iterator<Item = &Insn> {
        let insns = self.code.insns.iter().zip(live);
        insns.filter_map(|(insn, live)| live.then_some(insn))
    }

    /// The same with a function for each loop.
    fn finish_with_functions(
        self,
        live: &[bool],
        jumps: &BTreeMap<usize, Jump>,
    ) -> Result<Code, Unfinished> {
        let outlined = outline(&self.code.insns, live, jumps)?;
        let all = vec![true; outlined.insns.len()];
        let Layout { mut insns, moved } = lay_out(&outlined.insns, &all, &outlined.jumps)?;
        for (at, function) in outlined.uses {
            // From the next instruction.
            let [to, from] = [moved[function], moved[at] + 1].map(i32::try_from);
            let far_below = "programs are far below 2 billion instructions";
            insns[moved[at]].imm = to.expect(far_below) - from.expect(far_below);
        }
        let functions = outlined.functions.iter().map(|&at| moved[at]);
        let functions = functions.collect();
        let end = insns.len();
        // Where each instruction is that there is still; what was left out is where the next one is.
        let mut places = vec![end; self.code.insns.len() + 1];
        let origins = outlined.origins.iter().enumerate();
        for (at, origin) in origins.rev() {
            if let Some(origin) = *origin {
                places[origin] = moved[at];
            }
        }
        let mut following = end;
        for (at, place) in places.iter_mut().enumerate().rev() {
            let is_second = at > 0 && self.code.insns[at - 1].is_wide();
            if is_second || live.get(at) != Some(&true) {
                *place = following;
            }
            following = *place;
        }
        let spans = places_of(&outlined.origins, &moved, &self.code);
        let mut code = self.in_places(insns, live, &places);
        code.places = spans;
        code.notes.sort_by_key(|(at, _)| *at);
        code.functions = functions;
        Ok(code)
    }

    /// The code whose instructions are at the places `moved`.
    fn in_places(self, insns: Vec<Insn>, live: &[bool], moved: &[usize]) -> Code {
        let mut code = Code {
            insns,
            ..Code::default()
        };
        for (at, index) in self.indexes {
            if live[at] {
                let index = i32::try_from(moved[index]);
                code.insns[moved[at]].imm =
                    index.expect("programs are far below 2 billion instructions");
            }
        }
        let uses = self.code.maps.into_iter().filter(|used| live[used.insn]);
        code.maps = uses
            .map(|used| MapUse {
                insn: moved[used.insn],
                ..used
            })
            .collect();
        let places = self.code.places.into_iter();
        code.places = places.map(|(at, span)| (moved[at], span)).collect();
        let notes = self.code.notes.into_iter();
        code.notes = notes.map(|(at, text)| (moved[at], text)).collect();
        code
    }
}

/// Where what each instruction belongs to stands in the D program, if they are in another order than before.
fn places_of(origins: &[Option<usize>], moved: &[usize], code: &Code) -> Vec<(usize, Span)> {
    let mut places: Vec<(usize, Span)> = Vec::new();
    for (&at, origin) in moved.iter().zip(origins) {
        let span = origin.and_then(|origin| code.place_of(origin));
        let span = span.unwrap_or_default();
        if places.last().is_none_or(|(_, last)| *last != span) {
            places.push((at, span));
        }
    }
    places
}

/// Which instructions can be reached from the first.
fn reachable(insns: &[Insn], targets: &HashMap<usize, usize>) -> Vec<bool> {
    let mut live = vec![false; insns.len()];
    let mut waiting = vec![0];
    while let Some(mut at) = waiting.pop() {
        while at < insns.len() && !live[at] {
            live[at] = true;
            waiting.extend(targets.get(&at));
            if insns[at].is_wide() {
                live[at + 1] = true;
                at += 1;
            }
            if !insns[at].falls_through() {
                break;
            }
            at += 1;
        }
    }
    live
}

impl Code {
    /// Where the statement or predicate stands that an instruction belongs to; `None` for what belongs
    /// to none.
    #[must_use]
    pub fn place_of(&self, insn: usize) -> Option<Span> {
        let behind = self.places.partition_point(|(at, _)| *at <= insn);
        let (_, span) = *self.places.get(behind.checked_sub(1)?)?;
        (span != Span::default()).then_some(span)
    }

    /// The instructions as text, numbered, with the notes above what they speak of.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut text = String::new();
        let mut notes = self.notes.iter().peekable();
        for (index, insn) in self.insns.iter().enumerate() {
            while let Some((_, note)) = notes.next_if(|(at, _)| *at <= index) {
                let _ = writeln!(text, "; {note}");
            }
            let _ = writeln!(text, "{index:5}: {insn}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_count_from_the_next_instruction() {
        let mut asm = Asm::default();
        let (start, end) = (asm.label(), asm.label());
        asm.bind(start);
        asm.jump_if_imm(Cond::Eq, Reg::R1, 0, end);
        asm.jump(start);
        asm.bind(end);
        asm.push(Insn::exit());
        let code = asm.finish().unwrap();
        assert_eq!((code.insns[0].offset, code.insns[1].offset), (1, -2));
    }

    /// Where a program's `n`th jump leads, from jump to jump.
    fn led_to(code: &Code, mut at: usize) -> usize {
        loop {
            at = at.wrapping_add_signed(isize::from(code.insns[at].offset) + 1);
            if code.insns[at].code != Insn::jump().code {
                return at;
            }
        }
    }

    #[test]
    fn long_jumps_go_from_island_to_island() {
        let mut asm = Asm::default();
        let (start, end) = (asm.label(), asm.label());
        asm.bind(start);
        asm.mov_imm(Reg::R3, 3);
        asm.jump_if_imm(Cond::Eq, Reg::R1, 0, end);
        for _ in 0..50_000 {
            asm.mov_imm(Reg::R0, 1 << 40);
        }
        asm.jump_if_imm(Cond::Eq, Reg::R2, 0, start);
        asm.bind(end);
        asm.mov_imm(Reg::R4, 4);
        asm.push(Insn::exit());
        let code = asm.finish().unwrap();
        let last = code.insns.len() - 3;
        assert_eq!(code.insns[led_to(&code, 1)].dst, Reg::R4);
        assert_eq!(code.insns[led_to(&code, last)].dst, Reg::R3);
        // On the straight path nothing is left out.
        let (mut at, mut wide) = (2, 0);
        while at < last {
            match code.insns[at] {
                insn if insn.is_wide() => (at, wide) = (at + 2, wide + 1),
                insn => at = at.wrapping_add_signed(isize::from(insn.offset) + 1),
            }
        }
        assert_eq!((at, wide), (last, 50_000));
    }

    #[test]
    fn of_many_branches_those_that_end_soon_are_turned_round() {
        let mut asm = Asm::default();
        let end = asm.label();
        asm.ends(end);
        for _ in 0..4_000 {
            asm.jump_if_imm(Cond::Gt, Reg::R1, 7, end);
        }
        asm.bind(end);
        asm.push(Insn::exit());
        let code = asm.finish().unwrap();
        assert_eq!(
            code.insns[0],
            Insn {
                offset: 1,
                ..Insn::jump_if_imm(Cond::Le, Reg::R1, 7)
            }
        );
        assert_eq!(code.insns[led_to(&code, 1)], Insn::exit());
    }

    #[test]
    fn what_is_never_reached_is_left_out() {
        let mut asm = Asm::default();
        let end = asm.label();
        asm.mov_index(Reg::R2, 5);
        asm.jump(end);
        asm.note("dead");
        asm.map(Reg::R1, MapRef(1));
        asm.bind(end);
        asm.note("alive");
        asm.map(Reg::R1, MapRef(2));
        asm.push(Insn::exit());
        let code = asm.finish().unwrap();
        assert_eq!(code.insns.len(), 5);
        assert_eq!((code.insns[0].imm, code.insns[1].offset), (3, 0));
        assert_eq!((code.maps[0].map, code.maps[0].insn), (MapRef(2), 2));
        assert_eq!(code.notes[1], (2, "alive".into()));
    }

    #[test]
    fn wide_constants_take_two_slots() {
        let mut asm = Asm::default();
        asm.mov_imm(Reg::R1, i64::from(i32::MIN));
        asm.mov_imm(Reg::R1, i64::from(u32::MAX));
        assert_eq!(asm.here(), 3);
    }
}
