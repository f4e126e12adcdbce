//! The tables of files in the memory of the generated code: each file's once, whoever maps it.
//!
//! That of a file that no process maps any more stays, since the next process often maps the same
//! ones. They are taken away when another file needs the room: those that have been without a
//! process for longest first, and none that a program may still be reading.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use unwind::Table;
use unwind::memory::{TABLES_AT, WORD};

use super::mapping::MappedFile;
use crate::map::Words;

/// How long a place is left alone that a program may still be reading.
pub(super) const QUARANTINE: Duration = Duration::from_secs(2);

/// Which words are in use, and by which files' tables.
#[derive(Debug)]
pub(super) struct Placed {
    /// Words that no file has: how many, by the first. No two pieces are neighbours.
    free: BTreeMap<u32, u32>,
    /// By the address of the [`MappedFile`], which is kept alive here.
    files: HashMap<usize, Held>,
}

/// Where the table of a file is.
#[derive(Debug)]
struct Held {
    /// Keeps the address its own.
    _file: Arc<MappedFile>,
    first: u32,
    count: u32,
    users: Users,
}

/// Who has a file mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Users {
    /// So many processes, at least one.
    Processes(u32),
    /// Nobody, since then.
    NoneSince(Instant),
}

impl Placed {
    /// Room for so many words, all of it free.
    pub(super) fn new(room: u32) -> Self {
        Self {
            free: BTreeMap::from([(0, room)]),
            files: HashMap::new(),
        }
    }

    /// The first word of a file's table, which is written if it is not there; `None` if there is no
    /// room for it.
    pub(super) fn of_file(
        &mut self,
        file: &Arc<MappedFile>,
        table: &Table,
        memory: &Words,
    ) -> Option<u32> {
        if let Some(held) = self.files.get(&id_of(file)) {
            return Some(held.first);
        }
        let count = u32::try_from(table.words.len()).ok()?;
        let first = self.take(count)?;
        let at = (TABLES_AT / WORD) as usize + first as usize;
        for (place, word) in memory.as_slice().iter().skip(at).zip(&table.words) {
            place.store(*word, Ordering::Relaxed);
        }
        let held = Held {
            _file: Arc::clone(file),
            first,
            count,
            users: Users::NoneSince(Instant::now()),
        };
        self.files.insert(id_of(file), held);
        Some(first)
    }

    /// One more process has mapped a file that has a table here.
    pub(super) fn mapped(&mut self, id: usize) {
        if let Some(held) = self.files.get_mut(&id) {
            held.users = match held.users {
                Users::Processes(count) => Users::Processes(count.saturating_add(1)),
                Users::NoneSince(_) => Users::Processes(1),
            };
        }
    }

    /// A process that had a file mapped has it no more.
    pub(super) fn unmapped(&mut self, id: usize) {
        if let Some(held) = self.files.get_mut(&id) {
            held.users = match held.users {
                Users::Processes(count) if count > 1 => Users::Processes(count - 1),
                Users::Processes(_) | Users::NoneSince(_) => Users::NoneSince(Instant::now()),
            };
        }
    }

    /// Room for so many words, if there is some: where it starts.
    fn take(&mut self, count: u32) -> Option<u32> {
        loop {
            let fits = self.free.iter().find(|(_, free)| **free >= count);
            if let Some((&first, &free)) = fits {
                self.free.remove(&first);
                if free > count {
                    self.free.insert(first + count, free - count);
                }
                return Some(first);
            }
            self.give_back_oldest()?;
        }
    }

    /// Takes the table away of the file that has been without a process for longest.
    fn give_back_oldest(&mut self) -> Option<()> {
        let unused = self.files.iter().filter_map(|(id, held)| match held.users {
            Users::NoneSince(since) => Some((since, *id)),
            Users::Processes(_) => None,
        });
        let (_, id) = unused
            .min()
            .filter(|(since, _)| since.elapsed() >= QUARANTINE)?;
        let held = self.files.remove(&id)?;
        let (mut first, mut count) = (held.first, held.count);
        if let Some(behind) = self.free.remove(&(first + count)) {
            count += behind;
        }
        if let Some((&before, &free)) = self.free.range(..first).next_back()
            && before + free == first
        {
            first = before;
            count += free;
        }
        self.free.insert(first, count);
        Some(())
    }
}

/// What a file is known by.
pub(super) fn id_of(file: &Arc<MappedFile>) -> usize {
    Arc::as_ptr(file) as usize
}

#[cfg(test)]
mod tests {
    use super::super::contents::Contents;
    use super::*;

    /// Puts a file's table where [`Placed::take`] says; who has it mapped is left to the test.
    fn add(placed: &mut Placed, id: usize, count: u32, users: Users) -> Option<u32> {
        let first = placed.take(count)?;
        let held = Held {
            _file: Arc::new(MappedFile::new("none".into(), Contents::Nothing)),
            first,
            count,
            users,
        };
        placed.files.insert(id, held);
        Some(first)
    }

    fn ago(seconds: u64) -> Users {
        let since = Instant::now().checked_sub(Duration::from_secs(seconds));
        Users::NoneSince(since.unwrap())
    }

    #[test]
    fn tables_make_room_when_others_need_the_room_the_oldest_first() {
        let mut placed = Placed::new(100);
        assert_eq!(add(&mut placed, 1, 30, Users::Processes(1)), Some(0));
        assert_eq!(add(&mut placed, 2, 30, ago(60)), Some(30));
        assert_eq!(add(&mut placed, 3, 30, ago(90)), Some(60));
        // What is free is enough.
        assert_eq!(add(&mut placed, 4, 10, ago(10)), Some(90));
        assert!(placed.files.contains_key(&3));
        assert_eq!(add(&mut placed, 5, 20, Users::Processes(1)), Some(60));
        assert!(!placed.files.contains_key(&3) && placed.files.contains_key(&2));
        // 2 and the rest of 3 are neighbours only once 4 has gone, too.
        assert_eq!(add(&mut placed, 6, 30, Users::Processes(1)), Some(30));
        assert_eq!(placed.free, BTreeMap::from([(80, 10)]));
        assert_eq!(add(&mut placed, 7, 20, Users::Processes(1)), Some(80));
        assert!(placed.free.is_empty());
        assert_eq!(add(&mut placed, 8, 1, Users::Processes(1)), None);
    }

    #[test]
    fn what_a_program_may_be_reading_is_not_given_back() {
        let mut placed = Placed::new(10);
        add(&mut placed, 1, 10, Users::NoneSince(Instant::now())).unwrap();
        placed.mapped(1);
        placed.mapped(1);
        placed.unmapped(1);
        assert_eq!(placed.files[&1].users, Users::Processes(1));
        assert_eq!(placed.take(1), None);
        placed.unmapped(1);
        assert_eq!(placed.take(1), None);
        placed.files.get_mut(&1).unwrap().users = ago(3);
        assert_eq!(placed.take(1), Some(0));
    }
}
