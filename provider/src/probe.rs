//! Probes as the later stages see them: a name, typed arguments, and the places in files where
//! they fire.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use dlang::program::{Dependent, ProbeDesc};
use dlang::types::{Int, Space, Type};
use python_analysis::Build;
pub use python_analysis::{PythonEvent, Register};

use crate::place::UprobeSite;
pub use crate::place::{File, Scope};
use crate::python_objects::PythonObjects;

/// A probe's id, as `-l` shows it and `id` gives it: counted from 1 in order of discovery
/// (`dtrace:::BEGIN` 1, `END` 2, `ERROR` 3), unique in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(pub u32);

/// One probe: something with a full name that can fire.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its id.
    pub id: ProbeId,
    /// Its full name; no field is a glob.
    pub desc: ProbeDesc,
    /// Which of the places it is where a probe fires that several make fire: such a probe is one of these for each,
    /// all with the same id and name.
    pub place: u8,
    /// Its arguments, for `args[]` and `-lv`; of a dependent probe those of the underlying one.
    pub args: Arguments,
    /// How it depends on the underlying probe, if it does: its own arguments are made of that one's.
    pub dependent: Option<Dependent>,
    /// What makes it fire.
    pub kind: ProbeKind,
    /// Which of its arguments say where in a program's source it fires, if they do.
    pub source: Option<SourceArgs>,
    /// How the objects are laid out of the Python that it fires in, if it can be in no other program.
    pub python: Option<Arc<PythonObjects>>,
}

/// The numbers of the arguments of a probe that say where in a program's source it fires: `-F` shows
/// that place in the probe's name's stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceArgs {
    /// The address of the file's name.
    pub file: u8,
    /// The address of the function's.
    pub function: u8,
    /// The line.
    pub line: u8,
}

/// The arguments of a probe; where that takes a look at the machine, they are found out when somebody asks.
#[derive(Clone, Default)]
pub struct Arguments {
    known: OnceLock<Vec<ProbeArg>>,
    find: Option<Arc<dyn Fn() -> Vec<ProbeArg> + Send + Sync>>,
}

impl Arguments {
    /// Those that `find` gives when it is first asked.
    pub fn found_by(find: impl Fn() -> Vec<ProbeArg> + Send + Sync + 'static) -> Self {
        Self {
            known: OnceLock::new(),
            find: Some(Arc::new(find)),
        }
    }
}

impl Arguments {
    /// Whether they are known by now.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.find.is_none() || self.known.get().is_some()
    }
}

impl From<Vec<ProbeArg>> for Arguments {
    fn from(known: Vec<ProbeArg>) -> Self {
        Self {
            known: known.into(),
            find: None,
        }
    }
}

impl Deref for Arguments {
    type Target = [ProbeArg];

    fn deref(&self) -> &[ProbeArg] {
        let find = || self.find.as_ref().map_or_else(Vec::new, |find| find());
        self.known.get_or_init(find)
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known.get() {
            Some(known) => known.fmt(f),
            None => f.write_str("Arguments(not looked at)"),
        }
    }
}

/// A probe argument as D sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeArg {
    /// The type of `args[n]`. A pointer says which memory it is to; a struct of the kernel's behind it
    /// may have only its tag.
    pub ty: Type,
    /// The type as it is shown, with the argument's name, where the provider knows more than `ty`
    /// says: `const char * (filename)`.
    pub meaning: Option<Cow<'static, str>>,
}

impl ProbeArg {
    /// An argument of which only the size and the sign are known.
    #[must_use]
    pub fn int(int: Int) -> Self {
        Self {
            ty: Type::Int(int),
            meaning: None,
        }
    }

    /// The address of a text in the traced program's memory.
    #[must_use]
    pub fn user_text(meaning: &'static str) -> Self {
        Self {
            ty: Type::pointer_in(Space::User, Type::Int(Int::I8)),
            meaning: Some(meaning.into()),
        }
    }
}

impl Probe {
    /// What tells it from all others.
    #[must_use]
    pub fn hook(&self) -> (ProbeId, u8) {
        (self.id, self.place)
    }

    /// The type of `args[n]`, if there is such an argument.
    #[must_use]
    pub fn arg_type(&self, n: u8) -> Option<Type> {
        Some(self.args.get(usize::from(n))?.ty.clone())
    }

