//! What a terminal's standard error shows while something takes long: what is being done, and for how long
//! already. It goes away when that is done, or before a message. Where standard error is no terminal,
//! nothing shows. It is only for what comes before the program's own output, which may be on the same line.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::message::Messages;

/// How long something takes before it shows, and the time between two changes.
const STEP: Duration = Duration::from_millis(700);

/// Something that is being done, until it is dropped.
#[must_use = "it is over when this is dropped"]
pub(crate) struct Progress {
    /// What ends the thread.
    done: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
    messages: Messages,
}

impl Messages {
    /// Shows what is being done from now on, if it takes long.
    pub(crate) fn during(&self, what: &str) -> Progress {
        let done = Arc::<(Mutex<bool>, Condvar)>::default();
        let thread = Self::has_terminal().then(|| {
            let (done, messages, what) = (Arc::clone(&done), self.clone(), what.to_owned());
            let name = thread::Builder::new().name("progress".into());
            name.spawn(move || show(&done, &messages, &what)).ok()
        });
        Progress {
            done,
            thread: thread.flatten(),
            messages: self.clone(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        let (done, changed) = &*self.done;
        *done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        let _ = thread.join();
        self.messages.show_progress(None);
    }
}

fn show(done: &(Mutex<bool>, Condvar), messages: &Messages, what: &str) {
    let start = Instant::now();
    let (done, changed) = done;
    let mut is_done = done.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let waited = changed.wait_timeout_while(is_done, STEP, |done| !*done);
        is_done = waited.unwrap_or_else(PoisonError::into_inner).0;
        if *is_done {
            return;
        }
        let seconds = start.elapsed().as_secs();
        let text = if seconds == 0 {
            format!("{what} ...")
        } else {
            format!("{what} ... {seconds} s")
        };
        messages.show_progress(Some(&text));
    }
}
