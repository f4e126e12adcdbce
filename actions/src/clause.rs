//! One clause on one probe: predicate, statements, record.

use dlang::diag::Span;
use dlang::program::{Action, Clause, Expr, ExprKind, Stmt, StmtKind};
use predicates::asm::{Label, MapRef};
use predicates::emit::{Emit, Emitted, Refusal};
use predicates::insn::{Alu, Helper, Reg, Size};
use predicates::part::Slot;
use predicates::scratch::allocates;
use predicates::stack::Val;
use predicates::storage::{TupleMaps, own_globals};

use crate::agg::emit_aggregate;
use crate::plan::{RecordPlan, Step, each_clause_expr};
use crate::record::Field;
use crate::ring::send;

/// The largest record that is built on the stack, which saves finding the thread's scratch.
const STACK_RECORD: u32 = 128;

/// What the code of a clause needs to know beside its expressions.
pub(crate) struct ClauseContext<'c> {
    /// The ring buffer.
    pub(crate) ring: MapRef,
    /// The maps and functions of the aggregations, by id.
    pub(crate) aggregations: &'c [(TupleMaps, dlang::program::AggFunc)],
    /// The number that the clause's records carry; of probes that share code, the first one's.
    pub(crate) epid: u32,
}

/// Where a clause's other ways lead, in the part of the program that is being made.
pub(crate) struct Ways {
    /// When it is over: the predicate is false, say.
    pub(crate) end: Label,
    /// When it faults.
    pub(crate) fault: Label,
}

/// A record on the stack while a clause fills it.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    offset: i16,
    size: i16,
}

impl Held {
    /// The slots that it takes.
    pub(crate) fn slots(self) -> impl Iterator<Item = Slot> {
        (self.offset..self.offset + self.size).step_by(8)
    }
}

/// What is done between two statements of a clause that are not in an `if`: the code may go on in another
/// part of the program.
pub(crate) type Between<'b> =
    &'b mut dyn FnMut(&mut Emit<'_>, &mut Ways, Option<Held>) -> Emitted<()>;

/// Emits a clause; control leaves it at its end, or by its `ways`.
pub(crate) fn emit_clause(
    emit: &mut Emit<'_>,
    context: &ClauseContext<'_>,
    clause: &Clause,
    plan: &RecordPlan,
    ways: &mut Ways,
    between: Between<'_>,
) -> Emitted<()> {
    emit.asm.place(clause.span);
    let predicate = clause.predicate.as_ref();
    let mut asks = false;
    each_clause_expr(clause, &mut |expr| asks = asks || allocates(expr));
    if asks {
        emit.free_allocated(Span::default())?;
    }
    if let Some(predicate) = predicate {
        emit.asm.note("predicate");
        emit.asm.place(predicate.span);
        emit.jump_when(predicate, false, ways.end)?;
    }
    let mut record = Record::start(emit, plan)?;
    let mut steps = plan.steps.iter();
    for (index, stmt) in clause.body.iter().enumerate() {
        emit.emit_distant_faults(ways.fault);
        if index > 0 {
            between(emit, ways, record.held())?;
            // Nothing that is recorded is on the heap.
            if !record.has_strings() {
                emit.empty_heap_if_full(stmt.span)?;
            }
        }
        let stmt = std::slice::from_ref(stmt);
        emit_body(emit, context, stmt, &mut steps, &record, ways)?;
    }
    emit.asm.place(clause.span);
    if plan.recording {
        record.send(emit, context)?;
    }
    record.give(emit);
    Ok(())
}

