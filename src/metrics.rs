//! `--listen`: the aggregations of a run as metrics over HTTP, for Prometheus to fetch while it goes on.
//!
//! Nothing listens unless it is asked for, and no other machine is answered unless the address says so: a
//! port alone is one of 127.0.0.1. Who can reach the address can read the metrics.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use actions::consume::pipeline::Metrics;
use anyhow::{Context as _, Result, anyhow};
use tiny_http::{Header, Method, Request, Response, Server};

/// The type of Prometheus' text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers until it is dropped.
pub(crate) struct Listener {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

/// The address that `--listen` means: `ADDRESS:PORT`, or the port alone.
pub(crate) fn address(text: &str) -> Result<SocketAddr> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let wrong =
        || format!("--listen {text}: this is no PORT and no ADDRESS:PORT, as 127.0.0.1:9435");
    text.parse().with_context(wrong)
}

impl Listener {
    /// Begins to answer.
    pub(crate) fn start(address: SocketAddr, metrics: Metrics) -> Result<Self> {
        let server = Server::http(address);
        let server = server.map_err(|error| anyhow!("failed to listen on {address}: {error}"))?;
        let server = Arc::new(server);
        let requests = Arc::clone(&server);
        let answer_all = move || {
            while let Ok(request) = requests.recv() {
                // Who has gone away needs no answer.
                let _ = answer(request, &metrics);
            }
        };
        let thread = thread::Builder::new()
            .name("listen".into())
            .spawn(answer_all)?;
        let thread = Some(thread);
        Ok(Self { server, thread })
    }

    /// Where the metrics are.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/metrics", self.server.server_addr())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(request: Request, metrics: &Metrics) -> io::Result<()> {
    let path = request.url().split('?').next().unwrap_or_default();
    let (status, text) = match (request.method(), path) {
        (Method::Get | Method::Head, "/metrics") => match metrics.text() {
            Ok(text) => (200, text),
            Err(error) => (500, format!("cannot read aggregations: {error}\n")),
        },
        (Method::Get | Method::Head, "/") => (200, "rdtrace: see /metrics\n".into()),
        (Method::Get | Method::Head, _) => (404, "there is only /metrics\n".into()),
        _ => (405, "only GET is answered\n".into()),
    };
    let content_type = Header::from_bytes("Content-Type", CONTENT_TYPE);
    let mut response = Response::from_string(text).with_status_code(status);
    if let Ok(content_type) = content_type {
        response.add_header(content_type);
    }
    request.respond(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_this_machine_alone() {
        assert_eq!(address("9435").unwrap().to_string(), "127.0.0.1:9435");
        assert_eq!(address("0.0.0.0:9").unwrap().to_string(), "0.0.0.0:9");
        assert_eq!(address("[::1]:9").unwrap().to_string(), "[::1]:9");
        let error = address("localhost").unwrap_err().to_string();
        assert!(
            error.starts_with("--listen localhost: this is no PORT"),
            "{error}"
        );
    }
}
