//! The frames that were active before the first hit in a thread.
//!
//! Probes may be attached to a process in the middle of its functions, and a forked child goes on in
//! functions whose entries were seen in its parent only. Their returns should count. So at the first
//! hit in each thread the chain of its frames is followed, from the one that was hit to the
//! outermost, and all of them are added to the active ones. This is the right time: the thread stands
//! still, and has passed no other probe since they were attached.
//!
//! Which threads have been hit before is known from a task storage map, whose entry the kernel removes
//! with the thread. A table in front of it, indexed by thread id, makes this a comparison for every
//! later hit.
//!
//! Not every frame of the chain is a function's: the interpreter puts frames of its own between
//! C and Python, before the `__init__` of a class, and where a function has not started yet. These
//! have an owner of another kind, code without a name, or an instruction outside of their code.
//!
//! Not added: the frames of greenlets that were suspended at the first hit, since they are on other
//! stacks; those of suspended generators, which are not active, so that it is an entry when they go on.
//! On a kernel without such loops no chain can be followed.

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::python::offsets::{ByteCode, FrameChain};
use provider::python::{Build, Event, Site};

use super::dispatch::{Dispatch, Earlier, starts};
use super::maps::{PythonMaps, THREADS};
use super::read::{add, read, signed};
use crate::trampoline::choose::choose;

/// How many frames are followed: a chain may be a trap, made to keep us busy.
const DEEPEST: i32 = 1 << 17;

/// `BPF_LOCAL_STORAGE_GET_F_CREATE`.
const CREATE: i64 = 1;

/// Owners of frames (`enum _frameowner`): a thread, a generator; higher ones are no functions'.
const GENERATOR: i32 = 1;

impl Earlier {
    pub(super) fn new(emit: &mut Emit<'_>, build: &Build, maps: PythonMaps) -> Option<Self> {
        let chain = build.offsets.frame.chain.filter(|_| maps.open_loops)?;
        let meets = (0..)
            .zip(&build.sites)
            .filter(|(_, site)| meets_thread(site));
        Some(Self {
            chain,
            from_frame: emit.asm.label(),
            from_caller: emit.asm.label(),
            resume: meets.map(|(n, _)| (n, emit.asm.label())).collect(),
        })
    }
}

/// Whether a thread can be met at a site: where an exception is thrown into a generator, its frame
/// has no caller yet.
fn meets_thread(site: &Site) -> bool {
    !matches!(site.event, Event::Throw | Event::Compiled)
}

