//! Arguments by their locations: registers, memory and constants.

use std::collections::BTreeSet;

use dlang::diag::Span;
use dlang::types::Int;
use predicates::asm::Label;
use predicates::emit::{Argument, Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::probe::{ArgLocation, Register, Site};

/// Gives each argument that is used a place. Slots are shared by the probes of a program.
pub(super) fn place_arguments(
    emit: &mut Emit<'_>,
    sites: &[Site],
    used: &BTreeSet<u8>,
    slots: &mut [Option<i16>; 10],
) -> Emitted<()> {
    // Those that all sites have. Their types may not be known, as of `pid`'s.
    let count = sites.iter().map(|site| site.args.len()).min().unwrap_or(0);
    for (n, place) in (0_u8..).zip(slots).take(count) {
        let mut argument = Argument::Absent;
        if used.contains(&n) {
            argument = match common_argument(sites, usize::from(n)) {
                Some(argument) => argument,
                None => {
                    let slot = match *place {
                        Some(slot) => slot,
                        None => emit.buffer(8, Span::default())?,
                    };
                    *place = Some(slot);
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

/// Fetches the arguments that have slots at one site; on to `unreadable` if one cannot be read.
pub(super) fn fetch_arguments(
    emit: &mut Emit<'_>,
    site: &Site,
    slots: &[Option<i16>; 10],
    unreadable: Label,
) {
    for (n, slot) in slots.iter().enumerate() {
        if let (Some(slot), Some(location)) = (slot, site.args.get(n)) {
            fetch(emit, location, *slot, unreadable);
        } else if let Some(slot) = slot {
            emit.asm.store_imm(Size::Double, Reg::FP, *slot, 0);
        }
    }
}

/// Fetches an argument into a stack slot, canonical for its type.
fn fetch(emit: &mut Emit<'_>, location: &ArgLocation, slot: i16, unreadable: Label) {
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
            read(emit, *int, slot, unreadable);
        }
        ArgLocation::Relative { from_site, int } => {
            context(emit, Reg::R1);
            load_register(emit, Reg::R2, Reg::R1, Register::IP);
            emit.asm.mov_imm(Reg::R3, *from_site);
            emit.asm.alu(Alu::Add, Reg::R3, Reg::R2);
            read(emit, *int, slot, unreadable);
        }
        ArgLocation::Unreadable { .. } => emit.asm.store_imm(Size::Double, Reg::FP, slot, 0),
    }
}

/// Reads an integer at the user address in `r3` into a slot. The program itself has the memory at
/// hand where its marker stands, but its page may not be resident, and a wrong argument is
/// worse than none.
fn read(emit: &mut Emit<'_>, int: Int, slot: i16, unreadable: Label) {
    emit.asm.store_imm(Size::Double, Reg::FP, slot, 0);
    emit.stack_address(Reg::R1, slot);
    emit.asm.mov_imm(Reg::R2, i64::from(int.size));
    emit.asm.call(Helper::ProbeReadUser);
    emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, unreadable);
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

/// `dst = register` of the traced thread; `context` holds the program's context.
pub(super) fn load_register(emit: &mut Emit<'_>, dst: Reg, context: Reg, register: Register) {
    let offset = i16::try_from(register.0).expect("pt_regs is a few hundred bytes");
    emit.asm.load(Size::Double, dst, context, offset);
}
