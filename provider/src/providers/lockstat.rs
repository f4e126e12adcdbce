//! The `lockstat` provider: who waits for locks of the kernel, and who has them.
//!
//! What a thread waits for is in the tracepoints `contention_begin` and `contention_end` (Linux 5.19). The first says
//! how it waits: asleep, or trying again and again (spinning). A thread that wants a mutex may do one after the
//! other. While a program has a probe of this kind, a program of rdtrace's own adds up how long it does each, from
//! one tracepoint to the next (`actions/src/contention.rs`); the definitions here read that by `contention(lock, ...)`:
//! 0 how it waited last, 1 the time that it spun, 2 the time that it slept, in nanoseconds.
//!
//! Taking a lock that is free, and giving one back, are functions without a tracepoint. Spin locks have no such
//! probes: eBPF's own maps and buffers take spin locks, so that a program there would run in the middle of itself.

use super::dependents::{Dependents, Row, function_return, tracepoint};

/// How a thread has waited, by the kernel's numbers: `LCB_F_SPIN` 1, `LCB_F_READ` 2, `LCB_F_WRITE` 4, `LCB_F_MUTEX` 32.
macro_rules! waited {
    (for mutex) => {
        "(contention(args[0], 0) & 32)"
    };
    (for rw) => {
        "(contention(args[0], 0) & 1) && (contention(args[0], 0) & 6)"
    };
    (for spin) => {
        "contention(args[0], 0) == 1"
    };
}

const MUTEX: &[(u8, &str)] = &[(0, "struct mutex *")];

const MUTEX_AND_TIME: &[(u8, &str)] = &[(0, "struct mutex *"), (1, "uint64_t")];

/// The lock, and 1 for a reader, 0 for a writer.
const RW: &[(u8, &str)] = &[(0, "rwlock_t *"), (1, "int")];

const READS: &[&str] = &["args[2]", "1"];
const WRITES: &[&str] = &["args[2]", "0"];

const NO_TRACEPOINT: &str =
    "it takes the tracepoints `contention_begin` and `contention_end`, which came with Linux 5.19";

const NO_FUNCTION: &str = "there is no tracepoint where a lock is taken or given back, and its functions cannot be traced; \
                           adaptive-block, adaptive-spin, spin-spin and rw-spin see who has waited for one";

const IN_ITSELF: &str = "programs at the kernel's spin locks would run in the middle of themselves, since eBPF's maps and \
                         buffers take such locks; lockstat:::spin-spin sees who has waited for one";

/// The provider.
pub(super) const LOCKSTAT: Dependents = Dependents {
    name: "lockstat",
    summary: "`lockstat` for its locks",
    probes: &[
        Row {
            name: "adaptive-acquire",
            args: MUTEX,
            on: &[
                function_return("mutex_lock", "", &["args[2]"]),
                function_return("mutex_lock_interruptible", "!(int)args[1]", &["args[2]"]),
                function_return("mutex_lock_killable", "!(int)args[1]", &["args[2]"]),
                function_return("mutex_trylock", "(int)args[1]", &["args[2]"]),
            ],
            lack: NO_FUNCTION,
        },
        Row {
            name: "adaptive-acquire-error",
            args: &[(0, "struct mutex *"), (1, "int")],
            on: &[tracepoint(
                "contention_end",
                concat!("args[1] != 0 && ", waited!(for mutex)),
                &["args[0]", "args[1]"],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "adaptive-block",
            args: MUTEX_AND_TIME,
            on: &[tracepoint(
                "contention_end",
                concat!(
                    "args[1] == 0 && ",
                    waited!(for mutex),
                    " && contention(args[0], 2)"
                ),
                &["args[0]", "contention(args[0], 2)"],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "adaptive-release",
            args: MUTEX,
            on: &[function_return("mutex_unlock", "", &["args[2]"])],
            lack: NO_FUNCTION,
        },
        Row {
            name: "adaptive-spin",
            args: MUTEX_AND_TIME,
            on: &[tracepoint(
                "contention_end",
                concat!(
                    "args[1] == 0 && ",
                    waited!(for mutex),
                    " && contention(args[0], 1)"
                ),
                &["args[0]", "contention(args[0], 1)"],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "rw-acquire",
            args: RW,
            on: &[
                function_return("_raw_read_lock", "", READS),
                function_return("_raw_read_lock_bh", "", READS),
                function_return("_raw_read_lock_irq", "", READS),
                function_return("_raw_read_lock_irqsave", "", READS),
                function_return("_raw_read_trylock", "(int)args[1]", READS),
                function_return("_raw_write_lock", "", WRITES),
                function_return("_raw_write_lock_bh", "", WRITES),
                function_return("_raw_write_lock_irq", "", WRITES),
                function_return("_raw_write_lock_irqsave", "", WRITES),
                function_return("_raw_write_trylock", "(int)args[1]", WRITES),
            ],
            lack: NO_FUNCTION,
        },
        Row {
            name: "rw-release",
            args: RW,
            on: &[
                function_return("_raw_read_unlock", "", READS),
                function_return("_raw_read_unlock_bh", "", READS),
                function_return("_raw_read_unlock_irq", "", READS),
                function_return("_raw_read_unlock_irqrestore", "", READS),
                function_return("_raw_write_unlock", "", WRITES),
                function_return("_raw_write_unlock_bh", "", WRITES),
                function_return("_raw_write_unlock_irq", "", WRITES),
                function_return("_raw_write_unlock_irqrestore", "", WRITES),
            ],
            lack: NO_FUNCTION,
        },
        Row {
            name: "rw-spin",
            args: &[(0, "rwlock_t *"), (1, "uint64_t"), (2, "int")],
            on: &[tracepoint(
                "contention_end",
                waited!(for rw),
                &[
                    "args[0]",
                    "contention(args[0], 1)",
                    "contention(args[0], 0) & 2 ? 1 : 0",
                ],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "spin-acquire",
            args: &[(0, "spinlock_t *")],
            on: &[],
            lack: IN_ITSELF,
        },
        Row {
            name: "spin-release",
            args: &[(0, "spinlock_t *")],
            on: &[],
            lack: IN_ITSELF,
        },
        Row {
            name: "spin-spin",
            args: &[(0, "spinlock_t *"), (1, "uint64_t")],
            on: &[tracepoint(
                "contention_end",
                waited!(for spin),
                &["args[0]", "contention(args[0], 1)"],
            )],
            lack: NO_TRACEPOINT,
        },
    ],
};
