//! gc-start, gc-done and audit: events at one instruction each, without pairing.
//!
//! A collection ends where the collector returns. It returns early, too, if a collection is going
//! on already; so a return counts only after a start in the same thread, which a map remembers
//! while gc-done is enabled. Return probes have the caller's instruction pointer, so they are told
//! from the other sites by their attach cookie, [`RETURNS`].

use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::object::UprobeSite;
use provider::probe::{Probe, ProbeKind, PythonEvent, Register};
use provider::python::Location;

use super::maps::PythonMaps;
use super::read::locate;
use crate::trampoline::locations::load_register;

/// The cookie of return probes, beyond those of any number of sites.
const RETURNS: i32 = 1 << 20;

/// Where a function's result is when it returns.
const RESULT: Register = Register(80);

/// An instruction at which something happens, and what.
#[derive(Clone, Copy, Debug)]
pub(in crate::trampoline) struct EventSite {
    pub(in crate::trampoline) file_offset: u64,
    pub(in crate::trampoline) address: u64,
    value: Location,
    /// Bytes of the value, a signed integer.
    size: u8,
    /// The probe's code; none if only the end of what starts here is wanted.
    entry: Option<Label>,
    /// Whether the end is wanted.
    remember: bool,
}

/// The events of a program that are no functions' entries or returns.
#[derive(Debug, Default)]
pub(in crate::trampoline) struct Events {
    /// Where they are seen.
    pub(in crate::trampoline) sites: Vec<EventSite>,
    /// The functions whose returns are gc-done, by their first instructions.
    pub(in crate::trampoline) returns: Vec<UprobeSite>,
    /// The code of gc-done.
    done: Option<Label>,
}

impl Events {
    /// Finds the sites of the events among `probes`.
    pub(in crate::trampoline) fn of(probes: &[Arc<Probe>], entries: &[Label]) -> Self {
        let mut events = Self::default();
        let mut starts = None;
        let mut collectors = None;
        for (probe, &entry) in probes.iter().zip(entries) {
            let ProbeKind::Python(sites) = &probe.kind else {
                continue;
            };
            match sites.event {
                PythonEvent::GcStart => starts = Some(entry),
                PythonEvent::GcDone => events.done = Some(entry),
                PythonEvent::Audit => {
                    let audits = sites.build.audits.iter().flat_map(|audits| &audits.sites);
                    events.sites.extend(audits.map(|site| EventSite {
                        file_offset: site.file_offset,
                        address: site.address,
                        value: Location::Register(site.event),
                        size: 8,
                        entry: Some(entry),
                        remember: false,
                    }));
                }
                PythonEvent::FunctionEntry
                | PythonEvent::FunctionReturn
                | PythonEvent::ImportStart
                | PythonEvent::ImportDone
                | PythonEvent::GilWait
                | PythonEvent::GilAcquire
                | PythonEvent::GilRelease
                | PythonEvent::CfunctionEntry
                | PythonEvent::CfunctionReturn => continue,
            }
            collectors = sites.build.collectors.as_ref().ok();
        }
        if starts.is_none() && events.done.is_none() {
            return events;
        }
        for collector in collectors.into_iter().flatten() {
            events.sites.push(EventSite {
                file_offset: collector.start_offset,
                address: collector.start_address,
                value: collector.generation,
                size: 4,
                entry: starts,
                remember: events.done.is_some(),
            });
            let function = UprobeSite {
                file_offset: collector.function_offset,
                semaphore: None,
                cookie: u64::from(RETURNS.unsigned_abs()),
            };
            if events.done.is_some() && !events.returns.contains(&function) {
                events.returns.push(function);
            }
        }
        events
    }

    /// Emits what returns do, before the sites are told apart.
    pub(in crate::trampoline) fn returns(
        &self,
        emit: &mut Emit<'_>,
        maps: PythonMaps,
        slot: Option<i16>,
        leave: Label,
    ) -> Emitted<()> {
        let Some(done) = self.done else {
            return Ok(());
        };
        let others = emit.asm.label();
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
        emit.asm.call(Helper::GetAttachCookie);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, RETURNS, others);
        emit.asm.note("collector returns");
        thread_key(emit, maps, |e| e.asm.call(Helper::MapDeleteElem))?;
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, leave);
        if let Some(slot) = slot {
            emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
            load_register(emit, Reg::R0, Reg::R1, RESULT);
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        emit.asm.jump(done);
        emit.asm.bind(others);
        Ok(())
    }
}

impl EventSite {
    /// Emits what a hit does.
    pub(in crate::trampoline) fn hit(
        &self,
        emit: &mut Emit<'_>,
        maps: PythonMaps,
        slot: Option<i16>,
        leave: Label,
    ) -> Emitted<()> {
        if self.remember {
            thread_key(emit, maps, |e| {
                e.asm.mov(Reg::R3, Reg::R2);
                e.asm.mov_imm(Reg::R4, 0); // BPF_ANY
                e.asm.call(Helper::MapUpdateElem);
            })?;
        }
        let Some(entry) = self.entry else {
            emit.asm.jump(leave);
            return Ok(());
        };
        if let Some(slot) = slot {
            emit.asm.load(Size::Double, Reg::R9, Reg::FP, Emit::CONTEXT);
            locate(emit, Reg::R0, self.value, slot);
            let unused = 64 - 8 * i32::from(self.size);
            if unused > 0 {
                emit.asm.alu_imm(Alu::Lsh, Reg::R0, unused);
                emit.asm.alu_imm(Alu::Arsh, Reg::R0, unused);
            }
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        emit.asm.jump(entry);
        Ok(())
    }
}

/// Calls a helper with the map of collections in `r1` and the address of the thread's key in `r2`.
fn thread_key(
    emit: &mut Emit<'_>,
    maps: PythonMaps,
    call: impl FnOnce(&mut Emit<'_>),
) -> Emitted<()> {
    let key = emit.buffer(8, Span::default())?;
    emit.asm.call(Helper::GetCurrentPidTgid);
    emit.asm.store(Size::Double, Reg::FP, key, Reg::R0);
    emit.asm.map(Reg::R1, maps.collecting);
    emit.stack_address(Reg::R2, key);
    call(emit);
    emit.stack.give_buffer(key, 8);
    Ok(())
}
