//! The `io` provider: what is asked of disks and other block devices, and what they have done.

use super::dependents::{Dependents, Row, function, function_return, tracepoint};

/// The arguments of all probes. Which file a request is for is not known where it is made, as in DTrace.
const REQUEST: &[(u8, &str)] = &[(0, "bufinfo_t *"), (0, "devinfo_t *"), (1, "fileinfo_t *")];

const NO_FILE: &str = "(struct file *)0";

/// The provider.
pub(super) const IO: Dependents = Dependents {
    name: "io",
    summary: "`io` for disks",
    probes: &[
        Row {
            name: "done",
            args: REQUEST,
            // A device's driver works on requests of several bios, or on bios themselves.
            on: &[
                tracepoint("block_bio_complete", "", &["args[1]", NO_FILE]),
                tracepoint(
                    "block_rq_complete",
                    "args[0]->bio != NULL",
                    &["args[0]->bio", NO_FILE],
                ),
            ],
            lack: "it has no block devices (CONFIG_BLOCK)",
        },
        Row {
            name: "start",
            args: REQUEST,
            on: &[tracepoint("block_bio_queue", "", &["args[0]", NO_FILE])],
            lack: "it has no block devices (CONFIG_BLOCK)",
        },
        Row {
            name: "wait-done",
            args: REQUEST,
            on: &[function_return(
                "submit_bio_wait",
                "",
                &["args[2]", NO_FILE],
            )],
            lack: "there is no tracepoint where a thread has waited for a request, and the function `submit_bio_wait` \
                   cannot be traced; io:::done fires when it is done, sched:::on-cpu when the thread goes on",
        },
        Row {
            name: "wait-start",
            args: REQUEST,
            on: &[function("submit_bio_wait", &["args[0]", NO_FILE])],
            lack: "there is no tracepoint where a thread waits for a request, and the function `submit_bio_wait` \
                   cannot be traced; io:::start fires when the request is made, sched:::sleep when the thread waits",
        },
    ],
};
