//! Tables: the entries of a `dict` or a `set`, one in each turn of the loop that reads objects.
//!
//! A `dict` has its entries in the order of insertion, behind indices that nobody here needs. Those of
//! objects of a class share the keys; the values are apart then, and from 3.11 on so is the order.

use super::capture::{Capture, DEEPEST, MOST_PARTS, READ_MORE, READ_NAME, READ_TYPE};
use super::layout::{AFTER, BEFORE, Fact};
use super::region::{
    LENGTH, LEVEL, MOST_OBJECTS, OBJECT, QUEUE, READ, SCAN_AT, SCAN_INDEX, SCAN_LEFT, SCAN_MOST,
    SCAN_ORDER, SCAN_ORDER_STEP, SCAN_SET, SCAN_STEP, SCAN_VALUES, TAIL, VALUE, kinds,
};
use crate::emit::{Emit, imm};
use crate::insn::{Alu, Cond, Reg, Size};

/// Of a table, so many entries are looked at.
pub(super) const MOST_ENTRIES: i32 = 512;

// What has been read of a dict.
const KEYS: i16 = READ + READ_MORE;
const VALUES: i16 = KEYS + 8;
const USED_ENTRIES: i16 = READ + READ_NAME;
const INDICES: i16 = READ + READ_TYPE;

// What has been read of an entry: two words, of a dict the key and the value; and its number.
const FIRST: i16 = READ + READ_MORE;
const SECOND: i16 = FIRST + 8;
const INDEX: i16 = SECOND + 8;

