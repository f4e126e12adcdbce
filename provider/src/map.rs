//! Maps that a session has made, as the consumer reads them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use aya_obj::generated::bpf_map_type;

use crate::error::Error;
use crate::lack::Lack;
use crate::object::{MapKind, MapSpec};
use crate::sys::btf::value_btf;
use crate::sys::map::{MapFd, NewMap, create, freeze};
pub use crate::sys::memory::Words;

/// A map. Clones share it, and every operation may be used from several threads.
///
/// The value of a per-CPU map, here, is all CPUs' values one after the other, each in
/// [`stride`](Self::stride) bytes; [`cpu_values`](Self::cpu_values) takes it apart.
#[derive(Clone, Debug)]
pub struct Map {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spec: MapSpec,
    fd: MapFd,
    cpus: usize,
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.fd.as_fd()
    }
}

impl Map {
    /// Makes a map, writes its initial value and freezes it if programs only read it.
    pub fn create(spec: &MapSpec) -> Result<Self, Error> {
        Self::try_create(spec).map_err(|source| {
            let refused = source.raw_os_error() == Some(libc::EINVAL);
            match refused
                .then(|| Lack::of_map(kernel_kind(spec.kind).0))
                .flatten()
            {
                Some(lack) => Error::Lacks(lack),
                None => Error::CreateMap {
                    name: spec.name.clone(),
                    kind: kind_name(spec.kind),
                    source,
                },
            }
        })
    }

    fn try_create(spec: &MapSpec) -> io::Result<Self> {
        let btf = if matches!(spec.kind, MapKind::TaskStorage) {
            Some(value_btf(spec.value_size)?)
        } else {
            None
        };
        let (map_type, no_prealloc) = kernel_kind(spec.kind);
        let fd = create(&NewMap {
            map_type,
            name: &spec.name,
            key_size: if spec.kind == MapKind::TaskStorage {
                4
            } else {
                spec.key_size
            },
            value_size: spec.value_size,
            max_entries: if spec.kind == MapKind::TaskStorage {
                0
            } else {
                spec.max_entries
            },
            no_prealloc,
            read_only: spec.read_only,
            shared: spec.shared,
            btf: btf.as_ref().map(AsFd::as_fd),
        })?;
        let cpus = if per_cpu(spec.kind) {
            possible_cpus()?
        } else {
            1
        };
        let value = if per_cpu(spec.kind) {
            stride_of(spec) * cpus
        } else {
            spec.value_size as usize
        };
        let map = Self {
            inner: Arc::new(Inner {
                spec: spec.clone(),
                fd: MapFd::new(fd, spec.key_size as usize, value),
                cpus,
            }),
        };
        if let Some(initial) = &spec.initial {
            map.write_first(initial)?;
        }
        if spec.read_only {
            freeze(map.as_fd())?;
        }
        Ok(map)
    }

