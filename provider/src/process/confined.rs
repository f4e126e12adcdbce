//! Running a traced process's program once more, with no more rights than that process has.
//!
//! The self-test of an interpreter executes a file that others may own, while rdtrace often is
//! root. So the command runs as the traced process does: its user, group and supplementary groups,
//! its root directory, its control groups, and its mount, PID, network, IPC, UTS, cgroup and time namespaces. It has
//! no capabilities and cannot get any. (The user namespace is not entered: an identity without
//! capabilities has the same rights outside.) What cannot be copied is not tried without: if the process has
//! a filter of system calls or a security label that we have not, or control groups that cannot be joined, the file
//! is not run at all. Where no process is known, it is run as we are.
//!
//! The program is opened once. What is checked is what is executed, whatever its name leads to by then.
//! Never is a file run as root that root does not own: it runs as its owner then.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, geteuid};

use super::launch::{Stopped, launch};
use crate::error::Error;
use crate::sys::confine::{Confinement, Program, children_in, confine};

/// Whose rights a command gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Like {
    /// Those of this process.
    Process(u32),
    /// Ours.
    Us,
}

/// What to run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Confined<'a> {
    /// With whose rights.
    pub like: Like,
    /// The program, as that process sees it.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// What it executes besides (its libraries), whose owners count as the program's does.
    pub files: &'a [&'a Path],
    /// Seconds of CPU time that it has.
    pub cpu_seconds: u64,
}

/// Starts a program, stopped before its first instruction, in an empty environment and with standard
/// input and output closed.
///
/// # Errors
///
/// [`Error::Execute`] if it cannot be started, or not with those rights.
pub fn launch_confined(confined: Confined<'_>) -> Result<Stopped, Error> {
    let Confined { like, program, .. } = confined;
    let fail = |source| Error::Execute {
        command: program.display().to_string(),
        source,
    };
    let file = open_program(like, program).map_err(fail)?;
    let user = user_for(like, &file, confined.files).map_err(fail)?;
    let environment = environment(like, user.as_ref());
    let mut command = Command::new(program);
    command
        .args(confined.arguments)
        .env_clear()
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A script is for the kernel to open: its interpreter reads it by its name.
    let executed = if is_script(&file) {
        None
    } else {
        Some(executed(file, &confined, &environment).map_err(fail)?)
    };
    let mut confinement = Confinement {
        user,
        cpu_seconds: confined.cpu_seconds,
        program: executed,
        ..Confinement::default()
    };
    let Like::Process(pid) = like else {
        return launch(command, program, |command| confine(command, confinement));
    };
    refuse_less_filtered(pid).map_err(fail)?;
    confinement.cgroups = cgroups_to_join(pid).map_err(fail)?;
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
    confinement.namespaces = namespaces.map_err(fail)?;
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

/// Opens the program: the one that the process runs, if that is known.
fn open_program(like: Like, program: &Path) -> io::Result<File> {
    match like {
        Like::Process(pid) => {
            let inside = program.strip_prefix("/").unwrap_or(program);
            File::open(PathBuf::from(format!("/proc/{pid}/root")).join(inside))
        }
        Like::Us => match File::open(program) {
            // One that may be executed and not be read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let mut options = fs::OpenOptions::new();
                options.read(true).custom_flags(libc::O_PATH).open(program)
            }
            opened => opened,
        },
    }
}

fn is_script(mut file: &File) -> bool {
    let mut start = [0; 2];
    let read = io::Read::read_exact(&mut file, &mut start);
    read.is_ok() && start == *b"#!"
}

/// The open program with its arguments and environment, ready for exec.
fn executed(
    file: File,
    confined: &Confined<'_>,
    environment: &[(OsString, OsString)],
) -> io::Result<Program> {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
    let program = confined.program.as_os_str().as_bytes();
    let arguments = confined.arguments.iter().map(|text| text.as_bytes());
    let environment = environment.iter().map(|(name, value)| {
        let assignment = [name.as_bytes(), b"=", value.as_bytes()].concat();
        c_string(&assignment)
    });
    Ok(Program {
        file,
        arguments: std::iter::once(program)
            .chain(arguments)
            .map(c_string)
            .collect::<io::Result<_>>()?,
        environment: environment.collect::<io::Result<_>>()?,
    })
}

