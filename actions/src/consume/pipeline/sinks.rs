//! Where output, messages and events go.

use std::io::{self, Write};

use super::super::stats::ConsumerStats;

/// Something that the main thread must act on.
#[derive(Debug)]
pub enum Event {
    /// `exit()` ran.
    Exit,
    /// The reader of the output is gone (`EPIPE`): end the run quietly.
    OutputClosed,
    /// The output cannot be written, for example because the disk is full: end the run with the
    /// error.
    OutputFailed(io::Error),
}

/// Where everything goes. The functions are called from the format thread.
pub struct Sinks {
    /// The data.
    pub output: Box<dyn Write + Send>,
    /// Whether that is standard output, where the commands of `system()` print too.
    pub to_stdout: bool,
    /// Empties the output, where it is a file (`ftruncate()`).
    pub truncate: Box<dyn FnMut() -> io::Result<()> + Send>,
    /// A line for standard error, without the command's name. All output that comes before it
    /// has been written.
    pub report: Box<dyn FnMut(&str) + Send>,
    /// Events, each kind at most once, except `Exit`.
    pub event: Box<dyn FnMut(Event) + Send>,
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sinks").finish_non_exhaustive()
    }
}

/// What has gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Records and faults.
    pub consumer: ConsumerStats,
    /// Bytes written to the output.
    pub bytes: u64,
}
