//! From an errno to advice: which right is missing, or which setting of the machine forbids it.

use std::fmt;
use std::io;

use nix::errno::Errno;

use crate::limits;

/// What was being done, which decides which rights it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Making maps, loading and running programs.
    Bpf,
    /// Attaching to instructions.
    Uprobe,
    /// Opening timers.
    Perf,
    /// Looking into or stopping another process.
    Process,
}

/// Advice that follows an error message, or nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remedy(Option<String>);

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "; {text}"),
            None => Ok(()),
        }
    }
}

impl Remedy {
    /// The advice for an error, looking at this process's rights and the machine's settings.
    pub(crate) fn of(wanted: Wanted, error: &io::Error) -> Self {
        let Some(errno) = error.raw_os_error() else {
            return Self(None);
        };
        let ours = limits::behind(error);
        Self(ours.or_else(|| advice(wanted, errno, effective_capabilities(), &Settings::read())))
    }

    /// The advice for an error that no right is the remedy for: the limit of ours that it comes from.
    pub(crate) fn of_limit(error: &io::Error) -> Self {
        Self(limits::behind(error))
    }
}

/// An errno's text without Rust's "(os error N)", as other commands print it.
pub(crate) fn errno_text(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |raw| Errno::from_raw(raw).desc().into(),
    )
}

const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The settings of the machine that forbid things to those who have the rights for them.
#[derive(Debug, Default)]
struct Settings {
    /// The kernel's lockdown mode: `none`, `integrity`, `confidentiality`, or nothing when unknown.
    lockdown: String,
    /// `kernel.perf_event_paranoid`, if it can be read.
    perf_event_paranoid: Option<i32>,
}

impl Settings {
    fn read() -> Self {
        let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
        Self {
            lockdown: lockdown(),
            perf_event_paranoid: paranoid.ok().and_then(|text| text.trim().parse().ok()),
        }
    }

    /// Whether perf events are left to `CAP_SYS_ADMIN`, as the kernels of Debian and Ubuntu do above 2.
    fn perf_needs_admin(&self) -> bool {
        self.perf_event_paranoid.is_some_and(|level| level > 2)
    }
}

