//! An interpreter in a file: by what facts the generated code finds the frames of its threads
//! (`unwind::python`).

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use python_analysis::offsets::ByteCode;
use python_analysis::{
    Frames, Refusal, RunningLoop, RunningTask, ThreadStates, Version, frames_of,
};
use unwind::python::{EvalCalls, Fact, Facts, NO_FIELD, WINDOW};

use super::pythons::OfTasks;
use crate::python_objects::layout;
use crate::usdt::elf::Contents;
use crate::usdt::loads::CodeLoads;

/// A file that has an interpreter in it.
#[derive(Debug)]
pub(super) struct Interpreter {
    frames: Result<Frames, Refusal>,
    loads: CodeLoads,
}

impl Interpreter {
    /// That of an open file; `None` if it has none.
    pub(super) fn of_file(file: &fs::File) -> Option<Self> {
        let frames = frames_of(file)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let contents = Contents::open(&path).ok()?;
        let loads = contents.elf().ok()?.code_loads();
        Some(Self { frames, loads })
    }

    /// Why no frames can be found in it, if so.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.frames.as_ref().err()
    }

    /// Its version, and why, if it lacks what a program asks of its tasks.
    pub(super) fn lacks(&self, of_tasks: OfTasks) -> Option<(Version, &'static str)> {
        let frames = self.frames.as_ref().ok()?;
        let version = frames.version;
        let why = match of_tasks {
            OfTasks::Name if frames.task.is_some() => return None,
            OfTasks::Name if !version.has_task_names() => "tasks have names from Python 3.8 on",
            OfTasks::Awaiting if frames.awaiting.is_some() => return None,
            OfTasks::Awaiting if !version.keeps_who_awaits() => {
                "asyncio keeps by whom a task is awaited from Python 3.14 on"
            }
            OfTasks::Awaiting if frames.free_threaded => {
                "other threads of this free-threaded build change by whom a task is awaited meanwhile"
            }
            OfTasks::Name | OfTasks::Awaiting => "its code is not as expected",
        };
        Some((version, why))
    }

    /// The facts of a process that has the part of the file from `offset` on at `start`; `None` if nothing of it is
    /// loaded, or the build is not understood.
    pub(super) fn facts(&self, offset: u64, start: u64) -> Option<Facts> {
        let frames = self.frames.as_ref().ok()?;
        let linked = self.loads.linked_address(offset)?;
        let facts = facts(frames, start.wrapping_sub(linked));
        let state = facts.words[Fact::StateBytes as usize];
        (state < WINDOW.into()).then_some(facts)
    }
}

