//! Finding the probes of a program's descriptions, and the types of their arguments.
//!
//! A command may be a shell script, `env`, `chroot` or a version manager's shim that only later becomes
//! the program that is meant, so as long as a description finds nothing, the command goes on to its
//! next exec and is looked at again; it is let go when everything has matched.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Result;
use dlang::check::{ArgKind, ArgTypes, Matched, ProbeArgs};
use dlang::program::{ProbeDesc, ProbeSpec};
use provider::catalog::Catalog;
use provider::probe::{Probe, ProbeId};

use crate::compile::{Parsed, Spec};
use crate::target::Target;

/// A description of a clause and the probes it matched.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    /// Which description.
    pub(crate) spec: Spec,
    /// What it matched.
    pub(crate) probes: Vec<Arc<Probe>>,
    /// What else it matches in programs that followed processes may start.
    pub(crate) expected: Vec<Arc<Probe>>,
    /// Nothing that runs now has such a probe, but what followed processes start may.
    pub(crate) awaited: bool,
}

/// Matches every description of a program, letting the command go on to its next program or library as
/// long as some description finds nothing. Gives the matches of the last look.
///
/// A command that is followed is not let go on: what it starts meanwhile would not be traced. Instead,
/// what it and its children may come to is awaited. `before_it_runs` is called before any of it runs,
/// `waits`, once, if a description finds nothing for long.
pub(crate) fn match_probes(
    parsed: &Parsed,
    catalog: &mut Catalog,
    target: &mut Target,
    before_it_runs: impl FnOnce(&[Match]) -> Result<()>,
    mut waits: impl FnMut(&ProbeDesc),
) -> Result<Vec<Match>> {
    let mut is_told = false;
    let mut before_it_runs = Some(before_it_runs);
    let mut image = target.next_image()?;
    loop {
        let mut matches = match_once(parsed, catalog);
        if catalog.follows() {
            expect_more(parsed, catalog, target.pid(), &mut matches);
            return Ok(matches);
        }
        let missing = matches.iter().filter(|found| found.probes.is_empty());
        let missing: Vec<_> = missing.map(|found| found.desc(parsed)).collect();
        if !(image
            && awaits_next_program(&missing, catalog, target.pid())
            && target.may_run_other_files())
        {
            return Ok(matches);
        }
        if let Some(before_it_runs) = before_it_runs.take() {
            before_it_runs(&matches)?;
        }
        image = target.next_program_or_library(|| {
            if !std::mem::replace(&mut is_told, true) {
                missing.iter().take(1).for_each(|desc| waits(desc));
            }
        })?;
        if !image {
            return Ok(matches);
        }
    }
}

impl Match {
    /// The description.
    pub(crate) fn desc<'p>(&self, parsed: &'p Parsed) -> &'p ProbeDesc {
        &parsed.spec(self.spec).desc
    }

    /// All probes to attach to for it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Probe>> {
        self.probes.iter().chain(&self.expected)
    }

    /// Looks for what it matches in programs that followed processes may start.
    pub(crate) fn expect(&mut self, catalog: &mut Catalog, desc: &ProbeDesc) {
        let is_here = |probe: &Arc<Probe>| self.probes.iter().any(|here| here.id == probe.id);
        self.expected = catalog.expect(desc);
        self.expected.retain(|probe| !is_here(probe));
    }

    /// Whether it has found nothing, and will not.
    pub(crate) fn is_missing(&self) -> bool {
        self.probes.is_empty() && !self.awaited
    }
}

/// Matches every description with what there is now.
pub(crate) fn match_once(parsed: &Parsed, catalog: &mut Catalog) -> Vec<Match> {
    let one = |(spec, probe): (Spec, &ProbeSpec)| Match {
        spec,
        probes: catalog.enable(&probe.desc),
        expected: Vec::new(),
        awaited: false,
    };
    parsed.specs().map(one).collect()
}

/// Adds the probes of what followed processes may start to those of what runs.
fn expect_more(parsed: &Parsed, catalog: &mut Catalog, target: Option<u32>, matches: &mut [Match]) {
    for found in matches {
        let desc = found.desc(parsed);
        found.awaited = found.probes.is_empty() && may_come(desc, catalog, target);
        found.expect(catalog, desc);
    }
}

