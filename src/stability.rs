//! Stability attributes: what `-v` says about the interfaces that a program uses.
//!
//! DTrace gives each interface two stability levels, for its name and for what it means, and the
//! class of systems that have it. The report shows the least of each, as libdtrace does: of the
//! probe descriptions, and of what the statements name. The levels are those of DTrace 2.0.7. A
//! description whose provider field is empty or a pattern names no provider in particular.

use std::fmt::{self, Write as _};

use dlang::diag::Origin;
use dlang::program::{Builtin, Clause, Expr, ExprKind, ProbeDesc, Program, Subroutine};
use dlang::types::Type;
use dlang::walk::{each_clause_expr, each_part};

use crate::compile::Parsed;

/// How firm an interface is, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Private,
    Unstable,
    Evolving,
    Stable,
}

/// Which systems have an interface, from the fewest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Unknown,
    Isa,
    Common,
}

/// The attributes of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    name: Level,
    data: Level,
    class: Class,
}

const STABLE: Attributes = Attributes::of(Level::Stable, Class::Common);
const EVOLVING: Attributes = Attributes::of(Level::Evolving, Class::Common);
const UNSTABLE: Attributes = Attributes::of(Level::Unstable, Class::Common);
const PRIVATE: Attributes = Attributes::of(Level::Private, Class::Unknown);

impl Attributes {
    const fn of(level: Level, class: Class) -> Self {
        Self {
            name: level,
            data: level,
            class,
        }
    }

    fn least(self, other: Self) -> Self {
        Self {
            name: self.name.min(other.name),
            data: self.data.min(other.data),
            class: self.class.min(other.class),
        }
    }
}

/// Three lines, indented as in DTrace's listings.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = |level| match level {
            Level::Private => "Private",
            Level::Unstable => "Unstable",
            Level::Evolving => "Evolving",
            Level::Stable => "Stable",
        };
        let class = match self.class {
            Class::Unknown => "Unknown",
            Class::Isa => "ISA",
            Class::Common => "Common",
        };
        writeln!(f, "\t\tIdentifier Names: {}", level(self.name))?;
        writeln!(f, "\t\tData Semantics:   {}", level(self.data))?;
        writeln!(f, "\t\tDependency Class: {class}")
    }
}

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
        "proc" | "sched" => (PRIVATE, Attributes::of(Level::Evolving, Class::Isa)),
        "syscall" | "rawtp" => (PRIVATE, Attributes::of(Level::Private, Class::Isa)),
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
        Type::Pointer(to, _) => match to.as_ref() {
            Type::Struct(of) => of.kernel,
            Type::Void
            | Type::Int(_)
            | Type::String
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Symbol(_)
            | Type::Stack => false,
        },
        Type::Void
        | Type::Int(_)
        | Type::String
        | Type::Array(..)
        | Type::Struct(_)
        | Type::Symbol(_)
        | Type::Stack => false,
    }
}
