//! Where ways of the code meet: what keeps the verifier's work in bounds.
//!
//! The verifier follows every way through a program. Where two ways meet it stops following the
//! second one if what it knows there is no more than what it knew on the first: then all that comes
//! next has been looked at already. If the ways differ in something that matters later, a constant
//! in a register, say, each is followed to the end of the program, and each further branch doubles
//! the number of ways: ten lines of D can take minutes.
//!
//! Hence the rule for all code here and in `actions`:
//!
//! > **Where ways meet, they know the same.** A value that one way computed otherwise than another
//! > is made unknown right where they meet ([`Emit::make_unknown`], [`Emit::make_bounded`]).
//!
//! In detail:
//!
//! * `make_unknown` adds a zero of which the verifier does not know that it is one: it was loaded
//!   from a map in the prologue. A plain copy, or a copy through the stack, would not do: the
//!   verifier remembers which registers are equal, and follows a number that must be exact back
//!   through all copies to the constant that it was.
//! * A number that is used in an address or as a size must be bounded, and have the same bounds on
//!   all ways: `make_bounded` takes it through memory, where the verifier loses sight of it, and
//!   checks it. A string has its start in the heap (below the heap's end) and a length below
//!   `strsize`, always.
//! * What lives longer than an expression lives in memory of ours, of which the verifier knows
//!   nothing: how full the heap is, and all variables but `this->` scalars. What of it lives on the
//!   stack is unknown from the prologue on ([`Emit::zero_slots`]), and what is stored there is
//!   made unknown first.
//! * A comparison teaches the verifier something about the compared register and all its copies,
//!   the stack slot it came from included. What is loaded from a slot that lives on is therefore
//!   compared as a number of its own ([`Emit::unlink`]).
//! * A pointer that may be there or not (the thread's state) can be made neither known nor unknown:
//!   it is the one thing that ways may differ in, so that all code is looked at twice at most.
//! * A loop over a string is followed turn by turn: 256 turns or, with a larger `strsize`, many more.
//!   The first few loops of a program are left so, since that is the quickest code. In all others
//!   ([`Emit::turn`]) what counts the turns is made unknown in each, so that the third turn is to the verifier
//!   what the second was, and the instruction `may_goto` (Linux 6.9) vouches for the end. (On older kernels an open
//!   loop is a function that is called for each turn, see `loops`; there, most loops over strings are closed.) Everything
//!   else in such a loop must be the same in each turn, too: addresses are a start that does not
//!   change plus the count.
//! * In a loop the way out is the branch that falls through (to a `goto`), and going on is the one
//!   that jumps: the verifier follows the former first, so no more than one branch waits at any
//!   time.
//! * A check of what we know ourselves ([`Emit::bound`]) costs one instruction and leads to the
//!   one place where firings are given up; it never fails.

use dlang::diag::Span;

use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::stack::Val;
use crate::storage::own_state;
use crate::string::Str;

/// A string of more bytes than these is looked through by open loops only.
const LONG_STRING: u32 = 1024;

/// How a loop over a string is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loop {
    /// The verifier follows each turn.
    Closed,
    /// The verifier sees that all turns are alike.
    Open,
}

