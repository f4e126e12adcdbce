//! D text to the [`Ast`].
//!
//! Three steps for each source: `scan` takes out control lines and limits nesting, the pest
//! grammar in `grammar.pest` gives tokens in their structure, and the files beside this one build
//! the tree from it, with macros expanded and constants read. A source with a syntax error gives
//! that one error; the other sources are parsed all the same.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the grammar says which rules a part can be; the last arm is the last of these"
)]

mod decl;
mod expr;
mod literal;
mod macros;
mod probe;
mod scan;
mod span;
mod words;

use std::cell::{Cell, RefCell};

use pest::Parser;
use pest::error::InputLocation;
use pest::iterators::Pair;

use crate::ast::{Ast, Clause, Item, Name, Stmt, StmtKind};
use crate::diag::{Diagnostic, Origin, Source, Span, SpecifierKind};
use crate::tags::Tag;

pub use macros::Macros;

use macros::Expander;
use scan::TypeNames;
use span::span;
use words::Expanded;

#[expect(unreachable_pub, reason = "pest derives a public enum")]
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "grammar.pest"]
    pub struct Grammar;
}

use grammar::{Grammar, Rule};

/// How deep an expression may nest, operators that follow each other included.
const MAX_DEPTH: usize = 400;

/// Parses the sources, in order, into one tree.
///
/// # Errors
///
/// What is not D (one syntax error for each source), bad constants, undefined macros; when all
/// is well, a macro argument that no source uses.
pub fn parse(sources: &[Source], macros: &Macros) -> Result<Ast, Vec<Diagnostic>> {
    let expander = Expander::new(macros);
    let mut ast = Ast::default();
    let mut errors = Vec::new();
    let mut types = TypeNames::new();
    let is_library = |source: &Source| matches!(source.origin, Origin::Library(_));
    let numbered = || (0u16..).zip(sources);
    let libraries = numbered().filter(|(_, source)| is_library(source));
    let own = numbered().filter(|(_, source)| !is_library(source));
    for (index, source) in libraries.chain(own) {
        match parse_source(source, index, &expander, &mut types) {
            Ok(mut part) if is_library(source) => ast.library.append(&mut part.items),
            Ok(mut part) => {
                ast.items.append(&mut part.items);
                ast.pragmas.append(&mut part.pragmas);
            }
            Err(mut found) => errors.append(&mut found),
        }
    }
    if errors.is_empty() {
        let last = numbered().filter(|(_, source)| !is_library(source)).last();
        let end = last.map_or_else(Span::default, |(index, source)| {
            span(index, source.text.len(), source.text.len())
        });
        errors.extend(expander.unused(end));
    }
    if errors.is_empty() {
        Ok(ast)
    } else {
        Err(errors)
    }
}

/// The names and values of the `#pragma D option` lines, before anything else is known of the
/// sources: macros in them are not expanded, and sources that are not D have none.
#[must_use]
pub fn option_lines(sources: &[Source]) -> Vec<(String, Option<String>)> {
    let mut types = TypeNames::new();
    let scanned = sources
        .iter()
        .filter(|source| !matches!(source.origin, Origin::Library(_)))
        .filter_map(|source| scan::scan(&source.text, 0, &mut types).ok());
    scanned
        .flat_map(|scanned| scanned.pragmas)
        .filter(|pragma| pragma.word == "option")
        .map(|pragma| match pragma.rest.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (pragma.rest, None),
        })
        .collect()
}

fn parse_source(
    source: &Source,
    index: u16,
    macros: &Expander<'_>,
    types: &mut TypeNames,
) -> Result<Ast, Vec<Diagnostic>> {
    if source.text.len() > u32::MAX as usize {
        return Err(vec![Diagnostic::new(
            Tag::Syntax,
            Span::default(),
            "program is too large",
        )]);
    }
    let scanned = scan::scan(&source.text, index, types).map_err(|error| vec![error])?;
    let expanded = words::expand(&scanned.text, macros);
    let program = Grammar::parse(Rule::program, &expanded.text).map_err(|error| {
        let error = syntax_error(&source.text, &expanded, index, &error);
        vec![undefined_before(&scanned.text, &error, macros).unwrap_or(error)]
    })?;
    let kind = match &source.origin {
        Origin::Script(_) | Origin::Library(_) => SpecifierKind::Name,
        Origin::Specifier { kind, .. } => *kind,
    };
    let builder = Builder {
        source: index,
        kind,
        macros,
        expanded: &expanded,
        is_script: matches!(source.origin, Origin::Script(_)),
        errors: RefCell::default(),
        depth: Cell::new(0),
    };
    let mut ast = Ast::default();
    for pair in program.flat_map(Pair::into_inner) {
        ast.items.extend(builder.item(pair));
    }
    for mut pragma in scanned.pragmas {
        pragma.rest = builder.report(macros.expand(&pragma.rest, pragma.span), String::new());
        ast.pragmas.push(pragma);
    }
    let errors = builder.errors.into_inner();
    if !errors.is_empty() {
        return Err(errors);
    }
    let is_library = matches!(source.origin, Origin::Library(_));
    if ast.items.is_empty() && ast.pragmas.is_empty() && !is_library {
        let end = span(index, source.text.len(), source.text.len());
        return Err(vec![Diagnostic::new(
            Tag::Empty,
            end,
            "empty D program translation unit",
        )]);
    }
    Ok(ast)
}

