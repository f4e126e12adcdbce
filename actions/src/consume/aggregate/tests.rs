//! Aggregations in memory and their exact text, as DTrace 2.0.7 printed it.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dlang::program::{AggFunc, AggId};
use dlang::types::{Int, Type};
use provider::object::MapId;

use super::super::testing::{Datum, FakeMaps, ecb, format, lay_out, quiet};
use super::super::{AggregationMaps, Consumer, Drawing, Letters, OutputOptions, SortOptions};
use crate::record::{
    AggregationLayout, EPOCH_SLOTS, EpochPlace, KeySelector, OutputKind, extreme_mask, value_words,
};

/// Aggregations in fake maps, and a consumer that reads them.
struct Fixture {
    maps: FakeMaps,
    consumer: Consumer,
    layouts: Vec<AggregationLayout>,
}

/// Two CPUs, to see that they are merged.
const CPUS: usize = 2;

impl Fixture {
    fn new(options: OutputOptions, aggregations: &[(AggFunc, &[Type])]) -> Self {
        let maps = FakeMaps::default();
        let mut consumer = Consumer::new(options, Box::new(maps.clone()));
        let layouts: Vec<AggregationLayout> = (0_u32..)
            .zip(aggregations)
            .map(|(id, (func, key))| AggregationLayout {
                id: AggId(id),
                name: "a".into(),
                func: *func,
                key: key.to_vec(),
                maps: vec![MapId(id)],
                stride: value_words(*func),
                selector: matches!(func, AggFunc::Min | AggFunc::Max).then_some(KeySelector {
                    base: 0,
                    epoch: Some(EpochPlace {
                        map: MapId(9),
                        offset: 0,
                    }),
                }),
            })
            .collect();
        consumer.add_aggregations(layouts.clone());
        Self {
            maps,
            consumer,
            layouts,
        }
    }

    /// Counts as the generated code does: `hits` and then `set` on the words of one CPU.
    fn update(&mut self, id: u8, key: &[u8], cpu: usize, set: impl FnOnce(&mut [u64])) {
        let words = value_words(self.layouts[usize::from(id)].func) as usize;
        let mut maps = self.maps.0.lock().unwrap();
        let epoch = maps.get(&[][..]).map_or(0, |words| words[0]);
        let slot = epoch % u64::from(EPOCH_SLOTS);
        let layout = &self.layouts[usize::from(id)];
        let key = &match (layout.selector, layout.key.is_empty()) {
            (None, _) => key.to_vec(),
            (Some(_), true) => slot.to_ne_bytes()[..4].to_vec(),
            (Some(_), false) => [&slot.to_ne_bytes(), key].concat(),
        };
        let value = maps
            .entry([&[id], key.as_slice()].concat())
            .or_insert_with(|| vec![0; words * CPUS]);
        let value = &mut value[cpu * words..(cpu + 1) * words];
        value[0] += 1;
        set(value);
    }

    fn sum(&mut self, id: u8, key: &[u8], n: i64) {
        self.update(id, key, 0, |words| {
            words[1] = words[1].wrapping_add(n.cast_unsigned());
        });
    }

    /// Counts as the generated code does for a minimum or maximum.
    fn extreme(&mut self, id: u8, key: &[u8], cpu: usize, n: i64) {
        let mask = extreme_mask(self.layouts[usize::from(id)].func);
        self.update(id, key, cpu, |words| {
            words[1] = words[1].max((n ^ mask).cast_unsigned());
        });
    }

