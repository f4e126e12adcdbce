//! Aggregating functions: the code that adds one value to an aggregation.
//!
//! The words of a value are those of [`AggregationLayout`](crate::record::AggregationLayout).
//! Values are per CPU, so that CPUs never wait for each other, and every change is atomic, so
//! that a thread that is preempted in the middle of one by another thread of the same CPU loses
//! nothing. A plain load, add and store would lose the other thread's change there.

use dlang::diag::Span;
use dlang::program::{AggFunc, Expr};
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use predicates::stack::Val;
use predicates::storage::{Counter, TupleMaps};

use crate::record::{
    Magnitude, extreme_mask, llquantize_buckets, llquantize_magnitudes, value_words,
};

/// How often a lost race for a minimum or maximum is run again. Each loss takes a preemption
/// between two instructions.
const TRIES: usize = 4;

/// Zero of `quantize`: the bucket of value 0 among its 127.
const QUANTIZE_ZERO: i32 = 63;

/// Adds to an aggregation: finds or makes the key's value, then changes it.
pub(crate) fn emit_aggregate(
    emit: &mut Emit<'_>,
    func: AggFunc,
    maps: &TupleMaps,
    keys: &[Expr],
    value: Option<&Expr>,
    increment: Option<&Expr>,
    span: Span,
) -> Emitted<()> {
    let value = value.map(|value| emit.int(value)).transpose()?;
    let increment = increment.map(|increment| emit.int(increment)).transpose()?;
    let tuple = emit.tuple(maps, keys, span)?;
    let (done, dropped) = (emit.asm.label(), emit.asm.label());
    let fresh = emit.rodata.put(vec![0; maps.value as usize]);
    let rodata = emit.storage.rodata;
    emit.each_class(maps, &tuple, |e, map, size| {
        let found = e.asm.label();
        let lookup = |e: &mut Emit<'_>| {
            e.asm.map(Reg::R1, map);
            e.tuple_address(Reg::R2, &tuple, size);
            e.asm.call(Helper::MapLookupElem);
        };
        lookup(e);
        e.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, found);
        if !maps.is_array {
            e.asm.map(Reg::R1, map);
            e.tuple_address(Reg::R2, &tuple, size);
            e.asm.map_value(Reg::R3, rodata, fresh);
            e.asm.mov_imm(Reg::R4, 1); // BPF_NOEXIST: another CPU may have been first
            e.asm.call(Helper::MapUpdateElem);
            lookup(e);
        }
        e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, dropped);
        e.asm.bind(found);
    })?;
    emit.give_tuple(tuple);
    let number = value.as_ref().map_or(Val::Const(0), Val::alias);
    let by = increment.as_ref().map_or(Val::Const(1), Val::alias);
    update(emit, func, &number, &by, dropped);
    emit.asm.jump(done);
    emit.asm.bind(dropped);
    emit.count(Counter::AggregationDrops, span)?;
    emit.asm.bind(done);
    value
        .into_iter()
        .chain(increment)
        .for_each(|val| emit.stack.give(val));
    Ok(())
}

/// Changes the value at `r0`; control goes to `dropped` if it cannot.
fn update(emit: &mut Emit<'_>, func: AggFunc, value: &Val, by: &Val, dropped: Label) {
    emit.asm.mov_imm(Reg::R1, 1);
    match func {
        AggFunc::Count => add(emit, 0, Reg::R1),
        AggFunc::Sum | AggFunc::Avg => {
            add(emit, 0, Reg::R1);
            emit.load(Reg::R1, value);
            add(emit, 8, Reg::R1);
        }
        AggFunc::Min | AggFunc::Max => extreme(emit, extreme_mask(func), value, dropped),
        AggFunc::Stddev => stddev(emit, value),
        AggFunc::Quantize => {
            add(emit, 0, Reg::R1);
            quantize_bucket(emit, value);
            add_bucket(emit, by, value_words(func) - 1);
        }
        AggFunc::Lquantize { low, high, step } => {
            add(emit, 0, Reg::R1);
            linear_bucket(emit, value, low, high, step);
            add_bucket(emit, by, value_words(func) - 1);
        }
        AggFunc::Llquantize {
            factor,
            low,
            high,
            steps,
        } => {
            add(emit, 0, Reg::R1);
            log_linear_bucket(emit, value, [factor, low, high, steps]);
            add_bucket(emit, by, value_words(func) - 1);
        }
    }
}

