//! Memory that a pointer names: dereferences, and `copyin`.
//!
//! The pointer's type says which memory it points into. Where it does not, the address does: in
//! the lower half of the address space it belongs to the traced program, in the upper half to the
//! kernel. Both are read by helpers that cannot crash; an address that cannot be read is a fault.
//! What `copyin` brought is memory of ours, loaded from directly after a check (`place`).

use dlang::diag::Span;
use dlang::program::Expr;
use dlang::types::{Int, Space};

use crate::emit::{Emit, Emitted, Fault, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
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

    /// `copyin(address, size)`: the address of a copy in the scratch, as a plain number.
    ///
    /// The size must be a constant, since the scratch is laid out when the code is made.
    pub(crate) fn copyin(&mut self, args: &[Expr], span: Span) -> Emitted<Val> {
        let size = match self.constant(&args[1]) {
            Some(dlang::eval::Value::Int(size)) => u32::try_from(size).ok(),
            _ => None,
        };
        let Some(size) = size else {
            let message = "copyin() of a size that is not a constant is not supported yet";
            return Err(Refusal {
                span,
                message: message.into(),
            });
        };
        let at = self.copied;
        self.copied += size.next_multiple_of(8);
        if self.copied > self.storage.copied.1 {
            return Err(Refusal {
                span,
                message: "copyin() needs more scratch space".into(),
            });
        }
        let offset = self.storage.copied.0 + at;
        let temps = self.storage.temps;
        let address = self.int(&args[0])?;
        self.scratch_at(Reg::R1, offset, span)?;
        self.asm.mov_imm(Reg::R2, i64::from(size));
        self.load(Reg::R3, &address);
        self.asm.call(Helper::ProbeReadUser);
        let bad = self.fault(Fault::BadAddress, &address);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
        self.stack.give(address);
        // Through memory, so that the verifier takes it for a number and not for a pointer on
        // which it would forbid arithmetic.
        self.scratch_known(Reg::R1);
        self.asm.mov(Reg::R0, Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R0, imm(offset));
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(temps));
        self.asm.store(Size::Double, Reg::R1, 0, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.keep(Reg::R0, span)
    }
}
