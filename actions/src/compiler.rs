//! What lowering keeps from call to call: the program, the layout of its variables, and numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlang::program::{
    Action, AggFunc, AggId, Builtin, Clause, Program, Scope as VarScope, StmtKind,
};
use dlang::types::Type;
use predicates::asm::MapRef;
use predicates::emit::MachineState;
use predicates::storage::{
    CommonMaps, Epoch, Sizes, Storage, TaskFields, TupleMaps, count_strings, key_sizes,
};
use provider::object::{MapId, MapKind, MapSpec};
use provider::probe::Probe;

use crate::flow::{flow_name, flow_of};
use crate::follow::{FollowFields, followed_map};
use crate::plan::{each_statement, most_fixed, plan_record};
use crate::record::{AggregationLayout, EPOCH_SLOTS, EpochPlace, value_words};
use crate::trampoline::PythonMaps;
use crate::unit::exits;

/// What the code depends on beside the program.
#[derive(Clone, Copy, Debug)]
pub struct LowerOptions {
    /// `strsize`, in bytes, NUL included.
    pub strsize: u32,
    /// Size of the ring buffer in bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// The most keys in an aggregation.
    pub aggregation_keys: u32,
    /// Bytes for associative arrays, which bound their elements.
    pub dynvarsize: u32,
    /// Whether records carry what `-F` needs.
    pub flow: bool,
    /// What is known of the kernel's tasks.
    pub task: TaskFields,
    /// Whether the kernel has the instruction `may_goto` (Linux 6.9).
    pub may_goto: bool,
    /// What following processes takes, if the probes of some [`Scope::Tree`](provider::probe::Scope)
    /// may be among those to compile, now or later.
    pub follow: Option<FollowFields>,
    /// Whether programs that start while tracing goes on may bring more probes.
    pub grows: bool,
}

/// A clause on a probe that it matches.
#[derive(Clone, Debug)]
pub struct Enabled {
    /// Index into [`Program::clauses`].
    pub clause: usize,
    /// The probe.
    pub probe: Arc<Probe>,
}

/// The maps that every enabling has.
pub(crate) const RING: MapRef = MapRef(0);
pub(crate) const GLOBALS: MapRef = MapRef(1);
pub(crate) const THREAD: MapRef = MapRef(2);
pub(crate) const TIMER_SCRATCH: MapRef = MapRef(3);
pub(crate) const COUNTERS_MAP: MapRef = MapRef(4);
pub(crate) const SWITCHES: MapRef = MapRef(5);
const FIRST_OWN: u32 = 6;

/// Bytes that the literals of `copyin` may bring in one firing.
const COPYIN_BYTES: u32 = 1024;

/// Compiles the clauses of a program for the probes that are found, now and later.
#[derive(Clone, Debug)]
pub struct Compiler {
    pub(crate) program: Arc<Program>,
    pub(crate) options: LowerOptions,
    pub(crate) storage: Storage,
    pub(crate) aggregations: Vec<(TupleMaps, AggFunc)>,
    /// Arrays' and aggregations' maps, made by the first call.
    pub(crate) own_maps: Vec<MapSpec>,
    pub(crate) next_map: u32,
    pub(crate) next_epid: u32,
    /// Bytes of a thread's state, fixed by the first call.
    pub(crate) state_size: Option<u32>,
    pub(crate) error_clauses: Vec<Enabled>,
    /// The maps for Python interpreters, made when the first is traced.
    pub(crate) python: Option<PythonMaps>,
    /// The processes that are followed, if any are.
    pub(crate) followed: Option<MapRef>,
}

impl Compiler {
    /// Lays out variables and aggregations.
    pub fn new(program: Arc<Program>, options: LowerOptions) -> Self {
        let mut own_maps = Vec::new();
        let mut next_map = FIRST_OWN;
        let strsize = options.strsize;
        let mut classes = |sizes: &[u32], kind, value: u32, entries: u32, name: &str| {
            let mut maps = Vec::new();
            for &key_size in sizes {
                maps.push(MapRef(next_map));
                next_map += 1;
                own_maps.push(MapSpec::new(
                    &map_name(name),
                    kind,
                    key_size,
                    value,
                    entries,
                ));
            }
            maps
        };
        let restarted = restarted(&program);
        let epochs = (!restarted.is_empty()).then(|| {
            let size = 8 * u32::try_from(restarted.len()).expect("a program has few aggregations");
            classes(&[4], MapKind::Array, size, 1, "epochs")[0]
        });
        let aggregations = program
            .aggregations
            .iter()
            .enumerate()
            .map(|(id, agg)| {
                let place = restarted.iter().position(|other| other.0 as usize == id);
                let epoch = place.zip(epochs).map(|(place, map)| Epoch {
                    map,
                    offset: 8 * u32::try_from(place).expect("a program has few aggregations"),
                    slots: EPOCH_SLOTS,
                });
                let strings = count_strings(&agg.key);
                let ints = int_count(&agg.key) + u32::from(epoch.is_some());
                let value = value_words(agg.func) * 8;
                let (sizes, kind, entries) = if agg.key.is_empty() {
                    let entries = epoch.map_or(1, |epoch| epoch.slots);
                    (vec![4], MapKind::PerCpuArray, entries)
                } else {
                    let sizes = key_sizes(ints, strings, strsize);
                    (sizes, MapKind::PerCpuHash, options.aggregation_keys)
                };
                let maps = classes(&sizes, kind, value, entries, &agg.name);
                let classes = sizes.into_iter().zip(maps).collect();
                (
                    TupleMaps {
                        ints,
                        strings,
                        thread: false,
                        epoch,
                        classes,
                    },
                    agg.func,
                )
            })
            .collect();
        let record = program
            .clauses
            .iter()
            .map(|c| most_fixed(&c.body))
            .max()
            .unwrap_or(0)
            + 64;
        let common = CommonMaps {
            globals: GLOBALS,
            thread: THREAD,
            timer_scratch: TIMER_SCRATCH,
            rodata: MapRef(0),
            counters: COUNTERS_MAP,
            switches: SWITCHES,
        };
        let key = largest_key(&program, strsize);
        let sizes = Sizes {
            strsize,
            record,
            key,
            copied: COPYIN_BYTES,
            task: options.task,
        };
        let storage = Storage::plan(&program, common, sizes, |var, key_sizes| {
            let variable = &program.variables[var.0 as usize];
            let value = variable.ty.size(strsize).next_multiple_of(8);
            let element = key_sizes.last().copied().unwrap_or(8) + value;
            let entries = (options.dynvarsize / element.max(1)).max(16);
            classes(key_sizes, MapKind::Hash, value, entries, &variable.name)
        });
        let followed = options.follow.map(|_| {
            own_maps.push(followed_map());
            next_map += 1;
            MapRef(next_map - 1)
        });
        Self {
            program,
            options,
            storage,
            aggregations,
            own_maps,
            next_map,
            next_epid: 1,
            state_size: None,
            error_clauses: Vec::new(),
            python: None,
            followed,
        }
    }

