//! The clock behind `vtimestamp`: how long each thread has been on a CPU.
//!
//! The kernel's own account is brought up to date only at its ticks, too coarse for functions. So
//! while a program uses `vtimestamp`, a program of ours on `sched_switch` notes when a CPU changes
//! threads and adds to the thread that leaves what it has run. Only threads that have a state
//! already are charged: those on which a probe has fired.

use predicates::asm::{Asm, Code};
use predicates::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use predicates::storage::{Storage, own_state};

use crate::watcher::{finish, look_up};

/// The program on `sched_switch`, which runs on the thread that leaves its CPU.
///
/// ```text
///     now = ktime; last = &switches[this CPU]; ran = now - *last; *last = now;
///     if (it was 0 || !(state = thread's state)) return;
///     state.on_cpu += ran;
/// ```
pub(crate) fn switch_program(storage: &Storage) -> Code {
    let mut asm = Asm::default();
    let leave = asm.label();
    asm.call(Helper::KtimeGetNs);
    asm.mov(Reg::R6, Reg::R0);
    asm.store_imm(Size::Double, Reg::FP, -8, 0);
    look_up(&mut asm, storage.switches, -8);
    asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
    asm.load(Size::Double, Reg::R7, Reg::R0, 0);
    asm.store(Size::Double, Reg::R0, 0, Reg::R6);
    asm.jump_if_imm(Cond::Eq, Reg::R7, 0, leave);
    asm.alu(Alu::Sub, Reg::R6, Reg::R7);
    asm.call(Helper::GetCurrentTaskBtf);
    asm.map(Reg::R1, storage.thread);
    asm.mov(Reg::R2, Reg::R0);
    asm.mov_imm(Reg::R3, 0);
    asm.mov_imm(Reg::R4, 0);
    asm.call(Helper::TaskStorageGet);
    asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
    asm.push(Insn::atomic_add(
        Size::Double,
        Reg::R0,
        own_state::ON_CPU,
        Reg::R6,
        false,
    ));
    finish(asm, leave)
}
