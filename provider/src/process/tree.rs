//! Which processes a process has started, as far as they run.

use std::collections::HashMap;
use std::fs;

use super::files::all_processes;

/// The processes that run now and that this one started, or those that it started, and so on; without
/// those in `others` and what they started.
#[must_use]
pub fn descendants(root: u32, others: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all_processes() {
        let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let its = children.remove(&pid).unwrap_or_default();
        let its = its.into_iter().filter(|child| !others.contains(child));
        for child in its {
            found.push(child);
            open.push(child);
        }
    }
    found.sort_unstable();
    found
}

/// The parent in `/proc/PID/stat`: `1234 (any name) S 1 ...`. The name may hold anything.
fn parent(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_parent_stands_behind_the_name() {
        assert_eq!(parent(b"12 (a) b) 7 (\xff) S 34 12 12 0"), Some(34));
        assert_eq!(parent(b"12"), None);
    }

    #[test]
    fn children_and_theirs_are_found() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let grandchild = loop {
            if let [one] = descendants(child.id(), &[])[..] {
                break one;
            }
        };
        let ours = descendants(std::process::id(), &[]);
        assert!(ours.contains(&child.id()) && ours.contains(&grandchild));
        let without = descendants(std::process::id(), &[child.id()]);
        assert!(!without.contains(&child.id()) && !without.contains(&grandchild));
        let pid = |id: u32| nix::unistd::Pid::from_raw(id.cast_signed());
        nix::sys::signal::kill(pid(grandchild), nix::sys::signal::Signal::SIGKILL).unwrap();
        child.wait().unwrap();
    }
}
