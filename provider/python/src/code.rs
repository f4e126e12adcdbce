//! Machine code, one instruction at a time: decoding, which instructions a uprobe may sit on, and
//! what a straight run of instructions does to the few values that we follow.
//!
//! A uprobe replaces the first byte of an instruction by `int3`. When the kernel can emulate the
//! instruction, the probe costs one trap; when it cannot, it executes a copy under single step,
//! which costs a second trap (measured here: 0.75 against 10 microseconds). What it can emulate on
//! x86-64 is listed in `arch/x86/kernel/uprobes.c`, `push_setup_xol_ops` and
//! `branch_setup_xol_ops`: `push` of a 64-bit register, one-byte `nop`, near `call`, near and
//! short `jmp` and `jcc`, none with an operand-size prefix.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory};
use iced_x86::{MemorySize, Mnemonic, OpKind, Register as R};
use serde::{Deserialize, Serialize};

use super::image::Image;
use super::register::Register;

/// The instructions that the kernel emulates under a uprobe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Emulated {
    /// `push` of a 64-bit general register.
    Push,
    /// The one-byte `nop`.
    Nop,
    /// `call` of a relative address.
    Call,
    /// `jmp` to a relative address.
    Jump,
    /// A conditional jump.
    Branch,
}

impl Emulated {
    /// What the kernel would make of the instruction with these bytes: exactly these, no prefix
    /// other than the `REX.B` of `push %r8`..`%r15`.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Some(match *bytes {
            [0x50..=0x57] | [0x41, 0x50..=0x57] => Self::Push,
            [0x90] => Self::Nop,
            [0xe8, _, _, _, _] => Self::Call,
            [0xe9, _, _, _, _] | [0xeb, _] => Self::Jump,
            [0x70..=0x7f, _] | [0x0f, 0x80..=0x8f, _, _, _, _] => Self::Branch,
            _ => return None,
        })
    }
}

/// Decodes the instruction at `address`.
pub(super) fn decode(image: &Image<'_>, address: u64) -> Option<Instruction> {
    if !image.is_code(address) {
        return None;
    }
    let bytes = image.bytes_at(address)?;
    let window = bytes.get(..bytes.len().min(15))?;
    let insn = Decoder::with_ip(64, window, address, DecoderOptions::NONE).decode();
    #[cfg(test)]
    image.touch(address, insn.len());
    (!insn.is_invalid()).then_some(insn)
}

/// Whether and how the kernel emulates `insn`.
pub(super) fn emulated(image: &Image<'_>, insn: &Instruction) -> Option<Emulated> {
    Emulated::of(image.slice(insn.ip(), insn.len())?)
}

/// The instructions executed from `start` while no conditional jump is taken and no call returns
/// elsewhere: direct jumps are followed, and the run ends after an indirect jump, a return, an
/// undecodable byte, or `limit` instructions.
pub(super) fn straight<'i>(
    image: &'i Image<'_>,
    start: u64,
    limit: usize,
) -> impl Iterator<Item = Instruction> + 'i {
    let mut next = Some(start);
    std::iter::from_fn(move || {
        let insn = decode(image, next?)?;
        next = match insn.flow_control() {
            FlowControl::Next
            | FlowControl::ConditionalBranch
            | FlowControl::Call
            | FlowControl::IndirectCall => Some(insn.next_ip()),
            FlowControl::UnconditionalBranch => Some(insn.near_branch_target()),
            _ => None,
        };
        Some(insn)
    })
    .take(limit)
}

/// Where a direct `call` or `jmp` ends up: its target, or through a stub of the procedure linkage
/// table the function that the stub is for.
pub(super) fn branch_target(image: &Image<'_>, insn: &Instruction) -> u64 {
    let target = insn.near_branch_target();
    plt_name(image, target)
        .and_then(|name| image.symbol(name))
        .map_or(target, |s| s.address)
}

