//! Messages on standard error, under the name that the command was started as; with colours on a terminal,
//! unless `NO_COLOR` is set (<https://no-color.org>).

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use provider::text::escaped_lines;

/// Says things on standard error: `rdtrace: ...`, or `dtrace: ...` when installed under that name.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    name: String,
    coloured: bool,
}

/// How a terminal shows the name, carets and hints, and how it ends that.
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

impl Messages {
    /// Under the last part of `argv[0]`.
    pub(crate) fn new(argv0: Option<&str>) -> Self {
        let name = argv0
            .and_then(|path| Path::new(path).file_name()?.to_str())
            .unwrap_or("rdtrace");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            name: name.to_owned(),
            coloured: !no_colour && !is_dumb && std::io::stderr().is_terminal(),
        }
    }

    /// One message; it may have several lines. Names in it may hold anything; what a terminal would
    /// obey is shown as `\x1b`. A standard error that is closed is no reason to
    /// stop tracing.
    pub(crate) fn say(&self, text: &str) {
        let (name, text) = (&self.name, escaped_lines(text));
        let mut stderr = std::io::stderr().lock();
        let _ = if self.coloured {
            let lines: Vec<_> = text.split('\n').map(coloured).collect();
            writeln!(stderr, "{BOLD}{name}:{PLAIN} {}", lines.join("\n"))
        } else {
            writeln!(stderr, "{name}: {text}")
        };
    }
}

/// A line of a message: the carets below a source line are red, the hint is cyan.
fn coloured(line: &str) -> Cow<'_, str> {
    if let Some((margin, carets)) = line.split_once('|')
        && margin.trim().is_empty()
        && carets.trim_start().starts_with('^')
    {
        return Cow::Owned(format!("{margin}|{RED}{carets}{PLAIN}"));
    }
    match line.strip_prefix("  hint: ") {
        Some(hint) => Cow::Owned(format!("  {CYAN}hint:{PLAIN} {hint}")),
        None => Cow::Borrowed(line),
    }
}

/// An I/O error's words without Rust's `(os error N)`.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_carets_and_hints_are_coloured() {
        assert_eq!(
            coloured("    |   ^^^ here"),
            "    |\x1b[1;31m   ^^^ here\x1b[0m"
        );
        assert_eq!(coloured("  hint: say so"), "  \x1b[36mhint:\x1b[0m say so");
        for line in ["  3 | a ^ b", "a | ^", "", "failed to compile"] {
            assert_eq!(coloured(line), line);
        }
    }
}
