//! The threads between the ring buffer and the output.
//!
//! ```text
//!   ring --drain thread--> chunks of records --format thread--> Consumer --> output, messages
//! ```
//!
//! One thread does nothing but empty the ring, so that a slow output (a full pipe, a disk that
//! truncates a file) does not lose records; the other formats and writes. The kernel never wakes
//! us, because waking costs the traced program more than anything else: the ring is polled, 1 ms
//! after it had something and up to 10 ms when it is idle.
//!
//! Chunks are used again, and all together are bounded. When they are all full, the drain thread
//! stops draining, the ring fills up, and the kernel side counts the drops: nothing waits for
//! anything in a circle.
//!
//! Output is written in large pieces while there is input, and at once when there is none.

mod chunks;
mod lock;
mod sinks;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::ops::ControlFlow;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::chunks::{Chunk, Queue};
use self::lock::lock;
pub use self::sinks::{Cut, Event, Sinks, Statistics};
use self::writer::Writer;
use super::{Consumer, DropCounts};
use crate::record::{BEGUN_EPID, EXIT_EPID, Ecb};

/// The ring buffer that the probes write records to.
pub trait Ring: Send {
    /// Hands every record to `take`, in order, until there is none or `take` breaks off. A record
    /// handed over is consumed, the last one too. Gives how many there were.
    fn drain(&mut self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> usize;

    /// Whether `exit()` has run.
    fn has_exited(&mut self) -> bool;
}

/// How much memory the records between the threads may take.
const MEMORY: usize = 64 << 20;

/// The shortest and longest time between two looks at the ring.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));

/// The running threads. They end when it is dropped.
#[derive(Debug)]
pub struct Pipeline {
    consumer: Arc<Mutex<Consumer>>,
    queue: Arc<Queue>,
    begun: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    threads: Option<Threads>,
}

/// What the threads ended with: the drain thread, the format thread.
type Ended = (thread::Result<Box<dyn Ring>>, thread::Result<Writer>);

#[derive(Debug)]
struct Threads {
    drain: JoinHandle<Box<dyn Ring>>,
    format: JoinHandle<Writer>,
}

/// The ECBs whose records the threads understand.
#[derive(Clone, Debug)]
pub struct EcbTable(Arc<Mutex<Consumer>>);

impl EcbTable {
    /// Adds some.
    pub fn add(&self, ecbs: Vec<Ecb>) {
        lock(&self.0).add_ecbs(ecbs);
    }
}

/// Where metrics of the aggregations come from, at any time.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Mutex<Consumer>>);

impl Metrics {
    /// Those of now, in Prometheus' text format. Formatting waits meanwhile, the ring does not.
    ///
    /// # Errors
    ///
    /// When the maps cannot be read.
    pub fn text(&self) -> io::Result<String> {
        lock(&self.0).metrics()
    }
}

impl Pipeline {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start(ring: Box<dyn Ring>, consumer: Consumer, sinks: Sinks) -> io::Result<Self> {
        let consumer = Arc::new(Mutex::new(consumer));
        let queue = Arc::new(Queue::new(MEMORY));
        let begun = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(Arc::clone(&consumer), sinks);
        let format = {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name("format".into())
                .spawn(move || format(writer, &queue))?
        };
        let drain = {
            let (queue, begun) = (Arc::clone(&queue), Arc::clone(&begun));
            let stop = Arc::clone(&stop);
            thread::Builder::new()
                .name("drain".into())
                .spawn(move || drain(ring, &queue, &begun, &stop))
        };
        if drain.is_err() {
            queue.close();
        }
        Ok(Self {
            consumer,
            queue,
            begun,
            stop,
            threads: Some(Threads {
                drain: drain?,
                format,
            }),
        })
    }

    /// The consumer. Formatting waits as long as the guard lives.
    pub fn consumer(&self) -> MutexGuard<'_, Consumer> {
        lock(&self.consumer)
    }

    /// Where ECBs are added, from whatever thread, before their probes are attached.
    pub fn ecbs(&self) -> EcbTable {
        EcbTable(Arc::clone(&self.consumer))
    }

    /// Where metrics come from.
    pub fn metrics(&self) -> Metrics {
        Metrics(Arc::clone(&self.consumer))
    }

