//! What the verifier's log says of a program that it has refused.
//!
//! ```text
//!     12: (79) r1 = *(u64 *)(r0 +8)          each instruction that it looked at, by its index
//!     R0 invalid mem access 'scalar'         why it goes no further
//!     processed 13 insns (limit 1000000) ...
//! ```

/// Why the verifier has refused a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejection {
    /// The instruction that it looked at last.
    pub insn: Option<usize>,
    /// Its last words.
    pub words: Vec<String>,
}

/// The most lines of its words.
const MOST_WORDS: usize = 6;

impl Rejection {
    /// Reads a log.
    #[must_use]
    pub fn of(log: &str) -> Self {
        let mut found = Self::default();
        for line in log.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(insn) = looked_at(line) {
                found = Self {
                    insn: Some(insn),
                    words: Vec::new(),
                };
            } else if !is_about_the_search(line) {
                found.words.push(line.to_owned());
            }
        }
        if found.insn.is_none() {
            found.insn = found.words.iter().find_map(|line| named(line));
        }
        let first = found.words.len().saturating_sub(MOST_WORDS);
        found.words.drain(..first);
        found
    }
}

/// The index that a line begins with which shows an instruction, or what is known before it.
fn looked_at(line: &str) -> Option<usize> {
    let (index, rest) = line.split_once(": ")?;
    (rest.starts_with(['(', 'R']) || rest.starts_with("frame"))
        .then(|| index.parse().ok())
        .flatten()
}

/// Whether a line says no more than what was looked at, and how much.
fn is_about_the_search(line: &str) -> bool {
    const STARTS: [&str; 10] = [
        "processed ",
        "verification time",
        "stack depth",
        "from ",
        "mark_precise",
        "last_idx",
        "parent ",
        "regs=",
        "func#",
        "; ",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
}

/// An instruction that is named in the words themselves: `unreachable insn 12`.
fn named(line: &str) -> Option<usize> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == "insn")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_what_follows_the_last_instruction() {
        let log = "func#0 @0\n0: R1=ctx() R10=fp0\n0: (b7) r0 = 0      ; R0_w=0\n\
                   1: (79) r1 = *(u64 *)(r0 +8)\nR0 invalid mem access 'scalar'\n\
                   processed 2 insns (limit 1000000) max_states_per_insn 0\n";
        let expected = Rejection {
            insn: Some(1),
            words: vec!["R0 invalid mem access 'scalar'".into()],
        };
        assert_eq!(Rejection::of(log), expected);
    }

    #[test]
    fn without_instructions_the_words_may_name_one() {
        let found = Rejection::of("unreachable insn 12\nprocessed 0 insns (limit 1000000)\n");
        assert_eq!(found.insn, Some(12));
        let found = Rejection::of("BPF program is too large. Processed 1000001 insn\n");
        assert_eq!((found.insn, found.words.len()), (None, 1));
    }
}
