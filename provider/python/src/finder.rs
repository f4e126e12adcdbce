//! What the search for sites in the interpreter's loop works on: the file, its dispatch table, the registers
//! of the loop, and names for the values that are followed.

use super::code::Value;
use super::image::Image;
use super::table::Table;
use super::vote::LoopRegisters;

/// What sites are looked for in.
pub(super) struct Finder<'a, 'd> {
    pub(super) image: &'a Image<'d>,
    pub(super) table: &'a Table,
    pub(super) registers: &'a LoopRegisters,
}

/// The names of the loop's variables while a handler is followed.
pub(super) const FRAME: Value = Value::named(1 << 31);
pub(super) const NEXT_INSTR: Value = Value::named((1 << 31) + 1);