fn emit_body<'p>(
    emit: &mut Emit<'_>,
    context: &ClauseContext<'_>,
    body: &[Stmt],
    steps: &mut impl Iterator<Item = &'p Step>,
    record: &Record<'_>,
    ways: &Ways,
) -> Emitted<()> {
    for stmt in body {
        emit.emit_distant_faults(ways.fault);
        emit.asm.place(stmt.span);
        match &stmt.kind {
            StmtKind::Expr(expr) => emit.effect(expr)?,
            StmtKind::If {
                cond,
                then,
                otherwise,
            } => {
                let Some(Step::Guards(yes, no)) = steps.next() else {
                    return Err(out_of_step(stmt.span));
                };
                let (else_, end) = (emit.asm.label(), emit.asm.label());
                emit.jump_when(cond, false, else_)?;
                let before = emit.fetched();
                record.set_guard(emit, *yes, stmt.span)?;
                emit_body(emit, context, then, steps, record, ways)?;
                emit.asm.jump(end);
                emit.asm.bind(else_);
                emit.fetched_only(&before);
                record.set_guard(emit, *no, stmt.span)?;
                emit_body(emit, context, otherwise, steps, record, ways)?;
                emit.asm.bind(end);
                emit.fetched_only(&before);
            }
            StmtKind::Action(action) => {
                let Some(Step::Fields(fields)) = steps.next() else {
                    return Err(out_of_step(stmt.span));
                };
                for index in fields.clone() {
                    record.store(emit, index)?;
                }
                match action {
                    Action::Exit(status) => exit(emit, status)?,
                    Action::Raise(signal) => raise(emit, signal)?,
                    Action::WriteUser(_) => {
                        let message = "copyout() and copyoutstr() are not supported yet: rdtrace does not \
                             write to the memory of traced programs";
                        return Err(Refusal {
                            span: stmt.span,
                            message: message.into(),
                        });
                    }
                    Action::Speculate(id) => {
                        // Without an active speculation, the clause is over.
                        let found = emit.speculate(id, ways.end)?;
                        record.set_speculation(emit, fields.start, found, id.span)?;
                    }
                    Action::Commit(id) | Action::Discard(id) => {
                        let none = emit.asm.label();
                        let before = emit.fetched();
                        let found = emit.end_speculation(id, none)?;
                        record.set_speculation(emit, fields.start, found, id.span)?;
                        emit.asm.bind(none);
                        emit.fetched_only(&before);
                    }
                    Action::Trace(_)
                    | Action::Tracemem(..)
                    | Action::Print { .. }
                    | Action::Printf(..)
                    | Action::Printa(..)
                    | Action::Clear(_)
                    | Action::Trunc(..)
                    | Action::Normalize(..)
                    | Action::Denormalize(_)
                    | Action::System(..)
                    | Action::Freopen(..)
                    | Action::Ftruncate
                    | Action::Setopt(..) => {}
                }
            }
            StmtKind::Aggregate {
                agg,
                keys,
                value,
                increment,
            } => {
                let (maps, func) = &context.aggregations[agg.0 as usize];
                let (value, increment) = (value.as_ref(), increment.as_ref());
                emit_aggregate(emit, *func, maps, keys, value, increment, stmt.span)?;
            }
        }
    }
    Ok(())
}

/// Notes that the run is to end, with this status. The record that the clause sends besides may be
/// lost, or never be sent for a fault.
fn exit(emit: &mut Emit<'_>, status: &Expr) -> Emitted<()> {
    let status = emit.int(status)?;
    emit.load(Reg::R2, &status);
    emit.asm.alu_imm(Alu::Lsh, Reg::R2, 32);
    emit.asm.alu_imm(Alu::Rsh, Reg::R2, 32);
    emit.asm
        .mov_imm(Reg::R3, own_globals::HAS_EXITED.cast_signed());
    emit.asm.alu(Alu::Or, Reg::R2, Reg::R3);
    let globals = emit.storage.globals;
    emit.asm.map_value(Reg::R1, globals, own_globals::EXITED);
    emit.asm.store(Size::Double, Reg::R1, 0, Reg::R2);
    emit.stack.give(status);
    Ok(())
}

/// Sends the process that fires a signal. The kernel takes no signal that there is not, which changes nothing.
fn raise(emit: &mut Emit<'_>, signal: &Expr) -> Emitted<()> {
    let signal = emit.int(signal)?;
    emit.load(Reg::R1, &signal);
    emit.asm.call(Helper::SendSignal);
    emit.stack.give(signal);
    Ok(())
}

/// The largest fixed part of a record, in bytes: what the 16-bit offset of a store reaches, less some
/// room for where the record begins.
const LARGEST_FIXED: u32 = 32_000;

/// A record while it is filled: on the stack if it is small and has no strings, else in the
/// scratch, ending where the heap begins.
struct Record<'p> {
    plan: &'p RecordPlan,
    on_stack: Option<i16>,
}

impl<'p> Record<'p> {
    fn start(emit: &mut Emit<'_>, plan: &'p RecordPlan) -> Emitted<Self> {
        let span = Span::default();
        let fixed = plan.layout.fixed;
        let mut record = Self {
            plan,
            on_stack: None,
        };
        if !plan.recording {
            return Ok(record);
        }
        if fixed > LARGEST_FIXED {
            let first = plan.sources.iter().flatten().next();
            return Err(Refusal {
                span: first.map_or(span, |source| source.span),
                message: format!(
                    "a firing of this clause would record {fixed} bytes beside its strings, and \
                     {LARGEST_FIXED} is the most: record less, or in several clauses"
                ),
            });
        }
        if !record.has_strings() && fixed <= STACK_RECORD {
            let offset = emit.buffer(to_i16(fixed), span)?;
            // Padding and fields of branches not taken must not be read uninitialized.
            for word in (0..fixed).step_by(8) {
                emit.asm
                    .store_imm(Size::Double, Reg::FP, offset + to_i16(word), 0);
            }
            record.on_stack = Some(offset);
        } else {
            for (field, source) in plan.layout.fields.iter().zip(&plan.sources) {
                if let (Field::Int { offset, int }, None) = (field, source) {
                    let base = record.base(emit, Reg::R1, span)?;
                    emit.asm
                        .store_imm(Size::of(int.size), Reg::R1, base + to_i16(*offset), 0);
                }
            }
        }
        Ok(record)
    }

