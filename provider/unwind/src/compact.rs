//! Rows in the form that the generated code reads, which takes a sixth to a half of their size.
//!
//! Functions begin and end with some `push` and `pop`, one behind the other, and each changes the rule; and most functions
//! begin and end alike. So rows that are near each other are a *run*, and what a run consists of, its *pattern*, is kept
//! once. Addresses are kept in 16 bits, within *pages* of 64 KiB.
//!
//! ```text
//!     a page     0  u32    its first run
//!                4  u32    where its patterns start
//!     a run      0  u16    its first address, within the page
//!                2  u16    where its pattern starts, behind where those of the page do
//!     a pattern, for each row
//!                0  u32    how far it is behind the run's first address; for the first row, where that would be 0,
//!                          how many rows there are
//!                4  u32    the rule, up to the next row or the next run
//! ```
//!
//! A table is its pages, its runs and its patterns, one behind the other. Where patterns start is counted in words of 8
//! bytes, which run it is in runs, both from the start of the table. Behind the last page is one more, that tells where
//! the runs of the last one end. Each page has a run at its first address. Pages have patterns in common for as long as
//! 16 bits can tell them apart.

use std::collections::HashMap;
use std::iter;

use crate::eh_frame::Row;
use crate::memory::{MOST_IN_RUN_LOG2, PAGE_LOG2, RUNS_IN_WORD};

/// How far a row of a run is at most behind the one before: as far as behind `sub $8, %rsp`.
const NEAR: u32 = 4;
/// How many words of patterns the runs of a page can tell apart.
const PATTERNS: u32 = 1 << 16;

/// The rules of a file's functions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The address where the first page starts.
    pub start: u32,
    /// How many pages there are.
    pub pages: u32,
    /// Pages, runs and patterns.
    pub words: Vec<u64>,
}

impl Table {
    /// The table of these rows, sorted by address.
    #[must_use]
    pub fn of(rows: &[Row]) -> Self {
        let first = rows.iter().position(|row| row.rule != 0);
        let rows = rows.get(first.unwrap_or(rows.len())..).unwrap_or_default();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Self::default();
        };
        let pages = first.address >> PAGE_LOG2..=last.address >> PAGE_LOG2;
        let start = pages.start() << PAGE_LOG2;
        let mut made = Made::default();
        let (mut rest, mut rule) = (rows, 0);
        for page in pages {
            let behind = rest.partition_point(|row| row.address >> PAGE_LOG2 <= page);
            let (here, others) = rest.split_at(behind);
            made.add_page(page << PAGE_LOG2, rule, here);
            rule = here.last().map_or(rule, |row| row.rule);
            rest = others;
        }
        made.table(start)
    }

    /// The rule for an address as the generated code finds it; 0 if there is none.
    #[must_use]
    pub fn rule(&self, address: u32) -> u32 {
        self.find(address).unwrap_or(0)
    }

    fn find(&self, address: u32) -> Option<u32> {
        let halves = |n: u32| self.words.get(n as usize).copied().map(halves);
        let at = address.checked_sub(self.start)?;
        let page = Some(at >> PAGE_LOG2).filter(|page| *page < self.pages)?;
        let at = at % (1 << PAGE_LOG2);
        let ((first, patterns), (end, _)) = (halves(page)?, halves(page + 1)?);
        let run = |n: u32| {
            let (even, odd) = halves(n / RUNS_IN_WORD)?;
            let run = if n.is_multiple_of(RUNS_IN_WORD) {
                even
            } else {
                odd
            };
            Some((run & 0xffff, run >> 16))
        };
        let starts = (first..end)
            .map_while(run)
            .take_while(|(start, _)| *start <= at);
        let (start, pattern) = starts.last()?;
        let pattern = patterns + pattern;
        let (rows, rule) = halves(pattern)?;
        let behind = (1..rows).map_while(|n| halves(pattern + n));
        let held = behind.take_while(|(from, _)| start + from <= at);
        Some(held.last().map_or(rule, |(_, rule)| rule))
    }
}

/// The lower and the upper half of a word.
fn halves(word: u64) -> (u32, u32) {
    ((word & 0xffff_ffff) as u32, (word >> 32) as u32)
}

/// A word of these halves.
fn word(lower: u32, upper: u32) -> u64 {
    u64::from(upper) << 32 | u64::from(lower)
}

/// What has been made of a table.
#[derive(Default)]
struct Made {
    /// Of each page, its first run, and where its patterns start, counted from the first pattern.
    pages: Vec<(u32, u32)>,
    runs: Vec<u32>,
    patterns: Vec<u64>,
    /// The patterns that the page may have: where they are, counted from where the page's start.
    known: HashMap<Vec<u64>, u32>,
    /// Where those start.
    from: u32,
}

