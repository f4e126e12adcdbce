//! The context is the registers of a thread that hit an instruction: which site it was, and what its
//! probe's arguments are.

use std::sync::Arc;

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::object::{Target, UprobeSite};
use provider::probe::{File, Moment, Probe, ProbeKind, Register, Scope, Site, Sites};
use provider::python::NoHookSite;

use super::choose::choose;
use super::locations::{fetch_arguments, load_register};
use super::python;
use super::python::maps::PythonMaps;
use super::source::{Firing, SharedFiring};

/// Emits the choice of the site that was hit, its arguments' fetching and the jump to its probe;
/// gives what the program is to be attached to.
pub(super) fn dispatch(
    emit: &mut Emit<'_>,
    (file, scope): (&Arc<File>, Scope),
    firing: &Firing<'_>,
    maps: Option<PythonMaps>,
) -> Emitted<Vec<Target>> {
    let &Firing {
        probes,
        entries,
        used,
        slots,
        leave,
        shared: _,
    } = firing;
    let python = python::Dispatch::new(emit, probes, entries, used, slots, maps, leave)?;
    let mut arms = Vec::new();
    for (probe, &entry) in probes.iter().zip(entries) {
        let ProbeKind::Sites(sites) = &probe.kind else {
            continue;
        };
        let arm = |site| match sites.moment {
            Moment::Reached => Arm::Site(site, entry),
            Moment::Returned => Arm::Return(site, entry),
        };
        arms.extend(sites.sites.iter().map(arm));
    }
    if let Some(python) = &python {
        arms.extend(python.sites().into_iter().map(Arm::Python));
    }
    let events = python::Events::of(probes, entries);
    arms.extend(events.sites.iter().map(Arm::Event));
    if let Some(maps) = maps {
        events.returns(emit, maps, slots[0], leave)?;
    }
    let imports = match maps {
        Some(maps) => python::Imports::of(emit, probes, entries, used, slots, maps, leave)?,
        None => None,
    };
    arms.extend(
        imports
            .iter()
            .flat_map(python::Imports::hits)
            .map(Arm::Import),
    );
    let audits = match maps {
        Some(maps) => python::Audits::of(emit, probes, entries, used, slots, maps, leave)?,
        None => None,
    };
    arms.extend(
        audits
            .iter()
            .flat_map(python::Audits::sites)
            .map(Arm::Audit),
    );
    let locks = maps.and_then(|maps| python::Locks::of(probes, entries, used, slots, maps, leave));
    arms.extend(locks.iter().flat_map(python::Locks::hits).map(Arm::Lock));
    let calls = match maps {
        Some(maps) => python::CCalls::of(emit, probes, entries, used, slots, maps, leave)?,
        None => None,
    };
    arms.extend(calls.iter().flat_map(python::CCalls::hits).map(Arm::CCall));
    let alone = arms.len() as u64;
    let mut shared = Vec::new();
    let mut first = alone;
    for &SharedFiring {
        probes,
        entry,
        slot,
    } in firing.shared
    {
        shared.push(Numbered {
            probes,
            entry,
            slot,
            first,
        });
        first += probes.len() as u64;
    }
    let places: Vec<(u64, Label)> = arms
        .iter()
        .map(|arm| (arm.address(), emit.asm.label()))
        .collect();
    let numbered: Vec<(u64, Label)> = shared
        .iter()
        .map(|shared| (shared.first, emit.asm.label()))
        .collect();
    if places.is_empty() && numbered.is_empty() {
        emit.asm.jump(leave);
    } else {
        choose_site(emit, &places, &numbered, arms.iter().any(Arm::is_return));
    }
    let unreadable = emit.asm.label();
    for (arm, &(_, label)) in arms.iter().zip(&places) {
        emit.asm.bind(label);
        match arm {
            Arm::Site(site, entry) | Arm::Return(site, entry) => {
                fetch_arguments(emit, site, slots, unreadable);
                emit.asm.jump(*entry);
            }
            Arm::Python(hit) => {
                if let Some(python) = &python {
                    python.hit(emit, *hit)?;
                }
            }
            Arm::Event(site) => {
                if let Some(maps) = maps {
                    site.hit(emit, maps, slots[0], leave)?;
                }
            }
            Arm::Import(hit) => {
                if let Some(imports) = &imports {
                    imports.hit(emit, *hit)?;
                }
            }
            Arm::Audit(site) => {
                if let Some(audits) = &audits {
                    audits.hit(emit, site);
                }
            }
            Arm::Lock(hit) => {
                if let Some(locks) = &locks {
                    locks.hit(emit, *hit)?;
                }
            }
            Arm::CCall(hit) => {
                if let Some(calls) = &calls {
                    calls.hit(emit, *hit);
                }
            }
        }
    }
    for (shared, &(_, label)) in shared.iter().zip(&numbered) {
        emit.asm.bind(label);
        shared.hit(emit, slots, unreadable);
    }
    if let Some(python) = python {
        python.finish(emit)?;
    }
    if let Some(imports) = imports {
        imports.finish(emit)?;
    }
    if let Some(audits) = audits {
        audits.finish(emit)?;
    }
    if let Some(calls) = calls {
        calls.finish(emit)?;
    }
    emit.asm.bind(unreadable);
    emit.count(Counter::ArgumentDrops, Span::default())?;
    emit.asm.jump(leave);
    let (mut reached, mut returns) = (Vec::new(), events.returns);
    for (number, arm) in (0..).zip(&arms) {
        let sites = if arm.is_return() {
            &mut returns
        } else {
            &mut reached
        };
        sites.push(arm.site(number));
    }
    for shared in &shared {
        shared.sites(&mut reached, &mut returns);
    }
    let mut targets = vec![Target::Uprobes {
        file: file.clone(),
        scope,
        sites: reached,
    }];
    if !returns.is_empty() {
        targets.push(Target::Returns {
            file: file.clone(),
            scope,
            sites: returns,
        });
    }
    Ok(targets)
}

