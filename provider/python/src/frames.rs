//! What it takes to find the frames of a thread from outside, wherever the thread is: no register
//! of the interpreter is needed, so any probe can ask.
//!
//! ```text
//!   a variable of the interpreter's    3.7 on: in _PyRuntime
//!     `--> interpreter ---next---> interpreter ---> 0
//!              `--> thread state ---next---> thread state ---> 0
//!                     thread_id: what pthread_self() is, on Linux the base of the segment FS
//!                     3.6 to 3.10, 3.13 on:  the current frame
//!                     3.11, 3.12:            a struct in which that is
//! ```
//!
//! Where these fields are differs from version to version and from build to build. Here nothing of it is
//! taken from a table: each is read off the machine code of an exported function that does little but use it.
//!
//! | what | whose code |
//! | --- | --- |
//! | the variable | `PyInterpreterState_Head` |
//! | the interpreters' `next` | `PyInterpreterState_Next` |
//! | the first thread state | `PyInterpreterState_ThreadHead` |
//! | a thread state's `next` | `PyThreadState_Next`, which must be 8: `prev`, `next` and `interp` come first |
//! | `thread_id` | `PyThreadState_SetAsyncExc`, which compares it with its argument |
//! | the current frame | `PyThreadState_GetFrame`; before 3.9 `PyFrame_New` |
//! | the exception that is being raised | `PyErr_Occurred`; where that looks otherwise, it is not known |
//! | `_status` | `PyThreadState_Clear`, which sets a bit of it |
//!
//! From 3.13 on the file publishes most of these (`published.rs`), and must say the same.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::ops::RangeInclusive;

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register as R};

use super::asyncio::{RunningTask, running_task};
use super::awaiting::{Awaiting, awaiting};
use super::code::{decode, straight};
use super::eval_code::{EvalCode, eval_code};
use super::headers::offsets_of;
use super::identify::{identify_soon, may_be_python};
use super::image::Image;
use super::lines::LineFormat;
use super::objects::{self, Objects};
use super::offsets::{ByteCode, Offsets};
use super::published::{DebugOffsets, agrees};
use super::refusal::Refusal;
use super::version::Version;

/// What it takes to find the frames of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Which CPython it is.
    pub version: Version,
    /// Whether it is without the global lock (`--disable-gil`).
    pub free_threaded: bool,
    /// Where the fields of its objects are.
    pub offsets: Offsets,
    /// How its code objects map byte code to lines.
    pub lines: LineFormat,
    /// The way to a thread's state and its current frame.
    pub threads: ThreadStates,
    /// `PyCode_Type`, the type of code objects, as linked.
    pub code_type: u64,
    /// How its objects are laid out; `None` where its own types say that it is not as its version has them.
    pub objects: Option<Objects>,
    /// How the asyncio task is found that a thread is running; `None` if that is not known.
    pub task: Option<RunningTask>,
    /// How it is found who waits for a task; `None` if that is not known.
    pub awaiting: Option<Awaiting>,
    /// Before 3.11: in which code the interpreter's function runs a Python function; `None` if that is not known.
    pub eval_code: Option<EvalCode>,
}

/// The way to a thread's state, and from there to its current frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadStates {
    /// The variable with the address of the first interpreter, as linked.
    pub interpreters: u64,
    /// In an interpreter: the next one.
    pub next_interpreter: u32,
    /// In an interpreter: its first thread state.
    pub first_thread: u32,
    /// In a thread state: the thread that it is of.
    pub thread_id: u32,
    /// In a thread state: its current frame, or where that is.
    pub frame: u32,
    /// There: the current frame.
    pub frame_within: Option<u32>,
    /// In a thread state, 3.12 on: a byte with bits of its own state.
    pub status: Option<u32>,
    /// In a thread state: the exception that is being raised; before 3.12 its class, and behind that its value.
    pub exception: Option<u32>,
}

impl ThreadStates {
    /// In a thread state: the one before, the next one, and its interpreter.
    pub const PREVIOUS: u32 = 0;
    /// See [`Self::PREVIOUS`].
    pub const NEXT: u32 = 8;
    /// See [`Self::PREVIOUS`].
    pub const INTERPRETER: u32 = 16;
    /// The bit of [`Self::status`] that a thread's last active state has (`bound_gilstate`).
    pub const LAST_ACTIVE: u8 = 8;
}

/// Finds out how the frames of an interpreter's threads are found.
pub fn frames(file: &[u8]) -> Result<Frames, Refusal> {
    let image = Image::parse(file)?;
    of_image(&image)
}

