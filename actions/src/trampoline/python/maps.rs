//! The maps that the programs on Python interpreters share.

use predicates::asm::MapRef;
use provider::object::{MapKind, MapSpec};

/// Rows of the table of active frames, as a power of two.
pub(super) const ROW_BITS: u32 = 14;
/// Rows of the table.
pub(super) const ROWS: u32 = 1 << ROW_BITS;
/// Pairs in a row.
pub(super) const WAYS: i16 = 4;
/// Bytes of a pair.
pub(crate) const PAIR: i16 = 16;
/// Bytes of a row.
pub(super) const ROW: u32 = 64;
/// Where the number of frames in the hash map is, behind the rows.
pub(crate) const ELSEWHERE: u32 = ROWS * ROW;

/// Threads that the table tells apart, by the last bits of their numbers.
pub(super) const THREADS: u32 = 1 << 16;

/// Instructions that start functions for which there is room.
pub(super) const STARTS: u32 = 1 << 13;

/// The maps that the programs on Python interpreters share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PythonMaps {
    /// The active frames.
    pub(super) active: ActiveMaps,
    /// The threads that have been met.
    pub(super) threads: ThreadMaps,
    /// Arguments by process, code object and instruction.
    pub(super) cache: MapRef,
    /// The threads in which a collection goes on, while gc-done is enabled.
    pub(super) collecting: MapRef,
    /// The names of the modules that are being looked for, while import-find-load-done is enabled.
    pub(super) importing: MapRef,
    /// When threads asked for the interpreter's lock, while how long they waited is wanted.
    pub(super) asking: MapRef,
    /// What frames have called, while cfunction-return is enabled.
    pub(super) calling: MapRef,
    /// The instructions that start functions (`starts`).
    pub(super) starts: MapRef,
    /// Whether the kernel has loops without a bound.
    pub(super) open_loops: bool,
}

impl PythonMaps {
    /// How many the parts have.
    const PARTS: u32 = ActiveMaps::COUNT + ThreadMaps::COUNT;

    /// The maps, by their numbers from `first` on.
    pub(crate) const fn new(first: u32, open_loops: bool) -> Self {
        Self {
            active: ActiveMaps::new(first),
            threads: ThreadMaps::new(first + ActiveMaps::COUNT),
            cache: MapRef(first + Self::PARTS),
            collecting: MapRef(first + Self::PARTS + 1),
            importing: MapRef(first + Self::PARTS + 2),
            asking: MapRef(first + Self::PARTS + 3),
            calling: MapRef(first + Self::PARTS + 4),
            starts: MapRef(first + Self::PARTS + 5),
            open_loops,
        }
    }

    /// Those of the active frames.
    pub(crate) const fn active_frames(self) -> [MapRef; 2] {
        self.active.numbers()
    }

    /// What to create for them.
    pub(crate) fn specs() -> Vec<MapSpec> {
        let mut maps = ActiveMaps::specs().to_vec();
        maps.extend(ThreadMaps::specs());
        // Process, code object, instruction.
        let value = u32::from(8 * ARGUMENTS + CODE_BYTES);
        maps.push(MapSpec::new(
            "python_args",
            MapKind::LruHash,
            24,
            value,
            1 << 14,
        ));
        // Process and thread.
        maps.push(MapSpec::new("python_gc", MapKind::LruHash, 8, 8, 1 << 10));
        // Process and thread, stack pointer; name.
        maps.push(MapSpec::new(
            "python_imports",
            MapKind::LruHash,
            16,
            8,
            1 << 12,
        ));
        // Process and thread; time.
        maps.push(MapSpec::new("python_gil", MapKind::LruHash, 8, 8, 1 << 12));
        // Process, frame; name, module.
        maps.push(MapSpec::new(
            "python_calls",
            MapKind::LruHash,
            16,
            16,
            1 << 14,
        ));
        maps.push(MapSpec::new(
            "python_starts",
            MapKind::Array,
            4,
            8 * STARTS,
            1,
        ));
        maps
    }
}

/// The arguments of a function's probes: file, function, line.
pub(super) const ARGUMENTS: u16 = 3;

/// The most bytes of a code object that are read, from where its own fields start.
pub(super) const CODE_BYTES: u16 = 128;

/// The maps of the set of active frames (`active`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActiveMaps {
    pub(super) table: MapRef,
    pub(super) elsewhere: MapRef,
}

impl ActiveMaps {
    /// How many there are.
    pub(crate) const COUNT: u32 = 2;

    /// The maps, by their numbers from `first` on.
    pub(crate) const fn new(first: u32) -> Self {
        Self {
            table: MapRef(first),
            elsewhere: MapRef(first + 1),
        }
    }

    /// Their numbers: the table and the hash map.
    pub(crate) const fn numbers(self) -> [MapRef; 2] {
        [self.table, self.elsewhere]
    }

    /// What to create for them.
    pub(crate) fn specs() -> [MapSpec; Self::COUNT as usize] {
        [
            MapSpec::shared("python_active", ELSEWHERE + 8),
            MapSpec::new("python_more", MapKind::LruHash, 16, 8, 1 << 16),
        ]
    }
}

/// The maps of the threads that have been met.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadMaps {
    /// Not zero for each of them.
    pub(super) met: MapRef,
    /// The last one of those that share a place.
    pub(super) table: MapRef,
}

impl ThreadMaps {
    /// How many there are.
    pub(super) const COUNT: u32 = 2;

    /// The maps, by their numbers from `first` on.
    pub(super) const fn new(first: u32) -> Self {
        Self {
            met: MapRef(first),
            table: MapRef(first + 1),
        }
    }

    /// What to create for them.
    pub(super) fn specs() -> [MapSpec; Self::COUNT as usize] {
        [
            MapSpec::new("python_met", MapKind::TaskStorage, 4, 8, 0),
            MapSpec::new("python_threads", MapKind::Array, 4, 8 * THREADS, 1),
        ]
    }
}
