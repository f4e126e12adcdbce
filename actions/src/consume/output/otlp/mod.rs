//! `-x oformat=otlp`: spans, metrics and records of logs, for an OpenTelemetry collector. docs/output.md
//! says what becomes of what.
//!
//! What is written is requests ([`Request`]); sending them is another's work. A request has what has come
//! in a second, or so many items.

mod metrics;
mod resource;
mod spans;
mod value;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use dlang::eval::{EvalError, eval};
use dlang::program::AggId;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use self::metrics::{Interval, counter, of_aggregation};
use self::resource::{OfProcess, Resources, scope};
use self::spans::{Place, Spans, of_track};
use self::value::{all, attribute, bytes, number, of, text};
use super::super::aggregate::Table;
use super::super::convert::Dates;
use super::super::decode::Record;
use super::super::event::{Data, Drops, Output};
use super::super::fault::Fault;
use super::super::options::OutputOptions;
use super::super::otlp::{Request, Signal};
use super::super::stats::ConsumerStats;
use super::calls::{Calls, Step};
use super::values::Text;
use crate::record::Flow;

/// The most spans, or records of logs, of a request.
const MOST_ITEMS: usize = 512;

/// How long the first of a request waits for others, and how old metrics get.
const WAIT: Duration = Duration::from_millis(900);

/// Items by process, and how many.
#[derive(Debug)]
struct Batch<T> {
    of: BTreeMap<Option<u32>, Vec<T>>,
    count: usize,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            of: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<T> Batch<T> {
    fn push(&mut self, process: Option<u32>, item: T) {
        self.of.entry(process).or_default().push(item);
        self.count += 1;
    }
}

/// Makes requests for a collector.
#[derive(Debug)]
pub(super) struct Otlp {
    wall_offset: i64,
    resources: Resources,
    /// The process that all is of, if there is just one.
    process: Option<u32>,
    calls: Calls,
    spans: Spans,
    ended: Batch<Span>,
    logs: Batch<LogRecord>,
    /// When the last requests were made.
    written: Instant,
    /// What the actions of the record have shown.
    shown: Vec<AnyValue>,
    /// Metrics that belong behind the record.
    printed: Vec<Metric>,
    /// The aggregations that the program prints: what they have is told when it does.
    prints: HashSet<AggId>,
    /// When each aggregation was emptied.
    cleared: HashMap<AggId, u64>,
    dates: Dates,
    /// The beginning of the run, and the last time that a record says, since 1970.
    start: u64,
    time: u64,
    records: u64,
    faults: u64,
    dropped: u64,
    /// Whether it is time to write what there is.
    due: bool,
    /// Whether the run is over.
    over: bool,
}

impl Otlp {
    pub(super) fn new(options: &OutputOptions) -> Self {
        Self::asking(options, provider::process::Membership::of)
    }

    /// The same, which learns from somebody else what processes are.
    pub(super) fn asking(options: &OutputOptions, ask: OfProcess) -> Self {
        let start = now();
        Self {
            wall_offset: options.wall_offset,
            resources: Resources::new(options.resource.clone(), ask),
            process: options.process,
            calls: Calls::default(),
            spans: Spans::new(),
            ended: Batch::default(),
            logs: Batch::default(),
            written: Instant::now(),
            shown: Vec::new(),
            printed: Vec::new(),
            prints: HashSet::new(),
            cleared: HashMap::new(),
            dates: Dates::default(),
            start,
            time: start,
            records: 0,
            faults: 0,
            dropped: 0,
            due: false,
            over: false,
        }
    }

    /// The nanoseconds since 1970 of a record's time.
    fn wall(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.wall_offset)
    }

    /// The metrics of a table's aggregations, but for those that `leave_out` says.
    fn measure(&self, table: &Table<'_>, end: u64, leave_out: &HashSet<AggId>) -> Vec<Metric> {
        let aggregations = table.aggregations();
        let aggregations = aggregations.filter(|(_, layout)| !leave_out.contains(&layout.id));
        aggregations
            .flat_map(|(index, layout)| {
                let start = self.cleared.get(&layout.id).copied();
                let start = start.unwrap_or(self.start);
                of_aggregation(table, index, Interval { start, end })
            })
            .collect()
    }

