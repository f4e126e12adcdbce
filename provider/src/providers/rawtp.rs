//! The `rawtp` provider: the kernel's tracepoints, with what the kernel itself passes to them.
//!
//! The module is the group that tracefs has a tracepoint in, as in DTrace; there is no function. The types of
//! the arguments are in the kernel's BTF, and are looked up when a clause names one.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use dlang::program::ProbeDesc;

use super::names::{description, fits};
use super::part::{Made, Offer, Provider};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::kernel_types::{KernelArg, with_signatures};
use crate::probe::{Arguments, KernelHook, ProbeArg, ProbeKind};
use crate::spelling::near;
use crate::tracefs;

/// The provider.
#[derive(Debug)]
pub(super) struct RawTp;

const NAME: &str = "rawtp";

impl Provider for RawTp {
    fn summary(&self) -> &'static str {
        "`rawtp` for the kernel's tracepoints"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let is_meant = Glob::new(&desc.provider).matches(NAME)
            && Glob::new(&desc.function).matches("")
            && may_be_tracepoint(desc);
        if !is_meant {
            return Vec::new(); // as most descriptions, before anything is read
        }
        let tracepoints = tracepoints().iter();
        let found = tracepoints.filter(|(group, name)| fits(desc, group, "", name));
        found
            .map(|(group, name)| Offer::own(description(NAME, group, "", name), make(name)))
            .collect()
    }

    fn is_meant_alone(&self, desc: &ProbeDesc) -> bool {
        desc.provider == NAME
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        (desc.provider == NAME).then(|| why_no_tracepoint(NAME, desc))
    }
}

/// Why a description of this provider's, whose probes are tracepoints, matches nothing.
pub(super) fn why_no_tracepoint(provider: &str, desc: &ProbeDesc) -> Diagnosis {
    if tracefs::events().is_none() {
        return Diagnosis {
            reason: "the kernel lists its tracepoints in tracefs, which is not mounted".into(),
            advice: vec!["mount -t tracefs nodev /sys/kernel/tracing".into()],
            ..Diagnosis::default()
        };
    }
    let there = tracepoints();
    let names: Vec<&str> = there.iter().map(|(_, name)| &**name).collect();
    let of_name = there.iter().find(|(_, name)| **name == *desc.name);
    let (reason, advice) = match of_name {
        Some((group, _)) if desc.function.is_empty() => (
            format!("the tracepoint `{}` is in the module `{group}`", desc.name),
            format!("write {provider}:{group}::{}", desc.name),
        ),
        Some((group, _)) => (
            "a tracepoint has no function: its name is the last field".into(),
            format!("write {provider}:{group}::{}", desc.name),
        ),
        None => (
            format!("this kernel has no tracepoint `{}`", desc.name),
            format!("rdtrace -l -P {provider} lists all"),
        ),
    };
    Diagnosis {
        reason,
        did_you_mean: if of_name.is_none() {
            near(&desc.name, &names)
        } else {
            None
        },
        advice: vec![advice],
        ..Diagnosis::default()
    }
}

/// Whether a description without a provider may mean a tracepoint, by the looks of its name: those are
/// names of C, and `BEGIN` and its like are rdtrace's own.
pub(super) fn may_be_tracepoint(desc: &ProbeDesc) -> bool {
    let name = Glob::new(&desc.name);
    if !desc.provider.is_empty() || !name.is_literal() {
        return true;
    }
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    desc.name.chars().all(is_word)
}

/// The tracepoints by group and name, as the kernel lists them; read once.
pub(super) fn tracepoints() -> &'static [(Arc<str>, Arc<str>)] {
    static ALL: OnceLock<Vec<(Arc<str>, Arc<str>)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let made = tracefs::made_by_users();
        // Those of single system calls are no tracepoints, but made of two that are.
        let is_own = |group: &str| group != "syscalls" && !made.contains(group);
        let mut seen = HashSet::new();
        let mut all = tracefs::available();
        all.retain(|(group, name)| is_own(group) && seen.insert(name.clone()));
        all.into_iter()
            .map(|(group, name)| (group.into(), name.into()))
            .collect()
    })
}

/// Whether the kernel has a tracepoint of this name. Those that it lists nowhere, whose names end in `_tp`, are
/// only in its BTF.
pub(super) fn exists(name: &str) -> bool {
    let is_listed = tracepoints().iter().any(|(_, known)| **known == *name);
    let is_unlisted = || name.ends_with("_tp") || tracepoints().is_empty();
    let is_described = || with_signatures(|signatures| signatures.has_tracepoint(name));
    is_listed || is_unlisted() && is_described() == Some(true)
}

/// A tracepoint as what makes a probe fire, with its arguments.
pub(super) fn make(name: &Arc<str>) -> Made {
    let asked = Arc::clone(name);
    let arguments = move || {
        let args = with_signatures(|signatures| signatures.tracepoint(&asked)).flatten();
        args.unwrap_or_default()
            .into_iter()
            .map(probe_arg)
            .collect()
    };
    Made {
        args: Arguments::found_by(arguments),
        dependent: None,
        kind: ProbeKind::Kernel(KernelHook::Tracepoint(Arc::clone(name))),
        source: None,
        python: None,
    }
}

/// An argument as a probe has it.
pub(super) fn probe_arg(arg: KernelArg) -> ProbeArg {
    ProbeArg {
        ty: arg.ty,
        meaning: Some(arg.shown.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::desc;

    #[test]
    fn names_of_others_are_not_looked_for() {
        for (text, may) in [
            (":::BEGIN", false),
            (":::tick-1s", false),
            (":::gc-start", false),
            (":::sched_switch", true),
            (":::sched*", true),
            (":::", true),
            ("rawtp:::X", true),
        ] {
            assert_eq!(may_be_tracepoint(&desc(text)), may, "{text}");
        }
    }

    #[test]
    fn tracepoints_are_in_groups() {
        if tracefs::available().is_empty() {
            return;
        }
        let found = RawTp.own(&desc("rawtp:sched::sched_switch"));
        let names: Vec<_> = found
            .iter()
            .map(|offer| offer.key.desc.to_string())
            .collect();
        assert_eq!(names, ["rawtp:sched::sched_switch"]);
        let told = |text: &str| RawTp.why_not(&desc(text)).unwrap().to_string();
        assert!(told("rawtp:::sched_swich").contains("did you mean `sched_switch`"));
        assert!(told("rawtp:irq::sched_switch").contains("in the module `sched`"));
        assert!(told("rawtp::sched:sched_switch").contains("no function"));
        assert!(
            RawTp
                .own(&desc("rawtp:syscalls::sys_enter_read"))
                .is_empty()
        );
    }
}
