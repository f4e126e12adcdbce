//! Lowering: a typed program and the probes it matched become eBPF programs, maps and the table
//! by which the consumer reads the records.
//!
//! `compiler` lays out the maps, `unit` makes each program; here they are put together.

use std::collections::BTreeMap;

use dlang::diag::Span;
use dlang::format::{Format, Piece, Spec};
use dlang::program::{Action, Builtin, Expr, ExprKind, Program, StmtKind, Subroutine};
use dlang::walk::{each_clause_expr, each_statement, program_has};
use predicates::asm::{Code, MapRef};
use predicates::emit::{Refusal, Rodata};
use predicates::part::PartMaps;
use predicates::storage::{CLAIM_LEVELS, COUNTER_BYTES, has_process};
use provider::object::{
    self, Attachment, Called, Context, MapId, MapKind, MapSpec, ProgramId, Relocation, Target,
};
use provider::probe::ProbeKind;

pub use crate::compiler::{Compiler, reads_objects, wants_open_loops};
use crate::contention;
use crate::follow::Keeping;
pub use crate::frames::{
    finds_greenlets, finds_python, keeps_stacks, mixes, names_tasks, shows_awaiting,
    walks_processes,
};
use crate::maps::{COUNTERS_MAP, program_name};
pub use crate::options::{Enabled, LowerOptions};
pub use crate::parts::PART_LENGTH;
pub use crate::plan::Extras;
use crate::program::{Unit, count};
use crate::record::Ecb;
use crate::trampoline::{self, Source};
use crate::unit::{Made, ecb};

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
    /// The programs before they were encoded, in the order of `programs`: how they read, and where in
    /// the script their instructions come from.
    pub codes: Vec<Code>,
}

/// The largest value that the kernel allows in task storage, less some room of its own.
const LARGEST_STATE: u32 = 60_000;

/// The most that is set aside in a thread's state for probes that come later, unless one clause alone
/// may need more: each thread that hits a probe has it.
const LARGEST_ROOM: u32 = 32_760;

/// The largest scratch that a firing may claim: older kernels allow no larger values.
const LARGEST_CLAIM: u32 = 4_000_000;

/// What the kernel puts before each record in the ring buffer, in bytes.
const RECORD_HEADER: u32 = 8;

/// The largest value that the kernel allows in a per-CPU array.
const LARGEST_TIMER_SCRATCH: u32 = 32_768;

impl Compiler {
    /// Compiles the clauses for probes that were found. Clauses on `dtrace:::ERROR` belong to
    /// the first call, since every program's faults run them.
    ///
    /// After a refusal the compiler is as it was before the call.
    pub fn lower(&mut self, enabled: &[Enabled]) -> Result<Object, Refusal> {
        let mut next = self.clone();
        let object = next.lower_all(enabled)?;
        *self = next;
        Ok(object)
    }

    /// Goes back to what the compiler was before a call of [`lower`](Self::lower) whose object the
    /// kernel did not take. Its EPIDs are not given again: it may have made records before it was
    /// taken down.
    pub fn go_back(&mut self, before: Self) {
        let next_epid = self.next_epid;
        *self = before;
        self.next_epid = next_epid;
    }