    /// Writes the first entry of an array; a shorter value is filled with zeroes, and every CPU of
    /// a per-CPU array gets the same.
    fn write_first(&self, initial: &[u8]) -> io::Result<()> {
        if initial.len() > self.inner.spec.value_size as usize {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "initial value too large",
            ));
        }
        let mut value = vec![0; self.value_len()];
        for slot in value.chunks_mut(self.stride()) {
            slot[..initial.len()].copy_from_slice(initial);
        }
        self.inner.fd.update(&0_u32.to_ne_bytes(), &value)
    }

    /// Puts a program into an entry of a map of programs.
    pub(crate) fn put_program(&self, index: u32, program: BorrowedFd<'_>) -> Result<(), Error> {
        let value = program.as_raw_fd().to_ne_bytes();
        let put = self.inner.fd.update(&index.to_ne_bytes(), &value);
        put.map_err(|source| self.error("put a program into", source))
    }

    /// What it was made from.
    #[must_use]
    pub fn spec(&self) -> &MapSpec {
        &self.inner.spec
    }

    /// The memory of a map that user space shares: its first entry.
    pub fn words(&self) -> Result<Words, Error> {
        let words = Words::of(self.as_fd(), self.value_len());
        words.map_err(|source| self.error("map the memory of", source))
    }

    /// How many CPUs' values a value has; 1 unless the map is per-CPU.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.inner.cpus
    }

    /// Bytes from one CPU's value to the next.
    #[must_use]
    pub fn stride(&self) -> usize {
        if per_cpu(self.inner.spec.kind) {
            stride_of(&self.inner.spec)
        } else {
            self.inner.spec.value_size as usize
        }
    }

    /// Bytes in a value as read here: [`stride`](Self::stride) times [`cpus`](Self::cpus).
    #[must_use]
    pub fn value_len(&self) -> usize {
        self.stride() * self.inner.cpus
    }

    /// Each CPU's value out of a value read from this map.
    pub fn cpu_values<'a>(&self, value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let size = self.inner.spec.value_size as usize;
        value
            .chunks(self.stride().max(1))
            .map(move |slot| slot.get(..size).unwrap_or(slot))
    }

    /// Reads a key's value; false when there is none.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> Result<bool, Error> {
        self.inner
            .fd
            .lookup(key, value)
            .map_err(|source| self.error("read", source))
    }

    /// Writes a key's value.
    pub fn update(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.inner
            .fd
            .update(key, value)
            .map_err(|source| self.error("update", source))
    }

    /// Removes a key and gives its last value; false when it was not there. Kernels that cannot do
    /// both at once (before 5.14) lose what programs write in between.
    pub fn take(&self, key: &[u8], value: &mut [u8]) -> Result<bool, Error> {
        let fd = &self.inner.fd;
        let taken = match fd.lookup_and_delete(key, value) {
            // Not known for this kind of map (ENOTSUPP, which has no name in user space) or at all.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | 524)) => fd
                .lookup(key, value)
                .and_then(|found| Ok(found && fd.delete(key)?)),
            other => other,
        };
        taken.map_err(|source| self.error("delete from", source))
    }

    /// Removes a key; false when it was not there.
    pub fn delete(&self, key: &[u8]) -> Result<bool, Error> {
        self.inner
            .fd
            .delete(key)
            .map_err(|source| self.error("delete from", source))
    }

    /// Gives every entry to `f`, in no order. Entries that programs add or remove meanwhile may
    /// be seen or not; the others are seen once.
    pub fn for_each(&self, f: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Error> {
        self.walk(f).map_err(|source| self.error("read", source))
    }

    /// Removes every entry of a hash map; zeroes every entry of an array.
    pub fn clear(&self) -> Result<(), Error> {
        let zeroes = vec![0; self.value_len()];
        if matches!(self.inner.spec.kind, MapKind::Array | MapKind::PerCpuArray) {
            for index in 0..self.inner.spec.max_entries {
                self.update(&index.to_ne_bytes(), &zeroes)?;
            }
            return Ok(());
        }
        let mut keys = Vec::new();
        self.for_each(&mut |key, _| keys.extend_from_slice(key))?;
        for key in keys.chunks(self.inner.spec.key_size.max(1) as usize) {
            self.delete(key)?;
        }
        Ok(())
    }

    fn walk(&self, f: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        match self.walk_in_batches(f) {
            // Not known for this kind of map (ENOTSUPP, which has no name in user space) or at
            // all (EINVAL). Neither comes after the first batch.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | 524)) => {
                self.walk_by_key(f)
            }
            other => other,
        }
    }

    fn walk_in_batches(&self, f: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        const BUFFER: usize = 1 << 20;
        let (key, value) = (self.inner.spec.key_size as usize, self.value_len());
        let mut count = (BUFFER / (key + value).max(1)).clamp(64, 4096);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let mut token = None;
        loop {
            keys.resize(key * count, 0);
            values.resize(value * count, 0);
            let batch = u32::try_from(count).map_err(io::Error::other)?;
            match self
                .inner
                .fd
                .lookup_batch(&mut token, &mut keys, &mut values, batch)
            {
                Ok((got, end)) => {
                    for (key, value) in keys
                        .chunks_exact(key)
                        .zip(values.chunks_exact(value))
                        .take(got)
                    {
                        f(key, value);
                    }
                    if end {
                        return Ok(());
                    }
                }
                // A hash bucket with more entries than the buffers hold.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && count < 1 << 20 => {
                    count *= 4;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn walk_by_key(&self, f: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        // The keys first: removing one while walking would start the walk again.
        let mut keys = Vec::new();
        let mut next = vec![0; self.inner.spec.key_size as usize];
        let mut last: Option<Vec<u8>> = None;
        while self.inner.fd.next_key(last.as_deref(), &mut next)? {
            keys.push(next.clone());
            if keys.len() > self.inner.spec.max_entries as usize {
                break; // entries were removed under us, and the walk started again
            }
            last = Some(next.clone());
        }
        keys.sort_unstable();
        keys.dedup();
        let mut value = vec![0; self.value_len()];
        for key in keys {
            if self.inner.fd.lookup(&key, &mut value)? {
                f(&key, &value);
            }
        }
        Ok(())
    }

    fn error(&self, operation: &'static str, source: io::Error) -> Error {
        Error::Map {
            operation,
            name: self.inner.spec.name.clone(),
            source,
        }
    }
}

fn per_cpu(kind: MapKind) -> bool {
    matches!(kind, MapKind::PerCpuArray | MapKind::PerCpuHash)
}

fn stride_of(spec: &MapSpec) -> usize {
    (spec.value_size as usize).next_multiple_of(8)
}

/// The kernel's kind, and whether its entries are allocated as they come.
fn kernel_kind(kind: MapKind) -> (bpf_map_type, bool) {
    match kind {
        MapKind::Array => (bpf_map_type::BPF_MAP_TYPE_ARRAY, false),
        MapKind::PerCpuArray => (bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY, false),
        MapKind::Hash => (bpf_map_type::BPF_MAP_TYPE_HASH, true),
        MapKind::FixedHash => (bpf_map_type::BPF_MAP_TYPE_HASH, false),
        MapKind::LruHash => (bpf_map_type::BPF_MAP_TYPE_LRU_HASH, false),
        MapKind::PerCpuHash => (bpf_map_type::BPF_MAP_TYPE_PERCPU_HASH, true),
        MapKind::RingBuf => (bpf_map_type::BPF_MAP_TYPE_RINGBUF, false),
        MapKind::Programs => (bpf_map_type::BPF_MAP_TYPE_PROG_ARRAY, false),
        MapKind::TaskStorage => (bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE, true),
    }
}

fn kind_name(kind: MapKind) -> &'static str {
    match kind {
        MapKind::Array => "array",
        MapKind::PerCpuArray => "per-CPU array",
        MapKind::Hash | MapKind::FixedHash => "hash",
        MapKind::LruHash => "LRU hash",
        MapKind::PerCpuHash => "per-CPU hash",
        MapKind::RingBuf => "ring buffer",
        MapKind::Programs => "program array",
        MapKind::TaskStorage => "task storage",
    }
}

/// How many CPUs the machine may have: those that may be switched on, too.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn possible_cpus() -> io::Result<usize> {
    aya::util::nr_cpus().map_err(|(_, error)| error)
}
