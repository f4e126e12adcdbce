//! Sending: a queue of requests, and the thread that sends them one after the other.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actions::consume::otlp::{Request, Signal};

use super::{Answer, Transport};

/// The most bytes of requests that wait.
const MOST_BYTES: usize = 32 << 20;

/// How long a request is tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Makes the way to send, on the thread that sends.
type Connect = Box<dyn FnOnce() -> io::Result<Box<dyn Transport>> + Send>;

/// Takes a line for standard error.
type Report = Box<dyn Fn(&str) + Send>;

/// Takes what the output writes, and sends it.
pub(super) struct Sender {
    /// What has been written of a request that is not whole.
    bytes: Vec<u8>,
    queue: Arc<Queue>,
    /// What the thread is made of; it starts with the first request, when the signals that are not for it
    /// are blocked.
    start: Option<(String, Connect, Report)>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// `last_patience` is how long what waits is tried when the run is over.
    pub(super) fn new(
        endpoint: String,
        last_patience: Duration,
        connect: Connect,
        report: Report,
    ) -> Self {
        Self {
            bytes: Vec::new(),
            queue: Arc::new(Queue {
                last_patience,
                ..Queue::default()
            }),
            start: Some((endpoint, connect, report)),
            thread: None,
        }
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((endpoint, connect, report)) = self.start.take() {
            let transport = connect()?;
            let worker = Worker {
                endpoint,
                transport,
                report,
                queue: Arc::clone(&self.queue),
                failing: false,
            };
            let thread = thread::Builder::new().name("otlp".into());
            self.thread = Some(thread.spawn(|| worker.run())?);
        }
        self.bytes.extend_from_slice(bytes);
        while let Some(request) = Request::take(&mut self.bytes) {
            self.queue.put(request);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // Its panic is not worth a second one.
            let _ = thread.join();
        }
    }
}

