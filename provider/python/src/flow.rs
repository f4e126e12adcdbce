//! All the code that is reached from some starting points by following the flow of control:
//! both ways at conditional jumps, over calls, not through indirect jumps.
//!
//! Only instructions found this way may carry a probe: disassembly from anywhere else can start
//! in the middle of an instruction or in data.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::{BTreeMap, HashSet};

use iced_x86::{FlowControl, Instruction};

use super::code::decode;
use super::image::Image;

/// Every instruction reached from `starts`, by address; at most `limit` of them.
pub(super) fn reachable(
    image: &Image<'_>,
    starts: impl IntoIterator<Item = u64>,
    limit: usize,
) -> BTreeMap<u64, Instruction> {
    let mut todo: Vec<u64> = starts.into_iter().collect();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut found = Vec::new();
    while let Some(start) = todo.pop() {
        let mut next = Some(start);
        while let Some(address) = next.filter(|&a| found.len() < limit && seen.insert(a)) {
            let Some(insn) = decode(image, address) else {
                break;
            };
            found.push((address, insn));
            next = match insn.flow_control() {
                FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                    Some(insn.next_ip())
                }
                FlowControl::ConditionalBranch => {
                    todo.push(insn.near_branch_target());
                    Some(insn.next_ip())
                }
                FlowControl::UnconditionalBranch => Some(insn.near_branch_target()),
                _ => None,
            };
        }
    }
    found.into_iter().collect()
}
