//! Small programs, and what libdtrace says of each: the tag of its first error, or `ok`.
//!
//! `libdtrace/*.txt` have one program a line, behind the tag that it gets here. Where `DTrace` says something
//! else, its tag follows behind a slash; `INCOMPATIBILITIES.md` and `docs/language.md` say why.
//!
//! ```text
//! D_OP_ARITH          BEGIN { x = "s" * 2; }
//! ok/D_PROTO_LEN      BEGIN { x = lltostr(1, 2); }
//! ```
//!
//! `BLESS=1 cargo test -p dlang --test libdtrace` writes what is said here. With `LIBDTRACE="COMMAND"`, the
//! start of a command line that runs a `DTrace` (`sudo dtrace`), each program is given to that too,
//! and its tags are written; `?` stands for one that it cannot take without its libraries.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dlang::check::UnknownArgs;
use dlang::diag::{Origin, Source};
use dlang::{CheckOptions, Macros, check, parse};

/// A line of a file.
struct Case {
    ours: String,
    theirs: String,
    program: String,
}

impl Case {
    fn read(line: &str) -> Self {
        let (tags, program) = line.split_once(' ').expect("a tag and a program");
        let (ours, theirs) = tags.split_once('/').unwrap_or((tags, tags));
        Self {
            ours: ours.to_owned(),
            theirs: theirs.to_owned(),
            program: program.trim_start().to_owned(),
        }
    }

    fn line(&self) -> String {
        let tags = if self.ours == self.theirs {
            self.ours.clone()
        } else {
            format!("{}/{}", self.ours, self.theirs)
        };
        format!("{tags:19} {}", self.program)
    }
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libdtrace");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the directory is here")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    files
}

/// The tag that a program gets here.
fn verdict(program: &str) -> String {
    let source = Source {
        origin: Origin::Script("x.d".into()),
        text: program.into(),
    };
    let macros = Macros {
        target: Some(42),
        ..Macros::default()
    };
    let checked = parse(&[source], &macros)
        .and_then(|ast| check(&ast, &UnknownArgs, &CheckOptions::default()));
    match checked {
        Ok(_) => "ok".to_owned(),
        Err(errors) => errors[0].tag.name().to_owned(),
    }
}

/// The tag that a program gets from the `DTrace` that `command` runs.
fn verdict_of_dtrace(command: &str, program: &str) -> String {
    let mut words = command.split_whitespace();
    let mut dtrace = Command::new(words.next().expect("a command"))
        .args(words)
        .args(["-xnolibs", "-xerrtags", "-q", "-s", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("DTrace starts");
    let mut input = dtrace.stdin.take().expect("a pipe");
    input.write_all(program.as_bytes()).expect("DTrace reads");
    drop(input);
    let output = dtrace.wait_with_output().expect("DTrace ends");
    let text = String::from_utf8_lossy(&output.stderr);
    // Without its libraries it cannot start a program that it has compiled.
    if text.contains("failed to establish error handler") {
        return "ok".to_owned();
    }
    let tag = text
        .split_once("[D_")
        .and_then(|(_, rest)| rest.split_once(']'));
    match tag {
        Some((tag, rest)) if !rest.contains("' not implemented") => format!("D_{tag}"),
        Some(_) | None => "?".to_owned(),
    }
}

#[test]
fn programs_are_refused_with_libdtraces_tags() {
    let bless = std::env::var_os("BLESS").is_some();
    let dtrace = std::env::var("LIBDTRACE").ok();
    let (mut wrong, mut count, mut differ) = (String::new(), 0, 0);
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut written = String::new();
        for line in text.lines() {
            if line.starts_with('#') || line.is_empty() {
                writeln!(written, "{line}").unwrap();
                continue;
            }
            let mut case = Case::read(line);
            let ours = verdict(&case.program);
            if let Some(command) = &dtrace {
                case.theirs = verdict_of_dtrace(command, &case.program);
            }
            if ours != case.ours {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                writeln!(
                    wrong,
                    "{name}: {ours} and not {}: {}",
                    case.ours, case.program
                )
                .unwrap();
            }
            count += 1;
            differ += usize::from(case.ours != case.theirs);
            if bless {
                case.ours = ours;
            }
            writeln!(written, "{}", case.line()).unwrap();
        }
        if bless || dtrace.is_some() {
            std::fs::write(&file, written).unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{wrong}");
    assert!(count >= 450, "only {count} programs");
    // What differs is on purpose; a change that adds to it should say why.
    assert!(differ <= 110, "{differ} of {count} programs differ");
}
