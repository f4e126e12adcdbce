//! Trying what the limits of this process still allow.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, rlim_t, setrlimit};

/// Has a command's process run with this limit of open files, soft and hard.
pub(crate) fn limit_files(command: &mut Command, soft: rlim_t, hard: rlim_t) {
    let hook = move || setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(io::Error::from);
    // SAFETY: the hook runs between fork and exec; it makes one system call and allocates nothing.
    unsafe { command.pre_exec(hook) };
}

/// Whether so many bytes of address space can still be had; none of them is used.
#[doc(alias = "mmap")]
pub(crate) fn try_map(bytes: usize) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, at a place of the kernel's choice.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping that was just made, which nobody else knows.
    unsafe { libc::munmap(at, bytes) };
    Ok(())
}
