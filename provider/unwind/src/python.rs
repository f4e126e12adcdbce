//! The frames of Python functions: what the generated code is told of each process that runs a Python, and how
//! it hands over which code objects it has seen.
//!
//! A hash map has the *facts* of each process under its id: words, in the order of [`Fact`], and behind them how it lays
//! out its objects ([`crate::objects`]). Another one numbers code objects as they are met:
//!
//! ```text
//!     key    0  u64  the process: its id, and how many programs it has been in the upper half
//!            8  u64  the address of the code object
//!           16  u64  a hash of its fields: code objects die, and others take their place
//!     value  0  u32  its number, from 1 on
//!            4  u32  where it starts in its byte code: before, its function has not started yet
//! ```
//!
//! A third one has the texts of each number under `number | which << 32`: file, function and qualified name, UTF-8
//! with a NUL; and under [`HEADER`] three words of 32 bits: the first line, the format of the line table, and how
//! many bytes that has. A fourth one has the line table in pieces, from piece 1 on, under `number | piece << 32`.
//!
//! In a stack a Python frame is one word: [`FRAME`], the number of the code object in the bits from
//! [`NUMBER_SHIFT`] on, and below, in 32 bits with a sign, the distance of its instruction from the start of
//! its byte code.

use crate::objects::Layout;

