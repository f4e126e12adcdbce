//! Who waits for locks of the kernel, since when and how: what `contention()` reads
//! ([`predicates::contention`]).
//!
//! Programs of ours on two tracepoints keep it while a program has probes that need it:
//!
//! ```text
//!     contention_begin(mutex, SPIN)     the thread tries again and again
//!     contention_begin(mutex, 0)        it has given that up and sleeps
//!     contention_begin(mutex, SPIN)     it is the next to have the mutex
//!     contention_end(mutex, 0)          it has it
//! ```
//!
//! The second is attached behind all clauses, which read what it deletes. Of a thread that waited when tracing began
//! nothing is known, so that its probes do not fire.

use dlang::program::{ExprKind, Program, Subroutine};
use dlang::walk::program_has;
use predicates::asm::{Asm, Code, MapRef};
use predicates::contention::{SPINS, key, wait};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::object::{MapKind, MapSpec};

use crate::watcher::{count, finish, look_up, stack_address};

/// The most waits at a time. Only as many threads wait as there are, and most of them do not.
const MOST: u32 = 1 << 14;

/// The way of waiting that may change while it goes on (`LCB_F_MUTEX`).
const MUTEX: i32 = 32;

/// Where the first program has the key and a value.
const KEY: i16 = -key::SIZE;
const VALUE: i16 = KEY - wait::SIZE;

/// Whether any clause of a program asks how a thread has waited.
pub(crate) fn is_needed(program: &Program) -> bool {
    program_has(program, &|expr| {
        matches!(expr.kind, ExprKind::Call(Subroutine::Contention, _))
    })
}

/// The map. It has its memory from the start: threads wait where interrupts are off.
pub(crate) fn contentions_map() -> MapSpec {
    let [key, value] = [key::SIZE, wait::SIZE].map(|size| u32::from(size.unsigned_abs()));
    MapSpec::new("contentions", MapKind::FixedHash, key, value, MOST)
}

/// The program on `contention_begin(lock, flags)`.
///
/// ```text
///     found = contentions[task, lock];
///     if (found && flags & MUTEX && flags != found->flags) {
///         found->(it spun ? spun : slept) += now - found->since;
///         found->since = now;  found->flags = flags;
///     } else if (update(contentions, [task, lock], { now, 0, 0, flags })) {
///         counters.DynamicDrops += 1;
///     }
/// ```
pub(crate) fn begin_program(contentions: MapRef, counters: MapRef) -> Code {
    let mut asm = Asm::default();
    let [new, spun, set, leave] = [(); 4].map(|()| asm.label());
    asm.load(Size::Word, Reg::R7, Reg::R1, 8);
    put_key(&mut asm);
    asm.call(Helper::KtimeGetNs);
    asm.mov(Reg::R8, Reg::R0);
    look_up(&mut asm, contentions, KEY);
    asm.jump_if_imm(Cond::Eq, Reg::R0, 0, new);
    asm.mov(Reg::R1, Reg::R7);
    asm.alu_imm(Alu::And, Reg::R1, MUTEX);
    asm.jump_if_imm(Cond::Eq, Reg::R1, 0, new);
    asm.load(Size::Double, Reg::R1, Reg::R0, wait::FLAGS);
    asm.jump_if(Cond::Eq, Reg::R1, Reg::R7, new);
    asm.load(Size::Double, Reg::R2, Reg::R0, wait::SINCE);
    asm.mov(Reg::R3, Reg::R8);
    asm.alu(Alu::Sub, Reg::R3, Reg::R2);
    asm.alu_imm(Alu::And, Reg::R1, SPINS);
    asm.jump_if_imm(Cond::Ne, Reg::R1, 0, spun);
    add(&mut asm, wait::SLEPT);
    asm.jump(set);
    asm.bind(spun);
    add(&mut asm, wait::SPUN);
    asm.bind(set);
    asm.store(Size::Double, Reg::R0, wait::SINCE, Reg::R8);
    asm.store(Size::Double, Reg::R0, wait::FLAGS, Reg::R7);
    asm.jump(leave);
    asm.bind(new);
    asm.store(Size::Double, Reg::FP, VALUE + wait::SINCE, Reg::R8);
    asm.store_imm(Size::Double, Reg::FP, VALUE + wait::SPUN, 0);
    asm.store_imm(Size::Double, Reg::FP, VALUE + wait::SLEPT, 0);
    asm.store(Size::Double, Reg::FP, VALUE + wait::FLAGS, Reg::R7);
    asm.map(Reg::R1, contentions);
    stack_address(&mut asm, Reg::R2, KEY);
    stack_address(&mut asm, Reg::R3, VALUE);
    asm.mov_imm(Reg::R4, 0);
    asm.call(Helper::MapUpdateElem);
    asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
    count(&mut asm, counters, Counter::DynamicDrops, KEY, leave);
    finish(asm, leave)
}

/// The program on `contention_end(lock, result)`.
///
/// ```text
///     delete(contentions, [task, lock]);
/// ```
pub(crate) fn end_program(contentions: MapRef) -> Code {
    let mut asm = Asm::default();
    let leave = asm.label();
    put_key(&mut asm);
    asm.map(Reg::R1, contentions);
    stack_address(&mut asm, Reg::R2, KEY);
    asm.call(Helper::MapDeleteElem);
    finish(asm, leave)
}

/// Puts the key on the stack: the context is in `r1`.
fn put_key(asm: &mut Asm) {
    asm.load(Size::Double, Reg::R1, Reg::R1, 0);
    asm.store(Size::Double, Reg::FP, KEY + key::LOCK, Reg::R1);
    asm.call(Helper::GetCurrentTask);
    asm.store(Size::Double, Reg::FP, KEY + key::TASK, Reg::R0);
}

/// `*(r0 + place) += r3`.
fn add(asm: &mut Asm, place: i16) {
    asm.load(Size::Double, Reg::R4, Reg::R0, place);
    asm.alu(Alu::Add, Reg::R4, Reg::R3);
    asm.store(Size::Double, Reg::R0, place, Reg::R4);
}
