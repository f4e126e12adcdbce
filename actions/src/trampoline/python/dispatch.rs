//! The labels, slots and maps that all code for the hits in one interpreter's file shares.

use predicates::asm::Label;
use provider::python::offsets::FrameChain;
use provider::python::{Build, Event, FlagTest, Site};

use super::maps::{ARGUMENTS, PythonMaps};
use super::read::signed;

/// Whether a frame becomes active.
pub(super) fn starts(event: Event) -> bool {
    matches!(event, Event::Entry | Event::Throw)
}

/// Where a firing goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Firing {
    /// The probe's code.
    pub(super) entry: Label,
    /// Whether it uses arguments.
    pub(super) arguments: bool,
    /// Whether it uses the frame.
    pub(super) frame: bool,
    /// Whether it uses what the function returns.
    pub(super) returned: bool,
}

/// An instruction of the interpreter that is probed.
#[derive(Clone, Copy, Debug)]
pub(in crate::trampoline) struct PythonSite<'p> {
    pub(in crate::trampoline) site: &'p Site,
    /// What the flags must be for a hit to count.
    pub(super) flags: Option<FlagTest>,
    /// Whether only specialised instructions come here.
    pub(super) specialised: bool,
}

impl<'p> From<&'p Site> for PythonSite<'p> {
    fn from(site: &'p Site) -> Self {
        Self {
            site,
            flags: None,
            specialised: false,
        }
    }
}

/// The code for the hits in one file.
pub(in crate::trampoline) struct Dispatch<'p> {
    pub(super) build: &'p Build,
    /// Whether entries and returns are paired; if not, each hit is an event.
    pub(super) pairs: bool,
    /// A number for the process, where all hits are of one.
    pub(super) process: Option<u16>,
    pub(super) maps: PythonMaps,
    /// The slots of arg0 to arg2.
    pub(super) slots: [Option<i16>; ARGUMENTS as usize],
    /// The slot of the frame, where a probe uses it.
    pub(super) frame: Option<i16>,
    /// The slot of what the function returns, where a probe uses it.
    pub(super) returned: Option<i16>,
    /// The slot of whether the function goes on, where a probe uses it.
    pub(super) resumed: Option<i16>,
    /// function-entry and function-return, where they are enabled.
    pub(super) firings: [Option<Firing>; 2],
    pub(super) scratch: Scratch,
    /// Where hits go to be paired.
    pub(super) enter: Label,
    pub(super) exit: Label,
    /// How threads that run already are met; `None` where they need not be, or cannot.
    pub(super) earlier: Option<Earlier>,
    pub(super) mismatch: Label,
    pub(super) leave: Label,
}

/// Where on the stack a hit's values are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scratch {
    /// Frame, process, code object, instruction: the first two are the key of an active frame,
    /// the last three the key of its arguments.
    pub(super) keys: i16,
    /// What is read of the frame; later the value for the cache.
    pub(super) value: i16,
    /// Eight bytes for single values.
    pub(super) word: i16,
}

impl Scratch {
    pub(super) const fn frame(self) -> i16 {
        self.keys
    }
    pub(super) const fn process(self) -> i16 {
        self.keys + 8
    }
    pub(super) const fn code(self) -> i16 {
        self.keys + 16
    }
    pub(super) const fn instruction(self) -> i16 {
        self.keys + 24
    }
    /// What was read of the code object.
    pub(super) fn code_fields(self) -> i16 {
        self.value + signed(8 * ARGUMENTS)
    }
}

/// The labels around following a chain of frames (`earlier`).
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) chain: FrameChain,
    /// To follow from the frame that was hit, if it ends: it was active.
    pub(super) from_frame: Label,
    /// To follow from its caller, if it starts.
    pub(super) from_caller: Label,
    /// Where each site goes on afterwards.
    pub(super) resume: Vec<(i32, Label)>,
}