/// Builds the tree of one source. Errors are collected; what they spoil becomes a harmless
/// stand-in that nobody sees, since a source with errors gives no tree.
struct Builder<'a> {
    source: u16,
    kind: SpecifierKind,
    /// Whether the text is a script's, and not that of `-n`.
    is_script: bool,
    macros: &'a Expander<'a>,
    /// What was parsed, which knows the places in the source.
    expanded: &'a Expanded,
    errors: RefCell<Vec<Diagnostic>>,
    depth: Cell<usize>,
}

impl Builder<'_> {
    fn item(&self, pair: Pair<'_, Rule>) -> Option<Item> {
        Some(match pair.as_rule() {
            Rule::clause => Item::Clause(self.clause(pair)),
            Rule::declaration => Item::Declaration(self.declaration(pair)),
            Rule::inline_def => Item::Inline(self.inline(pair)),
            Rule::translator_def => Item::Translator(self.translator(pair)),
            Rule::provider_def => Item::Provider(self.provider(pair)),
            _ => return None,
        })
    }

    fn clause(&self, pair: Pair<'_, Rule>) -> Clause {
        let mut clause = Clause {
            probes: Vec::new(),
            predicate: None,
            body: Vec::new(),
            span: self.span(&pair),
        };
        let mut has_body = false;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::probes => {
                    clause.span = self.span(&part);
                    clause.probes = part
                        .into_inner()
                        .map(|spec| self.probe_spec(spec))
                        .collect();
                }
                Rule::predicate => {
                    clause.predicate = part.into_inner().next().map(|e| self.comma_expr(e));
                }
                _ => {
                    has_body = true;
                    clause.body = self.statements(part);
                }
            }
        }
        if self.is_script && !has_body {
            let message = if clause.predicate.is_some() {
                "expected actions { } following probe description and predicate"
            } else {
                "expected predicate and/or actions following probe description"
            };
            let error = Diagnostic::new(Tag::Syntax, clause.span, message);
            let hint = "in a script the default action is written { }";
            self.errors.borrow_mut().push(error.with_hint(hint));
        }
        clause
    }

    fn statements(&self, pair: Pair<'_, Rule>) -> Vec<Stmt> {
        pair.into_inner()
            .filter_map(|part| self.statement(part))
            .collect()
    }

    fn statement(&self, pair: Pair<'_, Rule>) -> Option<Stmt> {
        let mut span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::expr_statement => {
                let expr = self.comma_expr(pair.into_inner().next()?);
                span = expr.span;
                StmtKind::Expr(expr)
            }
            Rule::block => StmtKind::Block(self.statements(pair)),
            Rule::if_statement => return self.if_statement(pair),
            _ => return None,
        };
        Some(Stmt { kind, span })
    }

    /// `if`, its `else if`s and its `else`: they stand side by side in the grammar and inside
    /// each other in the tree.
    fn if_statement(&self, pair: Pair<'_, Rule>) -> Option<Stmt> {
        let whole = self.span(&pair);
        let mut parts = pair.into_inner().skip(1);
        let mut branches = vec![(
            whole,
            self.comma_expr(parts.next()?),
            self.branch(parts.next()),
        )];
        let mut otherwise = Vec::new();
        for part in parts {
            let span = self.span(&part);
            let is_else_if = part.as_rule() == Rule::else_if;
            let mut inner = part.into_inner().skip(if is_else_if { 2 } else { 1 });
            if is_else_if {
                branches.push((
                    span,
                    self.comma_expr(inner.next()?),
                    self.branch(inner.next()),
                ));
            } else {
                otherwise = self.branch(inner.next());
            }
        }
        if branches.len() > scan::MAX_NESTING {
            self.too_deep(whole);
            return None;
        }
        for (span, cond, then) in branches.into_iter().rev() {
            let span = span.to(whole);
            otherwise = vec![Stmt {
                kind: StmtKind::If {
                    cond,
                    then,
                    otherwise,
                },
                span,
            }];
        }
        otherwise.pop()
    }

    /// A branch of an `if`: a block's own statements, or the one statement.
    fn branch(&self, pair: Option<Pair<'_, Rule>>) -> Vec<Stmt> {
        match pair {
            Some(pair) if pair.as_rule() == Rule::block => self.statements(pair),
            Some(pair) => self.statement(pair).into_iter().collect(),
            None => Vec::new(),
        }
    }

    fn name(&self, pair: &Pair<'_, Rule>) -> Name {
        Name {
            text: pair.as_str().to_owned(),
            span: self.span(pair),
        }
    }

    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let text = pair.as_str();
        let start = pair.as_span().start();
        let last = start + text.trim_end().len().max(1) - 1;
        let [start, last] = [start, last].map(|at| self.expanded.in_source(at));
        span(self.source, start, last + 1)
    }

    /// Gives the value, or notes the error and gives the stand-in.
    fn report<T>(&self, result: Result<T, Diagnostic>, instead: T) -> T {
        result.unwrap_or_else(|error| {
            self.errors.borrow_mut().push(error);
            instead
        })
    }

    fn too_deep(&self, at: Span) {
        let message = "expression nests too deep";
        let error = Diagnostic::new(Tag::Nesting, at, message)
            .with_hint("split the expression, using this-> variables for its parts");
        self.errors.borrow_mut().push(error);
    }
}

