//! Lowering: a typed program and the probes it matched become eBPF programs, maps and the table
//! by which the consumer reads the records.
//!
//! All clauses of a probe run in one program, so that they share what they fetch; all probes in
//! one file and scope share one program too, so that the kernel attaches and detaches them with
//! one link. Which site was hit is the attach cookie.
//!
//! ```text
//!   entry      save the context; goto prologue
//!   probe A    clause 1; clause 2; ...; leave
//!   probe B    ...
//!   faults     what stubs lead to: report, run ERROR's clauses, go on after the faulting clause
//!   give up    count and leave
//!   prologue   zero what is tested before it is set; leave if exit() ran;
//!              by cookie: load the site's arguments, goto its probe
//! ```
//!
//! The prologue comes last since only then it is known what has to be zeroed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::{AggFunc, Builtin, Clause, Expr, ExprKind, Program, Scope as VarScope};
use predicates::asm::{Code, Label, MapRef};
use predicates::emit::{Emit, Emitted, Faults, MachineState, Refusal, Rodata};
use predicates::insn::{Cond, Reg, Size};
use predicates::storage::{
    COUNTERS, CommonMaps, Sizes, Storage, TaskFields, TupleMaps, count_strings, key_sizes,
    own_globals,
};
use predicates::tuple::direct_string;
use provider::object::{
    self, Attachment, MapId, MapKind, MapSpec, ProgramId, ProgramKind, Relocation, Target,
};
use provider::probe::{Probe, ProbeKind, PythonSites, Scope, Sites};

use crate::clause::{ClauseContext, FaultSlots, emit_clause, emit_fault_record};
use crate::plan::{each_expr, each_statement, most_fixed, plan_record};
use crate::record::{AggregationLayout, Ecb, Epid, Flow, value_words};
use crate::trampoline::{self, PythonMaps};

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
const RING: MapRef = MapRef(0);
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
    program: Arc<Program>,
    options: LowerOptions,
    storage: Storage,
    aggregations: Vec<(TupleMaps, AggFunc)>,
    /// Arrays' and aggregations' maps, made by the first call.
    own_maps: Vec<MapSpec>,
    next_map: u32,
    next_epid: u32,
    /// Bytes of a thread's state, fixed by the first call.
    state_size: Option<u32>,
    error_clauses: Vec<Enabled>,
    /// The maps for Python interpreters, made when the first is traced.
    python: Option<PythonMaps>,
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
                own_maps.push(MapSpec {
                    name: map_name(name),
                    kind,
                    key_size,
                    value_size: value,
                    max_entries: entries,
                    initial: None,
                    read_only: false,
                });
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
        let id = ProgramId(u32::try_from(object.programs.len()).unwrap_or(0));
        object.listings.push(code.listing());
        object
            .programs
            .push(encode(&code, "switch".into(), ProgramKind::Direct));
        let target = Target::Tracepoint("sched_switch");
        object.attachments.push(Attachment {
            program: id,
            target,
        });
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

    fn plan(
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
        let size = *self.state_size.get_or_insert(needed.max(64));
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
        object.maps.push(MapSpec {
            name: "rodata".into(),
            kind: MapKind::Array,
            key_size: 4,
            value_size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            max_entries: 1,
            initial: Some(bytes),
            read_only: true,
        });
        Ok(())
    }

    /// The maps 0 to 5.
    fn common_maps(&self, state_size: u32, timer_scratch: u32) -> Vec<MapSpec> {
        let map = |name: &str, kind, key_size, value_size, max_entries| MapSpec {
            name: name.into(),
            kind,
            key_size,
            value_size,
            max_entries,
            initial: None,
            read_only: false,
        };
        vec![
            map("principal", MapKind::RingBuf, 0, 0, self.options.ring_bytes),
            map("globals", MapKind::Array, 4, self.storage.globals_size, 1),
            map("thread", MapKind::TaskStorage, 4, state_size, 0),
            map("timer_scratch", MapKind::PerCpuArray, 4, timer_scratch, 1),
            map("counters", MapKind::PerCpuArray, 4, COUNTERS * 8, 1),
            map("switches", MapKind::PerCpuArray, 4, 8, 1),
        ]
    }
}