    fn run(&mut self, action: OutputKind) -> String {
        self.consumer.add_ecbs([ecb(1, &[], vec![action])]);
        let mut out = Vec::new();
        self.consumer.record(&lay_out(1, 0, &[]).2, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn printa(&mut self, ids: &[u32]) -> String {
        self.run(OutputKind::Printa(
            None,
            ids.iter().map(|id| AggId(*id)).collect(),
        ))
    }

    fn printa_as(&mut self, text: &str, ids: &[u32]) -> String {
        let ids = ids.iter().map(|id| AggId(*id)).collect();
        self.run(OutputKind::Printa(Some(format(text).into()), ids))
    }

    fn trunc(&mut self, keep: Option<i64>) {
        let keep = keep.map(super::super::testing::constant);
        self.run(OutputKind::Trunc(AggId(0), keep));
    }

    fn finish(&mut self) -> String {
        let mut out = Vec::new();
        self.consumer.finish(&mut out);
        String::from_utf8(out).unwrap()
    }
}

fn text(s: &str) -> Vec<u8> {
    let mut key = s.as_bytes().to_vec();
    key.resize(16, 0);
    key
}

fn text_and_int(s: &str, n: i64) -> Vec<u8> {
    [n.to_le_bytes().to_vec(), text(s)].concat()
}

const TEXT: &[Type] = &[Type::String];
const TEXT_INT: &[Type] = &[Type::String, Type::INT];

/// The four keys that show every sort order.
fn sorted(sort: SortOptions) -> Vec<String> {
    let options = OutputOptions { sort, ..quiet() };
    let mut fixture = Fixture::new(options, &[(AggFunc::Sum, TEXT_INT)]);
    for (s, n, value) in [("b", 2, 3), ("a", 9, 3), ("c", -1, 3), ("a", 1, 1)] {
        fixture.sum(0, &text_and_int(s, n), value);
    }
    fixture
        .printa_as("%s %d\n", &[0])
        .lines()
        .map(String::from)
        .collect()
}

#[test]
fn sorts_by_value_and_then_key_or_as_options_say() {
    let by = SortOptions::default();
    assert_eq!(sorted(by), ["a 1", "a 9", "b 2", "c -1"]);
    assert_eq!(
        sorted(SortOptions { key: true, ..by }),
        ["a 1", "a 9", "b 2", "c -1"]
    );
    assert_eq!(
        sorted(SortOptions {
            key_position: 1,
            ..by
        }),
        ["a 1", "b 2", "a 9", "c -1"]
    );
    assert_eq!(
        sorted(SortOptions {
            reverse: true,
            ..by
        }),
        ["c -1", "b 2", "a 9", "a 1"]
    );
}

#[test]
fn the_rest_prints_at_the_end_in_columns() {
    let mut fixture = Fixture::new(
        quiet(),
        &[
            (AggFunc::Count, TEXT),
            (AggFunc::Sum, TEXT_INT),
            (AggFunc::Avg, &[]),
        ],
    );
    fixture.update(0, &text("bb"), 0, |_| ());
    fixture.update(0, &text("bb"), 1, |_| ());
    fixture.update(0, &text("x"), 1, |_| ());
    fixture.sum(1, &text_and_int("k", -7), -9);
    fixture.sum(2, &[0; 4], -1);
    fixture.sum(2, &[0; 4], -4);
    let pad = " ".repeat(48);
    assert_eq!(
        fixture.finish(),
        [
            "\n",
            &format!("  x {pad}                1\n"),
            &format!("  bb{pad}                2\n"),
            &format!("  k {pad}       -7               -9\n"),
            "               -2\n",
        ]
        .concat()
    );
}

#[test]
fn what_was_printed_does_not_print_again() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Count, &[])]);
    assert_eq!(fixture.printa(&[0]), "\n");
    fixture.update(0, &[0; 4], 0, |_| ());
    assert_eq!(fixture.printa(&[0]), "\n                1\n");
    assert_eq!(fixture.finish(), "\n");
}

#[test]
fn integer_keys_have_the_columns_of_their_type() {
    let key: Vec<Type> = [Int::I8, Int::I16, Int::I32, Int::I64, Int::U8]
        .into_iter()
        .map(Type::Int)
        .collect();
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Count, &key)]);
    let bytes: Vec<u8> = [3_i64, 4, 7, -5, 200]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    fixture.update(0, &bytes, 0, |_| ());
    assert_eq!(
        fixture.printa(&[0]),
        "\n   3     4        7               -5 200                1\n"
    );
}

