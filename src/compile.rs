//! From the command line's scripts and specifiers to a checked program.

use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use dlang::ast::{Ast, Item};
use dlang::check::{CheckOptions, ProbeArgs, check_with};
use dlang::diag::{Diagnostic, Origin, Source, Span, SpecifierKind};
use dlang::program::{ProbeDesc, ProbeSpec, Program};
use dlang::render::{Location, RenderOptions, locate, render};
use dlang::tags::Tag;
use dlang::{Macros, parse};
use provider::catalog::Catalog;
use provider::doctor::diagnose;
use provider::kernel_types::BtfTypes;
use provider::probe::ProbeId;

use crate::cli::{Cli, Input};
use crate::examples::Example;
use crate::message::reason;
use crate::options::{Conformance, Options};

/// A program as it is written.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Its tree.
    pub(crate) ast: Ast,
    /// The probe descriptions of its clauses.
    pub(crate) clauses: Vec<Vec<ProbeSpec>>,
    /// Its sources; spans point into them.
    pub(crate) sources: Vec<Source>,
}

/// Which probe description: the number of its clause in the text, and its own in the clause.
pub(crate) type Spec = (usize, usize);

impl Parsed {
    /// All probe descriptions.
    pub(crate) fn specs(&self) -> impl Iterator<Item = (Spec, &ProbeSpec)> + Clone {
        let clauses = self.clauses.iter().enumerate();
        clauses.flat_map(|(clause, specs)| {
            let specs = specs.iter().enumerate();
            specs.map(move |(spec, probe)| ((clause, spec), probe))
        })
    }

    /// All of them without their places.
    pub(crate) fn descs(&self) -> impl Iterator<Item = &ProbeDesc> + Clone {
        self.specs().map(|(_, spec)| &spec.desc)
    }

    /// One of them.
    pub(crate) fn spec(&self, (clause, spec): Spec) -> &ProbeSpec {
        &self.clauses[clause][spec]
    }
}

/// Puts the names of probes where the program has their numbers.
pub(crate) fn name_probes(
    parsed: &mut Parsed,
    catalog: &mut Catalog,
    options: &Options,
) -> Result<()> {
    let mut unknown = Vec::new();
    let mut name = |spec: &mut ProbeSpec| {
        let Some(id) = spec.desc.id() else { return };
        let known = u32::try_from(id).ok();
        match known.and_then(|id| probe_by_id(catalog, ProbeId(id))) {
            Some(desc) => spec.desc = desc,
            None => {
                let message = format!("invalid probe identifier {id}: Unknown probe identifier");
                unknown.push(Diagnostic::new(Tag::PdescInval, spec.span, &message));
            }
        }
    };
    for item in &mut parsed.ast.items {
        if let Item::Clause(clause) = item {
            clause.probes.iter_mut().for_each(&mut name);
        }
    }
    if !unknown.is_empty() {
        return Err(program_errors(&unknown, &parsed.sources, options));
    }
    parsed.clauses = clauses(&parsed.ast);
    Ok(())
}

/// Errors of the program: all that were found.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|error| error.text.as_str()).collect::<Vec<_>>().join("\n"))]
pub(crate) struct ProgramErrors(pub(crate) Vec<ProgramError>);

/// An error of the program.
#[derive(Debug)]
pub(crate) struct ProgramError {
    /// The message, ready to print.
    pub(crate) text: String,
    /// What kind it is of.
    pub(crate) tag: Tag,
    /// Where it is.
    pub(crate) location: Option<Location>,
}

impl ProgramError {
    /// A diagnostic with its message.
    pub(crate) fn new(error: &Diagnostic, text: String, sources: &[Source]) -> Self {
        Self {
            text,
            tag: error.tag,
            location: locate(error, sources),
        }
    }
}

/// Reads the sources in order.
pub(crate) fn read_sources(
    cli: &Cli,
    options: &Options,
    catalog: &mut Catalog,
) -> Result<Vec<Source>> {
    cli.inputs
        .iter()
        .map(|input| read_source(input, options, catalog))
        .collect()
}

