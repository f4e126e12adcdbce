//! The `proc` provider: processes and threads that start, become other programs and end, and signals.
//!
//! As in DTrace, `create` and `start` fire for each thread, as `lwp-create` and `lwp-start` do: Linux makes
//! both in the same way. A thread that has just started is one that comes to a CPU without ever having left
//! one.

use super::dependents::{Dependents, On, Row, entry, return_of, tracepoint, without};
use super::sched::SWITCHED;

/// A thread comes to a CPU for the first time.
const STARTS: &[On] = &[
    tracepoint(
        "sched_exit_tp",
        "args[0] && curthread->nvcsw + curthread->nivcsw == 0",
        &[],
    ),
    without(
        "sched_exit_tp",
        SWITCHED,
        "curthread->nvcsw + curthread->nivcsw == 0",
    ),
];

/// Why there is none of these on a kernel that has neither.
const NO_START: &str = "it takes the tracepoint `sched_exit_tp`, which came with Linux 6.16, or a kprobe at `finish_task_switch`";

const NO_TRACEPOINT: &str = "a tracepoint that all kernels since Linux 5.15 have is missing";

/// The arguments of probes about a signal's sender and receiver, whose inputs are the task and the number.
const SIGNAL: &[(u8, &str)] = &[(0, "lwpsinfo_t *"), (0, "psinfo_t *"), (1, "int")];

/// The provider.
pub(super) const PROC: Dependents = Dependents {
    name: "proc",
    summary: "`proc` for processes and signals",
    probes: &[
        Row {
            name: "create",
            args: &[(0, "psinfo_t *")],
            on: &[tracepoint("sched_process_fork", "", &["args[1]"])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "exec",
            args: &[(0, "string")],
            on: &[
                entry("execve", &["args[0]"]),
                entry("execveat", &["args[1]"]),
            ],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "exec-failure",
            args: &[(0, "int")],
            on: &[
                return_of("execve", "args[0] != 0", &["args[0]"]),
                return_of("execveat", "args[0] != 0", &["args[0]"]),
            ],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "exec-success",
            args: &[],
            on: &[tracepoint("sched_process_exec", "", &[])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "exit",
            args: &[(0, "int")],
            // CLD_EXITED, CLD_DUMPED, CLD_KILLED of what wait() tells.
            on: &[tracepoint(
                "sched_process_exit",
                "args[0]->pid == args[0]->tgid",
                &["(args[0]->exit_code & 0x7f) == 0 ? 1 : (args[0]->exit_code & 0x80) ? 3 : 2"],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "fault",
            args: &[(0, "int"), (1, "siginfo_t *")],
            // A signal that the processor's doing has raised: SIGILL, SIGTRAP, SIGBUS, SIGFPE or SIGSEGV
            // with a code that tells the cause. 0 and 1 stand for signals without one.
            on: &[tracepoint(
                "signal_generate",
                "(args[0] == 4 || args[0] == 5 || args[0] == 7 || args[0] == 8 || args[0] == 11) \
                 && (uint64_t)args[1] > 1 && args[1]->si_code > 0",
                &["args[0]", "(siginfo_t *)args[1]"],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "lwp-create",
            args: &[(0, "lwpsinfo_t *"), (0, "psinfo_t *")],
            on: &[tracepoint("sched_process_fork", "", &["args[1]"])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "lwp-exit",
            args: &[],
            on: &[tracepoint("sched_process_exit", "", &[])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "lwp-start",
            args: &[],
            on: STARTS,
            lack: NO_START,
        },
        Row {
            name: "signal-clear",
            args: &[(0, "int")],
            on: &[return_of("rt_sigtimedwait", "args[0] > 0", &["args[0]"])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "signal-discard",
            args: SIGNAL,
            // The receiver ignores it: TRACE_SIGNAL_IGNORED.
            on: &[tracepoint(
                "signal_generate",
                "args[4] == 1",
                &["args[2]", "args[0]"],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "signal-handle",
            args: &[(0, "int"), (1, "siginfo_t *"), (2, "void *")],
            // A signal that ends the process is delivered as SIGKILL; its own number is kept.
            on: &[tracepoint(
                "signal_deliver",
                "",
                &[
                    "args[0] == 9 && curthread->signal->group_exit_code != 0 ? \
                     curthread->signal->group_exit_code : args[0]",
                    "(siginfo_t *)args[1]",
                    "args[2]->sa.sa_handler",
                ],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "signal-send",
            args: SIGNAL,
            // It waits for its receiver: TRACE_SIGNAL_DELIVERED, or TRACE_SIGNAL_LOSE_INFO.
            on: &[tracepoint(
                "signal_generate",
                "args[4] == 0 || args[4] == 4",
                &["args[2]", "args[0]"],
            )],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "start",
            args: &[],
            on: STARTS,
            lack: NO_START,
        },
    ],
};
