//! Probes of Pythons that have none: what a hit on an instruction of the interpreter means, and the
//! arguments of the probe that fires. This is about function-entry and function-return; `events`,
//! `audits` and `imports` have the others.
//!
//! A *hit* is an execution of an instruction that carries one of our breakpoints; `docs/python.md`
//! explains how these are found. A hit goes through four steps, and the probe fires if it passes all:
//!
//! ```text
//!   read       frame from its register; code object and instruction from the frame
//!   check      instruction inside of the code object, opcode one of the site's
//!   pair       entry: frame not active, becomes active; return: active, ceases to be
//!   arguments  file, function, line: from the cache, or read and decoded
//! ```
//!
//! Before 3.11, and later where only function-entry is enabled, there is exactly one hit for each event:
//! the third step falls away, and there is less to check.
//!
//! A hit that fails a check is counted ([`Counter::PythonMismatches`]) and dropped: a wrong
//! argument is never given. A hit that does not pair is an event that the build shows twice, which is
//! expected. The set of active frames and the cache are maps, common to all programs.
//!
//! All reads are of the traced program's own memory, and of pages that it has just used.

pub(crate) mod active;
mod arguments;
mod audits;
mod copies;
mod earlier;
mod events;
mod hit;
mod imports;
mod lines;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::{Label, MapRef};
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::object::{MapKind, MapSpec};
use provider::probe::{Probe, ProbeKind, PythonEvent, PythonSites, Register};
use provider::python::{Build, Event, FlagTest, Location, Method, Site};

use self::active::ActiveMaps;
pub(super) use self::audits::Audits;
use self::earlier::{Earlier, ThreadMaps};
pub(super) use self::events::{EventSite, Events};
pub(super) use self::imports::{ImportHit, Imports};
use super::locations::load_register;

/// Why there is no arg2 on a kernel without `may_goto`.
const NO_LINE: &str = "the line of a Python that has no probes in it takes Linux 6.9 or later";

/// The maps that the programs on Python interpreters share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PythonMaps {
    /// The active frames.
    active: ActiveMaps,
    /// The threads that have been met.
    threads: ThreadMaps,
    /// Arguments by process, code object and instruction.
    cache: MapRef,
    /// The threads in which a collection goes on, while gc-done is enabled.
    collecting: MapRef,
    /// The names of the modules that are being looked for, while import-find-load-done is enabled.
    importing: MapRef,
    /// Whether the kernel knows the instruction `may_goto`.
    may_goto: bool,
}

impl PythonMaps {
    /// How many the parts have.
    const PARTS: u32 = ActiveMaps::COUNT + ThreadMaps::COUNT;

    /// The maps, by their numbers from `first` on.
    pub(crate) const fn new(first: u32, may_goto: bool) -> Self {
        Self {
            active: ActiveMaps::new(first),
            threads: ThreadMaps::new(first + ActiveMaps::COUNT),
            cache: MapRef(first + Self::PARTS),
            collecting: MapRef(first + Self::PARTS + 1),
            importing: MapRef(first + Self::PARTS + 2),
            may_goto,
        }
    }

    /// Those of the active frames.
    pub(crate) const fn active_frames(self) -> [MapRef; 2] {
        self.active.numbers()
    }

    /// What to create for them.
    pub(crate) fn specs() -> Vec<MapSpec> {
        let mut maps = ActiveMaps::specs().to_vec();
        maps.extend(ThreadMaps::specs());
        // Process, code object, instruction.
        let value = u32::from(8 * ARGUMENTS + CODE_BYTES);
        maps.push(MapSpec::new(
            "python_args",
            MapKind::LruHash,
            24,
            value,
            1 << 14,
        ));
        // Process and thread.
        maps.push(MapSpec::new("python_gc", MapKind::LruHash, 8, 8, 1 << 10));
        // Process and thread, stack pointer; name.
        maps.push(MapSpec::new(
            "python_imports",
            MapKind::LruHash,
            16,
            8,
            1 << 12,
        ));
        maps
    }
}

