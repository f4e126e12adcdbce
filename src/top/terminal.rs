//! The terminal that the screen is on: taken over and given back, keys, and the thread that draws.

use std::io::{self, Stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::Shared;
use super::draw::draw;
use super::model::{Column, Model, Since, View};
use crate::message::Messages;

/// How long the thread waits for a key before it draws again.
const TICK: Duration = Duration::from_millis(200);

/// How many rows a page is.
const PAGE: usize = 10;

/// The screen, until it is dropped.
pub(super) struct Screen {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    messages: Messages,
}

impl Screen {
    /// Takes the terminal over. Messages are kept meanwhile, and come when the terminal is given back.
    pub(super) fn start(model: Shared, messages: Messages) -> io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let terminal = Taken::take()?;
        messages.hold();
        let thread = thread::Builder::new().name("screen".into()).spawn({
            let (over, messages) = (Arc::clone(&over), messages.clone());
            move || {
                // A terminal that is gone is the end of the run, which the output notices.
                let _ = run(terminal, &model, &messages, &over);
            }
        });
        Ok(Self {
            over,
            thread: Some(thread?),
            messages,
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.messages.release();
    }
}

/// A terminal that has been taken over; it is given back when this is dropped.
struct Taken(Terminal<CrosstermBackend<Stdout>>);

impl Taken {
    fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(Self(Terminal::new(CrosstermBackend::new(io::stdout()))?))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        let _ = execute!(io::stdout(), LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn run(mut taken: Taken, model: &Shared, messages: &Messages, over: &AtomicBool) -> io::Result<()> {
    while !over.load(Ordering::Acquire) {
        {
            let mut model = model.lock();
            model.message = messages.last_held();
            taken.0.draw(|frame| draw(frame, &mut model))?;
        }
        if event::poll(TICK)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && press(&mut model.lock(), key)
        {
            // As Ctrl-C does elsewhere: the run ends in good order.
            let _ = kill(Pid::this(), Signal::SIGINT);
        }
    }
    Ok(())
}

/// What a key does; whether it ends the run.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "crossterm's keys are many, and most do nothing"
)]
fn press(model: &mut Model, key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('q') => return true,
        KeyCode::Char('c') if control => return true,
        KeyCode::Char(' ' | 'p') => model.pause(),
        KeyCode::Char('o') => model.sort = Column::Own,
        KeyCode::Char('t') => model.sort = Column::Total,
        KeyCode::Char('n') => model.sort = Column::Name,
        KeyCode::Char('s') => {
            model.since = match model.since {
                Since::Start => Since::Last,
                Since::Last => Since::Start,
            };
        }
        KeyCode::Up | KeyCode::Char('k') => model.selected = model.selected.saturating_sub(1),
        // Drawing keeps it within what there is.
        KeyCode::Down | KeyCode::Char('j') => model.selected += 1,
        KeyCode::PageUp => model.selected = model.selected.saturating_sub(PAGE),
        KeyCode::PageDown => model.selected += PAGE,
        KeyCode::Home => model.selected = 0,
        KeyCode::Enter | KeyCode::Right => {
            let row = model.rows().into_iter().nth(model.selected);
            if let Some(function) = row.and_then(|row| row.function) {
                model.view = View::Function(function);
                model.selected = 0;
            }
        }
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => {
            model.view = View::Functions;
            model.selected = 0;
        }
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::snapshot;
    use super::*;

    #[test]
    fn keys_choose_what_is_shown() {
        let mut model = Model::default();
        model.update(snapshot(1, &[10, 5, 2, 1]));
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert!(!press(&mut model, key(KeyCode::Down)));
        press(&mut model, key(KeyCode::Enter));
        assert_eq!(model.rows()[0].kind, "caller");
        press(&mut model, key(KeyCode::Esc));
        press(&mut model, key(KeyCode::Char('n')));
        assert_eq!(model.rows()[0].name, "leaf");
        press(&mut model, key(KeyCode::Char(' ')));
        assert!(model.paused);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(press(&mut model, interrupt) && press(&mut model, key(KeyCode::Char('q'))));
    }
}
