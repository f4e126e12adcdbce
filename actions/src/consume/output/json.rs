//! `-x oformat=json`: one JSON object a line. docs/output.md has the schema.
//!
//! Every line is valid JSON in UTF-8 whatever the traced program has in its strings: bytes that are
//! no UTF-8 show as `\xff` in the text, and the field `bytes` beside it has all of them exactly.

use dlang::eval::EvalError;
use serde::Serialize;

use super::super::aggregate::Table;
use super::super::decode::Record;
use super::super::event::{Data, Drops, Output};
use super::super::fault::Fault;
use super::super::options::OutputOptions;
use super::super::stats::ConsumerStats;
use super::values::{Aggregations, Elements, Probe, put, put_line};

/// The number of the schema: it grows when a field changes its meaning or goes, not when one is added.
const SCHEMA: u32 = 1;

/// Writes events as JSON.
#[derive(Debug)]
pub(super) struct Json {
    wall_offset: i64,
    started: bool,
    interrupted: bool,
    /// Whether the record has shown something already.
    has_output: bool,
    elements: Elements,
}

impl Json {
    pub(super) fn new(options: &OutputOptions) -> Self {
        Self {
            wall_offset: options.wall_offset,
            started: false,
            interrupted: false,
            has_output: false,
            elements: Elements::new(options),
        }
    }

    /// The first line, before all others.
    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let start = Start {
                event: "start",
                schema: SCHEMA,
                wall_offset: self.wall_offset,
            };
            put_line(out, &start);
        }
    }
}

impl Output for Json {
    fn before_records(&mut self, out: &mut Vec<u8>) {
        self.start(out);
    }

    fn begin_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.has_output = false;
        let ecb = record.ecb;
        let head = Head {
            event: "probe",
            timestamp: record.time(),
            cpu: record.cpu,
            pid: record.process(),
            tid: record.thread(),
            clause: ecb.clause,
            probe: Probe::of(record),
        };
        put(out, &head);
        // The object is closed at the end of the record.
        out.pop();
        out.extend_from_slice(b",\"output\":[");
    }

    fn data(
        &mut self,
        record: &Record<'_>,
        data: Data<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        if self.has_output {
            out.push(b',');
        }
        self.has_output = true;
        self.elements.put(record, data, out)
    }

    fn end_record(&mut self, _record: &Record<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}\n");
    }

    fn fault(&mut self, fault: &Fault<'_>, out: &mut Vec<u8>) {
        self.start(out);
        let message = fault.message();
        let line = FaultLine {
            event: "fault",
            fault: fault.record.words(),
            address: fault.record.shown_address(),
            pc: fault.record.pc,
            clause: fault.ecb.map(|ecb| ecb.clause),
            probe: fault.ecb.map(|ecb| Probe::new(&ecb.probe)),
            message: &message,
        };
        put_line(out, &line);
    }

    fn set_options(&mut self, options: &OutputOptions) {
        self.elements.set_options(options);
    }

    fn drops(&mut self, drops: &Drops, out: &mut Vec<u8>) {
        self.start(out);
        let message = drops.message(false);
        let line = DropLine {
            event: "drop",
            tag: drops.tag,
            count: drops.count,
            cpu: drops.cpu,
            message: &message,
        };
        put_line(out, &line);
    }

    fn interrupted(&mut self, _out: &mut Vec<u8>) {
        self.interrupted = true;
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
    }

    fn unprinted(&mut self, table: &Table<'_>, out: &mut Vec<u8>) {
        let line = Unprinted {
            event: "aggregations",
            aggregations: Aggregations(table),
        };
        put_line(out, &line);
    }

    fn end(&mut self, stats: ConsumerStats, out: &mut Vec<u8>) {
        let line = End {
            event: "end",
            interrupted: self.interrupted,
            records: stats.records,
            faults: stats.faults,
            corrupt: stats.corrupt,
        };
        put_line(out, &line);
    }
}

#[derive(Serialize)]
struct Start {
    event: &'static str,
    schema: u32,
    #[serde(rename = "wall-offset")]
    wall_offset: i64,
}

#[derive(Serialize)]
struct Head<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    cpu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    clause: usize,
    #[serde(flatten)]
    probe: Probe<'a>,
}

#[derive(Serialize)]
struct Unprinted<'a> {
    event: &'static str,
    aggregations: Aggregations<'a>,
}

#[derive(Serialize)]
struct FaultLine<'a> {
    event: &'static str,
    fault: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<u64>,
    pc: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<usize>,
    #[serde(flatten)]
    probe: Option<Probe<'a>>,
    message: &'a str,
}

#[derive(Serialize)]
struct DropLine<'a> {
    event: &'static str,
    tag: &'static str,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<usize>,
    message: &'a str,
}

#[derive(Serialize)]
struct End {
    event: &'static str,
    interrupted: bool,
    records: u64,
    faults: u64,
    corrupt: u64,
}
