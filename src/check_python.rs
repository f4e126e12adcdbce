//! The self-test of the probes that are made from a Python's own code.
//!
//! What the analysis says of an interpreter is checked by experiment before it is first relied
//! on: the same interpreter runs a short script under the probes, and what they report must be
//! what the script does, function by function and line by line. The script has what is
//! hard to see from outside: exceptions, generators that are thrown into and closed, recursion, Python
//! called from C, class bodies, comprehensions, and imports. The result is kept with the analysis, so each
//! build is tested once (`-x pycheck=off` skips it, `--check-python` repeats it).
//!
//! The file may belong to others, and it is run: with the rights of the traced process at most, see
//! [`provider::process::confined`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dlang::diag::{Origin, Source};
use nix::sys::signal::Signal;
use provider::catalog::Catalog;
use provider::features::KernelFeatures;
use provider::probe::{File, Probe, ProbeKind, PythonEvent, PythonSites, Scope};
use provider::process::Exit;
use provider::process::confined::{Confined, Like, launch_confined};
use provider::process::files;
use provider::python::Refusal;
use provider::python::cache::{Cache, Check};
use provider::usdt::UsdtFile;
use provider::usdt::cpython::{PROVIDER, drawback};

use crate::cli::Cli;
use crate::compile::{self, Compiled, Parsed};
use crate::matching::{KnownArgs, Match, match_probes};
use crate::message::Messages;
use crate::options::Options;
use crate::run::Run;
use crate::target::Target;

/// What the interpreter runs.
const SCRIPT: &str = include_str!("check_python.py");

/// What is reported: `> leaf 1` for an entry, `< leaf 2` for a return, `+ found` and `- found 1`
/// for an import.
const PROBES: &str = r#"
python$target:::function-entry /copyinstr(arg0) == "<string>"/
{
        printf("> %s %d\n", copyinstr(arg1), arg2);
}

python$target:::function-return /copyinstr(arg0) == "<string>"/
{
        printf("< %s %d\n", copyinstr(arg1), arg2);
}

python$target:::import-find-load-start
/copyinstr(arg0) == "found" || copyinstr(arg0) == "missing"/
{
        printf("+ %s\n", copyinstr(arg0));
}

python$target:::import-find-load-done
/copyinstr(arg0) == "found" || copyinstr(arg0) == "missing"/
{
        printf("- %s %d\n", copyinstr(arg0), arg1);
}
"#;

/// The entries alone, which have sites of their own.
const ENTRIES: &str = r#"
python$target:::function-entry /copyinstr(arg0) == "<string>"/
{
        printf("> %s %d\n", copyinstr(arg1), arg2);
}
"#;

/// Ends the run after so many seconds.
fn time_limit(seconds: u64) -> String {
    format!("tick-{seconds}s {{ exit(1); }}\n")
}

/// How long the script may take without any probes, in seconds.
const LONGEST: u64 = 60;

/// What the script does, in the words of [`PROBES`]; of [`ENTRIES`], the lines with `>`.
const EXPECTED: &str = include_str!("check_python.expected");

/// What came of a self-test.
#[derive(Debug)]
enum Outcome {
    /// So many events, all as expected.
    Passed(usize),
    /// They differ.
    Failed(String),
    /// It could not be tried.
    NotRun(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(events) => write!(f, "passed, {events} events as expected"),
            Self::Failed(why) => write!(f, "FAILED, {why}"),
            Self::NotRun(why) => write!(f, "not possible: {why}"),
        }
    }
}

/// Tests the interpreters behind these probes that have not been tested yet. Where one fails, with
/// a message, the descriptions are matched again: by its own markers, if it has any.
pub(crate) fn before_use(
    options: &Options,
    messages: &Messages,
    catalog: &mut Catalog,
    parsed: &Parsed,
    matches: &mut [Match],
) {
    let found = matches.iter().flat_map(Match::all);
    let unsound = unsound(options, messages, catalog, found);
    if unsound.is_empty() {
        return;
    }
    for found in matches {
        let desc = found.desc(parsed);
        found.probes = catalog.enable(desc);
        found.expect(catalog, desc);
    }
}

/// Tests the interpreters behind these probes that have not been tested yet, and gives those that
/// fail, with a message, or that cannot be tested and have markers of their own. From then on the
/// catalogue does not offer what is made from their code.
pub(crate) fn unsound<'p>(
    options: &Options,
    messages: &Messages,
    catalog: &mut Catalog,
    probes: impl Iterator<Item = &'p Arc<Probe>>,
) -> Vec<Arc<File>> {
    if !options.pycheck {
        return Vec::new();
    }
    untested(catalog, probes)
        .into_iter()
        .filter(|sites| !passes(sites, messages, catalog))
        .map(|sites| sites.file)
        .collect()
}

