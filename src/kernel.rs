//! The kernel's side of a run as the other crates want to see it: the ring buffer and the maps of a
//! session behind the consumer's traits, the drop counters, and facts that code generation needs.

use std::collections::HashMap;
use std::io;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::MetadataExt as _;

use actions::active_frames::ActiveFrames;
use actions::consume::{AggregationMaps, DropCounts, Names, pipeline};
use actions::frames::Stack;
use actions::lower::Compiler;
use actions::python_code::Code;
use actions::record::EpochPlace;
use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use predicates::python::PythonName;
use predicates::storage::{Counter, TaskFields, own_globals};
use provider::addresses::{Addresses, Symbol};
use provider::btf::Btf;
use provider::map::Map;
use provider::object::MapId;
use provider::process::files::own_pid_namespace;
use provider::session::{Ring, Session};

/// The ring buffer, as the pipeline drains it.
pub(crate) struct KernelRing {
    ring: Ring,
    /// The map with rdtrace's own globals, if the program has an `exit()`.
    globals: Option<Map>,
}

impl KernelRing {
    pub(crate) fn of(session: &Session, compiler: &Compiler) -> Result<Self> {
        let globals = compiler.may_exit().then(|| session.map(compiler.globals()));
        Ok(Self {
            ring: session.ring(compiler.ring())?,
            globals: globals.transpose()?,
        })
    }
}

impl pipeline::Ring for KernelRing {
    fn drain(&mut self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> usize {
        self.ring.drain_while(take)
    }

    fn has_exited(&mut self) -> bool {
        let status = self.globals.as_ref().map(exit_status);
        matches!(status, Some(Ok(Some(_))))
    }
}

/// The status that `exit()` has given, if it has run, from the map with rdtrace's own globals.
fn exit_status(globals: &Map) -> Result<Option<i32>> {
    let mut value = vec![0; globals.value_len()];
    globals.lookup(&0_u32.to_ne_bytes(), &mut value)?;
    let at = own_globals::EXITED as usize;
    let word = value.get(at..at + 8).and_then(|word| word.try_into().ok());
    let word = word.map_or(0, u64::from_ne_bytes);
    let [low, high] = [word & u64::from(u32::MAX), word & own_globals::HAS_EXITED];
    let status = u32::try_from(low).map(u32::cast_signed);
    Ok(status.ok().filter(|_| high != 0))
}

/// The aggregations' maps, as the consumer reads them.
pub(crate) struct KernelMaps(pub(crate) HashMap<MapId, Map>);

impl KernelMaps {
    fn map(&self, id: MapId) -> io::Result<&Map> {
        self.0
            .get(&id)
            .ok_or_else(|| io::Error::other("no such aggregation map"))
    }

    /// All CPUs' words back to back, without the room that the kernel leaves between them.
    fn compact(map: &Map, value: &[u8], into: &mut Vec<u8>) {
        into.clear();
        for cpu in map.cpu_values(value) {
            into.extend_from_slice(cpu);
        }
    }
}

impl AggregationMaps for KernelMaps {
    fn entries(
        &mut self,
        id: MapId,
        _only: Option<Range<u32>>,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        let map = self.map(id)?;
        let mut compact = Vec::new();
        map.for_each(&mut |key, value| {
            Self::compact(map, value, &mut compact);
            each(key, &compact);
        })
        .map_err(io::Error::other)
    }

    fn remove(&mut self, id: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let map = self.map(id)?;
        let mut value = vec![0; map.value_len()];
        if !map.take(key, &mut value).map_err(io::Error::other)? {
            return Ok(None);
        }
        let mut last = Vec::new();
        Self::compact(map, &value, &mut last);
        Ok(Some(last))
    }

    fn reset(&mut self, id: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let map = self.map(id)?;
        let mut value = vec![0; map.value_len()];
        if !map.lookup(key, &mut value).map_err(io::Error::other)? {
            return Ok(None);
        }
        let mut last = Vec::new();
        Self::compact(map, &value, &mut last);
        value.fill(0);
        map.update(key, &value).map_err(io::Error::other)?;
        Ok(Some(last))
    }

