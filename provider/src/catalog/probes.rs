//! The probes that have been asked for, and their ids.
//!
//! A probe is made when it is first asked for and keeps its id for the run, so that `id` in a
//! script, the EPIDs of records and `-l` mean the same one. Which one that is says its [`Key`]: not
//! the full name alone, since `python:python3::gc-start` may be in several files.

use std::collections::HashMap;
use std::sync::Arc;

use dlang::program::ProbeDesc;

use super::file::Identity;
use crate::probe::{Probe, ProbeArg, ProbeId, ProbeKind, Scope};

/// What makes a probe the same one as before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Its full name.
    pub(super) desc: ProbeDesc,
    /// Where it is; `None` for rdtrace's own.
    pub(super) place: Option<Place>,
}

/// What else than its name makes a probe of a file that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The file.
    pub(super) file: Identity,
    /// Whose executions of it count.
    pub(super) scope: Scope,
    /// Whether it is a marker of the file's own.
    pub(super) origin: Origin,
}

/// Where a probe of a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// A USDT marker.
    Marker,
    /// The code of a CPython.
    Code,
}

/// Probes by id and by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    /// The probe with id 1 first, without gaps.
    all: Vec<Arc<Probe>>,
    ids: HashMap<Key, ProbeId>,
}

impl Probes {
    /// A probe by its id.
    pub(super) fn get(&self, id: ProbeId) -> Option<&Arc<Probe>> {
        self.all.get((id.0 as usize).checked_sub(1)?)
    }

    /// The highest id that has been given.
    pub(super) fn newest(&self) -> ProbeId {
        ProbeId(u32::try_from(self.all.len()).unwrap_or(u32::MAX))
    }

    /// The probe with this key, made if there is none.
    pub(super) fn intern(
        &mut self,
        key: Key,
        make: impl FnOnce() -> (Vec<ProbeArg>, ProbeKind),
    ) -> Arc<Probe> {
        if let Some(probe) = self.ids.get(&key).and_then(|id| self.get(*id)) {
            return Arc::clone(probe);
        }
        let id = ProbeId(self.newest().0.saturating_add(1));
        let (args, kind) = make();
        let probe = Arc::new(Probe {
            id,
            desc: key.desc.clone(),
            args,
            kind,
        });
        self.all.push(Arc::clone(&probe));
        self.ids.insert(key, id);
        probe
    }
}
