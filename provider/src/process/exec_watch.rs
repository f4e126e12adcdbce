//! Noticing programs that start, anywhere on the machine.
//!
//! Probes are attached to files, so a process that starts later from a known file has them from its
//! first instruction on. This is for the files that are not known yet: a program hooked to the
//! tracepoint `sched_process_exec` reports each process that execs.
//!
//! At that moment the program is mapped but its libraries are not, and there is no event for that.
//! So each process is reported again a little later, when the loader has run.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aya_obj::generated::{bpf_map_type, bpf_prog_type};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::files::{all_processes, has_kernels_ids};
use crate::error::Error;
use crate::map::Map;
use crate::object::{MapKind, MapSpec};
use crate::session::{Ring, load_explained};
use crate::sys;
use crate::sys::map::NewMap;
use crate::sys::prog::NewProgram;

/// Reports of execs on the whole machine, from its making until it is dropped.
///
/// A thread of its own empties the ring: whoever asks for reports may be busy for seconds. Should
/// one be lost nonetheless, all processes are reported.
#[derive(Debug)]
pub struct ExecWatch {
    _link: OwnedFd,
    inbox: Arc<Inbox>,
    reader: Option<JoinHandle<()>>,
    /// Counts in the kernel what the ring had no room for.
    lost: Map,
    /// How many of those have been seen.
    known_lost: u64,
    /// Processes to report again, and when; in no order.
    again: Vec<(Instant, u32)>,
    /// Whether the kernel's process ids are ours.
    same_ids: bool,
}

/// What the reading thread hands over.
#[derive(Debug)]
struct Inbox {
    /// Processes that have exec'd: as many as run, at most.
    pids: Mutex<BTreeSet<u32>>,
    /// Readable when there are any.
    filled: EventFd,
    /// Readable when the thread is to end.
    stop: EventFd,
}

/// When a process is reported again after its exec: loaders take some milliseconds, on a busy
/// machine or from a cold disk longer.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(2),
    Duration::from_millis(8),
    Duration::from_millis(40),
    Duration::from_millis(400),
];

impl AsFd for ExecWatch {
    /// Readable when a process has exec'd since [`take`](Self::take) was last called.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inbox.filled.as_fd()
    }
}

