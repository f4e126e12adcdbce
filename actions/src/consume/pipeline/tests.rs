//! The threads with a ring in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use provider::probe::ProbeKind;

use super::super::testing::{
    Datum, consumer, ecb, int, lay_out, printf, probe_of, quiet, recorded,
};
use super::*;

#[derive(Clone, Default)]
struct FakeRing(Arc<Mutex<VecDeque<Vec<u8>>>>, Arc<AtomicBool>);

impl FakeRing {
    fn push(&self, n: i64) {
        self.0.lock().unwrap().push_back(lay_out(1, 0, &data(n)).2);
    }
}

impl Ring for FakeRing {
    fn drain(&mut self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> usize {
        let mut count = 0;
        loop {
            let Some(record) = self.0.lock().unwrap().pop_front() else {
                return count;
            };
            count += 1;
            if take(&record).is_break() {
                return count;
            }
        }
    }

    fn has_exited(&mut self) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn data(n: i64) -> [Datum; 1] {
    [int(n)]
}

/// Prints each number on a line.
fn printing() -> Consumer {
    let mut consumer = consumer(quiet());
    consumer.add_ecbs([ecb(
        1,
        &data(0),
        vec![printf("%d\n", vec![recorded(0, int(0))])],
    )]);
    consumer
}

fn start(
    ring: &FakeRing,
    consumer: Consumer,
    output: Box<dyn Write + Send>,
) -> (Pipeline, Receiver<Event>) {
    let (events, received) = mpsc::channel();
    let sinks = Sinks {
        output,
        to_stdout: false,
        cut: Box::new(|_| Ok(())),
        report: Box::new(|_| ()),
        event: Box::new(move |event| drop(events.send(event))),
    };
    (
        Pipeline::start(Box::new(ring.clone()), consumer, sinks).unwrap(),
        received,
    )
}

const PATIENCE: Duration = Duration::from_secs(20);

fn wait_until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "it never happened");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn everything_comes_out_in_order() {
    let (ring, output) = (FakeRing::default(), Output::default());
    let (pipeline, _events) = start(&ring, printing(), Box::new(output.clone()));
    for n in 0..100_000 {
        ring.push(n);
    }
    let mut stopped = pipeline.stop();
    ring.push(100_000);
    stopped.drain();
    let statistics = stopped.finish();
    let lines: Vec<String> = (0..=100_000).map(|n| format!("{n}\n")).collect();
    let expected = lines.concat() + "\n";
    let out = output.0.lock().unwrap();
    assert!(*out == expected.as_bytes());
    assert_eq!(statistics.consumer.records, 100_001);
    assert_eq!(statistics.bytes, out.len() as u64);
}

#[test]
fn output_comes_at_once_when_there_is_no_more_input() {
    let (ring, output) = (FakeRing::default(), Output::default());
    let (pipeline, _events) = start(&ring, printing(), Box::new(output.clone()));
    ring.push(1);
    wait_until(|| *output.0.lock().unwrap() == b"1\n");
    ring.push(2);
    wait_until(|| *output.0.lock().unwrap() == b"1\n2\n");
    pipeline.stop();
}

#[test]
fn drops_are_told_without_a_record() {
    let (told, messages) = mpsc::channel();
    let sinks = Sinks {
        output: Box::new(Output::default()),
        to_stdout: false,
        cut: Box::new(|_| Ok(())),
        report: Box::new(move |text| drop(told.send(text.to_string()))),
        event: Box::new(|_| ()),
    };
    let ring = Box::new(FakeRing::default());
    let pipeline = Pipeline::start(ring, printing(), sinks).unwrap();
    pipeline.drops(&DropCounts {
        principal: vec![0, 2],
        ..DropCounts::default()
    });
    assert_eq!(messages.recv_timeout(PATIENCE).unwrap(), "2 drops on CPU 1");
    pipeline.stop();
}

#[test]
fn exit_is_told_after_its_output() {
    let (ring, output) = (FakeRing::default(), Output::default());
    let (pipeline, events) = start(&ring, printing(), Box::new(output.clone()));
    ring.push(3);
    ring.1.store(true, Ordering::Relaxed);
    assert!(matches!(
        events.recv_timeout(PATIENCE).unwrap(),
        Event::Exit
    ));
    assert_eq!(*output.0.lock().unwrap(), b"3\n");
    pipeline.stop();
    assert!(events.try_recv().is_err(), "told once");
}

#[test]
fn what_error_prints_comes_behind_begin() {
    let (ring, output) = (FakeRing::default(), Output::default());
    let mut consumer = printing();
    let mut error = ecb(
        2,
        &data(0),
        vec![printf("E%d\n", vec![recorded(0, int(0))])],
    );
    error.probe = probe_of(ProbeKind::Error);
    consumer.add_ecbs([error]);
    consumer.begins();
    let (pipeline, _events) = start(&ring, consumer, Box::new(output.clone()));
    let error = |n| ring.0.lock().unwrap().push_back(lay_out(2, 0, &data(n)).2);
    error(1);
    ring.push(2);
    error(3);
    wait_until(|| *output.0.lock().unwrap() == b"2\n");
    pipeline.begun();
    wait_until(|| *output.0.lock().unwrap() == b"2\nE1\nE3\n");
    error(4);
    ring.push(5);
    wait_until(|| output.0.lock().unwrap().ends_with(b"E4\n5\n"));
    pipeline.stop();
}

#[test]
fn a_full_disk_is_told_once_and_the_run_can_end() {
    let ring = FakeRing::default();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (pipeline, events) = start(&ring, printing(), Box::new(full));
    ring.push(1);
    let Event::OutputFailed(error) = events.recv_timeout(PATIENCE).unwrap() else {
        panic!()
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    ring.push(2);
    pipeline.stop().finish();
    assert!(events.try_recv().is_err());
}

#[test]
fn a_closed_pipe_is_told() {
    let ring = FakeRing::default();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let (pipeline, events) = start(&ring, printing(), Box::new(writer));
    ring.push(1);
    assert!(matches!(
        events.recv_timeout(PATIENCE).unwrap(),
        Event::OutputClosed
    ));
    pipeline.stop().finish();
}

#[test]
fn a_full_queue_leaves_chunks_with_the_caller() {
    let queue = Queue::new(100);
    let filled = || {
        let mut chunk = Chunk::default();
        chunk.push(&[7; 60]);
        chunk
    };
    let (mut first, mut second) = (filled(), filled());
    assert!(queue.put(&mut first) && first.is_empty());
    assert!(!queue.put(&mut second) && !second.is_empty());
    let chunk = queue.try_get().unwrap();
    assert_eq!(chunk.records().collect::<Vec<_>>(), [[7; 60]]);
    assert!(
        !queue.put(&mut second),
        "a chunk counts until it is given back"
    );
    queue.give_back(chunk);
    assert!(queue.put(&mut second));
}

#[test]
fn no_thread_outlives_the_pipeline() {
    let (ring, output) = (FakeRing::default(), Output::default());
    let (pipeline, _events) = start(&ring, printing(), Box::new(output.clone()));
    ring.push(1);
    drop(pipeline);
    // What the threads had is gone with them.
    assert_eq!(Arc::strong_count(&ring.0), 1);
    assert_eq!(Arc::strong_count(&output.0), 1);
    assert_eq!(*output.0.lock().unwrap(), b"1\n");
}
