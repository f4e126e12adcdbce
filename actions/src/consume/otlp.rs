//! What the output `otlp` writes: requests to an OpenTelemetry collector, each behind a head that says
//! what it is. Whoever sends them reads them off the bytes again.
//!
//! ```text
//!   0        1        5        9
//!   ┌────────┬────────┬────────┬──────────────────────────┐
//!   │ signal │ items  │ length │ the request, protobuf    │
//!   │  u8    │  u32   │  u32   │                          │
//!   └────────┴────────┴────────┴──────────────────────────┘
//! ```

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

/// What a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans: `ExportTraceServiceRequest`.
    Traces,
    /// Metrics: `ExportMetricsServiceRequest`.
    Metrics,
    /// Records of logs: `ExportLogsServiceRequest`.
    Logs,
}

impl Signal {
    /// All, by the byte that says which.
    const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// One of its items, in words.
    #[must_use]
    pub fn item(self) -> &'static str {
        match self {
            Self::Traces => "span",
            Self::Metrics => "metric",
            Self::Logs => "log record",
        }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it has.
    pub signal: Signal,
    /// How many.
    pub items: u32,
    /// The protobuf message.
    pub body: Vec<u8>,
}

/// The bytes of a head.
const HEAD: usize = 9;

impl Request {
    /// Adds a request to what is written.
    pub(super) fn put(signal: Signal, items: usize, message: &impl Message, out: &mut Vec<u8>) {
        // Far fewer items, and far shorter, than these can say: requests are made of so many at most.
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        out.push(signal as u8);
        out.extend_from_slice(&number(items));
        out.extend_from_slice(&number(message.encoded_len()));
        message
            .encode(out)
            .expect("a vector grows as far as it must");
    }

    /// Takes the first request off the bytes; `None` if it is not all there yet.
    #[must_use]
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD>()?;
        let [signal, head @ ..] = *head;
        let [a, b, c, d, length @ ..] = head;
        let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
        let body = bytes.get(HEAD..HEAD.checked_add(length)?)?.to_vec();
        let signal = *Signal::ALL.get(usize::from(signal))?;
        bytes.drain(..HEAD + length);
        Some(Self {
            signal,
            items: u32::from_le_bytes([a, b, c, d]),
            body,
        })
    }
}

/// How many items a collector says that it has not taken, in the body of its answer, and why. The answers
/// for all signals have the same form.
#[must_use]
pub fn rejected(answer: &[u8]) -> (u64, String) {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    let count = u64::try_from(partial.rejected_spans).unwrap_or(0);
    (count, partial.error_message)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::ResourceLogs;

    use super::*;

    #[test]
    fn requests_come_out_as_they_went_in() {
        let message = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                schema_url: "x".repeat(300),
                ..ResourceLogs::default()
            }],
        };
        let mut all = Vec::new();
        for (items, signal) in Signal::ALL.into_iter().enumerate() {
            Request::put(signal, items, &message, &mut all);
        }
        let mut come = Vec::new();
        let mut taken = Vec::new();
        for byte in all {
            come.push(byte);
            taken.extend(Request::take(&mut come));
        }
        let signals = taken.iter().map(|request| (request.signal, request.items));
        assert_eq!(
            signals.collect::<Vec<_>>(),
            [(Signal::Traces, 0), (Signal::Metrics, 1), (Signal::Logs, 2)]
        );
        assert!(
            taken
                .iter()
                .all(|request| request.body == message.encode_to_vec())
        );
        assert!(come.is_empty());
    }
}
