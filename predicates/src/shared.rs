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

/// What the table has of a probe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Module,
    Function,
    Name,
}

impl Field {
    /// What a built-in variable is looked up by; `None` if it is not in the table.
    fn of(builtin: Builtin) -> Option<Self> {
        match builtin {
            Builtin::Id => Some(Self::Id),
            Builtin::Probemod => Some(Self::Module),
            Builtin::Probefunc => Some(Self::Function),
            Builtin::Probename => Some(Self::Name),
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
            | Builtin::Epid
            | Builtin::Caller
            | Builtin::Stackdepth
            | Builtin::Ucaller
            | Builtin::Ustackdepth => None,
        }
    }

    /// Where it is in a probe's part of the table.
    fn offset(self) -> i16 {
        match self {
            Self::Id => 0,
            Self::Module => 4,
            Self::Function => 8,
            Self::Name => 12,
        }
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
        match Field::of(builtin) {
            Some(Field::Id) => self.probes.len() > 1,
            Some(Field::Module) => !same(|names| &names.module),
            Some(Field::Function) => !same(|names| &names.function),
            Some(Field::Name) => !same(|names| &names.name),
            // It is computed.
            None => builtin == Builtin::Epid && self.probes.len() > 1,
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
            self.look_up(dst, &shared, Field::Id);
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