#[test]
fn several_aggregations_share_their_keys() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Sum, TEXT), (AggFunc::Sum, TEXT)]);
    for (id, key, value) in [
        (0, "x", 1),
        (0, "y", 2),
        (1, "z", 9),
        (1, "y", 2),
        (1, "w", 3),
    ] {
        fixture.sum(id, &text(key), value);
    }
    assert_eq!(
        fixture.printa_as("%s %@d %@d\n", &[0, 1]),
        "w 0 3\nz 0 9\nx 1 0\ny 2 2\n"
    );
    assert_eq!(
        fixture.printa_as("%@d %s %@x\n", &[0, 1]),
        "0 w 3\n0 z 9\n1 x 0\n2 y 2\n"
    );
    let row = format!("  w{}                0                3\n", " ".repeat(49));
    assert!(fixture.printa(&[0, 1]).starts_with(&format!("\n{row}")));
}

#[test]
fn minimum_and_maximum_merge_only_cpus_with_data() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Min, TEXT), (AggFunc::Max, TEXT)]);
    fixture.extreme(0, &text("k"), 1, 4);
    fixture.extreme(1, &text("k"), 1, -4);
    assert_eq!(fixture.printa_as("%@d %@d", &[0, 1]), "4 -4");
}

#[test]
fn stddev_divides_as_libdtrace() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Stddev, TEXT)]);
    for n in [1_i64, 101] {
        fixture.update(0, &text("k"), 0, |words| {
            words[1] = words[1].wrapping_add(n.cast_unsigned());
            words[2] += (n * n).cast_unsigned();
        });
    }
    assert_eq!(fixture.printa_as("%@d", &[0]), "50");
    fixture.run(OutputKind::Normalize(
        AggId(0),
        super::super::testing::constant(5),
    ));
    assert_eq!(fixture.printa_as("%@d", &[0]), "30");
    fixture.run(OutputKind::Denormalize(AggId(0)));
    assert_eq!(fixture.printa_as("%@d", &[0]), "50");
}

const TABLE: &str = "           value  ------------- Distribution ------------- count    \n";

fn histogram(func: AggFunc, counts: &[(usize, i64)]) -> String {
    let mut fixture = Fixture::new(quiet(), &[(func, &[])]);
    fixture.update(0, &[0; 4], 0, |words| {
        for (bucket, count) in counts {
            words[1 + bucket] = count.cast_unsigned();
        }
    });
    let printed = fixture.printa_as("%@d", &[0]);
    printed
        .strip_prefix(&format!("\n{TABLE}"))
        .unwrap()
        .to_string()
}

fn rows(rows: &[(&str, &str, i64)]) -> String {
    let lines = rows
        .iter()
        .map(|(label, bar, count)| format!("{label:>16} {bar} {count:<9}\n"));
    lines.collect::<Vec<_>>().concat()
}

fn bar(n: usize) -> String {
    format!("|{:<40}", "@".repeat(n))
}

#[test]
fn quantize_shows_powers_of_two() {
    assert_eq!(
        histogram(AggFunc::Quantize, &[(63, 1)]),
        rows(&[("-1", &bar(0), 0), ("0", &bar(40), 1), ("1", &bar(0), 0)])
    );
    assert_eq!(
        histogram(
            AggFunc::Quantize,
            &[(61, 1), (62, 1), (64, 1), (66, 2), (64 + 9, 1)]
        ),
        rows(&[
            ("-4", &bar(0), 0),
            ("-2", &bar(7), 1),
            ("-1", &bar(7), 1),
            ("0", &bar(0), 0),
            ("1", &bar(7), 1),
            ("2", &bar(0), 0),
            ("4", &bar(13), 2),
            ("8", &bar(0), 0),
            ("16", &bar(0), 0),
            ("32", &bar(0), 0),
            ("64", &bar(0), 0),
            ("128", &bar(0), 0),
            ("256", &bar(0), 0),
            ("512", &bar(7), 1),
            ("1024", &bar(0), 0),
        ])
    );
    let ends = histogram(AggFunc::Quantize, &[(0, 1), (126, 1)]);
    assert!(ends.starts_with("-4611686018427387904 |@@@@@@@@@@@@@@@@@@@@ "));
    assert!(
        ends.lines()
            .last()
            .unwrap()
            .starts_with("4611686018427387904 |@@@@@@@@@@@@@@@@@@@@ ")
    );
    assert_eq!(ends.lines().count(), 127);
}