fn read_source(input: &Input, options: &Options, catalog: &mut Catalog) -> Result<Source> {
    Ok(match input {
        Input::Script(path) => {
            let bytes = read_script(path)?;
            let bytes = if options.cpp {
                preprocess(bytes, options)?
            } else {
                bytes
            };
            let text = String::from_utf8(bytes).ok().with_context(|| {
                format!("failed to compile script {path}: not a D script: it is not text")
            })?;
            Source {
                origin: Origin::Script(path.clone()),
                text,
            }
        }
        Input::Text { name, text } => Source {
            origin: Origin::Script(name.clone()),
            text: text.clone(),
        },
        Input::Specifier(letter, text) => Source {
            origin: Origin::Specifier {
                text: text.clone(),
                kind: match letter {
                    'P' => SpecifierKind::Provider,
                    'm' => SpecifierKind::Module,
                    'f' => SpecifierKind::Function,
                    _ => SpecifierKind::Name,
                },
            },
            text: text.clone(),
        },
        Input::Id(text) => {
            let origin = Origin::Specifier {
                text: text.clone(),
                kind: SpecifierKind::Name,
            };
            // What is no number is taken as a name.
            let Some((number, rest)) = number_of_probe(text) else {
                return Ok(Source {
                    origin,
                    text: text.clone(),
                });
            };
            let id = number.map_err(|digits| {
                anyhow!(
                    "invalid probe specifier {text}: constant {digits} results in integer overflow"
                )
            })?;
            let id32 = u32::try_from(id).ok().map(ProbeId);
            let desc = id32.and_then(|id| probe_by_id(catalog, id));
            let desc = desc.with_context(|| {
                let tag = if options.errtags {
                    "[D_PDESC_INVAL] "
                } else {
                    ""
                };
                format!(
                    "invalid probe specifier {text}: {tag}invalid probe identifier {id}: Unknown \
                     probe identifier"
                )
            })?;
            Source {
                origin,
                text: format!("{desc}{rest}"),
            }
        }
    })
}

/// The number that `-i` begins with, and what follows it: a predicate or a clause. The number is an error if
/// it is none of 64 bits.
fn number_of_probe(text: &str) -> Option<(Result<u64, &str>, &str)> {
    let text = text.trim_start();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-';
    let split = text.find(|c| !word(c)).unwrap_or(text.len());
    let (digits, rest) = text.split_at(split);
    let (number, radix) = match digits.strip_prefix("0x") {
        Some(number) => (number, 16),
        None => (digits, 10),
    };
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_digit(radix));
    is_number.then(|| {
        (
            u64::from_str_radix(number, radix).map_err(|_too_large| digits),
            rest,
        )
    })
}

/// A script: the file, or else the one of that name that comes with rdtrace.
fn read_script(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).or_else(|error| {
        let example = Example::find(path).filter(|_| error.kind() == ErrorKind::NotFound);
        match example {
            Some(example) => Ok(example.text.into()),
            None if error.kind() == ErrorKind::IsADirectory => {
                bail!("failed to compile script {path}: Error occurred while reading from input stream")
            }
            None => bail!("failed to open {path}: {}", reason(&error)),
        }
    })
}

/// The name of the probe that `-l` lists under this id.
fn probe_by_id(catalog: &mut Catalog, id: ProbeId) -> Option<ProbeDesc> {
    if catalog.probe(id).is_none() {
        catalog.list(&ProbeDesc::default());
    }
    catalog.probe(id).map(|probe| probe.desc.clone())
}

/// The names that D defines for the preprocessor, beside its own.
const CPP_NAMES: [&str; 6] = [
    "-D__SUNW_D=1",
    "-D__SUNW_D_64=1",
    "-D__SUNW_D_VERSION=0x02000007",
    "-D__SVR4=1",
    "-D_LP64=1",
    "-D__linux=1",
];

