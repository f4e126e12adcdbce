//! Attributes of objects: `pyattr(object, "name")`, `pyself("name")`.
//!
//! An attribute is looked for as `object.__getattribute__` does, without calling anything: in the object's own
//! attributes, then in its class and those that it is derived from. What is found there is the attribute, unless it is
//! a slot, whose value is in the object. A property is not called: it is the attribute.
//!
//! ```text
//!   before 3.11  the object has a dict, at a distance that its type tells; nothing else
//!   3.11         values at object - 32, their names in the class's keys; or else a dict at object - 24
//!   3.12         one word at object - 24: the values, its lowest bit set, or a dict
//!   3.13 on      values behind the object's fields, while a byte there says so, or a dict at object - 24
//! ```
//!
//! Of a class, the attributes are its own and those of the classes that it is derived from; what they have is not asked
//! for the value of a slot.
//!
//! The tables are gone through one after the other, an entry in each turn of one loop. That has one start (the object's own
//! table is opened before it), so that it is one for kernels whose loops are functions, too (`loops`).

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, Subroutine};
use dlang::types::{Int, Type};

use super::capture::{READ_MORE, READ_STATE, READ_TYPE, flags};
use super::layout::{AFTER, Fact, INLINE, OWN_WORD, TAGGED};
use super::region::{
    HEAD, LEVEL_END, NODE, NODES, OBJECT, ObjectRegion, READ, RESULT, SCAN_AT, SCAN_INDEX,
    SCAN_LEFT, SCAN_ORDER, SCAN_SET, SCAN_STEP, SCAN_VALUES, TURNS,
};
use super::table::MOST_ENTRIES;
use super::value::Head;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;

/// The most classes that are looked into.
const MOST_CLASSES: i32 = 32;
/// The most bytes of a name.
const LONGEST: usize = 64;

/// Bits of a type's flags: attributes in values behind the object (3.13 on), and in front of it (3.11 on).
const INLINE_VALUES: i32 = 1 << 2;
const MANAGED_DICT: i32 = 1 << 4;

/// In a type, from its name and from its flags on: the size of an object, the attributes of the class, where an object
/// has its dict, and the classes that it is derived from, itself the first.
const SIZE_BEHIND_NAME: i32 = 8;
const DICT_BEHIND_FLAGS: i32 = 96;
const DICT_OFFSET_BEHIND_FLAGS: i32 = 120;
const CLASSES_BEHIND_FLAGS: i32 = 176;

/// In front of an object: its values in 3.11, followed by the dict that it may have instead.
const VALUES_IN_FRONT: i32 = 32;
const DICT_IN_FRONT: i32 = 24;
/// In values behind an object: the byte that says that they hold, and the first of them.
const VALID: i32 = 3;
const FIRST_VALUE: i32 = 8;

/// In the descriptor of a slot, behind its header: the address of what says where the slot is. There: kind and place.
const MEMBER: i32 = 24;
const MEMBER_KIND: i32 = 8;
/// Kinds of slots: any object, in two spellings.
const ANY_OBJECT: [i32; 2] = [6, 16];

/// The keys of the current table.
const KEYS: i16 = NODE;
/// The current entry's key and value.
const KEY: i16 = HEAD;
const VALUE: i16 = LEVEL_END;
/// Whether the current table is a class's.
const OF_CLASS: i16 = SCAN_SET;
/// The class that the search begins with, and how many have been looked into.
const FIRST_CLASS: i16 = SCAN_ORDER;
const CLASS: i16 = TURNS;

