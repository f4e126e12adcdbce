//! gil-wait, gil-acquire and gil-release: what threads do with the interpreter's lock.
//!
//! How long a thread has waited is what lies between two hits in it: that where it asks, and that where it has got the
//! lock. So the first is probed too where only the second is enabled, and its argument used. The time is kept
//! in a map by process and thread. A thread that had asked before it was traced has waited 0 as far as we know.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::probe::{Probe, ProbeKind, PythonEvent};
use provider::python::{Gil, GilSite};

use super::maps::PythonMaps;

/// The lock of the interpreter in one file.
#[derive(Debug)]
pub(in crate::trampoline) struct Locks<'p> {
    gil: &'p Gil,
    maps: PythonMaps,
    /// The code of the probes.
    wait: Option<Label>,
    acquire: Option<Label>,
    release: Option<Label>,
    /// The slot of the time waited, where it is used.
    waited: Option<i16>,
    leave: Label,
}

/// An instruction that is probed, and what happens there.
#[derive(Clone, Copy, Debug)]
pub(in crate::trampoline) struct LockHit<'p> {
    pub(in crate::trampoline) site: &'p GilSite,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Wait,
    Acquire,
    Release,
}

impl<'p> Locks<'p> {
    /// Prepares the code for the lock's probes among `probes`, if there are any.
    pub(in crate::trampoline) fn of(
        probes: &'p [Arc<Probe>],
        entries: &[Label],
        used: &[BTreeSet<u8>],
        slots: &[Option<i16>; 10],
        maps: PythonMaps,
        leave: Label,
    ) -> Option<Self> {
        let mut gil = None;
        let [mut wait, mut acquire, mut release] = [None; 3];
        let mut waited = None;
        for ((probe, &entry), used) in probes.iter().zip(entries).zip(used) {
            let ProbeKind::Python(sites) = &probe.kind else {
                continue;
            };
            match sites.event {
                PythonEvent::GilWait => wait = Some(entry),
                PythonEvent::GilAcquire => {
                    acquire = Some(entry);
                    waited = slots[0].filter(|_| used.contains(&0));
                }
                PythonEvent::GilRelease => release = Some(entry),
                PythonEvent::FunctionEntry
                | PythonEvent::FunctionReturn
                | PythonEvent::GcStart
                | PythonEvent::GcDone
                | PythonEvent::ImportStart
                | PythonEvent::ImportDone
                | PythonEvent::Audit
                | PythonEvent::CfunctionEntry
                | PythonEvent::CfunctionReturn => continue,
            }
            gil = sites.build.gil.as_ref().ok();
        }
        Some(Self {
            gil: gil?,
            maps,
            wait,
            acquire,
            release,
            waited,
            leave,
        })
    }

    /// The instructions to attach to. Where a thread asks comes first, and is attached first: who gets the lock
    /// while the rest is being attached has asked before.
    pub(in crate::trampoline) fn hits(&self) -> Vec<LockHit<'p>> {
        let waits = self.wait.is_some() || self.waited.is_some();
        let all = [
            (What::Wait, &self.gil.waits, waits),
            (What::Acquire, &self.gil.acquires, self.acquire.is_some()),
            (What::Release, &self.gil.releases, self.release.is_some()),
        ];
        let wanted = all.into_iter().filter(|(_, _, wanted)| *wanted);
        wanted
            .flat_map(|(what, sites, _)| sites.iter().map(move |site| LockHit { site, what }))
            .collect()
    }

    /// Emits what a hit does.
    pub(in crate::trampoline) fn hit(&self, emit: &mut Emit<'_>, hit: LockHit<'_>) -> Emitted<()> {
        let (entry, what) = match hit.what {
            What::Wait => (self.wait, "is wanted"),
            What::Acquire => (self.acquire, "is taken"),
            What::Release => (self.release, "is dropped"),
        };
        emit.asm
            .note(format!("the lock {what} at {:#x}", hit.site.address));
        match (hit.what, self.waited) {
            (What::Wait, Some(_)) => self.remember(emit)?,
            (What::Acquire, Some(slot)) => self.waited(emit, slot)?,
            (What::Wait | What::Acquire | What::Release, _) => {}
        }
        emit.asm.jump(entry.unwrap_or(self.leave));
        Ok(())
    }

    /// Keeps the time at which this thread asked.
    fn remember(&self, emit: &mut Emit<'_>) -> Emitted<()> {
        let (key, now) = (thread(emit)?, emit.buffer(8, Span::default())?);
        emit.asm.call(Helper::KtimeGetNs);
        emit.asm.store(Size::Double, Reg::FP, now, Reg::R0);
        self.map(emit, key);
        emit.stack_address(Reg::R3, now);
        emit.asm.mov_imm(Reg::R4, 0); // BPF_ANY
        emit.asm.call(Helper::MapUpdateElem);
        emit.stack.give_buffer(now, 8);
        emit.stack.give_buffer(key, 8);
        Ok(())
    }

    /// The time since this thread asked, to the `slot`.
    fn waited(&self, emit: &mut Emit<'_>, slot: i16) -> Emitted<()> {
        let key = thread(emit)?;
        let unknown = emit.asm.label();
        emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
        self.map(emit, key);
        emit.asm.call(Helper::MapLookupElem);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, unknown);
        emit.asm.load(Size::Double, Reg::R6, Reg::R0, 0);
        emit.asm.call(Helper::KtimeGetNs);
        emit.asm.alu(Alu::Sub, Reg::R0, Reg::R6);
        emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        self.map(emit, key);
        emit.asm.call(Helper::MapDeleteElem);
        emit.asm.bind(unknown);
        emit.stack.give_buffer(key, 8);
        Ok(())
    }

    /// `r1 = the map`, `r2 = the address of the key`.
    fn map(&self, emit: &mut Emit<'_>, key: i16) {
        emit.asm.map(Reg::R1, self.maps.asking);
        emit.stack_address(Reg::R2, key);
    }
}

/// A buffer with the process and the thread.
fn thread(emit: &mut Emit<'_>) -> Emitted<i16> {
    let key = emit.buffer(8, Span::default())?;
    emit.asm.call(Helper::GetCurrentPidTgid);
    emit.asm.store(Size::Double, Reg::FP, key, Reg::R0);
    Ok(key)
}
