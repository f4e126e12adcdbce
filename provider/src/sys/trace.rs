//! ptrace(2) and pidfds, where nix does not reach: it cannot carry real-time signals.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the command's process be traced by the thread that spawns it, from its exec on.
pub(crate) fn trace_me(command: &mut Command) {
    let hook = || nix::sys::ptrace::traceme().map_err(io::Error::from);
    // SAFETY: the hook runs between fork and exec; it makes one system call and allocates nothing.
    unsafe { command.pre_exec(hook) };
}

/// Waits for a child to stop or end; the status as wait(2) gives it, `None` if `WNOHANG` was asked
/// for and nothing happened.
pub(crate) fn wait(pid: u32, flags: i32) -> io::Result<Option<i32>> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut status = 0;
    loop {
        // SAFETY: `status` is ours to write.
        match unsafe { libc::waitpid(pid, &raw mut status, flags) } {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            _ => return Ok(Some(status)),
        }
    }
}

/// Lets a traced process that is stopped go on, giving it a signal (0 for none).
#[doc(alias = "PTRACE_CONT")]
pub(crate) fn go_on(pid: u32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT.into(), pid, signal)
}

/// Lets a traced process that is stopped go for good, giving it a signal (0 for none).
#[doc(alias = "PTRACE_DETACH")]
pub(crate) fn release(pid: u32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH.into(), pid, signal)
}

/// Sends a signal to one thread of a process.
#[doc(alias = "tgkill")]
pub(crate) fn signal_thread(process: u32, thread: u32, signal: i32) -> io::Result<()> {
    let id = |id: u32| libc::pid_t::try_from(id).map_err(io::Error::other);
    let (process, thread) = (id(process)?, id(thread)?);
    // SAFETY: no pointers.
    let ret = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The system call itself: C libraries do not agree on the types of `ptrace()`.
fn request(request: libc::c_long, pid: u32, signal: i32) -> io::Result<()> {
    let pid = libc::c_long::from(pid);
    // SAFETY: for these two requests the address is ignored and the data is a number.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            request,
            pid,
            0,
            libc::c_long::from(signal),
        )
    };
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A descriptor for a process, readable once it has ended.
#[doc(alias = "pidfd_open")]
pub(crate) fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: no pointers.
    let ret = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    let raw = RawFd::try_from(ret).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
