//! The steps between the command line and the tracing: what is read, what is chosen, what is checked
//! before any of the target runs.

use actions::follow::FollowFields;
use anyhow::Result;
use dlang::diag::Source;
use dlang::program::Program;
use provider::catalog::{self, Catalog};
use provider::features::KernelFeatures;

use crate::cli::{Cli, Input};
use crate::code_options::means_files;
use crate::compile::{self, Parsed};
use crate::follow::follow_fields;
use crate::library;
use crate::matching::{KnownArgs, Match};
use crate::options::Options;
use crate::target::Target;

/// Reads the sources and the libraries that they use, and sets the options of theirs that count before
/// they are parsed.
pub(crate) fn read_sources(
    cli: &Cli,
    options: &mut Options,
    catalog: &mut Catalog,
) -> Result<Vec<Source>> {
    let sources = compile::read_sources(cli, options, catalog)?;
    let sources = library::with_libraries(sources, options)?;
    compile::set_early_pragmas(&sources, options);
    Ok(sources)
}

/// Parses, with the libraries that the arguments of the program's probes take, too.
pub(crate) fn parse(
    cli: &Cli,
    options: &Options,
    sources: Vec<Source>,
    target: Option<u32>,
) -> Result<Parsed> {
    let parsed = compile::parse_sources(cli, options, sources, target)?;
    let types = translated_types(&parsed);
    if types.is_empty() {
        return Ok(parsed);
    }
    let sources = library::with_types(&parsed.sources, &types);
    compile::parse_sources(cli, options, sources, target)
}

/// The types of D libraries that the arguments of a program's probes may have, if it names any.
fn translated_types(parsed: &Parsed) -> Vec<&'static str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names_args = |source: &Source| {
        let mut words = source.text.split(|c| !is_word(c));
        words.any(|word| word.starts_with("arg"))
    };
    if !parsed.sources.iter().any(names_args) {
        return Vec::new();
    }
    let types = parsed.descs().flat_map(catalog::translated_types);
    types.collect()
}

/// Has the catalogue use the markers of Pythons where that is to be, if it is asked for all probes there
/// are before the program is parsed.
pub(crate) fn choose_markers_early(cli: &Cli, options: &Options, catalog: &mut Catalog) {
    let by_id = |input: &Input| matches!(input, Input::Id(_));
    if cli.list || cli.inputs.iter().any(by_id) {
        choose_markers(options, catalog);
    }
}

/// The same, if the program means probes in files.
pub(crate) fn choose_markers_for(parsed: &Parsed, options: &Options, catalog: &mut Catalog) {
    if means_files(parsed, catalog) {
        choose_markers(options, catalog);
    }
}

/// Has the catalogue use the markers of Pythons where the options say so, or the kernel.
fn choose_markers(options: &Options, catalog: &mut Catalog) {
    if options.pyusdt {
        catalog.prefer_markers("-x pyusdt asks for it");
    } else if KernelFeatures::lacks_may_goto() {
        catalog.prefer_markers("the lines of others take much of the stack, before Linux 6.9");
    }
}

/// The target of the command line, which the catalogue is told; none if nothing is to run.
pub(crate) fn open_target(cli: &Cli, catalog: &mut Catalog) -> Result<Target> {
    if cli.check_only {
        return Ok(Target::default());
    }
    let target = Target::open(cli)?;
    if let Some(pid) = target.pid() {
        catalog.set_target(pid);
    }
    Ok(target)
}

/// Checks the program; its errors as they are printed.
pub(crate) fn check(parsed: &Parsed, options: &Options, known: &KnownArgs) -> Result<Program> {
    compile::check_program(parsed, options, known)
        .map_err(|errors| compile::program_errors(&errors, &parsed.sources, options))
}

/// Checks the program with what is known before any of the command runs, so that it does not run for
/// nothing: as far as that can be said without the probes that are still missing.
pub(crate) fn check_early(parsed: &Parsed, options: &Options, matches: &[Match]) -> Result<()> {
    let known = KnownArgs::of(parsed, matches);
    match check(parsed, options, &known) {
        Err(error) if !known.has_guessed() => Err(error),
        Err(_) | Ok(_) => Ok(()),
    }
}

/// Has the catalogue follow the targets, if that is asked for and any description means them; gives
/// what it takes to do it.
pub(crate) fn follow(
    cli: &Cli,
    options: &Options,
    parsed: &Parsed,
    catalog: &mut Catalog,
    target: &Target,
) -> Result<Option<FollowFields>> {
    if cli.list || !options.followfork {
        return Ok(None);
    }
    catalog.follow(&target.pids());
    if parsed.descs().any(|desc| !catalog.trees(desc).is_empty()) {
        return follow_fields().map(Some);
    }
    catalog.follow(&[]);
    Ok(None)
}
