//! The `rdtrace` command: DTrace's D language on Linux.
//!
//! This crate holds the options, the exit codes and the order of things; the work is done by
//! `dlang` (the language), `provider` (probes and processes), `predicates` and `actions` (code
//! generation and output).
//!
//! Exit status, as `dtrace`'s: 0, or what `exit(n)` says; 1 when something cannot be compiled or
//! enabled; 2 for a wrong command line.

mod built_ins;
mod check_python;
mod cli;
mod compile;
mod follow;
mod header;
mod kernel;
mod late;
mod library;
mod list;
mod manual;
mod matching;
mod message;
mod notices;
mod options;
mod run;
mod stability;
mod target;

use std::io::{self, Write as _};
use std::process::ExitCode;

use actions::follow::FollowFields;
use anyhow::Result;
use dlang::check::UnknownArgs;
use dlang::program::Program;
use dlang::tags::Tag;
use provider::catalog::Catalog;
use provider::features::KernelFeatures;

use crate::cli::{Cli, Dump, Input, Wrong};
use crate::compile::{Compiled, Parsed, ProgramErrors};
use crate::follow::follow_fields;
use crate::matching::{KnownArgs, Match, match_once, match_probes, may_come};
use crate::message::Messages;
use crate::notices::{tell_children, tell_hidden, tell_untraceable};
use crate::options::Options;
use crate::run::Run;
use crate::target::Target;

