//! Turns records into events, does what the program says to aggregations and speculations, and collects
//! what else there is to do.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem;

use dlang::eval::{self, Env as _, EvalError, Value};
use dlang::program::{Expr, Program};
use provider::probe::ProbeKind;

use super::aggregate::{AggregationMaps, Aggregations, Moment, Table};
use super::convert::Dates;
use super::decode::Record;
use super::drops::{DropCounts, DropReporter};
use super::effect::{Effect, EffectKind, Outcome};
use super::event::{Data, Drops, Object, Output};
use super::fault::{Fault, FaultRecord};
use super::names::{Namer, Names, NoNames, named};
use super::options::OutputOptions;
use super::planned::{Planned, PlannedEcb, PlannedOutput};
use super::speculation::{Fate, Id, Speculations};
use super::stats::ConsumerStats;
use super::{convert, decode, fault, output, printf};
use crate::record::{
    AggregationLayout, BEGUN_EPID, EXIT_EPID, Ecb, FAULT_EPID, FIRST_SPECIAL_EPID,
    Fault as FaultKind, Speculation,
};

/// Sets an option of the run by name, with what it means for the output; an error says why not.
pub type SetOption =
    Box<dyn FnMut(&str, Option<&str>, &mut OutputOptions) -> Result<(), String> + Send>;

/// Turns records into output.
pub struct Consumer {
    options: OutputOptions,
    output: Box<dyn Output>,
    /// By EPID, from 1. In boxes, since each is taken out and put back with every record.
    ecbs: Vec<Option<Box<PlannedEcb>>>,
    aggregations: Aggregations,
    pub(super) maps: Box<dyn AggregationMaps + Send>,
    drops: DropReporter,
    effects: Vec<Effect>,
    set_option: SetOption,
    /// What was lost and has not been told yet.
    lost: Vec<Drops>,
    /// How much has been lost.
    dropped: u64,
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
            output: output::open(options.format, &options),
            options,
            ecbs: Vec::new(),
            maps,
            effects: Vec::new(),
            set_option: Box::new(|_, _, _| Err("options cannot be set here".into())),
            lost: Vec::new(),
            dropped: 0,
            begun: false,
            count: 0,
            held: None,
            names,
            stats: ConsumerStats::default(),
        }
    }

    /// Says which program's records come, before the first.
    pub fn expect(&mut self, program: &Program) {
        self.output.expect(program);
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
        let fate = tentative.map_or(Fate::Shown, |id| self.speculations.add(id, bytes));
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
            speculative: self.speculations.dropped(),
            ..counts.clone()
        };
        let lost = self.lost.len();
        self.lost.extend(self.drops.report(&counts));
        self.dropped += self
            .lost
            .iter()
            .skip(lost)
            .map(|drops| drops.count)
            .sum::<u64>();
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
        if let Some(advice) = self.output.advice() {
            self.push(out, advice.into());
        }
    }

    /// What makes the output complete where it takes no more than these bytes: how many of them stay, and
    /// what stands behind; `None` if there is nothing to do.
    pub(super) fn close_early(&self, written: &[u8]) -> Option<(usize, &'static [u8])> {
        let closing = self.output.closing()?;
        let between = closing.between;
        // There must be room for the end.
        let most = written.len().checked_sub(closing.text.len())?;
        let mut ends = written[..most].windows(between.len());
        let last = ends.rposition(|bytes| bytes == between)?;
        Some((last, closing.text))
    }

    /// Metrics of the aggregations as they are now, in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// When the maps cannot be read.
    pub fn metrics(&mut self) -> io::Result<String> {
        let mut text = String::new();
        let each = &mut |table: &Table<'_>| text += &output::metrics(table);
        self.aggregations.now(self.maps.as_mut(), each)?;
        Ok(text + &output::own(self.stats, self.dropped))
    }

    /// What has been shown is about to be written: what the output still collects may come too.
    pub fn before_write(&mut self, out: &mut Vec<u8>) {
        if self.output.looks_on() {
            let output = &mut self.output;
            let each = &mut |table: &Table<'_>| output.now(table, out);
            if let Err(error) = self.aggregations.now(self.maps.as_mut(), each) {
                self.push(out, format!("cannot read aggregations: {error}"));
            }
        }
        self.output.before_write(out);
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
        let fault = Fault { record, ecb };
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
            Ok(())
            | Err(Stop::Eval(
                EvalError::NotConstant | EvalError::NullString | EvalError::BadAddress,
            )) => {
                out.truncate(start);
                self.corrupt();
            }
            Err(Stop::Eval(EvalError::DivideByZero)) => {
                out.truncate(start);
                self.stats.faults += 1;
                let fault = Fault {
                    record: FaultRecord::of(record.ecb.epid, FaultKind::DivideByZero),
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
                self.output.cleared(*id);
            }
            Planned::Trunc(id, keep) => {
                let keep = keep
                    .as_ref()
                    .map_or(Ok(0), |keep| printf::integer(keep, record))?;
                self.aggregations
                    .truncate(*id, keep, moment(self.count, record), maps)?;
                if keep == 0 {
                    self.output.cleared(*id);
                }
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
            Planned::Print {
                address,
                memory,
                ty,
            } => {
                let Value::Str(memory) = eval::eval(memory, record)? else {
                    return Err(Stop::Eval(EvalError::NotConstant));
                };
                let object = Object {
                    address: printf::integer(address, record)?.cast_unsigned(),
                    memory: &memory,
                    ty,
                };
                self.output.data(record, Data::Print(object), out)?;
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
