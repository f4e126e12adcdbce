//! Tuples: the keys of associative arrays and aggregations, built in memory.
//!
//! Their shape is [`TupleMaps`]'s: integers, then strings back to back, then zeros up to the key
//! size of the smallest map that holds them. Which map that is, the *length class*, is known only
//! at run time when there are strings; the code that uses the key is emitted once for each.
//!
//! The commonest key by far is one string straight from the traced program
//! (`@[copyinstr(arg1)]`). It is read directly into a small key on the stack, and only a string
//! that does not fit there takes the general way through the scratch.

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, Subroutine};
use dlang::types::Type;

use crate::emit::{Emit, Emitted, Fault, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;
use crate::storage::{Owner, Selector, TupleMaps, has_process};
use crate::string::Str;

/// The largest key that is built on the stack.
const STACK_KEY: u32 = 128;

/// A key in memory.
#[derive(Debug)]
pub struct Tuple {
    /// The key's place on the stack and the size it has room for.
    on_stack: Option<(i16, u32)>,
    /// The slot with the length class; `None` when there is just one.
    class: Option<i16>,
    /// Whether the key may also be in the scratch.
    in_scratch: bool,
}

impl Tuple {
    /// Whether this tuple may be of the class with this key size.
    pub(crate) fn may_have(&self, size: u32) -> bool {
        self.in_scratch || self.on_stack.is_some_and(|(_, room)| size <= room)
    }

    /// Whether the class is known when the code is made.
    pub(crate) fn has_one_class(&self) -> bool {
        self.class.is_none()
    }
}

/// A computed member of a tuple.
enum MemberValue {
    Int(Val),
    Str(Str),
    /// A user string that is read straight into the key: its address.
    User(Val, Span),
}

impl Emit<'_> {
    /// Computes a key and builds it in memory. It stays valid until the next tuple is built.
    pub fn tuple(&mut self, maps: &TupleMaps, members: &[Expr], span: Span) -> Emitted<Tuple> {
        let mut ints = Vec::new();
        let mut strings = Vec::new();
        match maps.selector {
            Some(Selector {
                base,
                epoch: Some(epoch),
            }) => {
                self.asm.map_value(Reg::R0, epoch.map, epoch.offset);
                self.asm.load(Size::Double, Reg::R0, Reg::R0, 0);
                self.asm.alu_imm(Alu::And, Reg::R0, imm(epoch.slots - 1));
                self.asm.alu_imm(Alu::Add, Reg::R0, imm(base));
                ints.push(self.keep(Reg::R0, span)?);
            }
            Some(Selector { base, epoch: None }) => ints.push(Val::Const(base.into())),
            None => {}
        }
        match maps.owner {
            Some(Owner::Thread) => {
                self.thread_serial(Reg::R0, span)?;
                ints.push(self.keep(Reg::R0, span)?);
            }
            Some(Owner::Task) => {
                self.running_task_once(Reg::R0, span)?;
                let task = self.keep(Reg::R0, span)?;
                self.pid_tgid(Reg::R0, span)?;
                self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
                ints.extend([self.keep(Reg::R0, span)?, task]);
            }
            None => {}
        }
        for member in members {
            if has_process(&member.ty) {
                self.pid_tgid(Reg::R0, span)?;
                self.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
                ints.push(self.keep(Reg::R0, span)?);
            }
            let value = self.member(member)?;
            if let MemberValue::Int(val) = value {
                ints.push(val);
            } else {
                strings.push(value);
            }
        }
        let smallest = maps.classes[0].0;
        let tuple = match strings.pop() {
            None if smallest <= STACK_KEY => self.small_tuple(smallest, &ints, span)?,
            None => self.scratch_tuple(maps, &ints, &[], span)?,
            Some(MemberValue::User(address, at)) if strings.is_empty() && smallest <= STACK_KEY => {
                let tuple = self.user_string_tuple(maps, &ints, &address, at)?;
                self.stack.give(address);
                tuple
            }
            Some(last) => {
                strings.push(last);
                let tuple = self.scratch_tuple(maps, &ints, &strings, span)?;
                for string in strings {
                    match string {
                        MemberValue::Str(string) => self.give_string(string),
                        MemberValue::User(val, _) | MemberValue::Int(val) => self.stack.give(val),
                    }
                }
                tuple
            }
        };
        for val in ints {
            self.stack.give(val);
        }
        Ok(tuple)
    }

    /// Gives the tuple's stack back.
    pub fn give_tuple(&mut self, tuple: Tuple) {
        if let Some((offset, size)) = tuple.on_stack {
            self.stack.give_buffer(offset, small(size));
        }
        if let Some(slot) = tuple.class {
            self.stack.give_buffer(slot, 8);
        }
    }

    fn member(&mut self, expr: &Expr) -> Emitted<MemberValue> {
        if expr.ty != Type::String {
            return self.int(expr).map(MemberValue::Int);
        }
        if let Some(address) = direct_string(expr)
            && !self.is_shared(address)
        {
            return Ok(MemberValue::User(self.int(address)?, expr.span));
        }
        self.string(expr).map(MemberValue::Str)
    }

    /// A key of integers only, on the stack.
    fn small_tuple(&mut self, size: u32, ints: &[Val], span: Span) -> Emitted<Tuple> {
        let offset = self.buffer(small(size.max(8)), span)?;
        // An array's index without a selector, and the rest of a key in a shared map.
        let used = 8 * u32::try_from(ints.len()).expect("a tuple has few members");
        for word in (used..size.max(8)).step_by(8) {
            self.asm
                .store_imm(Size::Double, Reg::FP, offset + small(word), 0);
        }
        self.store_ints(Reg::FP, offset, ints);
        Ok(Tuple {
            on_stack: Some((offset, size.max(8))),
            class: None,
            in_scratch: false,
        })
    }

    fn store_ints(&mut self, base: Reg, offset: i16, ints: &[Val]) {
        for (val, index) in ints.iter().zip(0i16..) {
            let reg = self.reg(val, Reg::R0);
            self.asm.store(Size::Double, base, offset + 8 * index, reg);
        }
    }

    /// Integers and one user string, which is read into a key on the stack; if it may be longer
    /// than that, the key is built in the scratch instead.
    fn user_string_tuple(
        &mut self,
        maps: &TupleMaps,
        ints: &[Val],
        address: &Val,
        span: Span,
    ) -> Emitted<Tuple> {
        let size = maps.classes[0].0;
        let base = 8 * maps.ints;
        let room = size - base;
        let offset = self.buffer(small(size), span)?;
        self.store_ints(Reg::FP, offset, ints);
        for word in (base..size).step_by(8) {
            self.asm
                .store_imm(Size::Double, Reg::FP, offset + small(word), 0);
        }
        self.stack_address(Reg::R1, offset + small(base));
        self.asm.mov_imm(Reg::R2, i64::from(room));
        self.load(Reg::R3, address);
        self.read_text(span)?;
        let bad = self.fault(Fault::BadAddress, address);
        self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, bad);
        if maps.classes.len() == 1 {
            return Ok(Tuple {
                on_stack: Some((offset, size)),
                class: None,
                in_scratch: false,
            });
        }
        let class = self.buffer(8, span)?;
        self.asm.store_imm(Size::Double, Reg::FP, class, imm(size));
        let fits = self.asm.label();
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, imm(room), fits);
        let before = self.fetched();
        let strings = [MemberValue::User(address.alias(), span)];
        self.build_in_scratch(maps, ints, &strings, class, span)?;
        self.asm.bind(fits);
        self.fetched_only(&before);
        Ok(Tuple {
            on_stack: Some((offset, size)),
            class: Some(class),
            in_scratch: true,
        })
    }

    fn scratch_tuple(
        &mut self,
        maps: &TupleMaps,
        ints: &[Val],
        strings: &[MemberValue],
        span: Span,
    ) -> Emitted<Tuple> {
        let class = self.buffer(8, span)?;
        self.build_in_scratch(maps, ints, strings, class, span)?;
        Ok(Tuple {
            on_stack: None,
            class: Some(class),
            in_scratch: true,
        })
    }

    /// Builds the key at the scratch's key area and stores its class in the slot `class`.
    fn build_in_scratch(
        &mut self,
        maps: &TupleMaps,
        ints: &[Val],
        strings: &[MemberValue],
        class: i16,
        span: Span,
    ) -> Emitted<()> {
        let strsize = self.storage.strsize;
        let area = self.storage.key;
        self.scratch_at(Reg::R1, area, span)?;
        self.store_ints(Reg::R1, 0, ints);
        let end = self.take(span)?;
        self.put_imm(&end, i64::from(8 * maps.ints));
        for string in strings {
            let source = match string {
                MemberValue::User(address, _) => address.alias(),
                MemberValue::Str(string) => {
                    self.heap_at(Reg::R0, &string.start, span)?;
                    self.keep(Reg::R0, span)?
                }
                MemberValue::Int(_) => unreachable!("integers come first"),
            };
            self.key_end(Reg::R1, &end, span)?;
            self.asm.mov_imm(Reg::R2, i64::from(strsize));
            self.load(Reg::R3, &source);
            if let MemberValue::User(..) = string {
                self.read_text(span)?;
            } else {
                self.asm.call(Helper::ProbeReadKernelStr);
            }
            // What is told of a fault is a number, not a pointer of ours.
            let address = match string {
                MemberValue::User(address, _) => address.alias(),
                MemberValue::Str(_) | MemberValue::Int(_) => Val::Const(0),
            };
            let bad = self.fault(Fault::BadAddress, &address);
            self.asm.jump_if_imm(Cond::SLt, Reg::R0, 1, bad);
            let reg = self.reg(&end, Reg::R1);
            self.asm.alu(Alu::Add, reg, Reg::R0);
            self.put(&end, reg);
            if let MemberValue::Str(_) = string {
                self.stack.give(source);
            }
        }
        self.pad_to_class(maps, &end, class, span)?;
        self.stack.give(end);
        Ok(())
    }

    /// Chooses the class for a key of `end` bytes and fills it up with zeros.
    fn pad_to_class(&mut self, maps: &TupleMaps, end: &Val, class: i16, span: Span) -> Emitted<()> {
        let pad = self.asm.label();
        let count = self.take(span)?;
        let (largest, _) = *maps.classes.last().expect("an array has a map");
        for &(size, _) in &maps.classes {
            let next = self.asm.label();
            let reg = self.reg(end, Reg::R1);
            if size != largest {
                self.asm.jump_if_imm(Cond::Gt, reg, imm(size), next);
            }
            self.asm.mov_imm(Reg::R2, i64::from(size));
            self.asm.alu(Alu::Sub, Reg::R2, reg);
            self.put(&count, Reg::R2);
            self.asm.store_imm(Size::Double, Reg::FP, class, imm(size));
            if size != largest {
                self.asm.jump(pad);
                self.asm.bind(next);
            }
        }
        self.asm.bind(pad);
        if maps.strings > 0 || largest > 8 * maps.ints {
            let zeros = self.rodata.put(vec![0; largest as usize]);
            let rodata = self.storage.rodata;
            self.key_end(Reg::R1, end, span)?;
            self.load(Reg::R2, &count);
            self.asm.map_value(Reg::R3, rodata, zeros);
            self.asm.call(Helper::ProbeReadKernel);
        }
        self.stack.give(count);
        Ok(())
    }

    /// `dst = address of byte `end` of the scratch's key area`.
    fn key_end(&mut self, dst: Reg, end: &Val, span: Span) -> Emitted<()> {
        let area = self.storage.key;
        self.scratch_at(dst, area, span)?;
        let reg = self.reg(end, Reg::R5);
        self.asm.alu(Alu::Add, dst, reg);
        Ok(())
    }

    /// The register that holds the tuple's class.
    pub(crate) fn tuple_class(&mut self, tuple: &Tuple, spare: Reg) -> Reg {
        if let Some(slot) = tuple.class {
            self.asm.load(Size::Double, spare, Reg::FP, slot);
        }
        spare
    }

    /// `dst = address of the key`, for code that handles the class of `size`.
    pub fn tuple_address(&mut self, dst: Reg, tuple: &Tuple, size: u32) {
        match tuple.on_stack {
            Some((offset, room)) if size <= room => self.stack_address(dst, offset),
            _ => {
                let area = self.storage.key;
                self.scratch_known(dst);
                self.asm.alu_imm(Alu::Add, dst, imm(area));
            }
        }
    }
}

/// The address in `copyinstr(address)`, a string that can be read straight into a key.
pub fn direct_string(expr: &Expr) -> Option<&Expr> {
    if let ExprKind::Call(Subroutine::Copyinstr, args) = &expr.kind
        && let [address] = args.as_slice()
    {
        Some(address)
    } else {
        None
    }
}

/// A key size or offset on the stack.
fn small(size: u32) -> i16 {
    i16::try_from(size).expect("keys on the stack are small")
}
