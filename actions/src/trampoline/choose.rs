//! A jump to one of many labels, by a number: a binary search in comparisons.

use predicates::asm::Label;
use predicates::emit::Emit;
use predicates::insn::{Cond, Reg};

/// A binary decision on `r0`, which is one of the arms' numbers; they ascend.
pub(super) fn choose(emit: &mut Emit<'_>, arms: &[(i32, Label)]) {
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
