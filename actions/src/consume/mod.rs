//! The consumer: from the records that the probes write to the bytes that DTrace prints.
//!
//! [`Consumer`] does it for one record after another, in memory and without a system call but for
//! reading aggregations; [`pipeline`] runs it on a thread of its own, behind another that drains
//! the ring buffer.
//!
//! What there is to show it hands as events to an output ([`event`]), of which DTrace's text is one
//! ([`text`]). Output goes to a buffer of the caller. What else there is to do, messages for standard
//! error and what `system` and `freopen` ask for, is collected apart, each with the place in the output
//! that it belongs at, so that all of it happens in order ([`Effect`]).

mod aggregate;
mod convert;
mod decode;
mod default;
mod drops;
mod event;
mod fault;
mod flow;
mod json;
mod names;
pub mod pipeline;
mod printf;
mod speculation;
mod sys;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem;

use dlang::eval::{self, Env as _, EvalError, Value};
use dlang::format::Format;
use dlang::program::{AggId, Expr};
use dlang::types::Type;
use provider::probe::ProbeKind;

pub use self::aggregate::{AggregationMaps, SortOptions};
use self::aggregate::{Aggregations, Moment};
use self::convert::Dates;
use self::decode::Record;
pub use self::drops::DropCounts;
use self::drops::DropReporter;
use self::event::{Data, Output};
use self::fault::FaultRecord;
use self::json::Json;
pub use self::names::Names;
use self::names::{Namer, NoNames};
use self::speculation::{Fate, Id, Speculations};
use self::text::Text;
use crate::record::{
    AggregationLayout, BEGUN_EPID, EXIT_EPID, Ecb, FAULT_EPID, FIRST_SPECIAL_EPID, Fault,
    OutputKind, Speculation,
};

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
}

/// What events are shown as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// DTrace's text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl OutputFormat {
    /// All formats with their names.
    pub const ALL: &[(&str, Self)] = &[("text", Self::Text), ("json", Self::Json)];

    /// Whether it shows when a record was made, and in which thread. Records do not say otherwise.
    #[must_use]
    pub fn shows_origin(self) -> bool {
        match self {
            Self::Text => false,
            Self::Json => true,
        }
    }
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self {
            quiet: false,
            flow_indent: false,
            sort: SortOptions::default(),
            agg_per_cpu: false,
            raw_bytes: false,
            drop_tags: false,
            strsize: 256,
            specsize: 4 << 20,
            stack_indent: 14,
            format: OutputFormat::default(),
            wall_offset: 0,
        }
    }
}

/// What a record asks of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Go on.
    Continue,
    /// `exit()` has run: end it.
    Exit,
}

/// Something that a record does beside its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// How much of the output stands before it.
    pub at: usize,
    /// What is to be done.
    pub kind: EffectKind,
}

/// What is to be done beside the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// A line for standard error, without the command's name and the newline.
    Message(String),
    /// `system`: run this command and wait for it.
    System(Vec<u8>),
    /// `freopen`: what follows goes to the file, at its end.
    Freopen {
        /// Its name; none means the output that there was at first.
        path: Option<Vec<u8>>,
        /// Which clause on which probe says so.
        place: String,
    },
    /// `ftruncate`: empty the file that the output goes to.
    Ftruncate,
}

/// Sets an option of the run by name, with what it means for the output; an error says why not.
pub type SetOption =
    Box<dyn FnMut(&str, Option<&str>, &mut OutputOptions) -> Result<(), String> + Send>;

/// What went through a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStats {
    /// Records decoded and shown.
    pub records: u64,
    /// Those of probes in programs, as against BEGIN, timers and their like.
    pub in_programs: u64,
    /// Records of faults.
    pub faults: u64,
    /// Records left out because they were cut off or not of any ECB.
    pub corrupt: u64,
}

