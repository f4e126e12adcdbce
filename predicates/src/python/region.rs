//! The place in the scratch where an object is read: what the loop of [`capture`](super::capture) has to
//! remember from turn to turn, and what it has read.
//!
//! All of it is in memory, nothing in registers, so that to the verifier each turn is like the one
//! before.
//!
//! ```text
//!   0          words: counts, and what is being read
//!   READ       what has just been read of the traced program
//!   QUEUE      addresses of objects: those that have been read, then those that are to be
//!   NODES      what was read of each, in the same order; then room for one more
//! ```

/// Where objects are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRegion {
    /// Offset in the scratch.
    pub at: u32,
    /// The most bytes of a text, or of a `bytes`.
    pub text: u32,
}

/// The next object of the queue to read.
pub(super) const HEAD: i16 = 0;
/// How many objects are in the queue.
pub(super) const TAIL: i16 = 8;
/// Bytes of nodes so far.
pub(super) const USED: i16 = 16;
/// How many objects are in the queue that are the first one's own parts, and that one.
pub(super) const LEVEL_END: i16 = 24;
/// Where the node of the current object starts.
pub(super) const NODE: i16 = 32;
/// The address of the current object.
pub(super) const OBJECT: i16 = 40;
/// How deep it is in the first one: 0, 1 or 2.
pub(super) const LEVEL: i16 = 48;
/// Turns of the loop so far.
pub(super) const TURNS: i16 = 56;
/// Entries of a table that are still to be looked at; 0 if no table is being read.
pub(super) const SCAN_LEFT: i16 = 64;
/// Where the table's entries start: at the first word that is wanted of one.
pub(super) const SCAN_AT: i16 = 72;
/// Bytes from entry to entry.
pub(super) const SCAN_STEP: i16 = 80;
/// The number of the next entry.
pub(super) const SCAN_INDEX: i16 = 88;
/// Where a byte has the number of the next entry instead, if that is not 0; and what leads to the next one.
pub(super) const SCAN_ORDER: i16 = 96;
pub(super) const SCAN_ORDER_STEP: i16 = 104;
/// Where the values are, if not in the entries.
pub(super) const SCAN_VALUES: i16 = 112;
/// 1 if the table is a set's.
pub(super) const SCAN_SET: i16 = 120;
/// How many objects of the table are wanted at most.
pub(super) const SCAN_MOST: i16 = 128;
/// A size while a helper is called.
pub(super) const SIZE: i16 = 136;
/// What was asked for of an object.
pub(super) const RESULT: i16 = 144;
/// Bytes that have been read of the traced program.
pub(super) const READ: i16 = 152;
/// The most that are read so.
const READ_BYTES: u32 = 64;
/// Where the queue starts.
pub(super) const QUEUE: i16 = 216;
/// The most objects in it.
pub(super) const MOST_OBJECTS: u32 = 128;
/// So many more may be written behind the last one.
const QUEUE_SLACK: u32 = 16;
/// Where the nodes start.
pub(super) const NODES: i16 = 1368;
/// No node starts behind so many bytes.
pub(super) const MOST_NODES: u32 = 4096;

/// A node's own fields, see [`NODE_BYTES`].
pub(super) const KIND: i16 = 0;
pub(super) const FLAGS: i16 = 1;
pub(super) const NAME_BYTES: i16 = 2;
pub(super) const LENGTH: i16 = 4;
pub(super) const ADDRESS: i16 = 8;
pub(super) const VALUE: i16 = 16;

/// What a node starts with:
///
/// ```text
///   0    u8   kind                      `kinds`
///   1    u8   1 if the type was made by a Python program, plus 2 if an `int` is negative
///   2    u16  bytes of the type's name, NUL included
///   4    u32  of a container: how many of its parts are in the queue; else bytes behind the name
///   8    u64  address of the object
///   16   u64  its size (of an `int`, the number of digits), or its first word
///   24        the type's name; then text, digits, ...
/// ```
///
/// The next node starts at a multiple of eight.
pub const NODE_BYTES: u32 = 24;

/// The most bytes of a type's name, NUL included.
pub const MOST_NAME: u32 = 64;

/// What an object was found to be.
pub mod kinds {
    /// None: the address is 0.
    pub const NULL: u8 = 0;
    /// It could not be read.
    pub const UNREADABLE: u8 = 1;
    /// An `int`: digits of 30 bits.
    pub const INT: u8 = 2;
    /// A `bytes`.
    pub const BYTES: u8 = 3;
    /// A `tuple`.
    pub const TUPLE: u8 = 4;
    /// A `list`.
    pub const LIST: u8 = 5;
    /// A `dict`: keys and values in turn.
    pub const DICT: u8 = 6;
    /// A `set` or `frozenset`.
    pub const SET: u8 = 7;
    /// An exception: its arguments.
    pub const EXCEPTION: u8 = 8;
    /// A class: its name.
    pub const TYPE: u8 = 9;
    /// Anything else.
    pub const OTHER: u8 = 10;
    /// A `str`, plus the bytes of each character: 1, 2 or 4.
    pub const STR: u8 = 16;
}

impl ObjectRegion {
    /// A region at `at`, for strings of at most `strsize` bytes.
    #[must_use]
    pub fn new(at: u32, strsize: u32) -> Self {
        // A multiple of four, so that no wide character is cut.
        let text = strsize.clamp(16, LONGEST_TEXT).next_multiple_of(8);
        Self { at, text }
    }

    /// The most bytes of all nodes.
    #[must_use]
    pub fn most_nodes(self) -> u32 {
        MOST_NODES + NODE_BYTES + MOST_NAME + 8 + self.text
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> u32 {
        u32::from(NODES.unsigned_abs()) + self.most_nodes() + 16
    }
}

/// The most bytes of one text.
const LONGEST_TEXT: u32 = 1024;

const _: () = assert!(READ.unsigned_abs() as u32 + READ_BYTES <= QUEUE.unsigned_abs() as u32);
const _: () = assert!(
    QUEUE.unsigned_abs() as u32 + 8 * (MOST_OBJECTS + QUEUE_SLACK) <= NODES.unsigned_abs() as u32
);
