//! An array map's memory, shared with the programs that write it.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::{NonNull, null_mut};
use std::slice;
use std::sync::atomic::AtomicU64;

/// The value of an array map of one entry, as words that programs may change at any time. Reading
/// and writing them is no system call.
#[derive(Debug)]
pub struct Words {
    start: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the memory stays where it is until `Words` is dropped, whichever thread has it.
unsafe impl Send for Words {}
// SAFETY: all that is given out is shared access to atomics.
unsafe impl Sync for Words {}

impl Words {
    /// Maps the first `bytes` of a map made with `BPF_F_MMAPABLE`.
    #[doc(alias = "mmap")]
    pub(crate) fn of(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let fd = map.as_raw_fd();
        // SAFETY: a mapping at an address that the kernel chooses touches none that is in use.
        let start = unsafe { libc::mmap(null_mut(), bytes, access, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            start,
            count: bytes / size_of::<AtomicU64>(),
        })
    }

    /// The words.
    #[must_use]
    pub fn as_slice(&self) -> &[AtomicU64] {
        // SAFETY: the mapping starts at a page, holds so many words, any of whose values is one
        // of a u64, and lasts as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        let bytes = self.count * size_of::<AtomicU64>();
        // SAFETY: the mapping is ours, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}
