//! The state of code generation for one program: the assembler, the stack, what has been fetched
//! already in this firing, and the ways out (faults, giving up).
//!
//! What costs a helper call is fetched at most once per firing and kept in a stack slot that
//! holds 0 until then. Where the code cannot know whether an earlier clause fetched it, it
//! tests the slot; where it knows, it does not. The slots are zeroed by a prologue that is
//! emitted last, when it is known which there are; the program's first instruction jumps to it.
//!
//! A fault leaves the clause. Its stub, kept out of the straight path, brings what
//! [`FaultStub`] describes in `r1` to `r3` and jumps to the clause's fault handler, which belongs
//! to `actions`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dlang::diag::Span;
use dlang::program::{Builtin, Expr, ExprKind, Subroutine};
use dlang::types::Int;

use crate::asm::{Asm, Label};
use crate::insn::{Alu, Cond, Helper, Insn, Reg, Size};
use crate::stack::{Stack, Val};
use crate::storage::{Counter, Storage};

/// Why a part of a program cannot be compiled, although it is correct D.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it stands in the D source.
    pub span: Span,
    /// What cannot be done, and why.
    pub message: String,
}

/// The result of emitting code.
pub type Emitted<T> = Result<T, Refusal>;

/// Where a probe argument is when a clause runs: what the trampoline prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// In a stack slot, canonical for its type.
    Slot(i16),
    /// The same at every site.
    Constant(i64),
    /// The probe has no such argument: it reads as 0, as in DTrace.
    Absent,
    /// It exists but cannot be read; the reason.
    Unreadable(String),
}

/// Everything about the probe that fires which an expression may ask for. The trampolines fill
/// it; expressions read only this and so never learn which provider it is.
#[derive(Clone, Debug)]
pub struct MachineState {
    /// Where `arg0` to `arg9` are.
    pub args: Vec<Argument>,
    /// The types of `args[]`.
    pub arg_types: Vec<Int>,
    /// `probeprov`, less the process id if `any_process`.
    pub provider: String,
    /// Whether any process may fire the probe, so that the firing one's id ends `probeprov`.
    pub any_process: bool,
    /// `probemod`.
    pub module: String,
    /// `probefunc`.
    pub function: String,
    /// `probename`.
    pub name: String,
    /// `id`.
    pub id: u32,
    /// `epid` of the clause being compiled.
    pub epid: u32,
    /// Whether a timer may have interrupted the thread in the middle of its own scratch.
    pub timer: bool,
}

impl MachineState {
    /// What a built-in variable is when it is the same for every firing of this clause.
    #[must_use]
    pub fn constant(&self, builtin: Builtin) -> Option<dlang::eval::Value<'_>> {
        use dlang::eval::Value;
        let text = |s: &'_ str| Value::Str(std::borrow::Cow::Owned(s.as_bytes().to_vec()));
        Some(match builtin {
            Builtin::Probeprov if !self.any_process => text(&self.provider),
            Builtin::Probemod => text(&self.module),
            Builtin::Probefunc => text(&self.function),
            Builtin::Probename => text(&self.name),
            Builtin::Id => Value::Int(i64::from(self.id)),
            Builtin::Epid => Value::Int(i64::from(self.epid)),
            // Probes fire in user mode or on timers; no system call's error is at hand.
            Builtin::Errno => Value::Int(0),
            _ => return None,
        })
    }
}

/// What is fetched at most once per firing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fetched {
    /// Address of the thread's state.
    Thread,
    /// Address of this CPU's timer scratch.
    TimerScratch,
    /// The result of `bpf_get_current_pid_tgid`.
    PidTgid,
    /// The result of `bpf_get_current_uid_gid`.
    UidGid,
    /// The monotonic clock.
    Timestamp,
    /// A user string: length with NUL, and its start in the heap; an index into `strings`.
    Length(usize),
    /// The start that goes with `Length`.
    Start(usize),
}

