//! Why a description matches nothing, for people: which process or file was looked at, which Python
//! it is and how it was built, which probes it does have, and what to do instead.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dlang::program::ProbeDesc;

use crate::catalog::{Catalog, split_provider};
use crate::glob::Glob;
use crate::probe::PythonEvent;
use crate::process::files;
use crate::profile;
use crate::python::{Build, Refusal};
use crate::usdt::cpython::{self, MARKERS, PROVIDER, Version};
use crate::usdt::elf::Contents;

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

/// A CPython interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// The file with the interpreter: the program or its libpython.
    pub file: PathBuf,
    /// Its version.
    pub version: Version,
    /// How it was configured, if its `_sysconfigdata` is where it belongs.
    pub configured: Option<String>,
}

impl Python {
    /// Whether it was configured with `--with-dtrace`, if that is known.
    #[must_use]
    pub fn with_dtrace(&self) -> Option<bool> {
        self.configured
            .as_ref()
            .map(|arguments| arguments.contains("--with-dtrace"))
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPython {} in {}", self.version, self.file.display())?;
        match self.with_dtrace() {
            Some(true) => f.write_str(", configured with --with-dtrace"),
            Some(false) => f.write_str(", configured without --with-dtrace"),
            None => Ok(()),
        }
    }
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

/// Finds out why `desc` matches nothing.
#[must_use]
pub fn diagnose(catalog: &mut Catalog, desc: &ProbeDesc) -> Diagnosis {
    let provider = desc.provider.trim_end_matches(|c: char| c.is_ascii_digit());
    if OTHER_PROVIDERS.contains(&provider) {
        return not_ours(provider);
    }
    match &*desc.provider {
        "dtrace" => return builtin("dtrace", desc, &["BEGIN", "END", "ERROR"]),
        "profile" => return timer(desc),
        "" if near(&desc.name, &["BEGIN", "END", "ERROR"]).is_some() => {
            return builtin("dtrace", desc, &["BEGIN", "END", "ERROR"]);
        }
        "" if desc.name.starts_with("tick-") || desc.name.starts_with("profile-") => {
            return timer(desc);
        }
        _ => {}
    }
    let glob = Glob::new(&desc.provider);
    if !glob.is_literal() {
        return anywhere(catalog, desc);
    }
    let candidates = split_provider(&desc.provider);
    let living: Vec<(&str, u32)> = candidates
        .iter()
        .copied()
        .filter(|(_, pid)| exists(*pid))
        .collect();
    // `python1234` may be read as `python` 1234, `python1` 234 and so on; the shortest name that
    // fits a living process is what was meant.
    match (living.first(), candidates.first()) {
        (Some(&(provider, pid)), _) => in_process(catalog, desc, provider, pid),
        (None, Some((_, pid))) => Diagnosis {
            reason: format!("there is no process {pid}"),
            ..Diagnosis::default()
        },
        (None, None) => no_process_id(desc),
    }
}

/// `python:::x`, or `python0:::x`, which `$target` gives without a target.
fn no_process_id(desc: &ProbeDesc) -> Diagnosis {
    let bare = desc.provider.trim_end_matches('0');
    let reason = if bare.len() < desc.provider.len() {
        format!(
            "`$target` is 0 here: neither -c nor -p names a process, so there is no `{}`",
            desc.provider
        )
    } else {
        format!(
            "`{}` is no provider by itself: its processes' ids belong to the name",
            desc.provider
        )
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

fn builtin(provider: &str, desc: &ProbeDesc, names: &[&str]) -> Diagnosis {
    Diagnosis {
        reason: format!("provider `{provider}` has no probe `{}`", shown(desc)),
        available: names.iter().map(ToString::to_string).collect(),
        did_you_mean: near(&desc.name, names),
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

fn in_process(catalog: &mut Catalog, desc: &ProbeDesc, provider: &str, pid: u32) -> Diagnosis {
    let program = files::program(pid).unwrap_or_default();
    let who = format!("process {pid} ({})", program.display());
    if let Some((path, error)) = Catalog::trouble(pid) {
        return Diagnosis {
            reason: format!("{who} cannot be traced: {}: {error}", path.display()),
            ..Diagnosis::default()
        };
    }
    let all = |catalog: &mut Catalog, provider: String| {
        catalog.list(&ProbeDesc {
            provider,
            ..ProbeDesc::default()
        })
    };
    let own = all(catalog, format!("{provider}{pid}"));
    let interpreter = (provider == PROVIDER)
        .then(|| catalog.interpreter(pid))
        .flatten();
    let analysis = interpreter.as_ref().map(|(_, analysis)| analysis);
    let python = python_of(pid);
    if own.is_empty() {
        let suffix = pid.to_string();
        let others: BTreeSet<String> = all(catalog, format!("*{pid}"))
            .iter()
            .filter_map(|probe| probe.desc.provider.strip_suffix(&suffix).map(str::to_owned))
            .collect();
        let names: Vec<&str> = others.iter().map(String::as_str).collect();
        let mut diagnosis = Diagnosis {
            reason: format!("{who} has no provider `{provider}`"),
            did_you_mean: near(provider, &names).map(|name| format!("{name}{pid}")),
            python: python.filter(|_| provider == PROVIDER),
            ..Diagnosis::default()
        };
        if let Some(python) = &diagnosis.python {
            diagnosis
                .advice
                .push("this build has no USDT probes at all".into());
            diagnosis
                .advice
                .extend(instead(python.version, &desc.name, analysis));
        } else if let Some((file, Err(refusal))) = &interpreter {
            let file = file.display();
            diagnosis.advice.push(format!(
                "{file} has no USDT probes, and none can be made: {refusal}"
            ));
        } else if !others.is_empty() {
            diagnosis
                .advice
                .push(format!("its providers: {}", names.join(", ")));
        } else if provider == PROVIDER {
            diagnosis.advice.push(
                "it is not a Python, or its interpreter is not mapped yet; a wrapper that starts \
                 Python as a child has another process id"
                    .into(),
            );
        } else {
            diagnosis
                .advice
                .push("no file that it runs has USDT probes".into());
        }
        return diagnosis;
    }
    missing(desc, provider, &own_fields(&own), python, analysis, &who)
}

/// Modules, functions and names of some probes.
struct Fields {
    modules: BTreeSet<String>,
    functions: BTreeSet<String>,
    names: BTreeSet<String>,
}

fn own_fields(probes: &[Arc<crate::probe::Probe>]) -> Fields {
    let all = |of: fn(&ProbeDesc) -> &String| probes.iter().map(|p| of(&p.desc).clone()).collect();
    Fields {
        modules: all(|desc| &desc.module),
        functions: all(|desc| &desc.function),
        names: all(|desc| &desc.name),
    }
}

/// The provider is there, but no probe of it fits.
fn missing(
    desc: &ProbeDesc,
    provider: &str,
    fields: &Fields,
    python: Option<Python>,
    analysis: Option<&Analysis>,
    who: &str,
) -> Diagnosis {
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    let name = desc.name.replace("__", "-");
    if !fields
        .names
        .iter()
        .any(|found| Glob::new(&name).matches(found))
    {
        let available = list(&fields.names);
        let names: Vec<&str> = available.iter().map(String::as_str).collect();
        let mut diagnosis = Diagnosis {
            reason: format!("{who} has no probe `{provider}:::{name}`"),
            did_you_mean: near(&name, &names),
            python: python.filter(|_| provider == PROVIDER),
            available,
            ..Diagnosis::default()
        };
        if let Some(python) = &diagnosis.python
            && MARKERS.iter().any(|(marker, _)| *marker == name)
        {
            diagnosis.did_you_mean = None;
            diagnosis.advice = instead(python.version, &name, analysis);
        } else if provider == PROVIDER && diagnosis.did_you_mean.is_none() {
            let markers: Vec<&str> = MARKERS.iter().map(|(marker, _)| *marker).collect();
            diagnosis.did_you_mean = near(&name, &markers);
        }
        return diagnosis;
    }
    let module_fits = fields
        .modules
        .iter()
        .any(|found| Glob::new(&desc.module).matches(found));
    let (what, wanted, set) = if module_fits {
        ("function", &desc.function, &fields.functions)
    } else {
        ("module", &desc.module, &fields.modules)
    };
    let known: Vec<String> = list(set)
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let advice = if known.is_empty() {
        vec![format!(
            "the file is stripped, so that no {what} is known: leave the field empty"
        )]
    } else {
        vec![format!("{what}s with probes: {}", names.join(", "))]
    };
    Diagnosis {
        reason: format!("{who} has `{provider}` probes, but none in the {what} `{wanted}`"),
        did_you_mean: near(wanted, &names),
        advice,
        ..Diagnosis::default()
    }
}

/// The provider is a glob, or there is none.
fn anywhere(catalog: &mut Catalog, desc: &ProbeDesc) -> Diagnosis {
    let every = ProbeDesc {
        provider: desc.provider.clone(),
        ..ProbeDesc::default()
    };
    let found: Vec<_> = catalog
        .enable(&every)
        .into_iter()
        .filter(|probe| !matches!(&*probe.desc.provider, "dtrace" | "profile"))
        .collect();
    if found.is_empty() {
        return Diagnosis {
            reason: format!("no process has a provider like `{}`", desc.provider),
            advice: vec![
                "add -Z to wait for processes that start later,".into(),
                "`rdtrace -l` shows what there is".into(),
            ],
            ..Diagnosis::default()
        };
    }
    let provider = if desc.provider.is_empty() {
        "*"
    } else {
        &desc.provider
    };
    let mut diagnosis = missing(
        desc,
        provider,
        &own_fields(&found),
        None,
        None,
        "no process",
    );
    diagnosis.reason =
        diagnosis
            .reason
            .replacen("no process has no probe", "no process has a probe", 1);
    diagnosis.reason = diagnosis
        .reason
        .replacen("no process has `", "there are `", 1);
    if diagnosis.available.len() > 20 {
        diagnosis.available.truncate(20);
        diagnosis.available.push("...".into());
    }
    diagnosis
}

/// What the analysis of the interpreter gave.
type Analysis = Result<Arc<Build>, Refusal>;

/// Why this version lacks a marker, why none can be made in its place, and what to do.
fn instead(version: Version, name: &str, analysis: Option<&Analysis>) -> Vec<String> {
    let minor = version.minor;
    let why = match name {
        "function-entry" | "function-return" if (12..=14).contains(&minor) => {
            "CPython dropped its function probes in 3.12; they are back in 3.15"
        }
        "line" if minor >= 12 => "CPython dropped its line probe in 3.12",
        "import-find-load-start" | "import-find-load-done" if minor < 7 => {
            "CPython has import probes since 3.7"
        }
        "audit" if minor < 8 => "CPython has the audit probe since 3.8",
        _ if minor < 6 => "CPython has probes since 3.6",
        _ => {
            "CPython has probes only when it is configured with --with-dtrace, which most builds \
              are not (pyenv, conda, the official container images)"
        }
    };
    let mut lines = vec![format!("why: {why}")];
    if name == "line" {
        lines.push(
            "nor can it be made from outside: with a probe on nearly every opcode, Python would \
             be 190 times slower"
                .into(),
        );
        lines.push(
            "instead: trace with a Python 3.6 to 3.11 that is built --with-dtrace, such as \
             Debian 12's /usr/bin/python3"
                .into(),
        );
        return lines;
    }
    if let Some(reason) = analysis.and_then(|analysis| why_not_made(analysis, name)) {
        lines.push(format!("nor can it be made from outside: {reason}"));
    }
    lines.push(
        "instead: trace with one of the usual builds of CPython 3.6 to 3.15 for x86-64, which need \
         no probes in them; `rdtrace --check-python FILE` tells of one"
            .into(),
    );
    lines
}

/// Why a probe is not synthesised.
fn why_not_made(analysis: &Analysis, name: &str) -> Option<String> {
    let event = PythonEvent::named(name)?;
    match analysis {
        Err(refusal) => Some(refusal.to_string()),
        Ok(build) if event.is_in(build) => None,
        Ok(build) => Some(match (event, &build.collectors, &build.imports) {
            (PythonEvent::GcStart | PythonEvent::GcDone, Err(why), _)
            | (PythonEvent::ImportStart | PythonEvent::ImportDone, _, Err(why)) => why.clone(),
            _ => "the place was not found in the code of this build".into(),
        }),
    }
}

/// The interpreter that a process runs.
fn python_of(pid: u32) -> Option<Python> {
    files::executable_files(pid)
        .iter()
        .find_map(|file| python_in(&file.path, &file.shown))
}

/// The interpreter in a file, which people know as `shown`.
#[must_use]
pub fn python_in(path: &Path, shown: &Path) -> Option<Python> {
    let name = shown.file_name()?.to_str()?;
    if !name.contains("python") {
        return None; // not worth reading: no distribution hides it under another name
    }
    let contents = Contents::open(path).ok()?;
    let version = cpython::version(&contents.elf().ok()?)?;
    let prefix = path.parent()?.parent()?;
    Some(Python {
        file: shown.to_owned(),
        version,
        configured: configured(prefix, version),
    })
}

/// The arguments of `configure`, from the `_sysconfigdata` that is installed with the library.
fn configured(prefix: &Path, version: Version) -> Option<String> {
    let lib = prefix.join(format!("lib/python{}.{}", version.major, version.minor));
    let data = fs::read_dir(lib).ok()?.flatten().find(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("_sysconfigdata")
    })?;
    let text = fs::read_to_string(data.path()).ok()?;
    let (_, after) = text.split_once("'CONFIG_ARGS':")?;
    // A Python string, broken over lines: up to the next key.
    let end = after.find("\n '").unwrap_or(after.len());
    Some(after[..end].trim().trim_end_matches(',').to_owned())
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn shown(desc: &ProbeDesc) -> String {
    let ProbeDesc {
        provider: _,
        module,
        function,
        name,
    } = desc;
    if module.is_empty() && function.is_empty() {
        name.clone()
    } else {
        format!("{module}:{function}:{name}")
    }
}

/// The name that a few slips of the finger turn into `wanted`.
fn near(wanted: &str, names: &[&str]) -> Option<String> {
    if wanted.is_empty() {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).clamp(1, 3);
    names
        .iter()
        .map(|name| (distance(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= allowed && **name != wanted)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| (*name).to_owned())
}

/// How many characters must be put in, left out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(x != y);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger() {
        let names: Vec<&str> = MARKERS.iter().map(|(name, _)| *name).collect();
        for (typed, meant) in [
            ("function-enty", Some("function-entry")),
            ("funtcion-return", Some("function-return")),
            ("gc_start", Some("gc-start")),
            ("lien", Some("line")),
            ("GC-START", Some("gc-start")),
            ("start", None),
            ("", None),
        ] {
            assert_eq!(near(typed, &names).as_deref(), meant, "{typed}");
        }
    }

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
        assert!(told("profile:::tick-0").starts_with("`tick-0` is no rate"));
        assert!(told("nosuch*:::x").starts_with("no process has a provider like `nosuch*`"));
    }

    #[test]
    fn a_process_without_probes() {
        let text = told(&format!("python{}:::line", std::process::id()));
        assert!(text.contains("has no provider `python`"), "{text}");
        assert!(text.contains("not a Python"), "{text}");
    }

    #[test]
    fn what_cannot_be_made_is_told_with_the_reason() {
        let version = Version {
            major: 3,
            minor: 14,
            micro: 0,
        };
        let analysis = Err(Refusal::NoTable {
            version: crate::python::Version {
                major: 3,
                minor: 14,
                micro: None,
            },
        });
        let lines = instead(version, "function-entry", Some(&analysis)).join("\n");
        assert!(lines.contains("nor can it be made from outside"), "{lines}");
        assert!(lines.contains("without computed gotos"), "{lines}");
        let lines = instead(version, "line", Some(&analysis)).join("\n");
        assert!(lines.contains("190 times slower"), "{lines}");
        assert!(!lines.contains("computed gotos"), "{lines}");
    }

    #[test]
    fn versions_lack_what_they_lack() {
        let why = |minor, name| {
            instead(
                Version {
                    major: 3,
                    minor,
                    micro: 0,
                },
                name,
                None,
            )[0]
            .clone()
        };
        assert!(why(12, "function-entry").contains("dropped its function probes in 3.12"));
        assert!(why(15, "line").contains("dropped its line probe"));
        assert!(why(7, "audit").contains("since 3.8"));
        assert!(why(6, "import-find-load-done").contains("since 3.7"));
        assert!(why(11, "line").contains("--with-dtrace"));
        assert!(why(15, "function-entry").contains("--with-dtrace"));
    }

    #[test]
    fn what_the_analysis_missed_is_told() {
        let (_, file) = &crate::python::tests::recorded()[0];
        let mut build = crate::python::analyse(file).unwrap();
        let reason =
            |build: &Build| why_not_made(&Ok(Arc::new(build.clone())), "import-find-load-start");
        assert_eq!(reason(&build), None);
        build.imports = Err("the call was not found".into());
        assert_eq!(reason(&build).as_deref(), Some("the call was not found"));
    }
}