/// `word at r0 + offset += src`.
fn add(emit: &mut Emit<'_>, offset: i16, src: Reg) {
    emit.asm
        .push(Insn::atomic_add(Size::Double, Reg::R0, offset, src, false));
}

/// Adds `by` to the bucket whose number is in `r2`; the buckets begin after the hits.
fn add_bucket(emit: &mut Emit<'_>, by: &Val, buckets: u32) {
    let inside = emit.asm.label();
    let most = i32::try_from(buckets - 1).expect("buckets are few");
    // Always true; it shows the verifier that the address is inside of the value.
    emit.asm.jump_if_imm(Cond::Le, Reg::R2, most, inside);
    emit.asm.mov_imm(Reg::R2, i64::from(most));
    emit.asm.bind(inside);
    emit.asm.alu_imm(Alu::Lsh, Reg::R2, 3);
    emit.asm.alu(Alu::Add, Reg::R0, Reg::R2);
    emit.load(Reg::R1, by);
    add(emit, 8, Reg::R1);
}

/// Keeps the better of the value so far and a new one, which `mask` makes the larger word
/// ([`extreme_mask`]). A sample that loses every race is a drop.
///
/// ```text
///     hits += 1; new ^= mask; seen = value word
///     again: if (seen >= new) done
///            expected = seen; seen = cmpxchg(value word, expected, new)
///            if (seen == expected) done; again
/// ```
fn extreme(emit: &mut Emit<'_>, mask: i64, value: &Val, dropped: Label) {
    let done = emit.asm.label();
    add(emit, 0, Reg::R1);
    emit.asm.mov(Reg::R3, Reg::R0);
    emit.load(Reg::R2, value);
    emit.asm.mov_imm(Reg::R4, mask);
    emit.asm.alu(Alu::Xor, Reg::R2, Reg::R4);
    emit.asm.load(Size::Double, Reg::R0, Reg::R3, 8);
    for _ in 0..TRIES {
        emit.asm.jump_if(Cond::Ge, Reg::R0, Reg::R2, done);
        emit.asm.mov(Reg::R4, Reg::R0);
        emit.asm.push(Insn::compare_exchange(Reg::R3, 8, Reg::R2));
        emit.asm.jump_if(Cond::Eq, Reg::R0, Reg::R4, done);
    }
    emit.asm.jump_if(Cond::Lt, Reg::R0, Reg::R2, dropped);
    emit.asm.bind(done);
}

/// Adds a value to `{hits, sum, squares low, squares high}`, the squares being 128 bits wide.
fn stddev(emit: &mut Emit<'_>, value: &Val) {
    add(emit, 0, Reg::R1);
    emit.load(Reg::R1, value);
    add(emit, 8, Reg::R1);
    // |x| = high * 2^32 + low; x^2 = low^2 + 2 * low * high * 2^32 + high^2 * 2^64.
    let positive = emit.asm.label();
    emit.asm.jump_if_imm(Cond::SGe, Reg::R1, 0, positive);
    emit.asm.alu_imm(Alu::Neg, Reg::R1, 0);
    emit.asm.bind(positive);
    emit.asm.mov(Reg::R2, Reg::R1);
    emit.asm.alu_imm(Alu::Lsh, Reg::R2, 32);
    emit.asm.alu_imm(Alu::Rsh, Reg::R2, 32); // low
    emit.asm.mov(Reg::R3, Reg::R1);
    emit.asm.alu_imm(Alu::Rsh, Reg::R3, 32); // high
    emit.asm.mov(Reg::R4, Reg::R2);
    emit.asm.alu(Alu::Mul, Reg::R4, Reg::R3); // low * high
    emit.asm.alu(Alu::Mul, Reg::R2, Reg::R2); // low^2
    emit.asm.alu(Alu::Mul, Reg::R3, Reg::R3); // high^2
    // 2 * low * high * 2^32 reaches 33 bits into the lower word and the rest into the upper.
    emit.asm.mov(Reg::R5, Reg::R4);
    emit.asm.alu_imm(Alu::Rsh, Reg::R5, 31);
    emit.asm.alu(Alu::Add, Reg::R3, Reg::R5);
    emit.asm.alu_imm(Alu::Lsh, Reg::R4, 33);
    add_with_carry(emit, Reg::R2, Reg::R4);
    // Into memory: the lower word first, whose old value tells whether it overflows.
    emit.asm.mov(Reg::R1, Reg::R2);
    emit.asm
        .push(Insn::atomic_add(Size::Double, Reg::R0, 16, Reg::R1, true));
    add_with_carry(emit, Reg::R1, Reg::R2);
    add(emit, 24, Reg::R3);
}

