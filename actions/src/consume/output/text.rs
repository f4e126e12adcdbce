//! The text that DTrace prints, to the byte.

use dlang::eval::EvalError;

use super::super::aggregate::{Drawing, Printer, Table};
use super::super::convert::Dates;
use super::super::decode::Record;
use super::super::default::Strings;
use super::super::event::{Data, Output};
use super::super::options::OutputOptions;
use super::super::{default, flow};

/// Writes events as DTrace's text. Faults and drops are messages on standard error and leave no
/// trace here.
#[derive(Debug)]
pub(super) struct Text {
    /// `-q`: only what the program prints.
    quiet: bool,
    /// Whether values of `trace()` have no columns: as in libdtrace, what the options said at the start.
    no_columns: bool,
    /// The depth of every thread, when the run shows flow (`-F`).
    flow: Option<flow::Threads>,
    dates: Dates,
    /// How strings of `trace()` show, and those in keys.
    strings: Strings,
    keys: Strings,
    /// `-x aggpercpu`: each CPU's value below the sum.
    per_cpu: bool,
    /// How aggregations are drawn.
    drawing: Drawing,
}

impl Text {
    pub(super) fn new(options: &OutputOptions) -> Self {
        let size = options.strsize as usize;
        let raw = options.raw_bytes;
        Self {
            quiet: options.quiet,
            no_columns: options.quiet,
            flow: options.flow_indent.then(flow::Threads::default),
            dates: Dates::default(),
            strings: Strings {
                size,
                width: 33,
                raw,
                indent: options.stack_indent,
            },
            // As in libdtrace, a key's string has one byte more than `strsize`.
            keys: Strings {
                size: size + 1,
                width: 50,
                raw,
                indent: options.stack_indent,
            },
            per_cpu: options.agg_per_cpu,
            drawing: options.drawing,
        }
    }

    fn printer<'p>(&'p mut self, out: &'p mut Vec<u8>) -> Printer<'p> {
        Printer {
            out,
            dates: &mut self.dates,
            strings: self.keys,
            per_cpu: self.per_cpu,
            drawing: self.drawing,
        }
    }
}

impl Output for Text {
    fn before_records(&mut self, out: &mut Vec<u8>) {
        if self.flow.is_some() {
            out.extend_from_slice(flow::HEADER);
        } else if !self.quiet {
            out.extend_from_slice(default::HEADER);
        }
    }

    fn begin_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        if let Some(threads) = &mut self.flow {
            threads.put_prefix(out, record);
        } else if !self.quiet {
            default::put_prefix(out, record.cpu, record.ecb);
        }
    }

    fn data(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        match data {
            Data::Printf { plan, .. } => plan.print(record, &mut self.dates, out)?,
            Data::Trace { value, ty } => {
                default::put_trace(out, value, ty, self.strings, self.no_columns);
            }
            Data::Tracemem([]) => {}
            Data::Tracemem(memory) => default::put_dump(out, memory, memory.len()),
            Data::Print(object) => object.put(out),
            Data::Printa { plan, table } => {
                if plan.is_none() {
                    out.push(b'\n');
                }
                self.printer(out).put_table(table, plan);
            }
        }
        Ok(())
    }

    fn end_record(&mut self, _record: &Record<'_>, out: &mut Vec<u8>) {
        if !self.quiet {
            out.push(b'\n');
        }
    }

    fn set_options(&mut self, options: &OutputOptions) {
        self.quiet = options.quiet;
        if !options.flow_indent {
            self.flow = None;
        } else if self.flow.is_none() {
            self.flow = Some(flow::Threads::default());
        }
        self.strings.raw = options.raw_bytes;
        self.keys.raw = options.raw_bytes;
        self.per_cpu = options.agg_per_cpu;
        self.drawing = options.drawing;
    }

    /// The terminal's `^C` gets a line of its own.
    fn interrupted(&mut self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    /// A newline, always.
    fn finish(&mut self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    fn unprinted(&mut self, table: &Table<'_>, out: &mut Vec<u8>) {
        self.printer(out).put_table(table, None);
    }
}
