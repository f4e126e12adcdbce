//! What the options say about the output.

use super::aggregate::{Drawing, SortOptions};
use super::format::OutputFormat;

/// What the options say about the output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct OutputOptions {
    /// `-q`: only what the program prints.
    pub quiet: bool,
    /// `-F`: indent by entries and returns.
    pub flow_indent: bool,
    /// The order of aggregations.
    pub sort: SortOptions,
    /// `-x aggpercpu`: each CPU's value below the sum.
    pub agg_per_cpu: bool,
    /// How aggregations are drawn.
    pub drawing: Drawing,
    /// `-x rawbytes`: strings of `trace()` and of keys as hex dumps.
    pub raw_bytes: bool,
    /// `-x droptags`: drop messages with their tag.
    pub drop_tags: bool,
    /// `-x strsize`: the size of strings, their NUL included.
    pub strsize: u32,
    /// `-x specsize`: the most bytes of a speculation's records.
    pub specsize: u64,
    /// `-x stackindent`: the columns before a frame of a stack.
    pub stack_indent: usize,
    /// `-x oformat`: what events are shown as.
    pub format: OutputFormat,
    /// What the monotonic clock, which records have their time from, lacks to the time since 1970, in
    /// nanoseconds.
    pub wall_offset: i64,
    /// What is said of the machine with everything: attributes of an OpenTelemetry resource.
    pub resource: Vec<(String, String)>,
    /// The process that is traced, if it is just one.
    pub process: Option<u32>,
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self {
            quiet: false,
            flow_indent: false,
            sort: SortOptions::default(),
            agg_per_cpu: false,
            drawing: Drawing::default(),
            raw_bytes: false,
            drop_tags: false,
            strsize: 256,
            specsize: 4 << 20,
            stack_indent: 14,
            format: OutputFormat::default(),
            wall_offset: 0,
            resource: Vec::new(),
            process: None,
        }
    }
}
