//! The examples of `docs/`: each block of D with a block of text right behind it is run, as
//! `rdtrace -q -s FILE`, and prints that text.
//!
//! ````text
//! <!-- args: -x strsize=8 one two -->      these arguments behind the file's name, if the page says so
//! ```d
//! BEGIN { trace("hello"); exit(0); }
//! ```
//!
//! ```text
//! hello
//! ```
//! ````
//!
//! What goes to standard error comes first. `BLESS=1 cargo test` writes what is printed into the pages.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::golden::masked;
use crate::harness::{can_trace, rdtrace, repository, run};

/// A program of a page, and where in the page the text stands that it prints.
struct Example<'p> {
    args: Vec<&'p str>,
    program: &'p str,
    printed: Range<usize>,
}

/// The inside of the fenced block that `page` has at `at`, if there is one of this kind.
fn block(page: &str, at: usize, kind: &str) -> Option<Range<usize>> {
    let fence = format!("```{kind}\n");
    let start = at
        + page[at..]
            .strip_prefix(fence.as_str())
            .map(|_| fence.len())?;
    Some(start..start + page[start..].find("```")?)
}

fn examples(page: &str) -> Vec<Example<'_>> {
    let mut examples = Vec::new();
    for (at, _) in page.match_indices("```d\n") {
        let Some(program) = block(page, at, "d") else {
            continue;
        };
        let behind = program.end + "```\n\n".len();
        let Some(printed) = page.get(behind..).and(block(page, behind, "text")) else {
            continue;
        };
        let before = page[..at].trim_end().lines().last().unwrap_or_default();
        let args = before.strip_prefix("<!-- args:");
        let args = args.and_then(|args| args.strip_suffix("-->"));
        examples.push(Example {
            args: args.unwrap_or_default().split_whitespace().collect(),
            program: &page[program],
            printed,
        });
    }
    examples
}

fn check_page(file: &Path) -> usize {
    let page = fs::read_to_string(file).unwrap();
    let examples = examples(&page);
    let mut blessed = String::new();
    let mut written = 0;
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("example.d");
    for example in &examples {
        fs::write(&script, example.program).unwrap();
        let mut command = rdtrace(["-q", "-s"]);
        command.arg(&script).args(&example.args);
        let outcome = run(command);
        let told = outcome
            .stderr
            .replace(script.to_str().unwrap(), "example.d");
        let printed = told + outcome.stdout.trim_matches('\n') + "\n";
        blessed += &page[written..example.printed.start];
        blessed += &printed;
        written = example.printed.end;
        if std::env::var_os("BLESS").is_none() {
            let expected = &page[example.printed.clone()];
            let file = file.display();
            assert_eq!(
                masked(&printed),
                masked(expected),
                "{file}:\n{}",
                example.program
            );
        }
    }
    blessed += &page[written..];
    if blessed != page {
        fs::write(file, blessed).unwrap();
    }
    examples.len()
}

#[test]
fn examples_of_the_pages_print_what_they_say() {
    if !can_trace() {
        return;
    }
    let mut with_examples = Vec::new();
    for entry in fs::read_dir(repository("docs")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|kind| kind == "md") && check_page(&file) > 0 {
            with_examples.push(file.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    with_examples.sort();
    assert_eq!(
        with_examples,
        [
            "aggregations",
            "options",
            "output",
            "speculation",
            "types",
            "variables"
        ]
    );
}