/// One probe for each interpreter that has not been tested.
fn untested<'p>(
    catalog: &Catalog,
    probes: impl Iterator<Item = &'p Arc<Probe>>,
) -> Vec<PythonSites> {
    let mut seen = HashSet::new();
    probes
        .filter_map(|probe| match &probe.kind {
            ProbeKind::Python(sites) => Some(sites),
            _ => None,
        })
        .filter(|sites| catalog.check(&sites.file).is_none() && seen.insert(sites.file.identity))
        .cloned()
        .collect()
}

fn passes(sites: &PythonSites, messages: &Messages, catalog: &mut Catalog) -> bool {
    let outcome = match program_for(sites) {
        Some((like, program)) => test(like, &program, Some(sites)),
        // Nothing to run it with: unless there are markers, the analysis has to do.
        None => return !catalog.give_up_stand_ins(&sites.file),
    };
    match outcome {
        Outcome::Passed(_) => catalog.record_check(&sites.file, Check::Passed),
        Outcome::Failed(why) => {
            let file = sites.file.shown.display();
            messages.say(&format!(
                "nothing is made from the code of the Python in {file}, its self-test failed: {why}"
            ));
            catalog.record_check(&sites.file, Check::Failed { why });
            return false;
        }
        Outcome::NotRun(_) => return !catalog.give_up_stand_ins(&sites.file),
    }
    true
}

/// A program that runs this interpreter, and with whose rights to run it.
fn program_for(sites: &PythonSites) -> Option<(Like, PathBuf)> {
    let of_process = |pid: u32| {
        let program = files::program(pid)?;
        let root = std::fs::read_link(format!("/proc/{pid}/root")).ok()?;
        let program = match program.strip_prefix(&root) {
            Ok(inside) => Path::new("/").join(inside),
            Err(_) => program,
        };
        is_python(&program).then_some((Like::Process(pid), program))
    };
    let runs_it = |pid: &u32| {
        let files = files::executable_files(*pid);
        files
            .iter()
            .any(|file| file.identity == sites.file.identity)
    };
    let root = match sites.scope {
        Scope::Process(pid) => return of_process(pid),
        Scope::Tree(root) => Some(root),
        Scope::System => None,
    };
    let mut running = root
        .into_iter()
        .chain(files::all_processes())
        .filter(runs_it);
    if let Some(found) = running.find_map(of_process) {
        return Some(found);
    }
    let file = &sites.file.path;
    if is_python(file) {
        return Some((Like::Us, file.clone()));
    }
    // lib/libpython3.12.so.1.0 belongs to bin/python3.12.
    let version = sites.build.version;
    let beside = format!("../bin/python{}.{}", version.major, version.minor);
    let program = file.parent()?.join(beside);
    program.exists().then_some((Like::Us, program))
}

fn is_python(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("python")
}

/// Runs the script with a program, and compares; once more for entries alone, where they are had
/// otherwise. With `sites`, the program must have just that interpreter.
fn test(like: Like, program: &Path, sites: Option<&PythonSites>) -> Outcome {
    let seen = match observe(like, program, sites, PROBES) {
        Ok(seen) => seen,
        Err(error) => return Outcome::NotRun(format!("{error:#}")),
    };
    let mut expected = expected(seen.minor, seen.imports);
    if !KernelFeatures::may_goto() {
        expected.iter_mut().for_each(forget_line);
    }
    let events = match compare(&expected, &seen) {
        Outcome::Passed(events) => events,
        other @ (Outcome::Failed(_) | Outcome::NotRun(_)) => return other,
    };
    if !seen.entries_alone {
        return Outcome::Passed(events);
    }
    let entries = expected.into_iter().filter(|line| line.starts_with('>'));
    let entries: Vec<String> = entries.collect();
    match observe(like, program, sites, ENTRIES) {
        Ok(seen) => match compare(&entries, &seen) {
            Outcome::Passed(entries) => Outcome::Passed(events + entries),
            Outcome::Failed(why) => Outcome::Failed(format!("of entries alone, {why}")),
            Outcome::NotRun(why) => Outcome::NotRun(why),
        },
        Err(error) => Outcome::NotRun(format!("{error:#}")),
    }
}

