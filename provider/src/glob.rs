//! Patterns of probe descriptions: `*`, `?`, `[a-z]`, `[!a-z]` and `\` to quote, as in gmatch(3).

/// A pattern for one field of a probe description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glob<'a>(&'a str);

impl<'a> Glob<'a> {
    /// A pattern; the empty one matches everything.
    #[must_use]
    pub fn new(pattern: &'a str) -> Self {
        Self(pattern)
    }

    /// Whether it stands for one string only: itself.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.is_empty() && !self.0.contains(['*', '?', '[', '\\'])
    }

    /// Whether it matches the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        // Where to go on after a mismatch: behind the last `*`, one character further on.
        let mut retry = None;
        let (mut p, mut t) = (0, 0);
        loop {
            match pattern.get(p) {
                Some('*') => {
                    p += 1;
                    retry = Some((p, t));
                    continue;
                }
                None if t == text.len() => return true,
                wanted => {
                    if let (Some(_), Some(&c)) = (wanted, text.get(t))
                        && let Some(length) = one(&pattern[p..], c)
                    {
                        p += length;
                        t += 1;
                        continue;
                    }
                }
            }
            match retry {
                Some((after, from)) if from < text.len() => {
                    retry = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                _ => return false,
            }
        }
    }
}

/// How long the pattern's first element is, if it matches `c`.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', quoted, ..] => (*quoted == c).then_some(2),
        ['[', set @ ..] => match class(set, c) {
            Some((inside, length)) => inside.then_some(length + 1),
            None => (c == '[').then_some(1), // never closed: an ordinary character
        },
        [first, ..] => (*first == c).then_some(1),
        [] => None,
    }
}

/// Whether `c` is in the class that starts after `[`, and the class's length with its `]`.
fn class(set: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(set.first(), Some('!' | '^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut inside = false;
    loop {
        let low = *set.get(at)?;
        if low == ']' && at > first {
            return Some((inside != negated, at + 1));
        }
        let high = match (set.get(at + 1), set.get(at + 2)) {
            (Some('-'), Some(&high)) if high != ']' => {
                at += 2;
                high
            }
            _ => low,
        };
        inside |= (low..=high).contains(&c);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, yes, no) in [
            ("", &["", "x"][..], &[][..]),
            ("gc-start", &["gc-start"], &["gc-start2", "xgc-start", ""]),
            ("gc-*", &["gc-", "gc-start"], &["g", "xgc-"]),
            ("*", &["", "x"], &[]),
            ("*-*-*", &["a-b-c", "--"], &["a-b"]),
            ("f?o", &["foo", "f-o"], &["fo", "fooo"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]x", &["dx"], &["ax", "x"]),
            ("[]-]", &["]", "-"], &["a"]),
            ("[ab", &["[ab"], &["a"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("python*", &["python1", "python"], &["pytho"]),
            ("*a*b", &["aab", "xaxb"], &["ba"]),
        ] {
            for text in yes {
                assert!(
                    Glob::new(pattern).matches(text),
                    "{pattern} should match {text}"
                );
            }
            for text in no {
                assert!(
                    !Glob::new(pattern).matches(text),
                    "{pattern} should not match {text}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_literal_matches_itself_and_nothing_longer(text in "[a-z0-9_-]{1,20}", more in "[a-z]{1,3}") {
            prop_assert!(Glob::new(&text).is_literal());
            prop_assert!(Glob::new(&text).matches(&text));
            let longer = format!("{text}{more}");
            prop_assert!(!Glob::new(&text).matches(&longer));
        }

        #[test]
        fn no_pattern_panics(pattern in "[\\[\\]*?!^a-c\\\\-]{0,12}", text in "[a-d\\]]{0,12}") {
            let _ = Glob::new(&pattern).matches(&text);
        }
    }
}
