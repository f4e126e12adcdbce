//! What a function's machine code says about probing it: where it returns, and whether it can be.
//!
//! A probe on a `ret` disturbs nothing: the function has done its work, and its result is in its
//! register. The kernel's own return probes put an address of the kernel's in the place of the
//! function's return address, which a program can notice (exceptions, profilers, Go). So a function
//! is probed at its `ret` instructions if these are all its ways out: if its code can be read from its
//! start to its end, and no jump leaves it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};

use crate::usdt::symbols::Function;

/// Longer functions are not read.
const LONGEST: u64 = 1 << 20;

/// The offsets of a function's instructions, and of those that return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Where instructions start, from the start of the function.
    pub(super) starts: Vec<u64>,
    /// Those of them that return, if the function leaves in no other way.
    pub(super) returns: Option<Vec<u64>>,
}

/// Reads a function's code; `None` if it is no code that is understood, or for another machine than
/// x86-64.
pub(super) fn read(function: &Function, bytes: &[u8]) -> Option<Code> {
    if !cfg!(target_arch = "x86_64") || function.size == 0 || function.size > LONGEST {
        return None;
    }
    if bytes.len() as u64 != function.size {
        return None;
    }
    let mut code = Code::default();
    let mut returns = Vec::new();
    let mut only_returns = true;
    let end = function.address.checked_add(function.size)?;
    let inside = |address| (function.address..end).contains(&address);
    let mut decoder = Decoder::with_ip(64, bytes, function.address, DecoderOptions::NONE);
    let mut last = FlowControl::Next;
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        let at = instruction.ip() - function.address;
        code.starts.push(at);
        last = instruction.flow_control();
        match last {
            FlowControl::Return => returns.push(at),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                only_returns &= inside(target(&instruction)?);
            }
            // A jump table, or the last call of the function: the code does not say which.
            FlowControl::IndirectBranch => only_returns = false,
            FlowControl::Next
            | FlowControl::Call
            | FlowControl::IndirectCall
            | FlowControl::Interrupt
            | FlowControl::XbeginXabortXend
            | FlowControl::Exception => {}
        }
    }
    // What falls out of its end goes on elsewhere.
    let falls = match last {
        FlowControl::Return
        | FlowControl::UnconditionalBranch
        | FlowControl::IndirectBranch
        | FlowControl::Exception => false,
        FlowControl::Next => true,
        // A call that never returns may be the last instruction, so may `hlt`.
        FlowControl::Call
        | FlowControl::IndirectCall
        | FlowControl::Interrupt
        | FlowControl::ConditionalBranch
        | FlowControl::XbeginXabortXend => last == FlowControl::ConditionalBranch,
    };
    if only_returns && !falls && !returns.is_empty() {
        code.returns = Some(returns);
    }
    Some(code)
}

/// Whether the kernel puts a probe on an instruction that begins so. On x86-64 it refuses those whose
/// effect it cannot have at another address or with another stack: with the prefix `lock`, or the segments
/// that have no meaning any more; input and output, `int3` and other traps, `hlt`, `cli`, `sti`.
///
/// One such instruction makes it refuse a link with all that are in it, so a description with a glob leaves
/// functions out that begin with one (`pthread_spin_lock`).
pub(super) fn can_be_probed(bytes: &[u8]) -> bool {
    if !cfg!(target_arch = "x86_64") {
        return true;
    }
    let mut prefixes = bytes.iter().copied();
    let opcode = prefixes
        .find(|byte| !matches!(byte, 0x66 | 0x67 | 0xf2 | 0xf3 | 0x40..=0x4f | 0x64 | 0x65));
    !matches!(
        opcode,
        Some(
            0x26 | 0x2e | 0x36 | 0x3e | 0xf0 // prefixes
                | 0x06 | 0x07 | 0x0e | 0x16 | 0x17 | 0x1e | 0x1f | 0x27 | 0x2f | 0x37 | 0x3f
                | 0x60 | 0x61 | 0x6c..=0x6f | 0x82 | 0x9a | 0xcc..=0xcf | 0xd4..=0xd6
                | 0xe4..=0xe7 | 0xea | 0xec..=0xef | 0xf1 | 0xf4 | 0xfa | 0xfb
        )
    )
}

/// Where a direct jump goes.
fn target(instruction: &Instruction) -> Option<u64> {
    match instruction.op0_kind() {
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            Some(instruction.near_branch_target())
        }
        // `xbegin` and far jumps, which no compiler makes.
        kind => {
            debug_assert!(
                instruction.mnemonic() != Mnemonic::Jmp || kind == OpKind::FarBranch32,
                "{instruction:?}"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> Option<Code> {
        let function = Function {
            name: "f".into(),
            address: 0x1000,
            file_offset: 0x1000,
            size: bytes.len() as u64,
            is_in_symtab: true,
        };
        read(&function, bytes)
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn returns_are_found_where_they_are_the_only_ways_out() {
        for (bytes, starts, returns) in [
            // test %edi,%edi; je 1f; ret; 1: nop; ret
            (
                &[0x85, 0xff, 0x74, 0x01, 0xc3, 0x90, 0xc3][..],
                &[0, 2, 4, 5, 6][..],
                Some(&[4, 6][..]),
            ),
            // je out of the function; ret
            (&[0x74, 0x40, 0xc3], &[0, 2], None),
            // jmp *%rax
            (&[0xff, 0xe0], &[0], None),
            // nop: goes on in what follows
            (&[0xc3, 0x90], &[0, 1], None),
            // call abort: never comes back
            (&[0xc3, 0xe8, 0, 1, 0, 0], &[0, 1], Some(&[0])),
            // no way out at all: jmp to itself
            (&[0xeb, 0xfe], &[0], None),
        ] {
            let code = code(bytes).unwrap();
            assert_eq!(code.starts, starts, "{bytes:x?}");
            assert_eq!(code.returns.as_deref(), returns, "{bytes:x?}");
        }
        assert_eq!(code(&[0x06, 0xc3]), None, "no instruction");
        assert_eq!(code(&[]), None);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn what_the_kernel_does_not_probe_is_known() {
        for (bytes, can) in [
            (&[0x55, 0x48, 0x89, 0xe5][..], true),   // push %rbp
            (&[0xf3, 0x0f, 0x1e, 0xfa], true),       // endbr64
            (&[0x64, 0x48, 0x8b, 0x04, 0x25], true), // mov %fs:...,%rax
            (&[0xf0, 0xff, 0x0f], false),            // lock decl (%rdi)
            (&[0x66, 0xf0, 0xff, 0x0f], false),
            (&[0xf4], false), // hlt
            (&[0xcc], false), // int3
        ] {
            assert_eq!(can_be_probed(bytes), can, "{bytes:x?}");
        }
    }
}
