//! `cleanpath`: a path without `.`, `..` and doubled slashes, by its text alone.
//!
//! The components are looked at from the last to the first, so that a `..` is met before the component that
//! it removes: how many are still to be removed is a number. The result is written from its end to its start,
//! each byte as it is met; what turns out not to be kept (`.`, `..`, removed components) is taken off
//! again. It is made behind the heap and then copied to the heap's end.
//!
//! ```text
//!     for (n = len; ; n--) {
//!         byte = n == 0 ? '/' : path[n - 1];
//!         if (byte != '/')        { put(byte); shape = next(shape, byte); continue; }
//!         if (shape == OTHER)     { if (back == 0) { put('/'); kept = size; } else { back--; size = kept; } }
//!         else                    { if (shape == TWO_DOTS) back++; size = kept; }
//!         shape = EMPTY;
//!         if (n == 0)             { if (path[0] == '/' || back == 0) break; back--; put("/.."); kept = size; n++; }
//!     }
//! ```
//!
//! Each component then has a slash before it, which a relative path loses in the end.

use dlang::diag::Span;
use dlang::program::Expr;

use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::string::Str;

/// A byte as an instruction's immediate.
const SLASH: i32 = b'/' as i32;
const DOT: i32 = b'.' as i32;

/// What a component's bytes are so far: none, one dot, two dots, others.
const TWO_DOTS: i32 = 2;
const OTHER: i32 = 3;

/// Bytes that a turn puts at most, and the NUL.
const ROOM: u32 = 8;

/// The stack slots of the loop's variables.
struct Walk {
    /// How many bytes of the path are still to be looked at.
    n: i16,
    /// Bytes of the result so far.
    size: i16,
    /// Those of them that are sure to be kept.
    kept: i16,
    /// Components that are still to be taken back.
    back: i16,
    /// What the current component is.
    shape: i16,
    /// Where the result ends, counted from the start of the heap.
    end: i16,
}

impl Walk {
    /// Those that change.
    fn variables(&self) -> [i16; 5] {
        [self.n, self.size, self.kept, self.back, self.shape]
    }
}