/// Runs the C preprocessor over a script, as `-C` asks. It is DTrace's, but for the first line, which it need not
/// see: strict C, of no particular compiler.
pub(crate) fn preprocess(script: Vec<u8>, options: &Options) -> Result<Vec<u8>> {
    let failed = || format!("failed to invoke C preprocessor {}", options.cpppath);
    // A first line `#!...` is for the kernel, and cpp would choke on it.
    let script = match script.strip_prefix(b"#!") {
        Some(rest) => [b"//", rest].concat(),
        None => script,
    };
    let mut child = Command::new(&options.cpppath)
        // Its own names for this machine stay defined (`__linux__`, `__x86_64__`, `__LP64__`), and
        // its line markers tell messages where a line came from.
        .args(match options.stdc {
            Conformance::Strict => ["-std=c99", "-U__GNUC__"],
            Conformance::Traditional => ["-traditional-cpp", "-U__GNUC__"],
        })
        .args(CPP_NAMES)
        .args(&options.cppargs)
        .arg("/dev/stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(failed)?;
    let mut input = child.stdin.take().with_context(failed)?;
    let writer = thread::spawn(move || input.write_all(&script));
    let mut text = Vec::new();
    child
        .stdout
        .take()
        .with_context(failed)?
        .read_to_end(&mut text)?;
    let status = child.wait()?;
    let _ = writer.join();
    if !status.success() {
        bail!("{}: {status}", failed());
    }
    Ok(text)
}

/// Parses.
pub(crate) fn parse_sources(
    cli: &Cli,
    options: &Options,
    sources: Vec<Source>,
    target: Option<u32>,
) -> Result<Parsed> {
    let macros = macros(cli, options, target);
    match parse(&sources, &macros) {
        Ok(ast) => Ok(Parsed {
            clauses: clauses(&ast),
            ast,
            sources,
        }),
        Err(errors) => Err(program_errors(&errors, &sources, options)),
    }
}

fn clauses(ast: &Ast) -> Vec<Vec<ProbeSpec>> {
    let items = ast.items.iter();
    items
        .filter_map(|item| match item {
            Item::Clause(clause) => Some(clause.probes.clone()),
            Item::Declaration(_) | Item::Inline(_) | Item::Translator(_) | Item::Provider(_) => {
                None
            }
        })
        .collect()
}

/// Sets the options that the program sets; before it is matched and checked, which depend on some.
pub(crate) fn set_program_options(parsed: &Parsed, options: &mut Options) -> Result<()> {
    let Parsed { ast, sources, .. } = parsed;
    let empty = sources_without_clause(ast, sources);
    if !empty.is_empty() {
        return Err(program_errors(&empty, sources, options));
    }
    set_pragma_options(parsed, options)
}

/// Sets the options of `#pragma D option` lines.
pub(crate) fn set_pragma_options(parsed: &Parsed, options: &mut Options) -> Result<()> {
    let Parsed { ast, sources, .. } = parsed;
    set_pragmas(ast, options).map_err(|error| program_errors(&[error], sources, options))
}

/// Checks the program with what is known of its probes.
pub(crate) fn check_program(
    parsed: &Parsed,
    options: &Options,
    probes: &dyn ProbeArgs,
) -> Result<Program, Vec<Diagnostic>> {
    let check_options = CheckOptions {
        strsize: options.output.strsize,
        scratchsize: options.scratchsize,
        printsize: options.printsize,
    };
    check_with(&parsed.ast, probes, &BtfTypes::of_kernel(), &check_options)
}

/// The errors of a program, ready to print.
pub(crate) fn program_errors(
    errors: &[Diagnostic],
    sources: &[Source],
    options: &Options,
) -> anyhow::Error {
    let told = |error| ProgramError::new(error, message(error, sources, options), sources);
    ProgramErrors(errors.iter().map(told).collect()).into()
}

/// As in libdtrace each source must have a clause: declarations alone trace nothing.
fn sources_without_clause(ast: &Ast, sources: &[Source]) -> Vec<Diagnostic> {
    let clause_sources: Vec<u16> = ast
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Clause(clause) => Some(clause.span.source),
            Item::Declaration(_) | Item::Inline(_) | Item::Translator(_) | Item::Provider(_) => {
                None
            }
        })
        .collect();
    (0..)
        .zip(sources)
        .filter(|(_, source)| !matches!(source.origin, Origin::Library(_)))
        .filter(|(index, _)| !clause_sources.contains(index))
        .map(|(index, source)| {
            let end = u32::try_from(source.text.len()).unwrap_or(u32::MAX);
            let span = Span {
                source: index,
                start: end,
                end,
            };
            let message = "empty D program translation unit";
            Diagnostic::new(Tag::Empty, span, message)
                .with_hint("a program needs a clause: probe { actions }")
        })
        .collect()
}

