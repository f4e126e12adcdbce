//! cfunction-entry and cfunction-return: the two ends of a call of a function that is written in C.
//!
//! Where one is about to be called, the object that is called is at hand; what it is is told by its type, whose address is
//! as far from the instruction's in memory as in the file. Name and module are read then, since the object may be gone when the function
//! has returned, and kept in a map until it has, by process and frame: a frame calls one function at a time. The
//! instruction at which one has returned may also be reached without a call, so a hit there counts only if the map has
//! something for its frame, which is taken out.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::probe::{Probe, ProbeKind, PythonEvent, Register};
use provider::python::{Build, CallSite, Cfunctions, Place, ReturnSite};

use super::maps::PythonMaps;
use super::places::{place_argument, plan_text};
use super::read::{add, leave_unless, locate, read};
use super::text::Strings;
use crate::trampoline::locations::load_register;

/// The calls of functions that are written in C, in one file.
#[derive(Debug)]
pub(in crate::trampoline) struct CCalls<'p> {
    build: &'p Build,
    functions: &'p Cfunctions,
    maps: PythonMaps,
    /// The code of the probes.
    entry: Option<Label>,
    returns: Option<Label>,
    /// The slots of name and module, where they are used.
    name: Option<i16>,
    module: Option<i16>,
    /// Process, frame.
    key: i16,
    /// Name, module.
    value: i16,
    /// Eight bytes for single values.
    word: i16,
    /// What all hits where one is called lead to, and all where one has returned.
    called: Label,
    returned: Label,
    leave: Label,
}

/// An instruction that is probed.
#[derive(Clone, Copy, Debug)]
pub(in crate::trampoline) enum CCallHit<'p> {
    Call(&'p CallSite),
    Return(&'p ReturnSite),
}

impl CCallHit<'_> {
    pub(in crate::trampoline) fn place(&self) -> Place {
        match self {
            Self::Call(site) => site.place,
            Self::Return(site) => site.place,
        }
    }
}

pub(super) fn is_cfunction(event: PythonEvent) -> bool {
    matches!(
        event,
        PythonEvent::CfunctionEntry | PythonEvent::CfunctionReturn
    )
}

/// Gives the arguments that are used a slot.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
) -> Emitted<()> {
    if used.contains(&1) {
        plan_text(emit)?;
    }
    for (n, slot) in (0..2).zip(slots) {
        place_argument(emit, used.contains(&n), slot)?;
    }
    Ok(())
}

/// Where objects have what is read of them.
mod fields {
    pub(super) const TYPE: i32 = 8;
    /// Of a function: its definition, what it belongs to, its module's name.
    pub(super) const DEFINITION: i32 = 16;
    pub(super) const SELF: i32 = 24;
    pub(super) const MODULE: i32 = 32;
    /// Of a method: its class and its definition.
    pub(super) const CLASS: i32 = 16;
    pub(super) const METHOD_DEFINITION: i32 = 40;
    /// Of a type: its name and its flags; the number of that which says that its objects are types.
    pub(super) const TYPE_NAME: i32 = 24;
    pub(super) const TYPE_FLAGS: i32 = 168;
    pub(super) const OF_TYPES: i32 = 31;
}

/// The bits of an address that are no marks.
const ADDRESS: i32 = !7;

/// Set in the address of a type's name, which is bytes that end by a zero. The others are those of `str` objects, as
/// [`Strings`] gives them.
const BYTES: i64 = i64::MIN;

