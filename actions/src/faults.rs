//! What the faults of a program's clauses lead to: reports, and the clauses of ERROR.

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted, Faults};
use predicates::insn::{Reg, Size};
use predicates::shared::Shared;

use crate::clause::{FaultSlots, Ways, emit_clause, emit_fault_record};
use crate::exit::{exits, leave_if_exited};
use crate::maps::RING;
use crate::program::Unit;
use crate::trampoline::{self, Source};

/// A clause whose faults are still to be handled.
pub(crate) struct Faulting {
    pub(crate) faults: Faults,
    /// Where all of them lead.
    pub(crate) handler: Label,
    pub(crate) epid: u32,
    /// The probe's id, which is `arg1` of ERROR; of probes that share the clause, of the first.
    pub(crate) id: u32,
    /// Its number, which is `arg2` of ERROR.
    pub(crate) number: usize,
    /// The probes that share the clause, if there are several.
    pub(crate) shared: Option<Shared>,
    pub(crate) end: Label,
}

impl Unit<'_> {
    /// Emits what the faults lead to: for each clause a copy of its own. If all went through one, the
    /// verifier would take the program for one great loop, from a fault to the end of its clause, the
    /// next clause and its faults, and could not see that the turns of a loop in it are alike. Gives
    /// the instructions of the longest copy of ERROR's clauses.
    pub(crate) fn handle_faults(
        &self,
        emit: &mut Emit<'_>,
        faulting: Vec<Faulting>,
        leave: Label,
    ) -> Emitted<usize> {
        let mut longest = 0;
        if faulting.is_empty() {
            return Ok(longest);
        }
        let span = Span::default();
        let mut buffer = || emit.buffer(8, span);
        let slots = FaultSlots {
            probe: buffer()?,
            kind: buffer()?,
            pc: buffer()?,
            address: buffer()?,
        };
        let program = &self.compiler.program;
        let mut errors = self.compiler.error_clauses.iter();
        let may_exit = errors.any(|error| exits(&program.clauses[error.clause]));
        let before = emit.start_errors();
        emit.asm.place(span);
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
            if !self.compiler.error_clauses.is_empty() {
                match &clause.shared {
                    Some(shared) => shared.load_id(emit, Reg::R0),
                    None => emit.asm.mov_imm(Reg::R0, i64::from(clause.id)),
                }
                emit.asm.store(Size::Double, Reg::FP, slots.probe, Reg::R0);
            }
            let start = emit.asm.here();
            self.error_clauses(emit, &slots, clause.number)?;
            longest = longest.max(emit.asm.here() - start);
            if may_exit && self.source != Source::End {
                leave_if_exited(emit, leave);
            }
            emit.asm.jump(clause.end);
        }
        emit.end_errors(before);
        for slot in [slots.probe, slots.kind, slots.pc, slots.address] {
            emit.stack.give_buffer(slot, 8);
        }
        Ok(longest)
    }

    /// Emits the clauses of ERROR for the faults of a clause; what faults in them is only counted.
    fn error_clauses(
        &self,
        emit: &mut Emit<'_>,
        slots: &FaultSlots,
        faulting: usize,
    ) -> Emitted<()> {
        let compiler = self.compiler;
        if compiler.error_clauses.is_empty() {
            return Ok(());
        }
        let outer = emit.machine.clone();
        let heap = emit.save_heap(Span::default())?;
        for (enabled, &epid) in compiler.error_clauses.iter().zip(self.error_epids) {
            let clause = &compiler.program.clauses[enabled.clause];
            let mut machine = trampoline::error_machine(&enabled.probe, Some((slots, faulting)));
            machine.epid = epid;
            machine.timer = outer.timer;
            machine.kernel_stack = outer.kernel_stack;
            let plan = compiler.plan(clause, &enabled.probe, &machine);
            emit.enter_error(machine);
            let mut ways = Ways {
                end: emit.asm.label(),
                fault: emit.asm.label(),
            };
            let start = emit.asm.here();
            let context = self.context(epid);
            // It runs wherever a clause faults, and is never cut.
            let mut whole = |_: &mut Emit<'_>, _: &mut Ways, _| Ok(());
            emit_clause(emit, &context, clause, &plan, &mut ways, &mut whole)?;
            let Ways { end, fault } = ways;
            let faults = emit.take_faults();
            if !faults.is_empty() || emit.asm.leads_to(fault, start) {
                emit.asm.jump(end);
                emit.emit_faults(faults, fault);
                emit.asm.bind(fault);
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
