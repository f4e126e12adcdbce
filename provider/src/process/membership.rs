//! What a process belongs to: its program, its container, its pod of Kubernetes.
//!
//! Container runtimes name the control group of a container by its 64 hexadecimal digits, alone or in a
//! unit of systemd; Kubernetes puts it below one that names the pod:
//!
//! ```text
//!   /docker/<id>                                      /system.slice/docker-<id>.scope
//!   /kubepods/burstable/pod<uid>/<id>
//!   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope
//! ```
//!
//! In units of systemd the uid has `_` in the place of `-`.

use std::fs;

/// What a process belongs to, as far as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The last part of the path of its program.
    pub executable: Option<String>,
    /// The id of its container.
    pub container: Option<String>,
    /// The uid of its pod.
    pub pod: Option<String>,
}

impl Membership {
    /// That of a process.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let name = program.as_ref().and_then(|path| path.file_name());
        let name = name.map(|name| name.to_string_lossy().into_owned());
        Self {
            executable: name.map(|name| name.trim_end_matches(" (deleted)").to_owned()),
            ..Self::of_groups(&groups)
        }
    }

    /// What the control groups of a process say, as `/proc/PID/cgroup` has them.
    fn of_groups(groups: &str) -> Self {
        let mut found = Self::default();
        for line in groups.lines() {
            let path = line.splitn(3, ':').nth(2).unwrap_or_default();
            for part in path.split('/') {
                found.container = container(part).map(str::to_owned).or(found.container);
                found.pod = pod(part).or(found.pod);
            }
        }
        found
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn container(group: &str) -> Option<&str> {
    let unit = group.strip_suffix(".scope").unwrap_or(group);
    let id = unit.rsplit('-').next()?;
    is_hex(id, 64).then_some(id)
}

fn pod(group: &str) -> Option<String> {
    let group = group.strip_suffix(".slice").unwrap_or(group);
    let (_, uid) = group.rsplit_once("pod")?;
    let uid = uid.replace('_', "-");
    // Pods that a node starts by itself have a hash.
    let digits = uid.replace('-', "");
    is_hex(&digits, 32).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_name_containers_and_pods() {
        let id = "5d1b0c8a".repeat(8);
        let uid = "2c48913c-b29f-11e7-9350-020968147796";
        let unit = uid.replace('-', "_");
        let (both, alone) = ((Some(&*id), Some(uid)), (Some(&*id), None));
        for (groups, expected) in [
            (format!("0::/system.slice/docker-{id}.scope\n"), alone),
            (format!("0::/../../docker/{id}/init\n"), alone),
            (
                format!("0::/machine.slice/libpod-{id}.scope/container\n"),
                alone,
            ),
            (
                format!("4:memory:/kubepods/burstable/pod{uid}/{id}\n0::/\n"),
                both,
            ),
            (
                format!(
                    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{unit}.slice/\
                     cri-containerd-{id}.scope\n"
                ),
                both,
            ),
            (
                "0::/user.slice/user-1000.slice/session-3.scope\n".into(),
                (None, None),
            ),
            ("0::/podman/pods\nnonsense\n".into(), (None, None)),
        ] {
            let found = Membership::of_groups(&groups);
            let found = (found.container.as_deref(), found.pod.as_deref());
            assert_eq!(found, expected, "{groups}");
        }
    }

    #[test]
    fn a_process_has_its_program() {
        let own = Membership::of(std::process::id());
        let program = std::env::current_exe().unwrap();
        let name = program.file_name().unwrap().to_str();
        assert_eq!(own.executable.as_deref(), name);
        assert_eq!(Membership::of(u32::MAX), Membership::default());
    }
}