/// The name of the function that the stub at `address` is for.
pub(super) fn plt_name<'d>(image: &Image<'d>, address: u64) -> Option<&'d str> {
    let jump = straight(image, address, 2).find(|i| i.mnemonic() != Mnemonic::Endbr64)?;
    if jump.code() != Code::Jmp_rm64 || !jump.is_ip_rel_memory_operand() {
        return None;
    }
    std::str::from_utf8(image.import_at(jump.ip_rel_memory_address())?).ok()
}

/// The slot of a 64-bit general register in `struct pt_regs`.
pub(super) fn pt_regs(register: R) -> Option<Register> {
    Some(Register(match register {
        R::R15 => 0,
        R::R14 => 8,
        R::R13 => 16,
        R::R12 => 24,
        R::RBP => 32,
        R::RBX => 40,
        R::R11 => 48,
        R::R10 => 56,
        R::R9 => 64,
        R::R8 => 72,
        R::RAX => 80,
        R::RCX => 88,
        R::RDX => 96,
        R::RSI => 104,
        R::RDI => 112,
        R::RSP => 152,
        _ => return None,
    }))
}

/// A value that is followed: an unknown that we gave a name, plus a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Which unknown.
    pub(super) name: u32,
    /// What is added to it.
    pub(super) plus: i64,
}

impl Value {
    /// The unknown itself.
    pub(super) const fn named(name: u32) -> Self {
        Self { name, plus: 0 }
    }

    pub(super) fn plus(self, n: i64) -> Self {
        Self {
            plus: self.plus.wrapping_add(n),
            ..self
        }
    }
}

/// Where the compiler keeps a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Home {
    /// In a 64-bit general register.
    Register(R),
    /// In the function's part of the stack: at this distance from the stack pointer, or below
    /// the frame pointer in code that keeps one.
    Stack(R, i64),
}

/// What is known about registers and watched memory between two instructions.
///
/// Every register starts as an unknown of its own; copies and additions of constants are
/// followed, everything else makes a new unknown. Memory is followed at `[register + constant]`
/// only, and each store through a pointer is taken not to touch places with another base:
/// what rests on memory must therefore be checked again at run time, and is (the opcode at the
/// instruction pointer).
#[derive(Debug)]
pub(super) struct State {
    registers: [Value; 16],
    memory: Vec<(Value, Value)>,
    /// The unknowns that were in memory before the first instruction.
    loaded: Vec<(Value, Value)>,
    fresh: u32,
    /// Whether moves of 32 bits are followed like those of 64.
    narrow: bool,
    /// Whether marks in the lowest bits of addresses do not matter: without them it is the same value.
    without_marks: bool,
    info: InstructionInfoFactory,
}

impl State {
    /// Nothing known: register n is the unknown n.
    pub(super) fn new() -> Self {
        let mut registers = [Value::named(0); 16];
        for (name, value) in (0..).zip(&mut registers) {
            *value = Value::named(name);
        }
        Self {
            registers,
            memory: Vec::new(),
            loaded: Vec::new(),
            fresh: 16,
            narrow: false,
            without_marks: false,
            info: InstructionInfoFactory::new(),
        }
    }

    /// The same, but the values of interest are 32-bit integers.
    pub(super) fn narrow() -> Self {
        Self {
            narrow: true,
            ..Self::new()
        }
    }

    /// From here on, an address whose lowest bits are cleared is taken for the same value. (From 3.14 on they tell how a
    /// reference is counted.)
    pub(super) fn ignore_marks(&mut self) {
        self.without_marks = true;
    }

    /// The unknown that a register is before the first instruction.
    pub(super) fn initial(register: R) -> Value {
        Value::named(u32::try_from(register.number()).unwrap_or(u32::MAX))
    }

    /// The same knowledge, for the other side of a branch.
    pub(super) fn fork(&self) -> Self {
        Self {
            registers: self.registers,
            memory: self.memory.clone(),
            loaded: self.loaded.clone(),
            fresh: self.fresh,
            narrow: self.narrow,
            without_marks: self.without_marks,
            info: InstructionInfoFactory::new(),
        }
    }

