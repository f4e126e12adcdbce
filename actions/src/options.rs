//! What lowering is given: options, and clauses on the probes that they match.

use std::sync::Arc;

use predicates::asm::OpenLoops;
use predicates::storage::TaskFields;
use provider::probe::Probe;

use crate::follow::FollowFields;
use crate::frames::FrameOptions;
use crate::plan::Extras;

/// What the code depends on beside the program.
#[derive(Clone, Copy, Debug)]
pub struct LowerOptions {
    /// `strsize`, in bytes, NUL included.
    pub strsize: u32,
    /// `scratchsize`: the most bytes that `alloca` and `copyin` give in one clause.
    pub scratchsize: u32,
    /// Size of the ring buffer in bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// The most keys in an aggregation, if the user has said.
    pub aggregation_keys: Option<u32>,
    /// Bytes for associative arrays, which bound their elements.
    pub dynvarsize: u32,
    /// How many speculations there may be at a time.
    pub speculations: u32,
    /// What records carry beside what their clauses say.
    pub extras: Extras,
    /// What is known of the kernel's tasks.
    pub task: TaskFields,
    /// How the kernel has loops without a bound, if the program may need some and it has any.
    pub open_loops: Option<OpenLoops>,
    /// How many instructions a program has at which it is cut into parts:
    /// [`PART_LENGTH`](crate::lower::PART_LENGTH), or less in tests.
    pub part_length: usize,
    /// What following processes takes, if the probes of some [`Scope::Tree`](provider::probe::Scope)
    /// may be among those to compile, now or later.
    pub follow: Option<FollowFields>,
    /// Whether programs that start while tracing goes on may bring more probes.
    pub grows: bool,
    /// How many frames stacks have.
    pub frames: FrameOptions,
    /// How many CPUs the machine may have.
    pub cpus: u32,
    /// The only CPU whose firings count, if it is not all of them: `cpu`.
    pub cpu: Option<u32>,
    /// Whether there are probes that may fire while the thread has the lock of the ring buffer.
    pub in_locks: bool,
    /// Whether there are probes of the kernel's that may fire in the middle of another's clauses.
    pub nests: bool,
}

/// A clause on a probe that it matches.
#[derive(Clone, Debug)]
pub struct Enabled {
    /// Index into [`Program::clauses`].
    pub clause: usize,
    /// The probe.
    pub probe: Arc<Probe>,
}
