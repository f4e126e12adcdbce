//! The set of active frames of Python functions, as user space sees it: what processes leave in it
//! when they end in the middle of functions is taken out again.
//!
//! A process that is killed, or ends by `os._exit()`, or becomes another program by exec, has no
//! returns for the functions that it was in. Their frames would stay in the set, whose table has a
//! fixed size; what finds no room there goes to a hash map, which makes each hit cost more. So
//! now and then the table is gone through for frames of processes that are gone.
//!
//! Programs change the table at the same time. That does no harm: a pair is taken by setting its first
//! word from zero, and this is the only one that clears those of a dead process. `trampoline::python`'s
//! `active` has the layout, and the other half.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use provider::error::Error;
use provider::map::{Map, Words};
use provider::session::Session;

use crate::lower::Compiler;
use crate::trampoline::maps::{ELSEWHERE, PAIR};

/// The set's memory.
#[derive(Debug)]
pub struct ActiveFrames {
    table: Words,
    elsewhere: Map,
}

/// A process as the set knows it: its id, and above that the number of its execs.
type Process = u64;

fn id(process: Process) -> u32 {
    u32::try_from(process & u64::from(u32::MAX)).unwrap_or(0)
}

impl ActiveFrames {
    /// Those of a session, if it has any.
    pub fn of(session: &Session, compiler: &Compiler) -> Result<Option<Self>, Error> {
        let Some([table, elsewhere]) = compiler.active_frames() else {
            return Ok(None);
        };
        Ok(Some(Self {
            table: session.map(table)?.words()?,
            elsewhere: session.map(elsewhere)?,
        }))
    }

    /// Takes out the frames of processes that are gone; `exists` tells of a process id.
    pub fn free_dead(&self, exists: impl Fn(u32) -> bool) -> Result<(), Error> {
        let words = self.table.as_slice();
        let gone = Gone::find(words, &exists);
        free_pairs(words, &gone);
        let Some(count) = words.get(elsewhere_at()) else {
            return Ok(());
        };
        let before = count.load(Ordering::SeqCst);
        if before == 0 {
            return Ok(());
        }
        let mut left = 0_u64;
        let mut dead = Vec::new();
        self.elsewhere.for_each(&mut |key, _| {
            let process = key.get(8..16).and_then(|bytes| bytes.try_into().ok());
            let process = process.map_or(0, u64::from_ne_bytes);
            if exists(id(process)) {
                left += 1;
            } else {
                dead.push(key.to_vec());
            }
        })?;
        for key in &dead {
            self.elsewhere.delete(key)?;
        }
        if left == 0 {
            // The map forgets entries by itself when it is full, so it may be empty without anybody
            // having counted. What comes meanwhile is counted after it is in the map: then the
            // number is another one, or is counted from zero.
            let _ = count.compare_exchange(before, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Which processes of the table are gone.
struct Gone(HashMap<Process, bool>);

impl Gone {
    fn find(words: &[AtomicU64], exists: &impl Fn(u32) -> bool) -> Self {
        let mut gone: HashMap<Process, bool> = HashMap::new();
        let mut newest: HashMap<u32, Process> = HashMap::new();
        for (_, process) in pairs(words) {
            gone.entry(process).or_insert_with(|| !exists(id(process)));
            let newest = newest.entry(id(process)).or_default();
            *newest = process.max(*newest);
        }
        for (process, is_gone) in &mut gone {
            *is_gone |= newest
                .get(&id(*process))
                .is_some_and(|newest| newest > process);
        }
        Self(gone)
    }
}

/// The pairs that are taken: where they start, and whose they are.
fn pairs(words: &[AtomicU64]) -> impl Iterator<Item = (usize, Process)> + '_ {
    let size = usize::try_from(PAIR).unwrap_or(16) / size_of::<u64>();
    let pairs = words.chunks_exact(size).take(elsewhere_at() / size);
    pairs.enumerate().filter_map(move |(n, pair)| {
        let [frame, process] = pair else { return None };
        // A pair without a process has just been taken, or is just being given back.
        let process = process.load(Ordering::Relaxed);
        (frame.load(Ordering::Relaxed) != 0 && process != 0).then_some((n * size, process))
    })
}

/// Where the number of frames in the hash map is.
fn elsewhere_at() -> usize {
    ELSEWHERE as usize / size_of::<u64>()
}

fn free_pairs(words: &[AtomicU64], gone: &Gone) {
    for (at, process) in pairs(words) {
        if gone.0.get(&process) == Some(&true) {
            // As programs do it: a pair without a frame can be taken at once.
            for word in [at + 1, at] {
                if let Some(word) = words.get(word) {
                    word.store(0, Ordering::SeqCst);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXEC: u64 = 1 << 32;

    fn table(pairs: &[(usize, u64, u64)]) -> Vec<AtomicU64> {
        let words: Vec<AtomicU64> = (0..=elsewhere_at()).map(|_| AtomicU64::new(0)).collect();
        for &(at, frame, process) in pairs {
            words[2 * at].store(frame, Ordering::Relaxed);
            words[2 * at + 1].store(process, Ordering::Relaxed);
        }
        words
    }

    #[test]
    fn frames_of_processes_that_are_gone_are_taken_out() {
        let last = elsewhere_at() / 2 - 1;
        let words = table(&[(0, 0x10, 7), (1, 0x10, 8), (5, 0x20, 7), (last, 0x30, 8)]);
        words[elsewhere_at()].store(3, Ordering::Relaxed);
        free_pairs(&words, &Gone::find(&words, &|pid| pid == 7));
        let left: Vec<_> = pairs(&words).collect();
        assert_eq!(left, [(0, 7), (10, 7)]);
        assert_eq!(words[2].load(Ordering::Relaxed), 0, "it can be taken");
        assert_eq!(words[elsewhere_at()].load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_program_that_became_another_is_gone() {
        let words = table(&[(0, 0x10, 7 + EXEC), (1, 0x10, 7 + 2 * EXEC), (2, 0x10, 8)]);
        free_pairs(&words, &Gone::find(&words, &|_| true));
        let left: Vec<_> = pairs(&words).map(|(_, process)| process).collect();
        assert_eq!(left, [7 + 2 * EXEC, 8]);
    }

    #[test]
    fn a_pair_that_is_just_being_taken_stays() {
        let words = table(&[(0, 0x10, 0)]);
        free_pairs(&words, &Gone::find(&words, &|_| false));
        assert_eq!(words[0].load(Ordering::Relaxed), 0x10);
    }
}
