//! `-F`: each record is indented by how deep its thread is in calls.
//!
//! A line is `"%3d %-41s "` of the CPU and a name field, which is blanks for the depth, a prefix
//! and the name: `-> f` goes one level down, `<- f` comes back up, `| f:name` stays; of system calls it is
//! `=> f` and `<= f`. Depth is
//! kept per thread, so threads that move between CPUs stay in order; libdtrace keeps it per CPU.
//!
//! Several clauses on one probe make one step: only the first record of a firing moves.

use std::collections::HashMap;

use dlang::eval::{self, Value};
use provider::probe::ProbeKind;

use super::convert;
use super::decode::Record;
use super::default::put_column;
use crate::record::{Epid, Flow};

/// What stands over the columns.
pub(super) const HEADER: &[u8] = b"CPU FUNCTION                                 \n";

/// Columns of the name field.
const NAME_WIDTH: usize = 41;

/// The deepest that the name field is indented.
const MAX_INDENT: usize = 1 << 12;

/// The most threads whose depth is remembered; beyond, all start again at none, as happens when
/// threads come and go for a long time.
const MAX_THREADS: usize = 1 << 16;

/// The depth of every thread.
#[derive(Debug, Default)]
pub(super) struct Threads {
    threads: HashMap<i64, Thread>,
}

#[derive(Debug, Default)]
struct Thread {
    indent: usize,
    /// The probe and ECB of the last record.
    last: Option<(u32, Epid)>,
}

impl Threads {
    /// Prints what stands before the data of `record` and moves its thread.
    pub(super) fn put_prefix(&mut self, out: &mut Vec<u8>, record: &Record<'_>) {
        let (ecb, layout) = (record.ecb, &record.ecb.layout);
        // BEGIN and its like may not say; one negative id for each CPU is no real thread's.
        let none = || -1 - i64::from(record.cpu);
        let id = record.thread().map_or_else(none, i64::from);
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&id) {
            self.threads.clear();
        }
        let thread = self.threads.entry(id).or_default();
        let probe = ecb.probe.id.0;
        let same_firing = thread
            .last
            .is_some_and(|(last, epid)| last == probe && epid < ecb.epid);
        thread.last = Some((probe, ecb.epid));
        let flow = if same_firing { Flow::None } else { layout.flow };
        if flow == Flow::Return {
            thread.indent = thread.indent.saturating_sub(2);
        }

        put_column(out, i64::from(record.cpu), 3);
        out.push(b' ');
        let start = out.len();
        out.resize(start + thread.indent.min(MAX_INDENT), b' ');
        let is_call = matches!(ecb.probe.kind, ProbeKind::SystemCall(_));
        out.extend_from_slice(match (flow, is_call) {
            (Flow::None, _) => b"| ",
            (Flow::Entry, false) => b" -> ",
            (Flow::Return, false) => b" <- ",
            (Flow::Entry, true) => b" => ",
            (Flow::Return, true) => b" <= ",
        });
        put_name(out, record);
        if flow == Flow::None {
            out.push(b':');
            out.extend_from_slice(ecb.probe.desc.name.as_bytes());
        }
        let used = out.len() - start;
        out.resize(out.len() + NAME_WIDTH.saturating_sub(used) + 1, b' ');

        if flow == Flow::Entry {
            thread.indent += 2;
        }
    }
}

/// What the provider shows for the probe, or else its function.
fn put_name(out: &mut Vec<u8>, record: &Record<'_>) {
    let shown = record
        .ecb
        .layout
        .flow_name
        .as_ref()
        .map(|name| eval::eval(name, record));
    match shown {
        Some(Ok(Value::Str(name))) => out.extend_from_slice(convert::until_nul(&name)),
        Some(Ok(Value::Int(n))) => put_column(out, n, 0),
        Some(Err(_)) | None => {
            out.extend_from_slice(record.ecb.probe.desc.function.as_bytes());
        }
    }
}
