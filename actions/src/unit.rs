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
//! A program that gets long is cut into [parts](crate::parts).
//!
//! The prologue comes last since only then it is known what has to be zeroed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::{AggId, Builtin, Clause, Expr, ExprKind, StmtKind, Subroutine};
use dlang::walk::each_part;
use predicates::asm::{Code, Unfinished};
use predicates::emit::{Emit, Emitted, Refusal, Rodata};
use predicates::shared::{Names, Shared};
use predicates::tuple::direct_string;
use provider::object::{Context, Target};
use provider::probe::{Probe, ProbeKind};

use crate::clause::{Ways, emit_clause};
use crate::exit::{exits, leave_if_exited};
use crate::flow::flow_name;
use crate::maps::program_name;
use crate::one_cpu::leave_on_others;
use crate::parts::{Lengths, MOST_CALLS, Parts};
use crate::pieces::{Piece, pieces};
use crate::plan::{each_clause_expr, each_expr, each_statement};
use crate::program::{Unit, count};
use crate::record::{Ecb, Epid, RecordLayout};
use crate::trampoline::{
    self, AUDIT_TUPLE, CAUGHT, FRAME, Firing, RESUMED, RETURNED, SharedFiring, Source,
};

/// A program that was made.
pub(crate) struct Made {
    pub(crate) code: Code,
    /// The other parts of it, if it is a long one, and the most of their calls in a firing.
    pub(crate) parts: Vec<Code>,
    calls: u32,
    /// The instructions of the longest copy of ERROR's clauses in it.
    error_length: usize,
    pub(crate) name: String,
    pub(crate) context: Context,
    /// What runs it.
    pub(crate) targets: Vec<Target>,
    pub(crate) ecbs: Vec<Ecb>,
    pub(crate) heap_max: u32,
    /// The clause at which a firing needs the most heap.
    pub(crate) heaviest: Span,
}

impl Made {
    /// The instructions of its longest part.
    fn longest(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.insns.len());
        parts.fold(self.code.insns.len(), usize::max)
    }
}

