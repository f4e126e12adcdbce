//! The processes that `-c` and `-p` name, and finding the probes of a program in them.
//!
//! A command is stopped before its first instruction. It may be a shell script, `env`, `chroot` or
//! a version manager's shim that only later becomes the program that is meant, so as long as a
//! description finds nothing, the command goes on to its next exec and is looked at again; it is
//! let go when everything has matched.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use dlang::program::{ProbeDesc, Program};
use nix::sys::signal::Signal;
use provider::catalog::Catalog;
use provider::probe::Probe;
use provider::process::command::split_command;
use provider::process::files::executable_files;
use provider::process::launch::{Stopped, launch_stopped};
use provider::process::running::{Exit, Running};

use crate::cli::Cli;

/// What is traced, besides whatever matches system-wide.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// A command that has not been let go yet.
    stopped: Option<Stopped>,
    /// Processes that run.
    running: Vec<Running>,
    /// The first process: `$target`.
    pid: Option<u32>,
    /// How the process that ended last ended.
    last_exit: Option<Exit>,
}

impl Target {
    /// Starts the command of `-c` and grabs the processes of `-p`.
    pub(crate) fn open(cli: &Cli) -> Result<Self> {
        let mut target = Self::default();
        for pid in &cli.pids {
            let number = pid
                .parse()
                .ok()
                .with_context(|| format!("failed to grab process {pid}: not a process id"))?;
            target.running.push(Running::attach(number)?);
            target.pid.get_or_insert(number);
        }
        if let Some(command) = &cli.command {
            let argv = split_command(command)
                .map_err(|error| anyhow::anyhow!("failed to execute {command}: {error}"))?;
            let stopped = launch_stopped(&argv)?;
            target.pid.get_or_insert(stopped.pid());
            target.stopped = Some(stopped);
        }
        Ok(target)
    }

    /// A command that has been started already.
    pub(crate) fn of(stopped: Stopped) -> Self {
        Self {
            last_exit: None,
            pid: Some(stopped.pid()),
            stopped: Some(stopped),
            running: Vec::new(),
        }
    }

    /// `$target`.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Whether there is a process whose end ends the run.
    pub(crate) fn exists(&self) -> bool {
        self.pid.is_some()
    }

    /// Goes on to the command's next program; `false` if there is none (or no command).
    pub(crate) fn next_image(&mut self) -> Result<bool> {
        match &mut self.stopped {
            Some(stopped) => Ok(stopped.next_image()?.is_some()),
            None => Ok(false),
        }
    }

    /// Whether the command has ended while its next program was waited for.
    pub(crate) fn ended_early(&self) -> bool {
        self.stopped.is_some() && self.pid.is_some_and(|pid| executable_files(pid).is_empty())
    }

    /// Lets the command run.
    pub(crate) fn resume(&mut self) -> Result<()> {
        if let Some(stopped) = self.stopped.take() {
            self.running.push(stopped.resume()?);
        }
        Ok(())
    }

    /// Descriptors that become readable when a process ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.running.iter().map(|process| process.as_fd())
    }

    /// The processes that have ended since the last call.
    pub(crate) fn ended(&mut self) -> Vec<(u32, Exit)> {
        let mut ended = Vec::new();
        self.running.retain_mut(|process| match process.exited() {
            Some(exit) => {
                ended.push((process.pid(), exit));
                self.last_exit = Some(exit);
                false
            }
            None => true,
        });
        ended
    }

    /// How the process that ended last ended.
    pub(crate) fn last_exit(&self) -> Option<Exit> {
        self.last_exit
    }

    /// Whether all processes have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.running.is_empty() && self.stopped.is_none()
    }

    /// Ends the commands that we started, as DTrace does when the run ends before them: they have
    /// `grace` to end by themselves, are then asked to, and killed a second later.
    pub(crate) fn terminate(&mut self, grace: Duration) {
        let second = Duration::from_secs(1);
        for process in self.running.iter_mut().filter(|process| process.is_ours()) {
            for (patience, signal) in [(grace, Signal::SIGTERM), (second, Signal::SIGKILL)] {
                if process.wait(patience).is_none() {
                    let _ = process.signal(signal);
                }
            }
            process.wait(second);
        }
    }

    /// Passes a signal on to the commands that we started.
    pub(crate) fn signal(&self, signal: Signal) {
        for process in self.running.iter().filter(|process| process.is_ours()) {
            let _ = process.signal(signal);
        }
    }
}

/// A description of a clause and the probes it matched.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    /// Index of the clause.
    pub(crate) clause: usize,
    /// Index of the description in the clause.
    pub(crate) spec: usize,
    /// What it matched.
    pub(crate) probes: Vec<Arc<Probe>>,
}

/// Matches every description of a program, letting the command go on to its next program as long
/// as some description finds nothing. Gives the matches of the last look.
pub(crate) fn match_probes(
    program: &Program,
    catalog: &mut Catalog,
    target: &mut Target,
) -> Result<Vec<Match>> {
    let mut image = target.next_image()?;
    loop {
        let matches = match_once(program, catalog);
        let missing = matches.iter().filter(|found| found.probes.is_empty());
        let waits = missing.clone().next().is_some()
            && missing.clone().all(|found| {
                let desc = &program.clauses[found.clause].probes[found.spec].desc;
                may_come(desc, catalog, target.pid())
            });
        if !(image && waits) {
            return Ok(matches);
        }
        image = target.next_image()?;
        if !image {
            return Ok(matches);
        }
    }
}

fn match_once(program: &Program, catalog: &mut Catalog) -> Vec<Match> {
    let mut matches = Vec::new();
    for (clause, of) in program.clauses.iter().enumerate() {
        for (spec, probe) in of.probes.iter().enumerate() {
            matches.push(Match {
                clause,
                spec,
                probes: catalog.enable(&probe.desc),
            });
        }
    }
    matches
}

/// Whether a description that finds nothing may find something in the command's next program:
/// not if this one has its provider already, or is the Python that was meant and has no probes.
fn may_come(desc: &ProbeDesc, catalog: &mut Catalog, target: Option<u32>) -> bool {
    let Some(target) = target else { return false };
    let Some(name) = desc.provider.strip_suffix(&target.to_string()) else {
        return false;
    };
    let provider = ProbeDesc {
        provider: desc.provider.clone(),
        ..ProbeDesc::default()
    };
    let is_python = name == "python"
        && executable_files(target).iter().any(|file| {
            let name = file
                .shown
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.starts_with("python") || name.starts_with("libpython")
        });
    !is_python && catalog.list(&provider).is_empty()
}
