//! Strings that are parts of variables: members of structs, elements of arrays.
//!
//! Each is `strsize` bytes, and what was never assigned is empty. None is the null string: assigning that
//! leaves an empty one.

use dlang::diag::Span;
use dlang::program::Expr;

use crate::emit::{Emit, Emitted};
use crate::insn::{Helper, Reg, Size};
use crate::string::{OnNull, Str};
use crate::target::Part;

impl Emit<'_> {
    /// The string in a part of a variable or element.
    pub(crate) fn read_string_part(&mut self, part: &Expr) -> Emitted<Str> {
        let span = part.span;
        let place = self.open_part(part)?;
        let string = self.push_kernel_string(span, |e| {
            e.readable_part(&place, span)?;
            e.asm.mov(Reg::R3, Reg::R0);
            Ok(())
        });
        self.close_part(place);
        string
    }

    /// `part = string`.
    pub(crate) fn assign_string_part(&mut self, part: &Expr, value: &Expr) -> Emitted<()> {
        let span = part.span;
        let (null, done) = (self.asm.label(), self.asm.label());
        self.scratch(Reg::R1, span)?;
        let place = self.open_part(part)?;
        let before = self.fetched();
        let string = self.string_or(value, OnNull::Goto(null))?;
        // The heap's address first: finding it destroys the argument registers.
        self.heap_at(Reg::R0, &string.start, span)?;
        let source = self.keep(Reg::R0, span)?;
        self.store_string(&place, span, |e| {
            e.load(Reg::R3, &source);
            e.asm.mov_imm(Reg::R2, i64::from(e.storage.strsize));
            e.asm.call(Helper::ProbeReadKernelStr);
        })?;
        self.stack.give(source);
        self.give_string(string);
        if self.may_be_null(value) {
            self.asm.jump(done);
            self.asm.bind(null);
            self.fetched_only(&before);
            self.store_string(&place, span, |e| {
                e.asm.store_imm(Size::Byte, Reg::R1, 0, 0);
            })?;
        }
        self.asm.bind(done);
        self.fetched_only(&before);
        self.close_part(place);
        Ok(())
    }

    fn store_string(
        &mut self,
        place: &Part,
        span: Span,
        mut store: impl FnMut(&mut Self),
    ) -> Emitted<()> {
        self.change_part(place, span, |e| {
            store(e);
            Ok(())
        })
    }
}
