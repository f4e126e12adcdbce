//! What comes while tracing goes on: programs that start and libraries that are loaded, by the target, in
//! its tree if it is followed, or anywhere on the machine, and the probes that they bring.
//!
//! A command that is followed becomes one program after the other; it is stopped at the start of
//! each until its probes are in place. One that is not followed is held by a signal while what may be an
//! interpreter is looked at that it has just mapped. All others run on meanwhile: whose probes came too late,
//! is told.
//!
//! ```text
//!     enabler     finds the probes that processes bring, and enables them
//!     times       when the probes of which file were in place, and who was ahead of them
//!     gone        detaches from files that are gone
//!     tell        what of it is told to people
//! ```

mod enabler;
mod gone;
mod tell;
mod times;

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use actions::consume::pipeline::EcbTable;
use anyhow::Result;
use provider::catalog::{Catalog, Started};
use provider::features::KernelFeatures;
use provider::interpreter::is_of_python;
use provider::process::{MappingWatch, Whose};

pub(crate) use self::enabler::{CheckBeforeUse, Enabler};
use self::gone::Attached;
use self::tell::Told;
use self::times::Times;
use crate::checked::Checked;
use crate::compile::{Parsed, Spec};
use crate::enabling::Enabling;
use crate::follow::Followed;
use crate::kernel::{RunMaps, free_dead_frames};
use crate::matching::Match;
use crate::message::Messages;
use crate::target::{Target, monotonic};

