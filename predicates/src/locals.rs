//! `this->` variables in the scratch: empty at the start of each firing.
//!
//! A scalar `this->` variable has a stack slot, which the prologue zeroes. Strings, and scalars
//! beyond the first few, are in the scratch, which keeps its bytes from one firing of a thread to
//! the next. What a program uses of them is cleared where a firing first finds its scratch; a
//! firing that never needs the scratch pays nothing.

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, Program};
use dlang::types::Type;

use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Helper, Reg, Size};
use crate::storage::Place;

/// The most words that are cleared by one store each; more take one helper call.
const MOST_STORES: u32 = 16;

impl Emit<'_> {
    /// Says which expressions the program that is made consists of, before any code is made.
    pub fn clear_locals<'e>(&mut self, program: &Program, exprs: impl Iterator<Item = &'e Expr>) {
        for expr in exprs {
            if let ExprKind::Var(var) = expr.kind
                && let Place::Scratch(offset) = self.storage.places[var.0 as usize]
            {
                let ty = &program.variables[var.0 as usize].ty;
                let size = if *ty == Type::String {
                    8 // its NUL makes a string empty
                } else {
                    ty.size(self.storage.strsize).next_multiple_of(8)
                };
                self.cleared.insert((offset, size));
            }
            self.clear_locals(program, expr.operands().into_iter());
        }
    }

    /// Clears those variables in the scratch at `r0`, which stays. Destroys `r1` to `r5`.
    pub(crate) fn clear_scratch(&mut self, span: Span) -> Emitted<()> {
        for (offset, size) in self.cleared.clone() {
            if size / 8 <= MOST_STORES {
                self.asm.mov(Reg::R1, Reg::R0);
                self.asm.alu_imm(Alu::Add, Reg::R1, imm(offset));
                for word in (0..).step_by(8).take((size / 8) as usize) {
                    self.asm.store_imm(Size::Double, Reg::R1, word, 0);
                }
                continue;
            }
            let zeros = self.rodata.put(vec![0; size as usize]);
            let rodata = self.storage.rodata;
            let scratch = self.keep(Reg::R0, span)?;
            self.asm.mov(Reg::R1, Reg::R0);
            self.asm.alu_imm(Alu::Add, Reg::R1, imm(offset));
            self.asm.mov_imm(Reg::R2, i64::from(size));
            self.asm.map_value(Reg::R3, rodata, zeros);
            self.asm.call(Helper::ProbeReadKernel);
            self.load(Reg::R0, &scratch);
            self.stack.give(scratch);
        }
        Ok(())
    }
}
