//! Random programs in the kernel and in [`dlang::eval`]: both must compute the same.
//!
//! ```text
//! PROGRAMS=1000000 cargo test --test e2e computed    more than a thousand of them
//! FIRST=4711 PROGRAMS=1 cargo test --test e2e computed    just one, by its seed
//! ```

mod expected;
#[path = "../../../actions/tests/verifier/numbers.rs"]
mod numbers;
mod random;

use crate::harness::{can_trace, rdtrace, run};
use expected::expected;
use random::{DECLARATIONS, clause};

/// How many programs one run of rdtrace takes, each of which is a clause on BEGIN.
const TOGETHER: u64 = 50;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn random_programs_compute_what_the_definition_says() {
    if !can_trace() {
        return;
    }
    let (first, programs) = (number("FIRST", 1), number("PROGRAMS", 1_000));
    let (mut lines, mut faults) = (0, 0);
    for from in (first..first + programs).step_by(usize::try_from(TOGETHER).unwrap()) {
        let seeds = from..(from + TOGETHER).min(first + programs);
        let mut text = DECLARATIONS.to_owned();
        let mut output = String::new();
        let mut faulty = 0;
        for seed in seeds.clone() {
            let clause = clause(seed);
            text += &clause.to_string();
            match expected(&clause) {
                Some(printed) => output += &printed,
                None => faulty += 1,
            }
        }
        text += "BEGIN { exit(0); }\n";
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("computed.d");
        std::fs::write(&script, &text).unwrap();
        let outcome = run(rdtrace(["-qs".as_ref(), script.as_os_str()]));
        if outcome.stdout.trim_end() != output.trim_end() {
            let (is, should) = (outcome.stdout.lines(), output.lines());
            let wrong = is.zip(should).find(|(is, should)| is != should);
            panic!(
                "of the seeds {seeds:?}: printed and expected {wrong:?}\n{}\n{text}",
                outcome.stderr
            );
        }
        let told = outcome.stderr.matches("rdtrace: error in ").count();
        assert_eq!(told, faulty, "faults of {seeds:?}: {}", outcome.stderr);
        lines += output.lines().count();
        faults += faulty;
    }
    assert!(
        lines >= usize::try_from(programs).unwrap() && faults * 2 < lines,
        "{programs} programs print {lines} lines and have {faults} faults"
    );
}
