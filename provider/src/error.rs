//! What the machine can refuse, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::lack::Lack;
use crate::remedy::{Remedy, Wanted, errno_text};

/// An operation that the kernel or the file system refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A map could not be made.
    #[error("cannot create the map `{name}` ({kind}): {}{}", errno_text(.source), Remedy::of(Wanted::Bpf, .source))]
    CreateMap {
        /// The map's name.
        name: String,
        /// What kind of map.
        kind: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A map could not be read or changed.
    #[error("cannot {operation} the map `{name}`: {}{}", errno_text(.source), Remedy::of_limit(.source))]
    Map {
        /// What was tried: `read`, `update`, ...
        operation: &'static str,
        /// The map's name.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel is too old for a map or a program.
    #[error("{0}")]
    Lacks(Lack),
    /// A program was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Instructions could not be attached to.
    #[error(
        "cannot attach to {path} at {}: {}{}",
        Offsets(.offsets), errno_text(.source), Remedy::of(Wanted::Uprobe, .source)
    )]
    Uprobe {
        /// The file, as the target sees it.
        path: String,
        /// The file offsets.
        offsets: Vec<u64>,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The one process whose probes were to be attached to is gone.
    #[error("process {pid} has ended before its probes were attached")]
    Ended {
        /// The process.
        pid: u32,
    },
    /// A file has been replaced since it was looked at.
    #[error("{path} was replaced by another file while its probes were being attached; try again")]
    Replaced {
        /// The file, as the target sees it.
        path: String,
    },
    /// A timer could not be set up.
    #[error("cannot set up a timer on CPU {cpu}: {}{}", errno_text(.source), Remedy::of(Wanted::Perf, .source))]
    Timer {
        /// The CPU.
        cpu: u32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A kernel tracepoint could not be attached to.
    #[error("cannot attach to the tracepoint {name}: {}{}", errno_text(.source), Remedy::of(Wanted::Bpf, .source))]
    Tracepoint {
        /// The tracepoint.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A program could not be run directly.
    #[error("cannot run the program `{name}`: {}{}", errno_text(.source), Remedy::of(Wanted::Bpf, .source))]
    Run {
        /// The program's name.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Watching for what processes execute failed.
    #[error("cannot watch for new programs: {}{}", errno_text(.source), Remedy::of(Wanted::Perf, .source))]
    MappingWatch {
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {}{}", errno_text(.source), Remedy::of_limit(.source), path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no process with this id, or it has no program (kernel threads).
    #[error("failed to grab pid {pid}: {}{}", errno_text(.source), Remedy::of(Wanted::Process, .source))]
    Grab {
        /// The process.
        pid: u32,
        /// The system's answer.
        source: io::Error,
    },
    /// A command could not be started.
    #[error("failed to execute {command}: {}{}", errno_text(.source), Remedy::of_limit(.source))]
    Execute {
        /// The command's name.
        command: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A command could not be followed to its first instruction.
    #[error("cannot follow {command} ({operation}): {}{}", errno_text(.source), Remedy::of(Wanted::Process, .source))]
    Follow {
        /// The command's name.
        command: String,
        /// What failed.
        operation: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A program could not be attached to a function of the kernel.
    #[error("cannot attach to the kernel's function {name}: {}{}", errno_text(.source), Remedy::of(Wanted::Bpf, .source))]
    Function {
        /// Its name.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program could not be attached to a function of the kernel by its symbol.
    #[error("cannot attach to the kernel's function {name}: {}{}", refused_kprobe(.source), Remedy::of(Wanted::Perf, .source))]
    Kprobe {
        /// Its symbol.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is not one that can be probed.
    #[error("cannot probe {path}: {why}")]
    Elf {
        /// The file, as the target sees it.
        path: String,
        /// What is the matter with it.
        why: String,
    },
    /// The list of attachments names something that does not exist.
    #[error("internal error: no {what} {id} in this session")]
    Unknown {
        /// `map` or `program`.
        what: &'static str,
        /// Its number.
        id: u32,
    },
}

/// A program that the kernel did not take.
#[derive(Debug, thiserror::Error)]
#[error("cannot load the program `{name}`: {}{}", errno_text(.source), Remedy::of(Wanted::Bpf, .source))]
pub struct LoadError {
    /// The program's name.
    pub name: String,
    /// The kernel's answer.
    pub source: io::Error,
    /// What the verifier wrote, whole; empty when it was not asked, as for a lack of rights.
    pub log: String,
}

impl LoadError {
    /// Whether the verifier looked at the program and refused it, which is a bug of ours, as
    /// against a machine that allows no loading at all.
    #[must_use]
    pub fn rejected_by_verifier(&self) -> bool {
        match self.source.raw_os_error() {
            // Too long, too much to look at, or a mistake that the verifier finds in itself.
            Some(libc::E2BIG | libc::ENOSPC | libc::EFAULT) => true,
            Some(libc::EACCES | libc::EINVAL | libc::EPERM) => !self.log.trim().is_empty(),
            _ => false,
        }
    }
}

/// The kernel's answer to a kprobe that it does not make.
fn refused_kprobe(source: &io::Error) -> String {
    match source.raw_os_error() {
        Some(libc::EINVAL) => {
            "the kernel allows no kprobe there; it may be one that kprobes themselves need".into()
        }
        _ => errno_text(source),
    }
}

/// Prints the first few of a list of offsets.
struct Offsets<'a>(&'a [u64]);

impl std::fmt::Display for Offsets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 4;
        for (i, offset) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{offset:#x}", if i == 0 { "" } else { ", " })?;
        }
        if self.0.len() > SHOWN {
            write!(f, " and {} more places", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}
