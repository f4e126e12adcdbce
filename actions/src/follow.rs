//! Which processes belong to the tree of a target: `-x followfork`.
//!
//! The kernel can restrict a uprobe to one process, or not at all. So the probes of a tree are hit by every
//! process that runs the file, and the first thing that their programs do is to look the process
//! up in a hash map:
//!
//! ```text
//!     followed      process id  ->  root: the target that it descends from
//! ```
//!
//! rdtrace puts the targets there, each as its own root, before they run on. From then on two
//! programs keep the map:
//!
//! * on `sched_process_fork`, in the parent, before the child has executed anything: the child of a
//!   process that is in the map is put there with its parent's root. A new thread is no child; it
//!   has its parent's process id already.
//! * on `sched_process_exit`: a process is taken out when its last thread ends, whichever that
//!   is. Its id cannot be given to another process before that.
//!
//! An exec changes nothing: the process keeps its id, even if a thread other than the first does it. A
//! process that finds the map full is not followed, and counted.

use predicates::asm::{Asm, Code, Label, MapRef};
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::{Counter, own_globals};
use provider::object::{MapKind, MapSpec};

use crate::watcher::{count, finish, look_up, stack_address};

/// Offsets in the running kernel's structs that following processes takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowFields {
    /// Of `tgid` in `task_struct`.
    pub tgid: u32,
    /// Of `signal` in `task_struct`: what the threads of a process share.
    pub signal: u32,
    /// Of `live` in `signal_struct`: how many threads have not begun to end.
    pub live: u32,
}

/// The most processes that are followed at a time.
const MOST: u32 = 1 << 16;

/// The map of followed processes. Keys and values are 32 bits.
pub(crate) fn followed_map() -> MapSpec {
    MapSpec::new("followed", MapKind::Hash, 4, 4, MOST)
}

/// Leaves a firing unless its process belongs to the tree of `root`; notes that there was one.
///
/// ```text
///     found = followed[this process];  if (!found || *found != root) goto leave;
///     if (!globals.FOLLOWED_HIT) globals.FOLLOWED_HIT = 1;    // written once: all CPUs share it
/// ```
pub(crate) fn emit_filter(
    emit: &mut Emit<'_>,
    followed: MapRef,
    root: u32,
    leave: Label,
) -> Emitted<()> {
    let process = emit.buffer(8, dlang::diag::Span::default())?;
    let asm = &mut emit.asm;
    asm.note("only processes that are followed");
    find_current(asm, followed, process);
    asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
    asm.load(Size::Word, Reg::R1, Reg::R0, 0);
    asm.jump_if_imm(Cond::Ne, Reg::R1, root.cast_signed(), leave);
    let noted = asm.label();
    asm.map_value(Reg::R1, emit.storage.globals, own_globals::FOLLOWED_HIT);
    asm.load(Size::Double, Reg::R2, Reg::R1, 0);
    asm.jump_if_imm(Cond::Ne, Reg::R2, 0, noted);
    asm.store_imm(Size::Double, Reg::R1, 0, 1);
    asm.bind(noted);
    emit.stack.give_buffer(process, 8);
    Ok(())
}

/// `r0 = address of the current process's root`, or 0. The process id is put on the stack, at `slot`.
fn find_current(asm: &mut Asm, followed: MapRef, slot: i16) {
    asm.call(Helper::GetCurrentPidTgid);
    asm.alu_imm(Alu::Rsh, Reg::R0, 32);
    asm.store(Size::Word, Reg::FP, slot, Reg::R0);
    look_up(asm, followed, slot);
}

/// What both programs need to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    pub(crate) followed: MapRef,
    pub(crate) counters: MapRef,
    pub(crate) fields: FollowFields,
}

/// Where the two programs have the current process, another process, and what they read.
const CURRENT: i16 = -8;
const CHILD: i16 = -16;
const WORD: i16 = -24;

impl Keeping {
    /// The program on `sched_process_fork(parent, child)`, which runs on the parent.
    ///
    /// ```text
    ///     root = followed[this process];       if (!root) return;
    ///     child = arg1->tgid;                  if (child == this process) return;    // a thread
    ///     if (update(followed, child, *root))  counters.FollowDrops += 1;
    /// ```
    pub(crate) fn fork_program(self) -> Code {
        let mut asm = Asm::default();
        let (lost, leave) = (asm.label(), asm.label());
        asm.mov(Reg::R6, Reg::R1);
        find_current(&mut asm, self.followed, CURRENT);
        asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
        asm.mov(Reg::R7, Reg::R0);
        asm.load(Size::Double, Reg::R3, Reg::R6, 8);
        read_kernel(&mut asm, CHILD, 4, self.fields.tgid);
        asm.jump_if_imm(Cond::Ne, Reg::R0, 0, lost);
        asm.load(Size::Word, Reg::R1, Reg::FP, CHILD);
        asm.load(Size::Word, Reg::R2, Reg::FP, CURRENT);
        asm.jump_if(Cond::Eq, Reg::R1, Reg::R2, leave);
        asm.load(Size::Word, Reg::R1, Reg::R7, 0);
        asm.store(Size::Word, Reg::FP, WORD, Reg::R1);
        asm.map(Reg::R1, self.followed);
        stack_address(&mut asm, Reg::R2, CHILD);
        stack_address(&mut asm, Reg::R3, WORD);
        asm.mov_imm(Reg::R4, 0);
        asm.call(Helper::MapUpdateElem);
        asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
        asm.bind(lost);
        count(&mut asm, self.counters, Counter::FollowDrops, WORD, leave);
        finish(asm, leave)
    }

    /// The program on `sched_process_exit`, which runs on the thread that ends.
    ///
    /// ```text
    ///     if (!followed[this process])            return;
    ///     if (current->signal->live.counter != 0) return;    // other threads go on
    ///     delete(followed, this process);
    /// ```
    ///
    /// The kernel has counted the thread out of `live` by then. Later kernels pass the answer as an
    /// argument of the tracepoint; this holds for all.
    pub(crate) fn exit_program(self) -> Code {
        let mut asm = Asm::default();
        let leave = asm.label();
        find_current(&mut asm, self.followed, CURRENT);
        asm.jump_if_imm(Cond::Eq, Reg::R0, 0, leave);
        asm.call(Helper::GetCurrentTask);
        asm.mov(Reg::R3, Reg::R0);
        read_kernel(&mut asm, WORD, 8, self.fields.signal);
        asm.jump_if_imm(Cond::Ne, Reg::R0, 0, leave);
        asm.load(Size::Double, Reg::R3, Reg::FP, WORD);
        read_kernel(&mut asm, WORD, 4, self.fields.live);
        asm.jump_if_imm(Cond::Ne, Reg::R0, 0, leave);
        asm.load(Size::Word, Reg::R1, Reg::FP, WORD);
        asm.jump_if_imm(Cond::Ne, Reg::R1, 0, leave);
        asm.map(Reg::R1, self.followed);
        stack_address(&mut asm, Reg::R2, CURRENT);
        asm.call(Helper::MapDeleteElem);
        finish(asm, leave)
    }
}

/// Reads `size` bytes of kernel memory at `r3 + offset` to the stack; `r0` is 0 if that went well.
fn read_kernel(asm: &mut Asm, to: i16, size: i64, offset: u32) {
    let offset = i32::try_from(offset).expect("structs of the kernel are small");
    asm.alu_imm(Alu::Add, Reg::R3, offset);
    stack_address(asm, Reg::R1, to);
    asm.mov_imm(Reg::R2, size);
    asm.call(Helper::ProbeReadKernel);
}
