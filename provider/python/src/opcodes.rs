//! The opcodes of each version that the analysis needs, and those that the version leaves
//! undefined.
//!
//! Opcode numbers change with the minor version and never within one (they are part of the byte
//! code's magic number). The undefined ones all share one handler, so their positions in the
//! dispatch table are a fingerprint of the minor version: seen equal in 3.11.2 and 3.11.7, in 3.12.1
//! and 3.12.10, in 3.13.0 and 3.13.18. Some compilers send a few opcodes that cannot occur
//! (`CACHE`, `RESERVED`) there too.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// What the analysis of 3.11 and later needs to know of one minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcodes {
    /// The minor version: 11 for 3.11.
    pub minor: u8,
    /// `RESUME` and the forms that specialisation and instrumentation put in its place.
    pub resume: &'static [u8],
    /// Those of them that only specialisation makes: the instruction was executed in another form before.
    pub(super) specialised_resume: &'static [u8],
    /// The argument of a `RESUME` that starts nothing, in these bits: 3.15's generator expressions
    /// have one before the generator is made.
    pub resume_too_early: Option<Argument>,
    /// `RETURN_VALUE`, `RETURN_CONST`.
    pub returns: &'static [u8],
    /// Their instrumented forms.
    pub instrumented_returns: &'static [u8],
    /// `YIELD_VALUE` and its instrumented form.
    pub yield_value: &'static [u8],
    /// `PUSH_EXC_INFO`, with which the handlers of exceptions begin.
    pub push_exc_info: u8,
    /// Those that call any object, and their instrumented forms: `CALL`, `CALL_FUNCTION_EX`, `CALL_KW`, `CALL_NON_PY_GENERAL`.
    pub(super) calls: &'static [u8],
    /// Those that call nothing but functions that are written in C, which specialisation makes: `CALL_BUILTIN_O` and its like.
    pub(super) c_calls: &'static [u8],
    /// `RETURN_GENERATOR`, where it has to be told apart.
    pub return_generator: Option<u8>,
    /// How a JIT compiler, if the build has one, is seen at work.
    pub(super) jit: Option<Jit>,
    /// The frame has the flag `is_entry`, and a frame with it is cleared outside of the loop.
    pub has_entry_flag: bool,
    /// `INSTRUMENTED_LINE` and `INSTRUMENTED_INSTRUCTION`, which a tool that watches lines (a
    /// debugger, a coverage measure) puts in the place of any opcode.
    pub masking: &'static [u8],
    /// The undefined opcodes.
    pub(super) undefined: &'static [RangeInclusive<u8>],
    /// Defined opcodes that a compiler may treat as undefined, since they cannot occur.
    pub(super) impossible: &'static [u8],
}

/// How a JIT compiler is seen at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jit {
    /// `ENTER_EXECUTOR`, which goes on in code that it has made.
    pub(super) enter: u8,
    /// A function that is called only where it is on: when a loop is to be compiled, which then goes
    /// on in its new code without `ENTER_EXECUTOR`; in 3.13, where that one is called in any case,
    /// when the compiler is made.
    pub(super) function: &'static str,
}

/// Some values of an instruction's argument, its second byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Argument {
    /// The bits that matter.
    pub mask: u8,
    /// What they are.
    pub value: u8,
}

/// The opcodes of 3.`minor`.
pub fn of(minor: u8) -> Option<&'static Opcodes> {
    VERSIONS.iter().find(|v| v.minor == minor)
}

impl Opcodes {
    /// The undefined opcodes, one by one.
    pub(super) fn undefined(&self) -> impl Iterator<Item = u8> {
        self.undefined.iter().cloned().flatten()
    }

    /// Whether a table in which `shared` are the opcodes with the most common handler can be of
    /// this version.
    pub(super) fn fits(&self, shared: &[u8]) -> bool {
        self.undefined().all(|op| shared.contains(&op))
            && shared.iter().all(|op| {
                self.undefined.iter().any(|r| r.contains(op)) || self.impossible.contains(op)
            })
    }
}