/// What the generated code is told of a process, by its place in the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fact {
    /// The address of the variable with the address of the first interpreter.
    Interpreters,
    /// In an interpreter: the next one.
    NextInterpreter,
    /// In an interpreter: its first thread state.
    FirstThread,
    /// In a thread state: the thread that it is of.
    ThreadId,
    /// In a thread state: the byte with [`Fact::LastActive`]; 0 if there is none.
    Status,
    /// The bit that a thread's last active state has set there.
    LastActive,
    /// In a thread state: its current frame, or where that is.
    Frame,
    /// There: the current frame; [`NO_FIELD`] if it is in the thread state itself.
    FrameWithin,
    /// How many bytes of a thread state have all that is needed to know it, and [`Fact::Frame`].
    StateBytes,
    /// How many bytes of a frame have all that is needed of it.
    FrameBytes,
    /// The bits of a frame's address that are 0 where reading begins: with the frame, callers that lie below it are
    /// read; 0 where frames do not lie beside each other.
    FrameWindow,
    /// In a frame: its caller's.
    Previous,
    /// In a frame: its code object, and the bits of that word that are its address.
    Code,
    /// See [`Fact::Code`].
    CodeMask,
    /// In a frame: its instruction, or the number of it.
    Instruction,
    /// Bytes of byte code to a number; 0 where there is an address.
    IndexScale,
    /// In a frame: a byte that tells what it belongs to, and which of its bits do.
    Owner,
    /// See [`Fact::Owner`].
    OwnerMask,
    /// In a frame: the number of its thread's copy of the byte code, 32 bits; [`NO_FIELD`] if there are none.
    CopyNumber,
    /// In a code object: the address of the array of copies.
    Copies,
    /// In that: the address of copy 0.
    CopyEntries,
    /// In a code object: the address of its type, with which what is read of it begins.
    CodeFields,
    /// How many bytes are read from there.
    CodeBytes,
    /// `PyCode_Type`.
    CodeType,
    /// In what is read of a code object: its file, name, qualified name and line table.
    File,
    /// See [`Fact::File`].
    Name,
    /// See [`Fact::File`].
    QualifiedName,
    /// See [`Fact::File`].
    LineTable,
    /// There: its first line, 32 bits.
    FirstLine,
    /// There: a word that changes while the code object lives; the bits of it that do not.
    Changing,
    /// See [`Fact::Changing`].
    ChangingMask,
    /// In a code object: the start of its byte code; [`NO_FIELD`] where frames have numbers of instructions.
    ByteCode,
    /// In a code object: the number of the first instruction that belongs to its function; [`NO_FIELD`] where
    /// all do.
    FirstTraceable,
    /// In a `str`: its state, and the bits there that say that it is ASCII and follows its header.
    State,
    /// See [`Fact::State`].
    Ascii,
    /// In its state: the bit that says that it follows its header.
    Compact,
    /// In its state: how far to shift for the bytes of a character, a number of three bits.
    KindShift,
    /// In a `str`: how many characters it has.
    Length,
    /// In a `str`: the text of an ASCII string.
    AsciiText,
    /// In a `str`: other text, or its address.
    WideText,
    /// In a `str`: the address of its UTF-8, if it is known.
    Utf8,
    /// In a `bytes`: how many it has.
    BytesLength,
    /// In a `bytes`: the first of them.
    BytesData,
    /// In a thread state: the exception that is being raised, or its class; [`NO_FIELD`] if that is not known.
    Exception,
    /// There, before 3.12: what belongs to that class, an exception or what one is to be made of; [`NO_FIELD`] from
    /// then on.
    ExceptionValue,
    /// In a thread state, 3.14 on: the asyncio task that it is running; 0 if that is found by the event loop, or not
    /// known.
    RunningTask,
    /// In a thread state, 3.13: the event loop that it is running; 0 if that is elsewhere.
    RunningLoop,
    /// In a thread state, before: the dict that has it; 0 if it is elsewhere.
    ThreadDict,
    /// In what the dict has: the loop; 0 if it is the loop.
    LoopHolder,
    /// In an interpreter: the dict of its modules.
    Modules,
    /// In an interpreter: its number, which no other of its process has.
    InterpreterId,
    /// In a task or future of asyncio's C code, 3.14 on: by whom it is awaited; 0 if that is not known, nor what follows up
    /// to [`Fact::GeneratorType`].
    AwaitedBy,
    /// In such a task: its coroutine.
    TaskCoroutine,
    /// In a coroutine: its frame, and, five bytes before, its state.
    CoroutineFrame,
    /// That state in an `await` of another one.
    Awaiting,
    /// In a frame: the address behind its stack.
    StackPointer,
    /// How far before that is what the coroutine awaits.
    AwaitedBehind,
    /// `PyCoro_Type` and `PyGen_Type`.
    CoroutineType,
    /// See [`Fact::CoroutineType`].
    GeneratorType,
    /// Where the number is of the block of thread-local storage that threads have for the file of the extension module greenlet;
    /// 0 where that has none, or is not loaded.
    GreenletBlock,
    /// In such a block: the address of what is known of its thread, or a smaller number than 2.
    GreenletState,
    /// There: the greenlet that it is running.
    Greenlet,
    /// Before greenlet 2.0: the variable with the greenlet that ran last, of any thread; 0 from then on.
    LastGreenlet,
    /// In a greenlet: the dict of its thread.
    GreenletDict,
    /// In a thread state: that dict.
    DictOfGreenlets,
    /// How the calls of the interpreter's function are told from each other on the stack of C: an [`EvalCalls`].
    EvalCalls,
    /// In a frame, where that is [`EvalCalls::Structs`]: a byte that is not 0 in the outermost one of each call; else
    /// [`NO_FIELD`].
    EntryFrame,
    /// The format of line tables: [`LNOTAB`], [`LINE_TABLE`], [`LOCATIONS`].
    LineFormat,
    /// Where that is [`EvalCalls::Code`]: the first of [`EVAL_RANGES`] ranges of that code, each its start and its length.
    EvalCode,
}

/// What stands for the formats of line tables: those of 3.6 to 3.9, of 3.10, of 3.11 on. Their twin is `LineFormat` in
/// `provider/python/src/lines.rs`.
pub const LNOTAB: u32 = 0;
/// See [`LNOTAB`].
pub const LINE_TABLE: u32 = 1;
/// See [`LNOTAB`].
pub const LOCATIONS: u32 = 2;

impl Fact {
    /// How many there are.
    pub const COUNT: usize = Self::EvalCode as usize + 2 * EVAL_RANGES as usize;

    /// Where it is in the value.
    #[must_use]
    pub const fn offset(self) -> i16 {
        8 * (self as i16)
    }
}

