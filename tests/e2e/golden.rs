//! Scripts with their exact output: `tests/golden/AREA/`.
//!
//! ```text
//! tst.NAME.d        a D program; it prints NAME.out, and NAME.err on standard error
//! tst.NAME.sh       a shell script about the command line, with $rdtrace, $python and $triggers
//! err.TAG.NAME.d    a D program that is refused with exactly this tag, and a caret
//! ```
//!
//! A D program runs as `rdtrace -q -s FILE`. Its opening comment may say otherwise:
//!
//! ```text
//! /* args: -F one two */          these arguments in place of `-q`
//! /* trigger: calls.py 3 */       this program of tests/triggers, run with `-c`
//! /* status: 3 */                 this exit status
//! /* order: any */                lines may come in any order
//! /* needs: sched:::on-cpu */      a probe that not every kernel has; skipped without it
//! /* needs: frames (Linux 5.17) */  Python's frames and objects, as not every kernel finds them
//! /* needs: all of the stack (Linux 6.9) */  what loops take before
//! ```
//!
//! `BLESS=1 cargo test` writes what is printed into the `.out` and `.err` files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use provider::features::{KernelFeatures, OpenLoops};

use crate::harness::{
    Outcome, PYTHON, RDTRACE, can_trace_python, rdtrace, repository, run, skipped, trigger,
};

