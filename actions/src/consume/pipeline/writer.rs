//! The consumer with its output: formats into a buffer, and writes it in large pieces with the
//! messages in their places.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::super::{Consumer, Effect, EffectKind, Outcome};
use super::lock::lock;
use super::sinks::{Cut, Event, Sinks, Statistics};

/// The buffer is written when it has this many bytes.
const BUFFER: usize = 256 << 10;

/// Time to wait for an output that takes nothing now, because someone made it non-blocking.
const RETRY: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Writer {
    consumer: Arc<Mutex<Consumer>>,
    sinks: Sinks,
    buffer: Vec<u8>,
    /// After an error, output is thrown away: the records must go on flowing until the run ends.
    failed: bool,
    written: u64,
    /// How many bytes at the end of the output are to be taken back, and what is to stand there instead,
    /// if it takes no more.
    closing: Option<(usize, &'static [u8])>,
    /// What `freopen()` has put in the place of the output.
    file: Option<File>,
}

impl Writer {
    pub(super) fn new(consumer: Arc<Mutex<Consumer>>, sinks: Sinks) -> Self {
        let buffer = Vec::with_capacity(BUFFER + (64 << 10));
        Self {
            consumer,
            sinks,
            buffer,
            failed: false,
            written: 0,
            closing: None,
            file: None,
        }
    }

    pub(super) fn consumer(&self) -> MutexGuard<'_, Consumer> {
        lock(&self.consumer)
    }

    pub(super) fn record(&mut self, record: &[u8]) {
        let outcome = lock(&self.consumer).record(record, &mut self.buffer);
        if self.buffer.len() >= BUFFER || lock(&self.consumer).has_urgent_effects() {
            self.flush();
        }
        if let Outcome::Exit = outcome {
            // What the program printed before it said `exit` is out when the command acts on it.
            self.flush();
            (self.sinks.event)(Event::Exit);
        }
    }

    pub(super) fn finish(&mut self) -> Statistics {
        lock(&self.consumer).finish(&mut self.buffer);
        self.flush();
        Statistics {
            consumer: lock(&self.consumer).stats(),
            bytes: self.written,
        }
    }

    pub(super) fn interrupted(&mut self) {
        lock(&self.consumer).interrupted(&mut self.buffer);
    }

    /// Writes the buffer, and does what else there is to do, each in its place.
    pub(super) fn flush(&mut self) {
        let effects = {
            let mut consumer = lock(&self.consumer);
            consumer.before_write(&mut self.buffer);
            consumer.take_effects(&mut self.buffer)
        };
        let mut start = 0;
        for Effect { at, kind } in effects {
            let end = at.clamp(start, self.buffer.len());
            self.write(start, end);
            start = end;
            match kind {
                EffectKind::Message(text) => (self.sinks.report)(&text),
                EffectKind::System(command) => self.system(command),
                EffectKind::Freopen { path, place } => self.freopen(path, &place),
                EffectKind::Ftruncate => self.ftruncate(),
            }
        }
        self.write(start, self.buffer.len());
        self.buffer.clear();
    }

    /// Runs a command with the shell and waits for it. What it prints goes where the program's output
    /// goes, if that is standard output or took its place.
    fn system(&mut self, command: Vec<u8>) {
        let mut shell = Command::new("/bin/sh");
        // Its messages begin with this name, as after system(3).
        shell.arg0("sh").arg("-c").arg(OsString::from_vec(command));
        if let (Some(file), true) = (&self.file, self.sinks.to_stdout)
            && let Ok(file) = file.try_clone()
        {
            shell.stdout(file);
        }
        if let Err(error) = shell.status() {
            (self.sinks.report)(&format!("cannot run /bin/sh: {error}"));
        }
    }

    fn freopen(&mut self, path: Option<Vec<u8>>, place: &str) {
        let Some(path) = path else {
            self.file = None;
            return;
        };
        let path = PathBuf::from(OsString::from_vec(path));
        match File::options().append(true).create(true).open(&path) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                let (path, why) = (path.display(), Reason(&error));
                (self.sinks.report)(&format!("{place}: couldn't freopen() \"{path}\": {why}"));
            }
        }
    }

    /// Empties the file that the output goes to; what is no file stays as it is.
    fn ftruncate(&mut self) {
        let _ = self.cut(Cut::All);
    }

    fn cut(&mut self, cut: Cut) -> io::Result<()> {
        match &self.file {
            Some(file) => cut.apply(file),
            None => (self.sinks.cut)(cut),
        }
    }

    fn write(&mut self, start: usize, end: usize) {
        if self.failed || start == end {
            return;
        }
        let bytes = self.buffer.get(start..end).unwrap_or_default();
        let output: &mut dyn Write = match &mut self.file {
            Some(file) => file,
            None => self.sinks.output.as_mut(),
        };
        let (written, result) = write_all(output, bytes);
        self.written += written as u64;
        let written = bytes.get(..written).unwrap_or_default();
        let closing = lock(&self.consumer).close_early(written);
        // What the output may end with, counted from its end.
        self.closing = match (closing, self.closing) {
            (Some((at, text)), _) => Some((written.len() - at, text)),
            (None, Some((back, text))) => Some((back + written.len(), text)),
            (None, None) => None,
        };
        let Err(error) = result else { return };
        self.failed = true;
        if error.kind() == ErrorKind::BrokenPipe {
            (self.sinks.event)(Event::OutputClosed);
        } else {
            self.close_early();
            (self.sinks.event)(Event::OutputFailed(error));
        }
    }

    /// Makes an output complete that takes no more, where it is a file: takes back what is not whole,
    /// which leaves room for the end.
    fn close_early(&mut self) {
        let Some((back, text)) = self.closing else {
            return;
        };
        if self.cut(Cut::Last(back as u64)).is_ok() {
            let output: &mut dyn Write = match &mut self.file {
                Some(file) => file,
                None => self.sinks.output.as_mut(),
            };
            let _ = write_all(output, text);
        }
    }
}

/// An error as C's `strerror` has it: without the number that Rust puts behind.
struct Reason<'e>(&'e io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let end = text.find(" (os error").unwrap_or(text.len());
        f.write_str(&text[..end])
    }
}

/// As `Write::write_all`, and waits for outputs that are non-blocking. Tells how much was written.
fn write_all(output: &mut dyn Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match output.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, output.flush())
}
