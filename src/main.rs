//! The `rdtrace` command: DTrace's D language on Linux.
//!
//! This crate holds the options, the exit codes and the order of things; the work is done by
//! `dlang` (the language), `provider` (probes and processes), `predicates` and `actions` (code
//! generation and output).
//!
//! Exit status, as `dtrace`'s: 0, or what `exit(n)` says; 1 when something cannot be compiled or
//! enabled; 2 for a wrong command line.

mod attributes;
mod buffers;
mod built_ins;
mod candidates;
mod checked;
mod cli;
mod code_options;
mod compile;
mod depends;
mod destructive;
mod difference;
mod doctor;
mod enabling;
mod examples;
mod failure;
mod follow;
mod header;
mod kernel;
mod late;
mod library;
mod list;
mod manual;
mod matching;
mod message;
mod metrics;
mod notices;
mod one_cpu;
mod option_values;
mod options;
mod otlp;
mod prepare;
mod progress;
mod rejection;
mod ring_lock;
mod run;
mod self_test;
mod stability;
mod subcommand;
mod target;
mod top;
mod unmatched;

use std::io::{self, Write as _};
use std::process::ExitCode;

use std::sync::Arc;

use actions::consume::OutputFormat;
use anyhow::Result;
use dlang::check::UnknownArgs;
use provider::catalog::Catalog;

use crate::cli::{Cli, Dump, Instead, Wrong};
use crate::code_options::{Meant, code_options};
use crate::compile::Parsed;
use crate::enabling::Enabling;
use crate::late::{CheckBeforeUse, Enabler, may_come_late};
use crate::matching::{KnownArgs, all_found, match_once, match_probes};
use crate::message::Messages;
use crate::notices::{announce, tell_children, tell_hidden, tell_untraceable, tell_waiting};
use crate::options::Options;
use crate::prepare::{check, check_early};
use crate::run::{Output, Run, SignalsFor};
use crate::self_test::SelfTest;
use crate::unmatched::{
    check_matched, check_number, check_processes, missing_anywhere, tell_never_matching,
};

fn main() -> ExitCode {
    provider::limits::raise();
    let args: Vec<_> = std::env::args_os().collect();
    let messages = Messages::new(args.first().and_then(|arg| arg.to_str()));
    let cli = match subcommand::parse(&args).unwrap_or_else(|| cli::parse(args)) {
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
            let mut options = cli.options.iter().rev();
            let format = options.find_map(|option| option.strip_prefix("oformat="));
            if !failure::tell(&error, format == Some("json"), &messages) {
                return ExitCode::SUCCESS;
            }
            ExitCode::FAILURE
        }
    }
}

/// A wrong command line; gives the exit status.
fn usage(messages: &Messages, text: &str) -> u8 {
    messages.say(text);
    print_usage();
    2
}

fn print_usage() {
    let usage = cli::command().render_usage();
    let _ = writeln!(io::stderr(), "{usage}\nTry --help for the options.");
}

