//! CPython 3.11 to 3.15: probes in the handlers of a few opcodes.
//!
//! A Python-to-Python call does not call anything in C: it makes a new frame the current one and
//! goes on in the same loop. So the events are to be seen where the loop executes the opcodes
//! that every function starts and ends with:
//!
//! | event | where |
//! | --- | --- |
//! | entry, and going on after a yield | the handlers of `RESUME` and its variants |
//! | going on by `throw()` or `close()`, which skips `RESUME` | the first instructions of `_PyEval_EvalFrameDefault`, if `throwflag` is set |
//! | yield | the handlers of `YIELD_VALUE` and its variant |
//! | return or exception, 3.12 on | the function that clears a finished frame |
//! | return, 3.11 | the handler of `RETURN_VALUE` |
//! | exception, 3.11 | the test of `frame->is_entry` at the label `exit_unwind` |
//! | compiled code, builds with a JIT | the handler of `ENTER_EXECUTOR`, a function of the compiler |
//!
//! 3.11 needs its own places because there an entry frame is cleared by the loop's caller, and
//! link-time optimisation inlines the clearing into some callers and not into others.
//!
//! In a handler, the probe sits on the first instruction that the kernel emulates. Every
//! execution of the handler passes it, since nothing before it branches; registers are followed
//! from the handler's start to it, so it is known where the frame and the instruction pointer are.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::BTreeSet;

use iced_x86::{Code, FlowControl, Instruction, OpKind, Register as R};

use super::caught::{self, CaughtSite};
use super::cfunctions::{self, Cfunctions};
use super::code::{Emulated, Home, State, Value, branch_target, emulated, pt_regs, straight};
use super::entries::{self, EntrySite};
use super::finder::{FRAME, Finder, NEXT_INSTR};
use super::flow::reachable;
use super::image::Image;
use super::opcodes::{Jit, Opcodes};
use super::refusal::Refusal;
use super::site::{Condition, Event, Execution, InstructionPointer, Location, Site};
use super::table::{INSTRUCTION_POINTER, Table};
use super::vote::LoopRegisters;

/// The sites of one build, and remarks on how they were had.
pub(super) struct Found {
    pub(super) sites: Vec<Site>,
    pub(super) entries: Result<Vec<EntrySite>, String>,
    pub(super) caught: Result<Vec<CaughtSite>, String>,
    pub(super) cfunctions: Result<Cfunctions, String>,
    pub(super) notes: Vec<String>,
}

/// Finds every site.
pub(super) fn sites(
    image: &Image<'_>,
    table: &Table,
    registers: &LoopRegisters,
    opcodes: &Opcodes,
    has_jit: bool,
) -> Result<Found, Refusal> {
    let finder = Finder {
        image,
        table,
        registers,
    };
    let mut sites = Vec::new();
    let mut notes = Vec::new();
    for &opcode in opcodes.resume {
        sites.push(finder.handler(Event::Entry, opcode, "RESUME")?);
    }
    sites.push(finder.throw()?);
    for &opcode in opcodes.yield_value {
        let site = match finder.handler(Event::Yield, opcode, "YIELD_VALUE") {
            Ok(site) => site,
            Err(refusal) => {
                let stepped = finder.stepped(Event::Yield, opcode).ok_or(refusal)?;
                notes.push(format!(
                    "the handler of opcode {opcode} (YIELD_VALUE) has no instruction that the \
                     kernel emulates: its probe is single-stepped, which makes a yield cost more"
                ));
                stepped
            }
        };
        sites.push(site);
    }
    if opcodes.has_entry_flag {
        for &opcode in opcodes.returns {
            sites.push(finder.handler(Event::Return, opcode, "RETURN_VALUE")?);
        }
        sites.extend(finder.unwinding(opcodes)?);
    } else {
        let clearing = finder.clearing(opcodes)?;
        sites.extend(clearing.sites);
        notes.extend(clearing.notes);
        for opcode in clearing.not_cleared_by_call {
            sites.push(finder.handler(Event::Return, opcode, "RETURN_VALUE")?);
        }
    }
    if let Some(jit) = opcodes.jit.filter(|_| has_jit) {
        sites.extend(finder.compiled(jit)?);
    }
    merge(&mut sites);
    for site in &mut sites {
        // A specialised form may give up and go on in the handler of the general one, with its own
        // opcode still in place.
        site.opcodes = match site.event {
            Event::Entry => {
                site.condition = opcodes.resume_too_early.map(Condition::ArgumentIsNot);
                opcodes.resume.to_vec()
            }
            Event::Yield => opcodes.yield_value.to_vec(),
            Event::Return => opcodes.returns.to_vec(),
            Event::Throw | Event::Exit | Event::Compiled => Vec::new(),
        };
    }
    let entries = entries::find(&finder, opcodes);
    let caught = caught::in_handlers(&finder, opcodes);
    let cfunctions = cfunctions::find(&finder, opcodes);
    Ok(Found {
        sites,
        entries,
        caught,
        cfunctions,
        notes,
    })
}

