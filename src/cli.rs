//! The command line: `dtrace`'s options, in `dtrace`'s meaning.
//!
//! Options may stand anywhere; operands are the macro arguments `$1` and so on. Probe specifiers
//! and scripts are compiled in the order they are given.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "clap's kinds of error are many, and most are shown in clap's own words"
)]

use actions::consume::OutputFormat;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;

/// What `--dump` shows, and stops after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    /// The tree, as parsed.
    Ast,
    /// The typed program, as D.
    Typed,
    /// The generated programs.
    Bpf,
}

/// One thing to compile, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// `-P`, `-m`, `-f` or `-n`: the text and the option's letter.
    Specifier(char, String),
    /// `-i ID`, with what may follow the number.
    Id(String),
    /// `-s FILE`.
    Script(String),
    /// A script that is not in a file.
    Text {
        /// What it is called.
        name: String,
        /// What it says.
        text: String,
    },
}

/// The command line, taken apart.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Cli {
    /// What to compile, in order.
    pub(crate) inputs: Vec<Input>,
    /// `-c`.
    pub(crate) command: Option<String>,
    /// `-p`, each.
    pub(crate) pids: Vec<String>,
    /// `-l`.
    pub(crate) list: bool,
    /// `-v`.
    pub(crate) verbose: bool,
    /// `-V`.
    pub(crate) version: bool,
    /// How many of `-G`, `-h`, `-l` and `-V` there are, of which there may be one.
    pub(crate) modes: usize,
    /// `-h`.
    pub(crate) header: bool,
    /// `-e`.
    pub(crate) check_only: bool,
    /// `-S`.
    pub(crate) show_code: bool,
    /// `-o`.
    pub(crate) output: Option<String>,
    /// `--listen`.
    pub(crate) listen: Option<String>,
    /// `--complete`: which candidates.
    pub(crate) complete: Option<String>,
    /// `--dump`.
    pub(crate) dump: Option<Dump>,
    /// `--man` or `--completions`.
    pub(crate) manual: Option<Manual>,
    /// What is done in the place of tracing.
    pub(crate) instead: Option<Instead>,
    /// `--doctor`.
    pub(crate) doctor: bool,
    /// `--check-python`.
    pub(crate) check_python: Option<String>,
    /// `-x` and the options that are short for one, in order: `NAME` or `NAME=VALUE`.
    pub(crate) options: Vec<String>,
    /// Those of them that `-b` and `-X` stand for, as they were written.
    pub(crate) letters: Vec<(String, String)>,
    /// `$1` and so on.
    pub(crate) operands: Vec<String>,
    /// Options of `dtrace` that rdtrace does not have.
    pub(crate) unsupported: Vec<char>,
}

/// What to print instead of tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manual {
    /// The man page, section 1.
    Page,
    /// Completions for a shell.
    Completions(Shell),
}

/// What is done in the place of tracing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// A text is printed.
    Print(String),
    /// A difference is drawn.
    Difference(Difference),
}

/// The operands of `rdtrace flamegraph-diff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The files before and after.
    pub(crate) files: [String; 2],
    /// `-o`: where the picture goes.
    pub(crate) output: Option<String>,
}

/// What a wrong command line leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// What is wrong, for standard error and exit status 2.
    Usage(String),
    /// Text that was asked for, as `--help`: standard output and exit status 0.
    Help(String),
}

/// Options of `dtrace` for building and anonymous tracing, without and with a value.
const UNSUPPORTED: [(char, bool); 4] = [('G', false), ('A', false), ('a', false), ('B', false)];

/// What `--complete` tells.
const CANDIDATES: [&str; 5] = ["formats", "options", "pids", "providers", "scripts"];

/// The digits of `-32` and `-64`, which say for which data model a program is compiled: types are
/// those of 64 bits here, as DTrace for Linux has them with either.
const DATA_MODELS: [(char, &str); 4] = [
    ('3', "digit-3"),
    ('2', "digit-2"),
    ('6', "digit-6"),
    ('4', "digit-4"),
];

/// Switches that are short for `-x` options.
const SWITCHES: [(char, &str, &str); 5] = [
    ('q', "quiet", "Print only what the program prints"),
    (
        'F',
        "flowindent",
        "Indent the output by function entries and returns",
    ),
    ('w', "destructive", "Allow destructive actions"),
    ('Z', "zdefs", "Allow probe descriptions that match nothing"),
    ('C', "cpp", "Run the C preprocessor over scripts"),
];

