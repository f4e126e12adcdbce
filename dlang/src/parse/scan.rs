//! The first look at a D text, before the grammar: control lines, unclosed comments and strings,
//! and how deep the text nests.
//!
//! Control lines (`#pragma`, `#line`, `#!`, the preprocessor's `# 1 "file"`) may stand between any
//! two tokens, so they are taken out here and left as blanks: every other byte keeps its place.
//! C cannot be parsed without the names of types: `(byte) - 1` is a cast if `byte` is a typedef. So
//! the names that typedefs define are found here, and the brackets of such a cast become
//! [`CAST_OPEN`] and [`CAST_CLOSE`], which the grammar knows.
//! The parser recurses with the nesting of brackets, so that is limited here, for all that
//! follows.

use std::collections::HashSet;

use crate::ast::Pragma;
use crate::diag::{Diagnostic, Span};
use crate::tags::Tag;

/// How many brackets, `if`s and `sizeof`s may be open at one place.
pub(super) const MAX_NESTING: usize = 100;

/// Stands for the `(` of a cast to the name of a typedef.
const CAST_OPEN: u8 = 1;
/// Stands for the `)` of a cast to the name of a typedef.
const CAST_CLOSE: u8 = 2;

/// The typedef names of D itself that do not end in `_t`, which the grammar knows by that.
const STANDARD_NAMES: [&str; 8] = ["u8", "u16", "u32", "u64", "__u8", "__u16", "__u32", "__u64"];

/// The names that typedefs define, in all sources so far.
#[derive(Debug)]
pub(super) struct TypeNames(HashSet<String>);

impl TypeNames {
    pub(super) fn new() -> Self {
        Self(STANDARD_NAMES.map(str::to_owned).into())
    }
}

/// A text without its control lines.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The text with blanks for the control lines, of the same length.
    pub(super) text: String,
    /// The `#pragma D` lines.
    pub(super) pragmas: Vec<Pragma>,
}