/// How often what ended processes left behind is looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What comes late, and what is enabled of it.
#[derive(Debug)]
pub(crate) struct Late {
    enabler: Enabler,
    /// Where the ECBs go that are added.
    ecbs: EcbTable,
    /// Tells what is mapped to execute, if that may bring more probes.
    watch: Option<MappingWatch>,
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
            followed,
            awaited: awaited.map(|found| found.spec).collect(),
            expected: expected.map(|found| found.spec).collect(),
            times: Times::from_start(matches),
            attached: Attached::default(),
            told: Told::default(),
            messages,
            sweep: Instant::now() + SWEEP,
            enabler,
            ecbs,
        })
    }

    /// What is enabled.
    pub(crate) fn enabling(&mut self) -> &mut Enabling {
        &mut self.enabler.enabling
    }

    /// The program as it is checked now.
    pub(crate) fn checked(&self) -> &Checked {
        &self.enabler.enabling.checked
    }

    /// Lets the command go, once all that was matched is attached: for good, or as far as its next
    /// program, if that may have the probes that are missing in this one.
    pub(crate) fn let_go(&mut self, target: &mut Target) -> Result<()> {
        if let Some(followed) = &self.followed {
            followed.adopt(&target.pids())?;
        }
        let missing = self.awaited.clone();
        self.let_go_until(&missing, target)
    }

    fn let_go_until(&mut self, missing: &[Spec], target: &mut Target) -> Result<()> {
        if self.enabler.awaits_next_program(missing) {
            target.run_on()
        } else {
            target.resume()
        }
    }

    /// Descriptors that become readable when there is something to look after.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let watch = self.watch.iter().map(|watch| watch.as_fd());
        watch.chain(self.followed.iter().filter_map(Followed::end))
    }

    /// Enables what the command brings if it has come to its next program.
    pub(crate) fn enable_arrived(&mut self, target: &mut Target) -> Result<()> {
        match target.arrived()? {
            Some(pid) => self.enable_image(pid, target),
            None => Ok(()),
        }
    }

    /// Enables what processes have mapped since the last call.
    pub(crate) fn enable_started(&mut self, target: &mut Target) -> Result<()> {
        let started = self.started();
        // At the start of a program the command is stopped: what that brings comes in time.
        let moved = started.iter().map(|process| process.pid);
        if let Some(pid) = target.arrived_soon(moved)? {
            self.enable_image(pid, target)?;
        }
        self.enable_running(&started, target)?;
        self.tell_lacking(&started);
        Ok(())
    }

    /// Enables what the command's next program brings, before anything of it runs, and lets it go.
    fn enable_image(&mut self, pid: u32, target: &mut Target) -> Result<()> {
        let matched = self.enable(&[Started::now(pid, Some(pid))]);
        let missing = self.enabler.missing_in_tree(&matched);
        let awaited = missing.iter().filter(|spec| self.awaited.contains(spec));
        self.enabler.refuse_unmatchable(awaited)?;
        self.times.arrived(pid);
        self.let_go_until(&missing, target)
    }

    /// Enables what programs bring that run on meanwhile, and tells which of them got ahead.
    fn enable_running(&mut self, started: &[Started], target: &mut Target) -> Result<()> {
        let held = self.hold(started, target);
        let known = self.enabler.catalog.newest();
        self.enable(started);
        let catalog = &self.enabler.catalog;
        self.times.in_place(catalog, known, &self.told, monotonic());
        for (pid, since) in held {
            self.times.held(pid, since);
            target.go_on(pid)?;
        }
        let fate = "was a moment ahead of its probes: its first events";
        self.tell_late(started, fate);
        self.tell_unseen(started);
        Ok(())
    }

    /// Tells what programs brought just before the run ended, at `until` by `CLOCK_MONOTONIC`: nothing is
    /// attached any more.
    pub(crate) fn tell_last(&mut self, until: Duration) {
        if let Some(watch) = &mut self.watch {
            watch.stop();
        }
        let started = self.started();
        let known = self.enabler.catalog.newest();
        let (matched, _) = self.enabler.match_started(known, &started);
        self.awaited.retain(|spec| !matched.contains(spec));
        let catalog = &self.enabler.catalog;
        self.times.in_place(catalog, known, &self.told, until);
        let fate = "had only just started when tracing ended: its events";
        self.tell_late(&started, fate);
        self.tell_unseen(&started);
        self.tell_lacking(&started);
    }

    /// Stops the command if it has just mapped what may be an interpreter and has no probes yet; gives
    /// since when.
    fn hold(&self, started: &[Started], target: &mut Target) -> Vec<(u32, Duration)> {
        let catalog = &self.enabler.catalog;
        let mut held = Vec::new();
        for process in started {
            let mut files = process.mapped.files.iter();
            if files.any(|(file, _)| is_of_python(file) && !self.times.has_probes(file, catalog))
                && let Some(since) = target.hold(process.pid)
            {
                held.push((process.pid, since));
            }
        }
        held
    }

    /// Enables what these processes bring; gives the descriptions that they match. What cannot be
    /// enabled is told, and is no reason not to enable the rest.
    fn enable(&mut self, started: &[Started]) -> HashSet<Spec> {
        let enabled = self.enabler.enable(started, &self.ecbs);
        self.awaited.retain(|spec| !enabled.matched.contains(spec));
        self.attached.add(enabled.links);
        for (file, error) in enabled.refused {
            self.tell_refused(&file, &error);
        }
        enabled.matched
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
        let (descs, catalog) = (&self.enabler.enabling.checked.parsed, &self.enabler.catalog);
        let is_meant = |process: &Started| {
            let mut descs = descs.descs();
            descs.any(|desc| catalog.means_process(desc, process))
        };
        started.filter(is_meant).collect()
    }

    /// Whether no followed process runs any more.
    pub(crate) fn is_over(&mut self) -> Result<bool> {
        self.followed.as_mut().map_or(Ok(true), Followed::are_over)
    }

    /// Frees what files that are gone, and from time to time what processes that have ended, left behind.
    pub(crate) fn tidy(&mut self) -> Result<()> {
        self.attached.release_gone(&mut self.enabler);
        if Instant::now() >= self.sweep {
            self.sweep = Instant::now() + SWEEP;
            let enabling = &self.enabler.enabling;
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

    /// The Pythons that the targets have started, if nobody asked to follow them.
    pub(crate) fn unfollowed_pythons(&self) -> Vec<u32> {
        match &self.watch {
            Some(watch) if self.followed.is_none() => watch.python_children(),
            Some(_) | None => Vec::new(),
        }
    }
}
