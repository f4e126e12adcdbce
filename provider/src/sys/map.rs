//! Maps: making, reading and changing them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya_obj::generated::{
    BPF_ANY, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG, bpf_cmd, bpf_map_type,
};

use super::{address, address_mut, attr, bpf, bpf_fd, object_name, raw};

/// What a new map is like, in the kernel's terms.
#[derive(Debug)]
pub(crate) struct NewMap<'a> {
    pub(crate) map_type: bpf_map_type,
    pub(crate) name: &'a str,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    /// Entries are allocated as they come, not all at the start.
    pub(crate) no_prealloc: bool,
    /// Programs may not write it.
    pub(crate) read_only: bool,
    /// User space may map its memory.
    pub(crate) shared: bool,
    /// BTF that describes an `int` key (type 1) and the value (type 3), see [`value_btf`](super::btf::value_btf).
    pub(crate) btf: Option<BorrowedFd<'a>>,
}

/// Makes a map.
#[doc(alias = "BPF_MAP_CREATE")]
pub(crate) fn create(new: &NewMap<'_>) -> io::Result<OwnedFd> {
    let mut attr = attr();
    attr.__bindgen_anon_1.map_type = new.map_type as u32;
    attr.__bindgen_anon_1.key_size = new.key_size;
    attr.__bindgen_anon_1.value_size = new.value_size;
    attr.__bindgen_anon_1.max_entries = new.max_entries;
    attr.__bindgen_anon_1.map_flags = if new.no_prealloc {
        BPF_F_NO_PREALLOC
    } else {
        0
    } | if new.read_only { BPF_F_RDONLY_PROG } else { 0 }
        | if new.shared { BPF_F_MMAPABLE } else { 0 };
    attr.__bindgen_anon_1.map_name = object_name(new.name);
    if let Some(btf) = new.btf {
        attr.__bindgen_anon_1.btf_fd = raw(btf);
        attr.__bindgen_anon_1.btf_key_type_id = 1;
        attr.__bindgen_anon_1.btf_value_type_id = 3;
    }
    // SAFETY: the attributes hold no pointer, and the command returns a new descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr) }
}

/// Makes the map unchangeable from user space.
#[doc(alias = "BPF_MAP_FREEZE")]
pub(crate) fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = raw(map);
    // SAFETY: the attributes hold no pointer.
    unsafe { bpf(bpf_cmd::BPF_MAP_FREEZE, &mut attr) }.map(drop)
}

/// A map and the sizes of what user space exchanges with it, so that no buffer can be too short
/// for what the kernel writes.
#[derive(Debug)]
pub(crate) struct MapFd {
    fd: OwnedFd,
    key: usize,
    value: usize,
}

impl AsFd for MapFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl MapFd {
    /// A map whose keys have `key` bytes and whose values have `value` as user space sees them,
    /// that is all CPUs' slots, each rounded up to 8 bytes, for a per-CPU map.
    pub(crate) fn new(fd: OwnedFd, key: usize, value: usize) -> Self {
        Self { fd, key, value }
    }

