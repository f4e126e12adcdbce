//! Counts of what went through a consumer.

/// What went through a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStats {
    /// Records decoded and shown.
    pub records: u64,
    /// Those of probes in programs, as against BEGIN, timers and their like.
    pub in_programs: u64,
    /// Records of faults.
    pub faults: u64,
    /// Records left out because they were cut off or not of any ECB.
    pub corrupt: u64,
}