/// The same of an open file, if it may have an interpreter in it: for others, little of it is read.
pub fn frames_of(file: &File) -> Option<Result<Frames, Refusal>> {
    if !may_be_python(file) {
        return None;
    }
    let mut contents = Vec::new();
    let read = file.try_clone().and_then(|mut file| {
        file.rewind()?;
        file.take(LARGEST).read_to_end(&mut contents)
    });
    if let Err(error) = read {
        return Some(Err(Refusal::NotElf(error.to_string())));
    }
    match frames(&contents) {
        Err(Refusal::NotPython | Refusal::InLibrary { .. }) => None,
        found => Some(found),
    }
}

/// Larger files are no interpreters.
const LARGEST: u64 = 1 << 29;

pub(super) fn of_image(image: &Image<'_>) -> Result<Frames, Refusal> {
    let (version, published) = identify_soon(image)?;
    let published = published.as_ref();
    let free_threaded = published.is_some_and(|published| published.free_threaded);
    let offsets = offsets_of(version.minor, free_threaded);
    let (3, Some(offsets)) = (version.major, offsets) else {
        return Err(Refusal::Unsupported { version });
    };
    if let Some(published) = published {
        agrees(published, &offsets)?;
    }
    let threads = threads(image, version.minor)?;
    if published.is_some_and(|published| !published.has(&threads)) {
        return Err(Refusal::Offsets {
            what: "thread states".into(),
        });
    }
    let code_type = image.symbol("PyCode_Type");
    Ok(Frames {
        version,
        free_threaded,
        offsets,
        lines: LineFormat::of(version.minor),
        threads,
        code_type: code_type.ok_or_else(|| unknown("PyCode_Type"))?.address,
        objects: objects::of_image(image, version, free_threaded).ok(),
        task: running_task(image, version, offsets.string.length),
        eval_code: (version.minor < 11)
            .then(|| eval_code(image, version.minor))
            .flatten(),
        awaiting: published.and_then(|published| awaiting(image, version, published, &offsets)),
    })
}

impl Frames {
    /// In a `str` that is not ASCII: the address of its UTF-8, if that is known. Before 3.12 a pointer and a length
    /// of an old representation lie between it and the text.
    #[must_use]
    pub fn known_utf8(&self) -> u16 {
        let after = if self.version.minor >= 12 { 8 } else { 16 };
        self.offsets.string.wide_data - after
    }

    /// In a code object, 3.11 on: the number of the instruction before which a function has not started yet
    /// (`_co_firsttraceable`), 32 bits. One more pointer is between it and the byte code, and another in builds
    /// in which threads have copies of that.
    #[must_use]
    pub fn first_traceable(&self) -> Option<u16> {
        match self.offsets.code.byte_code {
            ByteCode::Inline { start, copies, .. } => {
                Some(start - if copies.is_some() { 24 } else { 16 })
            }
            ByteCode::Bytes { .. } => None,
        }
    }
}

impl DebugOffsets {
    /// Whether the fields of thread states are among those that the file publishes: `prev`, `next`, `interp`
    /// and the current frame one after the other, the others behind, with what was added since between them.
    fn has(&self, threads: &ThreadStates) -> bool {
        let group = [
            ThreadStates::PREVIOUS,
            ThreadStates::NEXT,
            ThreadStates::INTERPRETER,
            threads.frame,
        ]
        .map(u64::from);
        let mut windows = self.words().windows(GROUP);
        windows.any(|words| {
            let behind = words.get(group.len()..).unwrap_or(&[]);
            let has = |field: u32| behind.contains(&u64::from(field));
            words.starts_with(&group) && has(threads.thread_id) && threads.status.is_some_and(has)
        })
    }
}

/// So many words from `prev` on the fields of thread states are looked for.
const GROUP: usize = 12;