/// What the probes saw.
struct Observed {
    minor: u8,
    /// Whether there are probes for imports.
    imports: bool,
    /// Whether there are other sites for entries alone.
    entries_alone: bool,
    text: String,
    /// Whether the script came to its end.
    complete: bool,
}

/// How long the interpreter takes for the script without any probes.
fn time_untraced(confined: Confined<'_>) -> Result<Duration> {
    let start = Instant::now();
    let mut running = launch_confined(confined)?.resume()?;
    let exit = running.wait(Duration::from_secs(LONGEST));
    let Some(exit) = exit else {
        let _ = running.signal(Signal::SIGKILL);
        running.wait(Duration::from_secs(1));
        bail!("the script takes more than {LONGEST} s, even untraced");
    };
    if exit != Exit::Status(0) {
        bail!("the interpreter {exit} when it ran the script untraced");
    }
    Ok(start.elapsed())
}

/// What the probes of the D program `text` see of the script.
fn observe(
    like: Like,
    program: &Path,
    sites: Option<&PythonSites>,
    text: &str,
) -> Result<Observed> {
    let library: Vec<&Path> = sites.iter().map(|sites| &*sites.file.path).collect();
    let arguments = ["-I", "-S", "-c", SCRIPT];
    let confined = Confined {
        like,
        program,
        arguments: &arguments,
        files: &library,
        cpu_seconds: LONGEST,
    };
    // How slow the machine is says the script itself. A probe's hit takes thousands of times what the
    // interpreter takes for an instruction, but there are only some hundred.
    let millis = 3000 + 100 * time_untraced(confined)?.as_millis();
    let seconds = millis.div_ceil(1000);
    let seconds = u64::try_from(seconds).unwrap_or(LONGEST);
    let confined = Confined {
        cpu_seconds: seconds,
        ..confined
    };
    let mut target = Target::of(launch_confined(confined)?);
    let mut catalog = Catalog::new();
    catalog.use_unchecked();
    if let Some(pid) = target.pid() {
        catalog.set_target(pid);
    }
    let cli = Cli::default();
    let mut options = Options::default();
    options.output.quiet = true;
    options.childstatus = true;
    let text = if KernelFeatures::may_goto() {
        text.to_owned()
    } else {
        without_lines(text)
    };
    let source = Source {
        origin: Origin::Script("self-test".into()),
        text: format!("{text}{}", time_limit(seconds)),
    };
    let parsed = compile::parse_sources(&cli, &options, vec![source], target.pid())?;
    let matches = match_probes(&parsed, &mut catalog, &mut target, |_| Ok(()))?;
    let known = KnownArgs::of(&parsed, &matches);
    let checked = compile::check_program(&parsed, &options, &known)
        .map_err(|errors| compile::program_errors(&errors, &parsed.sources, &options))?;
    let compiled = Compiled {
        program: checked,
        parsed,
    };
    let build = matches
        .iter()
        .flat_map(|found| &found.probes)
        .find_map(|probe| match &probe.kind {
            ProbeKind::Python(found) => Some(found),
            _ => None,
        })
        .filter(|found| sites.is_none_or(|sites| sites.file.identity == found.file.identity))
        .map(|found| Arc::clone(&found.build));
    let Some(build) = build else {
        bail!("{} does not run this interpreter", program.display());
    };
    let imports = matches
        .iter()
        .flat_map(|found| &found.probes)
        .any(|probe| probe.desc.name == PythonEvent::ImportStart.name());
    let output = Collected::default();
    let run = Run {
        cli: &cli,
        options: &options,
        messages: &Messages::new(None),
        compiled,
        catalog,
        target,
        known,
        follow: None,
        sink: Some(Box::new(output.clone())),
        is_part: true,
    };
    let status = run.trace(&matches)?;
    Ok(Observed {
        minor: build.version.minor,
        imports,
        entries_alone: build.entries.as_ref().is_ok_and(|sites| !sites.is_empty()),
        text: output.text(),
        complete: status == 0,
    })
}

