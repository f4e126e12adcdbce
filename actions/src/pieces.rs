//! Which probes of a program share their code.
//!
//! Thousands of functions of a library, each with the same clauses and its arguments in the same
//! registers, need one piece of code, not thousands. What fires is told by the attach cookie, which costs
//! a helper call that a few probes do without: so only where there are many.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use provider::probe::{ArgLocation, Moment, Probe, ProbeId, ProbeKind, Sites, Way};

use crate::flow::flow_of;
use crate::options::Enabled;
use crate::record::Flow;

/// So many probes share code; fewer have each their own.
const FEWEST: usize = 8;

/// Probes that have one piece of code, and their clauses.
#[derive(Debug)]
pub(crate) struct Piece {
    /// One, or those that share it.
    pub(crate) probes: Vec<Arc<Probe>>,
    /// The clauses, by their indices in the program.
    pub(crate) clauses: Vec<usize>,
}

impl Piece {
    /// The probe that stands for all.
    pub(crate) fn first(&self) -> &Arc<Probe> {
        &self.probes[0]
    }

    /// Whether several probes share it.
    pub(crate) fn is_shared(&self) -> bool {
        self.probes.len() > 1
    }
}

/// What has to be the same for probes to share code.
#[derive(PartialEq, Eq, Hash)]
struct Shape<'p> {
    clauses: &'p [usize],
    provider: &'p str,
    args: Args<'p>,
    flow: Flow,
}

/// How a probe's arguments are found.
#[derive(PartialEq, Eq, Hash)]
enum Args<'p> {
    /// In these places, at each of its sites.
    At(&'p [ArgLocation], Moment),
    /// In the registers for so many arguments of a system call; `None` if no clause uses any.
    OfCall(Way, Option<usize>),
}

/// The pieces of a program, in the order in which their first probes appear among its members, which
/// are sorted by their clauses. `uses_arguments` says whether a clause does.
pub(crate) fn pieces(members: &[Enabled], uses_arguments: &dyn Fn(usize) -> bool) -> Vec<Piece> {
    let mut probes: Vec<&Arc<Probe>> = Vec::new();
    let mut clauses: BTreeMap<(ProbeId, u8), Vec<usize>> = BTreeMap::new();
    for Enabled { clause, probe } in members {
        let of = clauses.entry(probe.hook()).or_default();
        if of.is_empty() {
            probes.push(probe);
        }
        of.push(*clause);
    }
    let mut alike: HashMap<Shape<'_>, usize> = HashMap::new();
    for probe in &probes {
        if let Some(shape) = shape(probe, &clauses[&probe.hook()], uses_arguments) {
            *alike.entry(shape).or_default() += 1;
        }
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let mut places: HashMap<Shape<'_>, usize> = HashMap::new();
    for probe in probes {
        let clauses = &clauses[&probe.hook()];
        let shape = shape(probe, clauses, uses_arguments).filter(|shape| alike[shape] >= FEWEST);
        let next = pieces.len();
        let at = match shape {
            Some(shape) => *places.entry(shape).or_insert(next),
            None => next,
        };
        match pieces.get_mut(at) {
            Some(piece) => piece.probes.push(Arc::clone(probe)),
            None => pieces.push(Piece {
                probes: vec![Arc::clone(probe)],
                clauses: clauses.clone(),
            }),
        }
    }
    pieces
}

/// What a probe's code depends on; `None` if it is one that shares it with no other: it has no sites,
/// or finds its arguments in another way at each.
fn shape<'p>(
    probe: &'p Probe,
    clauses: &'p [usize],
    uses_arguments: &dyn Fn(usize) -> bool,
) -> Option<Shape<'p>> {
    let args = match &probe.kind {
        ProbeKind::Sites(sites) => args_at_sites(probe, sites)?,
        ProbeKind::SystemCall(call) => {
            let uses = clauses.iter().any(|&clause| uses_arguments(clause));
            Args::OfCall(call.way, uses.then(|| probe.args.len()))
        }
        ProbeKind::Begin
        | ProbeKind::End
        | ProbeKind::Error
        | ProbeKind::Timer(_)
        | ProbeKind::Python(_)
        | ProbeKind::Kernel(_) => return None,
    };
    Some(Shape {
        clauses,
        provider: &probe.desc.provider,
        args,
        flow: flow_of(probe),
    })
}

/// Where all sites of a probe have its arguments, if that is the same for all.
fn args_at_sites<'p>(probe: &Probe, sites: &'p Sites) -> Option<Args<'p>> {
    let first = sites.sites.first()?;
    let alike = sites.sites.iter().all(|site| site.args == first.args);
    let from_site = |location: &ArgLocation| matches!(location, ArgLocation::Relative { .. });
    let plain = alike && probe.source.is_none() && !first.args.iter().any(from_site);
    plain.then_some(Args::At(&first.args, sites.moment))
}

#[cfg(test)]
mod tests {
    use dlang::program::ProbeDesc;
    use provider::probe::{File, Scope, Site};

    use super::*;

    /// A probe with one site, whose argument is in a register, and its clauses.
    fn enabled(id: u32, name: &str, register: i64, clauses: &[usize]) -> Vec<Enabled> {
        let probe = Arc::new(Probe {
            id: ProbeId(id),
            desc: ProbeDesc {
                name: name.into(),
                ..ProbeDesc::default()
            },
            place: 0,
            dependent: None,
            args: Vec::new().into(),
            kind: ProbeKind::Sites(Sites {
                file: Arc::new(File {
                    path: "/a".into(),
                    shown: "/a".into(),
                    identity: (1, 2),
                    born: None,
                }),
                scope: Scope::System,
                sites: vec![Site {
                    file_offset: u64::from(id),
                    address: u64::from(id),
                    semaphore: None,
                    args: vec![ArgLocation::Constant(register)],
                }],
                moment: Moment::Reached,
                raises: Vec::new(),
            }),
            source: None,
            python: None,
        });
        let clauses = clauses.iter();
        clauses
            .map(|&clause| Enabled {
                clause,
                probe: Arc::clone(&probe),
            })
            .collect()
    }

    #[test]
    fn many_probes_alike_share_code_and_others_do_not() {
        let mut members = Vec::new();
        for id in 1..=10 {
            members.extend(enabled(id, "entry", 1, &[0]));
        }
        members.extend(enabled(11, "entry", 2, &[0])); // its argument is elsewhere
        members.extend(enabled(12, "entry", 1, &[0, 1])); // it has one more clause
        members.extend(enabled(13, "return", 1, &[0])); // -F shows it otherwise
        members.sort_by_key(|enabled| enabled.clause);
        let found: Vec<(usize, Vec<usize>)> = pieces(&members, &|_| true)
            .into_iter()
            .map(|piece| (piece.probes.len(), piece.clauses))
            .collect();
        assert_eq!(
            found,
            [(10, vec![0]), (1, vec![0]), (1, vec![0, 1]), (1, vec![0])]
        );
    }

    #[test]
    fn a_few_probes_have_each_their_own_code() {
        let members: Vec<_> = (1..8)
            .flat_map(|id| enabled(id, "entry", 1, &[0]))
            .collect();
        assert_eq!(pieces(&members, &|_| true).len(), 7);
    }
}
