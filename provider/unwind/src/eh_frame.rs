//! `.eh_frame` to rows.

use std::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EndianSlice, LittleEndian, Operation, Register,
    RegisterRule, UnwindContext, UnwindExpression, UnwindSection as _, UnwindTableRow, X86_64,
};

use crate::rule::{self, Cfa, Rbp};

/// The rule of some instructions: those from this address of the file up to the next row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The first address.
    pub address: u32,
    /// The rule's bits.
    pub rule: u32,
}

/// A section with its address in the file.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its first address.
    pub address: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// The rows of a file's `.eh_frame`, by address; between functions there are rows without a rule, but not for what
/// fills the place up to where the next function may start: nothing is executed there.
/// What is damaged is left out, and what is beyond 32 bits of address.
#[must_use]
pub fn rows(eh_frame: Section<'_>, text: Option<u64>) -> Vec<Row> {
    let mut found = Vec::new();
    let mut context = UnwindContext::new();
    each_entry(eh_frame, text, |frames, bases, fde| {
        let Ok(mut table) = fde.rows(frames, bases, &mut context) else {
            return;
        };
        let signal = fde.is_signal_trampoline();
        while let Ok(Some(row)) = table.next_row() {
            let (Ok(start), Ok(end)) = (
                u32::try_from(row.start_address()),
                u32::try_from(row.end_address()),
            ) else {
                break;
            };
            if start < end {
                let rule = rule_of(row, frames, fde.cie(), signal);
                found.push((start, end, rule));
            }
        }
    });
    joined(found)
}

/// The pieces of code that a file's `.eh_frame` has an entry for, by address. What is damaged is left out.
#[must_use]
pub fn ranges(eh_frame: Section<'_>, text: Option<u64>) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    each_entry(eh_frame, text, |_, _, fde| {
        let (start, bytes) = (fde.initial_address(), fde.len());
        found.extend(start.checked_add(bytes).map(|end| start..end));
    });
    found.retain(|range| !range.is_empty());
    found.sort_unstable_by_key(|range| range.start);
    found.dedup_by_key(|range| range.start);
    found
}

type Entry<'a> = gimli::FrameDescriptionEntry<Reader<'a>>;

/// Goes through the entries of `.eh_frame` that are for code.
fn each_entry<'a>(
    eh_frame: Section<'a>,
    text: Option<u64>,
    mut each: impl FnMut(&EhFrame<Reader<'a>>, &BaseAddresses, &Entry<'a>),
) {
    let frames = EhFrame::new(eh_frame.bytes, LittleEndian);
    let mut bases = BaseAddresses::default().set_eh_frame(eh_frame.address);
    if let Some(text) = text {
        bases = bases.set_text(text);
    }
    let mut entries = frames.entries(&bases);
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        if let Ok(fde) = partial.parse(EhFrame::cie_from_offset) {
            each(&frames, &bases, &fde);
        }
    }
}

/// Where compilers let functions start.
const ALIGNED: u32 = 16;

/// Sorts ranges of addresses with their rules, and joins neighbours that are alike.
fn joined(mut found: Vec<(u32, u32, u32)>) -> Vec<Row> {
    found.sort_unstable_by_key(|(start, ..)| *start);
    let mut rows: Vec<Row> = Vec::with_capacity(found.len());
    let mut push = |address, rule| match rows.last_mut() {
        Some(last) if last.rule == rule => {}
        Some(last) if last.address == address => last.rule = rule,
        _ => rows.push(Row { address, rule }),
    };
    let (mut behind, mut first) = (0, true);
    for (start, end, rule) in found {
        let fills = start % ALIGNED == 0 && start - start.min(behind) < ALIGNED && !first;
        if start > behind && !fills {
            push(behind, 0);
        }
        push(if fills { behind } else { start.max(behind) }, rule);
        first = false;
        behind = behind.max(end);
    }
    push(behind, 0);
    rows
}

fn rule_of(
    row: &UnwindTableRow<usize>,
    frames: &EhFrame<Reader<'_>>,
    cie: &gimli::CommonInformationEntry<Reader<'_>>,
    signal: bool,
) -> u32 {
    if signal {
        return rule::encode(Cfa::Signal, Rbp::Same);
    }
    let get = |expression: &UnwindExpression<usize>| expression.get(frames).ok();
    match row.register(X86_64::RA) {
        Some(RegisterRule::Undefined) => return rule::encode(Cfa::End, Rbp::Same),
        Some(RegisterRule::Offset(-8)) => {}
        _elsewhere => return 0,
    }
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => based(*register, *offset),
        CfaRule::Expression(expression) => {
            get(expression).map_or(Cfa::Unknown, |found| computed(found, cie))
        }
    };
    let rbp = match row.register(X86_64::RBP) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => Rbp::Same,
        Some(RegisterRule::Offset(offset)) => Rbp::Below(-offset),
        Some(RegisterRule::Expression(expression)) => {
            let place = get(&expression).map(|found| operations(found, cie));
            match place.as_deref() {
                // GCC's functions with an aligned stack.
                Some(
                    [
                        Operation::RegisterOffset {
                            register: X86_64::RBP,
                            offset: 0,
                            ..
                        },
                    ],
                ) => Rbp::AtRbp,
                Some(_) | None => Rbp::Unknown,
            }
        }
        _elsewhere => Rbp::Unknown,
    };
    rule::encode(cfa, rbp)
}

