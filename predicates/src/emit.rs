//! The state of code generation for one program: the assembler, the stack, what has been fetched
//! already in this firing, and the ways out (faults, giving up).
//!
//! What costs a helper call is fetched at most once per firing and kept in a stack slot that
//! holds 0 until then. Where the code cannot know whether an earlier clause fetched it, it
//! tests the slot; where it knows, it does not. The slots are zeroed by a prologue that is
//! emitted last, when it is known which there are; the program's first instruction jumps to it.
//!
//! A fault leaves the clause. Its stub, kept out of the straight path, brings what
//! `FaultStub` describes in `r1` to `r3` and jumps to the clause's fault handler, which belongs
//! to `actions`.

use std::collections::{BTreeMap, BTreeSet};

use dlang::diag::Span;
use dlang::program::Expr;

use crate::asm::{Asm, Code, Label, OpenLoops, Unfinished};
use crate::heap_level::Heap;
use crate::insn::{Alu, Cond, Helper, Insn, Reg, Size};
pub use crate::machine::{Argument, KernelStack, MachineState};
pub use crate::rodata::Rodata;
use crate::stack::{Stack, Val};
use crate::storage::{Counter, Storage, own_globals};

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

/// What is fetched at most once per firing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fetched {
    /// Address of the thread's state.
    Thread,
    /// Address of this CPU's timer scratch.
    TimerScratch,
    /// Address of the scratch that the firing has claimed.
    Claimed,
    /// The result of `bpf_get_current_pid_tgid`.
    PidTgid,
    /// The result of `bpf_get_current_uid_gid`.
    UidGid,
    /// The monotonic clock.
    Timestamp,
    /// Whether the Python function that the thread is in has been looked for.
    Python,
    /// Its line, which may be 0, in the lower half.
    PythonLine,
    /// The address of the running task of asyncio, which may be 0.
    Task,
    /// The address of the running greenlet, which may be 0.
    Greenlet,
    /// A user string: length with NUL, and its start in the heap; an index into `strings`.
    Length(usize),
    /// The start that goes with `Length`.
    Start(usize),
    /// Where in the heap the rest of the string is that `strtok` takes apart.
    TokenStart,
    /// How long that rest is.
    TokenLen,
}

impl Fetched {
    /// Whether it is an address of memory of ours, which another program cannot be given as such.
    pub(crate) fn is_address(&self) -> bool {
        match self {
            Self::Thread | Self::TimerScratch | Self::Claimed => true,
            Self::PidTgid
            | Self::UidGid
            | Self::Timestamp
            | Self::Python
            | Self::PythonLine
            | Self::Task
            | Self::Greenlet
            | Self::Length(_)
            | Self::Start(_)
            | Self::TokenStart
            | Self::TokenLen => false,
        }
    }
}

/// A way out of the straight path when a check fails. At the stub `r1` becomes the fault's
/// number, `r2` the index of the failing instruction and `r3` the address (or 0).
#[derive(Debug)]
struct FaultStub {
    label: Label,
    kind: Fault,
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

/// A run-time fault, numbered as DTrace numbers them (`DTRACEFLT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Fault {
    /// An address that cannot be read.
    BadAddress = 1,
    /// An address that is not aligned.
    BadAlign = 2,
    /// An opcode that is not allowed.
    IllegalOperation = 3,
    /// Division by zero.
    DivideByZero = 4,
    /// No scratch space left.
    NoScratch = 5,
    /// An address in the kernel that must not be read.
    KernelAddress = 6,
    /// An address in user space that cannot be read.
    UserAddress = 7,
    /// A string or tuple that does not fit.
    TupleOverflow = 8,
    /// A stack that cannot be walked.
    BadStack = 9,
    /// A size that is out of bounds.
    BadSize = 10,
    /// An index that is outside of its array.
    BadIndex = 11,
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
    pub(crate) slots: BTreeMap<Fetched, i16>,
    /// What has surely been fetched where the code now stands.
    pub(crate) fetched: BTreeSet<Fetched>,
    /// User strings that are read whole, by their address expression.
    pub(crate) strings: Vec<Expr>,
    /// Stack slots of `this->` scalars.
    pub(crate) locals: Vec<Option<i16>>,
    /// Offset and size in the scratch of what a firing clears when it first finds the scratch.
    pub(crate) cleared: BTreeSet<(u32, u32)>,
    /// How full the heap may be, and where the code depends on that.
    pub(crate) heap: Heap,
    /// The slot with a zero that the verifier does not know; see [`crate::join`].
    pub(crate) zero: Option<i16>,
    /// The slot with the number of bytes that the clause was given of the memory in `scratch`.
    pub(crate) allocated: Option<i16>,
    /// How many loops over strings there are so far.
    pub(crate) loops: u32,
    /// Whether an argument may be the address of a text in the thread's scratch: one that the
    /// traced program has in another encoding, converted to UTF-8 by the trampoline.
    pub converted_text: bool,
    stubs: Vec<FaultStub>,
    /// Where a firing goes that cannot go on at all.
    pub(crate) give_up: Label,
    pub(crate) gave_up: bool,
    /// Where a firing goes that has interrupted another of the same thread.
    pub(crate) nested: Label,
    pub(crate) may_nest: bool,
}