/// What waits to be sent.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    last_patience: Duration,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    bytes: usize,
    /// When the last has been put in.
    closed: Option<Instant>,
    /// How many items were lost, of each kind.
    lost: BTreeMap<Signal, u64>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, request: Request) {
        let mut waiting = self.lock();
        if waiting.bytes + request.body.len() > MOST_BYTES {
            *waiting.lost.entry(request.signal).or_default() += u64::from(request.items);
            return;
        }
        waiting.bytes += request.body.len();
        waiting.requests.push_back(request);
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = Some(Instant::now());
        self.changed.notify_all();
    }

    /// The next request; `None` when there is none and no more comes.
    fn next(&self) -> Option<Request> {
        let mut waiting = self.lock();
        loop {
            if let Some(request) = waiting.requests.pop_front() {
                waiting.bytes -= request.body.len();
                return Some(request);
            }
            if waiting.closed.is_some() {
                return None;
            }
            let changed = self.changed.wait(waiting);
            waiting = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lose(&self, signal: Signal, items: u64) {
        *self.lock().lost.entry(signal).or_default() += items;
    }

    /// Until when a request that was first tried at `since` is.
    fn deadline(&self, since: Instant) -> Instant {
        let last = self.lock().closed.map(|closed| closed + self.last_patience);
        last.map_or(since + PATIENCE, |last| last.min(since + PATIENCE))
    }

    /// Waits, but not longer than until the queue is closed, if it was not.
    fn pause(&self, pause: Duration) {
        let waiting = self.lock();
        if waiting.closed.is_some() {
            drop(waiting);
            thread::sleep(pause);
            return;
        }
        let is_open = |waiting: &mut Waiting| waiting.closed.is_none();
        // Whoever holds the lock panics no more than we do.
        let _ = self.changed.wait_timeout_while(waiting, pause, is_open);
    }
}

/// What the thread has.
struct Worker {
    endpoint: String,
    transport: Box<dyn Transport>,
    report: Report,
    queue: Arc<Queue>,
    /// Whether it has been told that the collector does not take what it gets.
    failing: bool,
}

impl Worker {
    fn run(mut self) {
        while let Some(request) = self.queue.next() {
            self.send(&request);
        }
        self.tell_lost();
    }

    /// Sends a request, or counts what is lost.
    fn send(&mut self, request: &Request) {
        let since = Instant::now();
        let items = u64::from(request.items);
        let mut pause = PAUSE.0;
        loop {
            match self.transport.send(request) {
                Answer::Taken(0, _) => {
                    if std::mem::take(&mut self.failing) {
                        self.tell_lost();
                        self.tell(&format!("{} takes what it is sent again", self.endpoint));
                    }
                    return;
                }
                Answer::Taken(count, why) => {
                    self.queue.lose(request.signal, count.min(items));
                    self.fail(&format!("does not take all: {why}"));
                    return;
                }
                Answer::Refused(why) => {
                    self.queue.lose(request.signal, items);
                    self.fail(&format!("refuses what it is sent: {why}"));
                    return;
                }
                Answer::Later(after, why) => {
                    self.fail(&format!("cannot be sent to: {why}; it is tried again"));
                    let pause_now = after.unwrap_or(pause).min(PATIENCE);
                    if Instant::now() + pause_now >= self.queue.deadline(since) {
                        self.queue.lose(request.signal, items);
                        return;
                    }
                    self.queue.pause(pause_now);
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Tells what is wrong, once until it is right again.
    fn fail(&mut self, what: &str) {
        if !self.failing {
            self.failing = true;
            self.tell(&format!("{} {what}", self.endpoint));
        }
    }

    fn tell_lost(&self) {
        let lost = std::mem::take(&mut self.queue.lock().lost);
        let lost: Vec<String> = lost
            .into_iter()
            .map(|(signal, count)| {
                let plural = if count == 1 { "" } else { "s" };
                format!("{count} {}{plural}", signal.item())
            })
            .collect();
        if !lost.is_empty() {
            let (lost, endpoint) = (lost.join(", "), &self.endpoint);
            self.tell(&format!("lost on the way to {endpoint}: {lost}"));
        }
    }

    fn tell(&self, text: &str) {
        (self.report)(text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Answers as it is told, and then takes all.
    struct Script(Vec<Answer>, std::sync::mpsc::Sender<u32>);

    impl Transport for Script {
        fn send(&mut self, request: &Request) -> Answer {
            let _ = self.1.send(request.items);
            if self.0.is_empty() {
                Answer::Taken(0, String::new())
            } else {
                self.0.remove(0)
            }
        }
    }

    /// A request as the output writes it: its head says so many logs.
    fn written(items: u8) -> Vec<u8> {
        vec![2, items, 0, 0, 0, 3, 0, 0, 0, b'a', b'b', b'c']
    }

    fn sender(answers: Vec<Answer>) -> (Sender, Receiver<u32>, Receiver<String>) {
        let (sent, sends) = channel();
        let (told, tells) = channel();
        let sender = Sender::new(
            "http://x".into(),
            Duration::from_secs(5),
            Box::new(move || Ok(Box::new(Script(answers, sent)))),
            Box::new(move |text| drop(told.send(text.to_owned()))),
        );
        (sender, sends, tells)
    }

    #[test]
    fn what_is_not_taken_at_once_is_tried_again() {
        let later = Answer::Later(Some(Duration::ZERO), "full".into());
        let (mut sender, sends, tells) = sender(vec![later.clone(), later]);
        let bytes: Vec<u8> = [written(5), written(6)].concat();
        for part in bytes.chunks(7) {
            sender.write_all(part).unwrap();
        }
        drop(sender);
        assert_eq!(sends.iter().collect::<Vec<_>>(), [5, 5, 5, 6]);
        assert_eq!(
            tells.iter().collect::<Vec<_>>(),
            [
                "http://x cannot be sent to: full; it is tried again",
                "http://x takes what it is sent again"
            ]
        );
    }

    #[test]
    fn what_is_lost_is_counted_and_told() {
        let answers = vec![
            Answer::Refused("401".into()),
            Answer::Taken(2, "too old".into()),
        ];
        let (mut sender, sends, tells) = sender(answers);
        sender
            .write_all(&[written(5), written(6)].concat())
            .unwrap();
        drop(sender);
        assert_eq!(sends.iter().collect::<Vec<_>>(), [5, 6]);
        assert_eq!(
            tells.iter().collect::<Vec<_>>(),
            [
                "http://x refuses what it is sent: 401",
                "lost on the way to http://x: 7 log records"
            ]
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let queue = Queue::default();
        for _ in 0..5 {
            queue.put(Request {
                signal: Signal::Traces,
                items: 100,
                body: vec![0; MOST_BYTES / 4],
            });
        }
        assert_eq!(queue.lock().lost[&Signal::Traces], 100);
        queue.next();
        assert_eq!(queue.lock().bytes, MOST_BYTES / 4 * 3);
    }

    #[test]
    fn at_the_end_nobody_waits_for_a_collector_that_is_not_there() {
        let never = Answer::Later(Some(PATIENCE), "refused".into());
        let (mut sender, _sends, tells) = sender(vec![never]);
        sender.write_all(&written(1)).unwrap();
        drop(sender);
        let tells: Vec<_> = tells.iter().collect();
        assert_eq!(tells[1], "lost on the way to http://x: 1 log record");
    }
}
