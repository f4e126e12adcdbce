//! import-find-load-start and import-find-load-done: the two ends of one call in the interpreter.
//!
//! At the start, the name is in a register. It is kept in a map until the import is done, by thread and
//! stack pointer: imports are nested, and the two say which call of the function it is. The
//! instruction at which an import is done may also be reached without one, so a hit there counts only if
//! the map has a name for it, which is taken out.
//!
//! A hit at the start is checked like the others: the call's second argument must be the name of
//! importlib's method, which is as far from the call in memory as in the file.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::probe::{Probe, ProbeKind, PythonEvent, Register};
use provider::python::{Build, ImportSite};

use super::maps::PythonMaps;
use super::places::{place_argument, plan_text};
use super::read::{add, locate};
use super::text::Strings;
use crate::trampoline::locations::load_register;

/// The stack pointer among the registers.
const STACK_POINTER: Register = Register(152);

/// The imports in one file.
#[derive(Debug)]
pub(in crate::trampoline) struct Imports<'p> {
    build: &'p Build,
    maps: PythonMaps,
    start: Option<Firing>,
    done: Option<Firing>,
    /// Process and thread, stack pointer.
    key: i16,
    /// Eight bytes for single values.
    word: i16,
    mismatch: Label,
    leave: Label,
}

/// What a hit fires.
#[derive(Clone, Copy, Debug)]
struct Firing {
    /// The probe's code.
    entry: Label,
    /// Where the name's text is found before.
    with_name: Label,
    /// The slots of the name and the result, where they are used.
    name: Option<i16>,
    found: Option<i16>,
}

/// An instruction of a site.
#[derive(Clone, Copy, Debug)]
pub(in crate::trampoline) struct ImportHit<'p> {
    site: &'p ImportSite,
    done: bool,
}

impl ImportHit<'_> {
    pub(in crate::trampoline) fn address(&self) -> u64 {
        if self.done {
            self.site.done_address
        } else {
            self.site.start_address
        }
    }

    pub(in crate::trampoline) fn file_offset(&self) -> u64 {
        if self.done {
            self.site.done_offset
        } else {
            self.site.start_offset
        }
    }
}

pub(super) fn is_import(event: PythonEvent) -> bool {
    matches!(event, PythonEvent::ImportStart | PythonEvent::ImportDone)
}

/// Gives the arguments that are used a slot.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    event: PythonEvent,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
) -> Emitted<()> {
    if used.contains(&0) {
        plan_text(emit)?;
    }
    let arguments = if event == PythonEvent::ImportDone {
        2
    } else {
        1
    };
    for (n, slot) in (0..arguments).zip(slots) {
        place_argument(emit, used.contains(&n), slot)?;
    }
    Ok(())
}

impl<'p> Imports<'p> {
    /// Prepares the code for the imports among `probes`, if there are any.
    pub(in crate::trampoline) fn of(
        emit: &mut Emit<'_>,
        probes: &'p [Arc<Probe>],
        entries: &[Label],
        used: &[BTreeSet<u8>],
        slots: &[Option<i16>; 10],
        maps: PythonMaps,
        leave: Label,
    ) -> Emitted<Option<Self>> {
        let mut build = None;
        let (mut start, mut done) = (None, None);
        for ((probe, &entry), used) in probes.iter().zip(entries).zip(used) {
            let ProbeKind::Python(sites) = &probe.kind else {
                continue;
            };
            let firing = match sites.event {
                PythonEvent::ImportStart => &mut start,
                PythonEvent::ImportDone => &mut done,
                PythonEvent::FunctionEntry
                | PythonEvent::FunctionReturn
                | PythonEvent::GcStart
                | PythonEvent::GcDone
                | PythonEvent::Audit
                | PythonEvent::GilWait
                | PythonEvent::GilAcquire
                | PythonEvent::GilRelease
                | PythonEvent::CfunctionEntry
                | PythonEvent::CfunctionReturn => continue,
            };
            build = Some(&*sites.build);
            *firing = Some(Firing {
                entry,
                with_name: emit.asm.label(),
                name: slots[0].filter(|_| used.contains(&0)),
                found: slots[1].filter(|_| used.contains(&1)),
            });
        }
        let Some(build) = build else {
            return Ok(None);
        };
        Ok(Some(Self {
            build,
            maps,
            start,
            done,
            key: emit.buffer(16, Span::default())?,
            word: emit.buffer(8, Span::default())?,
            mismatch: emit.asm.label(),
            leave,
        }))
    }