/// The facts of a process with this interpreter, whose address 0 is at `base`.
fn facts(frames: &Frames, base: u64) -> Facts {
    let mut facts = Facts {
        words: [0; Fact::COUNT],
        layout: frames.objects.as_ref().map(layout),
    };
    let mut set = |fact: Fact, value: u64| facts.words[fact as usize] = value;
    let threads = &frames.threads;
    set(Fact::Interpreters, base.wrapping_add(threads.interpreters));
    set(Fact::NextInterpreter, threads.next_interpreter.into());
    set(Fact::FirstThread, threads.first_thread.into());
    set(Fact::ThreadId, threads.thread_id.into());
    if let Some(status) = threads.status {
        set(Fact::Status, status.into());
        set(Fact::LastActive, ThreadStates::LAST_ACTIVE.into());
    }
    set(
        Fact::Exception,
        threads.exception.map_or(NO_FIELD, u64::from),
    );
    let value = threads.exception.filter(|_| frames.version.minor < 12);
    set(
        Fact::ExceptionValue,
        value.map_or(NO_FIELD, |class| u64::from(class) + 8),
    );
    match frames.task {
        Some(RunningTask::OfThread(task)) => set(Fact::RunningTask, task.into()),
        Some(RunningTask::OfLoop {
            running_loop,
            modules,
            interpreter_id,
        }) => {
            match running_loop {
                RunningLoop::OfThread(of_thread) => set(Fact::RunningLoop, of_thread.into()),
                RunningLoop::InDict { dict, holder } => {
                    set(Fact::ThreadDict, dict.into());
                    set(Fact::LoopHolder, holder.unwrap_or(0).into());
                }
            }
            set(Fact::Modules, modules.into());
            set(Fact::InterpreterId, interpreter_id.into());
        }
        None => {}
    }
    // They are told from others by their types, which objects have.
    if let Some(awaiting) = frames.awaiting.filter(|_| frames.objects.is_some()) {
        set(Fact::AwaitedBy, awaiting.awaited_by.into());
        set(Fact::TaskCoroutine, awaiting.coroutine.into());
        set(Fact::CoroutineFrame, awaiting.frame.into());
        set(Fact::Awaiting, awaiting.state.into());
        set(Fact::StackPointer, awaiting.stack_pointer.into());
        set(Fact::AwaitedBehind, awaiting.awaited_behind.into());
        for (fact, linked) in [
            (Fact::CoroutineType, awaiting.coroutine_type),
            (Fact::GeneratorType, awaiting.generator_type),
        ] {
            set(fact, base.wrapping_add(linked));
        }
    }
    set(Fact::Frame, threads.frame.into());
    let within = threads.frame_within.map_or(NO_FIELD, u64::from);
    set(Fact::FrameWithin, within);
    let state = threads.thread_id.max(threads.frame) + 8;
    let state = state.max(threads.status.map_or(0, |status| status + 1));
    set(Fact::StateBytes, state.into());

    let frame = &frames.offsets.frame;
    // An address, or an index of 32 bits.
    let instruction = if frame.index_scale == 0 { 8 } else { 4 };
    let mut end = (frame.code + 8).max(frame.instruction + instruction);
    // Before 3.11, `f_back` is in front of the code object, and no frame has an owner.
    let previous = frame
        .chain
        .map_or_else(|| frame.code - 8, |chain| chain.previous);
    end = end.max(previous + 8);
    if let Some(chain) = frame.chain {
        set(Fact::Owner, chain.owner.into());
        set(Fact::OwnerMask, 0xff);
        end = end.max(chain.owner + 1);
    }
    let calls = match frames.version.minor {
        ..=10 if frames.eval_code.is_some() => EvalCalls::Code,
        ..=10 => EvalCalls::Unknown,
        11 => EvalCalls::Structs,
        12.. => EvalCalls::Frames,
    };
    set(Fact::EvalCalls, u64::from(calls as u32));
    let code = frames.eval_code.unwrap_or_default();
    for (at, (start, end)) in (Fact::EvalCode as usize..).step_by(2).zip(code.ranges) {
        facts.words[at] = base.wrapping_add(start);
        facts.words[at + 1] = end - start;
    }
    let mut set = |fact: Fact, value: u64| facts.words[fact as usize] = value;
    // `is_entry`, the byte before `owner`.
    let entry = frame.chain.filter(|_| calls == EvalCalls::Structs);
    let entry = entry.map_or(NO_FIELD, |chain| u64::from(chain.owner) - 1);
    set(Fact::EntryFrame, entry);
    set(Fact::Previous, previous.into());
    set(Fact::Code, frame.code.into());
    set(Fact::CodeMask, i64::from(frame.code_mask).cast_unsigned());
    set(Fact::Instruction, frame.instruction.into());
    set(Fact::IndexScale, frame.index_scale.into());

    let code = &frames.offsets.code;
    let fields = code.header - 8;
    let copies = match code.byte_code {
        ByteCode::Inline { start, copies, .. } => {
            set(Fact::ByteCode, start.into());
            copies
        }
        ByteCode::Bytes { .. } => {
            set(Fact::ByteCode, NO_FIELD);
            None
        }
    };
    set(Fact::CopyNumber, NO_FIELD);
    if let Some(copies) = copies {
        set(Fact::CopyNumber, copies.number.into());
        set(Fact::Copies, copies.array.into());
        set(Fact::CopyEntries, copies.entries.into());
        end = end.max(copies.number + 4);
    }
    set(Fact::FrameBytes, end.into());
    let beside = frame.chain.is_some();
    let window = if beside { WINDOW - 1 } else { 0 };
    set(Fact::FrameWindow, window.into());
    let traceable = frames.first_traceable().map_or(NO_FIELD, u64::from);
    set(Fact::FirstTraceable, traceable);
    set(Fact::CodeFields, fields.into());
    set(Fact::CodeBytes, (code.line_table + 8 - fields).into());
    set(Fact::CodeType, base.wrapping_add(frames.code_type));
    for (fact, offset) in [
        (Fact::File, code.filename),
        (Fact::Name, code.name),
        // Before 3.11 there is none.
        (Fact::QualifiedName, code.qualname.unwrap_or(code.name)),
        (Fact::LineTable, code.line_table),
        (Fact::FirstLine, code.first_line),
    ] {
        set(fact, (offset - fields).into());
    }
    set(Fact::ChangingMask, u64::MAX);
    if frames.version.minor == 11 {
        // It counts calls beside the flags.
        set(Fact::Changing, (code.flags - fields).into());
        set(Fact::ChangingMask, u32::MAX.into());
    }

    let string = &frames.offsets.string;
    let bits = |bits: i32| u64::from(bits.cast_unsigned());
    set(Fact::State, string.state.into());
    set(Fact::Ascii, bits(string.ascii | string.compact));
    set(Fact::Compact, bits(string.compact));
    set(Fact::KindShift, string.kind.shift.into());
    set(Fact::Length, string.length.into());
    set(Fact::AsciiText, string.ascii_data.into());
    set(Fact::WideText, string.wide_data.into());
    set(Fact::Utf8, frames.known_utf8().into());
    set(Fact::BytesLength, frames.offsets.bytes.length.into());
    set(Fact::BytesData, frames.offsets.bytes.data.into());
    set(Fact::LineFormat, frames.lines.number().into());
    facts
}