/// One site for each instruction: handlers may share their tails.
fn merge(sites: &mut Vec<Site>) {
    let mut merged: Vec<Site> = Vec::new();
    for site in sites.drain(..) {
        match merged
            .iter_mut()
            .find(|s| s.address == site.address && s.event == site.event)
        {
            Some(_) => {}
            None => merged.push(site),
        }
    }
    *sites = merged;
}

/// How far a handler is followed before giving up.
pub(super) const HANDLER_LIMIT: usize = 64;

/// How many taken branches away from a handler's straight path a call is looked for.
const BRANCHES: u32 = 3;

/// `is_entry` in 3.11's `_PyInterpreterFrame`.
const IS_ENTRY: i64 = 68;

impl Finder<'_, '_> {
    /// The site in the handler of `opcode`.
    fn handler(&self, event: Event, opcode: u8, name: &str) -> Result<Site, Refusal> {
        let missing = |why: &str| no_site(&format!("the handler of opcode {opcode} ({name})"), why);
        let start = self
            .target(opcode)
            .ok_or_else(|| missing("the dispatch table is short"))?;
        let (mut state, frame, next_instr) = self.at_handler();
        for insn in straight(self.image, start, HANDLER_LIMIT) {
            if let Some(kind) = emulated(self.image, &insn) {
                let holder = state.find(frame);
                let holder = holder
                    .ok_or_else(|| missing("the frame is lost before a place for a probe"))?;
                let saved = state.memory(frame.plus(INSTRUCTION_POINTER));
                let saved = saved.filter(|value| value.name == next_instr.name);
                let instruction = match saved.and_then(|value| i32::try_from(value.plus).ok()) {
                    Some(ahead) => InstructionPointer::Saved { ahead },
                    None => {
                        let home = state.find(next_instr).and_then(Location::of);
                        let location =
                            home.ok_or_else(|| missing("the instruction pointer is lost"))?;
                        InstructionPointer::Variable { location, ahead: 0 }
                    }
                };
                let site = self.site(&insn, event, Execution::Emulated(kind), holder, instruction);
                let site = site.ok_or_else(|| missing("the place is not in the file"))?;
                return Ok(site);
            }
            state.step(&insn);
        }
        Err(missing(
            "no instruction that the kernel can emulate under a probe",
        ))
    }

    /// The first instruction of the handler of `opcode`, to be single-stepped.
    fn stepped(&self, event: Event, opcode: u8) -> Option<Site> {
        let insn = straight(self.image, self.target(opcode)?, 1).next()?;
        let plain = insn.flow_control() == FlowControl::Next && !insn.is_ip_rel_memory_operand();
        let location = Location::of(self.registers.next_instr)?;
        let instruction = InstructionPointer::Variable { location, ahead: 0 };
        let site = self.site(
            &insn,
            event,
            Execution::Stepped,
            self.registers.frame,
            instruction,
        );
        site.filter(|_| plain)
    }