/// The values that have surely been fetched at some point of the code.
#[derive(Clone, Debug)]
pub struct FetchedValues(BTreeSet<Fetched>);

/// Where the code for a probe was interrupted by that for ERROR.
#[derive(Debug)]
pub struct Interrupted {
    fetched: FetchedValues,
    strings: Vec<Expr>,
    heap: u32,
}

impl<'a> Emit<'a> {
    /// Starts a program; the context is in `r1`.
    pub fn new(storage: &'a Storage, rodata: &'a mut Rodata, machine: MachineState) -> Self {
        let mut asm = Asm::with_loops(storage.loops());
        let (give_up, nested) = (asm.label(), asm.label());
        asm.ends(give_up);
        asm.ends(nested);
        let mut emit = Self {
            asm,
            stack: Stack::default(),
            storage,
            rodata,
            machine,
            slots: BTreeMap::new(),
            fetched: BTreeSet::new(),
            strings: Vec::new(),
            locals: vec![None; storage.locals],
            cleared: BTreeSet::new(),
            heap: Heap::default(),
            zero: None,
            allocated: None,
            loops: 0,
            converted_text: false,
            stubs: Vec::new(),
            give_up,
            gave_up: false,
            nested,
            may_nest: false,
        };
        let context = emit.stack.buffer(8).expect("the stack is empty");
        if storage.open_loops.is_some() {
            emit.reserve_for_loops();
        }
        debug_assert_eq!(context, Self::CONTEXT, "the context has the first slot");
        emit
    }

    /// Keeps the stack free that loops without a bound need beside the program's own.
    pub fn reserve_for_loops(&mut self) {
        self.stack.reserve_end(self.storage.loops().stack());
    }

    /// The slot that holds the context.
    pub const CONTEXT: i16 = -8;

    /// Starts the code for a probe, of which one program may hold several: nothing has been
    /// fetched yet, and the heap is empty.
    pub fn start_probe(&mut self, machine: MachineState) {
        self.machine = machine;
        self.fetched.clear();
        self.strings.clear();
        self.heap.start_probe();
    }

    /// Before all code for ERROR, whose clauses run in the middle of any probe of this program: all
    /// that any of them may have on the heap is there.
    pub fn start_errors(&mut self) -> Interrupted {
        Interrupted {
            fetched: self.fetched(),
            strings: self.strings.clone(),
            heap: self.heap.start_errors(),
        }
    }

    /// Behind it: goes on with the probe whose code came before.
    pub fn end_errors(&mut self, before: Interrupted) {
        self.fetched_only(&before.fetched);
        self.strings = before.strings;
        self.heap.end_errors(before.heap);
    }

    /// After one copy of ERROR's clauses: they left the heap as it was.
    pub fn end_error(&mut self) {
        self.heap.end_error();
    }

    /// Starts a clause of ERROR: its arguments are others than those of the probe that faulted,
    /// so it shares no strings, but what else has been fetched still holds.
    pub fn enter_error(&mut self, machine: MachineState) {
        self.machine = machine;
        self.fetched.clear();
        self.strings.clear();
    }

    pub(crate) fn slot(&mut self, fetched: Fetched, span: Span) -> Emitted<i16> {
        if let Some(&slot) = self.slots.get(&fetched) {
            return Ok(slot);
        }
        let slot = self.lasting(span)?;
        self.slots.insert(fetched, slot);
        Ok(slot)
    }

    /// What has surely been fetched where the code now stands.
    #[must_use]
    pub fn fetched(&self) -> FetchedValues {
        FetchedValues(self.fetched.clone())
    }

    /// From here on only these count as fetched: where a way joins that left at an earlier point, at which
    /// they were.
    pub fn fetched_only(&mut self, values: &FetchedValues) {
        self.fetched.clone_from(&values.0);
    }

    /// A place for a value.
    pub fn take(&mut self, span: Span) -> Emitted<Val> {
        self.stack.take().ok().ok_or_else(|| self.too_complex(span))
    }

    /// A slot that keeps its value for the whole program, from the prologue on.
    pub(crate) fn lasting(&mut self, span: Span) -> Emitted<i16> {
        self.stack.slot().ok().ok_or_else(|| self.too_complex(span))
    }