macro_rules! areas {
    ($($area:ident)*) => {
        $(#[test] fn $area() { check_area(stringify!($area)); })*

        #[test]
        fn every_area_is_tested() {
            let mut found: Vec<_> = fs::read_dir(repository("tests/golden")).unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            found.sort();
            assert_eq!(found, [$(stringify!($area)),*]);
        }
    };
}

areas! {
    actions aggregations command control errors faults formats output probes python speculation stacks
    strings
    time translators variables
}

fn check_area(area: &str) {
    if !can_trace_python() {
        return;
    }
    let mut scripts: Vec<PathBuf> = fs::read_dir(repository("tests/golden").join(area))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|kind| kind == "d" || kind == "sh")
        })
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "no scripts in {area}");
    let only = std::env::var("ONLY").ok();
    let mut failures = Vec::new();
    for script in scripts {
        let name = script.file_name().unwrap().to_str().unwrap().to_owned();
        if only
            .as_ref()
            .is_some_and(|part| !name.contains(part.as_str()))
        {
            continue;
        }
        if lacks_what_it_needs(&script) {
            continue;
        }
        let verdict = match name.split('.').collect::<Vec<_>>()[..] {
            ["tst", _, "d"] => check_output(&script, run_program(&script)),
            ["tst", _, "sh"] => check_output(&script, run_shell(&script)),
            ["err", tag, _, "d"] => check_refusal(tag, run_refused(&script)),
            _ => Err("is neither tst.NAME.d, tst.NAME.sh nor err.TAG.NAME.d".to_owned()),
        };
        if let Err(why) = verdict {
            failures.push(format!("{area}/{name}: {why}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

/// Whether a script needs what this kernel lacks; counts the test as skipped then.
pub(crate) fn lacks_what_it_needs(script: &Path) -> bool {
    let source = fs::read_to_string(script).unwrap();
    let Some(need) = directive(&source, "needs") else {
        return false;
    };
    let is_there = match need {
        FRAMES => KernelFeatures::open_loops().is_some(),
        STACK => KernelFeatures::open_loops() == Some(OpenLoops::MayGoto),
        probe => {
            assert!(
                probe.contains(':'),
                "{}: no probe: {probe}",
                script.display()
            );
            run(rdtrace(["-ln", probe])).stdout.lines().count() > 1
        }
    };
    let name = script.file_name().unwrap().to_str().unwrap();
    !is_there && !skipped(&format!("{name} needs {need}, which this kernel lacks"))
}

/// What a script needs for which the stack is too small where loops are functions.
const STACK: &str = "all of the stack (Linux 6.9)";

/// What a script needs that uses Python's frames or objects.
const FRAMES: &str = "frames (Linux 5.17)";

fn run_program(script: &Path) -> Outcome {
    let source = fs::read_to_string(script).unwrap();
    let args = directive(&source, "args").unwrap_or("-q");
    let mut command = rdtrace(args.split_whitespace());
    command
        .arg("-s")
        .arg(script.file_name().unwrap())
        .current_dir(script.parent().unwrap());
    if let Some(line) = directive(&source, "trigger") {
        command.arg("-c").arg(trigger(line).join(" "));
    }
    run(command)
}

fn run_refused(script: &Path) -> Outcome {
    let mut command = rdtrace(["-q", "-xerrtags", "-s"]);
    command
        .arg(script.file_name().unwrap())
        .current_dir(script.parent().unwrap());
    run(command)
}

fn run_shell(script: &Path) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("/bin/sh");
    command
        .arg("-u")
        .arg(script)
        .current_dir(dir.path())
        .env("rdtrace", RDTRACE)
        .env("python", PYTHON)
        .env("triggers", repository("tests/triggers"));
    run(command)
}

/// The value of a line `name: value` in the opening comment.
pub(crate) fn directive<'s>(source: &'s str, name: &str) -> Option<&'s str> {
    let lines = source
        .lines()
        .take_while(|line| line.starts_with(['/', ' ', '#']));
    lines
        .filter_map(|line| {
            line.trim_start_matches(['/', '*', ' ', '#'])
                .strip_prefix(name)
        })
        .find_map(|rest| rest.strip_prefix(": "))
        .map(|value| value.trim_end_matches("*/").trim())
}

/// Compares both streams and the status with what is expected.
fn check_output(script: &Path, outcome: Outcome) -> Result<(), String> {
    let source = fs::read_to_string(script).unwrap();
    let status = directive(&source, "status").map_or(0, |status| status.parse().unwrap());
    if outcome.status != status {
        return Err(format!(
            "exit status {}, not {status}\n{}{}",
            outcome.status, outcome.stdout, outcome.stderr
        ));
    }
    let any_order = directive(&source, "order") == Some("any");
    check_stream(
        &script.with_extension("out"),
        &outcome.stdout_bytes,
        any_order,
    )?;
    check_stream(
        &script.with_extension("err"),
        masked(&outcome.stderr).as_bytes(),
        any_order,
    )
}

/// Faults tell where in the generated code they happened, which changes with every improvement.
pub(crate) fn masked(text: &str) -> String {
    let mut parts = text.split("at BPF pc ");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked += "at BPF pc N";
        masked += part.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    masked
}

fn check_stream(file: &Path, actual: &[u8], any_order: bool) -> Result<(), String> {
    let arrange = |text: &[u8]| {
        let lines = text.split_inclusive(|&byte| byte == b'\n');
        let mut lines: Vec<_> = lines.map(<[u8]>::to_vec).collect();
        if any_order {
            lines.sort();
        }
        lines.concat()
    };
    let actual = arrange(actual);
    if std::env::var_os("BLESS").is_some() {
        if actual.is_empty() {
            let _ = fs::remove_file(file);
        } else {
            fs::write(file, &actual).unwrap();
        }
        return Ok(());
    }
    let expected = fs::read(file).unwrap_or_default();
    let expected = arrange(&expected);
    if expected == actual {
        return Ok(());
    }
    let kind = if file.extension().is_some_and(|kind| kind == "err") {
        "error"
    } else {
        "output"
    };
    let (expected, actual) = (
        String::from_utf8_lossy(&expected),
        String::from_utf8_lossy(&actual),
    );
    Err(format!(
        "standard {kind} should be\n{expected:?}\nbut is\n{actual:?}\nin full:\n{actual}"
    ))
}

/// A refused program: exit status 1, one tag, a position with a caret, nothing printed.
fn check_refusal(tag: &str, outcome: Outcome) -> Result<(), String> {
    let Outcome {
        status,
        stdout,
        stderr,
        stdout_bytes: _,
    } = outcome;
    let tags: Vec<&str> = stderr
        .split('[')
        .filter_map(|text| text.split_once(']').map(|(tag, _)| tag))
        .filter(|text| text.starts_with("D_"))
        .collect();
    let all_same = !tags.is_empty() && tags.iter().all(|found| *found == tag);
    let has_caret = stderr
        .lines()
        .any(|line| line.trim_start_matches([' ', '|']).starts_with('^'));
    if status == 1 && stdout.is_empty() && all_same && has_caret {
        return Ok(());
    }
    Err(format!(
        "not refused with [{tag}] and a caret: status {status}\n{stdout}{stderr}"
    ))
}
