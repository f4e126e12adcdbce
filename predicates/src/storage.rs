//! Where a program's variables and buffers live, decided once before any code is made.
//!
//! * Globals share the one value of an array map, addressed directly: no helper call.
//! * All `self->` scalars and strings of a thread are one value of task storage, found once per
//!   firing. The same value holds the thread's scratch: whatever must be built in memory before
//!   it leaves for a map or the ring. Two threads that preempt each other on one CPU can
//!   therefore never see each other's bytes, which per-CPU scratch cannot promise. Timer programs
//!   interrupt threads in the middle of their own scratch, so they have per-CPU scratch instead;
//!   timers of one CPU do not interrupt each other.
//! * Where strings are so long that a thread's scratch would not fit its state, a firing claims scratch of the same
//!   layout from an array (`claim`), and the state has the variables only.
//! * `task->` variables are elements of associative arrays, with the running task as the first part of the key.
//! * Associative arrays are hash maps, one for each length class of their keys.
//!
//! ```text
//! one thread's state:
//!   0          rdtrace's own words (`own_state`)
//!   40         self-> variables
//!   temps      loop results, pointers that must become plain numbers
//!   locals     this-> variables that the stack cannot hold, cleared in each firing
//!   copied     what alloca() and copyin() gave
//!   texts      arguments that were converted to UTF-8
//!   element    an element that is made, a struct that is copied
//!   frames     a stack, and a list of Python functions
//!   objects    a Python object that is read
//!   key        one tuple
//!   heap-fixed the record's fixed part, ending at
//!   heap       strings of this firing, back to back; the record runs into them
//!   ...        strsize bytes that are always readable after any string
//! ```

use dlang::program::{Program, Scope, VarId, Variable};
use dlang::types::Type;

use crate::asm::{MapRef, OpenLoops};
use crate::frame_layout::{FrameLimits, Frames, UnwindMaps, WINDOW};
use crate::python::{ObjectRegion, PythonName};
use crate::python_layout::{PythonFrames, PythonMaps};

/// Bytes at `temps`: 8 words.
pub const TEMP_BYTES: u32 = 64;

/// Where a variable is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this offset in the globals' value.
    Global(u32),
    /// At this offset in the thread's state: a `self->` variable.
    State(u32),
    /// A scalar `this->` variable: its number among those, each with a stack slot.
    Local(usize),
    /// At this offset in the scratch: a `this->` variable that the stack cannot hold. It is
    /// cleared where a firing first finds its scratch (`Emit::clear_locals`).
    Scratch(u32),
    /// In hash maps.
    Array(TupleMaps),
}

/// The maps of an associative array or aggregation, and its key's shape.
///
/// A key is its integers, 8 bytes each in tuple order, then its strings back to back, then zeros
/// up to the key size of the smallest map that holds it. Small keys are the common ones, and a
/// map look-up costs by the key's size, so each length class has a map of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TupleMaps {
    /// Number of integers, the selector and the owner's included.
    pub ints: u32,
    /// Number of strings.
    pub strings: u32,
    /// Whose the elements are: its integers are the first of the tuple.
    pub owner: Option<Owner>,
    /// Whether there is no key, and the map is an array.
    pub is_array: bool,
    /// The number that is the first integer, or the index into the array, if there is one.
    pub selector: Option<Selector>,
    /// Bytes of a value in the maps, which may have some to spare.
    pub value: u32,
    /// Key size and map, ascending; exactly one without strings.
    pub classes: Vec<(u32, MapRef)>,
}

/// What tells those apart that share a map, and the epochs of one aggregation: `base`, or `base`
/// plus the epoch's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The number of the one, or of its first slot.
    pub base: u32,
    /// Where the epoch is read.
    pub epoch: Option<Epoch>,
}

/// To whom an element belongs besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The thread (`self->` arrays), known by its serial.
    Thread,
    /// The running task of asyncio (`task->`), known by its process and its address, which is 0 where none is running.
    Task,
}

