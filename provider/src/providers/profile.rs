//! The `profile` provider: `tick-N` fires on one CPU, `profile-N` on every CPU.
//!
//! N is a rate in hertz, or with a suffix a period: `tick-1s`, `profile-97`, `tick-500ms`. Names are
//! unlimited in number, so that probes exist as they are asked for; a listing shows the rates that
//! DTrace's shows.

use dlang::program::ProbeDesc;

use super::names::{description, fits};
use super::part::{Made, Offer, Provider};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::{Cpus, ProbeKind, Timer};

/// The provider.
#[derive(Debug)]
pub(super) struct Profile;

const NAME: &str = "profile";

impl Provider for Profile {
    fn summary(&self) -> &'static str {
        "`profile`"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    /// A timer exists when its name is spelled out; a glob means those that a listing shows.
    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let rates = if Glob::new(&desc.name).is_literal() {
            vec![&*desc.name]
        } else {
            LISTED.to_vec()
        };
        let found = rates
            .into_iter()
            .filter(|name| Glob::new(&desc.provider).matches(NAME) && fits(desc, "", "", name));
        let found = found.filter_map(|name| Some((name, parse(name)?)));
        found
            .map(|(name, timer)| {
                let desc = description(NAME, "", "", name);
                Offer::own(desc, Made::plain(ProbeKind::Timer(timer)))
            })
            .collect()
    }

    fn is_meant_alone(&self, desc: &ProbeDesc) -> bool {
        desc.provider == NAME || (Glob::new(&desc.name).is_literal() && !self.own(desc).is_empty())
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        let is_timer = desc.name.starts_with("tick-") || desc.name.starts_with("profile-");
        let meant = desc.provider == NAME || (desc.provider.is_empty() && is_timer);
        if !meant {
            return None;
        }
        let reason = if !desc.module.is_empty() || !desc.function.is_empty() {
            format!("the probes of `{NAME}` have no module and no function")
        } else if parse(&desc.name).is_some() {
            format!("provider `{}` has no timers", desc.provider)
        } else {
            format!("`{}` is no rate", desc.name)
        };
        Some(Diagnosis {
            reason,
            advice: vec![
                "write tick-1s, tick-500ms, tick-100 (hertz) for one CPU, profile-97 for all;"
                    .into(),
                "suffixes: ns us ms s m h d hz; at most 5000 Hz".into(),
            ],
            ..Diagnosis::default()
        })
    }
}

/// The rates that a listing shows, in DTrace's order.
const LISTED: [&str; 13] = [
    "profile-97",
    "profile-199",
    "profile-499",
    "profile-997",
    "profile-1999",
    "profile-4001",
    "profile-4999",
    "tick-1",
    "tick-10",
    "tick-100",
    "tick-500",
    "tick-1000",
    "tick-5000",
];

/// The shortest period, as in DTrace: 5000 Hz.
const SHORTEST: u64 = 200_000;

/// What a name stands for; `None` if it is no probe of this provider.
fn parse(name: &str) -> Option<Timer> {
    let (tick, rate) = match name.split_once('-')? {
        ("tick", rate) => (true, rate),
        ("profile", rate) => (false, rate),
        _ => return None,
    };
    let digits = rate.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .ok()
        .filter(|n| *n > 0 && !digits.starts_with('+'))?;
    // Suffixes as in DTrace's profile provider, in any case.
    let suffix = rate[digits.len()..].to_ascii_lowercase();
    let unit: u64 = match suffix.as_str() {
        "" | "hz" => 0,
        "ns" | "nsec" => 1,
        "us" | "usec" => 1000,
        "ms" | "msec" => 1_000_000,
        "s" | "sec" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" | "hour" => 3_600_000_000_000,
        "d" | "day" => 86_400_000_000_000,
        _ => return None,
    };
    let period = if unit == 0 {
        1_000_000_000 / number
    } else {
        number.checked_mul(unit)?
    };
    if period < SHORTEST || i64::try_from(period).is_err() {
        return None;
    }
    let cpus = if tick { Cpus::One } else { Cpus::Every };
    Some(Timer::of_clock(period, cpus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes() {
        for (name, nanoseconds) in [
            ("tick-1", 1_000_000_000),
            ("tick-97", 10_309_278),
            ("tick-5000", 200_000),
            ("tick-10hz", 100_000_000),
            ("tick-1s", 1_000_000_000),
            ("tick-1sec", 1_000_000_000),
            ("tick-500ms", 500_000_000),
            ("tick-500msec", 500_000_000),
            ("tick-10MS", 10_000_000),
            ("tick-250us", 250_000),
            ("tick-250usec", 250_000),
            ("tick-300000ns", 300_000),
            ("tick-300000nsec", 300_000),
            ("tick-2m", 120_000_000_000),
            ("tick-2min", 120_000_000_000),
            ("tick-1h", 3_600_000_000_000),
            ("tick-1hour", 3_600_000_000_000),
            ("tick-1d", 86_400_000_000_000),
            ("tick-1day", 86_400_000_000_000),
        ] {
            let timer = Timer::of_clock(nanoseconds, Cpus::One);
            assert_eq!(parse(name), Some(timer), "{name}");
        }
        let timer = Timer::of_clock(1_000_000_000, Cpus::Every);
        assert_eq!(parse("profile-1s"), Some(timer));
    }

    #[test]
    fn what_is_no_rate_is_no_probe() {
        for name in [
            "tick",
            "tick-",
            "tick-0",
            "tick-x",
            "tick-1xx",
            "tick--1",
            "tick-+1",
            "tick-1.5s",
            "profile-5001hz",
            "tick-100us",
            "BEGIN",
            "tick-99999999999999d",
            "ticks-1",
        ] {
            assert!(parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_is_listed_exists() {
        assert!(LISTED.iter().all(|name| parse(name).is_some()));
    }
}
