//! OTLP over HTTP/1.1: each request a POST of protobuf to the path of its signal.

use std::io::Write as _;
use std::time::Duration;

use actions::consume::otlp::{Request, Signal, rejected};
use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::Agent;

use super::settings::Settings;
use super::{Answer, Transport};

/// The most bytes of an answer that are read.
const MOST_ANSWER: u64 = 64 << 10;

pub(super) struct Http {
    agent: Agent,
    endpoint: String,
    headers: Vec<(String, String)>,
    gzip: bool,
}

impl Http {
    pub(super) fn new(settings: &Settings) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(settings.timeout))
            .user_agent(concat!("rdtrace/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.new_agent(),
            endpoint: settings.endpoint.clone(),
            headers: settings.headers.clone(),
            gzip: settings.gzip,
        }
    }

    fn post(&self, request: &Request) -> Result<Answer, ureq::Error> {
        let path = match request.signal {
            Signal::Traces => "v1/traces",
            Signal::Metrics => "v1/metrics",
            Signal::Logs => "v1/logs",
        };
        let mut post = self.agent.post(format!("{}/{path}", self.endpoint));
        for (name, value) in &self.headers {
            post = post.header(name, value);
        }
        post = post.header("Content-Type", "application/x-protobuf");
        let mut answer = if self.gzip {
            let post = post.header("Content-Encoding", "gzip");
            post.send(&compressed(&request.body)?[..])?
        } else {
            post.send(&request.body[..])?
        };
        let status = answer.status();
        let after = answer.headers().get("Retry-After");
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        let after = after.map(Duration::from_secs);
        let body = answer.body_mut().with_config().limit(MOST_ANSWER);
        let body = body.read_to_vec().unwrap_or_default();
        Ok(match status.as_u16() {
            200..=299 => {
                let (count, why) = rejected(&body);
                Answer::Taken(count, why)
            }
            429 | 502 | 503 | 504 => Answer::Later(after, status.to_string()),
            _ => Answer::Refused(status.to_string()),
        })
    }
}

impl Transport for Http {
    fn send(&mut self, request: &Request) -> Answer {
        self.post(request).unwrap_or_else(|error| {
            if let ureq::Error::Io(error) = &error {
                return Answer::Later(None, crate::message::reason(error));
            }
            // A request that cannot be made will not be later either.
            if matches!(error, ureq::Error::BadUri(_) | ureq::Error::Http(_)) {
                return Answer::Refused(error.to_string());
            }
            Answer::Later(None, error.to_string())
        })
    }
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(body)?;
    writer.finish()
}