/// The whole way: options, target, program, probes, tracing.
fn start(cli: &Cli, messages: &Messages) -> Result<i32> {
    if let Some(status) = without_probes(cli, messages)? {
        return Ok(status);
    }
    let mut options = Options::read(cli)?;
    let mut catalog = Catalog::new();
    prepare::choose_markers_early(cli, &options, &mut catalog);
    let sources = prepare::read_sources(cli, &mut options, &mut catalog)?;
    let check_before_use = check_before_use(&options, messages, &mut catalog);
    let mut target = prepare::open_target(cli, &mut catalog)?;
    if cli.list && cli.inputs.is_empty() {
        tell_hidden(target.pid().is_none(), messages);
        let to = open_output(cli, OutputFormat::Text, messages)?;
        return list::everything(cli, &mut catalog, &mut target, to);
    }

    let mut parsed = prepare::parse(cli, &options, sources, target.pid())?;
    compile::name_probes(&mut parsed, &mut catalog, &options)?;
    if cli.dump == Some(Dump::Ast) {
        return print(&dlang::dump::dump(&parsed.ast));
    }
    compile::set_program_options(&parsed, &mut options)?;
    depends::check(&parsed, &options, &mut catalog)?;
    check_processes(&parsed, &options)?;
    prepare::choose_markers_for(&parsed, &options, &mut catalog);
    if cli.check_only && !cli.list || cli.dump == Some(Dump::Typed) {
        return check_only(cli, &parsed, &options, &mut catalog, messages);
    }

    tell_omissions(cli, &parsed, &options, &mut catalog, messages);
    let follow = prepare::follow(cli, &options, &parsed, &mut catalog, &target)?;
    let progress = messages.during("looking for probes");
    let mut matches = match_probes(
        &parsed,
        &mut catalog,
        &mut target,
        |matches| check_early(&parsed, &options, matches),
        |desc| tell_waiting(desc, messages),
    )?;
    drop(progress);
    if cli.list {
        check(&parsed, &options, &KnownArgs::of(&parsed, &matches))?;
        let to = open_output(cli, OutputFormat::Text, messages)?;
        return list::matching(cli, &parsed, &mut catalog, messages, to);
    }
    if let Some(check) = &check_before_use {
        self_test::before_use(&**check, &mut catalog, &parsed, &mut matches);
    }
    let parsed = Arc::new(parsed);
    let checked = check_matched(
        Arc::clone(&parsed),
        &options,
        &matches,
        &mut catalog,
        &target,
    )?;
    check_number(&checked.parsed, &options, &matches)?;
    stability::check_minimum(&checked.parsed, &checked.program, &matches, &options)?;
    let mut output = open_output(cli, options.output.format, messages)?;
    if !options.output.quiet {
        announce(&parsed, &matches, messages);
    }
    if options.zdefs {
        tell_never_matching(&parsed, &matches, &mut catalog, messages);
    }

    let options = Arc::new(options);
    let meant = Meant::of(&parsed, &catalog, &matches);
    let grows = may_come_late(&parsed, &catalog, &target.pids());
    let code = code_options(&checked.program, &options, meant, grows, follow);
    let enabling = Enabling::new(
        checked,
        code,
        Arc::clone(&options),
        messages.clone(),
        cli.show_code,
    );
    if cli.dump == Some(Dump::Bpf) {
        return print(&enabling.listings(&all_found(&matches))?);
    }
    let enabler = Enabler::new(
        catalog,
        enabling,
        Arc::clone(&options),
        target.pid(),
        check_before_use,
    );
    if cli.verbose && options.output.format == OutputFormat::Text {
        let checked = &enabler.enabling.checked;
        let report = stability::report(&checked.parsed, &checked.program, &matches, true);
        output.write(&report)?;
    }
    if cli.verbose {
        for name in &options.without_effect {
            messages.say(&format!("option {name} has no effect in rdtrace"));
        }
    }
    one_cpu::check(&options)?;
    destructive::check(&enabler.enabling.checked.program, &options, messages)?;
    let listen = cli.listen.as_deref().map(metrics::address).transpose()?;
    let run = Run {
        listen,
        output,
        options,
        messages: messages.clone(),
        target,
        enabler,
        signals: SignalsFor::This,
    };
    run.trace(&matches)
}

/// Where the output goes.
fn open_output(cli: &Cli, format: OutputFormat, messages: &Messages) -> Result<Output> {
    let named = cli.output.as_deref();
    match format {
        OutputFormat::Otlp => otlp::output(named, messages),
        OutputFormat::Top => top::output(named, messages),
        OutputFormat::Text
        | OutputFormat::Json
        | OutputFormat::Csv
        | OutputFormat::Folded
        | OutputFormat::Flamegraph
        | OutputFormat::Speedscope
        | OutputFormat::Chrome
        | OutputFormat::Pprof
        | OutputFormat::Prometheus => Output::open(named, format.is_document()),
    }
}