    /// What a home holds before the first instruction.
    pub(super) fn enter(&mut self, home: Home, value: Value) {
        match home {
            Home::Register(register) => self.set(register, value),
            Home::Stack(base, offset) => {
                let place = Self::initial(base).plus(offset);
                self.memory.push((place, value));
            }
        }
    }

    /// The register or stack slot whose value was `name` before the first instruction.
    pub(super) fn home(&self, name: u32) -> Option<Home> {
        Self::initial_register(name)
            .map(Home::Register)
            .or_else(|| {
                let (place, _) = self.loaded.iter().find(|(_, value)| value.name == name)?;
                Self::stack_slot(*place, Self::initial)
            })
    }

    /// `place` as a slot of the stack, with what the bases hold.
    fn stack_slot(place: Value, base: impl Fn(R) -> Value) -> Option<Home> {
        let (stack, frame) = (base(R::RSP), base(R::RBP));
        if place.name == stack.name {
            return Some(Home::Stack(R::RSP, place.plus.wrapping_sub(stack.plus)));
        }
        let below = place.plus.wrapping_sub(frame.plus);
        (place.name == frame.name && below < 0).then_some(Home::Stack(R::RBP, below))
    }

    /// What a home holds now.
    pub(super) fn at_home(&self, home: Home) -> Option<Value> {
        match home {
            Home::Register(register) => self.get(register),
            Home::Stack(base, offset) => self.memory(Self::initial(base).plus(offset)),
        }
    }

    /// Where `value` is now: in a register, or else in a slot of the stack.
    pub(super) fn find(&self, value: Value) -> Option<Home> {
        let now = |r: R| self.get(r).unwrap_or(Value::named(u32::MAX));
        let in_memory = || {
            let mut places = self.memory.iter().filter(|(_, v)| *v == value);
            places.find_map(|(place, _)| Self::stack_slot(*place, now))
        };
        self.holders(value)
            .next()
            .map(Home::Register)
            .or_else(in_memory)
    }