impl Owner {
    /// How many integers it is known by.
    const fn ints(self) -> u32 {
        match self {
            Self::Thread => 1,
            Self::Task => 2,
        }
    }
}

/// What a tuple consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of integers, the owner's included.
    pub ints: u32,
    /// Number of strings.
    pub strings: u32,
    /// Whose the elements are.
    pub owner: Option<Owner>,
}

impl Shape {
    /// The shape of tuples with these members.
    #[must_use]
    pub fn of(key: &[Type], owner: Option<Owner>) -> Self {
        let strings = count_strings(key);
        let all = u32::try_from(key.len()).expect("a tuple has few members");
        let processes = key.iter().filter(|ty| has_process(ty)).count();
        let processes = u32::try_from(processes).expect("a tuple has few members");
        Self {
            ints: all - strings + processes + owner.map_or(0, Owner::ints),
            strings,
            owner,
        }
    }

    /// The shape of an array's index; `None` for a variable that is no array.
    #[must_use]
    pub fn of_array(variable: &Variable) -> Option<Self> {
        let owner = match variable.scope {
            Scope::ThreadLocal => Some(Owner::Thread),
            Scope::TaskLocal => Some(Owner::Task),
            Scope::Global | Scope::ClauseLocal => None,
        };
        variable.key.as_ref().map(|key| Self::of(key, owner))
    }
}

/// The number by which the consumer makes an aggregation start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The array map in whose one value it is.
    pub map: MapRef,
    /// Its offset there.
    pub offset: u32,
    /// How many slots the keys tell apart, a power of two.
    pub slots: u32,
}

/// The key sizes for tuples of so many integers and strings.
#[must_use]
pub fn key_sizes(ints: u32, strings: u32, strsize: u32) -> Vec<u32> {
    let base = 8 * ints;
    let full = base + (strings * strsize).next_multiple_of(8);
    let small = base + if strings > 1 { 64 } else { 32 };
    let mut sizes = vec![small, small + 96, full];
    if strings == 0 {
        sizes = vec![base];
    }
    sizes.retain(|&size| size <= full);
    sizes.dedup();
    sizes
}

/// How a string variable tells the null string from the empty one: by its second byte, since the
/// first is the NUL of either. A variable that was never assigned is all zeros, and is null in a
/// thread and empty elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NullMark {
    /// The first two bytes of one that is null.
    pub null: u16,
    /// The first two bytes of one that is empty.
    pub empty: u16,
}

impl NullMark {
    const ZEROS: u16 = 0;
    const MARKED: u16 = u16::from_le_bytes([0, 1]);

    fn of(scope: Scope) -> Self {
        let (null, empty) = match scope {
            Scope::ThreadLocal | Scope::TaskLocal => (Self::ZEROS, Self::MARKED),
            Scope::Global | Scope::ClauseLocal => (Self::MARKED, Self::ZEROS),
        };
        Self { null, empty }
    }
}

