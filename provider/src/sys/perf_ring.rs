//! The memory in which the kernel writes a perf event's records.
//!
//! ```text
//!     page 0                     pages 1 to PAGES
//!     perf_event_mmap_page       the records, one behind the other, from the end on to the start again
//!       data_head ── up to here the kernel has written
//!       data_tail ── up to here we have read
//! ```
//!
//! Both positions only grow; modulo the size they are offsets. A record starts with a
//! `perf_event_header`: type (`u32`), flags (`u16`), size (`u16`).

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use aya_obj::generated::perf_event_mmap_page;
use nix::unistd::{SysconfVar, sysconf};

/// How many pages of records; a power of two. A record takes some hundred bytes.
const PAGES: usize = 16;

/// The size of a record's header.
const HEADER: usize = 8;

/// An event and the memory with its records.
#[derive(Debug)]
pub(crate) struct PerfRing {
    event: OwnedFd,
    start: NonNull<u8>,
    page: usize,
}

// SAFETY: the memory stays where it is until the ring is dropped, whichever thread has it.
unsafe impl Send for PerfRing {}

impl AsFd for PerfRing {
    /// Readable when there are records.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl PerfRing {
    /// Maps an event's memory.
    pub(crate) fn of(event: OwnedFd) -> io::Result<Self> {
        let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok());
        let page = page.ok_or(io::ErrorKind::Unsupported)?;
        let (access, fd) = (libc::PROT_READ | libc::PROT_WRITE, event.as_raw_fd());
        // SAFETY: a mapping at an address that the kernel chooses touches none that is in use.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                page * (PAGES + 1),
                access,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            event,
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            page,
        })
    }

    /// Gives every record that is there to `f`, with its type and flags, header included; oldest first.
    pub(crate) fn drain(&mut self, f: &mut dyn FnMut(u32, u16, &[u8])) {
        let head = self.position(offset_of!(perf_event_mmap_page, data_head));
        let tail = self.position(offset_of!(perf_event_mmap_page, data_tail));
        let end = head.load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        let mut record = Vec::new();
        while end.wrapping_sub(at) >= HEADER as u64 {
            self.copy(at, HEADER, &mut record);
            let [a, b, c, d, e, f1, g, h] = record[..] else {
                break;
            };
            let kind = u32::from_ne_bytes([a, b, c, d]);
            let (flags, size) = (u16::from_ne_bytes([e, f1]), u16::from_ne_bytes([g, h]));
            if usize::from(size) < HEADER || u64::from(size) > end.wrapping_sub(at) {
                at = end; // not as the kernel writes it: nothing can be made of the rest
                break;
            }
            self.copy(at, size.into(), &mut record);
            f(kind, flags, &record);
            at = at.wrapping_add(size.into());
        }
        tail.store(at, Ordering::Release);
    }

    /// The position in this place of the first page.
    fn position(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the first page of the mapping is a `perf_event_mmap_page`, aligned, in which both
        // positions are 8 bytes; it lasts as long as `self`, and the kernel reads and writes them
        // atomically.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().wrapping_add(offset).cast()) }
    }

    /// Copies `size` bytes from position `at` on.
    fn copy(&self, at: u64, size: usize, to: &mut Vec<u8>) {
        let room = self.page * PAGES;
        let offset = usize::try_from(at % room as u64).unwrap_or(0);
        let before_end = size.min(room - offset);
        to.clear();
        for (from, size) in [(offset, before_end), (0, size - before_end)] {
            // SAFETY: both pieces are in the mapped pages behind the first; the kernel does not
            // write what lies between tail and head.
            let piece = unsafe {
                std::slice::from_raw_parts(self.start.as_ptr().wrapping_add(self.page + from), size)
            };
            to.extend_from_slice(piece);
        }
    }
}

impl Drop for PerfRing {
    fn drop(&mut self) {
        let bytes = self.page * (PAGES + 1);
        // SAFETY: the mapping is ours, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}
