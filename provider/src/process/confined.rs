//! Running a traced process's program once more, with no more rights than that process has.
//!
//! The self-test of an interpreter executes a file that others may own, while rdtrace often is
//! root. So the command runs as the traced process does: its user, group and supplementary groups,
//! its root directory, and its mount, PID, network, IPC, UTS, cgroup and time namespaces. It has
//! no capabilities and cannot get any. (The user namespace is not entered: an identity without
//! capabilities has the same rights outside.) Where no process is known, it is run as
//! we are. Never is a file run as root that root does not own: it runs as its owner then.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, geteuid};

use super::launch::{Stopped, launch};
use crate::error::Error;
use crate::sys::confine::{Confinement, children_in, confine};

/// Whose rights a command gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Like {
    /// Those of this process.
    Process(u32),
    /// Ours.
    Us,
}

/// Starts a program with these arguments, stopped before its first instruction, in an empty
/// environment and with standard input and output closed. `files` are what it executes besides
/// (its libraries), whose owners count as the program's does.
///
/// # Errors
///
/// [`Error::Execute`] if it cannot be started, or not with those rights.
pub fn launch_confined(
    like: Like,
    program: &Path,
    arguments: &[&str],
    files: &[&Path],
) -> Result<Stopped, Error> {
    let fail = |source| Error::Execute {
        command: program.display().to_string(),
        source,
    };
    let found = match like {
        Like::Process(pid) => PathBuf::from(format!("/proc/{pid}/root"))
            .join(program.strip_prefix("/").unwrap_or(program)),
        Like::Us => program.to_owned(),
    };
    let user = user_for(like, &found, files).map_err(fail)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment(like, user.as_ref()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Like::Process(pid) = like else {
        let rest = Confinement {
            user,
            ..Confinement::default()
        };
        return launch(command, program, |command| confine(command, rest));
    };
    let namespace = |pid: &str, name: &str| File::open(format!("/proc/{pid}/ns/{name}"));
    let foreign = |name: &&str| {
        let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
        link(&pid.to_string()) != link("self")
    };
    let open = |name: &str| namespace(&pid.to_string(), name).map(OwnedFd::from);
    // The mount namespace last: after it, nothing of ours can be looked up by name.
    let names = ["cgroup", "ipc", "net", "time", "uts", "mnt"];
    let namespaces: io::Result<Vec<OwnedFd>> =
        names.into_iter().filter(foreign).map(open).collect();
    let mut confinement = Confinement {
        namespaces: namespaces.map_err(fail)?,
        root: None,
        user,
    };
    if geteuid().is_root() {
        let root = File::open(format!("/proc/{pid}/root")).map_err(fail)?;
        confinement.root = Some(root.into());
    }
    let pids = Some("pid").filter(foreign).map(open).transpose();
    let ours = namespace("self", "pid").map_err(fail)?.into();
    if let Some(theirs) = pids.map_err(fail)? {
        children_in(&theirs).map_err(fail)?;
    }
    let launched = launch(command, program, |command| confine(command, confinement));
    children_in(&ours).map_err(fail)?;
    launched
}

/// Who the command runs as; `None` if as we do, because we are not root and have no choice.
fn user_for(
    like: Like,
    program: &Path,
    files: &[&Path],
) -> io::Result<Option<(Uid, Gid, Vec<Gid>)>> {
    let (user, group, groups) = match like {
        Like::Process(pid) => ids_of(pid)?,
        Like::Us => (geteuid(), nix::unistd::getegid(), Vec::new()),
    };
    if !geteuid().is_root() {
        return if user == geteuid() {
            Ok(None)
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        };
    }
    if user.is_root() {
        for file in [program].iter().chain(files) {
            let meta = fs::metadata(file)?;
            if meta.uid() != 0 {
                let (user, group) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
                return Ok(Some((user, group, Vec::new())));
            }
        }
    }
    Ok(Some((user, group, groups)))
}

/// User, group and supplementary groups of a process.
fn ids_of(pid: u32) -> io::Result<(Uid, Gid, Vec<Gid>)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_ids(&status).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The effective ids in `/proc/PID/status`.
///
/// ```text
///     Uid:    1000    1000    1000    1000          real, effective, saved, for files
///     Gid:    1000    1000    1000    1000
///     Groups: 4 24 27 1000
/// ```
fn parse_ids(status: &str) -> Option<(Uid, Gid, Vec<Gid>)> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let numbers = line.split_whitespace().map(str::parse);
        numbers.collect::<Result<Vec<u32>, _>>().ok()
    };
    Some((
        Uid::from_raw(*field("Uid:")?.get(1)?),
        Gid::from_raw(*field("Gid:")?.get(1)?),
        field("Groups:")?.into_iter().map(Gid::from_raw).collect(),
    ))
}

/// Hardly anything: where the process finds its libraries, and that only if it runs as the process does:
/// its owner could have set it.
fn environment(like: Like, user: Option<&(Uid, Gid, Vec<Gid>)>) -> Vec<(OsString, OsString)> {
    use std::os::unix::ffi::OsStringExt;
    let Like::Process(pid) = like else {
        // For a program that is a script.
        return vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    };
    let same = |(user, ..): &(Uid, _, _)| ids_of(pid).is_ok_and(|(own, ..)| own == *user);
    if !user.is_none_or(same) {
        return Vec::new();
    }
    let all = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    all.split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"LD_LIBRARY_PATH="))
        .map(|value| ("LD_LIBRARY_PATH".into(), OsString::from_vec(value.to_vec())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_effective_ones() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nSpeed:\t1\n";
        let (user, group, groups) = parse_ids(status).unwrap();
        assert_eq!((user.as_raw(), group.as_raw()), (2, 6));
        assert_eq!(groups, [Gid::from_raw(9), Gid::from_raw(10)]);
        assert!(parse_ids("Uid:\t1\n").is_none());
    }

    #[test]
    fn root_runs_only_what_root_owns() {
        if !geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        fs::write(&file, "").unwrap();
        let user = |path: &Path| {
            let (user, ..) = user_for(Like::Us, path, &[]).unwrap().unwrap();
            user.as_raw()
        };
        assert_eq!(user(&file), 0);
        std::os::unix::fs::chown(&file, Some(1234), Some(1234)).unwrap();
        assert_eq!(user(&file), 1234);
        let (user, ..) = user_for(Like::Us, Path::new("/bin/sh"), &[&file])
            .unwrap()
            .unwrap();
        assert_eq!(user.as_raw(), 1234, "a library counts too");
    }
}
