//! Where an interpreter keeps the asyncio task that a thread is running.
//!
//! ```text
//!   3.14 on       thread state --> task
//!   3.13          thread state --> event loop -,
//!   3.8 to 3.12   thread state --> dict["__asyncio_running_event_loop__"] --> event loop, or what holds it -,
//!                                                                                                           |
//!                 interpreter --> modules["asyncio.tasks"]._current_tasks[event loop] <---------------------'
//! ```
//!
//! As with the frames of threads, each field is read off the code of an exported function that uses it:
//!
//! | what | whose code |
//! | --- | --- |
//! | a thread state's dict | `_PyThreadState_GetDict` |
//! | an interpreter's modules | `PyImport_GetModuleDict` |
//! | an interpreter's number, which no other one of the process ever has | `PyInterpreterState_GetID` |
//! | the running loop, the running task | `PyThreadState_Clear`, which drops them right before the dict |
//!
//! From 3.14 on a file that has asyncio's own C code in it publishes where the task is (`.AsyncioDebug`), and must say the
//! same.

use super::code::straight;
use super::frames::{ThreadStates, body, displacement, first_field, is_field, load_through};
use super::image::Image;
use super::version::Version;

/// How the task that a thread is running is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningTask {
    /// 3.14 on: in a thread state.
    OfThread(u32),
    /// Before: by the event loop that the thread is running.
    OfLoop {
        /// Where that is.
        running_loop: RunningLoop,
        /// In an interpreter: the dict of its modules.
        modules: u32,
        /// In an interpreter: its number.
        interpreter_id: u32,
    },
}

/// Where the event loop is that a thread is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningLoop {
    /// 3.13: in a thread state.
    OfThread(u32),
    /// Before: in a dict of the thread's.
    InDict {
        /// In a thread state: the dict.
        dict: u32,
        /// Before 3.12: in what the dict has, the loop.
        holder: Option<u32>,
    },
}

/// How the running task is found in an interpreter of this version; `None` if the code is not as it should be.
pub(super) fn running_task(
    image: &Image<'_>,
    version: Version,
    header: u16,
) -> Option<RunningTask> {
    if !version.has_task_names() {
        return None;
    }
    let minor = version.minor;
    let dict = thread_dict(image)?;
    if minor >= 14 {
        let found = dropped_before(image, dict)?;
        let published = published(image);
        return (published.is_none_or(|published| published == found))
            .then_some(RunningTask::OfThread(found));
    }
    let running_loop = if minor == 13 {
        RunningLoop::OfThread(dropped_before(image, dict)?)
    } else {
        let holder = (minor < 12).then_some(u32::from(header));
        RunningLoop::InDict { dict, holder }
    };
    Some(RunningTask::OfLoop {
        running_loop,
        modules: modules(image)?,
        interpreter_id: interpreter_id(image)?,
    })
}

/// In a thread state: the dict, the first field of its own that is looked at.
fn thread_dict(image: &Image<'_>) -> Option<u32> {
    let names = ["_PyThreadState_GetDict", "PyThreadState_GetDict"];
    let start = names.iter().find_map(|name| image.symbol(name))?.address;
    let fields = straight(image, start, 24)
        .filter(is_field)
        .filter_map(|insn| displacement(&insn));
    let mut dicts = fields.filter(|field| THREAD_DICTS.contains(field));
    dicts.next().filter(|field| field.is_multiple_of(8))
}

/// Where it is in all versions.
const THREAD_DICTS: std::ops::Range<u32> = 0x40..0x100;

/// In an interpreter: its modules.
fn modules(image: &Image<'_>) -> Option<u32> {
    let start = image.symbol("PyImport_GetModuleDict")?.address;
    let mut interpreter = None;
    for insn in body(image, start).take(16) {
        if let Some(base) = interpreter
            && let Some((field, _)) = load_through(&insn, base)
        {
            return Some(field);
        }
        match load_through(&insn, insn.memory_base()) {
            Some((ThreadStates::INTERPRETER, register)) if is_field(&insn) => {
                interpreter = Some(register);
            }
            _ => {}
        }
    }
    None
}

fn interpreter_id(image: &Image<'_>) -> Option<u32> {
    first_field(image, image.symbol("PyInterpreterState_GetID")?.address)
}

/// In a thread state: what is dropped right before the dict when it is cleared. It is one of the fields that only the
/// interpreter itself knows, behind all others.
fn dropped_before(image: &Image<'_>, dict: u32) -> Option<u32> {
    let start = image.symbol("PyThreadState_Clear")?.address;
    let mut fields: Vec<u32> = Vec::new();
    for insn in body(image, start).filter(is_field) {
        let Some(field) = displacement(&insn) else {
            continue;
        };
        if field == dict {
            break;
        }
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    let found = *fields.last()?;
    (found >= FIRST_OF_ITS_OWN && found.is_multiple_of(8)).then_some(found)
}

/// No field of a thread state that everyone knows is behind this.
const FIRST_OF_ITS_OWN: u32 = 0x120;

/// What the file says itself: behind seven words on tasks and two on interpreters, of thread states their size, the
/// running loop and the running task.
fn published(image: &Image<'_>) -> Option<u32> {
    u32::try_from(*published_words(image)?.get(RUNNING_TASK)?).ok()
}

/// What a file with asyncio's own C code in it says of that.
pub(super) fn published_words(image: &Image<'_>) -> Option<Vec<u64>> {
    let (_, bytes) = image.section(".AsyncioDebug")?;
    let words = bytes.as_chunks::<8>().0.iter();
    Some(words.map(|word| u64::from_le_bytes(*word)).collect())
}

/// Which word of `.AsyncioDebug` it is.
const RUNNING_TASK: usize = 7 + 2 + 2;

#[cfg(test)]
mod tests {
    use super::super::frames::frames;
    use super::super::tests::{interpreter_file, interpreters};
    use super::*;

    /// What the headers of each version say; of fields that move with each release, nothing.
    #[test]
    fn each_interpreter_says_where_its_running_task_is() {
        let mut checked = 0;
        for python in interpreters() {
            let Some((path, file)) = interpreter_file(&python) else {
                continue;
            };
            let found = frames(&file).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            let minor = found.version.minor;
            let by_loop = |task: Option<RunningTask>| match task {
                Some(RunningTask::OfLoop { running_loop, .. }) => Some(running_loop),
                Some(RunningTask::OfThread(_)) | None => None,
            };
            let in_dict = |dict, holder| Some(RunningLoop::InDict { dict, holder });
            let path = path.display();
            match minor {
                ..8 => assert_eq!(found.task, None, "{path}"),
                8..=10 => assert_eq!(by_loop(found.task), in_dict(0x98, Some(16)), "{path}"),
                11 => assert_eq!(by_loop(found.task), in_dict(0x80, Some(16)), "{path}"),
                12 => assert_eq!(by_loop(found.task), in_dict(0x70, None), "{path}"),
                13 => assert!(
                    matches!(by_loop(found.task), Some(RunningLoop::OfThread(_))),
                    "{path}"
                ),
                14.. => assert!(
                    matches!(found.task, Some(RunningTask::OfThread(_))),
                    "{path}"
                ),
            }
            checked += 1;
        }
        assert!(checked > 0, "no interpreter was found");
    }
}
