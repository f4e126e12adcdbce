//! Drops: what was lost for lack of room, counted by the kernel side and reported as it grows.

use super::event::Drops;

/// The kernel side's counters since the start of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropCounts {
    /// Records that found the principal buffer full, by CPU.
    pub principal: Vec<u64>,
    /// Updates of an aggregation that found its map full, by CPU.
    pub aggregation: Vec<u64>,
    /// Records of speculations that were larger than `specsize`. Counted by the consumer.
    pub speculative: u64,
    /// Calls of `speculation()` that found all in use.
    pub speculations: u64,
    /// Dynamic variables (associative arrays, thread-locals) that found no room.
    pub dynamic: u64,
    /// Faults inside of ERROR's own clauses, which fire nothing more.
    pub error_faults: u64,
    /// Hits in a Python interpreter that failed the checks of a synthesised probe.
    pub python_mismatches: u64,
    /// Firings of synthesised Python probes that found no room for one more active function.
    pub python: u64,
    /// Hits that show a Python's JIT compiler at work: calls in the code that it makes are not seen.
    pub python_compiled: u64,
    /// Firings of markers with an argument in memory that could not be read.
    pub arguments: u64,
    /// Processes that were started in a followed tree and are not followed.
    pub forks: u64,
    /// Stacks that found no room among those that the run has met.
    pub stacks: u64,
    /// Firings in the middle of another one of the same thread.
    pub nested: u64,
    /// Stacks of programs with Python functions that have no place there.
    pub mixed: u64,
    /// Python stacks that came to a frame that could not be read.
    pub python_cuts: u64,
}

impl DropCounts {
    /// All drops together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self.principal.iter().chain(&self.aggregation);
        let rest = [
            self.speculative,
            self.speculations,
            self.dynamic,
            self.error_faults,
            self.python_mismatches,
            self.python,
            self.python_compiled,
            self.arguments,
            self.forks,
            self.stacks,
            self.nested,
            self.mixed,
            self.python_cuts,
        ];
        counts
            .chain(&rest)
            .fold(0, |sum: u64, count| sum.saturating_add(*count))
    }
}

/// What has been reported, so that each report has only what is new.
#[derive(Clone, Debug, Default)]
pub(super) struct DropReporter {
    reported: DropCounts,
}

impl DropReporter {
    /// What `counts` has beyond the last report.
    pub(super) fn report(&mut self, counts: &DropCounts) -> Vec<Drops> {
        let mut drops = Vec::new();
        let mut push = |tag, what, count, cpu| {
            if count > 0 {
                drops.push(Drops {
                    tag,
                    what,
                    count,
                    cpu,
                });
            }
        };
        let per_cpu = [
            (
                "DTRACEDROP_PRINCIPAL",
                "drop",
                &counts.principal,
                &self.reported.principal,
            ),
            (
                "DTRACEDROP_AGGREGATION",
                "aggregation drop",
                &counts.aggregation,
                &self.reported.aggregation,
            ),
        ];
        for (tag, what, now, before) in per_cpu {
            for (cpu, count) in now.iter().enumerate() {
                let new = count.saturating_sub(before.get(cpu).copied().unwrap_or(0));
                push(tag, what, new, Some(cpu));
            }
        }
        let old = &self.reported;
        let elsewhere = [
            (
                "DTRACEDROP_SPEC",
                "speculative drop",
                counts.speculative,
                old.speculative,
            ),
            (
                "DTRACEDROP_DYNAMIC",
                "dynamic variable drop",
                counts.dynamic,
                old.dynamic,
            ),
            (
                "DTRACEDROP_SPECUNAVAIL",
                "failed speculation (no speculative buffer available)",
                counts.speculations,
                old.speculations,
            ),
            (
                "DTRACEDROP_DBLERROR",
                "error in ERROR probe enabling",
                counts.error_faults,
                old.error_faults,
            ),
            (
                "RDTRACEDROP_MISMATCH",
                "hit in a Python interpreter left out: not what the analysis expects",
                counts.python_mismatches,
                old.python_mismatches,
            ),
            (
                "RDTRACEDROP_ACTIVE",
                "Python function firing dropped: too many functions active",
                counts.python,
                old.python,
            ),
            (
                "RDTRACEDROP_COMPILED",
                "hit in Python's JIT compiler: calls in the code that it makes are not seen (PYTHON_JIT=0 turns it off)",
                counts.python_compiled,
                old.python_compiled,
            ),
            (
                "RDTRACEDROP_ARGUMENT",
                "firing dropped: an argument could not be read",
                counts.arguments,
                old.arguments,
            ),
            (
                "RDTRACEDROP_FORK",
                "fork not followed: too many processes are followed",
                counts.forks,
                old.forks,
            ),
            (
                "RDTRACEDROP_STACK",
                "stack dropped: too many different stacks",
                counts.stacks,
                old.stacks,
            ),
            (
                "RDTRACEDROP_MIXED",
                "stack not shown with all Python functions: some do not fit the frames of the program",
                counts.mixed,
                old.mixed,
            ),
            (
                "RDTRACEDROP_CUT",
                "Python stack not followed to its end: a frame was not in memory",
                counts.python_cuts,
                old.python_cuts,
            ),
            (
                "RDTRACEDROP_NESTED",
                "firing dropped while the same thread was busy with another",
                counts.nested,
                old.nested,
            ),
        ];
        for (tag, what, now, before) in elsewhere {
            push(tag, what, now.saturating_sub(before), None);
        }
        self.reported = counts.clone();
        drops
    }
}

impl Drops {
    /// The message; `tags` is `-x droptags`.
    pub(super) fn message(&self, tags: bool) -> String {
        let tag = if tags {
            format!("[{}] ", self.tag)
        } else {
            String::new()
        };
        let what = if self.count == 1 {
            self.what.to_owned()
        } else {
            plural(self.what)
        };
        let place = self
            .cpu
            .map_or(String::new(), |cpu| format!(" on CPU {cpu}"));
        format!("{tag}{} {what}{place}", self.count)
    }
}

/// The plural of what is counted: of the word before a preposition, or of the last.
fn plural(what: &str) -> String {
    for preposition in [" in ", " dropped", " not ", " ("] {
        if let Some((noun, rest)) = what.split_once(preposition) {
            return format!("{noun}s{preposition}{rest}");
        }
    }
    format!("{what}s")
}