/// Refuses to run anything in the place of a process that may do less than what we would start: its filters of
/// system calls and its security label are not ours to copy.
fn refuse_less_filtered(pid: u32) -> io::Result<()> {
    let filters = |who: &str| {
        let status = fs::read_to_string(format!("/proc/{who}/status"))?;
        let lines = status.lines().filter(|line| line.starts_with("Seccomp"));
        Ok::<_, io::Error>(lines.map(str::to_owned).collect::<Vec<_>>())
    };
    let label = |who: &str| fs::read(format!("/proc/{who}/attr/current")).ok();
    let theirs = pid.to_string();
    let (our_filters, their_filters) = (filters("self")?, filters(&theirs)?);
    let unfiltered = their_filters.iter().all(|line| line.ends_with("\t0"));
    if !unfiltered && our_filters != their_filters {
        return Err(io::Error::other("the process has a filter of system calls"));
    }
    if label("self") != label(&theirs) {
        return Err(io::Error::other("the process has another security label"));
    }
    Ok(())
}

/// The control groups that a process is in and we are not: the `cgroup.procs` of each, open.
fn cgroups_to_join(pid: u32) -> io::Result<Vec<File>> {
    let ours = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let theirs = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let differ = theirs
        .lines()
        .filter(|line| !ours.lines().any(|our| our == *line));
    differ
        .map(|line| {
            let path = cgroup_path(line, Path::new("/sys/fs/cgroup"));
            let path = path.ok_or_else(|| io::Error::other("its control group is out of reach"))?;
            fs::OpenOptions::new()
                .write(true)
                .open(path.join("cgroup.procs"))
        })
        .collect()
}

/// Where the control group of a line of `/proc/PID/cgroup` is, below where they are mounted.
///
/// ```text
///     5:devices:/docker/1234            version 1: number, controllers, path
///     1:name=systemd:/user.slice
///     0::/system.slice/web.service      version 2; beside version 1, it is mounted on `unified`
/// ```
fn cgroup_path(line: &str, mounted: &Path) -> Option<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let inside = Path::new(path).strip_prefix("/").ok()?;
    if inside.components().any(|part| part == Component::ParentDir) {
        return None; // outside of our cgroup namespace
    }
    let hierarchy = match controllers {
        "" if mounted.join("cgroup.controllers").exists() => mounted.to_owned(),
        "" => mounted.join("unified"),
        named => mounted.join(named.strip_prefix("name=").unwrap_or(named)),
    };
    Some(hierarchy.join(inside))
}

/// Who the command runs as; `None` if as we do, because we are not root and have no choice.
fn user_for(
    like: Like,
    program: &File,
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
        let libraries = files.iter().map(fs::metadata);
        for meta in std::iter::once(program.metadata()).chain(libraries) {
            let meta = meta?;
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
    let Like::Process(pid) = like else {
        // For a program that is a script.
        return vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    };
    let same = |(user, ..): &(Uid, _, _)| ids_of(pid).is_ok_and(|(own, ..)| own == *user);
    if !user.is_none_or(same) {
        return Vec::new();
    }
    // What is loaded from there runs with root's id if the process does.
    let is_trusted = |dir: &&[u8]| {
        let inside = dir.strip_prefix(b"/").unwrap_or(dir);
        let dir = Path::new(&format!("/proc/{pid}/root")).join(OsStr::from_bytes(inside));
        let is_roots = |meta: fs::Metadata| meta.uid() == 0 && meta.mode() & 0o022 == 0;
        let root = user.is_some_and(|(user, ..)| user.is_root());
        !root || fs::metadata(dir).is_ok_and(is_roots)
    };
    let all = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    all.split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"LD_LIBRARY_PATH="))
        .map(|value| {
            let dirs: Vec<&[u8]> = value
                .split(|byte| *byte == b':')
                .filter(is_trusted)
                .collect();
            (
                "LD_LIBRARY_PATH".into(),
                OsString::from_vec(dirs.join(&b':')),
            )
        })
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
    fn control_groups_are_found_where_they_are_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let path = |line| cgroup_path(line, dir.path());
        let at = |inside: &str| Some(dir.path().join(inside));
        assert_eq!(path("5:devices:/docker/12"), at("devices/docker/12"));
        assert_eq!(path("1:name=systemd:/a:b"), at("systemd/a:b"));
        assert_eq!(path("0::/web.service"), at("unified/web.service"));
        assert_eq!(path("0::/../web.service"), None);
        assert_eq!(path("nonsense"), None);
        fs::write(dir.path().join("cgroup.controllers"), "").unwrap();
        assert_eq!(path("0::/web.service"), at("web.service"));
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
            let program = File::open(path).unwrap();
            let (user, ..) = user_for(Like::Us, &program, &[]).unwrap().unwrap();
            user.as_raw()
        };
        assert_eq!(user(&file), 0);
        std::os::unix::fs::chown(&file, Some(1234), Some(1234)).unwrap();
        assert_eq!(user(&file), 1234);
        let shell = File::open("/bin/sh").unwrap();
        let (user, ..) = user_for(Like::Us, &shell, &[&file]).unwrap().unwrap();
        assert_eq!(user.as_raw(), 1234, "a library counts too");
    }
}
