//! Exceptions: where one has found its handler, and Python code goes on there.
//!
//! The interpreter calls nothing when that happens. Up to 3.10 it finds the handler in the frame's stack of blocks, and
//! puts a block of another kind (`EXCEPT_HANDLER`) there while the handler runs:
//!
//! ```text
//!     mov  $0x101,%esi                EXCEPT_HANDLER
//!     movslq 0x7c(%rbx,%rax,4),%rbp   the handler: how far it is in the byte code
//!     call PyFrame_BlockSetup         <------- the site; the exception is still the one that the thread raises
//! ```
//!
//! From 3.11 on, each `except`, `finally` and `with` has a handler that begins with an instruction of its own, `PUSH_EXC_INFO`,
//! which finds the exception on top of the function's stack:
//!
//! ```text
//!     mov  -8(%rbx),%rdx              the exception
//!     mov  %r14,0x38(%rbp)            frame->instr_ptr = next_instr
//!     ...
//!     je   ...                        <------- the site: the first instruction that the kernel emulates
//! ```

use std::collections::BTreeMap;

use iced_x86::{Code, FlowControl, Instruction, OpKind, Register as R};
use serde::{Deserialize, Serialize};

use super::build::Place;
use super::calls::CALLEE_SAVED;
use super::code::{State, branch_target, emulated, plt_name, pt_regs, straight};
use super::exclusive::reached_from_others;
use super::finder::Finder;
use super::handlers::HANDLER_LIMIT;
use super::image::Image;
use super::opcodes::Opcodes;
use super::register::Register;
use super::site::Location;
use super::table::INSTRUCTION_POINTER;

/// An instruction to probe, which the kernel emulates: each execution means that a handler is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtSite {
    /// Where it is.
    pub place: Place,
    /// What is at hand there.
    pub caught: Caught,
}

/// What is at hand where a handler is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caught {
    /// Up to 3.10: how far the handler is in the byte code, 32 bits, in the unit of the frame's `f_lasti`. The exception is
    /// still the one that the thread raises, and the frame at the instruction that it came from.
    Handler(Register),
    /// From 3.11 on: the exception, whose address may have the lowest two bits set. The frame is at the handler's first
    /// instruction, which has no line of its own.
    Exception(Location),
}

/// The function that puts a block on a frame's stack of blocks, and the kind of those of handlers that run.
const BLOCK_SETUP: &str = "PyFrame_BlockSetup";
const EXCEPT_HANDLER: u32 = 257;

/// How many instructions before the call its arguments are looked for.
const ARGUMENTS: usize = 12;

/// Finds the sites in 3.6 to 3.10, in the code of the interpreter function, which has the frame in a register; the error
/// says what was missing.
pub(super) fn in_calls(
    image: &Image<'_>,
    code: &BTreeMap<u64, Instruction>,
    frame: R,
) -> Result<Vec<CaughtSite>, String> {
    let target = image.symbol(BLOCK_SETUP).map(|symbol| symbol.address);
    let sets_up = |insn: &&Instruction| {
        insn.flow_control() == FlowControl::Call
            && (Some(branch_target(image, insn)) == target
                || plt_name(image, insn.near_branch_target()) == Some(BLOCK_SETUP))
    };
    let calls = code.values().filter(sets_up);
    let sites: Vec<CaughtSite> = calls
        .filter_map(|call| before_handler(code, call, frame))
        .map(|handler| site_of_call(image, handler))
        .collect::<Option<_>>()
        .ok_or("where a handler is kept is not understood")?;
    if sites.is_empty() {
        return Err("no call that makes a block of a handler was found".to_owned());
    }
    Ok(sites)
}

/// A call that makes a block of a handler, and the register with the handler, if that was found.
struct Setup {
    call: Instruction,
    handler: Option<R>,
}

fn site_of_call(image: &Image<'_>, setup: Setup) -> Option<CaughtSite> {
    Some(CaughtSite {
        place: place(image, &setup.call)?,
        caught: Caught::Handler(pt_regs(setup.handler?)?),
    })
}

/// What is before a call: `None` if the block that it makes is none of a handler.
fn before_handler(
    code: &BTreeMap<u64, Instruction>,
    call: &Instruction,
    frame: R,
) -> Option<Setup> {
    let mut is_handler = false;
    let mut loads = Vec::new();
    let mut at = call.ip();
    for (_, insn) in code.range(..call.ip()).rev().take(ARGUMENTS) {
        if insn.next_ip() != at || insn.flow_control() != FlowControl::Next {
            break;
        }
        at = insn.ip();
        is_handler |= insn.code() == Code::Mov_r32_imm32
            && insn.op0_register() == R::ESI
            && insn.immediate32() == EXCEPT_HANDLER;
        let is_element = matches!(insn.code(), Code::Movsxd_r64_rm32 | Code::Mov_r32_rm32)
            && insn.op1_kind() == OpKind::Memory
            && insn.memory_base() == frame
            && insn.memory_index() != R::None
            && insn.memory_index_scale() == 4;
        let register = insn.op0_register().full_register();
        if is_element && CALLEE_SAVED.contains(&register) {
            loads.push(register);
        }
    }
    is_handler.then(|| Setup {
        call: *call,
        handler: match loads[..] {
            [handler] => Some(handler),
            _ => None,
        },
    })
}