    /// The slots of the stack that hold `value`.
    pub(super) fn slots(&self, value: Value) -> impl Iterator<Item = Home> + '_ {
        let now = |r: R| self.get(r).unwrap_or(Value::named(u32::MAX));
        let places = self.memory.iter().filter(move |(_, v)| *v == value);
        places.filter_map(move |(place, _)| Self::stack_slot(*place, now))
    }

    /// How far the stack pointer is below its value before the first instruction.
    pub(super) fn pushed(&self) -> Option<i64> {
        let stack = self.get(R::RSP)?;
        (stack.name == Self::initial(R::RSP).name).then_some(-stack.plus)
    }

    /// The register that was `name` before the first instruction.
    pub(super) fn initial_register(name: u32) -> Option<R> {
        BY_NUMBER.get(usize::try_from(name).ok()?).copied()
    }

    /// What a 64-bit register holds.
    pub(super) fn get(&self, register: R) -> Option<Value> {
        self.registers.get(slot(register.full_register())?).copied()
    }

    /// Says that `register` holds `value`.
    pub(super) fn set(&mut self, register: R, value: Value) {
        if let Some(place) = slot(register).and_then(|s| self.registers.get_mut(s)) {
            *place = value;
        }
    }

    /// What the memory at `place` holds, if it was stored or loaded in this run.
    pub(super) fn memory(&self, place: Value) -> Option<Value> {
        self.memory
            .iter()
            .find(|(p, _)| *p == place)
            .map(|&(_, v)| v)
    }

    /// Where `value` was loaded from, if it was in this run.
    pub(super) fn origin(&self, value: Value) -> Option<Value> {
        let loaded = self.loaded.iter().find(|(_, v)| *v == value);
        loaded.map(|&(place, _)| place)
    }

    /// The registers that hold `value`, frame-like ones (callee-saved) first.
    pub(super) fn holders(&self, value: Value) -> impl Iterator<Item = R> + '_ {
        SEARCH_ORDER
            .into_iter()
            .filter(move |&r| self.get(r) == Some(value))
    }

    /// Where the memory operand of `insn` is, when it is `[register + constant]`.
    pub(super) fn place(&self, insn: &Instruction) -> Option<Value> {
        if insn.memory_index() != R::None || insn.is_ip_rel_memory_operand() {
            return None;
        }
        let base = self.get(insn.memory_base())?;
        Some(base.plus(insn.memory_displacement64().cast_signed()))
    }

    /// Says that the memory relative to the unknown `name` may have changed.
    pub(super) fn forget_memory(&mut self, name: u32) {
        self.memory.retain(|(place, _)| place.name != name);
    }

    /// Executes `insn`.
    pub(super) fn step(&mut self, insn: &Instruction) {
        let effect = self.effect(insn);
        let written: Vec<R> = self
            .info
            .info(insn)
            .used_registers()
            .iter()
            .filter(|u| {
                use iced_x86::OpAccess as A;
                matches!(
                    u.access(),
                    A::Write | A::ReadWrite | A::CondWrite | A::ReadCondWrite
                )
            })
            .map(|u| u.register().full_register())
            .collect();
        for register in written {
            if register != R::RSP || insn.stack_pointer_increment() == 0 {
                self.forget(register);
            }
        }
        match insn.flow_control() {
            FlowControl::Call | FlowControl::IndirectCall => {
                for register in CALLER_SAVED {
                    self.forget(register);
                }
            }
            _ => {
                let moved = i64::from(insn.stack_pointer_increment());
                if let Some(stack) = self.get(R::RSP).filter(|_| moved != 0) {
                    self.set(R::RSP, stack.plus(moved));
                }
            }
        }
        match effect {
            Effect::Register(register, value) => self.set(register, value),
            Effect::Memory(place, value) => {
                self.memory.retain(|(p, _)| *p != place);
                self.memory.extend(value.map(|v| (place, v)));
            }
            Effect::Load(register, place) => {
                let value = self.get(register);
                self.memory.extend(value.map(|v| (place, v)));
                self.loaded.extend(value.map(|v| (place, v)));
            }
            Effect::Other => {}
        }
    }

    fn forget(&mut self, register: R) {
        let value = Value::named(self.fresh);
        if slot(register).is_some() {
            self.fresh = self.fresh.wrapping_add(1);
            self.set(register, value);
        }
    }

    /// What `insn` does to a followed place, judged before it is executed.
    fn effect(&self, insn: &Instruction) -> Effect {
        let register = insn.op0_register().full_register();
        let constant = || insn.try_immediate(insn.op_count().saturating_sub(1)).ok();
        let constant = || constant().map(u64::cast_signed);
        match insn.code() {
            code if !self.narrow && matches!(code, Code::Mov_rm32_r32 | Code::Mov_r32_rm32) => {
                self.other(insn)
            }
            Code::Mov_rm64_r64 | Code::Mov_r64_rm64 | Code::Mov_rm32_r32 | Code::Mov_r32_rm32
                if insn.op0_kind() == OpKind::Register =>
            {
                if insn.op1_kind() == OpKind::Register {
                    match self.get(insn.op1_register()) {
                        Some(value) => Effect::Register(register, value),
                        None => Effect::Other,
                    }
                } else if let Some(place) = self.place(insn) {
                    match self.memory(place) {
                        Some(value) => Effect::Register(register, value),
                        None => Effect::Load(register, place),
                    }
                } else {
                    Effect::Other
                }
            }
            Code::Mov_rm64_r64 | Code::Mov_rm32_r32 => match self.place(insn) {
                Some(place) => Effect::Memory(place, self.get(insn.op1_register())),
                None => Effect::Other,
            },
            Code::And_rm64_imm8
                if self.without_marks
                    && insn.op0_kind() == OpKind::Register
                    && insn.immediate8to64() >= -MARKS =>
            {
                match self.get(register) {
                    Some(value) => Effect::Register(register, value),
                    None => Effect::Other,
                }
            }
            Code::Lea_r64_m => match self.place(insn) {
                Some(value) => Effect::Register(register, value),
                None => Effect::Other,
            },
            Code::Add_rm64_imm8
            | Code::Add_rm64_imm32
            | Code::Sub_rm64_imm8
            | Code::Sub_rm64_imm32 => {
                let sign = if insn.mnemonic() == Mnemonic::Sub {
                    -1
                } else {
                    1
                };
                let n = constant().map(|n| n.wrapping_mul(sign));
                if insn.op0_kind() == OpKind::Register {
                    match self.get(register).zip(n) {
                        Some((value, n)) => Effect::Register(register, value.plus(n)),
                        None => Effect::Other,
                    }
                } else if let Some(place) = self.place(insn) {
                    let value = self.memory(place).zip(n).map(|(v, n)| v.plus(n));
                    Effect::Memory(place, value)
                } else {
                    Effect::Other
                }
            }
            _ => self.other(insn),
        }
    }

    /// What an instruction does that is not followed: it may overwrite a followed place.
    fn other(&self, insn: &Instruction) -> Effect {
        let writes_memory = insn.op0_kind() == OpKind::Memory
            && insn.memory_size() != MemorySize::Unknown
            && !matches!(
                insn.mnemonic(),
                Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push
            );
        match self.place(insn) {
            Some(place) if writes_memory => Effect::Memory(place, None),
            _ => Effect::Other,
        }
    }
}

