//! Small D programs with what `DTrace` 2.0.7 for Linux makes of each: `tests/dtrace/KIND.txt`. Needs root.
//!
//! ```text
//! == NAME [OPTIONS] [@ OPERANDS]     or: == NAME $ [VARIABLE=VALUE ...] ARGUMENTS
//! =! why it differs here, if it does on purpose
//! the program, as many lines as it takes
//! --> exit status
//! | a line of standard output
//! |. the last one, if it does not end with a newline
//! ! the first line on standard error
//! ```
//!
//! It is run as `dtrace OPTIONS -s /dev/stdin OPERANDS`, or as `dtrace ARGUMENTS` with these environment variables.
//! An argument with blanks stands in `'...'`. Bytes that are not printable ASCII stand as `\xNN`, a
//! backslash as `\\`. Addresses of instructions, those that `print()` shows, and
//! the number of the CPU are not compared.
//!
//! With `DTRACE="COMMAND"`, the start of a command line that runs a `DTrace`, the outcomes of cases that have
//! none yet are written behind them; without it, such a case is an error. A case that differs on purpose
//! must differ: one that agrees has lost its reason. `ONLY=NAME` shows what one case says here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "tests say what was skipped")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use regex::Regex;

/// A program, and what DTrace makes of it.
#[derive(Clone, Debug, Default)]
struct Case {
    head: String,
    differs: Option<String>,
    program: String,
    outcome: Option<Outcome>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    status: i32,
    output: Vec<u8>,
    error: Vec<u8>,
}

impl Case {
    fn name(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    /// The arguments of `dtrace`, and the environment variables that are set for it.
    fn command_line(&self) -> (Vec<String>, Vec<(String, String)>) {
        let (_, rest) = self.head.split_once(' ').unwrap_or_default();
        if let Some(line) = rest.strip_prefix('$') {
            let mut words = words(line);
            let is_variable = |word: &String| {
                let name = word.split_once('=').map(|(name, _)| name);
                name.is_some_and(|name| name.starts_with("DTRACE_"))
            };
            let variables = words.iter().take_while(|word| is_variable(word)).count();
            let variables = words.drain(..variables).map(|word| {
                let (name, value) = word.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            });
            let variables = variables.collect();
            return (words, variables);
        }
        let (options, operands) = rest.split_once('@').unwrap_or((rest, ""));
        let script = ["-s", "/dev/stdin"].map(str::to_owned);
        let all = [words(options), script.to_vec(), words(operands)].concat();
        (all, Vec::new())
    }

    /// Runs it by a command line that ends with `dtrace`.
    fn run(&self, dtrace: &[String]) -> Outcome {
        let (arguments, variables) = self.command_line();
        let mut child = Command::new("timeout")
            .arg("30")
            .args(dtrace)
            .args(arguments)
            .current_dir("/")
            .envs(variables)
            .envs([("TZ", "UTC"), ("LC_ALL", "C")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // One that is refused for its options reads nothing.
        let _ = input.write_all(self.program.as_bytes());
        drop(input);
        let output = child.wait_with_output().unwrap();
        let error = output.stderr.split(|byte| *byte == b'\n').next();
        Outcome {
            status: output.status.code().unwrap_or(-1),
            output: output.stdout,
            error: error.unwrap_or_default().to_vec(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("== {}\n", self.head);
        if let Some(why) = &self.differs {
            writeln!(text, "=! {why}").unwrap();
        }
        text += &self.program;
        if let Some(outcome) = &self.outcome {
            text += &outcome.text();
        }
        text
    }
}

impl Outcome {
    fn text(&self) -> String {
        let mut text = format!("--> {}\n", self.status);
        for line in self.output.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => writeln!(text, "| {}", escaped(line)).unwrap(),
                None => writeln!(text, "|. {}", escaped(line)).unwrap(),
            }
        }
        if !self.error.is_empty() {
            writeln!(text, "! {}", escaped(&self.error)).unwrap();
        }
        text
    }

    /// Without what differs from run to run.
    fn comparable(&self) -> String {
        let instruction = Regex::new(r"BPF pc \d+").unwrap();
        let cpu = Regex::new(r"(?m)^\| ( +)\d+( +\d+ +\S*:(BEGIN|END|ERROR|tick)| \| :)").unwrap();
        let address = Regex::new(r"0x[0-9a-f]{12,} = \*").unwrap();
        let drops = Regex::new(r"drops? on CPU \d+").unwrap();
        let text = self.text();
        let text = instruction.replace_all(&text, "BPF pc N");
        let text = address.replace_all(&text, "ADDRESS = *");
        let text = drops.replace_all(&text, "drops on CPU C");
        cpu.replace_all(&text, "| ${1}C$2").into_owned()
    }
}

/// The words of a line; blanks between apostrophes are a part of a word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\\' => text += "\\\\",
            b' '..=b'~' => text.push(char::from(byte)),
            other => write!(text, "\\x{other:02x}").unwrap(),
        }
    }
    text
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend(plain.as_bytes());
        if let Some(behind) = escape.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = behind;
        } else {
            bytes.push(u8::from_str_radix(&escape[1..3], 16).unwrap());
            rest = &escape[3..];
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("== ") {
            let head = head.to_owned();
            cases.push(Case {
                head,
                ..Case::default()
            });
            continue;
        }
        let case = cases.last_mut().expect("a file begins with a case");
        if let Some(why) = line.strip_prefix("=! ") {
            case.differs = Some(why.to_owned());
        } else if let Some(status) = line.strip_prefix("--> ") {
            case.outcome = Some(Outcome {
                status: status.parse().unwrap(),
                ..Outcome::default()
            });
        } else if let Some(outcome) = &mut case.outcome {
            let (kind, text) = line.split_once(' ').unwrap();
            match kind {
                "|" => outcome
                    .output
                    .extend([&unescaped(text)[..], b"\n"].concat()),
                "|." => outcome.output.extend(unescaped(text)),
                "!" => outcome.error = unescaped(text),
                _ => panic!("{}: {line}", path.display()),
            }
        } else {
            case.program += line;
            case.program.push('\n');
        }
    }
    cases
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dtrace");
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Writes what a `DTrace` makes of the cases of which it is not known.
fn record(dtrace: &str) {
    let dtrace: Vec<String> = dtrace.split_whitespace().map(str::to_owned).collect();
    for path in files() {
        let mut cases = read(&path);
        for case in &mut cases {
            if case.outcome.is_none() {
                case.outcome = Some(case.run(&dtrace));
            }
        }
        let text: String = cases.iter().map(Case::text).collect();
        std::fs::write(&path, text).unwrap();
    }
}