/// `low += addend`, and one to `r3` if that overflows. Destroys `addend`'s meaning only.
fn add_with_carry(emit: &mut Emit<'_>, low: Reg, addend: Reg) {
    let no_carry = emit.asm.label();
    emit.asm.alu(Alu::Add, low, addend);
    emit.asm.jump_if(Cond::Ge, low, addend, no_carry);
    emit.asm.alu_imm(Alu::Add, Reg::R3, 1);
    emit.asm.bind(no_carry);
}

/// `r2 = the quantize bucket of a value`: 63 for 0, one further for each power of two.
fn quantize_bucket(emit: &mut Emit<'_>, value: &Val) {
    let (done, positive, inside, up) = (
        emit.asm.label(),
        emit.asm.label(),
        emit.asm.label(),
        emit.asm.label(),
    );
    emit.load(Reg::R1, value);
    emit.asm.mov_imm(Reg::R2, i64::from(QUANTIZE_ZERO));
    emit.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, done);
    emit.asm.mov(Reg::R4, Reg::R1);
    emit.asm.jump_if_imm(Cond::SGt, Reg::R1, 0, positive);
    emit.asm.alu_imm(Alu::Neg, Reg::R1, 0);
    emit.asm.bind(positive);
    highest_bit(emit);
    emit.asm.alu_imm(Alu::Add, Reg::R3, 1);
    // The least integer has a magnitude of 2^63; it belongs to the lowest bucket.
    emit.asm
        .jump_if_imm(Cond::Le, Reg::R3, QUANTIZE_ZERO, inside);
    emit.asm.mov_imm(Reg::R3, i64::from(QUANTIZE_ZERO));
    emit.asm.bind(inside);
    emit.asm.jump_if_imm(Cond::SGt, Reg::R4, 0, up);
    emit.asm.alu_imm(Alu::Neg, Reg::R3, 0);
    emit.asm.bind(up);
    emit.asm.mov_imm(Reg::R2, i64::from(QUANTIZE_ZERO));
    emit.asm.alu(Alu::Add, Reg::R2, Reg::R3);
    emit.asm.bind(done);
}

/// `r3 = number of the highest bit of r1`, which is not 0. Destroys `r1`, `r2` and `r5`.
///
/// By halves, and without branches, so that the verifier has one path to follow and not 64:
/// `-x | x` has its sign set unless `x` is 0.
fn highest_bit(emit: &mut Emit<'_>) {
    emit.asm.mov_imm(Reg::R3, 0);
    for shift in [32, 16, 8, 4, 2, 1] {
        emit.asm.mov(Reg::R5, Reg::R1);
        emit.asm.alu_imm(Alu::Rsh, Reg::R5, shift);
        emit.asm.mov(Reg::R2, Reg::R5);
        emit.asm.alu_imm(Alu::Neg, Reg::R2, 0);
        emit.asm.alu(Alu::Or, Reg::R5, Reg::R2);
        emit.asm.alu_imm(Alu::Rsh, Reg::R5, 63);
        emit.asm.alu_imm(Alu::Mul, Reg::R5, shift);
        emit.asm.alu(Alu::Rsh, Reg::R1, Reg::R5);
        emit.asm.alu(Alu::Add, Reg::R3, Reg::R5);
    }
}

