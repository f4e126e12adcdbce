//! Where the fields are in the interpreter's objects: the numbers that the analysis gives.

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
    /// The bits of that word that are the address, from 3.14 on less some tags in the lowest ones; to be
    /// extended with its sign.
    pub code_mask: i32,
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
    pub compact: i32,
    /// The bit of the state that says that all code points are below 128.
    pub ascii: i32,
    /// The text of an ASCII string, zero-terminated.
    pub ascii_data: u16,
    /// The text of a compact string that is not ASCII: `length` units of `kind` bytes.
    pub wide_data: u16,
}

impl StringOffsets {
    /// The object's type, as in every object; the length follows it.
    #[must_use]
    pub const fn object_type(&self) -> u16 {
        self.length - 8
    }

    /// `tp_flags` in a type: 18 words behind the header that it has in common with a `str`, length included.
    #[must_use]
    pub const fn type_flags(&self) -> u16 {
        self.length + 8 + 18 * 8
    }
}

/// Some bits of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// How far to shift right.
    pub shift: u8,
    /// What to keep then.
    pub mask: i32,
}

/// Offsets in `PyBytesObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesOffsets {
    /// Number of bytes, a 64-bit integer.
    pub length: u16,
    /// The first byte.
    pub data: u16,
}
