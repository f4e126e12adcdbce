//! What the generated code is told of each process that runs a Python: the facts by which it finds the
//! frames of a thread (`unwind::python`). They are written when the process is seen to map its interpreter.

use std::collections::HashSet;

use super::mapping::Mapping;
use crate::map::Map;

/// The map of processes that run a Python.
#[derive(Debug)]
pub struct Pythons {
    facts: Map,
    /// The processes that are in it.
    known: HashSet<u32>,
}

impl Pythons {
    /// Fills this map.
    #[must_use]
    pub fn new(facts: Map) -> Self {
        Self {
            facts,
            known: HashSet::new(),
        }
    }

    /// A process has these mappings now.
    pub(super) fn update<'m>(&mut self, pid: u32, mappings: impl Iterator<Item = &'m Mapping>) {
        if self.known.contains(&pid) {
            return;
        }
        for mapping in mappings.filter(|mapping| mapping.executable) {
            let Some(interpreter) = mapping.file.interpreter() else {
                continue;
            };
            let facts = interpreter.facts(mapping.offset, mapping.start);
            let told = facts.is_some_and(|facts| {
                let key = u64::from(pid).to_ne_bytes();
                self.facts.update(&key, &facts.bytes()).is_ok()
            });
            if told {
                self.known.insert(pid);
            }
        }
    }

    /// A process is gone, or another program.
    pub(super) fn forget(&mut self, pid: u32) {
        if self.known.remove(&pid) {
            let _ = self.facts.delete(&u64::from(pid).to_ne_bytes());
        }
    }
}
