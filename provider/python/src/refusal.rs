//! Why an interpreter cannot be traced, in words for people.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::image::BadImage;
use super::version::Version;

/// Why a file cannot be traced by this method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// Not an ELF file, or a broken one.
    #[error("it is not an ELF file that can be read: {0}")]
    NotElf(String),
    /// Another machine's.
    #[error("it is not for x86-64, the only machine that Python functions are found on so far")]
    Machine,
    /// Some other program.
    #[error("it is not a CPython interpreter")]
    NotPython,
    /// The interpreter is elsewhere.
    #[error("it is a starter only; the interpreter is in {library}, which it loads")]
    InLibrary {
        /// The library's name, as the file asks for it.
        library: String,
    },
    /// Python 2, or before 3.6.
    #[error("it is a CPython older than 3.6")]
    TooOld,
    /// No version could be read.
    #[error("it is a CPython, but of what version could not be found out")]
    UnknownVersion,
    /// A version that is not supported.
    #[error("CPython {version} is not one of 3.6 to 3.15, whose functions can be found")]
    Unsupported {
        /// The version.
        version: Version,
    },
    /// Two sources disagree.
    #[error("it says that it is CPython {version}, but its cache tag is {tag}")]
    Contradiction {
        /// What the version word says.
        version: Version,
        /// The tag of its compiled files.
        tag: String,
    },
    /// `--without-computed-gotos`, or another interpreter loop.
    #[error(
        "no dispatch table of CPython {version} was found in it; it was probably built without computed gotos"
    )]
    NoTable {
        /// The version.
        version: Version,
    },
    /// The table is not that of this version.
    #[error("its dispatch table is not that of CPython {version}; a modified interpreter?")]
    Fingerprint {
        /// The version.
        version: Version,
    },
    /// It behaves otherwise than its code looks.
    #[error("its self-test failed: {0}")]
    SelfTest(String),
    /// The handlers do not agree on the registers.
    #[error("the handlers of its opcodes do not agree on where the frame is ({0})")]
    Vote(String),
    /// The file's own table of offsets contradicts ours.
    #[error("it lays out {what} unlike the version that it says it is")]
    Offsets {
        /// Which object.
        what: Cow<'static, str>,
    },
    /// A function by which thread states are found is not what it should be.
    #[error(
        "its function {function}, by which the states of threads are found, does something else"
    )]
    ThreadStates {
        /// The function.
        function: String,
    },
    /// A place was not found.
    #[error("in {what} there is no place for a probe: {why}")]
    NoSite {
        /// Which place.
        what: String,
        /// The reason.
        why: String,
    },
}

impl From<BadImage> for Refusal {
    fn from(bad: BadImage) -> Self {
        match bad {
            BadImage::NotElf(why) => Self::NotElf(why),
            BadImage::Machine => Self::Machine,
        }
    }
}