impl Emit<'_> {
    /// `reg = reg`, of which the verifier knows nothing any more. Destroys `spare`.
    pub fn make_unknown(&mut self, reg: Reg, spare: Reg, span: Span) -> Emitted<()> {
        self.load_zero(spare, span)?;
        self.asm.alu(Alu::Add, reg, spare);
        Ok(())
    }

    /// `dst = 0`, unknown to the verifier.
    pub fn load_zero(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        let slot = if let Some(slot) = self.zero {
            slot
        } else {
            let slot = self.lasting(span)?;
            *self.zero.insert(slot)
        };
        self.asm.load(Size::Double, dst, Reg::FP, slot);
        Ok(())
    }

    /// [`Self::make_unknown`] for a value. Destroys `r0` and `r1`.
    pub(crate) fn make_value_unknown(&mut self, val: &Val, span: Span) -> Emitted<()> {
        let reg = self.reg(val, Reg::R0);
        self.make_unknown(reg, Reg::R1, span)?;
        self.put(val, reg);
        Ok(())
    }

    /// `reg = reg`, stored in the scratch and loaded again: nothing is known of it any more, nor
    /// where it came from. The scratch has been fetched; destroys `spare`.
    pub(crate) fn through_memory(&mut self, reg: Reg, spare: Reg) {
        self.scratch_known(spare);
        self.asm.store(Size::Double, spare, own_state::WORD, reg);
        self.asm.load(Size::Double, reg, spare, own_state::WORD);
    }

    /// `reg = reg`, of which the verifier knows that it is below `limit`, as it always is, and
    /// nothing else. The scratch has been fetched; destroys `spare`.
    pub(crate) fn make_bounded(&mut self, reg: Reg, spare: Reg, limit: u32) {
        self.through_memory(reg, spare);
        self.bound(reg, limit);
    }

    /// Makes a string one of which the verifier knows what it knows of any. Destroys `r0`, `r1`.
    pub(crate) fn make_any_string(&mut self, string: &Str) {
        let reg = self.reg(&string.start, Reg::R0);
        self.through_memory(reg, Reg::R1);
        self.bound_start(reg);
        self.put(&string.start, reg);
        let reg = self.reg(&string.len, Reg::R0);
        self.make_bounded(reg, Reg::R1, self.storage.strsize);
        self.put(&string.len, reg);
    }

    /// Tells the verifier that `reg` is below `limit`, as it always is.
    pub(crate) fn bound(&mut self, reg: Reg, limit: u32) {
        self.gave_up = true;
        self.asm
            .jump_if_imm(Cond::Ge, reg, imm(limit), self.give_up);
    }

    /// Tells the verifier that `reg` is no copy of anything, so that what a comparison teaches it
    /// of this register holds for this register only.
    pub(crate) fn unlink(&mut self, reg: Reg) {
        self.asm.alu_imm(Alu::Or, reg, 0);
    }

    /// Leaves a loop for `out` unless the condition holds.
    pub(crate) fn go_on_if(&mut self, cond: Cond, a: Reg, b: Reg, out: Label) {
        let more = self.asm.label();
        self.asm.jump_if(cond, a, b, more);
        self.asm.jump(out);
        self.asm.bind(more);
    }

    /// [`Emit::go_on_if`] with a constant.
    pub(crate) fn go_on_if_imm(&mut self, cond: Cond, a: Reg, b: i32, out: Label) {
        let more = self.asm.label();
        self.asm.jump_if_imm(cond, a, b, more);
        self.asm.jump(out);
        self.asm.bind(more);
    }

    /// How the next loop over a string is made.
    pub(crate) fn next_loop(&mut self) -> Loop {
        let open = match self.storage.open_loops {
            Some(_) => {
                self.loops >= self.storage.closed_loops || self.storage.strsize > LONG_STRING
            }
            None => false,
        };
        self.loops += 1;
        if open { Loop::Open } else { Loop::Closed }
    }

    /// How a loop is made whose turns branch so much that following each takes long.
    pub(crate) fn next_branching_loop(&mut self) -> Loop {
        match (self.next_loop(), self.storage.open_loops) {
            (_, Some(_)) => Loop::Open,
            (kind, None) => kind,
        }
    }

    /// Begins a loop's turn at `again`. `at` is below `limit` in every turn, and in an open loop the
    /// only thing that differs between turns; such a loop is left for `out` if it never ends. The
    /// scratch has been fetched; destroys `spare`.
    pub(crate) fn turn(
        &mut self,
        kind: Loop,
        (at, limit): (Reg, u32),
        spare: Reg,
        (again, out): (Label, Label),
    ) {
        self.asm.bind(again);
        if kind == Loop::Open {
            self.asm.may_goto(out);
            self.make_bounded(at, spare, limit);
        }
    }

    /// Ends a loop's turn. `turn`, which counts the turns from 0, is `step` more in the next. A closed
    /// loop has no more turns than `limit` allows; an open one ends by what its turns ask.
    pub(crate) fn next_turn(
        &mut self,
        kind: Loop,
        (turn, step, limit): (Reg, i32, u32),
        again: Label,
    ) {
        self.asm.alu_imm(Alu::Add, turn, step);
        match kind {
            Loop::Closed => self.asm.jump_if_imm(Cond::Lt, turn, imm(limit), again),
            Loop::Open => self.asm.jump(again),
        }
    }
}
