//! The thread that finds and enables probes, one job at a time.
//!
//! An interpreter may have to be analysed and tested, a program may keep the kernel's verifier busy for
//! seconds: the main thread does not wait for that, so that a signal, `exit()` or the target's end finds it
//! ready. Whoever ends the run before a job is done leaves it behind; what it attaches then is detached
//! at once (`provider::session::Detacher`), and it ends with the process.

use std::os::fd::{AsFd, BorrowedFd};
use std::panic;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actions::consume::pipeline::EcbTable;
use anyhow::{Context as _, Result};
use nix::sys::eventfd::{EfdFlags, EventFd};
use provider::catalog::Started;
use provider::doctor::Diagnosis;
use provider::probe::ProbeId;

use super::Enabler;
use super::enabler::Enabled;
use crate::compile::Spec;

/// What is to be enabled.
#[derive(Debug)]
pub(super) enum Job {
    /// What the command's next program brings. It is stopped at its start.
    Image {
        /// The command.
        pid: u32,
        /// The descriptions that nothing has matched so far.
        awaited: Vec<Spec>,
    },
    /// What processes bring that run on meanwhile.
    Running {
        /// What they have mapped.
        started: Vec<Started>,
        /// Those that are held, and since when.
        held: Vec<(u32, Duration)>,
    },
}

/// What came of a job.
#[derive(Debug)]
pub(super) struct Done {
    /// What it was.
    pub(super) job: Job,
    /// The newest probe before it.
    pub(super) known: ProbeId,
    /// What was enabled.
    pub(super) enabled: Enabled,
    /// For the command's next program: whether the one after it may have what is missing in this one. An
    /// error, if a description has found nothing and will not.
    pub(super) awaits_next: Result<bool>,
    /// For running processes: what followed ones lack, by their place in the job; what is told once.
    pub(super) lacking: Vec<(usize, Diagnosis, (Spec, PathBuf))>,
}

/// The thread, and what it works with.
#[derive(Debug)]
pub(super) struct Worker {
    state: State,
    ecbs: EcbTable,
    /// Readable when a job is done.
    done: Arc<EventFd>,
}

#[derive(Debug)]
enum State {
    /// There is no thread.
    Idle(Box<Enabler>),
    Busy(JoinHandle<(Box<Enabler>, Done)>),
    /// A thread could not be started.
    Lost,
}

impl AsFd for Worker {
    /// Readable when a job is done.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}

impl Worker {
    /// What enables probes, and where their ECBs go.
    pub(super) fn new(enabler: Enabler, ecbs: EcbTable) -> Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            state: State::Idle(Box::new(enabler)),
            ecbs,
            done: Arc::new(EventFd::from_flags(flags)?),
        })
    }

    /// What enables probes, unless it is busy.
    pub(super) fn idle(&mut self) -> Option<&mut Enabler> {
        match &mut self.state {
            State::Idle(enabler) => Some(enabler),
            State::Busy(_) | State::Lost => None,
        }
    }

    /// Whether it has a job.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy(_))
    }

    /// Begins a job. There must be no other.
    pub(super) fn begin(&mut self, job: Job) -> Result<()> {
        let State::Idle(mut enabler) = std::mem::replace(&mut self.state, State::Lost) else {
            anyhow::bail!("two things are enabled at once");
        };
        let (ecbs, done) = (self.ecbs.clone(), Arc::clone(&self.done));
        let thread = thread::Builder::new().name("enabler".into());
        let thread = thread.spawn(move || {
            // Also if it panics.
            let _done = Signal(done);
            let result = work(&mut enabler, job, &ecbs);
            (enabler, result)
        });
        self.state = State::Busy(thread.context("failed to start a thread")?);
        Ok(())
    }

    /// What came of the job, if it is done.
    pub(super) fn take(&mut self) -> Option<Done> {
        self.done.read().ok()?;
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Busy(thread) => {
                let joined = thread.join();
                let (enabler, done) = joined.unwrap_or_else(|cause| panic::resume_unwind(cause));
                self.state = State::Idle(enabler);
                Some(done)
            }
            other @ (State::Idle(_) | State::Lost) => {
                self.state = other;
                None
            }
        }
    }
}

/// Says when it is dropped that the job is done.
struct Signal(Arc<EventFd>);

impl Drop for Signal {
    fn drop(&mut self) {
        let _ = self.0.write(1);
    }
}

fn work(enabler: &mut Enabler, job: Job, ecbs: &EcbTable) -> Done {
    let known = enabler.catalog.newest();
    let image;
    let started = match &job {
        Job::Image { pid, .. } => {
            image = [Started::now(*pid, Some(*pid))];
            &image[..]
        }
        Job::Running { started, .. } => started,
    };
    let enabled = enabler.enable(started, ecbs);
    let (mut awaits_next, mut lacking) = (Ok(false), Vec::new());
    match &job {
        Job::Image { awaited, .. } => {
            let missing = enabler.missing_in_tree(&enabled.matched);
            let awaited = missing.iter().filter(|spec| awaited.contains(spec));
            let refused = enabler.refuse_unmatchable(awaited);
            awaits_next = refused.map(|()| enabler.awaits_next_program(&missing));
        }
        Job::Running { started, .. } => {
            let followed = started.iter().enumerate();
            for (place, process) in followed.filter(|(_, process)| process.root.is_some()) {
                let theirs = enabler.lacking(process).into_iter();
                lacking.extend(theirs.map(|(why, key)| (place, why, key)));
            }
        }
    }
    Done {
        job,
        known,
        enabled,
        awaits_next,
        lacking,
    }
}
