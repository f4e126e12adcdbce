//! Faults: their records, and the lines that go to standard error.

use super::decode;
use crate::record::{Ecb, Epid, Fault as Kind};

/// Bytes of a fault record; see [`FAULT_EPID`](crate::record::FAULT_EPID).
const SIZE: usize = 32;

/// A fault as its record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FaultRecord {
    /// The ECB whose clause was ended.
    pub(super) epid: Epid,
    kind: u32,
    pub(super) pc: u64,
    address: u64,
}

/// A clause that was ended by a fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault<'e> {
    /// What happened.
    pub(super) record: FaultRecord,
    /// Whose clause, if it is known.
    pub(super) ecb: Option<&'e Ecb>,
}

impl FaultRecord {
    /// A fault that the consumer's own evaluation met, at no instruction.
    pub(super) fn of(epid: Epid, fault: Kind) -> Self {
        Self {
            epid,
            kind: fault as u32,
            pc: 0,
            address: 0,
        }
    }
}

impl FaultRecord {
    /// What happened, in libdtrace's words (`dtrace_faultstr`).
    pub(super) fn words(self) -> &'static str {
        words(self.kind)
    }

    /// The address that the fault is about, or the index, if it is about one. The last address of all
    /// stands for none, as in libdtrace.
    pub(super) fn shown_address(self) -> Option<u64> {
        let is_known = self.kind != Kind::BadAddress as u32 || self.address != u64::MAX;
        (is_known && shows_address(self.kind)).then_some(self.address)
    }
}

/// Reads a fault record; `None` when it is cut off.
pub(super) fn decode_fault(bytes: &[u8]) -> Option<FaultRecord> {
    bytes.get(..SIZE)?;
    Some(FaultRecord {
        epid: Epid(decode::word(bytes, 8)?),
        kind: decode::word(bytes, 12)?,
        pc: decode::long(bytes, 16)?,
        address: decode::long(bytes, 24)?,
    })
}

impl Fault<'_> {
    /// The message: what happened, in which clause on which probe, and at which instruction.
    pub(super) fn message(&self) -> String {
        let FaultRecord { epid, pc, .. } = self.record;
        let place = match self.ecb {
            Some(ecb) => place(ecb),
            None => format!("error in enabled probe ID {}", epid.0),
        };
        let what = self.record.words();
        match self.record.shown_address() {
            // An index is a number, and none of an address.
            Some(index) if self.record.kind == Kind::BadIndex as u32 => {
                format!("{place}: {what} ({}) at BPF pc {pc}", index.cast_signed())
            }
            Some(address) => format!("{place}: {what} ({address:#x}) at BPF pc {pc}"),
            None => format!("{place}: {what} at BPF pc {pc}"),
        }
    }
}

/// Where an error happened, as messages begin.
pub(super) fn place(ecb: &Ecb) -> String {
    let desc = &ecb.probe.desc;
    format!(
        "error in dt_clause_{} for probe ID {} ({}:{}:{}:{})",
        ecb.clause, ecb.probe.id.0, desc.provider, desc.module, desc.function, desc.name
    )
}

/// A fault in libdtrace's words (`dtrace_faultstr`).
fn words(kind: u32) -> &'static str {
    const FAULTS: [(Kind, &str); 11] = [
        (Kind::BadAddress, "invalid address"),
        (Kind::BadAlign, "invalid alignment"),
        (Kind::IllegalOperation, "illegal operation"),
        (Kind::DivideByZero, "divide-by-zero"),
        (Kind::NoScratch, "out of scratch space"),
        (Kind::KernelAddress, "invalid kernel access"),
        (Kind::UserAddress, "invalid user access"),
        (Kind::TupleOverflow, "tuple stack overflow"),
        (Kind::BadStack, "bad stack"),
        (Kind::BadSize, "invalid size"),
        (Kind::BadIndex, "index out of bounds"),
    ];
    let found = FAULTS.iter().find(|(fault, _)| *fault as u32 == kind);
    found.map_or("unknown fault", |(_, words)| words)
}

fn shows_address(kind: u32) -> bool {
    [
        Kind::BadAddress,
        Kind::BadAlign,
        Kind::KernelAddress,
        Kind::BadStack,
        Kind::BadSize,
        Kind::BadIndex,
    ]
    .iter()
    .any(|fault| *fault as u32 == kind)
}