/// Scans one source; its typedefs are added to `types`.
pub(super) fn scan(text: &str, source: u16, types: &mut TypeNames) -> Result<Scanned, Diagnostic> {
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
    let mut tokens = Tokens::default();
    while let Some(byte) = scanner.peek(0) {
        let start = scanner.at;
        match byte {
            b'#' if line_start => {
                let end = scanner.end_of_control_line()?;
                let span = scanner.span(start, end);
                if let Some(pragma) = control_line(&text[start..end], span)? {
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
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'0'..=b'9' => {
                scanner.skip_word()?;
                tokens.word(&text[start..scanner.at], scanner.depth);
            }
            _ => {
                let depth = scanner.depth;
                scanner.step(byte)?;
                let depth = depth.min(scanner.depth);
                if let Some((open, close)) = tokens.other(byte, start, depth, types) {
                    out[open] = CAST_OPEN;
                    out[close] = CAST_CLOSE;
                }
            }
        }
        if scanner.at > start && byte != b'/' {
            line_start = byte == b'\n' || (line_start && byte.is_ascii_whitespace());
        }
    }
    // Blanks replaced whole characters, so the text stays UTF-8.
    let text = String::from_utf8(out).unwrap_or_else(|_| text.to_owned());
    Ok(Scanned { text, pragmas })
}

/// The last tokens: enough to see typedefs and casts.
#[derive(Debug, Default)]
struct Tokens<'a> {
    /// How many brackets were open at the `typedef` whose names are being read.
    typedef: Option<usize>,
    /// Whether a `(*` of that typedef is open, as in `typedef int (*name)(int);`.
    pointer: bool,
    /// The token before, if it was a word.
    word: Option<&'a str>,
    /// Where the `(` before stands, with at most a word since, and no operand before it.
    open: Option<usize>,
    /// Whether the token before was an operand, so that a `(` begins a call.
    operand: bool,
    /// Whether the token before was a `(`.
    bracket: bool,
    /// A `(name)` that was the token before, and is a cast if an operand follows.
    cast: Option<(usize, usize)>,
}

impl<'a> Tokens<'a> {
    fn word(&mut self, word: &'a str, depth: usize) {
        if word == "typedef" {
            self.typedef = Some(depth);
            self.pointer = false;
        }
        self.cast = None;
        self.bracket = false;
        self.word = Some(word);
        self.operand = word != "stringof";
    }

    /// Takes a token that is no word, outside of which `depth` brackets are open. Gives the
    /// brackets of a cast when an operator shows that the name between them was one.
    fn other(
        &mut self,
        byte: u8,
        at: usize,
        depth: usize,
        types: &mut TypeNames,
    ) -> Option<(usize, usize)> {
        if byte.is_ascii_whitespace() {
            return None;
        }
        let cast = self.cast.take();
        if self.typedef == Some(depth) {
            let ends_name = match byte {
                b';' | b',' | b'[' => true,
                b')' => std::mem::take(&mut self.pointer),
                _ => false,
            };
            if let (true, Some(name)) = (ends_name, self.word) {
                types.0.insert(name.to_owned());
            }
            if byte == b';' {
                self.typedef = None;
            }
        }
        self.pointer |= byte == b'*' && self.bracket;
        self.bracket = byte == b'(';
        match byte {
            b'(' => self.open = (!self.operand).then_some(at),
            b')' => {
                let known = self.word.is_some_and(|word| types.0.contains(word));
                self.cast = self.open.take().filter(|_| known).map(|open| (open, at));
            }
            _ => self.open = None,
        }
        self.operand = matches!(byte, b')' | b']');
        self.word = None;
        cast.filter(|_| matches!(byte, b'-' | b'+' | b'&' | b'*'))
    }
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
        super::span::span(self.source, start, end)
    }

    fn error<T>(&self, tag: Tag, start: usize, end: usize, message: &str) -> Result<T, Diagnostic> {
        Err(Diagnostic::new(tag, self.span(start, end), message))
    }

    /// Where the control line ends that begins here. The text may end with it only if it is the first one,
    /// for the kernel.
    fn end_of_control_line(&self) -> Result<usize, Diagnostic> {
        let line = &self.text[self.at..];
        let end = self.text.len();
        match line.find('\n') {
            Some(length) => Ok(self.at + length),
            None if line.starts_with("#!") => Ok(end),
            None => {
                let message = "end-of-file encountered before end of control line";
                self.error(Tag::Syntax, self.at, end, message)
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        match self.text[start + 2..].find("*/") {
            Some(n) => {
                let inside = start + 2..start + 2 + n;
                if let Some(again) = self.text[inside.clone()].find("/*") {
                    let at = inside.start + again;
                    let message = "/* encountered inside a comment";
                    return self.error(Tag::Syntax, at, at + 2, message);
                }
                self.at = inside.end + 2;
                Ok(())
            }
            None => {
                let message = "end-of-file encountered before matching */";
                let error = Diagnostic::new(Tag::Syntax, self.span(start, start + 2), message);
                let end = self.text.len();
                Err(error.reached(self.span(end, end)))
            }
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
                    let error = Diagnostic::new(tag, self.span(start, self.at), &message);
                    let behind = self.span(self.at + 1, self.at + 1);
                    return Err(error.reached(behind));
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
fn control_line(line: &str, span: Span) -> Result<Option<Pragma>, Diagnostic> {
    if line.starts_with("#!") {
        return Ok(None);
    }
    let rest = line[1..].trim();
    let (directive, rest) = split_word(rest);
    match directive {
        "error" => Err(error_line(rest, span)),
        "line" if !is_line_control(rest) => Err(malformed_line(span)),
        "ident" | "line" | "" => Ok(None),
        number if number.bytes().all(|b| b.is_ascii_digit()) => Ok(None),
        "pragma" => d_pragma(rest, span),
        other => Err(Diagnostic::new(
            Tag::PragctlInval,
            span,
            &format!("invalid control directive: #{other}"),
        )
        .with_hint("#define and #include need the preprocessor: use -C")),
    }
}

fn d_pragma(rest: &str, span: Span) -> Result<Option<Pragma>, Diagnostic> {
    let (language, rest) = split_word(rest);
    match language {
        "error" => return Err(error_line(rest, span)),
        "line" if !is_line_control(rest) => return Err(malformed_line(span)),
        _other => {}
    }
    if language != "D" || rest.is_empty() {
        return Ok(None);
    }
    let (word, rest) = split_word(rest);
    match word {
        "error" => Err(error_line(rest, span)),
        "option" if rest.is_empty() || rest.starts_with('"') => Err(Diagnostic::new(
            Tag::PragmaMalform,
            span,
            "malformed #pragma option <option>=<val>",
        )),
        "option" if rest.contains(char::is_whitespace) => Err(Diagnostic::new(
            Tag::PragmaMalform,
            span,
            "superfluous arguments specified for #pragma option",
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

/// What `#error` and its like say, as libdtrace does: each word with a blank behind it, strings without
/// their quotes.
fn error_line(rest: &str, span: Span) -> Diagnostic {
    let rest = rest.replace('"', "");
    let mut words = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    if !words.is_empty() {
        words.push(' ');
    }
    Diagnostic::new(Tag::PragErr, span, &format!("#error: {words}"))
}

/// Whether these are a line's number and, if anything, a file's name in quotes.
fn is_line_control(rest: &str) -> bool {
    let (number, file) = split_word(rest);
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let is_file =
        file.is_empty() || file.len() >= 2 && file.starts_with('"') && file.ends_with('"');
    is_number && is_file
}

fn malformed_line(span: Span) -> Diagnostic {
    let message = "malformed #line <line> [ [\"file\"] state ]";
    Diagnostic::new(Tag::PragmaMalform, span, message)
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim()))
}
