//! What the compiled programs depend on beside the D program: options, the kernel, and which probes may
//! come.

use std::collections::HashSet;

use actions::consume::OutputFormat;
use actions::follow::FollowFields;
use actions::frames::FrameOptions;
use actions::lower::{
    Extras, LowerOptions, PART_LENGTH, finds_python, keeps_stacks, mixes, uses_ancestors,
    walks_processes, wants_open_loops,
};
use dlang::program::Program;
use predicates::asm::OpenLoops;
use predicates::storage::TaskFields;
use provider::catalog::Catalog;
use provider::features::{self, KernelFeatures};
use provider::map::possible_cpus;
use provider::probe::ProbeKind;

use crate::buffers::aggregated_bytes;
use crate::compile::Parsed;
use crate::kernel::{call_flags, task_fields};
use crate::matching::Match;
use crate::options::Options;
use crate::ring_lock;

/// Which kinds of probes a program means, as far as the code depends on it.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(crate) struct Meant {
    /// Whether probes in files may be meant, found now or later.
    pub(crate) files: bool,
    /// Whether system calls are.
    pub(crate) calls: bool,
    /// Whether the kernel's tracepoints or functions are, which may fire in the middle of other probes' clauses.
    pub(crate) kernel: bool,
    /// Whether such are that may fire while the thread has the lock of the ring buffer.
    pub(crate) locks: bool,
    /// The clauses of the text, by number, with probes that fire where interrupts may be off: timers and the kernel's.
    pub(crate) in_interrupts: HashSet<usize>,
}

impl Meant {
    /// What these descriptions mean, and what they have matched.
    pub(crate) fn of(parsed: &Parsed, catalog: &Catalog, matches: &[Match]) -> Self {
        let probes = || matches.iter().flat_map(|found| &found.probes);
        Self {
            files: means_files(parsed, catalog),
            calls: probes().any(|probe| matches!(probe.kind, ProbeKind::SystemCall(_))),
            kernel: probes().any(|probe| matches!(probe.kind, ProbeKind::Kernel(_))),
            locks: probes().any(|probe| ring_lock::may_be_held(&probe.kind)),
            in_interrupts: matches
                .iter()
                .filter(|found| {
                    found
                        .probes
                        .iter()
                        .any(|probe| is_in_interrupts(&probe.kind))
                })
                .map(|found| found.spec.0)
                .collect(),
        }
    }
}

/// Whether a probe of this kind may fire where interrupts are off.
fn is_in_interrupts(kind: &ProbeKind) -> bool {
    matches!(kind, ProbeKind::Timer(_) | ProbeKind::Kernel(_))
}

/// What the programs for a run depend on. `grows` says whether more probes may come while it runs.
pub(crate) fn code_options(
    program: &Program,
    options: &Options,
    meant: Meant,
    grows: bool,
    follow: Option<FollowFields>,
) -> LowerOptions {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let output = &options.output;
    let key = aggregated_bytes(program, output.strsize).max(1);
    let keys = options.aggsize.map(|size| (size / key).clamp(1, 1 << 24));
    LowerOptions {
        strsize: output.strsize,
        scratchsize: options.scratchsize,
        ring_bytes: options.ring_bytes(cpus),
        aggregation_keys: keys.and_then(|keys| u32::try_from(keys).ok()),
        dynvarsize: u32::try_from(options.dynvarsize).unwrap_or(u32::MAX),
        speculations: options.nspec,
        extras: Extras {
            flow: output.format.shows_calls()
                || output.flow_indent && output.format == OutputFormat::Text,
            origin: output.format.shows_origin(),
            tasks: output.format.shows_tracks(),
        },
        task: TaskFields {
            call_flags: meant.calls.then(call_flags).flatten(),
            ..task_fields(
                meant.files
                    || uses_ancestors(program)
                    || finds_python(program)
                    || mixes(program, options.pystack),
            )
        },
        part_length: PART_LENGTH,
        open_loops: (meant.files
            || walks_processes(program)
            || finds_python(program)
            || wants_open_loops(program, output.strsize))
        .then(open_loops)
        .flatten(),
        follow,
        grows,
        frames: FrameOptions {
            kernel: options.stackframes,
            user: options.ustackframes,
            python: options.jstackframes,
            most: options.maxframes,
            in_interrupts: program
                .clauses
                .iter()
                .any(|clause| meant.in_interrupts.contains(&clause.number) && keeps_stacks(clause)),
            mixed: options.pystack,
        },
        cpus: possible_cpus().map_or(1, |cpus| u32::try_from(cpus).unwrap_or(u32::MAX)),
        cpu: options.cpu,
        in_locks: meant.locks,
        nests: meant.kernel,
    }
}

/// How the kernel has loops without a bound.
fn open_loops() -> Option<OpenLoops> {
    KernelFeatures::open_loops().map(|loops| match loops {
        features::OpenLoops::MayGoto => OpenLoops::MayGoto,
        features::OpenLoops::Calls => OpenLoops::Calls,
    })
}

/// Whether any description may mean probes in files, found now or later.
pub(crate) fn means_files(parsed: &Parsed, catalog: &Catalog) -> bool {
    parsed.descs().any(|desc| catalog.means_files(desc))
}
