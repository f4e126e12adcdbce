//! Where output, messages and events go.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};

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
    /// Takes back what has been written, where the output is a file. What follows goes to its end.
    pub cut: Box<dyn FnMut(Cut) -> io::Result<()> + Send>,
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

/// What is taken back of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it (`ftruncate()`).
    All,
    /// As many bytes at its end.
    Last(u64),
}

impl Cut {
    /// Takes it from a file.
    ///
    /// # Errors
    ///
    /// When it is no file that can be cut.
    pub fn apply(self, mut file: &File) -> io::Result<()> {
        let length = match self {
            Self::All => 0,
            Self::Last(bytes) => file.metadata()?.len().saturating_sub(bytes),
        };
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(())
    }
}
