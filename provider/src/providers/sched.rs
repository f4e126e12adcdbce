//! The `sched` provider: which thread has a CPU, and which waits for one.
//!
//! `off-cpu` fires on the thread that leaves, `on-cpu` on the one that comes: the kernel passes its tracepoint
//! `sched_exit_tp` when the change is done, in the name of the thread that runs now. So `pid`, `self->` and
//! stacks are those of that thread. Kernels before 6.16 lack the tracepoint; there it is the function that ends a
//! change ([`SWITCHED`]), which a thread that runs for the first time calls as well. Nothing tells there that a thread
//! stays on its CPU.

use super::dependents::{
    Dependents, Row, entry, function, function_if, function_return, tracepoint, without,
};

/// The arguments of probes about one thread, which is their only input.
const THREAD: &[(u8, &str)] = &[(0, "lwpsinfo_t *"), (0, "psinfo_t *")];

/// The function in which a thread finds itself when it has come to a CPU.
pub(super) const SWITCHED: &str = "finish_task_switch";

const NO_SWITCH: &str = "it takes the tracepoint `sched_exit_tp`, which came with Linux 6.16, or a kprobe at `finish_task_switch`";

const NO_STAY: &str = "it takes the tracepoint `sched_exit_tp`, which came with Linux 6.16";

const NO_TRACEPOINT: &str = "a tracepoint that all kernels since Linux 5.15 have is missing";

/// The arguments of `enqueue` and `dequeue`; the CPU whose queue it is.
const QUEUE: &[(u8, &str)] = &[
    (0, "lwpsinfo_t *"),
    (0, "psinfo_t *"),
    (1, "cpuinfo_t *"),
    (2, "int"),
];

const QUEUED: &[&str] = &["args[1]", "(processorid_t)args[0]->cpu", "args[2] & 0x10"];
const DEQUEUED: &[&str] = &["args[1]", "(processorid_t)args[0]->cpu", "0"];

/// The provider.
pub(super) const SCHED: Dependents = Dependents {
    name: "sched",
    summary: "`sched` for threads and CPUs",
    probes: &[
        Row {
            name: "change-pri",
            args: &[(0, "lwpsinfo_t *"), (0, "psinfo_t *"), (1, "int")],
            // By setpriority() and its like, and by sched_setscheduler() and its like.
            on: &[
                function_if(
                    "set_user_nice",
                    "args[0]->static_prio != args[1] + 120",
                    &["args[0]", "(int)(args[1] + 120)"],
                ),
                function_return(
                    "__sched_setscheduler",
                    "(int)args[1] == 0",
                    &["args[2]", "args[2]->normal_prio"],
                ),
            ],
            lack: "there is no tracepoint where a thread's priority changes, and the functions `set_user_nice` and \
                   `__sched_setscheduler` cannot be traced (DTrace has no such probe at all); syscall::setpriority:, \
                   syscall::sched_setscheduler: and their like see who asks for it",
        },
        Row {
            name: "dequeue",
            args: QUEUE,
            on: &[
                function("dequeue_task_fair", DEQUEUED),
                function("dequeue_task_rt", DEQUEUED),
                function("dequeue_task_dl", DEQUEUED),
            ],
            lack: "there is no tracepoint, and its functions `dequeue_task_*` cannot be traced",
        },
        Row {
            name: "enqueue",
            args: QUEUE,
            on: &[
                function("enqueue_task_fair", QUEUED),
                function("enqueue_task_rt", QUEUED),
                function("enqueue_task_dl", QUEUED),
            ],
            lack: "there is no tracepoint, and its functions `enqueue_task_*` cannot be traced",
        },
        Row {
            name: "off-cpu",
            args: THREAD,
            on: &[tracepoint("sched_switch", "", &["args[2]"])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "on-cpu",
            args: &[],
            on: &[
                tracepoint("sched_exit_tp", "args[0]", &[]),
                without("sched_exit_tp", SWITCHED, ""),
            ],
            lack: NO_SWITCH,
        },
        Row {
            name: "preempt",
            args: &[],
            on: &[tracepoint("sched_switch", "args[0] || args[3] == 0", &[])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "remain-cpu",
            args: &[],
            on: &[tracepoint("sched_exit_tp", "!args[0]", &[])],
            lack: NO_STAY,
        },
        Row {
            name: "sleep",
            args: &[],
            on: &[tracepoint("sched_switch", "!args[0] && args[3] != 0", &[])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "surrender",
            args: THREAD,
            on: &[entry("sched_yield", &["curthread"])],
            lack: NO_TRACEPOINT,
        },
        Row {
            name: "tick",
            args: THREAD,
            on: &[
                function("sched_tick", &["curthread"]),
                function("scheduler_tick", &["curthread"]),
            ],
            lack: "there is no tracepoint, and its function `sched_tick` cannot be traced; profile-1000 fires as often",
        },
        Row {
            name: "wakeup",
            args: THREAD,
            on: &[tracepoint("sched_wakeup", "", &["args[0]"])],
            lack: NO_TRACEPOINT,
        },
    ],
};