impl<'p> CCalls<'p> {
    /// Prepares the code for the calls among `probes`, if there are any.
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
        let [mut entry, mut returns] = [None; 2];
        let mut all_used: BTreeSet<u8> = BTreeSet::new();
        for ((probe, &label), used) in probes.iter().zip(entries).zip(used) {
            let ProbeKind::Python(sites) = &probe.kind else {
                continue;
            };
            if !is_cfunction(sites.event) {
                continue;
            }
            if sites.event == PythonEvent::CfunctionEntry {
                entry = Some(label);
            } else {
                returns = Some(label);
            }
            all_used.extend(used);
            build = Some(&*sites.build);
        }
        let Some((build, functions)) = build.and_then(|b| Some((b, b.cfunctions.as_ref().ok()?)))
        else {
            return Ok(None);
        };
        let span = Span::default();
        Ok(Some(Self {
            build,
            functions,
            maps,
            entry,
            returns,
            name: slots[0].filter(|_| all_used.contains(&0)),
            module: slots[1].filter(|_| all_used.contains(&1)),
            key: emit.buffer(16, span)?,
            value: emit.buffer(16, span)?,
            word: emit.buffer(8, span)?,
            called: emit.asm.label(),
            returned: emit.asm.label(),
            leave,
        }))
    }

    /// The instructions to attach to. Where functions have returned comes first, and is attached first: what is called
    /// while the rest is being attached has its end.
    pub(in crate::trampoline) fn hits(&self) -> Vec<CCallHit<'p>> {
        let returns = self.functions.returns.iter().map(CCallHit::Return);
        let returns = returns.filter(|_| self.returns.is_some());
        returns
            .chain(self.functions.entries.iter().map(CCallHit::Call))
            .collect()
    }

    /// Emits what a hit does.
    pub(in crate::trampoline) fn hit(&self, emit: &mut Emit<'_>, hit: CCallHit<'_>) {
        let address = hit.place().address;
        emit.asm.load(Size::Double, Reg::R9, Reg::FP, Emit::CONTEXT);
        match hit {
            CCallHit::Call(site) => {
                emit.asm
                    .note(format!("an object is called at {address:#x}"));
                if let Some(flags) = site.flags {
                    leave_unless(emit, flags, self.leave);
                }
                if self.returns.is_some() {
                    locate(emit, Reg::R7, site.frame, self.word);
                }
                locate(emit, Reg::R6, site.object, self.word);
                // How far the file is from where it was linked.
                emit.asm.mov_imm(Reg::R8, address.cast_signed());
                load_register(emit, Reg::R1, Reg::R9, Register::IP);
                emit.asm.alu(Alu::Sub, Reg::R8, Reg::R1);
                emit.asm.jump(self.called);
            }
            CCallHit::Return(site) => {
                emit.asm.note(format!("one has returned at {address:#x}"));
                locate(emit, Reg::R7, site.frame, self.word);
                emit.asm.jump(self.returned);
            }
        }
    }

    /// Emits what all hits lead to.
    pub(in crate::trampoline) fn finish(self, emit: &mut Emit<'_>) -> Emitted<()> {
        self.called(emit)?;
        if let Some(entry) = self.returns {
            self.returned(emit, entry)?;
        }
        Ok(())
    }

    /// The object in `r6` is called by the frame in `r7`; `r8` is what to add to an address to get the linked one.
    fn called(&self, emit: &mut Emit<'_>) -> Emitted<()> {
        emit.asm.bind(self.called);
        emit.asm.alu_imm(Alu::And, Reg::R6, ADDRESS);
        self.field(emit, Reg::R6, fields::TYPE);
        emit.asm.alu(Alu::Add, Reg::R0, Reg::R8);
        let [function, method, known] = [(); 3].map(|()| emit.asm.label());
        for &address in &self.functions.function_types {
            emit.asm.mov_imm(Reg::R1, address.cast_signed());
            emit.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, function);
        }
        let method_type = self.functions.method_type.cast_signed();
        emit.asm.mov_imm(Reg::R1, method_type);
        emit.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, method);
        // Something else: what the frame has called before has ended in any case.
        if self.returns.is_some() {
            self.with_key(emit);
            emit.asm.call(Helper::MapDeleteElem);
        }
        emit.asm.jump(self.leave);
        emit.asm.bind(method);
        self.describe_method(emit);
        emit.asm.jump(known);
        emit.asm.bind(function);
        self.describe_function(emit);
        emit.asm.bind(known);
        if self.returns.is_some() {
            self.with_key(emit);
            emit.stack_address(Reg::R3, self.value);
            emit.asm.mov_imm(Reg::R4, 0); // BPF_ANY
            emit.asm.call(Helper::MapUpdateElem);
        }
        match self.entry {
            Some(entry) => self.fire(emit, entry),
            None => {
                emit.asm.jump(self.leave);
                Ok(())
            }
        }
    }

    /// The frame in `r7` goes on, perhaps after a call.
    fn returned(&self, emit: &mut Emit<'_>, entry: Label) -> Emitted<()> {
        emit.asm.bind(self.returned);
        self.with_key(emit);
        emit.asm.call(Helper::MapLookupElem);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, self.leave);
        for place in [0, 8] {
            emit.asm.load(Size::Double, Reg::R1, Reg::R0, place);
            emit.asm
                .store(Size::Double, Reg::FP, self.value + place, Reg::R1);
        }
        emit.asm.map(Reg::R1, self.maps.calling);
        emit.stack_address(Reg::R2, self.key);
        emit.asm.call(Helper::MapDeleteElem);
        self.fire(emit, entry)
    }

    /// Gives the arguments that are used, and goes on to the probe.
    fn fire(&self, emit: &mut Emit<'_>, entry: Label) -> Emitted<()> {
        for (slot, place) in [(self.name, 0), (self.module, 8)] {
            if let Some(slot) = slot {
                emit.asm
                    .load(Size::Double, Reg::R0, Reg::FP, self.value + place);
                emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            }
        }
        if let Some(slot) = self.module {
            let is_object = emit.asm.label();
            emit.asm.jump_if_imm(Cond::SGe, Reg::R0, 0, is_object);
            emit.asm.alu_imm(Alu::Lsh, Reg::R0, 1);
            emit.asm.alu_imm(Alu::Rsh, Reg::R0, 1);
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
            emit.asm.jump(entry);
            emit.asm.bind(is_object);
            Strings::new(self.build, self.maps, self.word).convert(emit, slot, 0)?;
        }
        emit.asm.jump(entry);
        Ok(())
    }

    /// Name and class of the method in `r6`.
    fn describe_method(&self, emit: &mut Emit<'_>) {
        self.describe_definition(emit, fields::METHOD_DEFINITION);
        if self.module.is_some() {
            self.field(emit, Reg::R6, fields::CLASS);
            self.type_name(emit, Reg::R0);
        }
        self.store_module(emit);
    }

    /// Name and module of the function in `r6`; of one without a module, the class that it belongs to.
    fn describe_function(&self, emit: &mut Emit<'_>) {
        self.describe_definition(emit, fields::DEFINITION);
        if self.module.is_some() {
            let [is_class, has_module, done] = [(); 3].map(|()| emit.asm.label());
            self.field(emit, Reg::R6, fields::MODULE);
            emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, has_module);
            self.field(emit, Reg::R6, fields::SELF);
            emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
            emit.asm.mov(Reg::R6, Reg::R0);
            self.field(emit, Reg::R6, fields::TYPE);
            emit.asm.mov(Reg::R8, Reg::R0);
            self.field(emit, Reg::R8, fields::TYPE_FLAGS);
            emit.asm.alu_imm(Alu::Rsh, Reg::R0, fields::OF_TYPES);
            emit.asm.alu_imm(Alu::And, Reg::R0, 1);
            emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, is_class);
            emit.asm.mov(Reg::R6, Reg::R8);
            emit.asm.bind(is_class);
            self.type_name(emit, Reg::R6);
            emit.asm.jump(done);
            emit.asm.bind(has_module);
            emit.asm.mov(Reg::R6, Reg::R0);
            Strings::new(self.build, self.maps, self.word).address(emit);
            emit.asm.bind(done);
        }
        self.store_module(emit);
    }

    /// Keeps the name that is in the definition of the object in `r6`.
    fn describe_definition(&self, emit: &mut Emit<'_>, definition: i32) {
        if self.name.is_some() {
            self.field(emit, Reg::R6, definition);
            self.field(emit, Reg::R0, 0);
            emit.asm.store(Size::Double, Reg::FP, self.value, Reg::R0);
        } else {
            emit.asm.store_imm(Size::Double, Reg::FP, self.value, 0);
        }
    }

    /// Keeps the address of the module's name in `r0`, if that is used.
    fn store_module(&self, emit: &mut Emit<'_>) {
        let place = self.value + 8;
        if self.module.is_some() {
            emit.asm.store(Size::Double, Reg::FP, place, Reg::R0);
        } else {
            emit.asm.store_imm(Size::Double, Reg::FP, place, 0);
        }
    }

    /// `r0 = address of a type's name`, marked as such.
    fn type_name(&self, emit: &mut Emit<'_>, class: Reg) {
        self.field(emit, class, fields::TYPE_NAME);
        emit.asm.mov_imm(Reg::R1, BYTES);
        emit.asm.alu(Alu::Or, Reg::R0, Reg::R1);
    }

    /// `r0 = the word at an object's address plus a distance`; 0 where it cannot be read.
    fn field(&self, emit: &mut Emit<'_>, object: Reg, distance: i32) {
        emit.asm.mov(Reg::R3, object);
        add(emit, Reg::R3, distance);
        read(emit, self.word, 8);
        emit.asm.load(Size::Double, Reg::R0, Reg::FP, self.word);
    }

    /// `r1 = the map`, `r2 = address of the key` of the frame in `r7`.
    fn with_key(&self, emit: &mut Emit<'_>) {
        emit.asm.call(Helper::GetCurrentPidTgid);
        emit.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        emit.asm.store(Size::Double, Reg::FP, self.key, Reg::R0);
        emit.asm.store(Size::Double, Reg::FP, self.key + 8, Reg::R7);
        emit.asm.map(Reg::R1, self.maps.calling);
        emit.stack_address(Reg::R2, self.key);
    }
}
