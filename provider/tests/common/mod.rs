//! What the tests that need the real kernel share.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses a part of it"
)]

use std::path::Path;
use std::process::Command;

use provider::object::{Context, MapId, MapKind, MapSpec, Program, Relocation};
pub use test_support::{has, root};

/// Puts a program in its place, executable, by a process of its own. A file that is open for writing
/// cannot be run, and a descriptor of ours would be open, for a moment, in every command that
/// another test starts meanwhile.
pub fn install(from: &Path, to: &Path) {
    let status = Command::new("install")
        .args(["-m", "755"])
        .arg(from)
        .arg(to)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "install {}",
        to.display()
    );
}

/// A map with plausible sizes.
pub fn map(kind: MapKind, key_size: u32, value_size: u32, max_entries: u32) -> MapSpec {
    MapSpec::new(
        &format!("{kind:?}"),
        kind,
        key_size,
        value_size,
        max_entries,
    )
}

pub fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    u64::from(code)
        | u64::from(dst | src << 4) << 8
        | u64::from(off.cast_unsigned()) << 16
        | u64::from(imm.cast_unsigned()) << 32
}

/// A program that adds 1 to the first 8 bytes of an array map's first value, atomically.
pub fn counter(context: Context, map: MapId) -> Program {
    Program {
        name: "counter".into(),
        context,
        called: None,
        insns: vec![
            insn(0x18, 1, 0, 0, 0), // r1 = &value
            0,
            insn(0xb7, 2, 0, 0, 1), // r2 = 1
            insn(0xdb, 1, 2, 0, 0), // lock *(u64 *)r1 += r2
            insn(0xb7, 0, 0, 0, 0), // r0 = 0
            insn(0x95, 0, 0, 0, 0), // exit
        ],
        functions: vec![],
        relocations: vec![Relocation {
            insn: 0,
            map,
            value_offset: Some(0),
        }],
    }
}

/// A program that outputs the 8-byte attach cookie (or, for a direct one, the number 42) to a
/// ring buffer.
pub fn reporter(context: Context, ring: MapId) -> Program {
    let value = match context {
        Context::Registers => insn(0x85, 0, 0, 0, 174), // r0 = bpf_get_attach_cookie(ctx)
        Context::TracepointArguments
        | Context::EventRecord
        | Context::FunctionArguments(..)
        | Context::KernelRegisters
        | Context::PerfData
        | Context::Nothing => insn(0xb7, 0, 0, 0, 42),
    };
    Program {
        name: "reporter".into(),
        context,
        called: None,
        insns: vec![
            value,
            insn(0x7b, 10, 0, -8, 0), // *(u64 *)(fp - 8) = r0
            insn(0x18, 1, 0, 0, 0),   // r1 = ring
            0,
            insn(0xbf, 2, 10, 0, 0), // r2 = fp - 8
            insn(0x07, 2, 0, 0, -8),
            insn(0xb7, 3, 0, 0, 8), // r3 = 8
            insn(0xb7, 4, 0, 0, 1), // r4 = BPF_RB_NO_WAKEUP
            insn(0x85, 0, 0, 0, 130),
            insn(0xb7, 0, 0, 0, 0),
            insn(0x95, 0, 0, 0, 0),
        ],
        functions: vec![],
        relocations: vec![Relocation {
            insn: 2,
            map: ring,
            value_offset: None,
        }],
    }
}