/// A way out of the straight path when a check fails. At the stub `r1` becomes the fault's
/// number, `r2` the index of the failing instruction and `r3` the address (or 0).
#[derive(Debug)]
struct FaultStub {
    label: Label,
    kind: u32,
    pc: usize,
    address: Val,
}

/// Faults whose stubs are still to be emitted, away from the straight path.
#[derive(Debug)]
pub struct Faults(Vec<FaultStub>);

impl Faults {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Read-only bytes shared by the programs of one object: literals, and zeros.
#[derive(Debug, Default)]
pub struct Rodata {
    /// The bytes, to be loaded as the value of the `rodata` map.
    pub bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Rodata {
    /// Puts `bytes` somewhere, once, and gives the offset.
    pub fn put(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(&at) = self.known.get(&bytes) {
            return at;
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = u32::try_from(self.bytes.len()).expect("literals are far below 4 GiB");
        self.bytes.extend(&bytes);
        self.known.insert(bytes, at);
        at
    }
}

/// Fault numbers, as DTrace numbers them; `actions::record::Fault` is the full list.
pub(crate) mod fault {
    pub(crate) const BAD_ADDRESS: u32 = 1;
    pub(crate) const DIVIDE_BY_ZERO: u32 = 4;
    pub(crate) const NO_SCRATCH: u32 = 5;
}

/// Code generation for one program.
#[derive(Debug)]
pub struct Emit<'a> {
    /// The instructions so far.
    pub asm: Asm,
    /// Registers and stack.
    pub stack: Stack,
    /// Where variables are.
    pub storage: &'a Storage,
    /// Literals.
    pub rodata: &'a mut Rodata,
    /// The probe that fires.
    pub machine: MachineState,
    /// The slot of each value that is fetched at most once.
    slots: BTreeMap<Fetched, i16>,
    /// What has surely been fetched where the code now stands.
    known: BTreeSet<Fetched>,
    /// User strings that are read whole, by their address expression.
    strings: Vec<Expr>,
    /// Stack slots of `this->` scalars.
    locals: Vec<Option<i16>>,
    /// Slot with the number of heap bytes in use.
    heap_used: Option<i16>,
    /// The most heap that a firing of this probe may use, and of any probe.
    heap: u32,
    heap_max: u32,
    /// Bytes of `copyin` memory given out in this firing.
    pub(crate) copied: u32,
    stubs: Vec<FaultStub>,
    /// Where a firing goes that cannot go on at all.
    give_up: Label,
    gave_up: bool,
}

/// A set of values known to be fetched, to go back to where control flow joins.
#[derive(Clone, Debug)]
pub struct Known(BTreeSet<Fetched>);

impl<'a> Emit<'a> {
    /// Starts a program; the context is in `r1`.
    pub fn new(storage: &'a Storage, rodata: &'a mut Rodata, machine: MachineState) -> Self {
        let mut asm = Asm::default();
        let give_up = asm.label();
        let mut emit = Self {
            asm,
            stack: Stack::default(),
            storage,
            rodata,
            machine,
            slots: BTreeMap::new(),
            known: BTreeSet::new(),
            strings: Vec::new(),
            locals: vec![None; storage.locals],
            heap_used: None,
            heap: 0,
            heap_max: 0,
            copied: 0,
            stubs: Vec::new(),
            give_up,
            gave_up: false,
        };
        let context = emit.stack.buffer(8).expect("the stack is empty");
        debug_assert_eq!(context, Self::CONTEXT, "the context has the first slot");
        emit
    }

    /// The slot that holds the context.
    pub const CONTEXT: i16 = -8;

    /// Starts the code for a probe, of which one program may hold several: nothing has been
    /// fetched yet, and the heap is empty.
    pub fn start_probe(&mut self, machine: MachineState) {
        self.machine = machine;
        self.known.clear();
        self.strings.clear();
        self.copied = 0;
        self.heap = 0;
    }