/// Options with a value that are short for `-x` options.
const SETTINGS: [(char, &str, &str, &str); 5] = [
    (
        'b',
        "bufsize",
        "SIZE",
        "Size of the trace buffer for each CPU (k, m, g)",
    ),
    (
        'D',
        "define",
        "NAME[=VALUE]",
        "Define a name for the preprocessor",
    ),
    ('L', "libdir", "DIR", "Add a directory of D libraries"),
    ('U', "undef", "NAME", "Undefine a name for the preprocessor"),
    (
        'I',
        "incdir",
        "DIR",
        "Search a directory for #include files",
    ),
];

/// The command as clap knows it; also what the man page and completions are made from.
pub(crate) fn command() -> Command {
    let one = |short: char, name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .short(short)
            .value_name(value)
            .help(help)
            .allow_hyphen_values(true)
    };
    let many = |short, name, value, help| one(short, name, value, help).action(ArgAction::Append);
    let flag = |short: char, name: &'static str, help: &'static str| {
        Arg::new(name)
            .short(short)
            .help(help)
            .action(ArgAction::Count)
    };
    let mut command = Command::new("rdtrace")
        .about("Traces running programs with DTrace's D language; knows Python best")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(many(
            'n',
            "name",
            "SPEC",
            "Enable or list probes by name, with a clause if given",
        ))
        .arg(many(
            'P',
            "provider",
            "SPEC",
            "Enable or list probes by provider",
        ))
        .arg(many(
            'm',
            "module",
            "SPEC",
            "Enable or list probes by module",
        ))
        .arg(many(
            'f',
            "function",
            "SPEC",
            "Enable or list probes by function",
        ))
        .arg(many(
            'i',
            "id",
            "ID",
            "Enable or list the probe with this id",
        ))
        .arg(many('s', "script", "FILE", "Compile a D script"))
        .arg(one(
            'c',
            "command",
            "COMMAND",
            "Run a command and trace it; its id is $target",
        ))
        .arg(many(
            'p',
            "pid",
            "PID",
            "Trace a running process; its id is $target",
        ))
        .arg(flag('l', "list", "List probes instead of enabling them"))
        .arg(flag(
            'v',
            "verbose",
            "With -l, show each probe's arguments and sites",
        ))
        .arg(flag('V', "version", "Print the version"))
        .arg(flag(
            'h',
            "header",
            "Write a C header with a macro for each probe that a script declares",
        ))
        .arg(flag('e', "check", "Compile only, do not trace"))
        .arg(flag('S', "code", "Show the generated code"))
        .arg(one('o', "output", "FILE", "Append the output to a file").overrides_with("output"))
        .arg(many('x', "option", "NAME[=VALUE]", "Set an option"))
        .arg(
            many(
                'X',
                "conformance",
                "a|c|s|t",
                "C conformance of the preprocessor",
            ),
        )
        .arg(flag('H', "headers", "Print the names of included files"))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("NAME")
                .value_parser(
                    OutputFormat::ALL
                        .iter()
                        .map(|(name, _)| *name)
                        .collect::<Vec<_>>(),
                )
                .action(ArgAction::Append)
                .help("What the output is: -x oformat=NAME"),
        )
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS:PORT")
                .help("Answer with the aggregations as metrics for Prometheus; a PORT alone is of 127.0.0.1"),
        )
        .arg(
            Arg::new("dump")
                .long("dump")
                .value_name("STAGE")
                .value_parser(["ast", "typed", "bpf"])
                .help("Show a stage of the compilation and stop"),
        )
        .arg(
            Arg::new("doctor")
                .long("doctor")
                .action(ArgAction::SetTrue)
                .help("Tell what can be traced on this machine, or of the processes of -p, and what to do"),
        )
        .arg(
            Arg::new("check-python")
                .long("check-python")
                .value_name("FILE")
                .help("Tell how a Python is traced that has no probes, and test it"),
        )
        .arg(
            Arg::new("man")
                .long("man")
                .action(ArgAction::SetTrue)
                .help("Print the man page, for `man -l -`"),
        )
        .arg(
            Arg::new("completions")
                .long("completions")
                .value_name("SHELL")
                .value_parser(value_parser!(Shell))
                .help("Print completions for a shell"),
        )
        .arg(
            Arg::new("complete")
                .long("complete")
                .value_name("KIND")
                .value_parser(CANDIDATES)
                .hide(true)
                .help("Print what the shells' completions offer"),
        )
        .arg(
            Arg::new("help")
                .long("help")
                .action(ArgAction::Help)
                .help("Print this help"),
        )
        .arg(
            Arg::new("operands")
                .value_name("ARG")
                .action(ArgAction::Append)
                .help("Macro arguments of the script: $1, $2, ..."),
        );
    for (short, name, help) in SWITCHES {
        command = command.arg(flag(short, name, help));
    }
    for (short, name, value, help) in SETTINGS {
        command = command.arg(many(short, name, value, help));
    }
    for (short, name) in DATA_MODELS {
        command = command.arg(flag(short, name, "The program's data model").hide(true));
    }
    for (short, _) in UNSUPPORTED {
        let name: &'static str = match short {
            'G' => "link",
            'A' => "anonymous",
            'a' => "claim",
            _ => "break",
        };
        command = command.arg(flag(short, name, "Not supported").hide(true));
    }
    command
}

