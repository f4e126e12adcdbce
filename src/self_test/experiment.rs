//! Running the script under the probes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dlang::diag::{Origin, Source};
use nix::sys::signal::Signal;
use provider::catalog::Catalog;
use provider::features::KernelFeatures;
use provider::probe::{PythonEvent, PythonSites};
use provider::process::Exit;
use provider::process::confined::{Confined, Like, launch_confined};

use super::outcome::Outcome;
use super::script::{
    ENTRIES, Observed, PROBES, SCRIPT, compare, expected, forget_line, without_lines,
};
use crate::checked::Checked;
use crate::cli::Cli;
use crate::code_options::{Meant, code_options};
use crate::compile;
use crate::enabling::Enabling;
use crate::late::{Enabler, may_come_late};
use crate::matching::{KnownArgs, match_probes};
use crate::message::Messages;
use crate::options::Options;
use crate::run::{Output, Run, SignalsFor};
use crate::target::Target;

/// Ends the run after so many seconds.
fn time_limit(seconds: u64) -> String {
    format!("tick-{seconds}s {{ exit(1); }}\n")
}

/// How long the script may take without any probes, in seconds.
pub(super) const LONGEST: u64 = 60;

/// Runs the script with a program, and compares; once more for entries alone, where they are had
/// otherwise. With `sites`, the program must have just that interpreter.
pub(super) fn test(like: Like, program: &Path, sites: Option<&PythonSites>) -> Outcome {
    let first = match observe(like, program, sites, PROBES) {
        Ok(experiment) => experiment,
        Err(error) => return Outcome::NotRun(format!("{error:#}")),
    };
    let mut expected = expected(first.minor, first.imports);
    if KernelFeatures::open_loops().is_none() {
        expected.iter_mut().for_each(forget_line);
    }
    let events = match compare(&expected, &first.seen) {
        Outcome::Passed(events) => events,
        other @ (Outcome::Failed(_) | Outcome::NotRun(_)) => return other,
    };
    if !first.entries_alone {
        return Outcome::Passed(events);
    }
    let entries = expected.into_iter().filter(|line| line.starts_with('>'));
    let entries: Vec<String> = entries.collect();
    match observe(like, program, sites, ENTRIES) {
        Ok(second) => match compare(&entries, &second.seen) {
            Outcome::Passed(entries) => Outcome::Passed(events + entries),
            Outcome::Failed(why) => Outcome::Failed(format!("of entries alone, {why}")),
            Outcome::NotRun(why) => Outcome::NotRun(why),
        },
        Err(error) => Outcome::NotRun(format!("{error:#}")),
    }
}

/// One run of the script.
struct Experiment {
    /// The interpreter's minor version.
    minor: u8,
    /// Whether it has probes for imports.
    imports: bool,
    /// Whether it has other sites for entries alone.
    entries_alone: bool,
    seen: Observed,
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
) -> Result<Experiment> {
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
    let text = if KernelFeatures::open_loops().is_some() {
        text.to_owned()
    } else {
        without_lines(text)
    };
    let source = Source {
        origin: Origin::Script("self-test".into()),
        text: format!("{text}{}", time_limit(seconds)),
    };
    let parsed = compile::parse_sources(&cli, &options, vec![source], target.pid())?;
    let matches = match_probes(&parsed, &mut catalog, &mut target, |_| Ok(()), |_| ())?;
    let parsed = Arc::new(parsed);
    let known = KnownArgs::of(&parsed, &matches);
    let checked = Checked::new(Arc::clone(&parsed), &options, known)
        .map_err(|errors| compile::program_errors(&errors, &parsed.sources, &options))?;
    let build = matches
        .iter()
        .flat_map(|found| &found.probes)
        .find_map(|probe| probe.kind.python())
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
    let options = Arc::new(options);
    let grows = may_come_late(&parsed, &catalog, &target.pids());
    let meant = Meant {
        files: true,
        ..Meant::default()
    };
    let code = code_options(&checked.program, &options, meant, grows, None);
    let messages = Messages::new(None);
    let enabling = Enabling::new(checked, code, Arc::clone(&options), messages.clone(), false);
    let run = Run {
        listen: None,
        enabler: Enabler::new(catalog, enabling, Arc::clone(&options), target.pid(), None),
        options,
        messages,
        output: Output::to(output.clone()),
        target,
        signals: SignalsFor::Outer,
    };
    let status = run.trace(&matches)?;
    Ok(Experiment {
        minor: build.version.minor,
        imports,
        entries_alone: build.entries.as_ref().is_ok_and(|sites| !sites.is_empty()),
        seen: Observed {
            text: output.text(),
            complete: status == 0,
        },
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