#[test]
fn negative_counts_draw_to_the_left() {
    let left = |n: usize| format!("{:>40}|", "@".repeat(n));
    assert_eq!(
        histogram(AggFunc::Quantize, &[(64 + 11, -7)]),
        rows(&[
            ("1024", &left(0), 0),
            ("2048", &left(40), -7),
            ("4096", &left(0), 0)
        ])
    );
    let both = |n: usize| format!("{:20}|{:<20}", "", "@".repeat(n));
    assert_eq!(
        histogram(AggFunc::Quantize, &[(64, 500), (65, 1000), (66, -7)]),
        rows(&[
            ("0", &both(0), 0),
            ("1", &both(7), 500),
            ("2", &both(13), 1000),
            ("4", &both(0), -7),
            ("8", &both(0), 0),
        ])
    );
}

#[test]
fn lquantize_shows_its_ends() {
    let func = AggFunc::Lquantize {
        low: 0,
        high: 10,
        step: 2,
    };
    assert_eq!(
        histogram(func, &[(0, 1), (2, 1), (6, 1)]),
        rows(&[
            ("< 0", &bar(13), 1),
            ("0", &bar(0), 0),
            ("2", &bar(13), 1),
            ("4", &bar(0), 0),
            ("6", &bar(0), 0),
            ("8", &bar(0), 0),
            (">= 10", &bar(13), 1),
        ])
    );
    assert_eq!(
        histogram(
            AggFunc::Lquantize {
                low: 0,
                high: 10,
                step: 3
            },
            &[(4, 1)]
        ),
        rows(&[("6", &bar(0), 0), (">= 9", &bar(40), 1)])
    );
    assert_eq!(
        histogram(func, &[]),
        rows(&[("< 0", &bar(0), 0), ("0", &bar(0), 0), ("2", &bar(0), 0)])
    );
}

#[test]
fn llquantize_has_two_sides() {
    let func = AggFunc::Llquantize {
        factor: 10,
        low: 1,
        high: 2,
        steps: 5,
    };
    assert_eq!(value_words(func), 1 + 1 + 10 + 1 + 10 + 1);
    let labels = |counts| {
        let text = histogram(func, counts);
        text.lines()
            .map(|line| line[..16].trim_start().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        labels(&[(0, 1), (11, 1), (22, 1)]),
        [
            "<= -1000",
            "-800",
            "-600",
            "-400",
            "-200",
            "-100",
            "-80",
            "-60",
            "-40",
            "-20",
            "-10",
            "abs() < 10",
            "10",
            "20",
            "40",
            "60",
            "80",
            "100",
            "200",
            "400",
            "600",
            "800",
            ">= 1000"
        ]
    );
    assert_eq!(labels(&[]), ["abs() < 10", "10", "20"]);
    let func = AggFunc::Llquantize {
        factor: 10,
        low: 0,
        high: 3,
        steps: 10,
    };
    assert_eq!(
        histogram(func, &[(1 + 36 + 5, 1)]),
        rows(&[("4", &bar(0), 0), ("5", &bar(40), 1), ("6", &bar(0), 0)])
    );
}

#[test]
fn histograms_sort_by_what_they_hold() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Quantize, TEXT)]);
    fixture.update(0, &text("x"), 0, |words| words[1 + 64 + 9] = 1);
    fixture.update(0, &text("y"), 1, |words| words[1 + 64] = 3);
    let printed = fixture.printa(&[0]);
    assert!(
        printed.find("  y").unwrap() < printed.find("  x").unwrap(),
        "{printed}"
    );
}

