//! Audit events: the function that raises them.
//!
//! Since 3.8, `PySys_Audit(event, format, ...)` and the internal `_PySys_Audit(tstate, event,
//! format, ...)` both end in a helper that gets the event's name. Where the compiler kept the
//! helper apart, one site there sees every event; where it was copied into its callers, only the
//! exported function can be found, and the events that the interpreter raises by itself (`import`,
//! some `exec`) are missing. There is no argument tuple to be had in either place.
//!
//! `sys.audit()`, by which Python code raises an event (`subprocess.Popen`, `tempfile.mkdtemp`), looks
//! itself whether there is a hook, and calls neither if there is none. Where it returns then is in
//! `sys_audit.rs`.

use iced_x86::{FlowControl, Register as R};
use serde::{Deserialize, Serialize};

use super::code::{State, Value, decode, emulated, pt_regs, straight};
use super::image::Image;
use super::register::Register;
use super::site::Execution;
use super::sys_audit::{self, NoHookSite};

/// Where audit events are seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audits {
    /// The sites.
    pub sites: Vec<AuditSite>,
    /// Some events are not seen: the compiler copied code to where it is not found.
    pub partial: bool,
    /// Where `sys.audit()` returns if there is no hook, or why that is not known: then the events that
    /// Python code raises are seen only in a process with a hook.
    pub without_hook: Result<Vec<NoHookSite>, String>,
}

/// One instruction to probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSite {
    /// Where the instruction is in the file.
    pub file_offset: u64,
    /// The instruction's virtual address as linked.
    pub address: u64,
    /// How the kernel executes it.
    pub execution: Execution,
    /// Holds the address of the event's name, a zero-terminated string.
    pub event: Register,
}

/// Finds the sites in 3.`minor`; `None` where there are no audit events or no way to see them.
pub(super) fn find(image: &Image<'_>, minor: u8) -> Option<Audits> {
    if minor < 8 {
        return None;
    }
    let exported = image.symbol("PySys_Audit")?.address;
    let helper = helper(image, exported).and_then(|(start, event)| site(image, start, event));
    // 3.8 has no second way to raise an event.
    let partial = helper.is_none() && minor > 8;
    let site = helper.or_else(|| site(image, exported, R::RDI))?;
    Some(Audits {
        sites: vec![site],
        partial,
        without_hook: sys_audit::find(image),
    })
}

/// The function that `PySys_Audit` hands the event to together with its variable arguments, and
/// in which register.
fn helper(image: &Image<'_>, exported: u64) -> Option<(u64, R)> {
    let event: Value = State::initial(R::RDI);
    let mut state = State::new();
    let mut saves_arguments = false;
    for insn in straight(image, exported, 80) {
        // The variable arguments are spilled to the stack and passed on by address: that is what
        // tells the helper from other functions that get the name.
        saves_arguments |= insn.op1_register() == R::R9 && insn.memory_base() == R::RSP;
        if insn.flow_control() == FlowControl::Call {
            let target = insn.near_branch_target();
            let holder = ARGUMENTS.into_iter().find(|&r| state.get(r) == Some(event));
            if let Some(register) = holder
                && saves_arguments
                && decode(image, target).is_some()
            {
                return Some((target, register));
            }
        }
        state.step(&insn);
    }
    None
}

const ARGUMENTS: [R; 4] = [R::RSI, R::RDI, R::RDX, R::RCX];

/// The first emulated instruction from `start` on, while `event` is still in a register.
fn site(image: &Image<'_>, start: u64, event: R) -> Option<AuditSite> {
    let event = State::initial(event);
    let mut state = State::new();
    for insn in straight(image, start, 32) {
        if let Some(kind) = emulated(image, &insn) {
            return Some(AuditSite {
                file_offset: image.file_offset(insn.ip())?,
                address: insn.ip(),
                execution: Execution::Emulated(kind),
                event: state.holders(event).find_map(pt_regs)?,
            });
        }
        state.step(&insn);
    }
    None
}