/// The arguments of a function's probes: file, function, line, qualified name.
const ARGUMENTS: u16 = 4;

/// The most bytes of a code object that are read, from where its own fields start.
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
    if imports::is_import(sites.event) {
        return imports::place_arguments(emit, sites.event, used, slots);
    }
    if is_function(sites.event) {
        emit.stack.reserve_end(Emit::LOOP_STACK);
        if [0, 1, 3].iter().any(|n| used.contains(n)) {
            emit.plan_thread_state(Span::default())?;
            emit.converted_text = true;
        }
        for (n, slot) in (0..4).zip(slots) {
            if n == 2 && !loops {
                let why = Argument::Unreadable(NO_LINE.to_owned());
                emit.machine.args.push(why);
            } else {
                place_argument(emit, used.contains(&n), slot)?;
            }
        }
        return Ok(());
    }
    let audits = sites.build.audits.as_ref();
    if sites.event == PythonEvent::Audit
        && audits.is_some_and(|audits| audits.without_hook.is_ok())
        && used.contains(&0)
    {
        plan_text(emit)?;
    }
    place_argument(emit, used.contains(&0), &mut slots[0])
}

/// Plans for an argument that may be a text which has to be converted.
fn plan_text(emit: &mut Emit<'_>) -> Emitted<()> {
    emit.stack.reserve_end(Emit::LOOP_STACK);
    emit.plan_thread_state(Span::default())?;
    emit.converted_text = true;
    Ok(())
}

/// Gives the next argument a slot, if it is used; probes of one program share slots.
fn place_argument(emit: &mut Emit<'_>, used: bool, slot: &mut Option<i16>) -> Emitted<()> {
    let argument = if used {
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
    Ok(())
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

/// An instruction of the interpreter that is probed.
#[derive(Clone, Copy, Debug)]
pub(super) struct PythonSite<'p> {
    pub(super) site: &'p Site,
    /// What the flags must be for a hit to count.
    flags: Option<FlagTest>,
}

impl<'p> From<&'p Site> for PythonSite<'p> {
    fn from(site: &'p Site) -> Self {
        Self { site, flags: None }
    }
}

