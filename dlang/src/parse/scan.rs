//! The first look at a D text, before the grammar: control lines, unclosed comments and strings,
//! and how deep the text nests.
//!
//! Control lines (`#pragma`, `#line`, `#!`, the preprocessor's `# 1 "file"`) may stand between any
//! two tokens, so they are taken out here and left as blanks: every other byte keeps its place.
//! The parser recurses with the nesting of brackets, so that is limited here, for all that
//! follows.

use crate::ast::Pragma;
use crate::diag::{Diagnostic, Span};
use crate::tags::Tag;

/// How many brackets, `if`s and `sizeof`s may be open at one place.
pub(super) const MAX_NESTING: usize = 100;

/// A text without its control lines.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The text with blanks for the control lines, of the same length.
    pub(super) text: String,
    /// The `#pragma D` lines.
    pub(super) pragmas: Vec<Pragma>,
}

/// Scans one source.
pub(super) fn scan(text: &str, source: u16) -> Result<Scanned, Diagnostic> {
    let mut scanner = Scanner {
        text,
        source,
        at: 0,
        depth: 0,
        chain: 0,
    };
    let mut out = text.as_bytes().to_vec();
    let mut pragmas = Vec::new();
    let mut line_start = true;
    while let Some(byte) = scanner.peek(0) {
        let start = scanner.at;
        match byte {
            b'#' if line_start => {
                let end = text[start..].find('\n').map_or(text.len(), |n| start + n);
                let span = scanner.span(start, end);
                if let Some(pragma) = control_line(&text[start..end], span, start == 0)? {
                    pragmas.push(pragma);
                }
                out[start..end].fill(b' ');
                scanner.at = end;
            }
            b'/' if scanner.peek(1) == Some(b'*') => scanner.skip_comment()?,
            b'/' if scanner.peek(1) == Some(b'/') => {
                scanner.at = text[start..].find('\n').map_or(text.len(), |n| start + n);
            }
            b'"' | b'\'' => scanner.skip_quoted(byte)?,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'0'..=b'9' => scanner.skip_word()?,
            _ => scanner.step(byte)?,
        }
        if scanner.at > start && byte != b'/' {
            line_start = byte == b'\n' || (line_start && byte.is_ascii_whitespace());
        }
    }
    // Blanks replaced whole characters, so the text stays UTF-8.
    let text = String::from_utf8(out).unwrap_or_else(|_| text.to_owned());
    Ok(Scanned { text, pragmas })
}

struct Scanner<'a> {
    text: &'a str,
    source: u16,
    at: usize,
    depth: usize,
    chain: usize,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn span(&self, start: usize, end: usize) -> Span {
        super::span(self.source, start, end)
    }

    fn error<T>(&self, tag: Tag, start: usize, end: usize, message: &str) -> Result<T, Diagnostic> {
        Err(Diagnostic::new(tag, self.span(start, end), message))
    }

    fn skip_comment(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        match self.text[start + 2..].find("*/") {
            Some(n) => {
                self.at = start + 2 + n + 2;
                Ok(())
            }
            None => self.error(
                Tag::Syntax,
                start,
                start + 2,
                "end-of-file encountered before matching */",
            ),
        }
    }

    fn skip_quoted(&mut self, quote: u8) -> Result<(), Diagnostic> {
        let start = self.at;
        let what = if quote == b'"' { "string" } else { "character" };
        self.at += 1;
        loop {
            match self.peek(0) {
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\n') => {
                    let (tag, kind) = if quote == b'"' {
                        (Tag::StrNl, "literal")
                    } else {
                        (Tag::ChrNl, "constant")
                    };
                    let message = format!("newline encountered in {what} {kind}");
                    return self.error(tag, start, self.at, &message);
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => {
                    let near = char::from(quote);
                    let message = format!("syntax error near \"{near}\"");
                    return self.error(Tag::Syntax, start, start + 1, &message);
                }
            }
        }
    }

    fn skip_word(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        while self
            .peek(0)
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            self.at += 1;
        }
        if matches!(&self.text[start..self.at], "if" | "else" | "sizeof") {
            self.chain += 1;
            self.check_depth(start)?;
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), Diagnostic> {
        let start = self.at;
        match byte {
            b'(' | b'[' => self.depth += 1,
            b')' | b']' => self.depth = self.depth.saturating_sub(1),
            b'{' => {
                self.depth += 1;
                self.chain = 0;
            }
            b'}' => {
                self.depth = self.depth.saturating_sub(1);
                self.chain = 0;
            }
            b';' => self.chain = 0,
            _ => {}
        }
        self.at += 1;
        self.check_depth(start)
    }

    fn check_depth(&self, start: usize) -> Result<(), Diagnostic> {
        if self.depth + self.chain <= MAX_NESTING {
            return Ok(());
        }
        let message = format!("program nests more than {MAX_NESTING} levels deep");
        let mut diagnostic = Diagnostic::new(Tag::Nesting, self.span(start, self.at), &message);
        diagnostic.hint = Some("split the expression, using this-> variables for its parts".into());
        Err(diagnostic)
    }
}

/// Reads one line that begins with `#`; the D pragmas among them are kept.
fn control_line(line: &str, span: Span, first: bool) -> Result<Option<Pragma>, Diagnostic> {
    if first && line.starts_with("#!") {
        return Ok(None);
    }
    let rest = line[1..].trim();
    let (directive, rest) = split_word(rest);
    match directive {
        "error" => Err(Diagnostic::new(
            Tag::PragErr,
            span,
            &format!("#error: {rest}"),
        )),
        "ident" | "line" | "" => Ok(None),
        number if number.bytes().all(|b| b.is_ascii_digit()) => Ok(None),
        "pragma" => d_pragma(rest, span),
        other => Err(Diagnostic::new(
            Tag::PragmaInval,
            span,
            &format!("invalid control directive: #{other}"),
        )
        .with_hint("#define and #include need the preprocessor: use -C")),
    }
}

fn d_pragma(rest: &str, span: Span) -> Result<Option<Pragma>, Diagnostic> {
    let (language, rest) = split_word(rest);
    if language == "error" {
        return Err(Diagnostic::new(
            Tag::PragErr,
            span,
            &format!("#error: {rest}"),
        ));
    }
    if language != "D" {
        return Ok(None);
    }
    let (word, rest) = split_word(rest);
    match word {
        "error" => Err(Diagnostic::new(
            Tag::PragErr,
            span,
            &format!("#error: {rest}"),
        )),
        "option" if rest.is_empty() || rest.contains(char::is_whitespace) => Err(Diagnostic::new(
            Tag::PragmaMalform,
            span,
            "malformed #pragma option: expected <option-name>=<value>",
        )),
        "attributes" | "binding" | "depends_on" | "ident" | "line" | "option" => Ok(Some(Pragma {
            word: word.to_owned(),
            rest: rest.to_owned(),
            span,
        })),
        _ => Err(Diagnostic::new(
            Tag::PragmaInval,
            span,
            &format!("invalid D pragma: {word}"),
        )),
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim()))
}