    fn lower_all(&mut self, enabled: &[Enabled]) -> Result<Object, Refusal> {
        let mut groups: BTreeMap<Source, Vec<Enabled>> = BTreeMap::new();
        for enabled in enabled {
            match Source::of(&enabled.probe) {
                None => self.error_clauses.push(enabled.clone()),
                Some(source) => groups.entry(source).or_default().push(enabled.clone()),
            }
        }
        let mut object = Object::default();
        let mut rodata = Rodata::default();
        // What stands behind the maps of earlier calls: on the first call the fixed ones.
        let first = self.state_size.is_none();
        let rodata_map = MapRef(self.next_map);
        self.next_map += 1;
        self.storage.rodata = rodata_map;
        let trampolines_maps = self.trampolines_maps(enabled);
        let mut part_maps = Vec::new();
        let mut heap = Heap::default();
        let error_epids = self.error_ecbs(&mut object, first);
        for (source, members) in groups {
            let mut members = members;
            members.sort_by_key(|enabled| enabled.clause);
            let unit = Unit {
                compiler: self,
                error_epids: &error_epids,
                members: &members,
                source,
                part_maps: PartMaps {
                    programs: MapRef(self.next_map),
                    saved: MapRef(self.next_map + 1),
                },
            };
            let made = unit.compile(&mut rodata, self.next_epid)?;
            self.next_epid += count(made.ecbs.len());
            heap.add(&made);
            let id = ProgramId(count(object.programs.len()));
            object
                .programs
                .push(encode(&made.code, made.name.clone(), made.context));
            object.codes.push(made.code);
            if !made.parts.is_empty() {
                let programs = MapId(self.next_map);
                self.next_map += PartMaps::COUNT;
                part_maps.extend(maps_of_parts(made.parts.len(), made.context));
                for (index, part) in (1..).zip(made.parts) {
                    let name = program_name(&format!("{index}{}", made.name));
                    let mut program = encode(&part, name, made.context);
                    program.called = Some(Called { programs, index });
                    object.programs.push(program);
                    object.codes.push(part);
                }
            }
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
        if first && let Some(contentions) = self.storage.contentions {
            keep_contentions(&mut object, contentions);
        }
        if first {
            self.keep_followed(&mut object);
        }
        self.add_maps(&mut object, first, &heap, rodata)?;
        object.maps.extend(trampolines_maps);
        object.maps.extend(part_maps);
        Ok(object)
    }

    /// The maps that the trampolines of these probes need, if they are not there yet.
    fn trampolines_maps(&mut self, enabled: &[Enabled]) -> Vec<MapSpec> {
        let probes = enabled.iter().map(|enabled| &*enabled.probe);
        let loops = self.options.open_loops.is_some();
        let maps = self.kind_maps.add(probes, self.next_map, loops);
        self.next_map += u32::try_from(maps.len()).expect("there are few maps");
        maps
    }

    /// Adds the program that keeps each thread's time on a CPU, which `vtimestamp` reads.
    fn keep_time(&self, object: &mut Object) {
        let code = crate::vtime::switch_program(&self.storage);
        let attachment = on_tracepoint(object, code, "switch", "sched_switch");
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
            let attachment = on_tracepoint(object, code, name, tracepoint);
            object.attachments.insert(place, attachment);
        }
    }

    /// Gives ERROR's clauses their EPIDs; each program holds a copy of their code.
    fn error_ecbs(&mut self, object: &mut Object, first: bool) -> Vec<u32> {
        let start = 1;
        if first {
            self.next_epid += count(self.error_clauses.len());
            for (enabled, epid) in self.error_clauses.iter().zip(start..) {
                let clause = &self.program.clauses[enabled.clause];
                let machine = trampoline::error_machine(&enabled.probe, None);
                let plan = self.plan(clause, &enabled.probe, &machine);
                object
                    .ecbs
                    .push(ecb(epid, &enabled.probe, enabled.clause, plan.layout));
            }
        }
        (start..).take(self.error_clauses.len()).collect()
    }

    fn add_maps(
        &mut self,
        object: &mut Object,
        first: bool,
        heap: &Heap,
        rodata: Rodata,
    ) -> Result<(), Refusal> {
        let strsize = self.storage.strsize;
        let needed = self.state_for(heap.threads);
        let timers = heap.timers.map_or(8, |heap| self.state_for(heap));
        let claims = self.storage.claims;
        let most = match self.state_size {
            None if claims => LARGEST_CLAIM,
            None => LARGEST_STATE,
            Some(size) => size,
        };
        let most_for_timers = if claims { most } else { LARGEST_TIMER_SCRATCH };
        if needed > most {
            return Err(Refusal {
                span: heap.heaviest,
                message: format!(
                    "the strings of one firing may take {needed} bytes, and {most} is \
                     the most: record fewer strings in one clause, or lower strsize ({strsize})"
                ),
            });
        }
        if timers > most_for_timers {
            return Err(Refusal {
                span: heap.heaviest_timer,
                message: format!(
                    "the strings of a timer's firing may take {timers} bytes, and \
                     {most_for_timers} is the most: lower strsize ({strsize})"
                ),
            });
        }
        if claims && self.storage.state > LARGEST_STATE {
            return Err(Refusal {
                span: heap.heaviest,
                message: format!(
                    "the variables of a thread take {} bytes, and {LARGEST_STATE} is the most: \
                     lower strsize ({strsize})",
                    self.storage.state
                ),
            });
        }
        if first {
            let needed = if claims { needed.max(timers) } else { needed };
            let room = if self.options.grows {
                needed.max(self.room_for_later())
            } else {
                needed
            };
            self.state_size = Some(room);
            let ring = self.ring_bytes(&object.ecbs, room);
            object.maps = self.common_maps(ring, room, timers);
            object.maps.append(&mut self.own_maps);
        }
        let mut bytes = rodata.bytes;
        bytes.resize(bytes.len().next_multiple_of(8).max(8), 0);
        object.maps.push(MapSpec::read_only("rodata", bytes));
        Ok(())
    }