/// The layout of globals and of a thread's state, and the maps that hold them.
#[derive(Clone, Debug)]
pub struct Storage {
    /// `strsize`: bytes of a string variable, and the most that a string has, NUL included.
    pub strsize: u32,
    /// The array map of globals.
    pub globals: MapRef,
    /// Bytes of its value.
    pub globals_size: u32,
    /// Where the states of speculations are in it, behind the variables, and how many there are.
    pub speculations: (u32, u32),
    /// The task storage map.
    pub thread: MapRef,
    /// The array with scratch that is in no thread's state, and laid out like one: a per-CPU one for timers, or
    /// one with [`CLAIM_LEVELS`] places for each CPU where all firings claim their scratch.
    pub scratch: MapRef,
    /// Whether firings claim their scratch, which a thread's state has no room for.
    pub claims: bool,
    /// Bytes of a thread's state in front of the scratch: rdtrace's own words and the variables.
    pub state: u32,
    /// The array map of read-only bytes: literals and zeros.
    pub rodata: MapRef,
    /// Per-CPU counters: see [`Counter`].
    pub counters: MapRef,
    /// Per-CPU: when this CPU last changed threads, in monotonic nanoseconds; kept by a program
    /// on `sched_switch` while `vtimestamp` is in use.
    pub switches: MapRef,
    /// Who waits for locks of the kernel, if the program asks for it: see [`crate::contention`].
    pub contentions: Option<MapRef>,
    /// Whether there are probes that may fire while the thread has the lock of the ring buffer.
    pub in_locks: bool,
    /// How the kernel has loops without a bound, if it has any.
    pub open_loops: Option<OpenLoops>,
    /// How many loops over strings the verifier is to follow turn by turn all the same; see [`crate::join`].
    pub closed_loops: u32,
    /// Whether a firing may interrupt another of the same thread, as those of the kernel's own functions
    /// may: then it must not use the thread's scratch.
    pub nests: bool,
    /// What is known of the kernel's `struct task_struct`.
    pub task: TaskFields,
    /// A place for each variable, by [`VarId`].
    pub places: Vec<Place>,
    /// How each scalar string variable tells that it holds the null string; `None` if it never does.
    pub null_marks: Vec<Option<NullMark>>,
    /// Number of `this->` scalars on the stack.
    pub locals: usize,
    /// Offset of the temporaries in the state.
    pub temps: u32,
    /// Where the `this->` variables in the scratch start.
    pub locals_at: u32,
    /// Offset and size of what `alloca` and `copyin` may give in one clause.
    pub copied: (u32, u32),
    /// Offset of the [`TEXTS`] that a trampoline may convert, and the size of each.
    pub texts: (u32, u32),
    /// Offset and size of an associative array's element that is made; as much follows it for a
    /// struct that is copied.
    pub element: (u32, u32),
    /// Where stacks are built, if the program has any.
    pub frames: Option<Frames>,
    /// Where Python's objects are read, if the program asks for their values.
    pub objects: Option<ObjectRegion>,
    /// What it takes to find Python's frames, if the program asks for them.
    pub python: Option<PythonFrames>,
    /// The variables of Python's functions that the program names, at most [`PYTHON_NAMES`].
    pub python_names: Vec<PythonName>,
    /// Offset of the tuple under construction.
    pub key: u32,
    /// Bytes of the largest.
    pub key_size: u32,
    /// Offset of the heap; the record's fixed part ends here.
    pub heap: u32,
}

/// Globals that rdtrace itself keeps, at the start of the globals' value.
pub mod own_globals {
    /// 0 until `exit()` has run, and then its status in the lower half and 1 in the upper: nothing but
    /// END fires from then on. So the end of a run needs no room for a record.
    pub const EXITED: u32 = 0;
    /// What stands in the upper half of [`EXITED`].
    pub const HAS_EXITED: u64 = 1 << 32;
    /// Nanoseconds to add to the monotonic clock for the time since 1970.
    pub const WALL_OFFSET: u32 = 8;
    /// The last thread serial that was given out.
    pub const SERIAL: u32 = 16;
    /// Set once a followed process has hit a probe.
    pub const FOLLOWED_HIT: u32 = 24;
    /// Always 0, which the verifier cannot know; also what an element that is not there reads as.
    pub const ZERO: u32 = 32;
    /// Where the program's variables start: not in the cache line of these words, which are read
    /// in every firing while variables may be written by another CPU.
    pub const END: u32 = 104 + 2 * super::PYTHON_NAMES;
    /// A byte for each name of a Python variable: 1 if it was looked for; and behind them one that is 1 if it was
    /// found.
    pub const NAMES_SOUGHT: u32 = 104;
    /// See [`NAMES_SOUGHT`].
    pub const NAMES_FOUND: u32 = NAMES_SOUGHT + super::PYTHON_NAMES;
    /// How many code objects of Python have a number.
    pub const PYTHON_CODES: u32 = 40;
}

