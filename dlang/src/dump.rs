//! The syntax tree as text, for `--dump ast` and the tests: S-expressions, which show precedence.

use std::fmt::{self, Display, Write as _};

use crate::ast::{
    Ast, BaseType, Declarator, DeclaratorPart, Expr, ExprKind, Item, Name, Parameter, Specifiers,
    Stmt, StmtKind, TypeName,
};
use crate::program::{BinaryOp, LogicOp, UnaryOp};

/// Prints a tree, one item or statement a line.
#[must_use]
pub fn dump(ast: &Ast) -> String {
    let mut out = String::new();
    for pragma in &ast.pragmas {
        let _ = writeln!(out, "(pragma {} {})", pragma.word, pragma.rest);
    }
    for item in &ast.items {
        dump_item(&mut out, item);
    }
    out
}

fn dump_item(out: &mut String, item: &Item) {
    // Writing to a String cannot fail.
    let _ = match item {
        Item::Clause(clause) => {
            let _ = write!(out, "(clause");
            for probe in &clause.probes {
                let _ = write!(out, " {}", probe.desc);
            }
            if let Some(predicate) = &clause.predicate {
                let _ = write!(out, "\n  (predicate {predicate})");
            }
            dump_body(out, &clause.body, 1);
            writeln!(out, ")")
        }
        Item::Declaration(declaration) => {
            let _ = write!(out, "(declare {}", declaration.specifiers);
            for declarator in &declaration.declarators {
                let _ = write!(out, " {declarator}");
            }
            writeln!(out, ")")
        }
        Item::Inline(inline) => {
            let stars = "*".repeat(inline.pointers.into());
            let _ = write!(out, "(inline {} {stars}{}", inline.specifiers, inline.name);
            for parameter in inline.parameters.iter().flatten() {
                let _ = write!(out, " [{parameter}]");
            }
            writeln!(out, " {})", inline.body)
        }
        Item::Translator(t) => {
            let _ = write!(out, "(translator {} {} {}", t.output, t.input, t.parameter);
            for (name, value) in &t.members {
                let _ = write!(out, "\n  (= {name} {value})");
            }
            writeln!(out, ")")
        }
        Item::Provider(provider) => {
            let _ = write!(out, "(provider {}", provider.name);
            for probe in &provider.probes {
                let input = List(&probe.input.parameters);
                let _ = write!(out, "\n  (probe {}{input}", probe.name);
                if let Some(output) = &probe.output {
                    let _ = write!(out, " :{}", List(&output.parameters));
                }
                let _ = write!(out, ")");
            }
            writeln!(out, ")")
        }
    };
}

fn dump_body(out: &mut String, body: &[Stmt], level: usize) {
    for stmt in body {
        let _ = write!(out, "\n{}", "  ".repeat(level));
        match &stmt.kind {
            StmtKind::Expr(expr) => {
                let _ = write!(out, "{expr}");
            }
            StmtKind::Block(body) => {
                let _ = write!(out, "(block");
                dump_body(out, body, level + 1);
                out.push(')');
            }
            StmtKind::If {
                cond,
                then,
                otherwise,
            } => {
                let _ = write!(out, "(if {cond}");
                dump_body(out, then, level + 1);
                if !otherwise.is_empty() {
                    let _ = write!(out, "\n{}else", "  ".repeat(level));
                    dump_body(out, otherwise, level + 1);
                }
                out.push(')');
            }
        }
    }
}

