//! Fault records as the lines that go to standard error.

use super::{decode, event};
use crate::record::{Ecb, Epid, Fault};

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

impl FaultRecord {
    /// A fault that the consumer's own evaluation met, at no instruction.
    pub(super) fn of(epid: Epid, fault: Fault) -> Self {
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

    /// The address that the fault is about, if it is about one.
    pub(super) fn shown_address(self) -> Option<u64> {
        shows_address(self.kind).then_some(self.address)
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

impl event::Fault<'_> {
    /// The message: what happened, in which clause on which probe, and at which instruction.
    pub(super) fn message(&self) -> String {
        let FaultRecord { epid, pc, .. } = self.record;
        let place = match self.ecb {
            Some(ecb) => place(ecb),
            None => format!("error in enabled probe ID {}", epid.0),
        };
        let what = self.record.words();
        match self.record.shown_address() {
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
    const FAULTS: [(Fault, &str); 10] = [
        (Fault::BadAddress, "invalid address"),
        (Fault::BadAlign, "invalid alignment"),
        (Fault::IllegalOperation, "illegal operation"),
        (Fault::DivideByZero, "divide-by-zero"),
        (Fault::NoScratch, "out of scratch space"),
        (Fault::KernelAddress, "invalid kernel access"),
        (Fault::UserAddress, "invalid user access"),
        (Fault::TupleOverflow, "tuple stack overflow"),
        (Fault::BadStack, "bad stack"),
        (Fault::BadSize, "invalid size"),
    ];
    let found = FAULTS.iter().find(|(fault, _)| *fault as u32 == kind);
    found.map_or("unknown fault", |(_, words)| words)
}

fn shows_address(kind: u32) -> bool {
    [
        Fault::BadAddress,
        Fault::BadAlign,
        Fault::KernelAddress,
        Fault::BadStack,
        Fault::BadSize,
    ]
    .iter()
    .any(|fault| *fault as u32 == kind)
}
