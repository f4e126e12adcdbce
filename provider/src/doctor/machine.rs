//! What this machine lets rdtrace do, found out by trying each part, for whoever asks before anything is
//! wrong.

use std::io;

use crate::btf::Btf;
use crate::features::{self, KernelFeatures, forbids_functions};
use crate::kernel_types::with_signatures;
use crate::lack::Lack;
use crate::probe::Counted;
use crate::process::files::{has_kernels_ids, hidden_processes};
use crate::remedy::{Remedy, Wanted, errno_text};
use crate::sys;

/// How it is with one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// Something less can be done.
    Less,
    /// Nothing can be traced.
    Bad,
}

/// One part, and how it is with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub state: State,
    /// Which part.
    pub part: &'static str,
    /// In words: what there is, or what is missing and what to do about it.
    pub words: String,
}

/// All parts of the machine.
#[must_use]
pub fn machine() -> Vec<Finding> {
    let mut found = vec![kernel()];
    let can_load = programs();
    let may = can_load.state == State::Good;
    found.extend([can_load, types()]);
    if may {
        found.extend([places(), timers(), loops(), functions()]);
    }
    found.extend([others(), ids()]);
    found
}

fn finding(state: State, part: &'static str, words: impl Into<String>) -> Finding {
    let words = words.into();
    Finding { state, part, words }
}

fn kernel() -> Finding {
    let names = nix::sys::utsname::uname();
    let release = names.map(|names| names.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    match Lack::of_kernel() {
        Some(lack) => finding(State::Bad, "kernel", lack.to_string()),
        None => finding(State::Good, "kernel", format!("Linux {release}")),
    }
}

fn programs() -> Finding {
    match features::load(&features::NOTHING, None) {
        Ok(_) => finding(State::Good, "eBPF", "programs can be loaded"),
        Err(error) => refused(
            State::Bad,
            "eBPF",
            "programs cannot be loaded",
            Wanted::Bpf,
            &error,
        ),
    }
}

fn refused(
    state: State,
    part: &'static str,
    what: &str,
    wanted: Wanted,
    error: &io::Error,
) -> Finding {
    let (why, remedy) = (errno_text(error), Remedy::of(wanted, error));
    finding(state, part, format!("{what}: {why}{remedy}"))
}

fn types() -> Finding {
    match Btf::of_kernel() {
        Some(_) => finding(State::Good, "kernel's types", "/sys/kernel/btf/vmlinux"),
        None => finding(
            State::Bad,
            "kernel's types",
            "/sys/kernel/btf/vmlinux cannot be read; the kernel needs CONFIG_DEBUG_INFO_BTF",
        ),
    }
}

/// Probes at instructions of programs.
fn places() -> Finding {
    let features = KernelFeatures::detect();
    let part = "probes of programs";
    if features.has_uprobe_multi() {
        finding(State::Good, part, "one link for all places of a file")
    } else if features.uprobe_event_type().is_some() {
        let words = "a link for each place, so that many probes take long to attach; Linux 6.10 has one for all";
        finding(State::Less, part, words)
    } else {
        finding(
            State::Bad,
            part,
            "there are none; the kernel needs CONFIG_UPROBE_EVENTS",
        )
    }
}

fn timers() -> Finding {
    /// Once a second, and it is closed at once.
    const PERIOD: u64 = 1_000_000_000;
    let features = KernelFeatures::detect();
    let cpu = features.online_cpus().first().copied().unwrap_or(0);
    match sys::perf::counter(cpu, Counted::CLOCK, PERIOD) {
        Ok(event) => {
            drop(event);
            finding(State::Good, "timers", "profile and tick")
        }
        Err(error) => refused(
            State::Less,
            "timers",
            "there are none",
            Wanted::Perf,
            &error,
        ),
    }
}

/// What stacks of programs and frames of Python take.
fn loops() -> Finding {
    let part = "stacks of programs";
    match KernelFeatures::open_loops() {
        Some(_) => finding(State::Good, part, "ustack(), jstack(), Python's objects"),
        None => {
            let words = "no ustack(), jstack() and Python's objects: they need Linux 5.17";
            finding(State::Less, part, words)
        }
    }
}

/// Functions of the kernel.
fn functions() -> Finding {
    let part = "functions of the kernel";
    // One that every kernel has.
    let id = with_signatures(|signatures| Some(signatures.function("do_exit")?.id));
    let Some(id) = id.flatten() else {
        return finding(
            State::Less,
            part,
            "no fbt probes: the kernel's types do not tell its functions",
        );
    };
    match forbids_functions(id) {
        None => finding(State::Good, part, "fbt probes"),
        Some(error) => refused(
            State::Less,
            part,
            "no fbt probes: the machine allows no programs there",
            Wanted::Bpf,
            &error,
        ),
    }
}

/// Processes of others.
fn others() -> Finding {
    let hidden = hidden_processes();
    let part = "other processes";
    if hidden.is_empty() {
        return finding(State::Good, part, "all can be looked into");
    }
    let count = hidden.len();
    let words = format!("{count} cannot be looked into; this needs root, or CAP_SYS_PTRACE");
    finding(State::Less, part, words)
}

/// Process ids.
fn ids() -> Finding {
    let part = "process ids";
    if has_kernels_ids() {
        return finding(State::Good, part, "those of the whole machine");
    }
    let words =
        "those of a container, whose processes alone are seen; `--pid=host` (hostPID) shows all";
    finding(State::Less, part, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_told_once() {
        let found = machine();
        let mut parts: Vec<_> = found.iter().map(|finding| finding.part).collect();
        let count = parts.len();
        parts.sort_unstable();
        parts.dedup();
        assert_eq!(parts.len(), count);
        assert!(found.iter().all(|finding| !finding.words.is_empty()));
    }

    #[test]
    fn who_has_no_rights_is_told_which() {
        let error = io::Error::from_raw_os_error(libc::ENOSYS);
        let finding = refused(
            State::Bad,
            "eBPF",
            "programs cannot be loaded",
            Wanted::Bpf,
            &error,
        );
        assert_eq!(
            finding.words,
            "programs cannot be loaded: Function not implemented; is the kernel built with CONFIG_BPF_SYSCALL?"
        );
    }
}
