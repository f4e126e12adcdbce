//! Speculations: numbers for records that show only if the program says so later.
//!
//! There are as many at a time as `nspec` says. Each has a word in the globals, its *state*, an odd
//! number while it is active:
//!
//! ```text
//!     speculation()               even -> even + 1        by compare and exchange
//!     commit(id), discard(id)     odd  -> odd + 1
//! ```
//!
//! A record of a speculation carries its number and its state. So the consumer, which sees commits
//! and records in the order of the ring buffer, can tell the records of one speculation from those
//! of the next with the same number, and a number is free again at once.

use dlang::diag::Span;
use dlang::program::Expr;

use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fault};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::stack::Val;
use crate::storage::Counter;

impl Emit<'_> {
    /// `speculation()`: the number of one that is not active, which it is then; 0 if all are.
    pub(crate) fn speculation(&mut self, span: Span) -> Emitted<Val> {
        let (start, count) = self.storage.speculations;
        let [again, next, found] = [(); 3].map(|()| self.asm.label());
        let number = Reg::R5;
        self.asm.map_value(Reg::R1, self.storage.globals, start);
        self.asm.mov_imm(number, 1);
        self.asm.bind(again);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.asm.mov(Reg::R2, Reg::R0);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::And, Reg::R3, 1);
        self.asm.jump_if_imm(Cond::Ne, Reg::R3, 0, next);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, 1);
        self.asm.push(Insn::compare_exchange(Reg::R1, 0, Reg::R3));
        self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R2, found);
        self.asm.bind(next);
        self.asm.alu_imm(Alu::Add, Reg::R1, 8);
        self.asm.alu_imm(Alu::Add, number, 1);
        let last = count.cast_signed();
        self.asm.jump_if_imm(Cond::Le, number, last, again);
        self.count(Counter::FailedSpeculations, span)?;
        self.asm.mov_imm(number, 0);
        self.asm.bind(found);
        self.keep(number, span)
    }

    /// Number and state of the active speculation `id`; jumps to `none` if there is none.
    pub fn speculate(&mut self, id: &Expr, none: Label) -> Emitted<(Val, Val)> {
        let number = self.int(id)?;
        self.active(&number, none);
        let state = self.keep(Reg::R0, id.span)?;
        Ok((number, state))
    }

    /// The same, and it is no longer active. A number that none can have is a fault.
    pub fn end_speculation(&mut self, id: &Expr, none: Label) -> Emitted<(Val, Val)> {
        let number = self.int(id)?;
        let impossible = self.fault(Fault::IllegalOperation, &Val::Const(0));
        let (_, count) = self.storage.speculations;
        self.load(Reg::R2, &number);
        self.asm
            .jump_if_imm(Cond::Gt, Reg::R2, count.cast_signed(), impossible);
        self.active(&number, none);
        self.asm.mov(Reg::R2, Reg::R0);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, 1);
        self.asm.push(Insn::compare_exchange(Reg::R1, 0, Reg::R3));
        // Another CPU has been faster.
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R2, none);
        let state = self.keep(Reg::R2, id.span)?;
        Ok((number, state))
    }

    /// `r1 =` the place of a speculation's state, `r0 =` its state, which is active.
    fn active(&mut self, number: &Val, none: Label) {
        let (start, count) = self.storage.speculations;
        self.load(Reg::R2, number);
        self.asm.alu_imm(Alu::Sub, Reg::R2, 1);
        let count = count.cast_signed();
        self.asm.jump_if_imm(Cond::Ge, Reg::R2, count, none);
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 3);
        self.asm.map_value(Reg::R1, self.storage.globals, start);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::And, Reg::R3, 1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, none);
    }
}
