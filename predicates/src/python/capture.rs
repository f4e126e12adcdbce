//! Reading what `repr` shows of an object: the object and, to two levels, its parts.
//!
//! What is read is a list of *nodes*, one for each object ([`region`](super::region)), the first
//! object's first. A container's parts are put in a queue, and read in their turn, so that the list has all
//! objects of a level before those of the next; whoever knows how many parts each container has put in
//! the queue knows which nodes they are. `actions` writes the list as text.
//!
//! ```text
//!     queue = [object];
//!     while (turns are left) {
//!         if (a table is being read) { put the next entry's objects in the queue; continue; }
//!         if (the queue is empty or the nodes are full) break;
//!         take an object; begin a node; read its type, the type's name and flags;
//!         by the flags: append digits or text; put items in the queue; begin a table
//!     }
//! ```
//!
//! The traced program may change objects while they are read, or have made them up: addresses are read
//! by the helper that reads nothing but the program's own memory, counts and sizes are cut, and a list that
//! contains itself ends at the third level. An address that cannot be read leaves a node that says so.

use dlang::diag::Span;
use dlang::program::Expr;

use super::facts::Facts;
use super::layout::Fact;
use super::region::{
    ADDRESS, FLAGS, HEAD, KIND, LENGTH, LEVEL, LEVEL_END, MOST_NAME, MOST_NODES, MOST_OBJECTS,
    NAME_BYTES, NODE, NODE_BYTES, NODES, OBJECT, ObjectRegion, QUEUE, READ, SCAN_LEFT, SIZE, TAIL,
    TURNS, USED, VALUE, kinds,
};
use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::string::Str;

/// The most parts of a container that are read; of a dict, keys and values are two.
pub(super) const MOST_PARTS: i32 = 8;
/// The most turns of the loop for one object.
const MOST_TURNS: i32 = 1024;
/// Parts of parts are read, their parts are not.
pub(super) const DEEPEST: i32 = 2;
/// The most digits of an `int`: 150 bits.
const MOST_DIGITS: i32 = 5;

/// Bits of a type's flags.
pub(crate) mod flags {
    /// The type was made by a Python program.
    pub(crate) const HEAP: i32 = 9;
    pub(crate) const INT: i32 = 1 << 24;
    pub(crate) const LIST: i32 = 1 << 25;
    pub(crate) const TUPLE: i32 = 1 << 26;
    pub(crate) const BYTES: i32 = 1 << 27;
    pub(crate) const STR: i32 = 1 << 28;
    pub(crate) const DICT: i32 = 1 << 29;
    pub(crate) const EXCEPTION: i32 = 1 << 30;
    pub(crate) const TYPE: i32 = i32::MIN;
}

/// Where, in what has been read, an object's type and first two words are, and its type's name and flags.
pub(super) const READ_TYPE: i16 = 0;
pub(super) const READ_FIRST: i16 = 8;
pub(super) const READ_NAME: i16 = 24;
pub(super) const READ_FLAGS: i16 = 32;
/// Where more is read of the object, and the state of a `str`.
pub(super) const READ_MORE: i16 = 40;
pub(super) const READ_STATE: i16 = 56;

/// A loop over objects while it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capture {
    pub(super) region: ObjectRegion,
    pub(super) facts: Facts,
    /// The next turn.
    pub(super) again: Label,
    done: Label,
}

