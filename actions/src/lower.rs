//! Lowering: a typed program and the probes it matched become eBPF programs, maps and the table
//! by which the consumer reads the records.
//!
//! This file lays out the maps and numbers ECBs; `unit` makes each program.

use std::collections::BTreeMap;
use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::{AggFunc, Builtin, Clause, Expr, ExprKind, Program, Scope as VarScope};
use predicates::asm::{Code, MapRef};
use predicates::emit::{MachineState, Refusal, Rodata};
use predicates::storage::{
    COUNTERS, CommonMaps, Sizes, Storage, TaskFields, TupleMaps, count_strings, key_sizes,
};
use provider::object::{
    self, Attachment, MapId, MapKind, MapSpec, ProgramId, ProgramKind, Relocation, Target,
};
use provider::probe::{Probe, ProbeKind};

use crate::follow::{FollowFields, Keeping, followed_map};
use crate::plan::{each_clause_expr, most_fixed, plan_record};
use crate::record::{AggregationLayout, Ecb, Flow, value_words};
use crate::trampoline::{self, PythonMaps};
use crate::unit::{GroupKey, Unit, ecb};

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
}

/// A clause on a probe that it matches.
#[derive(Clone, Debug)]
pub struct Enabled {
    /// Index into [`Program::clauses`].
    pub clause: usize,
    /// The probe.
    pub probe: Arc<Probe>,
}

/// What one call of [`Compiler::lower`] adds to the enabling.
#[derive(Debug, Default)]
pub struct Object {
    /// Maps to create, numbered on from those of earlier calls.
    pub maps: Vec<MapSpec>,
    /// Programs to load; an [`Attachment`] names one by its index here.
    pub programs: Vec<object::Program>,
    /// What runs them.
    pub attachments: Vec<Attachment>,
    /// The ECBs whose records the consumer will see.
    pub ecbs: Vec<Ecb>,
    /// The programs as text, in the order of `programs`.
    pub listings: Vec<String>,
}

/// The maps that every enabling has.
pub(crate) const RING: MapRef = MapRef(0);
const GLOBALS: MapRef = MapRef(1);
const THREAD: MapRef = MapRef(2);
const TIMER_SCRATCH: MapRef = MapRef(3);
const COUNTERS_MAP: MapRef = MapRef(4);
const SWITCHES: MapRef = MapRef(5);
const FIRST_OWN: u32 = 6;

/// Bytes that the literals of `copyin` may bring in one firing.
const COPYIN_BYTES: u32 = 1024;

/// The largest value that the kernel allows in task storage, less some room of its own.
const LARGEST_STATE: u32 = 60_000;

/// The largest value that the kernel allows in a per-CPU array.
const LARGEST_TIMER_SCRATCH: u32 = 32_768;

