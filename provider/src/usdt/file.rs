//! The USDT probes of one file, as its notes have them.

use super::note::Note;
use super::version::Version;
use crate::object::UprobeSite;
use crate::probe::Site;

/// The USDT probes of one file.
#[derive(Clone, Debug, Default)]
pub struct UsdtFile {
    /// The build id, lower-case hex.
    pub build_id: Option<String>,
    /// The sites in the file's order.
    pub sites: Vec<UsdtSite>,
    /// The version of CPython, if this file has its interpreter and its probes.
    pub python: Option<Version>,
    /// What must be raised besides its own semaphore for CPython's `function-entry` to fire.
    pub entry_raises: Vec<UprobeSite>,
    /// Notes that name a place which the file does not have; they are left out of `sites`.
    pub misplaced: Vec<Note>,
}

/// One site.
#[derive(Clone, Debug)]
pub struct UsdtSite {
    /// The note as it stands in the file.
    pub note: Note,
    /// The function that holds the site; `None` if the symbol tables don't tell.
    pub function: Option<String>,
    /// Where it is, and where its arguments are.
    pub site: Site,
}

impl UsdtFile {
    /// The providers, sorted, each once.
    #[must_use]
    pub fn providers(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.sites.iter().map(|site| &*site.note.provider).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