    /// The size of a thread's state, or a timer's scratch, whose firings need so much heap.
    fn state_for(&self, heap: u32) -> u32 {
        let storage = &self.storage;
        (storage.heap + heap + storage.strsize)
            .max(storage.least_state())
            .next_multiple_of(8)
    }

    /// What a thread's state may need when all clauses run in one firing: which of them a probe
    /// has that comes later is not known when the state is laid out.
    fn room_for_later(&self) -> u32 {
        fn strings(expr: &Expr) -> u32 {
            let operands: u32 = expr.operands().into_iter().map(strings).sum();
            operands + u32::from(expr.ty == dlang::types::Type::String)
        }
        const FLOW: u32 = 4; // what `-F` shows of a probe
        let room = |count: u32| {
            let strings = (count * 2).saturating_mul(self.storage.strsize);
            self.storage.heap.saturating_add(strings)
        };
        let clauses = self.program.clauses.iter().map(|clause| {
            let mut count = 0;
            each_clause_expr(clause, &mut |expr| count += strings(expr));
            count
        });
        let counts: Vec<u32> = clauses.collect();
        let all = room(counts.iter().sum::<u32>() + FLOW);
        let largest = room(counts.into_iter().max().unwrap_or(0) + FLOW);
        let limit = if self.storage.claims {
            LARGEST_CLAIM
        } else {
            LARGEST_STATE
        };
        let most = largest.clamp(LARGEST_ROOM, limit);
        all.min(most).next_multiple_of(8)
    }

    /// Bytes of the ring buffer when records are made on the stack or in a state of so many bytes: what
    /// was asked for, or less where that cannot be filled, since each clause runs once, in BEGIN or
    /// END, and has at most one fault. The kernel takes 3 ms to make and free 8 MiB.
    fn ring_bytes(&self, ecbs: &[Ecb], state_size: u32) -> u32 {
        const LEAST: u32 = 64 << 10;
        const STACK: u32 = 512;
        let asked = self.options.ring_bytes;
        let (mut once, mut on_faults) = (0, 0);
        for ecb in ecbs {
            match ecb.probe.kind {
                ProbeKind::Begin | ProbeKind::End => once += 1,
                ProbeKind::Error => on_faults += 1,
                ProbeKind::Timer(_)
                | ProbeKind::Sites(_)
                | ProbeKind::Python(_)
                | ProbeKind::SystemCall(_)
                | ProbeKind::Kernel(_) => return asked,
            }
        }
        if self.options.grows {
            return asked;
        }
        let records = u32::saturating_mul(once, 1 + on_faults);
        let filled = records.saturating_mul(state_size.max(STACK) + RECORD_HEADER);
        let room = filled.max(LEAST).checked_next_power_of_two();
        room.map_or(asked, |room| room.min(asked))
    }

    /// The maps 0 to 5.
    fn common_maps(&self, ring: u32, state_size: u32, timer_scratch: u32) -> Vec<MapSpec> {
        let (state_size, scratch) = if self.storage.claims {
            let places = self.options.cpus * CLAIM_LEVELS.unsigned_abs();
            let scratch = MapSpec::new("scratch", MapKind::Array, 4, state_size, places);
            (self.storage.state, scratch)
        } else {
            let scratch = MapSpec::new("scratch", MapKind::PerCpuArray, 4, timer_scratch, 1);
            (state_size, scratch)
        };
        vec![
            MapSpec::new("principal", MapKind::RingBuf, 0, 0, ring),
            MapSpec::new("globals", MapKind::Array, 4, self.storage.globals_size, 1),
            MapSpec::new("thread", MapKind::TaskStorage, 4, state_size, 0),
            scratch,
            MapSpec::new("counters", MapKind::PerCpuArray, 4, COUNTER_BYTES, 1),
            MapSpec::new("switches", MapKind::PerCpuArray, 4, 8, 1),
        ]
    }
}

