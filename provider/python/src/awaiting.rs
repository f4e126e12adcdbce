//! Where asyncio keeps who waits for a task, from 3.14 on, and how the coroutines of a suspended task are found.
//!
//! ```text
//!     task or future --> by whom it is awaited: a task or future, or a set of them
//!     task --> its coroutine --frame--> what it awaits, on top of its stack: a coroutine, ...
//! ```
//!
//! Before 3.14, asyncio has nothing but callbacks, most of which are closures of Python code: for `gather()` or a
//! `TaskGroup` nobody can say from outside who waits.
//!
//! The interpreter publishes where a coroutine has its frame and its state, and where a frame has its stack
//! (`_Py_DebugOffsets`), asyncio's C code the fields of tasks (`.AsyncioDebug`); in most builds that is in another file. All that is
//! there must be as expected.

use super::asyncio::published_words;
use super::image::Image;
use super::offsets::Offsets;
use super::published::DebugOffsets;
use super::version::Version;

/// How it is found who waits for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaiting {
    /// In a task or future: by whom it is awaited.
    pub awaited_by: u32,
    /// In a task: its coroutine.
    pub coroutine: u32,
    /// In a coroutine: its frame; its state is [`STATE_BEFORE`] it.
    pub frame: u32,
    /// The state of one that is suspended in an `await`.
    pub state: u8,
    /// In a frame: the address behind its stack.
    pub stack_pointer: u32,
    /// How far before that is what is awaited.
    pub awaited_behind: u32,
    /// `PyCoro_Type`, as linked.
    pub coroutine_type: u64,
    /// `PyGen_Type`.
    pub generator_type: u64,
}

/// What `_asynciomodule.c` publishes of tasks: their size, and the places of their name, of who awaits them, of whether they
/// are tasks, of whether many await them, and of their coroutine.
const TASK_WORDS: [u64; 6] = [168, 136, 96, 108, 109, 128];

/// In a coroutine, with the lock: its name; how far its frame is from there, and its state before that.
const NAME: u32 = 24;
const FRAME_BEHIND_NAME: u32 = 48;
const STATE_BEFORE: u32 = 5;

/// How it is found in this interpreter; `None` if asyncio does not keep it, or it is not as expected. (In free-threaded builds
/// other threads change it meanwhile.)
pub(super) fn awaiting(
    image: &Image<'_>,
    version: Version,
    published: &DebugOffsets,
    offsets: &Offsets,
) -> Option<Awaiting> {
    if !version.keeps_who_awaits() || published.free_threaded {
        return None;
    }
    let (state, awaited_behind) = match version.minor {
        14 => (0xff, 8),
        // Behind what is awaited is the place for its method.
        15 => (2, 16),
        _not_tried => return None,
    };
    if published_words(image).is_some_and(|words| !words.starts_with(&TASK_WORDS)) {
        return None;
    }
    let frame = NAME + FRAME_BEHIND_NAME;
    let stack_pointer = u32::from(offsets.frame.instruction) + 8;
    let owner = u32::from(offsets.frame.chain?.owner);
    let has = |fields: &[u32]| {
        let mut windows = published.words().windows(fields.len());
        windows.any(|words| {
            words
                .iter()
                .copied()
                .eq(fields.iter().copied().map(u64::from))
        })
    };
    if !has(&[NAME, frame, frame - STATE_BEFORE]) || !has(&[owner, stack_pointer]) {
        return None;
    }
    let [_, _, awaited_by, _, _, coroutine] = TASK_WORDS.map(|word| u32::try_from(word).ok());
    Some(Awaiting {
        awaited_by: awaited_by?,
        coroutine: coroutine?,
        frame,
        state,
        stack_pointer,
        awaited_behind,
        coroutine_type: image.symbol("PyCoro_Type")?.address,
        generator_type: image.symbol("PyGen_Type")?.address,
    })
}

#[cfg(test)]
mod tests {
    use super::super::frames::frames;
    use super::super::tests::{interpreter_file, interpreters};

    #[test]
    fn each_interpreter_that_keeps_who_awaits_says_where() {
        for python in interpreters() {
            let Some((path, file)) = interpreter_file(&python) else {
                continue;
            };
            let frames = frames(&file).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            let keeps = frames.version.keeps_who_awaits() && !frames.free_threaded;
            assert_eq!(frames.awaiting.is_some(), keeps, "{}", path.display());
        }
    }
}
