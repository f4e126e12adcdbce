//! Why a description matches nothing, for people: which process or file was looked at, which Python
//! it is and how it was built, which probes it does have, and what to do instead.
//!
//! [`diagnose`] is asked after the fact, and looks again: what it tells is of the machine as it is
//! then. It goes by the description's provider. What cannot be a process's provider is answered here;
//! `process` looks at one process, `everywhere` at all of them, and both end in `missing` where the
//! provider is there but not the probe. `python` knows which Python a file has, `instead` what to say
//! where that one lacks a probe, `spelling` which name is much like another.

mod everywhere;
mod instead;
mod missing;
mod process;
mod python;
mod spelling;

use std::fmt;

use dlang::program::ProbeDesc;

pub use self::python::{Python, python_in};

use self::spelling::near;
use crate::catalog::{Catalog, split_provider};
use crate::glob::Glob;
use crate::profile;

/// What was found out. Printed, it is a few lines without a final newline: what is the
/// matter, then what is known, then what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// One sentence: why nothing matches.
    pub reason: String,
    /// The Python that was looked at.
    pub python: Option<Python>,
    /// The probes of the wanted provider that there are, in D's spelling.
    pub available: Vec<String>,
    /// A probe or provider whose name is much like the wanted one.
    pub did_you_mean: Option<String>,
    /// What to do.
    pub advice: Vec<String>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(python) = &self.python {
            write!(f, "\n  this is {python}")?;
        }
        if !self.available.is_empty() {
            write!(f, "\n  there are: {}", self.available.join(", "))?;
        }
        if let Some(name) = &self.did_you_mean {
            write!(f, "\n  did you mean `{name}`?")?;
        }
        for line in &self.advice {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

/// Providers of DTrace's that rdtrace does not have.
const OTHER_PROVIDERS: [&str; 20] = [
    "cpc",
    "fbt",
    "fpuinfo",
    "io",
    "ip",
    "lockstat",
    "mib",
    "pid",
    "plockstat",
    "proc",
    "rawfbt",
    "rawtp",
    "sched",
    "sdt",
    "syscall",
    "sysinfo",
    "tcp",
    "udp",
    "ustack",
    "vminfo",
];

/// Finds out why `desc` matches nothing.
#[must_use]
pub fn diagnose(catalog: &mut Catalog, desc: &ProbeDesc) -> Diagnosis {
    let provider = desc.provider.trim_end_matches(|c: char| c.is_ascii_digit());
    if OTHER_PROVIDERS.contains(&provider) {
        return not_ours(provider);
    }
    let is_timer = desc.name.starts_with("tick-") || desc.name.starts_with("profile-");
    match &*desc.provider {
        "dtrace" => return builtin(desc),
        "profile" => return timer(desc),
        "" if near(&desc.name, &BUILTIN).is_some() => return builtin(desc),
        "" if is_timer => return timer(desc),
        _ => {}
    }
    if !Glob::new(&desc.provider).is_literal() {
        return everywhere::diagnose(catalog, desc);
    }
    // `python1234` may be read as `python` 1234, `python1` 234 and so on; the shortest name that
    // fits a living process is what was meant.
    let readings = split_provider(&desc.provider);
    let living = readings.iter().find(|(_, pid)| process::exists(*pid));
    match (living, readings.first()) {
        (Some((provider, pid)), _) => process::diagnose(catalog, desc, provider, *pid),
        (None, Some((_, pid))) => Diagnosis {
            reason: format!("there is no process {pid}"),
            ..Diagnosis::default()
        },
        (None, None) => no_process_id(desc),
    }
}

fn not_ours(provider: &str) -> Diagnosis {
    Diagnosis {
        reason: format!("rdtrace has no provider `{provider}`"),
        advice: vec![
            "it has `dtrace`, `profile`, and the USDT probes of running programs (`python1234`)"
                .into(),
            "for the kernel and for function boundaries, use DTrace for Linux or bpftrace".into(),
        ],
        ..Diagnosis::default()
    }
}

/// The probes of the provider `dtrace`.
const BUILTIN: [&str; 3] = ["BEGIN", "END", "ERROR"];

fn builtin(desc: &ProbeDesc) -> Diagnosis {
    let ProbeDesc {
        provider: _,
        module,
        function,
        name,
    } = desc;
    let shown = if module.is_empty() && function.is_empty() {
        name.clone()
    } else {
        format!("{module}:{function}:{name}")
    };
    Diagnosis {
        reason: format!("provider `dtrace` has no probe `{shown}`"),
        available: BUILTIN.map(str::to_owned).to_vec(),
        did_you_mean: near(name, &BUILTIN),
        ..Diagnosis::default()
    }
}

fn timer(desc: &ProbeDesc) -> Diagnosis {
    let reason = if !desc.module.is_empty() || !desc.function.is_empty() {
        "the probes of `profile` have no module and no function".into()
    } else if profile::parse(&desc.name).is_some() {
        format!("provider `{}` has no timers", desc.provider)
    } else {
        format!("`{}` is no rate", desc.name)
    };
    Diagnosis {
        reason,
        advice: vec![
            "write tick-1s, tick-500ms, tick-100 (hertz) for one CPU, profile-97 for all;".into(),
            "suffixes: ns us ms s m h d hz; at most 5000 Hz".into(),
        ],
        ..Diagnosis::default()
    }
}

/// `python:::x`, or `python0:::x`, which `$target` gives without a target.
fn no_process_id(desc: &ProbeDesc) -> Diagnosis {
    let provider = &desc.provider;
    let bare = provider.trim_end_matches('0');
    let reason = if bare.len() < provider.len() {
        format!(
            "`$target` is 0 here: neither -c nor -p names a process, so there is no `{provider}`"
        )
    } else {
        format!("`{provider}` is no provider by itself: its processes' ids belong to the name")
    };
    Diagnosis {
        reason,
        advice: vec![
            format!("write `{bare}$target` with -c or -p for one process,"),
            format!("`{bare}1234` for the process 1234, `{bare}*` for every process"),
        ],
        ..Diagnosis::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let mut fields = text.split(':').map(str::to_owned);
        let mut next = || fields.next().unwrap();
        let desc = ProbeDesc {
            provider: next(),
            module: next(),
            function: next(),
            name: next(),
        };
        diagnose(&mut Catalog::new(), &desc).to_string()
    }

    #[test]
    fn descriptions_without_a_process() {
        assert!(told("python:::line").contains("`python$target` with -c or -p"));
        assert!(told("python0:::line").starts_with("`$target` is 0 here"));
        assert_eq!(
            told("python999999999:::line"),
            "there is no process 999999999"
        );
        assert!(told(":::BEGN").contains("did you mean `BEGIN`?"));
        assert!(told("dtrace:x::END").contains("has no probe `x::END`"));
        assert!(told("profile:::tick-0").starts_with("`tick-0` is no rate"));
        assert!(told("syscall:::entry").starts_with("rdtrace has no provider `syscall`"));
        assert!(told("nosuch*:::x").starts_with("no process has a provider like `nosuch*`"));
    }

    #[test]
    fn a_process_without_probes() {
        let text = told(&format!("python{}:::line", std::process::id()));
        assert!(text.contains("has no provider `python`"), "{text}");
        assert!(text.contains("not a Python"), "{text}");
    }
}
