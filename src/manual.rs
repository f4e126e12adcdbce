//! The man page and the shells' completions, made from the definition of the command line so that
//! they cannot disagree with it: `rdtrace --man`, `rdtrace --completions bash`.
//!
//! What clap does not know (the meaning of probe descriptions, exit statuses, the environment) is
//! written here in roff.

use std::io::{self, Write};

use clap::Command;
use clap_complete::generate;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Manual;
use crate::{candidates, subcommand};

impl Manual {
    /// Prints it.
    pub(crate) fn print(self, command: Command, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Page => page(command, out),
            Self::Completions(shell) => {
                // `generate` cannot tell of a pipe that was closed, so it writes to memory.
                let mut text = Vec::new();
                let mut command = command
                    .subcommand(subcommand::run())
                    .subcommand(subcommand::flamegraph_diff());
                generate(shell, &mut command, "rdtrace", &mut text);
                let text = String::from_utf8_lossy(&text);
                out.write_all(candidates::add_to(&text, shell).as_bytes())
            }
        }
    }
}

fn page(command: Command, out: &mut dyn Write) -> io::Result<()> {
    let man = Man::new(command.version(env!("CARGO_PKG_VERSION"))).manual("User Commands");
    man.render_title(out)?;
    man.render_name_section(out)?;
    table(out, "SYNOPSIS", &SYNOPSIS)?;
    paragraphs(out, "DESCRIPTION", DESCRIPTION)?;
    man.render_options_section(out)?;
    paragraphs(out, "PROBE SPECIFIERS", SPECIFIERS)?;
    table(out, "TRACING OPTIONS", &TRACING_OPTIONS)?;
    table(out, "EXIT STATUS", &EXIT_STATUS)?;
    table(out, "ENVIRONMENT", &ENVIRONMENT)?;
    table(out, "EXAMPLES", &EXAMPLES)?;
    paragraphs(
        out,
        "SEE ALSO",
        &["bpftrace(8), dtrace(8), readelf(1), bpf(2)"],
    )
}

fn paragraphs(out: &mut dyn Write, title: &str, texts: &[&str]) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [title]);
    for text in texts {
        roff.control("PP", []);
        roff.text([roman(*text)]);
    }
    roff.to_writer(out)
}

fn table(out: &mut dyn Write, title: &str, rows: &[(&str, &str)]) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [title]);
    for (term, text) in rows {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
    roff.to_writer(out)
}

const SYNOPSIS: [(&str, &str); 6] = [
    (
        "rdtrace [options] [-s SCRIPT]... [-n SPEC]... [-c COMMAND | -p PID] [ARG]...",
        "Traces what the D programs of -s and -n describe.",
    ),
    (
        "rdtrace -l [-v] [-n SPEC] [-c COMMAND | -p PID]",
        "Lists probes.",
    ),
    ("rdtrace -e -s SCRIPT", "Compiles only."),
    (
        "rdtrace --doctor [-p PID]",
        "Tells what can be traced on this machine: kernel, rights, which Pythons run and what probes \
         they have; one line each, with what to do where it is not `ok'. The exit status is 1 if \
         nothing can be traced.",
    ),
    (
        "rdtrace run [NAME [ARG]...] [--show] [options] [-c COMMAND | -p PID | --all]",
        "Runs a script that comes with rdtrace, or shows it; lists them all without a name. -s NAME \
         finds them too, where there is no such file.",
    ),
    (
        "rdtrace flamegraph-diff BEFORE AFTER [-o FILE]",
        "Draws what differs between two outputs of --format folded.",
    ),
];

const DESCRIPTION: &[&str] = &[
    "rdtrace compiles D programs to eBPF and attaches them to probes in running programs: the \
     USDT probes of any ELF file, the functions of any CPython, timers, and its own BEGIN, END \
     and ERROR. It needs root, or the capabilities CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE.",
    "With -c, the probes are in place before the command's first instruction, and tracing ends \
     with the command. With -p, a running process is traced without being stopped. With neither, \
     a provider such as python* means every process of the machine, later ones included.",
];

const SPECIFIERS: &[&str] = &[
    "A probe is named by provider:module:function:name. Fields may be left out from the left, an \
     empty field matches anything, and *, ? and [...] are wildcards. A specifier may go on with a \
     predicate in slashes and a clause in braces, all in one argument.",
];