    fn log(&mut self, record: LogRecord, process: Option<u32>, out: &mut Vec<u8>) {
        self.logs.push(process, record);
        if self.logs.count >= MOST_ITEMS {
            self.write_logs(out);
        }
    }

    /// A message of rdtrace's own.
    fn message(&mut self, severity: SeverityNumber, body: &str, out: &mut Vec<u8>) {
        let record = LogRecord {
            time_unix_nano: self.time,
            observed_time_unix_nano: now(),
            severity_number: severity as i32,
            body: Some(text(body)),
            ..LogRecord::default()
        };
        self.log(record, None, out);
    }

    fn span(&mut self, span: Option<Span>, process: Option<u32>, out: &mut Vec<u8>) {
        let Some(span) = span else { return };
        self.ended.push(process, span);
        if self.ended.count >= MOST_ITEMS {
            self.write_spans(out);
        }
    }

    fn write_spans(&mut self, out: &mut Vec<u8>) {
        let Batch { of, count } = std::mem::take(&mut self.ended);
        if count == 0 {
            return;
        }
        let resource_spans = of.into_iter().map(|(process, spans)| ResourceSpans {
            resource: Some(self.resources.of(process)),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        });
        let request = ExportTraceServiceRequest {
            resource_spans: resource_spans.collect(),
        };
        Request::put(Signal::Traces, count, &request, out);
    }

    fn write_logs(&mut self, out: &mut Vec<u8>) {
        let Batch { of, count } = std::mem::take(&mut self.logs);
        if count == 0 {
            return;
        }
        let resource_logs = of.into_iter().map(|(process, log_records)| ResourceLogs {
            resource: Some(self.resources.of(process)),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        });
        let request = ExportLogsServiceRequest {
            resource_logs: resource_logs.collect(),
        };
        Request::put(Signal::Logs, count, &request, out);
    }

    fn write_metrics(&mut self, metrics: Vec<Metric>, out: &mut Vec<u8>) {
        if metrics.is_empty() {
            return;
        }
        let count = metrics.len();
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resources.of(self.process)),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        Request::put(Signal::Metrics, count, &request, out);
    }

    /// The metrics of rdtrace itself.
    fn write_own(&mut self, out: &mut Vec<u8>) {
        let interval = Interval {
            start: self.start,
            end: now(),
        };
        let own = [
            (
                "records",
                "Records of probes that were shown.",
                self.records,
            ),
            ("faults", "Clauses that a fault has ended.", self.faults),
            (
                "drops",
                "Records and values that were lost for lack of room.",
                self.dropped,
            ),
        ];
        let own = own.map(|(name, description, number)| {
            counter(&format!("rdtrace.{name}"), description, number, interval)
        });
        self.write_metrics(own.into(), out);
    }

    /// A record that is no call: of a log.
    fn entry(
        &mut self,
        record: &Record<'_>,
        time: u64,
        shown: Option<AnyValue>,
        out: &mut Vec<u8>,
    ) {
        let track = self.calls.track(record);
        let place = self.spans.now(track);
        let (trace_id, span_id) = place
            .map(|Place { trace, span }| (trace.to_vec(), span.to_vec()))
            .unwrap_or_default();
        let mut attributes = of_track(track, self.calls.task(track));
        attributes.push(attribute("cpu.logical_number", number(record.cpu.into())));
        let record_of_log = LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: now(),
            severity_number: SeverityNumber::Info as i32,
            body: shown,
            attributes,
            trace_id,
            span_id,
            event_name: record.ecb.probe.desc.to_string(),
            ..LogRecord::default()
        };
        self.log(record_of_log, record.process(), out);
    }
}

/// The nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

impl Output for Otlp {
    fn begin_record(&mut self, record: &Record<'_>, _out: &mut Vec<u8>) {
        self.shown.clear();
        self.printed.clear();
        if let Some(time) = record.time() {
            self.time = self.wall(time).max(self.time);
        }
    }