fn main() -> ExitCode {
    provider::limits::raise();
    let args: Vec<_> = std::env::args_os().collect();
    let messages = Messages::new(args.first().and_then(|arg| arg.to_str()));
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(Wrong::Help(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Wrong::Usage(text)) => return ExitCode::from(usage(&messages, &text)),
    };
    match start(&cli, &messages) {
        Ok(status) => ExitCode::from(u8::try_from(status & 0xff).unwrap_or(1)),
        Err(error) => {
            match error.downcast_ref::<ProgramErrors>() {
                Some(ProgramErrors(all)) => all.iter().for_each(|text| messages.say(text)),
                // Nobody wants the rest of what was printed.
                None if is_closed_pipe(&error) => return ExitCode::SUCCESS,
                // The provider's errors name their cause themselves.
                None if error.is::<provider::error::Error>() => messages.say(&error.to_string()),
                None => messages.say(&format!("{error:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A wrong command line; gives the exit status.
fn usage(messages: &Messages, text: &str) -> u8 {
    messages.say(text);
    let usage = cli::command().render_usage();
    let _ = writeln!(io::stderr(), "{usage}\nTry --help for the options.");
    2
}

/// The whole way: options, target, program, probes, tracing.
fn start(cli: &Cli, messages: &Messages) -> Result<i32> {
    let modes = [
        cli.version,
        cli.list,
        cli.header,
        cli.unsupported.contains(&'G'),
    ];
    if modes.into_iter().filter(|mode| *mode).count() > 1 {
        let text = "only one of the [-GhlV] options can be specified at a time";
        return Ok(i32::from(usage(messages, text)));
    }
    if cli.version {
        return print_version(cli);
    }
    if let Some(manual) = cli.manual {
        manual.print(cli::command(), &mut io::stdout())?;
        return Ok(0);
    }
    if let Some(file) = &cli.check_python {
        return check_python::command(file);
    }
    if let Some(letter) = cli.unsupported.first() {
        anyhow::bail!("option -{letter} is not supported: rdtrace traces, it links no programs");
    }
    if let Some(limit) = provider::limits::reached() {
        anyhow::bail!("{limit}");
    }
    if cli.header {
        return write_header(cli, messages);
    }
    if cli.inputs.is_empty() && !cli.list {
        return Ok(i32::from(usage(messages, "no probes specified")));
    }
    let mut options = read_options(cli)?;
    let mut catalog = Catalog::new();
    let by_id = |input: &Input| matches!(input, Input::Id(_));
    if cli.list || cli.inputs.iter().any(by_id) {
        choose_markers(&options, &mut catalog);
    }
    let sources = compile::read_sources(cli, &options, &mut catalog)?;
    let sources = library::with_libraries(sources, &options)?;
    compile::set_early_pragmas(&sources, &mut options);
    if !options.pycheck {
        catalog.use_unchecked();
    }
    let mut target = if cli.check_only {
        Target::default()
    } else {
        Target::open(cli)?
    };
    if let Some(pid) = target.pid() {
        catalog.set_target(pid);
    }
    if cli.list && cli.inputs.is_empty() {
        tell_hidden(target.pid().is_none(), messages);
        return list::everything(cli, &mut catalog, &mut target);
    }
    let parsed = compile::parse_sources(cli, &options, sources, target.pid())?;
    if cli.dump == Some(Dump::Ast) {
        return print(&dlang::dump::dump(&parsed.ast));
    }
    compile::set_program_options(&parsed, &mut options)?;
    if parsed.descs().any(|desc| catalog.means_files(desc)) {
        choose_markers(&options, &mut catalog);
    }
    if cli.check_only || cli.dump == Some(Dump::Typed) {
        let known = KnownArgs::of(&parsed, &match_once(&parsed, &mut catalog));
        let program = check(&parsed, &options, &known)?;
        return match cli.dump {
            Some(Dump::Typed) => print(&dlang::print::print(&program)),
            None if cli.verbose => print(&stability::report(&parsed, &program)),
            Some(Dump::Ast | Dump::Bpf) | None => Ok(0),
        };
    }
    tell_hidden(parsed.descs().any(|desc| catalog.means_all(desc)), messages);
    tell_untraceable(&parsed, &mut catalog, messages);
    if !cli.list && !options.followfork {
        tell_children(cli, &parsed, messages);
    }
    let follow = if cli.list {
        None
    } else {
        follow(&options, &parsed, &mut catalog, &target)?
    };
    let mut matches = match_probes(&parsed, &mut catalog, &mut target, |matches| {
        check_early(&parsed, &options, matches)
    })?;
    if cli.list {
        check(&parsed, &options, &KnownArgs::of(&parsed, &matches))?;
        return list::matching(cli, &parsed, &mut catalog, messages);
    }
    check_python::before_use(&options, messages, &mut catalog, &parsed, &mut matches);
    let missing = if options.zdefs {
        None
    } else {
        first_missing(&parsed, &matches, &mut catalog, &target)
    };
    let known = KnownArgs::of(&parsed, &matches);
    let known = known.without(missing.map(|missing| missing.desc(&parsed)));
    let program = match compile::check_program(&parsed, &options, &known) {
        Ok(program) => program,
        Err(errors) => {
            let texts = errors.iter().map(|error| match missing {
                Some(missing) if error.tag == Tag::PdescZero => {
                    no_match(&parsed, missing, &options, &mut catalog, &target)
                }
                _ => compile::message(error, &parsed.sources, &options),
            });
            return Err(ProgramErrors(texts.collect()).into());
        }
    };
    if options.zdefs {
        tell_hopeless(&parsed, &matches, &mut catalog, messages);
    }
    if !options.output.quiet {
        announce(&parsed, &matches, messages);
    }
    let compiled = Compiled { program, parsed };
    let run = Run {
        cli,
        options: &options,
        messages,
        compiled,
        catalog,
        target,
        known,
        follow,
        sink: None,
        is_part: false,
    };
    if cli.dump == Some(Dump::Bpf) {
        return print(&run.listings(&matches)?);
    }
    run.trace(&matches)
}

/// `-h`.
fn write_header(cli: &Cli, messages: &Messages) -> Result<i32> {
    let path = match header::file_name(cli) {
        Ok(path) => path,
        Err(text) => return Ok(i32::from(usage(messages, text))),
    };
    let mut options = read_options(cli)?;
    let sources = compile::read_sources(cli, &options, &mut Catalog::new())?;
    let sources = library::with_libraries(sources, &options)?;
    compile::set_early_pragmas(&sources, &mut options);
    let parsed = compile::parse_sources(cli, &options, sources, None)?;
    compile::set_pragma_options(&parsed, &mut options)?;
    let program = compile::check_program(&parsed, &options, &UnknownArgs)
        .and_then(|program| match header::first_error(&program) {
            Some(error) => Err(vec![error]),
            None => Ok(program),
        })
        .map_err(|errors| compile::program_errors(&errors, &parsed.sources, &options))?;
    header::write(&program, &path)?;
    Ok(0)
}

/// Checks the program; its errors as they are printed.
fn check(parsed: &Parsed, options: &Options, known: &KnownArgs) -> Result<Program> {
    compile::check_program(parsed, options, known)
        .map_err(|errors| compile::program_errors(&errors, &parsed.sources, options))
}

/// Checks the program with what is known before any of the command runs, so that it does not run for
/// nothing: as far as that can be said without the probes that are still missing.
fn check_early(parsed: &Parsed, options: &Options, matches: &[Match]) -> Result<()> {
    let known = KnownArgs::of(parsed, matches);
    match check(parsed, options, &known) {
        Err(error) if !known.has_guessed() => Err(error),
        Err(_) | Ok(_) => Ok(()),
    }
}

/// Has the catalogue use the markers of Pythons where the options say so, or the kernel.
fn choose_markers(options: &Options, catalog: &mut Catalog) {
    if options.pyusdt {
        catalog.prefer_markers("-x pyusdt asks for it");
    } else if KernelFeatures::lacks_may_goto() {
        catalog.prefer_markers("others would have no lines, on a kernel before Linux 6.9");
    }
}

/// Has the catalogue follow the targets, if that is asked for and any description means them; gives
/// what it takes to do it.
fn follow(
    options: &Options,
    parsed: &Parsed,
    catalog: &mut Catalog,
    target: &Target,
) -> Result<Option<FollowFields>> {
    if !options.followfork {
        return Ok(None);
    }
    catalog.follow(&target.pids());
    if parsed.descs().any(|desc| !catalog.trees(desc).is_empty()) {
        return follow_fields().map(Some);
    }
    catalog.follow(&[]);
    Ok(None)
}

fn print(text: &str) -> Result<i32> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

fn print_version(cli: &Cli) -> Result<i32> {
    let mut text = format!("rdtrace: D 2.0.7, rdtrace {}\n", env!("CARGO_PKG_VERSION"));
    if cli.verbose {
        text += "This is rdtrace, the D language compiled to eBPF.\n";
    }
    print(&text)
}

/// The options from the environment and the command line, the later ones winning.
fn read_options(cli: &Cli) -> Result<Options> {
    let mut options = Options::default();
    for (name, value) in std::env::vars() {
        if let Some(name) = name.strip_prefix("DTRACE_OPT_") {
            let name = name.to_ascii_lowercase();
            options.set(&name, Some(&value)).map_err(|error| {
                anyhow::anyhow!("failed to set option {name} from the environment: {error}")
            })?;
        }
    }
    for assignment in &cli.options {
        options.set_assignment(assignment).map_err(|error| {
            let name = assignment.split('=').next().unwrap_or_default();
            anyhow::anyhow!("failed to set -x {name}: {error}")
        })?;
    }
    Ok(options)
}

/// `description 'BEGIN' matched 1 probe`, for each source.
fn announce(parsed: &Parsed, matches: &[Match], messages: &Messages) {
    use dlang::diag::Origin;
    for (index, source) in parsed.sources.iter().enumerate() {
        let count: usize = matches
            .iter()
            .filter(|found| source_of(parsed, found) == index)
            .map(|found| found.all().count())
            .sum();
        let what = match &source.origin {
            Origin::Library(_) => continue,
            Origin::Script(path) => format!("script '{path}'"),
            Origin::Specifier { text, .. } => {
                format!("description '{}'", stability::description(text))
            }
        };
        let plural = if count == 1 { "" } else { "s" };
        messages.say(&format!("{what} matched {count} probe{plural}"));
    }
}

fn source_of(parsed: &Parsed, found: &Match) -> usize {
    usize::from(parsed.spec(found.spec).span.source)
}

/// A description that has found nothing and will not: one for which there is no hope, if there is such
/// a one, before those that another program of the command might have had.
fn first_missing<'m>(
    parsed: &Parsed,
    matches: &'m [Match],
    catalog: &mut Catalog,
    target: &Target,
) -> Option<&'m Match> {
    let missing: Vec<&Match> = matches.iter().filter(|found| found.is_missing()).collect();
    let mut all = missing.iter().copied();
    let hopeless = all.find(|found| !may_come(found.desc(parsed), catalog, target));
    hopeless.or(missing.first().copied())
}

/// Tells, for `-Z`, which descriptions will never match anything.
fn tell_hopeless(parsed: &Parsed, matches: &[Match], catalog: &mut Catalog, messages: &Messages) {
    for found in matches.iter().filter(|found| found.probes.is_empty()) {
        let desc = found.desc(parsed);
        if let Some(why) = provider::doctor::never(catalog, desc) {
            messages.say(&format!("{desc} will match no probe: {}", why.reason));
        }
    }
}

/// The error for a description that matches nothing: what it is, where it stands, and what the
/// probe doctor found out.
fn no_match(
    parsed: &Parsed,
    missing: &Match,
    options: &Options,
    catalog: &mut Catalog,
    target: &Target,
) -> String {
    let spec = parsed.spec(missing.spec);
    let error = compile::no_match(parsed, spec, options);
    let pid = target.pid();
    let is_complete = pid.is_some_and(|pid| catalog.is_complete(&spec.desc, pid));
    if target.is_stopped() && !target.ended_early() && !is_complete {
        // A program that makes its probes while it runs has none where -c looks.
        let made_later = "probes that a program makes while it runs (libstapsdt) are not there when it \
             starts: start it first, then trace it with -p";
        let error = compile::explained(&error, catalog, &spec.desc);
        compile::with_reason(&error, made_later)
    } else if target.ended_early() {
        let reason = "the command has ended, and none of the programs that it became had such a probe\n\
             what it started was not looked at: -x followfork traces that, too";
        compile::with_reason(&error, reason)
    } else {
        compile::explained(&error, catalog, &spec.desc)
    }
}
