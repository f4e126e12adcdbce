//! `dtrace:::BEGIN`, `END` and `ERROR`: rdtrace fires them itself.

use dlang::program::ProbeDesc;

use super::names::{description, fits};
use super::part::{Made, Offer, Provider};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::ProbeKind;
use crate::spelling::near;

/// The provider.
#[derive(Debug)]
pub(super) struct Dtrace;

const NAME: &str = "dtrace";

const PROBES: [(&str, ProbeKind); 3] = [
    ("BEGIN", ProbeKind::Begin),
    ("END", ProbeKind::End),
    ("ERROR", ProbeKind::Error),
];

impl Provider for Dtrace {
    fn summary(&self) -> &'static str {
        "`dtrace`"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let found = PROBES.iter().filter(|(name, _)| {
            Glob::new(&desc.provider).matches(NAME) && fits(desc, "", "", name)
        });
        found
            .map(|(name, kind)| {
                let desc = description(NAME, "", "", name);
                Offer::own(desc, Made::plain(kind.clone()))
            })
            .collect()
    }

    fn is_meant_alone(&self, desc: &ProbeDesc) -> bool {
        desc.provider == NAME || (Glob::new(&desc.name).is_literal() && !self.own(desc).is_empty())
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        let names = PROBES.map(|(name, _)| name);
        let meant = match &*desc.provider {
            NAME => true,
            "" => near(&desc.name, &names).is_some(),
            _ => false,
        };
        if !meant {
            return None;
        }
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
        Some(Diagnosis {
            reason: format!("provider `{NAME}` has no probe `{shown}`"),
            available: names.map(str::to_owned).to_vec(),
            did_you_mean: near(name, &names),
            ..Diagnosis::default()
        })
    }
}