/// Takes the command line apart.
pub(crate) fn parse(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, Wrong> {
    let matches = command().try_get_matches_from(args);
    from_matches(&matches.map_err(|error| wrong(&error))?)
}

/// What options and operands say.
pub(crate) fn from_matches(matches: &ArgMatches) -> Result<Cli, Wrong> {
    let mut cli = Cli {
        command: matches.get_one("command").cloned(),
        pids: values(matches, "pid"),
        list: matches.get_count("list") > 0,
        verbose: matches.get_count("verbose") > 0,
        version: matches.get_count("version") > 0,
        modes: ["version", "list", "header"]
            .map(|mode| usize::from(matches.get_count(mode)))
            .into_iter()
            .sum(),
        header: matches.get_count("header") > 0,
        check_only: matches.get_count("check") > 0,
        show_code: matches.get_count("code") > 0,
        output: matches.get_one("output").cloned(),
        listen: matches.get_one("listen").cloned(),
        dump: matches
            .get_one::<String>("dump")
            .map(|stage| match stage.as_str() {
                "ast" => Dump::Ast,
                "typed" => Dump::Typed,
                _ => Dump::Bpf,
            }),
        manual: if matches.get_flag("man") {
            Some(Manual::Page)
        } else {
            matches
                .get_one("completions")
                .copied()
                .map(Manual::Completions)
        },
        complete: matches.get_one("complete").cloned(),
        doctor: matches.get_flag("doctor"),
        check_python: matches.get_one("check-python").cloned(),
        operands: values(matches, "operands"),
        ..Cli::default()
    };
    for [first, second] in [["digit-3", "digit-2"], ["digit-6", "digit-4"]] {
        if matches.get_count(first) != matches.get_count(second) {
            let digit = first.trim_start_matches("digit-");
            return Err(Wrong::Usage(format!("invalid option -- '{digit}'")));
        }
    }
    for (short, _) in UNSUPPORTED {
        let name = match short {
            'G' => "link",
            'A' => "anonymous",
            'a' => "claim",
            _ => "break",
        };
        if matches.get_count(name) > 0 {
            cli.unsupported.push(short);
            cli.modes += usize::from(short == 'G');
        }
    }
    let mut inputs = Vec::new();
    for (name, make) in [
        (
            "name",
            (|text| Input::Specifier('n', text)) as fn(String) -> Input,
        ),
        ("provider", |text| Input::Specifier('P', text)),
        ("module", |text| Input::Specifier('m', text)),
        ("function", |text| Input::Specifier('f', text)),
        ("id", Input::Id),
        ("script", Input::Script),
    ] {
        inputs.extend(indexed(matches, name).map(|(at, text)| (at, make(text))));
    }
    inputs.sort_by_key(|(at, _)| *at);
    cli.inputs = inputs.into_iter().map(|(_, input)| input).collect();
    let mut options: Vec<(usize, String)> = indexed(matches, "option").collect();
    for (_, name, _) in SWITCHES {
        if matches.get_count(name) > 0 {
            let at = matches.index_of(name).unwrap_or(0);
            options.push((at, name.to_owned()));
        }
    }
    for (_, name, _, _) in SETTINGS {
        options.extend(indexed(matches, name).map(|(at, value)| (at, format!("{name}={value}"))));
    }
    if matches.get_count("headers") > 0 {
        let at = matches.index_of("headers").unwrap_or(0);
        options.push((at, "cpphdrs".to_owned()));
    }
    options
        .extend(indexed(matches, "conformance").map(|(at, value)| (at, format!("stdc={value}"))));
    options.extend(indexed(matches, "format").map(|(at, name)| (at, format!("oformat={name}"))));
    for (letter, name, option) in [("b", "bufsize", "bufsize"), ("X", "conformance", "stdc")] {
        let written = values(matches, name).into_iter();
        let written =
            written.map(|value| (format!("{option}={value}"), format!("-{letter} {value}")));
        cli.letters.extend(written);
    }
    options.sort();
    cli.options = options.into_iter().map(|(_, option)| option).collect();
    Ok(cli)
}

fn values(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches
        .get_many(name)
        .unwrap_or_default()
        .cloned()
        .collect()
}

/// An option's values with their places on the command line.
fn indexed(matches: &ArgMatches, name: &str) -> impl Iterator<Item = (usize, String)> + use<> {
    let places: Vec<usize> = matches.indices_of(name).into_iter().flatten().collect();
    places.into_iter().zip(values(matches, name))
}

/// A wrong command line in `getopt`'s words, which is what scripts and people know.
pub(crate) fn wrong(error: &clap::Error) -> Wrong {
    use clap::error::{ContextKind, ContextValue};
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let first = match error.kind() {
        ErrorKind::DisplayHelp => return Wrong::Help(error.render().to_string()),
        ErrorKind::UnknownArgument => {
            let option = context(ContextKind::InvalidArg).unwrap_or_default();
            let letter = option.trim_start_matches('-');
            if option.starts_with("--") {
                format!("unrecognized option '{option}'")
            } else {
                format!("invalid option -- '{letter}'")
            }
        }
        ErrorKind::InvalidValue if lacks_value(error) => {
            let option = context(ContextKind::InvalidArg).unwrap_or_default();
            let letter = option.trim_start_matches('-').chars().next();
            format!("option requires an argument -- '{}'", letter.unwrap_or(' '))
        }
        _ => {
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    };
    Wrong::Usage(first)
}

/// Whether an option of one letter stands without its value.
fn lacks_value(error: &clap::Error) -> bool {
    use clap::error::{ContextKind, ContextValue};
    let text = |kind| {
        let Some(ContextValue::String(text)) = error.get(kind) else {
            return None;
        };
        Some(text)
    };
    text(ContextKind::InvalidValue).is_some_and(String::is_empty)
        && text(ContextKind::InvalidArg).is_some_and(|option| !option.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &[&str]) -> Result<Cli, Wrong> {
        parse(
            std::iter::once("rdtrace")
                .chain(line.iter().copied())
                .map(Into::into),
        )
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn inputs_keep_their_order() {
        let cli =
            parse_line(&["-qs", "a.d", "-n", "BEGIN", "-P", "python1", "one", "two"]).unwrap();
        assert_eq!(
            cli.inputs,
            [
                Input::Script("a.d".into()),
                Input::Specifier('n', "BEGIN".into()),
                Input::Specifier('P', "python1".into()),
            ]
        );
        assert_eq!(cli.operands, ["one", "two"]);
        assert_eq!(cli.options, ["quiet"]);
    }

    #[test]
    fn short_options_set_long_ones() {
        let cli = parse_line(&["-b", "4m", "-F", "-x", "strsize=32", "-D", "A=1"]).unwrap();
        assert_eq!(
            cli.options,
            ["bufsize=4m", "flowindent", "strsize=32", "define=A=1"]
        );
    }

    #[test]
    fn an_unknown_option_is_named_as_getopt_does() {
        let Err(Wrong::Usage(first)) = parse_line(&["-Y"]) else {
            panic!("-Y is accepted")
        };
        assert_eq!(first, "invalid option -- 'Y'");
        let Err(Wrong::Usage(first)) = parse_line(&["-q", "-n"]) else {
            panic!("-n needs no value")
        };
        assert_eq!(first, "option requires an argument -- 'n'");
    }
}
