//! Putting a record in the ring buffer.
//!
//! Before Linux 6.15 the kernel takes a lock for that which knows nothing of who has it. Where a thread has it, probes
//! may fire: `contention_end`, functions of spin locks. A clause there that sent a record would wait for itself,
//! for ever. So in an enabling with such probes ([`Storage::in_locks`](predicates::storage::Storage)) a word of each
//! CPU says that a record is being sent, and none is sent meanwhile: it is dropped, and counted.

use dlang::diag::Span;
use predicates::asm::{Label, MapRef};
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Cond, Helper, Reg, Size};
use predicates::storage::{Counter, SENDING};

/// `BPF_RB_NO_WAKEUP`: the consumer comes by itself. Waking it for each record costs the traced
/// thread more than everything else in a hit.
const NO_WAKEUP: i64 = 1;

/// Puts the `r3` bytes at `r2` in the ring, or counts a drop.
pub(crate) fn send(emit: &mut Emit<'_>, ring: MapRef, span: Span) -> Emitted<()> {
    let (lost, sent) = (emit.asm.label(), emit.asm.label());
    if emit.storage.in_locks {
        let slots = emit.buffer(SLOTS, span)?;
        begin_sending(emit, slots, (lost, sent));
        output(emit, ring);
        emit.asm.load(Size::Double, Reg::R1, Reg::FP, slots + WORDS);
        emit.asm.store_imm(Size::Double, Reg::R1, SENDING, 0);
        emit.stack.give_buffer(slots, SLOTS);
    } else {
        output(emit, ring);
    }
    emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, sent);
    emit.asm.bind(lost);
    emit.count(Counter::Drops, span)?;
    emit.asm.bind(sent);
    Ok(())
}

fn output(emit: &mut Emit<'_>, ring: MapRef) {
    emit.asm.map(Reg::R1, ring);
    emit.asm.mov_imm(Reg::R4, NO_WAKEUP);
    emit.asm.call(Helper::RingbufOutput);
}

// What is kept on the stack: the record, its size, the words of this CPU or first the key that they are found by.
const RECORD: i16 = 0;
const LENGTH: i16 = 8;
const WORDS: i16 = 16;
const SLOTS: i16 = 24;

/// ```text
///     words = &counters[this CPU];
///     if (words->sending) goto lost;
///     words->sending = 1;
/// ```
fn begin_sending(emit: &mut Emit<'_>, slots: i16, (lost, sent): (Label, Label)) {
    let counters = emit.storage.counters;
    emit.asm
        .store(Size::Double, Reg::FP, slots + RECORD, Reg::R2);
    emit.asm
        .store(Size::Double, Reg::FP, slots + LENGTH, Reg::R3);
    emit.asm.store_imm(Size::Double, Reg::FP, slots + WORDS, 0);
    emit.asm.map(Reg::R1, counters);
    emit.stack_address(Reg::R2, slots + WORDS);
    emit.asm.call(Helper::MapLookupElem);
    emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, sent); // never: the map has words for each CPU
    emit.asm.load(Size::Double, Reg::R1, Reg::R0, SENDING);
    emit.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, lost);
    emit.asm.store_imm(Size::Double, Reg::R0, SENDING, 1);
    emit.asm
        .store(Size::Double, Reg::FP, slots + WORDS, Reg::R0);
    emit.asm
        .load(Size::Double, Reg::R2, Reg::FP, slots + RECORD);
    emit.asm
        .load(Size::Double, Reg::R3, Reg::FP, slots + LENGTH);
}
