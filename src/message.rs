//! Messages on standard error, under the name that the command was started as; with colours on a terminal,
//! unless `NO_COLOR` is set (<https://no-color.org>).

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provider::text::escaped_lines;

/// Says things on standard error: `rdtrace: ...`, or `dtrace: ...` when installed under that name.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    name: String,
    coloured: bool,
    shared: Arc<Mutex<Shared>>,
}

/// What all threads that say something must know.
#[derive(Debug, Default)]
struct Shared {
    /// The messages that are kept back while a screen has the terminal.
    held: Option<Vec<String>>,
    /// Whether a line of progress stands on the terminal.
    progress: bool,
}

/// How a terminal shows the name, carets and hints, and how it ends that.
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// The line that the cursor is on, taken away.
const ERASED: &str = "\r\x1b[K";

impl Messages {
    /// Under the last part of `argv[0]`.
    pub(crate) fn new(argv0: Option<&str>) -> Self {
        let name = argv0
            .and_then(|path| Path::new(path).file_name()?.to_str())
            .unwrap_or("rdtrace");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            name: name.to_owned(),
            shared: Arc::default(),
            coloured: !no_colour && Self::has_terminal(),
        }
    }

    /// One message; it may have several lines. Names in it may hold anything; what a terminal would
    /// obey is shown as `\x1b`. A standard error that is closed is no reason to
    /// stop tracing.
    pub(crate) fn say(&self, text: &str) {
        self.write(text, |text| {
            let name = &self.name;
            if self.coloured {
                let lines: Vec<_> = text.split('\n').map(coloured).collect();
                format!("{BOLD}{name}:{PLAIN} {}", lines.join("\n"))
            } else {
                format!("{name}: {text}")
            }
        });
    }

    /// A line without the command's name, as libdtrace itself writes it.
    pub(crate) fn say_unnamed(&self, text: &str) {
        self.write(text, str::to_owned);
    }

    /// Writes a text, dressed as it is to appear, unless messages are kept back.
    fn write(&self, text: &str, dress: impl FnOnce(&str) -> String) {
        let mut shared = self.shared();
        if let Some(held) = &mut shared.held {
            held.push(text.to_owned());
            return;
        }
        let mut stderr = std::io::stderr().lock();
        if std::mem::take(&mut shared.progress) {
            let _ = write!(stderr, "{ERASED}");
        }
        let _ = writeln!(stderr, "{}", dress(&escaped_lines(text)));
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps messages back from now on: a screen has the terminal.
    pub(crate) fn hold(&self) {
        self.shared().held.get_or_insert_default();
    }

    /// The first line of the last message that is kept back.
    pub(crate) fn last_held(&self) -> Option<String> {
        let shared = self.shared();
        let line = shared.held.as_ref()?.last()?.lines().next()?;
        Some(escaped_lines(line))
    }

    /// Says what was kept back, and all that follows at once.
    pub(crate) fn release(&self) {
        let held = self.shared().held.take();
        for text in held.unwrap_or_default() {
            self.say(&text);
        }
    }

    /// Whether lines can come and go.
    pub(crate) fn has_terminal() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        !is_dumb && std::io::stderr().is_terminal()
    }

    /// Shows a line of progress in the place of the last one, or takes that away.
    pub(crate) fn show_progress(&self, text: Option<&str>) {
        let mut shared = self.shared();
        if shared.held.is_some() || text.is_none() && !shared.progress {
            return;
        }
        shared.progress = text.is_some();
        let text = text.map(|text| format!("{}: {}", self.name, escaped_lines(text)));
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{ERASED}{}", text.unwrap_or_default());
        let _ = stderr.flush();
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
    fn what_is_kept_back_can_be_looked_at() {
        let messages = Messages::new(Some("rdtrace"));
        assert_eq!(messages.last_held(), None);
        messages.hold();
        messages.say("one");
        messages.clone().say("two\nlines");
        assert_eq!(messages.last_held().as_deref(), Some("two"));
        messages.release();
        assert_eq!(messages.last_held(), None);
    }

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
