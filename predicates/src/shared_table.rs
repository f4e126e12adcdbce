//! The table of what differs between probes that share code ([`Shared`]): making it, and reading it.

use dlang::diag::Span;
use dlang::program::Builtin;

use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::shared::{Field, Shared};
use crate::string::Str;

/// Bytes of a probe in the table, a power of two.
const ENTRY: u32 = 16;

/// Read-only memory is smaller than this, so that the verifier need not believe more of an offset.
const LARGEST_RODATA: i32 = (1 << 28) - 1;

impl Shared {
    /// `dst = number of the ECB`, from that of the same clause on the first of these probes.
    pub fn load_epid(&self, emit: &mut Emit<'_>, dst: Reg, first: u32) {
        emit.asm.load(Size::Double, dst, Reg::FP, self.slot);
        emit.asm.alu_imm(Alu::Mul, dst, self.clauses.cast_signed());
        emit.asm.alu_imm(Alu::Add, dst, first.cast_signed());
    }

    /// `dst = id of the probe`. Destroys `r4`, `r5`.
    pub fn load_id(&self, emit: &mut Emit<'_>, dst: Reg) {
        emit.look_up(dst, self, Field::Id);
    }
}

impl Emit<'_> {
    /// `dst = word of the table` for a variable that differs from probe to probe. Destroys `r4`, `r5`.
    fn look_up(&mut self, dst: Reg, shared: &Shared, field: Field) {
        let table = self.table(shared);
        let rodata = self.storage.rodata;
        let last = i32::try_from(shared.probes.len() - 1).expect("probes are few");
        self.asm.load(Size::Double, Reg::R5, Reg::FP, shared.slot);
        self.gave_up = true;
        let give_up = self.give_up;
        // It never is: the verifier has to be shown.
        self.asm.jump_if_imm(Cond::Gt, Reg::R5, last, give_up);
        let shift = ENTRY.trailing_zeros().cast_signed();
        self.asm.alu_imm(Alu::Lsh, Reg::R5, shift);
        self.asm.map_value(Reg::R4, rodata, table);
        self.asm.alu(Alu::Add, Reg::R4, Reg::R5);
        self.asm.load(Size::Word, dst, Reg::R4, field.offset());
    }

    /// `id`, where it differs.
    pub(crate) fn shared_id(&mut self, dst: Reg) {
        if let Some(shared) = self.machine.shared.clone() {
            shared.load_id(self, dst);
        }
    }

    /// `epid`, where it differs.
    pub(crate) fn shared_epid(&mut self, dst: Reg) {
        if let Some(shared) = self.machine.shared.clone() {
            let first = self.machine.epid;
            shared.load_epid(self, dst, first);
        }
    }

    /// A name that differs from probe to probe, put on the heap; `None` if it does not.
    pub(crate) fn shared_name(&mut self, builtin: Builtin, span: Span) -> Option<Emitted<Str>> {
        let shared = self.machine.shared.clone()?;
        let field = Field::of(builtin)?;
        if field == Field::Id || !shared.differs(builtin) {
            return None;
        }
        let rodata = self.storage.rodata;
        Some(self.push_kernel_string(span, |e| {
            e.look_up(Reg::R5, &shared, field);
            e.asm.alu_imm(Alu::And, Reg::R5, LARGEST_RODATA);
            e.asm.map_value(Reg::R3, rodata, 0);
            e.asm.alu(Alu::Add, Reg::R3, Reg::R5);
            Ok(())
        }))
    }

    /// Puts the table into read-only memory, once; gives its place.
    fn table(&mut self, shared: &Shared) -> u32 {
        let mut table = Vec::with_capacity(shared.probes.len() * ENTRY as usize);
        for names in &*shared.probes {
            table.extend(names.id.to_ne_bytes());
            for text in [&names.module, &names.function, &names.name] {
                let mut bytes = text.clone().into_bytes();
                bytes.push(0);
                table.extend(self.rodata.put(bytes).to_ne_bytes());
            }
        }
        self.rodata.put(table)
    }
}
