//! Trampolines: from a firing to the machine state that every clause reads.
//!
//! What differs between providers and between the sites of one probe ends here: arguments are
//! fetched from registers, memory or constants into stack slots, by the site's own code, and from
//! there on a clause runs the same whatever fired.

mod python;
mod usdt;

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, Subroutine};
use dlang::types::Type;
use predicates::asm::{Label, MapRef};
use predicates::emit::{Argument, Emit, Emitted, MachineState};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::object::{Target, UprobeSite};
use provider::probe::{Probe, ProbeKind, Register, Scope, Site};

pub(crate) use self::python::PythonMaps;
use crate::clause::FaultSlots;
use crate::follow;

/// The machine state of a probe, its arguments not yet placed.
pub(crate) fn machine(probe: &Probe, timer: bool) -> MachineState {
    MachineState {
        args: Vec::new(),
        arg_types: probe.args.iter().map(|arg| arg.ty).collect(),
        provider: probe.desc.provider.clone(),
        any_process: matches!(probe.kind.file(), Some((_, Scope::System | Scope::Tree(_)))),
        module: probe.desc.module.clone(),
        function: probe.desc.function.clone(),
        name: probe.desc.name.clone(),
        id: probe.id.0,
        epid: 0,
        timer,
    }
}

/// The machine state of ERROR: `arg1` the EPID, `arg2` the action, `arg3` the instruction, `arg4`
/// the fault, `arg5` the address.
pub(crate) fn error_machine(probe: &Probe, slots: Option<&FaultSlots>) -> MachineState {
    let mut machine = machine(probe, false);
    if let Some(slots) = slots {
        machine.args = vec![
            Argument::Constant(0),
            Argument::Slot(slots.epid),
            Argument::Constant(0),
            Argument::Slot(slots.pc),
            Argument::Slot(slots.kind),
            Argument::Slot(slots.address),
        ];
    }
    machine
}

/// Gives each argument that is used a place. Slots are shared by the probes of a program.
pub(crate) fn place_arguments(
    emit: &mut Emit<'_>,
    probe: &Probe,
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
    maps: Option<PythonMaps>,
) -> Emitted<()> {
    match &probe.kind {
        ProbeKind::Sites(sites) => {
            usdt::place_arguments(emit, &sites.sites, probe.args.len(), used, slots)
        }
        ProbeKind::Python(sites) => python::place_arguments(emit, sites, used, slots, maps),
        _ => Ok(()),
    }
}

/// Emits the question whether the process belongs to the tree whose probes these are: the first
/// thing that a program asks. Where the kernel itself knows whose hits count, there is none.
pub(crate) fn emit_filter(
    emit: &mut Emit<'_>,
    probe: &Probe,
    followed: Option<MapRef>,
    leave: Label,
) -> Emitted<()> {
    match (probe.kind.file(), followed) {
        (Some((_, Scope::Tree(root))), Some(followed)) => {
            follow::emit_filter(emit, followed, root, leave)
        }
        _ => Ok(()),
    }
}

