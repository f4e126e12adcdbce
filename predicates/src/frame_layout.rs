//! How a stack of frames is laid out in memory, and the maps that keep stacks and the tables to walk them by.

use crate::asm::MapRef;
use crate::words::Words;

/// Where stacks are built, and where they are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Offset in the scratch.
    pub at: u32,
    /// What limits them.
    pub limits: FrameLimits,
    /// The map with all stacks.
    pub map: MapRef,
    /// What it takes to walk the stacks of processes, if the program asks for them.
    pub unwind: Option<UnwindMaps>,
    /// Where in the scratch the Python functions are listed that `ustack()` puts between the frames of a program;
    /// `None` if it shows the program's own frames alone. [`Frames::listed`] has how many words.
    pub mixed: Option<u32>,
    /// Where in the scratch the part of a program's stack is that has been read, if stacks of programs are asked for.
    pub window: u32,
}

/// How many frames stacks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// The most that any stack has.
    pub most: u32,
    /// How many `stack()` gives unless it says otherwise.
    pub kernel: u32,
    /// The same of `ustack()`.
    pub user: u32,
    /// The same of `jstack()`.
    pub python: u32,
}

/// How much of a program's stack is read at once: a read costs as much as a hundred instructions, however little it
/// reads, and frames are small.
pub(crate) const WINDOW: u32 = 512;

/// The most frames that `jstack()` gives.
pub const MOST_PYTHON_FRAMES: u32 = 4096;

/// Where the process's id is in a stack.
pub const PROCESS: i16 = 0;
/// Where the number of frames is.
pub const COUNT: i16 = 4;
/// Where the first address is.
pub const ADDRESSES: u32 = 8;

impl Frames {
    /// The frames of a stack.
    pub(crate) fn addresses(self) -> Words {
        Words {
            at: self.at + ADDRESSES,
            room: self.limits.most,
        }
    }

    /// The list of Python functions, if there is one.
    pub(crate) fn listed(self) -> Option<Words> {
        self.mixed.map(|at| Words {
            at,
            room: self.limits.listed(),
        })
    }
}

impl FrameLimits {
    /// Bytes of a stack in memory.
    #[must_use]
    pub fn bytes(self) -> u32 {
        ADDRESSES + 8 * self.most
    }

    /// How many words the list of Python functions has that go between a program's own frames: as many functions as
    /// a stack has frames, as many places on the stack of C, and a last one.
    #[must_use]
    pub fn listed(self) -> u32 {
        2 * self.most + 2
    }
}

/// The maps with what it takes to walk stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwindMaps {
    /// The array map whose one value has ranges and tables.
    pub tables: MapRef,
    /// How many words of tables there is room for.
    pub words: u32,
    /// The hash map with the ranges of each process.
    pub processes: MapRef,
}