/// What calls of the interpreter's function leave on the stack of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EvalCalls {
    /// Nothing that could be found.
    Unknown = 0,
    /// 3.11: the struct in which the current frame is, and behind that the address of the one of the call before.
    Structs = 1,
    /// 3.12 on: a frame in front of those of the functions that they run.
    Frames = 2,
    /// Before 3.11: nothing, but there is one for each function, told by the code that it is in.
    Code = 3,
}

/// How many ranges of code there are in which calls of the interpreter's function run a function, before 3.11. Their twin is
/// `EvalCode` in `provider/python/src/eval_code.rs`.
pub const EVAL_RANGES: u32 = 8;

/// What stands for the place of a field that there is not.
pub const NO_FIELD: u64 = u64::MAX;

/// The facts of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// In the order of [`Fact`].
    pub words: [u64; Fact::COUNT],
    /// How objects are laid out; `None` if that is not known.
    pub layout: Option<Layout>,
}

/// Where the layout of objects starts in the value: it is known if the first word is not 0.
pub const LAYOUT: u32 = 8 * (Fact::EvalCode as u32 + 2 * EVAL_RANGES);
const _: () = assert!(LAYOUT as usize == 8 * Fact::COUNT);

impl Facts {
    /// Bytes of them.
    pub const BYTES: u32 = LAYOUT + Layout::BYTES.next_multiple_of(8);

    /// The facts as they are in the map.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let words = self.words.iter().flat_map(|word| word.to_ne_bytes());
        let layout = self.layout.iter().flat_map(Layout::bytes);
        let mut bytes: Vec<u8> = words.chain(layout).collect();
        bytes.resize(Self::BYTES as usize, 0);
        bytes
    }
}

/// How many bytes below a frame may be read with it, a power of 2, and of a thread state all but one. A read costs as much
/// as a hundred instructions, however little it reads.
pub const WINDOW: u32 = 1024;
/// The most bytes that are read of a frame, and of a code object.
pub const FRAME_BYTES: u32 = 128;
/// See [`FRAME_BYTES`].
pub const CODE_BYTES: u32 = 136;

/// The most processes.
pub const PROCESSES: u32 = 1 << 13;
/// The most code objects.
pub const CODES: u32 = 1 << 14;
/// The most pieces of their line tables. Few have more than one.
pub const ALL_PIECES: u32 = CODES + CODES / 4;
/// Bytes of a key and of a value of the map that numbers code objects.
pub const CODE_KEY: u32 = 24;
/// See [`CODE_KEY`].
pub const CODE_VALUE: u32 = 8;

/// Bytes of a text, and how many texts a code object has.
pub const TEXT: u32 = 256;
/// See [`TEXT`].
pub const TEXTS: u32 = 3;
/// Where the first line and the like are.
pub const HEADER: u32 = 3;
/// Bytes of a piece of a line table.
pub const PIECE: u32 = 1024;
/// The most pieces of a code object: of a longer line table no lines are known.
pub const PIECES: u32 = 1024;

/// The bit that tells the word of a Python frame from an address.
pub const FRAME: u64 = 1 << 63;
/// Where the number of the code object is.
pub const NUMBER_SHIFT: u32 = 32;
/// Stands behind the last frame of a stack that has more.
pub const AND_MORE: u64 = u64::MAX;

/// The number of the code object of a frame's word, and the distance of its instruction; `None` if it is none.
#[must_use]
pub fn frame(word: u64) -> Option<(u32, i32)> {
    let [low, high] = [word, word >> NUMBER_SHIFT].map(|half| u32::try_from(half & 0xffff_ffff));
    let (low, high) = (low.ok()?, high.ok()?);
    (word & FRAME != 0).then_some((high & !(1 << 31), low.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_is_written() {
        let word = FRAME | 7 << NUMBER_SHIFT | u64::from(u32::MAX - 1);
        assert_eq!(frame(word), Some((7, -2)));
        assert_eq!(frame(0x7fff_0000_1234), None);
        assert_eq!(frame(FRAME), Some((0, 0)));
    }
}