fn threads(image: &Image<'_>, minor: u8) -> Result<ThreadStates, Refusal> {
    let function = |name: &'static str| {
        let symbol = image.symbol(name);
        symbol.map(|s| s.address).ok_or_else(|| unknown(name))
    };
    let field =
        |name: &'static str| first_field(image, function(name)?).ok_or_else(|| unknown(name));
    if field("PyThreadState_Next")? != ThreadStates::NEXT {
        return Err(unknown("PyThreadState_Next"));
    }
    let (frame, frame_within) = current_frame(image, minor, &function)?;
    let status = || {
        let start = function("PyThreadState_Clear")?;
        let mut sets = body(image, start).filter(|insn| {
            insn.code() == Code::Or_rm8_imm8 && insn.memory_base() != R::RIP && takes_memory(insn)
        });
        let set = sets.find_map(|insn| displacement(&insn));
        set.ok_or_else(|| unknown("PyThreadState_Clear"))
    };
    Ok(ThreadStates {
        interpreters: head(image, function("PyInterpreterState_Head")?)
            .ok_or_else(|| unknown("PyInterpreterState_Head"))?,
        next_interpreter: field("PyInterpreterState_Next")?,
        first_thread: field("PyInterpreterState_ThreadHead")?,
        thread_id: thread_id(image, function("PyThreadState_SetAsyncExc")?)
            .ok_or_else(|| unknown("PyThreadState_SetAsyncExc"))?,
        frame,
        frame_within,
        status: (minor >= 12).then(status).transpose()?,
        exception: image
            .symbol("PyErr_Occurred")
            .and_then(|start| exception(image, start.address, minor)),
    })
}

/// The variable that a function of no arguments gives the value of.
fn head(image: &Image<'_>, start: u64) -> Option<u64> {
    let mut variable = None;
    for insn in straight(image, start, 8) {
        if insn.mnemonic() == Mnemonic::Ret {
            return variable;
        }
        if insn.op0_kind() != OpKind::Register || insn.op0_register() != R::RAX {
            continue;
        }
        let loads = insn.code() == Code::Mov_r64_rm64;
        variable = if loads && insn.is_ip_rel_memory_operand() {
            Some(insn.ip_rel_memory_address())
        } else if loads && insn.memory_base() == R::RAX {
            // What was loaded first is the address of what holds the variable.
            let within = insn.memory_displacement64();
            Some(image.pointer_at(variable?)?.wrapping_add(within))
        } else {
            None
        };
    }
    None
}

/// The field that is compared with the function's first argument.
fn thread_id(image: &Image<'_>, start: u64) -> Option<u32> {
    let mut copy = R::RDI;
    for insn in body(image, start) {
        let moves = matches!(insn.code(), Code::Mov_rm64_r64 | Code::Mov_r64_rm64);
        if moves && insn.op1_kind() == OpKind::Register && insn.op1_register() == R::RDI {
            if insn.op0_kind() == OpKind::Register && copy == R::RDI {
                copy = insn.op0_register();
            }
            continue;
        }
        let compared = if insn.code() == Code::Cmp_rm64_r64 {
            insn.op1_register()
        } else if insn.code() == Code::Cmp_r64_rm64 {
            insn.op0_register()
        } else {
            continue;
        };
        if takes_memory(&insn) && compared == copy && insn.memory_index() == R::None {
            return displacement(&insn);
        }
    }
    None
}

