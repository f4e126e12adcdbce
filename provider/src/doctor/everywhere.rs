//! Why no process has what is meant: the provider is a glob, or there is none.

use dlang::program::ProbeDesc;

use super::missing::{Place, missing};
use crate::catalog::Catalog;
use crate::diagnosis::Diagnosis;

/// So many probes are named; more would bury the rest of the message.
const MOST_NAMED: usize = 20;

/// Finds out why no process has a probe for `desc`.
pub(super) fn diagnose(catalog: &mut Catalog, desc: &ProbeDesc) -> Diagnosis {
    let every = ProbeDesc {
        provider: desc.provider.clone(),
        ..ProbeDesc::default()
    };
    let mut found = catalog.enable(&every);
    found.retain(|probe| probe.kind.file().is_some());
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
    let provider = match &*desc.provider {
        "" => "*",
        provider => provider,
    };
    let mut diagnosis = missing(desc, provider, &found, Place::Everywhere);
    if diagnosis.available.len() > MOST_NAMED {
        diagnosis.available.truncate(MOST_NAMED);
        diagnosis.available.push("...".into());
    }
    diagnosis
}