/// What takes no probes, if that is what is asked for: the exit status.
fn without_probes(cli: &Cli, messages: &Messages) -> Result<Option<i32>> {
    let status = if cli.modes > 1 {
        let text = "only one of the [-GhlV] options can be specified at a time";
        i32::from(usage(messages, text))
    } else if cli.version {
        print_version(cli)?
    } else if let Some(instead) = &cli.instead {
        match instead {
            Instead::Print(text) => print(text)?,
            Instead::Difference(difference) => difference.draw()?,
        }
    } else if let Some(kind) = &cli.complete {
        let mut lines = candidates::of(kind);
        lines.push(String::new());
        print(&lines.join("\n"))?
    } else if let Some(manual) = cli.manual {
        manual.print(cli::command(), &mut io::stdout())?;
        0
    } else if cli.doctor {
        let (text, status) = doctor::examine(&cli.pids)?;
        print(&text)?;
        status
    } else if let Some(file) = &cli.check_python {
        self_test::command(file)?
    } else if let Some(letter) = cli.unsupported.first() {
        anyhow::bail!("option -{letter} is not supported: rdtrace traces, it links no programs");
    } else if let Some(limit) = provider::limits::reached() {
        anyhow::bail!("{limit}");
    } else if cli.header {
        write_header(cli, messages)?
    } else if cli.inputs.is_empty() && cli.check_only {
        0
    } else if cli.inputs.is_empty() && !cli.list {
        if std::env::args_os().len() > 1 {
            Options::read(cli)?;
            anyhow::bail!("no probes specified");
        }
        print_usage();
        2
    } else {
        return Ok(None);
    };
    Ok(Some(status))
}

/// `-h`.
fn write_header(cli: &Cli, messages: &Messages) -> Result<i32> {
    let mut options = Options::read(cli)?;
    let sources = prepare::read_sources(cli, &mut options, &mut Catalog::new())?;
    let path = match header::file_name(cli) {
        Ok(path) => path,
        Err(text) => return Ok(i32::from(usage(messages, text))),
    };
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

/// What probes have to pass before they are used: nothing, if the options say so.
fn check_before_use(
    options: &Options,
    messages: &Messages,
    catalog: &mut Catalog,
) -> Option<Box<dyn CheckBeforeUse>> {
    if !options.pycheck {
        catalog.use_unchecked();
        return None;
    }
    let messages = messages.clone();
    Some(Box::new(SelfTest { messages }))
}

/// `-e` and `--dump typed`: nothing is traced.
fn check_only(
    cli: &Cli,
    parsed: &Parsed,
    options: &Options,
    catalog: &mut Catalog,
    messages: &Messages,
) -> Result<i32> {
    let matches = match_once(parsed, catalog);
    let known = KnownArgs::of(parsed, &matches);
    let known = known.without(missing_anywhere(parsed, options, &matches));
    let program = check(parsed, options, &known)?;
    stability::check_minimum(parsed, &program, &matches, options)?;
    match cli.dump {
        Some(Dump::Typed) => print(&dlang::print::print(&program)),
        None => {
            let mut output = open_output(cli, OutputFormat::Text, messages)?;
            if cli.verbose {
                output.write(&stability::report(parsed, &program, &matches, false))?;
            }
            Ok(0)
        }
        Some(Dump::Ast | Dump::Bpf) => Ok(0),
    }
}

/// Tells what is left out of what the descriptions mean.
fn tell_omissions(
    cli: &Cli,
    parsed: &Parsed,
    options: &Options,
    catalog: &mut Catalog,
    messages: &Messages,
) {
    tell_hidden(parsed.descs().any(|desc| catalog.means_all(desc)), messages);
    tell_untraceable(parsed, catalog, messages);
    if !cli.list && !options.followfork {
        tell_children(cli, parsed, messages);
    }
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
