//! The maps of aggregations and associative arrays: which one each has, or shares.
//!
//! A program may use 64 maps, and each keyed aggregation has one for each length class of its key.
//! A D program with few of them has them all to itself, which costs a hit the least. In one with
//! many, those with keys and values of about the same size share a map, told apart by a number that
//! is the key's first integer, its *selector*. Unkeyed aggregations are entries of an array; there
//! the selector is the index.
//!
//! ```text
//!                    own maps                         shared
//!     keyed          [ints] strings                   selector [ints] strings
//!     unkeyed        index 0                          index = selector
//! ```
//!
//! The selector holds the slot of an epoch, too, for aggregations that have one
//! ([`Selector`]).
//!
//! A shared map of arrays is allocated at the start, as `dynvarsize` bounds them: a timer that sets
//! an element of each of many arrays would find no memory for more than a few.
//!
//! What another hash map costs before its first key is its table of buckets, 16 bytes for each key that it
//! may ever have ([`SHORT_KEYS`], [`LONG_KEYS`]); the keys themselves are allocated as they come.

use std::collections::BTreeSet;

use dlang::program::{Action, AggFunc, AggId, Program, StmtKind};
use predicates::asm::MapRef;
use predicates::storage::{Epoch, Selector, Shape, TupleMaps, key_sizes};
use provider::object::{MapKind, MapSpec};

use crate::maps::program_name;
use crate::options::LowerOptions;
use crate::plan::each_statement;
use crate::record::{EPOCH_SLOTS, value_words};

/// The most maps that aggregations and arrays have; the rest of the kernel's 64 is for others.
const MOST_MAPS: usize = 40;

/// The most keys in a map of short keys (up to [`SHORT`] bytes), unless `aggsize` says otherwise:
/// 4 MiB of buckets.
const SHORT_KEYS: u32 = 1 << 18;

/// The same for longer keys: 1 MiB.
const LONG_KEYS: u32 = 1 << 16;

/// The longest short key.
const SHORT: u32 = 64;

/// The largest value that the kernel has room for on each CPU.
const LARGEST_PER_CPU: u32 = 32 << 10;

/// The maps of a program's aggregations and arrays.
pub(crate) struct Tables {
    pub(crate) specs: Vec<MapSpec>,
    /// By [`AggId`].
    pub(crate) aggregations: Vec<(TupleMaps, AggFunc)>,
    /// By variable; `None` for one that is no array.
    pub(crate) arrays: Vec<Option<TupleMaps>>,
    /// The largest key, in bytes.
    pub(crate) largest_key: u32,
}

/// What an aggregation or array needs.
struct Demand<'p> {
    name: &'p str,
    shape: Shape,
    kind: MapKind,
    is_variable: bool,
    /// Bytes of a value.
    value: u32,
    /// The most keys, if the sizes of the classes do not decide it.
    entries: Option<u32>,
    /// The offset of its epoch, if it has one.
    epoch: Option<u32>,
}

/// How much is shared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Nothing.
    None,
    /// Maps whose sizes are the same when rounded up to powers of two.
    BySize,
    /// One map for each kind and, of variables, size of value.
    ByKind,
}

/// A map that is shared.
struct Shared {
    kind: MapKind,
    key: u32,
    value: u32,
    map: MapRef,
    /// The selectors given out.
    used: u32,
}

impl Demand<'_> {
    fn is_keyed(&self) -> bool {
        !matches!(self.kind, MapKind::Array | MapKind::PerCpuArray)
    }

    /// The entries or selectors that it takes.
    fn slots(&self) -> u32 {
        if self.epoch.is_some() { EPOCH_SLOTS } else { 1 }
    }

    /// Sizes of the classes of its key.
    fn sizes(&self, shared: bool, strsize: u32) -> Vec<u32> {
        if !self.is_keyed() {
            return vec![4];
        }
        let selector = u32::from(shared || self.epoch.is_some());
        key_sizes(self.shape.ints + selector, self.shape.strings, strsize)
    }
}

