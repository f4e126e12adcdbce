//! Stability attributes: what `-v` says about the interfaces that a program uses.
//!
//! DTrace gives each interface two stability levels, for its name and for what it means, and the
//! class of systems that have it. The report shows the least of each, as libdtrace does: of the
//! probe descriptions, and of what the statements name. The levels are those of DTrace 2.0.7. A
//! description whose provider field is empty or a pattern names no provider in particular.

use std::fmt::Write as _;

use anyhow::Result;
use dlang::diag::{Diagnostic, Origin};
use dlang::program::{Builtin, Clause, Expr, ExprKind, ProbeDesc, Program, Subroutine};
use dlang::tags::Tag;
use dlang::types::Type;
use dlang::walk::{each_clause_expr, each_part};

use crate::attributes::{Attributes, Class, Level};
use crate::compile::{Parsed, program_errors};
use crate::options::Options;

const STABLE: Attributes = Attributes::of(Level::Stable, Class::Common);
const EVOLVING: Attributes = Attributes::of(Level::Evolving, Class::Common);
const UNSTABLE: Attributes = Attributes::of(Level::Unstable, Class::Common);
const PRIVATE: Attributes = Attributes::of(Level::Private, Class::Unknown);

/// The attributes of a provider's probes, and of their arguments.
pub(crate) fn of_provider(desc: &ProbeDesc) -> (Attributes, Attributes) {
    let name = desc.provider.as_str();
    if name.is_empty() || name.contains(['*', '?', '[', '\\']) {
        return (UNSTABLE, UNSTABLE);
    }
    match name {
        "dtrace" => (STABLE, STABLE),
        "profile" => (EVOLVING, EVOLVING),
        "fbt" => (EVOLVING, Attributes::of(Level::Private, Class::Isa)),
        "proc" | "sched" | "io" | "ip" | "tcp" | "udp" => {
            (PRIVATE, Attributes::of(Level::Evolving, Class::Isa))
        }
        "syscall" | "rawtp" | "sdt" => (PRIVATE, Attributes::of(Level::Private, Class::Isa)),
        _in_programs => (Attributes::of(Level::Evolving, Class::Isa), PRIVATE),
    }
}

/// The reports of all sources, in order.
pub(crate) fn report(parsed: &Parsed, program: &Program) -> String {
    let mut text = String::new();
    for (index, source) in parsed.sources.iter().enumerate() {
        let what = match &source.origin {
            Origin::Library(_) => continue,
            Origin::Script(path) => format!("script {path}"),
            Origin::Specifier { text, .. } => format!("description {}", description(text)),
        };
        let clauses = program.clauses.iter();
        let clauses = clauses.filter(|clause| usize::from(clause.span.source) == index);
        let (mut described, mut stated) = (STABLE, STABLE);
        for clause in clauses {
            for spec in &clause.probes {
                described = described.least(of_provider(&spec.desc).0);
            }
            stated = stated.least(of_statements(clause));
        }
        let _ = write!(
            text,
            "\nStability attributes for {what}:\n\n\tMinimum Probe Description Attributes\n{described}\n\
             \tMinimum Statement Attributes\n{stated}\n"
        );
    }
    text
}

/// Refuses a program with a clause whose attributes are less than `-x amin` asks for.
pub(crate) fn check_minimum(parsed: &Parsed, program: &Program, options: &Options) -> Result<()> {
    let Some(minimum) = options.amin else {
        return Ok(());
    };
    let errors: Vec<Diagnostic> = program
        .clauses
        .iter()
        .filter_map(|clause| {
            let described = clause.probes.iter().map(|spec| of_provider(&spec.desc).0);
            let least = described.fold(of_statements(clause), Attributes::least);
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

/// A specifier without its predicate and statements.
pub(crate) fn description(specifier: &str) -> &str {
    let end = specifier.find(['/', '{']).unwrap_or(specifier.len());
    &specifier[..end]
}

fn of_statements(clause: &Clause) -> Attributes {
    let mut least = STABLE;
    let arguments = clause.probes.iter().map(|spec| of_provider(&spec.desc).1);
    let arguments = arguments.fold(STABLE, Attributes::least);
    each_clause_expr(clause, &mut |expr| {
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
