//! Imports: the call by which the interpreter looks for a module.
//!
//! The markers `import-find-load-start(name)` and `import-find-load-done(name, found)` enclose one
//! statement of CPython, the same since 3.6 but for the function's name:
//!
//! ```text
//!     mod = PyObject_CallMethodObjArgs(interp->importlib, &_Py_ID(_find_and_load), abs_name,
//!                                      interp->import_func, NULL);
//!
//!     mov  0x1e10(%r15), %rcx         import_func
//!     xor  %r8d, %r8d                 NULL
//!     mov  %r13, %rdx                 abs_name
//!     mov  0x1df8(%r15), %rdi         importlib
//!     lea  0xb450(%rax), %rsi         the name of the method
//!     xor  %eax, %eax
//!     call PyObject_CallMethodObjArgs       <---- import-find-load-start
//!     mov  %rax, %r14                 the module, or NULL
//!     test %r14, %r14
//!     jne  ...                        <---- import-find-load-done
//! ```
//!
//! It is executed for each module that is not in `sys.modules`. What leads to it is the method's
//! name, `_find_and_load`. From 3.11 on that is a `str` inside of `_PyRuntime`; before, a
//! `_Py_Identifier`, a structure that points to the text. The code that has the address of one of
//! them in the second argument's register at a call is the statement: no compiler can do away
//! with the call, since the function takes variable arguments.
//!
//! There are two such calls in most builds, one of them for `-X importtime`. The probe of
//! import-find-load-done may be on an instruction that other paths lead to as well, so it counts only
//! after a start in the same activation of the function, which the thread and the stack pointer
//! name.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use iced_x86::{Code, FlowControl, Instruction, OpKind, Register as R};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::code::{State, Value, decode, emulated, straight};
use super::flow::reachable;
use super::image::Image;
use super::offsets::StringOffsets;
use super::site::{Execution, Location};
use super::unwind::Functions;
use crate::probe::Register;

/// Where imports are seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imports {
    /// The sites.
    pub sites: Vec<ImportSite>,
    /// There are calls of which it is not certain what they are: some imports may not be seen.
    pub partial: bool,
}

/// One call, and what comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSite {
    /// Where the call is in the file. Its third argument is the module's name, a `str`.
    pub start_offset: u64,
    /// The call's virtual address as linked.
    pub start_address: u64,
    /// How the kernel executes the call.
    pub start_execution: Execution,
    /// The call's second argument, an address as linked.
    pub method: u64,
    /// Where the instruction at which the import is done is in the file.
    pub done_offset: u64,
    /// Its virtual address as linked.
    pub done_address: u64,
    /// How the kernel executes it.
    pub done_execution: Execution,
    /// Holds the module there, zero if it was not found.
    pub module: Location,
    /// What to add to the stack pointer there to get its value at the call.
    pub stack: i64,
}

impl ImportSite {
    /// Holds the module's name at the call, as every third argument: `%rdx`.
    pub const NAME: Register = Register(96);
    /// Holds the call's second argument there: `%rsi`.
    pub const METHOD: Register = Register(104);
}

/// The text that names the method.
const METHOD: &str = "_find_and_load";

/// The function that the statement is in, or in one that it calls.
const FUNCTION: &str = "PyImport_ImportModuleLevelObject";