/// What decides which probes share a program.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum GroupKey {
    Begin,
    End,
    Timer(u32),
    /// Device, inode, process (0 for all).
    File(u64, u64, u32),
}

impl GroupKey {
    fn of(probe: &Probe) -> Self {
        match &probe.kind {
            ProbeKind::Begin | ProbeKind::Error => Self::Begin,
            ProbeKind::End => Self::End,
            ProbeKind::Tick { .. } | ProbeKind::Profile { .. } => Self::Timer(probe.id.0),
            ProbeKind::Sites(Sites { file, scope, .. })
            | ProbeKind::Python(PythonSites { file, scope, .. }) => {
                let (device, inode) = file.identity;
                let process = match scope {
                    Scope::Process(pid) => *pid,
                    Scope::System => 0,
                };
                Self::File(device, inode, process)
            }
        }
    }
}

/// One program while it is made.
struct Unit<'c> {
    compiler: &'c Compiler,
    error_epids: &'c [u32],
    /// The clauses on this program's probes, in program order.
    members: &'c [Enabled],
    key: GroupKey,
}

/// A program that was made.
struct Made {
    code: Code,
    name: String,
    kind: ProgramKind,
    /// What runs it.
    targets: Vec<Target>,
    ecbs: Vec<Ecb>,
    heap_max: u32,
}

/// A clause whose faults are still to be handled.
struct Faulting {
    faults: Faults,
    epid: u32,
    end: Label,
}

