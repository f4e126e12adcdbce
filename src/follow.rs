//! The processes of a run that are followed: `-x followfork`.
//!
//! Which they are, programs in the kernel keep in a map (`actions::follow`). Here the targets are put
//! there, processes are looked up, and the end of the last one is waited for.

use std::os::fd::{AsFd as _, BorrowedFd};

use actions::follow::FollowFields;
use anyhow::{Context as _, Result, bail};
use provider::btf::Btf;
use provider::map::Map;
use provider::process::Running;
use provider::process::files::has_kernels_ids;
use provider::process::tree::descendants;

/// The followed processes.
#[derive(Debug)]
pub(crate) struct Followed {
    map: Map,
    /// One that still runs, once the targets have ended.
    waits_for: Option<Running>,
}

impl Followed {
    /// Follows these processes from now on; each is the root of a tree.
    pub(crate) fn start(map: Map, roots: &[u32]) -> Result<Self> {
        for root in roots {
            let word = root.to_ne_bytes();
            map.update(&word, &word)?;
        }
        Ok(Self {
            map,
            waits_for: None,
        })
    }

    /// Follows what these processes have started before, too. Only once the programs run that keep the
    /// map, so that no fork is missed: those that happen meanwhile are found by looking again.
    pub(crate) fn adopt(&self, roots: &[u32]) -> Result<()> {
        loop {
            let mut is_new = false;
            for root in roots {
                for pid in descendants(*root, roots) {
                    if self.root_of(pid).is_none() && exists(pid) {
                        self.map.update(&pid.to_ne_bytes(), &root.to_ne_bytes())?;
                        is_new = true;
                        // It may have ended in between, and nobody would take it out again.
                        if !exists(pid) {
                            self.map.delete(&pid.to_ne_bytes())?;
                        }
                    }
                }
            }
            if !is_new {
                return Ok(());
            }
        }
    }

    /// The root of the tree that a process belongs to, if it is followed.
    pub(crate) fn root_of(&self, pid: u32) -> Option<u32> {
        let mut root = [0; 4];
        let found = self.map.lookup(&pid.to_ne_bytes(), &mut root).ok()?;
        found.then(|| u32::from_ne_bytes(root))
    }

    /// Whether no followed process runs any more. If one does, [`end`](Self::end) tells when to ask
    /// again.
    pub(crate) fn are_over(&mut self) -> Result<bool> {
        if let Some(process) = &mut self.waits_for
            && process.exited().is_none()
        {
            return Ok(false);
        }
        let mut pids = Vec::new();
        self.map.for_each(&mut |key, _| {
            pids.extend(key.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)));
        })?;
        let runs = |pid| {
            let mut process = Running::attach(pid).ok()?;
            process.exited().is_none().then_some(process)
        };
        self.waits_for = pids.into_iter().find_map(runs);
        Ok(self.waits_for.is_none())
    }

    /// Becomes readable when the process that is waited for ends.
    pub(crate) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.waits_for.as_ref().map(|process| process.as_fd())
    }
}

fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}/exe")).exists()
}

/// What following takes to know of the kernel.
pub(crate) fn follow_fields() -> Result<FollowFields> {
    if !has_kernels_ids() {
        bail!(
            "-x followfork does not work in a container with process ids of its own: run rdtrace on \
             the host, or in a container with the host's (`--pid=host`)"
        );
    }
    let mut btf = Btf::of_kernel();
    let mut offset = |of, member| {
        let offset = btf.as_mut().and_then(|btf| btf.member_offset(of, member));
        offset.with_context(|| {
            format!(
                "-x followfork needs the kernel's type information (/sys/kernel/btf/vmlinux), which \
                 has no {member} in {of}"
            )
        })
    };
    Ok(FollowFields {
        tgid: offset("task_struct", "tgid")?,
        signal: offset("task_struct", "signal")?,
        live: offset("signal_struct", "live")?,
    })
}
