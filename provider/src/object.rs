//! What code generation hands over to be loaded: maps, programs with symbolic maps, and what each
//! program is attached to. Plain data; `plan` and `apply` turn it into kernel objects.

use std::sync::Arc;

pub use crate::place::UprobeSite;
use crate::place::{File, Scope};
use crate::probe::{KernelFunction, KernelSymbol, Timer, TraceEvent, Way};

/// Index into the list of maps of one enabling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapId(pub u32);

/// A map to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// A name for the kernel's listings, at most 15 bytes.
    pub name: String,
    /// Its kind.
    pub kind: MapKind,
    /// Bytes in a key; 0 for a ring buffer.
    pub key_size: u32,
    /// Bytes in a value; 0 for a ring buffer.
    pub value_size: u32,
    /// Entries; for a ring buffer its size in bytes, a power of two and a multiple of a page;
    /// ignored for task storage.
    pub max_entries: u32,
    /// The first entry's value, for read-only data and preset options; written before any
    /// program is loaded. Array maps only.
    pub initial: Option<Vec<u8>>,
    /// Whether programs may only read it; the map is frozen after `initial` is written.
    pub read_only: bool,
    /// Whether user space shares its memory. Array maps only.
    pub shared: bool,
}

impl MapSpec {
    /// An empty map that programs may write.
    #[must_use]
    pub fn new(
        name: &str,
        kind: MapKind,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    ) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            key_size,
            value_size,
            max_entries,
            initial: None,
            read_only: false,
            shared: false,
        }
    }

    /// An array of one value whose memory user space shares.
    #[must_use]
    pub fn shared(name: &str, size: u32) -> Self {
        Self {
            shared: true,
            ..Self::new(name, MapKind::Array, 4, size, 1)
        }
    }

    /// An array of one value that programs may only read.
    #[must_use]
    pub fn read_only(name: &str, bytes: Vec<u8>) -> Self {
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self {
            initial: Some(bytes),
            read_only: true,
            ..Self::new(name, MapKind::Array, 4, size, 1)
        }
    }
}

/// The kinds of map that generated code uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapKind {
    /// `BPF_MAP_TYPE_ARRAY`.
    Array,
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`.
    PerCpuArray,
    /// `BPF_MAP_TYPE_HASH`, allocated as it grows.
    Hash,
    /// The same, allocated at the start: a program that runs in an interrupt gets at most a few new
    /// entries of a map that grows.
    FixedHash,
    /// `BPF_MAP_TYPE_LRU_HASH`: full, it forgets what was not used for long.
    LruHash,
    /// `BPF_MAP_TYPE_PERCPU_HASH`, allocated as it grows.
    PerCpuHash,
    /// `BPF_MAP_TYPE_RINGBUF`.
    RingBuf,
    /// `BPF_MAP_TYPE_PROG_ARRAY`: programs that others go on in. It is emptied once user space has no
    /// descriptor of it.
    Programs,
    /// `BPF_MAP_TYPE_TASK_STORAGE`: a value for each thread, freed with the thread.
    TaskStorage,
}

/// A program to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// A name for the kernel's listings, at most 15 bytes of `[A-Za-z0-9_]`.
    pub name: String,
    /// What it is given.
    pub context: Context,
    /// Where others find it that go on in it, if it is a part of a longer one.
    pub called: Option<Called>,
    /// The instructions, each `struct bpf_insn` as a little-endian word; `ld_imm64` takes two.
    pub insns: Vec<u64>,
    /// The `ld_imm64` instructions that name a map.
    pub relocations: Vec<Relocation>,
    /// Where functions start that helpers call, behind the program.
    pub functions: Vec<usize>,
}

/// A place in a map of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// The map.
    pub programs: MapId,
    /// Its entry.
    pub index: u32,
}

/// What a program is given when it runs, its *context*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// The registers of the thread that hit an instruction, `struct pt_regs`; the attach cookie tells
    /// which instruction.
    Registers,
    /// The words that a kernel tracepoint passes.
    TracepointArguments,
    /// The words that a function of the kernel is given, and where it returns the result behind them. The
    /// function's id in the kernel's BTF.
    FunctionArguments(u32, Way),
    /// The registers at a function of the kernel's, `struct pt_regs`.
    KernelRegisters,
    /// The record of an event, behind one word that a program may not read.
    EventRecord,
    /// The registers of what a timer interrupted, at the start of a `struct bpf_perf_event_data`.
    PerfData,
    /// Nothing that says anything.
    Nothing,
}

/// An `ld_imm64` whose value is a map or an address in an array map's first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Index of the instruction in [`Program::insns`].
    pub insn: usize,
    /// The map.
    pub map: MapId,
    /// `None` for the map itself; else the byte offset into the value
    /// (`BPF_PSEUDO_MAP_VALUE`).
    pub value_offset: Option<u32>,
}

/// Index into the list of programs of one enabling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(pub u32);

/// A program and what runs it.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The program.
    pub program: ProgramId,
    /// What runs it.
    pub target: Target,
}

/// What runs a program: the ways there are, whichever provider asks for it.
#[derive(Clone, Debug)]
pub enum Target {
    /// Instructions of one file.
    Uprobes {
        /// The file.
        file: Arc<File>,
        /// Whose executions count.
        scope: Scope,
        /// The instructions.
        sites: Vec<UprobeSite>,
    },
    /// The returns of functions of one file, named by their first instructions. The cookie tells
    /// the function; the instruction pointer is the caller's.
    Returns {
        /// The file.
        file: Arc<File>,
        /// Whose executions count.
        scope: Scope,
        /// The functions' first instructions.
        sites: Vec<UprobeSite>,
    },
    /// A timer: a perf event of the software clock.
    Timer(Timer),
    /// A kernel tracepoint, by its name; by its raw arguments.
    Tracepoint(Arc<str>),
    /// A function of the kernel.
    Function(KernelFunction, Way),
    /// A function of the kernel, by its symbol.
    Symbol(KernelSymbol, Way),
    /// What a kernel tracepoint writes for those who read traces.
    Event(TraceEvent),
    /// Run once by rdtrace before anything else is attached.
    Begin,
    /// Run once by rdtrace after everything else is detached.
    End,
}

impl Target {
    /// What a program is given that is run so.
    #[must_use]
    pub fn context(&self) -> Context {
        match self {
            Self::Uprobes { .. } | Self::Returns { .. } => Context::Registers,
            Self::Timer(_) => Context::PerfData,
            Self::Tracepoint(_) => Context::TracepointArguments,
            Self::Function(function, way) => Context::FunctionArguments(function.id, *way),
            Self::Symbol(..) => Context::KernelRegisters,
            Self::Event(_) => Context::EventRecord,
            Self::Begin | Self::End => Context::Nothing,
        }
    }
}
