//! Links: what keeps a program attached. Closing the descriptor detaches.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use aya_obj::generated::{BPF_F_UPROBE_MULTI_RETURN, bpf_attach_type, bpf_cmd};

use super::{address, attr, bpf_fd, raw};

/// Attaches to many instructions of one file at once. The slices are parallel; a reference counter
/// offset of 0 means none. `pid` 0 means every process. `returns` attaches to the returns of the
/// functions that start there.
///
/// The program must have been loaded for `BPF_TRACE_UPROBE_MULTI`.
#[doc(alias = "BPF_LINK_CREATE")]
pub(crate) fn uprobe_multi(
    program: BorrowedFd<'_>,
    path: &CStr,
    offsets: &[u64],
    ref_ctr_offsets: &[u64],
    cookies: &[u64],
    pid: u32,
    returns: bool,
) -> io::Result<OwnedFd> {
    if ref_ctr_offsets.len() != offsets.len() || cookies.len() != offsets.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    attr.link_create.__bindgen_anon_3.uprobe_multi.path = path.as_ptr() as u64;
    attr.link_create.__bindgen_anon_3.uprobe_multi.offsets = address(offsets);
    attr.link_create.__bindgen_anon_3.uprobe_multi.cookies = address(cookies);
    if ref_ctr_offsets.iter().any(|&offset| offset != 0) {
        attr.link_create
            .__bindgen_anon_3
            .uprobe_multi
            .ref_ctr_offsets = address(ref_ctr_offsets);
    }
    attr.link_create.__bindgen_anon_3.uprobe_multi.cnt =
        u32::try_from(offsets.len()).map_err(io::Error::other)?;
    attr.link_create.__bindgen_anon_3.uprobe_multi.pid = pid;
    if returns {
        attr.link_create.__bindgen_anon_3.uprobe_multi.flags = BPF_F_UPROBE_MULTI_RETURN;
    }
    // SAFETY: the kernel only reads the path, a C string, and the three arrays, which have `cnt`
    // elements each (checked above); all outlive the call, which returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}

/// Attaches to a perf event, with a cookie.
#[doc(alias = "BPF_LINK_CREATE")]
pub(crate) fn perf_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
    cookie: u64,
) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.__bindgen_anon_2.target_fd = raw(event);
    attr.link_create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    attr.link_create.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
    // SAFETY: the attributes hold no pointer, and the command returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}

/// Attaches to a kernel tracepoint by name; without one to the function that the program was loaded for.
#[doc(alias = "BPF_RAW_TRACEPOINT_OPEN")]
pub(crate) fn raw_tracepoint(program: BorrowedFd<'_>, name: Option<&CStr>) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.raw_tracepoint.name = name.map_or(0, |name| name.as_ptr() as u64);
    attr.raw_tracepoint.prog_fd = raw(program);
    // SAFETY: the name is a C string that the kernel only reads, or null; the command returns a new
    // descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr) }
}