/// Plans the maps, numbered from `first` on.
pub(crate) fn plan(program: &Program, options: &LowerOptions, first: u32) -> Tables {
    let strsize = options.strsize;
    let (restarted, demands) = demands(program, options);
    let own: usize = demands.iter().map(|d| d.sizes(false, strsize).len()).sum();
    let mut planner = Planner {
        options,
        first,
        specs: Vec::new(),
        shared: Vec::new(),
        epochs: None,
        sharing: Sharing::None,
        largest: (0, 0),
    };
    if !restarted.is_empty() {
        let size = 8 * u32::try_from(restarted.len()).expect("a program has few aggregations");
        planner.epochs = Some(planner.add("epochs", MapKind::Array, 4, size, 1));
    }
    let start = planner.specs.len();
    let mut maps: Vec<TupleMaps> = Vec::new();
    for sharing in [Sharing::None, Sharing::BySize, Sharing::ByKind] {
        if sharing == Sharing::None && own > MOST_MAPS {
            continue;
        }
        planner.specs.truncate(start);
        planner.shared.clear();
        planner.sharing = sharing;
        planner.largest = demands.iter().fold((0, 0), |(key, value), demand| {
            let sizes = demand.sizes(true, strsize);
            (key.max(sizes[sizes.len() - 1]), value.max(demand.value))
        });
        maps = demands.iter().map(|demand| planner.place(demand)).collect();
        if planner.specs.len() <= MOST_MAPS {
            break;
        }
    }
    let largest_key = maps
        .iter()
        .flat_map(|maps| maps.classes.iter().map(|(size, _)| *size))
        .max();
    let mut maps = maps.into_iter();
    let funcs = program.aggregations.iter().map(|agg| agg.func);
    let aggregations = maps
        .by_ref()
        .take(program.aggregations.len())
        .zip(funcs)
        .collect();
    let arrays = program.variables.iter();
    let arrays = arrays.map(|variable| variable.key.as_ref().and_then(|_| maps.next()));
    Tables {
        aggregations,
        arrays: arrays.collect(),
        specs: planner.specs,
        largest_key: largest_key.unwrap_or(0),
    }
}

/// The aggregations with an epoch, and what aggregations and then arrays need.
fn demands<'p>(program: &'p Program, options: &LowerOptions) -> (Vec<AggId>, Vec<Demand<'p>>) {
    let restarted = restarted(program);
    let mut demands = Vec::new();
    for (id, agg) in (0..).map(AggId).zip(&program.aggregations) {
        let value = value_words(agg.func) * 8;
        let kind = match (agg.key.is_empty(), value <= LARGEST_PER_CPU) {
            (true, true) => MapKind::PerCpuArray,
            (true, false) => MapKind::Array,
            (false, true) => MapKind::PerCpuHash,
            (false, false) => MapKind::Hash,
        };
        let place = restarted.iter().position(|other| *other == id);
        demands.push(Demand {
            name: &agg.name,
            shape: Shape::of(&agg.key, None),
            kind,
            is_variable: false,
            value,
            entries: options.aggregation_keys,
            epoch: place.map(|n| 8 * u32::try_from(n).expect("a program has few aggregations")),
        });
    }
    for variable in &program.variables {
        let Some(shape) = Shape::of_array(variable) else {
            continue;
        };
        let value = variable.ty.size(options.strsize).next_multiple_of(8);
        let sizes = key_sizes(shape.ints, shape.strings, options.strsize);
        let element = sizes[sizes.len() - 1] + value;
        demands.push(Demand {
            name: &variable.name,
            shape,
            kind: MapKind::Hash,
            is_variable: true,
            value,
            entries: Some((options.dynvarsize / element.max(1)).max(16)),
            epoch: None,
        });
    }
    (restarted, demands)
}

/// Gives maps to demands.
struct Planner<'o> {
    options: &'o LowerOptions,
    first: u32,
    specs: Vec<MapSpec>,
    shared: Vec<Shared>,
    epochs: Option<MapRef>,
    sharing: Sharing,
    /// The largest key and value of all.
    largest: (u32, u32),
}

