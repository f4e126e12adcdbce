//! Memory that a clause asks for: `alloca`, `copyin`, `copyinto` and `bcopy`.
//!
//! `-x scratchsize` bytes of the scratch are given out from their start on, in pieces of 8 bytes.
//! How many are in use is a number in a stack slot: a clause that asks for memory starts with
//! none, as in DTrace, so what one clause was given is nothing that the next may store to.
//!
//! Sizes may be known at run time only. A size above `scratchsize` and memory beyond it are faults.
//! To the verifier a size and a place are each at most `scratchsize`, and it adds up the two: hence
//! as many bytes again must follow (`Storage::least_state`), which nothing ever touches.

use dlang::diag::Span;
use dlang::program::{Expr, Subroutine};
use dlang::types::{Space, Type};

use crate::emit::{Emit, Emitted, Fault, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;

impl Emit<'_> {
    /// Starts a clause that asks for memory: it has been given none. Destroys `r0`.
    pub fn free_allocated(&mut self, span: Span) -> Emitted<()> {
        let slot = self.allocated(span)?;
        self.load_zero(Reg::R0, span)?;
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        Ok(())
    }

    /// The slot with the number of bytes in use.
    fn allocated(&mut self, span: Span) -> Emitted<i16> {
        if let Some(slot) = self.allocated {
            return Ok(slot);
        }
        let slot = self.lasting(span)?;
        Ok(*self.allocated.insert(slot))
    }

    /// Takes `size` bytes, rounded up; gives their distance from the start of the memory. The
    /// scratch has been fetched.
    ///
    /// ```text
    ///     r2 = (size + 7) & -8;  if (r2 > room) fault;
    ///     r1 = allocated;  r2 += r1;  if (r2 > room) fault;
    ///     allocated = r2;
    /// ```
    fn allocate(&mut self, size: &Val, span: Span) -> Emitted<Val> {
        let slot = self.allocated(span)?;
        let room = imm(self.storage.copied.1);
        let full = self.fault(Fault::NoScratch, &Val::Const(0));
        self.load(Reg::R2, size);
        self.asm.alu_imm(Alu::Add, Reg::R2, 7);
        self.asm.alu_imm(Alu::And, Reg::R2, -8);
        self.asm.jump_if_imm(Cond::Gt, Reg::R2, room, full);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slot);
        self.unlink(Reg::R1);
        self.bound(Reg::R1, self.storage.copied.1 + 1);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R1);
        self.asm.jump_if_imm(Cond::Gt, Reg::R2, room, full);
        self.make_unknown(Reg::R2, Reg::R0, span)?;
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R2);
        self.keep(Reg::R1, span)
    }

    /// `dst = address of the memory + distance`. The scratch has been fetched. Destroys `r5`.
    fn allocated_at(&mut self, dst: Reg, distance: &Val) {
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.copied.0));
        let distance = self.reg(distance, Reg::R5);
        self.asm.alu(Alu::Add, dst, distance);
    }

    /// The address of what [`Self::allocate`] gave, as a plain number: on a pointer the verifier
    /// would forbid arithmetic.
    fn allocated_number(&mut self, distance: Val, span: Span) -> Emitted<Val> {
        self.allocated_at(Reg::R0, &distance);
        self.stack.give(distance);
        self.through_memory(Reg::R0, Reg::R1);
        self.keep(Reg::R0, span)
    }

    /// `alloca(size)`.
    pub(crate) fn alloca(&mut self, args: &[Expr], span: Span) -> Emitted<Val> {
        let size = self.int(&args[0])?;
        self.scratch(Reg::R1, span)?;
        let distance = self.allocate(&size, span)?;
        self.stack.give(size);
        self.allocated_number(distance, span)
    }

    /// `copyin(address, size)`: the address of a copy.
    pub(crate) fn copyin(&mut self, args: &[Expr], span: Span) -> Emitted<Val> {
        let address = self.int(&args[0])?;
        let size = self.int(&args[1])?;
        self.scratch(Reg::R1, span)?;
        self.check_size(&size);
        let distance = self.allocate(&size, span)?;
        self.allocated_at(Reg::R1, &distance);
        self.read_to_r1(&address, &size, |e| e.asm.call(Helper::ProbeReadUser));
        self.stack.give(size);
        self.stack.give(address);
        self.allocated_number(distance, span)
    }

    /// `copyinto(address, size, to)`.
    pub(crate) fn copyinto(&mut self, args: &[Expr], span: Span) -> Emitted<()> {
        let address = self.int(&args[0])?;
        let size = self.int(&args[1])?;
        let to = self.int(&args[2])?;
        self.check_size(&size);
        self.writable(&to, &size, span)?;
        self.read_to_r1(&address, &size, |e| e.asm.call(Helper::ProbeReadUser));
        for val in [to, size, address] {
            self.stack.give(val);
        }
        Ok(())
    }

    /// `bcopy(from, to, size)`; what is copied may be a string.
    pub(crate) fn bcopy(&mut self, args: &[Expr], span: Span) -> Emitted<()> {
        let from = if args[0].ty == Type::String {
            let string = self.string(&args[0])?;
            self.stack.give(string.len);
            self.heap_address_known(Reg::R0, &string.start);
            self.stack.give(string.start);
            self.through_memory(Reg::R0, Reg::R1);
            self.keep(Reg::R0, span)?
        } else {
            self.int(&args[0])?
        };
        let space = if args[0].ty == Type::String {
            Space::Scratch
        } else {
            args[0].ty.space()
        };
        let to = self.int(&args[1])?;
        let size = self.int(&args[2])?;
        self.check_size(&size);
        self.writable(&to, &size, span)?;
        self.read_to_r1(&from, &size, |e| {
            e.read_memory(space, Helper::ProbeReadUser, Helper::ProbeReadKernel);
        });
        for val in [size, to, from] {
            self.stack.give(val);
        }
        Ok(())
    }

    /// A size above all that a clause can have is a fault.
    fn check_size(&mut self, size: &Val) {
        let bad = self.fault(Fault::BadSize, size);
        let room = imm(self.storage.copied.1);
        let reg = self.reg(size, Reg::R2);
        self.asm.jump_if_imm(Cond::Gt, reg, room, bad);
    }

    /// Copies `size` bytes, which have been checked, from `from` to `r1`.
    fn read_to_r1(&mut self, from: &Val, size: &Val, read: impl FnOnce(&mut Self)) {
        self.load(Reg::R2, size);
        self.bound(Reg::R2, self.storage.copied.1 + 1);
        self.load(Reg::R3, from);
        read(self);
        let bad = self.fault(Fault::BadAddress, from);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
    }

    /// `r1 = the address in to`, of `size` bytes that may be stored to: a constant size anywhere in
    /// memory of ours, any other in what the clause was given.
    fn writable(&mut self, to: &Val, size: &Val, span: Span) -> Emitted<()> {
        if let Val::Const(size) = *size {
            // One above `scratchsize` has been found to be a fault.
            let most = self.storage.copied.1;
            let size = u32::try_from(size).map_or(most, |size| size.min(most));
            return self.own_memory(to, size, span);
        }
        let outside = self.fault(Fault::BadAddress, to);
        self.scratch(Reg::R1, span)?;
        self.in_allocated(to, size, outside, span)
    }

    /// `r1 = the address in address`, of `size` bytes of what the clause was given; goes to
    /// `elsewhere` if it does not lead there. The scratch has been fetched. Destroys `r2` to `r4`.
    ///
    /// ```text
    ///     r1 = start;  r3 = address - start;  r4 = allocated;
    ///     if (r3 >= r4) elsewhere;
    ///     if (size > r4 - r3) fault;
    ///     r1 += r3;
    /// ```
    pub(crate) fn in_allocated(
        &mut self,
        address: &Val,
        size: &Val,
        elsewhere: crate::asm::Label,
        span: Span,
    ) -> Emitted<()> {
        let slot = self.allocated(span)?;
        let short = self.fault(Fault::BadSize, size);
        self.allocated_at(Reg::R1, &Val::Const(0));
        self.asm.mov(Reg::R2, Reg::R1);
        self.through_memory(Reg::R2, Reg::R4);
        self.load(Reg::R3, address);
        self.asm.alu(Alu::Sub, Reg::R3, Reg::R2);
        self.asm.load(Size::Double, Reg::R4, Reg::FP, slot);
        self.unlink(Reg::R4);
        self.asm.jump_if(Cond::Ge, Reg::R3, Reg::R4, elsewhere);
        self.asm.alu(Alu::Sub, Reg::R4, Reg::R3);
        let size = self.reg(size, Reg::R2);
        self.asm.jump_if(Cond::Gt, size, Reg::R4, short);
        self.bound(Reg::R3, self.storage.copied.1 + 1);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R3);
        Ok(())
    }
}

/// Whether an expression asks for memory.
#[must_use]
pub fn allocates(expr: &Expr) -> bool {
    use dlang::program::ExprKind::Call;
    matches!(expr.kind, Call(Subroutine::Alloca | Subroutine::Copyin, _))
        || expr.operands().into_iter().any(allocates)
}