#[test]
fn per_cpu_values_stand_below_the_sum() {
    let options = OutputOptions {
        agg_per_cpu: true,
        ..quiet()
    };
    let mut fixture = Fixture::new(options, &[(AggFunc::Max, &[])]);
    fixture.extreme(0, &[0; 4], 1, 2);
    assert_eq!(
        fixture.finish(),
        "\n                2\n    [CPU 0] -9223372036854775808\n    [CPU 1]                2\n"
    );
}

fn drawn(drawing: Drawing, aggregation: (AggFunc, &[Type])) -> Fixture {
    let options = OutputOptions { drawing, ..quiet() };
    Fixture::new(options, &[aggregation])
}

/// What the lines of these sums show behind the key, as illumos prints them.
fn bars(sums: &[i64], zoomed: bool) -> Vec<String> {
    let drawing = Drawing {
        bars: true,
        zoomed,
        ..Drawing::default()
    };
    let mut fixture = drawn(drawing, (AggFunc::Sum, TEXT));
    for (name, sum) in ["x", "y", "z"].iter().zip(sums) {
        fixture.sum(0, &text(name), *sum);
    }
    let printed = fixture.printa(&[0]);
    let heading = "\n\n              key  ------------- Distribution ------------- count    \n";
    let lines = printed.strip_prefix(heading).unwrap().lines();
    lines.map(|line| line[17..].to_owned()).collect()
}

#[test]
fn agghist_shows_sums_as_bars() {
    let line = |before: usize, bar: &str, sum| {
        let bar = format!("{:before$}{bar}", "");
        format!(" {bar:<41} {sum:<9}")
    };
    let (left, right) = (
        |n| format!("{}|", "@".repeat(n)),
        |n| format!("|{}", "@".repeat(n)),
    );
    let mixed = [
        line(15, &left(5), -10),
        line(20, &right(5), 10),
        line(20, &right(10), 20),
    ];
    assert_eq!(bars(&[-10, 10, 20], false), mixed);
    let mixed = [
        line(10, &left(10), -10),
        line(20, &right(10), 10),
        line(20, &right(19), 20),
    ];
    assert_eq!(bars(&[-10, 10, 20], true), mixed);
    let positive = [
        line(0, &right(3), 1),
        line(0, &right(17), 5),
        line(0, &right(20), 6),
    ];
    assert_eq!(bars(&[1, 5, 6], false), positive);
    let positive = [
        line(0, &right(7), 1),
        line(0, &right(33), 5),
        line(0, &right(40), 6),
    ];
    assert_eq!(bars(&[1, 5, 6], true), positive);
    let negative = [
        line(2, &left(38), -100),
        line(32, &left(8), -20),
        line(38, &left(2), -5),
    ];
    assert_eq!(bars(&[-100, -20, -5], true), negative);
}

