//! Macro arguments that are words, put in the place of `$1` and so on before the text is parsed: they may be
//! what any word may be, a type, a member or a function.
//!
//! In a probe description a macro may be a part of a word (`python$1`); it is expanded there when the description is
//! read.

use super::macros::Expander;
use super::{quoted_length, skip_blank, token_at};

/// A text with macros replaced, which knows where its bytes stand in the source.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) text: String,
    replaced: Vec<Replaced>,
}

/// A macro and what stands in its place.
#[derive(Debug)]
struct Replaced {
    /// Where the word starts in the text.
    at: usize,
    /// Where the word ends there.
    end: usize,
    /// Where the macro starts in the source.
    source: usize,
    /// Where the macro ends there.
    source_end: usize,
}

impl Expanded {
    /// Where a byte of the text stands in the source.
    pub(super) fn in_source(&self, at: usize) -> usize {
        let before = self.replaced.partition_point(|replaced| replaced.at <= at);
        let Some(last) = before.checked_sub(1).map(|n| &self.replaced[n]) else {
            return at;
        };
        if at < last.end {
            last.source
        } else {
            last.source_end + (at - last.end)
        }
    }
}

/// Replaces the macro arguments in a source without control lines that are words.
pub(super) fn expand(source: &str, macros: &Expander<'_>) -> Expanded {
    let mut expanded = Expanded::default();
    if macros.has_no_words() {
        source.clone_into(&mut expanded.text);
        return expanded;
    }
    let (mut at, mut done) = (0, 0);
    while at < source.len() {
        at = skip_blank(source, at);
        let rest = &source[at..];
        let Some(first) = rest.chars().next() else {
            break;
        };
        let length = match first {
            quote @ ('"' | '\'') => quoted_length(rest, quote),
            _ => token_at(rest).len(),
        };
        let number = rest[..length].strip_prefix('$');
        let number = number.filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if let Some(word) = number.and_then(|number| macros.word(number)) {
            expanded.text.push_str(&source[done..at]);
            let start = expanded.text.len();
            expanded.text.push_str(word);
            done = at + length;
            expanded.replaced.push(Replaced {
                at: start,
                end: expanded.text.len(),
                source: at,
                source_end: done,
            });
        }
        at += length;
    }
    expanded.text.push_str(&source[done..]);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Macros;

    #[test]
    fn words_stand_in_the_place_of_macros() {
        let macros = Macros {
            args: ["foo", "5", "int"].map(str::to_owned).to_vec(),
            ..Macros::default()
        };
        for (source, text) in [
            ("BEGIN { @$1 = sum($2); }", "BEGIN { @foo = sum($2); }"),
            (
                "$3 x; BEGIN { x = ($3)$1; }",
                "int x; BEGIN { x = (int)foo; }",
            ),
            ("a$1:::x { $$1; x$1; $1x; }", "a$1:::x { $$1; x$1; $1x; }"),
            (
                "/* $1 */ \"$1\" '$1' // $1\n",
                "/* $1 */ \"$1\" '$1' // $1\n",
            ),
        ] {
            let expanded = expand(source, &Expander::new(&macros));
            assert_eq!(expanded.text, text);
            for (at, byte) in text.bytes().enumerate() {
                let there = source.as_bytes()[expanded.in_source(at)];
                assert!(there == byte || there == b'$', "{source} {at}");
            }
        }
    }
}
