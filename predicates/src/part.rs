//! Parts: the programs that a long one is cut into.
//!
//! The kernel's time to load a program grows with the square of its length, so one that would get
//! long is made as several, its *parts*. Each ends with a tail call of the next, which starts with the
//! context in `r1` and nothing else: registers and stack are lost. What a firing has in its stack slots is
//! therefore saved in memory before, and brought back to the same slots behind. Stack slots mean the
//! same in all parts of a program.
//!
//! Here is what concerns one part's code; which parts there are, and where they are cut, is
//! `actions`' business. A program is cut between statements only, where no register holds anything.

use std::collections::BTreeSet;

use dlang::diag::Span;

use crate::asm::{Asm, Code, Label, MapRef, Unfinished};
use crate::emit::{Emit, Emitted};
use crate::insn::{Cond, Helper, Reg, Size};
use crate::machine::Argument;
use crate::stack::STACK_SIZE;

/// The code of a part that is not the one being made.
#[derive(Debug)]
pub struct Part {
    asm: Asm,
    give_up: Label,
    gave_up: bool,
    nested: Label,
    may_nest: bool,
    heap_checks: Vec<usize>,
}

/// A stack slot of eight bytes, by its offset from the frame pointer.
pub type Slot = i16;

/// The maps by which one part goes on in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartMaps {
    /// The array of the parts.
    pub programs: MapRef,
    /// Where a firing's stack slots are while it goes from one part to the next: task storage, or for
    /// timers an array for each CPU, of one value like the stack.
    pub saved: MapRef,
}

impl PartMaps {
    /// How many maps these are.
    pub const COUNT: u32 = 2;
    /// Bytes of a value of `saved`.
    pub const SAVED: u32 = STACK_SIZE as u32;
}

/// Where a part is entered: what is to be found in the context's slot, which needs no saving.
const ENTRY: Slot = Emit::CONTEXT;

