//! Where the fields are in the interpreter's objects, by version.
//!
//! The tables below are from the headers of each minor version; a patch release never moves a
//! field. From 3.13 on, the interpreter publishes some of them in the file itself
//! (`_Py_DebugOffsets`, at the start of `_PyRuntime`), and `agrees` compares the two: a build
//! with other offsets (a fork, a debug build) is refused rather than misread.

use super::image::Image;
use super::{Refusal, free_threaded};

/// Offsets in bytes from the start of each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The frame.
    pub frame: FrameOffsets,
    /// The code object.
    pub code: CodeOffsets,
    /// A `str`.
    pub string: StringOffsets,
    /// A `bytes`.
    pub bytes: BytesOffsets,
}

/// Offsets in `_PyInterpreterFrame`, before 3.11 in `PyFrameObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameOffsets {
    /// The code object's address.
    pub code: u16,
    /// The bits of that word that are the address; 3.14 on keep tags in the lowest.
    pub code_mask: u64,
    /// 3.11 on: the address of the current instruction. Before: `f_lasti`, a 32-bit index.
    pub instruction: u16,
    /// Bytes of byte code to one step of `f_lasti`: 2 in 3.10, 1 before; 0 where the frame has an
    /// address.
    pub index_scale: u8,
    /// The first local variable.
    pub locals: u16,
    /// 3.11 on: how frames are chained.
    pub chain: Option<FrameChain>,
}

/// Offsets in `_PyInterpreterFrame` that lead from a frame to its caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameChain {
    /// The caller's frame, or one that the interpreter put between.
    pub previous: u16,
    /// `owner`, a byte: `enum _frameowner`.
    pub owner: u16,
}

/// Offsets in `PyCodeObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeOffsets {
    /// Where the object's own fields start, behind the reference count and the type.
    pub header: u16,
    /// `co_flags`, 32 bits.
    pub flags: u16,
    /// `co_filename`, a `str`.
    pub filename: u16,
    /// `co_name`, a `str`.
    pub name: u16,
    /// `co_qualname`, a `str`; 3.11 on.
    pub qualname: Option<u16>,
    /// `co_firstlineno`, 32 bits.
    pub first_line: u16,
    /// `co_lnotab` or `co_linetable`, a `bytes`.
    pub line_table: u16,
    /// Where the byte code is.
    pub byte_code: ByteCode,
}

/// Where a code object has its byte code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteCode {
    /// In the code object itself, from 3.11 on.
    Inline {
        /// Its first byte.
        start: u16,
        /// Its length in code units of two bytes, a 64-bit integer.
        units: u16,
        /// Where each thread has a copy of its own.
        copies: Option<ThreadCopies>,
    },
    /// In a `bytes` that this field points to.
    Bytes {
        /// The field.
        pointer: u16,
    },
}

/// Where the copies of a code object's byte code are, one for each thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadCopies {
    /// In the frame: the number of its copy, 32 bits; 0 is the one in the code object.
    pub number: u16,
    /// In the code object: the address of an array of them.
    pub array: u16,
    /// In the array: the address of copy 0.
    pub entries: u16,
}

/// Offsets in the objects behind `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringOffsets {
    /// Number of code points, a 64-bit integer.
    pub length: u16,
    /// A 32-bit field with kind, compact and ascii.
    pub state: u16,
    /// Bits of the state that hold the width of a code point in bytes: 1, 2 or 4.
    pub kind: BitField,
    /// The bit of the state that says that the text follows the header.
    pub compact: u32,
    /// The bit of the state that says that all code points are below 128.
    pub ascii: u32,
    /// The text of an ASCII string, zero-terminated.
    pub ascii_data: u16,
    /// The text of a compact string that is not ASCII: `length` units of `kind` bytes.
    pub wide_data: u16,
}

/// Some bits of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// How far to shift right.
    pub shift: u8,
    /// What to keep then.
    pub mask: u32,
}

