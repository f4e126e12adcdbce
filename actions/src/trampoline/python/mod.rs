//! Probes of Pythons that have none: what a hit on an instruction of the interpreter means, and the
//! arguments of the probe that fires. This is about function-entry and function-return; `events`,
//! `audits`, `imports`, `gil` and `cfunctions` have the others.
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

mod active;
mod arguments;
mod audits;
mod cfunctions;
mod copies;
mod dispatch;
mod earlier;
mod events;
mod gil;
mod hit;
mod imports;
mod lines;
pub(crate) mod maps;
mod places;
mod read;
mod resumed;
mod returned;
mod starts;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Cond, Reg, Size};
use predicates::storage::Counter;
use provider::probe::{Probe, ProbeKind, PythonEvent, PythonSites, Scope};
use provider::python::{Event, Method, Site};

pub(super) use self::audits::Audits;
pub(super) use self::cfunctions::{CCallHit, CCalls};
pub(super) use self::dispatch::{Dispatch, PythonSite};
use self::dispatch::{Earlier, Firing, Scratch, starts};
pub(super) use self::events::{EventSite, Events};
pub(super) use self::gil::{LockHit, Locks};
pub(super) use self::imports::{ImportHit, Imports};
use self::maps::{ARGUMENTS, CODE_BYTES, PythonMaps};
use self::places::{place_argument, plan_text};
use self::read::signed;
use super::objects::{FRAME, RESUMED, RETURNED};

/// Why there is no arg2 on a kernel without loops that have no bound.
const NO_LINE: &str = "the line of a Python that has no probes in it takes Linux 5.17 or later";

/// Gives the arguments that are used a slot.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    sites: &PythonSites,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
    maps: Option<PythonMaps>,
) -> Emitted<()> {
    let loops = maps.is_some_and(|maps| maps.open_loops);
    if imports::is_import(sites.event) {
        return imports::place_arguments(emit, sites.event, used, slots);
    }
    if cfunctions::is_cfunction(sites.event) {
        return cfunctions::place_arguments(emit, used, slots);
    }
    if is_function(sites.event) {
        emit.reserve_for_loops();
        if [0, 1].iter().any(|n| used.contains(n)) {
            emit.plan_scratch(Span::default())?;
            emit.converted_text = true;
        }
        let own = [FRAME, RETURNED, RESUMED].map(|n| (n, slots[usize::from(n)]));
        for (n, slot) in (0..3).zip(slots.iter_mut()) {
            if n == 2 && !loops {
                let why = Argument::Unreadable(NO_LINE.to_owned());
                emit.machine.args.push(why);
            } else {
                place_argument(emit, used.contains(&n), slot)?;
            }
        }
        for (n, slot) in own {
            if !used.contains(&n) {
                continue;
            }
            let place = match slot {
                Some(place) => place,
                None => emit.buffer(8, Span::default())?,
            };
            slots[usize::from(n)] = Some(place);
            let returns = sites.event == PythonEvent::FunctionReturn;
            let Some(python) = &mut emit.machine.python else {
                continue;
            };
            match n {
                FRAME => python.frame = Ok(place),
                RETURNED if returns => python.returned = Ok(place),
                RESUMED if !returns => python.resumed = Ok(place),
                _ => {}
            }
        }
        return Ok(());
    }
    if matches!(sites.event, PythonEvent::GilWait | PythonEvent::GilRelease) {
        return Ok(()); // they have none
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

fn is_function(event: PythonEvent) -> bool {
    matches!(
        event,
        PythonEvent::FunctionEntry | PythonEvent::FunctionReturn
    )
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
        let (mut build, mut process) = (None, None);
        let mut firings = [None; 2];
        for ((probe, &entry), used) in probes.iter().zip(entries).zip(used) {
            let ProbeKind::Python(sites) = &probe.kind else {
                continue;
            };
            let firing = Some(Firing {
                entry,
                arguments: used.iter().any(|&n| u16::from(n) < ARGUMENTS),
                frame: used.contains(&FRAME),
                returned: used.contains(&RETURNED),
            });
            match sites.event {
                PythonEvent::FunctionEntry => firings[0] = firing,
                PythonEvent::FunctionReturn => firings[1] = firing,
                PythonEvent::GcStart
                | PythonEvent::GcDone
                | PythonEvent::ImportStart
                | PythonEvent::ImportDone
                | PythonEvent::Audit
                | PythonEvent::GilWait
                | PythonEvent::GilAcquire
                | PythonEvent::GilRelease
                | PythonEvent::CfunctionEntry
                | PythonEvent::CfunctionReturn => continue,
            }
            build = Some(&*sites.build);
            // No two programs have an EPID in common.
            if let Scope::Process(_) = sites.scope {
                process = u16::try_from(emit.machine.epid).ok();
            }
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
            process,
            maps,
            slots: [slots[0], slots[1], slots[2]],
            frame: slots[usize::from(FRAME)],
            returned: slots[usize::from(RETURNED)],
            resumed: slots[usize::from(RESUMED)],
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
                    specialised: entry.specialised,
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

    /// Whether a hit at `site` may have to give arguments, or the frame.
    fn gives_arguments(&self, site: &Site) -> bool {
        let firing = self.firings[usize::from(!starts(site.event))];
        firing.is_some_and(|firing| firing.arguments || firing.frame || firing.returned)
            || self.resumed_at(site).is_some()
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
