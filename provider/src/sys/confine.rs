//! Giving up rights between fork and exec, where nix does not reach: capabilities.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};

/// Who a command runs as, and what it sees. Everything is prepared before the fork.
#[derive(Debug, Default)]
pub(crate) struct Confinement {
    /// The `cgroup.procs` of the control groups to join.
    pub(crate) cgroups: Vec<File>,
    /// Namespaces to enter, in order.
    pub(crate) namespaces: Vec<OwnedFd>,
    /// The root directory.
    pub(crate) root: Option<OwnedFd>,
    /// User, group and supplementary groups; `None` keeps ours.
    pub(crate) user: Option<(Uid, Gid, Vec<Gid>)>,
    /// Seconds of CPU time that it has.
    pub(crate) cpu_seconds: u64,
    /// What is executed in the end; `None` leaves that to the command.
    pub(crate) program: Option<Program>,
}

/// An open file to execute: that very one, whatever its name leads to by now.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) file: File,
    pub(crate) arguments: Vec<CString>,
    /// `NAME=VALUE`.
    pub(crate) environment: Vec<CString>,
}

/// Has a command run with nothing but what the confinement leaves: no capabilities and no way to
/// get any, no files to write, no core dump. Runs after the hooks that the command has already.
pub(crate) fn confine(command: &mut Command, confinement: Confinement) {
    let hook = move || enter(&confinement);
    // SAFETY: the hook runs between fork and exec; it makes system calls on values that were
    // prepared before the fork, and allocates nothing.
    unsafe { command.pre_exec(hook) };
}

fn enter(confinement: &Confinement) -> io::Result<()> {
    for mut cgroup in &confinement.cgroups {
        cgroup.write_all(b"0")?; // this process
    }
    for namespace in &confinement.namespaces {
        setns(namespace, CloneFlags::empty())?;
    }
    if let Some(root) = &confinement.root {
        nix::unistd::fchdir(root)?;
        nix::unistd::chroot(".")?;
    }
    nix::unistd::chdir("/")?;
    if let Some((user, group, groups)) = &confinement.user {
        drop_bounding_set();
        nix::unistd::setgroups(groups)?;
        nix::unistd::setresgid(*group, *group, *group)?;
        nix::unistd::setresuid(*user, *user, *user)?;
    }
    drop_capabilities()?;
    nix::sys::prctl::set_no_new_privs()?;
    // It must not outlive us, whatever ends us. Changes of the user forget this.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    nix::unistd::setsid()?;
    for (resource, limit) in [
        (Resource::RLIMIT_CPU, confinement.cpu_seconds),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, limit, limit)?;
    }
    match &confinement.program {
        Some(program) => Err(execute(program)),
        None => Ok(()),
    }
}

/// Becomes the program; comes back only with the reason why not.
#[doc(alias = "execveat")]
fn execute(program: &Program) -> io::Error {
    /// Room for pointers: between fork and exec nothing may be allocated.
    const MOST: usize = 16;
    let mut arguments = [std::ptr::null(); MOST + 1];
    let mut environment = [std::ptr::null(); MOST + 1];
    for (pointers, texts) in [
        (&mut arguments, &program.arguments),
        (&mut environment, &program.environment),
    ] {
        if texts.len() > MOST {
            return io::ErrorKind::InvalidInput.into();
        }
        for (pointer, text) in pointers.iter_mut().zip(texts) {
            *pointer = text.as_ptr();
        }
    }
    // SAFETY: an open file, an empty name and two arrays of C strings that end with a null pointer;
    // all outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.file.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// What is in the bounding set is what an exec as root could regain. Not everyone may change it;
/// those who may not have nothing to lose.
#[doc(alias = "PR_CAPBSET_DROP")]
fn drop_bounding_set() {
    for capability in 0..64 {
        // SAFETY: this request takes numbers only.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// Empties the permitted, effective and inheritable sets.
#[doc(alias = "capset")]
fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let data = [0_u32; 6]; // two times effective, permitted, inheritable
    // SAFETY: both pointers are to what version 3 of the call reads: the header and two triples.
    let ret = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Makes the processes that this thread starts from now on members of a PID namespace. While it is
/// not the thread's own, the thread cannot start threads.
#[doc(alias = "setns")]
pub(crate) fn children_in(namespace: &OwnedFd) -> io::Result<()> {
    // SAFETY: a descriptor that stays open for the call, and a number.
    let ret = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWPID) };
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