/// An instruction that fires some probe of the program.
enum Arm<'p> {
    /// That of a probe with argument locations, and the probe's code.
    Site(&'p Site, Label),
    /// A function's first one, whose return is meant.
    Return(&'p Site, Label),
    /// One in a Python interpreter.
    Python(python::PythonSite<'p>),
    /// One in a Python interpreter at which something else happens.
    Event(&'p python::EventSite),
    /// One at which an import starts or is done.
    Import(python::ImportHit<'p>),
    /// One at which an audit event that nobody hears is raised.
    Audit(&'p NoHookSite),
    /// One at which a thread asks for the interpreter's lock, gets it, or lets go of it.
    Lock(python::LockHit<'p>),
    /// One at which a function written in C is called, or has returned.
    CCall(python::CCallHit<'p>),
}

impl Arm<'_> {
    fn is_return(&self) -> bool {
        match self {
            Self::Return(..) => true,
            Self::Site(..)
            | Self::Python(_)
            | Self::Event(_)
            | Self::Import(_)
            | Self::Audit(_)
            | Self::Lock(_)
            | Self::CCall(_) => false,
        }
    }

    fn address(&self) -> u64 {
        match self {
            Self::Site(site, _) | Self::Return(site, _) => site.address,
            Self::Python(python) => python.site.address,
            Self::Event(site) => site.address,
            Self::Import(hit) => hit.address(),
            Self::Audit(site) => site.address,
            Self::Lock(hit) => hit.site.address,
            Self::CCall(hit) => hit.place().address,
        }
    }

    fn site(&self, cookie: u64) -> UprobeSite {
        let (file_offset, semaphore) = match self {
            Self::Site(site, _) | Self::Return(site, _) => (site.file_offset, site.semaphore),
            Self::Python(python) => (python.site.file_offset, None),
            Self::Event(site) => (site.file_offset, None),
            Self::Import(hit) => (hit.file_offset(), None),
            Self::Audit(site) => (site.file_offset, None),
            Self::Lock(hit) => (hit.site.file_offset, None),
            Self::CCall(hit) => (hit.place().file_offset, None),
        };
        UprobeSite {
            file_offset,
            semaphore,
            cookie,
        }
    }
}

/// Where in its page an address is: the loader moves a file by whole pages.
const IN_PAGE: u64 = 0xfff;

/// Probes that share code; their sites' cookies are their numbers from `first` on.
struct Numbered<'p> {
    probes: &'p [Arc<Probe>],
    entry: Label,
    slot: i16,
    first: u64,
}

impl Numbered<'_> {
    /// The sites of a probe, and when they fire it.
    fn sites_of(probe: &Probe) -> Option<&Sites> {
        match &probe.kind {
            ProbeKind::Sites(sites) => Some(sites),
            ProbeKind::Begin
            | ProbeKind::End
            | ProbeKind::Error
            | ProbeKind::Timer(_)
            | ProbeKind::SystemCall(_)
            | ProbeKind::Kernel(_)
            | ProbeKind::Python(_) => None,
        }
    }

    /// Emits what a hit does: keeps the number, whose cookie is in `r0`, and fetches the arguments,
    /// which are in the same places for all.
    fn hit(&self, emit: &mut Emit<'_>, slots: &[Option<i16>; 10], unreadable: Label) {
        let first = i32::try_from(self.first).expect("cookies are few");
        emit.asm.alu_imm(Alu::Sub, Reg::R0, first);
        emit.asm.store(Size::Double, Reg::FP, self.slot, Reg::R0);
        let sites = self.probes.first().and_then(|probe| Self::sites_of(probe));
        if let Some(site) = sites.and_then(|sites| sites.sites.first()) {
            fetch_arguments(emit, site, slots, unreadable);
        }
        emit.asm.jump(self.entry);
    }

    /// Adds the instructions to attach to.
    fn sites(&self, reached: &mut Vec<UprobeSite>, returns: &mut Vec<UprobeSite>) {
        for (cookie, probe) in (self.first..).zip(self.probes) {
            let Some(sites) = Self::sites_of(probe) else {
                continue;
            };
            let to = match sites.moment {
                Moment::Reached => &mut *reached,
                Moment::Returned => &mut *returns,
            };
            to.extend(sites.sites.iter().map(|site| UprobeSite {
                file_offset: site.file_offset,
                semaphore: site.semaphore,
                cookie,
            }));
        }
    }
}

/// Jumps to the label of the site that was hit, by the instruction pointer's place in its page
/// where that tells the sites apart, which spares a helper call; else by the attach cookie, which is then
/// in `r0`. When a function returns, the instruction pointer is its caller's; and for probes that share
/// code the cookie is needed in any case.
fn choose_site(
    emit: &mut Emit<'_>,
    sites: &[(u64, Label)],
    shared: &[(u64, Label)],
    with_returns: bool,
) {
    if let ([(_, only)], []) = (sites, shared) {
        emit.asm.jump(*only);
        return;
    }
    let in_page = |address: u64| i32::try_from(address & IN_PAGE).expect("a page is small");
    let mut arms: Vec<(i32, Label)> = sites
        .iter()
        .map(|&(address, label)| (in_page(address), label))
        .collect();
    arms.sort_by_key(|(place, _)| *place);
    let apart = arms.windows(2).all(|pair| pair[0].0 != pair[1].0);
    emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
    if apart && !with_returns && shared.is_empty() {
        load_register(emit, Reg::R0, Reg::R1, Register::IP);
        emit.asm.alu_imm(Alu::And, Reg::R0, in_page(IN_PAGE));
    } else {
        emit.asm.call(Helper::GetAttachCookie);
        let shared = shared.iter().map(|&(first, label)| {
            let first = i32::try_from(first).expect("cookies are few");
            (first, label)
        });
        let alone = (0..)
            .zip(sites)
            .map(|(cookie, &(_, label))| (cookie, label));
        arms = alone.chain(shared).collect();
    }
    choose(emit, &arms);
}