fn based(register: Register, offset: i64) -> Cfa {
    match register {
        X86_64::RSP => Cfa::Rsp(offset),
        X86_64::RBP => Cfa::Rbp(offset),
        Register(number) => rule::Register::of_dwarf(number)
            .map_or(Cfa::Unknown, |register| Cfa::Register(register, offset)),
    }
}

fn operations<'a>(
    expression: gimli::Expression<Reader<'a>>,
    cie: &gimli::CommonInformationEntry<Reader<'_>>,
) -> Vec<Operation<Reader<'a>>> {
    let mut operations = Vec::new();
    let mut iter = expression.operations(cie.encoding());
    while let Ok(Some(operation)) = iter.next() {
        operations.push(operation);
    }
    operations
}

/// A CFA that is computed: the expressions that compilers, linkers and libcrypto's assembly have.
fn computed(
    expression: gimli::Expression<Reader<'_>>,
    cie: &gimli::CommonInformationEntry<Reader<'_>>,
) -> Cfa {
    match operations(expression, cie).as_slice() {
        // DW_OP_breg offset; DW_OP_deref
        [
            Operation::RegisterOffset {
                register, offset, ..
            },
            Operation::Deref { size: 8, .. },
        ] => match *register {
            X86_64::RSP => Cfa::AtRsp(*offset),
            X86_64::RBP => Cfa::AtRbp(*offset),
            _other => Cfa::Unknown,
        },
        // DW_OP_breg offset; DW_OP_deref; DW_OP_plus_uconst 8
        [
            Operation::RegisterOffset {
                register, offset, ..
            },
            Operation::Deref { size: 8, .. },
            Operation::PlusConstant { value: 8 },
        ] => match *register {
            X86_64::RSP => Cfa::AtRspAnd8(*offset),
            X86_64::RBP => Cfa::AtRbpAnd8(*offset),
            _other => Cfa::Unknown,
        },
        // rsp + 8 + ((rip & 15) >= 11) * 8
        [
            Operation::RegisterOffset {
                register: X86_64::RSP,
                offset: 8,
                ..
            },
            Operation::RegisterOffset {
                register: X86_64::RA,
                offset: 0,
                ..
            },
            Operation::UnsignedConstant { value: 15 },
            Operation::And,
            Operation::UnsignedConstant { value: 11 },
            Operation::Ge,
            Operation::UnsignedConstant { value: 3 },
            Operation::Shl,
            Operation::Plus,
        ] => Cfa::Plt,
        _others => Cfa::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_functions_there_is_no_rule() {
        let of = |found: &[(u32, u32, u32)]| -> Vec<(u32, u32)> {
            let rows = joined(found.to_vec());
            rows.iter().map(|row| (row.address, row.rule)).collect()
        };
        // It could be another function's: too long, or up to where none starts of its own accord.
        let long = of(&[(0x40, 0x50, 7), (0x10, 0x18, 5), (0x18, 0x1c, 5)]);
        assert_eq!(long, [(0, 0), (0x10, 5), (0x1c, 0), (0x40, 7), (0x50, 0)]);
        let odd = of(&[(0x10, 0x1c, 5), (0x24, 0x30, 7)]);
        assert_eq!(odd, [(0, 0), (0x10, 5), (0x1c, 0), (0x24, 7), (0x30, 0)]);
        // What fills up to the next function needs no row, and functions with one rule are one.
        let filled = of(&[
            (0x10, 0x1c, 5),
            (0x20, 0x30, 7),
            (0x30, 0x34, 5),
            (0x40, 0x44, 5),
        ]);
        assert_eq!(filled, [(0, 0), (0x10, 5), (0x1c, 7), (0x30, 5), (0x44, 0)]);
        // What is before the first is no filling.
        assert_eq!(of(&[(0x0, 8, 5)]), [(0, 5), (8, 0)]);
    }

    #[test]
    fn rows_of_any_bytes_are_none() {
        let section = Section {
            address: 0x1000,
            bytes: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
        };
        assert!(rows(section, None).len() <= 1);
    }
}
