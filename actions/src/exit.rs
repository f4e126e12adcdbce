//! `exit()`: nothing fires after it but END, not even the other clauses of the same firing.

use dlang::program::{Action, Clause, StmtKind};
use predicates::asm::Label;
use predicates::emit::Emit;
use predicates::insn::{Cond, Reg, Size};
use predicates::storage::own_globals;

use crate::plan::each_statement;

/// Whether a clause may end the run.
pub(crate) fn exits(clause: &Clause) -> bool {
    let mut found = false;
    each_statement(&clause.body, &mut |stmt| {
        found |= matches!(stmt.kind, StmtKind::Action(Action::Exit(_)));
    });
    found
}

/// Leaves the firing if `exit()` ran.
pub(crate) fn leave_if_exited(emit: &mut Emit<'_>, leave: Label) {
    emit.asm
        .map_value(Reg::R1, emit.storage.globals, own_globals::EXITED);
    emit.asm.load(Size::Double, Reg::R1, Reg::R1, 0);
    emit.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, leave);
}
