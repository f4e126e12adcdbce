//! What a file itself says about its interpreter's objects.
//!
//! From 3.13 on, the interpreter publishes some of the offsets of its fields (`_Py_DebugOffsets`, at
//! the start of `_PyRuntime`), and [`agrees`] compares them with those of the headers: a build with
//! other offsets (a fork, a debug build) is refused rather than misread.

use super::image::Image;
use super::offsets::{ByteCode, Offsets};
use super::refusal::Refusal;

/// What `_Py_DebugOffsets` says of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DebugOffsets {
    /// `PY_VERSION_HEX`.
    pub(super) version: u32,
    pub(super) free_threaded: bool,
    /// The words after those.
    words: Vec<u64>,
}

impl DebugOffsets {
    /// The words after the version and the flag.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }
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