    /// Starts a clause of ERROR, in the middle of the probe that faulted: its arguments are
    /// others, so it shares no strings, but what else has been fetched still holds.
    pub fn enter_error(&mut self, machine: MachineState) {
        self.machine = machine;
        self.known.clear();
        self.strings.clear();
    }

    /// Says which addresses `copyinstr` reads whole somewhere in this firing: those strings are
    /// read once and shared; all others are compared with a literal and read no further.
    pub fn share_strings<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        for expr in exprs {
            self.find_whole(expr);
        }
    }

    fn find_whole(&mut self, expr: &Expr) {
        if compared_with_literal(expr, self).is_some() {
            return;
        }
        if let Some(address) = shareable(expr)
            && self.string_index(address).is_none()
            && self.strings.len() < 6
        {
            self.strings.push(address.clone());
        }
        walk(expr, &mut |child| self.find_whole(child));
    }

    fn string_index(&self, address: &Expr) -> Option<usize> {
        self.strings.iter().position(|known| same(known, address))
    }

    /// The slots in which a shared string's length and start are kept, and whether it has surely
    /// been read; `None` for a string that is not shared.
    pub(crate) fn shared_string(&mut self, address: &Expr) -> Emitted<Option<(i16, i16, bool)>> {
        let Some(index) = self.string_index(address) else {
            return Ok(None);
        };
        let known = self.known.contains(&Fetched::Length(index));
        self.known.insert(Fetched::Length(index));
        let length = self.slot(Fetched::Length(index), address.span)?;
        let start = self.slot(Fetched::Start(index), address.span)?;
        Ok(Some((length, start, known)))
    }

    /// Whether a user string is among the shared ones.
    #[must_use]
    pub fn is_shared(&self, address: &Expr) -> bool {
        self.string_index(address).is_some()
    }

    fn slot(&mut self, fetched: Fetched, span: Span) -> Emitted<i16> {
        if let Some(&slot) = self.slots.get(&fetched) {
            return Ok(slot);
        }
        let slot = self.lasting(span)?;
        self.slots.insert(fetched, slot);
        Ok(slot)
    }

    /// What is known to be fetched here; see [`Emit::forget`].
    #[must_use]
    pub fn known(&self) -> Known {
        Known(self.known.clone())
    }

    /// Goes back to what was known at an earlier point, where control flow from there joins.
    pub fn forget(&mut self, known: &Known) {
        self.known.clone_from(&known.0);
    }

    /// A place for a value.
    pub fn take(&mut self, span: Span) -> Emitted<Val> {
        self.stack.take().ok().ok_or_else(|| too_complex(span))
    }

    /// A slot that keeps its value for the whole program, from the prologue on.
    fn lasting(&mut self, span: Span) -> Emitted<i16> {
        self.stack.slot().ok().ok_or_else(|| too_complex(span))
    }

    /// Stack for a buffer.
    pub fn buffer(&mut self, size: i16, span: Span) -> Emitted<i16> {
        self.stack
            .buffer(size)
            .ok()
            .ok_or_else(|| too_complex(span))
    }

    /// The register that holds `val`: its own, or `spare` after loading it there.
    pub fn reg(&mut self, val: &Val, spare: Reg) -> Reg {
        match *val {
            Val::Reg(reg) => reg,
            Val::Slot(slot) => {
                self.asm.load(Size::Double, spare, Reg::FP, slot);
                spare
            }
            Val::Const(value) => {
                self.asm.mov_imm(spare, value);
                spare
            }
        }
    }

    /// `dst = val`.
    pub fn load(&mut self, dst: Reg, val: &Val) {
        let reg = self.reg(val, dst);
        self.asm.mov(dst, reg);
    }

    /// `val = src`; `val` is not a constant.
    pub fn put(&mut self, val: &Val, src: Reg) {
        match *val {
            Val::Reg(reg) => self.asm.mov(reg, src),
            Val::Slot(slot) => self.asm.store(Size::Double, Reg::FP, slot, src),
            Val::Const(_) => unreachable!("constants are not assigned to"),
        }
    }