fn advice(wanted: Wanted, errno: i32, capabilities: u64, settings: &Settings) -> Option<String> {
    let has = |cap: u32| capabilities & (1 << cap) != 0;
    let all: &[(u32, &str)] = match wanted {
        Wanted::Bpf | Wanted::Uprobe => &[(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")],
        Wanted::Perf => &[(CAP_PERFMON, "CAP_PERFMON")],
        Wanted::Process => &[(CAP_SYS_PTRACE, "CAP_SYS_PTRACE")],
    };
    // CAP_SYS_ADMIN stands in for the two that were split from it.
    let missing: Vec<&str> = all
        .iter()
        .filter(|&&(cap, _)| !has(cap) && (cap == CAP_SYS_PTRACE || !has(CAP_SYS_ADMIN)))
        .map(|&(_, name)| name)
        .collect();
    match errno {
        libc::EPERM | libc::EACCES if !missing.is_empty() => {
            Some(format!("this needs root, or {}", missing.join(" and ")))
        }
        libc::EPERM | libc::EACCES
            if wanted == Wanted::Perf && settings.perf_needs_admin() && !has(CAP_SYS_ADMIN) =>
        {
            Some(
                "this machine leaves perf events to root (kernel.perf_event_paranoid is over 2); \
                 `sysctl kernel.perf_event_paranoid=2` opens them to CAP_PERFMON"
                    .into(),
            )
        }
        libc::EPERM | libc::EACCES if settings.lockdown == "confidentiality" => Some(
            "the kernel is locked down (confidentiality), which forbids reading memory from eBPF"
                .into(),
        ),
        libc::EPERM if matches!(wanted, Wanted::Bpf) => Some(
            "the machine forbids bpf(2) here: a container's seccomp profile, a security module, or \
             too low a limit on locked memory (`ulimit -l unlimited`)"
                .into(),
        ),
        libc::EPERM if matches!(wanted, Wanted::Uprobe) => {
            Some("uprobes are forbidden here, by a security module or a container's profile".into())
        }
        libc::EPERM if wanted == Wanted::Process => Some(
            "another tracer (gdb, strace) may hold the process, or kernel.yama.ptrace_scope \
             forbids it"
                .into(),
        ),
        libc::ENOMEM if wanted == Wanted::Bpf => {
            Some("try a smaller buffer (-b, -x aggsize, -x dynvarsize)".into())
        }
        libc::EINVAL if wanted == Wanted::Uprobe => Some(
            "the kernel refused the place: another tracer holds this probe's semaphore in another \
             way, or the file was replaced after it was read"
                .into(),
        ),
        libc::ENOTSUP | 524 if wanted == Wanted::Uprobe => {
            Some("the kernel cannot put a probe on this instruction".into())
        }
        libc::ENOSYS | libc::ENOENT | libc::ENODEV if wanted == Wanted::Uprobe => {
            Some("is the kernel built with CONFIG_UPROBES and CONFIG_BPF_EVENTS?".into())
        }
        libc::ENOSYS if matches!(wanted, Wanted::Bpf) => {
            Some("is the kernel built with CONFIG_BPF_SYSCALL?".into())
        }
        _ => None,
    }
}

/// Whether we may look into every process.
pub(crate) fn may_look_into_processes() -> bool {
    effective_capabilities() & (1 << CAP_SYS_PTRACE) != 0
}

fn effective_capabilities() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

/// The kernel's lockdown mode: `none`, `integrity`, `confidentiality`, or nothing when unknown.
fn lockdown() -> String {
    let text = std::fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let chosen = text
        .split('[')
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    chosen.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::advice as advice_for;
    use super::*;

    #[test]
    fn missing_rights_are_named() {
        let advice = |wanted, caps: &[u32]| {
            let caps = caps.iter().fold(0, |all, cap| all | 1 << cap);
            advice_for(wanted, libc::EPERM, caps, &Settings::default()).unwrap()
        };
        assert_eq!(
            advice(Wanted::Bpf, &[]),
            "this needs root, or CAP_BPF and CAP_PERFMON"
        );
        assert_eq!(
            advice(Wanted::Bpf, &[CAP_BPF]),
            "this needs root, or CAP_PERFMON"
        );
        assert_eq!(
            advice(Wanted::Process, &[CAP_SYS_ADMIN]),
            "this needs root, or CAP_SYS_PTRACE"
        );
        assert!(advice(Wanted::Bpf, &[CAP_SYS_ADMIN]).contains("seccomp"));
        assert!(advice(Wanted::Process, &[CAP_SYS_PTRACE]).contains("another tracer"));
    }

    #[test]
    fn a_machine_that_leaves_perf_events_to_root_is_told() {
        let settings = Settings {
            perf_event_paranoid: Some(3),
            ..Settings::default()
        };
        let advice = |caps| advice_for(Wanted::Perf, libc::EACCES, caps, &settings);
        let text = advice(1 << CAP_PERFMON).unwrap();
        assert!(text.contains("kernel.perf_event_paranoid=2"), "{text}");
        assert_eq!(advice(1 << CAP_SYS_ADMIN), None);
    }

    #[test]
    fn lockdown_is_named() {
        let settings = Settings {
            lockdown: "confidentiality".into(),
            ..Settings::default()
        };
        let text = advice(Wanted::Uprobe, libc::EPERM, u64::MAX, &settings).unwrap();
        assert!(text.contains("locked down"), "{text}");
    }

    #[test]
    fn unknown_errors_get_no_advice() {
        let settings = Settings::default();
        assert_eq!(advice(Wanted::Bpf, libc::EFAULT, u64::MAX, &settings), None);
    }
}