/// Per-CPU counters of what had to be given up, as `u64`s of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Records that the ring buffer had no room for.
    Drops = 0,
    /// Aggregation keys that could not be added.
    AggregationDrops = 1,
    /// Variables that could not be allocated.
    DynamicDrops = 2,
    /// Faults inside ERROR clauses.
    ErrorFaults = 3,
    /// Hits in a Python interpreter that were not what they should be.
    PythonMismatches = 4,
    /// Firings of Python probes lost since too many functions were active.
    PythonDrops = 5,
    /// Firings left out because a marker's argument could not be read.
    ArgumentDrops = 6,
    /// Hits that show a Python's JIT compiler at work.
    PythonCompiled = 7,
    /// Processes that are not followed since too many are.
    FollowDrops = 8,
    /// Calls of `speculation()` when all that there may be at a time were active.
    FailedSpeculations = 9,
    /// Stacks that found no room.
    StackDrops = 10,
    /// Firings that interrupted another of the same thread.
    NestedDrops = 11,
    /// Stacks of programs some of whose Python functions have no place among the frames in C.
    MixedMismatches = 12,
    /// Searches for Python functions that came to a frame that could not be read.
    PythonCuts = 13,
}

/// Number of [`Counter`]s.
pub const COUNTERS: u32 = HOW_MANY as u32;

const HOW_MANY: u16 = 14;

/// Where a CPU's word is, behind its counters, that says that a record is being sent.
pub const SENDING: i16 = 8 * HOW_MANY.cast_signed();

/// Bytes of a CPU's counters and of that word.
pub const COUNTER_BYTES: u32 = 8 * COUNTERS + 8;

/// The most names of Python variables that are told if no function has them.
pub const PYTHON_NAMES: u32 = 64;

/// The most `this->` scalars that live on the stack.
const STACK_LOCALS: usize = 8;

/// The most texts among a probe's arguments.
pub const TEXTS: u32 = 2;

/// The most bytes of a text that is converted, NUL included.
const LONGEST_TEXT: u32 = 512;

/// Where the scratch of a firing is that is no timer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScratchPlace {
    /// In the thread's state.
    InState,
    /// In an array, where the firing claims it; that of a timer, too.
    Claimed,
}

/// How many firings on one CPU may have begun and not ended, where they claim their scratch.
pub const CLAIM_LEVELS: i32 = 4;

/// What [`Storage::plan`] needs to know beside the program.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// `strsize`.
    pub strsize: u32,
    /// Upper bound of any record's header and fixed part.
    pub record: u32,
    /// The largest key of any aggregation or associative array.
    pub key: u32,
    /// Bytes for `alloca` and `copyin` in one clause.
    pub copied: u32,
    /// Where a firing's scratch is.
    pub scratch: ScratchPlace,
    /// See [`Storage::open_loops`].
    pub open_loops: Option<OpenLoops>,
    /// See [`Storage::closed_loops`].
    pub closed_loops: u32,
    /// See [`Storage::nests`].
    pub nests: bool,
    /// What is known of the kernel's tasks.
    pub task: TaskFields,
    /// How many speculations there may be at a time.
    pub speculations: u32,
    /// The map with all stacks and what limits them, if the program has any.
    pub frames: Option<(MapRef, FrameLimits)>,
    /// What it takes to walk the stacks of processes, if the program asks for them.
    pub unwind: Option<UnwindMaps>,
    /// Whether `ustack()` shows Python's functions in the place of the interpreter's.
    pub mixed: bool,
    /// Whether the program asks for the values of Python's objects.
    pub objects: bool,
    /// The maps by which Python's frames are found, if the program asks for them.
    pub python: Option<PythonMaps>,
}

