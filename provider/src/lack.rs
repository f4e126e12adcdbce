//! What this kernel lacks, when it has refused a map or a program.
//!
//! The kernel's answer is `EINVAL` both to a wrong program and to one that uses something that came
//! with a later Linux. So it is asked for each part that came late, one after the other, by a map or
//! a program that has nothing else in it. It is asked only after a refusal: nobody pays for it whose
//! kernel has everything.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's kinds of map; most need nothing special"
)]

use std::fmt;
use std::os::fd::AsFd as _;

use aya_obj::generated::{bpf_map_type, bpf_prog_type};

use crate::features::{EXIT, KernelFeatures, MAY_GOTO, helper, load, mov};
use crate::sys::btf::value_btf;
use crate::sys::map::{NewMap, create};
use crate::sys::prog::NewProgram;

/// The first Linux that has all that every run needs.
const OLDEST: &str = "5.15";

/// A part of the kernel that rdtrace uses and that came late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A kind of map.
    Map(bpf_map_type),
    /// A helper function that programs call.
    Helper(u32),
    /// The instruction that ends a loop that has no bound of its own.
    MayGoto,
    /// Atomic instructions that give the value from before.
    AtomicFetch,
}

/// What every run needs, those that came first first.
const EVERY_RUN: [Part; 7] = [
    Part::Helper(112),
    Part::Map(bpf_map_type::BPF_MAP_TYPE_RINGBUF),
    Part::Helper(158),
    Part::Map(bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE),
    Part::Helper(156),
    Part::AtomicFetch,
    Part::Helper(174),
];

/// A part that this kernel does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack(Part);

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name, since) = match self.0 {
            Part::Map(bpf_map_type::BPF_MAP_TYPE_RINGBUF) => {
                ("ring buffer", "BPF_MAP_TYPE_RINGBUF", "5.8")
            }
            Part::Map(bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE) => (
                "memory for each thread",
                "BPF_MAP_TYPE_TASK_STORAGE",
                "5.11",
            ),
            Part::Helper(112..=115) => ("safe way to read memory", "bpf_probe_read_user", "5.5"),
            Part::Helper(130) => ("ring buffer", "bpf_ringbuf_output", "5.8"),
            Part::Helper(156) => (
                "memory for each thread in programs that trace",
                "bpf_task_storage_get",
                "5.12",
            ),
            Part::Helper(158) => (
                "typed pointer to the thread that is traced",
                "bpf_get_current_task_btf",
                "5.11",
            ),
            Part::Helper(174) => (
                "number that tells one place from another",
                "bpf_get_attach_cookie",
                "5.15",
            ),
            Part::Helper(183 | 184) => (
                "argument and result of a function",
                "bpf_get_func_arg",
                "5.17",
            ),
            Part::Helper(181) => ("loop that calls a function", "bpf_loop", "5.17"),
            Part::MayGoto => ("loop without a bound", "may_goto", "6.9"),
            Part::AtomicFetch => ("atomic exchange", "BPF_FETCH", "5.12"),
            Part::Map(kind) => return write!(f, "{} has no map of type {}", Release, kind as u32),
            Part::Helper(id) => return write!(f, "{Release} has no helper function {id}"),
        };
        write!(
            f,
            "{Release} has no {what} ({name}), which came with Linux {since}"
        )?;
        if matches!(self.0, Part::MayGoto | Part::Helper(181 | 183 | 184)) {
            return Ok(()); // only some programs use them
        }
        write!(f, "; rdtrace needs Linux {OLDEST} or later")
    }
}

/// `Linux 5.10.0-30-amd64`, the kernel that runs.
struct Release;

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::utsname::uname() {
            Ok(names) => write!(f, "Linux {}", names.release().to_string_lossy()),
            Err(_) => f.write_str("this kernel"),
        }
    }
}

impl Lack {
    /// The first part that a program uses and the kernel lacks.
    pub(crate) fn of_program(new: &NewProgram<'_>) -> Option<Self> {
        if !KernelFeatures::loads_programs() {
            return None; // it is not the program's fault
        }
        // A program for a function cannot be loaded without one; it may call what others may that trace.
        let asked_as = match new.function {
            Some(_) => bpf_prog_type::BPF_PROG_TYPE_KPROBE,
            None => new.prog_type,
        };
        let lacks = |part: &Part| match *part {
            Part::Map(kind) => lacks_map(kind),
            Part::Helper(id) => !helper(asked_as, id),
            Part::MayGoto => !KernelFeatures::may_goto(),
            Part::AtomicFetch => load(&EXCHANGE, None).is_err(),
        };
        parts(new.insns).into_iter().find(lacks).map(Self)
    }