    /// Where it is on the stack.
    fn held(&self) -> Option<Held> {
        let size = to_i16(self.plan.layout.fixed);
        self.on_stack.map(|offset| Held { offset, size })
    }

    fn has_strings(&self) -> bool {
        self.plan
            .layout
            .fields
            .iter()
            .any(|field| matches!(field, Field::Str { .. } | Field::Object { .. }))
    }

    /// Brings the record's address to `reg` and gives what is to be added to field offsets.
    fn base(&self, emit: &mut Emit<'_>, reg: Reg, span: Span) -> Emitted<i16> {
        if let Some(offset) = self.on_stack {
            emit.asm.mov(reg, Reg::FP);
            return Ok(offset);
        }
        let start = emit.storage.heap - self.plan.layout.fixed;
        emit.scratch_at(reg, start, span)?;
        Ok(0)
    }

    /// Computes a field and stores it.
    fn store(&self, emit: &mut Emit<'_>, index: usize) -> Emitted<()> {
        let Some(source) = &self.plan.sources[index] else {
            return Ok(());
        };
        match self.plan.layout.fields[index] {
            Field::Int { offset, int } => {
                let val = emit.int(source)?;
                let base = self.base(emit, Reg::R1, source.span)?;
                let reg = emit.reg(&val, Reg::R0);
                emit.asm
                    .store(Size::of(int.size), Reg::R1, base + to_i16(offset), reg);
                emit.stack.give(val);
            }
            field @ (Field::Str { offset } | Field::Object { offset }) => {
                let string = match (field, &source.kind) {
                    (Field::Object { .. }, ExprKind::Call(_, args)) if args.len() == 1 => {
                        emit.capture(&args[0], source.span)?
                    }
                    _string => emit.string(source)?,
                };
                let base = self.base(emit, Reg::R1, source.span)? + to_i16(offset);
                let start = emit.reg(&string.start, Reg::R0);
                emit.asm.mov(Reg::R2, start);
                let fixed = i32::from(to_i16(self.plan.layout.fixed));
                emit.asm.alu_imm(Alu::Add, Reg::R2, fixed);
                emit.asm.store(Size::Word, Reg::R1, base, Reg::R2);
                let len = emit.reg(&string.len, Reg::R0);
                emit.asm.store(Size::Word, Reg::R1, base + 4, len);
                emit.give_string(string);
            }
            Field::Bytes { offset, .. } => emit.copy_struct(source, |emit| {
                let base = self.base(emit, Reg::R1, source.span)?;
                emit.asm
                    .alu_imm(Alu::Add, Reg::R1, i32::from(base + to_i16(offset)));
                Ok(())
            })?,
        }
        Ok(())
    }

    fn set_guard(&self, emit: &mut Emit<'_>, guard: Option<u16>, span: Span) -> Emitted<()> {
        if let Some(guard) = guard
            && let Field::Int { offset, int } = self.plan.layout.fields[usize::from(guard)]
        {
            let base = self.base(emit, Reg::R1, span)?;
            emit.asm
                .store_imm(Size::of(int.size), Reg::R1, base + to_i16(offset), 1);
        }
        Ok(())
    }

    /// Stores number and state of a speculation in the fields from `first` on.
    fn set_speculation(
        &self,
        emit: &mut Emit<'_>,
        first: usize,
        (number, state): (Val, Val),
        span: Span,
    ) -> Emitted<()> {
        for (index, val) in [(first, number), (first + 1, state)] {
            if let Field::Int { offset, int } = self.plan.layout.fields[index] {
                let base = self.base(emit, Reg::R1, span)?;
                let reg = emit.reg(&val, Reg::R0);
                let size = Size::of(int.size);
                emit.asm.store(size, Reg::R1, base + to_i16(offset), reg);
            }
            emit.stack.give(val);
        }
        Ok(())
    }

