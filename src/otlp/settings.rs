//! Which collector, and how it is spoken to: `-o`, and the environment variables of OpenTelemetry's
//! exporters.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, protobuf.
    Http,
    /// gRPC.
    Grpc,
}

/// How the collector is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `http://HOST:PORT`, and for HTTP the path that those of the signals are below; no slash at the end.
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    /// More headers for each request.
    pub(crate) headers: Vec<(String, String)>,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// Whether requests are compressed.
    pub(crate) gzip: bool,
}

/// Where a collector is unless something says otherwise.
const DEFAULT: &str = "http://localhost:4318";

/// The port that is registered for gRPC.
const GRPC_PORT: &str = ":4317";

impl Settings {
    /// What `-o` and the environment say.
    pub(crate) fn read(output: Option<&str>) -> Result<Self> {
        Self::of(output, &|name| std::env::var(name).ok())
    }

    fn of(output: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| {
            let name = format!("OTEL_EXPORTER_OTLP_{name}");
            variable(&name).filter(|value| !value.is_empty())
        };
        let from_environment = variable("ENDPOINT");
        let endpoint = output.or(from_environment.as_deref()).unwrap_or(DEFAULT);
        let endpoint = endpoint.trim_end_matches('/');
        if endpoint.starts_with("https://") {
            bail!(
                "{endpoint}: rdtrace does not encrypt what it sends; say -o http://HOST:4318 of a \
                 collector on this machine or network, which passes it on encrypted"
            );
        }
        if !endpoint.starts_with("http://") {
            bail!("{endpoint}: otlp is sent to a collector, which -o names: http://HOST:4318");
        }
        let protocol = match variable("PROTOCOL").as_deref() {
            Some("grpc") => Protocol::Grpc,
            Some("http/protobuf") => Protocol::Http,
            None if endpoint.ends_with(GRPC_PORT) => Protocol::Grpc,
            None => Protocol::Http,
            Some(other) => {
                bail!("OTEL_EXPORTER_OTLP_PROTOCOL={other}: there are http/protobuf and grpc")
            }
        };
        let gzip = match variable("COMPRESSION").as_deref() {
            Some("gzip") => true,
            Some("none") | None => false,
            Some(other) => bail!("OTEL_EXPORTER_OTLP_COMPRESSION={other}: there are gzip and none"),
        };
        let timeout = match variable("TIMEOUT") {
            Some(millis) => {
                let wrong = || format!("OTEL_EXPORTER_OTLP_TIMEOUT={millis}: not milliseconds");
                Duration::from_millis(millis.parse().with_context(wrong)?)
            }
            None => Duration::from_secs(10),
        };
        Ok(Self {
            endpoint: endpoint.into(),
            protocol,
            headers: pairs(&variable("HEADERS").unwrap_or_default()),
            timeout,
            gzip,
        })
    }
}

/// What is said of this machine and run with all that is sent.
pub(crate) fn resource() -> Vec<(String, String)> {
    let host = nix::unistd::gethostname().unwrap_or_default();
    attributes(&host.to_string_lossy(), &|name| std::env::var(name).ok())
}

fn attributes(host: &str, variable: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut all = vec![
        ("service.name".to_owned(), "rdtrace".to_owned()),
        ("host.name".to_owned(), host.to_owned()),
        ("os.type".to_owned(), "linux".to_owned()),
    ];
    let given = pairs(&variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    let name = variable("OTEL_SERVICE_NAME").filter(|name| !name.is_empty());
    let name = name.map(|name| ("service.name".to_owned(), name));
    for (key, value) in given.into_iter().chain(name) {
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => all.push((key, value)),
        }
    }
    all
}

/// `key=value,key=value`, values with `%20` and its like.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(key, value)| (key.trim().to_owned(), decoded(value.trim())));
    pairs.filter(|(key, _)| !key.is_empty()).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let code = after.get(..2).and_then(|code| str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match code.filter(|_| *byte == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: Option<&str>, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::of(output, &variable).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://there:4317"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1, b=x%20y,nothing"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ];
        let there = read(None, &environment).unwrap();
        let headers = [("a", "1"), ("b", "x y")];
        let expected = Settings {
            endpoint: "http://there:4317".into(),
            protocol: Protocol::Grpc,
            headers: headers.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            timeout: Duration::from_millis(250),
            gzip: true,
        };
        assert_eq!(there, expected);
        let here = read(Some("http://here:4318/otel/"), &environment).unwrap();
        assert_eq!(here.endpoint, "http://here:4318/otel");
        assert_eq!(here.protocol, Protocol::Http);
        assert_eq!(read(None, &[]).unwrap().endpoint, DEFAULT);
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (output, environment, message) in [
            (
                Some("out.bin"),
                &[][..],
                "out.bin: otlp is sent to a collector",
            ),
            (
                Some("https://x"),
                &[],
                "https://x: rdtrace does not encrypt",
            ),
            (
                None,
                &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
                "OTEL_EXPORTER_OTLP_PROTOCOL=http/json: there are",
            ),
            (
                None,
                &[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")],
                "OTEL_EXPORTER_OTLP_TIMEOUT=soon: not milliseconds",
            ),
        ] {
            let error = read(output, environment).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn attributes_of_the_environment_replace_ours() {
        let variable = |name: &str| match name {
            "OTEL_RESOURCE_ATTRIBUTES" => Some("host.name=n1,team=a%2Cb,service.name=x".to_owned()),
            "OTEL_SERVICE_NAME" => Some("shop".to_owned()),
            _ => None,
        };
        let all = attributes("here", &variable);
        let all: Vec<_> = all
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            all,
            [
                "service.name=shop",
                "host.name=n1",
                "os.type=linux",
                "team=a,b"
            ]
        );
    }
}
