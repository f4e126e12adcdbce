//! Probes made from what a CPython does: from hits on instructions of the interpreter to
//! function-entry and function-return; `events` has the others.
//!
//! A *hit* is an execution of one of the analysis' sites; `docs/python.md` explains how they are
//! found. Each goes through four steps, and is no firing unless it passes all:
//!
//! ```text
//!   read       frame from its register; code object and instruction from the frame
//!   check      instruction inside of the code object, opcode one of the site's
//!   pair       entry: frame not active, becomes active; return: active, ceases to be
//!   arguments  file, function, line: from the cache, or read and decoded
//! ```
//!
//! A hit that fails a check is counted ([`Counter::PythonMismatches`]) and dropped: a wrong
//! argument is never given. One that does not pair is an event that some builds show twice, and
//! no mistake. The set of active frames and the cache are maps, common to all programs.
//!
//! All reads are of the traced program's own memory, and of pages that it has just used.

mod active;
mod arguments;
mod events;
mod lines;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::{Label, MapRef};
use predicates::emit::{Argument, Emit, Emitted, Refusal};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::object::{MapKind, MapSpec};
use provider::probe::{Probe, ProbeKind, PythonEvent, PythonSites, Register};
use provider::python::offsets::ByteCode;
use provider::python::{Build, Condition, Event, InstructionPointer, Location, Recipe, Site};

use self::active::ActiveMaps;
pub(super) use self::events::{EventSite, Events};
use super::load_register;

/// The stack that `may_goto` needs beyond the program's own, in bytes.
pub(crate) const LOOP_STACK: i16 = 16;

/// Why there is no arg2 on a kernel without `may_goto`.
const NO_LINE: &str = "the line of a Python that has no probes in it takes Linux 6.9 or later";

/// The stack pointer among the registers.
const STACK_POINTER: Register = Register(152);

/// The maps that the programs on Python interpreters share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PythonMaps {
    /// The active frames.
    active: ActiveMaps,
    /// Arguments by process, code object and instruction.
    cache: MapRef,
    /// The threads in which a collection goes on, while gc-done is enabled.
    collecting: MapRef,
    /// Whether the kernel knows the instruction `may_goto`.
    may_goto: bool,
}

impl PythonMaps {
    /// How many there are.
    pub(crate) const COUNT: u32 = ActiveMaps::COUNT + 2;

    /// The maps, by their numbers from `first` on.
    pub(crate) const fn new(first: u32, may_goto: bool) -> Self {
        Self {
            active: ActiveMaps::new(first),
            cache: MapRef(first + ActiveMaps::COUNT),
            collecting: MapRef(first + ActiveMaps::COUNT + 1),
            may_goto,
        }
    }

    /// What to create for them.
    pub(crate) fn specs() -> Vec<MapSpec> {
        let mut maps = ActiveMaps::specs().to_vec();
        // Process, code object, instruction; file, function, line, the start of the code object.
        let value = 24 + u32::from(CODE_BYTES);
        maps.push(MapSpec::new(
            "python_args",
            MapKind::LruHash,
            24,
            value,
            1 << 14,
        ));
        // Process and thread.
        maps.push(MapSpec::new("python_gc", MapKind::LruHash, 8, 8, 1 << 10));
        maps
    }
}

/// Where reading a code object starts: behind the reference count and the type.
const CODE_START: u16 = 16;
/// The most bytes of a code object that are read from there.
const CODE_BYTES: u16 = 128;

/// Gives the arguments that are used a slot.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    sites: &PythonSites,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
    maps: Option<PythonMaps>,
) -> Emitted<()> {
    let loops = maps.is_some_and(|maps| maps.may_goto);
    if is_function(sites.event) {
        emit.stack.reserve_end(LOOP_STACK);
        if used.contains(&0) || used.contains(&1) {
            emit.plan_thread_state(Span::default())?;
            emit.converted_text = true;
        }
        for (n, slot) in (0..3).zip(slots) {
            let argument = if n == 2 && !loops {
                Argument::Unreadable(NO_LINE.to_owned())
            } else if used.contains(&n) {
                let place = match *slot {
                    Some(place) => place,
                    None => emit.buffer(8, Span::default())?,
                };
                *slot = Some(place);
                Argument::Slot(place)
            } else {
                Argument::Absent
            };
            emit.machine.args.push(argument);
        }
        return Ok(());
    }
    events::place_argument(emit, used.contains(&0), &mut slots[0])
}

