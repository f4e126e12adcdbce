//! Strings of Python objects: the text of a `str` as UTF-8, the name of a type.
//!
//! A `str` keeps its characters with one, two or four bytes each. ASCII is copied; all else is converted
//! character by character. A byte of a path that was no UTF-8 is kept by Python as a lone
//! surrogate, U+DC80 to U+DCFF, and becomes that byte again. Text that is too long ends between two
//! characters.

use dlang::diag::Span;
use dlang::program::{Builtin, Expr, ExprKind, Subroutine};

use super::capture::{READ_FIRST, READ_MORE, READ_STATE, READ_TYPE, flags};
use super::layout::Fact;
use super::region::{NODES, OBJECT, ObjectRegion, READ, SCAN_LEFT, SIZE, USED};
use super::value::Head;
use crate::asm::Label;
use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_frames::exception::Raised;
use crate::stack::Val;
use crate::string::Str;

impl Emit<'_> {
    /// `pystr(object)`, `pytype(object)`: a text, empty if there is no object or it has none.
    pub(crate) fn python_text(
        &mut self,
        subroutine: Subroutine,
        args: &[Expr],
        span: Span,
    ) -> Emitted<Str> {
        let function = dlang::names::subroutine_name(subroutine);
        let [object, ..] = args else {
            return Err(crate::scan::unknown(subroutine, span));
        };
        let region = self.object_place(function, span)?;
        let raised = is_raised(object);
        let is_class = raised && subroutine == Subroutine::Pytype;
        let object = if is_class {
            self.raised(Raised::Class, span)?
        } else if raised && subroutine == Subroutine::Pystr {
            self.raised(Raised::Message, span)?
        } else {
            self.int(object)?
        };
        self.scratch(Reg::R1, span)?;
        self.object_region(Reg::R1, region);
        self.asm.store_imm(Size::Double, Reg::R1, NODES, 0);
        self.with_object(function, &object, span, |e, head| {
            if subroutine == Subroutine::Pytype {
                let class = if is_class { OBJECT } else { READ + READ_TYPE };
                e.class_name(head, class);
            } else {
                e.text(head);
            }
        })?;
        self.stack.give(object);
        self.push_kernel_string(span, |e| {
            e.object_region(Reg::R3, region);
            e.asm.alu_imm(Alu::Add, Reg::R3, i32::from(NODES));
            Ok(())
        })
    }

    fn raised(&mut self, what: Raised, span: Span) -> Emitted<Val> {
        self.python_raised(what, span)?;
        self.keep(Reg::R0, span)
    }

    /// Copies the name of the class at an address in the region.
    fn class_name(&mut self, head: Head, class: i16) {
        let region = head.region;
        self.object_word(region, Reg::R3, class);
        self.add_python_fact(head.facts, Reg::R3, Fact::TypeName);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, head.bad);
        self.object_word(region, Reg::R3, READ + READ_MORE);
        self.object_region(Reg::R1, region);
        self.asm.alu_imm(Alu::Add, Reg::R1, i32::from(NODES));
        self.asm.mov_imm(Reg::R2, i64::from(region.text));
        self.asm.call(Helper::ProbeReadUserStr);
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, head.bad);
    }

    /// Copies the text of a `str`, or the bytes of a `bytes`.
    pub(super) fn text(&mut self, head: Head) {
        let Head {
            region,
            facts,
            done,
            bad,
        } = head;
        let (str, bytes, plain) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.jump_if_type(head, flags::STR, str);
        self.jump_if_type(head, flags::BYTES, bytes);
        self.asm.jump(done);
        self.asm.bind(bytes);
        self.object_region(Reg::R1, region);
        self.asm
            .load(Size::Double, Reg::R2, Reg::R1, READ + READ_FIRST);
        self.at_most(Reg::R2, imm(region.text - 1));
        self.asm.load(Size::Double, Reg::R3, Reg::R1, OBJECT);
        self.add_python_fact(facts, Reg::R3, Fact::BytesData);
        self.asm.bind(plain);
        self.copy_plain(region, bad);
        self.asm.jump(done);
        self.asm.bind(str);
        self.find_text(region, facts, bad);
        // What is ASCII is copied; the address of all else goes to the place of the object's.
        self.set_object_word(region, OBJECT, Reg::R3);
        self.object_region(Reg::R5, region);
        self.asm
            .load(Size::Word, Reg::R1, Reg::R5, READ + READ_STATE);
        self.python_fact(facts, Reg::R0, Fact::StringAscii);
        self.asm.alu(Alu::And, Reg::R0, Reg::R1);
        self.at_most(Reg::R2, imm(region.text - 1));
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, plain);
        self.convert_text(region);
    }

    /// Copies `r2` bytes from `r3`, and ends them.
    fn copy_plain(&mut self, region: ObjectRegion, bad: Label) {
        self.gave_up = true;
        let give_up = self.give_up;
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R2, imm(region.text), give_up);
        self.object_region(Reg::R1, region);
        self.asm.mov(Reg::R4, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R4, Reg::R2);
        self.asm.store_imm(Size::Byte, Reg::R4, NODES, 0);
        self.asm.alu_imm(Alu::Add, Reg::R1, i32::from(NODES));
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
    }

    /// Converts the characters at [`OBJECT`], of [`SIZE`] bytes each, as many as the object has.
    fn convert_text(&mut self, region: ObjectRegion) {
        let (again, end) = (self.asm.label(), self.asm.label());
        self.object_region(Reg::R5, region);
        self.asm
            .load(Size::Double, Reg::R0, Reg::R5, READ + READ_FIRST);
        self.asm.store(Size::Double, Reg::R5, SCAN_LEFT, Reg::R0);
        self.asm.store_imm(Size::Double, Reg::R5, USED, 0);
        self.asm.bind(again);
        self.asm.may_goto(end);
        self.object_region(Reg::R1, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, SCAN_LEFT);
        self.asm.jump_if_imm(Cond::SLe, Reg::R0, 0, end);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R1, SCAN_LEFT, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, USED);
        self.asm
            .jump_if_imm(Cond::Gt, Reg::R0, imm(region.text - 5), end);
        self.asm.load(Size::Double, Reg::R3, Reg::R1, OBJECT);
        self.asm.load(Size::Double, Reg::R2, Reg::R1, SIZE);
        self.asm.jump_if_imm(Cond::Gt, Reg::R2, 4, end);
        self.asm.mov(Reg::R0, Reg::R3);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.store(Size::Double, Reg::R1, OBJECT, Reg::R0);
        self.asm
            .store_imm(Size::Double, Reg::R1, READ + READ_MORE, 0);
        self.asm
            .alu_imm(Alu::Add, Reg::R1, i32::from(READ + READ_MORE));
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, end);
        self.object_region(Reg::R5, region);
        self.asm
            .load(Size::Word, Reg::R1, Reg::R5, READ + READ_MORE);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, USED);
        self.asm
            .jump_if_imm(Cond::Gt, Reg::R0, imm(region.text - 5), end);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R5, i32::from(NODES));
        self.encode(region);
        self.asm.jump(again);
        self.asm.bind(end);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, USED);
        self.gave_up = true;
        let give_up = self.give_up;
        self.asm
            .jump_if_imm(Cond::Ge, Reg::R0, imm(region.text), give_up);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.asm.store_imm(Size::Byte, Reg::R5, NODES, 0);
    }

    /// Writes the character in `r1` to `r5` as UTF-8, and counts its bytes.
    fn encode(&mut self, region: ObjectRegion) {
        let done = self.asm.label();
        let (byte, two, three, four, surrogate) = (
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
        );
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x80, two);
        self.asm.bind(byte);
        self.asm.store(Size::Byte, Reg::R5, 0, Reg::R1);
        self.asm.mov_imm(Reg::R3, 1);
        self.asm.jump(done);
        self.asm.bind(two);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x800, surrogate);
        self.encode_as(2, 0xc0, done);
        self.asm.bind(surrogate);
        // Where a path has a byte that is no UTF-8.
        self.asm.jump_if_imm(Cond::Lt, Reg::R1, 0xdc80, three);
        self.asm.jump_if_imm(Cond::Le, Reg::R1, 0xdcff, byte);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x1_0000, four);
        self.asm.bind(three);
        self.encode_as(3, 0xe0, done);
        self.asm.bind(four);
        self.encode_as(4, 0xf0, done);
        self.asm.bind(done);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, USED);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R3);
        self.asm.store(Size::Double, Reg::R5, USED, Reg::R0);
    }

    /// Writes the character in `r1` as `bytes` bytes, the first with the bits of `lead`.
    fn encode_as(&mut self, bytes: i16, lead: i32, done: Label) {
        for at in 0..bytes {
            let shift = 6 * i32::from(bytes - 1 - at);
            self.asm.mov(Reg::R2, Reg::R1);
            if shift > 0 {
                self.asm.alu_imm(Alu::Rsh, Reg::R2, shift);
            }
            if at == 0 {
                self.asm.alu_imm(Alu::Or, Reg::R2, lead);
            } else {
                self.asm.alu_imm(Alu::And, Reg::R2, 0x3f);
                self.asm.alu_imm(Alu::Or, Reg::R2, 0x80);
            }
            self.asm.store(Size::Byte, Reg::R5, at, Reg::R2);
        }
        self.asm.mov_imm(Reg::R3, i64::from(bytes));
        self.asm.jump(done);
    }
}

/// Whether it is `pyexception`, as the address of an object.
fn is_raised(object: &Expr) -> bool {
    if let ExprKind::Cast(inner) = &object.kind
        && inner.ty.is_python_object()
    {
        return is_raised(inner);
    }
    matches!(object.kind, ExprKind::Builtin(Builtin::Pyexception))
}
