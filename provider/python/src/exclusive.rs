//! Which of the interpreter's code is executed for other opcodes than some. At a place that is not, the
//! instruction needs no look in the process's memory: a hit there means one of those opcodes.
//!
//! All that the others lead to is followed, both ways at conditional jumps, over calls. An indirect
//! jump that takes an address out of an array goes on to the next opcode's handler, which is known
//! already. One through an element that is known goes on to that handler for this opcode. One of another
//! form (a `switch`, where an offset is added first) may lead anywhere, and then nothing is known of any
//! place.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register as R};

use super::finder::Finder;
use super::flow::reachable;
use super::table::Table;
use super::unwind::Functions;

/// More instructions than the loop has.
const MOST: usize = 200_000;

/// How far before a jump the instruction is looked for that gives it its target.
const BACK: usize = 16;

/// The addresses of all instructions that other opcodes than `own` lead to, and the starts of the
/// functions that the loop is made of; `None` if these cannot be told.
pub(super) fn executed_for_others(finder: &Finder<'_, '_>, own: &[u8]) -> Option<BTreeSet<u64>> {
    let functions = Functions::of(finder.image)?;
    let table = finder.table;
    let opcodes = (0_u8..=255).zip(&table.targets);
    let others = opcodes.filter(|(opcode, _)| !own.contains(opcode));
    let others = others.map(|(_, &handler)| Some(handler));
    let around = table
        .targets
        .iter()
        .map(|&handler| functions.around(handler));
    let starts = around.map(|function| function.map(|f| f.start));
    let starts: Option<BTreeSet<u64>> = others.chain(starts).collect();
    let mut starts = starts?;
    loop {
        let all = reachable(finder.image, starts.iter().copied(), MOST);
        let indirect = |insn: &&Instruction| insn.flow_control() == FlowControl::IndirectBranch;
        let jumps = all.values().filter(indirect);
        let (by_known, others): (Vec<_>, Vec<_>) =
            jumps.partition(|jump| known_target(jump, table).is_some());
        let is_known = |jump: &&Instruction| takes_an_element(jump, &all, table.address);
        if all.len() >= MOST || !others.iter().all(is_known) {
            return None;
        }
        let before = starts.len();
        starts.extend(by_known.iter().filter_map(|jump| known_target(jump, table)));
        if starts.len() == before {
            return Some(all.into_keys().collect());
        }
    }
}

/// Where an indirect jump through one element of the table goes.
fn known_target(jump: &Instruction, table: &Table) -> Option<u64> {
    if !jump.is_ip_rel_memory_operand() {
        return None;
    }
    let offset = jump.ip_rel_memory_address().checked_sub(table.address)?;
    let index = usize::try_from(offset / 8).ok()?;
    let target = table.targets.get(index).copied();
    target.filter(|_| offset % 8 == 0)
}

/// The code that the handlers of other opcodes than `own` lead to by direct jumps.
pub(super) fn reached_from_others(finder: &Finder<'_, '_>, own: u8) -> BTreeMap<u64, Instruction> {
    let opcodes = (0_u8..=255).zip(&finder.table.targets);
    let others = opcodes.filter(|(opcode, _)| *opcode != own);
    reachable(finder.image, others.map(|(_, &handler)| handler), MOST)
}

/// Whether the target of an indirect jump is an element of an array of addresses: of the table at
/// `table`, where the array's address is in the code.
fn takes_an_element(jump: &Instruction, all: &BTreeMap<u64, Instruction>, table: u64) -> bool {
    if jump.op0_kind() == OpKind::Memory {
        return is_element(jump, table);
    }
    let mut register = jump.op0_register();
    let mut at = jump.ip();
    for _ in 0..BACK {
        let before = all.range(..at).next_back().map(|(_, insn)| insn);
        let Some(before) = before.filter(|insn| insn.next_ip() == at) else {
            return false;
        };
        at = before.ip();
        if before.op0_kind() != OpKind::Register
            || before.op0_register().full_register() != register
            || matches!(before.mnemonic(), Mnemonic::Cmp | Mnemonic::Test)
        {
            continue;
        }
        match (before.mnemonic(), before.op1_kind()) {
            (Mnemonic::Mov, OpKind::Memory) => return is_element(before, table),
            (Mnemonic::Mov, OpKind::Register) => register = before.op1_register(),
            _ => return false,
        }
    }
    false
}

