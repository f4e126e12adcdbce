//! Access to the numbers that depend on the version of Python ([`Layout`](unwind::objects::Layout)), in code.
//!
//! Where a probe is one of a known Python they are in read-only memory. Elsewhere (a system call, a timer, a function of
//! a library) any process may fire, and they are looked up by its id, where the facts are by which its frames are
//! found.

use dlang::diag::Span;
use unwind::python::LAYOUT;

use super::layout::{Fact, Python};
use crate::asm::Label;
use crate::emit::{Emit, Emitted, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};

/// Where the facts of the Python that fires are. To be given back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Facts {
    /// There in read-only memory.
    Known(u32),
    /// At the address in this slot.
    OfProcess(i16),
}

impl Emit<'_> {
    /// Whether objects can be read; `function` needs it.
    fn can_read_objects(&self, function: &str, span: Span) -> Emitted<()> {
        let refusal = |message: String| Err(Refusal { span, message });
        if self.storage.objects.is_none() {
            return refusal(format!("{function}: the program's objects have no place"));
        }
        if self.storage.open_loops.is_none() {
            return refusal(format!(
                "{function}: Python's objects are read by loops without a bound, which this kernel does not \
                 know: they take Linux 5.17"
            ));
        }
        Ok(())
    }

    /// What is known of the Python that fires, where the probe is one of Python's; `function` needs it.
    pub(super) fn python(&self, function: &str, span: Span) -> Emitted<&Python> {
        self.can_read_objects(function, span)?;
        let refusal = |message: String| Refusal { span, message };
        let python = self.machine.python.as_ref().ok_or_else(|| {
            refusal(format!(
                "{function} is for probes of the python provider: what {}:::{} fires in may be any program",
                self.machine.provider, self.machine.name
            ))
        })?;
        if let Err(why) = &python.layout {
            return Err(refusal(format!("{function}: {why}")));
        }
        Ok(python)
    }

    /// Finds the facts of the Python that fires: on to `none` if its process runs none that is known.
    pub(super) fn python_facts(
        &mut self,
        function: &str,
        none: Label,
        span: Span,
    ) -> Emitted<Facts> {
        self.can_read_objects(function, span)?;
        let layout = match &self.machine.python {
            Some(python) => python.layout.as_ref(),
            None => return self.facts_of_process(none, span),
        };
        match layout {
            Ok(layout) => Ok(Facts::Known(self.rodata.put(layout.bytes()))),
            Err(why) => Err(Refusal {
                span,
                message: format!("{function}: {why}"),
            }),
        }
    }

    fn facts_of_process(&mut self, none: Label, span: Span) -> Emitted<Facts> {
        let processes = self.python_frames(span)?.maps.processes;
        let slot = self.buffer(8, span)?;
        self.pid_tgid(Reg::R0, span)?;
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        self.asm.map(Reg::R1, processes);
        self.stack_address(Reg::R2, slot);
        self.asm.call(Helper::MapLookupElem);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.alu_imm(Alu::Add, Reg::R0, imm(LAYOUT));
        // Each Python has a header of some bytes, if its layout is known.
        self.asm.load(Size::Word, Reg::R1, Reg::R0, 0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, none);
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        Ok(Facts::OfProcess(slot))
    }

    /// Gives the place of facts back.
    pub(super) fn give_python_facts(&mut self, facts: Facts) {
        match facts {
            Facts::Known(_) => {}
            Facts::OfProcess(slot) => self.stack.give_buffer(slot, 8),
        }
    }

    /// `dst = fact`.
    pub(super) fn python_fact(&mut self, facts: Facts, dst: Reg, fact: Fact) {
        let at = 4 * (fact as u8);
        match facts {
            Facts::Known(start) => {
                let rodata = self.storage.rodata;
                self.asm.map_value(dst, rodata, start + u32::from(at));
                self.asm.load(Size::Word, dst, dst, 0);
            }
            Facts::OfProcess(slot) => {
                self.asm.load(Size::Double, dst, Reg::FP, slot);
                self.asm.load(Size::Word, dst, dst, at.into());
            }
        }
    }

    /// `reg += fact`. Destroys `r0`.
    pub(super) fn add_python_fact(&mut self, facts: Facts, reg: Reg, fact: Fact) {
        self.python_fact(facts, Reg::R0, fact);
        self.asm.alu(Alu::Add, reg, Reg::R0);
    }
}
