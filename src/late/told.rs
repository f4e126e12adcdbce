//! Which of these messages have been given: none is given twice, and of long lists only the beginning, with a
//! count of the rest at the end.

use std::collections::HashSet;
use std::path::PathBuf;

use provider::probe::File;

use crate::compile::Spec;

/// How many files that cannot be enabled are told of one by one, and programs that nobody could look at.
pub(super) const TOLD: usize = 20;

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The interpreters that lack what a description means.
    pub(super) lacking: HashSet<(Spec, PathBuf)>,
    /// The processes and files whose probes came late, or of which nobody knows.
    pub(super) late: HashSet<(u32, (u64, u64))>,
    /// That there is no right to look into others' processes.
    pub(super) hidden: bool,
    /// How nothing would be missed.
    pub(super) advice: bool,
    /// How many programs had ended, and their files were gone, before anybody could look at them.
    pub(super) unseen: usize,
    /// The processes of which files were gone so that have no names as those of an interpreter.
    pub(super) undecided: HashSet<u32>,
    /// The files that could not be enabled.
    pub(super) refused: HashSet<(u64, u64)>,
}

impl Told {
    /// Whether a file's probes could not be enabled.
    pub(super) fn has_refused(&self, file: &File) -> bool {
        self.refused.contains(&file.identity)
    }
}