    /// The types of `args[]`.
    #[must_use]
    pub fn arg_types(&self) -> Vec<Type> {
        self.args.iter().map(|arg| arg.ty.clone()).collect()
    }
}

/// What makes a probe fire: the ways there are, whichever provider has the probe.
#[derive(Clone, Debug)]
pub enum ProbeKind {
    /// rdtrace, before all else.
    Begin,
    /// rdtrace, after all else.
    End,
    /// A fault in a clause of another probe.
    Error,
    /// A timer.
    Timer(Timer),
    /// Instructions in a file.
    Sites(Sites),
    /// An event of a CPython that has no such marker, found through its own code.
    Python(PythonSites),
    /// A system call.
    SystemCall(SystemCall),
    /// A place in the kernel.
    Kernel(KernelHook),
}

impl ProbeKind {
    /// The file whose instructions fire the probe, and whose executions count; `None` for probes
    /// that do not come from a file.
    #[must_use]
    pub fn file(&self) -> Option<(&Arc<File>, Scope)> {
        match self {
            Self::Sites(sites) => Some((&sites.file, sites.scope)),
            Self::Python(sites) => Some((&sites.file, sites.scope)),
            Self::Begin
            | Self::End
            | Self::Error
            | Self::Timer(_)
            | Self::SystemCall(_)
            | Self::Kernel(_) => None,
        }
    }

    /// Where an event of a CPython without markers is found; `None` for any other probe.
    #[must_use]
    pub fn python(&self) -> Option<&PythonSites> {
        if let Self::Python(sites) = self {
            Some(sites)
        } else {
            None
        }
    }
}

/// A system call of the kernel's own calling convention: one that a 32-bit program makes on a 64-bit kernel
/// is another, whatever its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number.
    pub number: u16,
    /// On the way in or out.
    pub way: Way,
}

/// The two moments of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// It begins.
    Entry,
    /// It returns.
    Return,
}

/// A place in the kernel at which programs can run. They are given words: the arguments, one each, and where
/// a function returns, behind them the result; of an event its record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KernelHook {
    /// A tracepoint, by its name.
    Tracepoint(Arc<str>),
    /// A function.
    Function(KernelFunction, Way),
    /// A function by its symbol: the registers are all that is known of it.
    Symbol(KernelSymbol, Way),
    /// What a tracepoint writes for those who read the kernel's traces.
    Event(TraceEvent),
}

/// The record that a tracepoint writes for those who read the kernel's traces, its *event*.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceEvent {
    /// The group that tracefs has it in.
    pub group: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// Where a field of an event is in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldPlace {
    /// An integer of so many bytes (1, 2, 4 or 8).
    Int {
        /// Its distance from the start.
        offset: i16,
        /// Its bytes.
        size: u8,
    },
    /// Something larger: an array, whose address stands for it.
    Memory {
        /// Its distance from the start.
        offset: i16,
    },
}

impl TraceEvent {
    /// Where its own fields are, in order, as the kernel describes them; none if it does not.
    #[must_use]
    pub fn places(&self) -> Vec<FieldPlace> {
        let fields = crate::tracefs::fields_of(&self.group, &self.name);
        let place = |field: &crate::tracefs::Field| {
            let size = u8::try_from(field.size).ok();
            match size.filter(|size| [1, 2, 4, 8].contains(size) && !field.is_array()) {
                Some(size) => FieldPlace::Int {
                    offset: field.offset,
                    size,
                },
                None => FieldPlace::Memory {
                    offset: field.offset,
                },
            }
        };
        fields.iter().map(place).collect()
    }
}

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelFunction {
    /// Its name.
    pub name: Arc<str>,
    /// Its id in the kernel's BTF.
    pub id: u32,
}

/// A function of the kernel, or of one of its modules, as the list of symbols has it (`/proc/kallsyms`): also one that
/// the compiler has changed and named anew (`finish_task_switch.isra.0`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelSymbol {
    /// The symbol.
    pub name: Arc<str>,
    /// The address of the first instruction; several symbols may have one name.
    pub address: u64,
}

