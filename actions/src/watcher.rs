//! Pieces of the programs that no script has: those that watch threads, processes and locks, so that clauses can ask
//! about them (`vtime`, `follow`, `contention`).

use predicates::asm::{Asm, Code, Label, MapRef};
use predicates::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use predicates::storage::Counter;

/// `dst = address of a slot` on the stack.
pub(crate) fn stack_address(asm: &mut Asm, dst: Reg, slot: i16) {
    asm.mov(dst, Reg::FP);
    asm.alu_imm(Alu::Add, dst, i32::from(slot));
}

/// `r0 = address of the value` of the key at `slot`, or 0.
pub(crate) fn look_up(asm: &mut Asm, map: MapRef, slot: i16) {
    asm.map(Reg::R1, map);
    stack_address(asm, Reg::R2, slot);
    asm.call(Helper::MapLookupElem);
}

/// Adds 1 to a counter; the word at `slot` is overwritten.
pub(crate) fn count(asm: &mut Asm, counters: MapRef, counter: Counter, slot: i16, leave: Label) {
    let place = i16::try_from(counter as u32 * 8).expect("counters are few");
    asm.store_imm(Size::Word, Reg::FP, slot, 0);
    look_up(asm, counters, slot);
    asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
    asm.mov_imm(Reg::R1, 1);
    asm.push(Insn::atomic_add(
        Size::Double,
        Reg::R0,
        place,
        Reg::R1,
        false,
    ));
}

/// The end, which `leave` leads to.
pub(crate) fn finish(mut asm: Asm, leave: Label) -> Code {
    asm.bind(leave);
    asm.mov_imm(Reg::R0, 0);
    asm.push(Insn::exit());
    asm.finish().expect("the program is short")
}
