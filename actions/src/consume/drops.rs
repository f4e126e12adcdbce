//! Drops: what was lost for lack of room, counted by the kernel side and reported as it grows.

use std::fmt;

/// The kernel side's counters since the start of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropCounts {
    /// Records that found the principal buffer full, by CPU.
    pub principal: Vec<u64>,
    /// Updates of an aggregation that found its map full, by CPU.
    pub aggregation: Vec<u64>,
    /// Dynamic variables (associative arrays, thread-locals) that found no room.
    pub dynamic: u64,
}

impl DropCounts {
    /// All drops together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self.principal.iter().chain(&self.aggregation);
        counts.fold(self.dynamic, |sum, count| sum.saturating_add(*count))
    }
}

/// What has been reported, so that each report has only what is new.
#[derive(Clone, Debug, Default)]
pub struct DropReporter {
    tags: bool,
    reported: DropCounts,
}

impl DropReporter {
    /// A reporter that has reported nothing; `tags` is `-x droptags`.
    #[must_use]
    pub fn new(tags: bool) -> Self {
        Self {
            tags,
            reported: DropCounts::default(),
        }
    }

    /// The messages for what `counts` has beyond the last report.
    pub fn report(&mut self, counts: &DropCounts) -> Vec<String> {
        let mut messages = Vec::new();
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
                self.push(&mut messages, tag, new, what, format_args!(" on CPU {cpu}"));
            }
        }
        let new = counts.dynamic.saturating_sub(self.reported.dynamic);
        let what = "dynamic variable drop";
        self.push(
            &mut messages,
            "DTRACEDROP_DYNAMIC",
            new,
            what,
            format_args!(""),
        );
        self.reported = counts.clone();
        messages
    }

    fn push(
        &self,
        messages: &mut Vec<String>,
        tag: &str,
        count: u64,
        what: &str,
        place: fmt::Arguments<'_>,
    ) {
        if count == 0 {
            return;
        }
        let tag = if self.tags {
            format!("[{tag}] ")
        } else {
            String::new()
        };
        let plural = if count == 1 { "" } else { "s" };
        messages.push(format!("{tag}{count} {what}{plural}{place}"));
    }
}