/// Whether a frame becomes active.
fn starts(event: Event) -> bool {
    matches!(event, Event::Entry | Event::Throw)
}

fn is_function(event: PythonEvent) -> bool {
    matches!(
        event,
        PythonEvent::FunctionEntry | PythonEvent::FunctionReturn
    )
}

/// Where a firing goes.
#[derive(Clone, Copy, Debug)]
struct Firing {
    /// The probe's code.
    entry: Label,
    /// Whether it uses arguments.
    arguments: bool,
}

/// The code for the hits in one file.
pub(super) struct Dispatch<'p> {
    build: &'p Build,
    maps: PythonMaps,
    /// The slots of arg0, arg1 and arg2.
    slots: [Option<i16>; 3],
    /// function-entry and function-return, where they are enabled.
    firings: [Option<Firing>; 2],
    scratch: Scratch,
    /// Where hits go to be paired.
    enter: Label,
    exit: Label,
    mismatch: Label,
    leave: Label,
}

/// Where on the stack a hit's values are.
#[derive(Clone, Copy, Debug)]
struct Scratch {
    /// Frame, process, code object, instruction: the first two are the key of an active frame,
    /// the last three the key of its arguments.
    keys: i16,
    /// What is read of the frame; later the value for the cache.
    value: i16,
    /// Eight bytes for single values.
    word: i16,
}

impl Scratch {
    const fn frame(self) -> i16 {
        self.keys
    }
    const fn process(self) -> i16 {
        self.keys + 8
    }
    const fn code(self) -> i16 {
        self.keys + 16
    }
    const fn instruction(self) -> i16 {
        self.keys + 24
    }
    /// A field of the code object, in what was read of it.
    fn field(self, offset: u16) -> i16 {
        self.value + 24 + signed(offset - CODE_START)
    }
}

impl<'p> Dispatch<'p> {
    /// Prepares the code for the Python probes among `probes`, if there are any.
    pub(super) fn new(
        emit: &mut Emit<'_>,
        probes: &'p [Arc<Probe>],
        entries: &[Label],
        used: &[BTreeSet<u8>],
        slots: &[Option<i16>; 10],
        maps: Option<PythonMaps>,
        leave: Label,
    ) -> Emitted<Option<Self>> {
        let mut build = None;
        let mut firings = [None; 2];
        for ((probe, &entry), used) in probes.iter().zip(entries).zip(used) {
            let ProbeKind::Python(sites) = &probe.kind else {
                continue;
            };
            let firing = Some(Firing {
                entry,
                arguments: used.iter().any(|&n| n < 3),
            });
            match sites.event {
                PythonEvent::FunctionEntry => firings[0] = firing,
                PythonEvent::FunctionReturn => firings[1] = firing,
                PythonEvent::ImportStart | PythonEvent::ImportDone => return Err(not_yet(probe)),
                PythonEvent::GcStart | PythonEvent::GcDone | PythonEvent::Audit => continue,
            }
            build = Some(&*sites.build);
        }
        let (Some(build), Some(maps)) = (build, maps) else {
            return Ok(None);
        };
        let span = Span::default();
        let scratch = Scratch {
            keys: emit.buffer(32, span)?,
            value: emit.buffer(24 + signed(CODE_BYTES), span)?,
            word: emit.buffer(8, span)?,
        };
        Ok(Some(Self {
            build,
            maps,
            slots: [slots[0], slots[1], slots[2]],
            firings,
            scratch,
            enter: emit.asm.label(),
            exit: emit.asm.label(),
            mismatch: emit.asm.label(),
            leave,
        }))
    }