/// Turns records into output.
pub struct Consumer {
    options: OutputOptions,
    output: Box<dyn Output>,
    /// By EPID, from 1. In boxes, since each is taken out and put back with every record.
    ecbs: Vec<Option<Box<PlannedEcb>>>,
    aggregations: Aggregations,
    maps: Box<dyn AggregationMaps + Send>,
    drops: DropReporter,
    effects: Vec<Effect>,
    set_option: SetOption,
    /// What was lost and has not been told yet.
    lost: Vec<event::Drops>,
    /// Whether a record has been shown.
    begun: bool,
    /// Records so far, of any kind.
    count: u64,
    /// Records of ERROR while BEGIN is running: as with libdtrace, they show behind BEGIN's.
    held: Option<Vec<Vec<u8>>>,
    speculations: Speculations,
    names: Namer,
    stats: ConsumerStats,
}

/// An ECB and its outputs, ready to run.
#[derive(Debug)]
struct PlannedEcb {
    ecb: Ecb,
    outputs: Vec<PlannedOutput>,
    /// The fields with the speculation that its records are of, if it has any: not those of a clause
    /// that ends one.
    tentative: Option<Speculation>,
    /// Whether all that it does is to end speculations, which shows nothing of its own.
    silent: bool,
}

#[derive(Debug)]
struct PlannedOutput {
    guard: Option<u16>,
    kind: Planned,
}

#[derive(Debug)]
enum Planned {
    Trace(Expr),
    Printf(printf::Plan, Vec<Expr>),
    Printa(Option<aggregate::Plan>, Vec<AggId>),
    Clear(AggId),
    Trunc(AggId, Option<Expr>),
    Normalize(AggId, Expr),
    Denormalize(AggId),
    Tracemem(Expr, Option<Expr>),
    Speculate,
    /// `commit()`, or else `discard()`.
    End(Speculation, bool),
    System(printf::Plan),
    Freopen(Option<printf::Plan>),
    Ftruncate,
    Setopt(Expr, Option<Expr>),
    /// What the kernel side has done already.
    Nothing,
}

/// Why a record could not be shown to its end.
#[derive(Debug)]
enum Stop {
    Eval(EvalError),
    Maps(io::Error),
}

