//! One program: all clauses on all probes that share it.
//!
//! All clauses of a probe run in one program, so that they share what they fetch; all probes in
//! one file and scope share one program too, so that the kernel attaches and detaches them with
//! one link. Which site was hit is told by the instruction pointer, or the attach cookie.
//!
//! ```text
//!   entry      save the context; goto prologue
//!   probe A    clause 1; clause 2; ...; leave
//!   probe B    ...
//!   faults     for each clause, what its stubs lead to: report, run ERROR's clauses, go on behind it
//!   give up    count and leave
//!   prologue   zero what is tested before it is set; leave if exit() ran;
//!              by site: load its arguments, goto its probe
//! ```
//!
//! The prologue comes last since only then it is known what has to be zeroed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::{Action, AggId, Clause, Expr, ExprKind, StmtKind};
use predicates::asm::{Code, Label};
use predicates::emit::{Emit, Emitted, Faults, Refusal, Rodata};
use predicates::insn::{Cond, Reg, Size};
use predicates::shared::{Names, Shared};
use predicates::storage::own_globals;
use predicates::tuple::direct_string;
use provider::object::{Context, Target};
use provider::probe::Probe;

use crate::clause::{ClauseContext, FaultSlots, emit_clause, emit_fault_record};
use crate::compiler::{Compiler, Enabled, RING, program_name};
use crate::flow::flow_name;
use crate::pieces::{Piece, pieces};
use crate::plan::{each_clause_expr, each_expr, each_statement};
use crate::record::{Ecb, Epid, RecordLayout};
use crate::trampoline::{self, Firing, SharedFiring, Source};

/// One program while it is made.
pub(crate) struct Unit<'c> {
    pub(crate) compiler: &'c Compiler,
    pub(crate) error_epids: &'c [u32],
    /// The clauses on this program's probes, in program order.
    pub(crate) members: &'c [Enabled],
    /// What runs it: probes for which that is the same share a program.
    pub(crate) source: Source,
}

/// A program that was made.
pub(crate) struct Made {
    pub(crate) code: Code,
    pub(crate) name: String,
    pub(crate) context: Context,
    /// What runs it.
    pub(crate) targets: Vec<Target>,
    pub(crate) ecbs: Vec<Ecb>,
    pub(crate) heap_max: u32,
    /// The clause at which a firing needs the most heap.
    pub(crate) heaviest: Span,
}

/// A clause whose faults are still to be handled.
struct Faulting {
    faults: Faults,
    /// Where all of them lead.
    handler: Label,
    epid: u32,
    /// The probes that share the clause, if there are several.
    shared: Option<Shared>,
    end: Label,
}