/// What is wrong with a case here.
fn wrong(case: &Case, rdtrace: &[String]) -> Option<String> {
    let name = case.name();
    let Some(theirs) = &case.outcome else {
        return Some(format!("{name}: DTrace's outcome is not recorded\n"));
    };
    let ours = case.run(rdtrace);
    let agrees = ours.comparable() == theirs.comparable();
    match &case.differs {
        None if agrees => None,
        None => Some(format!("{}---- here\n{}\n", case.text(), ours.text())),
        Some(_) if !agrees => None,
        Some(why) => Some(format!("{name}: agrees, in spite of: {why}\n")),
    }
}

#[test]
fn programs_do_what_they_do_in_dtrace() {
    if let Ok(dtrace) = std::env::var("DTRACE") {
        record(&dtrace);
    }
    if !test_support::root() {
        return;
    }
    let only = std::env::var("ONLY").ok();
    let directory = tempfile::tempdir().unwrap();
    let command = directory.path().join("dtrace");
    symlink(env!("CARGO_BIN_EXE_rdtrace"), &command).unwrap();
    let rdtrace = [command.to_str().unwrap().to_owned()];
    let mut cases: Vec<Case> = files().iter().flat_map(|path| read(path)).collect();
    cases.retain(|case| only.as_ref().is_none_or(|only| case.name() == only));
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(wrong) = wrong(case, &rdtrace) {
                        failed.lock().unwrap().push(wrong);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let differ = cases.iter().filter(|case| case.differs.is_some()).count();
    eprintln!("{} programs, {differ} differ on purpose", cases.len());
    assert!(
        failed.is_empty(),
        "{} differ\n{}",
        failed.len(),
        failed.concat()
    );
    assert!(
        only.is_some() || cases.len() >= 200,
        "only {} programs",
        cases.len()
    );
}