    /// A new value that holds what is in `src`.
    pub fn keep(&mut self, src: Reg, span: Span) -> Emitted<Val> {
        let val = self.take(span)?;
        self.put(&val, src);
        Ok(val)
    }

    /// `dst = value of a once-fetched slot`, calling `fetch` (result in `r0`) where it may not
    /// have been fetched. Destroys `r0` to `r5`.
    fn fetched(
        &mut self,
        dst: Reg,
        what: Fetched,
        span: Span,
        fetch: impl FnOnce(&mut Self),
    ) -> Emitted<()> {
        let slot = self.slot(what.clone(), span)?;
        if self.known.contains(&what) {
            self.asm.load(Size::Double, dst, Reg::FP, slot);
            return Ok(());
        }
        let have = self.asm.label();
        self.asm.load(Size::Double, dst, Reg::FP, slot);
        self.asm.jump_if_imm(Cond::Ne, dst, 0, have);
        fetch(self);
        self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        self.asm.mov(dst, Reg::R0);
        self.asm.bind(have);
        self.known.insert(what);
        Ok(())
    }

    /// `dst = bpf_get_current_pid_tgid()`: the process above, the thread below.
    pub fn pid_tgid(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        self.fetched(dst, Fetched::PidTgid, span, |e| {
            e.asm.call(Helper::GetCurrentPidTgid);
        })
    }

    /// `dst = bpf_get_current_uid_gid()`: the group above, the user below.
    pub fn uid_gid(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        self.fetched(dst, Fetched::UidGid, span, |e| {
            e.asm.call(Helper::GetCurrentUidGid);
        })
    }

    /// `dst = monotonic nanoseconds`, the same throughout a firing.
    pub fn timestamp(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        self.fetched(dst, Fetched::Timestamp, span, |e| {
            e.asm.call(Helper::KtimeGetNs);
        })
    }

    /// `dst = address of the thread's state`, made and zeroed if the thread has none. A firing
    /// on a thread that can get none is given up and counted. Destroys `r0` to `r5`.
    pub fn thread_state(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        let map = self.storage.thread;
        let give_up = self.give_up;
        self.gave_up = true;
        self.fetched(dst, Fetched::Thread, span, |e| {
            e.asm.call(Helper::GetCurrentTaskBtf);
            e.asm.map(Reg::R1, map);
            e.asm.mov(Reg::R2, Reg::R0);
            e.asm.mov_imm(Reg::R3, 0);
            e.asm.mov_imm(Reg::R4, 1); // BPF_LOCAL_STORAGE_GET_F_CREATE
            e.asm.call(Helper::TaskStorageGet);
            e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, give_up);
        })
    }

