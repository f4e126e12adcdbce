//! The types (BTF) that the kernel wants to be told of maps and programs of ours.
//!
//! ```text
//!     header 24 bytes    magic eb9f, version 1, header length; where types are and how many bytes; the same of strings
//!     types              name, kind, bytes or another type; and what its kind has
//!     strings            each with a NUL, the first one empty
//! ```

use std::io;
use std::os::fd::OwnedFd;

use aya_obj::generated::bpf_cmd;

use super::{address, attr, bpf_fd};

const INT: u32 = 1 << 24;
const ARRAY: u32 = 3 << 24;
const FUNC: u32 = 12 << 24;
const FUNC_PROTO: u32 = 13 << 24;
const SIGNED: u32 = 1 << 24;

/// What task storage needs: an `int` key (type 1) and a value of `size` bytes (type 3).
pub(crate) fn value_btf(size: u32) -> io::Result<OwnedFd> {
    let types = [
        [1, INT, 4, SIGNED | 32].as_slice(), // bits, and how they are read
        &[5, INT, 1, 8],
        &[0, ARRAY, 0, 2, 1, size], // of type 2, indexed by type 1
    ];
    load(&types.concat(), b"\0int\0byte\0")
}

/// In [`functions_btf`]: a program, and a function of it that a helper calls.
pub(crate) const PROGRAM: u32 = 3;
/// See [`PROGRAM`].
pub(crate) const FUNCTION: u32 = 4;

/// What programs with functions need: static functions that give an `int`. Their arguments are no matter.
pub(crate) fn functions_btf() -> io::Result<OwnedFd> {
    let types = [
        [1, INT, 4, SIGNED | 32].as_slice(),
        &[0, FUNC_PROTO, 1],
        &[5, FUNC, 2],
        &[13, FUNC, 2],
    ];
    load(&types.concat(), b"\0int\0program\0turn\0")
}

#[doc(alias = "BPF_BTF_LOAD")]
fn load(types: &[u32], strings: &[u8]) -> io::Result<OwnedFd> {
    let [length, names] = [4 * types.len(), strings.len()].map(u32::try_from);
    let (length, names) = (
        length.map_err(io::Error::other)?,
        names.map_err(io::Error::other)?,
    );
    let mut blob = Vec::new();
    blob.extend_from_slice(&0xeb9f_u16.to_ne_bytes());
    blob.extend_from_slice(&[1, 0]);
    for word in [24, 0, length, length, names].iter().chain(types) {
        blob.extend_from_slice(&word.to_ne_bytes());
    }
    blob.extend_from_slice(strings);

    let mut attr = attr();
    attr.__bindgen_anon_7.btf = address(&blob);
    attr.__bindgen_anon_7.btf_size = u32::try_from(blob.len()).map_err(io::Error::other)?;
    // SAFETY: `btf` and `btf_size` describe `blob`, which the kernel only reads and which lives
    // to the end of this function; the command returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr) }
}
