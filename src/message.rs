//! Messages on standard error, under the name that the command was started as.

use std::io::Write as _;
use std::path::Path;

use provider::text::escaped_lines;

/// Says things on standard error: `rdtrace: ...`, or `dtrace: ...` when installed under that name.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    name: String,
}

impl Messages {
    /// Under the last part of `argv[0]`.
    pub(crate) fn new(argv0: Option<&str>) -> Self {
        let name = argv0
            .and_then(|path| Path::new(path).file_name()?.to_str())
            .unwrap_or("rdtrace");
        Self {
            name: name.to_owned(),
        }
    }

    /// One message; it may have several lines. Names in it may hold anything; what a terminal would
    /// obey is shown as `\x1b`. A standard error that is closed is no reason to
    /// stop tracing.
    pub(crate) fn say(&self, text: &str) {
        let text = escaped_lines(text);
        let _ = writeln!(std::io::stderr().lock(), "{}: {text}", self.name);
    }
}

/// An I/O error's words without Rust's `(os error N)`.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    }
}
