//! OTLP over gRPC: HTTP/2 without encryption, each request one call of one message.
//!
//! ```text
//!   POST /opentelemetry.proto.collector.trace.v1.TraceService/Export
//!   content-type: application/grpc            te: trailers
//!   [compressed: u8][length: u32, big-endian][protobuf]
//! ```
//!
//! The answer has the same form, and behind it, or in its place, trailers with `grpc-status`.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::time::Duration;

use actions::consume::otlp::{Request, Signal, rejected};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use h2::client::{self, SendRequest};
use http::{HeaderMap, Method};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};

use super::settings::Settings;
use super::{Answer, Transport};

/// The bytes before a message.
const HEAD: usize = 5;

/// The most bytes of an answer that are kept.
const MOST_ANSWER: usize = 64 << 10;

pub(super) struct Grpc {
    runtime: Runtime,
    settings: Settings,
    /// `HOST:PORT`.
    authority: String,
    /// The connection, while there is one.
    connection: Option<SendRequest<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", crate::message::reason(.0))]
    Io(#[from] io::Error),
    #[error("{0}")]
    Http2(#[from] h2::Error),
    #[error("{0}")]
    Request(#[from] http::Error),
}

impl Grpc {
    pub(super) fn new(settings: &Settings) -> io::Result<Self> {
        let authority = settings.endpoint.trim_start_matches("http://");
        let authority = authority.split('/').next().unwrap_or_default();
        Ok(Self {
            runtime: runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()?,
            settings: settings.clone(),
            authority: authority.into(),
            connection: None,
        })
    }
}

impl Transport for Grpc {
    fn send(&mut self, request: &Request) -> Answer {
        let Self {
            runtime,
            settings,
            authority,
            connection,
        } = self;
        let answer = runtime.block_on(async {
            let call = call(connection, authority, settings, request);
            tokio::time::timeout(settings.timeout, call).await
        });
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.connection = None;
                match error {
                    Failure::Request(_) => Answer::Refused(error.to_string()),
                    Failure::Io(_) | Failure::Http2(_) => Answer::Later(None, error.to_string()),
                }
            }
            Err(_) => {
                self.connection = None;
                Answer::Later(None, "no answer in time".into())
            }
        }
    }
}

async fn call(
    connection: &mut Option<SendRequest<Bytes>>,
    authority: &str,
    settings: &Settings,
    request: &Request,
) -> Result<Answer, Failure> {
    let sender = match connection.take() {
        Some(sender) => sender,
        None => connect(authority).await?,
    };
    let mut sender = sender.ready().await?;
    let service = match request.signal {
        Signal::Traces => "trace.v1.TraceService",
        Signal::Metrics => "metrics.v1.MetricsService",
        Signal::Logs => "logs.v1.LogsService",
    };
    let path = format!("http://{authority}/opentelemetry.proto.collector.{service}/Export");
    let mut head = http::Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", concat!("rdtrace/", env!("CARGO_PKG_VERSION")));
    if settings.gzip {
        head = head.header("grpc-encoding", "gzip");
    }
    for (name, value) in &settings.headers {
        // gRPC has names in lower case only.
        head = head.header(name.to_ascii_lowercase(), value);
    }
    let (answer, mut body) = sender.send_request(head.body(())?, false)?;
    body.send_data(framed(&request.body, settings.gzip)?, true)?;
    let (head, mut body) = answer.await?.into_parts();
    let mut message = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        let room = MOST_ANSWER.saturating_sub(message.len());
        message.extend_from_slice(part.get(..room).unwrap_or(&part));
    }
    let trailers = poll_fn(|context| body.poll_trailers(context)).await?;
    *connection = Some(sender);
    if !head.status.is_success() {
        return Ok(Answer::Later(None, head.status.to_string()));
    }
    // An answer without a message has its status in front.
    let status = trailers
        .as_ref()
        .filter(|trailers| trailers.contains_key("grpc-status"));
    Ok(meaning(status.unwrap_or(&head.headers), &message))
}

async fn connect(authority: &str) -> Result<SendRequest<Bytes>, Failure> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = client::handshake(stream).await?;
    // It goes on whenever there is something to send, and its errors are those of the calls.
    tokio::spawn(connection);
    Ok(sender)
}

fn framed(body: &[u8], gzip: bool) -> io::Result<Bytes> {
    let mut bytes = vec![u8::from(gzip); HEAD];
    if gzip {
        let mut writer = GzEncoder::new(bytes, Compression::fast());
        // The head is not compressed.
        writer.write_all(body)?;
        bytes = writer.finish()?;
    } else {
        bytes.extend_from_slice(body);
    }
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let length = u32::try_from(bytes.len() - HEAD).map_err(too_long)?;
    bytes[1..HEAD].copy_from_slice(&length.to_be_bytes());
    Ok(bytes.into())
}

/// What the status of an answer means, with its message behind the head.
fn meaning(status: &HeaderMap, message: &[u8]) -> Answer {
    let text = |name: &str| status.get(name).and_then(|value| value.to_str().ok());
    let why = text("grpc-message").unwrap_or_default();
    match text("grpc-status") {
        Some("0") => {
            let (count, why) = rejected(message.get(HEAD..).unwrap_or_default());
            Answer::Taken(count, why)
        }
        // Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
        Some(code @ ("1" | "4" | "8" | "10" | "11" | "14" | "15")) => {
            Answer::Later(None::<Duration>, format!("gRPC status {code} {why}"))
        }
        Some(code) => Answer::Refused(format!("gRPC status {code} {why}")),
        None => Answer::Later(None, "an answer without a gRPC status".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_before_it() {
        assert_eq!(&framed(b"abc", false).unwrap()[..], b"\0\0\0\0\x03abc");
        let packed = framed(&[b'x'; 1000], true).unwrap();
        assert_eq!(packed[0], 1);
        assert_eq!(usize::from(packed[4]), packed.len() - HEAD);
        assert_eq!(&packed[HEAD..HEAD + 2], b"\x1f\x8b");
    }

    #[test]
    fn a_status_says_whether_it_is_worth_another_try() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            meaning(&pairs.collect::<HeaderMap>(), b"")
        };
        assert_eq!(of(&[("grpc-status", "0")]), Answer::Taken(0, String::new()));
        assert_eq!(
            of(&[("grpc-status", "14"), ("grpc-message", "full")]),
            Answer::Later(None, "gRPC status 14 full".into())
        );
        assert_eq!(
            of(&[("grpc-status", "16")]),
            Answer::Refused("gRPC status 16 ".into())
        );
    }
}