#[test]
fn aggpack_shows_a_histogram_in_a_line() {
    let drawing = Drawing {
        packed: true,
        ..Drawing::default()
    };
    let ascii = Drawing {
        letters: Letters::Ascii,
        ..drawing
    };
    let key = &[Type::Int(Int::I8)];
    let mut fixture = drawn(ascii, (AggFunc::Quantize, key));
    for (key, zeros) in [(1_u8, 0), (2, 21), (3, 22), (4, 78), (5, 79)] {
        let key = [key, 0, 0, 0, 0, 0, 0, 0];
        fixture.update(0, &key, 0, |words| words[1 + 63] = zeros);
        fixture.update(0, &key, 1, |words| words[1 + 64] = 100 - zeros);
    }
    let rows = [
        "\n\n              key  min .---. max  | count",
        "                5    0 :X_ : 2    | 100",
        "                4    0 :xx : 2    | 100",
        "                3    0 :xx : 2    | 100",
        "                2    0 :_X : 2    | 100",
        "                1    0 : X : 2    | 100\n",
    ];
    assert_eq!(fixture.printa(&[0]), rows.join("\n"));

    let (low, high, step) = (-10, 20, 1);
    let func = AggFunc::Lquantize { low, high, step };
    let zoomed = Drawing {
        zoomed: true,
        ..ascii
    };
    for (drawing, letters) in [
        (ascii, "v    x    x"),
        (zoomed, "V    X    X"),
        (drawing, "v    ▃    ▃"),
    ] {
        let mut fixture = drawn(drawing, (func, &[]));
        fixture.update(0, &[0; 4], 0, |words| {
            (words[2], words[7], words[12]) = (u64::MAX, 1, 1);
        });
        let dashes = "-".repeat(32);
        let heading = format!("\n\n     min .{dashes}. max      | count\n");
        let line = format!("   < -10 : {letters:31}: >= 20    | 1\n");
        assert_eq!(fixture.printa(&[0]), heading + &line);
    }
}

#[test]
fn clear_keeps_keys_and_trunc_keeps_the_largest() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Sum, TEXT)]);
    for (key, value) in [("x", 3), ("y", 4), ("z", 5)] {
        fixture.sum(0, &text(key), value);
    }
    fixture.trunc(Some(2));
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "y4 z5 ");
    fixture.run(OutputKind::Clear(AggId(0)));
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "y0 z0 ");
    fixture.sum(0, &text("x"), 7);
    fixture.sum(0, &text("z"), 1);
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "y0 z1 x7 ");
    fixture.trunc(Some(-1));
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "y0 ");
    fixture.trunc(None);
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "");
}

#[test]
fn cleared_extremes_start_again() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Min, TEXT)]);
    fixture.extreme(0, &text("u"), 0, 3);
    fixture.run(OutputKind::Clear(AggId(0)));
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "u9223372036854775807 ");
    fixture.extreme(0, &text("u"), 0, 5);
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "u5 ");
    fixture.extreme(0, &text("v"), 1, 9);
    fixture.trunc(Some(1));
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "v9 ");
    fixture.extreme(0, &text("v"), 0, 10);
    fixture.extreme(0, &text("u"), 0, 11);
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "v9 u11 ");
    fixture.trunc(None);
    assert_eq!(fixture.printa_as("%s%@d ", &[0]), "");
}

#[test]
fn extremes_start_again_more_often_than_they_have_slots() {
    for key in [&[][..], TEXT] {
        let mut fixture = Fixture::new(quiet(), &[(AggFunc::Max, key)]);
        let k = if key.is_empty() {
            Vec::new()
        } else {
            text("k")
        };
        for n in (1..=3 * i64::from(EPOCH_SLOTS)).rev() {
            fixture.extreme(0, &k, 0, n);
            assert_eq!(fixture.printa_as("%@d", &[0]), n.to_string());
            fixture.run(OutputKind::Clear(AggId(0)));
        }
    }
}

#[test]
fn truncated_extremes_leave_the_map_when_idle() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Max, TEXT)]);
    fixture.extreme(0, &text("cold"), 0, 1);
    for n in 1..=2 * i64::from(EPOCH_SLOTS) {
        fixture.extreme(0, &text("hot"), 0, n);
        fixture.trunc(None);
    }
    let maps = fixture.maps.0.lock().unwrap();
    assert!(!maps.keys().any(|key| key.ends_with(&text("cold"))));
}

