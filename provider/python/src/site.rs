//! What the analysis finds: the places where a Python function's entry and return can be seen,
//! and what is in the registers there. Plain data; the eBPF is generated elsewhere.

use serde::{Deserialize, Serialize};

use super::code::{Emulated, Home, pt_regs};
use super::opcodes::Argument;
use super::register::Register;

/// One instruction to probe.
///
/// The hit means what [`Site::event`] says only if every check holds: the condition, if there is
/// one; the instruction pointer lies inside the frame's code object; and the opcode there is one
/// of [`Site::opcodes`], unless that is empty. A hit that fails a check is counted, not reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Where the instruction is in the file.
    pub file_offset: u64,
    /// The instruction's virtual address as linked.
    pub address: u64,
    /// What a hit means.
    pub event: Event,
    /// How the kernel executes the instruction under the probe, which decides the cost of a hit.
    pub execution: Execution,
    /// Holds the frame: a `_PyInterpreterFrame *`, before 3.11 a `PyFrameObject *`.
    pub frame: Location,
    /// Where the instruction that the frame is at can be read.
    pub instruction: InstructionPointer,
    /// The opcodes that the instruction may have; empty for any.
    pub opcodes: Vec<u8>,
    /// What must hold besides.
    pub condition: Option<Condition>,
}

/// Where a 64-bit value is at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Location {
    /// In a register.
    Register(Register),
    /// In memory.
    Memory {
        /// The register that the address is relative to: the stack or the frame pointer.
        base: Register,
        /// Bytes to add to it.
        offset: i32,
    },
}

/// What happens to the frame at a site.
///
/// From 3.11 on, keep the set of active frames. [`Entry`](Self::Entry) and [`Throw`](Self::Throw)
/// are a function-entry if the frame was not active, the others a function-return if it was; that
/// removes the doubles that some builds show (an instruction that is executed again after it
/// specialised or instrumented itself, a frame that is cleared without having run). Before, every
/// hit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// The function starts, or a generator or coroutine goes on.
    Entry,
    /// An exception is thrown into a generator or coroutine, which goes on with it.
    Throw,
    /// A generator or coroutine hands a value out and is suspended.
    Yield,
    /// The function is about to return a value.
    Return,
    /// The function is left, by a return or by an exception.
    Exit,
    /// The interpreter's JIT compiler is at work. What is called in the code that it makes passes no
    /// site, so this is to be counted, and told.
    Compiled,
}

/// How the kernel executes a probed instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Execution {
    /// It emulates it: one trap per hit.
    Emulated(Emulated),
    /// It executes a copy under single step: two traps per hit, several times the cost. Used only
    /// where no path to an emulated instruction exists, and only for yields.
    Stepped,
}

/// Where the address of a frame's current instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InstructionPointer {
    /// In the frame, at [`FrameOffsets::instruction`](super::offsets::FrameOffsets); the value is
    /// this many bytes ahead of the instruction.
    Saved {
        /// Bytes to subtract from the value.
        ahead: i32,
    },
    /// In a variable of the loop, this many bytes ahead of the instruction.
    Variable {
        /// Where the variable is.
        location: Location,
        /// Bytes to subtract from the value.
        ahead: i32,
    },
    /// Before 3.11: the frame holds `f_lasti`, a 32-bit index into the byte code, negative before
    /// the first instruction.
    LastIndex,
}

/// A condition on the registers or the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Condition {
    /// The low 32 bits are not all zero.
    NonZero32(Register),
    /// The instruction's argument is not this.
    ArgumentIsNot(Argument),
}

impl Location {
    /// The location for a place that the analysis found.
    pub(super) fn of(home: Home) -> Option<Self> {
        match home {
            Home::Register(register) => pt_regs(register).map(Self::Register),
            Home::Stack(base, offset) => {
                let offset = i32::try_from(offset).ok()?;
                pt_regs(base).map(|base| Self::Memory { base, offset })
            }
        }
    }
}