/// `r2 = the lquantize bucket of a value`: 0 below `low`, then one for each step, then above.
fn linear_bucket(emit: &mut Emit<'_>, value: &Val, low: i32, high: i32, step: u16) {
    let step = u32::from(step).max(1);
    let levels = high.abs_diff(low) / step;
    let done = emit.asm.label();
    emit.load(Reg::R1, value);
    emit.asm.mov_imm(Reg::R2, 0);
    jump_if(emit, Cond::SLt, Reg::R1, i64::from(low), done);
    let top = i64::from(low) + i64::from(levels) * i64::from(step);
    emit.asm.mov_imm(Reg::R2, i64::from(levels) + 1);
    jump_if(emit, Cond::SGe, Reg::R1, top, done);
    emit.asm.mov_imm(Reg::R3, i64::from(low));
    emit.asm.alu(Alu::Sub, Reg::R1, Reg::R3);
    emit.asm.mov(Reg::R2, Reg::R1);
    emit.asm.alu_imm(
        Alu::Div,
        Reg::R2,
        i32::try_from(step).expect("a step has 16 bits"),
    );
    emit.asm.alu_imm(Alu::Add, Reg::R2, 1);
    emit.asm.bind(done);
}

/// `r2 = the llquantize bucket of a value`; the buckets are those of
/// [`llquantize_bounds`](crate::record::llquantize_bounds), mirrored for negative values.
///
/// In a magnitude from `start` to `end` cut at the multiples of `width`, a value is as many
/// buckets in as there are multiples between `start` and it.
fn log_linear_bucket(emit: &mut Emit<'_>, value: &Val, shape: [u16; 4]) {
    let [factor, low, high, steps] = shape;
    let count = i64::from(llquantize_buckets(factor, low, high, steps));
    let (done, positive, found, up) = (
        emit.asm.label(),
        emit.asm.label(),
        emit.asm.label(),
        emit.asm.label(),
    );
    emit.load(Reg::R1, value);
    emit.asm.mov(Reg::R4, Reg::R1);
    emit.asm.jump_if_imm(Cond::SGe, Reg::R1, 0, positive);
    emit.asm.alu_imm(Alu::Neg, Reg::R1, 0);
    emit.asm.bind(positive);
    let mut base = 0;
    for Magnitude { start, end, width } in llquantize_magnitudes(factor, low, high, steps) {
        if base == 0 {
            emit.asm.mov_imm(Reg::R2, count + 1);
            jump_if(emit, Cond::Lt, Reg::R1, start.cast_signed(), done);
        }
        let next = emit.asm.label();
        jump_if(emit, Cond::Ge, Reg::R1, end.cast_signed(), next);
        emit.asm.mov(Reg::R2, Reg::R1);
        emit.asm.mov_imm(Reg::R3, width.cast_signed());
        emit.asm.alu(Alu::Div, Reg::R2, Reg::R3);
        emit.asm
            .mov_imm(Reg::R3, base - (start / width).cast_signed());
        emit.asm.alu(Alu::Add, Reg::R2, Reg::R3);
        emit.asm.jump(found);
        emit.asm.bind(next);
        base += (end.div_ceil(width) - start / width).cast_signed();
    }
    emit.asm.mov_imm(Reg::R2, count);
    emit.asm.bind(found);
    emit.asm.jump_if_imm(Cond::SGe, Reg::R4, 0, up);
    emit.asm.mov_imm(Reg::R3, count);
    emit.asm.alu(Alu::Sub, Reg::R3, Reg::R2);
    emit.asm.mov(Reg::R2, Reg::R3);
    emit.asm.jump(done);
    emit.asm.bind(up);
    emit.asm.mov_imm(Reg::R3, count + 2);
    emit.asm.alu(Alu::Add, Reg::R2, Reg::R3);
    emit.asm.bind(done);
}

/// A jump on a comparison with a constant of any size; destroys `r3`.
fn jump_if(emit: &mut Emit<'_>, cond: Cond, reg: Reg, value: i64, to: Label) {
    if let Ok(value) = i32::try_from(value) {
        emit.asm.jump_if_imm(cond, reg, value, to);
    } else {
        emit.asm.mov_imm(Reg::R3, value);
        emit.asm.jump_if(cond, reg, Reg::R3, to);
    }
}
