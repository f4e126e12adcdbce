//! Where tables are for the generated code: the one value of an array map, which user space fills.
//!
//! ```text
//!     0                    ranges    which table holds, in the address spaces of processes
//!     FOUND_AT             found     rules that were found for addresses not long ago
//!     TABLES_AT            tables    those of files, one behind the other, in words of 8 bytes
//!
//!     a range   0  u64     the first address
//!               8  u64     the first behind it
//!              16  u64     where the table's first page is
//!              24  u32     the first word of the table
//!              28  u32     how many pages it has
//!
//!     found     0  u64     the address, with the other word as a mask over it (exclusive or)
//!               8  u64     below the rule, above the first range of the process
//! ```
//!
//! [`Table`](crate::Table) has a table's layout.
//!
//! A hash map has for each process the number of its first range and how many there are, both `u32`,
//! sorted by address. Ranges and tables are complete before a process is told to have them, and are
//! not changed then.
//!
//! The searches for a range and for a rule touch some twenty places in memory, which are rarely in the processor's
//! caches when a timer fires. So what they have found is kept by the address and the first range of the process, in the
//! place that [`place_found`] says. Programs on several CPUs write there at the same time, and one may interrupt
//! another: words of two writers do not belong together by the mask, and are no rule of any address that is looked for.
//! Before the place of a process's ranges is given to another, all that was found by it is taken away.

/// The most ranges of all processes together.
pub const RANGES: u32 = 1 << 16;
/// Bytes of a range.
pub const RANGE: u32 = 32;
/// Where the rules start that were found.
pub const FOUND_AT: u32 = RANGES * RANGE;
/// How many there are at most, as a power of two.
pub const FOUND_LOG2: u32 = 13;
/// Bytes of one.
pub const FOUND: u32 = 16;
/// What spreads addresses over the places of found rules: a multiplier whose upper bits depend on all of the address.
pub const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Where the tables start.
pub const TABLES_AT: u32 = FOUND_AT + (FOUND << FOUND_LOG2);
/// Bytes of a word of a table: a page, two runs, or a row of a pattern.
pub const WORD: u32 = 8;
/// How many runs of a table are in a word.
pub const RUNS_IN_WORD: u32 = 2;
/// How many addresses a page of a table has, as a power of two; it has as many runs at most.
pub const PAGE_LOG2: u32 = 16;
/// The most rows of a run, as a power of two.
pub const MOST_IN_RUN_LOG2: u32 = 3;
/// The most ranges of one process, as a power of two.
pub const MOST_RANGES_LOG2: u32 = 12;
/// The most processes.
pub const PROCESSES: u32 = 1 << 14;

/// Which found rule is kept for an address of the process whose ranges start with this one.
#[must_use]
pub fn place_found(address: u64, first: u32) -> u64 {
    address.wrapping_add(first.into()).wrapping_mul(SPREAD) >> (64 - FOUND_LOG2)
}

/// The words of a rule that was found.
#[must_use]
pub fn found(address: u64, first: u32, rule: u32) -> [u64; 2] {
    let what = u64::from(first) << 32 | u64::from(rule);
    [address ^ what, what]
}

/// Which table holds at some addresses of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The first behind it.
    pub end: u64,
    /// Where the table's first page is.
    pub base: u64,
    /// The first word of the table.
    pub table: u32,
    /// How many pages it has.
    pub pages: u32,
}

impl Range {
    /// The range as it is in memory.
    #[must_use]
    pub fn bytes(self) -> [u8; RANGE as usize] {
        let mut bytes = [0; RANGE as usize];
        for (n, word) in [self.start, self.end, self.base].into_iter().enumerate() {
            bytes[8 * n..8 * n + 8].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[24..28].copy_from_slice(&self.table.to_ne_bytes());
        bytes[28..32].copy_from_slice(&self.pages.to_ne_bytes());
        bytes
    }
}