/// Output that is kept.
#[derive(Clone, Debug, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    fn text(&self) -> String {
        let bytes = self.0.lock().map(|bytes| bytes.clone()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(mut all) = self.0.lock() {
            all.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What 3.`minor` does with the script: a module starts at line 0 since 3.11, and a list
/// comprehension is no function since 3.12. Imports are there if they have probes.
fn expected(minor: u8, imports: bool) -> Vec<String> {
    EXPECTED
        .lines()
        .filter(|line| imports || line.starts_with(['<', '>']))
        .filter(|line| minor < 12 || !line.contains("<listcomp>"))
        .map(|line| match line {
            "> <module> 1" if minor >= 11 => "> <module> 0".to_owned(),
            other => other.to_owned(),
        })
        .collect()
}

/// The D program, without the functions' lines: on a kernel that cannot tell them, nobody relies on
/// them.
fn without_lines(program: &str) -> String {
    program.replace(
        r#" %d\n", copyinstr(arg1), arg2)"#,
        r#"\n", copyinstr(arg1))"#,
    )
}

/// An expected event as [`without_lines`] shows it.
fn forget_line(event: &mut String) {
    if event.starts_with(['<', '>'])
        && let Some(at) = event.rfind(' ')
    {
        event.truncate(at);
    }
}

/// What came of it. Only an event that is not as it should be is a failure; a script that did not come to
/// its end, for want of time or for whatever reason, proves nothing.
fn compare(expected: &[String], seen: &Observed) -> Outcome {
    let complete = seen.complete;
    // The default output ends with an empty line.
    let seen: Vec<&str> = seen.text.lines().filter(|line| !line.is_empty()).collect();
    if seen.is_empty() {
        return Outcome::NotRun("the interpreter did not run the script".into());
    }
    let pairs = expected.iter().zip(&seen);
    let same = pairs
        .take_while(|(expected, seen)| expected == *seen)
        .count();
    match (expected.get(same), seen.get(same)) {
        (None, None) => Outcome::Passed(same),
        (Some(_), None) if !complete => {
            Outcome::NotRun("the script did not come to its end in time".into())
        }
        (wanted, found) => {
            let or_end = |event: Option<&str>| event.map_or("the end".into(), |e| format!("`{e}`"));
            Outcome::Failed(format!(
                "event {} should be {} and was {}",
                same + 1,
                or_end(wanted.map(String::as_str)),
                or_end(found.copied())
            ))
        }
    }
}

/// `--check-python`: analyses and tests one Python anew, and tells all about it.
pub(crate) fn command(program: &str) -> Result<i32> {
    let program = std::path::absolute(in_path(program))?;
    let mut out = io::stdout().lock();
    let file = interpreter_of(&program)?;
    writeln!(out, "{}", file.shown.display())?;
    let start = Instant::now();
    let contents = std::fs::read(&file.path)?;
    let analysis = provider::python::analyse(&contents);
    let analysed = start.elapsed();
    let build = match analysis {
        Ok(build) => Arc::new(build),
        Err(refusal) => {
            writeln!(out, "\tno probes can be made: {refusal}")?;
            return Ok(1);
        }
    };
    for line in build.describe(PythonEvent::FunctionEntry) {
        writeln!(out, "\t{line}")?;
    }
    let own = markers_of(&file);
    for event in PythonEvent::ALL {
        let state = match (own.get(event.name()), event.is_in(&build)) {
            (Some(Some(drawback)), true) => {
                format!("can be made, and is used for the file's own marker, which {drawback}")
            }
            (Some(_), _) => "the file's own marker is used".into(),
            (None, true) if build.is_partial(event) => {
                "can be made, but some events are not seen".into()
            }
            (None, true) => "can be made".into(),
            (None, false) => "cannot be made in this build".into(),
        };
        writeln!(out, "\t{}: {state}", event.name())?;
    }
    if own.get(PythonEvent::FunctionEntry.name()) == Some(&None) {
        let analysed = millis(analysed);
        writeln!(
            out,
            "\tanalysis: {analysed} ms\n\tself-test: not needed, functions have markers of their own"
        )?;
        return Ok(0);
    }
    let sites = PythonSites {
        file: Arc::clone(&file),
        scope: Scope::System,
        build,
        event: PythonEvent::FunctionEntry,
    };
    let start = Instant::now();
    let program = if is_python(&program) {
        Some((Like::Us, program))
    } else {
        program_for(&sites)
    };
    let outcome = match program {
        Some((like, program)) => test(like, &program, Some(&sites)),
        None => Outcome::NotRun("no program was found that runs it".into()),
    };
    writeln!(
        out,
        "\tanalysis: {} ms\n\tself-test: {outcome}, {} ms",
        millis(analysed),
        millis(start.elapsed())
    )?;
    let check = match outcome {
        Outcome::Passed(_) => Check::Passed,
        Outcome::Failed(why) => Check::Failed { why },
        Outcome::NotRun(_) => return Ok(1),
    };
    let status = i32::from(check != Check::Passed);
    let cache = Cache::of_user();
    let mut findings = cache.find_out(&file.path);
    cache.record(&mut findings, check);
    Ok(status)
}

/// A command's name, looked up as a shell does.
fn in_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").filter(|_| !name.contains('/'));
    let path = path.unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| name.into())
}