    /// The instructions to attach to. Where imports are done comes first, and is attached first:
    /// what starts while the rest is being attached has its end.
    pub(in crate::trampoline) fn hits(&self) -> Vec<ImportHit<'p>> {
        let sites = self.build.imports.iter().flat_map(|i| &i.sites);
        let starts = sites.clone().map(|site| ImportHit { site, done: false });
        let mut hits: Vec<ImportHit<'p>> = Vec::new();
        for site in sites.filter(|_| self.done.is_some()) {
            let hit = ImportHit { site, done: true };
            if hits.iter().all(|other| other.address() != hit.address()) {
                hits.push(hit);
            }
        }
        hits.extend(starts);
        hits
    }

    /// Emits what a hit does.
    pub(in crate::trampoline) fn hit(
        &self,
        emit: &mut Emit<'_>,
        hit: ImportHit<'_>,
    ) -> Emitted<()> {
        let what = if hit.done { "done" } else { "starts" };
        emit.asm
            .note(format!("import {what} at {:#x}", hit.address()));
        emit.asm.load(Size::Double, Reg::R9, Reg::FP, Emit::CONTEXT);
        if hit.done {
            self.done(emit, hit.site);
            Ok(())
        } else {
            self.start(emit, hit.site)
        }
    }

    fn start(&self, emit: &mut Emit<'_>, site: &ImportSite) -> Emitted<()> {
        load_register(emit, Reg::R1, Reg::R9, ImportSite::METHOD);
        load_register(emit, Reg::R2, Reg::R9, Register::IP);
        emit.asm.alu(Alu::Sub, Reg::R1, Reg::R2);
        let distance = site.method.wrapping_sub(site.start_address);
        emit.asm.mov_imm(Reg::R2, distance.cast_signed());
        emit.asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, self.mismatch);
        load_register(emit, Reg::R6, Reg::R9, ImportSite::NAME);
        if self.done.is_some() {
            load_register(emit, Reg::R7, Reg::R9, STACK_POINTER);
            let name = emit.buffer(8, Span::default())?;
            emit.asm.store(Size::Double, Reg::FP, name, Reg::R6);
            self.with_key(emit);
            emit.stack_address(Reg::R3, name);
            emit.asm.mov_imm(Reg::R4, 0); // BPF_ANY
            emit.asm.call(Helper::MapUpdateElem);
            emit.stack.give_buffer(name, 8);
        }
        match self.start {
            Some(start) => start.go(emit),
            None => emit.asm.jump(self.leave),
        }
        Ok(())
    }

    fn done(&self, emit: &mut Emit<'_>, site: &ImportSite) {
        load_register(emit, Reg::R7, Reg::R9, STACK_POINTER);
        add(emit, Reg::R7, site.stack);
        locate(emit, Reg::R8, site.module, self.word);
        self.with_key(emit);
        emit.asm.call(Helper::MapLookupElem);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, self.leave);
        emit.asm.load(Size::Double, Reg::R6, Reg::R0, 0);
        emit.asm.map(Reg::R1, self.maps.importing);
        emit.stack_address(Reg::R2, self.key);
        emit.asm.call(Helper::MapDeleteElem);
        match self.done {
            Some(done) => {
                if let Some(slot) = done.found {
                    let missing = emit.asm.label();
                    emit.asm.mov(Reg::R0, Reg::R8);
                    emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, missing);
                    emit.asm.mov_imm(Reg::R0, 1);
                    emit.asm.bind(missing);
                    emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
                }
                done.go(emit);
            }
            None => emit.asm.jump(self.leave),
        }
    }

    /// `r1 = the map`, `r2 = address of the key` of the activation whose stack pointer is in `r7`.
    fn with_key(&self, emit: &mut Emit<'_>) {
        emit.asm.call(Helper::GetCurrentPidTgid);
        emit.asm.store(Size::Double, Reg::FP, self.key, Reg::R0);
        emit.asm.store(Size::Double, Reg::FP, self.key + 8, Reg::R7);
        emit.asm.map(Reg::R1, self.maps.importing);
        emit.stack_address(Reg::R2, self.key);
    }

    /// Emits what all hits lead to.
    pub(in crate::trampoline) fn finish(self, emit: &mut Emit<'_>) -> Emitted<()> {
        let strings = Strings::new(self.build, self.maps, self.word);
        for firing in [self.start, self.done].into_iter().flatten() {
            if let Some(slot) = firing.name {
                emit.asm.bind(firing.with_name);
                strings.address(emit);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
                strings.convert(emit, slot, 0)?;
                emit.asm.jump(firing.entry);
            }
        }
        emit.asm.bind(self.mismatch);
        emit.count(Counter::PythonMismatches, Span::default())?;
        emit.asm.jump(self.leave);
        Ok(())
    }
}

impl Firing {
    /// On to the probe, with the name in `r6`.
    fn go(self, emit: &mut Emit<'_>) {
        emit.asm.jump(if self.name.is_some() {
            self.with_name
        } else {
            self.entry
        });
    }
}