    fn check(&self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        if key.len() != self.key || value.is_some_and(|value| value.len() != self.value) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the key's or the value's size is not the map's",
            ));
        }
        Ok(())
    }

    /// Reads the value of `key`; false when there is none.
    #[doc(alias = "BPF_MAP_LOOKUP_ELEM")]
    pub(crate) fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check(key, Some(value))?;
        let mut attr = attr();
        attr.__bindgen_anon_2.map_fd = raw(self.fd.as_fd());
        attr.__bindgen_anon_2.key = address(key);
        attr.__bindgen_anon_2.__bindgen_anon_1.value = address_mut(value);
        // SAFETY: both buffers have the map's sizes (checked above) and outlive the call.
        found(unsafe { bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) })
    }

    /// Removes `key` and reads its last value; false when there is none.
    #[doc(alias = "BPF_MAP_LOOKUP_AND_DELETE_ELEM")]
    pub(crate) fn lookup_and_delete(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check(key, Some(value))?;
        let mut attr = attr();
        attr.__bindgen_anon_2.map_fd = raw(self.fd.as_fd());
        attr.__bindgen_anon_2.key = address(key);
        attr.__bindgen_anon_2.__bindgen_anon_1.value = address_mut(value);
        // SAFETY: both buffers have the map's sizes (checked above) and outlive the call.
        found(unsafe { bpf(bpf_cmd::BPF_MAP_LOOKUP_AND_DELETE_ELEM, &mut attr) })
    }

    /// Writes the value of `key`.
    #[doc(alias = "BPF_MAP_UPDATE_ELEM")]
    pub(crate) fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, Some(value))?;
        let mut attr = attr();
        attr.__bindgen_anon_2.map_fd = raw(self.fd.as_fd());
        attr.__bindgen_anon_2.key = address(key);
        attr.__bindgen_anon_2.__bindgen_anon_1.value = address(value);
        attr.__bindgen_anon_2.flags = u64::from(BPF_ANY);
        // SAFETY: the kernel only reads both buffers, which have the map's sizes.
        unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
    }

    /// Removes `key`; false when it was not there.
    #[doc(alias = "BPF_MAP_DELETE_ELEM")]
    pub(crate) fn delete(&self, key: &[u8]) -> io::Result<bool> {
        self.check(key, None)?;
        let mut attr = attr();
        attr.__bindgen_anon_2.map_fd = raw(self.fd.as_fd());
        attr.__bindgen_anon_2.key = address(key);
        // SAFETY: the kernel only reads the key, which has the map's size.
        found(unsafe { bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr) })
    }

    /// The key after `key`, or the first; false at the end. A key that has been removed in the
    /// meantime starts again from the first.
    #[doc(alias = "BPF_MAP_GET_NEXT_KEY")]
    pub(crate) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
        self.check(next, None)?;
        if let Some(key) = key {
            self.check(key, None)?;
        }
        let mut attr = attr();
        attr.__bindgen_anon_2.map_fd = raw(self.fd.as_fd());
        attr.__bindgen_anon_2.key = key.map_or(0, address);
        attr.__bindgen_anon_2.__bindgen_anon_1.next_key = address_mut(next);
        // SAFETY: both buffers have the map's key size, checked above.
        found(unsafe { bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) })
    }

    /// Reads up to `count` entries after `token` (`None`: from the start) into `keys` and
    /// `values`; gives how many there were and whether this was the end. `ENOSPC` means that a hash
    /// bucket has more than `count` entries.
    #[doc(alias = "BPF_MAP_LOOKUP_BATCH")]
    pub(crate) fn lookup_batch(
        &self,
        token: &mut Option<Vec<u8>>,
        keys: &mut [u8],
        values: &mut [u8],
        count: u32,
    ) -> io::Result<(usize, bool)> {
        if keys.len() < self.key * count as usize || values.len() < self.value * count as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // The token is a bucket number for hash maps, a key for the others.
        let mut next = vec![0; self.key.max(8)];
        let mut attr = attr();
        attr.batch.map_fd = raw(self.fd.as_fd());
        attr.batch.in_batch = token.as_deref().map_or(0, address);
        attr.batch.out_batch = address_mut(&mut next);
        attr.batch.keys = address_mut(keys);
        attr.batch.values = address_mut(values);
        attr.batch.count = count;
        // SAFETY: `keys` and `values` have room for `count` entries (checked above), the tokens
        // for a key and for a bucket number; all outlive the call.
        let result = found(unsafe { bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr) });
        // SAFETY: the kernel leaves how many entries it wrote in this integer.
        let got = unsafe { attr.batch.count } as usize;
        let more = result?;
        *token = Some(next);
        Ok((got.min(count as usize), !more))
    }
}

/// Turns `ENOENT`, the kernel's "no such key" and "that was all", into false.
fn found(result: io::Result<i64>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