impl Emit<'_> {
    /// Puts the part that is being made aside and starts another one.
    pub fn start_part(&mut self) -> Part {
        let mut asm = Asm::with_loops(self.storage.loops());
        let (give_up, nested) = (asm.label(), asm.label());
        asm.ends(give_up);
        asm.ends(nested);
        self.switch_part(Part {
            asm,
            give_up,
            gave_up: true,
            nested,
            may_nest: false,
            heap_checks: Vec::new(),
        })
    }

    /// Puts the part that is being made aside and goes on with `part`.
    pub fn switch_part(&mut self, part: Part) -> Part {
        debug_assert!(self.has_no_faults(), "a part's faults are handled in it");
        Part {
            asm: std::mem::replace(&mut self.asm, part.asm),
            give_up: std::mem::replace(&mut self.give_up, part.give_up),
            gave_up: std::mem::replace(&mut self.gave_up, part.gave_up),
            nested: std::mem::replace(&mut self.nested, part.nested),
            may_nest: std::mem::replace(&mut self.may_nest, part.may_nest),
            heap_checks: std::mem::replace(&mut self.heap.checks, part.heap_checks),
        }
    }

    /// The finished code of a part. All parts have been made: only then it is known how full the
    /// heap may get.
    pub fn finish_part(&mut self, part: Part) -> Result<Code, Unfinished> {
        let current = self.switch_part(part);
        let code = self.finish();
        self.switch_part(current);
        code
    }

    /// The stack slots in which the firing of the current probe has something between two statements:
    /// what has been fetched, `this->` variables, arguments. Not those with an address of the scratch, which
    /// each part finds itself.
    #[must_use]
    pub fn lasting_slots(&self) -> BTreeSet<Slot> {
        let fetched = self.slots.iter();
        let fetched = fetched.filter(|(what, _)| !what.is_address());
        let mut slots: BTreeSet<Slot> = fetched.map(|(_, &slot)| slot).collect();
        slots.extend(self.locals.iter().flatten());
        slots.extend(self.allocated);
        slots.extend(
            self.machine
                .args
                .iter()
                .filter_map(|argument| match argument {
                    Argument::Slot(slot) | Argument::Word(slot) => Some(*slot),
                    Argument::Constant(_) | Argument::Absent | Argument::Unreadable(_) => None,
                }),
        );
        slots.extend(self.machine.shared.as_ref().map(|shared| shared.slot));
        let python = self.machine.python.as_ref();
        let places = python.map(|python| [&python.frame, &python.returned, &python.resumed]);
        slots.extend(places.into_iter().flatten().flatten().copied());
        slots
    }

    /// Ends a part: saves the slots and goes on in `part`, at the entry of that number. A firing that the
    /// kernel lets make no further tail call is given up.
    pub fn go_on_in(
        &mut self,
        maps: PartMaps,
        (part, entry): (u32, u32),
        slots: &BTreeSet<Slot>,
    ) -> Emitted<()> {
        let span = Span::default();
        // The next part relies on it that the scratch has been found, and must not empty it.
        self.fetched.retain(|what| !what.is_address());
        self.scratch(Reg::R0, span)?;
        self.find_value(maps.saved, true, span)?;
        for &slot in slots {
            self.asm.load(Size::Double, Reg::R1, Reg::FP, slot);
            let place = STACK_SIZE + slot;
            self.asm.store(Size::Double, Reg::R0, place, Reg::R1);
        }
        let place = STACK_SIZE + ENTRY;
        self.asm
            .store_imm(Size::Double, Reg::R0, place, entry.cast_signed());
        self.asm.load(Size::Double, Reg::R1, Reg::FP, Self::CONTEXT);
        self.asm.map(Reg::R2, maps.programs);
        self.asm.mov_imm(Reg::R3, i64::from(part));
        self.asm.call(Helper::TailCall);
        self.gave_up = true;
        let give_up = self.give_up;
        self.asm.jump(give_up);
        Ok(())
    }

    /// The start of a part that another one goes on in, emitted last: `entries` are its entries in the
    /// order of their numbers, each with the slots that were saved.
    pub fn enter_part(
        &mut self,
        maps: PartMaps,
        entries: &[(Label, BTreeSet<Slot>)],
    ) -> Emitted<()> {
        let span = Span::default();
        self.zero_slots();
        self.find_scratch_again(span)?;
        self.find_value(maps.saved, false, span)?;
        for (number, (label, slots)) in (0..).zip(entries) {
            let other = self.asm.label();
            if number + 1 < entries.len() {
                self.asm
                    .load(Size::Double, Reg::R1, Reg::R0, STACK_SIZE + ENTRY);
                let number = i32::try_from(number).expect("entries are few");
                self.asm.jump_if_imm(Cond::Ne, Reg::R1, number, other);
            }
            for &slot in slots {
                let place = STACK_SIZE + slot;
                self.asm.load(Size::Double, Reg::R1, Reg::R0, place);
                self.asm.store(Size::Double, Reg::FP, slot, Reg::R1);
            }
            self.asm.jump(*label);
            self.asm.bind(other);
        }
        Ok(())
    }

    /// Where a part is entered, of all addresses only that of the scratch has been found.
    pub fn fetched_at_entry(&mut self) {
        self.fetched.retain(|what| !what.is_address());
        self.fetched.insert(self.scratch_kind());
    }

    /// `r0 = address of a map's only value for this thread, or CPU`; a firing that has none is given up.
    fn find_value(&mut self, map: MapRef, make: bool, span: Span) -> Emitted<()> {
        let give_up = self.give_up;
        self.gave_up = true;
        if self.machine.timer {
            let key = self.buffer(8, span)?;
            self.asm.store_imm(Size::Double, Reg::FP, key, 0);
            self.asm.map(Reg::R1, map);
            self.stack_address(Reg::R2, key);
            self.asm.call(Helper::MapLookupElem);
            self.stack.give_buffer(key, 8);
        } else {
            self.task_value(map, make);
        }
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, give_up);
        Ok(())
    }

    /// Finds the scratch that an earlier part of the firing has found.
    fn find_scratch_again(&mut self, span: Span) -> Emitted<()> {
        if self.storage.claims {
            self.find_claimed(span)?;
        } else if self.machine.timer {
            self.find_value(self.storage.scratch, false, span)?;
        } else {
            self.find_value(self.storage.thread, false, span)?;
        }
        let slot = self.scratch_slot(span)?;
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        Ok(())
    }
}
