//! CPython 3.6 to 3.10: probes at the start and the end of the interpreter function.
//!
//! There, every Python call is a C call of `_PyEval_EvalFrameDefault`, generators included:
//!
//! ```text
//!     if (Py_EnterRecursiveCall(...)) return NULL;    a call that is too deep never starts
//!     tstate->frame = f;                              entry: the next jump
//!     ...                                             the loop
//!   exit_eval_frame:
//!     tstate->frame = f->f_back;
//!     return _Py_CheckFunctionResult(...);            exit: this call
//! ```
//!
//! Every activation passes both, once. That both are in the same one is seen from the stack
//! pointer at the function's first instruction: at the entry site it follows from the pushes
//! before, at the exit site from the epilogue after the call, and the two must agree.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::BTreeMap;

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, OpKind, Register as R};

use super::caught::{self, CaughtSite};
use super::code::{Home, State, Value, branch_target, emulated, plt_name, straight};
use super::flow::reachable;
use super::image::Image;
use super::refusal::Refusal;
use super::site::{Event, Execution, InstructionPointer, Location, Site};

/// The interpreter function.
const EVAL: &str = "_PyEval_EvalFrameDefault";

/// `frame` in `PyThreadState`.
pub(super) const TSTATE_FRAME: i64 = 24;

/// `f_back` in `PyFrameObject`.
const F_BACK: u64 = 24;

/// How many instructions the entry's path and the exit's epilogue may have.
const PATH_LIMIT: usize = 120;
const EPILOGUE_LIMIT: usize = 16;
const FUNCTION_LIMIT: usize = 100_000;

/// What is found in the interpreter function.
pub(super) struct Found {
    pub(super) sites: Vec<Site>,
    pub(super) caught: Result<Vec<CaughtSite>, String>,
}

/// Finds the sites in 3.`minor`.
pub(super) fn sites(image: &Image<'_>, minor: u8) -> Result<Found, Refusal> {
    let Function {
        entry, code, exits, ..
    } = function(image, minor)?;
    let site = |insn: &Instruction, event| {
        let kind = emulated(image, insn)?;
        Some(Site {
            file_offset: image.file_offset(insn.ip())?,
            address: insn.ip(),
            event,
            execution: Execution::Emulated(kind),
            frame: Location::of(Home::Register(entry.register))?,
            instruction: InstructionPointer::LastIndex,
            opcodes: Vec::new(),
            condition: None,
        })
    };
    let sites = std::iter::once((&entry.insn, Event::Entry))
        .chain(exits.iter().map(|insn| (insn, Event::Exit)))
        .map(|(insn, event)| site(insn, event).ok_or_else(|| missing(EVAL, "no place for a probe")))
        .collect::<Result<_, _>>()?;
    Ok(Found {
        sites,
        caught: caught::in_calls(image, &code, entry.register),
    })
}

/// The interpreter function.
pub(super) struct Function {
    pub(super) start: u64,
    /// All instructions that are reached in it, and perhaps in others.
    pub(super) code: BTreeMap<u64, Instruction>,
    pub(super) entry: Entry,
    /// The calls that it ends with.
    pub(super) exits: Vec<Instruction>,
}

/// Finds it in 3.`minor`.
pub(super) fn function(image: &Image<'_>, minor: u8) -> Result<Function, Refusal> {
    let start = image
        .symbol(EVAL)
        .ok_or_else(|| missing(EVAL, "it is not exported"))?
        .address;
    let entry = entry(image, start, minor)?;
    let code = reachable(
        image,
        std::iter::once(start).chain(handlers(image)),
        FUNCTION_LIMIT,
    );
    let exits = exits(image, &code, entry.register, entry.stack)?;
    Ok(Function {
        start,
        code,
        entry,
        exits,
    })
}

pub(super) struct Entry {
    insn: Instruction,
    /// Holds the frame.
    pub(super) register: R,
    /// The instruction behind the store.
    pub(super) linked: u64,
    /// What to add to the stack pointer to get its value at the function's first instruction.
    stack: i64,
}

/// The first emulated instruction after `tstate->frame = f`.
fn entry(image: &Image<'_>, start: u64, minor: u8) -> Result<Entry, Refusal> {
    let what = "the entry of a function";
    // The thread state became the first argument in 3.9.
    let frame = State::initial(if minor >= 9 { R::RSI } else { R::RDI });
    let mut state = State::new();
    let mut started = None;
    for insn in straight(image, start, PATH_LIMIT) {
        if let Some(linked) = started
            && emulated(image, &insn).is_some()
            && insn.mnemonic() != Mnemonic::Push
        {
            let register = state
                .holders(frame)
                .find(|r| CALLEE_SAVED.contains(r))
                .ok_or_else(|| missing(what, "the frame is lost before a place for a probe"))?;
            let stack = state.pushed();
            let stack = stack.ok_or_else(|| missing(what, "the stack pointer is lost"))?;
            return Ok(Entry {
                insn,
                register,
                linked,
                stack,
            });
        }
        if started.is_none() && stores_frame(&state, &insn, frame) {
            started = Some(insn.next_ip());
        }
        state.step(&insn);
    }
    Err(missing(
        what,
        "the store of the frame in the thread's state was not found",
    ))
}

