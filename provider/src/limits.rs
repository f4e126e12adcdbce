//! The limits that this process has itself: open files and address space (`ulimit`).
//!
//! When one of them is reached, nearly everything fails, and what fails first says little: a process
//! whose files cannot be read looks like one without probes. So the limit of open files is raised as
//! far as it may be, and what is left is tried out before anything is said of the traced processes.

use std::fs::File;
use std::io;
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};

use crate::sys::limits::{limit_files, try_map};

/// Soft and hard limit of open files before [`raise`].
static FILES_BEFORE: OnceLock<(rlim_t, rlim_t)> = OnceLock::new();

/// What the smallest run needs.
const FILES: usize = 24;
const ADDRESS_SPACE: usize = 96 << 20;

/// Raises the soft limit of open files to the hard one: each traced file takes one. Commands that are
/// started keep what there was.
pub fn raise() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        let _ = FILES_BEFORE.set((soft, hard));
    }
}

/// Has a command start with the limits that we were started with.
pub(crate) fn give_back(command: &mut Command) {
    if let Some(&(soft, hard)) = FILES_BEFORE.get() {
        limit_files(command, soft, hard);
    }
}

/// Which limit of ours is too low to go on, in words, if one is.
#[must_use]
pub fn reached() -> Option<String> {
    let mut open = Vec::new();
    for _ in 0..FILES {
        match File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(error) if is(&error, libc::EMFILE) => {
                let more = open.len();
                return Some(format!(
                    "only {more} more files can be opened, and rdtrace needs {FILES}; {}",
                    files()
                ));
            }
            Err(_) => break, // no limit of ours
        }
    }
    let space = try_map(ADDRESS_SPACE).is_err_and(|error| is(&error, libc::ENOMEM));
    space.then(|| {
        let mib = ADDRESS_SPACE >> 20;
        let limit = address_space().unwrap_or_else(|| "the machine has no more".into());
        format!("there are no {mib} MiB of address space left, which rdtrace needs; {limit}")
    })
}

/// The limit of ours that an error comes from, if it is one, and how to raise it.
pub(crate) fn behind(error: &io::Error) -> Option<String> {
    match error.raw_os_error()? {
        libc::EMFILE => Some(files()),
        libc::ENFILE => Some("all files of the machine are open (sysctl fs.file-max)".into()),
        libc::ENOMEM => address_space(),
        libc::EAGAIN => processes(),
        _ => None,
    }
}

fn is(error: &io::Error, errno: i32) -> bool {
    error.raw_os_error() == Some(errno)
}

fn files() -> String {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    format!("the limit of open files is {limit} (`ulimit -n`)")
}

fn address_space() -> Option<String> {
    let (soft, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
    let kib = soft >> 10;
    (soft != RLIM_INFINITY)
        .then(|| format!("the limit of address space is {kib} KiB (`ulimit -v`)"))
}

fn processes() -> Option<String> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NPROC).ok()?;
    (soft != RLIM_INFINITY)
        .then(|| format!("the limit of the user's processes and threads is {soft} (`ulimit -u`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_limits_name_them() {
        let of = |errno| behind(&io::Error::from_raw_os_error(errno));
        assert!(of(libc::EMFILE).unwrap().contains("ulimit -n"));
        assert_eq!(of(libc::ENOENT), None);
        assert_eq!(reached(), None);
    }
}