impl From<EvalError> for Stop {
    fn from(error: EvalError) -> Self {
        Self::Eval(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Maps(error)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("options", &self.options)
            .field("ecbs", &self.ecbs.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Consumer {
    /// A consumer without ECBs; aggregations are read through `maps`.
    pub fn new(options: OutputOptions, maps: Box<dyn AggregationMaps + Send>) -> Self {
        Self::with_names(options, maps, Box::new(NoNames))
    }

    /// The same, which shows addresses as names.
    pub fn with_names(
        options: OutputOptions,
        maps: Box<dyn AggregationMaps + Send>,
        names: Box<dyn Names>,
    ) -> Self {
        let names = Namer::new(names);
        Self {
            aggregations: Aggregations::new(options.sort, names.clone()),
            speculations: Speculations::new(options.specsize),
            drops: DropReporter::default(),
            output: match options.format {
                OutputFormat::Text => Box::new(Text::new(&options)),
                OutputFormat::Json => Box::new(Json::new(&options)),
            },
            options,
            ecbs: Vec::new(),
            maps,
            effects: Vec::new(),
            set_option: Box::new(|_, _, _| Err("options cannot be set here".into())),
            lost: Vec::new(),
            begun: false,
            count: 0,
            held: None,
            names,
            stats: ConsumerStats::default(),
        }
    }

    /// Says how `setopt()` sets an option.
    pub fn on_setopt(&mut self, set: SetOption) {
        self.set_option = set;
    }

    /// Adds aggregations; those that are known stay as they are. They must be known before their
    /// first record comes.
    pub fn add_aggregations(&mut self, layouts: impl IntoIterator<Item = AggregationLayout>) {
        for layout in layouts {
            self.aggregations.add(layout);
        }
    }

    /// Adds ECBs, at any time, before their first record comes.
    pub fn add_ecbs(&mut self, ecbs: impl IntoIterator<Item = Ecb>) {
        for ecb in ecbs {
            // EPIDs count from 1 without gaps, so that this is a dense table.
            let Some(index) = index(ecb.epid.0) else {
                continue;
            };
            if self.ecbs.len() <= index {
                self.ecbs.resize_with(index + 1, || None);
            }
            let planned = PlannedEcb::new(ecb, self.options.strsize, &self.names);
            self.ecbs[index] = Some(Box::new(planned));
        }
    }

    /// BEGIN is about to fire: what ERROR prints for its faults waits until its firing is over.
    pub fn begins(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Prints one record to `out` and does what it asks for.
    pub fn record(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Outcome {
        self.count += 1;
        if !self.lost.is_empty() {
            self.tell_lost(out);
        }
        let Some((epid, cpu)) = decode::header(bytes) else {
            return self.corrupt();
        };
        match epid {
            FAULT_EPID => return self.fault(bytes, out),
            BEGUN_EPID => return self.begun(out),
            EXIT_EPID => return Outcome::Exit,
            _ => {}
        }
        // The plan is taken out for the time of its use, so that actions may change the rest.
        let slot = index(epid).and_then(|index| self.ecbs.get_mut(index));
        let Some(planned) = slot.and_then(Option::take) else {
            return self.corrupt();
        };
        if let Some(held) = &mut self.held
            && matches!(planned.ecb.probe.kind, ProbeKind::Error)
        {
            held.push(bytes.to_vec());
            self.restore(epid, planned);
            return Outcome::Continue;
        }
        let record = Record {
            bytes,
            ecb: &planned.ecb,
            cpu,
            strsize: self.options.strsize,
            corrupt: Cell::new(bytes.len() < planned.ecb.layout.fixed as usize),
        };
        self.stats.in_programs += u64::from(planned.ecb.probe.kind.file().is_some());
        let tentative = planned.tentative.and_then(|fields| meant(fields, &record));
        let fate = tentative.map_or(Fate::Shown, |id| self.speculations.add(id, cpu, bytes));
        if fate == Fate::Shown {
            self.show(&planned, &record, out);
        }
        self.restore(epid, planned);
        Outcome::Continue
    }

    /// Shows a record of a speculation that has been committed.
    fn committed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some((epid, cpu)) = decode::header(bytes) else {
            return;
        };
        let slot = index(epid).and_then(|index| self.ecbs.get_mut(index));
        let Some(planned) = slot.and_then(Option::take) else {
            return;
        };
        let record = Record {
            bytes,
            ecb: &planned.ecb,
            cpu,
            strsize: self.options.strsize,
            corrupt: Cell::new(false),
        };
        self.show(&planned, &record, out);
        self.restore(epid, planned);
    }

    fn restore(&mut self, epid: u32, planned: Box<PlannedEcb>) {
        if let Some(slot) = index(epid).and_then(|index| self.ecbs.get_mut(index)) {
            *slot = Some(planned);
        }
    }

    /// BEGIN's firing is over: shows what ERROR had to say about it.
    fn begun(&mut self, out: &mut Vec<u8>) -> Outcome {
        for record in self.held.take().unwrap_or_default() {
            self.record(&record, out);
        }
        Outcome::Continue
    }

    /// Notes the drops that `counts` has beyond the last time. They are told behind the last record.
    pub fn drops(&mut self, counts: &DropCounts) {
        let counts = DropCounts {
            speculative: self.speculations.dropped().to_vec(),
            ..counts.clone()
        };
        self.lost.extend(self.drops.report(&counts));
    }

    fn tell_lost(&mut self, out: &mut Vec<u8>) {
        for drops in mem::take(&mut self.lost) {
            let at = out.len();
            self.output.drops(&drops, out);
            let text = drops.message(self.options.drop_tags);
            self.add_effect(at, EffectKind::Message(text));
        }
    }

    /// Says that Ctrl-C ends the run.
    pub fn interrupted(&mut self, out: &mut Vec<u8>) {
        self.output.interrupted(out);
    }

    /// Ends the output: with the aggregations that were never printed.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.begun(out);
        self.tell_lost(out);
        self.output.finish(out);
        let moment = Moment {
            firing: None,
            record: self.count + 1,
        };
        let output = &mut self.output;
        let printed = self
            .aggregations
            .unprinted(moment, self.maps.as_mut(), &mut |table| {
                output.unprinted(table, out);
            });
        if let Err(error) = printed {
            self.push(out, format!("cannot read aggregations: {error}"));
        }
        if self.stats.corrupt > 0 {
            let plural = if self.stats.corrupt == 1 {
                " was"
            } else {
                "s were"
            };
            self.push(
                out,
                format!("{} corrupt record{plural} left out", self.stats.corrupt),
            );
        }
        self.output.end(self.stats, out);
    }

    /// What is to be done beside the output since the last call, in order, with its places in `out`,
    /// which is taken to be written and cleared by the caller.
    pub fn take_effects(&mut self, out: &mut Vec<u8>) -> Vec<Effect> {
        self.tell_lost(out);
        mem::take(&mut self.effects)
    }

    /// Whether anything but messages is to be done, which what follows may depend on.
    pub fn has_urgent_effects(&self) -> bool {
        let is_message = |effect: &Effect| matches!(effect.kind, EffectKind::Message(_));
        !self.effects.iter().all(is_message)
    }

    /// What has gone through so far.
    pub fn stats(&self) -> ConsumerStats {
        self.stats
    }

    fn push(&mut self, out: &[u8], text: String) {
        self.add_effect(out.len(), EffectKind::Message(text));
    }

    fn add_effect(&mut self, at: usize, kind: EffectKind) {
        self.effects.push(Effect { at, kind });
    }

    /// `setopt()`.
    fn set_option(&mut self, name: &str, value: Option<&str>, record: &Record<'_>, out: &[u8]) {
        let mut options = self.options.clone();
        match (self.set_option)(name, value, &mut options) {
            Ok(()) => {
                self.output.set_options(&options);
                self.aggregations.set_order(options.sort);
                self.options = options;
            }
            Err(why) => {
                let place = fault::place(record.ecb);
                let value = value.unwrap_or("1");
                let text = format!("{place}: couldn't set option \"{name}\" to \"{value}\": {why}");
                self.push(out, text);
            }
        }
    }

    fn corrupt(&mut self) -> Outcome {
        self.stats.corrupt += 1;
        Outcome::Continue
    }

    fn fault(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Outcome {
        let Some(record) = fault::decode_fault(bytes) else {
            return self.corrupt();
        };
        self.stats.faults += 1;
        let planned = index(record.epid.0).and_then(|index| self.ecbs.get(index));
        let ecb = planned
            .and_then(|planned| planned.as_ref())
            .map(|planned| &planned.ecb);
        let fault = event::Fault { record, ecb };
        let at = out.len();
        self.output.fault(&fault, out);
        let text = fault.message();
        self.add_effect(at, EffectKind::Message(text));
        Outcome::Continue
    }

    /// Hands a record to the output. One that turns out corrupt leaves no trace.
    fn show(&mut self, planned: &PlannedEcb, record: &Record<'_>, out: &mut Vec<u8>) {
        if record.corrupt.get() {
            self.corrupt();
            return;
        }
        let outputs = &planned.outputs;
        if planned.silent {
            for output in outputs {
                if let Err(error) = self.act(output, record, out) {
                    self.push(out, format!("cannot read aggregations: {error:?}"));
                }
            }
            return;
        }
        if !self.begun {
            self.output.before_records(out);
            self.begun = true;
        }
        let start = out.len();
        self.output.begin_record(record, out);
        let done = outputs
            .iter()
            .try_for_each(|output| self.act(output, record, out));
        match done {
            Ok(()) if !record.corrupt.get() => {
                self.stats.records += 1;
                self.output.end_record(record, out);
            }
            Ok(()) | Err(Stop::Eval(EvalError::NotConstant)) => {
                out.truncate(start);
                self.corrupt();
            }
            Err(Stop::Eval(EvalError::DivideByZero)) => {
                out.truncate(start);
                self.stats.faults += 1;
                let fault = event::Fault {
                    record: FaultRecord::of(record.ecb.epid, Fault::DivideByZero),
                    ecb: Some(record.ecb),
                };
                self.output.fault(&fault, out);
                self.push(out, fault.message());
            }
            Err(Stop::Maps(error)) => {
                self.push(out, format!("cannot read aggregations: {error}"));
                self.output.end_record(record, out);
            }
        }
    }

    /// Does what an action asks of the consumer, and hands on what it shows.
    fn act(
        &mut self,
        output: &PlannedOutput,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if let Some(guard) = output.guard {
            let field = record.ecb.layout.fields.get(usize::from(guard));
            match field.and_then(|field| decode::field(record.bytes, *field)) {
                Some(Value::Int(0)) => return Ok(()),
                Some(_) => {}
                None => record.corrupt.set(true),
            }
        }
        let maps = self.maps.as_mut();
        match &output.kind {
            Planned::Printf(plan, args) => {
                self.output.data(record, Data::Printf { plan, args }, out)?;
            }
            Planned::Trace(expr) => {
                let (value, ty) = (eval::eval(expr, record)?, &expr.ty);
                let value = &named(value, ty, record, &self.names);
                self.output.data(record, Data::Trace { value, ty }, out)?;
            }
            Planned::Printa(plan, ids) => {
                let (moment, adds) = (moment(self.count, record), &record.ecb.layout.adds);
                let table = &self.aggregations.printa(ids, adds, moment, maps)?;
                let plan = plan.as_ref();
                self.output
                    .data(record, Data::Printa { plan, table }, out)?;
            }
            Planned::Nothing | Planned::Speculate => {}
            Planned::System(plan) => {
                let command = formatted(plan, record)?;
                self.add_effect(out.len(), EffectKind::System(command));
            }
            Planned::Freopen(plan) => {
                let path = plan.as_ref().map(|plan| formatted(plan, record));
                let path = path.transpose()?;
                let place = fault::place(record.ecb);
                self.add_effect(out.len(), EffectKind::Freopen { path, place });
            }
            Planned::Ftruncate => self.add_effect(out.len(), EffectKind::Ftruncate),
            Planned::Setopt(name, value) => {
                let name = text_of(name, record)?;
                let value = value.as_ref().map(|value| text_of(value, record));
                let value = value.transpose()?;
                self.set_option(&name, value.as_deref(), record, out);
            }
            Planned::Clear(id) => {
                self.aggregations
                    .clear(*id, moment(self.count, record), maps)?;
            }
            Planned::Trunc(id, keep) => {
                let keep = keep
                    .as_ref()
                    .map_or(Ok(0), |keep| printf::integer(keep, record))?;
                self.aggregations
                    .truncate(*id, keep, moment(self.count, record), maps)?;
            }
            Planned::Normalize(id, normal) => {
                self.aggregations
                    .normalize(*id, printf::integer(normal, record)?);
            }
            Planned::Denormalize(id) => self.aggregations.normalize(*id, 1),
            Planned::Tracemem(memory, shown) => {
                let Value::Str(memory) = eval::eval(memory, record)? else {
                    return Err(Stop::Eval(EvalError::NotConstant));
                };
                let shown = match shown {
                    Some(shown) => usize::try_from(printf::integer(shown, record)?).ok(),
                    None => None,
                };
                // As in libdtrace, less than nothing is all, as is more than there is.
                let shown = shown.and_then(|shown| memory.get(..shown));
                let data = Data::Tracemem(shown.unwrap_or(&memory));
                self.output.data(record, data, out)?;
            }
            Planned::End(fields, committed) => {
                let ended = meant(*fields, record);
                let records = ended.map(|id| self.speculations.end(id, *committed));
                if *committed {
                    for record in records.unwrap_or_default() {
                        self.committed(&record, out);
                    }
                }
            }
        }
        Ok(())
    }
}

impl PlannedEcb {
    fn new(ecb: Ecb, strsize: u32, names: &Namer) -> Self {
        let format_plan = |format: &Format, args: &[Expr]| {
            printf::Plan::new(format, args, &ecb, (strsize, names.clone()))
        };
        let plan = |kind: &OutputKind| match kind {
            OutputKind::Trace(expr) => Planned::Trace(expr.clone()),
            OutputKind::Printf(format, args) => {
                Planned::Printf(format_plan(format, args), args.clone())
            }
            OutputKind::Printa(format, ids) => {
                let plan = format
                    .as_ref()
                    .map(|format| aggregate::Plan::new(format, ids.len()));
                Planned::Printa(plan, ids.clone())
            }
            OutputKind::Exit | OutputKind::Raise => Planned::Nothing,
            OutputKind::System(format, args) => Planned::System(format_plan(format, args)),
            OutputKind::Freopen(format, args) => {
                Planned::Freopen(format.as_ref().map(|format| format_plan(format, args)))
            }
            OutputKind::Ftruncate => Planned::Ftruncate,
            OutputKind::Setopt(name, value) => Planned::Setopt(name.clone(), value.clone()),
            OutputKind::Clear(id) => Planned::Clear(*id),
            OutputKind::Trunc(id, keep) => Planned::Trunc(*id, keep.clone()),
            OutputKind::Normalize(id, normal) => Planned::Normalize(*id, normal.clone()),
            OutputKind::Denormalize(id) => Planned::Denormalize(*id),
            OutputKind::Tracemem(memory, shown) => Planned::Tracemem(memory.clone(), shown.clone()),
            OutputKind::Speculate(_) => Planned::Speculate,
            OutputKind::Commit(fields) => Planned::End(*fields, true),
            OutputKind::Discard(fields) => Planned::End(*fields, false),
        };
        let outputs = ecb.layout.outputs.iter();
        let outputs = outputs
            .map(|output| PlannedOutput {
                guard: output.guard,
                kind: plan(&output.kind),
            })
            .collect();
        let kinds = || ecb.layout.outputs.iter().map(|output| &output.kind);
        let ends =
            |kind: &OutputKind| matches!(kind, OutputKind::Commit(_) | OutputKind::Discard(_));
        let is_tentative = |kind: &OutputKind| {
            if let OutputKind::Speculate(fields) = kind {
                Some(*fields)
            } else {
                None
            }
        };
        let commits = kinds().any(|kind| matches!(kind, OutputKind::Commit(_)));
        let tentative = kinds().find_map(is_tentative).filter(|_| !commits);
        let silent = kinds().any(ends)
            && kinds().all(|kind| ends(kind) || matches!(kind, OutputKind::Speculate(_)));
        Self {
            ecb,
            outputs,
            tentative,
            silent,
        }
    }
}

/// What a format makes of a record, as C sees it: up to its first NUL.
fn formatted(plan: &printf::Plan, record: &Record<'_>) -> Result<Vec<u8>, EvalError> {
    let mut text = Vec::new();
    plan.print(record, &mut Dates::default(), &mut text)?;
    let length = convert::until_nul(&text).len();
    text.truncate(length);
    Ok(text)
}

/// The string that an expression gives.
fn text_of(expr: &Expr, record: &Record<'_>) -> Result<String, EvalError> {
    match eval::eval(expr, record)? {
        Value::Str(text) => Ok(String::from_utf8_lossy(convert::until_nul(&text)).into_owned()),
        Value::Int(_) => Err(EvalError::NotConstant),
    }
}

/// Where an EPID's ECB is in the table; the special ones have no place.
fn index(epid: u32) -> Option<usize> {
    let index = epid.checked_sub(1).filter(|_| epid < FIRST_SPECIAL_EPID)?;
    usize::try_from(index).ok()
}

/// A value as it is shown: a symbol or a stack as its text.
fn named<'v>(value: Value<'v>, ty: &Type, record: &Record<'_>, names: &Namer) -> Value<'v> {
    match value {
        Value::Int(number) => match names.text(ty, record.process(), number) {
            Some(text) => Value::Str(text.into_bytes().into()),
            None => Value::Int(number),
        },
        Value::Str(text) => Value::Str(text),
    }
}

/// The speculation that the fields of a record name, if any.
fn meant(fields: Speculation, record: &Record<'_>) -> Option<Id> {
    let word = |field: u16| match record.recorded(field) {
        Value::Int(word) => u32::try_from(word).ok(),
        Value::Str(_) => None,
    };
    let number = word(fields.number).filter(|number| *number != 0)?;
    let state = word(fields.state)?;
    Some(Id { number, state })
}

/// When a record's actions are done; `count` is the number of the record.
fn moment(count: u64, record: &Record<'_>) -> Moment {
    let firing = record.time().map(|time| (time, record.cpu));
    Moment {
        firing,
        record: count,
    }
}
