//! How a program's instructions follow each other: which lead to which, which belong to a loop, and which registers
//! are read from a place on before they are written.

use std::collections::{BTreeMap, BTreeSet};

use crate::insn::{Insn, Reg};
use crate::layout::Jump;

/// A set of the registers `r0` to `r9`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regs(u16);

impl Regs {
    pub(crate) const ALL: Self = Self(0x3ff);

    pub(crate) const fn of(registers: &[Reg]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < registers.len() {
            bits |= 1 << registers[at].number();
            at += 1;
        }
        Self(bits & Self::ALL.0)
    }

    pub(crate) const fn has(self, reg: Reg) -> bool {
        self.0 >> reg.number() & 1 != 0
    }

    /// Those of both.
    pub(crate) const fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Those that are in `of`, too.
    pub(crate) const fn among(self, of: Self) -> Self {
        Self(self.0 & of.0)
    }

    pub(crate) const fn others(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }

    /// `r0` to `r9`, `None` for those that are not in it.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = Option<Reg>> {
        Reg::GENERAL
            .into_iter()
            .map(move |reg| self.has(reg).then_some(reg))
    }
}

/// The flow of a program.
#[derive(Debug)]
pub(crate) struct Flow {
    /// The instructions that can be reached, in their order; the second half of an `ld_imm64` is none.
    pub(crate) order: Vec<usize>,
    /// What each leads to.
    pub(crate) next: Vec<Vec<usize>>,
    /// What leads to each.
    before: Vec<Vec<usize>>,
    /// The instruction nearest to each that every way to it passes.
    dominators: Vec<usize>,
    /// Where each is in an order in which loops aside every instruction comes behind those that lead to it.
    ranks: Vec<usize>,
    /// The registers that are read before they are written from each on.
    read: Vec<Regs>,
}

impl Flow {
    pub(crate) fn of(insns: &[Insn], live: &[bool], jumps: &BTreeMap<usize, Jump>) -> Self {
        let mut order = Vec::new();
        let mut next = vec![Vec::new(); insns.len()];
        let mut before = vec![Vec::new(); insns.len()];
        let mut at = 0;
        while at < insns.len() {
            let behind = if insns[at].is_wide() { at + 2 } else { at + 1 };
            if live[at] {
                order.push(at);
                let falls = insns[at].falls_through().then_some(behind);
                for to in falls
                    .into_iter()
                    .chain(jumps.get(&at).map(|jump| jump.target))
                {
                    next[at].push(to);
                    before[to].push(at);
                }
            }
            at = behind;
        }
        let mut flow = Self {
            order,
            next,
            before,
            dominators: Vec::new(),
            ranks: Vec::new(),
            read: Vec::new(),
        };
        flow.find_dominators();
        flow.find_read(insns);
        flow
    }

    /// After Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
    fn find_dominators(&mut self) {
        const NONE: usize = usize::MAX;
        let count = self.next.len();
        let mut done = Vec::new();
        let mut seen = vec![false; count];
        let mut path = vec![(0, 0)];
        seen[0] = true;
        while let Some((at, way)) = path.last_mut() {
            if let Some(&to) = self.next[*at].get(*way) {
                *way += 1;
                if !seen[to] {
                    seen[to] = true;
                    path.push((to, 0));
                }
            } else {
                done.push(*at);
                path.pop();
            }
        }
        done.reverse();
        self.ranks = vec![NONE; count];
        for (rank, &at) in done.iter().enumerate() {
            self.ranks[at] = rank;
        }
        self.dominators = vec![NONE; count];
        self.dominators[0] = 0;
        let mut changes = true;
        while changes {
            changes = false;
            for &at in done.iter().skip(1) {
                let mut nearest = NONE;
                for &from in &self.before[at] {
                    if self.dominators[from] == NONE {
                        continue;
                    }
                    nearest = if nearest == NONE {
                        from
                    } else {
                        self.nearest_of(nearest, from)
                    };
                }
                changes |= self.dominators[at] != nearest;
                self.dominators[at] = nearest;
            }
        }
    }

    fn nearest_of(&self, mut one: usize, mut other: usize) -> usize {
        while one != other {
            if self.ranks[one] > self.ranks[other] {
                one = self.dominators[one];
            } else {
                other = self.dominators[other];
            }
        }
        one
    }

    /// Whether every way to `at` passes `through`.
    fn passes(&self, at: usize, through: usize) -> bool {
        let mut at = at;
        while self.ranks[at] > self.ranks[through] {
            at = self.dominators[at];
        }
        at == through
    }

    /// The loop that starts at `head`: what leads back to it.
    pub(crate) fn loop_of(&self, head: usize) -> BTreeSet<usize> {
        let mut body = BTreeSet::from([head]);
        let back = self.before[head].iter().copied();
        let mut waiting: Vec<usize> = back.filter(|&from| self.passes(from, head)).collect();
        while let Some(at) = waiting.pop() {
            if body.insert(at) {
                waiting.extend(&self.before[at]);
            }
        }
        body
    }

    fn find_read(&mut self, insns: &[Insn]) {
        self.read = vec![Regs::default(); insns.len()];
        let mut waiting: BTreeSet<usize> = self.order.iter().copied().collect();
        while let Some(at) = waiting.pop_last() {
            let (reads, writes) = insns[at].reads_and_writes();
            let read = reads.and(self.read_behind(at).among(writes.others()));
            if self.read[at] != read {
                self.read[at] = read;
                waiting.extend(&self.before[at]);
            }
        }
    }

    /// The registers that are read behind the instruction `at` before they are written.
    pub(crate) fn read_behind(&self, at: usize) -> Regs {
        let next = self.next[at].iter().map(|&to| self.read[to]);
        next.fold(Regs::default(), Regs::and)
    }

    /// The registers that are read from `at` on before they are written.
    pub(crate) fn read_from(&self, at: usize) -> Regs {
        self.read[at]
    }
}
