//! The Pythons of the machine, and running rdtrace on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A Python and how to start it.
#[derive(Debug)]
pub(crate) struct Python {
    pub(crate) version: (u32, u32, u32),
    /// The command without arguments.
    pub(crate) command: Vec<String>,
    /// Where the files for it are: its root directory.
    pub(crate) root: PathBuf,
}

impl Python {
    pub(crate) fn name(&self) -> String {
        let (major, minor, micro) = self.version;
        format!("{major}.{minor}.{micro} ({})", self.command.join(" "))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let (program, first) = self.command.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(first).args(arguments).output().unwrap()
    }

    /// Reads its program's file. A string in a page that nobody has read cannot be copied by a probe: where
    /// this Python was never started before, some of its own texts (`???`) are in such pages.
    fn bring_into_memory(&self) {
        let program = Path::new(self.command.last().unwrap());
        let inside = program.strip_prefix("/").unwrap_or(program);
        let _ = fs::read(self.root.join(inside));
    }

    /// A file of the repository, where this Python sees it.
    pub(crate) fn file(&self, path: &str) -> String {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if self.root == Path::new("/") {
            return from.to_str().unwrap().to_owned();
        }
        let name = from.file_name().unwrap().to_str().unwrap().to_owned();
        fs::create_dir_all(self.root.join("tmp")).unwrap();
        fs::copy(&from, self.root.join("tmp").join(&name)).unwrap();
        format!("/tmp/{name}")
    }
}

/// All Pythons from 3.6 on, one for each program file, by version; the commands in
/// `RDTRACE_PYTHONS`, one a line, are more of them.
fn pythons() -> Vec<Python> {
    let home = std::env::var("HOME").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.push("/usr/bin".into());
    if let Ok(versions) = fs::read_dir(format!("{home}/.pyenv/versions")) {
        dirs.extend(versions.flatten().map(|entry| entry.path().join("bin")));
    }
    let mut found = BTreeMap::new();
    for program in dirs.iter().flat_map(|dir| interpreters(dir)) {
        found.insert(program.clone(), (vec![program], PathBuf::from("/")));
    }
    let peers = format!("{home}/.cache/rdtrace-peers");
    for program in interpreters(&Path::new(&peers).join("usr/bin")) {
        let inside = program.strip_prefix(&peers).unwrap().to_owned();
        let command = vec!["chroot".into(), peers.clone(), inside];
        found.insert(program, (command, PathBuf::from(&peers)));
    }
    for command in std::env::var("RDTRACE_PYTHONS").unwrap_or_default().lines() {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let root = match command.as_slice() {
            [chroot, root, _] if chroot == "chroot" => root.clone(),
            _ => "/".to_owned(),
        };
        found.insert(command.join(" "), (command, root.into()));
    }
    let mut all: Vec<Python> = found
        .into_values()
        .filter_map(|(command, root)| {
            let mut python = Python {
                version: (0, 0, 0),
                command,
                root,
            };
            let told = python.run(&["-c", "import sys; print(*sys.version_info[:3])"]);
            let told = String::from_utf8(told.stdout).ok()?;
            let mut parts = told.split_whitespace().map(|part| part.parse().ok());
            python.version = (parts.next()??, parts.next()??, parts.next()??);
            Some(python)
        })
        .filter(|python| python.version >= (3, 6, 0))
        .inspect(Python::bring_into_memory)
        .collect();
    all.sort_by_key(|python| python.version);
    all
}

/// `python3`, `python3.12` and so on in a directory, links resolved; no scripts.
fn interpreters(dir: &Path) -> Vec<String> {
    let is_name = |name: &str| {
        let version = name.strip_prefix("python3");
        version.is_some_and(|rest| rest.bytes().all(|b| b == b'.' || b.is_ascii_digit()))
    };
    let is_elf = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"));
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_name))
        .filter_map(|entry| fs::canonicalize(entry.path()).ok())
        .filter(|path| is_elf(path))
        .filter_map(|path| path.to_str().map(str::to_owned))
        .collect()
}

/// How long a thing that is waited for may take: `RDTRACE_DEADLINE` seconds, for machines that are slow, or
/// two and a half minutes.
pub(crate) fn deadline() -> u64 {
    let seconds = std::env::var("RDTRACE_DEADLINE");
    seconds
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(150)
}

/// rdtrace, ended after the deadline.
pub(crate) fn bounded_rdtrace() -> Command {
    let mut command = Command::new("timeout");
    command.args([&deadline().to_string(), env!("CARGO_BIN_EXE_rdtrace")]);
    command
}

/// What a run of rdtrace prints that goes well, without a message.
pub(crate) fn rdtrace(arguments: &[&str]) -> String {
    let mut command = bounded_rdtrace();
    let output = command.args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    // Said as possible where a program that another one starts has a root of its own (`chroot`), with a C
    // library that was never seen, and ends within milliseconds. What was seen is compared all the same.
    let in_another_root = arguments
        .iter()
        .any(|argument| argument.starts_with("chroot "));
    let possible = [
        "a moment ahead of its probes",
        "were gone before they could be looked at",
    ];
    let is_possible = |line: &&str| possible.iter().any(|part| line.contains(part));
    let lines = errors.lines();
    let errors: Vec<&str> = lines
        .filter(|line| !(in_another_root && is_possible(line)))
        .collect();
    let errors = errors.join("\n");
    assert_eq!(errors, "", "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Does a thing with each Python, and tells which there were. The test gives a reason to skip one.
pub(crate) fn each(what: &str, test: impl Fn(&Python) -> Option<&'static str>) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: {what}: not root");
        return;
    }
    let all = pythons();
    for python in &all {
        match test(python) {
            None => eprintln!("covered: {what}: {}", python.name()),
            Some(why) => eprintln!("skipped: {what}: {}: {why}", python.name()),
        }
    }
    if all.is_empty() {
        eprintln!("skipped: {what}: no Python found");
    }
}