    fn set_epoch(&mut self, place: EpochPlace, epoch: u64) -> io::Result<()> {
        let map = self.map(place.map)?;
        let key = 0_u32.to_ne_bytes();
        let mut value = vec![0; map.value_len()];
        map.lookup(&key, &mut value).map_err(io::Error::other)?;
        let start = place.offset as usize;
        let slot = value
            .get_mut(start..start + 8)
            .ok_or_else(|| io::Error::other("no such epoch"))?;
        slot.copy_from_slice(&epoch.to_ne_bytes());
        map.update(&key, &value).map_err(io::Error::other)
    }
}

/// The names that addresses have, and the stacks that the probes have put in their map.
pub(crate) struct KernelNames {
    pub(crate) addresses: Addresses,
    /// The map with all stacks, if the program has any.
    pub(crate) stacks: Option<Map>,
    /// The maps with the texts of Python's code objects and their line tables, if the program asks for them.
    pub(crate) codes: Option<(Map, Map)>,
}

impl Names for KernelNames {
    fn of_kernel(&mut self, address: u64) -> Symbol {
        self.addresses.of_kernel(address)
    }

    fn of_process(&mut self, process: u32, address: u64) -> Symbol {
        self.addresses.of_process(process, address)
    }

    fn stack(&mut self, number: u64) -> Option<Stack> {
        let map = self.stacks.as_ref()?;
        let mut value = vec![0; map.value_len()];
        let found = map.lookup(&number.to_ne_bytes(), &mut value).ok()?;
        Stack::parse(&value).filter(|_| found)
    }

    fn code(&mut self, number: u32) -> Option<Code> {
        let (texts, tables) = self.codes.as_ref()?;
        let find = |map: &Map, key: u64| {
            let mut value = vec![0; map.value_len()];
            let found = map.lookup(&key.to_ne_bytes(), &mut value).ok()?;
            found.then_some(value)
        };
        Code::read(number, &|key| find(texts, key), &|key| find(tables, key))
    }
}

/// The maps that a run reads itself.
pub(crate) struct RunMaps {
    counters: Map,
    globals: Map,
    aggregations: Vec<Map>,
    /// The variables of Python's functions that the program names.
    names: Vec<PythonName>,
}

impl RunMaps {
    pub(crate) fn of(session: &Session, compiler: &Compiler) -> Result<Self> {
        let layouts = compiler.aggregation_layouts();
        let aggregations = layouts.iter().flat_map(|layout| &layout.maps);
        Ok(Self {
            counters: session.map(compiler.counters())?,
            globals: session.map(compiler.globals())?,
            aggregations: aggregations
                .map(|id| session.map(*id))
                .collect::<Result<_, _>>()?,
            names: compiler.python_names().to_vec(),
        })
    }

    /// The status that `exit()` has given, if it has run.
    pub(crate) fn exit_status(&self) -> Result<Option<i32>> {
        exit_status(&self.globals)
    }

    /// Whether a process that is followed may have hit a probe that it did not bring itself.
    pub(crate) fn may_have_been_hit(&self) -> bool {
        let mut value = vec![0; self.globals.value_len()];
        let found = self.globals.lookup(&0_u32.to_ne_bytes(), &mut value);
        let hit = value.get(own_globals::FOLLOWED_HIT as usize);
        found.is_err() || hit != Some(&0)
    }

    /// The variables of Python's functions that were looked for, and that no function has.
    pub(crate) fn names_never_found(&self) -> impl Iterator<Item = &PythonName> {
        let mut value = vec![0; self.globals.value_len()];
        let read = self.globals.lookup(&0_u32.to_ne_bytes(), &mut value);
        let named = self.names.iter().zip(0_u32..);
        let never = named.filter(move |(_, place)| {
            let noted = |start: u32| value.get((start + place) as usize).is_some_and(|b| *b != 0);
            read.is_ok() && noted(own_globals::NAMES_SOUGHT) && !noted(own_globals::NAMES_FOUND)
        });
        never.map(|(name, _)| name)
    }

