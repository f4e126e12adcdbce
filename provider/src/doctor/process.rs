//! Why one process has no such probe.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dlang::program::ProbeDesc;

use super::instead::{Analysis, instead};
use super::missing::{Place, missing};
use crate::catalog::Catalog;
use crate::diagnosis::Diagnosis;
use crate::interpreter::{Python, python_of, runs_python};
use crate::probe::Probe;
use crate::process::files;
use crate::process::tree::descendants;
use crate::spelling::near;
use crate::text::escaped;
use crate::usdt::UsdtFile;
use crate::usdt::cpython::PROVIDER;
use crate::usdt::elf::ElfError;

/// Whether there is such a process.
pub(super) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// What there is to say of a process of which nothing can be seen.
pub(super) fn hidden(pid: u32) -> Option<Diagnosis> {
    files::is_hidden(pid).then(|| Diagnosis {
        reason: format!(
            "process {pid} ({}) may not be looked at: this needs root, or CAP_SYS_PTRACE",
            files::command_name(pid)
        ),
        ..Diagnosis::default()
    })
}

/// Finds out why the process `pid` has no probe for `desc`, whose provider is `provider` there.
pub(super) fn diagnose(
    catalog: &mut Catalog,
    desc: &ProbeDesc,
    provider: &str,
    pid: u32,
) -> Diagnosis {
    let program = files::program(pid).unwrap_or_default();
    let who = format!("process {pid} ({})", escaped(program));
    if let Some((path, error)) = trouble(pid) {
        return Diagnosis {
            reason: format!("{who} cannot be traced: {}: {error}", path.display()),
            ..Diagnosis::default()
        };
    }
    let own = all(catalog, format!("{provider}{pid}"));
    let is_python = provider == PROVIDER;
    let interpreter = is_python.then(|| catalog.interpreter(pid)).flatten();
    let python = is_python.then(|| python_of(pid)).flatten();
    if !own.is_empty() {
        let analysis = interpreter.map(|(_, analysis)| analysis);
        let place = Place::Process {
            who,
            python,
            analysis,
        };
        return missing(desc, provider, &own, place);
    }
    let others = other_providers(catalog, pid);
    let advice = if is_python {
        without_probes(&desc.name, python.as_ref(), interpreter.as_ref())
    } else {
        Vec::new()
    };
    let advice = if !advice.is_empty() {
        advice
    } else if let Some(children) = is_python.then(|| python_children(pid)).flatten() {
        vec![children]
    } else if !others.is_empty() {
        vec![format!("its providers: {}", others.join(", "))]
    } else if is_python {
        vec![
            "it is not a Python, or its interpreter is not mapped yet; a wrapper that starts \
             Python as a child has another process id"
                .into(),
        ]
    } else {
        vec!["no file that it runs has USDT probes".into()]
    };
    Diagnosis {
        reason: format!("{who} has no provider `{provider}`"),
        did_you_mean: near(provider, &others).map(|name| format!("{name}{pid}")),
        python,
        available: Vec::new(),
        advice,
    }
}

/// What there is to say of a process that is no Python and has started some.
fn python_children(pid: u32) -> Option<String> {
    let children = descendants(pid, &[]).into_iter();
    let children: Vec<u32> = children.filter(|pid| runs_python(*pid)).collect();
    let name = |pid: &u32| {
        let program = files::program(*pid).unwrap_or_default();
        format!("{pid} ({})", escaped(program))
    };
    let first = children.first()?;
    let names: Vec<String> = children.iter().take(MOST_NAMED).map(name).collect();
    let more = match children.len().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "it has started Python: {}{more}; `-p {first}` traces that process, -x followfork all of them",
        names.join(", ")
    ))
}

/// So many processes are named.
const MOST_NAMED: usize = 5;

/// What there is to say of a Python without any probes; nothing if it is none.
fn without_probes(
    name: &str,
    python: Option<&Python>,
    interpreter: Option<&(PathBuf, Analysis)>,
) -> Vec<String> {
    if let Some(python) = python {
        let analysis = interpreter.map(|(_, analysis)| analysis);
        let mut advice = vec!["this build has no USDT probes at all".to_owned()];
        advice.extend(instead(python.version, name, analysis));
        return advice;
    }
    let Some((file, Err(refusal))) = interpreter else {
        return Vec::new();
    };
    let file = file.display();
    vec![format!(
        "{file} has no USDT probes, and none can be made: {refusal}"
    )]
}

/// The bare names of the providers that a process has.
fn other_providers(catalog: &mut Catalog, pid: u32) -> Vec<String> {
    let suffix = pid.to_string();
    let probes = all(catalog, format!("*{pid}"));
    let bare = probes
        .iter()
        .filter_map(|probe| probe.desc.provider.strip_suffix(&suffix));
    let bare: BTreeSet<&str> = bare.collect();
    bare.into_iter().map(str::to_owned).collect()
}

/// All probes of a provider.
fn all(catalog: &mut Catalog, provider: String) -> Vec<Arc<Probe>> {
    catalog.list(&ProbeDesc {
        provider,
        ..ProbeDesc::default()
    })
}

/// The trouble with reading a process's program, if there is any: why it cannot have probes at all
/// (32-bit, another machine).
fn trouble(pid: u32) -> Option<(PathBuf, ElfError)> {
    let file = files::executable_files(pid).into_iter().next()?;
    let error = UsdtFile::read(&file.path).err()?;
    Some((file.shown.clone(), error))
}