/// The file with the interpreter that a program runs (it may be a script that starts one), or that
/// a library is.
fn interpreter_of(program: &Path) -> Result<Arc<File>> {
    let cache = Cache::of_user();
    let is_it = |file: &Arc<File>| {
        !matches!(
            cache.find_out(&file.path).analysis,
            Err(Refusal::NotPython | Refusal::NotElf(_) | Refusal::InLibrary { .. })
        )
    };
    if let Some(file) = files::file_at(program).filter(is_it) {
        return Ok(file);
    }
    let mut stopped = launch_confined(Confined {
        like: Like::Us,
        program,
        arguments: &["-c", ""],
        files: &[],
        cpu_seconds: LONGEST,
    })?;
    while let Some(image) = stopped.next_image()? {
        if let Some(file) = files::executable_files(image.pid).into_iter().find(is_it) {
            return Ok(file);
        }
    }
    bail!("failed to check {}: it is no Python", program.display())
}

/// The names of the markers that CPython's developers put into a file, and what is wrong with each.
fn markers_of(file: &File) -> HashMap<String, Option<&'static str>> {
    let usdt = UsdtFile::read(&file.path).unwrap_or_default();
    let own = usdt.sites.iter().filter(|s| s.note.provider == PROVIDER);
    own.map(|site| {
        let name = site.note.d_name();
        let drawback = usdt.python.and_then(|version| drawback(version, &name));
        (name, drawback)
    })
    .collect()
}

fn millis(time: Duration) -> u128 {
    time.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_versions_do() {
        let old = expected(10, true);
        assert_eq!(old.first().map(String::as_str), Some("> <module> 1"));
        assert!(old.iter().any(|line| line.contains("<listcomp>")));
        let new = expected(12, true);
        assert_eq!(new.first().map(String::as_str), Some("> <module> 0"));
        assert_eq!(new.len(), old.len() - 2);
        for events in [old, new] {
            let starts = |line: &&String| line.starts_with(['>', '+']);
            let starts = events.iter().filter(starts).count();
            assert_eq!(
                starts * 2,
                events.len(),
                "every call returns, every import is done"
            );
        }
        assert_eq!(expected(12, false).len(), expected(12, true).len() - 4);
    }

    #[test]
    fn lines_are_left_out_on_both_sides_where_there_are_none() {
        for program in [PROBES, ENTRIES] {
            let text = without_lines(program);
            assert!(program.contains("arg2") && !text.contains("arg2"), "{text}");
        }
        assert!(without_lines(PROBES).contains("\"> %s\\n\", copyinstr(arg1));"));
        let mut events = ["> leaf 1", "< <module> 0", "- found 1"].map(String::from);
        events.iter_mut().for_each(forget_line);
        assert_eq!(events, ["> leaf", "< <module>", "- found 1"]);
    }

    #[test]
    fn any_difference_is_a_failure() {
        let expected: Vec<String> = ["> a 1", "< a 2"].map(String::from).into();
        let observed = |text: &str, complete| Observed {
            minor: 12,
            imports: false,
            entries_alone: false,
            text: text.into(),
            complete,
        };
        let told = |seen: &str| compare(&expected, &observed(seen, true)).to_string();
        assert_eq!(told("> a 1\n< a 2\n\n"), "passed, 2 events as expected");
        for (seen, event) in [
            (
                "> a 1\n< a 3\n",
                "event 2 should be `< a 2` and was `< a 3`",
            ),
            ("> a 1\n", "event 2 should be `< a 2` and was the end"),
            (
                "> a 1\n< a 2\n< a 2\n",
                "event 3 should be the end and was `< a 2`",
            ),
            ("< a 2\n", "event 1 should be `> a 1` and was `< a 2`"),
        ] {
            assert_eq!(told(seen), format!("FAILED, {event}"));
        }
        assert!(told("\n").starts_with("not possible"));
        let unfinished = |seen: &str| compare(&expected, &observed(seen, false)).to_string();
        assert!(
            unfinished("> a 1\n").starts_with("not possible"),
            "slowness is no failure"
        );
        assert!(
            unfinished("> a 2\n").starts_with("FAILED"),
            "a wrong event is one"
        );
    }
}