/// The maps that every enabling has, numbered by the caller.
#[derive(Clone, Copy, Debug)]
pub struct CommonMaps {
    /// See [`Storage::globals`].
    pub globals: MapRef,
    /// See [`Storage::thread`].
    pub thread: MapRef,
    /// See [`Storage::scratch`].
    pub scratch: MapRef,
    /// See [`Storage::rodata`].
    pub rodata: MapRef,
    /// See [`Storage::counters`].
    pub counters: MapRef,
    /// See [`Storage::switches`].
    pub switches: MapRef,
}

/// Offsets in the running kernel's `struct task_struct`, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskFields {
    /// Of `real_parent`.
    pub real_parent: Option<u32>,
    /// Of `tgid`.
    pub tgid: Option<u32>,
    /// Of `self_exec_id`, a 32-bit number that each exec of a process counts up.
    pub self_exec_id: Option<u32>,
    /// Of `thread.fsbase`: the base of the segment FS that the thread has in its program.
    pub fs_base: Option<u32>,
    /// The PID namespace in which `pid` and `tid` are counted (device and inode); `None` for the
    /// kernel's own.
    pub pid_namespace: Option<(u64, u64)>,
    /// Of the word with the flag by which a thread's calls are known that are a 32-bit program's.
    pub call_flags: Option<u32>,
}

/// Words at the start of a thread's state that rdtrace itself keeps.
pub mod own_state {
    /// A number that no other thread has had; 0 until it is needed.
    pub const SERIAL: i16 = 0;
    /// Nanoseconds on a CPU up to the last time the thread left one.
    pub const ON_CPU: i16 = 8;
    /// Bytes of the heap that this firing has used so far.
    pub const HEAP_USED: i16 = 16;
    /// Through which a number goes that the verifier is to lose sight of.
    pub const WORD: i16 = 24;
    /// 1 while a firing uses the thread's state, if firings may interrupt each other.
    pub const BUSY: i16 = 32;
    /// Where the program's variables start.
    pub const END: u32 = 40;
}

impl Storage {
    /// How loops without a bound are made.
    pub(crate) fn loops(&self) -> OpenLoops {
        self.open_loops.unwrap_or_default()
    }

