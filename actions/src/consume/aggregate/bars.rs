//! Bars: of `@`s in 40 columns, or of one letter.

use super::Letters;

/// Columns of a bar.
const COLUMNS: usize = 40;

/// The scale of the bars that stand together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars {
    /// How much a bar of full length stands for, in the units that `unit` says.
    full: u128,
    /// How many of these units one is.
    unit: u128,
    positive: bool,
    negative: bool,
}

impl Bars {
    /// Bars for `numbers`: one of full length stands for all of them together, whatever their signs, or
    /// if `zoomed`, the largest of them has 95 % of a bar.
    pub(super) fn new(numbers: &[i64], zoomed: bool) -> Self {
        let magnitudes = numbers.iter().map(|n| u128::from(n.unsigned_abs()));
        let (full, unit) = if zoomed {
            (100 * magnitudes.max().unwrap_or(0), 95)
        } else {
            (magnitudes.sum(), 1)
        };
        Self {
            full,
            unit,
            positive: numbers.iter().any(|n| *n > 0),
            negative: numbers.iter().any(|n| *n < 0),
        }
    }

    /// The same, but if they are zoomed, the largest has a whole bar, unless any is negative.
    pub(super) fn without_margin(mut self) -> Self {
        if self.unit > 1 && !self.negative {
            self.unit = 100;
        }
        self
    }

    /// The bar of `n`, with the line that it starts at: negative ones go to the left.
    pub(super) fn put(&self, out: &mut Vec<u8>, n: i64) {
        let (left, right) = match (self.negative, self.positive) {
            (false, _) => (0, COLUMNS),
            (true, false) => (COLUMNS, 0),
            (true, true) => (COLUMNS / 2, COLUMNS / 2),
        };
        let depth = self.depth(n, left.max(right));
        let (below, above) = if n < 0 { (depth, 0) } else { (0, depth) };
        let mut fill = |byte, n: usize| out.resize(out.len() + n, byte);
        fill(b' ', left.saturating_sub(below));
        fill(b'@', below);
        fill(b'|', 1);
        fill(b'@', above);
        fill(b' ', right.saturating_sub(above));
    }

    /// The bar of `n` as one letter; a blank for 0.
    pub(super) fn letter(&self, n: i64, letters: Letters) -> char {
        const BELOW: [char; 6] = ['v', 'v', 'v', 'v', 'V', 'V'];
        const ABOVE: [char; 8] = ['_', '_', 'x', 'x', 'x', 'x', 'X', 'X'];
        const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let of = |letters: &[char]| letters[self.depth(n, letters.len() - 1)];
        match (n, letters) {
            (0, _) => ' ',
            (..0, _) => of(&BELOW),
            (_, Letters::Ascii) => of(&ABOVE),
            (_, Letters::Blocks) => of(&BLOCKS),
        }
    }

    /// The length of a bar, of `full` at most, rounded to the nearest.
    fn depth(&self, n: i64, full: usize) -> usize {
        let share = u128::from(n.unsigned_abs()) * 2 * self.unit * full as u128 + self.full;
        usize::try_from(share / (2 * self.full).max(1)).map_or(full, |depth| depth.min(full))
    }
}
