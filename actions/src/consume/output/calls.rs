//! Calls: the records of entry and return probes, put together track by track: thread by thread, and for records that
//! say which task of asyncio was running, task by task.
//!
//! Which probes are entries and returns is told by their names, as for `-F`, whatever their provider:
//! `python*:::function-entry`, `syscall::read:entry`, a program's own `query-entry`. Several records of
//! one firing are one step.
//!
//! A return ends the innermost call of what it returns from that has not ended, and with it all calls
//! inside of that one: what an exception left without a return, or whose record was lost. A return of
//! what is not known to have been called (the call began before the tracing) ends nothing.

use std::collections::HashMap;

use dlang::eval::{self, Value};

use super::super::convert::until_nul;
use super::super::decode::Record;
use super::values::Text;
use crate::record::Flow;

/// What is called, by number: as it is shown, with the place where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Frame(pub(super) u32);

/// Texts with their numbers.
#[derive(Debug, Default)]
pub(super) struct Frames {
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Frames {
    /// The number of a text, which it has from now on if it has none.
    pub(super) fn number(&mut self, text: &str) -> Frame {
        if let Some(number) = self.numbers.get(text) {
            return Frame(*number);
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        Frame(number)
    }

    /// The text of a number.
    pub(super) fn text(&self, frame: Frame) -> &str {
        let text = self.texts.get(frame.0 as usize);
        text.map_or("", |text| text)
    }

    /// All texts, in the order of their numbers.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }
}

/// Where calls nest: a thread, or a task of asyncio that it runs, as far as records tell. Tasks are told by their names;
/// of two with one name in one thread, one is suspended while the other runs, and so their calls nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Track {
    /// Its process; 0 if it is not known.
    pub(super) process: u32,
    /// Its own number; the CPU where it is not known, and for the idle tasks, which all are 0.
    pub(super) thread: u32,
    /// The name of the task: [`Calls::task`].
    pub(super) task: Option<Frame>,
}

/// What a record means for the calls of its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A call begins.
    Enter(Frame),
    /// The innermost calls end, as many as this: [`Calls::ended`] has them.
    Leave(usize),
    /// A return of what is not known to have been called.
    Unknown,
    /// Nothing: another clause of a firing that has been dealt with, a probe that is neither entry
    /// nor return, or a record without a time.
    Nothing,
}

/// The most threads with calls that have not ended: those that are met when there are as many are not
/// followed.
const MAX_THREADS: usize = 1 << 16;

/// The most calls of a thread that have not ended: those that begin when there are as many are not
/// followed, and neither are their ends.
const MAX_DEPTH: usize = 1 << 16;

/// The calls of all threads that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Calls {
    threads: HashMap<Track, Thread>,
    /// What is called, with the place where it begins.
    pub(super) frames: Frames,
    /// The calls that the last [`Step::Leave`] has ended, the innermost first.
    pub(super) ended: Vec<Frame>,
    /// What is called, without the place, which differs between its entry and its returns.
    callees: Frames,
    /// The names of tasks.
    tasks: Frames,
}

#[derive(Debug, Default)]
struct Thread {
    open: Vec<Call>,
    /// The probe and the time of the last firing.
    last: Option<(u32, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    callee: Frame,
    frame: Frame,
}

impl Calls {
    /// Where a record belongs.
    pub(super) fn track(&mut self, record: &Record<'_>) -> Track {
        let thread = record.thread().filter(|thread| *thread != 0);
        let task = record.ecb.layout.task.as_ref();
        let task = match task.map(|task| eval::eval(task, record)) {
            Some(Ok(Value::Str(name))) => {
                let name = Text(until_nul(&name)).to_string();
                (!name.is_empty()).then(|| self.tasks.number(&name))
            }
            Some(Ok(Value::Int(_)) | Err(_)) | None => None,
        };
        Track {
            process: record.process().unwrap_or(0),
            thread: thread.unwrap_or(record.cpu),
            task,
        }
    }

    /// The name of a track's task.
    pub(super) fn task(&self, track: Track) -> Option<&str> {
        track.task.map(|task| self.tasks.text(task))
    }

    /// Takes the next record.
    pub(super) fn step(&mut self, record: &Record<'_>) -> Step {
        let (flow, Some(time)) = (record.ecb.layout.flow, record.time()) else {
            return Step::Nothing;
        };
        if flow == Flow::None {
            return Step::Nothing;
        }
        let id = self.track(record);
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&id) {
            self.threads.retain(|_, thread| !thread.open.is_empty());
            if self.threads.len() >= MAX_THREADS {
                return Step::Nothing;
            }
        }
        let thread = self.threads.entry(id).or_default();
        let firing = (record.ecb.probe.id.0, time);
        if thread.last == Some(firing) {
            return Step::Nothing;
        }
        thread.last = Some(firing);
        let (shown, callee) = names(record);
        let callee = self.callees.number(&callee);
        if flow == Flow::Entry {
            if thread.open.len() >= MAX_DEPTH {
                return Step::Nothing;
            }
            let frame = self.frames.number(&shown);
            thread.open.push(Call { callee, frame });
            return Step::Enter(frame);
        }
        match thread.open.iter().rposition(|call| call.callee == callee) {
            Some(at) => {
                self.ended.clear();
                let ended = thread.open.drain(at..).rev().map(|call| call.frame);
                self.ended.extend(ended);
                Step::Leave(self.ended.len())
            }
            None => Step::Unknown,
        }
    }

    /// The calls that have not ended, by track, the outermost first.
    pub(super) fn open(&self) -> impl Iterator<Item = (Track, impl Iterator<Item = Frame>)> {
        let threads = self.threads.iter();
        threads.map(|(id, thread)| (*id, thread.open.iter().map(|call| call.frame)))
    }
}

/// What the probe of a record is at the entry or return of: as it is shown, and without the line, which
/// differs between entry and return.
fn names(record: &Record<'_>) -> (String, String) {
    let (ecb, desc) = (record.ecb, &record.ecb.probe.desc);
    let source = ecb.layout.flow_name.as_ref();
    if let Some(Ok(Value::Str(place))) = source.map(|name| eval::eval(name, record)) {
        // `file:function:line`
        let place = Text(until_nul(&place)).to_string();
        let parts = place.rsplit_once(':').and_then(|(callee, line)| {
            let (file, function) = callee.rsplit_once(':')?;
            Some((format!("{function} ({file}:{line})"), callee.to_owned()))
        });
        return parts.unwrap_or_else(|| (place.clone(), place));
    }
    let name = desc.name.as_str();
    let event = [name.strip_suffix("-entry"), name.strip_suffix("-return")];
    let shown = match event.into_iter().flatten().next() {
        Some(event) => format!("{}:{event}", desc.provider),
        None if desc.module.is_empty() => desc.function.clone(),
        None => format!("{}`{}", desc.module, desc.function),
    };
    (shown.clone(), shown)
}

/// The parts of `function (file:line)`.
pub(super) fn source(frame: &str) -> Option<(&str, (&str, i64))> {
    let (name, place) = frame.strip_suffix(')')?.rsplit_once(" (")?;
    let (file, line) = place.rsplit_once(':')?;
    Some((name, (file, line.parse().ok()?)))
}
