//! Subroutines that give a number without looking into strings: byte order, device numbers,
//! `rand`, `progenyof`.

use dlang::diag::Span;
use dlang::eval::MINOR_BITS;
use dlang::program::{Expr, Subroutine};
use dlang::types::Int;

use crate::emit::{Emit, Emitted, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use crate::stack::Val;

/// The most ancestors that `progenyof` looks at.
const MOST_ANCESTORS: i32 = 128;

impl Emit<'_> {
    /// The lowest `bits` bits of a number with their bytes turned around.
    pub(crate) fn swapped(&mut self, of: &Expr, bits: i32, span: Span) -> Emitted<Val> {
        let val = self.int(of)?;
        self.modify(val, span, |e, reg| {
            e.asm.push(Insn::to_big_endian(reg, bits));
        })
    }

    /// `getmajor` or `getminor` of a device number.
    pub(crate) fn device_part(&mut self, which: Subroutine, of: &Expr, span: Span) -> Emitted<Val> {
        let val = self.int(of)?;
        self.modify(val, span, |e, reg| {
            e.wrap(reg, Int::U32);
            if which == Subroutine::Getmajor {
                e.asm.alu_imm(Alu::Rsh, reg, MINOR_BITS.cast_signed());
            } else {
                e.asm.alu_imm(Alu::And, reg, (1 << MINOR_BITS) - 1);
            }
        })
    }

    /// A pseudo-random number. As in DTrace its 32 bits are never negative, so that `rand() % 10` is not, until
    /// they are stored as the `int` that its type says.
    pub(crate) fn rand(&mut self, span: Span) -> Emitted<Val> {
        self.asm.call(Helper::GetPrandomU32);
        self.wrap(Reg::R0, Int::U32);
        self.keep(Reg::R0, span)
    }

    /// Whether the process is `pid` or has it among its ancestors.
    ///
    /// ```text
    ///     for (task = current, n = 0; n < 128; task = task->real_parent, n++)
    ///         if (task->tgid == pid) found;  else if (task->tgid == 0) not found;
    /// ```
    pub(crate) fn progenyof(&mut self, pid: &Expr, span: Span) -> Emitted<Val> {
        let fields = self.storage.task;
        let (Some(parent), Some(tgid)) = (fields.real_parent, fields.tgid) else {
            let message =
                "progenyof() needs the kernel's type information (BTF), which this one lacks";
            return Err(Refusal {
                span,
                message: message.into(),
            });
        };
        let pid = self.int(pid)?;
        let (task, turn) = (self.take(span)?, self.take(span)?);
        let result = self.take(span)?;
        let read = self.buffer(8, span)?;
        let (again, found, absent, done) = (
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
        );
        self.put_imm(&turn, 0);
        self.asm.call(Helper::GetCurrentTask);
        self.put(&task, Reg::R0);
        self.asm.bind(again);
        self.read_task(&task, tgid, 4, read);
        self.asm.load(Size::Word, Reg::R0, Reg::FP, read);
        self.load(Reg::R1, &pid);
        self.wrap(Reg::R1, Int::U32);
        self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, found);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, absent);
        self.read_task(&task, parent, 8, read);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, read);
        self.put(&task, Reg::R0);
        self.load(Reg::R0, &turn);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.put(&turn, Reg::R0);
        self.asm
            .jump_if_imm(Cond::Lt, Reg::R0, MOST_ANCESTORS, again);
        self.asm.bind(absent);
        self.put_imm(&result, 0);
        self.asm.jump(done);
        self.asm.bind(found);
        self.put_imm(&result, 1);
        self.asm.bind(done);
        self.make_value_unknown(&result, span)?;
        self.stack.give_buffer(read, 8);
        for val in [pid, task, turn] {
            self.stack.give(val);
        }
        Ok(result)
    }

    /// Reads a member of a task to the stack; what cannot be read is 0.
    fn read_task(&mut self, task: &Val, offset: u32, size: i64, to: i16) {
        self.asm.store_imm(Size::Double, Reg::FP, to, 0);
        self.stack_address(Reg::R1, to);
        self.asm.mov_imm(Reg::R2, size);
        self.load(Reg::R3, task);
        self.asm.alu_imm(Alu::Add, Reg::R3, imm(offset));
        self.asm.call(Helper::ProbeReadKernel);
    }
}
