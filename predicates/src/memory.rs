//! Memory that a pointer names: dereferences.
//!
//! The pointer's type says which memory it points into. Where it does not, the address does: in
//! the lower half of the address space it belongs to the traced program, in the upper half to the
//! kernel. Both are read by helpers that cannot crash; an address that cannot be read is a fault.
//! Memory of ours is loaded from directly, after a check (`place`).

use dlang::diag::Span;
use dlang::program::Expr;
use dlang::types::{Int, Space};

use crate::emit::{Emit, Emitted, Fault};
use crate::insn::{Cond, Helper, Reg};
use crate::stack::Val;

impl Emit<'_> {
    /// The integer at an address.
    pub(crate) fn deref(&mut self, address: &Expr, int: Int, span: Span) -> Emitted<Val> {
        let space = address.ty.space();
        let address = self.int(address)?;
        if space == Space::Scratch {
            self.own_memory(&address, int.size.into(), span)?;
            self.load_int(Reg::R0, Reg::R1, 0, int);
            self.stack.give(address);
            return self.keep(Reg::R0, span);
        }
        let slot = self.buffer(8, span)?;
        self.stack_address(Reg::R1, slot);
        self.asm.mov_imm(Reg::R2, i64::from(int.size));
        self.load(Reg::R3, &address);
        self.read_memory(space, Helper::ProbeReadUser, Helper::ProbeReadKernel);
        let bad = self.fault(Fault::BadAddress, &address);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
        self.load_int(Reg::R0, Reg::FP, slot, int);
        self.stack.give_buffer(slot, 8);
        self.stack.give(address);
        self.keep(Reg::R0, span)
    }
}
