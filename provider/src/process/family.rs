//! Who has been started by some processes, and which of them run an interpreter: also those that have ended.
//!
//! Kept by the kernel's reports of forks, execs and mappings, in their order as far as one process is
//! concerned.

use std::collections::HashMap;
use std::path::Path;

use super::tree::descendants;
use crate::interpreters;

/// So many processes are remembered; after that, none that comes.
const REMEMBERED: usize = 1 << 16;

/// The processes that some processes, the roots, have started, and those that they started.
#[derive(Clone, Debug, Default)]
pub(super) struct Family {
    members: HashMap<u32, Member>,
    /// The root of those that are left out.
    except: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    root: u32,
    /// `None` of one that was there before: `/proc` knows.
    interpreter: Option<bool>,
}

impl Family {
    /// What these have started so far. What `except` starts is left out, but for these.
    pub(super) fn of(roots: &[u32], except: Option<u32>) -> Self {
        let mut members = HashMap::new();
        for &root in roots.iter().chain(&except) {
            let interpreter = None;
            let theirs = descendants(root, roots).into_iter();
            members.extend(
                std::iter::once(root)
                    .chain(theirs)
                    .map(|pid| (pid, Member { root, interpreter })),
            );
        }
        Self { members, except }
    }

    /// A process has forked; the child goes on as what its parent is.
    pub(super) fn fork(&mut self, parent: u32, child: u32) {
        let Some(&member) = self.members.get(&parent) else {
            return;
        };
        if self.members.len() < REMEMBERED {
            let interpreter = member
                .interpreter
                .unwrap_or_else(|| interpreters::is_run_by(parent));
            let interpreter = Some(interpreter);
            self.members.insert(
                child,
                Member {
                    interpreter,
                    ..member
                },
            );
        }
    }

    /// A process has become another program: it is no interpreter any more, until that is mapped.
    pub(super) fn exec(&mut self, pid: u32) {
        if let Some(member) = self.members.get_mut(&pid) {
            member.interpreter = Some(false);
        }
    }

    /// A process has mapped a file to execute.
    pub(super) fn map(&mut self, pid: u32, file: &Path) {
        if let Some(member) = self.members.get_mut(&pid)
            && interpreters::is_file_of_one(file)
        {
            member.interpreter = Some(true);
        }
    }

    /// The root whose tree a process belongs to.
    pub(super) fn root_of(&self, pid: u32) -> Option<u32> {
        Some(self.members.get(&pid)?.root)
    }

    /// Whether a process is one of those that are left out.
    pub(super) fn is_left_out(&self, pid: u32) -> bool {
        self.except.is_some() && self.root_of(pid) == self.except
    }

    /// The processes that have been started, or have become another program, since this is kept, and
    /// that run an interpreter, or did when they ended.
    pub(super) fn interpreters(&self) -> Vec<u32> {
        let members = self.members.iter();
        let is_interpreter = |(pid, member): &(&u32, &Member)| {
            **pid != member.root
                && Some(member.root) != self.except
                && member.interpreter == Some(true)
        };
        let mut pids: Vec<u32> = members
            .filter(is_interpreter)
            .map(|(pid, _)| *pid)
            .collect();
        pids.sort_unstable();
        pids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes that do not exist.
    const ROOT: u32 = 4_000_000_000;

    #[test]
    fn children_are_what_they_become() {
        let mut family = Family::of(&[ROOT], None);
        family.map(ROOT, Path::new("/usr/bin/python3.11"));
        family.fork(ROOT, 1_000_000_001); // a worker
        family.fork(ROOT, 1_000_000_002); // runs `true`
        family.exec(1_000_000_002);
        family.map(1_000_000_002, Path::new("/usr/bin/true"));
        family.fork(1_000_000_001, 1_000_000_003); // a worker's, runs another Python
        family.exec(1_000_000_003);
        family.map(1_000_000_003, Path::new("/opt/lib/libpython3.12.so.1.0"));
        family.fork(77, 78); // strangers
        assert_eq!(family.interpreters(), [1_000_000_001, 1_000_000_003]);
        assert_eq!(family.root_of(1_000_000_003), Some(ROOT));
        assert_eq!(family.root_of(78), None);
    }

    #[test]
    fn what_one_process_starts_is_left_out() {
        const OURS: u32 = 4_000_000_001;
        let mut family = Family::of(&[ROOT], Some(OURS));
        for (parent, child) in [(OURS, 1_000_000_001), (ROOT, 1_000_000_002)] {
            family.fork(parent, child);
            family.exec(child);
            family.map(child, Path::new("/usr/bin/python3"));
        }
        assert!(family.is_left_out(1_000_000_001));
        assert!(!family.is_left_out(1_000_000_002));
        assert!(!family.is_left_out(78));
        assert_eq!(family.interpreters(), [1_000_000_002]);
    }

    #[test]
    fn what_a_shell_starts_is_no_python_before_it_is_one() {
        let mut family = Family::of(&[ROOT], None);
        family.exec(ROOT);
        family.fork(ROOT, 1_000_000_001);
        assert!(family.interpreters().is_empty());
        family.exec(1_000_000_001);
        family.map(1_000_000_001, Path::new("/usr/bin/python3"));
        assert_eq!(family.interpreters(), [1_000_000_001]);
    }
}