impl Unit<'_> {
    /// Makes the program. What is refused is so with the place of a clause of this program's, if of
    /// nothing smaller.
    pub(crate) fn compile(&self, rodata: &mut Rodata, first_epid: u32) -> Emitted<Made> {
        self.emit(rodata, first_epid).map_err(|mut refusal| {
            if refusal.span == Span::default() {
                refusal.span = self.compiler.program.clauses[self.members[0].clause].span;
            }
            refusal
        })
    }

    fn emit(&self, rodata: &mut Rodata, first_epid: u32) -> Emitted<Made> {
        let compiler = self.compiler;
        let pieces = pieces(self.members);
        let timer = self.source.interrupts();
        let machine = trampoline::machine(pieces[0].first(), timer);
        let mut emit = Emit::new(&compiler.storage, rodata, machine);
        for enabled in self.members.iter().chain(&compiler.error_clauses) {
            let program = &compiler.program;
            each_clause_expr(&program.clauses[enabled.clause], &mut |expr| {
                emit.clear_locals(program, std::iter::once(expr));
            });
        }
        let (prologue, leave) = (emit.asm.label(), emit.asm.label());
        emit.asm
            .store(Size::Double, Reg::FP, Emit::CONTEXT, Reg::R1);
        emit.asm.jump(prologue);
        let mut ecbs = Vec::new();
        let mut faulting = Vec::new();
        let mut entries = Vec::new();
        let mut heaviest = compiler.program.clauses[self.members[0].clause].span;
        let mut slots = [None; 10];
        let mut used = Vec::new();
        let mut probes = Vec::new();
        let mut shared = Vec::new();
        for piece in &pieces {
            let probe = piece.first();
            let used_here = self.used_arguments(piece);
            let mut machine = trampoline::machine(probe, timer);
            if piece.is_shared() {
                machine.shared = Some(self.number(&mut emit, piece)?);
            }
            emit.start_probe(machine);
            trampoline::place_arguments(&mut emit, probe, &used_here, &mut slots, compiler.python)?;
            self.share(&mut emit, piece);
            let entry = emit.asm.label();
            emit.asm.bind(entry);
            match &emit.machine.shared {
                Some(Shared { slot, .. }) => shared.push(SharedFiring {
                    probes: &piece.probes,
                    entry,
                    slot: *slot,
                }),
                None => {
                    probes.push(Arc::clone(probe));
                    entries.push(entry);
                    used.push(used_here);
                }
            }
            let mut layouts = Vec::new();
            for (index, &clause) in piece.clauses.iter().enumerate() {
                let epid = first_epid + count(ecbs.len() + index);
                emit.empty_heap_if_full(compiler.program.clauses[clause].span)?;
                let heap = emit.heap_max();
                layouts.push(self.clause(&mut emit, (clause, probe), epid, &mut faulting)?);
                if emit.heap_max() > heap {
                    heaviest = compiler.program.clauses[clause].span;
                }
                check_length(&emit, compiler.program.clauses[clause].span)?;
                if exits(&compiler.program.clauses[clause]) && self.source != Source::End {
                    leave_if_exited(&mut emit, leave);
                }
            }
            emit.asm.jump(leave);
            for layout in &mut layouts {
                layout.adds = self.added_to(piece);
            }
            for probe in &piece.probes {
                for (&clause, layout) in piece.clauses.iter().zip(&layouts) {
                    let epid = first_epid + count(ecbs.len());
                    ecbs.push(ecb(epid, probe, clause, layout.clone()));
                }
            }
        }
        self.handle_faults(&mut emit, faulting, leave)?;
        emit.finish_give_up()?;
        emit.asm.bind(leave);
        emit.leave();
        emit.asm.bind(prologue);
        emit.asm.note("prologue");
        trampoline::emit_filter(&mut emit, pieces[0].first(), compiler.followed, leave)?;
        emit.zero_slots();
        if compiler.program.clauses.iter().any(exits) && self.source != Source::End {
            leave_if_exited(&mut emit, leave);
        }
        let firing = Firing {
            probes: &probes,
            entries: &entries,
            used: &used,
            shared: &shared,
            slots: &slots,
            leave,
        };
        let targets = trampoline::emit_dispatch(&mut emit, &self.source, &firing, compiler.python)?;
        let heap_max = emit.heap_max();
        let code = emit.finish().map_err(|error| Refusal {
            span: compiler.program.clauses[self.members[0].clause].span,
            message: error.to_string(),
        })?;
        let name = format!("d_{}", pieces[0].first().desc.name);
        Ok(Made {
            code,
            name: program_name(&name),
            context: self.source.context(),
            targets,
            ecbs,
            heap_max,
            heaviest,
        })
    }

    /// Gives the probes that share code their numbers.
    fn number(&self, emit: &mut Emit<'_>, piece: &Piece) -> Emitted<Shared> {
        let names = piece.probes.iter().map(|probe| Names {
            id: probe.id.0,
            module: probe.desc.module.clone(),
            function: probe.desc.function.clone(),
            name: probe.desc.name.clone(),
        });
        Ok(Shared {
            slot: emit.buffer(8, self.compiler.program.clauses[piece.clauses[0]].span)?,
            clauses: count(piece.clauses.len()),
            probes: names.collect(),
        })
    }

    fn clauses_of<'u>(&'u self, piece: &'u Piece) -> impl Iterator<Item = &'u Clause> {
        let clauses = piece.clauses.iter();
        clauses.map(|&clause| &self.compiler.program.clauses[clause])
    }

    /// The aggregations that the clauses of a piece add to.
    fn added_to(&self, piece: &Piece) -> Vec<AggId> {
        let mut added = Vec::new();
        for clause in self.clauses_of(piece) {
            each_statement(&clause.body, &mut |stmt| {
                if let StmtKind::Aggregate { agg, .. } = stmt.kind {
                    added.push(agg);
                }
            });
        }
        added.sort_unstable();
        added.dedup();
        added
    }

    /// Which of `arg0` to `arg9` the clauses of a piece use.
    fn used_arguments(&self, piece: &Piece) -> BTreeSet<u8> {
        fn find(expr: &Expr, used: &mut BTreeSet<u8>) {
            if let ExprKind::Arg(n) | ExprKind::TypedArg(n) = expr.kind {
                used.insert(n);
            }
            for operand in expr.operands() {
                find(operand, used);
            }
        }
        let mut used = BTreeSet::new();
        for clause in self.clauses_of(piece) {
            each_clause_expr(clause, &mut |expr| find(expr, &mut used));
        }
        if self.compiler.options.extras.flow
            && let Some(expr) = flow_name(piece.first())
        {
            find(&expr, &mut used);
        }
        used
    }

    /// Tells the emitter which user strings are needed whole. A string that is only a key is
    /// not: it is read straight into the key.
    fn share(&self, emit: &mut Emit<'_>, piece: &Piece) {
        let mut exprs = Vec::new();
        for clause in self.clauses_of(piece) {
            exprs.extend(&clause.predicate);
            each_statement(&clause.body, &mut |stmt| {
                if let StmtKind::Aggregate {
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
        (number, probe): (usize, &Probe),
        epid: u32,
        faulting: &mut Vec<Faulting>,
    ) -> Emitted<RecordLayout> {
        let clause = &self.compiler.program.clauses[number];
        emit.machine.epid = epid;
        let plan = self.compiler.plan(clause, probe, &emit.machine);
        let mut heading = String::new();
        let _ = write!(heading, "clause {number} on {}, epid {epid}", probe.desc);
        emit.asm.note(heading);
        let (end, handler) = (emit.asm.label(), emit.asm.label());
        let start = emit.asm.here();
        let known = emit.known();
        let context = self.context(epid, handler);
        emit_clause(emit, &context, clause, &plan, end)?;
        emit.asm.bind(end);
        emit.forget(&known);
        debug_assert!(emit.stack.idle(), "a clause gives its registers back");
        let faults = emit.take_faults();
        if !faults.is_empty() || emit.asm.leads_to(handler, start) {
            faulting.push(Faulting {
                faults,
                handler,
                epid,
                shared: emit.machine.shared.clone(),
                end,
            });
        }
        Ok(plan.layout)
    }

    fn context(&self, epid: u32, fault: Label) -> ClauseContext<'_> {
        ClauseContext {
            ring: RING,
            aggregations: &self.compiler.aggregations,
            epid,
            fault,
        }
    }

    /// Emits what the faults lead to: for each clause a copy of its own. If all went through one, the
    /// verifier would take the program for one great loop, from a fault to the end of its clause, the
    /// next clause and its faults, and could not see that the turns of a loop in it are alike.
    fn handle_faults(
        &self,
        emit: &mut Emit<'_>,
        faulting: Vec<Faulting>,
        leave: Label,
    ) -> Emitted<()> {
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
        };
        let program = &self.compiler.program;
        let mut errors = self.compiler.error_clauses.iter();
        let may_exit = errors.any(|error| exits(&program.clauses[error.clause]));
        emit.start_errors();
        for clause in faulting {
            emit.emit_faults(clause.faults, clause.handler);
            emit.asm.bind(clause.handler);
            emit.asm.note("fault");
            match &clause.shared {
                Some(shared) => shared.load_epid(emit, Reg::R4, clause.epid),
                None => emit.asm.mov_imm(Reg::R4, i64::from(clause.epid)),
            }
            // From here on all faults of the clause are alike.
            for reg in [Reg::R1, Reg::R2, Reg::R3, Reg::R4] {
                emit.make_unknown(reg, Reg::R0, span)?;
            }
            emit_fault_record(emit, RING, &slots)?;
            self.error_clauses(emit, &slots)?;
            if may_exit && self.source != Source::End {
                leave_if_exited(emit, leave);
            }
            emit.asm.jump(clause.end);
        }
        Ok(())
    }

    /// Emits the clauses of ERROR; what faults in them is only counted.
    fn error_clauses(&self, emit: &mut Emit<'_>, slots: &FaultSlots) -> Emitted<()> {
        let compiler = self.compiler;
        if compiler.error_clauses.is_empty() {
            return Ok(());
        }
        let outer = emit.machine.clone();
        let heap = emit.save_heap(Span::default())?;
        for (enabled, &epid) in compiler.error_clauses.iter().zip(self.error_epids) {
            let clause = &compiler.program.clauses[enabled.clause];
            let mut machine = trampoline::error_machine(&enabled.probe, Some(slots));
            machine.epid = epid;
            machine.timer = outer.timer;
            let plan = compiler.plan(clause, &enabled.probe, &machine);
            emit.enter_error(machine);
            let (end, handler) = (emit.asm.label(), emit.asm.label());
            let start = emit.asm.here();
            let context = self.context(epid, handler);
            emit_clause(emit, &context, clause, &plan, end)?;
            let faults = emit.take_faults();
            if !faults.is_empty() || emit.asm.leads_to(handler, start) {
                emit.asm.jump(end);
                emit.emit_faults(faults, handler);
                emit.asm.bind(handler);
                emit.count(predicates::storage::Counter::ErrorFaults, Span::default())?;
            }
            emit.asm.bind(end);
        }
        emit.machine = outer;
        emit.restore_heap(heap, Span::default())?;
        emit.end_error();
        Ok(())
    }
}

/// The most instructions of a program. The kernel's time to load one grows with the square of them:
/// so many take it half a minute.
const LONGEST: usize = 100_000;

fn check_length(emit: &Emit<'_>, span: Span) -> Emitted<()> {
    let length = emit.asm.here();
    if length <= LONGEST {
        return Ok(());
    }
    Err(Refusal {
        span,
        message: format!(
            "with this clause the program for its probe has {length} instructions, and {LONGEST} is \
             the most: the kernel would take minutes to load it; enable fewer or smaller clauses"
        ),
    })
}

/// Whether a clause may end the run.
pub(crate) fn exits(clause: &Clause) -> bool {
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

pub(crate) fn ecb(epid: u32, probe: &Arc<Probe>, clause: usize, layout: RecordLayout) -> Ecb {
    Ecb {
        epid: Epid(epid),
        probe: Arc::clone(probe),
        clause,
        layout,
    }
}

/// How many ECBs; there are far fewer than an EPID can number.
fn count(ecbs: usize) -> u32 {
    u32::try_from(ecbs).expect("ECBs are fewer than 4 billion")
}
