//! Whether a function of the kernel can be traced.
//!
//! The compiler puts room for a call at the start of each function that may be, and none into those that
//! tracing itself needs. The kernel's own list, `available_filter_functions`, is not for everybody to read, so
//! the function itself is looked at, by a program that looks up its name and reads its first bytes:
//!
//! ```text
//!     0f 1f 44 00 00     room for a call, at the start or behind four bytes (endbr64, or what is in its place)
//!     e8 xx xx xx xx     the call, if somebody traces the function
//! ```

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::LazyLock;

use aya_obj::generated::bpf_prog_type;

use crate::features::{EXIT, mov};
use crate::sys::prog::{self, NewProgram};

/// What the program is given and gives: the address, the first bytes, the name.
const CODE: usize = 8;
const NAME: usize = 24;
const SIZE: usize = 152;

/// The longest name, with its NUL.
const LONGEST: i32 = 128;

/// The program that looks; `None` if the kernel does not take it.
static PROGRAM: LazyLock<Option<OwnedFd>> = LazyLock::new(|| {
    let new = NewProgram {
        prog_type: bpf_prog_type::BPF_PROG_TYPE_SYSCALL,
        attach_type: None,
        function: None,
        name: "rdtrace_look",
        insns: &look(),
        functions: &[],
    };
    prog::load(&new, None).ok()
});

/// Whether the function of this name can be traced; `None` if that cannot be told.
pub(crate) fn is_traceable(name: &str) -> Option<bool> {
    match find(name)? {
        Found::At(_) => Some(true),
        Found::Not => Some(false),
    }
}

/// Whether there is a function that can be traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is, at this address.
    At(u64),
    /// There is none.
    Not,
}

/// The function of this name; `None` if it cannot be told whether there is one.
pub(crate) fn find(name: &str) -> Option<Found> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let mut context = [0; SIZE];
    let place = context.get_mut(NAME..NAME + name.len())?;
    if name.len() >= usize::try_from(LONGEST).ok()? {
        return None;
    }
    place.copy_from_slice(name.as_bytes());
    prog::run_with(PROGRAM.as_ref()?.as_fd(), &mut context).ok()?;
    let address = context
        .first_chunk()
        .map(|bytes| u64::from_ne_bytes(*bytes));
    let address = address.filter(|address| *address != 0); // else it has none of its own
    let traceable = address.filter(|_| has_room(&context[CODE..NAME]));
    Some(traceable.map_or(Found::Not, Found::At))
}

/// Whether there is room for a call at the start of a function.
fn has_room(code: &[u8]) -> bool {
    const ROOM: [u8; 5] = [0x0f, 0x1f, 0x44, 0, 0];
    const CALL: u8 = 0xe8;
    [0, 4].iter().any(|&at| {
        let here = code.get(at..at + ROOM.len());
        here.is_some_and(|here| here == ROOM || here[0] == CALL)
    })
}

const fn call(helper: u64) -> u64 {
    0x85 | helper << 32
}

/// `dst = src` of registers.
const fn copy(dst: u64, src: u64) -> u64 {
    0xbf | dst << 8 | src << 12
}

/// `register += number`.
const fn add(register: u64, number: i32) -> u64 {
    0x07 | register << 8 | (number.cast_unsigned() as u64) << 32
}

/// `dst = *(u64 *)(src + offset)`.
const fn load(dst: u64, src: u64, offset: i16) -> u64 {
    0x79 | dst << 8 | src << 12 | (offset.cast_unsigned() as u64) << 16
}

/// `*(u64 *)(dst + offset) = src`.
const fn store(dst: u64, offset: i16, src: u64) -> u64 {
    0x7b | dst << 8 | src << 12 | (offset.cast_unsigned() as u64) << 16
}

/// `if (r0 != 0) go on `skip` instructions further`.
const fn unless_zero(skip: u64) -> u64 {
    0x55 | skip << 16
}

/// The program, which has the name on its stack, as the helper wants it.
///
/// ```text
///     memcpy(name, context + 24, 128)
///     if (!bpf_kallsyms_lookup_name(name, 128, 0, &address)
///         && !bpf_probe_read_kernel(&code, 16, address)) { context->address = address; context->code = code; }
/// ```
fn look() -> Vec<u64> {
    const ON_STACK: i16 = -160;
    let mut program = vec![copy(6, 1)];
    for at in (0..LONGEST).step_by(8) {
        let at = i16::try_from(at).expect("the stack is small");
        program.extend([load(0, 6, 24 + at), store(10, ON_STACK + at, 0)]);
    }
    program.extend([
        mov(0, 0),
        store(10, -8, 0),
        copy(1, 10),
        add(1, ON_STACK.into()),
        mov(2, LONGEST),
        mov(3, 0),
        copy(4, 10),
        add(4, -8),
        call(179),
        unless_zero(12),
        copy(1, 10),
        add(1, -24),
        mov(2, 16),
        load(3, 10, -8),
        call(113),
        unless_zero(6),
        load(1, 10, -8),
        store(6, 0, 1),
        load(1, 10, -24),
        store(6, 8, 1),
        load(1, 10, -16),
        store(6, 16, 1),
        mov(0, 0),
        EXIT,
    ]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_a_call_is_seen() {
        let code = |text: &str| -> Vec<u8> {
            let bytes = text
                .split(' ')
                .map(|byte| u8::from_str_radix(byte, 16).unwrap());
            bytes.collect()
        };
        assert!(has_room(&code("0f 1f 44 00 00 55 48 89 e5")));
        assert!(has_room(&code("f3 0f 1e fa 0f 1f 44 00 00 55")));
        assert!(has_room(&code("f3 0f 1e fa e8 01 02 03 04 55")));
        assert!(!has_room(&code("f3 0f 1e fa 55 48 89 e5 90 90")));
        assert!(!has_room(&[]));
    }

    #[test]
    fn the_kernels_functions() {
        if nix::unistd::geteuid().is_root() && cfg!(target_arch = "x86_64") {
            assert_eq!(is_traceable("do_filp_open"), Some(true));
            assert_eq!(is_traceable("no_such_function"), Some(false));
            assert_eq!(is_traceable(&"x".repeat(200)), None);
        }
    }
}