    /// Where each aggregation's data is, for the consumer.
    #[must_use]
    pub fn aggregation_layouts(&self) -> Vec<AggregationLayout> {
        self.program
            .aggregations
            .iter()
            .zip(&self.aggregations)
            .zip(0..)
            .map(|((agg, (maps, func)), id)| AggregationLayout {
                id: AggId(id),
                func: *func,
                key: agg.key.clone(),
                maps: maps.classes.iter().map(|&(_, map)| MapId(map.0)).collect(),
                epoch: maps.epoch.map(|epoch| EpochPlace {
                    map: MapId(epoch.map.0),
                    offset: epoch.offset,
                }),
            })
            .collect()
    }

    /// The ring buffer's map.
    #[must_use]
    pub fn ring(&self) -> MapId {
        MapId(RING.0)
    }

    /// The map with rdtrace's own globals (`own_globals`) at the start of its value.
    #[must_use]
    pub fn globals(&self) -> MapId {
        MapId(GLOBALS.0)
    }

    /// Whether the program has an `exit()`.
    #[must_use]
    pub fn may_exit(&self) -> bool {
        self.program.clauses.iter().any(exits)
    }

    /// The per-CPU map with the drop counters (`Counter`).
    #[must_use]
    pub fn counters(&self) -> MapId {
        MapId(COUNTERS_MAP.0)
    }

    /// The maps of the active frames of Python functions, where they are kept: a table, and what finds no
    /// room there.
    pub(crate) fn active_frames(&self) -> Option<[MapId; 2]> {
        let maps = self.python?.active_frames();
        Some(maps.map(|map| MapId(map.0)))
    }

    /// The map of followed processes and their roots, if processes are followed. Its keys and
    /// values are process ids of 32 bits; to be given the targets, each as its own root.
    #[must_use]
    pub fn followed(&self) -> Option<MapId> {
        self.followed.map(|map| MapId(map.0))
    }

    pub(crate) fn plan(
        &self,
        clause: &Clause,
        probe: &Probe,
        machine: &MachineState,
    ) -> crate::plan::RecordPlan {
        let constant = |builtin: Builtin| machine.of_ecb(builtin).is_some();
        let flow = flow_name(probe);
        let mut plan = plan_record(&clause.body, flow, self.options.flow, &constant);
        plan.layout.flow = flow_of(probe);
        plan
    }
}

/// The largest key of any aggregation or associative array, in bytes.
fn largest_key(program: &Program, strsize: u32) -> u32 {
    let aggregations = program.aggregations.iter();
    let aggregations = aggregations.map(|agg| (&agg.key, is_extreme(agg.func)));
    let arrays = program.variables.iter().filter_map(|variable| {
        Some((
            variable.key.as_ref()?,
            variable.scope == VarScope::ThreadLocal,
        ))
    });
    aggregations
        .chain(arrays)
        .map(|(key, own)| {
            let ints = int_count(key) + u32::from(own);
            key_sizes(ints, count_strings(key), strsize)
                .last()
                .copied()
                .unwrap_or(0)
        })
        .max()
        .unwrap_or(0)
}

fn int_count(key: &[Type]) -> u32 {
    u32::try_from(key.len()).expect("a tuple has few members") - count_strings(key)
}

/// The aggregations that need an epoch: a minimum or maximum can start again only so.
fn restarted(program: &Program) -> Vec<AggId> {
    let mut found = BTreeSet::new();
    for clause in &program.clauses {
        each_statement(&clause.body, &mut |stmt| {
            if let StmtKind::Action(Action::Clear(agg) | Action::Trunc(agg, _)) = stmt.kind
                && is_extreme(program.aggregations[agg.0 as usize].func)
            {
                found.insert(agg);
            }
        });
    }
    found.into_iter().collect()
}

fn is_extreme(func: AggFunc) -> bool {
    matches!(func, AggFunc::Min | AggFunc::Max)
}

/// A name that the kernel takes for a map or program.
pub(crate) fn program_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .take(15)
        .collect()
}

fn map_name(name: &str) -> String {
    program_name(if name.is_empty() { "map" } else { name })
}