impl Made {
    /// Adds a page with these rows; before the first of them, a rule holds.
    fn add_page(&mut self, start: u32, rule: u32, rows: &[Row]) {
        let mut all = Vec::with_capacity(rows.len() + 1);
        if rows.first().is_none_or(|row| row.address > start) {
            let address = start;
            all.push(Row { address, rule });
        }
        all.extend_from_slice(rows);
        let near = all.chunk_by(|row, next| next.address - row.address <= NEAR);
        let runs = near.flat_map(|rows| rows.chunks(1 << MOST_IN_RUN_LOG2));
        let runs: Vec<_> = runs
            .map(|run| (run[0].address - start, pattern(run)))
            .collect();
        let new = runs.iter().map(|(_, pattern)| pattern);
        let new = new.filter(|pattern| !self.known.contains_key(*pattern));
        let most = len(&self.patterns) - self.from + new.map(|pattern| len(pattern)).sum::<u32>();
        if most > PATTERNS {
            self.from = len(&self.patterns);
            self.known.clear();
        }
        self.pages.push((len(&self.runs), self.from));
        for (at, pattern) in runs {
            let number = self.number(pattern);
            self.runs.push(number << 16 | at);
        }
    }

    /// Where a pattern is, counted from where the page's start.
    fn number(&mut self, pattern: Vec<u64>) -> u32 {
        if let Some(number) = self.known.get(&pattern) {
            return *number;
        }
        let number = len(&self.patterns) - self.from;
        self.patterns.extend_from_slice(&pattern);
        self.known.insert(pattern, number);
        number
    }

    /// All of it as a table, whose first page starts at an address.
    fn table(mut self, start: u32) -> Table {
        let pages = len(&self.pages);
        self.pages.push((len(&self.runs), self.from));
        let runs = self.runs.chunks(2);
        let runs = runs.map(|runs| word(runs[0], runs.get(1).copied().unwrap_or(0)));
        let runs_at = len(&self.pages);
        let patterns_at = runs_at + len(&self.runs).div_ceil(RUNS_IN_WORD);
        let ends = self.pages.iter();
        let ends = ends.map(|(run, from)| word(RUNS_IN_WORD * runs_at + run, patterns_at + from));
        let words = ends.chain(runs).chain(self.patterns).collect();
        Table {
            start,
            pages,
            words,
        }
    }
}

/// The pattern of a run.
fn pattern(run: &[Row]) -> Vec<u64> {
    let first = word(len(run), run[0].rule);
    let behind = run[1..].iter();
    let behind = behind.map(|row| word(row.address - run[0].address, row.rule));
    iter::once(first).chain(behind).collect()
}

/// How many there are: never more than addresses, which have 32 bits.
fn len<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows so far apart, whose rules are numbers that come again.
    fn rows(first: u32, distances: &[u32], different: u32, count: usize) -> Vec<Row> {
        let steps = distances.iter().cycle().scan(first, |at, step| {
            let address = *at;
            *at += step;
            Some(address)
        });
        let rules = (1..).map(|n: u32| n.wrapping_mul(0x9e37_79b9) % different + 1);
        let rows = steps.zip(rules).take(count);
        rows.map(|(address, rule)| Row { address, rule }).collect()
    }

    fn rule_by_rows(rows: &[Row], address: u32) -> u32 {
        let behind = rows.partition_point(|row| row.address <= address);
        behind.checked_sub(1).map_or(0, |n| rows[n].rule)
    }

    #[test]
    fn each_address_has_the_rule_that_its_row_says() {
        let end = |mut rows: Vec<Row>| {
            let address = rows.last().unwrap().address + 100;
            rows.push(Row { address, rule: 0 });
            rows
        };
        for rows in [
            end(rows(0, &[1], 3, 70_000)),
            end(rows(0xffff, &[1, 2, 2, 2, 1, 4, 40, 7], 5, 30_000)),
            end(rows(0x40_1234, &[1, 1, 2, 300, 17], 50_000, 3_000)),
            end(rows(0x1_0000, &[70_000, 1, 200_000], 7, 20)),
        ] {
            let table = Table::of(&rows);
            let last = rows.last().unwrap().address;
            let near = rows.iter().flat_map(|row| [row.address, row.address + 1]);
            let before = rows.iter().map(|row| row.address.saturating_sub(1));
            let sample = near.chain(before).step_by(7);
            for address in sample.chain([0, last + (1 << 20), u32::MAX]) {
                let expected = rule_by_rows(&rows, address);
                assert_eq!(table.rule(address), expected, "{address:#x}");
            }
        }
    }

    #[test]
    fn what_comes_again_is_kept_once() {
        // A hundred functions with three rows near each other at their starts, and two at their ends.
        let of_function = |n: u32| {
            [(0, 1), (1, 2), (3, 3), (40, 2), (41, 1)].map(|(at, rule)| {
                let address = 64 * n + at;
                Row { address, rule }
            })
        };
        let rows: Vec<Row> = (0..100).flat_map(of_function).collect();
        // Two pages' words; two runs of each function in a word; the patterns: 3 and 2 rows.
        assert_eq!(Table::of(&rows).words.len(), 2 + 100 + 3 + 2);
    }

    #[test]
    fn more_patterns_than_a_page_can_tell_apart() {
        // Each row has a pattern of its own.
        let rows = rows(0, &[5], u32::MAX - 1, 200_000);
        let table = Table::of(&rows);
        assert!(table.pages > 15);
        for row in rows.iter().step_by(97) {
            assert_eq!(table.rule(row.address + 2), row.rule);
        }
    }

    #[test]
    fn no_rows_are_no_table() {
        let row = Row {
            address: 0,
            rule: 0,
        };
        assert_eq!(Table::of(&[]), Table::default());
        assert_eq!(Table::of(&[row]), Table::default());
        assert_eq!(Table::default().rule(0), 0);
    }
}