/// The current frame: of what a thread state has it, and within what.
fn current_frame(
    image: &Image<'_>,
    minor: u8,
    function: &dyn Fn(&'static str) -> Result<u64, Refusal>,
) -> Result<(u32, Option<u32>), Refusal> {
    let name = match minor {
        // Given a thread state, it looks for the frame that calls.
        ..=6 => "PyFrame_New",
        7..=8 => "_PyFrame_New_NoTrack",
        9.. => "PyThreadState_GetFrame",
    };
    let mut loads = straight(image, function(name)?, 24);
    let found = loads.find_map(|insn| load_through(&insn, R::RDI));
    let (frame, into) = found.ok_or_else(|| unknown(name))?;
    if !(11..=12).contains(&minor) {
        return Ok((frame, None));
    }
    let within = loads.find_map(|insn| load_through(&insn, into));
    let (within, _) = within.ok_or_else(|| unknown(name))?;
    Ok((frame, Some(within)))
}

/// The exception that is being raised: before 3.12 a function gives its class, later it loads the class from it.
fn exception(image: &Image<'_>, start: u64, minor: u8) -> Option<u32> {
    let insns = body(image, start).take_while(|insn| insn.mnemonic() != Mnemonic::Ret);
    let loads = insns.filter_map(|insn| {
        let (field, _) = load_through(&insn, insn.memory_base())?;
        // Not the address of the state itself.
        (is_field(&insn) && field != 0).then_some(field)
    });
    let mut loads = loads.collect::<Vec<_>>().into_iter();
    let field = if minor < 12 {
        loads.next_back()
    } else {
        loads.next()
    };
    field.filter(|field| EXCEPTION_FIELDS.contains(field) && field % 8 == 0)
}

/// Where in a thread state the exception is in all versions.
const EXCEPTION_FIELDS: RangeInclusive<u32> = 0x48..=0xa0;

/// The first field of its first argument that a function loads.
pub(super) fn first_field(image: &Image<'_>, start: u64) -> Option<u32> {
    let mut loads = straight(image, start, 8).filter_map(|insn| load_through(&insn, R::RDI));
    loads.next().map(|(field, _)| field)
}

/// A load of 64 bits at `[base + constant]`: the constant, and the register that it is loaded to.
pub(super) fn load_through(insn: &Instruction, base: R) -> Option<(u32, R)> {
    let is_load = insn.code() == Code::Mov_r64_rm64 && takes_memory(insn);
    if !is_load || insn.memory_base() != base || insn.memory_index() != R::None {
        return None;
    }
    Some((displacement(insn)?, insn.op0_register()))
}

/// Whether an instruction takes a field of what a register points to: neither a variable nor what is on the stack.
pub(super) fn is_field(insn: &Instruction) -> bool {
    let base = insn.memory_base();
    takes_memory(insn) && base.is_gpr64() && base != R::RSP && insn.memory_index() == R::None
}

fn takes_memory(insn: &Instruction) -> bool {
    insn.op0_kind() == OpKind::Memory || insn.op1_kind() == OpKind::Memory
}

/// Where the field is.
pub(super) fn displacement(insn: &Instruction) -> Option<u32> {
    u32::try_from(insn.memory_displacement64()).ok()
}

/// The instructions from `start` on, as they stand.
pub(super) fn body<'i>(image: &'i Image<'_>, start: u64) -> impl Iterator<Item = Instruction> + 'i {
    let mut next = start;
    let insns = std::iter::from_fn(move || {
        let insn = decode(image, next)?;
        next = insn.next_ip();
        Some(insn)
    });
    insns.take(160)
}

fn unknown(name: &str) -> Refusal {
    Refusal::ThreadStates {
        function: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{interpreter_file, interpreters};
    use super::*;

    /// What the headers of each version say.
    fn expected(minor: u8) -> ThreadStates {
        let (frame, frame_within, thread_id, status) = match minor {
            6 => (24, None, 0x98, None),
            7..=10 => (24, None, 0xb0, None),
            11 => (0x38, Some(8), 0x98, None),
            12 => (0x38, Some(0), 0x88, Some(24)),
            13 | 14 => (72, None, 0x98, Some(32)),
            _ => (72, None, 0xb0, Some(32)),
        };
        let exception = match minor {
            6 => 0x50,
            7..=10 => 0x58,
            11 | 12 => 0x60,
            13 | 14 => 0x70,
            _ => 0x88,
        };
        let (next_interpreter, first_thread) = match minor {
            ..=10 => (0, 8),
            11 => (0, 16),
            12 => (0, 72),
            _ => (0, 0),
        };
        ThreadStates {
            interpreters: 0,
            next_interpreter,
            first_thread,
            thread_id,
            frame,
            frame_within,
            status,
            exception: Some(exception),
        }
    }

    #[test]
    fn fields_are_where_the_headers_say() {
        let mut checked = 0;
        for python in interpreters() {
            let Some((path, file)) = interpreter_file(&python) else {
                continue;
            };
            let found = frames(&file).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            let minor = found.version.minor;
            let mut threads = found.threads;
            assert_ne!(threads.interpreters, 0, "{}", path.display());
            threads.interpreters = 0;
            if minor >= 13 {
                // They move with each release; the file itself is the witness.
                (threads.next_interpreter, threads.first_thread) = (0, 0);
            }
            assert_eq!(threads, expected(minor), "{}", path.display());
            checked += 1;
        }
        assert!(checked > 0, "no interpreter was found");
    }

    #[test]
    fn a_function_that_does_something_else_is_a_refusal() {
        let mut pythons = interpreters().into_iter();
        let found = pythons.find_map(|python| interpreter_file(&python));
        let (_, mut file) = found.expect("there is a Python here");
        let place = {
            let image = Image::parse(&file).unwrap();
            let start = image.symbol("PyThreadState_Next").unwrap().address;
            usize::try_from(image.file_offset(start).unwrap()).unwrap()
        };
        // ret
        file[place] = 0xc3;
        assert!(matches!(
            frames(&file),
            Err(Refusal::ThreadStates { function }) if function == "PyThreadState_Next"
        ));
    }
}