    /// The instructions to attach to: all of them, whichever probe is enabled, since what is an
    /// entry depends on the returns before it.
    pub(super) fn sites(&self) -> &'p [Site] {
        &self.build.sites
    }

    fn with_arguments(&self) -> bool {
        self.firings.iter().flatten().any(|firing| firing.arguments)
    }

    /// Whether a hit at `site` may have to give arguments.
    fn gives_arguments(&self, site: &Site) -> bool {
        let firing = self.firings[usize::from(!starts(site.event))];
        firing.is_some_and(|firing| firing.arguments)
    }

    /// Emits what a hit at `site` does up to its pairing.
    ///
    /// `r6` is the frame, `r7` the code object, `r8` the instruction: its address, before 3.11
    /// its index.
    pub(super) fn hit(&self, emit: &mut Emit<'_>, site: &Site) {
        emit.asm
            .note(format!("{:?} at {:#x}", site.event, site.address));
        emit.asm.load(Size::Double, Reg::R9, Reg::FP, Emit::CONTEXT);
        if let Some(Condition::NonZero32(register)) = site.condition {
            load_register(emit, Reg::R0, Reg::R9, register);
            emit.asm.alu_imm(Alu::Lsh, Reg::R0, 32);
            emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, self.leave);
        }
        self.locate(emit, Reg::R6, site.frame);
        self.identify(emit, site);
        if self.needs_code(site) {
            self.read_frame(emit, site);
            if let ByteCode::Inline { start, units } = self.build.offsets.code.byte_code {
                self.check_instruction(emit, site, start, units);
            }
        }
        if self.gives_arguments(site) {
            emit.asm
                .store(Size::Double, Reg::FP, self.scratch.code(), Reg::R7);
            emit.asm
                .store(Size::Double, Reg::FP, self.scratch.instruction(), Reg::R8);
        }
        emit.asm.jump(if starts(site.event) {
            self.enter
        } else {
            self.exit
        });
    }

    /// Whether a hit needs to look at the code object: for arguments, and to check where a frame
    /// becomes active. One that is active was checked then.
    fn needs_code(&self, site: &Site) -> bool {
        self.gives_arguments(site) || starts(site.event) && self.build.recipe == Recipe::Handlers
    }

    /// `dst = value at a location`; `r9` holds the context. `dst` survives calls.
    fn locate(&self, emit: &mut Emit<'_>, dst: Reg, location: Location) {
        match location {
            Location::Register(register) => load_register(emit, dst, Reg::R9, register),
            Location::Memory { base, offset } => {
                load_register(emit, Reg::R3, Reg::R9, base);
                add(emit, Reg::R3, offset);
                read(emit, self.scratch.word, 8);
                emit.asm.load(Size::Double, dst, Reg::FP, self.scratch.word);
            }
        }
    }

    /// Puts together what an active frame is known by.
    fn identify(&self, emit: &mut Emit<'_>, site: &Site) {
        let scratch = self.scratch;
        emit.asm.call(Helper::GetCurrentPidTgid);
        match (self.build.recipe, site.stack_at_entry) {
            (Recipe::Calls, Some(distance)) => {
                load_register(emit, Reg::R1, Reg::R9, STACK_POINTER);
                add(emit, Reg::R1, distance);
                emit.asm
                    .store(Size::Double, Reg::FP, scratch.frame(), Reg::R1);
            }
            _ => {
                emit.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
                emit.asm
                    .store(Size::Double, Reg::FP, scratch.frame(), Reg::R6);
            }
        }
        emit.asm
            .store(Size::Double, Reg::FP, scratch.process(), Reg::R0);
    }

    /// From the frame to its code object and instruction, by one read where both are in it.
    fn read_frame(&self, emit: &mut Emit<'_>, site: &Site) {
        let frame = self.build.offsets.frame;
        let at = self.scratch.value;
        let instruction = at + signed(frame.instruction) - signed(frame.code);
        let size = match site.instruction {
            InstructionPointer::Variable { .. } => 8,
            InstructionPointer::Saved { .. } => frame.instruction + 8 - frame.code,
            InstructionPointer::LastIndex => frame.instruction + 4 - frame.code,
        };
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i64::from(frame.code));
        read(emit, at, size);
        emit.asm.load(Size::Double, Reg::R7, Reg::FP, at);
        if frame.code_mask != u64::MAX {
            // The tags are in the lowest bits, so the mask is the same in 32 bits, signed.
            let mask = i32::try_from(frame.code_mask.cast_signed()).unwrap_or(-1);
            emit.asm.alu_imm(Alu::And, Reg::R7, mask);
        }
        match site.instruction {
            InstructionPointer::Saved { ahead } => {
                emit.asm.load(Size::Double, Reg::R8, Reg::FP, instruction);
                add(emit, Reg::R8, -ahead);
            }
            InstructionPointer::Variable { location, ahead } => {
                self.locate(emit, Reg::R8, location);
                add(emit, Reg::R8, -ahead);
            }
            InstructionPointer::LastIndex => {
                emit.asm.load(Size::Word, Reg::R8, Reg::FP, instruction);
                emit.asm.alu_imm(Alu::Lsh, Reg::R8, 32);
                emit.asm.alu_imm(Alu::Arsh, Reg::R8, 32);
            }
        }
    }

    /// Checks that the instruction is inside of the code object and has an opcode that belongs
    /// to the site.
    fn check_instruction(&self, emit: &mut Emit<'_>, site: &Site, start: u16, units: u16) {
        self.read_code(
            emit,
            if self.gives_arguments(site) {
                self.code_bytes()
            } else {
                8
            },
        );
        emit.asm.mov(Reg::R1, Reg::R8);
        emit.asm.alu(Alu::Sub, Reg::R1, Reg::R7);
        add(emit, Reg::R1, -i64::from(start));
        emit.asm
            .load(Size::Double, Reg::R2, Reg::FP, self.scratch.field(units));
        emit.asm.alu_imm(Alu::Lsh, Reg::R2, 1);
        emit.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, self.mismatch);
        if site.opcodes.is_empty() {
            return;
        }
        emit.asm.mov(Reg::R3, Reg::R8);
        read(emit, self.scratch.word, 1);
        emit.asm
            .load(Size::Byte, Reg::R0, Reg::FP, self.scratch.word);
        let good = emit.asm.label();
        for &opcode in site.opcodes.iter().chain(self.build.masking_opcodes) {
            emit.asm
                .jump_if_imm(Cond::Eq, Reg::R0, i32::from(opcode), good);
        }
        emit.asm.jump(self.mismatch);
        emit.asm.bind(good);
    }

    /// How much of a code object the arguments need: up to its last field that they use.
    fn code_bytes(&self) -> u16 {
        self.build.offsets.code.line_table + 8 - CODE_START
    }

    /// Reads the start of the code object in `r7`.
    fn read_code(&self, emit: &mut Emit<'_>, size: u16) {
        emit.asm.mov(Reg::R3, Reg::R7);
        add(emit, Reg::R3, i64::from(CODE_START));
        read(emit, self.scratch.field(CODE_START), size);
    }

    /// Emits what all hits lead to.
    pub(super) fn finish(self, emit: &mut Emit<'_>) -> Emitted<()> {
        let ready = [emit.asm.label(), emit.asm.label()];
        self.enter(emit, ready[0])?;
        self.exit(emit, ready[1]);
        emit.asm.bind(self.mismatch);
        emit.count(Counter::PythonMismatches, Span::default())?;
        emit.asm.jump(self.leave);
        let with_arguments = emit.asm.label();
        for (number, (firing, ready)) in (0..).zip(self.firings.iter().zip(ready)) {
            emit.asm.bind(ready);
            match firing {
                None => emit.asm.jump(self.leave),
                Some(firing) if !firing.arguments => emit.asm.jump(firing.entry),
                Some(_) => {
                    // The frame is not needed any more.
                    let which = self.scratch.frame();
                    emit.asm.store_imm(Size::Double, Reg::FP, which, number);
                    emit.asm.jump(with_arguments);
                }
            }
        }
        emit.asm.bind(with_arguments);
        if self.with_arguments() {
            self.arguments(emit)?;
            emit.asm
                .load(Size::Double, Reg::R0, Reg::FP, self.scratch.frame());
            if let [Some(entry), Some(exit)] = self.firings {
                emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, entry.entry);
                emit.asm.jump(exit.entry);
            } else if let Some(firing) = self.firings.iter().flatten().next() {
                emit.asm.jump(firing.entry);
            }
        }
        Ok(())
    }
}

/// Reads `size` bytes at the user address in `r3` to the stack; zeros where it cannot.
fn read(emit: &mut Emit<'_>, to: i16, size: u16) {
    emit.stack_address(Reg::R1, to);
    emit.asm.mov_imm(Reg::R2, i64::from(size));
    emit.asm.call(Helper::ProbeReadUser);
}

fn add(emit: &mut Emit<'_>, reg: Reg, distance: i64) {
    if distance != 0 {
        // Distances in frames and objects are small.
        let distance = i32::try_from(distance).unwrap_or(0);
        emit.asm.alu_imm(Alu::Add, reg, distance);
    }
}

fn signed(offset: u16) -> i16 {
    i16::try_from(offset).unwrap_or(i16::MAX)
}

fn not_yet(probe: &Probe) -> Refusal {
    Refusal {
        span: Span::default(),
        message: format!(
            "{} cannot be traced in this Python yet: it has no such marker, and imports are not \
             made from its code so far; function-entry of _find_and_load in \
             <frozen importlib._bootstrap> sees each module that is looked for",
            probe.desc
        ),
    }
}
