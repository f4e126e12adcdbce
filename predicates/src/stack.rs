//! Where temporary values live: registers `r6` to `r9`, then the stack.
//!
//! Expressions are trees, so lifetimes nest: a value is taken when its operand has been computed
//! and given back when its operator has used it. Four registers serve nearly every expression of
//! real scripts; deeper ones spill to stack slots. `r0` to `r5` never hold a value across
//! operators, since every helper call destroys them.
//!
//! ```text
//!   fp-8     context                    0
//!   fp-16    arguments, cached values   ^ long-lived, from the top
//!   ...      spilled values, buffers    v taken and given back
//!   fp-512   end
//! ```

use crate::insn::Reg;

/// Bytes of stack that the kernel gives a program.
pub const STACK_SIZE: i16 = 512;

/// A value while it is used: a constant not yet in a register, a register, or a stack slot.
/// Slots are offsets from the frame pointer. Not `Clone`: one owner gives it back.
#[derive(Debug, PartialEq, Eq)]
pub enum Val {
    /// A constant, canonical for its type.
    Const(i64),
    /// One of `r6` to `r9`.
    Reg(Reg),
    /// Eight bytes of stack.
    Slot(i16),
}

impl Val {
    /// Another name for the same place, for code that is emitted while the owner still holds it.
    #[must_use]
    pub fn alias(&self) -> Self {
        match self {
            Self::Const(value) => Self::Const(*value),
            Self::Reg(reg) => Self::Reg(*reg),
            Self::Slot(slot) => Self::Slot(*slot),
        }
    }
}

/// No stack is left for a value or a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackFull;

/// The registers and the stack of one program.
#[derive(Debug)]
pub struct Stack {
    free: Vec<Reg>,
    /// One flag for each eight bytes, from the frame pointer down.
    used: [bool; STACK_SIZE as usize / 8],
    /// Those that were in use at any time.
    touched: [bool; STACK_SIZE as usize / 8],
}

impl Default for Stack {
    fn default() -> Self {
        Self {
            free: vec![Reg::R9, Reg::R8, Reg::R7, Reg::R6],
            used: [false; STACK_SIZE as usize / 8],
            touched: [false; STACK_SIZE as usize / 8],
        }
    }
}

impl Stack {
    /// A place for a value: a register while there is one.
    pub fn take(&mut self) -> Result<Val, StackFull> {
        match self.free.pop() {
            Some(reg) => Ok(Val::Reg(reg)),
            None => self.buffer(8).map(Val::Slot),
        }
    }

    /// Gives a value's place back.
    pub fn give(&mut self, val: Val) {
        match val {
            Val::Const(_) => {}
            Val::Reg(reg) => {
                debug_assert!(!self.free.contains(&reg), "{reg} is given back once");
                self.free.push(reg);
            }
            Val::Slot(slot) => self.give_buffer(slot, 8),
        }
    }

    /// `size` bytes of stack, a multiple of 8; gives the offset of the lowest.
    pub fn buffer(&mut self, size: i16) -> Result<i16, StackFull> {
        let words = usize::from(size.unsigned_abs()).div_ceil(8);
        let first = (0..=self.used.len().saturating_sub(words))
            .find(|&first| self.used[first..first + words].iter().all(|used| !used))
            .ok_or(StackFull)?;
        self.used[first..first + words].fill(true);
        self.touched[first..first + words].fill(true);
        let end = i16::try_from((first + words) * 8).expect("the stack has 512 bytes");
        Ok(-end)
    }

    /// Eight bytes for good, which no code so far has used for anything else: what the prologue
    /// puts there is still there, wherever the slot is first taken.
    pub fn slot(&mut self) -> Result<i16, StackFull> {
        let first = self.touched.iter().position(|touched| !touched);
        let first = first.ok_or(StackFull)?;
        (self.used[first], self.touched[first]) = (true, true);
        let end = i16::try_from((first + 1) * 8).expect("the stack has 512 bytes");
        Ok(-end)
    }

    /// Keeps the last `size` bytes free, which loops without a bound need.
    pub fn reserve_end(&mut self, size: i16) {
        let words = usize::from(size.unsigned_abs()).div_ceil(8);
        let start = self.used.len() - words.min(self.used.len());
        self.used[start..].fill(true);
        self.touched[start..].fill(true);
    }

    /// Gives a buffer back.
    pub fn give_buffer(&mut self, offset: i16, size: i16) {
        let words = usize::from(size.unsigned_abs()).div_ceil(8);
        let end = usize::from(offset.unsigned_abs()) / 8;
        self.used[end - words..end].fill(false);
    }

    /// Whether every register is free, as it must be between statements.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.free.len() == 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_value_spills() {
        let mut stack = Stack::default();
        let vals: Vec<Val> = (0..5).map(|_| stack.take().unwrap()).collect();
        assert_eq!(vals[0], Val::Reg(Reg::R6));
        assert_eq!(vals[4], Val::Slot(-8));
        for val in vals {
            stack.give(val);
        }
        assert!(stack.idle());
    }

    #[test]
    fn buffers_reuse_what_was_given_back() {
        let mut stack = Stack::default();
        let first = stack.buffer(32).unwrap();
        assert_eq!((first, stack.buffer(8).unwrap()), (-32, -40));
        stack.give_buffer(first, 32);
        assert_eq!(stack.buffer(16).unwrap(), -16);
    }

    #[test]
    fn slots_were_never_anything_else() {
        let mut stack = Stack::default();
        let buffer = stack.buffer(16).unwrap();
        stack.give_buffer(buffer, 16);
        assert_eq!(
            (stack.slot().unwrap(), stack.buffer(16).unwrap()),
            (-24, -16)
        );
        assert_eq!(
            (stack.buffer(8).unwrap(), stack.slot().unwrap()),
            (-32, -40)
        );
    }

    #[test]
    fn the_stack_ends_at_512_bytes() {
        let mut stack = Stack::default();
        stack.buffer(504).unwrap();
        stack.buffer(8).unwrap();
        assert_eq!(stack.buffer(8), Err(StackFull));
    }
}