/// Elements after each other, each after a blank.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|element| write!(f, " {element}"))
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Int { value, .. } => write!(f, "{value}"),
            ExprKind::Char(value) => write!(f, "{value}"),
            ExprKind::Str(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => write!(f, "{text:?}"),
                Err(_not_utf8) => write!(f, "\"{}\"", bytes.escape_ascii()),
            },
            ExprKind::Ident(name) | ExprKind::Kernel(name) => f.write_str(name),
            ExprKind::SelfVar(name) => write!(f, "self->{name}"),
            ExprKind::ThisVar(name) => write!(f, "this->{name}"),
            ExprKind::Aggregation(name) => write!(f, "@{name}"),
            ExprKind::Call(name, args) => write!(f, "({name}{})", List(args)),
            ExprKind::Index(base, args) => write!(f, "([] {base}{})", List(args)),
            ExprKind::Member(base, name, arrow) => {
                write!(f, "({} {base} {name})", if *arrow { "->" } else { "." })
            }
            ExprKind::Unary(op, e) => write!(f, "({op} {e})"),
            ExprKind::Plus(e) => write!(f, "(+ {e})"),
            ExprKind::Indirect(e) => write!(f, "(* {e})"),
            ExprKind::Address(e) => write!(f, "(& {e})"),
            ExprKind::Stringof(e) => write!(f, "(stringof {e})"),
            ExprKind::Step { target, up, post } => {
                let op = if *up { "++" } else { "--" };
                if *post {
                    write!(f, "(post{op} {target})")
                } else {
                    write!(f, "({op} {target})")
                }
            }
            ExprKind::Binary(op, a, b) => write!(f, "({op} {a} {b})"),
            ExprKind::Logic(op, a, b) => write!(f, "({op} {a} {b})"),
            ExprKind::Assign(Some(op), a, b) => write!(f, "({op}= {a} {b})"),
            ExprKind::Assign(None, a, b) => write!(f, "(= {a} {b})"),
            ExprKind::Ternary(a, b, c) => write!(f, "(? {a} {b} {c})"),
            ExprKind::Comma(a, b) => write!(f, "(, {a} {b})"),
            ExprKind::Cast(ty, e) => write!(f, "(cast {ty} {e})"),
            ExprKind::SizeofType(ty) => write!(f, "(sizeof {ty})"),
            ExprKind::Sizeof(e) => write!(f, "(sizeof {e})"),
            ExprKind::Offsetof(ty, path) => write!(f, "(offsetof {ty}{})", List(path)),
            ExprKind::Xlate(ty, e) => write!(f, "(xlate {ty} {e})"),
        }
    }
}

impl Display for Specifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for qualifier in &self.qualifiers {
            write!(f, "{qualifier} ")?;
        }
        match &self.base {
            BaseType::Words(words) => f.write_str(&words.join(" ")),
            BaseType::Named(name) => f.write_str(name),
            BaseType::Mixed(words) => write!(f, "(mixed {})", words.join(" ")),
            BaseType::Struct {
                union,
                tag,
                members,
            } => {
                write!(f, "({} {tag}", if *union { "union" } else { "struct" })?;
                for member in members.iter().flatten() {
                    write!(f, " ({}", member.specifiers)?;
                    for (declarator, width) in &member.declarators {
                        if let Some(declarator) = declarator {
                            write!(f, " {declarator}")?;
                        }
                        if let Some(width) = width {
                            write!(f, " : {width}")?;
                        }
                    }
                    f.write_char(')')?;
                }
                f.write_char(')')
            }
            BaseType::Enum { tag, enumerators } => {
                write!(f, "(enum {tag}")?;
                for (name, value) in enumerators.iter().flatten() {
                    match value {
                        Some(value) => write!(f, " (= {name} {value})")?,
                        None => write!(f, " {name}")?,
                    }
                }
                f.write_char(')')
            }
        }
    }
}

impl Display for Declarator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self
            .name
            .as_ref()
            .map_or(String::new(), |name| name.text.clone());
        for part in &self.parts {
            match part {
                DeclaratorPart::Pointer => text.insert(0, '*'),
                DeclaratorPart::Array(None) => text.push_str("[]"),
                DeclaratorPart::Array(Some(size)) => write!(text, "[{size}]")?,
                DeclaratorPart::Keys(types) => {
                    write!(text, "[{}]", List(types).to_string().trim())?;
                }
                DeclaratorPart::OpenKeys => text.push_str("[...]"),
                DeclaratorPart::Function(parameters) => {
                    text = format!("({text}{})", List(parameters));
                }
            }
        }
        f.write_str(&text)
    }
}

impl Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.specifiers, self.declarator)
    }
}

impl Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.specifiers, self.declarator)
    }
}

impl Display for UnaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negate => "-",
            Self::Complement => "~",
            Self::Not => "!",
        })
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        })
    }
}

impl Display for LogicOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Xor => "^^",
        })
    }
}
