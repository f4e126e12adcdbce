//! The `cpc` provider: what the kernel's perf events count, on every CPU: `cpc:::page_faults-user-100` fires at each
//! hundredth page fault of a program.
//!
//! A name is an event, the mode in which it counts (`all`, `user`, `kernel`), and how many there are between firings. Events of
//! the kernel's own are there on every machine; those of the processor only where it has counters, which many
//! virtual machines do not. The names are those of DTrace, which has them from libpfm. As of `profile`, `arg0` is the
//! address in the kernel that was interrupted, `arg1` that in a program; the other one is 0.

use std::sync::OnceLock;

use dlang::program::ProbeDesc;

use super::names::{description, fits};
use super::part::{Made, Offer, Provider};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::{Counted, Cpus, Mode, PerfEvent, ProbeKind, Timer};
use crate::spelling::near;
use crate::sys::perf;

/// The provider.
#[derive(Debug)]
pub(super) struct Cpc;

const NAME: &str = "cpc";

/// The events: their names, the one that a listing shows first, and the kernel's number.
const EVENTS: [(&[&str], PerfEvent); 18] = [
    (
        &["cpu_clock", "perf_count_sw_cpu_clock"],
        PerfEvent::Software(0),
    ),
    (
        &["task_clock", "perf_count_sw_task_clock"],
        PerfEvent::Software(1),
    ),
    (
        &["page_faults", "faults", "perf_count_sw_page_faults"],
        PerfEvent::Software(2),
    ),
    (
        &["context_switches", "cs", "perf_count_sw_context_switches"],
        PerfEvent::Software(3),
    ),
    (
        &[
            "cpu_migrations",
            "migrations",
            "perf_count_sw_cpu_migrations",
        ],
        PerfEvent::Software(4),
    ),
    (
        &["minor_faults", "perf_count_sw_page_faults_min"],
        PerfEvent::Software(5),
    ),
    (
        &["major_faults", "perf_count_sw_page_faults_maj"],
        PerfEvent::Software(6),
    ),
    (
        &["cgroup_switches", "perf_count_sw_cgroup_switches"],
        PerfEvent::Software(11),
    ),
    (
        &["cycles", "cpu_cycles", "perf_count_hw_cpu_cycles"],
        PerfEvent::Hardware(0),
    ),
    (
        &["instructions", "perf_count_hw_instructions"],
        PerfEvent::Hardware(1),
    ),
    (
        &["cache_references", "perf_count_hw_cache_references"],
        PerfEvent::Hardware(2),
    ),
    (
        &["cache_misses", "perf_count_hw_cache_misses"],
        PerfEvent::Hardware(3),
    ),
    (
        &[
            "branches",
            "branch_instructions",
            "perf_count_hw_branch_instructions",
        ],
        PerfEvent::Hardware(4),
    ),
    (
        &["branch_misses", "perf_count_hw_branch_misses"],
        PerfEvent::Hardware(5),
    ),
    (
        &["bus_cycles", "perf_count_hw_bus_cycles"],
        PerfEvent::Hardware(6),
    ),
    (
        &[
            "stalled_cycles_frontend",
            "perf_count_hw_stalled_cycles_frontend",
        ],
        PerfEvent::Hardware(7),
    ),
    (
        &[
            "stalled_cycles_backend",
            "perf_count_hw_stalled_cycles_backend",
        ],
        PerfEvent::Hardware(8),
    ),
    (
        &["ref_cycles", "perf_count_hw_ref_cpu_cycles"],
        PerfEvent::Hardware(9),
    ),
];

/// The modes' names.
const MODES: [(&str, Mode); 3] = [
    ("all", Mode::All),
    ("user", Mode::User),
    ("kernel", Mode::Kernel),
];

/// How many there are between firings of the probes that a listing shows, as in DTrace.
const LISTED: u64 = 1_000_000_000;

