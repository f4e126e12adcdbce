//! The set of active frames, by which entries and returns pair.
//!
//! An entry counts if its frame is not active yet, a return if it is. So what some builds show
//! twice counts once: an instruction that is executed again after it has specialised or
//! instrumented itself, a frame that two sites see end, one that is cleared without having run.
//! And every return that is reported belongs to an entry that was.
//!
//! A frame that was active before the probes were attached is not in the set: its return does
//! not count, and what it calls does.

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Cond, Helper, Reg};
use predicates::storage::Counter;

use super::Dispatch;

/// `BPF_NOEXIST`: only if the key is not there.
const NO_EXIST: i64 = 1;
/// What an update gives then if it is.
const EEXIST: i32 = 17;

impl Dispatch<'_> {
    /// A frame starts; on to `ready` if it was not active.
    pub(super) fn enter(&self, emit: &mut Emit<'_>, ready: Label) -> Emitted<()> {
        emit.asm.bind(self.enter);
        emit.asm.note("function starts");
        emit.asm.map(Reg::R1, self.maps.active);
        emit.stack_address(Reg::R2, self.scratch.keys);
        emit.asm.mov(Reg::R3, Reg::R2);
        emit.asm.mov_imm(Reg::R4, NO_EXIST);
        emit.asm.call(Helper::MapUpdateElem);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, ready);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, -EEXIST, self.leave);
        emit.count(Counter::PythonDrops, Span::default())?;
        emit.asm.jump(self.leave);
        Ok(())
    }

    /// A frame ends; on to `ready` if it was active.
    pub(super) fn exit(&self, emit: &mut Emit<'_>, ready: Label) -> Emitted<()> {
        emit.asm.bind(self.exit);
        emit.asm.note("function ends");
        emit.asm.map(Reg::R1, self.maps.active);
        emit.stack_address(Reg::R2, self.scratch.keys);
        emit.asm.call(Helper::MapDeleteElem);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, ready);
        emit.asm.jump(self.leave);
        Ok(())
    }
}
