//! Places in memory of ours: parts of variables and elements, what a pointer leads to, and whole
//! structs that are copied from one place to another.
//!
//! A part of a variable is at a fixed distance from its start plus the indexes of arrays on the
//! way, each checked against its array, so that the verifier knows that the sum stays inside of
//! the variable. An element of an associative array is looked up first; one that is not there
//! reads as zeros, and storing a part of it makes it.
//!
//! A pointer is a plain number. One that is stored through, or that the type says is ours, must
//! lead into one of the [regions](Emit::own_memory) that a program may use: a check at run time
//! turns the number into a distance from the region's start, and anything outside is a fault.

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind};
use dlang::types::{Int, Space, Type};

use crate::emit::{Emit, Emitted, Fault, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::int::{internal, type_of};
use crate::stack::Val;
use crate::storage::{own_globals, own_state};
use crate::target::{Distance, Part, Target};

impl Emit<'_> {
    /// Finds a part of a variable or element.
    pub(crate) fn open_part(&mut self, part: &Expr) -> Emitted<Part> {
        let distance = self.distance(part)?;
        let whole = part.whole();
        let size = whole.ty.size(self.storage.strsize);
        let whole = Box::new(self.open(whole)?);
        Ok(Part {
            whole,
            size,
            distance,
        })
    }

    /// Gives back what [`Emit::open_part`] took.
    pub(crate) fn close_part(&mut self, part: Part) {
        self.close(*part.whole);
        if let Some(indexed) = part.distance.indexed {
            self.stack.give(indexed);
        }
    }

    fn distance(&mut self, part: &Expr) -> Emitted<Distance> {
        if let ExprKind::Member { of, offset, .. } = &part.kind {
            let mut distance = self.distance(of)?;
            distance.fixed += offset;
            return Ok(distance);
        }
        if let ExprKind::Index { of, index } = &part.kind {
            let distance = self.distance(of)?;
            let Type::Array(_, count) = of.ty else {
                return Err(internal(part));
            };
            let size = part.ty.size(self.storage.strsize);
            return self.add_index(distance, index, count, size);
        }
        Ok(Distance {
            fixed: 0,
            indexed: None,
        })
    }

    fn add_index(
        &mut self,
        mut distance: Distance,
        index: &Expr,
        count: u32,
        size: u32,
    ) -> Emitted<Distance> {
        let span = index.span;
        let index = self.int(index)?;
        if let Val::Const(at) = index
            && let Ok(at) = u32::try_from(at)
            && at < count
        {
            distance.fixed += at * size;
            return Ok(distance);
        }
        let outside = self.fault(Fault::BadIndex, &index);
        self.load(Reg::R0, &index);
        self.asm
            .jump_if_imm(Cond::Gt, Reg::R0, imm(count.saturating_sub(1)), outside);
        self.asm.alu_imm(Alu::Mul, Reg::R0, imm(size));
        if let Some(before) = &distance.indexed {
            let before = self.reg(before, Reg::R1);
            self.asm.alu(Alu::Add, Reg::R0, before);
        }
        // The index stays where it is: the fault shows it.
        if let Some(before) = distance.indexed.take() {
            self.put(&before, Reg::R0);
            distance.indexed = Some(before);
        } else {
            distance.indexed = Some(self.keep(Reg::R0, span)?);
        }
        self.stack.give(index);
        Ok(distance)
    }

    /// `reg += distance`. Destroys `r5`.
    fn add_distance(&mut self, reg: Reg, distance: &Distance) {
        if distance.fixed > 0 {
            self.asm.alu_imm(Alu::Add, reg, imm(distance.fixed));
        }
        if let Some(indexed) = &distance.indexed {
            let indexed = self.reg(indexed, Reg::R5);
            self.asm.alu(Alu::Add, reg, indexed);
        }
    }

    /// `r0 = address of a part` that is there; of an element that is not, `r0` is that of zeros.
    /// Destroys `r1` to `r5`.
    pub(crate) fn readable_part(&mut self, part: &Part, span: Span) -> Emitted<()> {
        match &*part.whole {
            Target::Element(maps, tuple) => {
                let (absent, found) = (self.asm.label(), self.asm.label());
                self.find_element(maps, tuple)?;
                self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, absent);
                self.asm.jump(found);
                self.asm.bind(absent);
                let zeros = self.rodata.put(vec![0; part.size as usize]);
                let rodata = self.storage.rodata;
                self.asm.map_value(Reg::R0, rodata, zeros);
                self.asm.bind(found);
            }
            Target::Scalar(var) => self.variable_address(Reg::R0, *var, span)?,
            Target::Part(_) | Target::Memory(_) => return Err(no_part(span)),
        }
        self.add_distance(Reg::R0, &part.distance);
        Ok(())
    }

    /// The integer in a part.
    pub(crate) fn read_part(&mut self, part: &Part, int: Int, span: Span) -> Emitted<Val> {
        self.readable_part(part, span)?;
        self.load_int(Reg::R0, Reg::R0, 0, int);
        self.keep(Reg::R0, span)
    }

    /// Changes a part of a variable or element: `change` stores to the address in `r1`. An element
    /// that is not there is made of zeros first.
    pub(crate) fn change_part(
        &mut self,
        part: &Part,
        span: Span,
        mut change: impl FnMut(&mut Self) -> Emitted<()>,
    ) -> Emitted<()> {
        match &*part.whole {
            Target::Scalar(var) => {
                self.variable_address(Reg::R1, *var, span)?;
                self.add_distance(Reg::R1, &part.distance);
                change(self)
            }
            Target::Element(maps, tuple) => {
                let (absent, done) = (self.asm.label(), self.asm.label());
                let area = self.storage.element.0;
                // The scratch before the branch: both ways need it.
                self.scratch(Reg::R1, span)?;
                self.find_element(maps, tuple)?;
                self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, absent);
                self.asm.mov(Reg::R1, Reg::R0);
                self.add_distance(Reg::R1, &part.distance);
                let before = self.fetched();
                change(self)?;
                self.asm.jump(done);
                self.asm.bind(absent);
                self.fetched_only(&before);
                self.zero_scratch(area, part.size, span)?;
                self.scratch_at(Reg::R1, area, span)?;
                self.add_distance(Reg::R1, &part.distance);
                change(self)?;
                self.store_element(maps, tuple, span, |e| {
                    e.scratch_known(Reg::R3);
                    e.asm.alu_imm(Alu::Add, Reg::R3, imm(area));
                })?;
                self.asm.bind(done);
                self.fetched_only(&before);
                Ok(())
            }
            Target::Part(_) | Target::Memory(_) => Err(no_part(span)),
        }
    }

    /// Stores the integer in `value` in a part.
    pub(crate) fn write_part(
        &mut self,
        part: &Part,
        value: &Val,
        int: Int,
        span: Span,
    ) -> Emitted<()> {
        self.change_part(part, span, |e| {
            let reg = e.reg(value, Reg::R0);
            e.asm.store(Size::of(int.size), Reg::R1, 0, reg);
            Ok(())
        })
    }

    /// `offset .. offset + size` of the scratch `= 0`. Destroys `r0` to `r5`.
    fn zero_scratch(&mut self, offset: u32, size: u32, span: Span) -> Emitted<()> {
        let zeros = self.rodata.put(vec![0; size as usize]);
        let rodata = self.storage.rodata;
        self.scratch_at(Reg::R1, offset, span)?;
        self.asm.mov_imm(Reg::R2, i64::from(size));
        self.asm.map_value(Reg::R3, rodata, zeros);
        self.asm.call(Helper::ProbeReadKernel);
        Ok(())
    }

    /// The address of a part of a variable as a plain number.
    pub(crate) fn address_of(&mut self, of: &Expr, span: Span) -> Emitted<Val> {
        let part = self.open_part(of)?;
        // The temporaries, through which the number comes.
        self.scratch(Reg::R0, span)?;
        self.readable_part(&part, span)?;
        self.through_memory(Reg::R0, Reg::R1);
        self.close_part(part);
        self.keep(Reg::R0, span)
    }

    /// `r1 = the address in address`, of `size` bytes in memory of ours; anywhere else is a fault.
    /// What `alloca` and `copyin` gave ends where the clause was given no more.
    ///
    /// ```text
    ///     for each region:  r3 = address - start;  if (r3 <= length - size) r1 = start + r3, done
    ///     fault
    /// ```
    pub(crate) fn own_memory(&mut self, address: &Val, size: u32, span: Span) -> Emitted<()> {
        let done = self.asm.label();
        let outside = self.fault(Fault::BadAddress, address);
        let copied = self.storage.copied;
        let mut regions = vec![(Region::Scratch, self.storage.locals_at, copied.0 - 8)];
        regions.push((
            Region::Globals,
            own_globals::END,
            self.storage.speculations.0,
        ));
        regions.push((Region::Thread, own_state::END, self.storage.state));
        regions.retain(|(_, start, end)| end > start && end - start >= size);
        self.scratch(Reg::R1, span)?;
        // A timer looks for the thread's state only where nothing else is meant.
        let before = self.fetched();
        if copied.1 >= size && copied.1 > 0 {
            let next = self.asm.label();
            self.in_allocated(address, &Val::Const(size.into()), next, span)?;
            self.asm.jump(done);
            self.asm.bind(next);
        }
        for (region, start, end) in regions {
            let next = self.asm.label();
            match region {
                Region::Scratch => self.scratch(Reg::R1, span)?,
                Region::Globals => {
                    let globals = self.storage.globals;
                    self.asm.map_value(Reg::R1, globals, 0);
                }
                Region::Thread => self.thread_state(Reg::R1, span)?,
            }
            self.asm.alu_imm(Alu::Add, Reg::R1, imm(start));
            self.asm.mov(Reg::R2, Reg::R1);
            self.through_memory(Reg::R2, Reg::R4);
            self.load(Reg::R3, address);
            self.asm.alu(Alu::Sub, Reg::R3, Reg::R2);
            self.asm
                .jump_if_imm(Cond::Gt, Reg::R3, imm(end - start - size), next);
            self.asm.alu(Alu::Add, Reg::R1, Reg::R3);
            self.asm.jump(done);
            self.asm.bind(next);
        }
        self.asm.jump(outside);
        self.asm.bind(done);
        self.fetched_only(&before);
        Ok(())
    }

    /// `target = value` for bits of an integer: the rest of it stays.
    pub(crate) fn assign_bits(&mut self, target: &Expr, value: &Expr) -> Emitted<Val> {
        let ExprKind::BitField { of, first, bits } = &target.kind else {
            return Err(internal(target));
        };
        let (span, int) = (target.span, type_of(of)?);
        let val = self.int(value)?;
        let place = self.open(of)?;
        let old = self.read_place(&place, int, span)?;
        let mask = if *bits >= 64 { -1 } else { (1_i64 << bits) - 1 };
        let new = self.modify(old, span, |e, reg| {
            e.asm.mov_imm(Reg::R1, !(mask << first));
            e.asm.alu(Alu::And, reg, Reg::R1);
            e.load(Reg::R2, &val);
            e.asm.mov_imm(Reg::R1, mask);
            e.asm.alu(Alu::And, Reg::R2, Reg::R1);
            e.asm.alu_imm(Alu::Lsh, Reg::R2, i32::from(*first));
            e.asm.alu(Alu::Or, reg, Reg::R2);
        })?;
        self.write_place(&place, &new, int, true, span)?;
        self.stack.give(new);
        self.close(place);
        Ok(val)
    }

    /// `target = value` for structs and unions.
    pub(crate) fn assign_struct(&mut self, target: &Expr, value: &Expr) -> Emitted<()> {
        let span = target.span;
        if let ExprKind::Element(..) = target.whole().kind {
            return self.assign_struct_element(target, value);
        }
        let place = self.open(target)?;
        self.copy_struct(value, |e| match &place {
            Target::Scalar(var) => e.variable_address(Reg::R1, *var, span),
            Target::Part(part) => {
                let Target::Scalar(var) = *part.whole else {
                    return Err(no_part(span));
                };
                e.variable_address(Reg::R1, var, span)?;
                e.add_distance(Reg::R1, &part.distance);
                Ok(())
            }
            Target::Memory(address) => {
                e.own_memory(address, target.ty.size(e.storage.strsize), span)
            }
            Target::Element(..) => Err(no_part(span)),
        })?;
        self.close(place);
        Ok(())
    }

    /// `array[key] = value` and `array[key].member = value` for structs and unions, by way of the
    /// scratch: the value may be an element too, and only one key is in memory at a time.
    fn assign_struct_element(&mut self, target: &Expr, value: &Expr) -> Emitted<()> {
        let span = target.span;
        let size = target.ty.size(self.storage.strsize);
        let staged = self.storage.element.0 + self.storage.element.1;
        self.copy_struct(value, |e| e.scratch_at(Reg::R1, staged, span))?;
        self.scratch(Reg::R1, span)?;
        let from_stage = |e: &mut Self| {
            e.scratch_known(Reg::R3);
            e.asm.alu_imm(Alu::Add, Reg::R3, imm(staged));
        };
        let place = self.open(target)?;
        match &place {
            Target::Element(maps, tuple) => {
                self.store_element(maps, tuple, span, from_stage)?;
            }
            Target::Part(part) => {
                self.change_part(part, span, |e| {
                    from_stage(e);
                    e.asm.mov_imm(Reg::R2, i64::from(size));
                    e.asm.call(Helper::ProbeReadKernel);
                    Ok(())
                })?;
            }
            Target::Scalar(_) | Target::Memory(_) => return Err(no_part(span)),
        }
        self.close(place);
        Ok(())
    }

    /// Copies a struct, union or array to where `to` makes `r1` point.
    pub fn copy_struct(
        &mut self,
        value: &Expr,
        to: impl FnOnce(&mut Self) -> Emitted<()>,
    ) -> Emitted<()> {
        let span = value.span;
        let size = value.ty.size(self.storage.strsize);
        if let ExprKind::Assign(_, target, _) = &value.kind {
            self.effect(value)?;
            return self.copy_struct(target, to);
        }
        if let ExprKind::Deref(address) = &value.kind {
            let space = address.ty.space();
            let address = self.int(address)?;
            if space == Space::Scratch {
                self.own_memory(&address, size, span)?;
                let source = self.keep(Reg::R1, span)?;
                to(self)?;
                self.asm.mov_imm(Reg::R2, i64::from(size));
                self.load(Reg::R3, &source);
                self.asm.call(Helper::ProbeReadKernel);
                self.stack.give(source);
            } else {
                to(self)?;
                self.asm.mov_imm(Reg::R2, i64::from(size));
                self.load(Reg::R3, &address);
                self.read_memory(space, Helper::ProbeReadUser, Helper::ProbeReadKernel);
                let bad = self.fault(Fault::BadAddress, &address);
                self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
            }
            self.stack.give(address);
            return Ok(());
        }
        let part = self.open_part(value)?;
        self.readable_part(&part, span)?;
        let source = self.keep(Reg::R0, span)?;
        to(self)?;
        self.asm.mov_imm(Reg::R2, i64::from(size));
        self.load(Reg::R3, &source);
        self.asm.call(Helper::ProbeReadKernel);
        self.stack.give(source);
        self.close_part(part);
        Ok(())
    }

    /// Calls the helper for the memory that `r3` points into, with its other arguments in place.
    pub(crate) fn read_memory(&mut self, space: Space, user: Helper, kernel: Helper) {
        match space {
            Space::User => self.asm.call(user),
            Space::Kernel | Space::Scratch => self.asm.call(kernel),
            // Nothing is ever read through a pointer to a translated struct; its members are.
            Space::Unknown | Space::Translated(_) => {
                let (upper, done) = (self.asm.label(), self.asm.label());
                self.asm.jump_if_imm(Cond::SLt, Reg::R3, 0, upper);
                self.asm.call(user);
                self.asm.jump(done);
                self.asm.bind(upper);
                self.asm.call(kernel);
                self.asm.bind(done);
            }
        }
    }

    /// `r3 = address of a char array in a variable or element`, which ends after `r2` bytes.
    pub(crate) fn char_array(&mut self, array: &Expr) -> Emitted<()> {
        let part = self.open_part(array)?;
        self.readable_part(&part, array.span)?;
        self.close_part(part);
        // One byte more, in which the helper puts the NUL.
        let size = array.ty.size(self.storage.strsize) + 1;
        self.asm.mov(Reg::R3, Reg::R0);
        let size = size.min(self.storage.strsize);
        self.asm.mov_imm(Reg::R2, i64::from(size));
        Ok(())
    }
}

/// A piece of memory that a program may store into.
#[derive(Clone, Copy)]
enum Region {
    /// `this->` variables.
    Scratch,
    Globals,
    /// `self->` variables.
    Thread,
}

fn no_part(span: Span) -> Refusal {
    Refusal {
        span,
        message: "a part belongs to a variable or an element".into(),
    }
}