impl Emit<'_> {
    /// `pyattr(object, name)`, `pyself(name)`: the address of an object, or 0.
    pub(crate) fn python_attribute(
        &mut self,
        subroutine: Subroutine,
        args: &[Expr],
        span: Span,
    ) -> Emitted<Val> {
        let function = dlang::names::subroutine_name(subroutine);
        let (object, name) = match args {
            [object, name] => (Some(object), name),
            [name] => (None, name),
            _ => return Err(crate::scan::unknown(subroutine, span)),
        };
        let name = self.constant_string(name);
        let name = name.filter(|name| (1..=LONGEST).contains(&name.len()) && name.is_ascii());
        let Some(name) = name else {
            return Err(Refusal {
                span,
                message: format!("{function}() takes a name of 1 to {LONGEST} ASCII characters"),
            });
        };
        let object = match object {
            Some(object) => self.int(object)?,
            None => {
                let first = Expr {
                    kind: ExprKind::Int(0),
                    ty: Type::Int(Int::I32),
                    span,
                };
                self.python_variable(Subroutine::Pyarg, &[first], span)?
            }
        };
        self.of_object(function, object, span, |e, head| {
            e.find_attribute(head, &name);
        })
    }

    pub(super) fn find_attribute(&mut self, head: Head, name: &[u8]) {
        let Head { region, done, .. } = head;
        let [again, dict, keys, entry] = [(); 4].map(|()| self.asm.label());
        self.object_region(Reg::R5, region);
        for (word, value) in [(SCAN_LEFT, 0), (SCAN_VALUES, 0), (OF_CLASS, 0), (CLASS, -1)] {
            self.asm.store_imm(Size::Double, Reg::R5, word, value);
        }
        let no_class = self.asm.label();
        self.asm.load(Size::Double, Reg::R0, Reg::R5, OBJECT);
        self.asm.store(Size::Double, Reg::R5, FIRST_CLASS, Reg::R0);
        self.jump_unless_type(head, flags::TYPE, no_class);
        self.asm.jump(again);
        self.asm.bind(no_class);
        self.object_word(region, Reg::R0, READ + READ_TYPE);
        self.set_object_word(region, FIRST_CLASS, Reg::R0);
        self.open_own_attributes(head, (dict, keys, again));
        self.asm.bind(dict);
        self.open_attributes(head, again);
        self.asm.bind(keys);
        self.open_keys(head);

        self.asm.bind(again);
        self.asm.may_goto(done);
        self.object_word(region, Reg::R0, SCAN_LEFT);
        self.asm.jump_if_imm(Cond::SGt, Reg::R0, 0, entry);
        self.next_class(head);
        self.open_attributes(head, again);
        self.open_keys(head);
        self.asm.jump(again);
        self.asm.bind(entry);
        self.compare_entry(head, name, again);
        self.value_of_slot(head);
    }

    /// `r0 = the keys` of the dict in `r0`, and finds its values where they are apart; on to `none` if there is no dict.
    fn open_attributes(&mut self, head: Head, none: Label) {
        let region = head.region;
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_python_fact(head.facts, Reg::R3, Fact::DictKeys);
        self.read_or_fail(head, READ_MORE, 16);
        let apart = self.asm.label();
        self.object_word(region, Reg::R2, READ + READ_MORE + 8);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, apart);
        self.python_fact(head.facts, Reg::R0, Fact::ValuesOrder);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, imm(AFTER), apart);
        self.asm.alu_imm(Alu::Add, Reg::R2, FIRST_VALUE);
        self.asm.bind(apart);
        self.set_object_word(region, SCAN_VALUES, Reg::R2);
        self.object_word(region, Reg::R0, READ + READ_MORE);
    }

    /// Reads to a place of what has been read; on to `bad` if that cannot be.
    fn read_or_fail(&mut self, head: Head, at: i16, bytes: i64) {
        self.read_object(head.region, at, bytes);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, head.bad);
    }

    /// `r0 = the word at r3`; on to `bad` if it cannot be read.
    fn word_or_fail(&mut self, head: Head) {
        self.read_or_fail(head, READ_MORE, 8);
        self.object_word(head.region, Reg::R0, READ + READ_MORE);
    }

    /// Finds the object's own attributes: on to `dict` with one in `r0`, to `keys` with those of its class in `r0`
    /// and the values' address in [`SCAN_VALUES`], or to `classes` if it has none.
    fn open_own_attributes(&mut self, head: Head, (dict, keys, classes): (Label, Label, Label)) {
        let Head { region, facts, .. } = head;
        let [own_word, tagged, in_front, by_offset, shared] = [(); 5].map(|()| self.asm.label());
        self.python_fact(facts, Reg::R0, Fact::InstanceValues);
        self.asm
            .jump_if_imm(Cond::Eq, Reg::R0, imm(OWN_WORD), own_word);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, imm(TAGGED), tagged);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R0, imm(INLINE), by_offset);

        self.jump_unless_type(head, INLINE_VALUES, in_front);
        self.object_word(region, Reg::R3, READ + READ_TYPE);
        self.add_python_fact(facts, Reg::R3, Fact::TypeName);
        self.asm.alu_imm(Alu::Add, Reg::R3, SIZE_BEHIND_NAME);
        self.word_or_fail(head);
        self.object_word(region, Reg::R3, OBJECT);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R0, FIRST_VALUE);
        self.set_object_word(region, SCAN_VALUES, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, VALID);
        self.read_or_fail(head, READ_STATE, 1);
        self.object_region(Reg::R5, region);
        self.asm
            .load(Size::Byte, Reg::R0, Reg::R5, READ + READ_STATE);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, shared);
        self.asm.jump(in_front);

        self.asm.bind(own_word);
        self.jump_unless_type(head, MANAGED_DICT, by_offset);
        self.object_word(region, Reg::R3, OBJECT);
        self.asm.alu_imm(Alu::Add, Reg::R3, -VALUES_IN_FRONT);
        self.word_or_fail(head);
        self.set_object_word(region, SCAN_VALUES, Reg::R0);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, shared);
        self.asm.jump(in_front);

        self.asm.bind(tagged);
        self.jump_unless_type(head, MANAGED_DICT, by_offset);
        self.object_word(region, Reg::R3, OBJECT);
        self.asm.alu_imm(Alu::Add, Reg::R3, -DICT_IN_FRONT);
        self.word_or_fail(head);
        self.asm.mov(Reg::R1, Reg::R0);
        self.asm.alu_imm(Alu::And, Reg::R1, 1);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, dict);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.set_object_word(region, SCAN_VALUES, Reg::R0);

        self.asm.bind(shared);
        self.object_word(region, Reg::R3, READ + READ_TYPE);
        self.add_python_fact(facts, Reg::R3, Fact::CachedKeys);
        self.word_or_fail(head);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, keys);
        self.asm.jump(classes);

        self.asm.bind(in_front);
        self.jump_unless_type(head, MANAGED_DICT, by_offset);
        self.object_word(region, Reg::R3, OBJECT);
        self.asm.alu_imm(Alu::Add, Reg::R3, -DICT_IN_FRONT);
        self.word_or_fail(head);
        self.asm.jump(dict);

        self.asm.bind(by_offset);
        self.object_word(region, Reg::R3, READ + READ_TYPE);
        self.add_python_fact(facts, Reg::R3, Fact::TypeFlags);
        self.asm
            .alu_imm(Alu::Add, Reg::R3, DICT_OFFSET_BEHIND_FLAGS);
        self.word_or_fail(head);
        // Counted from the end of an object of variable size: those are left out.
        self.asm.jump_if_imm(Cond::SLe, Reg::R0, 0, classes);
        self.object_word(region, Reg::R3, OBJECT);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.word_or_fail(head);
    }

    /// Begins to go through the entries of the keys in `r0`.
    fn open_keys(&mut self, head: Head) {
        let Head { region, facts, .. } = head;
        self.set_object_word(region, KEYS, Reg::R0);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::KeysUsed);
        self.word_or_fail(head);
        self.at_most(Reg::R0, MOST_ENTRIES);
        self.set_object_word(region, SCAN_LEFT, Reg::R0);
        self.object_word(region, Reg::R3, KEYS);
        self.asm.alu_imm(Alu::Add, Reg::R3, 8);
        self.word_or_fail(head);
        self.asm.mov(Reg::R1, Reg::R0);
        self.python_fact(facts, Reg::R0, Fact::KeysLogarithm);
        self.size_of_indices();
        self.object_region(Reg::R5, region);
        self.asm.store_imm(Size::Double, Reg::R5, SCAN_INDEX, 0);
        self.asm.store(Size::Double, Reg::R5, SCAN_STEP, Reg::R4);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, KEYS);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.add_python_fact(facts, Reg::R1, Fact::KeysIndices);
        // A hash stands before the key.
        self.asm.alu_imm(Alu::Add, Reg::R4, -16);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R4);
        self.asm.store(Size::Double, Reg::R5, SCAN_AT, Reg::R1);
    }

    /// `r0 = the dict of the next class`; the search ends behind the last.
    fn next_class(&mut self, head: Head) {
        let Head {
            region,
            facts,
            done,
            ..
        } = head;
        self.object_region(Reg::R5, region);
        self.asm.store_imm(Size::Double, Reg::R5, OF_CLASS, 1);
        self.asm.store_imm(Size::Double, Reg::R5, SCAN_VALUES, 0);
        self.asm.store_imm(Size::Double, Reg::R5, SCAN_LEFT, 0);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, CLASS);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::R5, CLASS, Reg::R0);
        self.asm.jump_if_imm(Cond::Ge, Reg::R0, MOST_CLASSES, done);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, FIRST_CLASS);
        self.add_python_fact(facts, Reg::R3, Fact::TypeFlags);
        self.asm.alu_imm(Alu::Add, Reg::R3, CLASSES_BEHIND_FLAGS);
        self.word_or_fail(head);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.set_object_word(region, KEYS, Reg::R0);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.word_or_fail(head);
        self.object_word(region, Reg::R1, CLASS);
        self.asm.jump_if(Cond::SGe, Reg::R1, Reg::R0, done);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        self.object_word(region, Reg::R3, KEYS);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.add_python_fact(facts, Reg::R3, Fact::TupleItems);
        self.word_or_fail(head);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::TypeFlags);
        self.asm.alu_imm(Alu::Add, Reg::R3, DICT_BEHIND_FLAGS);
        self.word_or_fail(head);
    }

    /// Looks at the next entry: on to `again` unless it has the name and a value, which is the result then.
    fn compare_entry(&mut self, head: Head, name: &[u8], again: Label) {
        let Head { region, facts, .. } = head;
        let length = i32::try_from(name.len()).expect("names are short");
        let whole = self.asm.label();
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_LEFT);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, SCAN_LEFT, Reg::R0);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, SCAN_INDEX);
        self.asm.mov(Reg::R0, Reg::R1);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::R5, SCAN_INDEX, Reg::R0);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SCAN_STEP);
        self.asm.alu(Alu::Mul, Reg::R3, Reg::R1);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_AT);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.read_or_fail(head, READ_MORE, 16);
        self.object_region(Reg::R5, region);
        for (from, to) in [(READ_MORE, KEY), (READ_MORE + 8, VALUE)] {
            self.asm.load(Size::Double, Reg::R0, Reg::R5, READ + from);
            self.asm.store(Size::Double, Reg::R5, to, Reg::R0);
        }
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SCAN_VALUES);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, whole);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, SCAN_INDEX);
        self.asm.alu_imm(Alu::Add, Reg::R1, -1);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 3);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.word_or_fail(head);
        self.set_object_word(region, VALUE, Reg::R0);
        self.asm.bind(whole);
        self.object_region(Reg::R5, region);
        for word in [VALUE, KEY] {
            self.asm.load(Size::Double, Reg::R3, Reg::R5, word);
            self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, again);
        }
        // What cannot be read so is no str.
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.read_object(region, READ_STATE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, again);
        self.object_word(region, Reg::R0, READ + READ_STATE);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, length, again);
        self.object_word(region, Reg::R3, KEY);
        self.add_python_fact(facts, Reg::R3, Fact::AsciiData);
        self.read_name(region, length);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, again);
        self.object_region(Reg::R5, region);
        self.match_bytes(Reg::R5, NODES, name, false, again);
        self.object_word(region, Reg::R0, VALUE);
        self.set_object_word(region, RESULT, Reg::R0);
    }

    /// `r0 = bpf_probe_read_user(nodes, length, r3)`.
    fn read_name(&mut self, region: ObjectRegion, length: i32) {
        self.object_region(Reg::R1, region);
        self.asm.alu_imm(Alu::Add, Reg::R1, i32::from(NODES));
        self.asm.mov_imm(Reg::R2, i64::from(length));
        self.asm.call(Helper::ProbeReadUser);
    }

    /// If what a class has is a slot, the result is what the object has there.
    fn value_of_slot(&mut self, head: Head) {
        const NAME: &[u8; 17] = b"member_descriptor";
        let Head {
            region,
            facts,
            done,
            ..
        } = head;
        let object = self.asm.label();
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, OF_CLASS);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, FIRST_CLASS);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, OBJECT);
        self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, done);
        self.object_word(region, Reg::R3, VALUE);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.asm.alu_imm(Alu::Add, Reg::R3, -8);
        self.word_or_fail(head);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::TypeName);
        self.word_or_fail(head);
        self.asm.mov(Reg::R3, Reg::R0);
        self.read_name(region, imm(17));
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, done);
        self.object_region(Reg::R5, region);
        self.match_bytes(Reg::R5, NODES, NAME, false, done);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, VALUE);
        self.asm.store_imm(Size::Double, Reg::R5, RESULT, 0);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.asm.alu_imm(Alu::Add, Reg::R3, MEMBER);
        self.word_or_fail(head);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R3, MEMBER_KIND);
        self.read_or_fail(head, READ_MORE, 16);
        self.object_region(Reg::R5, region);
        self.asm
            .load(Size::Word, Reg::R1, Reg::R5, READ + READ_MORE);
        for kind in ANY_OBJECT {
            self.asm.jump_if_imm(Cond::Eq, Reg::R1, kind, object);
        }
        self.asm.jump(done);
        self.asm.bind(object);
        self.asm
            .load(Size::Double, Reg::R3, Reg::R5, READ + READ_MORE + 8);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, OBJECT);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.word_or_fail(head);
        self.set_object_word(region, RESULT, Reg::R0);
    }
}