    /// Says that BEGIN's firing is over ([`Consumer::begins`]).
    pub fn begun(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Reports new drops, behind what has been formatted so far.
    pub fn drops(&self, counts: &DropCounts) {
        self.consumer().drops(counts);
        self.queue.request_flush();
    }

    /// Empties the ring once, formats and writes everything, and ends the threads. The probes may
    /// fire on; what comes later is for [`Stopped::drain`].
    pub fn stop(mut self) -> Stopped {
        let (ring, writer) = self
            .end_threads()
            .expect("they are ended when it is taken, here or by dropping it");
        Stopped {
            ring: ring.unwrap_or_else(|cause| panic::resume_unwind(cause)),
            writer: writer.unwrap_or_else(|cause| panic::resume_unwind(cause)),
        }
    }

    /// Ends the threads, and gives what each ended with; `None` if they have been ended.
    fn end_threads(&mut self) -> Option<Ended> {
        let Threads { drain, format } = self.threads.take()?;
        self.stop.store(true, Ordering::Release);
        drain.thread().unpark();
        Some((drain.join(), format.join()))
    }
}

/// A run that fails before its end must not leave threads behind. They would go on for ever, and a
/// signal that the rest of the process blocks would be delivered to them: each thread has the mask of
/// the time when it was started.
impl Drop for Pipeline {
    fn drop(&mut self) {
        // A panic of theirs is not worth a second one.
        let _ = self.end_threads();
    }
}

/// The pipeline without its threads, for the end of a run: END's records and the last output.
#[derive(Debug)]
pub struct Stopped {
    ring: Box<dyn Ring>,
    writer: Writer,
}

impl Stopped {
    /// Formats and writes what is in the ring now.
    pub fn drain(&mut self) {
        let Self { ring, writer } = self;
        ring.drain(&mut |record| {
            writer.record(record);
            ControlFlow::Continue(())
        });
        writer.flush();
    }

    /// The consumer.
    pub fn consumer(&self) -> MutexGuard<'_, Consumer> {
        self.writer.consumer()
    }

    /// Reports new drops.
    pub fn drops(&mut self, counts: &DropCounts) {
        self.writer.consumer().drops(counts);
        self.writer.flush();
    }

    /// Says that Ctrl-C has ended the run.
    pub fn interrupted(&mut self) {
        self.writer.interrupted();
    }

    /// Ends the output, with the aggregations that were never printed.
    pub fn finish(mut self) -> Statistics {
        self.writer.finish()
    }
}

impl std::fmt::Debug for dyn Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ring")
    }
}

/// The drain thread: ring to chunks, until it is told to stop and the ring is empty.
///
/// What is no record but has a place among them is passed on as a record of its own.
fn drain(
    mut ring: Box<dyn Ring>,
    queue: &Queue,
    begun: &AtomicBool,
    stop: &AtomicBool,
) -> Box<dyn Ring> {
    let mut pause = POLL.0;
    let mut chunk = Chunk::default();
    let (mut told_begun, mut told_exit) = (false, false);
    loop {
        // Looked at first: what was in the ring when we were told to stop must come out.
        let stopping = stop.load(Ordering::Acquire);
        let begun = !told_begun && begun.load(Ordering::Acquire);
        let exited = !told_exit && ring.has_exited();
        let mut full = false;
        let count = ring.drain(&mut |record| {
            chunk.push(record);
            if !chunk.is_full() {
                return ControlFlow::Continue(());
            }
            full = !queue.put(&mut chunk);
            if full {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let emptied = !full;
        if emptied && begun {
            chunk.push(&mark(BEGUN_EPID));
            told_begun = true;
        }
        if emptied && exited {
            chunk.push(&mark(EXIT_EPID));
            told_exit = true;
        }
        if !chunk.is_empty() {
            // A busy reader gets fewer, larger chunks.
            full = (chunk.is_full() || stopping || queue.is_empty()) && !queue.put(&mut chunk);
        }
        // Once empty is enough: probes that fire on must not keep us here.
        if stopping && emptied && chunk.is_empty() {
            queue.close();
            return ring;
        }
        if full {
            // No memory left: wait for the writer, and leave the rest in the ring.
            queue.wait_for_room(POLL.1);
        } else if count > 0 || !chunk.is_empty() {
            pause = POLL.0;
            thread::park_timeout(if stopping { Duration::ZERO } else { pause });
        } else {
            thread::park_timeout(pause);
            pause = (pause * 2).min(POLL.1);
        }
    }
}

/// A record of the drain thread's own.
fn mark(epid: u32) -> [u8; 8] {
    u64::from(epid).to_le_bytes()
}

/// The format thread: chunks to output.
fn format(mut writer: Writer, queue: &Queue) -> Writer {
    loop {
        let Some(chunk) = queue.try_get() else {
            writer.flush();
            if queue.wait() {
                continue;
            }
            return writer;
        };
        for record in chunk.records() {
            writer.record(record);
        }
        queue.give_back(chunk);
    }
}
