//! What code must know of a Python to read its objects.

use dlang::program::Subroutine;
use unwind::objects::Layout;
pub(super) use unwind::objects::{AFTER, BEFORE, Fact, INLINE, OWN_WORD, TAGGED};

/// What a firing knows of the Python that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// How its objects are laid out, or why that is not known.
    pub layout: Result<Layout, String>,
    /// The number of the argument that is an audit event's tuple; or why there is none.
    pub audit: Result<u8, String>,
    /// Whether the name of a running asyncio task can be had; or why not.
    pub task: Result<(), String>,
    /// Whether it can be had by whom tasks are awaited; or why not.
    pub awaiting: Result<(), String>,
    /// The slot with the address of the frame of the function that fires; or why there is none.
    pub frame: Result<i16, String>,
    /// The slot with what that function returns; or why there is none.
    pub returned: Result<i16, String>,
    /// The slot with whether it is a generator or coroutine that goes on; or why that is not known.
    pub resumed: Result<i16, String>,
    /// What argument 0 is where an exception has found its handler; `None` in any other probe.
    pub caught: Option<Caught>,
}

/// What is known of an exception where it has found its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// How far the handler is in the byte code, in the unit of the frame's own number; the exception is still the
    /// one that the thread raises.
    Handler,
    /// The exception, and perhaps bits that are no part of its address; the frame is at the handler's first instruction,
    /// which has no line of its own.
    Exception,
}

/// A variable of Python's functions that a program names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonName {
    /// Which function names it: `pyarg` or `pylocal`.
    pub function: Subroutine,
    /// The name.
    pub name: Vec<u8>,
}
