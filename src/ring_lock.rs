//! Which probes fire while their thread may have the lock of the ring buffer.
//!
//! Before Linux 6.15 the kernel takes that lock without a look at who has it. What a firing inside of this records
//! would have the thread wait for itself, for ever, with interrupts off. Inside are:
//!
//! ```text
//!     _raw_spin_lock_irqsave()              returns: it has the lock
//!       native_queued_spin_lock_slowpath()  the same, if it had to wait
//!         contention_end                    and what runs a tracepoint's programs
//!     _raw_spin_unlock_irqrestore()         begins: it has it still
//! ```
//!
//! What is called there goes by other names with paravirtualization, and in other versions; so any function of spin locks
//! is taken for one. It costs such a program a look at a word for each record (`actions::ring`).

use provider::probe::{KernelHook, ProbeKind, TraceEvent};

/// The tracepoint at which waiting for a lock has ended.
const WAITED: &str = "contention_end";

/// Parts of the names of functions that may run while the lock is held.
const INSIDE: [&str; 5] = [
    "spin_lock",
    "spin_trylock",
    "spin_unlock",
    "bpf_trace_run",
    WAITED,
];

/// Whether a probe of this kind may fire while its thread has the lock.
pub(crate) fn may_be_held(kind: &ProbeKind) -> bool {
    let ProbeKind::Kernel(hook) = kind else {
        return false;
    };
    let function = match hook {
        KernelHook::Tracepoint(name) | KernelHook::Event(TraceEvent { name, .. }) => {
            return &**name == WAITED;
        }
        KernelHook::Function(function, _) => &function.name,
        KernelHook::Symbol(symbol, _) => &symbol.name,
    };
    INSIDE.iter().any(|part| function.contains(part))
}

#[cfg(test)]
mod tests {
    use provider::probe::{KernelFunction, KernelSymbol, Way};

    use super::*;

    #[test]
    fn what_runs_with_the_lock_held_is_known() {
        for (name, may_be) in [
            ("_raw_spin_lock_irqsave", true),
            ("_raw_spin_unlock_irqrestore", true),
            ("__pv_queued_spin_lock_slowpath", true),
            ("__traceiter_contention_end", true),
            ("bpf_trace_run2", true),
            ("vfs_read", false),
            ("mutex_lock", false),
        ] {
            let function = KernelFunction {
                name: name.into(),
                id: 1,
            };
            let symbol = KernelSymbol {
                name: name.into(),
                address: 1,
            };
            for hook in [
                KernelHook::Function(function, Way::Return),
                KernelHook::Symbol(symbol, Way::Entry),
            ] {
                assert_eq!(may_be_held(&ProbeKind::Kernel(hook)), may_be, "{name}");
            }
        }
        for (name, may_be) in [("contention_end", true), ("contention_begin", false)] {
            let hook = KernelHook::Tracepoint(name.into());
            assert_eq!(may_be_held(&ProbeKind::Kernel(hook)), may_be, "{name}");
        }
    }
}