impl Emit<'_> {
    /// `cleanpath(path)`, as `dlang::strings::cleanpath`.
    pub(crate) fn cleanpath(&mut self, path: &Expr, span: Span) -> Emitted<Str> {
        let path = self.string(path)?;
        let mut slot = || self.buffer(8, span);
        let walk = Walk {
            n: slot()?,
            size: slot()?,
            kept: slot()?,
            back: slot()?,
            shape: slot()?,
            end: slot()?,
        };
        self.heap_reaches(3 * self.storage.strsize + 2 * ROOM);
        let len = self.reg(&path.len, Reg::R0);
        self.asm.store(Size::Double, Reg::FP, walk.n, len);
        for slot in [walk.size, walk.kept, walk.back, walk.shape] {
            self.asm.store_imm(Size::Double, Reg::FP, slot, 0);
        }
        self.end_result(&walk);
        self.walk_back(&path, &walk);
        let (absolute, done) = (self.asm.label(), self.asm.label());
        self.first_byte(&path);
        self.load_bounded(Reg::R2, walk.size);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, SLASH, absolute);
        // A relative path has no slash at its start; one of which nothing is left is `.`.
        let (nothing, short) = (self.asm.label(), self.asm.label());
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, nothing);
        self.asm.alu_imm(Alu::Add, Reg::R2, -1);
        self.asm.jump(short);
        self.asm.bind(nothing);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, short);
        self.put_before(&walk, Reg::R2, DOT);
        self.asm.bind(short);
        self.asm.jump(done);
        self.asm.bind(absolute);
        self.asm.jump_if_imm(Cond::Ne, Reg::R2, 0, done);
        self.put_before(&walk, Reg::R2, SLASH);
        self.asm.bind(done);
        self.make_bounded(Reg::R2, Reg::R0, self.storage.strsize + ROOM);
        self.place_before(&walk, Reg::R3, Reg::R2);
        self.asm.mov_imm(Reg::R2, i64::from(self.storage.strsize));
        for slot in walk.variables().into_iter().chain([walk.end]) {
            self.stack.give_buffer(slot, 8);
        }
        self.give_string(path);
        self.push_kernel_bytes(span)
    }

    /// The loop. The scratch has been fetched.
    fn walk_back(&mut self, path: &Str, walk: &Walk) {
        let (again, out) = (self.asm.label(), self.asm.label());
        let strsize = self.storage.strsize;
        let kind = self.next_branching_loop();
        // The turns of a closed loop: one for each byte, and one for each `..` that is left.
        let turns = 2 * strsize;
        self.asm.mov_imm(Reg::R4, 0);
        self.turn(kind, (Reg::R4, turns), Reg::R0, (again, out));
        for slot in walk.variables() {
            self.load_bounded(Reg::R0, slot);
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        let (slash, next, at_start) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.load_bounded(Reg::R1, walk.n);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, slash);
        self.asm.alu_imm(Alu::Add, Reg::R1, -1);
        self.surely_below(Reg::R1, strsize);
        self.heap_byte(Reg::R0, path, Reg::R1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, SLASH, slash);
        self.component_byte(walk);
        self.asm.jump(next);

        self.asm.bind(slash);
        self.component_ends(walk);
        self.load_bounded(Reg::R1, walk.n);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, at_start);
        self.asm.bind(next);
        self.load_bounded(Reg::R1, walk.n);
        self.asm.alu_imm(Alu::Add, Reg::R1, -1);
        self.asm.store(Size::Double, Reg::FP, walk.n, Reg::R1);
        let turn = self.asm.label();
        self.asm.jump(turn);

        // The start of a relative path gets what could not be taken back.
        self.asm.bind(at_start);
        self.first_byte(path);
        self.go_on_if_imm(Cond::Ne, Reg::R0, SLASH, out);
        self.load_bounded(Reg::R0, walk.back);
        self.go_on_if_imm(Cond::Ne, Reg::R0, 0, out);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::FP, walk.back, Reg::R0);
        self.load_bounded(Reg::R2, walk.size);
        for byte in [DOT, DOT, SLASH] {
            self.put_before(walk, Reg::R2, byte);
        }
        for slot in [walk.size, walk.kept] {
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R2);
        }
        self.asm.bind(turn);
        self.next_turn(kind, (Reg::R4, 1, turns), again);
        self.asm.bind(out);
    }

    /// Puts the byte in `r0`, which is no slash, before the result.
    fn component_byte(&mut self, walk: &Walk) {
        self.load_bounded(Reg::R2, walk.size);
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        self.place_before(walk, Reg::R3, Reg::R2);
        self.asm.store(Size::Byte, Reg::R3, 0, Reg::R0);
        self.asm.store(Size::Double, Reg::FP, walk.size, Reg::R2);
        let (other, put) = (self.asm.label(), self.asm.label());
        self.load_bounded(Reg::R1, walk.shape);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, DOT, other);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, TWO_DOTS, other);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.jump(put);
        self.asm.bind(other);
        self.asm.mov_imm(Reg::R1, i64::from(OTHER));
        self.asm.bind(put);
        self.asm.store(Size::Double, Reg::FP, walk.shape, Reg::R1);
    }

    /// A component is over: it is kept, or taken off the result.
    fn component_ends(&mut self, walk: &Walk) {
        let (dots, one, off, done) = (
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
        );
        self.load_bounded(Reg::R1, walk.shape);
        self.load_bounded(Reg::R0, walk.back);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, OTHER, dots);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, one);
        self.load_bounded(Reg::R2, walk.size);
        self.put_before(walk, Reg::R2, SLASH);
        for slot in [walk.size, walk.kept] {
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R2);
        }
        self.asm.jump(done);
        self.asm.bind(one);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.jump(off);
        self.asm.bind(dots);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, TWO_DOTS, off);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.bind(off);
        self.asm.store(Size::Double, Reg::FP, walk.back, Reg::R0);
        self.load_bounded(Reg::R2, walk.kept);
        self.asm.store(Size::Double, Reg::FP, walk.size, Reg::R2);
        self.asm.bind(done);
        self.asm.store_imm(Size::Double, Reg::FP, walk.shape, 0);
    }

    /// `dst = slot`, of which the verifier knows that it is some number of bytes, as it is. Destroys
    /// `r5`.
    fn load_bounded(&mut self, dst: Reg, slot: i16) {
        self.asm.load(Size::Double, dst, Reg::FP, slot);
        self.through_memory(dst, Reg::R5);
        self.surely_below(dst, self.storage.strsize + ROOM);
    }

    /// [`Self::bound`] for code that the verifier follows often: giving up, which it looks at first, is
    /// done with when it goes on.
    fn surely_below(&mut self, reg: Reg, limit: u32) {
        self.gave_up = true;
        let give_up = self.give_up;
        self.go_on_if_imm(Cond::Lt, reg, imm(limit), give_up);
    }

    /// `dst = byte of the path`, by its number in `at`. Destroys `r5`.
    fn heap_byte(&mut self, dst: Reg, path: &Str, at: Reg) {
        self.heap_reaches(2 * self.storage.strsize);
        self.heap_address_known(dst, &path.start);
        self.asm.alu(Alu::Add, dst, at);
        self.asm.load(Size::Byte, dst, dst, 0);
    }

    /// `r0 = first byte of the path`.
    fn first_byte(&mut self, path: &Str) {
        self.heap_address_known(Reg::R0, &path.start);
        self.asm.load(Size::Byte, Reg::R0, Reg::R0, 0);
    }

    /// Puts a byte before the result, of which `size` are there: one more then. Destroys `r3`, `r5`.
    fn put_before(&mut self, walk: &Walk, size: Reg, byte: i32) {
        self.asm.alu_imm(Alu::Add, size, 1);
        self.place_before(walk, Reg::R3, size);
        self.asm.store_imm(Size::Byte, Reg::R3, 0, byte);
    }

    /// Decides where the result ends, and puts its NUL there: behind the heap, far enough for any.
    fn end_result(&mut self, walk: &Walk) {
        let end = 2 * self.storage.strsize + 2 * ROOM;
        self.heap_used(Reg::R5);
        self.asm.alu_imm(Alu::Add, Reg::R5, imm(end));
        self.asm.store(Size::Double, Reg::FP, walk.end, Reg::R5);
        self.asm.mov_imm(Reg::R2, 0);
        self.place_before(walk, Reg::R3, Reg::R2);
        self.asm.store_imm(Size::Byte, Reg::R3, 0, 0);
    }

    /// `dst = address of the result`, of which `size` bytes are there, at most `strsize` and some.
    /// Destroys `r5`.
    fn place_before(&mut self, walk: &Walk, dst: Reg, size: Reg) {
        self.asm.load(Size::Double, Reg::R5, Reg::FP, walk.end);
        self.asm.alu(Alu::Sub, Reg::R5, size);
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        self.asm.alu(Alu::Add, dst, Reg::R5);
    }
}
