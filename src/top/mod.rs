//! `--format top`, which `rdtrace run top` has: stacks on a live screen, sorted by functions, while they are
//! collected. Where the output is no terminal, a plain table each second.
//!
//! It shows what any D program collects in stacks or calls; the consumer is that of all outputs, and writes
//! a snapshot each second, which is read here.

mod draw;
mod model;
mod terminal;

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actions::consume::snapshot::Snapshot;
use anyhow::Result;

use self::draw::plain;
use self::model::{Model, Since, View};
use self::terminal::Screen;
use crate::message::Messages;
use crate::run::Output;

/// The model, which the thread of the screen and that of the output share.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Model>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The screen if there is a terminal, else a table each second.
pub(crate) fn output(named: Option<&str>, messages: &Messages) -> Result<Output> {
    let has_screen = named.is_none() && io::stdout().is_terminal() && io::stdin().is_terminal();
    let plain = Output::open(named, false)?;
    let name = plain.name().to_owned();
    let live = Live {
        bytes: Vec::new(),
        model: Shared::default(),
        plain,
        messages: messages.clone(),
        has_screen,
        screen: None,
    };
    Ok(Output::named(&name, live))
}

/// Takes snapshots, and shows them.
struct Live {
    bytes: Vec<u8>,
    model: Shared,
    plain: Output,
    messages: Messages,
    has_screen: bool,
    screen: Option<Screen>,
}

impl Live {
    fn show(&mut self, snapshot: Snapshot) -> io::Result<()> {
        let last = snapshot.last;
        self.model.lock().update(snapshot);
        if last {
            // What was on the screen goes with it.
            self.screen = None;
            let mut model = self.model.lock();
            (model.since, model.view) = (Since::Start, View::Functions);
            return self.plain.write(&plain(&model));
        }
        if !self.has_screen {
            let text = plain(&self.model.lock());
            return self.plain.write(&text);
        }
        if self.screen.is_none() {
            // Signals that are not for it are blocked by now.
            let screen = Screen::start(self.model.clone(), self.messages.clone())?;
            self.screen = Some(screen);
        }
        Ok(())
    }
}

impl Write for Live {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        while let Some(snapshot) = Snapshot::take(&mut self.bytes) {
            self.show(snapshot?)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.plain.flush()
    }
}
