//! Instructions that are known to start functions, so that their arguments need not be read at each hit.
//!
//! From 3.15 on, a `RESUME` starts a function or only prepares a generator expression; its argument tells.
//! Reading that is a third of what a hit costs. But an instruction keeps its argument as long as its code
//! lives, and new code, which may come to the same place, is executed in a form that is not specialised
//! first. So a hit at a site for those forms reads the argument and keeps what it found, and a hit at a
//! site that only specialised instructions come to looks for it here first.
//!
//! It is a table in an array map, which takes no helper call: an instruction's address tells its place,
//! and a word there holds the address and a number for the process. Threads and processes that write the
//! same place overwrite each other's words whole; what is not found is read. A late write cannot bring
//! back what is no longer so: the thread that writes is about to execute the instruction, which keeps
//! its code alive.
//!
//! The number is the program's, so this is only for programs for one process. A program that the process
//! becomes by `exec` has only new code.

use predicates::emit::Emit;
use predicates::insn::{Alu, Reg, Size};
use provider::python::Condition;

use super::dispatch::{Dispatch, PythonSite};
use super::maps::STARTS;

/// Bits of a word for the number of the process. What is left is enough for any address below the
/// kernel's, unless a program asks for more than 47 bits of address.
const PROCESS_BITS: i32 = 16;
/// Code objects are aligned to this many bits.
const ALIGNED: i32 = 4;

impl Dispatch<'_> {
    /// Whether what is read of the instruction at a hit is kept: the number of the process, then.
    pub(super) fn keeps_start(&self, site: PythonSite<'_>) -> Option<u16> {
        let reads = matches!(site.site.condition, Some(Condition::ArgumentIsNot(_)));
        self.process.filter(|_| reads && !self.pairs)
    }

    /// `r1 = word`, `r2 = its place`, for the instruction at `r8`.
    pub(super) fn find_start(&self, emit: &mut Emit<'_>, process: u16) {
        emit.asm.map_value(Reg::R2, self.maps.starts, 0);
        emit.asm.mov(Reg::R1, Reg::R8);
        emit.asm.alu_imm(Alu::Rsh, Reg::R1, ALIGNED);
        emit.asm
            .alu_imm(Alu::And, Reg::R1, STARTS.cast_signed() - 1);
        emit.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        emit.asm.alu(Alu::Add, Reg::R2, Reg::R1);
        emit.asm.mov(Reg::R1, Reg::R8);
        emit.asm.alu_imm(Alu::Lsh, Reg::R1, PROCESS_BITS);
        emit.asm.alu_imm(Alu::Or, Reg::R1, i32::from(process));
    }

    /// Keeps that the instruction at `r8` starts a function.
    pub(super) fn keep_start(&self, emit: &mut Emit<'_>, process: u16) {
        self.find_start(emit, process);
        emit.asm.store(Size::Double, Reg::R2, 0, Reg::R1);
    }

    /// Forgets what is kept in the place of the instruction at `r8`.
    pub(super) fn forget_start(&self, emit: &mut Emit<'_>, process: u16) {
        self.find_start(emit, process);
        emit.asm.store_imm(Size::Double, Reg::R2, 0, 0);
    }
}