/// Emits the choice of the site that was hit, its arguments' fetching and the jump to its probe;
/// gives what the program is to be attached to.
pub(crate) fn emit_dispatch(
    emit: &mut Emit<'_>,
    probes: &[Arc<Probe>],
    entries: &[Label],
    used: &[BTreeSet<u8>],
    slots: &[Option<i16>; 10],
    maps: Option<PythonMaps>,
    leave: Label,
) -> Emitted<Vec<Target>> {
    let Some((file, scope)) = probes[0].kind.file() else {
        emit.asm.jump(entries[0]);
        return Ok(vec![match &probes[0].kind {
            ProbeKind::Tick { period } => Target::Tick { period: *period },
            ProbeKind::Profile { period } => Target::Profile { period: *period },
            ProbeKind::End => Target::End,
            _ => Target::Begin,
        }]);
    };
    let python = python::Dispatch::new(emit, probes, entries, used, slots, maps, leave)?;
    let mut arms = Vec::new();
    for (probe, &entry) in probes.iter().zip(entries) {
        let ProbeKind::Sites(sites) = &probe.kind else {
            continue;
        };
        arms.extend(sites.sites.iter().map(|site| Arm::Marker(site, entry)));
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
    let places: Vec<(u64, Label)> = arms
        .iter()
        .map(|arm| (arm.address(), emit.asm.label()))
        .collect();
    if places.is_empty() {
        emit.asm.jump(leave);
    } else {
        choose_site(emit, &places);
    }
    let unreadable = emit.asm.label();
    for (arm, &(_, label)) in arms.iter().zip(&places) {
        emit.asm.bind(label);
        match arm {
            Arm::Marker(site, entry) => {
                usdt::fetch_arguments(emit, site, slots, unreadable);
                emit.asm.jump(*entry);
            }
            Arm::Python(site) => {
                if let Some(python) = &python {
                    python.hit(emit, site)?;
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
        }
    }
    if let Some(python) = python {
        python.finish(emit)?;
    }
    if let Some(imports) = imports {
        imports.finish(emit)?;
    }
    emit.asm.bind(unreadable);
    emit.count(Counter::ArgumentDrops, Span::default())?;
    emit.asm.jump(leave);
    let mut targets = vec![Target::Uprobes {
        file: file.clone(),
        scope,
        sites: (0..).zip(&arms).map(|(n, arm)| arm.site(n)).collect(),
    }];
    if !events.returns.is_empty() {
        targets.push(Target::Returns {
            file: file.clone(),
            scope,
            sites: events.returns,
        });
    }
    Ok(targets)
}

/// An instruction that fires some probe of the program.
enum Arm<'p> {
    /// A marker's, and the probe's code.
    Marker(&'p Site, Label),
    /// One in a Python interpreter.
    Python(&'p provider::python::Site),
    /// One in a Python interpreter at which something else happens.
    Event(&'p python::EventSite),
    /// One at which an import starts or is done.
    Import(python::ImportHit<'p>),
}

impl Arm<'_> {
    fn address(&self) -> u64 {
        match self {
            Self::Marker(site, _) => site.address,
            Self::Python(site) => site.address,
            Self::Event(site) => site.address,
            Self::Import(hit) => hit.address(),
        }
    }

    fn site(&self, cookie: u64) -> UprobeSite {
        let (file_offset, semaphore) = match self {
            Self::Marker(site, _) => (site.file_offset, site.semaphore),
            Self::Python(site) => (site.file_offset, None),
            Self::Event(site) => (site.file_offset, None),
            Self::Import(hit) => (hit.file_offset(), None),
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

/// Jumps to the label of the site that was hit, by the instruction pointer's place in its page
/// where that tells the sites apart, which spares a helper call; else by the attach cookie.
fn choose_site(emit: &mut Emit<'_>, sites: &[(u64, Label)]) {
    if let [(_, only)] = sites {
        emit.asm.jump(*only);
        return;
    }
    let mut arms: Vec<(i32, Label)> = sites
        .iter()
        .map(|&(address, label)| (i32::try_from(address & IN_PAGE).unwrap_or(0), label))
        .collect();
    arms.sort_by_key(|(place, _)| *place);
    emit.asm.load(Size::Double, Reg::R1, Reg::FP, Emit::CONTEXT);
    if arms.windows(2).all(|pair| pair[0].0 != pair[1].0) {
        load_register(emit, Reg::R0, Reg::R1, Register::IP);
        emit.asm
            .alu_imm(Alu::And, Reg::R0, i32::try_from(IN_PAGE).unwrap_or(0));
    } else {
        emit.asm.call(Helper::GetAttachCookie);
        arms = (0..)
            .zip(sites)
            .map(|(cookie, &(_, label))| (cookie, label))
            .collect();
    }
    choose(emit, &arms);
}

/// A binary decision on `r0`, which is one of the arms' numbers; they ascend.
fn choose(emit: &mut Emit<'_>, arms: &[(i32, Label)]) {
    if let [(_, only)] = arms {
        emit.asm.jump(*only);
        return;
    }
    let (low, high) = arms.split_at(arms.len() / 2);
    let upper = emit.asm.label();
    emit.asm.jump_if_imm(Cond::Ge, Reg::R0, high[0].0, upper);
    choose(emit, low);
    emit.asm.bind(upper);
    choose(emit, high);
}

/// `dst = register` of the traced thread; `context` holds the program's context.
fn load_register(emit: &mut Emit<'_>, dst: Reg, context: Reg, register: Register) {
    let offset = i16::try_from(register.0).unwrap_or(0);
    emit.asm.load(Size::Double, dst, context, offset);
}

/// What `-F` shows for a probe of Python's functions: `file:func:line`.
pub(crate) fn flow_name(probe: &Probe) -> Option<Expr> {
    let python = probe.desc.provider.starts_with("python");
    if !python
        || !matches!(
            probe.desc.name.as_str(),
            "function-entry" | "function-return" | "line"
        )
    {
        return None;
    }
    let expr = |kind, ty| Expr {
        kind,
        ty,
        span: Span::default(),
    };
    let string = |n| {
        let address = expr(ExprKind::Arg(n), Type::I64);
        expr(
            ExprKind::Call(Subroutine::Copyinstr, vec![address]),
            Type::String,
        )
    };
    let join = |a, b| {
        expr(
            ExprKind::Call(Subroutine::Strjoin, vec![a, b]),
            Type::String,
        )
    };
    let text = |s: &str| expr(ExprKind::Str(s.into()), Type::String);
    let file = expr(
        ExprKind::Call(Subroutine::Basename, vec![string(0)]),
        Type::String,
    );
    let line = expr(ExprKind::Arg(2), Type::I64);
    let line = expr(
        ExprKind::Call(Subroutine::Lltostr, vec![line]),
        Type::String,
    );
    Some(join(
        join(join(file, text(":")), join(string(1), text(":"))),
        line,
    ))
}
