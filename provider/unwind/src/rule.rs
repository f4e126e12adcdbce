//! A rule in 32 bits: how the caller's registers are found from those of a function.
//!
//! ```text
//!     bit  0    kind             of the CFA, see [`Cfa`]
//!          3    rbp              0: it is as it was; n: at CFA - 8 * n; 4094: at rbp; 4095: not known
//!         15    offset / 8       signed, of the CFA from its register
//! ```
//!
//! The return address is at CFA - 8. What does not fit is [`Cfa::Unknown`], and ends a stack.

/// The lowest bit of `rbp`'s part.
pub const RBP_SHIFT: u32 = 3;
/// What `rbp`'s part may be at most.
pub const RBP_MASK: u32 = 0xfff;
/// `rbp` is not known.
pub const RBP_UNKNOWN: u32 = RBP_MASK;
/// `rbp` is where `rbp` itself points.
pub const RBP_AT_RBP: u32 = RBP_MASK - 1;
/// The lowest bit of the offset.
pub const OFFSET_SHIFT: u32 = 15;
/// The bits of the kind.
pub const KIND_MASK: u32 = 7;

/// How the CFA is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cfa {
    /// No table tells: the stack ends here, though the program's goes on.
    Unknown,
    /// `rsp` and an offset.
    Rsp(i64),
    /// `rbp` and an offset.
    Rbp(i64),
    /// What is at `rbp` and an offset.
    AtRbp(i64),
    /// In a table of jumps to other libraries: `rsp + 8`, and 8 more from byte 11 of each 16 on,
    /// when the jump's number has been pushed.
    Plt,
    /// The kernel called a signal's handler here: `rsp` points to all registers that there were.
    Signal,
    /// The first function of a thread: nobody called it.
    End,
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

/// The numbers of the kinds, for code.
pub mod kind {
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
        Cfa::AtRbp(offset) => (kind::AT_RBP, offset),
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
    let words = i32::try_from(offset / 8).ok().filter(|_| offset % 8 == 0)?;
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
        assert_eq!(encode(Cfa::Rbp(-16), Rbp::Below(16)) & 0x7fff, 2 | 2 << 3);
        assert_eq!(encode(Cfa::Rsp(7), Rbp::Same), 0);
        assert_eq!(encode(Cfa::Rsp(1 << 30), Rbp::Same), 0);
        assert_eq!(encode(Cfa::Rsp(8), Rbp::Below(1 << 20)), 0);
        assert_eq!(encode(Cfa::Unknown, Rbp::Same), 0);
    }
}
