//! The rows of files in the memory of the generated code: each file's once, whoever maps it.
//!
//! A file that no process maps any more keeps its rows, since the next process often maps the same
//! ones. They are given back when another file needs the room: those that have been without a
//! process for longest first, and none that a program may still be reading.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use unwind::Row;
use unwind::memory::ROWS_AT;

use super::mapping::MappedFile;
use crate::map::Words;

/// How long a place is left alone that a program may still be reading.
pub(super) const QUARANTINE: Duration = Duration::from_secs(2);

/// Which rows are in use, and by which files.
#[derive(Debug)]
pub(super) struct Rows {
    /// Rows that no file has: how many, by the first. No two pieces are neighbours.
    free: BTreeMap<u32, u32>,
    /// By the address of the [`MappedFile`], which is kept alive here.
    files: HashMap<usize, Held>,
}

/// The rows of a file.
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

impl Rows {
    /// Room for so many rows, all of it free.
    pub(super) fn new(room: u32) -> Self {
        Self {
            free: BTreeMap::from([(0, room)]),
            files: HashMap::new(),
        }
    }

    /// The first row of a file, whose rows are written if they are not there; `None` if there is no
    /// room for them.
    pub(super) fn of_file(
        &mut self,
        file: &Arc<MappedFile>,
        rows: &[Row],
        memory: &Words,
    ) -> Option<u32> {
        if let Some(held) = self.files.get(&id_of(file)) {
            return Some(held.first);
        }
        let count = u32::try_from(rows.len()).ok()?;
        let first = self.take(count)?;
        let at = (ROWS_AT / 8) as usize + first as usize;
        for (word, row) in memory.as_slice().iter().skip(at).zip(rows) {
            let bits = u64::from(row.address) | u64::from(row.rule) << 32;
            word.store(bits, Ordering::Relaxed);
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

    /// One more process has mapped a file that has rows.
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

    /// Room for so many rows, if there is some: where it starts.
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

    /// Frees the rows of the file that has been without a process for longest.
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

    /// Puts a file's rows where [`Rows::take`] says; who has it mapped is left to the test.
    fn add(rows: &mut Rows, id: usize, count: u32, users: Users) -> Option<u32> {
        let first = rows.take(count)?;
        let held = Held {
            _file: Arc::new(MappedFile::new("none".into(), Contents::Nothing)),
            first,
            count,
            users,
        };
        rows.files.insert(id, held);
        Some(first)
    }

    fn ago(seconds: u64) -> Users {
        let since = Instant::now().checked_sub(Duration::from_secs(seconds));
        Users::NoneSince(since.unwrap())
    }

    #[test]
    fn rows_are_given_back_when_others_need_the_room_the_oldest_first() {
        let mut rows = Rows::new(100);
        assert_eq!(add(&mut rows, 1, 30, Users::Processes(1)), Some(0));
        assert_eq!(add(&mut rows, 2, 30, ago(60)), Some(30));
        assert_eq!(add(&mut rows, 3, 30, ago(90)), Some(60));
        // What is free is enough.
        assert_eq!(add(&mut rows, 4, 10, ago(10)), Some(90));
        assert!(rows.files.contains_key(&3));
        assert_eq!(add(&mut rows, 5, 20, Users::Processes(1)), Some(60));
        assert!(!rows.files.contains_key(&3) && rows.files.contains_key(&2));
        // 2 and the rest of 3 are neighbours only once 4 has gone, too.
        assert_eq!(add(&mut rows, 6, 30, Users::Processes(1)), Some(30));
        assert_eq!(rows.free, BTreeMap::from([(80, 10)]));
        assert_eq!(add(&mut rows, 7, 20, Users::Processes(1)), Some(80));
        assert!(rows.free.is_empty());
        assert_eq!(add(&mut rows, 8, 1, Users::Processes(1)), None);
    }

    #[test]
    fn what_a_program_may_be_reading_is_not_given_back() {
        let mut rows = Rows::new(10);
        add(&mut rows, 1, 10, Users::NoneSince(Instant::now())).unwrap();
        rows.mapped(1);
        rows.mapped(1);
        rows.unmapped(1);
        assert_eq!(rows.files[&1].users, Users::Processes(1));
        assert_eq!(rows.take(1), None);
        rows.unmapped(1);
        assert_eq!(rows.take(1), None);
        rows.files.get_mut(&1).unwrap().users = ago(3);
        assert_eq!(rows.take(1), Some(0));
    }
}
