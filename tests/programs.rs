//! Every Python of the machine on programs as people write them: pools, coroutines, launchers,
//! children, names in other alphabets. `tests/pythons/programs.py` says how often what is called. Needs
//! root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stderr,
    reason = "tests say what was covered and skipped"
)]

#[path = "pythons/machine.rs"]
mod machine;

use self::machine::{Python, each, rdtrace};

/// Entries and returns of these functions of the program's, as `name entries returns`, in order.
fn counts(python: &Python, program: &str, functions: &[&str], options: &[&str]) -> Vec<String> {
    let tests: Vec<String> = functions
        .iter()
        .map(|name| format!("copyinstr(arg1) == \"{name}\""))
        .collect();
    let tests = tests.join(" || ");
    let text = format!(
        "python$target:::function-entry /{tests}/ {{ @e[copyinstr(arg1)] = count(); }} \
         python$target:::function-return /{tests}/ {{ @r[copyinstr(arg1)] = count(); }} \
         END {{ printa(\"%s %@d %@d\\n\", @e, @r); }}"
    );
    let script = python.file("tests/pythons/programs.py");
    let command = format!("{} {script} {program}", python.command.join(" "));
    let mut arguments = options.to_vec();
    arguments.extend(["-qn", &text, "-c", &command]);
    let mut lines: Vec<String> = rdtrace(&arguments).lines().map(str::to_owned).collect();
    lines.retain(|line| !line.is_empty());
    lines.sort_unstable();
    lines
}

#[test]
fn pools_of_threads() {
    each("pools", |python| {
        let functions = ["first", "second", "hand_on", "task"];
        let counts = counts(python, "pools", &functions, &[]);
        let expected = [
            "first 100 100",
            "hand_on 100 100",
            "second 100 100",
            "task 100 100",
        ];
        assert_eq!(counts, expected, "{}", python.name());
        None
    });
}

/// One entry for each start and each time that it goes on, and as many returns.
#[test]
fn coroutines_that_wait_are_cancelled_and_raise() {
    each("coroutines", |python| {
        let functions = ["worker", "cancelled", "raises", "numbers"];
        let counts = counts(python, "coroutines", &functions, &[]);
        let expected = ["cancelled 2 2", "numbers 6 6", "raises 2 2", "worker 80 80"];
        assert_eq!(counts, expected, "{}", python.name());
        None
    });
}

#[test]
fn launchers_and_children() {
    each("launchers", |python| {
        let of_launcher = counts(python, "launcher", &["task"], &[]);
        assert_eq!(of_launcher, ["task 7 7"], "{}", python.name());
        let of_children = counts(python, "children", &["task"], &["-x", "followfork"]);
        assert_eq!(of_children, ["task 3 3"], "{}", python.name());
        None
    });
}

#[test]
fn names_of_characters_of_any_width() {
    each("widths", |python| {
        let names = ["plain", "café", "кирил", "関数", "𐐨𐐩"];
        let mut expected: Vec<String> = names.iter().map(|name| format!("{name} 1 1")).collect();
        expected.sort_unstable();
        let seen = counts(python, "widths", &names, &[]);
        assert_eq!(seen, expected, "{}", python.name());
        None
    });
}
