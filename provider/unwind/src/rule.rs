//! A rule in 32 bits: how the caller's registers are found from those of a function.
//!
//! ```text
//!     bit  0    kind             of the CFA, see [`Cfa`]
//!          4    rbp              0: it is as it was; n: at CFA - 8 * n; 2046: at rbp; 2047: not known
//!         15    offset / 8       signed, of the CFA from its register
//! ```
//!
//! A CFA that is in a register other than these two has which one in the lowest four bits of the offset's part, by its
//! place in the kernel's `struct pt_regs`, and the offset above. The return address is at CFA - 8. What does not fit is [`Cfa::Unknown`], and ends a stack.

/// The lowest bit of `rbp`'s part.
pub const RBP_SHIFT: u32 = 4;
/// What `rbp`'s part may be at most.
pub const RBP_MASK: u32 = 0x7ff;
/// `rbp` is not known.
pub const RBP_UNKNOWN: u32 = RBP_MASK;
/// `rbp` is where `rbp` itself points.
pub const RBP_AT_RBP: u32 = RBP_MASK - 1;
/// The lowest bit of the offset.
pub const OFFSET_SHIFT: u32 = 15;
/// The bits of the kind.
pub const KIND_MASK: u32 = 15;
/// The bits of a register's number in the offset's part.
pub const REGISTER_BITS: u32 = 4;

/// How the CFA is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cfa {
    /// No table tells: the stack ends here, though the program's goes on.
    Unknown,
    /// `rsp` and an offset.
    Rsp(i64),
    /// `rbp` and an offset.
    Rbp(i64),
    /// What is at `rsp` and an offset.
    AtRsp(i64),
    /// The same and 8.
    AtRspAnd8(i64),
    /// What is at `rbp` and an offset.
    AtRbp(i64),
    /// The same and 8.
    AtRbpAnd8(i64),
    /// Another register and an offset. Only the innermost function's registers are known, which is where this is found:
    /// functions with an aligned stack begin and end so.
    Register(Register, i64),
    /// In a table of jumps to other libraries: `rsp + 8`, and 8 more from byte 11 of each 16 on,
    /// when the jump's number has been pushed.
    Plt,
    /// The kernel called a signal's handler here: `rsp` points to all registers that there were.
    Signal,
    /// The first function of a thread: nobody called it.
    End,
}

/// A register by its place in the kernel's `struct pt_regs`, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u32);

impl Register {
    /// The one with this number in DWARF's tables; `None` for `rsp` and what is no general register.
    #[must_use]
    pub fn of_dwarf(number: u16) -> Option<Self> {
        // rax rdx rcx rbx rsi rdi rbp; rsp; r8 to r15
        const BEFORE_RSP: [u32; 7] = [10, 12, 11, 5, 13, 14, 4];
        const BEHIND_RSP: [u32; 8] = [9, 8, 7, 6, 3, 2, 1, 0];
        let number = usize::from(number);
        let word = BEFORE_RSP.get(number).or_else(|| {
            let behind = number.checked_sub(BEFORE_RSP.len() + 1)?;
            BEHIND_RSP.get(behind)
        });
        word.copied().map(Self)
    }
}

/// Where the caller's `rbp` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rbp {
    /// Still in the register.
    Same,
    /// So many bytes below the CFA.
    Below(i64),
    /// Where `rbp` itself points.
    AtRbp,
    /// Not known.
    Unknown,
}

/// The numbers of the kinds, for code. Of those whose address is in memory, bit 3 says that 8 is added.
pub mod kind {
    /// What is added to a CFA that is in memory, if this bit of its kind is set.
    pub const AND_8: u32 = 8;
    /// [`Cfa::Rsp`](super::Cfa::Rsp).
    pub const RSP: u32 = 1;
    /// [`Cfa::Rbp`](super::Cfa::Rbp).
    pub const RBP: u32 = 2;
    /// [`Cfa::AtRbp`](super::Cfa::AtRbp).
    pub const AT_RBP: u32 = 3;
    /// [`Cfa::Plt`](super::Cfa::Plt).
    pub const PLT: u32 = 4;
    /// [`Cfa::Signal`](super::Cfa::Signal).
    pub const SIGNAL: u32 = 5;
    /// [`Cfa::End`](super::Cfa::End).
    pub const END: u32 = 6;
    /// [`Cfa::AtRsp`](super::Cfa::AtRsp).
    pub const AT_RSP: u32 = 7;
    /// [`Cfa::Register`](super::Cfa::Register).
    pub const REGISTER: u32 = 8;
    /// [`Cfa::AtRbpAnd8`](super::Cfa::AtRbpAnd8).
    pub const AT_RBP_AND_8: u32 = AT_RBP | AND_8;
    /// [`Cfa::AtRspAnd8`](super::Cfa::AtRspAnd8).
    pub const AT_RSP_AND_8: u32 = AT_RSP | AND_8;
}

