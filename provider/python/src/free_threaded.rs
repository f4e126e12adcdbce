//! What is elsewhere in a free-threaded build (`--disable-gil`, 3.13 on).
//!
//! Every object starts with 32 bytes instead of 16: its owner and two reference counts take
//! more room, before the type. All fields behind move by that difference.
//!
//! From 3.14 on each thread has a copy of the byte code of its own, so that it can specialise it
//! without asking others:
//!
//! ```text
//!   frame ---> code object ---> co_code_adaptive                 copy 0, the first thread's
//!     |             `---------> co_tlbc: size, entries[0]
//!     |                               entries[1] ------------>   copy 1
//!     `-------> tlbc_index, a number of a copy
//! ```
//!
//! A frame's instruction pointer is into the copy that it has the number of. The copies differ in
//! the forms of opcodes only: an instruction's distance from the start is the same in all.

use super::offsets::{ByteCode, FrameChain, Offsets, ThreadCopies};

/// How much longer the start of an object is.
const LONGER: u16 = 16;

/// The offsets of 3.`minor` without the lock, from those with it.
pub(super) fn moved(with_lock: Offsets, minor: u8) -> Option<Offsets> {
    let mut offsets = with_lock;
    let code = &mut offsets.code;
    for field in [
        &mut code.header,
        &mut code.flags,
        &mut code.filename,
        &mut code.name,
        &mut code.first_line,
        &mut code.line_table,
    ] {
        *field += LONGER;
    }
    code.qualname = code.qualname.map(|offset| offset + LONGER);
    let ByteCode::Inline { start, units, .. } = code.byte_code else {
        return None;
    };
    let string = &mut offsets.string;
    for field in [
        &mut string.length,
        &mut string.state,
        &mut string.ascii_data,
        &mut string.wide_data,
        &mut offsets.bytes.length,
        &mut offsets.bytes.data,
    ] {
        *field += LONGER;
    }
    let owner = |owner| Some(FrameChain { previous: 8, owner });
    // Each version has added one field before the byte code, for these builds only.
    let copies = match minor {
        13 => None,
        14 | 15 => {
            // `interned` has a byte of its own, to be changed atomically.
            string.kind.shift += 6;
            string.compact <<= 6;
            string.ascii <<= 6;
            offsets.frame.chain = owner(78);
            Some(ThreadCopies {
                number: 72,
                array: 224,
                entries: 8,
            })
        }
        _ => return None,
    };
    code.byte_code = ByteCode::Inline {
        start: start + LONGER + if copies.is_some() { 8 } else { 0 },
        units: units + LONGER,
        copies,
    };
    Some(offsets)
}

#[cfg(test)]
mod tests {
    use super::super::headers::offsets_of as of;
    use super::*;

    /// What a C compiler says of the headers, with `Py_GIL_DISABLED`.
    #[test]
    fn offsets_are_those_of_the_headers() {
        for (minor, start, owner, kind, ascii) in [
            (13, 216, 70, 0x1c, 0x40),
            (14, 232, 78, 0x700, 0x1000),
            (15, 232, 78, 0x700, 0x1000),
        ] {
            let offsets = of(minor, true).unwrap();
            let code = offsets.code;
            assert_eq!([code.header, code.flags, code.first_line], [32, 64, 84]);
            assert_eq!([code.filename, code.name, code.line_table], [128, 136, 152]);
            assert_eq!(code.qualname, Some(144));
            let ByteCode::Inline {
                start: at, units, ..
            } = code.byte_code
            else {
                panic!("{:?}", code.byte_code);
            };
            assert_eq!([at, units], [start, 32]);
            assert_eq!(offsets.frame.chain.unwrap().owner, owner);
            let string = offsets.string;
            assert_eq!([string.length, string.state], [32, 48]);
            assert_eq!([string.ascii_data, string.wide_data], [56, 72]);
            assert_eq!(string.kind.mask << string.kind.shift, kind);
            assert_eq!(string.ascii, ascii);
            assert_eq!([offsets.bytes.length, offsets.bytes.data], [32, 48]);
        }
    }

    #[test]
    fn there_are_none_before_3_13() {
        assert_eq!(of(12, true), None);
        assert_eq!(of(16, true), None);
    }
}
