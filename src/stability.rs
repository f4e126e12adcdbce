//! Stability attributes: what `-v` says about the interfaces that a program uses.
//!
//! DTrace gives each interface two stability levels, for its name and for what it means, and the
//! class of systems that have it. The report shows the least of each, as libdtrace does: of the
//! probe descriptions, and of what the statements name. The levels are those of DTrace 2.0.7, which has one for
//! each field of a description. One whose provider field is empty or a pattern names no provider in particular.

use std::fmt::Write as _;

use anyhow::Result;
use dlang::diag::{Diagnostic, Origin};
use dlang::program::{Builtin, Clause, Expr, ExprKind, ProbeDesc, Program, Subroutine};
use dlang::tags::Tag;
use dlang::types::Type;
use dlang::walk::{each_clause_expr, each_part};
use provider::probe::Probe;

use crate::attributes::{Attributes, Class, Level};
use crate::compile::{Parsed, program_errors};
use crate::list;
use crate::matching::Match;
use crate::options::Options;

const STABLE: Attributes = Attributes::of(Level::Stable, Class::Common);
const EVOLVING: Attributes = Attributes::of(Level::Evolving, Class::Common);
const UNSTABLE: Attributes = Attributes::of(Level::Unstable, Class::Common);
const EVOLVING_ISA: Attributes = Attributes::of(Level::Evolving, Class::Isa);
const PRIVATE: Attributes = Attributes::of(Level::Private, Class::Unknown);
const PRIVATE_ISA: Attributes = Attributes::of(Level::Private, Class::Isa);

/// The attributes of a provider: of its name, of each further field of its probes' descriptions, and of
/// their arguments.
struct OfProvider {
    provider: Attributes,
    module: Attributes,
    function: Attributes,
    name: Attributes,
    arguments: Attributes,
}

impl OfProvider {
    fn of(name: &str) -> Self {
        let all = |attributes| Self {
            provider: attributes,
            module: PRIVATE,
            function: PRIVATE,
            name: attributes,
            arguments: attributes,
        };
        match name {
            "dtrace" => all(STABLE),
            "profile" | "cpc" => all(EVOLVING),
            "fbt" | "rawfbt" => Self {
                arguments: PRIVATE_ISA,
                ..all(EVOLVING)
            },
            "proc" | "sched" | "io" | "ip" | "tcp" | "udp" => all(EVOLVING_ISA),
            "syscall" | "rawtp" | "sdt" => Self {
                provider: EVOLVING,
                function: PRIVATE_ISA,
                ..all(PRIVATE_ISA)
            },
            _in_programs => Self {
                arguments: PRIVATE,
                ..all(EVOLVING_ISA)
            },
        }
    }
}

/// The attributes of probes, and of their arguments: the least of the fields that the description gives.
pub(crate) fn of_probe(desc: &ProbeDesc) -> (Attributes, Attributes) {
    if desc.provider.is_empty() || is_pattern(&desc.provider) {
        return (UNSTABLE, UNSTABLE);
    }
    let of = OfProvider::of(&desc.provider);
    let fields = [
        (&desc.module, of.module),
        (&desc.function, of.function),
        (&desc.name, of.name),
    ];
    let given = fields
        .into_iter()
        .filter(|(field, _)| !field.is_empty() && !is_pattern(field));
    let described = given.fold(of.provider, |least, (_, field)| least.least(field));
    (described, of.arguments)
}

fn is_pattern(field: &str) -> bool {
    field.contains(['*', '?', '[', '\\'])
}

/// What there is to say about a description of a program: its attributes and those of its probe's
/// arguments, and the probe. As in DTrace only a description of exactly one probe says which interface it
/// means.
fn described<'m>(
    (parsed, matches): (&Parsed, &'m [Match]),
    desc: &ProbeDesc,
) -> (Attributes, Attributes, Option<&'m Probe>) {
    let found = matches.iter().find(|found| found.desc(parsed) == desc);
    let mut probes = found.into_iter().flat_map(Match::all);
    let first = probes.next();
    // One that fires in more ways than one is several here.
    let only = first.filter(|first| probes.all(|other| other.desc == first.desc));
    match only {
        Some(probe) => {
            let (described, arguments) = of_probe(desc);
            (described, arguments, Some(probe))
        }
        None => (UNSTABLE, UNSTABLE, None),
    }
}

