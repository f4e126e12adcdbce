//! Audit events that Python code raises by `sys.audit()` in a process without a hook.
//!
//! A hit counts if the flags say that the function is about to return, and if the event's name is a
//! `str`: of anything else there is no event. It is read from the object, and converted where it is
//! not ASCII.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Reg, Size};
use provider::probe::{Probe, ProbeKind, PythonEvent};
use provider::python::{Build, NoHookSite};

use super::maps::PythonMaps;
use super::read::{add, leave_unless, locate, read};
use super::text::Strings;

/// Set in the flags of `str` and all classes made from it (`Py_TPFLAGS_UNICODE_SUBCLASS`).
const IS_STR: i32 = 1 << 28;

/// What `sys.audit()` does in one file.
#[derive(Debug)]
pub(in crate::trampoline) struct Audits<'p> {
    build: &'p Build,
    maps: PythonMaps,
    /// The probe's code.
    entry: Label,
    /// Where the name's text is found before.
    with_name: Label,
    /// The slot of the name, where it is used.
    name: Option<i16>,
    /// Eight bytes for single values.
    word: i16,
    leave: Label,
}

impl<'p> Audits<'p> {
    /// Prepares the code for the audit probe among `probes`, if there is one.
    pub(in crate::trampoline) fn of(
        emit: &mut Emit<'_>,
        probes: &'p [Arc<Probe>],
        entries: &[Label],
        used: &[BTreeSet<u8>],
        slots: &[Option<i16>; 10],
        maps: PythonMaps,
        leave: Label,
    ) -> Emitted<Option<Self>> {
        for ((probe, &entry), used) in probes.iter().zip(entries).zip(used) {
            if let ProbeKind::Python(sites) = &probe.kind
                && sites.event == PythonEvent::Audit
            {
                return Ok(Some(Self {
                    build: &sites.build,
                    maps,
                    entry,
                    with_name: emit.asm.label(),
                    name: slots[0].filter(|_| used.contains(&0)),
                    word: emit.buffer(8, Span::default())?,
                    leave,
                }));
            }
        }
        Ok(None)
    }

    /// The instructions to attach to.
    pub(in crate::trampoline) fn sites(&self) -> impl Iterator<Item = &'p NoHookSite> {
        let audits = self.build.audits.iter();
        audits.flat_map(|audits| audits.without_hook.iter().flatten())
    }

    /// Emits what a hit does.
    pub(in crate::trampoline) fn hit(&self, emit: &mut Emit<'_>, site: &NoHookSite) {
        emit.asm
            .note(format!("audit without a hook at {:#x}", site.address));
        emit.asm.load(Size::Double, Reg::R9, Reg::FP, Emit::CONTEXT);
        leave_unless(emit, site.flags, self.leave);
        let (string, word) = (self.build.offsets.string, self.word);
        locate(emit, Reg::R3, site.arguments, word);
        read(emit, word, 8);
        emit.asm.load(Size::Double, Reg::R6, Reg::FP, word);
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i32::from(string.object_type()));
        read(emit, word, 8);
        emit.asm.load(Size::Double, Reg::R3, Reg::FP, word);
        add(emit, Reg::R3, i32::from(string.type_flags()));
        read(emit, word, 8);
        emit.asm.load(Size::Double, Reg::R0, Reg::FP, word);
        emit.asm.alu_imm(Alu::And, Reg::R0, IS_STR);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, self.leave);
        emit.asm.jump(if self.name.is_some() {
            self.with_name
        } else {
            self.entry
        });
    }

    /// Emits what all hits lead to.
    pub(in crate::trampoline) fn finish(self, emit: &mut Emit<'_>) -> Emitted<()> {
        if let Some(slot) = self.name.filter(|_| self.sites().next().is_some()) {
            let strings = Strings::new(self.build, self.maps, self.word);
            emit.asm.bind(self.with_name);
            strings.address(emit);
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            strings.convert(emit, slot, 0)?;
            emit.asm.jump(self.entry);
        }
        Ok(())
    }
}
