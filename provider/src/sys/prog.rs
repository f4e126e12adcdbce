//! Programs: loading them, and running one directly.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use aya_obj::generated::{BPF_F_SLEEPABLE, bpf_attach_type, bpf_cmd, bpf_prog_type};

use super::btf::{FUNCTION, PROGRAM, functions_btf};
use super::{address, address_mut, attr, bpf, bpf_fd, object_name, raw};

/// Our code is "MIT OR Apache-2.0"; many helpers ask for a licence compatible with the GPL, and
/// this is how the kernel spells one that we also grant.
const LICENSE: &[u8] = b"Dual MIT/GPL\0";

/// A program to load, in the kernel's terms.
#[derive(Debug)]
pub(crate) struct NewProgram<'a> {
    pub(crate) prog_type: bpf_prog_type,
    /// What it will be attached to, where the kernel wants to know when loading.
    pub(crate) attach_type: Option<bpf_attach_type>,
    /// The function of the kernel that it will be attached to, by its id in the kernel's BTF.
    pub(crate) function: Option<u32>,
    pub(crate) name: &'a str,
    /// The instructions, map descriptors filled in.
    pub(crate) insns: &'a [u64],
    /// Where its functions start that helpers call.
    pub(crate) functions: &'a [usize],
}

/// How much the verifier is to write: its `log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Each instruction that it looks at, and why it refuses.
    Instructions = 1,
    /// Why it refuses, and how much it looked at.
    Outcome = 4,
}

/// Loads a program; with a buffer, the verifier writes its log there, NUL-terminated.
#[doc(alias = "BPF_PROG_LOAD")]
pub(crate) fn load(new: &NewProgram<'_>, log: Option<(&mut [u8], Detail)>) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.__bindgen_anon_3.prog_type = new.prog_type as u32;
    attr.__bindgen_anon_3.expected_attach_type = new.attach_type.map_or(0, |at| at as u32);
    if new.prog_type == bpf_prog_type::BPF_PROG_TYPE_SYSCALL {
        attr.__bindgen_anon_3.prog_flags = BPF_F_SLEEPABLE; // the kernel wants it
    }
    attr.__bindgen_anon_3.attach_btf_id = new.function.unwrap_or(0);
    attr.__bindgen_anon_3.prog_name = object_name(new.name);
    attr.__bindgen_anon_3.insns = address(new.insns);
    attr.__bindgen_anon_3.insn_cnt = u32::try_from(new.insns.len()).map_err(io::Error::other)?;
    attr.__bindgen_anon_3.license = address(LICENSE);
    // The kernel wants to know of a function that a helper calls where it is, and that it is one.
    let (mut btf, mut infos) = (None, Vec::new());
    if !new.functions.is_empty() {
        let starts = std::iter::once(&0).chain(new.functions);
        for (start, kind) in starts.zip(std::iter::once(PROGRAM).chain(std::iter::repeat(FUNCTION)))
        {
            infos.push([u32::try_from(*start).map_err(io::Error::other)?, kind]);
        }
        let btf = btf.insert(functions_btf()?);
        attr.__bindgen_anon_3.prog_btf_fd = raw(btf.as_fd());
        attr.__bindgen_anon_3.func_info_rec_size = 8;
        attr.__bindgen_anon_3.func_info = address(&infos);
        attr.__bindgen_anon_3.func_info_cnt =
            u32::try_from(infos.len()).map_err(io::Error::other)?;
    }
    if let Some((log, detail)) = log {
        attr.__bindgen_anon_3.log_level = detail as u32;
        attr.__bindgen_anon_3.log_size = u32::try_from(log.len()).map_err(io::Error::other)?;
        attr.__bindgen_anon_3.log_buf = address_mut(log);
    }
    // SAFETY: instructions, licence and functions are only read, the log is a buffer of ours of the
    // size given; all outlive the call, which returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) }
}

/// Runs a program of the type that makes system calls, which may change `context`.
#[doc(alias = "BPF_PROG_TEST_RUN")]
pub(crate) fn run_with(program: BorrowedFd<'_>, context: &mut [u8]) -> io::Result<()> {
    let mut attr = attr();
    attr.test.prog_fd = raw(program);
    attr.test.ctx_size_in = u32::try_from(context.len()).map_err(io::Error::other)?;
    attr.test.ctx_in = address_mut(context);
    // SAFETY: the kernel reads and writes the context, a buffer of ours of the size given.
    unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }?;
    Ok(())
}

/// Runs a raw tracepoint program once, on this thread's CPU or on `cpu`, and waits for its end.
#[doc(alias = "BPF_PROG_TEST_RUN")]
pub(crate) fn run(program: BorrowedFd<'_>, cpu: Option<u32>) -> io::Result<u32> {
    const ON_CPU: u32 = 1; // BPF_F_TEST_RUN_ON_CPU
    // As many arguments as a raw tracepoint can have; the kernel asks that what the program
    // reads of its context be there.
    const CONTEXT: u32 = 12 * 8;
    let context = [0_u8; CONTEXT as usize];
    let mut attr = attr();
    attr.test.prog_fd = raw(program);
    attr.test.ctx_in = address(&context);
    attr.test.ctx_size_in = CONTEXT;
    if let Some(cpu) = cpu {
        attr.test.flags = ON_CPU;
        attr.test.cpu = cpu;
    }
    // SAFETY: the kernel reads the context, whose size is given, and writes only to `attr`.
    unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }?;
    // SAFETY: an integer, which the kernel has just written.
    Ok(unsafe { attr.test.retval })
}