/// Offsets in `PyBytesObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesOffsets {
    /// Number of bytes, a 64-bit integer.
    pub length: u16,
    /// The first byte.
    pub data: u16,
}

/// The offsets of 3.`minor`, 6 to 15; free-threaded builds are 3.13 to 3.15.
pub fn of(minor: u8, free_threaded: bool) -> Option<Offsets> {
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

/// What `_Py_DebugOffsets` says of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DebugOffsets {
    /// `PY_VERSION_HEX`.
    pub(super) version: u32,
    pub(super) free_threaded: bool,
    /// The words after those.
    words: Vec<u64>,
}

/// Reads `_Py_DebugOffsets`, which 3.13 and later have at the start of `_PyRuntime`.
pub(super) fn debug_offsets(image: &Image<'_>) -> Option<DebugOffsets> {
    let runtime = image.symbol("_PyRuntime")?;
    let bytes = image.bytes_at(runtime.address)?;
    let words = bytes
        .get(..bytes.len().min(8 * DEBUG_WORDS))?
        .as_chunks::<8>()
        .0;
    let (cookie, rest) = words.split_first()?;
    if cookie != b"xdebugpy" {
        return None;
    }
    let mut rest = rest.iter().map(|w| u64::from_le_bytes(*w));
    let version = u32::try_from(rest.next()?).ok()?;
    let free_threaded = rest.next()? != 0;
    Some(DebugOffsets {
        version,
        free_threaded,
        words: rest.collect(),
    })
}

/// More words than any version's `_Py_DebugOffsets`.
const DEBUG_WORDS: usize = 144;

/// Compares the offsets that the file publishes with ours.
///
/// Fields were added between 3.13 and 3.14, so the groups are looked up by their values: each
/// must be there, in the order of the structure.
pub(super) fn agrees(published: &DebugOffsets, ours: &Offsets) -> Result<(), Refusal> {
    let word = u64::from;
    let ByteCode::Inline { start, copies, .. } = ours.code.byte_code else {
        return Err(Refusal::Offsets {
            what: "the byte code".into(),
        });
    };
    // struct _interpreter_frame: previous, executable, instr_ptr, localsplus
    let frame = [
        8,
        word(ours.frame.code),
        word(ours.frame.instruction),
        word(ours.frame.locals),
    ];
    // struct _code_object: filename, name, qualname, linetable, firstlineno
    let code = [
        word(ours.code.filename),
        word(ours.code.name),
        word(ours.code.qualname.unwrap_or(0)),
        word(ours.code.line_table),
        word(ours.code.first_line),
    ];
    // struct _bytes_object: ob_size, ob_sval
    let bytes = [word(ours.bytes.length), word(ours.bytes.data)];
    // struct _unicode_object: state, length, asciiobject_size
    let string = [
        word(ours.string.state),
        word(ours.string.length),
        word(ours.string.ascii_data),
    ];
    let mut rest = published.words.as_slice();
    for (group, what) in [
        (frame.as_slice(), "the frame"),
        (&code, "the code object"),
        (&bytes, "bytes objects"),
        (&string, "strings"),
    ] {
        let at = rest.windows(group.len()).position(|w| w == group);
        let at = at.ok_or(Refusal::Offsets { what: what.into() })?;
        rest = rest.get(at + group.len()..).unwrap_or(&[]);
        // owner, stackpointer, tlbc_index
        let number = copies.map(|copies| word(copies.number));
        let copied = number.is_none() || rest.get(2) == number.as_ref();
        if what == "the frame" && !copied {
            return Err(Refusal::Offsets { what: what.into() });
        }
        // argcount, localsplusnames, localspluskinds, co_code_adaptive, co_tlbc
        let array = copies.map(|copies| word(copies.array));
        let copied = array.is_none() || rest.get(4) == array.as_ref();
        if what == "the code object" && !(copied && rest.get(3) == Some(&word(start))) {
            return Err(Refusal::Offsets {
                what: "the byte code".into(),
            });
        }
    }
    Ok(())
}
