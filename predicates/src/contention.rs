//! `contention(lock, part)`: how the thread has waited for a lock of the kernel, where its waiting ends.
//!
//! Programs on the kernel's tracepoints `contention_begin` and `contention_end` keep it (`actions::contention`), in a
//! hash map by the thread and the lock. An interrupt may wait for a lock while its thread waits for another.

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind};

use crate::asm::{Label, MapRef};
use crate::emit::{Emit, Emitted, Refusal};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;

/// The layout of a key: the address of the thread's `struct task_struct`, which tells the idle threads apart, too,
/// and the lock's.
pub mod key {
    /// The thread.
    pub const TASK: i16 = 0;
    /// The lock.
    pub const LOCK: i16 = 8;
    /// Its size in bytes.
    pub const SIZE: i16 = 16;
}

/// The layout of a value.
pub mod wait {
    /// Since when it waits in the way of [`FLAGS`].
    pub const SINCE: i16 = 0;
    /// The time that it has spun before.
    pub const SPUN: i16 = 8;
    /// The time that it has slept before.
    pub const SLEPT: i16 = 16;
    /// How it waits, as the kernel says it.
    pub const FLAGS: i16 = 24;
    /// Its size in bytes.
    pub const SIZE: i16 = 32;
}

/// How a thread waits: it tries again and again (`LCB_F_SPIN`).
pub const SPINS: i32 = 1;

impl Emit<'_> {
    /// The flags (part 0), the time that it spun (1), or that it slept (2); 0 if its beginning was not seen.
    ///
    /// ```text
    ///     found = contentions[task, lock];            if (!found) 0;
    ///     time = found->spun;                         or slept, or the flags and nothing more
    ///     if (found->flags & SPINS && now > found->since) time += now - found->since;
    /// ```
    pub(crate) fn contention(&mut self, lock: &Expr, part: &Expr, span: Span) -> Emitted<Val> {
        let Some(map) = self.storage.contentions else {
            return Err(Refusal {
                span,
                message: "nothing keeps who waits for locks".into(),
            });
        };
        let (none, done) = (self.asm.label(), self.asm.label());
        self.timestamp(Reg::R0, span)?;
        let now = self.keep(Reg::R0, span)?;
        self.find_contention(map, lock, span)?;
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.load(Size::Double, Reg::R1, Reg::R0, wait::FLAGS);
        if part.kind == ExprKind::Int(1) {
            self.time_of(&now, (wait::SPUN, Cond::Eq), done);
        } else if part.kind == ExprKind::Int(2) {
            self.time_of(&now, (wait::SLEPT, Cond::Ne), done);
        } else {
            self.asm.mov(Reg::R0, Reg::R1);
        }
        self.asm.jump(done);
        self.asm.bind(none);
        self.asm.mov_imm(Reg::R0, 0);
        self.asm.bind(done);
        self.stack.give(now);
        self.keep(Reg::R0, span)
    }

    /// `r0 = address of what is kept of the thread and the lock`, or 0.
    fn find_contention(&mut self, map: MapRef, lock: &Expr, span: Span) -> Emitted<()> {
        let at = self.buffer(key::SIZE, span)?;
        let lock = self.int(lock)?;
        let reg = self.reg(&lock, Reg::R0);
        self.asm.store(Size::Double, Reg::FP, at + key::LOCK, reg);
        self.stack.give(lock);
        self.asm.call(Helper::GetCurrentTask);
        self.asm
            .store(Size::Double, Reg::FP, at + key::TASK, Reg::R0);
        self.asm.map(Reg::R1, map);
        self.stack_address(Reg::R2, at);
        self.asm.call(Helper::MapLookupElem);
        self.stack.give_buffer(at, key::SIZE);
        Ok(())
    }

    /// `r0 = the time at this place of *r0`, with what has passed since if the flags in `r1` do not say that it is
    /// another's.
    fn time_of(&mut self, now: &Val, (place, is_another): (i16, Cond), done: Label) {
        self.load(Reg::R2, now);
        self.asm.load(Size::Double, Reg::R3, Reg::R0, wait::SINCE);
        self.asm.load(Size::Double, Reg::R0, Reg::R0, place);
        self.asm.alu_imm(Alu::And, Reg::R1, SPINS);
        self.asm.jump_if_imm(is_another, Reg::R1, 0, done);
        self.asm.jump_if(Cond::Le, Reg::R2, Reg::R3, done);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
    }
}
