//! What lowering keeps from call to call: the program, the layout of its variables, and numbers.

use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::{
    Action, AggFunc, AggId, Builtin, Clause, Expr, ExprKind, Program, StmtKind, Subroutine,
};
use dlang::types::Type;
use dlang::walk::{each_part, program_has};
use predicates::asm::{MapRef, OpenLoops};
use predicates::emit::MachineState;
use predicates::python::{Python, PythonName};
use predicates::python_layout::PythonMaps;
use predicates::scratch::allocates;
use predicates::storage::{CommonMaps, ScratchPlace, Sizes, Storage, TupleMaps};
use predicates::unwind::UnwindMaps;
use provider::object::{MapId, MapSpec};
use provider::probe::Probe;

use crate::contention;
use crate::exit::exits;
use crate::flow::{flow_name, flow_of};
use crate::follow::followed_map;
use crate::frames::{
    self, PYTHON_MAPS, TABLE_WORDS, names_tasks, python_maps, stacks_map, unwind_maps,
};
use crate::maps::{COUNTERS_MAP, FIRST_OWN, GLOBALS, RING, SCRATCH, SWITCHES, THREAD};
use crate::options::{Enabled, LowerOptions};
use crate::plan::{each_clause_expr, each_statement, most_fixed, plan_record};
use crate::record::{AggregationLayout, EpochPlace, KeySelector};
use crate::tables;
use crate::trampoline::KindMaps;

/// The most bytes that a record's fixed part takes.
fn record_size(program: &Program) -> u32 {
    let clauses = program.clauses.iter();
    clauses.map(|c| most_fixed(&c.body)).max().unwrap_or(0) + 64
}

/// The largest `strsize` with which a thread's state has room for its scratch, too, whatever a program does in a
/// firing.
const MOST_IN_STATE: u32 = 4096;

/// Loops over strings that the verifier is to follow turn by turn in one program: some thousand
/// instructions each.
const CLOSED_LOOPS: u32 = 2;

/// Whether a program may have loops that the verifier should not follow turn by turn: it goes through many strings, or
/// long ones.
#[must_use]
pub fn wants_open_loops(program: &Program, strsize: u32) -> bool {
    fn loops(expr: &Expr) -> u32 {
        if reads_object(expr) {
            return CLOSED_LOOPS + 1;
        }
        let own = matches!(
            expr.kind,
            ExprKind::Call(..) | ExprKind::Binary(..) | ExprKind::Logic(..)
        ) && expr
            .operands()
            .iter()
            .any(|operand| operand.ty == Type::String);
        // `dirname` has three; that of `cleanpath` branches so much that no kernel should follow its turns
        // that need not.
        let cleans = matches!(expr.kind, ExprKind::Call(Subroutine::Cleanpath, _));
        let own = match (own, cleans) {
            (true, true) => CLOSED_LOOPS + 1,
            (true, false) => 3,
            (false, _) => 0,
        };
        let inner = expr.operands().into_iter().map(loops);
        inner.sum::<u32>() + own
    }
    let mut all = 0;
    for clause in &program.clauses {
        let probes = u32::try_from(clause.probes.len()).unwrap_or(u32::MAX);
        each_clause_expr(clause, &mut |expr| {
            all += loops(expr).saturating_mul(probes);
        });
    }
    all > CLOSED_LOOPS || all > 0 && strsize > 1024
}

/// Whether a program asks for the values of Python's objects, or for tasks, which takes the same facts.
#[must_use]
pub fn reads_objects(program: &Program) -> bool {
    program.has_task_variables() || program_has(program, &reads_object)
}

/// Whether the outermost operation of an expression reads a Python object.
pub(crate) fn reads_object(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Call(
            Subroutine::Pyarg
                | Subroutine::Pylocal
                | Subroutine::Pyattr
                | Subroutine::Pyself
                | Subroutine::Pyaudit
                | Subroutine::Pyfloat
                | Subroutine::Pyint
                | Subroutine::Pylen
                | Subroutine::Pyrepr
                | Subroutine::Pystr
                | Subroutine::Pytype,
            _
        ) | ExprKind::Builtin(
            Builtin::Pyexception
                | Builtin::Pytraceback
                | Builtin::Pyreturn
                | Builtin::Pythread
                | Builtin::Pytask
        )
    )
}

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
    /// The maps of trampolines.
    pub(crate) kind_maps: KindMaps,
    /// The processes that are followed, if any are.
    pub(crate) followed: Option<MapRef>,
}