impl Emit<'_> {
    /// `pyrepr(object)`: the nodes, as bytes on the heap.
    pub fn capture(&mut self, object: &Expr, span: Span) -> Emitted<Str> {
        const FUNCTION: &str = "a Python object's text";
        let region = self.object_place(FUNCTION, span)?;
        let address = self.int(object)?;
        self.scratch(Reg::R1, span)?;
        self.object_region(Reg::R1, region);
        for word in [HEAD, USED, LEVEL_END, NODE, LEVEL, TURNS, SCAN_LEFT] {
            self.asm.store_imm(Size::Double, Reg::R1, word, 0);
        }
        self.asm.store_imm(Size::Double, Reg::R1, TAIL, 1);
        let reg = self.reg(&address, Reg::R0);
        self.asm.store(Size::Double, Reg::R1, QUEUE, reg);
        self.stack.give(address);
        // In a process that runs no Python there is no object.
        self.asm
            .store_imm(Size::Double, Reg::R1, USED, imm(NODE_BYTES));
        self.asm
            .store_imm(Size::Double, Reg::R1, NODES + KIND, i32::from(kinds::NULL));
        for word in [ADDRESS, VALUE] {
            self.asm.store_imm(Size::Double, Reg::R1, NODES + word, 0);
        }
        let done = self.asm.label();
        let facts = self.python_facts(FUNCTION, done, span)?;
        self.object_region(Reg::R1, region);
        self.asm.store_imm(Size::Double, Reg::R1, USED, 0);
        let capture = Capture {
            region,
            facts,
            again: self.asm.label(),
            done,
        };
        let scan = self.asm.label();
        self.asm.bind(capture.again);
        self.asm.may_goto(capture.done);
        self.begin_turn(&capture, scan);
        self.read_type(&capture);
        self.read_by_type(&capture);
        self.asm.bind(scan);
        self.scan_entry(&capture);
        self.asm.bind(capture.done);
        self.give_python_facts(facts);
        self.push_nodes(region, span)
    }

    /// Counts the turn, and begins the node of the next object.
    fn begin_turn(&mut self, capture: &Capture, scan: Label) {
        let &Capture {
            region,
            again,
            done,
            ..
        } = capture;
        self.object_region(Reg::R1, region);
        self.asm.load(Size::Double, Reg::R2, Reg::R1, TURNS);
        self.asm.jump_if_imm(Cond::Ge, Reg::R2, MOST_TURNS, done);
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        self.asm.store(Size::Double, Reg::R1, TURNS, Reg::R2);
        self.asm.load(Size::Double, Reg::R2, Reg::R1, SCAN_LEFT);
        self.asm.jump_if_imm(Cond::Ne, Reg::R2, 0, scan);
        self.asm.load(Size::Double, Reg::R2, Reg::R1, HEAD);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, TAIL);
        self.asm.jump_if(Cond::Ge, Reg::R2, Reg::R3, done);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R2, imm(MOST_OBJECTS), done);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, USED);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R3, imm(MOST_NODES), done);
        self.asm.mov(Reg::R4, Reg::R2);
        self.asm.alu_imm(Alu::Add, Reg::R4, 1);
        self.asm.store(Size::Double, Reg::R1, HEAD, Reg::R4);
        // How deep it is.
        let known = self.asm.label();
        self.asm.mov_imm(Reg::R5, 0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, known);
        self.asm.mov_imm(Reg::R5, 1);
        self.asm.load(Size::Double, Reg::R4, Reg::R1, LEVEL_END);
        self.asm.jump_if(Cond::Lt, Reg::R2, Reg::R4, known);
        self.asm.mov_imm(Reg::R5, i64::from(DEEPEST));
        self.asm.bind(known);
        self.asm.store(Size::Double, Reg::R1, LEVEL, Reg::R5);
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 3);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R1);
        self.asm.load(Size::Double, Reg::R0, Reg::R2, QUEUE);
        self.asm.store(Size::Double, Reg::R1, OBJECT, Reg::R0);
        self.asm.store(Size::Double, Reg::R1, NODE, Reg::R3);
        self.asm.mov(Reg::R4, Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R4, imm(NODE_BYTES));
        self.asm.store(Size::Double, Reg::R1, USED, Reg::R4);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R3, i32::from(NODES));
        self.asm
            .store_imm(Size::Double, Reg::R3, KIND, i32::from(kinds::NULL));
        self.asm.store(Size::Double, Reg::R3, ADDRESS, Reg::R0);
        self.asm.store_imm(Size::Double, Reg::R3, VALUE, 0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, again);
    }

    /// Reads the object's type, the first words, the type's flags and its name.
    fn read_type(&mut self, capture: &Capture) {
        let region = capture.region;
        self.set_object_kind(capture, kinds::UNREADABLE);
        self.read_head(region, capture.facts, capture.again);
        // The type's name.
        self.object_word(region, Reg::R3, READ + READ_TYPE);
        self.add_python_fact(capture.facts, Reg::R3, Fact::TypeName);
        self.read_object(region, READ_NAME, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, capture.again);
        self.object_node(region, Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R1, imm(NODE_BYTES));
        self.asm.mov_imm(Reg::R2, i64::from(MOST_NAME));
        self.object_word(region, Reg::R3, READ + READ_NAME);
        self.asm.call(Helper::ProbeReadUserStr);
        // A name in a page that nobody has touched yet is left out.
        let named = self.asm.label();
        self.asm.jump_if_imm(Cond::SGe, Reg::R0, 0, named);
        self.asm.mov_imm(Reg::R0, 0);
        self.asm.bind(named);
        self.object_node(region, Reg::R1, Reg::R2);
        self.asm.store(Size::Half, Reg::R1, NAME_BYTES, Reg::R0);
        self.object_word(region, Reg::R2, READ + READ_FLAGS);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, flags::HEAP);
        self.asm.alu_imm(Alu::And, Reg::R2, 1);
        self.asm.store(Size::Byte, Reg::R1, FLAGS, Reg::R2);
        self.object_word(region, Reg::R2, READ + READ_FIRST);
        self.asm.store(Size::Double, Reg::R1, VALUE, Reg::R2);
        self.grow_nodes(region, Reg::R0);
    }

    /// Reads type, first two words and type's flags of the object whose address is in [`OBJECT`]; on to
    /// `bad` if it cannot be read.
    pub(super) fn read_head(&mut self, region: ObjectRegion, facts: Facts, bad: Label) {
        let have = self.asm.label();
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.asm.alu_imm(Alu::Add, Reg::R3, -8);
        self.read_object(region, READ_TYPE, 24);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, have);
        // The smallest objects have nothing but a type, and may stand at the end of a page.
        self.object_region(Reg::R1, region);
        self.asm
            .store_imm(Size::Double, Reg::R1, READ + READ_FIRST, 0);
        self.asm
            .store_imm(Size::Double, Reg::R1, READ + READ_FIRST + 8, 0);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.asm.alu_imm(Alu::Add, Reg::R3, -8);
        self.read_object(region, READ_TYPE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
        self.asm.bind(have);
        self.object_word(region, Reg::R3, READ + READ_TYPE);
        self.add_python_fact(facts, Reg::R3, Fact::TypeFlags);
        self.read_object(region, READ_FLAGS, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
    }

    /// `USED += reg`, rounded up. Destroys `r1`, `r2`.
    fn grow_nodes(&mut self, region: ObjectRegion, by: Reg) {
        self.object_region(Reg::R1, region);
        self.asm.load(Size::Double, Reg::R2, Reg::R1, USED);
        self.asm.alu(Alu::Add, Reg::R2, by);
        self.asm.alu_imm(Alu::Add, Reg::R2, 7);
        self.asm.alu_imm(Alu::And, Reg::R2, -8);
        self.asm.store(Size::Double, Reg::R1, USED, Reg::R2);
    }

    /// Says what the object is. Destroys `r0`, `r1`.
    pub(super) fn set_object_kind(&mut self, capture: &Capture, kind: u8) {
        self.object_node(capture.region, Reg::R1, Reg::R0);
        self.asm
            .store_imm(Size::Byte, Reg::R1, KIND, i32::from(kind));
    }

    /// Goes by the type's flags, and by the name of a type that has none of its own.
    fn read_by_type(&mut self, capture: &Capture) {
        let &Capture {
            region,
            again,
            facts,
            ..
        } = capture;
        let flag_kinds = [
            flags::INT,
            flags::STR,
            flags::BYTES,
            flags::TUPLE,
            flags::LIST,
            flags::DICT,
            flags::EXCEPTION,
            flags::TYPE,
        ];
        let labels = flag_kinds.map(|flag| (flag, self.asm.label()));
        let [int, str, bytes, tuple, list, dict, exception, class] = labels.map(|(_, label)| label);
        self.object_region(Reg::R1, region);
        self.asm
            .load(Size::Word, Reg::R1, Reg::R1, READ + READ_FLAGS);
        for (flag, label) in labels {
            self.asm.mov(Reg::R2, Reg::R1);
            self.asm.alu_imm(Alu::And, Reg::R2, flag);
            self.asm.jump_if_imm(Cond::Ne, Reg::R2, 0, label);
        }
        self.read_other(capture);

        self.asm.bind(int);
        self.set_object_kind(capture, kinds::INT);
        self.count_digits(region, facts);
        self.object_node(region, Reg::R1, Reg::R0);
        self.asm.store(Size::Double, Reg::R1, VALUE, Reg::R2);
        self.asm.load(Size::Byte, Reg::R0, Reg::R1, FLAGS);
        self.asm.alu_imm(Alu::Lsh, Reg::R3, 1);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R3);
        self.asm.store(Size::Byte, Reg::R1, FLAGS, Reg::R0);
        self.at_most(Reg::R2, MOST_DIGITS);
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 2);
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::Digits);
        self.append_to_node(capture, 4 * MOST_DIGITS.cast_unsigned());
        self.asm.jump(again);

        self.asm.bind(str);
        self.find_text(region, facts, again);
        // The kind says how wide the characters are, which is in r4; their bytes are in r2.
        self.object_node(region, Reg::R1, Reg::R0);
        self.asm.mov(Reg::R0, Reg::R4);
        self.asm.alu_imm(Alu::Or, Reg::R0, i32::from(kinds::STR));
        self.asm.store(Size::Byte, Reg::R1, KIND, Reg::R0);
        self.append_to_node(capture, region.text);
        self.asm.jump(again);

        self.asm.bind(bytes);
        self.set_object_kind(capture, kinds::BYTES);
        self.object_region(Reg::R1, region);
        self.asm
            .load(Size::Double, Reg::R2, Reg::R1, READ + READ_FIRST);
        self.at_most(Reg::R2, imm(region.text));
        self.asm.load(Size::Double, Reg::R3, Reg::R1, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::BytesData);
        self.append_to_node(capture, region.text);
        self.asm.jump(again);

        let items = self.asm.label();
        self.asm.bind(tuple);
        self.set_object_kind(capture, kinds::TUPLE);
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::TupleItems);
        self.asm.jump(items);
        self.asm.bind(list);
        self.set_object_kind(capture, kinds::LIST);
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::ListItems);
        self.read_object(region, READ_MORE, 8);
        self.unreadable_unless_read(capture);
        self.object_word(region, Reg::R3, READ + READ_MORE);
        self.asm.bind(items);
        self.object_word(region, Reg::R2, READ + READ_FIRST);
        self.at_most(Reg::R2, MOST_PARTS);
        self.queue_items(capture);

        self.asm.bind(exception);
        self.set_object_kind(capture, kinds::EXCEPTION);
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::ExceptionArguments);
        self.asm.mov_imm(Reg::R2, 1);
        self.queue_items(capture);

        self.asm.bind(class);
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::TypeName);
        self.read_object(region, READ_MORE, 8);
        self.unreadable_unless_read(capture);
        self.set_object_kind(capture, kinds::TYPE);
        self.append_name(capture);

        self.asm.bind(dict);
        self.begin_dict(capture);
    }

    /// What has no flag of its own: a set, by its type's name, or anything else.
    fn read_other(&mut self, capture: &Capture) {
        let region = capture.region;
        let (set, other) = (self.asm.label(), self.asm.label());
        self.object_node(region, Reg::R1, Reg::R0);
        self.asm.load(Size::Byte, Reg::R0, Reg::R1, FLAGS);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, other);
        let name = i16::try_from(NODE_BYTES).expect("a node's header is small");
        self.asm.load(Size::Word, Reg::R0, Reg::R1, name);
        let word = |text: [u8; 4]| i32::from_le_bytes(text);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R0, word(*b"set\0"), set);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, name);
        self.asm.mov_imm(Reg::R2, i64::from_le_bytes(*b"frozense"));
        self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R2, set);
        self.asm.bind(other);
        self.set_object_kind(capture, kinds::OTHER);
        self.asm.jump(capture.again);
        self.asm.bind(set);
        self.begin_set(capture);
    }

    /// `reg = min(reg, most)`, unsigned.
    pub(crate) fn at_most(&mut self, reg: Reg, most: i32) {
        let fits = self.asm.label();
        self.asm.jump_if_imm(Cond::Le, reg, most, fits);
        self.asm.mov_imm(reg, i64::from(most));
        self.asm.bind(fits);
    }

    /// If `r0` says that nothing was read, leaves the object as one that cannot be.
    pub(super) fn unreadable_unless_read(&mut self, capture: &Capture) {
        let read = self.asm.label();
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, read);
        self.set_object_kind(capture, kinds::UNREADABLE);
        self.asm.jump(capture.again);
        self.asm.bind(read);
    }

    /// Of an `int` whose size has been read: `r2 = number of digits, r3 = 1 if it is negative, else 0`.
    pub(super) fn count_digits(&mut self, region: ObjectRegion, facts: Facts) {
        let (tagged, have) = (self.asm.label(), self.asm.label());
        self.object_word(region, Reg::R2, READ + READ_FIRST);
        self.asm.mov_imm(Reg::R3, 0);
        self.python_fact(facts, Reg::R0, Fact::TaggedInt);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, tagged);
        self.asm.jump_if_imm(Cond::SGe, Reg::R2, 0, have);
        self.asm.alu_imm(Alu::Neg, Reg::R2, 0);
        self.asm.mov_imm(Reg::R3, 1);
        self.asm.jump(have);
        // 0, 1 or 2 for a positive value, zero, a negative one.
        self.asm.bind(tagged);
        self.asm.mov(Reg::R3, Reg::R2);
        self.asm.alu_imm(Alu::Rsh, Reg::R3, 1);
        self.asm.alu_imm(Alu::And, Reg::R3, 1);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, 3);
        self.asm.bind(have);
    }

    /// Of a `str` whose head has been read: `r3 = address of its characters, r2 = their bytes` (at most as
    /// many as there is room for), `r4 = bytes of a character`. On to `bad` if it has none, as strings of
    /// old interfaces that were never looked at, or cannot be read.
    pub(super) fn find_text(&mut self, region: ObjectRegion, facts: Facts, bad: Label) {
        let (ascii, compact, found) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::StringState);
        self.read_object(region, READ_STATE, 4);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
        self.object_region(Reg::R4, region);
        self.asm
            .load(Size::Word, Reg::R4, Reg::R4, READ + READ_STATE);
        self.python_fact(facts, Reg::R0, Fact::StringKind);
        // What the shift is the verifier does not know: it is below 32.
        self.asm.alu_imm(Alu::And, Reg::R0, 31);
        self.asm.alu(Alu::Rsh, Reg::R4, Reg::R0);
        self.asm.alu_imm(Alu::And, Reg::R4, 7);
        self.asm.jump_if_imm(Cond::Eq, Reg::R4, 0, bad);
        self.asm.jump_if_imm(Cond::Gt, Reg::R4, 4, bad);
        self.set_object_word(region, SIZE, Reg::R4);
        self.object_region(Reg::R2, region);
        self.asm.load(Size::Double, Reg::R3, Reg::R2, OBJECT);
        self.asm
            .load(Size::Word, Reg::R1, Reg::R2, READ + READ_STATE);
        self.python_fact(facts, Reg::R0, Fact::StringCompact);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, compact);
        self.add_python_fact(facts, Reg::R3, Fact::WideData);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
        self.object_word(region, Reg::R3, READ + READ_MORE);
        self.asm.jump(found);
        self.asm.bind(compact);
        self.python_fact(facts, Reg::R0, Fact::StringAscii);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, ascii);
        self.add_python_fact(facts, Reg::R3, Fact::WideData);
        self.asm.jump(found);
        self.asm.bind(ascii);
        self.add_python_fact(facts, Reg::R3, Fact::AsciiData);
        self.asm.bind(found);
        self.object_region(Reg::R2, region);
        self.asm.load(Size::Double, Reg::R4, Reg::R2, SIZE);
        self.asm
            .load(Size::Double, Reg::R2, Reg::R2, READ + READ_FIRST);
        self.at_most(Reg::R2, imm(region.text));
        self.asm.alu(Alu::Mul, Reg::R2, Reg::R4);
        self.at_most(Reg::R2, imm(region.text));
    }

    /// Reads the `r2` bytes at `r3` behind the node's name; they are never more than `most`.
    fn append_to_node(&mut self, capture: &Capture, most: u32) {
        let region = capture.region;
        self.node_end(region);
        self.gave_up = true;
        let give_up = self.give_up;
        self.asm.jump_if_imm(Cond::Gt, Reg::R2, imm(most), give_up);
        self.set_object_word(region, SIZE, Reg::R2);
        self.asm.call(Helper::ProbeReadUser);
        self.unreadable_unless_read(capture);
        self.object_word(region, Reg::R3, SIZE);
        self.object_node(region, Reg::R1, Reg::R0);
        self.asm.store(Size::Word, Reg::R1, LENGTH, Reg::R3);
        self.grow_nodes(region, Reg::R3);
    }

    /// `r1 = address of the nodes' end`, with room for a text. Destroys `r0`.
    fn node_end(&mut self, region: ObjectRegion) {
        self.object_region(Reg::R1, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, USED);
        self.gave_up = true;
        let give_up = self.give_up;
        let most = region.most_nodes() - region.text;
        self.asm.jump_if_imm(Cond::Gt, Reg::R0, imm(most), give_up);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R1, i32::from(NODES));
    }

    /// Appends the text whose address has been read to [`READ_MORE`].
    fn append_name(&mut self, capture: &Capture) {
        let region = capture.region;
        self.node_end(region);
        self.asm
            .mov_imm(Reg::R2, i64::from(MOST_NAME.min(region.text)));
        self.object_word(region, Reg::R3, READ + READ_MORE);
        self.asm.call(Helper::ProbeReadUserStr);
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, capture.again);
        self.asm.mov(Reg::R3, Reg::R0);
        self.object_node(region, Reg::R1, Reg::R0);
        self.asm.store(Size::Word, Reg::R1, LENGTH, Reg::R3);
        self.grow_nodes(region, Reg::R3);
        self.asm.jump(capture.again);
    }

    /// Puts the `r2` addresses at `r3` in the queue, at most [`MOST_PARTS`], unless the object is too deep.
    fn queue_items(&mut self, capture: &Capture) {
        let region = capture.region;
        self.object_region(Reg::R1, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, LEVEL);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R0, DEEPEST, capture.again);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, TAIL);
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R0, imm(MOST_OBJECTS), capture.again);
        self.asm.store(Size::Double, Reg::R1, SIZE, Reg::R2);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R1, i32::from(QUEUE));
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 3);
        self.asm.call(Helper::ProbeReadUser);
        self.unreadable_unless_read(capture);
        self.object_node(region, Reg::R1, Reg::R0);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, SIZE);
        self.asm.store(Size::Word, Reg::R1, LENGTH, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, TAIL);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.store(Size::Double, Reg::R5, TAIL, Reg::R0);
        self.end_level();
        self.asm.jump(capture.again);
    }

    /// Notes where the parts of the first object end, if `r0`, the queue's length, may be there; `r5` is
    /// the region.
    pub(super) fn end_level(&mut self) {
        let deeper = self.asm.label();
        self.asm.load(Size::Double, Reg::R1, Reg::R5, LEVEL);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, deeper);
        self.asm.store(Size::Double, Reg::R5, LEVEL_END, Reg::R0);
        self.asm.bind(deeper);
    }

    /// Copies the nodes to the heap.
    fn push_nodes(&mut self, region: ObjectRegion, span: Span) -> Emitted<Str> {
        let most = region.most_nodes();
        let start = self.heap_end(Reg::R1, span)?;
        self.object_region(Reg::R3, region);
        self.asm.load(Size::Double, Reg::R2, Reg::R3, USED);
        self.bound(Reg::R2, most + 1);
        self.asm.alu_imm(Alu::Add, Reg::R3, i32::from(NODES));
        self.asm.call(Helper::ProbeReadKernel);
        self.heap_grows(most);
        self.heap_reaches(most);
        self.object_word(region, Reg::R0, USED);
        self.bound(Reg::R0, most + 1);
        self.load(Reg::R1, &start);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.set_heap_used(Reg::R1, Reg::R2);
        let len = self.keep(Reg::R0, span)?;
        Ok(Str { start, len })
    }
}
