//! How full the heap may be where the code now stands, added up while the code is made.

/// How full the heap may be.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    /// The most that this firing has used where the code now stands, in bytes.
    pub(crate) now: u32,
    /// The most that a firing of any probe uses.
    pub(crate) max: u32,
    /// The most that a firing uses without ERROR.
    pub(crate) before_errors: u32,
    /// Bytes behind the heap that may be read or written.
    pub(crate) beyond: u32,
    /// The comparisons with `max`, by their instructions.
    pub(crate) checks: Vec<usize>,
}

impl Heap {
    pub(crate) fn start_probe(&mut self) {
        self.now = 0;
    }

    /// Gives what was used before.
    pub(crate) fn start_errors(&mut self) -> u32 {
        self.before_errors = self.max;
        std::mem::replace(&mut self.now, self.max)
    }

    pub(crate) fn end_errors(&mut self, now: u32) {
        self.now = now;
    }

    pub(crate) fn end_error(&mut self) {
        self.now = self.before_errors;
    }
}
