//! `-x cpu`: the firings of one CPU count, and no others.
//!
//! What trampolines keep for later firings (which Python functions are active, say) they keep on all CPUs:
//! a thread may go on elsewhere. So the question is asked behind them, in front of the first clause.

use predicates::asm::Label;
use predicates::emit::Emit;
use predicates::insn::{Cond, Helper, Reg};

/// Leaves the firing if it is on another CPU.
pub(crate) fn leave_on_others(emit: &mut Emit<'_>, cpu: u32, leave: Label) {
    emit.asm.note("CPU");
    emit.asm.call(Helper::GetSmpProcessorId);
    emit.asm
        .jump_if_imm(Cond::Ne, Reg::R0, cpu.cast_signed(), leave);
}
