//! `rdtrace run` and `rdtrace flamegraph-diff`: what a first word means that is no option. `dtrace` has
//! no use for one there: without a specifier or a script there is nothing that it could be an argument of.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::cli::{self, Cli, Difference, Input, Instead, Wrong};
use crate::examples::{self, Example};

/// `rdtrace run`: all options of `rdtrace`, and its own.
pub(crate) fn run() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let names = Example::all().map(|example| example.name);
    let names = names.collect::<Vec<_>>().join(", ");
    cli::command()
        .name("run")
        .about("Runs a script that comes with rdtrace; lists them without a name")
        .arg(flag("show", "Print the script instead of running it"))
        .arg(
            flag("all", "Trace every process of the machine")
                .conflicts_with_all(["pid", "command"]),
        )
        .mut_arg("operands", |operands| {
            operands.help(format!(
                "The script's name ({names}), and its macro arguments"
            ))
        })
}

/// `rdtrace flamegraph-diff`.
pub(crate) fn flamegraph_diff() -> Command {
    Command::new("flamegraph-diff")
        .about("Draws what differs between two outputs of --format folded")
        .arg(Arg::new("before").value_name("BEFORE").required(true))
        .arg(Arg::new("after").value_name("AFTER").required(true))
        .arg(
            Arg::new("output")
                .short('o')
                .value_name("FILE")
                .help("Write the picture to a file"),
        )
}

/// Takes the command line apart if it begins with the word of one of these.
pub(crate) fn parse(args: &[OsString]) -> Option<Result<Cli, Wrong>> {
    let rest = args.get(1..)?;
    match rest.first()?.to_str()? {
        "run" => Some(parse_run(rest)),
        "flamegraph-diff" => Some(parse_difference(rest)),
        _ => None,
    }
}

fn parse_run(args: &[OsString]) -> Result<Cli, Wrong> {
    let matches = run()
        .try_get_matches_from(args)
        .map_err(|error| cli::wrong(&error))?;
    let mut cli = cli::from_matches(&matches)?;
    if cli.operands.is_empty() {
        cli.instead = Some(Instead::Print(examples::list()));
        return Ok(cli);
    }
    let name = cli.operands.remove(0);
    let example = Example::find(&name).ok_or_else(|| {
        let names = Example::all().map(|example| example.name);
        let names = names.collect::<Vec<_>>().join(", ");
        Wrong::Usage(format!("there is no script {name}: there are {names}"))
    })?;
    let all = matches.get_flag("all");
    let text = if all {
        example.for_all()
    } else {
        example.text.to_owned()
    };
    if matches.get_flag("show") {
        cli.instead = Some(Instead::Print(text));
        return Ok(cli);
    }
    if example.has_target()
        && !all
        && cli.pids.is_empty()
        && cli.command.is_none()
        && !cli.check_only
    {
        return Err(Wrong::Usage(format!(
            "{name} traces a process: say which by -p PID or -c COMMAND, or --all for every process"
        )));
    }
    let name = format!("{}.d", example.name);
    cli.inputs.insert(0, Input::Text { name, text });
    // As if it was started as a program: what its `#!` line says comes first.
    let mut options = example.options();
    options.extend(
        cli.output
            .as_deref()
            .and_then(format_of)
            .map(|format| format!("oformat={format}")),
    );
    options.append(&mut cli.options);
    cli.options = options;
    Ok(cli)
}

/// The format that the name of the output asks for. `dtrace` has no `run`, so no script of others means text
/// by such a name.
fn format_of(output: &str) -> Option<&'static str> {
    let endings = [
        (".svg", "flamegraph"),
        (".folded", "folded"),
        (".csv", "csv"),
        (".jsonl", "json"),
        (".speedscope.json", "speedscope"),
        (".trace.json", "chrome"),
        (".pb.gz", "pprof"),
        (".prom", "prometheus"),
    ];
    if output.starts_with("http://") {
        return Some("otlp");
    }
    let found = endings.iter().find(|(ending, _)| output.ends_with(ending));
    found.map(|(_, format)| *format)
}

fn parse_difference(args: &[OsString]) -> Result<Cli, Wrong> {
    let matches = flamegraph_diff().try_get_matches_from(args);
    let matches = matches.map_err(|error| cli::wrong(&error))?;
    let operand = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let difference = Difference {
        files: [operand("before"), operand("after")],
        output: matches.get_one("output").cloned(),
    };
    Ok(Cli {
        instead: Some(Instead::Difference(difference)),
        ..Cli::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &[&str]) -> Option<Result<Cli, Wrong>> {
        let line = std::iter::once("rdtrace").chain(line.iter().copied());
        parse(&line.map(OsString::from).collect::<Vec<_>>())
    }

    fn parse_run_line(line: &[&str]) -> Cli {
        parse_line(line).unwrap().unwrap()
    }

    #[test]
    fn the_definitions_are_sound() {
        run().debug_assert();
        flamegraph_diff().debug_assert();
    }

    #[test]
    fn a_script_is_run_with_its_operands() {
        let cli = parse_run_line(&["run", "slow", "100", "-p", "12", "--format", "json"]);
        assert_eq!(cli.operands, ["100"]);
        assert_eq!(cli.options, ["quiet", "oformat=json"]);
        let [Input::Text { name, .. }] = &cli.inputs[..] else {
            panic!("{:?}", cli.inputs)
        };
        assert_eq!(name, "slow.d");
    }

    #[test]
    fn the_name_of_the_output_asks_for_a_format() {
        for (output, format) in [
            ("flame.svg", "flamegraph"),
            ("x.trace.json", "chrome"),
            ("http://localhost:4318", "otlp"),
        ] {
            let cli = parse_run_line(&["run", "flame", "-p", "1", "-o", output]);
            assert_eq!(
                cli.options,
                ["quiet", &format!("oformat={format}")],
                "{output}"
            );
        }
        let line = [
            "run", "flame", "-p", "1", "-o", "x.svg", "--format", "folded",
        ];
        let cli = parse_run_line(&line);
        assert_eq!(cli.options.last().unwrap(), "oformat=folded");
        assert_eq!(
            parse_run_line(&["run", "flame", "-p", "1", "-o", "out"]).options,
            ["quiet"]
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, message) in [
            (
                &["run", "nosuch"][..],
                "there is no script nosuch: there are allocs, args, audit, ",
            ),
            (
                &["run", "slow", "1"],
                "slow traces a process: say which by -p PID",
            ),
            (
                &["run", "slow", "--all", "-p", "1"],
                "the argument '--all' cannot be used with",
            ),
            (
                &["flamegraph-diff", "one"],
                "the following required arguments were not provided",
            ),
        ] {
            let Some(Err(Wrong::Usage(text))) = parse_line(line) else {
                panic!("{line:?} is accepted")
            };
            assert!(text.starts_with(message), "{text}");
        }
    }

    #[test]
    fn any_other_first_word_is_no_subcommand() {
        for line in [&["-n", "BEGIN", "run"][..], &["BEGIN"], &[]] {
            assert!(parse_line(line).is_none(), "{line:?}");
        }
    }

    #[test]
    fn scripts_are_shown_as_they_run() {
        let text = |line: &[&str]| match parse_run_line(line).instead {
            Some(Instead::Print(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(text(&["run"]).lines().any(|line| line.starts_with("slow ")));
        assert!(text(&["run", "slow", "--show"]).contains("python$target:::function-entry"));
        assert!(text(&["run", "slow", "--show", "--all"]).contains("python*:::function-entry"));
    }
}