    /// `dst = address of the scratch`, laid out like a thread's state. Destroys `r0` to `r5`.
    pub fn scratch(&mut self, dst: Reg, span: Span) -> Emitted<()> {
        if !self.machine.timer {
            return self.thread_state(dst, span);
        }
        let map = self.storage.timer_scratch;
        let give_up = self.give_up;
        self.gave_up = true;
        let key = self.buffer(8, span)?;
        let done = self.fetched(dst, Fetched::TimerScratch, span, |e| {
            e.asm.store_imm(Size::Double, Reg::FP, key, 0);
            e.asm.map(Reg::R1, map);
            e.stack_address(Reg::R2, key);
            e.asm.call(Helper::MapLookupElem);
            e.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, give_up);
        });
        self.stack.give_buffer(key, 8);
        done
    }

    /// `dst = address of the scratch`, which this path has surely fetched. Destroys nothing else.
    pub(crate) fn scratch_known(&mut self, dst: Reg) {
        let what = if self.machine.timer {
            Fetched::TimerScratch
        } else {
            Fetched::Thread
        };
        let slot = *self
            .slots
            .get(&what)
            .expect("a tuple in the scratch has fetched it");
        self.asm.load(Size::Double, dst, Reg::FP, slot);
    }

    /// `dst = address of heap + offset` where the scratch has surely been fetched. Destroys `r5`.
    pub(crate) fn heap_address_known(&mut self, dst: Reg, offset: &Val) {
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        let offset = self.reg(offset, Reg::R5);
        self.asm.alu(Alu::Add, dst, offset);
    }

    /// `dst = scratch + offset`.
    pub fn scratch_at(&mut self, dst: Reg, offset: u32, span: Span) -> Emitted<()> {
        self.scratch(dst, span)?;
        self.asm.alu_imm(Alu::Add, dst, imm(offset));
        Ok(())
    }

    /// `dst = frame pointer + offset`.
    pub fn stack_address(&mut self, dst: Reg, offset: i16) {
        self.asm.mov(dst, Reg::FP);
        self.asm.alu_imm(Alu::Add, dst, i32::from(offset));
    }

    /// The slot with the number of heap bytes in use, if the heap is in use at all.
    #[must_use]
    pub fn heap_slot(&self) -> Option<i16> {
        self.heap_used
    }

    /// The slot with the number of heap bytes in use.
    pub fn heap_used(&mut self, span: Span) -> Emitted<i16> {
        if let Some(slot) = self.heap_used {
            return Ok(slot);
        }
        let slot = self.lasting(span)?;
        self.heap_used = Some(slot);
        Ok(slot)
    }

    /// Notes that a string of at most `size` bytes is put on the heap.
    pub(crate) fn heap_grows(&mut self, size: u32) {
        self.heap += size;
        self.heap_max = self.heap_max.max(self.heap);
    }

    /// The most heap that this firing has used where the code now stands, in bytes.
    pub(crate) fn heap_so_far(&self) -> u32 {
        self.heap
    }

    /// Notes that `size` bytes behind the heap are used until the next string is put there.
    pub(crate) fn heap_reaches(&mut self, size: u32) {
        self.heap_max = self.heap_max.max(self.heap + size);
    }

    /// Stores and loads a register, after which the verifier knows nothing of its value. The
    /// scratch has been fetched; `spare` is destroyed.
    pub(crate) fn through_memory(&mut self, reg: Reg, spare: Reg, span: Span) -> Emitted<()> {
        let Ok(temps) = i16::try_from(self.storage.temps) else {
            return Err(Refusal {
                span,
                message: "too many thread-local strings".into(),
            });
        };
        self.scratch_known(spare);
        self.asm.store(Size::Double, spare, temps, reg);
        self.asm.load(Size::Double, reg, spare, temps);
        Ok(())
    }

    /// To be emitted where control flow joins behind a clause that may have been left early: the
    /// verifier forgets how full the heap is. It would follow all that comes next once more for
    /// each such clause otherwise. Destroys `r0` to `r5`.
    pub fn settle_heap(&mut self, span: Span) -> Emitted<()> {
        let Some(used) = self.heap_used else {
            return Ok(());
        };
        // An empty heap stays known to be empty: the scratch may not even have been looked for.
        let empty = self.asm.label();
        self.asm.load(Size::Double, Reg::R0, Reg::FP, used);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, empty);
        self.through_memory(Reg::R0, Reg::R1, span)?;
        let most = imm(self.heap);
        self.gave_up = true;
        self.asm.jump_if_imm(Cond::Gt, Reg::R0, most, self.give_up);
        self.asm.store(Size::Double, Reg::FP, used, Reg::R0);
        self.asm.bind(empty);
        Ok(())
    }

    /// The most heap that a firing uses, in bytes.
    #[must_use]
    pub fn heap_max(&self) -> u32 {
        self.heap_max
    }

    /// `dst = address of heap + offset`. Destroys `r0` to `r5`.
    pub fn heap_at(&mut self, dst: Reg, offset: &Val, span: Span) -> Emitted<()> {
        self.scratch(dst, span)?;
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        let spare = if dst == Reg::R5 { Reg::R4 } else { Reg::R5 };
        let offset = self.reg(offset, spare);
        self.asm.alu(Alu::Add, dst, offset);
        Ok(())
    }

    /// The stack slot of a `this->` scalar.
    pub fn local(&mut self, number: usize, span: Span) -> Emitted<i16> {
        if let Some(slot) = self.locals[number] {
            return Ok(slot);
        }
        let slot = self.lasting(span)?;
        self.locals[number] = Some(slot);
        Ok(slot)
    }

    /// A label to jump to when a check fails. `address` must still be where it is at the jump.
    pub fn fault(&mut self, kind: u32, address: &Val) -> Label {
        let label = self.asm.label();
        self.stubs.push(FaultStub {
            label,
            kind,
            pc: self.asm.here(),
            address: address.alias(),
        });
        label
    }

    /// The faults since the last call, whose stubs are still to be emitted.
    pub fn take_faults(&mut self) -> Faults {
        Faults(std::mem::take(&mut self.stubs))
    }

    /// Emits the stubs of some faults; all lead to `handler`.
    pub fn emit_faults(&mut self, faults: Faults, handler: Label) {
        for stub in faults.0 {
            self.asm.bind(stub.label);
            self.load(Reg::R3, &stub.address);
            self.asm.mov_imm(Reg::R1, i64::from(stub.kind));
            self.asm.mov_index(Reg::R2, stub.pc);
            self.asm.jump(handler);
        }
    }

    /// Adds one to a counter of what was given up. Destroys `r0` to `r5`.
    pub fn count(&mut self, counter: Counter, span: Span) -> Emitted<()> {
        let map = self.storage.counters;
        let key = self.buffer(8, span)?;
        let skip = self.asm.label();
        self.asm.store_imm(Size::Double, Reg::FP, key, 0);
        self.asm.map(Reg::R1, map);
        self.stack_address(Reg::R2, key);
        self.asm.call(Helper::MapLookupElem);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, skip);
        self.asm.mov_imm(Reg::R1, 1);
        let offset = i16::try_from(counter as u32 * 8).expect("there are few counters");
        self.asm.push(Insn::atomic_add(
            Size::Double,
            Reg::R0,
            offset,
            Reg::R1,
            false,
        ));
        self.asm.bind(skip);
        self.stack.give_buffer(key, 8);
        Ok(())
    }

    /// Emits the shared way out of firings that cannot go on, if any needs it.
    pub fn finish_give_up(&mut self) -> Emitted<()> {
        self.asm.bind(self.give_up);
        if self.gave_up {
            self.count(Counter::DynamicDrops, Span::default())?;
        }
        self.leave();
        Ok(())
    }

    /// Ends the program. It must return 0: anything else costs another 200 ns per hit.
    pub fn leave(&mut self) {
        self.asm.mov_imm(Reg::R0, 0);
        self.asm.push(Insn::exit());
    }

    /// Zeroes what the code tests before it has been set: once-fetched values, the heap's fill
    /// and `this->` scalars. Part of the prologue, so emitted after everything that uses them.
    pub fn zero_slots(&mut self) {
        let slots: Vec<i16> = self
            .slots
            .values()
            .copied()
            .chain(self.heap_used)
            .chain(self.locals.iter().flatten().copied())
            .collect();
        for slot in slots {
            self.asm.store_imm(Size::Double, Reg::FP, slot, 0);
        }
    }

    /// The bytes of an expression that is one constant string for this clause.
    #[must_use]
    pub fn constant_string(&self, expr: &Expr) -> Option<Vec<u8>> {
        match self.constant(expr)? {
            dlang::eval::Value::Str(bytes) => Some(bytes.into_owned()),
            dlang::eval::Value::Int(_) => None,
        }
    }

    /// The value of an expression that is one constant for this clause.
    #[must_use]
    pub fn constant<'e>(&'e self, expr: &'e Expr) -> Option<dlang::eval::Value<'e>> {
        struct Constants<'m>(&'m MachineState, usize);
        impl<'m> dlang::eval::Env<'m> for Constants<'m> {
            fn recorded(&self, _: u16) -> dlang::eval::Value<'m> {
                dlang::eval::Value::Int(0)
            }
            fn builtin(&self, builtin: Builtin) -> Option<dlang::eval::Value<'m>> {
                self.0.constant(builtin)
            }
            fn strsize(&self) -> usize {
                self.1
            }
        }
        let env = Constants(&self.machine, self.storage.strsize as usize);
        dlang::eval::eval(expr, &env).ok()
    }
}