/// Compiles the clauses of a program for the probes that are found, now and later.
#[derive(Debug)]
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
        let aggregations = program
            .aggregations
            .iter()
            .map(|agg| {
                let strings = count_strings(&agg.key);
                let ints = u32::try_from(agg.key.len()).unwrap_or(0) - strings;
                let value = value_words(agg.func) * 8;
                let (sizes, kind, entries) = if agg.key.is_empty() {
                    (vec![4], MapKind::PerCpuArray, 1)
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
                id: dlang::program::AggId(id),
                func: *func,
                key: agg.key.clone(),
                maps: maps.classes.iter().map(|&(_, map)| MapId(map.0)).collect(),
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

    /// The per-CPU map with the drop counters (`Counter`).
    #[must_use]
    pub fn counters(&self) -> MapId {
        MapId(COUNTERS_MAP.0)
    }

    /// The map of followed processes and their roots, if processes are followed. Its keys and
    /// values are process ids of 32 bits; to be given the targets, each as its own root.
    #[must_use]
    pub fn followed(&self) -> Option<MapId> {
        self.followed.map(|map| MapId(map.0))
    }

    /// Compiles the clauses for probes that were found. Clauses on `dtrace:::ERROR` belong to
    /// the first call, since every program's faults run them.
    pub fn lower(&mut self, enabled: &[Enabled]) -> Result<Object, Refusal> {
        let mut groups: BTreeMap<GroupKey, Vec<Enabled>> = BTreeMap::new();
        for enabled in enabled {
            match &enabled.probe.kind {
                ProbeKind::Error => self.error_clauses.push(enabled.clone()),
                _ => groups
                    .entry(GroupKey::of(&enabled.probe))
                    .or_default()
                    .push(enabled.clone()),
            }
        }
        let mut object = Object::default();
        let mut rodata = Rodata::default();
        // What stands behind the maps of earlier calls: on the first call the fixed ones.
        let first = self.state_size.is_none();
        let rodata_map = MapRef(self.next_map);
        self.next_map += 1;
        self.storage.rodata = rodata_map;
        let python_maps = self.python_maps(enabled);
        let mut heap_max = 0;
        let error_epids = self.error_ecbs(&mut object, first);
        for (key, members) in groups {
            let mut members = members;
            members.sort_by_key(|enabled| enabled.clause);
            let unit = Unit {
                compiler: self,
                error_epids: &error_epids,
                members: &members,
                key,
            };
            let made = unit.compile(&mut rodata, self.next_epid)?;
            self.next_epid += u32::try_from(made.ecbs.len()).unwrap_or(0);
            heap_max = heap_max.max(made.heap_max);
            let id = ProgramId(u32::try_from(object.programs.len()).unwrap_or(0));
            object.listings.push(made.code.listing());
            object
                .programs
                .push(encode(&made.code, made.name, made.kind));
            let attachments = made.targets.into_iter().map(|target| Attachment {
                program: id,
                target,
            });
            object.attachments.extend(attachments);
            object.ecbs.extend(made.ecbs);
        }
        if first && uses(&self.program, Builtin::Vtimestamp) {
            self.keep_time(&mut object);
        }
        if first {
            self.keep_followed(&mut object);
        }
        self.add_maps(&mut object, first, heap_max, rodata)?;
        object.maps.extend(python_maps);
        Ok(object)
    }

    /// The maps for Python interpreters, to be made if one is traced for the first time.
    fn python_maps(&mut self, enabled: &[Enabled]) -> Vec<MapSpec> {
        let is_python = |e: &Enabled| matches!(e.probe.kind, ProbeKind::Python(_));
        if self.python.is_some() || !enabled.iter().any(is_python) {
            return Vec::new();
        }
        self.python = Some(PythonMaps::new(self.next_map, self.options.may_goto));
        self.next_map += PythonMaps::COUNT;
        PythonMaps::specs()
    }

    /// Adds the program that keeps each thread's time on a CPU, which `vtimestamp` reads.
    fn keep_time(&self, object: &mut Object) {
        let code = crate::vtime::switch_program(&self.storage);
        let attachment = on_tracepoint(object, &code, "switch", "sched_switch");
        object.attachments.push(attachment);
    }

    /// Adds the programs that keep the map of followed processes. They are attached first, so that
    /// no probe fires in a child that they have not seen.
    fn keep_followed(&self, object: &mut Object) {
        let (Some(followed), Some(fields)) = (self.followed, self.options.follow) else {
            return;
        };
        let keeping = Keeping {
            followed,
            counters: COUNTERS_MAP,
            fields,
        };
        let programs = [
            (keeping.fork_program(), "fork", "sched_process_fork"),
            (keeping.exit_program(), "exit", "sched_process_exit"),
        ];
        for (place, (code, name, tracepoint)) in programs.into_iter().enumerate() {
            let attachment = on_tracepoint(object, &code, name, tracepoint);
            object.attachments.insert(place, attachment);
        }
    }

    /// Gives ERROR's clauses their EPIDs; each program holds a copy of their code.
    fn error_ecbs(&mut self, object: &mut Object, first: bool) -> Vec<u32> {
        let start = 1;
        if first {
            self.next_epid += u32::try_from(self.error_clauses.len()).unwrap_or(0);
            for (enabled, epid) in self.error_clauses.iter().zip(start..) {
                let clause = &self.program.clauses[enabled.clause];
                let machine = trampoline::error_machine(&enabled.probe, None);
                let plan = self.plan(clause, &enabled.probe, &machine);
                object.ecbs.push(ecb(epid, enabled, plan.layout));
            }
        }
        (start..).take(self.error_clauses.len()).collect()
    }

    pub(crate) fn plan(
        &self,
        clause: &Clause,
        probe: &Probe,
        machine: &MachineState,
    ) -> crate::plan::RecordPlan {
        let constant = |builtin: Builtin| machine.constant(builtin).is_some();
        let flow = trampoline::flow_name(probe);
        let mut plan = plan_record(&clause.body, flow, self.options.flow, &constant);
        plan.layout.flow = flow_of(probe);
        plan
    }

    fn add_maps(
        &mut self,
        object: &mut Object,
        first: bool,
        heap_max: u32,
        rodata: Rodata,
    ) -> Result<(), Refusal> {
        let storage = &self.storage;
        let strsize = storage.strsize;
        let needed = (storage.heap + heap_max + strsize)
            .max(storage.key + 2 * (storage.heap - storage.key))
            .next_multiple_of(8);
        let room = match self.options.follow {
            Some(_) if first => needed.max(self.room_for_later()),
            _ => needed,
        };
        let size = *self.state_size.get_or_insert(room.max(64));
        if needed > size || size > LARGEST_STATE {
            return Err(Refusal {
                span: Span::default(),
                message: format!(
                    "the strings of one firing may take {needed} bytes, and {LARGEST_STATE} is \
                     the most: record fewer strings in one clause, or lower strsize ({strsize})"
                ),
            });
        }
        if first {
            let has_timer = object
                .programs
                .iter()
                .any(|program| program.kind == ProgramKind::Timer);
            if has_timer && size > LARGEST_TIMER_SCRATCH {
                return Err(Refusal {
                    span: Span::default(),
                    message: format!(
                        "the strings of a timer's firing may take {size} bytes, and \
                         {LARGEST_TIMER_SCRATCH} is the most: lower strsize ({strsize})"
                    ),
                });
            }
            object.maps = self.common_maps(size, if has_timer { size } else { 8 });
            object.maps.append(&mut self.own_maps);
        }
        let mut bytes = rodata.bytes;
        bytes.resize(bytes.len().next_multiple_of(8).max(8), 0);
        object.maps.push(MapSpec::read_only("rodata", bytes));
        Ok(())
    }

    /// What a thread's state may need when all clauses run in one firing: which of them a probe
    /// has that comes later is not known when the state is laid out.
    fn room_for_later(&self) -> u32 {
        fn strings(expr: &Expr) -> u32 {
            let operands: u32 = expr.operands().into_iter().map(strings).sum();
            operands + u32::from(expr.ty == dlang::types::Type::String)
        }
        let mut count = 4; // what `-F` shows of a probe
        for clause in &self.program.clauses {
            each_clause_expr(clause, &mut |expr| count += strings(expr));
        }
        let strings = (count * 2).saturating_mul(self.storage.strsize);
        let size = self.storage.heap.saturating_add(strings);
        size.min(LARGEST_TIMER_SCRATCH - 8).next_multiple_of(8)
    }

    /// The maps 0 to 5.
    fn common_maps(&self, state_size: u32, timer_scratch: u32) -> Vec<MapSpec> {
        vec![
            MapSpec::new("principal", MapKind::RingBuf, 0, 0, self.options.ring_bytes),
            MapSpec::new("globals", MapKind::Array, 4, self.storage.globals_size, 1),
            MapSpec::new("thread", MapKind::TaskStorage, 4, state_size, 0),
            MapSpec::new("timer_scratch", MapKind::PerCpuArray, 4, timer_scratch, 1),
            MapSpec::new("counters", MapKind::PerCpuArray, 4, COUNTERS * 8, 1),
            MapSpec::new("switches", MapKind::PerCpuArray, 4, 8, 1),
        ]
    }
}

/// Adds a program for one of the kernel's tracepoints; its attachment is still to be added.
fn on_tracepoint(
    object: &mut Object,
    code: &Code,
    name: &str,
    tracepoint: &'static str,
) -> Attachment {
    let program = ProgramId(u32::try_from(object.programs.len()).unwrap_or(0));
    object.listings.push(code.listing());
    object
        .programs
        .push(encode(code, name.into(), ProgramKind::Direct));
    Attachment {
        program,
        target: Target::Tracepoint(tracepoint),
    }
}

/// Whether any clause of a program reads a built-in variable.
#[must_use]
pub(crate) fn uses(program: &Program, builtin: Builtin) -> bool {
    fn reads(expr: &Expr, builtin: Builtin) -> bool {
        expr.kind == ExprKind::Builtin(builtin)
            || expr
                .operands()
                .into_iter()
                .any(|operand| reads(operand, builtin))
    }
    let mut found = false;
    for clause in &program.clauses {
        each_clause_expr(clause, &mut |expr| found = found || reads(expr, builtin));
    }
    found
}

/// How `-F` shows a probe: by the end of its name, as DTrace does for every provider.
fn flow_of(probe: &Probe) -> Flow {
    match probe.desc.name.as_str() {
        name if name == "entry" || name.ends_with("-entry") => Flow::Entry,
        name if name == "return" || name.ends_with("-return") => Flow::Return,
        _ => Flow::None,
    }
}

/// The largest key of any aggregation or associative array, in bytes.
fn largest_key(program: &Program, strsize: u32) -> u32 {
    let aggregations = program.aggregations.iter().map(|agg| (&agg.key, false));
    let arrays = program.variables.iter().filter_map(|variable| {
        Some((
            variable.key.as_ref()?,
            variable.scope == VarScope::ThreadLocal,
        ))
    });
    aggregations
        .chain(arrays)
        .map(|(key, thread)| {
            let strings = count_strings(key);
            let ints = u32::try_from(key.len()).unwrap_or(0) - strings + u32::from(thread);
            key_sizes(ints, strings, strsize)
                .last()
                .copied()
                .unwrap_or(0)
        })
        .max()
        .unwrap_or(0)
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

fn encode(code: &Code, name: String, kind: ProgramKind) -> object::Program {
    object::Program {
        name,
        kind,
        insns: code.insns.iter().map(|insn| insn.encode()).collect(),
        relocations: code
            .maps
            .iter()
            .map(|use_| Relocation {
                insn: use_.insn,
                map: MapId(use_.map.0),
                value_offset: use_.value_offset,
            })
            .collect(),
    }
}