    fn data(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        _out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        match data {
            Data::Trace { value, ty } => self.shown.push(of(value, ty)),
            Data::Tracemem(memory) => self.shown.push(bytes(memory)),
            Data::Print(object) => {
                let mut shown = Vec::new();
                object.put(&mut shown);
                let shown = Text(&shown).to_string();
                self.shown.push(text(shown.trim_end()));
            }
            Data::Printf { plan, args } => {
                // What cannot be computed is told before any of it is shown.
                args.iter()
                    .try_for_each(|arg| eval(arg, record).map(drop))?;
                let mut message = Vec::new();
                plan.print(record, &mut self.dates, &mut message)?;
                let message = Text(&message).to_string();
                self.shown.push(text(message.trim_end_matches('\n')));
            }
            Data::Printa { table, .. } => {
                let metrics = self.measure(table, self.time, &HashSet::new());
                self.printed.extend(metrics);
                let aggregations = table.aggregations();
                self.prints
                    .extend(aggregations.map(|(_, layout)| layout.id));
            }
        }
        Ok(())
    }

    fn end_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.records += 1;
        let track = self.calls.track(record);
        let process = record.process();
        self.resources.meet(process);
        let time = record.time().map_or(self.time, |time| self.wall(time));
        let is_call = record.ecb.layout.flow != Flow::None;
        let nothing_but_metrics = self.shown.is_empty() && (is_call || !self.printed.is_empty());
        let mut shown = all(std::mem::take(&mut self.shown));
        match self.calls.step(record) {
            Step::Enter(_) => self.spans.enter(track, time, shown),
            Step::Leave(_) => {
                let ended = std::mem::take(&mut self.calls.ended);
                let outermost = ended.len().saturating_sub(1);
                for (at, frame) in ended.into_iter().enumerate() {
                    let frame = (self.calls.frames.text(frame), self.calls.task(track));
                    // Those inside have no return of their own.
                    let shown = shown.take_if(|_| at == outermost);
                    let span = self.spans.leave(track, time, frame, shown);
                    self.span(span, process, out);
                }
            }
            Step::Unknown | Step::Nothing if nothing_but_metrics => {}
            Step::Unknown | Step::Nothing => self.entry(record, time, shown, out),
        }
        let printed = std::mem::take(&mut self.printed);
        self.write_metrics(printed, out);
    }

    fn cleared(&mut self, id: AggId) {
        self.cleared.insert(id, self.time);
    }

    fn fault(&mut self, fault: &Fault<'_>, out: &mut Vec<u8>) {
        self.faults += 1;
        self.message(SeverityNumber::Error, &fault.message(), out);
    }

    fn drops(&mut self, drops: &Drops, out: &mut Vec<u8>) {
        self.dropped += drops.count;
        self.message(SeverityNumber::Warn, &drops.message(false), out);
    }

    fn looks_on(&mut self) -> bool {
        self.due = !self.over && self.written.elapsed() >= WAIT;
        self.due
    }

    fn now(&mut self, table: &Table<'_>, out: &mut Vec<u8>) {
        let metrics = self.measure(table, now(), &self.prints);
        self.write_metrics(metrics, out);
    }

    fn before_write(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.due) {
            self.written = Instant::now();
            self.write_spans(out);
            self.write_logs(out);
            self.write_own(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let open = self.calls.open().flat_map(|(track, calls)| {
            let calls: Vec<_> = calls.map(|call| (track, call)).collect();
            calls.into_iter().rev()
        });
        let open: Vec<_> = open.collect();
        for (track, frame) in open {
            let frame = (self.calls.frames.text(frame), self.calls.task(track));
            let span = self.spans.leave(track, self.time, frame, None);
            let process = Some(track.process).filter(|process| *process != 0);
            self.span(span, process, out);
        }
    }

    fn unprinted(&mut self, table: &Table<'_>, out: &mut Vec<u8>) {
        let metrics = self.measure(table, now(), &HashSet::new());
        self.write_metrics(metrics, out);
    }

    fn end(&mut self, _stats: ConsumerStats, out: &mut Vec<u8>) {
        self.over = true;
        self.write_spans(out);
        self.write_logs(out);
        self.write_own(out);
    }
}
