//! `--format otlp`: sending what the output makes to an OpenTelemetry collector.
//!
//! A thread of its own sends, so that a slow collector, or none, holds nothing up. What waits to be sent
//! is bounded; what finds no room, or is not taken in time, is counted and told.
//!
//! The libraries are small ones that need no C: `ureq` for HTTP, `h2` on one thread for gRPC, of which a
//! client that sends one message at a time is a page. Nothing is encrypted: who needs that has a collector
//! at hand that passes on what it gets.

mod grpc;
mod http;
mod sender;
mod settings;

use std::io;
use std::time::Duration;

use actions::consume::otlp::Request;

use self::grpc::Grpc;
use self::http::Http;
use self::sender::Sender;
pub(crate) use self::settings::resource;
use self::settings::{Protocol, Settings};
use crate::message::Messages;
use crate::run::Output;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was taken, but for so many items, for this reason.
    Taken(u64, String),
    /// It may be taken later, and not before so long.
    Later(Option<Duration>, String),
    /// It is not taken.
    Refused(String),
}

/// A way to send requests.
pub(crate) trait Transport: Send {
    fn send(&mut self, request: &Request) -> Answer;
}

/// The output that sends all to the collector that `-o` or the environment names.
pub(crate) fn output(named: Option<&str>, messages: &Messages) -> anyhow::Result<Output> {
    let settings = Settings::read(named)?;
    let endpoint = settings.endpoint.clone();
    let messages = messages.clone();
    let sender = Sender::new(
        settings.endpoint.clone(),
        settings.timeout,
        Box::new(move || transport(&settings)),
        Box::new(move |text| messages.say(text)),
    );
    Ok(Output::named(&endpoint, sender))
}

fn transport(settings: &Settings) -> io::Result<Box<dyn Transport>> {
    Ok(match settings.protocol {
        Protocol::Http => Box::new(Http::new(settings)),
        Protocol::Grpc => Box::new(Grpc::new(settings)?),
    })
}
