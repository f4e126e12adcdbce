//! Why one process has no such probe.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dlang::program::ProbeDesc;

use super::missing::{Place, missing};
use crate::catalog::Catalog;
use crate::diagnosis::Diagnosis;
use crate::probe::Probe;
use crate::process::files;
use crate::providers::interpreter::Lacking;
use crate::providers::of_interpreter;
use crate::spelling::near;
use crate::text::escaped;
use crate::usdt::UsdtFile;
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
    let part = of_interpreter(provider);
    let mut own = all(catalog, format!("{provider}{pid}"));
    // Some are meant by their names only.
    if let Some(part) = part {
        for name in part.known_names() {
            if own.iter().all(|probe| probe.desc.name != name) {
                own.extend(catalog.list(&ProbeDesc {
                    provider: format!("{provider}{pid}"),
                    name: name.to_owned(),
                    ..ProbeDesc::default()
                }));
            }
        }
    }
    let files = catalog.files_of(pid);
    let lacking = Lacking {
        pid,
        files: &files,
        choice: catalog.choice(),
        name: &desc.name.replace("__", "-"),
        has_others: !own.is_empty(),
    };
    let why = part.map(|part| part.why_lacking(&lacking));
    let why = why.unwrap_or_default();
    if !own.is_empty() {
        return missing(desc, provider, &own, Place::Process { who, why });
    }
    let others = other_providers(catalog, pid);
    let not_run = || part.and_then(|part| part.why_not_run(pid, !others.is_empty()));
    let advice = if !why.lines.is_empty() {
        why.lines
    } else if let Some(text) = not_run() {
        vec![text]
    } else if !others.is_empty() {
        vec![format!("its providers: {}", others.join(", "))]
    } else {
        vec!["no file that it runs has USDT probes".into()]
    };
    Diagnosis {
        reason: format!("{who} has no provider `{provider}`"),
        did_you_mean: near(provider, &others).map(|name| format!("{name}{pid}")),
        runs: why.runs,
        available: Vec::new(),
        advice,
    }
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
