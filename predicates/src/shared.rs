//! Probes that share code: what differs from one to the next is looked up by a number.
//!
//! Probes whose arguments are found in the same way, and that have the same clauses, run the same
//! instructions (3,000 functions of a library, say). The trampoline puts the number of the one that
//! fires, from 0, into a stack slot. What the consumer needs to know it tells by the EPID of a record,
//! which counts up with the number; what the code itself needs (`probefunc` as a key, say) is in a table in
//! read-only memory:
//!
//! ```text
//!     number * 16   id u32 | module u32 | function u32 | name u32     the last three: where the
//!                                                                     text is in that memory
//! ```

use std::sync::Arc;

use dlang::diag::Span;
use dlang::program::Builtin;

use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::string::Str;

/// The probes that share the code that is being made.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The stack slot with the number of the one that fires.
    pub slot: i16,
    /// How many EPIDs each has: one for each clause.
    pub clauses: u32,
    /// What differs, in the order of their numbers.
    pub probes: Arc<[Names]>,
}

/// What clauses may ask about one of the probes that share code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// `id`.
    pub id: u32,
    /// `probemod`.
    pub module: String,
    /// `probefunc`.
    pub function: String,
    /// `probename`.
    pub name: String,
}

/// Bytes of a probe in the table, a power of two.
const ENTRY: u32 = 16;

/// Where something is in a probe's part of the table.
fn field(builtin: Builtin) -> Option<i16> {
    match builtin {
        Builtin::Id => Some(0),
        Builtin::Probemod => Some(4),
        Builtin::Probefunc => Some(8),
        Builtin::Probename => Some(12),
        Builtin::Pid
        | Builtin::Tid
        | Builtin::Ppid
        | Builtin::Uid
        | Builtin::Gid
        | Builtin::Cpu
        | Builtin::Timestamp
        | Builtin::Vtimestamp
        | Builtin::Walltimestamp
        | Builtin::Execname
        | Builtin::Errno
        | Builtin::Curthread
        | Builtin::Probeprov
        | Builtin::Epid => None,
    }
}

/// Read-only memory is smaller than this, so that the verifier need not believe more of an offset.
const LARGEST_RODATA: i32 = (1 << 28) - 1;

impl Shared {
    /// Whether a built-in variable is not the same for all of these probes.
    pub(crate) fn differs(&self, builtin: Builtin) -> bool {
        let same = |field: fn(&Names) -> &str| {
            let mut values = self.probes.iter().map(field);
            let first = values.next();
            values.all(|value| Some(value) == first)
        };
        match builtin {
            Builtin::Id | Builtin::Epid => self.probes.len() > 1,
            Builtin::Probemod => !same(|names| &names.module),
            Builtin::Probefunc => !same(|names| &names.function),
            Builtin::Probename => !same(|names| &names.name),
            Builtin::Pid
            | Builtin::Tid
            | Builtin::Ppid
            | Builtin::Uid
            | Builtin::Gid
            | Builtin::Cpu
            | Builtin::Timestamp
            | Builtin::Vtimestamp
            | Builtin::Walltimestamp
            | Builtin::Execname
            | Builtin::Errno
            | Builtin::Curthread
            | Builtin::Probeprov => false,
        }
    }

    /// `dst = number of the ECB`, from that of the same clause on the first of these probes.
    pub fn load_epid(&self, emit: &mut Emit<'_>, dst: Reg, first: u32) {
        emit.asm.load(Size::Double, dst, Reg::FP, self.slot);
        emit.asm.alu_imm(Alu::Mul, dst, self.clauses.cast_signed());
        emit.asm.alu_imm(Alu::Add, dst, first.cast_signed());
    }
}

impl Emit<'_> {
    /// `dst = word of the table` for a variable that differs from probe to probe. Destroys `r4`, `r5`.
    fn look_up(&mut self, dst: Reg, shared: &Shared, field: i16) {
        let table = self.table(shared);
        let rodata = self.storage.rodata;
        let last = i32::try_from(shared.probes.len() - 1).unwrap_or(i32::MAX);
        self.asm.load(Size::Double, Reg::R5, Reg::FP, shared.slot);
        self.gave_up = true;
        let give_up = self.give_up;
        // It never is: the verifier has to be shown.
        self.asm.jump_if_imm(Cond::Gt, Reg::R5, last, give_up);
        let shift = ENTRY.trailing_zeros().cast_signed();
        self.asm.alu_imm(Alu::Lsh, Reg::R5, shift);
        self.asm.map_value(Reg::R4, rodata, table);
        self.asm.alu(Alu::Add, Reg::R4, Reg::R5);
        self.asm.load(Size::Word, dst, Reg::R4, field);
    }

    /// `id`, where it differs.
    pub(crate) fn shared_id(&mut self, dst: Reg) {
        if let (Some(shared), Some(field)) = (self.machine.shared.clone(), field(Builtin::Id)) {
            self.look_up(dst, &shared, field);
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
        let field = field(builtin)?;
        if builtin == Builtin::Id || !shared.differs(builtin) {
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