impl Planner<'_> {
    fn place(&mut self, demand: &Demand<'_>) -> TupleMaps {
        let is_shared = self.sharing != Sharing::None;
        let mut classes: Vec<(u32, MapRef)> = Vec::new();
        let (mut base, mut value) = (0, demand.value);
        for size in demand.sizes(is_shared, self.options.strsize) {
            let entries =
                demand
                    .entries
                    .unwrap_or(if size <= SHORT { SHORT_KEYS } else { LONG_KEYS });
            if !is_shared {
                let entries = if demand.is_keyed() {
                    entries
                } else {
                    demand.slots()
                };
                let map = self.add(demand.name, demand.kind, size, demand.value, entries);
                classes.push((size, map));
                continue;
            }
            let (key, rounded) = self.round(demand, size);
            value = rounded;
            if classes.last().is_some_and(|(last, _)| *last == key) {
                continue;
            }
            let kind = if demand.is_variable {
                MapKind::FixedHash
            } else {
                demand.kind
            };
            let index = self.shared_map(kind, key, value);
            let shared = &mut self.shared[index];
            // All classes have the same selector, which only the first need not have given out.
            base = base.max(shared.used);
            let map = shared.map;
            classes.push((key, map));
            let spec = &mut self.specs[(map.0 - self.first) as usize];
            spec.max_entries = if demand.is_keyed() {
                spec.max_entries.max(entries)
            } else {
                base + demand.slots()
            };
        }
        for (key, map) in &classes {
            let shared = self.shared.iter_mut();
            for shared in shared.filter(|shared| shared.map == *map && shared.key == *key) {
                shared.used = base + demand.slots();
            }
        }
        let epoch = demand.epoch.zip(self.epochs).map(|(offset, map)| Epoch {
            map,
            offset,
            slots: EPOCH_SLOTS,
        });
        let selector = (is_shared || epoch.is_some()).then_some(Selector { base, epoch });
        let mut shape = demand.shape;
        shape.ints += u32::from(selector.is_some() && demand.is_keyed());
        TupleMaps {
            ints: shape.ints,
            strings: shape.strings,
            owner: shape.owner,
            is_array: !demand.is_keyed(),
            selector,
            value,
            classes,
        }
    }

    /// The sizes of key and value in a shared map.
    fn round(&self, demand: &Demand<'_>, key: u32) -> (u32, u32) {
        let by_kind = self.sharing == Sharing::ByKind;
        let value = if demand.is_variable {
            // The code copies as many bytes as the map's values have.
            demand.value
        } else if !by_kind {
            demand.value.next_power_of_two()
        } else if matches!(demand.kind, MapKind::PerCpuArray | MapKind::PerCpuHash) {
            self.largest.1.min(LARGEST_PER_CPU)
        } else {
            self.largest.1
        };
        let key = match (demand.is_keyed(), by_kind) {
            (false, _) => key,
            (true, true) => self.largest.0,
            (true, false) => key.next_power_of_two().max(32),
        };
        (key, value)
    }

    fn shared_map(&mut self, kind: MapKind, key: u32, value: u32) -> usize {
        let mut shared = self.shared.iter();
        let found = shared.position(|s| s.kind == kind && s.key == key && s.value == value);
        found.unwrap_or_else(|| {
            let map = self.add("shared", kind, key, value, 0);
            self.shared.push(Shared {
                kind,
                key,
                value,
                map,
                used: 0,
            });
            self.shared.len() - 1
        })
    }

    fn add(&mut self, name: &str, kind: MapKind, key: u32, value: u32, entries: u32) -> MapRef {
        let name = program_name(if name.is_empty() { "map" } else { name });
        let number = u32::try_from(self.specs.len()).expect("a program has few maps");
        self.specs
            .push(MapSpec::new(&name, kind, key, value, entries));
        MapRef(self.first + number)
    }
}

