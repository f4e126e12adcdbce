//! Access to the numbers that depend on the version of Python ([`Layout`](super::layout::Layout)), in code.

use dlang::diag::Span;

use super::layout::{Fact, Python};
use crate::emit::{Emit, Emitted, Refusal};
use crate::insn::{Alu, Reg, Size};

/// Where the facts of the Python that fires are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts(u32);

impl Emit<'_> {
    /// What is known of the Python that fires; `function` needs it.
    pub(super) fn python(&self, function: &str, span: Span) -> Emitted<&Python> {
        let refusal = |message: String| Refusal { span, message };
        if self.storage.objects.is_none() {
            return Err(refusal(format!(
                "{function}: the program's objects have no place"
            )));
        }
        if self.storage.open_loops_after.is_none() {
            return Err(refusal(format!(
                "{function}: Python's objects are read by loops without a bound, which this kernel does not \
                 know: they take Linux 6.9"
            )));
        }
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

    /// Where the facts are in read-only memory.
    pub(super) fn python_facts(&mut self, function: &str, span: Span) -> Emitted<Facts> {
        let python = self.python(function, span)?;
        let Ok(layout) = python.layout else {
            return Err(Refusal {
                span,
                message: format!("{function}: the layout of objects is not known"),
            });
        };
        Ok(Facts(self.rodata.put(layout.bytes())))
    }

    /// `dst = fact`.
    pub(super) fn python_fact(&mut self, facts: Facts, dst: Reg, fact: Fact) {
        let rodata = self.storage.rodata;
        let at = facts.0 + 4 * u32::from(fact as u8);
        self.asm.map_value(dst, rodata, at);
        self.asm.load(Size::Word, dst, dst, 0);
    }

    /// `reg += fact`. Destroys `r0`.
    pub(super) fn add_python_fact(&mut self, facts: Facts, reg: Reg, fact: Fact) {
        self.python_fact(facts, Reg::R0, fact);
        self.asm.alu(Alu::Add, reg, Reg::R0);
    }
}
