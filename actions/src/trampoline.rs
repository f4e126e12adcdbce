//! Trampolines: from a firing to the machine state that every clause reads.
//!
//! What differs between providers and between the sites of one probe ends here: arguments are
//! fetched from registers, memory or constants into stack slots, by the site's own code, and from
//! there on a clause runs the same whatever fired.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, Subroutine};
use dlang::types::{Int, Type};
use predicates::asm::Label;
use predicates::emit::{Argument, Emit, Emitted, MachineState};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::object::{Target, UprobeSite};
use provider::probe::{ArgLocation, Probe, ProbeKind, Register, Scope, Site};

use crate::clause::FaultSlots;

/// The machine state of a probe, its arguments not yet placed.
pub(crate) fn machine(probe: &Probe, timer: bool) -> MachineState {
    MachineState {
        args: Vec::new(),
        arg_types: probe.args.iter().map(|arg| arg.ty).collect(),
        provider: probe.desc.provider.clone(),
        any_process: matches!(probe.kind.file(), Some((_, Scope::System))),
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
) -> Emitted<()> {
    let ProbeKind::Sites(sites) = &probe.kind else {
        return Ok(());
    };
    for n in 0..probe.args.len().min(10) {
        let mut argument = Argument::Absent;
        if used.contains(&u8::try_from(n).unwrap_or(u8::MAX)) {
            argument = match common_argument(&sites.sites, n) {
                Some(argument) => argument,
                None => {
                    let slot = match slots[n] {
                        Some(slot) => slot,
                        None => emit.buffer(8, Span::default())?,
                    };
                    slots[n] = Some(slot);
                    Argument::Slot(slot)
                }
            };
        }
        emit.machine.args.push(argument);
    }
    Ok(())
}

/// The argument, when it needs no code: the same constant at all sites, or not to be had at one.
fn common_argument(sites: &[Site], n: usize) -> Option<Argument> {
    let mut locations = sites.iter().map(|site| site.args.get(n));
    if let Some(ArgLocation::Unreadable { why }) = locations
        .clone()
        .flatten()
        .find(|location| matches!(location, ArgLocation::Unreadable { .. }))
    {
        return Some(Argument::Unreadable(why.clone()));
    }
    let first = locations.next()?;
    match first {
        Some(ArgLocation::Constant(value)) if locations.all(|other| other == first) => {
            Some(Argument::Constant(*value))
        }
        None if locations.all(|other| other.is_none()) => Some(Argument::Absent),
        _ => None,
    }
}

/// Emits the choice of the site that was hit, its arguments' fetching and the jump to its probe;
/// gives what the program is to be attached to.
pub(crate) fn emit_dispatch(
    emit: &mut Emit<'_>,
    probes: &[Arc<Probe>],
    entries: &[Label],
    slots: &[Option<i16>; 10],
    leave: Label,
) -> Emitted<Target> {
    let ProbeKind::Sites(first) = &probes[0].kind else {
        emit.asm.jump(entries[0]);
        return Ok(match &probes[0].kind {
            ProbeKind::Tick { period } => Target::Tick { period: *period },
            ProbeKind::Profile { period } => Target::Profile { period: *period },
            ProbeKind::End => Target::End,
            ProbeKind::Begin | ProbeKind::Error | ProbeKind::Sites(_) | ProbeKind::Python(_) => {
                Target::Begin
            }
        });
    };
    let mut attach = Vec::new();
    let mut arms = Vec::new();
    for (probe, &entry) in probes.iter().zip(entries) {
        let ProbeKind::Sites(sites) = &probe.kind else {
            continue;
        };
        for site in &sites.sites {
            arms.push((emit.asm.label(), entry, site));
            attach.push(UprobeSite {
                file_offset: site.file_offset,
                semaphore: site.semaphore,
                cookie: u64::try_from(attach.len()).unwrap_or(0),
            });
        }
    }
    let labels: Vec<(u64, Label)> = arms
        .iter()
        .map(|(label, _, site)| (site.address, *label))
        .collect();
    choose_site(emit, &labels);
    for (label, entry, site) in arms {
        emit.asm.bind(label);
        for (n, slot) in slots.iter().enumerate() {
            if let (Some(slot), Some(location)) = (slot, site.args.get(n)) {
                fetch(emit, location, *slot, leave);
            } else if let Some(slot) = slot {
                emit.asm.store_imm(Size::Double, Reg::FP, *slot, 0);
            }
        }
        emit.asm.jump(entry);
    }
    Ok(Target::Uprobes {
        file: first.file.clone(),
        scope: first.scope,
        sites: attach,
    })
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

/// Fetches an argument into a stack slot, canonical for its type.
fn fetch(emit: &mut Emit<'_>, location: &ArgLocation, slot: i16, leave: Label) {
    let context = |emit: &mut Emit<'_>, reg| {
        emit.asm.load(Size::Double, reg, Reg::FP, Emit::CONTEXT);
    };
    match location {
        ArgLocation::Constant(value) => {
            emit.asm.mov_imm(Reg::R0, *value);
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        ArgLocation::Register {
            register,
            shift,
            int,
        } => {
            context(emit, Reg::R1);
            load_register(emit, Reg::R0, Reg::R1, *register);
            if *shift > 0 {
                emit.asm.alu_imm(Alu::Rsh, Reg::R0, i32::from(*shift));
            }
            cut(emit, Reg::R0, *int);
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        ArgLocation::Memory {
            base,
            index,
            displacement,
            int,
        } => {
            context(emit, Reg::R1);
            emit.asm.mov_imm(Reg::R3, *displacement);
            if let Some(base) = base {
                load_register(emit, Reg::R2, Reg::R1, *base);
                emit.asm.alu(Alu::Add, Reg::R3, Reg::R2);
            }
            if let Some((index, scale)) = index {
                load_register(emit, Reg::R2, Reg::R1, *index);
                emit.asm.alu_imm(Alu::Mul, Reg::R2, i32::from(*scale));
                emit.asm.alu(Alu::Add, Reg::R3, Reg::R2);
            }
            read(emit, *int, slot, leave);
        }
        ArgLocation::Relative { from_site, int } => {
            context(emit, Reg::R1);
            load_register(emit, Reg::R2, Reg::R1, Register::IP);
            emit.asm.mov_imm(Reg::R3, *from_site);
            emit.asm.alu(Alu::Add, Reg::R3, Reg::R2);
            read(emit, *int, slot, leave);
        }
        ArgLocation::Unreadable { .. } => emit.asm.store_imm(Size::Double, Reg::FP, slot, 0),
    }
}

fn load_register(emit: &mut Emit<'_>, dst: Reg, context: Reg, register: Register) {
    let offset = i16::try_from(register.0).unwrap_or(0);
    emit.asm.load(Size::Double, dst, context, offset);
}

/// Reads an integer at the user address in `r3` into a slot. An argument that cannot be read is
/// 0, as an argument that does not exist is.
fn read(emit: &mut Emit<'_>, int: Int, slot: i16, leave: Label) {
    let _ = leave;
    emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
    emit.stack_address(Reg::R1, slot);
    emit.asm.mov_imm(Reg::R2, i64::from(int.size));
    emit.asm.call(Helper::ProbeReadUser);
    emit.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
    cut(emit, Reg::R0, int);
    emit.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
}

/// Makes a register canonical for a type.
fn cut(emit: &mut Emit<'_>, reg: Reg, int: Int) {
    let bits = 64 - 8 * i32::from(int.size);
    if bits > 0 {
        emit.asm.alu_imm(Alu::Lsh, reg, bits);
        emit.asm
            .alu_imm(if int.signed { Alu::Arsh } else { Alu::Rsh }, reg, bits);
    }
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
