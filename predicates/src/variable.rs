//! Variables: reading and writing scalars, and associative arrays.
//!
//! A scalar integer is stored in its own width at the start of its place. An element of an
//! associative array that was never assigned reads as 0 or the null string; assigning 0 or `NULL`
//! to an element removes it, as D has it.

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, VarId};
use dlang::types::Int;

use crate::asm::MapRef;
use crate::emit::{Emit, Emitted, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use crate::int::internal;
use crate::null::OnNull;
use crate::stack::Val;
use crate::storage::{Counter, Owner, Place, TupleMaps, own_globals, own_state};
use crate::string::Str;
use crate::target::Target;
use crate::tuple::Tuple;

impl Emit<'_> {
    fn place(&self, var: VarId) -> Place {
        self.storage.places[var.0 as usize].clone()
    }

    /// Finds what an assignment changes: a variable, or an element, whose key is computed once
    /// even where it is both read and written.
    pub(crate) fn open(&mut self, target: &Expr) -> Emitted<Target> {
        match &target.kind {
            ExprKind::Var(var) => Ok(Target::Scalar(*var)),
            ExprKind::Element(var, key) => {
                let maps = self.array_maps(*var, target)?;
                let tuple = self.tuple(&maps, key, target.span)?;
                Ok(Target::Element(maps, tuple))
            }
            ExprKind::Member { .. } | ExprKind::Index { .. } => {
                self.open_part(target).map(Target::Part)
            }
            ExprKind::Deref(address) => self.int(address).map(Target::Memory),
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Logic(..)
            | ExprKind::Ternary(..)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Cast(_)
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Call(..)
            | ExprKind::Comma(..)
            | ExprKind::Recorded(_) => Err(Refusal {
                span: target.span,
                message: "only variables and memory can be assigned to".into(),
            }),
        }
    }

    /// Gives back what [`Emit::open`] took.
    pub(crate) fn close(&mut self, target: Target) {
        match target {
            Target::Scalar(_) => {}
            Target::Element(_, tuple) => self.give_tuple(tuple),
            Target::Part(part) => self.close_part(part),
            Target::Memory(address) => self.stack.give(address),
        }
    }

    /// The integer in a variable or element.
    pub(crate) fn read_place(&mut self, target: &Target, int: Int, span: Span) -> Emitted<Val> {
        match target {
            Target::Scalar(var) => {
                if let Place::Local(number) = self.place(*var) {
                    let slot = self.local(number, span)?;
                    self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
                } else {
                    self.variable_address(Reg::R0, *var, span)?;
                    self.load_int(Reg::R0, Reg::R0, 0, int);
                }
                self.keep(Reg::R0, span)
            }
            Target::Element(maps, tuple) => {
                let found = self.asm.label();
                self.find_element(maps, tuple)?;
                self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, found);
                // No such element: some zero bytes serve as one.
                let globals = self.storage.globals;
                self.asm.map_value(Reg::R0, globals, own_globals::ZERO);
                self.asm.bind(found);
                self.load_int(Reg::R0, Reg::R0, 0, int);
                self.keep(Reg::R0, span)
            }
            Target::Part(part) => self.read_part(part, int, span),
            Target::Memory(address) => {
                self.own_memory(address, int.size.into(), span)?;
                self.load_int(Reg::R0, Reg::R1, 0, int);
                self.keep(Reg::R0, span)
            }
        }
    }

    /// Stores an integer in a variable or element of type `int`, cut to it. `fits` tells that the
    /// value is known to be in its range.
    pub(crate) fn write_place(
        &mut self,
        target: &Target,
        value: &Val,
        int: Int,
        fits: bool,
        span: Span,
    ) -> Emitted<()> {
        match target {
            Target::Scalar(var) => {
                if let Place::Local(number) = self.place(*var) {
                    let slot = self.local(number, span)?;
                    let reg = self.cut(value, int, fits);
                    self.asm.mov(Reg::R0, reg);
                    self.make_unknown(Reg::R0, Reg::R1, span)?;
                    self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
                    return Ok(());
                }
                self.variable_address(Reg::R1, *var, span)?;
                let reg = self.reg(value, Reg::R0);
                self.asm.store(Size::of(int.size), Reg::R1, 0, reg);
                Ok(())
            }
            Target::Element(maps, tuple) => {
                let slot = self.buffer(8, span)?;
                let reg = self.cut(value, int, fits);
                self.asm.store(Size::Double, Reg::FP, slot, reg);
                let (remove, done) = (self.asm.label(), self.asm.label());
                self.asm.jump_if_imm(Cond::Eq, reg, 0, remove);
                self.store_element(maps, tuple, span, |e| e.stack_address(Reg::R3, slot))?;
                self.asm.jump(done);
                self.asm.bind(remove);
                self.remove_element(maps, tuple)?;
                self.asm.bind(done);
                self.stack.give_buffer(slot, 8);
                Ok(())
            }
            Target::Part(part) => self.write_part(part, value, int, span),
            Target::Memory(address) => {
                self.own_memory(address, int.size.into(), span)?;
                let reg = self.reg(value, Reg::R0);
                self.asm.store(Size::of(int.size), Reg::R1, 0, reg);
                Ok(())
            }
        }
    }

    /// The register with the value cut to `int`; the value itself stays as it is.
    fn cut(&mut self, value: &Val, int: Int, fits: bool) -> Reg {
        if fits {
            return self.reg(value, Reg::R0);
        }
        self.load(Reg::R0, value);
        self.wrap(Reg::R0, int);
        Reg::R0
    }

    /// `dst = address of a variable's memory`. Destroys `r0` to `r5`.
    pub(crate) fn variable_address(&mut self, dst: Reg, var: VarId, span: Span) -> Emitted<()> {
        match self.place(var) {
            Place::Global(offset) => {
                let globals = self.storage.globals;
                self.asm.map_value(dst, globals, offset);
                Ok(())
            }
            Place::State(offset) => {
                // Variables of a thread stay with it even when a timer interrupts it.
                self.thread_state(dst, span)?;
                self.asm.alu_imm(Alu::Add, dst, imm(offset));
                Ok(())
            }
            Place::Scratch(offset) => self.scratch_at(dst, offset, span),
            Place::Local(_) | Place::Array(_) => Err(Refusal {
                span,
                message: "an array cannot be used without an index".into(),
            }),
        }
    }

    fn array_maps(&self, var: VarId, at: &Expr) -> Emitted<TupleMaps> {
        if let Place::Array(maps) = self.place(var) {
            Ok(maps)
        } else {
            Err(internal(at))
        }
    }

    /// The string held by a string variable or element.
    pub(crate) fn read_string_variable(&mut self, expr: &Expr, on_null: OnNull) -> Emitted<Str> {
        let span = expr.span;
        if let ExprKind::Var(var) = expr.kind {
            self.check_null(var, on_null, span)?;
            return self.push_kernel_string(span, |e| e.variable_address(Reg::R3, var, span));
        }
        let ExprKind::Element(var, key) = &expr.kind else {
            return Err(internal(expr));
        };
        let maps = self.array_maps(*var, expr)?;
        let tuple = self.tuple(&maps, key, span)?;
        self.find_element(&maps, &tuple)?;
        let null = self.null_label(on_null);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, null);
        let pointer = self.keep(Reg::R0, span)?;
        self.give_tuple(tuple);
        let alias = pointer.alias();
        let string = self.push_kernel_string(span, |e| {
            e.load(Reg::R3, &alias);
            Ok(())
        })?;
        self.stack.give(pointer);
        Ok(string)
    }

    /// `target = string`.
    pub(crate) fn assign_string(&mut self, target: &Expr, value: &Expr) -> Emitted<()> {
        let span = target.span;
        if let ExprKind::Var(var) = &target.kind {
            return self.assign_string_variable(*var, value, span);
        }
        if let ExprKind::Member { .. } | ExprKind::Index { .. } = target.kind {
            return self.assign_string_part(target, value);
        }
        let ExprKind::Element(var, key) = &target.kind else {
            return Err(internal(target));
        };
        let maps = self.array_maps(*var, target)?;
        let (remove, done) = (self.asm.label(), self.asm.label());
        self.scratch(Reg::R1, span)?;
        let before = self.fetched();
        let string = self.string_or(value, OnNull::Goto(remove))?;
        let tuple = self.tuple(&maps, key, span)?;
        let start = string.start.alias();
        self.store_element(&maps, &tuple, span, |e| {
            e.heap_address_known(Reg::R3, &start);
        })?;
        self.give_tuple(tuple);
        self.give_string(string);
        if self.may_be_null(value) {
            self.asm.jump(done);
            self.asm.bind(remove);
            self.fetched_only(&before);
            let tuple = self.tuple(&maps, key, span)?;
            self.remove_element(&maps, &tuple)?;
            self.give_tuple(tuple);
            self.asm.bind(done);
            self.fetched_only(&before);
        }
        Ok(())
    }

    /// `variable = string`.
    fn assign_string_variable(&mut self, var: VarId, value: &Expr, span: Span) -> Emitted<()> {
        let mark = self.storage.null_marks[var.0 as usize];
        let (null, done) = (self.asm.label(), self.asm.label());
        self.scratch(Reg::R1, span)?;
        let before = self.fetched();
        let string = self.string_or(value, OnNull::Goto(null))?;
        // The heap's address first: finding it destroys the argument registers.
        self.heap_at(Reg::R0, &string.start, span)?;
        let source = self.keep(Reg::R0, span)?;
        self.variable_address(Reg::R1, var, span)?;
        self.load(Reg::R3, &source);
        self.asm.mov_imm(Reg::R2, i64::from(self.storage.strsize));
        self.asm.call(Helper::ProbeReadKernelStr);
        self.stack.give(source);
        let Some(mark) = mark else {
            self.give_string(string);
            return Ok(());
        };
        let len = self.reg(&string.len, Reg::R0);
        self.asm.jump_if_imm(Cond::Ne, len, 0, done);
        self.give_string(string);
        self.variable_address(Reg::R1, var, span)?;
        self.asm
            .store_imm(Size::Half, Reg::R1, 0, i32::from(mark.empty));
        if self.may_be_null(value) {
            self.asm.jump(done);
            self.asm.bind(null);
            self.fetched_only(&before);
            self.variable_address(Reg::R1, var, span)?;
            self.asm
                .store_imm(Size::Half, Reg::R1, 0, i32::from(mark.null));
        }
        self.asm.bind(done);
        self.fetched_only(&before);
        Ok(())
    }

    /// `r0 = address of an element's value`, 0 if there is no such element.
    pub(crate) fn find_element(&mut self, maps: &TupleMaps, tuple: &Tuple) -> Emitted<()> {
        self.each_class(maps, tuple, |e, map, size| {
            e.asm.map(Reg::R1, map);
            e.tuple_address(Reg::R2, tuple, size);
            e.asm.call(Helper::MapLookupElem);
        })
    }

    /// Puts a value, whose address `value` brings to `r3`, under a key.
    pub(crate) fn store_element(
        &mut self,
        maps: &TupleMaps,
        tuple: &Tuple,
        span: Span,
        mut value: impl FnMut(&mut Self),
    ) -> Emitted<()> {
        let no_task = self.asm.label();
        self.each_class(maps, tuple, |e, map, size| {
            e.asm.map(Reg::R1, map);
            e.tuple_address(Reg::R2, tuple, size);
            if maps.owner == Some(Owner::Task) {
                let task = 8 * (i16::from(maps.selector.is_some()) + 1);
                e.asm.load(Size::Double, Reg::R0, Reg::R2, task);
                e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, no_task);
            }
            value(e);
            e.asm.mov_imm(Reg::R4, 0); // BPF_ANY
            e.asm.call(Helper::MapUpdateElem);
        })?;
        let stored = self.asm.label();
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, stored);
        self.count(Counter::DynamicDrops, span)?;
        self.asm.bind(stored);
        self.asm.bind(no_task);
        Ok(())
    }

    fn remove_element(&mut self, maps: &TupleMaps, tuple: &Tuple) -> Emitted<()> {
        self.each_class(maps, tuple, |e, map, size| {
            e.asm.map(Reg::R1, map);
            e.tuple_address(Reg::R2, tuple, size);
            e.asm.call(Helper::MapDeleteElem);
        })
    }

    /// `dst = the thread's serial`: a number that no other thread has had, so that a new thread
    /// never finds the elements of an old one, whatever its id.
    pub(crate) fn thread_serial(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        let have = self.asm.label();
        let globals = self.storage.globals;
        self.thread_state(Reg::R3, span)?;
        self.asm
            .load(Size::Double, Reg::R2, Reg::R3, own_state::SERIAL);
        self.asm.jump_if_imm(Cond::Ne, Reg::R2, 0, have);
        self.asm.map_value(Reg::R1, globals, own_globals::SERIAL);
        self.asm.mov_imm(Reg::R2, 1);
        self.asm
            .push(Insn::atomic_add(Size::Double, Reg::R1, 0, Reg::R2, true));
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        self.asm
            .store(Size::Double, Reg::R3, own_state::SERIAL, Reg::R2);
        self.asm.bind(have);
        self.asm.mov(dst, Reg::R2);
        Ok(())
    }

    /// `r0 = nanoseconds that this thread has run on a CPU` since it was first seen, less a
    /// constant: what it had run when it last left one, and the time since it came back. A CPU
    /// that has not changed threads since tracing began starts counting now.
    ///
    /// The thread may be preempted between any two of these instructions, and both numbers are others
    /// when it comes back. The CPU's changes with each preemption and the program stays on its CPU, so if it
    /// is the same before and behind, the two belong together. If the thread was preempted since the
    /// firing's `timestamp` was fetched, its time is that of the preemption: it had run no more
    /// then, and it is not less than what an earlier firing has seen.
    ///
    /// ```text
    ///     last = &switches[this CPU]; if (*last == 0) *last = now;
    ///     do { came = *last; on_cpu = state.on_cpu; } while (*last != came);      three times at most
    ///     r0 = on_cpu + (now > came ? now - came : 0);
    /// ```
    pub(crate) fn vtimestamp(&mut self, span: Span) -> Emitted<()> {
        const TRIES: usize = 3;
        let switches = self.storage.switches;
        let key = self.buffer(8, span)?;
        let (absent, counting, same, past, done) = (
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
        );
        self.timestamp(Reg::R0, span)?;
        let now = self.keep(Reg::R0, span)?;
        self.thread_state(Reg::R1, span)?;
        self.asm.store_imm(Size::Double, Reg::FP, key, 0);
        self.asm.map(Reg::R1, switches);
        self.stack_address(Reg::R2, key);
        self.asm.call(Helper::MapLookupElem);
        self.asm.mov(Reg::R3, Reg::R0);
        self.load(Reg::R2, &now);
        self.thread_state(Reg::R1, span)?; // from its slot
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, absent);
        self.asm.load(Size::Double, Reg::R4, Reg::R3, 0);
        self.asm.jump_if_imm(Cond::Ne, Reg::R4, 0, counting);
        self.asm.store(Size::Double, Reg::R3, 0, Reg::R2);
        self.asm.bind(counting);
        for _ in 0..TRIES {
            self.asm.load(Size::Double, Reg::R4, Reg::R3, 0);
            self.asm
                .load(Size::Double, Reg::R0, Reg::R1, own_state::ON_CPU);
            self.asm.load(Size::Double, Reg::R5, Reg::R3, 0);
            self.asm.jump_if(Cond::Eq, Reg::R4, Reg::R5, same);
        }
        self.asm.bind(same);
        self.asm.jump_if(Cond::Le, Reg::R4, Reg::R2, past);
        self.asm.mov(Reg::R2, Reg::R4);
        self.asm.bind(past);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R4);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.asm.jump(done);
        self.asm.bind(absent); // never: the map has a value for each CPU
        self.asm.mov(Reg::R0, Reg::R2);
        self.asm.bind(done);
        self.stack.give(now);
        self.stack.give_buffer(key, 8);
        Ok(())
    }

    /// `r0 = process id of the parent`, through the kernel's own structures.
    pub(crate) fn parent_pid(&mut self, span: Span) -> Emitted<()> {
        let fields = self.storage.task;
        let (Some(parent), Some(tgid)) = (fields.real_parent, fields.tgid) else {
            let message = "ppid needs the kernel's type information (BTF), which this one lacks";
            return Err(Refusal {
                span,
                message: message.into(),
            });
        };
        let slot = self.buffer(8, span)?;
        self.asm.store_imm(Size::Double, Reg::FP, slot, 0);
        self.asm.call(Helper::GetCurrentTask);
        self.asm.mov(Reg::R3, Reg::R0);
        for (offset, size) in [(parent, 8), (tgid, 4)] {
            self.asm.alu_imm(Alu::Add, Reg::R3, imm(offset));
            self.stack_address(Reg::R1, slot);
            self.asm.mov_imm(Reg::R2, size);
            self.asm.call(Helper::ProbeReadKernel);
            self.asm.load(Size::Double, Reg::R3, Reg::FP, slot);
        }
        self.asm.mov(Reg::R0, Reg::R3);
        self.wrap(Reg::R0, Int::I32);
        self.stack.give_buffer(slot, 8);
        Ok(())
    }

    /// Runs `each` for every length class that the tuple may be of, with the class's map and key
    /// size; only the code for the class that it is of runs.
    pub fn each_class(
        &mut self,
        maps: &TupleMaps,
        tuple: &Tuple,
        mut each: impl FnMut(&mut Self, MapRef, u32),
    ) -> Emitted<()> {
        let done = self.asm.label();
        for (index, &(size, map)) in maps.classes.iter().enumerate() {
            if !tuple.may_have(size) {
                continue;
            }
            let next = self.asm.label();
            let last = index + 1 == maps.classes.len() || tuple.has_one_class();
            if !last {
                let class = self.tuple_class(tuple, Reg::R0);
                self.asm.jump_if_imm(Cond::Ne, class, imm(size), next);
            }
            each(self, map, size);
            if last {
                break;
            }
            self.asm.jump(done);
            self.asm.bind(next);
        }
        self.asm.bind(done);
        Ok(())
    }
}