impl Provider for Cpc {
    fn summary(&self) -> &'static str {
        "`cpc` for counted events"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    /// A probe exists when its name is spelled out; a glob means those that a listing shows.
    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let name = Glob::new(&desc.name);
        if !Glob::new(&desc.provider).matches(NAME) || name.is_literal() && !desc.name.contains('-')
        {
            return Vec::new();
        }
        let names = if name.is_literal() {
            vec![(*desc.name).to_owned()]
        } else {
            let listed = EVENTS.iter().flat_map(|(names, _)| names.iter());
            listed.map(|name| format!("{name}-all-{LISTED}")).collect()
        };
        let meant = names.into_iter().filter(|name| fits(desc, "", "", name));
        meant
            .filter_map(|name| {
                let timer = parse(&name)?;
                is_counted(timer.counted.event).then(|| {
                    let desc = description(NAME, "", "", &name);
                    Offer::own(desc, Made::plain(ProbeKind::Timer(timer)))
                })
            })
            .collect()
    }

    fn is_meant_alone(&self, desc: &ProbeDesc) -> bool {
        desc.provider == NAME
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        if desc.provider != NAME {
            return None;
        }
        let write = "write cpc:::page_faults-all-100: an event, the mode (all, user, kernel), and how many there are \
                     between firings";
        let events = EVENTS.iter().filter(|(_, event)| is_counted(*event));
        let available = || events.map(|(names, _)| names[0].to_owned()).collect();
        let event = desc.name.split('-').next().unwrap_or_default();
        Some(match find(event) {
            _ if !desc.module.is_empty() || !desc.function.is_empty() => Diagnosis {
                reason: format!("the probes of `{NAME}` have no module and no function"),
                advice: vec![write.into()],
                ..Diagnosis::default()
            },
            None => Diagnosis {
                reason: format!("there is no event `{event}`"),
                available: available(),
                did_you_mean: near(event, &EVENTS.map(|(names, _)| names).concat()),
                advice: vec![write.into()],
                ..Diagnosis::default()
            },
            Some(found) if !is_counted(found) => Diagnosis {
                reason: format!(
                    "the processor of this machine counts no `{event}`: it has no such counter, or is a virtual one that \
                     is given none"
                ),
                available: available(),
                ..Diagnosis::default()
            },
            Some(_) => Diagnosis {
                reason: format!("`{}` is no event with a mode and a number", desc.name),
                advice: vec![write.into()],
                ..Diagnosis::default()
            },
        })
    }
}

/// What an event is, by its name.
fn find(name: &str) -> Option<PerfEvent> {
    let found = EVENTS.iter().find(|(names, _)| names.contains(&name));
    found.map(|(_, event)| *event)
}

/// Whether this machine counts an event. Those of the kernel itself are always there.
fn is_counted(event: PerfEvent) -> bool {
    static HARDWARE: OnceLock<Vec<PerfEvent>> = OnceLock::new();
    if let PerfEvent::Software(_) = event {
        return true;
    }
    let tried = HARDWARE.get_or_init(|| {
        let opens = |event: &PerfEvent| {
            let counted = Counted {
                event: *event,
                mode: Mode::User,
            };
            perf::counter(0, counted, LISTED).is_ok()
        };
        let all = EVENTS.iter().map(|(_, event)| *event);
        all.filter(|event| matches!(event, PerfEvent::Hardware(_)))
            .filter(opens)
            .collect()
    });
    tried.contains(&event)
}

/// What a name stands for; `None` if it is no probe of this provider.
fn parse(name: &str) -> Option<Timer> {
    let mut parts = name.split('-');
    let event = find(parts.next()?)?;
    let mode = parts.next()?;
    let (_, mode) = MODES.iter().find(|(known, _)| *known == mode)?;
    let number = parts.next()?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let period: u64 = number.parse().ok().filter(|period| digits && *period > 0)?;
    // The kernel keeps the period in 63 bits.
    let fits = i64::try_from(period).is_ok() && parts.next().is_none();
    fits.then_some(Timer {
        counted: Counted { event, mode: *mode },
        period,
        cpus: Cpus::Every,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::desc;

    #[test]
    fn names_are_events_with_a_mode_and_a_number() {
        let timer = |event, mode, period| Timer {
            counted: Counted { event, mode },
            period,
            cpus: Cpus::Every,
        };
        for (name, expected) in [
            (
                "cpu_clock-all-100",
                Some(timer(PerfEvent::Software(0), Mode::All, 100)),
            ),
            (
                "faults-user-1",
                Some(timer(PerfEvent::Software(2), Mode::User, 1)),
            ),
            (
                "cycles-kernel-5000",
                Some(timer(PerfEvent::Hardware(0), Mode::Kernel, 5000)),
            ),
            ("cycles", None),
            ("cycles-all", None),
            ("cycles-all-0", None),
            ("cycles-all-+5", None),
            ("cycles-all-5-5", None),
            ("cycles-idle-5", None),
            ("bicycles-all-5", None),
            ("cs-all-9223372036854775808", None),
        ] {
            assert_eq!(parse(name), expected, "{name}");
        }
    }

    #[test]
    fn what_there_is_not_is_told() {
        let told = |text: &str| Cpc.why_not(&desc(text)).unwrap().to_string();
        assert!(told("cpc:::page_fault-all-5").contains("did you mean `page_faults`"));
        assert!(told("cpc:::page_faults-al-5").contains("is no event with a mode and a number"));
        assert!(told("cpc::x:page_faults-all-5").contains("no function"));
    }

    #[test]
    fn a_listing_has_what_the_kernel_counts() {
        let found = Cpc.own(&desc("cpc:::*"));
        let names: Vec<_> = found
            .iter()
            .map(|offer| offer.key.desc.to_string())
            .collect();
        assert_eq!(names[0], "cpc:::cpu_clock-all-1000000000");
        assert!(
            names.iter().any(|name| name == "cpc:::cs-all-1000000000"),
            "{names:?}"
        );
        assert!(Cpc.own(&desc(":::BEGIN")).is_empty());
        assert_eq!(Cpc.own(&desc(":::migrations-user-7")).len(), 1);
    }
}