/// Whether a rule says that the return address is on top of the stack.
#[must_use]
pub fn begins_call(rule: u32) -> bool {
    let cfa = !(RBP_MASK << RBP_SHIFT);
    rule & cfa == encode(Cfa::Rsp(8), Rbp::Same)
}

/// A rule's bits; those of [`Cfa::Unknown`] if it does not fit.
#[must_use]
pub fn encode(cfa: Cfa, rbp: Rbp) -> u32 {
    try_encode(cfa, rbp).unwrap_or(0)
}

fn try_encode(cfa: Cfa, rbp: Rbp) -> Option<u32> {
    let (kind, offset) = match cfa {
        Cfa::Unknown => return None,
        Cfa::Rsp(offset) => (kind::RSP, offset),
        Cfa::Rbp(offset) => (kind::RBP, offset),
        Cfa::AtRsp(offset) => (kind::AT_RSP, offset),
        Cfa::AtRspAnd8(offset) => (kind::AT_RSP_AND_8, offset),
        Cfa::AtRbp(offset) => (kind::AT_RBP, offset),
        Cfa::AtRbpAnd8(offset) => (kind::AT_RBP_AND_8, offset),
        Cfa::Register(_, offset) => (kind::REGISTER, offset),
        Cfa::Plt => (kind::PLT, 0),
        Cfa::Signal => (kind::SIGNAL, 0),
        Cfa::End => (kind::END, 0),
    };
    let rbp = match rbp {
        Rbp::Same => 0,
        Rbp::Below(bytes) if bytes % 8 == 0 => {
            let words = u32::try_from(bytes / 8).ok()?;
            (1..RBP_AT_RBP).contains(&words).then_some(words)?
        }
        Rbp::AtRbp => RBP_AT_RBP,
        Rbp::Below(_) | Rbp::Unknown => RBP_UNKNOWN,
    };
    let mut words = i32::try_from(offset / 8).ok().filter(|_| offset % 8 == 0)?;
    if let Cfa::Register(Register(word), _) = cfa {
        words = words.checked_mul(1 << REGISTER_BITS)? | word.cast_signed();
    }
    let shifted = words << OFFSET_SHIFT;
    (shifted >> OFFSET_SHIFT == words).then_some(())?;
    Some(kind | rbp << RBP_SHIFT | shifted.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_known() {
        assert_eq!(encode(Cfa::Rsp(8), Rbp::Same), 1 | 1 << 15);
        assert_eq!(encode(Cfa::Rbp(-16), Rbp::Below(16)) & 0x7fff, 2 | 2 << 4);
        assert_eq!(encode(Cfa::Rsp(7), Rbp::Same), 0);
        assert_eq!(encode(Cfa::Rsp(1 << 30), Rbp::Same), 0);
        assert_eq!(encode(Cfa::Rsp(8), Rbp::Below(1 << 20)), 0);
        assert_eq!(encode(Cfa::Unknown, Rbp::Same), 0);
        let r10 = Register::of_dwarf(10).unwrap();
        assert_eq!(encode(Cfa::Register(r10, 1 << 20), Rbp::Same), 0);
    }

    #[test]
    fn a_register_is_told_by_its_place_in_the_kernels_struct() {
        let words: Vec<_> = (0..18)
            .map(|number| Register::of_dwarf(number).map(|r| r.0))
            .collect();
        let expected = [10, 12, 11, 5, 13, 14, 4, 99, 9, 8, 7, 6, 3, 2, 1, 0, 99, 99];
        assert_eq!(words, expected.map(|word| (word != 99).then_some(word)));
        let rule = encode(Cfa::Register(Register(7), -16), Rbp::Same);
        assert_eq!(rule & 0x7fff, kind::REGISTER);
        assert_eq!(rule.cast_signed() >> OFFSET_SHIFT, (-2 << 4) | 7);
    }
}