impl Unit<'_> {
    /// Makes the program. What is refused is so with the place of a clause of this program's, if of
    /// nothing smaller.
    pub(crate) fn compile(&self, rodata: &mut Rodata, first_epid: u32) -> Emitted<Made> {
        let mut lengths = Lengths {
            part: self.compiler.options.part_length,
            error: 0,
        };
        loop {
            let made = self.emit(rodata, first_epid, lengths);
            match made {
                Ok(made) if made.calls > MOST_CALLS => lengths.part *= 2,
                // It was cut too late: how long ERROR's clauses are is known now.
                Ok(made)
                    if made.longest() > lengths.part && made.error_length > 2 * lengths.error =>
                {
                    lengths.error = made.error_length;
                }
                Ok(made) => return Ok(made),
                Err(mut refusal) => {
                    if refusal.span == Span::default() {
                        let first = self.members[0].clause;
                        refusal.span = self.compiler.program.clauses[first].span;
                    }
                    return Err(refusal);
                }
            }
        }
    }

    fn emit(&self, rodata: &mut Rodata, first_epid: u32, lengths: Lengths) -> Emitted<Made> {
        let compiler = self.compiler;
        let pieces = pieces(self.members, &|clause| compiler.uses_arguments(clause));
        let timer = self.source.interrupts();
        let machine = trampoline::machine(pieces[0].first(), timer);
        let mut emit = Emit::new(&compiler.storage, rodata, machine);
        for enabled in self.members.iter().chain(&compiler.error_clauses) {
            let program = &compiler.program;
            each_clause_expr(&program.clauses[enabled.clause], &mut |expr| {
                emit.clear_locals(program, std::iter::once(expr));
            });
        }
        let mut parts = Parts::start(self, &mut emit, lengths);
        let mut ecbs = Vec::new();
        let mut starts = Vec::new();
        let mut heaviest = compiler.program.clauses[self.members[0].clause].span;
        let mut slots = [None; 10];
        let mut used = Vec::new();
        let mut probes = Vec::new();
        let mut shared_starts = Vec::new();
        for piece in &pieces {
            let probe = piece.first();
            let used_here = self.used_arguments(piece);
            let mut machine = trampoline::machine(probe, timer);
            if piece.is_shared() {
                machine.shared = Some(self.number(&mut emit, piece)?);
            }
            emit.start_probe(machine);
            trampoline::place_arguments(
                &mut emit,
                probe,
                &used_here,
                &mut slots,
                compiler.kind_maps,
            )?;
            self.share(&mut emit, piece);
            let start = parts.start_probe(&mut emit)?;
            if let Some(cpu) = compiler
                .options
                .cpu
                .filter(|_| !self.source.keeps_its_cpu())
            {
                leave_on_others(&mut emit, cpu, parts.leave());
            }
            match &emit.machine.shared {
                Some(Shared { slot, .. }) => shared_starts.push((piece, start, *slot)),
                None => {
                    probes.push(Arc::clone(probe));
                    starts.push(start);
                    used.push(used_here);
                }
            }
            let mut layouts = Vec::new();
            for (index, &clause) in piece.clauses.iter().enumerate() {
                let epid = first_epid + count(ecbs.len() + index);
                if index > 0 {
                    parts.between_clauses(&mut emit)?;
                }
                emit.empty_heap_if_full(compiler.program.clauses[clause].span)?;
                let heap = emit.heap_max();
                layouts.push(self.clause(&mut emit, (clause, probe), epid, &mut parts)?);
                if emit.heap_max() > heap {
                    heaviest = compiler.program.clauses[clause].span;
                }
                check_length(&emit, compiler.program.clauses[clause].span)?;
                if exits(&compiler.program.clauses[clause]) && self.source != Source::End {
                    leave_if_exited(&mut emit, parts.leave());
                }
            }
            emit.asm.jump(parts.leave());
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
        parts.back(&mut emit)?;
        let mut entries = Vec::new();
        for start in starts {
            entries.push(parts.entry(&mut emit, start)?);
        }
        let mut shared = Vec::new();
        for (piece, start, slot) in shared_starts {
            let entry = parts.entry(&mut emit, start)?;
            shared.push(SharedFiring {
                probes: &piece.probes,
                entry,
                slot,
            });
        }
        let leave = parts.leave();
        let prologue = parts.leave_main(&mut emit)?;
        emit.asm.bind(prologue);
        emit.asm.note("prologue");
        let gives_back = compiler.storage.nests || compiler.storage.claims;
        if gives_back {
            emit.zero_slots(); // whoever leaves looks whether scratch was found
        }
        trampoline::emit_filter(&mut emit, pieces[0].first(), compiler.followed, leave)?;
        if !gives_back {
            emit.zero_slots();
        }
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
        let targets =
            trampoline::emit_dispatch(&mut emit, &self.source, &firing, compiler.kind_maps)?;
        let heap_max = emit.heap_max();
        let too_far = |error: Unfinished| Refusal {
            span: compiler.program.clauses[self.members[0].clause].span,
            message: error.to_string(),
        };
        let (calls, error_length) = (parts.most_calls(), parts.error_length());
        let parts = parts.finish(&mut emit).map_err(too_far)?;
        let code = emit.finish().map_err(too_far)?;
        let name = format!("d_{}", pieces[0].first().desc.name);
        Ok(Made {
            code,
            parts,
            calls,
            error_length,
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
        let error = trampoline::error_argument(piece.first());
        let find = |expr: &Expr, used: &mut BTreeSet<u8>| {
            each_part(expr, &mut |part| {
                if let ExprKind::Arg(n) | ExprKind::TypedArg(n) = part.kind {
                    used.insert(n);
                }
                if let ExprKind::Call(Subroutine::Pyaudit, _) = part.kind {
                    used.insert(AUDIT_TUPLE);
                }
                let of_frame = matches!(
                    part.kind,
                    ExprKind::Call(
                        Subroutine::Pyarg | Subroutine::Pylocal | Subroutine::Pyself,
                        _
                    )
                );
                if of_frame && matches!(piece.first().kind, ProbeKind::Python(_)) {
                    used.insert(FRAME);
                }
                if part.kind == ExprKind::Builtin(Builtin::Pyreturn)
                    && matches!(piece.first().kind, ProbeKind::Python(_))
                {
                    used.insert(RETURNED);
                }
                if part.kind == ExprKind::Builtin(Builtin::Pyresumed)
                    && matches!(piece.first().kind, ProbeKind::Python(_))
                {
                    used.insert(RESUMED);
                }
                let of_caught = matches!(
                    part.kind,
                    ExprKind::Builtin(
                        Builtin::Pyexception | Builtin::Pytraceback | Builtin::Pyline
                    )
                );
                if of_caught && trampoline::caught(piece.first()).is_some() {
                    used.insert(CAUGHT);
                }
                if part.kind == ExprKind::Builtin(Builtin::Errno) {
                    used.extend(error);
                }
            });
        };
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
        parts: &mut Parts<'_>,
    ) -> Emitted<RecordLayout> {
        let clause = &self.compiler.program.clauses[number];
        emit.machine.epid = epid;
        let plan = self.compiler.plan(clause, probe, &emit.machine);
        let mut heading = String::new();
        let _ = write!(heading, "clause {number} on {}, epid {epid}", probe.desc);
        emit.asm.note(heading);
        let mut ways = Ways {
            end: emit.asm.label(),
            fault: emit.asm.label(),
        };
        let mut start = (parts.number(), emit.asm.here());
        let before = emit.fetched();
        let context = self.context(epid);
        emit_clause(
            emit,
            &context,
            clause,
            &plan,
            &mut ways,
            &mut |emit, ways, held| {
                parts.between_statements(emit, ways, held, ((epid, number), &before))
            },
        )?;
        if parts.number() != start.0 {
            start.1 = 0;
        }
        emit.asm.bind(ways.end);
        parts.after_clause(emit, &before);
        debug_assert!(emit.stack.idle(), "a clause gives its registers back");
        parts.clause_faults(emit, &ways, (epid, number), start.1);
        Ok(plan.layout)
    }
}

/// The most instructions of a program, or of a part of a long one. The kernel's time to load it grows with
/// the square of them: so many take it half a minute.
const LONGEST: usize = 100_000;

fn check_length(emit: &Emit<'_>, span: Span) -> Emitted<()> {
    let length = emit.asm.here();
    if length <= LONGEST {
        return Ok(());
    }
    Err(Refusal {
        span,
        message: format!(
            "with this clause a program has {length} instructions, and {LONGEST} is the most: the kernel \
             would take minutes to load it; make several clauses of it"
        ),
    })
}

pub(crate) fn ecb(epid: u32, probe: &Arc<Probe>, clause: usize, layout: RecordLayout) -> Ecb {
    Ecb {
        epid: Epid(epid),
        probe: Arc::clone(probe),
        clause,
        layout,
    }
}