/// The address of a `copyinstr` whose result can be shared in a firing: one argument, and an
/// address that cannot change within it.
fn shareable(expr: &Expr) -> Option<&Expr> {
    match &expr.kind {
        ExprKind::Call(Subroutine::Copyinstr, args) if args.len() == 1 => {
            is_fixed(&args[0]).then_some(&args[0])
        }
        _ => None,
    }
}

fn is_fixed(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Arg(_) | ExprKind::TypedArg(_) | ExprKind::Int(_) => true,
        ExprKind::Cast(of) => is_fixed(of),
        _ => false,
    }
}

/// For `copyinstr(address) == "literal"` (or `!=`, or the other way round): the address and the
/// literal. Only the first bytes of such a string matter.
pub(crate) fn compared_with_literal<'e>(
    expr: &'e Expr,
    emit: &Emit<'_>,
) -> Option<(&'e Expr, Vec<u8>)> {
    use dlang::program::BinaryOp::{Equal, NotEqual};
    let ExprKind::Binary(Equal | NotEqual, left, right) = &expr.kind else {
        return None;
    };
    for (string, literal) in [(left, right), (right, left)] {
        if let ExprKind::Call(Subroutine::Copyinstr, args) = &string.kind
            && args.len() == 1
            && let Some(bytes) = emit.constant_string(literal)
            && bytes.len() <= 62
        {
            return Some((&args[0], bytes));
        }
    }
    None
}

