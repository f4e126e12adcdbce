//! What came of a self-test.

use std::fmt;

/// What came of a self-test.
#[derive(Debug)]
pub(super) enum Outcome {
    /// So many events, all as expected.
    Passed(usize),
    /// They differ.
    Failed(String),
    /// It could not be tried.
    NotRun(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(events) => write!(f, "passed, {events} events as expected"),
            Self::Failed(why) => write!(f, "FAILED, {why}"),
            Self::NotRun(why) => write!(f, "not possible: {why}"),
        }
    }
}
