//! What a function's machine code says about probing it: where it returns, and whether it can be.
//!
//! A probe on a `ret` disturbs nothing: the function has done its work, and its result is in its
//! register. The kernel's own return probes put an address of the kernel's in the place of the
//! function's return address, which a program can notice (exceptions, profilers, Go). So a function
//! is probed at its `ret` instructions if these are all its ways out: if its code can be read from its
//! start to its end, and no jump leaves it but into the part that GCC keeps apart (`f.cold`).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};

use crate::usdt::symbols::Function;

/// Longer functions are not read.
const LONGEST: u64 = 1 << 20;

/// What a function's code says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Where its instructions start, from the start of the function; not those of a part that is kept apart.
    pub(super) starts: Vec<u64>,
    /// Where jumps out of it go, as linked addresses.
    pub(super) leaves: Vec<u64>,
    /// The linked addresses of its `ret`s.
    returns: Vec<u64>,
    /// Whether it also goes on elsewhere, nobody knows where.
    goes_on: bool,
}

impl Code {
    /// The linked addresses of the instructions by which the function returns, if it returns in no other
    /// way.
    pub(super) fn returns(&self) -> Option<&[u64]> {
        let only = self.leaves.is_empty() && !self.goes_on && !self.returns.is_empty();
        only.then_some(&self.returns)
    }
}

/// Reads a function's code, and that of its part that is kept apart; `None` if it is no code that is
/// understood, or for another machine than x86-64.
pub(super) fn read(
    function: (&Function, &[u8]),
    apart: Option<(&Function, &[u8])>,
) -> Option<Code> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let mut code = Code::default();
    for (part, bytes) in [Some(function), apart].into_iter().flatten() {
        if part.size == 0 || part.size > LONGEST || bytes.len() as u64 != part.size {
            return None;
        }
        let starts = read_part(part, bytes, &mut code)?;
        if code.starts.is_empty() {
            code.starts = starts;
        }
    }
    let of =
        |part: &Function, address| address >= part.address && address - part.address < part.size;
    code.leaves.retain(|&address| {
        !of(function.0, address) && !apart.is_some_and(|(part, _)| of(part, address))
    });
    Some(code)
}

/// Adds where a part of a function goes, jumps within the function included; gives where its instructions
/// start.
fn read_part(part: &Function, bytes: &[u8], code: &mut Code) -> Option<Vec<u64>> {
    let mut starts = Vec::new();
    let mut decoder = Decoder::with_ip(64, bytes, part.address, DecoderOptions::NONE);
    let mut last = FlowControl::Next;
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        starts.push(instruction.ip() - part.address);
        last = instruction.flow_control();
        match last {
            FlowControl::Return => code.returns.push(instruction.ip()),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                code.leaves.push(target(&instruction)?);
            }
            // A jump table, or the last call of the function: the code does not say which.
            FlowControl::IndirectBranch => code.goes_on = true,
            FlowControl::Next
            | FlowControl::Call
            | FlowControl::IndirectCall
            | FlowControl::Interrupt
            | FlowControl::XbeginXabortXend
            | FlowControl::Exception => {}
        }
    }
    // What falls out of its end goes on elsewhere. A call that never returns may be the last
    // instruction, so may `hlt`.
    code.goes_on |= match last {
        FlowControl::Next | FlowControl::ConditionalBranch => true,
        FlowControl::Return
        | FlowControl::UnconditionalBranch
        | FlowControl::IndirectBranch
        | FlowControl::Exception
        | FlowControl::Call
        | FlowControl::IndirectCall
        | FlowControl::Interrupt
        | FlowControl::XbeginXabortXend => false,
    };
    Some(starts)
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

    fn function(address: u64, bytes: &[u8]) -> Function {
        Function {
            name: "f".into(),
            address,
            file_offset: address,
            size: bytes.len() as u64,
            is_in_symtab: true,
            has_name: true,
        }
    }

    fn code(bytes: &[u8]) -> Option<Code> {
        read((&function(0x1000, bytes), bytes), None)
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn returns_are_found_where_they_are_the_only_ways_out() {
        for (bytes, starts, returns) in [
            // test %edi,%edi; je 1f; ret; 1: nop; ret
            (
                &[0x85, 0xff, 0x74, 0x01, 0xc3, 0x90, 0xc3][..],
                &[0, 2, 4, 5, 6][..],
                Some(&[0x1004, 0x1006][..]),
            ),
            // je out of the function; ret
            (&[0x74, 0x40, 0xc3], &[0, 2], None),
            // jmp *%rax
            (&[0xff, 0xe0], &[0], None),
            // nop: goes on in what follows
            (&[0xc3, 0x90], &[0, 1], None),
            // call abort: never comes back
            (&[0xc3, 0xe8, 0, 1, 0, 0], &[0, 1], Some(&[0x1000])),
            // no way out at all: jmp to itself
            (&[0xeb, 0xfe], &[0], None),
        ] {
            let code = code(bytes).unwrap();
            assert_eq!(code.starts, starts, "{bytes:x?}");
            assert_eq!(code.returns(), returns, "{bytes:x?}");
        }
        assert_eq!(code(&[0x06, 0xc3]), None, "no instruction");
        assert_eq!(code(&[]), None);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_part_that_is_kept_apart_belongs_to_the_function() {
        // je into the part; ret
        let bytes = [0x74, 0x0d, 0xc3];
        let main = function(0x1000, &bytes);
        let alone = read((&main, &bytes), None).unwrap();
        assert_eq!((&alone.leaves[..], alone.returns()), (&[0x100f][..], None));
        for (apart, returns) in [
            // ret
            (&[0xc3][..], Some(&[0x1002, 0x100f][..])),
            // jmp back to the ret
            (&[0xeb, 0xf1], Some(&[0x1002])),
            // jmp elsewhere
            (&[0xeb, 0x70], None),
            // jmp *%rax
            (&[0xff, 0xe0], None),
        ] {
            let part = function(0x100f, apart);
            let code = read((&main, &bytes), Some((&part, apart))).unwrap();
            assert_eq!(code.returns(), returns, "{apart:x?}");
            assert_eq!(code.starts, [0, 2], "{apart:x?}");
        }
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