/// Whether two expressions are the same but for where they stand.
fn same(a: &Expr, b: &Expr) -> bool {
    a.ty == b.ty
        && match (&a.kind, &b.kind) {
            (ExprKind::Arg(a), ExprKind::Arg(b))
            | (ExprKind::TypedArg(a), ExprKind::TypedArg(b)) => a == b,
            (ExprKind::Int(a), ExprKind::Int(b)) => a == b,
            (ExprKind::Cast(a), ExprKind::Cast(b)) => same(a, b),
            _ => false,
        }
}

/// Calls `f` for each direct operand.
pub fn walk<'e>(expr: &'e Expr, f: &mut dyn FnMut(&'e Expr)) {
    match &expr.kind {
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Var(_)
        | ExprKind::Builtin(_)
        | ExprKind::Arg(_)
        | ExprKind::TypedArg(_)
        | ExprKind::Recorded(_) => {}
        ExprKind::Element(_, of) | ExprKind::Call(_, of) => of.iter().for_each(f),
        ExprKind::Unary(_, of)
        | ExprKind::Cast(of)
        | ExprKind::Deref(of)
        | ExprKind::BitField { of, .. }
        | ExprKind::Step { target: of, .. } => f(of),
        ExprKind::Binary(_, a, b)
        | ExprKind::Logic(_, a, b)
        | ExprKind::Assign(_, a, b)
        | ExprKind::Comma(a, b) => {
            f(a);
            f(b);
        }
        ExprKind::Ternary(a, b, c) => {
            f(a);
            f(b);
            f(c);
        }
    }
}

/// An offset as an instruction's immediate.
pub(crate) fn imm(offset: u32) -> i32 {
    i32::try_from(offset).expect("offsets in maps are below 2 GiB")
}

fn too_complex(span: Span) -> Refusal {
    Refusal {
        span,
        message:
            "too complex: the 512 bytes of eBPF stack are used up; split it with `this->` variables"
                .into(),
    }
}