/// Adds the programs that keep who waits for locks, behind those that read it.
fn keep_contentions(object: &mut Object, contentions: MapRef) {
    let begin = contention::begin_program(contentions, COUNTERS_MAP);
    let end = contention::end_program(contentions);
    for (code, name, tracepoint) in [
        (begin, "wait_begin", "contention_begin"),
        (end, "wait_end", "contention_end"),
    ] {
        let attachment = on_tracepoint(object, code, name, tracepoint);
        object.attachments.push(attachment);
    }
}

/// The maps by which the parts of a program go on in each other: [`PartMaps`].
fn maps_of_parts(parts: usize, context: Context) -> [MapSpec; PartMaps::COUNT as usize] {
    let (kind, entries) = match context {
        Context::PerfData => (MapKind::PerCpuArray, 1),
        Context::Registers
        | Context::TracepointArguments
        | Context::EventRecord
        | Context::FunctionArguments(..)
        | Context::KernelRegisters
        | Context::Nothing => (MapKind::TaskStorage, 0),
    };
    [
        MapSpec::new("parts", MapKind::Programs, 4, 4, count(parts) + 1),
        MapSpec::new("saved", kind, 4, PartMaps::SAVED, entries),
    ]
}

/// What the programs of one call of [`Compiler::lower`] need of the heap.
#[derive(Debug, Default)]
struct Heap {
    /// The most bytes in a firing of a thread's, and the clause that needs them.
    threads: u32,
    heaviest: Span,
    /// The same for timers, if there are any.
    timers: Option<u32>,
    heaviest_timer: Span,
}

impl Heap {
    fn add(&mut self, made: &Made) {
        if made.context == Context::PerfData {
            if self.timers.is_none_or(|most| made.heap_max > most) {
                (self.timers, self.heaviest_timer) = (Some(made.heap_max), made.heaviest);
            }
        } else if made.heap_max >= self.threads {
            (self.threads, self.heaviest) = (made.heap_max, made.heaviest);
        }
    }
}

/// Adds a program for one of the kernel's tracepoints; its attachment is still to be added.
fn on_tracepoint(
    object: &mut Object,
    code: Code,
    name: &str,
    tracepoint: &'static str,
) -> Attachment {
    let program = ProgramId(count(object.programs.len()));
    object
        .programs
        .push(encode(&code, name.into(), Context::TracepointArguments));
    object.codes.push(code);
    Attachment {
        program,
        target: Target::Tracepoint(tracepoint.into()),
    }
}

/// Whether any clause of a program reads a built-in variable.
#[must_use]
pub fn uses(program: &Program, builtin: Builtin) -> bool {
    program_has(program, &|expr| expr.kind == ExprKind::Builtin(builtin))
}

/// Whether any clause of a program asks for the ancestors of a process.
#[must_use]
pub fn uses_ancestors(program: &Program) -> bool {
    program_has(program, &|expr| {
        matches!(
            expr.kind,
            ExprKind::Builtin(Builtin::Ppid) | ExprKind::Call(Subroutine::Progenyof, _)
        )
    })
}

/// Whether a program shows addresses of processes by their names.
#[must_use]
pub fn shows_processes(program: &Program) -> bool {
    let prints = |format: &Format| {
        format.pieces.iter().any(|piece| {
            matches!(piece, Piece::Conversion(conversion) if conversion.spec == Spec::UserAddress)
        })
    };
    let mut found = walks_processes(program)
        || finds_python(program)
        || program_has(program, &|expr| has_process(&expr.ty));
    for clause in &program.clauses {
        each_statement(&clause.body, &mut |stmt| {
            if let StmtKind::Action(Action::Printf(format, _) | Action::Printa(Some(format), _)) =
                &stmt.kind
            {
                found |= prints(format);
            }
        });
    }
    found
}

fn encode(code: &Code, name: String, context: Context) -> object::Program {
    object::Program {
        name,
        context,
        called: None,
        insns: code.insns.iter().map(|insn| insn.encode()).collect(),
        functions: code.functions.clone(),
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