const VERSIONS: [Opcodes; 5] = [
    Opcodes {
        minor: 11,
        resume: &[151, 150],
        specialised_resume: &[150],
        resume_too_early: None,
        returns: &[83],
        instrumented_returns: &[],
        yield_value: &[86],
        push_exc_info: 35,
        calls: &[171, 142],
        c_calls: &[67, 72, 73, 76, 80, 81, 113],
        return_generator: Some(75),
        jit: None,
        has_entry_flag: true,
        masking: &[],
        undefined: &[181..=254],
        impossible: &[0],
    },
    Opcodes {
        minor: 12,
        resume: &[151, 240],
        specialised_resume: &[],
        resume_too_early: None,
        returns: &[83, 121],
        instrumented_returns: &[242, 247],
        yield_value: &[150, 243],
        push_exc_info: 35,
        calls: &[171, 142, 241, 244],
        c_calls: &[34, 38, 39, 40, 44, 45, 46],
        return_generator: None,
        jit: None,
        has_entry_flag: false,
        masking: &[253, 254],
        undefined: &[169..=170, 177..=236, 255..=255],
        impossible: &[0, 17],
    },
    Opcodes {
        minor: 13,
        resume: &[149, 207, 236],
        specialised_resume: &[207],
        resume_too_early: None,
        returns: &[36, 103],
        instrumented_returns: &[239, 240],
        yield_value: &[118, 241],
        push_exc_info: 33,
        calls: &[53, 54, 57, 176, 244, 245, 246],
        c_calls: &[166, 167, 168, 172, 173, 174, 175],
        return_generator: None,
        jit: Some(Jit {
            enter: 70,
            function: "_PyOptimizer_NewUOpOptimizer",
        }),
        has_entry_flag: false,
        masking: &[247, 254],
        undefined: &[119..=148, 223..=235, 255..=255],
        impossible: &[0, 17],
    },
    Opcodes {
        minor: 14,
        resume: &[128, 196, 245],
        specialised_resume: &[196],
        resume_too_early: None,
        returns: &[35],
        instrumented_returns: &[246],
        yield_value: &[120, 247],
        push_exc_info: 32,
        calls: &[52, 4, 55, 152, 160, 250, 251, 252],
        c_calls: &[147, 148, 149, 156, 157, 158, 159],
        return_generator: None,
        jit: Some(Jit {
            enter: 255,
            function: "_PyOptimizer_Optimize",
        }),
        has_entry_flag: false,
        masking: &[238, 254],
        undefined: &[121..=127, 212..=233],
        impossible: &[0, 17],
    },
    Opcodes {
        minor: 15,
        resume: &[128, 200, 201, 244],
        specialised_resume: &[200, 201],
        resume_too_early: Some(Argument { mask: 7, value: 4 }),
        returns: &[33],
        instrumented_returns: &[245],
        yield_value: &[119, 246],
        push_exc_info: 30,
        calls: &[50, 4, 53, 151, 155, 163, 249, 250, 251],
        c_calls: &[148, 149, 150, 159, 160, 161, 162],
        return_generator: None,
        jit: Some(Jit {
            enter: 254,
            function: "_PyOptimizer_Optimize",
        }),
        has_entry_flag: false,
        masking: &[237, 253],
        undefined: &[120..=127, 219..=232],
        impossible: &[0, 17, 255],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_its_own_version_only() {
        for version in &VERSIONS {
            let shared: Vec<u8> = version.undefined().collect();
            for other in &VERSIONS {
                assert_eq!(other.fits(&shared), version.minor == other.minor);
            }
        }
    }

    #[test]
    fn impossible_opcodes_may_share_the_handler_of_undefined_ones() {
        let version = of(12).unwrap();
        let mut shared: Vec<u8> = version.undefined().collect();
        shared.extend([0, 17]);
        assert!(version.fits(&shared));
        shared.push(83);
        assert!(!version.fits(&shared));
    }
}
