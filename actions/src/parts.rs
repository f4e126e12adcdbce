//! Long programs are cut into parts, each of which the kernel loads for itself.
//!
//! The kernel's time to load a program grows with the square of its length: 100,000 instructions take it
//! half a minute, eight parts of 8,000 less than half a second. So where a program gets longer than that,
//! it goes on in another one by a tail call, which costs a firing some 200 ns. A program that is not longer is not
//! touched.
//!
//! ```text
//!   part 0     entry; prologue; sites; probe A: clauses 1 to 20      ─► part 1, entry 0
//!                                      probe C (its stub)            ─► part 1, entry 1
//!   part 1     entry 0: probe A: clauses 21 and 22; leave
//!              entry 1: probe C: clauses 1 to 20                     ─► part 2, entry 0
//!   part 2     ...
//! ```
//!
//! A part is cut between two clauses, or in a clause between two of its statements; then the next part has a
//! second entry, for firings that are done with the clause: its predicate was false, or it has faulted.
//! The kernel lets a firing make 33 tail calls. Where more would be needed, the parts are made longer.

use std::collections::BTreeSet;

use dlang::diag::Span;
use predicates::asm::{Code, Label, Unfinished};
use predicates::emit::{Emit, Emitted, FetchedValues};
use predicates::insn::{Reg, Size};
use predicates::part::{Part, PartMaps, Slot};

use crate::clause::{Held, Ways};
use crate::faults::Faulting;
use crate::program::{Unit, count};

/// Instructions of a program, at which it is cut.
pub const PART_LENGTH: usize = 8_000;

/// The most tail calls that a firing makes (`MAX_TAIL_CALL_CNT`).
pub(crate) const MOST_CALLS: u32 = 33;

/// Instructions that report a fault, without those of ERROR's clauses.
const REPORT: usize = 50;

/// By how many instructions it is decided where a program is cut.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    /// Where a part is full.
    pub(crate) part: usize,
    /// What ERROR's clauses have, a copy of which comes with each clause that may fault; 0 while that is
    /// not known.
    pub(crate) error: usize,
}

/// The parts of one program while they are made.
pub(crate) struct Parts<'u> {
    unit: &'u Unit<'u>,
    lengths: Lengths,
    /// The instructions of the longest copy of ERROR's clauses so far.
    error_length: usize,
    /// The part that is being made.
    current: Current,
    /// Those that are done, by their numbers less one; without part 0, the program itself.
    done: Vec<Part>,
    /// Part 0 and where it leaves, once another is being made.
    main: Option<(Part, Label)>,
    /// Tail calls of a firing of the current probe so far, and the most of any.
    calls: u32,
    most_calls: u32,
}

/// The part that is being made.
struct Current {
    number: u32,
    /// Where its firings end.
    leave: Label,
    /// Its start, which comes last.
    prologue: Label,
    /// Its clauses whose faults are still to be handled.
    faulting: Vec<Faulting>,
    /// Where others go on in it, and what is saved for that.
    entries: Vec<(Label, BTreeSet<Slot>)>,
}

/// Where a probe's clauses start.
pub(crate) enum Start {
    /// In part 0.
    Here(Label),
    /// In another part, at this entry.
    Elsewhere {
        part: u32,
        entry: u32,
        slots: BTreeSet<Slot>,
    },
}

impl<'u> Parts<'u> {
    /// Starts part 0: the context is in `r1`.
    pub(crate) fn start(unit: &'u Unit<'u>, emit: &mut Emit<'_>, lengths: Lengths) -> Self {
        Self {
            unit,
            lengths,
            error_length: 0,
            current: Current::start(emit, 0),
            done: Vec::new(),
            main: None,
            calls: 0,
            most_calls: 0,
        }
    }

    /// The number of the part that is being made.
    pub(crate) fn number(&self) -> u32 {
        self.current.number
    }

    /// Where a firing leaves the part that is being made.
    pub(crate) fn leave(&self) -> Label {
        self.current.leave
    }

    /// The most tail calls that a firing makes.
    pub(crate) fn most_calls(&self) -> u32 {
        self.most_calls
    }

    /// The instructions of the longest copy of ERROR's clauses.
    pub(crate) fn error_length(&self) -> usize {
        self.error_length
    }

    /// Notes a clause whose faults are to be handled in this part.
    pub(crate) fn faults(&mut self, faulting: Faulting) {
        self.current.faulting.push(faulting);
    }

    /// Whether the part that is being made is long enough.
    fn is_full(&self, emit: &Emit<'_>) -> bool {
        let report = REPORT + self.lengths.error;
        emit.asm.here() + self.current.faulting.len() * report > self.lengths.part
    }

    /// Binds the start of a probe's clauses, in another part if this one is full.
    pub(crate) fn start_probe(&mut self, emit: &mut Emit<'_>) -> Emitted<Start> {
        if self.is_full(emit) {
            self.next(emit)?;
        }
        let label = emit.asm.label();
        emit.asm.bind(label);
        self.calls = 0;
        if self.current.number == 0 {
            return Ok(Start::Here(label));
        }
        emit.fetched_at_entry();
        let slots = emit.lasting_slots();
        self.current.entries.push((label, slots.clone()));
        self.called();
        Ok(Start::Elsewhere {
            part: self.current.number,
            entry: count(self.current.entries.len() - 1),
            slots,
        })
    }

    /// Between two clauses of a probe: goes on in another part if this one is full.
    pub(crate) fn between_clauses(&mut self, emit: &mut Emit<'_>) -> Emitted<()> {
        if !self.is_full(emit) {
            return Ok(());
        }
        let slots = emit.lasting_slots();
        emit.go_on_in(self.maps(), (self.current.number + 1, 0), &slots)?;
        self.next(emit)?;
        self.enter(emit, slots);
        Ok(())
    }