/// `mov [tstate + 24], frame`.
fn stores_frame(state: &State, insn: &Instruction, frame: Value) -> bool {
    insn.code() == Code::Mov_rm64_r64
        && insn.op0_kind() == OpKind::Memory
        && insn.memory_base() != R::RSP
        && state.get(insn.op1_register()) == Some(frame)
        && state
            .place(insn)
            .is_some_and(|p| p.plus == TSTATE_FRAME && p.name != frame.name)
}

/// The calls of `_Py_CheckFunctionResult` that the function ends with.
fn exits(
    image: &Image<'_>,
    code: &BTreeMap<u64, Instruction>,
    frame: R,
    stack: i64,
) -> Result<Vec<Instruction>, Refusal> {
    let what = "the end of a function";
    let checker = "_Py_CheckFunctionResult";
    let target = image.symbol(checker).map(|s| s.address);
    let is_check = |insn: &&Instruction| {
        insn.flow_control() == FlowControl::Call
            && (Some(branch_target(image, insn)) == target
                || plt_name(image, insn.near_branch_target()) == Some(checker))
    };
    let mut found = Vec::new();
    for call in code.values().filter(is_check) {
        if !is_epilogue(image, call.next_ip(), stack) {
            continue;
        }
        // tstate->frame = f->f_back, with the frame still in its register.
        if before(code, call).all(|insn| reads_back(insn, frame).is_none()) {
            return Err(missing(what, "the frame is not in its register there"));
        }
        found.push(*call);
    }
    match found.len() {
        0 => Err(missing(
            what,
            "no call of _Py_CheckFunctionResult is followed by the epilogue",
        )),
        _ => Ok(found),
    }
}

/// What stands before an exit call, where `f->f_back` is read and stored.
pub(super) fn before<'c>(
    code: &'c BTreeMap<u64, Instruction>,
    call: &Instruction,
) -> impl DoubleEndedIterator<Item = &'c Instruction> {
    let range = call.ip().saturating_sub(BEFORE)..call.ip();
    code.range(range).map(|(_, insn)| insn)
}

/// The register that an instruction loads the frame's `f_back` to.
pub(super) fn reads_back(insn: &Instruction, frame: R) -> Option<R> {
    let reads = insn.code() == Code::Mov_r64_rm64
        && insn.memory_base() == frame
        && insn.memory_displacement64() == F_BACK;
    reads.then(|| insn.op0_register())
}

/// How many bytes before the exit call `f->f_back` is read.
const BEFORE: u64 = 96;

/// The handlers of the loop, through which all of the function is reached. Before 3.11, too, the
/// table of computed gotos is a run of 256 code addresses; any such run will do here, since only
/// what looks like the end of this function is taken from it.
pub(super) fn handlers(image: &Image<'_>) -> Vec<u64> {
    let words = image.words();
    words
        .chunk_by(|a, b| b.0 == a.0.wrapping_add(8))
        .filter(|run| run.len() >= super::table::OPCODES)
        .flatten()
        .map(|&(_, target)| target)
        .collect()
}

/// Whether the code at `address` does nothing but leave a function that has moved the stack
/// pointer by `stack`. It may check the stack protector's canary. In code that keeps a frame
/// pointer, that is 8 below the stack pointer at the function's first instruction.
fn is_epilogue(image: &Image<'_>, address: u64, stack: i64) -> bool {
    let ends = [
        State::initial(R::RSP).plus(stack),
        State::initial(R::RBP).plus(8),
    ];
    let mut state = State::new();
    for insn in straight(image, address, EPILOGUE_LIMIT) {
        let is_canary =
            insn.segment_prefix() == R::FS || matches!(insn.memory_base(), R::RSP | R::RBP);
        match insn.code() {
            Code::Retnq => return state.get(R::RSP).is_some_and(|end| ends.contains(&end)),
            Code::Pop_r64 => {}
            Code::Lea_r64_m if insn.op0_register() == R::RSP && insn.memory_base() == R::RBP => {}
            Code::Add_rm64_imm8 | Code::Add_rm64_imm32 if insn.op0_register() == R::RSP => {}
            Code::Mov_r64_rm64 | Code::Sub_r64_rm64 | Code::Xor_r64_rm64 | Code::Cmp_r64_rm64
                if is_canary && insn.op0_register() != R::RAX => {}
            _ => match insn.flow_control() {
                FlowControl::UnconditionalBranch => {}
                FlowControl::ConditionalBranch if insn.mnemonic() == Mnemonic::Jne => {}
                _ => return false,
            },
        }
        state.step(&insn);
    }
    false
}

fn missing(what: &str, why: &str) -> Refusal {
    Refusal::NoSite {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

pub(super) const CALLEE_SAVED: [R; 6] = [R::RBX, R::RBP, R::R12, R::R13, R::R14, R::R15];
