//! What comes while tracing goes on: programs that start and libraries that are loaded, by the target, in
//! its tree if it is followed, or anywhere on the machine, and the probes that they bring.
//!
//! A command that is followed becomes one program after the other; it is stopped at the start of
//! each until its probes are in place. One that is not followed is held by a signal while what may be an
//! interpreter is looked at that it has just mapped. All others run on meanwhile; a process
//! that ran before its probes were attached is reported.
//!
//! ```text
//!     enabler     finds the probes that processes bring, and enables them
//!     worker      the thread in which it does
//!     times       when each file's probes were attached, and which processes ran before
//!     gone        detaches from files that are gone
//!     tell        the messages about it
//! ```

mod enabler;
mod gone;
mod tell;
mod times;
mod told;
mod worker;

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actions::consume::pipeline::EcbTable;
use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use provider::catalog::{Catalog, Started};
use provider::features::KernelFeatures;
use provider::interpreters::is_of_one;
use provider::process::{MappingWatch, Whose};

pub(crate) use self::enabler::{CheckBeforeUse, Enabler};
use self::gone::Attached;
use self::times::Times;
use self::told::Told;
use self::worker::{Done, Job, Worker};
use crate::compile::{Parsed, Spec};
use crate::enabling::Enabling;
use crate::follow::Followed;
use crate::kernel::{RunMaps, free_dead_frames};
use crate::matching::Match;
use crate::message::Messages;
use crate::options::Options;
use crate::target::{Target, monotonic};

/// How often what ended processes left behind is looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What comes late, and what is enabled of it.
#[derive(Debug)]
pub(crate) struct Late {
    worker: Worker,
    /// The catalogue as it was at first: whom a description means does not change.
    meaning: Catalog,
    parsed: Arc<Parsed>,
    options: Arc<Options>,
    /// Tells what is mapped to execute, if that may bring more probes.
    watch: Option<MappingWatch>,
    /// The process of the command, which is held while its files are looked at.
    command: Option<u32>,
    /// The processes that are followed, if any are.
    followed: Option<Followed>,
    /// The descriptions that no process that has been looked at had a probe for.
    awaited: Vec<Spec>,
    /// The descriptions for which probes in programs that may be started were attached beforehand.
    expected: HashSet<Spec>,
    times: Times,
    attached: Attached,
    told: Told,
    messages: Messages,
    /// What has been mapped while the worker was busy with something else.
    pending: Vec<Started>,
    /// The processes that are held while the worker is busy.
    held: Vec<u32>,
    /// The processes that the worker is busy with.
    busy_with: Vec<Started>,
    /// When what ended processes left behind is looked for next.
    sweep: Instant,
}

/// The processes that may bring more probes while tracing goes on; `None` if any may.
fn may_bring(parsed: &Parsed, catalog: &Catalog, targets: &[u32]) -> Option<Vec<u32>> {
    let mut pids = Vec::new();
    for desc in parsed.descs() {
        pids.extend(catalog.may_bring(desc)?);
    }
    pids.retain(|pid| targets.contains(pid));
    Some(pids)
}

/// Whether more probes may come while tracing goes on.
pub(crate) fn may_come_late(parsed: &Parsed, catalog: &Catalog, targets: &[u32]) -> bool {
    may_bring(parsed, catalog, targets).is_none_or(|pids| !pids.is_empty())
}

impl Late {
    /// Begins to watch what is mapped to execute. The programs for these matches are loaded, and not
    /// attached yet.
    pub(crate) fn start(
        enabler: Enabler,
        matches: &[Match],
        ecbs: EcbTable,
        target: &Target,
        messages: Messages,
    ) -> Result<Self> {
        let Enabling {
            checked,
            compiler,
            session,
            ..
        } = &enabler.enabling;
        let targets = target.pids();
        let only = may_bring(&checked.parsed, &enabler.catalog, &targets);
        let watch = if only.as_ref().is_some_and(Vec::is_empty) {
            None
        } else {
            let whose = Whose {
                only,
                roots: targets.clone(),
                // Interpreters that are tested.
                except: Some(std::process::id()),
            };
            Some(MappingWatch::start(&KernelFeatures::detect(), whose)?)
        };
        let followed = match compiler.followed() {
            Some(map) => Some(Followed::start(session.map(map)?, &targets)?),
            None => None,
        };
        let awaited = matches.iter().filter(|found| found.awaited);
        let expected = matches.iter().filter(|found| !found.expected.is_empty());
        Ok(Self {
            watch,
            command: target.command(),
            followed,
            awaited: awaited.map(|found| found.spec).collect(),
            expected: expected.map(|found| found.spec).collect(),
            times: Times::from_start(matches),
            attached: Attached::default(),
            told: Told::default(),
            messages,
            pending: Vec::new(),
            held: Vec::new(),
            busy_with: Vec::new(),
            sweep: Instant::now() + SWEEP,
            meaning: enabler.catalog.clone(),
            parsed: Arc::clone(&checked.parsed),
            options: Arc::clone(enabler.options()),
            worker: Worker::new(enabler, ecbs)?,
        })
    }