    /// Fills in the header and puts the record in the ring, or counts a drop.
    fn send(&self, emit: &mut Emit<'_>, context: &ClauseContext<'_>) -> Emitted<()> {
        let span = Span::default();
        emit.asm.note("record");
        let layout = &self.plan.layout;
        for index in self.plan.flow.clone() {
            self.store(emit, index)?;
        }
        for (field, shift) in [(layout.thread, 0), (layout.process, 32)] {
            let Some(field) = field else { continue };
            let Field::Int { offset, .. } = layout.fields[usize::from(field)] else {
                continue;
            };
            // Process and thread are the halves of one word.
            emit.pid_tgid(Reg::R0, span)?;
            if shift > 0 {
                emit.asm.alu_imm(Alu::Rsh, Reg::R0, shift);
            }
            let id = emit.keep(Reg::R0, span)?;
            let base = self.base(emit, Reg::R1, span)?;
            let reg = emit.reg(&id, Reg::R0);
            emit.asm
                .store(Size::Word, Reg::R1, base + to_i16(offset), reg);
            emit.stack.give(id);
        }
        if let Some(time) = layout.time
            && let Field::Int { offset, .. } = layout.fields[usize::from(time)]
        {
            emit.timestamp(Reg::R0, span)?;
            let time = emit.keep(Reg::R0, span)?;
            let base = self.base(emit, Reg::R1, span)?;
            let reg = emit.reg(&time, Reg::R0);
            emit.asm
                .store(Size::Double, Reg::R1, base + to_i16(offset), reg);
            emit.stack.give(time);
        }
        emit.asm.call(Helper::GetSmpProcessorId);
        let cpu = emit.keep(Reg::R0, span)?;
        let base = self.base(emit, Reg::R2, span)?;
        match &emit.machine.shared.clone() {
            Some(shared) => {
                shared.load_epid(emit, Reg::R0, context.epid);
                emit.asm.store(Size::Word, Reg::R2, base, Reg::R0);
            }
            None => {
                let epid = context.epid.cast_signed();
                emit.asm.store_imm(Size::Word, Reg::R2, base, epid);
            }
        }
        let reg = emit.reg(&cpu, Reg::R0);
        emit.asm.store(Size::Word, Reg::R2, base + 4, reg);
        emit.stack.give(cpu);
        emit.asm.alu_imm(Alu::Add, Reg::R2, i32::from(base));
        emit.asm.mov_imm(Reg::R3, i64::from(layout.fixed));
        if self.has_strings() {
            emit.heap_used(Reg::R4);
            emit.asm.alu(Alu::Add, Reg::R3, Reg::R4);
        }
        send(emit, context.ring, span)
    }

    fn give(&mut self, emit: &mut Emit<'_>) {
        if let Some(offset) = self.on_stack.take() {
            emit.stack
                .give_buffer(offset, to_i16(self.plan.layout.fixed));
        }
    }
}

/// Stack slots that hold a fault while it is reported: what ERROR's `arg1` to `arg5` are.
pub(crate) struct FaultSlots {
    /// The EPID; once it is reported, the probe's id.
    pub(crate) probe: i16,
    /// The kind, the instruction, the address.
    pub(crate) kind: i16,
    pub(crate) pc: i16,
    pub(crate) address: i16,
}

/// Reports a fault: `r1` to `r3` as the stubs leave them, `r4` the EPID.
pub(crate) fn emit_fault_record(
    emit: &mut Emit<'_>,
    ring: MapRef,
    slots: &FaultSlots,
) -> Emitted<()> {
    use crate::record::FAULT_EPID;
    let span = Span::default();
    let pairs = [
        (slots.kind, Reg::R1),
        (slots.pc, Reg::R2),
        (slots.address, Reg::R3),
        (slots.probe, Reg::R4),
    ];
    for (slot, reg) in pairs {
        emit.asm.store(Size::Double, Reg::FP, slot, reg);
    }
    let record = emit.buffer(32, span)?;
    emit.asm.call(Helper::GetSmpProcessorId);
    emit.asm.store(Size::Word, Reg::FP, record + 4, Reg::R0);
    emit.asm
        .store_imm(Size::Word, Reg::FP, record, FAULT_EPID.cast_signed());
    let words = [
        (slots.probe, Size::Word, 8),
        (slots.kind, Size::Word, 12),
        (slots.pc, Size::Double, 16),
        (slots.address, Size::Double, 24),
    ];
    for (slot, size, offset) in words {
        emit.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        emit.asm.store(size, Reg::FP, record + offset, Reg::R0);
    }
    emit.stack_address(Reg::R2, record);
    emit.asm.mov_imm(Reg::R3, 32);
    send(emit, ring, span)?;
    emit.stack.give_buffer(record, 32);
    Ok(())
}

/// An offset in the fixed part of a record, which `Record::start` has found small enough.
fn to_i16(offset: u32) -> i16 {
    i16::try_from(offset).expect("a record's fixed part is at most LARGEST_FIXED")
}

fn out_of_step(span: Span) -> Refusal {
    Refusal {
        span,
        message: "the record's plan does not fit the clause".into(),
    }
}