    /// The same between two statements of a clause, whose record is in `held`.
    /// `before` is what had been fetched before the clause.
    pub(crate) fn between_statements(
        &mut self,
        emit: &mut Emit<'_>,
        ways: &mut Ways,
        held: Option<Held>,
        (clause, before): ((u32, usize), &FetchedValues),
    ) -> Emitted<()> {
        if !self.is_full(emit) {
            return Ok(());
        }
        let next = self.current.number + 1;
        let slots = emit.lasting_slots();
        let mut with_record = slots.clone();
        with_record.extend(held.into_iter().flat_map(Held::slots));
        let here = emit.fetched();
        emit.go_on_in(self.maps(), (next, 0), &with_record)?;
        emit.asm.bind(ways.end);
        emit.fetched_only(before);
        emit.go_on_in(self.maps(), (next, 1), &slots)?;
        self.clause_faults(emit, ways, clause, 0);
        self.next(emit)?;
        emit.fetched_only(&here);
        self.enter(emit, with_record);
        let (end, fault) = (emit.asm.label(), emit.asm.label());
        self.current.entries.push((end, slots));
        *ways = Ways { end, fault };
        Ok(())
    }

    /// Takes the faults of a clause, or of the part of it that is in this part of the program, which
    /// begins at `start`.
    pub(crate) fn clause_faults(
        &mut self,
        emit: &mut Emit<'_>,
        ways: &Ways,
        (epid, number): (u32, usize),
        start: usize,
    ) {
        let faults = emit.take_faults();
        if !faults.is_empty() || emit.asm.leads_to(ways.fault, start) {
            self.faults(Faulting {
                faults,
                handler: ways.fault,
                epid,
                id: emit.machine.id,
                number,
                shared: emit.machine.shared.clone(),
                end: ways.end,
            });
        }
    }

    /// Behind a clause: what has been fetched on all ways that meet there, of which some may come from
    /// another part.
    pub(crate) fn after_clause(&self, emit: &mut Emit<'_>, before: &FetchedValues) {
        emit.fetched_only(before);
        if self.current.number > 0 {
            emit.fetched_at_entry();
        }
    }

    /// Goes back to part 0, whose prologue is to come.
    pub(crate) fn back(&mut self, emit: &mut Emit<'_>) -> Emitted<()> {
        self.end(emit)?;
        if let Some((main, leave)) = self.main.take() {
            self.done.push(emit.switch_part(main));
            self.current.leave = leave;
        }
        Ok(())
    }

    /// The start of a probe in part 0, from which another part is called if its clauses are there.
    pub(crate) fn entry(&self, emit: &mut Emit<'_>, start: Start) -> Emitted<Label> {
        match start {
            Start::Here(label) => Ok(label),
            Start::Elsewhere { part, entry, slots } => {
                let label = emit.asm.label();
                emit.asm.bind(label);
                emit.go_on_in(self.maps(), (part, entry), &slots)?;
                Ok(label)
            }
        }
    }

    /// Emits the end of part 0, but for its prologue, whose label it gives.
    pub(crate) fn leave_main(&mut self, emit: &mut Emit<'_>) -> Emitted<Label> {
        self.current.leave(emit)?;
        Ok(self.current.prologue)
    }

    /// The finished code of all parts but part 0.
    pub(crate) fn finish(self, emit: &mut Emit<'_>) -> Result<Vec<Code>, Unfinished> {
        let parts = self.done.into_iter();
        parts.map(|part| emit.finish_part(part)).collect()
    }

    fn maps(&self) -> PartMaps {
        self.unit.part_maps
    }

    fn called(&mut self) {
        self.calls += 1;
        self.most_calls = self.most_calls.max(self.calls);
    }

    /// Ends the part that is being made and starts the next.
    fn next(&mut self, emit: &mut Emit<'_>) -> Emitted<()> {
        self.end(emit)?;
        let part = emit.start_part();
        let number = self.current.number + 1;
        let before = std::mem::replace(&mut self.current, Current::start(emit, number));
        if before.number == 0 {
            self.main = Some((part, before.leave));
        } else {
            self.done.push(part);
        }
        Ok(())
    }

    /// The code goes on at the first entry of a part.
    fn enter(&mut self, emit: &mut Emit<'_>, slots: BTreeSet<Slot>) {
        let label = emit.asm.label();
        emit.asm.bind(label);
        emit.fetched_at_entry();
        self.current.entries.push((label, slots));
        self.called();
    }

    /// Emits what comes behind the clauses of the part that is being made.
    fn end(&mut self, emit: &mut Emit<'_>) -> Emitted<()> {
        let faulting = std::mem::take(&mut self.current.faulting);
        let leave = self.current.leave;
        let error_length = self.unit.handle_faults(emit, faulting, leave)?;
        self.error_length = self.error_length.max(error_length);
        if self.current.number == 0 {
            return Ok(());
        }
        self.current.leave(emit)?;
        emit.asm.bind(self.current.prologue);
        emit.asm.note("what was saved");
        emit.enter_part(self.maps(), &self.current.entries)
    }
}

impl Current {
    fn start(emit: &mut Emit<'_>, number: u32) -> Self {
        let (prologue, leave) = (emit.asm.label(), emit.asm.label());
        emit.asm
            .store(Size::Double, Reg::FP, Emit::CONTEXT, Reg::R1);
        emit.asm.jump(prologue);
        Self {
            number,
            leave,
            prologue,
            faulting: Vec::new(),
            entries: Vec::new(),
        }
    }

    fn leave(&self, emit: &mut Emit<'_>) -> Emitted<()> {
        emit.asm.place(Span::default());
        emit.finish_give_up()?;
        emit.asm.bind(self.leave);
        emit.leave();
        Ok(())
    }
}
