//! Where the code that finds Python's frames has its memory, and which maps it uses.

use crate::asm::MapRef;

/// What it takes to find Python's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PythonFrames {
    /// Where in the scratch its memory is: [`Self::BYTES`].
    pub at: u32,
    /// The maps.
    pub maps: PythonMaps,
}

/// The maps by which Python's frames are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PythonMaps {
    /// The facts of each process.
    pub processes: MapRef,
    /// The numbers of code objects.
    pub codes: MapRef,
    /// The texts of each number.
    pub texts: MapRef,
    /// Their line tables.
    pub tables: MapRef,
    /// Task storage of each thread: [`state_of_thread`].
    pub threads: MapRef,
}

impl PythonFrames {
    /// Bytes of its memory in the scratch.
    pub const BYTES: u32 = area::NEW + 16 * MOST_NEW;
}

/// Offsets in what is kept of a thread.
pub mod state_of_thread {
    /// The thread state that it had last.
    pub(crate) const STATE: i16 = 0;
    /// The program and the interpreter, a number from 1 on, whose running tasks are known.
    pub(crate) const PROGRAM: i16 = 8;
    /// See [`PROGRAM`].
    pub(crate) const INTERPRETER: i16 = 16;
    /// The address of the dict with these.
    pub(crate) const TASKS: i16 = 24;
    /// Bytes of it where tasks are asked for, and where they are not.
    pub const WITH_TASKS: u32 = 32;
    /// See [`WITH_TASKS`].
    pub const BYTES: u32 = 8;
}

/// Offsets in the memory of [`PythonFrames`].
pub(crate) mod area {
    use unwind::python::{EVAL_RANGES, FRAME_BYTES, WINDOW};

    /// What is known of the frames that were read: three words.
    pub(crate) const FRAMES: u32 = 0;
    /// What was read of a thread's state, then of its frames.
    pub(crate) const READ: u32 = FRAMES + 24;
    /// What was read of a code object, and the bytes of it that are not there in every build.
    pub(crate) const CODE: u32 = READ + WINDOW + FRAME_BYTES;
    /// The key of a code object. Its first word is the process, for the whole firing.
    pub(crate) const KEY: u32 = CODE + 256;
    /// The value to that key.
    pub(crate) const VALUE: u32 = KEY + 24;
    /// The key of a text or of a piece of a line table.
    pub(crate) const PIECE_KEY: u32 = VALUE + 8;
    /// The frame that the thread is in, as in a stack; 0 if there is none.
    pub(crate) const TOP: u32 = PIECE_KEY + 8;
    /// Its address.
    pub(crate) const TOP_FRAME: u32 = TOP + 8;
    /// Its code object's.
    pub(crate) const TOP_CODE: u32 = TOP_FRAME + 8;
    /// What a loop remembers from turn to turn: [`WORK_BYTES`].
    pub(crate) const WORK: u32 = TOP_CODE + 8;
    /// See [`WORK`].
    pub(crate) const WORK_BYTES: u32 = 96;
    /// A text or a piece of a line table that is put together.
    pub(crate) const NAMES: u32 = WORK + WORK_BYTES;
    /// In which code the calls of the interpreter's function run a function: ranges, as in the facts.
    pub(crate) const EVAL_CODE: u32 = NAMES + 1024 + 16;
    /// The list of new code objects.
    pub(crate) const NEW: u32 = EVAL_CODE + 16 * EVAL_RANGES;
}

/// The most new code objects in one firing: as deep as stacks are by default.
pub(crate) const MOST_NEW: u32 = 512;

/// Which of the texts of a code object, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PythonText {
    /// Its file.
    File = 0,
    /// Its function's name.
    Function = 1,
    /// Its qualified name.
    QualifiedName = 2,
}
