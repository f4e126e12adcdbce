//! Loading a program, with the reason where the kernel refuses it.

use std::os::fd::OwnedFd;

use crate::error::{Error, LoadError};
use crate::lack::Lack;
use crate::sys;
use crate::sys::prog::NewProgram;

/// Loads without a log, which is quicker, and once more with one if the kernel says no and has all
/// that the program asks for: one that is refused for being too large takes seconds each time.
pub(crate) fn load_explained(new: &NewProgram<'_>) -> Result<OwnedFd, Error> {
    /// What the end of the log needs. Kernels before 6.4 keep its beginning instead, and say ENOSPC.
    const LOG: usize = 1 << 22;
    let source = match sys::prog::load(new, None) {
        Ok(fd) => return Ok(fd),
        Err(source) => source,
    };
    if source.raw_os_error() == Some(libc::EINVAL)
        && let Some(lack) = Lack::of_program(new)
    {
        return Err(Error::Lacks(lack));
    }
    let detail = match source.raw_os_error() {
        Some(libc::E2BIG) => sys::prog::Detail::Outcome,
        _ => sys::prog::Detail::Instructions,
    };
    let mut log = vec![0; LOG];
    if let Ok(fd) = sys::prog::load(new, Some((&mut log, detail))) {
        return Ok(fd);
    }
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]).into_owned();
    Err(LoadError {
        name: new.name.to_owned(),
        source,
        log,
    }
    .into())
}