/// The aggregations that need an epoch: a minimum or maximum can start again only so.
fn restarted(program: &Program) -> Vec<AggId> {
    let mut found = BTreeSet::new();
    for clause in &program.clauses {
        each_statement(&clause.body, &mut |stmt| {
            if let StmtKind::Action(Action::Clear(agg) | Action::Trunc(agg, _)) = stmt.kind
                && matches!(
                    program.aggregations[agg.0 as usize].func,
                    AggFunc::Min | AggFunc::Max
                )
            {
                found.insert(agg);
            }
        });
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::slice;

    use dlang::check::UnknownArgs;
    use dlang::diag::{Origin, Source};
    use dlang::{CheckOptions, Macros};
    use predicates::storage::TaskFields;

    use super::*;

    fn tables(source: &str) -> Tables {
        let options = LowerOptions {
            strsize: 256,
            scratchsize: 256,
            ring_bytes: 1 << 16,
            aggregation_keys: None,
            dynvarsize: 1 << 20,
            speculations: 4,
            extras: crate::plan::Extras::default(),
            task: TaskFields::default(),
            part_length: crate::parts::PART_LENGTH,
            open_loops: None,
            grows: false,
            frames: crate::frames::FrameOptions::default(),
            follow: None,
            cpu: None,
            in_locks: false,
            nests: false,
            cpus: 1,
        };
        let source = Source {
            origin: Origin::Script("test.d".into()),
            text: source.into(),
        };
        let ast = dlang::parse(slice::from_ref(&source), &Macros::default()).unwrap();
        let program = dlang::check(&ast, &UnknownArgs, &CheckOptions::default()).unwrap();
        plan(&program, &options, 6)
    }

    /// All that have a map are told apart in it.
    fn check(tables: &Tables) {
        assert!(tables.specs.len() <= MOST_MAPS);
        let mut taken = HashSet::new();
        let aggregations = tables.aggregations.iter().map(|(maps, _)| maps);
        for maps in aggregations.chain(tables.arrays.iter().flatten()) {
            let (base, slots) = maps.selector.map_or((0, 1), |selector| {
                (selector.base, selector.epoch.map_or(1, |epoch| epoch.slots))
            });
            assert!(maps.classes.is_sorted_by_key(|(size, _)| *size));
            for &(size, map) in &maps.classes {
                let spec = &tables.specs[(map.0 - 6) as usize];
                assert_eq!((spec.key_size, spec.value_size), (size, maps.value));
                assert!(!maps.is_array || base + slots <= spec.max_entries);
                for own in base..base + slots {
                    assert!(taken.insert((map, own)), "{own} in {map:?} twice");
                }
            }
        }
    }

    #[test]
    fn few_have_maps_of_their_own() {
        let tables = tables("BEGIN { @ = count(); @k[1] = sum(1); @s[\"a\"] = sum(1); x[1] = 1; }");
        check(&tables);
        assert_eq!(tables.specs.len(), 1 + 1 + 3 + 1);
        assert!(
            tables
                .aggregations
                .iter()
                .all(|(maps, _)| maps.selector.is_none())
        );
    }

    #[test]
    fn thousands_share_maps() {
        let statements = (0..1000).map(|i| {
            format!(
                "@a{i} = min({i}); @b{i}[{i}] = quantize({i}); @c{i}[\"s\", {i}] = avg({i}); \
                 @d{i} = lquantize(1, 0, {}); x{i}[{i}, \"t\"] = {i}; ",
                10 + i
            )
        });
        let statements = statements.collect::<Vec<_>>().concat();
        let end = "clear(@a7); trunc(@a999); exit(0);";
        check(&tables(&format!("BEGIN {{ {statements} {end} }}")));
    }

    #[test]
    fn what_is_cleared_has_epochs() {
        let tables = tables(
            "BEGIN { @ = max(1); @k[\"a\"] = min(1); @n = sum(1); clear(@); clear(@n); trunc(@k); }",
        );
        check(&tables);
        let epochs = tables.aggregations.iter();
        let epochs = epochs.map(|(maps, _)| Some(maps.selector?.epoch?.offset));
        assert_eq!(epochs.collect::<Vec<_>>(), [Some(0), Some(8), None]);
    }
}
