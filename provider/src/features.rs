//! What this kernel can do, asked once by trying it.
//!
//! Every fact is one small program loaded or one link refused in the expected way, 20-60 us each.
//! Version numbers say nothing on kernels with backports; the kernel's BTF would say it too, but
//! takes 20 ms to parse.

use std::io;
use std::os::fd::AsFd;

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};

use crate::sys;
use crate::sys::prog::NewProgram;

/// Named facts about the kernel. Without the rights to use eBPF all are false; the first map or
/// program then fails with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one each")]
pub struct KernelFeatures {
    /// One link for many instructions, with semaphores, cookies and a process filter that means
    /// processes (6.6 brought the link; the filter meant threads before 6.10, which counts as
    /// lacking here).
    pub has_uprobe_multi: bool,
    /// `bpf_get_attach_cookie` in uprobe programs, and perf-event links that carry one (5.15).
    pub has_bpf_cookie: bool,
    /// `bpf_task_storage_get` and `bpf_get_current_task_btf` in uprobe programs (5.11).
    pub has_task_storage: bool,
    /// `bpf_ringbuf_output` (5.8).
    pub has_ringbuf: bool,
    /// `bpf_ktime_get_tai_ns` (6.1).
    pub has_ktime_tai: bool,
    /// `bpf_loop` (5.17).
    pub has_bpf_loop: bool,
    /// `bpf_strncmp` (5.17).
    pub has_strncmp: bool,
    /// The number of the `uprobe` perf event type, the fallback where multi-uprobe links lack.
    pub uprobe_event_type: Option<u32>,
    /// The CPUs that timers run on.
    pub online_cpus: Vec<u32>,
}

impl KernelFeatures {
    /// Asks the running kernel.
    #[must_use]
    pub fn detect() -> Self {
        Self {
            has_uprobe_multi: uprobe_multi(),
            has_bpf_cookie: helper(174),
            has_task_storage: helper(156) && helper(158),
            has_ringbuf: helper(130),
            has_ktime_tai: helper(208),
            has_bpf_loop: helper(181),
            has_strncmp: helper(182),
            uprobe_event_type: uprobe_event_type(),
            online_cpus: aya::util::online_cpus().unwrap_or_else(|_| vec![0]),
        }
    }

    /// A kernel that can do everything, with one CPU: for tests of what depends on features.
    #[must_use]
    pub fn complete() -> Self {
        Self {
            has_uprobe_multi: true,
            has_bpf_cookie: true,
            has_task_storage: true,
            has_ringbuf: true,
            has_ktime_tai: true,
            has_bpf_loop: true,
            has_strncmp: true,
            uprobe_event_type: Some(8),
            online_cpus: vec![0],
        }
    }

    /// Whether the kernel has the instruction `may_goto` (6.9), with which a loop needs no bound.
    /// Not part of [`detect`](Self::detect) because few programs have such loops.
    #[must_use]
    pub fn may_goto() -> bool {
        load(&[mov(0, 0), MAY_GOTO, mov(0, 0), EXIT], None).is_ok()
    }

    /// Whether the kernel would load a program if it had no `may_goto` in it.
    #[must_use]
    pub fn lacks_may_goto() -> bool {
        !Self::may_goto() && load(&NOTHING, None).is_ok()
    }

    /// Whether programs may write user memory (`copyout`). Not part of [`detect`](Self::detect)
    /// because the kernel logs a warning about each program that asks.
    #[must_use]
    pub fn probe_write_user() -> bool {
        helper(36)
    }
}

/// `r0 = imm`.
const fn mov(register: u8, imm: i32) -> u64 {
    0xb7 | (register as u64) << 8 | (imm.cast_unsigned() as u64) << 32
}

const fn call(helper: u32) -> u64 {
    0x85 | (helper as u64) << 32
}

const EXIT: u64 = 0x95;

/// `may_goto +1`.
const MAY_GOTO: u64 = 0xe5 | 1 << 16;

/// A program that does nothing, and returns 0.
pub(crate) const NOTHING: [u64; 2] = [mov(0, 0), EXIT];

/// Whether uprobe programs may call a helper. All arguments but the context are given as zero: the
/// verifier looks for the helper first (EINVAL if there is none) and at the arguments second
/// (EACCES if they are no pointers).
fn helper(id: u32) -> bool {
    let program = [
        mov(2, 0),
        mov(3, 0),
        mov(4, 0),
        mov(5, 0),
        call(id),
        mov(0, 0),
        EXIT,
    ];
    match load(&program, None) {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(libc::EACCES),
    }
}

fn load(insns: &[u64], attach_type: Option<bpf_attach_type>) -> io::Result<std::os::fd::OwnedFd> {
    sys::prog::load(
        &NewProgram {
            prog_type: bpf_prog_type::BPF_PROG_TYPE_KPROBE,
            attach_type,
            name: "rdtrace_probe",
            insns,
        },
        None,
    )
}

/// Whether multi-uprobe links work and filter by process. A link to a directory is refused with
/// EBADF by a kernel that knows such links; one for process -1 with EINVAL only if the filter means
/// processes.
fn uprobe_multi() -> bool {
    let Ok(program) = load(&NOTHING, Some(bpf_attach_type::BPF_TRACE_UPROBE_MULTI)) else {
        return false;
    };
    let try_link = |pid| {
        sys::link::uprobe_multi(program.as_fd(), c"/", &[0], &[0], &[0], pid, false)
            .err()
            .and_then(|error| error.raw_os_error())
    };
    try_link(0) == Some(libc::EBADF) && try_link(u32::MAX) == Some(libc::EINVAL)
}

fn uprobe_event_type() -> Option<u32> {
    let text = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type").ok()?;
    text.trim().parse().ok()
}
