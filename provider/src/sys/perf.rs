//! Perf events: timers, uprobes where the kernel lacks multi-uprobe links, and reports of what
//! processes map to execute.

use std::ffi::CStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use aya_obj::generated::{
    PERF_FLAG_FD_CLOEXEC, perf_event_attr, perf_event_sample_format, perf_sw_ids, perf_type_id,
};

use crate::probe::{Counted, Mode, PerfEvent};

/// `_IO('$', 0)`. The type of such numbers is another in each C library.
const PERF_EVENT_IOC_ENABLE: libc::Ioctl = 0x2400;

/// `_IOW('$', 8, __u32)`.
const PERF_EVENT_IOC_SET_BPF: libc::Ioctl = 0x4004_2408;

#[expect(clippy::cast_possible_truncation, reason = "some 130 bytes")]
fn attr() -> perf_event_attr {
    // SAFETY: a struct of integers and unions of integers, for which all zeroes is a value.
    let mut attr: perf_event_attr = unsafe { zeroed() };
    attr.size = size_of::<perf_event_attr>() as u32;
    attr
}

/// Opens an event.
///
/// # Safety
///
/// Pointers in `attr` must be valid for the event's type.
unsafe fn open(attr: &perf_event_attr, pid: i32, cpu: i32) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is readable for `attr.size` bytes; the caller vouches for pointers in it.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attr),
            pid,
            cpu,
            -1,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    let raw = RawFd::try_from(ret).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// An event that fires on one CPU whenever something has been counted `period` times there, whatever runs.
#[doc(alias = "PERF_COUNT_SW_CPU_CLOCK")]
pub(crate) fn counter(cpu: u32, counted: Counted, period: u64) -> io::Result<OwnedFd> {
    let mut attr = attr();
    let (kind, number) = match counted.event {
        PerfEvent::Software(number) => (perf_type_id::PERF_TYPE_SOFTWARE, number),
        PerfEvent::Hardware(number) => (perf_type_id::PERF_TYPE_HARDWARE, number),
    };
    attr.type_ = kind as u32;
    attr.config = number;
    attr.__bindgen_anon_1.sample_period = period;
    attr.set_exclude_kernel((counted.mode == Mode::User).into());
    attr.set_exclude_user((counted.mode == Mode::Kernel).into());
    let cpu = i32::try_from(cpu).map_err(io::Error::other)?;
    // SAFETY: this type of event has no pointer in its attributes.
    unsafe { open(&attr, -1, cpu) }
}

/// An event of a kernel tracepoint, by its number in tracefs: for a program that runs for it, on all CPUs.
#[doc(alias = "PERF_TYPE_TRACEPOINT")]
pub(crate) fn trace_event(id: u64) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.type_ = perf_type_id::PERF_TYPE_TRACEPOINT as u32;
    attr.config = id;
    // SAFETY: this type of event has no pointer in its attributes.
    unsafe { open(&attr, -1, 0) }
}

/// An event that never fires; with it come records of all that is mapped executable on one CPU
/// (`PERF_RECORD_MMAP2`), and of forks and execs (`_FORK`, `_COMM`) if wanted, each with the time by
/// `CLOCK_MONOTONIC` behind it. Whoever reads them is woken by each.
#[doc(alias = "PERF_COUNT_SW_DUMMY")]
pub(crate) fn mappings(cpu: u32, forks_and_execs: bool) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.type_ = perf_type_id::PERF_TYPE_SOFTWARE as u32;
    attr.config = perf_sw_ids::PERF_COUNT_SW_DUMMY as u64;
    attr.sample_type = perf_event_sample_format::PERF_SAMPLE_TIME as u64;
    attr.set_sample_id_all(1);
    attr.set_use_clockid(1);
    attr.clockid = libc::CLOCK_MONOTONIC;
    attr.set_mmap(1);
    attr.set_mmap2(1);
    attr.set_task(forks_and_execs.into());
    attr.set_comm(forks_and_execs.into());
    attr.set_comm_exec(forks_and_execs.into());
    attr.set_watermark(1);
    attr.__bindgen_anon_2.wakeup_watermark = 1;
    let cpu = i32::try_from(cpu).map_err(io::Error::other)?;
    // SAFETY: this type of event has no pointer in its attributes.
    unsafe { open(&attr, -1, cpu) }
}

/// An event for one instruction of a file. `pid` `None` means every process. `kind` is the number
/// of the `uprobe` event type, from `/sys/bus/event_source/devices/uprobe/type`.
pub(crate) fn uprobe(
    kind: u32,
    path: &CStr,
    offset: u64,
    ref_ctr_offset: u64,
    pid: Option<u32>,
    returns: bool,
) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.type_ = kind;
    // Bit 0 means the return, in every kernel so far.
    attr.config = u64::from(returns);
    attr.config |= ref_ctr_offset << 32; // the upper half of `config`, in every kernel so far
    attr.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
    attr.__bindgen_anon_4.probe_offset = offset;
    let (pid, cpu) = match pid {
        Some(pid) => (i32::try_from(pid).map_err(io::Error::other)?, -1),
        None => (-1, 0),
    };
    // SAFETY: the path is a C string that outlives the call.
    unsafe { open(&attr, pid, cpu) }
}

/// An event for a function of the kernel, whoever calls it, by the address of its first instruction. `kind` is the
/// number of the `kprobe` event type, from `/sys/bus/event_source/devices/kprobe/type`.
pub(crate) fn kprobe(kind: u32, address: u64, returns: bool) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.type_ = kind;
    // Bit 0 means the return, in every kernel so far.
    attr.config = u64::from(returns);
    // No name: the other half of the attributes is the address then.
    attr.__bindgen_anon_3.kprobe_func = 0;
    attr.__bindgen_anon_4.kprobe_addr = address;
    // SAFETY: the only pointer in the attributes is null, which this type of event allows.
    unsafe { open(&attr, -1, 0) }
}

/// Has a program run at each overflow or hit of an event: the way of kernels before 5.15, which
/// knows no cookie.
#[doc(alias = "PERF_EVENT_IOC_SET_BPF")]
pub(crate) fn set_bpf(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors stay open for the call, and the argument is passed by value.
    let ret = unsafe {
        libc::ioctl(
            event.as_raw_fd(),
            PERF_EVENT_IOC_SET_BPF,
            program.as_raw_fd(),
        )
    };
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Starts an event.
#[doc(alias = "PERF_EVENT_IOC_ENABLE")]
pub(crate) fn enable(event: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor stays open for the call, which has no other argument.
    let ret = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_ENABLE, 0) };
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