impl Dispatch<'_> {
    /// Goes to follow the frames of the thread in `r7` if it has not been met; `r6` and `r9` are
    /// afterwards what they were.
    pub(super) fn look_for_earlier_frames(&self, emit: &mut Emit<'_>, site: &Site) {
        let Some(earlier) = &self.earlier else {
            return;
        };
        let number = (0..)
            .zip(&self.build.sites)
            .find_map(|(number, other)| (other == site).then_some(number));
        let Some(&(number, resume)) = earlier.resume.iter().find(|(n, _)| Some(*n) == number)
        else {
            return;
        };
        self.find_thread(emit);
        emit.asm.load(Size::Double, Reg::R1, Reg::R1, 0);
        emit.asm.jump_if(Cond::Eq, Reg::R1, Reg::R7, resume);
        emit.asm.mov_imm(Reg::R8, i64::from(number));
        emit.asm.jump(if starts(site.event) {
            earlier.from_caller
        } else {
            earlier.from_frame
        });
        emit.asm.bind(resume);
    }

    /// `r1 = address of the table's word for the thread` in `r7`.
    fn find_thread(&self, emit: &mut Emit<'_>) {
        let last_bits = (THREADS - 1).cast_signed();
        emit.asm.mov(Reg::R2, Reg::R7);
        emit.asm.alu_imm(Alu::And, Reg::R2, last_bits);
        emit.asm.alu_imm(Alu::Lsh, Reg::R2, 3);
        emit.asm.map_value(Reg::R1, self.maps.threads.table, 0);
        emit.asm.alu(Alu::Add, Reg::R1, Reg::R2);
    }

    /// Emits the following of a chain.
    ///
    /// `r6` is the frame, `r7` its code object, `r8` the site's number, `r9` the caller's frame.
    pub(super) fn visit_earlier_frames(&self, emit: &mut Emit<'_>) -> Emitted<()> {
        let Some(earlier) = &self.earlier else {
            return Ok(());
        };
        let count = emit.buffer(8, Span::default())?;
        let [begin, first, visit, next, lost, done] = [(); 6].map(|()| emit.asm.label());
        emit.asm.bind(earlier.from_frame);
        emit.asm.note("frames that are active already");
        emit.asm.mov_imm(Reg::R9, 1);
        emit.asm.jump(begin);
        emit.asm.bind(earlier.from_caller);
        emit.asm.mov_imm(Reg::R9, 0);
        emit.asm.bind(begin);
        emit.asm
            .store(Size::Double, Reg::FP, self.scratch.instruction(), Reg::R6);
        self.meet_thread(emit, lost, done);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R9, 0, first);
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i32::from(earlier.chain.previous));
        read(emit, self.scratch.word, 8);
        emit.asm
            .load(Size::Double, Reg::R6, Reg::FP, self.scratch.word);
        emit.asm.bind(first);
        // Zero, but for the verifier, which would follow the loop for each number by itself.
        emit.asm.mov(Reg::R1, Reg::R6);
        emit.asm.alu(Alu::Sub, Reg::R1, Reg::R6);
        emit.asm.store(Size::Double, Reg::FP, count, Reg::R1);
        emit.asm.bind(visit);
        emit.asm.may_goto(lost);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R6, 0, done);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, count);
        emit.asm.jump_if_imm(Cond::Gt, Reg::R1, DEEPEST, lost);
        emit.asm.alu_imm(Alu::Add, Reg::R1, 1);
        emit.asm.store(Size::Double, Reg::FP, count, Reg::R1);
        self.examine(emit, earlier.chain, next, done);
        emit.asm
            .store(Size::Double, Reg::FP, self.scratch.frame(), Reg::R6);
        self.add_active(emit, next, next)?;
        emit.asm.bind(next);
        emit.asm.mov(Reg::R6, Reg::R9);
        emit.asm.jump(visit);
        emit.asm.bind(lost);
        emit.count(Counter::PythonDrops, Span::default())?;
        emit.asm.bind(done);
        emit.asm.call(Helper::GetCurrentPidTgid);
        emit.asm.mov(Reg::R7, Reg::R0);
        self.find_thread(emit);
        emit.asm.store(Size::Double, Reg::R1, 0, Reg::R7);
        emit.asm
            .load(Size::Double, Reg::R6, Reg::FP, self.scratch.instruction());
        emit.asm
            .store(Size::Double, Reg::FP, self.scratch.frame(), Reg::R6);
        emit.asm.load(Size::Double, Reg::R9, Reg::FP, Emit::CONTEXT);
        emit.asm.mov(Reg::R0, Reg::R8);
        choose(emit, &earlier.resume);
        emit.stack.give_buffer(count, 8);
        Ok(())
    }

    /// Notes that the thread has been met; on to `done` if it had been, to `lost` if that takes more
    /// memory than there is.
    fn meet_thread(&self, emit: &mut Emit<'_>, lost: Label, done: Label) {
        emit.asm.call(Helper::GetCurrentTaskBtf);
        emit.asm.mov(Reg::R2, Reg::R0);
        emit.asm.map(Reg::R1, self.maps.threads.met);
        emit.asm.mov_imm(Reg::R3, 0);
        emit.asm.mov_imm(Reg::R4, CREATE);
        emit.asm.call(Helper::TaskStorageGet);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, lost);
        emit.asm.load(Size::Double, Reg::R1, Reg::R0, 0);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, done);
        emit.asm.store_imm(Size::Double, Reg::R0, 0, 1);
    }

    /// Looks at the frame in `r6`: on to `next` if it is no function's, to `done` if it cannot be
    /// read. `r9 = its caller's frame`.
    fn examine(&self, emit: &mut Emit<'_>, chain: FrameChain, next: Label, done: Label) {
        let scratch = self.scratch;
        let frame = self.build.offsets.frame;
        let code = self.build.offsets.code;
        let ByteCode::Inline { start, units, .. } = code.byte_code else {
            emit.asm.jump(done);
            return;
        };
        let live = emit.asm.label();
        let first = frame.code.min(chain.previous);
        let field = |offset: u16| scratch.value + signed(offset - first);
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i32::from(first));
        read(emit, scratch.value, chain.owner + 1 - first);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, done);
        emit.asm
            .load(Size::Double, Reg::R9, Reg::FP, field(chain.previous));
        emit.asm
            .load(Size::Byte, Reg::R1, Reg::FP, field(chain.owner));
        emit.asm.jump_if_imm(Cond::Gt, Reg::R1, GENERATOR, next);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R1, GENERATOR, live);
        // A generator that is suspended has no caller.
        emit.asm.jump_if_imm(Cond::Eq, Reg::R9, 0, next);
        emit.asm.bind(live);
        emit.asm
            .load(Size::Double, Reg::R7, Reg::FP, field(frame.code));
        self.untag_code(emit);
        emit.asm
            .load(Size::Double, Reg::R1, Reg::FP, field(frame.instruction));
        emit.asm
            .store(Size::Double, Reg::FP, scratch.code(), Reg::R1);
        if let Some((copies, _)) = self.copies() {
            self.leave_copy(emit, field(copies.number), scratch.code());
        }
        self.read_code(emit, code.name + 8 - code.header);
        emit.asm
            .load(Size::Double, Reg::R1, Reg::FP, self.field(code.name));
        emit.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, next);
        emit.asm
            .load(Size::Double, Reg::R1, Reg::FP, scratch.code());
        self.compare_to_code(emit, start, units, next);
    }
}
