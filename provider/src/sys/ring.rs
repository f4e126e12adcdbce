//! The consumer's end of a ring buffer map.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{Map, MapData, RingBuf};

/// A mapped ring buffer. Draining makes no system call; a record costs one load of its header and
/// one store of the consumer's position.
pub struct Ring {
    ring: RingBuf<MapData>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("fd", &self.ring.as_fd())
            .finish()
    }
}

impl AsFd for Ring {
    /// Readable (to poll or epoll) after a program has submitted a record with a wake-up.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl Ring {
    /// Maps the ring buffer behind a descriptor.
    pub(crate) fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
        let data = MapData::from_fd(map.try_clone_to_owned()?).map_err(io::Error::other)?;
        let map = Map::from_map_data(data).map_err(io::Error::other)?;
        Ok(Self {
            ring: RingBuf::try_from(map).map_err(io::Error::other)?,
        })
    }

    /// Gives every record that is there to `f`, oldest first, and frees its room afterwards; gives
    /// how many there were. Records that come while draining are drained too.
    pub fn drain(&mut self, f: &mut dyn FnMut(&[u8])) -> usize {
        self.drain_at_most(usize::MAX, f)
    }

    /// As [`drain`](Self::drain), until `f` breaks off; the record that it saw last is freed too.
    pub fn drain_while(&mut self, f: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> usize {
        let mut count = 0;
        while let Some(record) = self.ring.next() {
            count += 1;
            if f(&record).is_break() {
                break;
            }
        }
        count
    }

    /// As [`drain`](Self::drain), but stops after `limit` records, for a caller that has other
    /// things to do even when programs write as fast as it reads.
    pub fn drain_at_most(&mut self, limit: usize, f: &mut dyn FnMut(&[u8])) -> usize {
        let mut count = 0;
        while count < limit
            && let Some(record) = self.ring.next()
        {
            f(&record);
            count += 1;
        }
        count
    }
}