impl Drop for ExecWatch {
    fn drop(&mut self) {
        let _ = self.inbox.stop.write(1);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl ExecWatch {
    /// Starts watching.
    pub fn start() -> Result<Self, Error> {
        let failed = |source| Error::ExecWatch { source };
        let map = sys::map::create(&NewMap {
            map_type: bpf_map_type::BPF_MAP_TYPE_RINGBUF,
            name: "rdtrace_execs",
            key_size: 0,
            value_size: 0,
            max_entries: 1 << 16, // two thousand execs
            no_prealloc: false,
            read_only: false,
            shared: false,
            btf: None,
        })
        .map_err(failed)?;
        let lost = Map::create(&MapSpec::new("rdtrace_lost", MapKind::Array, 4, 8, 1))?;
        let ring = Ring::new(map.as_fd()).map_err(failed)?;
        let program = load_explained(&NewProgram {
            prog_type: bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT,
            attach_type: None,
            name: "rdtrace_execs",
            insns: &report_pid(map.as_fd(), lost.as_fd()),
        })?;
        let event = || {
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            EventFd::from_flags(flags).map_err(|errno| failed(errno.into()))
        };
        let inbox = Arc::new(Inbox {
            pids: Mutex::default(),
            filled: event()?,
            stop: event()?,
        });
        let reader = {
            let inbox = Arc::clone(&inbox);
            let named = thread::Builder::new().name("execs".into());
            named.spawn(move || read(ring, &inbox)).map_err(failed)?
        };
        let link =
            sys::link::raw_tracepoint(program.as_fd(), c"sched_process_exec").map_err(failed)?;
        Ok(Self {
            _link: link,
            inbox,
            reader: Some(reader),
            lost,
            known_lost: 0,
            again: Vec::new(),
            same_ids: has_kernels_ids(),
        })
    }

    /// The processes that have exec'd, and those that it is time to look at again. Never waits.
    pub fn take(&mut self) -> Vec<u32> {
        self.take_at(Instant::now())
    }

    /// How long until [`take`](Self::take) has something without a new exec; `None`: never.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let first = self.again.iter().map(|(when, _)| *when).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    fn take_at(&mut self, now: Instant) -> Vec<u32> {
        let _ = self.inbox.filled.read();
        let taken = self
            .inbox
            .pids
            .lock()
            .map(|mut pids| std::mem::take(&mut *pids));
        let mut pids: Vec<u32> = taken.unwrap_or_default().into_iter().collect();
        let lost = self.lost();
        if lost != self.known_lost || (!self.same_ids && !pids.is_empty()) {
            self.known_lost = lost;
            pids = all_processes();
        }
        let again = &mut self.again;
        let (due, later) = again.drain(..).partition(|(when, _)| *when <= now);
        *again = later;
        let later = AGAIN
            .iter()
            .flat_map(|wait| pids.iter().map(move |pid| (now + *wait, *pid)));
        again.extend(later);
        pids.extend(Vec::<(Instant, u32)>::into_iter(due).map(|(_, pid)| pid));
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}

impl ExecWatch {
    /// How many execs the ring had no room for, so far.
    fn lost(&self) -> u64 {
        let mut value = [0; 8];
        match self.lost.lookup(&[0; 4], &mut value) {
            Ok(true) => u64::from_ne_bytes(value),
            Ok(false) | Err(_) => self.known_lost,
        }
    }
}

/// The reading thread: empties the ring as soon as something is in it.
fn read(mut ring: Ring, inbox: &Inbox) {
    loop {
        let mut pids = BTreeSet::new();
        ring.drain(&mut |record| {
            let pid = record.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
            pids.extend(pid.and_then(|pid| u32::try_from(pid).ok()));
        });
        if !pids.is_empty() {
            if let Ok(mut all) = inbox.pids.lock() {
                all.append(&mut pids);
            }
            let _ = inbox.filled.write(1);
        }
        let mut fds = [
            PollFd::new(ring.as_fd(), PollFlags::POLLIN),
            PollFd::new(inbox.stop.as_fd(), PollFlags::POLLIN),
        ];
        let waited = poll(&mut fds, PollTimeout::NONE);
        if fds[1].any() == Some(true)
            || waited.is_err_and(|errno| errno != nix::errno::Errno::EINTR)
        {
            return;
        }
    }
}

/// The program: outputs the process id as 8 bytes, waking the reader if it sleeps, and counts what
/// there is no room for.
fn report_pid(ring: BorrowedFd<'_>, lost: BorrowedFd<'_>) -> [u64; 17] {
    use std::os::fd::AsRawFd;
    let insn = |code: u8, registers: u8, offset: i16, imm: i32| {
        u64::from(code)
            | u64::from(registers) << 8 // source in the upper half
            | u64::from(offset.cast_unsigned()) << 16
            | u64::from(imm.cast_unsigned()) << 32
    };
    [
        insn(0x85, 0, 0, 14),                  // r0 = bpf_get_current_pid_tgid()
        insn(0x77, 0, 0, 32),                  // r0 >>= 32, the process
        insn(0x7b, 0x0a, -8, 0),               // *(fp - 8) = r0
        insn(0x18, 0x11, 0, ring.as_raw_fd()), // r1 = ring
        0,                                     //
        insn(0xbf, 0xa2, 0, 0),                // r2 = fp
        insn(0x07, 0x02, 0, -8),               // r2 -= 8
        insn(0xb7, 0x03, 0, 8),                // r3 = 8
        insn(0xb7, 0x04, 0, 0),                // r4 = 0
        insn(0x85, 0, 0, 130),                 // bpf_ringbuf_output(r1, r2, r3, r4)
        insn(0x15, 0x00, 4, 0),                // if r0 == 0 goto done
        insn(0x18, 0x21, 0, lost.as_raw_fd()), // r1 = &lost[0]
        0,                                     //
        insn(0xb7, 0x02, 0, 1),                // r2 = 1
        insn(0xdb, 0x21, 0, 0),                // lock *(u64 *)r1 += r2
        insn(0xb7, 0x00, 0, 0),                // done: r0 = 0
        insn(0x95, 0, 0, 0),                   // exit
    ]
}