/// Whether the memory that `insn` names is an element of such an array.
fn is_element(insn: &Instruction, table: u64) -> bool {
    insn.memory_index() != R::None
        && insn.memory_index_scale() == 8
        && (insn.memory_base() != R::None || insn.memory_displacement64() == table)
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    const TABLE: u64 = 0x40_2000;

    /// Whether the last instruction of some code, an indirect jump, takes an element.
    fn ends_by_an_element(code: &[u8]) -> bool {
        let decoder = Decoder::with_ip(64, code, 0x1000, DecoderOptions::NONE);
        let all: BTreeMap<u64, Instruction> =
            decoder.into_iter().map(|insn| (insn.ip(), insn)).collect();
        let (_, jump) = all.last_key_value().unwrap();
        assert_eq!(jump.flow_control(), FlowControl::IndirectBranch);
        takes_an_element(jump, &all, TABLE)
    }

    #[test]
    fn the_next_opcode_is_taken_from_an_array() {
        let jump_r14_rax = [0x41, 0xff, 0x24, 0xc6]; // jmp *(%r14,%rax,8)
        assert!(ends_by_an_element(&jump_r14_rax));
        let by_rcx = [
            0x48, 0x8b, 0x0c, 0xc1, // mov (%rcx,%rax,8), %rcx
            0x49, 0x89, 0x5c, 0x24, 0x38, // mov %rbx, 0x38(%r12)
            0xff, 0xe1, // jmp *%rcx
        ];
        assert!(ends_by_an_element(&by_rcx));
        let copied = [
            0x48, 0x8b, 0x0c, 0xc1, // mov (%rcx,%rax,8), %rcx
            0x48, 0x89, 0xca, // mov %rcx, %rdx
            0xff, 0xe2, // jmp *%rdx
        ];
        assert!(ends_by_an_element(&copied));
        let table = [0xff, 0x24, 0xc5, 0x00, 0x20, 0x40, 0x00]; // jmp *0x402000(,%rax,8)
        assert!(ends_by_an_element(&table));
    }

    #[test]
    fn a_jump_through_one_element_goes_to_its_handler() {
        let table = Table {
            address: TABLE,
            targets: (0..256).map(|opcode| 0x50_0000 + opcode).collect(),
            stores: 0,
        };
        let target = |element: u64| {
            let distance = i32::try_from(element.cast_signed() - 0x1006).unwrap();
            let code = [&[0xff, 0x25][..], &distance.to_le_bytes()].concat(); // jmp *element(%rip)
            let jump = Decoder::with_ip(64, &code, 0x1000, DecoderOptions::NONE).decode();
            known_target(&jump, &table)
        };
        assert_eq!(target(TABLE), Some(0x50_0000));
        assert_eq!(target(TABLE + 8 * 201), Some(0x50_0000 + 201));
        assert_eq!(target(TABLE + 4), None, "between two elements");
        assert_eq!(target(TABLE + 8 * 256), None, "behind the table");
        assert_eq!(target(TABLE - 8), None, "before it");
    }

    #[test]
    fn a_switch_may_lead_anywhere() {
        let relative = [
            0x48, 0x63, 0x04, 0x82, // movslq (%rdx,%rax,4), %rax
            0x48, 0x01, 0xd0, // add %rdx, %rax
            0xff, 0xe0, // jmp *%rax
        ];
        assert!(!ends_by_an_element(&relative));
        let another_table = [0xff, 0x24, 0xc5, 0x00, 0x30, 0x40, 0x00]; // jmp *0x403000(,%rax,8)
        assert!(!ends_by_an_element(&another_table));
        let unknown = [0xff, 0xe0]; // jmp *%rax
        assert!(!ends_by_an_element(&unknown));
        let of_an_object = [0xff, 0x60, 0x18]; // jmp *0x18(%rax)
        assert!(!ends_by_an_element(&of_an_object));
    }
}
