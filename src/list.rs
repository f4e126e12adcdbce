//! `-l`: the probes there are.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use dlang::program::ProbeDesc;
use provider::catalog::Catalog;
use provider::probe::{Probe, ProbeKind};
use provider::text::escaped;

use crate::attributes::Attributes;
use crate::cli::Cli;
use crate::compile::Parsed;
use crate::message::Messages;
use crate::run::Output;
use crate::stability;
use crate::target::Target;

/// Lists everything, or everything that the target has, by the ids.
pub(crate) fn everything(
    cli: &Cli,
    catalog: &mut Catalog,
    target: &mut Target,
    to: Output,
) -> Result<i32> {
    target.next_image()?;
    let provider = target
        .pid()
        .map(|pid| format!("*{pid}"))
        .unwrap_or_default();
    let mut probes = catalog.list(&ProbeDesc {
        provider,
        ..ProbeDesc::default()
    });
    probes.sort_by_key(|probe| probe.id);
    print(cli, catalog, &probes, to)?;
    Ok(0)
}

/// The order in which DTrace lists what a description matches; all there is it lists the other way round.
fn last_first(mut probes: Vec<Arc<Probe>>) -> Vec<Arc<Probe>> {
    probes.sort_by_key(|probe| std::cmp::Reverse(probe.id));
    probes
}

/// Lists what the descriptions of a program match, one after the other. A description that matches nothing is told,
/// and is no failure.
pub(crate) fn matching(
    cli: &Cli,
    parsed: &Parsed,
    catalog: &mut Catalog,
    messages: &Messages,
    to: Output,
) -> Result<i32> {
    let mut probes: Vec<Arc<Probe>> = Vec::new();
    for desc in parsed.descs() {
        let found = catalog.list(desc);
        if found.is_empty() {
            messages.say(&format!(
                "failed to match {desc}: No probe matches description"
            ));
        }
        probes.extend(last_first(found));
    }
    print(cli, catalog, &probes, to)?;
    Ok(0)
}

fn print(cli: &Cli, catalog: &Catalog, probes: &[Arc<Probe>], to: Output) -> io::Result<()> {
    let mut out = io::BufWriter::new(to.into_writer());
    let header = ["ID", "PROVIDER", "MODULE", "FUNCTION", "NAME"];
    let [id, provider, module, function, name] = header;
    writeln!(
        out,
        "{id:>5} {provider:>10} {module:>17} {function:>33} {name}"
    )?;
    for probe in probes {
        let desc = &probe.desc;
        writeln!(
            out,
            "{:>5} {:>10} {:>17} {:>33} {}{}",
            probe.id.0,
            escaped(&desc.provider),
            escaped(&desc.module),
            escaped(&desc.function),
            escaped(&desc.name),
            mark(probe)
        )?;
        if cli.verbose {
            details(&mut out, catalog, probe)?;
        }
    }
    out.flush()
}

/// What stands behind the name of a probe that is no marker in the file: after the five columns, for
/// those who read them by program.
fn mark(probe: &Probe) -> &'static str {
    match &probe.kind {
        ProbeKind::Python(sites) if sites.build.is_partial(sites.event) => {
            " (synthesised, partial)"
        }
        ProbeKind::Python(_) => " (synthesised)",
        ProbeKind::Sites(_)
        | ProbeKind::Begin
        | ProbeKind::End
        | ProbeKind::Error
        | ProbeKind::Timer(_)
        | ProbeKind::SystemCall(_)
        | ProbeKind::Kernel(_) => "",
    }
}

/// What `-v` adds: stability, argument types and, for USDT, the sites as the file describes them.
fn details(out: &mut impl Write, catalog: &Catalog, probe: &Probe) -> io::Result<()> {
    let (described, arguments) = stability::of_probe(&probe.desc);
    write!(out, "{}", about(probe, described, arguments))?;
    if let Some(details) = catalog.details(probe) {
        writeln!(out, "\n\tSites in {}", details.file.display())?;
        if let Some(build_id) = details.build_id {
            writeln!(out, "\t\tBuild ID: {build_id}")?;
        }
        for note in details.notes {
            writeln!(
                out,
                "\t\tLocation: {:#018x}, Base: {:#018x}, Semaphore: {:#018x}\n\t\tArguments: {}",
                note.location,
                note.base,
                note.semaphore,
                escaped(&note.arguments)
            )?;
        }
    }
    if let ProbeKind::Python(sites) = &probe.kind {
        writeln!(out, "\n\tSynthesised in {}", sites.file.shown.display())?;
        for line in sites.build.describe(sites.event) {
            writeln!(out, "\t\t{line}")?;
        }
    }
    if let Some(remark) = catalog.remark(probe) {
        writeln!(out, "\t\tNote: {remark}")?;
    }
    writeln!(out)
}

/// Stability and argument types.
pub(crate) fn about(probe: &Probe, described: Attributes, arguments: Attributes) -> String {
    let mut out = format!(
        "\n\tProbe Description Attributes\n{described}\n\tArgument Attributes\n{arguments}\n\
         \tArgument Types\n"
    );
    let is_without = match &probe.dependent {
        Some(dependent) => dependent.outputs.is_empty(),
        None => probe.args.is_empty(),
    };
    if is_without {
        out += "\t\tNone\n";
    }
    let shown = probe
        .dependent
        .map_or(&[][..], |dependent| dependent.outputs);
    for (n, (_, ty)) in shown.iter().enumerate() {
        let _ = writeln!(out, "\t\targs[{n}]: {ty}");
    }
    let own = probe.dependent.is_none().then_some(&probe.args);
    for (n, arg) in own.into_iter().flat_map(|args| args.iter()).enumerate() {
        let _ = match &arg.meaning {
            Some(meaning) => writeln!(out, "\t\targs[{n}]: {meaning}"),
            None => writeln!(out, "\t\targs[{n}]: {}", arg.ty),
        };
    }
    out
}