impl Unit<'_> {
    fn compile(&self, rodata: &mut Rodata, first_epid: u32) -> Emitted<Made> {
        let compiler = self.compiler;
        let probes = self.probes();
        let kind = match self.key {
            GroupKey::Begin | GroupKey::End => ProgramKind::Direct,
            GroupKey::Timer(_) => ProgramKind::Timer,
            GroupKey::File(..) => ProgramKind::Uprobe,
        };
        let timer = kind == ProgramKind::Timer;
        let machine = trampoline::machine(&probes[0], timer);
        let mut emit = Emit::new(&compiler.storage, rodata, machine);
        let (prologue, leave) = (emit.asm.label(), emit.asm.label());
        emit.asm
            .store(Size::Double, Reg::FP, Emit::CONTEXT, Reg::R1);
        emit.asm.jump(prologue);
        let mut ecbs = Vec::new();
        let mut faulting = Vec::new();
        let mut entries = Vec::new();
        let mut slots = [None; 10];
        let mut used = Vec::new();
        for probe in &probes {
            let used_here = self.used_arguments(probe);
            let machine = trampoline::machine(probe, timer);
            emit.start_probe(machine);
            trampoline::place_arguments(&mut emit, probe, &used_here, &mut slots, compiler.python)?;
            used.push(used_here);
            self.share(&mut emit, probe);
            let entry = emit.asm.label();
            emit.asm.bind(entry);
            entries.push(entry);
            for (index, enabled) in self
                .members
                .iter()
                .filter(|e| e.probe.id == probe.id)
                .enumerate()
            {
                if index > 0 {
                    emit.settle_heap(Span::default())?;
                }
                let epid = first_epid + u32::try_from(ecbs.len()).unwrap_or(0);
                ecbs.push(self.clause(&mut emit, enabled, epid, &mut faulting)?);
                if exits(&compiler.program.clauses[enabled.clause]) && self.key != GroupKey::End {
                    leave_if_exited(&mut emit, leave);
                }
            }
            emit.asm.jump(leave);
        }
        self.handle_faults(&mut emit, faulting)?;
        emit.finish_give_up()?;
        emit.asm.bind(leave);
        emit.leave();
        emit.asm.bind(prologue);
        emit.asm.note("prologue");
        emit.zero_slots();
        if compiler.program.clauses.iter().any(exits) && self.key != GroupKey::End {
            leave_if_exited(&mut emit, leave);
        }
        let targets = trampoline::emit_dispatch(
            &mut emit,
            &probes,
            &entries,
            &used,
            &slots,
            compiler.python,
            leave,
        )?;
        let heap_max = emit.heap_max();
        let code = emit.asm.finish().map_err(|error| Refusal {
            span: compiler.program.clauses[self.members[0].clause].span,
            message: error.to_string(),
        })?;
        let name = format!("d_{}", probes[0].desc.name);
        Ok(Made {
            code,
            name: program_name(&name),
            kind,
            targets,
            ecbs,
            heap_max,
        })
    }

    /// The probes of this program, each once.
    fn probes(&self) -> Vec<Arc<Probe>> {
        let mut seen = BTreeSet::new();
        self.members
            .iter()
            .filter(|enabled| seen.insert(enabled.probe.id))
            .map(|enabled| enabled.probe.clone())
            .collect()
    }

    fn clauses_of<'u>(&'u self, probe: &'u Probe) -> impl Iterator<Item = &'u Clause> {
        self.members
            .iter()
            .filter(|enabled| enabled.probe.id == probe.id)
            .map(|enabled| &self.compiler.program.clauses[enabled.clause])
    }

    /// Which of `arg0` to `arg9` the clauses on a probe use.
    fn used_arguments(&self, probe: &Probe) -> BTreeSet<u8> {
        fn find(expr: &Expr, used: &mut BTreeSet<u8>) {
            if let ExprKind::Arg(n) | ExprKind::TypedArg(n) = expr.kind {
                used.insert(n);
            }
            for operand in expr.operands() {
                find(operand, used);
            }
        }
        let mut used = BTreeSet::new();
        for clause in self.clauses_of(probe) {
            each_clause_expr(clause, &mut |expr| find(expr, &mut used));
        }
        if self.compiler.options.flow
            && let Some(expr) = trampoline::flow_name(probe)
        {
            find(&expr, &mut used);
        }
        used
    }

    /// Tells the emitter which user strings are needed whole. A string that is only a key is
    /// not: it is read straight into the key.
    fn share(&self, emit: &mut Emit<'_>, probe: &Probe) {
        let mut exprs = Vec::new();
        for clause in self.clauses_of(probe) {
            exprs.extend(&clause.predicate);
            each_statement(&clause.body, &mut |stmt| {
                if let dlang::program::StmtKind::Aggregate {
                    keys,
                    value,
                    increment,
                    ..
                } = &stmt.kind
                {
                    let direct = keys.len() == 1 && direct_string(&keys[0]).is_some();
                    exprs.extend(keys.iter().filter(|_| !direct));
                    exprs.extend(value.iter().chain(increment));
                } else {
                    each_expr(stmt, &mut |expr| exprs.push(expr));
                }
            });
        }
        emit.share_strings(exprs);
    }

    fn clause(
        &self,
        emit: &mut Emit<'_>,
        enabled: &Enabled,
        epid: u32,
        faulting: &mut Vec<Faulting>,
    ) -> Emitted<Ecb> {
        let clause = &self.compiler.program.clauses[enabled.clause];
        emit.machine.epid = epid;
        let plan = self.compiler.plan(clause, &enabled.probe, &emit.machine);
        let mut heading = String::new();
        let _ = write!(
            heading,
            "clause {} on {}, epid {epid}",
            enabled.clause, enabled.probe.desc
        );
        emit.asm.note(heading);
        let end = emit.asm.label();
        let known = emit.known();
        let context = self.context(epid);
        let predicate = clause.predicate.as_ref();
        emit_clause(emit, &context, predicate, &clause.body, &plan, end)?;
        emit.asm.bind(end);
        emit.forget(&known);
        debug_assert!(emit.stack.idle(), "a clause gives its registers back");
        let faults = emit.take_faults();
        if !faults.is_empty() {
            faulting.push(Faulting { faults, epid, end });
        }
        Ok(ecb(epid, enabled, plan.layout))
    }

    fn context(&self, epid: u32) -> ClauseContext<'_> {
        ClauseContext {
            ring: RING,
            aggregations: &self.compiler.aggregations,
            epid,
        }
    }

    /// Emits what all faults of the program lead to.
    fn handle_faults(&self, emit: &mut Emit<'_>, faulting: Vec<Faulting>) -> Emitted<()> {
        if faulting.is_empty() {
            return Ok(());
        }
        let span = Span::default();
        let mut buffer = || emit.buffer(8, span);
        let slots = FaultSlots {
            epid: buffer()?,
            kind: buffer()?,
            pc: buffer()?,
            address: buffer()?,
            clause: buffer()?,
        };
        let report = emit.asm.label();
        let mut ends = Vec::new();
        for (number, clause) in (0..).zip(faulting) {
            let handler = emit.asm.label();
            emit.emit_faults(clause.faults, handler);
            emit.asm.bind(handler);
            emit.asm.mov_imm(Reg::R4, i64::from(clause.epid));
            emit.asm.mov_imm(Reg::R5, i64::from(number));
            emit.asm.jump(report);
            ends.push((number, clause.end));
        }
        emit.asm.bind(report);
        emit.asm.note("fault");
        emit_fault_record(emit, RING, &slots)?;
        self.error_clauses(emit, &slots)?;
        emit.asm.load(Size::Double, Reg::R0, Reg::FP, slots.clause);
        let (last, others) = ends.split_last().expect("there is a faulting clause");
        for &(number, end) in others {
            emit.asm.jump_if_imm(Cond::Eq, Reg::R0, number, end);
        }
        emit.asm.jump(last.1);
        Ok(())
    }

    /// Emits the clauses of ERROR; what faults in them is only counted.
    fn error_clauses(&self, emit: &mut Emit<'_>, slots: &FaultSlots) -> Emitted<()> {
        let compiler = self.compiler;
        if compiler.error_clauses.is_empty() {
            return Ok(());
        }
        let outer = emit.machine.clone();
        let heap = emit.heap_slot();
        let saved = heap.map(|_| emit.buffer(8, Span::default())).transpose()?;
        if let (Some(heap), Some(saved)) = (heap, saved) {
            emit.asm.load(Size::Double, Reg::R0, Reg::FP, heap);
            emit.asm.store(Size::Double, Reg::FP, saved, Reg::R0);
        }
        for (enabled, &epid) in compiler.error_clauses.iter().zip(self.error_epids) {
            let clause = &compiler.program.clauses[enabled.clause];
            let mut machine = trampoline::error_machine(&enabled.probe, Some(slots));
            machine.epid = epid;
            machine.timer = outer.timer;
            let plan = compiler.plan(clause, &enabled.probe, &machine);
            emit.enter_error(machine);
            let end = emit.asm.label();
            let context = self.context(epid);
            emit_clause(
                emit,
                &context,
                clause.predicate.as_ref(),
                &clause.body,
                &plan,
                end,
            )?;
            let faults = emit.take_faults();
            if !faults.is_empty() {
                let handler = emit.asm.label();
                emit.asm.jump(end);
                emit.emit_faults(faults, handler);
                emit.asm.bind(handler);
                emit.count(predicates::storage::Counter::ErrorFaults, Span::default())?;
            }
            emit.asm.bind(end);
        }
        if let (Some(heap), Some(saved)) = (heap, saved) {
            emit.asm.load(Size::Double, Reg::R0, Reg::FP, saved);
            emit.asm.store(Size::Double, Reg::FP, heap, Reg::R0);
        }
        emit.machine = outer;
        Ok(())
    }
}