/// The reports of all sources, in order; of a program that is not run also what is known of each
/// description's probe.
pub(crate) fn report(
    parsed: &Parsed,
    program: &Program,
    matches: &[Match],
    is_run: bool,
) -> String {
    let mut text = String::new();
    for (index, source) in parsed.sources.iter().enumerate() {
        let what = match &source.origin {
            Origin::Library(_) => continue,
            Origin::Script(path) => format!("script {path}"),
            Origin::Specifier { text, .. } => format!("description {}", description(text)),
        };
        let clauses = program.clauses.iter();
        let clauses = clauses.filter(|clause| usize::from(clause.span.source) == index);
        let stated = clauses.fold(STABLE, |least, clause| least.least(of_statements(clause)));
        let specs = parsed.specs().map(|(_, spec)| spec);
        let specs = specs.filter(|spec| usize::from(spec.span.source) == index);
        let (mut least, mut probes) = (STABLE, String::new());
        for spec in specs {
            let (attributes, arguments, probe) = described((parsed, matches), &spec.desc);
            least = least.least(attributes);
            let _ = writeln!(probes, "\n{}", spec.desc);
            if let Some(probe) = probe {
                let _ = writeln!(probes, "{}", list::about(probe, attributes, arguments));
            }
        }
        let _ = write!(
            text,
            "\nStability attributes for {what}:\n\n\tMinimum Probe Description Attributes\n{least}\n\
             \tMinimum Statement Attributes\n{stated}"
        );
        text += if is_run { "\n" } else { &probes };
    }
    text
}

/// Refuses a program with a clause whose attributes are less than `-x amin` asks for.
pub(crate) fn check_minimum(
    parsed: &Parsed,
    program: &Program,
    matches: &[Match],
    options: &Options,
) -> Result<()> {
    let Some(minimum) = options.amin else {
        return Ok(());
    };
    let errors: Vec<Diagnostic> = program
        .clauses
        .iter()
        .filter_map(|clause| {
            let specs = clause.probes.iter();
            let attributes = specs.map(|spec| described((parsed, matches), &spec.desc).0);
            let probes = attributes.fold(STABLE, Attributes::least);
            // As in libdtrace, the statements are looked at when the probes have passed.
            let least = if probes.least(minimum) == minimum {
                probes.least(of_statements(clause))
            } else {
                probes
            };
            let message = format!(
                "attributes for clause ({}) are less than predefined minimum",
                least.line()
            );
            let error = Diagnostic::new(Tag::AttrMin, clause.span, &message);
            (least.least(minimum) != minimum).then_some(error)
        })
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(program_errors(&errors, &parsed.sources, options))
}

/// A specifier up to its predicate, its statements, or the end of a declaration.
pub(crate) fn description(specifier: &str) -> &str {
    let end = specifier.find(['/', '{', ';']).unwrap_or(specifier.len());
    &specifier[..end]
}

fn of_statements(clause: &Clause) -> Attributes {
    let mut least = STABLE;
    let arguments = clause.probes.iter().map(|spec| of_probe(&spec.desc).1);
    let arguments = arguments.fold(STABLE, Attributes::least);
    // The predicate of a probe that depends on another is its condition as well, which nobody wrote.
    let condition = clause.dependent.and(clause.predicate.as_ref());
    each_clause_expr(clause, &mut |expr| {
        if condition.is_some_and(|condition| std::ptr::eq(condition, expr)) {
            return;
        }
        each_part(expr, &mut |part| {
            least = least.least(of_expression(part, arguments));
        });
    });
    least
}

/// The attributes of what an expression names itself.
fn of_expression(expr: &Expr, arguments: Attributes) -> Attributes {
    match &expr.kind {
        ExprKind::Builtin(Builtin::Curthread) => Attributes {
            data: Level::Private,
            ..STABLE
        },
        ExprKind::TypedArg(_) => arguments,
        ExprKind::Call(subroutine, _) => of_subroutine(*subroutine),
        ExprKind::Cast(_) if points_to_kernel_struct(&expr.ty) => PRIVATE,
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Var(_)
        | ExprKind::Element(..)
        | ExprKind::Builtin(_)
        | ExprKind::Arg(_)
        | ExprKind::Unary(..)
        | ExprKind::Binary(..)
        | ExprKind::Logic(..)
        | ExprKind::Ternary(..)
        | ExprKind::Assign(..)
        | ExprKind::Step { .. }
        | ExprKind::Cast(_)
        | ExprKind::Deref(_)
        | ExprKind::Member { .. }
        | ExprKind::Index { .. }
        | ExprKind::AddressOf(_)
        | ExprKind::BitField { .. }
        | ExprKind::Byte(..)
        | ExprKind::Comma(..)
        | ExprKind::Recorded(_) => STABLE,
    }
}

fn of_subroutine(subroutine: Subroutine) -> Attributes {
    let is_evolving = matches!(
        subroutine,
        Subroutine::Getmajor
            | Subroutine::Getminor
            | Subroutine::Htons
            | Subroutine::Htonl
            | Subroutine::Htonll
            | Subroutine::Ntohs
            | Subroutine::Ntohl
            | Subroutine::Ntohll
    );
    if is_evolving { EVOLVING } else { STABLE }
}

fn points_to_kernel_struct(ty: &Type) -> bool {
    match ty {
        Type::Pointer(to, _) => match to.bare() {
            Type::Struct(of) => of.kernel,
            Type::Void
            | Type::Int(_)
            | Type::Float(_)
            | Type::String
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_) => false,
        },
        Type::Void
        | Type::Int(_)
        | Type::Float(_)
        | Type::String
        | Type::Array(..)
        | Type::Struct(_)
        | Type::Symbol(_)
        | Type::Stack
        | Type::Named(_) => false,
    }
}