impl Emit<'_> {
    /// Begins to read the table of a `set`.
    pub(super) fn begin_set(&mut self, capture: &Capture) {
        let &Capture {
            region,
            again,
            facts,
            ..
        } = capture;
        // Used, mask, table.
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::SetUsed);
        self.read_object(region, READ_MORE, 24);
        self.unreadable_unless_read(capture);
        self.set_object_kind(capture, kinds::SET);
        self.object_region(Reg::R5, region);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R5, READ + READ_MORE);
        self.asm.store(Size::Double, Reg::R1, VALUE, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LEVEL);
        self.asm.jump_if_imm(Cond::Ge, Reg::R0, DEEPEST, again);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R5, READ + READ_MORE + 16);
        self.asm.store(Size::Double, Reg::R5, SCAN_AT, Reg::R0);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R5, READ + READ_MORE + 8);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.at_most(Reg::R0, MOST_ENTRIES);
        self.asm.store(Size::Double, Reg::R5, SCAN_LEFT, Reg::R0);
        for (word, value) in [
            (SCAN_STEP, 16),
            (SCAN_INDEX, 0),
            (SCAN_ORDER, 0),
            (SCAN_VALUES, 0),
            (SCAN_SET, 1),
            (SCAN_MOST, MOST_PARTS),
        ] {
            self.asm.store_imm(Size::Double, Reg::R5, word, value);
        }
        self.asm.jump(again);
    }

    /// Begins to read the entries of a `dict`.
    ///
    /// ```text
    ///     keys, values = two words of the dict;   used, indices' bytes, kind = of the keys
    ///     entries = keys + indices + indices' bytes;   step = kind == 0 ? 24 (hash, key, value) : 16
    ///     if (values) { count and order are with the values, which 3.10 and older have by the keys' order }
    /// ```
    pub(super) fn begin_dict(&mut self, capture: &Capture) {
        let &Capture {
            region,
            again,
            facts,
            ..
        } = capture;
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::DictKeys);
        self.read_object(region, READ_MORE, 16);
        self.unreadable_unless_read(capture);
        self.set_object_kind(capture, kinds::DICT);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LEVEL);
        self.asm.jump_if_imm(Cond::Ge, Reg::R0, DEEPEST, again);
        for (word, value) in [
            (SCAN_INDEX, 0),
            (SCAN_ORDER, 0),
            (SCAN_SET, 0),
            (SCAN_MOST, 2 * MOST_PARTS),
        ] {
            self.asm.store_imm(Size::Double, Reg::R5, word, value);
        }
        self.asm.load(Size::Double, Reg::R0, Reg::R5, VALUES);
        self.asm.store(Size::Double, Reg::R5, SCAN_VALUES, Reg::R0);
        // What the keys say: how many entries, how large the indices are, of which kind the entries.
        self.object_word(region, Reg::R3, KEYS);
        self.add_python_fact(facts, Reg::R3, Fact::KeysUsed);
        self.read_object(region, READ_NAME, 8);
        self.unreadable_unless_read(capture);
        self.object_word(region, Reg::R3, KEYS);
        self.asm.alu_imm(Alu::Add, Reg::R3, 8);
        self.read_object(region, READ_TYPE, 8);
        self.unreadable_unless_read(capture);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, INDICES);
        self.python_fact(facts, Reg::R0, Fact::KeysLogarithm);
        self.size_of_indices();
        self.asm.store(Size::Double, Reg::R5, SCAN_STEP, Reg::R4);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, KEYS);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R2);
        self.add_python_fact(facts, Reg::R1, Fact::KeysIndices);
        // A hash stands before the key.
        self.asm.alu_imm(Alu::Add, Reg::R4, -16);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R4);
        self.asm.store(Size::Double, Reg::R5, SCAN_AT, Reg::R1);
        let (begin, after) = (self.asm.label(), self.asm.label());
        self.asm.load(Size::Double, Reg::R2, Reg::R5, USED_ENTRIES);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SCAN_VALUES);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, begin);
        self.python_fact(facts, Reg::R0, Fact::ValuesOrder);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, imm(AFTER), after);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, imm(BEFORE), begin);
        // Their number is the second byte in front of the values, the order is before that, backwards.
        self.asm.alu_imm(Alu::Add, Reg::R3, -2);
        self.read_object(region, READ_TYPE, 2);
        self.unreadable_unless_read(capture);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Byte, Reg::R2, Reg::R5, INDICES);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_VALUES);
        self.asm.alu_imm(Alu::Add, Reg::R0, -3);
        self.asm.store(Size::Double, Reg::R5, SCAN_ORDER, Reg::R0);
        self.asm
            .store_imm(Size::Double, Reg::R5, SCAN_ORDER_STEP, -1);
        self.asm.jump(begin);
        // Room and number are the first two bytes, the values follow in a word's distance, then the order.
        self.asm.bind(after);
        self.read_object(region, READ_TYPE, 2);
        self.unreadable_unless_read(capture);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Byte, Reg::R1, Reg::R5, INDICES);
        self.asm.load(Size::Byte, Reg::R2, Reg::R5, INDICES + 1);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_VALUES);
        self.asm.alu_imm(Alu::Add, Reg::R0, 8);
        self.asm.store(Size::Double, Reg::R5, SCAN_VALUES, Reg::R0);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R1);
        self.asm.store(Size::Double, Reg::R5, SCAN_ORDER, Reg::R0);
        self.asm
            .store_imm(Size::Double, Reg::R5, SCAN_ORDER_STEP, 1);
        self.asm.bind(begin);
        self.at_most(Reg::R2, MOST_ENTRIES);
        self.asm.store(Size::Double, Reg::R5, SCAN_LEFT, Reg::R2);
        self.asm.jump(again);
    }

    /// `r1 = bytes of a dict's indices, r4 = bytes from entry to entry`, of the word at 8 of its keys in `r1` and
    /// [`Fact::KeysLogarithm`] in `r0`. Destroys `r2`.
    pub(crate) fn size_of_indices(&mut self) {
        let (old, sized) = (self.asm.label(), self.asm.label());
        self.asm.mov_imm(Reg::R4, 24);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, old);
        // The logarithm is the second of the bytes, the kind the third.
        self.asm.mov(Reg::R0, Reg::R1);
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 8);
        self.asm.alu_imm(Alu::And, Reg::R0, 63);
        self.asm.mov(Reg::R2, Reg::R1);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, 16);
        self.asm.alu_imm(Alu::And, Reg::R2, 0xff);
        self.asm.mov_imm(Reg::R1, 1);
        self.asm.alu(Alu::Lsh, Reg::R1, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, sized);
        self.asm.mov_imm(Reg::R4, 16);
        self.asm.jump(sized);
        self.asm.bind(old);
        // Twice as large where the number does not fit in the smaller ones.
        self.asm.mov(Reg::R0, Reg::R1);
        for limit in [0xff, 0xffff] {
            self.asm.jump_if_imm(Cond::Le, Reg::R0, limit, sized);
            self.asm.alu_imm(Alu::Lsh, Reg::R1, 1);
        }
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, sized);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 1);
        self.asm.bind(sized);
    }

    /// Puts what the next entry of a table has in the queue.
    pub(super) fn scan_entry(&mut self, capture: &Capture) {
        let &Capture { region, again, .. } = capture;
        let (by_order, have, stop, set) = (
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
        );
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_LEFT);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, SCAN_LEFT, Reg::R0);
        // The entry's number.
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SCAN_ORDER);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_INDEX);
        self.asm.store(Size::Double, Reg::R5, INDEX, Reg::R0);
        self.asm.jump_if_imm(Cond::Ne, Reg::R3, 0, by_order);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::R5, SCAN_INDEX, Reg::R0);
        self.asm.jump(have);
        self.asm.bind(by_order);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R5, SCAN_ORDER_STEP);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R3);
        self.asm.store(Size::Double, Reg::R5, SCAN_ORDER, Reg::R0);
        self.asm.store_imm(Size::Double, Reg::R5, INDEX, 0);
        self.read_object(region, INDEX - READ, 1);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, stop);
        self.asm.bind(have);
        // The entry.
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, INDEX);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_STEP);
        self.asm.alu(Alu::Mul, Reg::R3, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_AT);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.read_object(region, READ_MORE, 16);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, stop);
        let whole = self.asm.label();
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_VALUES);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, whole);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, INDEX);
        self.asm.alu_imm(Alu::Lsh, Reg::R3, 3);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.read_object(region, SECOND - READ, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, stop);
        self.asm.bind(whole);
        // Is there anything in it?
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, FIRST);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SECOND);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, again);
        self.asm.load(Size::Double, Reg::R4, Reg::R5, TAIL);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R4, imm(MOST_OBJECTS), stop);
        self.asm.mov(Reg::R1, Reg::R4);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R5);
        self.asm.store(Size::Double, Reg::R1, QUEUE, Reg::R2);
        self.asm.store(Size::Double, Reg::R1, QUEUE + 8, Reg::R3);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_SET);
        self.asm.mov_imm(Reg::R2, 1);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, set);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, again);
        self.asm.mov_imm(Reg::R2, 2);
        self.asm.bind(set);
        // What was taken out of a set has left a hash that nothing has. No value is at that address.
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, -1, again);
        self.asm.alu(Alu::Add, Reg::R4, Reg::R2);
        self.asm.store(Size::Double, Reg::R5, TAIL, Reg::R4);
        self.asm.mov(Reg::R0, Reg::R4);
        self.end_level();
        self.object_node(region, Reg::R1, Reg::R0);
        self.asm.load(Size::Word, Reg::R3, Reg::R1, LENGTH);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
        self.asm.store(Size::Word, Reg::R1, LENGTH, Reg::R3);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_MOST);
        self.asm.jump_if(Cond::Lt, Reg::R3, Reg::R0, again);
        self.asm.bind(stop);
        self.object_region(Reg::R5, region);
        self.asm.store_imm(Size::Double, Reg::R5, SCAN_LEFT, 0);
        self.asm.jump(again);
    }
}
