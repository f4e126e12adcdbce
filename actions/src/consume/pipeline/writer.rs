//! The consumer with its output: formats into a buffer, and writes it in large pieces with the
//! messages in their places.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::super::{Consumer, Outcome};
use super::{Event, Sinks, Statistics, lock};

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
        }
    }

    pub(super) fn consumer(&self) -> MutexGuard<'_, Consumer> {
        lock(&self.consumer)
    }

    pub(super) fn record(&mut self, record: &[u8]) {
        let outcome = lock(&self.consumer).record(record, &mut self.buffer);
        if self.buffer.len() >= BUFFER {
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

    /// Writes the buffer, and the messages each in its place.
    pub(super) fn flush(&mut self) {
        let messages = lock(&self.consumer).take_messages(&mut self.buffer);
        let mut start = 0;
        for message in messages {
            let end = message.at.clamp(start, self.buffer.len());
            self.write(start, end);
            start = end;
            (self.sinks.report)(&message.text);
        }
        self.write(start, self.buffer.len());
        self.buffer.clear();
    }

    fn write(&mut self, start: usize, end: usize) {
        if self.failed || start == end {
            return;
        }
        let bytes = self.buffer.get(start..end).unwrap_or_default();
        match write_all(self.sinks.output.as_mut(), bytes) {
            Ok(()) => self.written += bytes.len() as u64,
            Err(error) => {
                self.failed = true;
                let closed = error.kind() == ErrorKind::BrokenPipe;
                let event = if closed {
                    Event::OutputClosed
                } else {
                    Event::OutputFailed(error)
                };
                (self.sinks.event)(event);
            }
        }
    }
}

/// As `Write::write_all`, and waits for outputs that are non-blocking.
fn write_all(output: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    output.flush()
}
