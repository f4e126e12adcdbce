//! Where the fields of the interpreter's objects are in each version, as its headers say.
//!
//! The tables are from the headers of each minor version; a patch release never moves a field.

use super::free_threaded;
use super::offsets::{
    BitField, ByteCode, BytesOffsets, CodeOffsets, FrameChain, FrameOffsets, Offsets, StringOffsets,
};

/// The offsets of 3.`minor`, 6 to 15; free-threaded builds are 3.13 to 3.15.
#[must_use]
pub fn offsets_of(minor: u8, free_threaded: bool) -> Option<Offsets> {
    let offsets = with_lock(minor)?;
    if free_threaded {
        return free_threaded::moved(offsets, minor);
    }
    Some(offsets)
}

fn with_lock(minor: u8) -> Option<Offsets> {
    let chain = |previous, owner| Some(FrameChain { previous, owner });
    let frame = match minor {
        6 => FrameOffsets {
            code: 32,
            code_mask: !0,
            instruction: 120,
            index_scale: 1,
            locals: 376,
            chain: None,
        },
        7..=9 => FrameOffsets {
            code: 32,
            code_mask: !0,
            instruction: 104,
            index_scale: 1,
            locals: 360,
            chain: None,
        },
        10 => FrameOffsets {
            code: 32,
            code_mask: !0,
            instruction: 96,
            index_scale: 2,
            locals: 352,
            chain: None,
        },
        11 => FrameOffsets {
            code: 32,
            code_mask: !0,
            instruction: 56,
            index_scale: 0,
            locals: 72,
            chain: chain(48, 69),
        },
        12 | 13 => FrameOffsets {
            code: 0,
            code_mask: !0,
            instruction: 56,
            index_scale: 0,
            locals: 72,
            chain: chain(8, 70),
        },
        14 | 15 => FrameOffsets {
            code: 0,
            code_mask: if minor == 14 { !1 } else { !3 },
            instruction: 56,
            index_scale: 0,
            locals: 80,
            chain: chain(8, 74),
        },
        _ => return None,
    };
    let inline = |start| ByteCode::Inline {
        start,
        units: 16,
        copies: None,
    };
    let bytes = |pointer| ByteCode::Bytes { pointer };
    #[rustfmt::skip]
    let (flags, filename, name, qualname, first_line, line_table, byte_code) = match minor {
        6 | 7   => (32,  96, 104, None,      36, 112, bytes(40)),
        8..=10 => (36, 104, 112, None,   40, 120, bytes(48)),
        11      => (48, 112, 120, Some(128), 72, 136, inline(184)),
        12      => (48, 112, 120, Some(128), 68, 136, inline(192)),
        13      => (48, 112, 120, Some(128), 68, 136, inline(200)),
        14 | 15 => (48, 112, 120, Some(128), 68, 136, inline(208)),
        _ => return None,
    };
    let (ascii_data, wide_data) = if minor >= 12 { (40, 56) } else { (48, 72) };
    Some(Offsets {
        frame,
        code: CodeOffsets {
            header: 16,
            flags,
            filename,
            name,
            qualname,
            first_line,
            line_table,
            byte_code,
        },
        string: StringOffsets {
            length: 16,
            state: 32,
            // interned: 2, kind: 3, compact: 1, ascii: 1, from the lowest bit; 3.14's field for
            // `interned` is no wider where there is a GIL.
            kind: BitField { shift: 2, mask: 7 },
            compact: 1 << 5,
            ascii: 1 << 6,
            ascii_data,
            wide_data,
        },
        bytes: BytesOffsets {
            length: 16,
            data: 32,
        },
    })
}