    /// The first part that every run needs and this kernel lacks. Nothing is known of a kernel that lets us
    /// load no program.
    pub(crate) fn of_kernel() -> Option<Self> {
        if !KernelFeatures::loads_programs() {
            return None;
        }
        let lacks = |part: &Part| match *part {
            Part::Map(kind) => lacks_map(kind),
            Part::Helper(id) => !helper(bpf_prog_type::BPF_PROG_TYPE_KPROBE, id),
            Part::MayGoto => !KernelFeatures::may_goto(),
            Part::AtomicFetch => load(&EXCHANGE, None).is_err(),
        };
        EVERY_RUN.into_iter().find(lacks).map(Self)
    }

    /// A kind of map, if the kernel lacks it.
    pub(crate) fn of_map(kind: bpf_map_type) -> Option<Self> {
        lacks_map(kind).then_some(Self(Part::Map(kind)))
    }
}

/// `r0 = 0; *(u64 *)(fp - 8) = r0; r0 = xchg(fp - 8, r0)`.
const EXCHANGE: [u64; 5] = [
    mov(0, 0),
    0x7b | 10 << 8 | (0xfff8 << 16),
    0xdb | 10 << 8 | (0xfff8 << 16) | 0xe1 << 32,
    mov(0, 0),
    EXIT,
];

/// The parts that a program uses, each once.
fn parts(insns: &[u64]) -> Vec<Part> {
    const LD_IMM64: u64 = 0x18;
    const CALL: u64 = 0x85;
    const ATOMICS: [u64; 2] = [0xc3, 0xdb];
    const FETCH: u64 = 1;
    let mut found = Vec::new();
    let mut words = insns.iter();
    while let Some(&word) = words.next() {
        let (code, source, immediate) = (word & 0xff, word >> 12 & 0xf, word >> 32);
        let part = match code {
            LD_IMM64 => {
                words.next(); // its second half is no instruction
                continue;
            }
            CALL if source == 0 => Part::Helper(u32::try_from(immediate).unwrap_or(u32::MAX)),
            code if code == MAY_GOTO & 0xff => Part::MayGoto,
            code if ATOMICS.contains(&code) && immediate & FETCH != 0 => Part::AtomicFetch,
            _ => continue,
        };
        if !found.contains(&part) {
            found.push(part);
        }
    }
    found
}

/// Whether the kernel refuses a small map of this kind as one that it does not know.
fn lacks_map(map_type: bpf_map_type) -> bool {
    let storage = map_type == bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE;
    let (key_size, value_size, max_entries) = match map_type {
        bpf_map_type::BPF_MAP_TYPE_RINGBUF => (0, 0, 1 << 16),
        _ if storage => (4, 8, 0),
        _ => (4, 8, 1),
    };
    let btf = storage.then(|| value_btf(value_size).ok()).flatten();
    let made = create(&NewMap {
        map_type,
        name: "rdtrace_probe",
        key_size,
        value_size,
        max_entries,
        no_prealloc: storage,
        read_only: false,
        shared: false,
        btf: btf.as_ref().map(|btf| btf.as_fd()),
    });
    made.is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_in_the_instructions() {
        let call = |id: u64, source: u64| 0x85 | source << 12 | id << 32;
        let program = [
            0x18 | 1 << 12 | 7 << 32, // a map
            call(999, 0),             // no call, but the map's second half
            call(130, 0),
            call(130, 0),
            call(40, 1),    // a function of the program itself
            0xdb | 10 << 8, // adds, gives nothing
            EXCHANGE[2],
            MAY_GOTO,
            EXIT,
        ];
        let expected = [Part::Helper(130), Part::AtomicFetch, Part::MayGoto];
        assert_eq!(parts(&program), expected);
    }

    #[test]
    fn a_lack_says_what_the_user_can_do() {
        let text = |part| Lack(part).to_string();
        let storage = text(Part::Helper(156));
        let words = " has no memory for each thread in programs that trace (bpf_task_storage_get), \
                     which came with Linux 5.12; rdtrace needs Linux 5.15 or later";
        assert!(
            storage.starts_with("Linux ") && storage.ends_with(words),
            "{storage}"
        );
        assert!(text(Part::Helper(9999)).ends_with(" has no helper function 9999"));
        assert!(text(Part::MayGoto).ends_with("which came with Linux 6.9"));
    }

    #[test]
    fn what_the_kernel_does_not_know_is_named() {
        if !test_support::root() {
            return;
        }
        let lack = |insns: &[u64]| {
            Lack::of_program(&NewProgram {
                prog_type: bpf_prog_type::BPF_PROG_TYPE_KPROBE,
                attach_type: None,
                function: None,
                name: "rdtrace_test",
                insns,
                functions: &[],
            })
        };
        let call = |id: u64| [mov(0, 0), 0x85 | id << 32, EXIT];
        assert_eq!(lack(&call(0x7fff)), Some(Lack(Part::Helper(0x7fff))));
        assert_eq!(lack(&call(5)), None, "as old as eBPF");
        assert_eq!(lack(&[0xffff, EXIT]), None, "wrong, but asks for nothing");
        assert_eq!(Lack::of_map(bpf_map_type::BPF_MAP_TYPE_ARRAY), None);
    }
}
