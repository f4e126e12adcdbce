//! Chunks of records, and the bounded queue of them between the two threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::lock::lock;

/// A chunk is handed over when it has this many bytes.
const CHUNK: usize = 256 << 10;

/// Records back to back, each behind its length as a `u32`.
#[derive(Debug, Default)]
pub(super) struct Chunk(Vec<u8>);

impl Chunk {
    pub(super) fn push(&mut self, record: &[u8]) {
        // The ring's own records are at most 512 MiB, so the length always fits.
        let Ok(len) = u32::try_from(record.len()) else {
            return;
        };
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(record);
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= CHUNK
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<4>()?;
            let (record, tail) = tail.split_at_checked(u32::from_ne_bytes(*len) as usize)?;
            rest = tail;
            Some(record)
        })
    }
}

/// The chunks on their way, first in first out, and the empty ones to use again.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// The reader has something to do: a chunk has come, output is to be written, or this is the end.
    filled: Condvar,
    /// A chunk has been given back.
    emptied: Condvar,
    /// The most bytes on their way.
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    full: VecDeque<Chunk>,
    empty: Vec<Chunk>,
    /// Bytes in chunks that were put and not yet given back.
    bytes: usize,
    /// Whether the reader is to write what it has formatted.
    flush: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            limit,
        }
    }

    /// Takes the chunk and leaves an empty one in its place; or leaves it as it is and says
    /// `false`, when there is no room.
    pub(super) fn put(&self, chunk: &mut Chunk) -> bool {
        let mut state = lock(&self.state);
        // A record of any size goes through when nothing else is on its way.
        if state.bytes > 0 && state.bytes + chunk.0.len() > self.limit {
            return false;
        }
        state.bytes += chunk.0.len();
        let empty = state.empty.pop().unwrap_or_default();
        state.full.push_back(std::mem::replace(chunk, empty));
        self.filled.notify_one();
        true
    }

    /// Whether the reader has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.state).full.is_empty()
    }

    /// Waits until a chunk is given back, at most `time`.
    pub(super) fn wait_for_room(&self, time: Duration) {
        let state = lock(&self.state);
        let wait = self.emptied.wait_timeout(state, time);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// The next chunk, if there is one.
    pub(super) fn try_get(&self) -> Option<Chunk> {
        lock(&self.state).full.pop_front()
    }

    /// Returns a chunk that has been read.
    pub(super) fn give_back(&self, mut chunk: Chunk) {
        let mut state = lock(&self.state);
        state.bytes = state.bytes.saturating_sub(chunk.0.len());
        chunk.0.clear();
        state.empty.push(chunk);
        self.emptied.notify_one();
    }

    /// Waits until there is a chunk or output is to be written ([`Self::request_flush`]); `false` at the end.
    pub(super) fn wait(&self) -> bool {
        let mut state = lock(&self.state);
        while state.full.is_empty() && !state.flush && !state.closed {
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let ended = state.closed && state.full.is_empty() && !state.flush;
        state.flush = false;
        !ended
    }

    /// Has the reader write its output and messages though no chunk has come.
    pub(super) fn request_flush(&self) {
        lock(&self.state).flush = true;
        self.filled.notify_one();
    }

    /// Says that no chunk will come any more.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.filled.notify_one();
    }
}
