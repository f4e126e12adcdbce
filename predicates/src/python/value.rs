//! Numbers of Python objects: what they are worth, how long they are; and the parts of a tuple.
//!
//! An object that is not of the kind that is asked for has the number 0, as has no object at all. One
//! that cannot be read is a fault.

use dlang::diag::Span;
use dlang::program::{Expr, Subroutine};

use super::capture::{READ_FIRST, READ_FLAGS, READ_MORE, READ_TYPE, flags};
use super::facts::Facts;
use super::layout::Fact;
use super::region::{OBJECT, ObjectRegion, READ, RESULT, SCAN_LEFT, SIZE};
use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fault, Refusal};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;

/// Whether a number is negative; there is no table whose entries would be counted here.
const NEGATIVE: i16 = SCAN_LEFT;

/// An object whose head is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) region: ObjectRegion,
    pub(super) facts: Facts,
    /// Where to go when the result is what it is.
    pub(super) done: Label,
    /// Where to go when something cannot be read.
    pub(super) bad: Label,
}

impl Emit<'_> {
    /// Where objects are read.
    pub(super) fn object_place(&self, function: &str, span: Span) -> Emitted<ObjectRegion> {
        self.storage.objects.ok_or_else(|| Refusal {
            span,
            message: format!("{function}: the program's objects have no place"),
        })
    }

    /// `pyint()` and its like.
    pub(crate) fn python_number(
        &mut self,
        subroutine: Subroutine,
        args: &[Expr],
        span: Span,
    ) -> Emitted<Val> {
        let function = dlang::names::subroutine_name(subroutine);
        let [object, ..] = args else {
            return Err(crate::scan::unknown(subroutine, span));
        };
        let object = self.int(object)?;
        self.of_object(function, object, span, |e, head| {
            if subroutine == Subroutine::Pyfloat {
                e.integer_part(head);
            } else if subroutine == Subroutine::Pylen {
                e.object_length(head);
            } else {
                e.int_value(head);
            }
        })
    }

    /// `pyaudit(n)`: the address of the `n`th argument of an audit event.
    pub(crate) fn audit_argument(&mut self, args: &[Expr], span: Span) -> Emitted<Val> {
        let python = self.python("pyaudit()", span)?;
        let tuple = match &python.audit {
            Ok(number) => *number,
            // Of all Pythons of the machine some may lack it.
            Err(_) if self.machine.any_process => return Ok(Val::Const(0)),
            Err(why) => {
                return Err(Refusal {
                    span,
                    message: format!("pyaudit(): {why}"),
                });
            }
        };
        let [index] = args else {
            return Err(crate::scan::unknown(Subroutine::Pyaudit, span));
        };
        let index = self.int(index)?;
        let tuple = self.argument(tuple, None, span)?;
        let alias = index.alias();
        let item = self.of_object("pyaudit()", tuple, span, |e, head| {
            e.tuple_item(head, &alias);
        })?;
        self.stack.give(index);
        Ok(item)
    }

    /// Reads the head of an object, and gives what `read` leaves in [`RESULT`]: 0 if there is no object,
    /// or if it does nothing.
    pub(super) fn of_object(
        &mut self,
        function: &str,
        object: Val,
        span: Span,
        read: impl FnOnce(&mut Self, Head),
    ) -> Emitted<Val> {
        self.with_object(function, &object, span, read)?;
        let region = self.object_place(function, span)?;
        self.stack.give(object);
        self.object_word(region, Reg::R0, RESULT);
        self.keep(Reg::R0, span)
    }

    /// Reads the head of an object, if there is one, and does `read`.
    pub(super) fn with_object(
        &mut self,
        function: &str,
        object: &Val,
        span: Span,
        read: impl FnOnce(&mut Self, Head),
    ) -> Emitted<()> {
        let region = self.object_place(function, span)?;
        self.scratch(Reg::R1, span)?;
        if self.machine.python.is_none() {
            // Before the branch in which it is wanted.
            self.pid_tgid(Reg::R0, span)?;
        }
        self.object_region(Reg::R1, region);
        self.asm.store_imm(Size::Double, Reg::R1, RESULT, 0);
        let reg = self.reg(object, Reg::R0);
        self.asm.mov(Reg::R0, reg);
        self.asm.store(Size::Double, Reg::R1, OBJECT, Reg::R0);
        let done = self.asm.label();
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        let facts = self.python_facts(function, done, span)?;
        let head = Head {
            region,
            facts,
            done,
            bad: self.fault(Fault::BadAddress, object),
        };
        self.read_head(region, facts, head.bad);
        read(self, head);
        self.asm.bind(done);
        self.give_python_facts(facts);
        Ok(())
    }

    /// On to `to` if the type has any of these flags.
    pub(super) fn jump_if_type(&mut self, head: Head, flags: i32, to: Label) {
        self.jump_by_type(head, flags, Cond::Ne, to);
    }

    /// On to `to` unless the type has any of these flags.
    pub(super) fn jump_unless_type(&mut self, head: Head, flags: i32, to: Label) {
        self.jump_by_type(head, flags, Cond::Eq, to);
    }

    fn jump_by_type(&mut self, head: Head, flags: i32, cond: Cond, to: Label) {
        self.object_region(Reg::R1, head.region);
        self.asm
            .load(Size::Word, Reg::R1, Reg::R1, READ + READ_FLAGS);
        self.asm.alu_imm(Alu::And, Reg::R1, flags);
        self.asm.jump_if_imm(cond, Reg::R1, 0, to);
    }

    /// `r0 = the first eight bytes of the type's name`.
    fn start_of_type_name(&mut self, head: Head) {
        self.object_word(head.region, Reg::R3, READ + READ_TYPE);
        self.add_python_fact(head.facts, Reg::R3, Fact::TypeName);
        self.read_object(head.region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, head.bad);
        // The name may end before its eighth byte, but not before a page does that is there: it is read
        // as a string.
        self.object_region(Reg::R1, head.region);
        self.asm
            .load(Size::Double, Reg::R3, Reg::R1, READ + READ_MORE);
        self.asm
            .store_imm(Size::Double, Reg::R1, READ + READ_MORE, 0);
        self.asm
            .alu_imm(Alu::Add, Reg::R1, i32::from(READ + READ_MORE));
        self.asm.mov_imm(Reg::R2, 9);
        self.asm.call(Helper::ProbeReadUserStr);
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, head.bad);
        self.object_word(head.region, Reg::R0, READ + READ_MORE);
    }

    /// The value of an `int`, cut to what 64 bits hold.
    ///
    /// ```text
    ///     value = digits[0] | digits[1] << 30 | digits[2] << 60;
    ///     if (count > 3 || digits[2] >= 8) value = largest;
    ///     if (negative) value = -value, or the least;
    /// ```
    pub(super) fn int_value(&mut self, head: Head) {
        let Head {
            region,
            facts,
            done,
            ..
        } = head;
        let int = self.asm.label();
        self.jump_if_type(head, flags::INT, int);
        self.asm.jump(done);
        self.asm.bind(int);
        self.count_digits(region, facts);
        self.at_most(Reg::R2, 4);
        self.object_region(Reg::R1, region);
        self.asm.store(Size::Double, Reg::R1, SIZE, Reg::R2);
        self.asm.store(Size::Double, Reg::R1, NEGATIVE, Reg::R3);
        for at in [READ_MORE, READ_MORE + 8] {
            self.asm.store_imm(Size::Double, Reg::R1, READ + at, 0);
        }
        self.asm
            .alu_imm(Alu::Add, Reg::R1, i32::from(READ + READ_MORE));
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 2);
        self.object_word(region, Reg::R3, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::Digits);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, head.bad);
        let (large, have) = (self.asm.label(), self.asm.label());
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, SIZE);
        self.asm.jump_if_imm(Cond::Gt, Reg::R2, 3, large);
        let digit = |n: i16| READ + READ_MORE + 4 * n;
        self.asm.load(Size::Word, Reg::R3, Reg::R5, digit(2));
        self.asm.jump_if_imm(Cond::Ge, Reg::R3, 8, large);
        self.asm.alu_imm(Alu::Lsh, Reg::R3, 60);
        self.asm.load(Size::Word, Reg::R4, Reg::R5, digit(1));
        self.asm.alu_imm(Alu::Lsh, Reg::R4, 30);
        self.asm.load(Size::Word, Reg::R0, Reg::R5, digit(0));
        self.asm.alu(Alu::Or, Reg::R0, Reg::R4);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R3);
        self.asm.jump(have);
        self.asm.bind(large);
        self.asm.mov_imm(Reg::R0, i64::MAX);
        self.asm.bind(have);
        self.asm.store(Size::Double, Reg::R5, RESULT, Reg::R0);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, NEGATIVE);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, done);
        self.negate_result(region);
    }

    /// `RESULT = -RESULT`; the largest becomes the least.
    fn negate_result(&mut self, region: ObjectRegion) {
        let store = self.asm.label();
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, RESULT);
        self.asm.mov_imm(Reg::R2, i64::MAX);
        self.asm.mov_imm(Reg::R0, i64::MIN);
        self.asm.jump_if(Cond::Eq, Reg::R1, Reg::R2, store);
        self.asm.mov(Reg::R0, Reg::R1);
        self.asm.alu_imm(Alu::Neg, Reg::R0, 0);
        self.asm.bind(store);
        self.asm.store(Size::Double, Reg::R5, RESULT, Reg::R0);
    }

    /// The integer part of a `float`, cut to what 64 bits hold; of an `int`, its value.
    ///
    /// ```text
    ///     exponent = (bits >> 52 & 0x7ff) - 1023;   digits = 1 << 52 | bits & (1 << 52) - 1;
    ///     value = exponent < 0 ? 0 : exponent > 62 ? largest : digits shifted by exponent - 52;
    /// ```
    fn integer_part(&mut self, head: Head) {
        let Head { region, done, .. } = head;
        let (float, large, right, have) = (
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
        );
        self.start_of_type_name(head);
        self.asm
            .mov_imm(Reg::R1, i64::from_le_bytes(*b"float\0\0\0"));
        self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, float);
        self.int_value(head);
        self.asm.jump(done);
        self.asm.bind(float);
        self.object_region(Reg::R5, region);
        self.asm
            .load(Size::Double, Reg::R1, Reg::R5, READ + READ_FIRST);
        self.asm.mov(Reg::R2, Reg::R1);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, 52);
        self.asm.alu_imm(Alu::And, Reg::R2, 0x7ff);
        self.asm.jump_if_imm(Cond::Lt, Reg::R2, 1023, done);
        self.asm.jump_if_imm(Cond::Gt, Reg::R2, 1023 + 62, large);
        self.asm.mov(Reg::R0, Reg::R1);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 12);
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 12);
        self.asm.mov_imm(Reg::R3, 1 << 52);
        self.asm.alu(Alu::Or, Reg::R0, Reg::R3);
        self.asm.jump_if_imm(Cond::Lt, Reg::R2, 1023 + 52, right);
        self.asm.alu_imm(Alu::Add, Reg::R2, -(1023 + 52));
        self.asm.alu(Alu::Lsh, Reg::R0, Reg::R2);
        self.asm.jump(have);
        self.asm.bind(right);
        self.asm.mov_imm(Reg::R3, 1023 + 52);
        self.asm.alu(Alu::Sub, Reg::R3, Reg::R2);
        self.asm.alu(Alu::Rsh, Reg::R0, Reg::R3);
        self.asm.jump(have);
        self.asm.bind(large);
        self.asm.mov_imm(Reg::R0, i64::MAX);
        self.asm.bind(have);
        self.asm.store(Size::Double, Reg::R5, RESULT, Reg::R0);
        self.asm.jump_if_imm(Cond::SGe, Reg::R1, 0, done);
        self.negate_result(region);
    }

    /// How many items, characters or bytes an object has: 0 if it has no such number.
    fn object_length(&mut self, head: Head) {
        let Head { region, done, .. } = head;
        let (sized, set) = (self.asm.label(), self.asm.label());
        let first = flags::LIST | flags::TUPLE | flags::BYTES | flags::STR | flags::DICT;
        self.jump_if_type(head, first, sized);
        self.start_of_type_name(head);
        self.asm
            .mov_imm(Reg::R1, i64::from_le_bytes(*b"set\0\0\0\0\0"));
        self.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, set);
        self.asm.mov_imm(Reg::R1, i64::from_le_bytes(*b"frozense"));
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, done);
        self.asm.bind(set);
        // How many entries of the table are or were in use stands before it.
        self.object_region(Reg::R1, region);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R1, READ + READ_FIRST + 8);
        self.asm.store(Size::Double, Reg::R1, RESULT, Reg::R0);
        self.asm.jump(done);
        self.asm.bind(sized);
        self.object_region(Reg::R1, region);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R1, READ + READ_FIRST);
        self.asm.store(Size::Double, Reg::R1, RESULT, Reg::R0);
    }

    /// The address of an item of a tuple: 0 if it has none with this number.
    pub(super) fn tuple_item(&mut self, head: Head, index: &Val) {
        let Head {
            region,
            facts,
            done,
            bad,
        } = head;
        let tuple = self.asm.label();
        self.jump_if_type(head, flags::TUPLE, tuple);
        self.asm.jump(done);
        self.asm.bind(tuple);
        self.object_region(Reg::R1, region);
        self.asm
            .load(Size::Double, Reg::R2, Reg::R1, READ + READ_FIRST);
        self.load(Reg::R4, index);
        self.asm.jump_if(Cond::Ge, Reg::R4, Reg::R2, done);
        self.asm.alu_imm(Alu::Lsh, Reg::R4, 3);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, OBJECT);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R4);
        self.add_python_fact(facts, Reg::R3, Fact::TupleItems);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
        self.object_word(region, Reg::R0, READ + READ_MORE);
        self.set_object_word(region, RESULT, Reg::R0);
    }
}
