//! Aggregations that are printed and cleared while they are being counted, and very many of them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::harness::{Outcome, PYTHON, can_trace_python, rdtrace, run};

/// Calls `f`, with an argument that is different each time, and so it makes new keys.
fn calls(dir: &Path, count: u32) -> String {
    let path = dir.join("calls.py");
    let text = format!("def f(n):\n    pass\nfor n in range({count}):\n    f(n)\n");
    fs::write(&path, text).unwrap();
    format!("{PYTHON} {}", path.display())
}

/// What `program` prints while Python calls a function `count` times.
fn traced(program: &str, count: u32) -> Option<Outcome> {
    if !can_trace_python() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let command = calls(dir.path(), count);
    Some(run(rdtrace(["-qn", program, "-c", &command])))
}

/// The sum of the last numbers of all lines.
fn total(output: &str) -> u64 {
    let numbers = output
        .lines()
        .filter_map(|line| line.split(' ').next_back());
    numbers
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

const CALL: &str = "python$target:::function-entry /copyinstr(arg1) == \"f\"/";

#[test]
fn what_is_printed_and_cleared_adds_up_to_all_calls() {
    let ways = [
        "tick-10ms { printa(\"%s %@d\\n\", @); clear(@); }",
        "tick-10ms { printa(\"%s %@d\\n\", @); trunc(@); }",
        "tick-10ms { printa(\"%s %@d\\n\", @); } tick-10ms { clear(@); }",
    ];
    for way in ways {
        let program =
            format!("{CALL} {{ @[\"f\"] = count(); }} {way} END {{ printa(\"%s %@d\\n\", @); }}");
        let Some(outcome) = traced(&program, 200_000) else {
            return;
        };
        let output = outcome.clean();
        assert!(output.lines().count() > 5, "{way}: {output}");
        assert_eq!(total(&output), 200_000, "{way}: {output}");
    }
}

#[test]
fn every_new_key_is_printed_once_or_told_as_a_drop() {
    let program = format!(
        "self int n; {CALL} {{ @[self->n++] = count(); }} \
         tick-10ms {{ printa(\"%d %@d\\n\", @); trunc(@); }} \
         END {{ printa(\"%d %@d\\n\", @); }}"
    );
    let Some(outcome) = traced(&program, 50_000) else {
        return;
    };
    let keys: Vec<u32> = outcome
        .stdout
        .lines()
        .filter_map(|line| line.split_once(' ')?.0.parse().ok())
        .collect();
    let distinct: HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "a key came twice");
    // The kernel may have no memory at hand for a new key; it says so.
    let drops = outcome.stderr.lines().map(|line| {
        let (count, what) = line
            .strip_prefix("rdtrace: ")
            .unwrap()
            .split_once(' ')
            .unwrap();
        assert!(what.starts_with("aggregation drop"), "{line}");
        count.parse::<usize>().unwrap()
    });
    assert_eq!(
        keys.len() + drops.sum::<usize>(),
        50_000,
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_extremes_of_all_outputs_are_those_of_all_calls() {
    let program = format!(
        "self int n; {CALL} {{ @low[\"f\"] = min(self->n); @high = max(self->n); self->n++; }} \
         tick-10ms {{ printa(\"%s %@d\\n\", @low); clear(@low); printa(\"%@d\\n\", @high); trunc(@high); }} \
         END {{ printa(\"%s %@d\\n\", @low); printa(\"%@d\\n\", @high); }}"
    );
    let Some(outcome) = traced(&program, 50_000) else {
        return;
    };
    let output = outcome.clean();
    let numbers = |lines: &mut dyn Iterator<Item = &str>| {
        let numbers = lines.filter_map(|line| line.split(' ').next_back()?.parse::<i64>().ok());
        numbers.filter(|n| *n != i64::MAX).collect::<Vec<_>>()
    };
    let lows = numbers(&mut output.lines().filter(|line| line.starts_with('f')));
    let highs = numbers(&mut output.lines().filter(|line| !line.starts_with('f')));
    assert!(lows.is_sorted() && highs.is_sorted(), "{output}");
    assert_eq!(
        (lows.first(), highs.last()),
        (Some(&0), Some(&49_999)),
        "{output}"
    );
}
