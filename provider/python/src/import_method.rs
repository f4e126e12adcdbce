//! The method's name in an interpreter's file, and the calls that get it as an argument.
//!
//! From 3.11 on `_find_and_load` is a `str` inside of `_PyRuntime`; before, the text of a
//! `_Py_Identifier`, a structure of its own. The code gets the address in one of these ways:
//!
//! ```text
//!     lea  0x1a7246(%rip), %rsi
//!     mov  $0xa637c8, %esi                    in a program that is not relocated
//!     mov  _PyRuntime@GOT(%rip), %rax;  lea  0xb450(%rax), %rsi
//!     mov  $0x8998, %esi;  add  _PyRuntime@GOT(%rip), %rsi
//! ```
//!
//! In each, the address, the distance to it or its distance from `_PyRuntime` is the last 32-bit
//! field of an instruction: a *load*. From there the address is followed to the calls.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::HashSet;

use iced_x86::{Code, FlowControl, Instruction, OpKind, Register as R};
use regex::bytes::Regex;

use super::code::{State, Value, decode};
use super::image::Image;
use super::offsets::StringOffsets;

/// The text that names the method.
const METHOD: &str = "_find_and_load";

/// One or a few are found in real files; looking at each takes time.
const MOST: usize = 64;

/// What names the method: the addresses that the call may have as its second argument.
#[derive(Debug)]
pub(super) struct Methods {
    addresses: Vec<u64>,
    /// Where `_PyRuntime` is, if the method is in there: shared builds have the address from the
    /// dynamic linker and add a constant.
    base: Option<u64>,
}

impl Methods {
    pub(super) fn of(image: &Image<'_>, minor: u8, string: &StringOffsets) -> Result<Self, String> {
        let text = Regex::new(&format!(r"(?-u){METHOD}\x00")).map_err(|e| e.to_string())?;
        let methods = if minor >= 11 {
            Self::in_runtime(image, &text, string)?
        } else {
            // struct { next; string; object; }, from 3.10 on struct { string; index; }
            let before = if minor >= 10 { 0 } else { 8 };
            let texts = image.find_all(&text).into_iter().take(MOST);
            let pointers = texts.flat_map(|text| image.pointers_to(text));
            Self {
                addresses: pointers.filter_map(|p| p.checked_sub(before)).collect(),
                base: None,
            }
        };
        if methods.addresses.is_empty() {
            return Err("the name _find_and_load is not where the interpreter keeps it".to_owned());
        }
        if methods.addresses.len() > MOST {
            return Err("the name _find_and_load is in too many places".to_owned());
        }
        Ok(methods)
    }

    fn in_runtime(image: &Image<'_>, text: &Regex, string: &StringOffsets) -> Result<Self, String> {
        let runtime = image.symbol("_PyRuntime");
        let runtime = runtime.ok_or("_PyRuntime is not exported")?;
        let bytes = image.bytes_at(runtime.address).unwrap_or(&[]);
        let size = usize::try_from(runtime.size).map_or(bytes.len(), |n| n.min(bytes.len()));
        let bytes = bytes.get(..size).unwrap_or(&[]);
        let object = |text: usize| {
            let text = runtime.address.checked_add(u64::try_from(text).ok()?)?;
            let address = text.checked_sub(u64::from(string.ascii_data))?;
            let length = image.word(address.checked_add(u64::from(string.length))?)?;
            (address >= runtime.address && length == METHOD.len() as u64).then_some(address)
        };
        let texts = text.find_iter(bytes).map(|found| found.start());
        Ok(Self {
            addresses: texts.filter_map(object).collect(),
            base: Some(runtime.address),
        })
    }

    /// The instructions that may put one of the addresses into a register. Some may be chance.
    pub(super) fn references(&self, image: &Image<'_>) -> Result<Vec<Reference>, String> {
        let mut found = Vec::new();
        for &method in &self.addresses {
            for (start, bytes) in image.code() {
                for end in self.fields(method, start, bytes) {
                    let loads = loads_ending_at(image, end);
                    found.push(Reference { loads, method });
                }
            }
        }
        found.retain(|reference| !reference.loads.is_empty());
        if found.len() > MOST {
            return Err("too much code may refer to the name _find_and_load".to_owned());
        }
        Ok(found)
    }

    /// The ends of the 32-bit fields that may stand for the method's address: the distance from
    /// there, the address itself, or the distance from the base.
    fn fields(&self, method: u64, start: u64, bytes: &[u8]) -> Vec<u64> {
        let in_base = self.base.and_then(|base| method.checked_sub(base));
        let [address, in_base] =
            [Some(method), in_base].map(|constant| u32::try_from(constant?).ok());
        let mut ends = Vec::new();
        for (shift, mut end) in (0..4).zip(start.saturating_add(4)..) {
            let fields = bytes.get(shift..).unwrap_or(&[]).as_chunks::<4>().0;
            for block in fields.chunks(BLOCK) {
                let first = low(method.wrapping_sub(end));
                let stands = |n: u32, field: &[u8; 4]| {
                    let field = u32::from_le_bytes(*field);
                    field == first.wrapping_sub(4 * n)
                        || Some(field) == address
                        || Some(field) == in_base
                };
                let numbered = || (0..).zip(block);
                if numbered().fold(false, |any, (n, field)| any | stands(n, field)) {
                    let here = numbered().filter(|(n, field)| stands(*n, field));
                    ends.extend(here.map(|(n, _)| end.saturating_add(4 * u64::from(n))));
                }
                end = end.saturating_add(4 * BLOCK as u64);
            }
        }
        ends.sort_unstable();
        ends
    }
}