#[test]
fn truncated_keys_leave_the_map_when_idle_and_nothing_is_lost() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Sum, TEXT)]);
    let mut seen = 0;
    for round in 0..40 {
        fixture.sum(0, &text("hot"), 1);
        if round % 8 == 0 {
            fixture.sum(0, &text("cold"), 1);
        }
        let printed = fixture.printa_as("%@d ", &[0]);
        seen += printed
            .split_whitespace()
            .map(|n| n.parse::<i64>().unwrap())
            .sum::<i64>();
        fixture.trunc(None);
    }
    assert_eq!(seen, 40 + 5);
    for _ in 0..8 {
        assert_eq!(fixture.printa(&[0]), "\n");
    }
    assert!(fixture.maps.0.lock().unwrap().is_empty());
}

/// Maps whose keys are hit right after every reading, and right before they are deleted.
struct Busy {
    maps: FakeMaps,
    /// What a hit does to the words of a CPU.
    hit: fn(&mut [u64]),
    hits: Arc<AtomicU64>,
    one: usize,
}

impl Busy {
    fn hit(&self) {
        for (key, words) in self.maps.0.lock().unwrap().iter_mut() {
            if !key.is_empty() {
                (self.hit)(&mut words[..self.one]);
                self.hits.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl AggregationMaps for Busy {
    fn entries(
        &mut self,
        map: MapId,
        only: Option<Range<u32>>,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        self.maps.entries(map, only, each)?;
        self.hit();
        Ok(())
    }

    fn remove(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.hit();
        self.maps.remove(map, key)
    }

    fn reset(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.maps.reset(map, key)
    }

    fn set_epoch(&mut self, place: EpochPlace, epoch: u64) -> io::Result<()> {
        self.maps.set_epoch(place, epoch)
    }
}

/// Runs `actions` ten times on an aggregation that is hit all the time, each in a record of its own
/// if `apart`, and then prints the rest; gives the output and how often the aggregation was hit.
fn busy(func: AggFunc, hit: fn(&mut [u64]), actions: &[OutputKind], apart: bool) -> (String, u64) {
    let maps = FakeMaps::default();
    let hits = Arc::default();
    let busy = Busy {
        maps: maps.clone(),
        hit,
        hits: Arc::clone(&hits),
        one: value_words(func) as usize,
    };
    let mut consumer = Consumer::new(quiet(), Box::new(busy));
    consumer.add_aggregations([AggregationLayout {
        id: AggId(0),
        name: "a".into(),
        func,
        key: TEXT.to_vec(),
        maps: vec![MapId(0)],
        stride: value_words(func),
        selector: None,
    }]);
    let groups: Vec<Vec<OutputKind>> = if apart {
        actions.iter().map(|action| vec![action.clone()]).collect()
    } else {
        vec![actions.to_vec()]
    };
    let time = Datum::I(7, Int::U64);
    for (epid, group) in (1..).zip(&groups) {
        let mut ecb = ecb(epid, &[time], group.clone());
        ecb.layout.time = Some(0);
        consumer.add_ecbs([ecb]);
    }
    let empty = vec![0; value_words(func) as usize * CPUS];
    maps.0
        .lock()
        .unwrap()
        .insert([&[0], &text("k")[..]].concat(), empty);
    let mut out = Vec::new();
    for firing in 0..10 {
        for (epid, _) in (1..).zip(&groups) {
            let time = Datum::I(firing, Int::U64);
            consumer.record(&lay_out(epid, 0, &[time]).2, &mut out);
        }
    }
    // What is printed at last is what came after the last reading.
    let last = hits.load(Ordering::Relaxed);
    let print = OutputKind::Printa(Some(format("%@d ").into()), vec![AggId(0)]);
    consumer.add_ecbs([ecb(9, &[], vec![print])]);
    consumer.record(&lay_out(9, 0, &[]).2, &mut out);
    (String::from_utf8(out).unwrap(), last)
}

/// The sum of the numbers of an output.
fn total(text: &str) -> u64 {
    text.split_whitespace()
        .map(|n| n.parse::<u64>().unwrap())
        .sum()
}

#[test]
fn what_is_printed_and_cleared_adds_up_to_all_hits() {
    let print = || OutputKind::Printa(Some(format("%@d ").into()), vec![AggId(0)]);
    let count: fn(&mut [u64]) = |words| words[0] += 1;
    let sum: fn(&mut [u64]) = |words| {
        words[0] += 1;
        words[1] += 1;
    };
    for end in [
        OutputKind::Clear(AggId(0)),
        OutputKind::Trunc(AggId(0), None),
    ] {
        for (func, hit) in [(AggFunc::Count, count), (AggFunc::Sum, sum)] {
            for apart in [false, true] {
                let (text, hits) = busy(func, hit, &[print(), end.clone()], apart);
                assert_eq!(total(&text), hits, "{func:?} {end:?} {apart}: {text}");
                let twice = [print(), end.clone(), print(), end.clone()];
                let (text, hits) = busy(func, hit, &twice, apart);
                assert_eq!(total(&text), hits, "{func:?} {end:?} twice {apart}: {text}");
            }
        }
    }
}

#[test]
fn two_printas_of_one_firing_show_the_same() {
    let print = || OutputKind::Printa(Some(format("%@d ").into()), vec![AggId(0)]);
    let actions = [print(), print(), OutputKind::Clear(AggId(0))];
    for apart in [false, true] {
        let (text, hits) = busy(AggFunc::Count, |words| words[0] += 1, &actions, apart);
        let numbers: Vec<&str> = text.split_whitespace().collect();
        let (pairs, _) = numbers.as_chunks::<2>();
        assert!(pairs.iter().all(|[a, b]| a == b), "{text}");
        assert_eq!(
            total(&text) - pairs.iter().map(|[a, _]| total(a)).sum::<u64>(),
            hits
        );
    }
}

#[test]
fn the_words_of_a_value_add_up_each_for_itself() {
    // A hit that has counted its hit when the map is read, and not yet its value.
    let late: fn(&mut [u64]) = |words| {
        if words[0] > words[1] {
            words[1] += 1;
        } else {
            words[0] += 1;
        }
    };
    let print = OutputKind::Printa(Some(format("%@d ").into()), vec![AggId(0)]);
    for end in [
        OutputKind::Clear(AggId(0)),
        OutputKind::Trunc(AggId(0), None),
    ] {
        let (text, hits) = busy(AggFunc::Sum, late, &[print.clone(), end], false);
        assert_eq!(total(&text), hits / 2, "{text}");
    }
}

#[test]
fn every_late_extreme_is_part_of_an_output() {
    let mut fixture = Fixture::new(quiet(), &[(AggFunc::Min, TEXT)]);
    let set = |fixture: &mut Fixture, epoch: u64| {
        fixture
            .maps
            .0
            .lock()
            .unwrap()
            .insert(Vec::new(), vec![epoch]);
    };
    let printa = |fixture: &mut Fixture| fixture.printa_as("%s%@d ", &[0]);
    set(&mut fixture, 0);
    fixture.extreme(0, &text("a"), 0, 40);
    assert_eq!(printa(&mut fixture), "a40 ");
    fixture.run(OutputKind::Clear(AggId(0)));
    // A probe that has read the epoch before it ended.
    set(&mut fixture, 0);
    fixture.extreme(0, &text("a"), 0, 90);
    assert_eq!(printa(&mut fixture), "a9223372036854775807 ");
    fixture.extreme(0, &text("a"), 0, 30);
    fixture.extreme(0, &text("b"), 1, 50);
    set(&mut fixture, 1);
    fixture.extreme(0, &text("a"), 0, 70);
    assert_eq!(printa(&mut fixture), "a30 b50 ");
    assert_eq!(printa(&mut fixture), "a30 b50 ");
    fixture.trunc(None);
    fixture.extreme(0, &text("a"), 0, 80);
    assert_eq!(printa(&mut fixture), "a80 ");
}