impl Compiler {
    /// Lays out variables and aggregations.
    pub fn new(program: Arc<Program>, options: LowerOptions) -> Self {
        let tables = tables::plan(&program, &options, FIRST_OWN);
        let mut own_maps = tables.specs;
        let mut next_map = FIRST_OWN + u32::try_from(own_maps.len()).expect("there are few maps");
        let strsize = options.strsize;
        let record = record_size(&program);
        let mut asks = false;
        for clause in &program.clauses {
            each_clause_expr(clause, &mut |expr| asks = asks || allocates(expr));
        }
        let common = CommonMaps {
            globals: GLOBALS,
            thread: THREAD,
            scratch: SCRATCH,
            rodata: MapRef(0),
            counters: COUNTERS_MAP,
            switches: SWITCHES,
        };
        let frames = frames::limits(&program, options.frames).map(|limits| {
            let has_places = options.frames.in_interrupts || frames::finds_python(&program);
            own_maps.push(stacks_map(limits, has_places));
            next_map += 1;
            (MapRef(next_map - 1), limits)
        });
        let unwind = frames::walks_processes(&program).then(|| {
            own_maps.extend(unwind_maps());
            next_map += 2;
            UnwindMaps {
                tables: MapRef(next_map - 2),
                words: TABLE_WORDS,
                processes: MapRef(next_map - 1),
            }
        });
        let mixed = frames::can_mix(&program, &options);
        let python = (mixed || frames::finds_python(&program)).then(|| {
            own_maps.extend(python_maps(&program, options.frames.in_interrupts));
            let first = next_map;
            next_map += PYTHON_MAPS;
            PythonMaps {
                processes: MapRef(first),
                codes: MapRef(first + 1),
                texts: MapRef(first + 2),
                tables: MapRef(first + 3),
                threads: MapRef(first + 4),
            }
        });
        let sizes = Sizes {
            scratch: if strsize > MOST_IN_STATE && !options.nests {
                ScratchPlace::Claimed
            } else {
                ScratchPlace::InState
            },
            objects: reads_objects(&program),
            frames,
            unwind,
            python,
            mixed,
            speculations: speculations(&program, options.speculations),
            strsize,
            record,
            key: tables.largest_key,
            open_loops: options.open_loops,
            closed_loops: match options.open_loops {
                Some(OpenLoops::MayGoto) | None => CLOSED_LOOPS,
                // An open loop is a call for each character.
                Some(OpenLoops::Calls) => u32::MAX,
            },
            copied: if asks { options.scratchsize } else { 0 },
            nests: options.nests,
            task: options.task,
        };
        let mut arrays = tables.arrays;
        let mut storage = Storage::plan(&program, common, sizes, |var| {
            let maps = arrays.get_mut(var.0 as usize).and_then(Option::take);
            maps.expect("each array has maps")
        });
        storage.python_names = frames::python_names(&program);
        storage.in_locks = options.in_locks;
        storage.contentions = contention::is_needed(&program).then(|| {
            own_maps.push(contention::contentions_map());
            next_map += 1;
            MapRef(next_map - 1)
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
            aggregations: tables.aggregations,
            own_maps,
            next_map,
            next_epid: 1,
            state_size: None,
            error_clauses: Vec::new(),
            kind_maps: KindMaps::default(),
            followed,
        }
    }

    /// Goes on with the same program checked with the arguments of more probes: there may be other
    /// clauses, but no others of the text. Refused if variables or aggregations differ, whose places
    /// are given, or if a clause's record has grown.
    #[must_use]
    pub fn adopt(&mut self, program: Arc<Program>) -> bool {
        let old = &self.program;
        let fits = old.variables == program.variables
            && old.aggregations == program.aggregations
            && record_size(&program) <= record_size(old);
        if !fits {
            return false;
        }
        for error in &mut self.error_clauses {
            let clause = &old.clauses[error.clause];
            let args = |n| error.probe.arg_type(n);
            let specs = &mut clause.probes.iter();
            let Some(now) = specs.find_map(|spec| {
                program.clause_for(clause.number, spec, (&args, error.probe.dependent))
            }) else {
                return false;
            };
            error.clause = now;
        }
        self.program = program;
        true
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
                name: agg.name.clone(),
                func: *func,
                key: agg.key.clone(),
                maps: maps.classes.iter().map(|&(_, map)| MapId(map.0)).collect(),
                stride: maps.value / 8,
                selector: maps.selector.map(|selector| KeySelector {
                    base: selector.base,
                    epoch: selector.epoch.map(|epoch| EpochPlace {
                        map: MapId(epoch.map.0),
                        offset: epoch.offset,
                    }),
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

    /// The map with all stacks, if the program has any.
    #[must_use]
    pub fn stacks(&self) -> Option<MapId> {
        self.storage.frames.map(|frames| MapId(frames.map.0))
    }

    /// The maps with the tables for walking stacks and of the processes that have some, if the
    /// program asks for the stacks of processes.
    #[must_use]
    pub fn unwind(&self) -> Option<[MapId; 2]> {
        let maps = self.storage.frames?.unwind?;
        Some([MapId(maps.tables.0), MapId(maps.processes.0)])
    }

    /// The map of processes that run a Python, if the program asks for Python's frames.
    #[must_use]
    pub fn python_processes(&self) -> Option<MapId> {
        Some(MapId(self.storage.python?.maps.processes.0))
    }

    /// The maps of the texts of code objects, and of their line tables.
    #[must_use]
    pub fn python_codes(&self) -> Option<[MapId; 2]> {
        let maps = self.storage.python?.maps;
        Some([MapId(maps.texts.0), MapId(maps.tables.0)])
    }

    /// The variables of Python's functions of which it is noted whether any function has them: bytes from
    /// `own_globals::NAMES_SOUGHT` and `NAMES_FOUND` on, in this order.
    #[must_use]
    pub fn python_names(&self) -> &[PythonName] {
        &self.storage.python_names
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
        let maps = self.kind_maps.active_frames()?;
        Some(maps.map(|map| MapId(map.0)))
    }

    /// The map of followed processes and their roots, if processes are followed. Its keys and
    /// values are process ids of 32 bits; to be given the targets, each as its own root.
    #[must_use]
    pub fn followed(&self) -> Option<MapId> {
        self.followed.map(|map| MapId(map.0))
    }

    /// Whether a clause names any argument of its probes.
    pub(crate) fn uses_arguments(&self, clause: usize) -> bool {
        let mut found = false;
        each_clause_expr(&self.program.clauses[clause], &mut |expr| {
            each_part(expr, &mut |part| {
                found |= matches!(part.kind, ExprKind::Arg(_) | ExprKind::TypedArg(_));
            });
        });
        found
    }

    /// What says in which task a record was made, where the output has a track for each and the program asks for tasks
    /// anyway.
    fn task_name(&self, machine: &MachineState) -> Option<Expr> {
        let has_names = |python: &Python| python.layout.is_ok() && python.task.is_ok();
        let wanted = self.options.extras.tasks
            && machine.python.as_ref().is_none_or(has_names)
            && names_tasks(&self.program);
        wanted.then(|| Expr {
            kind: ExprKind::Builtin(Builtin::Pytask),
            ty: Type::String,
            span: Span::default(),
        })
    }

    pub(crate) fn plan(
        &self,
        clause: &Clause,
        probe: &Probe,
        machine: &MachineState,
    ) -> crate::plan::RecordPlan {
        let constant = |builtin: Builtin| machine.of_ecb(builtin).is_some();
        let texts = (flow_name(probe), self.task_name(machine));
        let mut plan = plan_record(&clause.body, texts, self.options.extras, &constant);
        plan.layout.flow = flow_of(probe);
        plan
    }
}

/// How many speculations there may be: none, if the program has nothing to do with them.
fn speculations(program: &Program, most: u32) -> u32 {
    let mut found = program_has(program, &|expr| {
        matches!(expr.kind, ExprKind::Call(Subroutine::Speculation, _))
    });
    for clause in &program.clauses {
        each_statement(&clause.body, &mut |stmt| {
            found |= matches!(
                stmt.kind,
                StmtKind::Action(Action::Speculate(_) | Action::Commit(_) | Action::Discard(_))
            );
        });
    }
    if found { most.max(1) } else { 0 }
}