    /// Whether any aggregation has a value.
    pub(crate) fn have_counted(&self) -> bool {
        self.aggregations.iter().any(|map| {
            let mut any = false;
            // One without keys is there from the start, all zeroes.
            let _ = map.for_each(&mut |_, value| any |= value.iter().any(|byte| *byte != 0));
            any
        })
    }

    /// The kernel side's counters of what it had to give up.
    pub(crate) fn drops(&self) -> Result<DropCounts> {
        let map = &self.counters;
        let mut value = vec![0; map.value_len()];
        map.lookup(&0u32.to_ne_bytes(), &mut value)?;
        let mut counts = DropCounts::default();
        for cpu in map.cpu_values(&value) {
            let count = |counter: Counter| {
                let at = counter as usize * 8;
                let bytes = cpu.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
                bytes.map_or(0, u64::from_ne_bytes)
            };
            counts.principal.push(count(Counter::Drops));
            counts.aggregation.push(count(Counter::AggregationDrops));
            counts.speculations += count(Counter::FailedSpeculations);
            counts.dynamic += count(Counter::DynamicDrops);
            counts.error_faults += count(Counter::ErrorFaults);
            counts.python_mismatches += count(Counter::PythonMismatches);
            counts.python += count(Counter::PythonDrops);
            counts.python_compiled += count(Counter::PythonCompiled);
            counts.arguments += count(Counter::ArgumentDrops);
            counts.forks += count(Counter::FollowDrops);
            counts.stacks += count(Counter::StackDrops);
            counts.mixed += count(Counter::MixedMismatches);
            counts.python_cuts += count(Counter::PythonCuts);
            counts.nested += count(Counter::NestedDrops);
        }
        Ok(counts)
    }
}

/// Takes what processes that are gone have left in the set of active Python frames out of it.
pub(crate) fn free_dead_frames(session: &Session, compiler: &Compiler) -> Result<()> {
    /// The inode of the namespace that the kernel gives process ids in (`PROC_PID_INIT_INO`).
    const INITIAL: u64 = 0xefff_fffc;
    let own = std::fs::metadata("/proc/self/ns/pid").map(|meta| meta.ino());
    // In another one, the ids of the set are not known.
    if own.is_ok_and(|inode| inode == INITIAL)
        && let Some(frames) = ActiveFrames::of(session, compiler)?
    {
        let exists = |pid: u32| {
            let pid = i32::try_from(pid).map(Pid::from_raw);
            pid.is_ok_and(|pid| kill(pid, None) != Err(Errno::ESRCH))
        };
        frames.free_dead(exists)?;
    }
    Ok(())
}

/// Where the kernel keeps what the programs read of its tasks. Its type information takes 20 ms to
/// read: only if `needed`.
pub(crate) fn task_fields(needed: bool) -> TaskFields {
    let mut btf = needed.then(Btf::of_kernel).flatten();
    let mut member = |of, member| btf.as_mut()?.member_offset(of, member);
    let fs_base = member("task_struct", "thread").zip(member("thread_struct", "fsbase"));
    let mut offset = |name| member("task_struct", name);
    TaskFields {
        fs_base: fs_base.map(|(thread, base)| thread + base),
        real_parent: offset("real_parent"),
        tgid: offset("tgid"),
        self_exec_id: offset("self_exec_id"),
        pid_namespace: own_pid_namespace(),
        call_flags: None,
    }
}

/// Where a task has the flag by which the calls of 32-bit programs are known.
pub(crate) fn call_flags() -> Option<u32> {
    let member = if cfg!(target_arch = "aarch64") {
        "flags"
    } else {
        "status"
    };
    let mut btf = Btf::of_kernel()?;
    let info = btf.member_offset("task_struct", "thread_info")?;
    Some(info + btf.member_offset("thread_info", member)?)
}

/// What the monotonic clock lacks to the time since 1970, in nanoseconds.
pub(crate) fn wall_offset() -> i64 {
    use nix::time::{ClockId, clock_gettime};
    let nanos = |clock| {
        clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
    };
    nanos(ClockId::CLOCK_REALTIME) - nanos(ClockId::CLOCK_MONOTONIC)
}
