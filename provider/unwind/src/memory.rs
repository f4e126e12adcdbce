//! Where tables are for the generated code: the one value of an array map, which user space fills.
//!
//! ```text
//!     0                    ranges    which table holds, in the address spaces of processes
//!     32 * RANGES          rows      the tables, one behind the other
//!
//!     a range   0  u64     the first address
//!               8  u64     the first behind it
//!              16  u64     where address 0 of the file is: what is subtracted before rows are searched
//!              24  u32     its first row
//!              28  u32     how many rows it has
//!
//!     a row     0  u32     the first address in the file
//!               4  u32     the rule, up to the next row
//! ```
//!
//! A hash map has for each process the number of its first range and how many there are, both `u32`,
//! sorted by address. Ranges and rows are complete before a process is told to have them, and are
//! not changed then.

/// The most ranges of all processes together.
pub const RANGES: u32 = 1 << 16;
/// Bytes of a range.
pub const RANGE: u32 = 32;
/// Where the rows start.
pub const ROWS_AT: u32 = RANGES * RANGE;
/// Bytes of a row.
pub const ROW: u32 = 8;
/// The most ranges of one process, as a power of two.
pub const MOST_RANGES_LOG2: u32 = 12;
/// The most rows of one range, as a power of two.
pub const MOST_ROWS_LOG2: u32 = 21;
/// The most processes.
pub const PROCESSES: u32 = 1 << 14;

/// Which table holds at some addresses of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The first behind it.
    pub end: u64,
    /// Where address 0 of the file is.
    pub base: u64,
    /// The first row.
    pub first: u32,
    /// How many rows.
    pub rows: u32,
}

impl Range {
    /// The range as it is in memory.
    #[must_use]
    pub fn bytes(self) -> [u8; RANGE as usize] {
        let mut bytes = [0; RANGE as usize];
        for (n, word) in [self.start, self.end, self.base].into_iter().enumerate() {
            bytes[8 * n..8 * n + 8].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[24..28].copy_from_slice(&self.first.to_ne_bytes());
        bytes[28..32].copy_from_slice(&self.rows.to_ne_bytes());
        bytes
    }
}