/// What a timer's probe asks for: to fire whenever something has been counted so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// What is counted.
    pub counted: Counted,
    /// How much of it there is between firings: nanoseconds of a clock.
    pub period: u64,
    /// On which CPUs.
    pub cpus: Cpus,
}

/// What the kernel's perf events count, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counted {
    /// What happens.
    pub event: PerfEvent,
    /// Where.
    pub mode: Mode,
}

/// What a perf event counts, by the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PerfEvent {
    /// Something that the kernel does (`enum perf_sw_ids`).
    Software(u64),
    /// Something that the processor does (`enum perf_hw_id`).
    Hardware(u64),
}

/// In which mode of the processor events count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Any.
    All,
    /// In programs.
    User,
    /// In the kernel.
    Kernel,
}

impl Timer {
    /// One that fires every so many nanoseconds.
    #[must_use]
    pub fn of_clock(period: u64, cpus: Cpus) -> Self {
        Self {
            counted: Counted::CLOCK,
            period,
            cpus,
        }
    }
}

impl Counted {
    /// Nanoseconds, whatever runs (`PERF_COUNT_SW_CPU_CLOCK`).
    pub const CLOCK: Self = Self {
        event: PerfEvent::Software(0),
        mode: Mode::All,
    };
}

/// The CPUs that a timer runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cpus {
    /// Any one.
    One,
    /// Each.
    Every,
}

/// A probe made from what a CPython's interpreter does, in one file, for one process or for all.
///
/// Several probes may rest on the same instructions: which event a hit is, and whether it is one
/// at all, the trampoline decides at run time by [`Build`]'s description.
#[derive(Clone, Debug)]
pub struct PythonSites {
    /// The file with the interpreter.
    pub file: Arc<File>,
    /// Whose executions of the file fire the probe.
    pub scope: Scope,
    /// What was found out about the interpreter.
    pub build: Arc<Build>,
    /// Which marker it stands for.
    pub event: PythonEvent,
}

/// The sites of a probe in one file, for one process or for all.
#[derive(Clone, Debug)]
pub struct Sites {
    /// The file, by a path that this process can open (it may lead through `/proc/PID/root`).
    pub file: Arc<File>,
    /// Whose executions of the file fire the probe.
    pub scope: Scope,
    /// The places; any of them fires the probe.
    pub sites: Vec<Site>,
    /// When a place does.
    pub moment: Moment,
    /// Instructions to attach an empty program to, only for the semaphores it raises: what else
    /// the target must see before the sites are reached. `Session::raise_semaphores` does it.
    pub raises: Vec<UprobeSite>,
}

/// When an instruction fires a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Before it is executed.
    Reached,
    /// It is a function's first one, and the function returns. The kernel puts an address of its own
    /// in the place of the return address meanwhile, which a program may notice that looks at its
    /// stack.
    Returned,
}

/// One instruction that fires a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Where the instruction is in the file.
    pub file_offset: u64,
    /// The instruction's virtual address as linked.
    pub address: u64,
    /// File offset of the 16-bit semaphore that must be raised while the probe is enabled.
    pub semaphore: Option<u64>,
    /// Where each argument is when the instruction is reached.
    pub args: Vec<ArgLocation>,
}

/// Where a probe argument is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ArgLocation {
    /// A constant.
    Constant(i64),
    /// A register, or a part of it.
    Register {
        /// The register.
        register: Register,
        /// Bits to shift right first: 8 for `%ah` and its like.
        shift: u8,
        /// Width and sign of the value.
        int: Int,
    },
    /// Memory at `base + index * scale + displacement`.
    Memory {
        /// Base register, if any.
        base: Option<Register>,
        /// Index register and its scale (1, 2, 4 or 8).
        index: Option<(Register, u8)>,
        /// Added to the registers.
        displacement: i64,
        /// Width and sign of the value.
        int: Int,
    },
    /// Memory at a fixed place of the file, as `sym(%rip)`: at run time, the address is
    /// the site's own plus `from_site`.
    Relative {
        /// Distance from the site's instruction.
        from_site: i64,
        /// Width and sign of the value.
        int: Int,
    },
    /// A location that cannot be read: a floating-point register, or one that is not understood.
    /// Using the argument is an error that says why; the probe's others work.
    Unreadable {
        /// The argument string and the reason.
        why: String,
    },
}
