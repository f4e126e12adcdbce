//! Where the extension module greenlet keeps which greenlet a thread is running.
//!
//! ```text
//!   2.0 on    a variable of each thread --> what greenlet knows of it --> the greenlet
//!   before    a variable of the process --> the greenlet that ran last --> a dict of its thread's
//!             thread state --> that dict: is it the same?
//! ```
//!
//! The variable of a thread is in the block of thread-local storage that the thread has for the module's file. Blocks have
//! numbers, which the dynamic linker stores in the file's data (`R_X86_64_DTPMOD64`).
//!
//! Nothing of it is exported, but the table of the module's functions has the name `getcurrent` beside the address of
//! the function that gives just what is looked for, so all is read off that function's code.

use std::fs::File;
use std::io::{Read as _, Seek as _};

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, OpKind, Register as R};

use super::code::straight;
use super::frames::{body, displacement, is_field, load_through};
use super::image::Image;

/// How the greenlet is found that a thread is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greenlets {
    /// 2.0 on.
    OfThread {
        /// Where the dynamic linker stores the number of the file's blocks, as linked.
        block: u64,
        /// In a block: the address of what is known of its thread, or 0 or 1 if nothing is.
        state: u32,
        /// There: the greenlet.
        current: u32,
    },
    /// Before.
    OfProcess {
        /// The variable, as linked.
        last: u64,
        /// In a greenlet that has started: the dict of its thread.
        dict: u32,
        /// In a thread state: the dict.
        dict_of_thread: u32,
    },
}

/// In what is known of a thread: its greenlet, behind the main one.
const CURRENT: u32 = 8;

/// Larger files are no greenlet.
const LARGEST: u64 = 1 << 24;

/// Reads an open file of that name; `None` if its code is not as it should be.
#[must_use]
pub fn greenlets_of(file: &File) -> Option<Greenlets> {
    let mut contents = Vec::new();
    let mut file = file.try_clone().ok()?;
    file.rewind().ok()?;
    file.take(LARGEST).read_to_end(&mut contents).ok()?;
    greenlets(&Image::parse(&contents).ok()?)
}

fn greenlets(image: &Image<'_>) -> Option<Greenlets> {
    // That of musl has its blocks elsewhere.
    if image
        .needed()
        .iter()
        .any(|name| name.starts_with(b"libc.musl"))
    {
        return None;
    }
    let name = regex::bytes::Regex::new(r"(?-u)\x00getcurrent\x00").ok()?;
    let names = image.find_all(&name);
    let mut entries = names.iter().flat_map(|at| image.pointers_to(at + 1));
    entries.find_map(|entry| {
        let start = image
            .pointer_at(entry + 8)
            .filter(|at| image.is_code(*at))?;
        of_thread(image, start).or_else(|| of_process(image, start))
    })
}

/// 2.0 on:
///
/// ```text
///     lea  block(%rip), %rdi
///     call __tls_get_addr
///     ...                                  the first time in a thread:
///     mov  8(%rax), %rbp                       movq $1, 8(%rax)
///     ...
///     mov  8(%rbp), %rbx
///     ...
///     mov  %rbx, %rax
///     ret
/// ```
fn of_thread(image: &Image<'_>, start: u64) -> Option<Greenlets> {
    let mut blocks = straight(image, start, 64)
        .filter(|insn| insn.code() == Code::Lea_r64_m && insn.op0_register() == R::RDI)
        .filter(Instruction::is_ip_rel_memory_operand)
        .map(|insn| insn.ip_rel_memory_address());
    let block = blocks.find(|at| image.is_number_of_block(*at))?;
    let mut branches = straight(image, start, 64)
        .filter(|insn| insn.flow_control() == FlowControl::ConditionalBranch)
        .flat_map(|insn| straight(image, insn.near_branch_target(), 16));
    let state = branches.find_map(|insn| {
        let is_first = insn.code() == Code::Mov_rm64_imm32
            && is_field(&insn)
            && insn.memory_base() == R::RAX
            && insn.immediate(1) == 1;
        is_first.then(|| displacement(&insn))?
    })?;
    // What is returned must have been loaded from there.
    let insns: Vec<_> = body(image, start)
        .take_while(|insn| insn.mnemonic() != Mnemonic::Ret)
        .collect();
    let returned = insns.iter().rev().find_map(|insn| {
        let is_move = matches!(insn.code(), Code::Mov_rm64_r64 | Code::Mov_r64_rm64)
            && insn.op0_kind() == OpKind::Register
            && insn.op1_kind() == OpKind::Register;
        (is_move && insn.op0_register() == R::RAX).then(|| insn.op1_register())
    })?;
    let is_load = |insn: &Instruction| {
        is_field(insn) && load_through(insn, insn.memory_base()) == Some((CURRENT, returned))
    };
    insns.iter().find(|insn| is_load(insn))?;
    Some(Greenlets::OfThread {
        block,
        state,
        current: CURRENT,
    })
}

/// Before:
///
/// ```text
///     mov  last(%rip), %rax
///     mov  0x40(%rax), %rbx
///     call PyThreadState_Get
///     cmp  0x98(%rax), %rbx
/// ```
fn of_process(image: &Image<'_>, start: u64) -> Option<Greenlets> {
    let mut insns = straight(image, start, 16);
    let (last, into) = insns.find_map(|insn| {
        let is_load = insn.code() == Code::Mov_r64_rm64 && insn.is_ip_rel_memory_operand();
        is_load.then(|| (insn.ip_rel_memory_address(), insn.op0_register()))
    })?;
    let (dict, kept) = insns.find_map(|insn| load_through(&insn, into))?;
    let dict_of_thread = insns.find_map(|insn| {
        let compares = insn.code() == Code::Cmp_rm64_r64 && insn.op1_register() == kept
            || insn.code() == Code::Cmp_r64_rm64 && insn.op0_register() == kept;
        (compares && is_field(&insn)).then(|| displacement(&insn))?
    })?;
    Some(Greenlets::OfProcess {
        last,
        dict,
        dict_of_thread,
    })
}
