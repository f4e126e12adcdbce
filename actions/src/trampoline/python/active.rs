//! The set of active frames, by which entries and returns pair.
//!
//! An entry counts if its frame is not active yet, a return if it is. So what some builds show
//! twice counts once: an instruction that is executed again after it has specialised or
//! instrumented itself, a frame that two sites see end, one that is cleared without having run.
//! And every return that is reported belongs to an entry that was.
//!
//! Frames that were active before the probes were attached are added when their thread is met
//! (`earlier`). Before 3.11 nothing is seen twice, and none of this is needed.
//!
//! Each hit looks into the set, so it must be quick. It is a table in an array map, which takes no
//! helper call: [`ROWS`](super::maps) rows of four pairs of frame and process, one cache line each. A pair
//! is taken by an atomic exchange of its first word and given back with its second word cleared
//! first, so that no process ever sees another's pair as its own; more is not needed, since a
//! frame is run by one thread at a time. What finds its row full goes to a hash map, which is
//! looked into only while something is there. That map forgets what was added longest ago
//! when it is full. Frames of processes that died in the middle of them are taken out by user
//! space (`active_frames`).

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use predicates::storage::Counter;

use super::dispatch::Dispatch;
use super::maps::{ELSEWHERE, PAIR, ROW, ROW_BITS, WAYS};

/// Spread frames and processes over the rows: odd, and without pattern (the golden ratio's digits).
const SPREAD: i64 = 0x9e37_79b9_7f4a_7c15_u64.cast_signed();
const SPREAD_PROCESS: i32 = 0x0134_5679;

/// `BPF_NOEXIST`: only if the key is not there.
const NO_EXIST: i64 = 1;
/// What an update gives then if it is.
const EEXIST: i32 = 17;

impl Dispatch<'_> {
    /// A frame starts; on to `ready` if it was not active.
    pub(super) fn enter(&self, emit: &mut Emit<'_>, ready: Label) -> Emitted<()> {
        emit.asm.bind(self.enter);
        emit.asm.note("function starts");
        self.add_active(emit, ready, self.leave)
    }

    /// Makes the frame in the scratch active; on to `new`, or to `old` if it was already.
    /// Destroys `r0` to `r5`.
    pub(super) fn add_active(&self, emit: &mut Emit<'_>, new: Label, old: Label) -> Emitted<()> {
        self.find_row(emit);
        for way in 0..WAYS {
            let other = emit.asm.label();
            compare(emit, way, other);
            emit.asm.jump(old);
            emit.asm.bind(other);
        }
        let elsewhere = emit.asm.label();
        self.load_elsewhere(emit);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, elsewhere);
        for way in 0..WAYS {
            let taken = emit.asm.label();
            let at = way * PAIR;
            emit.asm.load(Size::Double, Reg::R0, Reg::R5, at);
            emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, taken);
            emit.asm.push(Insn::compare_exchange(Reg::R5, at, Reg::R1));
            emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, taken);
            emit.asm.store(Size::Double, Reg::R5, at + 8, Reg::R2);
            emit.asm.jump(new);
            emit.asm.bind(taken);
        }
        emit.asm.bind(elsewhere);
        emit.asm.map(Reg::R1, self.maps.active.elsewhere);
        emit.stack_address(Reg::R2, self.scratch.keys);
        emit.asm.mov(Reg::R3, Reg::R2);
        emit.asm.mov_imm(Reg::R4, NO_EXIST);
        emit.asm.call(Helper::MapUpdateElem);
        let lost = emit.asm.label();
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, lost);
        self.add_elsewhere(emit, 1);
        emit.asm.jump(new);
        emit.asm.bind(lost);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, -EEXIST, old);
        emit.count(Counter::PythonDrops, Span::default())?;
        emit.asm.jump(old);
        Ok(())
    }

    /// A frame ends; on to `ready` if it was active.
    pub(super) fn exit(&self, emit: &mut Emit<'_>, ready: Label) {
        emit.asm.bind(self.exit);
        emit.asm.note("function ends");
        self.find_row(emit);
        for way in 0..WAYS {
            let other = emit.asm.label();
            compare(emit, way, other);
            for word in [8, 0] {
                emit.asm
                    .store_imm(Size::Double, Reg::R5, way * PAIR + word, 0);
            }
            emit.asm.jump(ready);
            emit.asm.bind(other);
        }
        self.load_elsewhere(emit);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, self.leave);
        emit.asm.map(Reg::R1, self.maps.active.elsewhere);
        emit.stack_address(Reg::R2, self.scratch.keys);
        emit.asm.call(Helper::MapDeleteElem);
        emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, self.leave);
        self.add_elsewhere(emit, -1);
        emit.asm.jump(ready);
    }

    /// `r1 = frame`, `r2 = process`, `r5 = their row`.
    fn find_row(&self, emit: &mut Emit<'_>) {
        emit.asm
            .load(Size::Double, Reg::R1, Reg::FP, self.scratch.frame());
        emit.asm
            .load(Size::Double, Reg::R2, Reg::FP, self.scratch.process());
        emit.asm.mov(Reg::R3, Reg::R2);
        emit.asm.alu_imm(Alu::Mul, Reg::R3, SPREAD_PROCESS);
        emit.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        emit.asm.mov_imm(Reg::R4, SPREAD);
        emit.asm.alu(Alu::Mul, Reg::R3, Reg::R4);
        let unused = (64 - ROW_BITS).cast_signed();
        emit.asm.alu_imm(Alu::Rsh, Reg::R3, unused);
        let row = ROW.trailing_zeros().cast_signed();
        emit.asm.alu_imm(Alu::Lsh, Reg::R3, row);
        emit.asm.map_value(Reg::R5, self.maps.active.table, 0);
        emit.asm.alu(Alu::Add, Reg::R5, Reg::R3);
    }

    /// `r0 = number of frames in the hash map`.
    fn load_elsewhere(&self, emit: &mut Emit<'_>) {
        emit.asm
            .map_value(Reg::R3, self.maps.active.table, ELSEWHERE);
        emit.asm.load(Size::Double, Reg::R0, Reg::R3, 0);
    }

    fn add_elsewhere(&self, emit: &mut Emit<'_>, number: i64) {
        emit.asm
            .map_value(Reg::R3, self.maps.active.table, ELSEWHERE);
        emit.asm.mov_imm(Reg::R1, number);
        emit.asm
            .push(Insn::atomic_add(Size::Double, Reg::R3, 0, Reg::R1, false));
    }
}

/// On to `other` unless a pair of the row is the frame and process.
fn compare(emit: &mut Emit<'_>, way: i16, other: Label) {
    let at = way * PAIR;
    for (word, with) in [(at, Reg::R1), (at + 8, Reg::R2)] {
        emit.asm.load(Size::Double, Reg::R0, Reg::R5, word);
        emit.asm.jump_if(Cond::Ne, Reg::R0, with, other);
    }
}