    /// Stack for a buffer.
    pub fn buffer(&mut self, size: i16, span: Span) -> Emitted<i16> {
        self.stack
            .buffer(size)
            .ok()
            .ok_or_else(|| self.too_complex(span))
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

    /// `dst = frame pointer + offset`.
    pub fn stack_address(&mut self, dst: Reg, offset: i16) {
        self.asm.mov(dst, Reg::FP);
        self.asm.alu_imm(Alu::Add, dst, i32::from(offset));
    }

    /// The offset of the temporaries in the scratch, for loads and stores.
    pub fn temps_offset(&self, span: Span) -> Emitted<i16> {
        i16::try_from(self.storage.temps)
            .ok()
            .ok_or_else(|| Refusal {
                span,
                message: "too many thread-local strings".into(),
            })
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
    pub fn fault(&mut self, kind: Fault, address: &Val) -> Label {
        let label = self.asm.label();
        self.asm.ends(label);
        self.stubs.push(FaultStub {
            label,
            kind,
            pc: self.asm.here(),
            address: address.alias(),
        });
        label
    }

    /// Emits the stubs of the faults so far if they get far from what leads to them, and goes on
    /// behind them; all lead to `handler`. For between two statements.
    pub fn emit_distant_faults(&mut self, handler: Label) {
        let first = self.stubs.first().map_or(usize::MAX, |stub| stub.pc);
        if self.asm.here().saturating_sub(first) < DISTANT {
            return;
        }
        let on = self.asm.label();
        self.asm.jump(on);
        let faults = self.take_faults();
        self.emit_faults(faults, handler);
        self.asm.bind(on);
    }

    /// Whether there are no faults whose stubs are still to be emitted.
    pub(crate) fn has_no_faults(&self) -> bool {
        self.stubs.is_empty()
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
            self.asm.mov_imm(Reg::R1, i64::from(stub.kind as u32));
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
        self.asm.bind(self.nested);
        if self.may_nest {
            self.count(Counter::NestedDrops, Span::default())?;
            self.asm.mov_imm(Reg::R0, 0);
            self.asm.push(Insn::exit());
        }
        Ok(())
    }

    /// Ends the program. It must return 0: anything else costs another 200 ns per hit.
    pub fn leave(&mut self) {
        self.give_scratch_back();
        self.asm.mov_imm(Reg::R0, 0);
        self.asm.push(Insn::exit());
    }

    /// Zeroes what the code tests before it has been set: once-fetched values and `this->`
    /// scalars. Part of the prologue, so emitted after everything that uses them.
    ///
    /// Numbers become a zero that the verifier does not know, so that a firing that has fetched
    /// one and a firing that has not are the same to it; a pointer is known not to be there.
    pub fn zero_slots(&mut self) {
        let (pointers, numbers): (Vec<_>, Vec<_>) =
            self.slots.iter().partition(|(what, _)| what.is_address());
        let pointers: Vec<i16> = pointers.into_iter().map(|(_, &slot)| slot).collect();
        let mut numbers: Vec<i16> = numbers.into_iter().map(|(_, &slot)| slot).collect();
        numbers.extend(self.locals.iter().flatten());
        numbers.extend(self.allocated);
        for slot in pointers {
            self.asm.store_imm(Size::Double, Reg::FP, slot, 0);
        }
        if self.zero.is_none() && numbers.len() <= FEW_NUMBERS {
            for slot in numbers {
                self.asm.store_imm(Size::Double, Reg::FP, slot, 0);
            }
            return;
        }
        let globals = self.storage.globals;
        self.asm.map_value(Reg::R0, globals, own_globals::ZERO);
        self.asm.load(Size::Double, Reg::R0, Reg::R0, 0);
        for slot in numbers.into_iter().chain(self.zero) {
            // Each its own number: to the verifier copies stay equal whatever is stored later.
            self.unlink(Reg::R0);
            self.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
    }

    fn too_complex(&self, span: Span) -> Refusal {
        let loops = match self.storage.open_loops {
            Some(OpenLoops::Calls) => ", of which loops take a third before Linux 6.9",
            Some(OpenLoops::MayGoto) | None => "",
        };
        Refusal {
            span,
            message: format!(
                "too complex: the 512 bytes of eBPF stack are used up{loops}; split it with `this->` variables"
            ),
        }
    }

    /// The finished code of the program.
    pub fn finish(&mut self) -> Result<Code, Unfinished> {
        self.fill_in_heap_checks();
        std::mem::take(&mut self.asm).finish()
    }
}

/// Instructions between a check and the stub of its fault, at which all stubs are emitted.
const DISTANT: usize = 4_000;

/// So many numbers that may have been fetched or not are no burden to the verifier, and the
/// prologue is shorter if it zeroes them one by one.
const FEW_NUMBERS: usize = 2;

/// An offset as an instruction's immediate.
pub fn imm(offset: u32) -> i32 {
    i32::try_from(offset).expect("offsets in maps are below 2 GiB")
}