/// Whether a clause may end the run.
fn exits(clause: &Clause) -> bool {
    use dlang::program::{Action, StmtKind};
    let mut found = false;
    each_statement(&clause.body, &mut |stmt| {
        found |= matches!(stmt.kind, StmtKind::Action(Action::Exit(_)));
    });
    found
}

/// After `exit()` nothing fires but END, not even the other clauses of the same firing.
fn leave_if_exited(emit: &mut Emit<'_>, leave: Label) {
    emit.asm
        .map_value(Reg::R1, emit.storage.globals, own_globals::EXITED);
    emit.asm.load(Size::Double, Reg::R1, Reg::R1, 0);
    emit.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, leave);
}

/// Whether any clause of a program reads a built-in variable.
#[must_use]
pub fn uses(program: &Program, builtin: Builtin) -> bool {
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

fn each_clause_expr<'c>(clause: &'c Clause, f: &mut dyn FnMut(&'c Expr)) {
    clause.predicate.iter().for_each(&mut *f);
    each_statement(&clause.body, &mut |stmt| each_expr(stmt, f));
}

fn ecb(epid: u32, enabled: &Enabled, layout: crate::record::RecordLayout) -> Ecb {
    Ecb {
        epid: Epid(epid),
        probe: enabled.probe.clone(),
        clause: enabled.clause,
        layout,
    }
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
fn program_name(name: &str) -> String {
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