/// libdtrace's words for a text that is not D: the token that cannot stand where it does.
fn syntax_error(
    text: &str,
    expanded: &Expanded,
    source: u16,
    error: &pest::error::Error<Rule>,
) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => expanded.in_source(at),
    };
    let at = skip_blank(text, at);
    let token = token_at(&text[at..]);
    if token.is_empty() {
        return Diagnostic::new(
            Tag::Syntax,
            span(source, at, at),
            "syntax error near end of input",
        );
    }
    let message = if closes_nothing(text, at) {
        format!("extra {token} in input stream")
    } else {
        format!("syntax error near \"{token}\"")
    };
    let mut diagnostic = Diagnostic::new(Tag::Syntax, span(source, at, at + token.len()), &message);
    diagnostic.hint = match token {
        "for" | "while" | "do" | "goto" => Some("D has no loops".into()),
        "switch" | "case" => Some("D has no switch: use if, or ?:".into()),
        _ => None,
    };
    diagnostic
}

/// The first macro in the braces of a clause that stands before a syntax error and is not defined: libdtrace
/// looks macros up as it reads them, so that it tells this and never comes to the other.
fn undefined_before(text: &str, error: &Diagnostic, macros: &Expander<'_>) -> Option<Diagnostic> {
    let end = usize::try_from(error.span.start).ok()?;
    let before = text.get(..end)?;
    let (mut at, mut depth) = (0, 0);
    while at < before.len() {
        at = skip_blank(before, at);
        let rest = &before[at..];
        let length = match rest.chars().next()? {
            quote @ ('"' | '\'') => quoted_length(rest, quote),
            '$' if depth > 0 => {
                let name = token_at(rest).trim_start_matches('$');
                let digits = name.trim_start_matches(|c: char| c.is_ascii_digit());
                let digits = name.len() - digits.len();
                let name = if digits > 0 { &name[..digits] } else { name };
                if !name.is_empty() && macros.lookup(name, rest.starts_with("$$")).is_none() {
                    let place = span(error.span.source, at, at + token_at(rest).len());
                    let dollars = if rest.starts_with("$$") { "$$" } else { "$" };
                    return Some(macros::undefined(&format!("{dollars}{name}"), place));
                }
                token_at(rest).len()
            }
            '{' => {
                depth += 1;
                1
            }
            '}' => {
                depth -= 1;
                1
            }
            _ => token_at(rest).len(),
        };
        at += length;
    }
    None
}

/// Whether a parenthesis or bracket closes none that is open.
fn closes_nothing(text: &str, at: usize) -> bool {
    let kinds = [('(', ')'), ('[', ']')];
    let Some((open, close)) = kinds
        .into_iter()
        .find(|(_, close)| text[at..].starts_with(*close))
    else {
        return false;
    };
    let (mut place, mut depth) = (0, 0);
    while place < at {
        place = skip_blank(text, place);
        let rest = &text[place..];
        place += match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted_length(rest, quote),
            Some(letter) if letter == open => {
                depth += 1;
                1
            }
            Some(letter) if letter == close => {
                depth -= i32::from(place < at);
                1
            }
            Some(_) => token_at(rest).len(),
            None => break,
        };
    }
    depth <= 0
}

/// The length of the string or character that a text begins with.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, letter)| {
        let ends = *letter == quote && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// Whether a text that begins with `$` begins with a macro.
fn is_macro(text: &str) -> bool {
    let name = text[1..].strip_prefix('$').unwrap_or(&text[1..]);
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// Skips blanks and comments.
fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        let comment = match rest[blank..].get(..2) {
            Some("/*") => rest[blank + 2..].find("*/").map(|n| n + 4),
            Some("//") => Some(rest[blank..].find('\n').unwrap_or(rest.len() - blank)),
            _ => None,
        };
        match comment {
            Some(length) => at += blank + length,
            None => return at + blank,
        }
    }
}

/// The token at the start of a text, for messages.
fn token_at(text: &str) -> &str {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let length = match text.chars().next() {
        None => 0,
        Some('$') if !is_macro(text) => 1,
        Some(c) if word(c) => text.find(|c| !word(c)).unwrap_or(text.len()),
        Some(c) => {
            let operators = [
                "<<=", ">>=", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||",
                "^^", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
            ];
            operators
                .iter()
                .find(|op| text.starts_with(**op))
                .map_or(c.len_utf8(), |op| op.len())
        }
    };
    &text[..length]
}