#[cfg(test)]
mod tests {
    use python_analysis::lines::LineFormat;
    use python_analysis::objects::objects_of;
    use python_analysis::offsets_of;
    use unwind::python::{CODE_BYTES, FRAME_BYTES};

    use super::*;

    /// What is read of frames and code objects has a place in what the generated code reads them to.
    #[test]
    fn what_is_read_has_its_place() {
        for (minor, free_threaded) in (6..=15)
            .map(|n| (n, false))
            .chain((13..=15).map(|n| (n, true)))
        {
            let offsets = offsets_of(minor, free_threaded).unwrap();
            let version = Version {
                major: 3,
                minor,
                micro: None,
            };
            let threads = ThreadStates {
                interpreters: 0x10,
                next_interpreter: 0,
                first_thread: 8,
                thread_id: 0xb0,
                frame: 24,
                frame_within: None,
                status: None,
                exception: None,
            };
            let frames = Frames {
                version,
                free_threaded,
                offsets,
                lines: LineFormat::of(minor),
                threads,
                code_type: 0x20,
                objects: objects_of(version, free_threaded),
                task: None,
                awaiting: None,
                eval_code: None,
            };
            let facts = facts(&frames, 0x1000);
            let of = |fact: Fact| facts.words[fact as usize];
            assert!(of(Fact::FrameBytes) <= FRAME_BYTES.into(), "3.{minor}");
            assert!(of(Fact::CodeBytes) <= CODE_BYTES.into(), "3.{minor}");
            // So much behind the shortest is cleared before it is read.
            assert!(
                of(Fact::CodeBytes) >= u64::from(CODE_BYTES) - 24,
                "3.{minor}"
            );
            for fact in [Fact::File, Fact::Name, Fact::QualifiedName, Fact::LineTable] {
                assert!(of(fact) % 8 == 0 && of(fact) + 8 <= of(Fact::CodeBytes));
            }
            for fact in [Fact::Previous, Fact::Code] {
                assert!(of(fact) % 8 == 0 && of(fact) + 8 <= of(Fact::FrameBytes));
            }
        }
    }
}
