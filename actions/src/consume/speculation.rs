//! Records of speculations, kept until it is known whether they show.
//!
//! The kernel side says, in the order of the ring buffer, which speculation a record belongs to and
//! when one is committed or discarded. A record that another CPU was writing meanwhile may come
//! after that: it shares the fate of the others.

use std::collections::HashMap;

/// A speculation: its number and its state. See `predicates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id {
    /// From 1.
    pub(super) number: u32,
    /// What no earlier one with this number had.
    pub(super) state: u32,
}

/// All that are not decided, and how the last ones were.
#[derive(Debug)]
pub(super) struct Speculations {
    kept: HashMap<Id, Kept>,
    /// By number: the last one that has ended, and whether it was committed.
    ended: HashMap<u32, (u32, bool)>,
    /// The most bytes of one (`specsize`).
    most: u64,
    /// Records that found no room.
    dropped: u64,
}

#[derive(Debug, Default)]
struct Kept {
    records: Vec<Box<[u8]>>,
    bytes: u64,
}

/// What is to be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is kept, or gone for good.
    Hidden,
    /// It shows now.
    Shown,
}

impl Speculations {
    pub(super) fn new(most: u64) -> Self {
        Self {
            kept: HashMap::new(),
            ended: HashMap::new(),
            most,
            dropped: 0,
        }
    }

    /// Takes a record of a speculation.
    pub(super) fn add(&mut self, id: Id, record: &[u8]) -> Fate {
        if let Some((state, committed)) = self.ended.get(&id.number)
            && *state == id.state
        {
            return if *committed {
                Fate::Shown
            } else {
                Fate::Hidden
            };
        }
        let kept = self.kept.entry(id).or_default();
        let bytes = kept.bytes + record.len() as u64;
        if bytes > self.most {
            self.dropped += 1;
        } else {
            kept.bytes = bytes;
            kept.records.push(record.into());
        }
        Fate::Hidden
    }

    /// Ends one, and gives its records.
    pub(super) fn end(&mut self, id: Id, committed: bool) -> Vec<Box<[u8]>> {
        self.ended.insert(id.number, (id.state, committed));
        self.kept.remove(&id).unwrap_or_default().records
    }

    /// Records that found no room so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
