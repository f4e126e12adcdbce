//! What this kernel can do, found out by trying it, when it matters for the first time.
//!
//! Every fact is one small program loaded or one link refused in the expected way, 20-60 us each:
//! a run pays for what it depends on. Version numbers say nothing on kernels with backports; the
//! kernel's BTF would say it too, but takes 20 ms to parse.
//!
//! What rdtrace cannot do without is not asked for at all: it is found missing when the kernel
//! refuses it (`lack.rs`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};

use crate::sys;
use crate::sys::prog::NewProgram;

/// Facts about the kernel on which it depends how things are done. Without the rights to use eBPF
/// it seems to have nothing; the first map or program then fails with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFeatures {
    uprobe_multi: OnceLock<bool>,
    bpf_cookie: OnceLock<bool>,
    uprobe_event_type: OnceLock<Option<u32>>,
    online_cpus: OnceLock<Vec<u32>>,
}

/// How a kernel has loops without a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenLoops {
    /// By the instruction `may_goto` (6.9).
    MayGoto,
    /// By the helper `bpf_loop` (5.17), which calls a function for each turn.
    Calls,
}

impl KernelFeatures {
    /// Those of the running kernel, which is asked when they are needed.
    #[must_use]
    pub fn detect() -> Self {
        Self::default()
    }

    /// A kernel that can do everything, with one CPU: for tests of what depends on features.
    #[must_use]
    pub fn complete() -> Self {
        Self {
            uprobe_multi: true.into(),
            bpf_cookie: true.into(),
            uprobe_event_type: Some(8).into(),
            online_cpus: vec![0].into(),
        }
    }

    /// The same kernel, but for multi-uprobe links.
    #[must_use]
    pub fn without_uprobe_multi(mut self) -> Self {
        self.uprobe_multi = false.into();
        self
    }

    /// The same kernel with these CPUs.
    #[must_use]
    pub fn with_cpus(mut self, cpus: &[u32]) -> Self {
        self.online_cpus = cpus.to_vec().into();
        self
    }

    /// Whether there is one link for many instructions, with semaphores, cookies and a process
    /// filter that means processes (6.6 brought the link; the filter meant threads before 6.10, which
    /// counts as lacking here).
    #[must_use]
    pub fn has_uprobe_multi(&self) -> bool {
        *self.uprobe_multi.get_or_init(uprobe_multi)
    }

    /// Whether there are perf-event links, which carry a cookie for `bpf_get_attach_cookie` (5.15).
    #[must_use]
    pub fn has_bpf_cookie(&self) -> bool {
        let ask = || helper(bpf_prog_type::BPF_PROG_TYPE_KPROBE, 174);
        *self.bpf_cookie.get_or_init(ask)
    }

    /// The number of the `uprobe` perf event type, the fallback where multi-uprobe links lack.
    #[must_use]
    pub fn uprobe_event_type(&self) -> Option<u32> {
        *self.uprobe_event_type.get_or_init(uprobe_event_type)
    }

    /// The CPUs that timers run on.
    #[must_use]
    pub fn online_cpus(&self) -> &[u32] {
        let ask = || aya::util::online_cpus().unwrap_or_else(|_| vec![0]);
        self.online_cpus.get_or_init(ask)
    }

    /// Whether any program can be loaded.
    #[must_use]
    pub fn loads_programs() -> bool {
        load(&NOTHING, None).is_ok()
    }

    /// How the kernel has loops without a bound; `None` if it has none, or lets us load no program.
    #[must_use]
    pub fn open_loops() -> Option<OpenLoops> {
        if Self::may_goto() {
            Some(OpenLoops::MayGoto)
        } else {
            loop_of_calls().then_some(OpenLoops::Calls)
        }
    }

    /// Whether the kernel has the instruction `may_goto` (6.9). `RDTRACE_WITHOUT=may_goto` says that it is not to be
    /// used.
    pub(crate) fn may_goto() -> bool {
        let without = std::env::var("RDTRACE_WITHOUT");
        without.as_deref() != Ok("may_goto")
            && load(&[mov(0, 0), MAY_GOTO, mov(0, 0), EXIT], None).is_ok()
    }

    /// Whether the kernel would load a program if it had no `may_goto` in it.
    #[must_use]
    pub fn lacks_may_goto() -> bool {
        !Self::may_goto() && Self::loads_programs()
    }
}

/// Why the machine allows no program at the kernel's function with this id, whichever it is; `None` if that is
/// not so.
pub(crate) fn forbids_functions(id: u32) -> Option<io::Error> {
    let new = NewProgram {
        prog_type: bpf_prog_type::BPF_PROG_TYPE_TRACING,
        attach_type: Some(bpf_attach_type::BPF_TRACE_FENTRY),
        function: Some(id),
        name: "rdtrace_probe",
        insns: &NOTHING,
        functions: &[],
    };
    let refused = sys::prog::load(&new, None).err()?;
    (refused.raw_os_error() == Some(libc::EPERM)).then_some(refused)
}

/// `r0 = imm`.
pub(crate) const fn mov(register: u8, imm: i32) -> u64 {
    0xb7 | (register as u64) << 8 | (imm.cast_unsigned() as u64) << 32
}

/// Whether a program may have a function called by `bpf_loop`.
fn loop_of_calls() -> bool {
    const LD_IMM64: u64 = 0x18;
    const FUNCTION: u64 = 4;
    const LOOP: u32 = 181;
    // r0 = bpf_loop(1, turn, NULL, 0); return 0; turn: return 0
    let turn = LD_IMM64 | 2 << 8 | FUNCTION << 12 | 6 << 32;
    let insns = [
        mov(1, 1),
        turn,
        0,
        mov(3, 0),
        mov(4, 0),
        call(LOOP),
        mov(0, 0),
        EXIT,
        mov(0, 0),
        EXIT,
    ];
    let new = NewProgram {
        prog_type: bpf_prog_type::BPF_PROG_TYPE_KPROBE,
        attach_type: None,
        function: None,
        name: "rdtrace_probe",
        insns: &insns,
        functions: &[8],
    };
    sys::prog::load(&new, None).is_ok()
}

const fn call(helper: u32) -> u64 {
    0x85 | (helper as u64) << 32
}

pub(crate) const EXIT: u64 = 0x95;

/// `may_goto +1`.
pub(crate) const MAY_GOTO: u64 = 0xe5 | 1 << 16;

/// A program that does nothing, and returns 0.
pub(crate) const NOTHING: [u64; 2] = [mov(0, 0), EXIT];

/// Whether programs of a type may call a helper. All arguments but the context are given as zero: the
/// verifier looks for the helper first (EINVAL if there is none) and at the arguments second
/// (EACCES if they are no pointers).
pub(crate) fn helper(prog_type: bpf_prog_type, id: u32) -> bool {
    let program = [
        mov(2, 0),
        mov(3, 0),
        mov(4, 0),
        mov(5, 0),
        call(id),
        mov(0, 0),
        EXIT,
    ];
    match load_as(prog_type, &program, None) {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(libc::EACCES),
    }
}

pub(crate) fn load(insns: &[u64], attach_type: Option<bpf_attach_type>) -> io::Result<OwnedFd> {
    load_as(bpf_prog_type::BPF_PROG_TYPE_KPROBE, insns, attach_type)
}

fn load_as(
    prog_type: bpf_prog_type,
    insns: &[u64],
    attach_type: Option<bpf_attach_type>,
) -> io::Result<OwnedFd> {
    sys::prog::load(
        &NewProgram {
            prog_type,
            attach_type,
            function: None,
            name: "rdtrace_probe",
            insns,
            functions: &[],
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
