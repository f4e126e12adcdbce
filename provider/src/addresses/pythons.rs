//! What the generated code is told of each process that runs a Python: the facts by which it finds the
//! frames of a thread (`unwind::python`). They are written when the process is seen to map its interpreter.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use python_analysis::{Refusal, Version};
use unwind::python::Facts;

use super::mapping::Mapping;
use crate::map::Map;

/// The map of processes that run a Python.
pub struct Pythons {
    facts: Map,
    /// The processes that are in it.
    known: HashMap<u32, Known>,
    /// Told of an interpreter in which no frames are found: a process that has it, its file, and why.
    on_refusal: Box<OnRefusal>,
    /// What the program asks of tasks, and who is told of an interpreter that lacks it: a process that has it, its file, its
    /// version, and why.
    of_tasks: Vec<(OfTasks, Box<OnLack>)>,
    /// Told, if the program asks for greenlets, of a file of which it is not known how it keeps them.
    of_greenlets: Option<Box<OnUnknown>>,
    /// The files that were told, of which no frames are known, or of whose tasks something is not.
    refused: HashSet<(Option<OfTasks>, Arc<str>)>,
}

/// What a program may ask of asyncio's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfTasks {
    /// Which one a thread is running, and its name.
    Name,
    /// Which coroutines wait for it.
    Awaiting,
}

/// A process that runs a Python.
struct Known {
    facts: Facts,
    /// Whether the extension module greenlet has been found in it.
    has_greenlets: bool,
}

type OnRefusal = dyn Fn(u32, &str, &Refusal) + Send;
type OnLack = dyn Fn(u32, &str, Version, &str) -> bool + Send;
type OnUnknown = dyn Fn(u32, &str) + Send;

impl fmt::Debug for Pythons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Pythons");
        shown
            .field("facts", &self.facts)
            .field("known", &self.known.keys());
        shown
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl Pythons {
    /// Fills this map. `on_refusal` is called once for each file with an interpreter in which no frames can be found,
    /// with a process that has it, the file's name and the reason; by whoever sees the file mapped.
    #[must_use]
    pub fn new(facts: Map, on_refusal: Box<OnRefusal>) -> Self {
        Self {
            facts,
            known: HashMap::new(),
            on_refusal,
            of_tasks: Vec::new(),
            of_greenlets: None,
            refused: HashSet::new(),
        }
    }

    /// Calls `on_lack` once for each file with an interpreter in which this is not known of tasks; again, until it answers
    /// that the process matters.
    #[must_use]
    pub fn tell_of_tasks(mut self, asked: OfTasks, on_lack: Box<OnLack>) -> Self {
        self.of_tasks.push((asked, on_lack));
        self
    }

    /// Looks for greenlets, too, and calls `on_unknown` for each process in which it is not known how they are kept.
    #[must_use]
    pub fn find_greenlets(mut self, on_unknown: Box<OnUnknown>) -> Self {
        self.of_greenlets = Some(on_unknown);
        self
    }

    /// A process has these mappings now.
    pub(super) fn update<'m>(
        &mut self,
        pid: u32,
        mappings: impl Iterator<Item = &'m Mapping> + Clone,
    ) {
        let mappings = mappings.filter(|mapping| mapping.executable);
        if !self.known.contains_key(&pid) {
            self.look_for_interpreter(pid, mappings.clone());
        }
        self.look_for_greenlets(pid, mappings);
    }

    fn look_for_interpreter<'m>(&mut self, pid: u32, mappings: impl Iterator<Item = &'m Mapping>) {
        for mapping in mappings {
            let Some(interpreter) = mapping.file.interpreter() else {
                continue;
            };
            if let Some(why) = interpreter.refusal() {
                if self.refused.insert((None, Arc::clone(&mapping.file.name))) {
                    (self.on_refusal)(pid, &mapping.file.name, why);
                }
                continue;
            }
            let facts = interpreter.facts(mapping.offset, mapping.start);
            if let Some(facts) = facts.filter(|facts| self.write(pid, facts)) {
                for (asked, tell) in &self.of_tasks {
                    let file = (Some(*asked), Arc::clone(&mapping.file.name));
                    if let Some((version, why)) = interpreter.lacks(*asked)
                        && !self.refused.contains(&file)
                        && tell(pid, &file.1, version, why)
                    {
                        self.refused.insert(file);
                    }
                }
                let known = Known {
                    facts,
                    has_greenlets: false,
                };
                self.known.insert(pid, known);
            }
        }
    }

    fn look_for_greenlets<'m>(
        &mut self,
        pid: u32,
        mut mappings: impl Iterator<Item = &'m Mapping>,
    ) {
        let (Some(on_unknown), Some(known)) = (&self.of_greenlets, self.known.get_mut(&pid)) else {
            return;
        };
        if known.has_greenlets {
            return;
        }
        let found = mappings.find_map(|mapping| Some((mapping, mapping.file.greenlets()?)));
        if let Some((mapping, module)) = found {
            known.has_greenlets = true;
            let mut facts = known.facts;
            match module.add(mapping.offset, mapping.start, &mut facts) {
                Some(()) => drop(self.write(pid, &facts)),
                None => on_unknown(pid, &mapping.file.name),
            }
        }
    }

    fn write(&self, pid: u32, facts: &Facts) -> bool {
        let key = u64::from(pid).to_ne_bytes();
        self.facts.update(&key, &facts.bytes()).is_ok()
    }

    /// A process is gone, or another program.
    pub(super) fn forget(&mut self, pid: u32) {
        if self.known.remove(&pid).is_some() {
            let _ = self.facts.delete(&u64::from(pid).to_ne_bytes());
        }
    }
}