    /// Gives every variable a place. `array` gives the maps of an associative array.
    pub fn plan(
        program: &Program,
        maps: CommonMaps,
        sizes: Sizes,
        mut array: impl FnMut(VarId) -> TupleMaps,
    ) -> Self {
        let strsize = sizes.strsize;
        let mut globals_size = own_globals::END;
        let mut state = own_state::END;
        let mut spilled = Vec::new();
        let mut locals = 0;
        let mut places = Vec::with_capacity(program.variables.len());
        for (index, variable) in program.variables.iter().enumerate() {
            let size = variable.ty.size(strsize).next_multiple_of(8);
            let allot = |end: &mut u32| {
                *end += size;
                *end - size
            };
            let id = VarId(u32::try_from(index).expect("a program has few variables"));
            places.push(match variable.scope {
                _ if variable.key.is_some() => Place::Array(array(id)),
                Scope::TaskLocal => Place::Array(array(id)),
                Scope::Global => Place::Global(allot(&mut globals_size)),
                Scope::ThreadLocal => Place::State(allot(&mut state)),
                Scope::ClauseLocal if variable.ty.is_scalar() && locals < STACK_LOCALS => {
                    locals += 1;
                    Place::Local(locals - 1)
                }
                Scope::ClauseLocal => {
                    spilled.push((index, size));
                    Place::Scratch(0)
                }
            });
        }
        let null = program.null_variables();
        let null_marks = program.variables.iter().zip(null);
        let null_marks = null_marks
            .map(|(variable, null)| null.then(|| NullMark::of(variable.scope)))
            .collect();
        let temps = match sizes.scratch {
            ScratchPlace::InState => state,
            ScratchPlace::Claimed => own_state::END,
        };
        let mut end = temps + TEMP_BYTES;
        let locals_at = end;
        for (index, size) in spilled {
            places[index] = Place::Scratch(end);
            end += size;
        }
        // Some bytes between them, so that one before an allocation is no variable.
        let copied = (end + 8, sizes.copied.next_multiple_of(8));
        let texts = (
            copied.0 + copied.1,
            strsize.clamp(8, LONGEST_TEXT).next_multiple_of(8),
        );
        let element = (texts.0 + TEXTS * texts.1, largest_struct(program, strsize));
        let listed = |limits: FrameLimits| {
            if sizes.mixed { 8 * limits.listed() } else { 0 }
        };
        let frames = sizes.frames.map(|(map, limits)| Frames {
            at: element.0 + 2 * element.1,
            limits,
            map,
            unwind: sizes.unwind,
            mixed: sizes
                .mixed
                .then_some(element.0 + 2 * element.1 + limits.bytes()),
            window: element.0 + 2 * element.1 + limits.bytes() + listed(limits),
        });
        let after = frames.map_or(element.0 + 2 * element.1, |frames| {
            frames.window + frames.unwind.map_or(0, |_| WINDOW)
        });
        let objects = sizes.objects.then(|| ObjectRegion::new(after, strsize));
        let objects_size = objects.map_or(0, |region| region.bytes().next_multiple_of(8));
        let behind = after + objects_size;
        let python = sizes.python.map(|maps| PythonFrames { at: behind, maps });
        let key = behind + python.map_or(0, |_| PythonFrames::BYTES);
        let heap = key + sizes.key.next_multiple_of(8) + sizes.record.next_multiple_of(8);
        Self {
            strsize,
            globals: maps.globals,
            globals_size: globals_size + 8 * sizes.speculations,
            speculations: (globals_size, sizes.speculations),
            thread: maps.thread,
            scratch: maps.scratch,
            claims: sizes.scratch == ScratchPlace::Claimed,
            state,
            rodata: maps.rodata,
            counters: maps.counters,
            switches: maps.switches,
            contentions: None,
            in_locks: false,
            open_loops: sizes.open_loops,
            closed_loops: sizes.closed_loops,
            nests: sizes.nests,
            task: sizes.task,
            places,
            null_marks,
            locals,
            temps,
            locals_at,
            copied,
            texts,
            element,
            frames,
            objects,
            python,
            python_names: Vec::new(),
            key,
            key_size: sizes.key.next_multiple_of(8),
            heap,
        }
    }

    /// Bytes that a thread's state has at least, for the verifier to be sure of every access.
    #[must_use]
    pub fn least_state(&self) -> u32 {
        let tuple = self.key + 2 * self.key_size;
        tuple.max(self.copied.0 + 2 * self.copied.1).max(64)
    }
}

/// Bytes of the largest struct or array that a variable holds or that is copied as a whole.
fn largest_struct(program: &Program, strsize: u32) -> u32 {
    let mut largest = 0;
    let mut size = |ty: &Type| {
        if matches!(ty, Type::Struct(_) | Type::Array(..)) {
            largest = largest.max(ty.size(strsize).next_multiple_of(8));
        }
    };
    for variable in &program.variables {
        size(&variable.ty);
    }
    largest
}

/// Whether the id of the process stands before a member of a tuple: an address of a process says
/// nothing without it.
#[must_use]
pub fn has_process(ty: &Type) -> bool {
    matches!(ty, Type::Symbol(symbol) if symbol.is_user())
}

/// How many of a tuple's members are strings.
#[must_use]
pub fn count_strings(key: &[Type]) -> u32 {
    u32::try_from(key.iter().filter(|ty| **ty == Type::String).count())
        .expect("a tuple has few members")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_classes_ascend_to_what_any_tuple_needs() {
        assert_eq!(key_sizes(2, 0, 256), [16]);
        assert_eq!(key_sizes(0, 1, 256), [32, 128, 256]);
        assert_eq!(key_sizes(1, 2, 256), [72, 168, 520]);
        assert_eq!(key_sizes(0, 1, 32), [32]);
        assert_eq!(key_sizes(0, 1, 16), [16]);
    }
}