/// What is ours among the options of `-x`.
const TRACING_OPTIONS: [(&str, &str); 5] = [
    (
        "-x oformat=NAME",
        "What the output is, as --format: text (the default), json (one object a line), csv (a table of \
         values and aggregations), folded (stacks in lines), flamegraph (stacks as a picture, SVG), \
         speedscope, chrome (trace events, for Perfetto too), pprof, prometheus (metrics of aggregations), \
         top (stacks by function, live on a screen), otlp (spans, metrics and logs, sent to the OpenTelemetry collector that -o names: \
         http://HOST:4318). Entry and return probes of any provider are calls to folded, flamegraph, \
         speedscope, chrome, pprof and otlp. flamegraph, speedscope, chrome, pprof and prometheus are \
         documents: -o replaces the file.",
    ),
    (
        "-x followfork",
        "Trace also the processes that the targets of -c and -p start from now on, and those that \
         they start: python$target means them all. Tracing ends with the last of them. Every \
         process that runs the same files pays for a trap in each hit, traced or not. A program \
         that is neither known nor a Python in PATH is traced from a moment after its start.",
    ),
    (
        "-x pycheck=off",
        "Trace a Python that has no probes of its own without testing first that its functions are \
         seen as they are, and even if it has failed that test.",
    ),
    (
        "-x pystack=off",
        "Show ustack() in a Python as the interpreter's functions, not those of Python that they run.",
    ),
    (
        "-x pyusdt",
        "Use a Python's own probes wherever it has any, even where rdtrace has something better.",
    ),
];

const EXIT_STATUS: [(&str, &str); 4] = [
    (
        "0",
        "Tracing ended in good order; also after faults and drops, which are reported.",
    ),
    ("n", "The program called exit(n)."),
    (
        "1",
        "Something could not be compiled, found or enabled, or the output not be written.",
    ),
    ("2", "The command line is wrong."),
];

const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "DTRACE_OPT_NAME",
        "Sets the option NAME, as -x does; -x and the program's own pragmas win.",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where --format otlp sends to, if -o does not say; OTEL_EXPORTER_OTLP_PROTOCOL, _HEADERS, \
         _TIMEOUT and _COMPRESSION, OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME are heeded too.",
    ),
    ("NO_COLOR", "Messages have no colours on a terminal."),
];

const EXAMPLES: [(&str, &str); 11] = [
    ("rdtrace -l -p 1234", "Lists the probes of process 1234."),
    (
        "rdtrace -q -s call_stack.d -c \"python3 script.py\"",
        "Runs a script under a D program.",
    ),
    (
        "rdtrace -n 'python$target:::function-entry { @[copyinstr(arg1)] = count(); }' -p 1234",
        "Counts calls by function until Ctrl-C.",
    ),
    (
        "rdtrace -F -n 'python$target:::function-entry,python$target:::function-return {}' -p 1234",
        "Shows calls as they nest.",
    ),
    (
        "rdtrace run top -p 1234",
        "Shows live which functions of a Python take the most time.",
    ),
    (
        "rdtrace run flame -p 1234 -o flame.svg",
        "Draws where a Python spends its time on CPUs, until Ctrl-C.",
    ),
    (
        "rdtrace run slow 100 -p 1234",
        "Shows the Python calls that take at least 100 milliseconds.",
    ),
    (
        "rdtrace --format flamegraph -o calls.svg -n 'python$target:::function-entry, \
         python$target:::function-return {}' -c \"python3 script.py\"",
        "Draws where a program's time goes.",
    ),
    (
        "rdtrace --format chrome -o trace.json -n 'python$target:::function-entry, \
         python$target:::function-return {}' -p 1234",
        "Writes each call with its time, for ui.perfetto.dev.",
    ),
    (
        "rdtrace -q --listen 9435 -n 'python*:::gc-start { @gc[execname] = count(); }'",
        "Counts garbage collections, for Prometheus to fetch.",
    ),
    (
        "rdtrace -q --format otlp -o http://127.0.0.1:4318 -n 'python$target:::function-entry, \
         python$target:::function-return {}' -p 1234",
        "Sends each call as a span to an OpenTelemetry collector.",
    ),
];

#[cfg(test)]
mod tests {
    use clap_complete::Shell;

    use super::*;

    fn print(manual: Manual) -> String {
        let mut text = Vec::new();
        manual.print(crate::cli::command(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_page_has_every_visible_option() {
        let page = print(Manual::Page);
        for arg in crate::cli::command()
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
        {
            let wanted = match (arg.get_short(), arg.get_long()) {
                (Some(short), _) => format!("\\-{short}\\fR"),
                (None, Some(long)) => format!("\\-\\-{}\\fR", long.replace('-', "\\-")),
                (None, None) => continue,
            };
            assert!(page.contains(&wanted), "{wanted} is not in the page");
        }
    }

    #[test]
    fn the_page_has_its_own_sections() {
        let page = print(Manual::Page);
        for section in [
            "SYNOPSIS",
            "PROBE SPECIFIERS",
            "TRACING OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "EXAMPLES",
        ] {
            assert!(page.contains(section), "{section}");
        }
    }

    #[test]
    fn every_shell_has_completions() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            assert!(
                print(Manual::Completions(shell)).contains("rdtrace"),
                "{shell}"
            );
        }
    }
}