    /// Where the JIT compiler is seen at work.
    fn compiled(&self, jit: Jit) -> Result<Vec<Site>, Refusal> {
        let event = Event::Compiled;
        let handler = self.handler(event, jit.enter, "ENTER_EXECUTOR").ok();
        let handler = handler.or_else(|| self.stepped(event, jit.enter));
        let function = self.image.symbol(jit.function).and_then(|symbol| {
            let argument = State::initial(R::RDI);
            self.best_site(symbol.address, State::new(), argument, event)
        });
        let found: Vec<Site> = handler.into_iter().chain(function).collect();
        if found.is_empty() {
            return Err(no_site(
                "the JIT compiler",
                "neither of its marks was found",
            ));
        }
        Ok(found)
    }

    /// `_PyEval_EvalFrameDefault(tstate, frame, throwflag)`, with the flag set.
    fn throw(&self) -> Result<Site, Refusal> {
        let missing = |why: &str| no_site("the start of _PyEval_EvalFrameDefault", why);
        let symbol = self.image.symbol("_PyEval_EvalFrameDefault");
        let start = symbol.ok_or_else(|| missing("it is not exported"))?.address;
        let (frame, flag) = (State::initial(R::RSI), State::initial(R::RDX));
        let place = self.best_place(start, State::new(), &[frame, flag]);
        let place = place
            .ok_or_else(|| missing("no instruction that the kernel can emulate under a probe"))?;
        let state = &place.state;
        let registers = state.find(frame).zip(state.holders(flag).find_map(pt_regs));
        let (holder, flag) = registers.ok_or_else(|| missing("its arguments are lost"))?;
        let instruction = InstructionPointer::Saved { ahead: 0 };
        let execution = Execution::Emulated(place.kind);
        let site = self.site(&place.insn, Event::Throw, execution, holder, instruction);
        let site = site.ok_or_else(|| missing("the place is not in the file"))?;
        Ok(Site {
            condition: Some(Condition::NonZero32(flag)),
            ..site
        })
    }

    /// 3.11: the places that test `frame->is_entry` when an exception leaves a frame. The loop
    /// tests the flag in `RETURN_VALUE`, in `RETURN_GENERATOR` and at `exit_unwind`; what is left
    /// when those two handlers are taken away is the third.
    fn unwinding(&self, opcodes: &Opcodes) -> Result<Vec<Site>, Refusal> {
        let missing = |why: &str| no_site("the place where an exception leaves a function", why);
        let others: BTreeSet<u64> = opcodes
            .returns
            .iter()
            .chain(&opcodes.return_generator)
            .filter_map(|&op| self.target(op))
            .flat_map(|start| straight(self.image, start, 2 * HANDLER_LIMIT))
            .map(|insn| insn.ip())
            .collect();
        let all = reachable(self.image, self.table.targets.iter().copied(), LOOP_LIMIT);
        let tests = all.values().filter(|insn| {
            matches!(insn.code(), Code::Cmp_rm8_imm8)
                && insn.op0_kind() == OpKind::Memory
                && self.may_be_frame(insn.memory_base())
                && insn.memory_index() == R::None
                && insn.memory_displacement64().cast_signed() == IS_ENTRY
                && insn.immediate8() == 0
        });
        let mut sites = Vec::new();
        let mut seen = 0;
        for test in tests {
            seen += 1;
            if !others.contains(&test.ip()) {
                sites.push(
                    self.after_test(test)
                        .ok_or_else(|| missing("no place for a probe"))?,
                );
            }
        }
        if sites.is_empty() {
            return Err(missing("the test of frame->is_entry was not found"));
        }
        if seen
            != sites.len() + opcodes.returns.len() + usize::from(opcodes.return_generator.is_some())
        {
            return Err(missing(
                "the tests of frame->is_entry are not the three expected",
            ));
        }
        Ok(sites)
    }

