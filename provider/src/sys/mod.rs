//! The kernel's interfaces, one thin function per operation: descriptors in, descriptors out,
//! `io::Result`, no policy. All of the crate's `unsafe` is below this module.
//!
//! bpf(2) is called directly, with the attribute structs that aya's generated bindings name: aya
//! itself can neither load a multi-uprobe program nor pass a semaphore, its typed maps need key and
//! value types that are known at compile time, and its loader parses the kernel's BTF at each
//! start (19-24 ms). What is taken from aya is the ring buffer's consumer.

#![expect(unsafe_code, reason = "system calls that neither nix nor aya offers")]

pub(crate) mod btf;
pub(crate) mod confine;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod map;
pub(crate) mod memory;
pub(crate) mod perf;
pub(crate) mod perf_ring;
pub(crate) mod prog;
pub(crate) mod ring;
pub(crate) mod trace;

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// An attribute struct with every byte zero, which is what the kernel wants of unused fields.
fn attr() -> bpf_attr {
    // SAFETY: `bpf_attr` is a union of structs of integers, for which all zeroes is a value.
    unsafe { zeroed() }
}

/// Calls bpf(2).
///
/// # Safety
///
/// Every pointer that `attr` holds must be valid for what `cmd` does with it: readable, or
/// writable for as many bytes as the kernel writes.
unsafe fn bpf(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: the attribute struct is exclusively ours and as large as we say; the caller vouches
    // for the pointers in it.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            cmd as libc::c_long,
            std::ptr::from_mut(attr),
            size_of::<bpf_attr>(),
        )
    };
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

/// Calls bpf(2) with a command that gives a descriptor.
///
/// # Safety
///
/// As for [`bpf`]; also, `cmd` must be one that returns a new descriptor.
unsafe fn bpf_fd(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller keeps the same promise.
    let ret = unsafe { bpf(cmd, attr) }?;
    let raw = RawFd::try_from(ret).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A descriptor as the kernel's attribute structs have it.
fn raw(fd: std::os::fd::BorrowedFd<'_>) -> u32 {
    use std::os::fd::AsRawFd;
    fd.as_raw_fd().cast_unsigned()
}

/// The address of a buffer as the kernel's attribute structs have it.
fn address<T>(of: &[T]) -> u64 {
    of.as_ptr() as u64
}

/// The address of a buffer that the kernel writes.
fn address_mut<T>(of: &mut [T]) -> u64 {
    of.as_mut_ptr() as u64
}

/// A name as the kernel's listings take it: at most 15 bytes of `[A-Za-z0-9_.]`, then NULs.
fn object_name(name: &str) -> [libc::c_char; 16] {
    let mut out = [0; 16];
    for (to, byte) in out.iter_mut().take(15).zip(name.bytes()) {
        let byte = if byte.is_ascii_alphanumeric() || byte == b'.' {
            byte
        } else {
            b'_'
        };
        *to = byte.cast_signed();
    }
    out
}