/// Finds the site in the handler of `PUSH_EXC_INFO`; the error says what was missing.
pub(super) fn in_handlers(
    finder: &Finder<'_, '_>,
    opcodes: &Opcodes,
) -> Result<Vec<CaughtSite>, String> {
    let opcode = opcodes.push_exc_info;
    let start = finder
        .target(opcode)
        .ok_or("the dispatch table is too short")?;
    let site = site_in_handler(finder, start)?;
    let others = reached_from_others(finder, opcode);
    if others.contains_key(&site.place.address) {
        return Err("other opcodes lead to the code of PUSH_EXC_INFO".to_owned());
    }
    Ok(vec![site])
}

fn site_in_handler(finder: &Finder<'_, '_>, start: u64) -> Result<CaughtSite, String> {
    let image = finder.image;
    let (mut state, frame, next_instr) = finder.at_handler();
    let mut tops = Vec::new();
    for insn in straight(image, start, HANDLER_LIMIT) {
        if emulated(image, &insn).is_some() {
            if state.memory(frame.plus(INSTRUCTION_POINTER)) != Some(next_instr) {
                return Err("the handler of PUSH_EXC_INFO does not say that it is at it".to_owned());
            }
            let [exception] = tops[..] else {
                return Err("the top of the stack of PUSH_EXC_INFO was not found".to_owned());
            };
            let exception = state.find(exception).and_then(Location::of);
            let place = place(image, &insn);
            let site = place.zip(exception).map(|(place, exception)| CaughtSite {
                place,
                caught: Caught::Exception(exception),
            });
            return site.ok_or_else(|| "the exception of PUSH_EXC_INFO is lost".to_owned());
        }
        let is_load = insn.code() == Code::Mov_r64_rm64 && insn.op1_kind() == OpKind::Memory;
        let from = state.place(&insn).filter(|_| is_load);
        state.step(&insn);
        // The top of the stack is below the stack pointer, a register of which nothing else is known.
        let is_top = from.is_some_and(|from| {
            from.plus == -8 && State::initial_register(from.name).is_some_and(|r| r != R::RSP)
        });
        if is_top {
            tops.extend(state.get(insn.op0_register()));
            tops.dedup();
        }
    }
    Err("the handler of PUSH_EXC_INFO has no instruction that the kernel emulates".to_owned())
}

fn place(image: &Image<'_>, insn: &Instruction) -> Option<Place> {
    emulated(image, insn)?;
    Some(Place {
        address: insn.ip(),
        file_offset: image.file_offset(insn.ip())?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::flow::reachable;
    use super::super::image::tests::executable;
    use super::*;

    /// Makes a block of a handler, and one of another kind.
    const CODE: [u8; 26] = [
        0xbe, 0x01, 0x01, 0x00, 0x00, // mov $EXCEPT_HANDLER,%esi
        0x48, 0x63, 0x6c, 0x83, 0x7c, // movslq 0x7c(%rbx,%rax,4),%rbp
        0xe8, 0x00, 0x00, 0x00, 0x00, // call
        0xbe, 0x7a, 0x00, 0x00, 0x00, // mov $SETUP_FINALLY,%esi
        0xe8, 0x00, 0x00, 0x00, 0x00, // call
        0xc3, //                         ret
    ];

    /// Of the first and the second call, where the frame is in `frame`: whether it is for a handler, and the register with that.
    fn before(code: &[u8], frame: R) -> [(bool, Option<R>); 2] {
        let (file, start) = executable(code);
        let image = Image::parse(&file).unwrap();
        let code = reachable(&image, [start], 100);
        [10, 20].map(|at| {
            let setup = before_handler(&code, &code[&(start + at)], frame);
            (setup.is_some(), setup.and_then(|setup| setup.handler))
        })
    }

    #[test]
    fn a_block_of_a_handler_is_told_by_its_kind_and_the_frame() {
        let none = (false, None);
        assert_eq!(before(&CODE, R::RBX), [(true, Some(R::RBP)), none]);
        assert_eq!(before(&CODE, R::R12), [(true, None), none]);
        let mut in_rax = CODE;
        in_rax[7] = 0x44; // which the call does not keep
        assert_eq!(before(&in_rax, R::RBX), [(true, None), none]);
    }
}