    /// Whether a register can hold the frame outside of handlers: the frame's own, or any if the
    /// frame is kept in memory.
    fn may_be_frame(&self, register: R) -> bool {
        match self.registers.frame {
            Home::Register(own) => register == own,
            Home::Stack(..) => register.is_gpr64() && register != R::RSP,
        }
    }

    fn after_test(&self, test: &Instruction) -> Option<Site> {
        let frame = State::initial(test.memory_base());
        self.best_site(test.ip(), State::new(), frame, Event::Exit)
    }

    /// 3.12 on: the functions that clear a finished frame, from the calls in the handlers of the
    /// returning opcodes: those that get the frame as their first or second argument. There is
    /// one as a rule; where the compiler inlined it, there is one for frames on the thread's stack
    /// and one for those of generators.
    fn clearing(&self, opcodes: &Opcodes) -> Result<Clearing, Refusal> {
        let missing = |why: &str| no_site("the function that clears a finished frame", why);
        let exported = self.image.symbol("_PyEval_FrameClearAndPop");
        let exported = exported.map(|symbol| symbol.address);
        let mut calls: BTreeSet<(u64, R)> = BTreeSet::new();
        let mut not_cleared_by_call = Vec::new();
        for &opcode in opcodes.returns {
            let start = self.target(opcode);
            let start = start.ok_or_else(|| missing("the dispatch table is short"))?;
            let mut here = self.calls_with_frame(start);
            // A debug build calls others with the frame, where assertions are.
            if exported.is_some_and(|function| here.contains(&(function, R::RSI))) {
                here.retain(|call| Some(call.0) == exported);
            }
            if here.is_empty() {
                not_cleared_by_call.push(opcode);
            }
            calls.extend(here);
        }
        if calls.is_empty() {
            return Err(missing("the returning opcodes call none with the frame"));
        }
        let inner = |call: &&(u64, R)| {
            self.hands_on(call.0, call.1)
                .is_none_or(|next| calls.iter().all(|other| other.0 != next))
        };
        let sites = calls
            .iter()
            .filter(inner)
            .map(|&(function, argument)| {
                let frame = State::initial(argument);
                self.best_site(function, State::new(), frame, Event::Exit)
                    .ok_or_else(|| {
                        missing("no instruction that the kernel can emulate under a probe")
                    })
            })
            .collect::<Result<Vec<Site>, Refusal>>()?;
        let mut notes = Vec::new();
        if sites.len() > 1 {
            notes.push(format!(
                "finished frames are cleared by {} functions",
                sites.len()
            ));
        }
        if let Some(exported) = exported
            && calls.iter().all(|call| call.0 != exported)
        {
            notes.push("frames are cleared by a local copy of _PyEval_FrameClearAndPop".to_owned());
        }
        Ok(Clearing {
            sites,
            not_cleared_by_call,
            notes,
        })
    }

    /// The function that `function` calls first, before any branch, with the frame that it got:
    /// to probe both would be to pay twice.
    fn hands_on(&self, function: u64, argument: R) -> Option<u64> {
        let frame = State::initial(argument);
        let mut state = State::new();
        for insn in straight(self.image, function, HANDLER_LIMIT) {
            match insn.flow_control() {
                FlowControl::Next => state.step(&insn),
                FlowControl::Call => {
                    let passed = [R::RDI, R::RSI]
                        .iter()
                        .any(|&r| state.get(r) == Some(frame));
                    return passed.then(|| branch_target(self.image, &insn));
                }
                _ => return None,
            }
        }
        None
    }