/// Whether a command goes on to its next program: if that may have all that this one lacks.
pub(crate) fn awaits_next_program(
    missing: &[&ProbeDesc],
    catalog: &mut Catalog,
    target: Option<u32>,
) -> bool {
    !missing.is_empty() && missing.iter().all(|desc| may_come(desc, catalog, target))
}

/// Whether a description that finds nothing may find something in the command's next program:
/// not if this one has its provider already, or is the Python that was meant and has no probes.
pub(crate) fn may_come(desc: &ProbeDesc, catalog: &mut Catalog, target: Option<u32>) -> bool {
    let followed = catalog.trees(desc).first().copied();
    let Some(pid) = followed.or(target) else {
        return false;
    };
    if !desc.provider.ends_with(&pid.to_string()) {
        return followed.is_some();
    }
    !catalog.will_never_have(desc, pid)
}

/// A probe that a description has matched.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The description.
    pub(crate) spec: Spec,
    /// The probe.
    pub(crate) probe: Arc<Probe>,
}

/// The probes of these matches one by one.
pub(crate) fn all_found(matches: &[Match]) -> Vec<Found> {
    let all = matches.iter().flat_map(|found| {
        let spec = found.spec;
        found.all().cloned().map(move |probe| Found { spec, probe })
    });
    all.collect()
}

/// The argument types of the probes that have been found, by description.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownArgs {
    kinds: HashMap<ProbeDesc, Kinds>,
    /// The description that matches nothing, which is an error.
    missing: Option<ProbeDesc>,
    guessed: Cell<bool>,
}

/// The kinds of probes that a description matches.
#[derive(Clone, Debug, Default)]
struct Kinds {
    /// Each once, but for those whose types nobody has asked for yet.
    all: Vec<ArgKind>,
    probes: HashSet<(ProbeId, u8)>,
}

impl Kinds {
    fn add(&mut self, probe: &Arc<Probe>) {
        if !self.probes.insert(probe.hook()) {
            return;
        }
        let types = if probe.args.are_known() {
            let types = probe.arg_types();
            let is_these = |kind: &ArgKind| {
                kind.dependent == probe.dependent
                    && matches!(&kind.types, ArgTypes::Known(known) if *known == types)
            };
            if self.all.iter().any(is_these) {
                return;
            }
            ArgTypes::Known(types)
        } else {
            let probe = Arc::clone(probe);
            ArgTypes::Later(Arc::new(move || probe.arg_types()))
        };
        self.all.push(ArgKind {
            types,
            dependent: probe.dependent,
            probe: probe.desc.clone(),
        });
    }
}

impl KnownArgs {
    /// Those of these matches.
    pub(crate) fn of(parsed: &Parsed, matches: &[Match]) -> Self {
        let mut known = Self::default();
        for found in matches {
            known.add(found.desc(parsed), found.all());
        }
        known
    }

    /// Adds those of probes that a description matches.
    pub(crate) fn add<'p>(
        &mut self,
        desc: &ProbeDesc,
        probes: impl IntoIterator<Item = &'p Arc<Probe>>,
    ) {
        let kinds = self.kinds.entry(desc.clone()).or_default();
        probes.into_iter().for_each(|probe| kinds.add(probe));
    }

    /// The same, with a description that matches nothing.
    pub(crate) fn without(self, missing: Option<&ProbeDesc>) -> Self {
        Self {
            missing: missing.cloned(),
            ..self
        }
    }

    /// Whether the check met arguments of probes that are not known yet, so that its errors may not be
    /// any.
    pub(crate) fn has_guessed(&self) -> bool {
        self.guessed.get()
    }
}

impl ProbeArgs for KnownArgs {
    fn matched(&self, desc: &ProbeDesc) -> Matched {
        match self.kinds.get(desc) {
            Some(kinds) if !kinds.all.is_empty() => Matched::Kinds(kinds.all.clone()),
            _ if self.missing.as_ref() == Some(desc) => Matched::Nothing,
            _ => Matched::NothingYet,
        }
    }

    fn guessed(&self) {
        self.guessed.set(true);
    }
}