    /// What is enabled, unless it is busy.
    pub(crate) fn enabling(&mut self) -> Option<&mut Enabling> {
        Some(&mut self.worker.idle()?.enabling)
    }

    /// Lets the command go, once all that was matched is attached: for good, or as far as its next
    /// program, if that may have the probes that are missing in this one.
    pub(crate) fn let_go(&mut self, target: &mut Target) -> Result<()> {
        if let Some(followed) = &self.followed {
            followed.adopt(&target.pids())?;
        }
        let missing = self.awaited.clone();
        let enabler = self.worker.idle();
        let awaits_next = enabler.is_some_and(|enabler| enabler.awaits_next_program(&missing));
        let_go(awaits_next, target)
    }

    /// Descriptors that become readable when there is something to look after.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        // What happens while the worker is busy is looked at when it is done.
        let watch = self.watch.iter().filter(|_| !self.worker.is_busy());
        let watch = watch.map(|watch| watch.as_fd());
        let followed = self.followed.iter().filter_map(Followed::end);
        let followed = followed.filter(|_| !self.worker.is_busy());
        watch.chain(followed).chain([self.worker.as_fd()])
    }

    /// Has enabled what the command and other processes bring. Never waits for that.
    pub(crate) fn go_on(&mut self, target: &mut Target) -> Result<()> {
        self.finish_job(target)?;
        if self.worker.is_busy() {
            return Ok(());
        }
        let mut started = std::mem::take(&mut self.pending);
        started.extend(self.started());
        // At the start of a program the command is stopped: what that brings comes in time.
        let moved = started.iter().map(|process| process.pid);
        if let Some(pid) = target.arrived_soon(moved)? {
            self.pending = started;
            let awaited = self.awaited.clone();
            self.busy_with = vec![Started::now(pid, Some(pid))];
            return self.worker.begin(Job::Image { pid, awaited });
        }
        if started.is_empty() {
            return Ok(());
        }
        let held = self.hold(&started, target);
        self.held = held.iter().map(|(pid, _)| *pid).collect();
        self.busy_with.clone_from(&started);
        self.worker.begin(Job::Running { started, held })
    }

    /// Takes over what came of the job, if it is done. Begins no other.
    pub(crate) fn finish_job(&mut self, target: &mut Target) -> Result<()> {
        match self.worker.take() {
            Some(done) => self.finish(done, target),
            None => Ok(()),
        }
    }

    /// Takes over what came of a job, lets those go on that were held for it, and tells which processes
    /// got ahead of their probes.
    fn finish(&mut self, done: Done, target: &mut Target) -> Result<()> {
        let Done {
            job,
            known,
            enabled,
            awaits_next,
            lacking,
        } = done;
        self.busy_with.clear();
        self.awaited.retain(|spec| !enabled.matched.contains(spec));
        self.attached.add(enabled.links);
        for (file, error) in enabled.refused {
            self.tell_refused(&file, &error);
        }
        match job {
            Job::Image { pid, .. } => {
                let awaits_next = awaits_next?;
                self.times.held(pid, Duration::ZERO);
                let_go(awaits_next, target)
            }
            Job::Running { started, held } => {
                if let Some(enabler) = self.worker.idle() {
                    let (catalog, told) = (&enabler.catalog, &self.told);
                    self.times.in_place(catalog, known, told, monotonic());
                }
                for (pid, since) in held {
                    self.times.held(pid, since);
                    target.go_on(pid)?;
                }
                self.held.clear();
                self.tell_late(
                    &started,
                    "was a moment ahead of its probes: its first events",
                );
                self.tell_unseen(&started);
                for (place, why, key) in lacking {
                    self.tell_lacking(&started[place], &why, key);
                }
                Ok(())
            }
        }
    }

    /// Lets go on what is held, since the run ends.
    pub(crate) fn release(&mut self, target: &mut Target) {
        for pid in self.held.drain(..) {
            let _ = target.go_on(pid);
        }
    }

    /// Tells what programs brought just before the run ended, at `until` by `CLOCK_MONOTONIC`: nothing is
    /// attached any more.
    pub(crate) fn tell_last(&mut self, until: Duration) {
        if let Some(watch) = &mut self.watch {
            watch.stop();
        }
        let mut started = std::mem::take(&mut self.pending);
        started.extend(self.started());
        let Some(enabler) = self.worker.idle() else {
            let busy_with = std::mem::take(&mut self.busy_with);
            self.tell_unfinished(busy_with.iter().chain(&started));
            return;
        };
        let known = enabler.catalog.newest();
        let (matched, _) = enabler.match_started(known, &started);
        let followed = started.iter().filter(|process| process.root.is_some());
        let lacking = followed.map(|process| (process, enabler.lacking(process)));
        let lacking: Vec<_> = lacking.collect();
        self.awaited.retain(|spec| !matched.contains(spec));
        self.times
            .in_place(&enabler.catalog, known, &self.told, until);
        self.tell_late(
            &started,
            "had only just started when tracing ended: its events",
        );
        self.tell_unseen(&started);
        for (process, lacking) in lacking {
            for (why, key) in lacking {
                self.tell_lacking(process, &why, key);
            }
        }
    }

    /// Stops the command if it has just mapped what may be an interpreter and has no probes yet; gives
    /// since when.
    fn hold(&mut self, started: &[Started], target: &mut Target) -> Vec<(u32, Duration)> {
        let mut held = Vec::new();
        let Some(Enabler { catalog, .. }) = self.worker.idle() else {
            return held;
        };
        for process in started {
            let mut files = process.mapped.files.iter();
            if files.any(|(file, _)| is_of_one(file) && !self.times.has_probes(file, catalog))
                && let Some(since) = target.hold(process.pid)
            {
                held.push((process.pid, since));
            }
        }
        held
    }

    /// The processes that have mapped something to execute, as far as a description means them.
    fn started(&mut self) -> Vec<Started> {
        let mapped = self.watch.as_mut().map(MappingWatch::take);
        let root = |pid| self.followed.as_ref().and_then(|all| all.root_of(pid));
        let mapped = mapped.unwrap_or_default().into_iter();
        let started = mapped.map(|(pid, mapped)| {
            let root = root(pid).or(mapped.root.filter(|_| self.followed.is_some()));
            Started::after(pid, root, mapped)
        });
        let is_meant = |process: &Started| {
            let mut descs = self.parsed.descs();
            descs.any(|desc| self.meaning.means_process(desc, process))
        };
        started.filter(is_meant).collect()
    }

    /// Whether nothing is being enabled, and no followed process runs any more.
    pub(crate) fn is_over(&mut self) -> Result<bool> {
        if self.worker.is_busy() {
            return Ok(false);
        }
        self.followed.as_mut().map_or(Ok(true), Followed::are_over)
    }

    /// Waits until nothing is being enabled: until `signals` is readable, or so long.
    pub(crate) fn wait_for_job(&self, signals: Option<BorrowedFd<'_>>, patience: Option<Duration>) {
        let timeout = patience.map_or(Ok(PollTimeout::NONE), PollTimeout::try_from);
        let timeout = timeout.unwrap_or(PollTimeout::ZERO);
        if self.worker.is_busy() {
            let fds = [self.worker.as_fd()].into_iter().chain(signals);
            let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let _ = poll(&mut fds, timeout);
        }
    }

    /// Frees what files that are gone, and from time to time what processes that have ended, left behind.
    pub(crate) fn tidy(&mut self) -> Result<()> {
        let Some(enabler) = self.worker.idle() else {
            return Ok(()); // next time
        };
        self.attached.release_gone(enabler);
        if Instant::now() >= self.sweep {
            self.sweep = Instant::now() + SWEEP;
            let enabling = &enabler.enabling;
            free_dead_frames(&enabling.session, &enabling.compiler)?;
        }
        Ok(())
    }

    /// The descriptions that surely matched nothing. A process may have come and gone unseen: then
    /// it has hit probes that were there before it.
    pub(crate) fn unmatched(&self, maps: &RunMaps) -> Vec<Spec> {
        let mut unmatched = self.awaited.clone();
        if !unmatched.is_empty() && maps.may_have_been_hit() {
            unmatched.retain(|spec| !self.expected.contains(spec));
        }
        unmatched
    }

    /// The processes that the targets have started and that run an interpreter, if nobody asked to follow
    /// them.
    pub(crate) fn unfollowed_interpreters(&self) -> Vec<u32> {
        match &self.watch {
            Some(watch) if self.followed.is_none() => watch.interpreter_children(),
            Some(_) | None => Vec::new(),
        }
    }
}

/// Lets the command go: for good, or as far as its next program.
fn let_go(awaits_next: bool, target: &mut Target) -> Result<()> {
    if awaits_next {
        target.run_on()
    } else {
        target.resume()
    }
}
