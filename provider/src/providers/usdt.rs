//! USDT: the markers that programs are built with, whatever provider they name, but for those that
//! belong to a provider of their own ([`Provider::markers`]).

use dlang::program::ProbeDesc;

use super::file::Group;
use super::names::{d_name, fits, full_name, means};
use super::part::{Made, Offer, Origin, Provider, Search};
use crate::probe::{ProbeArg, ProbeKind};

/// The markers in files.
#[derive(Debug)]
pub(crate) struct Usdt;

impl Provider for Usdt {
    fn summary(&self) -> &'static str {
        "the USDT probes of running programs (`python1234`)"
    }

    fn in_file<'f>(&self, search: &Search<'f>, desc: &ProbeDesc) -> Vec<Offer<'f>> {
        let markers =
            matching(search, desc).filter(|group| !search.claimed.contains(&&*group.provider));
        markers.map(|group| offer(search, group)).collect()
    }
}

/// The markers of a file that `desc` means.
pub(super) fn matching<'f>(
    search: &Search<'f>,
    desc: &ProbeDesc,
) -> impl Iterator<Item = &'f Group> {
    let module = search.file.module();
    let wanted = d_name(desc);
    let scope = search.scope;
    search.file.groups.iter().filter(move |group| {
        means(&wanted.provider, &group.provider, scope)
            && fits(&wanted, &module, &group.function, &group.name)
    })
}

/// A marker's full name.
pub(super) fn name(search: &Search<'_>, group: &Group) -> ProbeDesc {
    let module = search.file.module();
    full_name(
        search.scope,
        &group.provider,
        &module,
        &group.function,
        &group.name,
    )
}

fn offer<'f>(search: &Search<'f>, group: &'f Group) -> Offer<'f> {
    let Search { file, scope, .. } = *search;
    Offer {
        key: search.key(name(search, group), Origin::Marker),
        make: Box::new(move || Made {
            dependent: None,
            args: file.arguments(group, |_, int| ProbeArg::int(int)).into(),
            kind: ProbeKind::Sites(file.sites(group, scope)),
            source: None,
            python: None,
        }),
    }
}