/// The code for the hits in one file.
pub(super) struct Dispatch<'p> {
    build: &'p Build,
    /// Whether entries and returns are paired; if not, each hit is an event.
    pairs: bool,
    maps: PythonMaps,
    /// The slots of arg0 to arg3.
    slots: [Option<i16>; ARGUMENTS as usize],
    /// function-entry and function-return, where they are enabled.
    firings: [Option<Firing>; 2],
    scratch: Scratch,
    /// Where hits go to be paired.
    enter: Label,
    exit: Label,
    /// How threads that run already are met; `None` where they need not be, or cannot.
    earlier: Option<Earlier>,
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
    /// What was read of the code object.
    fn code_fields(self) -> i16 {
        self.value + signed(8 * ARGUMENTS)
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
                arguments: used.iter().any(|&n| u16::from(n) < ARGUMENTS),
            });
            match sites.event {
                PythonEvent::FunctionEntry => firings[0] = firing,
                PythonEvent::FunctionReturn => firings[1] = firing,
                PythonEvent::GcStart
                | PythonEvent::GcDone
                | PythonEvent::ImportStart
                | PythonEvent::ImportDone
                | PythonEvent::Audit => continue,
            }
            build = Some(&*sites.build);
        }
        let (Some(build), Some(maps)) = (build, maps) else {
            return Ok(None);
        };
        let alone = firings[1].is_none() && build.entries.is_ok();
        let pairs = build.method == Method::Handlers && !alone;
        let span = Span::default();
        let scratch = Scratch {
            keys: emit.buffer(32, span)?,
            value: emit.buffer(signed(8 * ARGUMENTS + CODE_BYTES), span)?,
            word: emit.buffer(8, span)?,
        };
        Ok(Some(Self {
            build,
            pairs,
            maps,
            slots: [slots[0], slots[1], slots[2], slots[3]],
            firings,
            scratch,
            enter: emit.asm.label(),
            exit: emit.asm.label(),
            earlier: pairs.then(|| Earlier::new(emit, build, maps)).flatten(),
            mismatch: emit.asm.label(),
            leave,
        }))
    }

    /// The instructions to attach to.
    ///
    /// Where entries and returns are paired that is all of them, whichever probe is enabled. The
    /// returns come first, and are attached first: a function that starts and ends while the rest
    /// is being attached must not stay active for ever.
    pub(super) fn sites(&self) -> Vec<PythonSite<'p>> {
        let [entries, returns] = self.firings.map(|firing| firing.is_some());
        let (starting, ending): (Vec<_>, Vec<_>) =
            self.build.sites.iter().partition(|site| starts(site.event));
        match (self.build.method, &self.build.entries) {
            (Method::Handlers, Ok(alone)) if !self.pairs => {
                let entries = alone.iter().map(|entry| PythonSite {
                    site: &entry.site,
                    flags: entry.flags,
                });
                let others = self.build.sites.iter();
                let others = others.filter(|s| matches!(s.event, Event::Throw | Event::Compiled));
                entries.chain(others.map(PythonSite::from)).collect()
            }
            (Method::Handlers, _) => ending
                .into_iter()
                .chain(starting)
                .map(PythonSite::from)
                .collect(),
            (Method::Calls, _) => {
                let ending = ending.into_iter().filter(|_| returns);
                ending
                    .chain(starting.into_iter().filter(|_| entries))
                    .map(PythonSite::from)
                    .collect()
            }
        }
    }

    fn with_arguments(&self) -> bool {
        self.firings.iter().flatten().any(|firing| firing.arguments)
    }

    /// Whether a hit at `site` may have to give arguments.
    fn gives_arguments(&self, site: &Site) -> bool {
        let firing = self.firings[usize::from(!starts(site.event))];
        firing.is_some_and(|firing| firing.arguments)
    }

    /// Emits what all hits lead to.
    pub(super) fn finish(self, emit: &mut Emit<'_>) -> Emitted<()> {
        let ready = if self.pairs {
            let ready = [emit.asm.label(), emit.asm.label()];
            self.enter(emit, ready[0])?;
            self.exit(emit, ready[1]);
            self.visit_earlier_frames(emit)?;
            ready
        } else {
            [self.enter, self.exit]
        };
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

/// `dst = value at a location`; `r9` holds the context, and the slot `word` may be used.
fn locate(emit: &mut Emit<'_>, dst: Reg, location: Location, word: i16) {
    match location {
        Location::Register(register) => load_register(emit, dst, Reg::R9, register),
        Location::Memory { base, offset } => {
            load_register(emit, Reg::R3, Reg::R9, base);
            add(emit, Reg::R3, offset);
            read(emit, word, 8);
            emit.asm.load(Size::Double, dst, Reg::FP, word);
        }
    }
}

/// Leaves unless the processor's flags are as `test` says; `r9` holds the context.
fn leave_unless(emit: &mut Emit<'_>, test: FlagTest, leave: Label) {
    load_register(emit, Reg::R0, Reg::R9, Register::FLAGS);
    emit.asm.alu_imm(Alu::And, Reg::R0, i32::from(test.mask));
    let other = if test.set { Cond::Eq } else { Cond::Ne };
    emit.asm.jump_if_imm(other, Reg::R0, 0, leave);
}

/// Reads `size` bytes at the user address in `r3` to the stack; zeros where it cannot.
fn read(emit: &mut Emit<'_>, to: i16, size: u16) {
    emit.stack_address(Reg::R1, to);
    emit.asm.mov_imm(Reg::R2, i64::from(size));
    emit.asm.call(Helper::ProbeReadUser);
}

fn add(emit: &mut Emit<'_>, reg: Reg, distance: i32) {
    if distance != 0 {
        emit.asm.alu_imm(Alu::Add, reg, distance);
    }
}

/// A field's offset, or the size of what is read of an object, for loads and stores.
fn signed(offset: u16) -> i16 {
    i16::try_from(offset).expect("the fields of Python's objects are near their start")
}
