//! Making the links of a plan, one by one.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use super::links::Link;
use crate::error::Error;
use crate::features::KernelFeatures;
use crate::kprobes;
use crate::object::UprobeSite;
use crate::plan::PlannedLink;
use crate::probe::{Counted, File, KernelSymbol, Scope, TraceEvent};
use crate::sys;
use crate::tracefs;

/// Makes a link.
pub(super) fn make_link(
    features: &KernelFeatures,
    link: &PlannedLink,
    program: BorrowedFd<'_>,
) -> Result<Link, Error> {
    match link {
        PlannedLink::UprobeMulti {
            file,
            scope,
            sites,
            returns,
            ..
        } => uprobe_multi(program, file, *scope, sites, *returns)
            .map_err(|source| uprobe_error(file, *scope, sites, source)),
        PlannedLink::UprobeEvent {
            file,
            scope,
            site,
            returns,
            ..
        } => uprobe_event(features, program, (file, *scope), site, *returns)
            .map_err(|source| uprobe_error(file, *scope, std::slice::from_ref(site), source)),
        PlannedLink::Tracepoint { name, .. } => {
            tracepoint(program, Some(name)).map_err(|source| Error::Tracepoint {
                name: name.to_string(),
                source,
            })
        }
        PlannedLink::Function { name, .. } => {
            tracepoint(program, None).map_err(|source| Error::Function {
                name: name.to_string(),
                source,
            })
        }
        PlannedLink::Kprobe {
            symbol, returns, ..
        } => kprobe(program, symbol, *returns).map_err(|source| Error::Kprobe {
            name: symbol.name.to_string(),
            source,
        }),
        PlannedLink::Event { event, .. } => {
            trace_event(program, event).map_err(|source| Error::Tracepoint {
                name: event.name.to_string(),
                source,
            })
        }
        PlannedLink::Timer {
            cpu,
            counted,
            period,
            ..
        } => timer(program, *cpu, (*counted, *period))
            .map_err(|source| Error::Timer { cpu: *cpu, source }),
    }
}

fn uprobe_event(
    features: &KernelFeatures,
    program: BorrowedFd<'_>,
    (file, scope): (&File, Scope),
    site: &UprobeSite,
    returns: bool,
) -> io::Result<Link> {
    let Some(kind) = features.uprobe_event_type() else {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    };
    let pid = match scope {
        Scope::Process(pid) => Some(pid),
        Scope::Tree(_) | Scope::System => None,
    };
    let (_file, path) = pin(file)?;
    let event = sys::perf::uprobe(
        kind,
        &path,
        site.file_offset,
        site.semaphore.unwrap_or(0),
        pid,
        returns,
    )?;
    let link = if features.has_bpf_cookie() {
        Some(sys::link::perf_event(program, event.as_fd(), site.cookie)?)
    } else {
        sys::perf::set_bpf(event.as_fd(), program)?;
        None
    };
    sys::perf::enable(event.as_fd())?;
    Ok(Link {
        _attached: link,
        _event: Some(event),
        parts: None,
    })
}

fn uprobe_multi(
    program: BorrowedFd<'_>,
    file: &File,
    scope: Scope,
    sites: &[UprobeSite],
    returns: bool,
) -> io::Result<Link> {
    let offsets: Vec<u64> = sites.iter().map(|site| site.file_offset).collect();
    let semaphores: Vec<u64> = sites
        .iter()
        .map(|site| site.semaphore.unwrap_or(0))
        .collect();
    let cookies: Vec<u64> = sites.iter().map(|site| site.cookie).collect();
    let pid = match scope {
        Scope::Process(pid) => pid,
        Scope::Tree(_) | Scope::System => 0,
    };
    let (_file, path) = pin(file)?;
    let link = sys::link::uprobe_multi(
        program,
        &path,
        &offsets,
        &semaphores,
        &cookies,
        pid,
        returns,
    )?;
    Ok(Link {
        _attached: Some(link),
        _event: None,
        parts: None,
    })
}

/// Attaches to a tracepoint by its name, or to what the program was loaded for.
fn tracepoint(program: BorrowedFd<'_>, name: Option<&str>) -> io::Result<Link> {
    let name = name
        .map(CString::new)
        .transpose()
        .map_err(io::Error::other)?;
    Ok(Link {
        _attached: Some(sys::link::raw_tracepoint(program, name.as_deref())?),
        _event: None,
        parts: None,
    })
}

fn trace_event(program: BorrowedFd<'_>, event: &TraceEvent) -> io::Result<Link> {
    let id = tracefs::id_of(&event.group, &event.name).ok_or(io::ErrorKind::NotFound)?;
    on_event(program, sys::perf::trace_event(id)?)
}

fn kprobe(program: BorrowedFd<'_>, symbol: &KernelSymbol, returns: bool) -> io::Result<Link> {
    let kind = kprobes::event_type().ok_or(io::ErrorKind::Unsupported)?;
    on_event(program, sys::perf::kprobe(kind, symbol.address, returns)?)
}

fn timer(program: BorrowedFd<'_>, cpu: u32, (counted, period): (Counted, u64)) -> io::Result<Link> {
    on_event(program, sys::perf::counter(cpu, counted, period)?)
}

/// Runs the program at each event that the kernel counts.
fn on_event(program: BorrowedFd<'_>, event: OwnedFd) -> io::Result<Link> {
    sys::perf::set_bpf(event.as_fd(), program)?;
    sys::perf::enable(event.as_fd())?;
    Ok(Link {
        _attached: None,
        _event: Some(event),
        parts: None,
    })
}

fn uprobe_error(file: &File, scope: Scope, sites: &[UprobeSite], source: io::Error) -> Error {
    if let Scope::Process(pid) = scope
        && !fs::exists(format!("/proc/{pid}/exe")).unwrap_or(false)
    {
        return Error::Ended { pid };
    }
    if source.raw_os_error() == Some(libc::ESTALE) {
        let path = file.shown.display().to_string();
        return Error::Replaced { path };
    }
    Error::Uprobe {
        path: file.shown.display().to_string(),
        offsets: sites.iter().map(|site| site.file_offset).collect(),
        source,
    }
}

/// Opens the very file that was looked at, and gives a path that leads to it and nowhere else while it is
/// open: its name may have been given to another file by now, whose code is not at the old offsets.
/// That is `ESTALE` then.
fn pin(file: &File) -> io::Result<(fs::File, CString)> {
    let mut options = fs::OpenOptions::new();
    let opened = options
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(&file.path)?;
    let meta = opened.metadata()?;
    if (meta.dev(), meta.ino()) != file.identity {
        return Err(io::Error::from_raw_os_error(libc::ESTALE));
    }
    let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
    Ok((opened, CString::new(path).map_err(io::Error::other)?))
}

/// Whether the file to attach to is gone, and no process was meant in particular.
pub(super) fn is_gone(link: &PlannedLink) -> bool {
    let (PlannedLink::UprobeMulti { file, scope, .. }
    | PlannedLink::UprobeEvent { file, scope, .. }) = link
    else {
        return false;
    };
    let missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    !matches!(scope, Scope::Process(_)) && fs::metadata(&file.path).is_err_and(missing)
}
