//! The probes that have been asked for, and their ids.
//!
//! A probe is made when it is first asked for and keeps its id for the run, so that `id` in a
//! script, the EPIDs of records and `-l` mean the same one. Which one that is says its [`Key`]: not
//! the full name alone, since `python:python3::gc-start` may be in several files.

use std::collections::HashMap;
use std::sync::Arc;

use crate::probe::{Probe, ProbeId};
use crate::providers::file::Identity;
use crate::providers::part::{Key, Offer};

/// Probes by id and by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    /// The probe with id 1 first, without gaps.
    all: Vec<Arc<Probe>>,
    ids: HashMap<Key, ProbeId>,
    /// The further places of probes that several make fire.
    further: HashMap<Key, Arc<Probe>>,
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

    /// Forgets which probes a file has: if it is asked for again, they are others.
    pub(super) fn forget(&mut self, file: Identity) {
        let is_in = |key: &Key| key.place.as_ref().is_some_and(|place| place.file == file);
        self.ids.retain(|key, _| !is_in(key));
    }

    /// The probe that is offered, made if there is none yet.
    pub(super) fn intern(&mut self, offer: Offer<'_>) -> Arc<Probe> {
        let Offer { key, make } = offer;
        if let Some(probe) = self.further.get(&key) {
            return Arc::clone(probe);
        }
        if let Some(probe) = self.ids.get(&key).and_then(|id| self.get(*id)) {
            return Arc::clone(probe);
        }
        let first = Key {
            hook: 0,
            ..key.clone()
        };
        let known = self.ids.get(&first).copied();
        let id = known.unwrap_or(ProbeId(self.newest().0.saturating_add(1)));
        let made = make();
        let probe = Arc::new(Probe {
            id,
            desc: key.desc.clone(),
            place: key.hook,
            args: made.args,
            dependent: made.dependent,
            kind: made.kind,
            source: made.source,
            python: made.python,
        });
        if known.is_some() {
            self.further.insert(key, Arc::clone(&probe));
        } else {
            self.all.push(Arc::clone(&probe));
            self.ids.insert(first, id);
        }
        probe
    }
}