/// Sets those options of `#pragma D option` lines that count before the program is parsed and its
/// target opened. What is wrong with a line is told by [`set_pragmas`].
pub(crate) fn set_early_pragmas(sources: &[Source], options: &mut Options) {
    const EARLY: [&str; 4] = ["defaultargs", "argref", "pycheck", "pyusdt"];
    for (name, value) in dlang::option_lines(sources) {
        if EARLY.contains(&name.as_str()) {
            let _ = options.set(&name, value.as_deref());
        }
    }
}

/// Sets what the program's `#pragma D option` lines say: before the check, which depends on some.
fn set_pragmas(ast: &Ast, options: &mut Options) -> Result<(), Diagnostic> {
    for pragma in ast.pragmas.iter().filter(|pragma| pragma.word == "option") {
        let (name, value) = match pragma.rest.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pragma.rest.as_str(), None),
        };
        options.set(name, value).map_err(|error| {
            let to = value
                .map(|value| format!(" to '{value}'"))
                .unwrap_or_default();
            let text = format!("failed to set option '{name}'{to}: {error}");
            Diagnostic::new(Tag::PragmaOptset, pragma.span, &text)
        })?;
    }
    Ok(())
}

/// One error as it is printed.
pub(crate) fn message(error: &Diagnostic, sources: &[Source], options: &Options) -> String {
    let text = render(
        error,
        sources,
        RenderOptions {
            tags: options.errtags,
        },
    );
    text.trim_end().to_owned()
}

/// The error for a description that matches nothing.
pub(crate) fn no_match(parsed: &Parsed, spec: &ProbeSpec, options: &Options) -> String {
    let text = format!("probe description {} does not match any probes", spec.desc);
    let sources = &parsed.sources;
    refusal(Tag::PdescZero, spec.span, &text, sources, options)
}

/// The same with what the probe doctor finds out, for what runs now.
pub(crate) fn explained(error: &str, catalog: &mut Catalog, desc: &ProbeDesc) -> String {
    with_reason(error, &diagnose(catalog, desc).to_string())
}

/// An error and the reason for it, in lines of their own.
pub(crate) fn with_reason(error: &str, reason: &str) -> String {
    let lines = std::iter::once(error).chain(reason.lines());
    lines.collect::<Vec<_>>().join("\n  ")
}

/// The errors of later stages, told like those of the program.
pub(crate) fn refusal(
    tag: Tag,
    span: Span,
    text: &str,
    sources: &[Source],
    options: &Options,
) -> String {
    message(&Diagnostic::new(tag, span, text), sources, options)
}

/// The name that this command was started by.
fn command_name() -> String {
    let argv0 = std::env::args().next().unwrap_or_default();
    let name = std::path::Path::new(&argv0).file_name();
    name.and_then(|name| name.to_str())
        .unwrap_or("rdtrace")
        .to_owned()
}

fn macros(cli: &Cli, options: &Options, target: Option<u32>) -> Macros {
    use nix::unistd;
    let id = |pid: unistd::Pid| u32::try_from(pid.as_raw()).unwrap_or(0);
    let script = cli.inputs.iter().find_map(|input| match input {
        Input::Script(path) | Input::Text { name: path, .. } => Some(path.clone()),
        Input::Specifier(..) | Input::Id(_) => None,
    });
    Macros {
        args: cli.operands.clone(),
        script: script.unwrap_or_else(command_name),
        target,
        pid: std::process::id(),
        ppid: id(unistd::getppid()),
        uid: unistd::getuid().as_raw(),
        euid: unistd::geteuid().as_raw(),
        gid: unistd::getgid().as_raw(),
        egid: unistd::getegid().as_raw(),
        pgid: id(unistd::getpgrp()),
        sid: unistd::getsid(None).map_or(0, id),
        default_args: options.defaultargs,
        unreferenced_args: options.argref,
    }
}