/// An object's address is a multiple of this.
const MARKS: i64 = 8;

enum Effect {
    Register(R, Value),
    Memory(Value, Option<Value>),
    Load(R, Value),
    Other,
}

const BY_NUMBER: [R; 16] = [
    R::RAX,
    R::RCX,
    R::RDX,
    R::RBX,
    R::RSP,
    R::RBP,
    R::RSI,
    R::RDI,
    R::R8,
    R::R9,
    R::R10,
    R::R11,
    R::R12,
    R::R13,
    R::R14,
    R::R15,
];

const CALLER_SAVED: [R; 9] = [
    R::RAX,
    R::RCX,
    R::RDX,
    R::RSI,
    R::RDI,
    R::R8,
    R::R9,
    R::R10,
    R::R11,
];

const SEARCH_ORDER: [R; 15] = [
    R::RBX,
    R::RBP,
    R::R12,
    R::R13,
    R::R14,
    R::R15,
    R::RSI,
    R::RDI,
    R::RAX,
    R::RCX,
    R::RDX,
    R::R8,
    R::R9,
    R::R10,
    R::R11,
];

/// The index of a 64-bit general register.
fn slot(register: R) -> Option<usize> {
    (register.is_gpr64()).then(|| register.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_emulates() {
        for (bytes, expected) in [
            (&[0x55][..], Some(Emulated::Push)),
            (&[0x41, 0x57], Some(Emulated::Push)),
            (&[0x40, 0x55], None),
            (&[0xff, 0x75, 0x08], None),
            (&[0x90], Some(Emulated::Nop)),
            (&[0x66, 0x90], None),
            (&[0x41, 0x90], None),
            (&[0x0f, 0x1f, 0x00], None),
            (&[0xf3, 0x0f, 0x1e, 0xfa], None),
            (&[0xe8, 0, 0, 0, 0], Some(Emulated::Call)),
            (&[0x66, 0xe8, 0, 0], None),
            (&[0xff, 0xe0], None),
            (&[0xf2, 0xe9, 0, 0, 0, 0], None),
            (&[0xeb, 0x10], Some(Emulated::Jump)),
            (&[0x74, 0x10], Some(Emulated::Branch)),
            (&[0x0f, 0x84, 0, 0, 0, 0], Some(Emulated::Branch)),
            (&[0xc3], None),
            (&[0xe3, 0x00], None),
        ] {
            assert_eq!(Emulated::of(bytes), expected, "{bytes:x?}");
        }
    }
}
