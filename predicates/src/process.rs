//! What the kernel knows of the process that fires: its registers and its arguments.

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind};

use crate::emit::{Emit, Emitted, Refusal};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;
use crate::string::Str;

/// Where the kernel keeps the code segment among a thread's registers (`struct pt_regs`), on x86-64: it tells a program
/// from the kernel.
pub(crate) const CS: i16 = 17 * 8;
/// The bits of it that are both set in a program.
pub(crate) const USER_MODE: i32 = 3;

impl Emit<'_> {
    /// `uregs[n]`: on x86-64 the numbers of `regs.d` count the words of `struct pt_regs`. A thread of the kernel has
    /// no program: all are 0.
    ///
    /// ```text
    ///     regs = bpf_task_pt_regs(current);
    ///     r0 = (regs->cs & 3) == 3 ? regs[n] : 0;
    /// ```
    pub(crate) fn user_register(&mut self, args: &[Expr], span: Span) -> Emitted<Val> {
        let number = match args.first().map(|number| &number.kind) {
            Some(ExprKind::Int(number)) if cfg!(target_arch = "x86_64") => {
                i16::try_from(*number).ok()
            }
            _other => None,
        };
        let Some(number) = number else {
            return Err(Refusal {
                span,
                message: "uregs[] is not supported on this kind of machine".into(),
            });
        };
        let (none, done) = (self.asm.label(), self.asm.label());
        self.asm.call(Helper::GetCurrentTaskBtf);
        self.asm.mov(Reg::R1, Reg::R0);
        self.asm.call(Helper::TaskPtRegs);
        self.asm.load(Size::Half, Reg::R1, Reg::R0, CS);
        self.asm.alu_imm(Alu::And, Reg::R1, USER_MODE);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, USER_MODE, none);
        self.asm.load(Size::Double, Reg::R0, Reg::R0, 8 * number);
        self.asm.jump(done);
        self.asm.bind(none);
        self.load_zero(Reg::R0, span)?;
        self.asm.bind(done);
        self.keep(Reg::R0, span)
    }

    /// `execargs`: the words between two addresses, each with its NUL, as one string.
    ///
    /// ```text
    ///     n = min(end - start, strsize);
    ///     if (n == 0 || read(heap, n, start) != 0) n = 1;
    ///     heap[n - 1] = 0;  and blanks in the place of the other NULs
    /// ```
    pub(crate) fn execargs(&mut self, args: &[Expr], span: Span) -> Emitted<Str> {
        let [from, to] = args else {
            return Err(Refusal {
                span,
                message: "execargs needs two addresses".into(),
            });
        };
        let strsize = self.storage.strsize;
        let (from, to) = (self.int(from)?, self.int(to)?);
        self.scratch(Reg::R1, span)?;
        let size = self.take(span)?;
        let (fits, some, read) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.load(Reg::R2, &to);
        self.load(Reg::R3, &from);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R3);
        self.asm
            .jump_if_imm(Cond::Le, Reg::R2, strsize.cast_signed(), fits);
        self.asm.mov_imm(Reg::R2, i64::from(strsize));
        self.asm.bind(fits);
        self.asm.jump_if_imm(Cond::Ge, Reg::R2, 1, some);
        self.asm.mov_imm(Reg::R2, 1);
        self.asm.bind(some);
        self.make_bounded(Reg::R2, Reg::R1, strsize + 1);
        self.put(&size, Reg::R2);
        let start = self.heap_end(Reg::R1, span)?;
        self.load(Reg::R2, &size);
        self.load(Reg::R3, &from);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, read);
        self.put_imm(&size, 1);
        self.asm.bind(read);
        let reg = self.reg(&size, Reg::R0);
        self.asm.mov(Reg::R0, reg);
        self.make_bounded(Reg::R0, Reg::R1, strsize + 1);
        self.heap_reaches(strsize + 8);
        self.heap_address_known(Reg::R1, &start);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.store_imm(Size::Byte, Reg::R1, -1, 0);
        let string = self.pushed(start, &Val::Const(0), span)?;
        for val in [size, from, to] {
            self.stack.give(val);
        }
        self.change_letters(&string, |letter| if letter == 0 { b' ' } else { letter });
        Ok(string)
    }
}