    /// The best emulated instruction from `start` on, before any branch or call, where registers
    /// hold all of `values`; with what is known there.
    ///
    /// The best is a jump: to emulate a push or a call, the kernel has to write to the stack of the
    /// process, which makes a hit cost half as much again.
    fn best_place(&self, start: u64, mut state: State, values: &[Value]) -> Option<Place> {
        let mut best: Option<Place> = None;
        for insn in straight(self.image, start, HANDLER_LIMIT) {
            if let Some(kind) = emulated(self.image, &insn)
                && values
                    .iter()
                    .all(|&value| state.holders(value).next().is_some())
                && (best.is_none() || matches!(kind, Emulated::Jump | Emulated::Branch))
            {
                let state = state.fork();
                best = Some(Place { insn, kind, state });
            }
            if insn.flow_control() != FlowControl::Next && best.is_some() {
                break;
            }
            state.step(&insn);
        }
        best
    }

    /// The site at the best place from `start` on, where the frame's saved instruction pointer is
    /// that of the event.
    fn best_site(&self, start: u64, state: State, frame: Value, event: Event) -> Option<Site> {
        let place = self.best_place(start, state, &[frame])?;
        let instruction = InstructionPointer::Saved { ahead: 0 };
        let execution = Execution::Emulated(place.kind);
        let home = place.state.find(frame)?;
        self.site(&place.insn, event, execution, home, instruction)
    }

    /// The last calls on every path from a handler that pass the frame as first or second
    /// argument: function and register. Before the one that clears it there may be others: that of
    /// a marker, which is made while the marker is enabled.
    fn calls_with_frame(&self, start: u64) -> BTreeSet<(u64, R)> {
        let mut calls = BTreeSet::new();
        let (state, frame, _) = self.at_handler();
        let mut starts = vec![(start, state, 0_u32, None)];
        let mut seen = BTreeSet::new();
        while let Some((target, mut state, depth, mut last)) = starts.pop() {
            if !seen.insert((target, last)) {
                continue;
            }
            for insn in straight(self.image, target, HANDLER_LIMIT) {
                match insn.flow_control() {
                    FlowControl::Call => {
                        let passed = [R::RSI, R::RDI]
                            .into_iter()
                            .find(|&r| state.get(r) == Some(frame));
                        if let Some(register) = passed {
                            last = Some((branch_target(self.image, &insn), register));
                        }
                    }
                    FlowControl::ConditionalBranch if depth < BRANCHES => {
                        let fork = state.fork();
                        starts.push((insn.near_branch_target(), fork, depth + 1, last));
                    }
                    _ => {}
                }
                state.step(&insn);
            }
            calls.extend(last);
        }
        calls
    }

    /// What is known when a handler starts: the state, the frame, the next instruction.
    pub(super) fn at_handler(&self) -> (State, Value, Value) {
        let mut state = State::new();
        state.enter(self.registers.frame, FRAME);
        state.enter(self.registers.next_instr, NEXT_INSTR);
        for &copy in &self.registers.frame_copies {
            state.set(copy, FRAME);
        }
        (state, FRAME, NEXT_INSTR)
    }

    pub(super) fn target(&self, opcode: u8) -> Option<u64> {
        self.table.targets.get(usize::from(opcode)).copied()
    }

    pub(super) fn site(
        &self,
        insn: &Instruction,
        event: Event,
        execution: Execution,
        frame: Home,
        instruction: InstructionPointer,
    ) -> Option<Site> {
        Some(Site {
            file_offset: self.image.file_offset(insn.ip())?,
            address: insn.ip(),
            event,
            execution,
            frame: Location::of(frame)?,
            instruction,
            opcodes: Vec::new(),
            condition: None,
        })
    }
}

/// More instructions than any interpreter loop has.
const LOOP_LIMIT: usize = 100_000;

fn no_site(what: &str, why: &str) -> Refusal {
    Refusal::NoSite {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// An instruction for a probe, and what is known where it stands.
struct Place {
    insn: Instruction,
    kind: Emulated,
    state: State,
}

struct Clearing {
    sites: Vec<Site>,
    /// Returning opcodes whose handlers clear the frame in line.
    not_cleared_by_call: Vec<u8>,
    notes: Vec<String>,
}