/// Finds the calls in 3.`minor`; the error says what was missing.
pub(super) fn find(
    image: &Image<'_>,
    minor: u8,
    string: &StringOffsets,
) -> Result<Imports, String> {
    let methods = Methods::of(image, minor, string)?;
    let start = image.symbol(FUNCTION);
    let start = start.ok_or_else(|| format!("{FUNCTION} is not exported"))?;
    let mut code = KnownCode::new(image, start.address);
    let mut found = Vec::new();
    let mut partial = false;
    for reference in methods.references(image) {
        let in_call = |&load: &u64| !calls(image, &reference, load, load).is_empty();
        if !reference.loads.iter().any(in_call) {
            continue; // the name is used for something else
        }
        let Some(&load) = reference.loads.iter().find(|&&load| code.has(load)) else {
            partial = true;
            continue;
        };
        // Once more from before the instruction, to know all arguments.
        found.extend(calls(image, &reference, load, code.block_start(load)));
    }
    let (imports, others): (Vec<Call>, Vec<Call>) =
        found.into_iter().partition(|call| call.is_last_null);
    // Other functions get the name, too: it is interned. But this one gets it in imports only.
    let callees: HashSet<u64> = imports.iter().map(Call::callee).collect();
    partial |= others.iter().any(|call| callees.contains(&call.callee()));
    let mut sites = Vec::new();
    for call in imports {
        let site = site(image, &call)?;
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    if sites.is_empty() {
        return Err("the call of _find_and_load was not found by the method's name".to_owned());
    }
    agree(&sites)?;
    Ok(Imports { sites, partial })
}

/// Sees to it that a place of done means the same whichever call it belongs to.
fn agree(sites: &[ImportSite]) -> Result<(), String> {
    let contradict = |a: &ImportSite, b: &ImportSite| {
        a.done_address == b.done_address && (a.module, a.stack) != (b.module, b.stack)
    };
    let mut pairs = sites.iter().flat_map(|a| sites.iter().map(move |b| (a, b)));
    if pairs.any(|(a, b)| contradict(a, b)) {
        return Err("two imports end at one instruction, in different ways".to_owned());
    }
    Ok(())
}

/// The site of a call.
fn site(image: &Image<'_>, call: &Call) -> Result<ImportSite, String> {
    let missing = || "there is no place for a probe after the call of _find_and_load".to_owned();
    let offset = |address| image.file_offset(address).ok_or_else(missing);
    let done = done(image, &call.insn).ok_or_else(missing)?;
    Ok(ImportSite {
        start_offset: offset(call.insn.ip())?,
        start_address: call.insn.ip(),
        start_execution: execution(image, &call.insn),
        method: call.method,
        done_offset: offset(done.insn.ip())?,
        done_address: done.insn.ip(),
        done_execution: execution(image, &done.insn),
        module: done.module,
        stack: done.stack,
    })
}

/// Imports are rare, so what the kernel cannot emulate may be single-stepped.
fn execution(image: &Image<'_>, insn: &Instruction) -> Execution {
    emulated(image, insn).map_or(Execution::Stepped, Execution::Emulated)
}

struct Done {
    insn: Instruction,
    module: Location,
    stack: i64,
}

/// The first emulated instruction after the call at which the result is still known; if there is
/// none on the straight path, the very next instruction.
fn done(image: &Image<'_>, call: &Instruction) -> Option<Done> {
    let mut state = State::new();
    state.step(call);
    let module = state.get(R::RAX)?;
    let at = |insn: Instruction, state: &State| {
        Some(Done {
            insn,
            module: Location::of(state.find(module)?)?,
            stack: state.pushed()?,
        })
    };
    let first = at(decode(image, call.next_ip())?, &state)?;
    for insn in straight(image, call.next_ip(), DONE_LIMIT) {
        if emulated(image, &insn).is_some() {
            return Some(at(insn, &state).unwrap_or(first));
        }
        if insn.flow_control() != FlowControl::Next {
            break;
        }
        state.step(&insn);
    }
    Some(first)
}

const DONE_LIMIT: usize = 24;

/// What names the method: the addresses that the call may have as its second argument.
#[derive(Debug)]
struct Methods {
    addresses: Vec<u64>,
    /// Where `_PyRuntime` is, if the method is in there: shared builds have the address from the
    /// dynamic linker and add a constant.
    base: Option<u64>,
}

impl Methods {
    fn of(image: &Image<'_>, minor: u8, string: &StringOffsets) -> Result<Self, String> {
        let text = Regex::new(&format!(r"(?-u){METHOD}\x00")).map_err(|e| e.to_string())?;
        let texts = image.find_all(&text);
        let methods = if minor >= 11 {
            let runtime = image.symbol("_PyRuntime");
            let runtime = runtime.ok_or("_PyRuntime is not exported")?;
            let object = |text: u64| {
                let address = text.checked_sub(u64::from(string.ascii_data))?;
                let inside = address.checked_sub(runtime.address)? < runtime.size;
                let length = image.word(address.checked_add(u64::from(string.length))?)?;
                (inside && length == METHOD.len() as u64).then_some(address)
            };
            Self {
                addresses: texts.into_iter().filter_map(object).collect(),
                base: Some(runtime.address),
            }
        } else {
            // struct { next; string; object; }, from 3.10 on struct { string; index; }
            let before = if minor >= 10 { 0 } else { 8 };
            let pointers = texts.into_iter().flat_map(|text| image.pointers_to(text));
            Self {
                addresses: pointers.filter_map(|p| p.checked_sub(before)).collect(),
                base: None,
            }
        };
        if methods.addresses.is_empty() {
            return Err("the name _find_and_load is not where the interpreter keeps it".to_owned());
        }
        Ok(methods)
    }

    /// The instructions that may put one of the addresses into a register. Some may be chance.
    fn references(&self, image: &Image<'_>) -> Vec<Reference> {
        // What the field of an instruction is: the distance from its end, the address, or the
        // distance from the base.
        let fields: Vec<(u64, Option<u32>, Option<u32>)> = self
            .addresses
            .iter()
            .map(|&method| {
                let in_base = self.base.and_then(|base| method.checked_sub(base));
                let narrow = |n: u64| u32::try_from(n).ok();
                (method, narrow(method), in_base.and_then(narrow))
            })
            .collect();
        let mut found = Vec::new();
        for (start, bytes) in image.code() {
            for (window, end) in bytes.windows(4).zip(start.saturating_add(4)..) {
                let Some(&field) = window.first_chunk::<4>() else {
                    continue;
                };
                let relative = end.wrapping_add_signed(i64::from(i32::from_le_bytes(field)));
                let field = Some(u32::from_le_bytes(field));
                for &(method, address, in_base) in &fields {
                    if relative == method || field == address || field == in_base {
                        found.push(Reference {
                            loads: loads_ending_at(image, end),
                            method,
                        });
                    }
                }
            }
        }
        found.retain(|reference| !reference.loads.is_empty());
        found
    }
}

/// A place that may be an instruction that puts the address of a method into a register.
#[derive(Debug)]
struct Reference {
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

/// The code that is certain to be code: reached from the start of a function.
struct KnownCode<'i, 'd> {
    image: &'i Image<'d>,
    bodies: Vec<BTreeMap<u64, Instruction>>,
    /// The functions that the first body calls and that were not looked into yet.
    callees: BTreeSet<u64>,
}

impl<'i, 'd> KnownCode<'i, 'd> {
    fn new(image: &'i Image<'d>, start: u64) -> Self {
        let body = reachable(image, [start], BODY_LIMIT);
        let is_call = |insn: &&Instruction| insn.is_call_near();
        let callees = body.values().filter(is_call);
        Self {
            image,
            callees: callees.map(Instruction::near_branch_target).collect(),
            bodies: vec![body],
        }
    }

    /// Whether there is an instruction at `address`.
    fn has(&mut self, address: u64) -> bool {
        let known = |bodies: &[BTreeMap<u64, Instruction>]| {
            bodies.iter().any(|body| body.contains_key(&address))
        };
        if known(&self.bodies) {
            return true;
        }
        // Functions that are split in two have their second parts elsewhere; most are not.
        if let Some(&nearest) = self.callees.range(..=address).next_back() {
            self.callees.remove(&nearest);
            self.bodies
                .push(reachable(self.image, [nearest], BODY_LIMIT));
        }
        if !known(&self.bodies) {
            self.bodies.extend(self.sweep(address));
        }
        known(&self.bodies)
    }

    /// The function, or part of one, around `address`, by the unwind tables: one instruction after
    /// the other. (There is no data between functions' instructions on x86-64.)
    fn sweep(&self, address: u64) -> Option<BTreeMap<u64, Instruction>> {
        let part = Functions::of(self.image)?.around(address)?;
        let mut body = BTreeMap::new();
        let mut at = part.start;
        while at < part.end && body.len() < BODY_LIMIT {
            let insn = decode(self.image, at)?;
            body.insert(at, insn);
            at = insn.next_ip();
        }
        Some(body)
    }

    /// Where the straight run of instructions before the one at `address` begins.
    fn block_start(&self, address: u64) -> u64 {
        let mut bodies = self.bodies.iter();
        let Some(body) = bodies.find(|body| body.contains_key(&address)) else {
            return address;
        };
        let before = body.range(..address).rev().map(|(_, insn)| insn);
        before
            .take(BLOCK_LIMIT)
            .scan(address, |next, insn| {
                let leads_on = insn.flow_control() == FlowControl::Next && insn.next_ip() == *next;
                *next = insn.ip();
                leads_on.then_some(insn.ip())
            })
            .last()
            .unwrap_or(address)
    }
}

const BODY_LIMIT: usize = 20_000;
const BLOCK_LIMIT: usize = 16;

/// A call with a method as its second argument.
struct Call {
    insn: Instruction,
    method: u64,
    /// Whether the fifth argument is known to be zero, the end of the list.
    is_last_null: bool,
}

impl Call {
    /// The function that is called, or where its address is.
    fn callee(&self) -> u64 {
        match self.insn.flow_control() {
            FlowControl::Call => self.insn.near_branch_target(),
            _ => self.insn.memory_displacement64(),
        }
    }
}

/// The calls that get the method of a reference as their second argument: on all paths from
/// `start`, which leads straight to the `load`, as long as the address is kept.
fn calls(image: &Image<'_>, reference: &Reference, load: u64, start: u64) -> Vec<Call> {
    let method = known(reference.method);
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
                    method: reference.method,
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