/// How many fields are looked at together, without a jump for each: millions are, in vain.
const BLOCK: usize = 64;

/// The low half of a word.
fn low(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A place that may be an instruction that puts the address of a method into a register.
#[derive(Debug)]
pub(super) struct Reference {
    /// Where the instruction may start: what looks like its prefix may belong to the one before.
    loads: Vec<u64>,
    method: u64,
}

/// The instructions that make an address of the 32-bit field at their end.
fn loads_ending_at(image: &Image<'_>, end: u64) -> Vec<u64> {
    let makes_address = |insn: &Instruction| {
        insn.next_ip() == end
            && insn.op0_kind() == OpKind::Register
            && matches!(
                insn.code(),
                Code::Lea_r64_m
                    | Code::Mov_r32_imm32
                    | Code::Mov_rm64_imm32
                    | Code::Add_rm64_imm32
                    | Code::Add_RAX_imm32
            )
    };
    // An opcode with prefix and operand bytes: 1 to 4.
    let starts = (1..=4).filter_map(|n| end.checked_sub(4 + n));
    let loads = starts.filter_map(|at| decode(image, at).filter(makes_address));
    loads.map(|insn| insn.ip()).collect()
}

/// A call with a method as its second argument.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) insn: Instruction,
    pub(super) method: u64,
    /// Whether the fifth argument is known to be zero, the end of the list.
    pub(super) is_last_null: bool,
}

impl Call {
    /// The function that is called, or where its address is.
    pub(super) fn callee(&self) -> u64 {
        match self.insn.flow_control() {
            FlowControl::Call => self.insn.near_branch_target(),
            _ => self.insn.memory_displacement64(),
        }
    }
}

impl Reference {
    /// The instruction, if `is_code` says of one that it is.
    pub(super) fn load_in(&self, mut is_code: impl FnMut(u64) -> bool) -> Option<u64> {
        self.loads.iter().copied().find(|&load| is_code(load))
    }

    /// The calls, if the reference is code at all.
    pub(super) fn likely_calls(&self, image: &Image<'_>) -> Vec<Call> {
        let loads = self.loads.iter();
        loads
            .flat_map(|&load| self.calls(image, load, load))
            .collect()
    }

    /// The calls that get the method as their second argument: on all paths from `start`, which leads
    /// straight to the `load`, as long as the address is kept.
    pub(super) fn calls(&self, image: &Image<'_>, load: u64, start: u64) -> Vec<Call> {
        let method = known(self.method);
        let mut calls = Vec::new();
        let mut seen: HashSet<u64> = HashSet::new();
        let mut todo = vec![(start, State::new(), Vec::new())];
        while let Some((start, mut state, mut wanted)) = todo.pop() {
            let mut next = Some(start);
            while let Some(address) = next.filter(|&a| seen.len() < PATHS_LIMIT && seen.insert(a)) {
                let Some(insn) = decode(image, address) else {
                    break;
                };
                let flow = insn.flow_control();
                let is_call = matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
                if is_call && state.get(R::RSI) == Some(method) {
                    calls.push(Call {
                        insn,
                        method: self.method,
                        is_last_null: state.get(R::R8) == Some(known(0)),
                    });
                    break;
                }
                step(image, &mut state, &insn);
                if address == load {
                    // A part of the address, or the whole, even if what it is added to is not known.
                    let part = immediate(&insn).unwrap_or(method);
                    state.set(insn.op0_register().full_register(), part);
                    wanted = vec![method, part];
                }
                if !wanted.is_empty() && wanted.iter().all(|&value| state.find(value).is_none()) {
                    break;
                }
                next = match flow {
                    FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                        Some(insn.next_ip())
                    }
                    FlowControl::ConditionalBranch => {
                        todo.push((insn.near_branch_target(), state.fork(), wanted.clone()));
                        Some(insn.next_ip())
                    }
                    FlowControl::UnconditionalBranch => Some(insn.near_branch_target()),
                    _ => None,
                };
            }
        }
        calls
    }
}

const PATHS_LIMIT: usize = 400;

/// A value that is no unknown.
fn known(value: u64) -> Value {
    Value {
        name: KNOWN,
        plus: value.cast_signed(),
    }
}

const KNOWN: u32 = u32::MAX - 1;

/// Executes `insn`, with what it makes of values that are known.
fn step(image: &Image<'_>, state: &mut State, insn: &Instruction) {
    let register = insn.op0_register().full_register();
    let value = if clears(insn) {
        Some(known(0))
    } else if insn.code() == Code::Add_r64_rm64 && insn.is_ip_rel_memory_operand() {
        let added = image.pointer_at(insn.ip_rel_memory_address());
        let before = state.get(register).filter(|value| value.name == KNOWN);
        before
            .zip(added)
            .map(|(value, n)| value.plus(n.cast_signed()))
    } else {
        immediate(insn)
    };
    state.step(insn);
    if let Some(value) = value {
        state.set(register, value);
    }
}

/// The constant that an instruction moves to a register.
fn immediate(insn: &Instruction) -> Option<Value> {
    let moves = matches!(insn.code(), Code::Mov_r32_imm32 | Code::Mov_rm64_imm32)
        && insn.op0_kind() == OpKind::Register;
    moves.then(|| insn.try_immediate(1).ok().map(known))?
}

/// Whether an instruction sets a register to zero.
fn clears(insn: &Instruction) -> bool {
    matches!(insn.code(), Code::Xor_rm32_r32 | Code::Xor_r32_rm32)
        && insn.op0_kind() == OpKind::Register
        && insn.op0_register() == insn.op1_register()
}
