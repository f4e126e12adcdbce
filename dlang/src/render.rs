//! Diagnostics as text for people: libdtrace's line first, then the source with carets.
//!
//! ```text
//! failed to compile script lat.d: [D_IDENT_UNDEF] line 5: failed to resolve slef: ...
//!   5 |         @[execname] = quantize(timestamp - slef->start);
//!     |                                            ^^^^
//!   hint: thread-local variables are written `self->name`
//! ```
//!
//! Of a message with several lines (libdtrace's prototypes) all come first. Tabs are shown as
//! blanks to the next multiple of 8, so that carets stand right, and of a long line only the part
//! around the caret is shown.

use std::fmt::Write as _;

use crate::diag::{Diagnostic, Origin, Region, Source, Span};

/// How diagnostics are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct RenderOptions {
    /// `-x errtags`: tags are shown.
    pub tags: bool,
}

/// Where a diagnostic is, for programs that read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The script, or the file that the preprocessor has included there; none for a specifier.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// Where a diagnostic begins; `None` if it is nowhere in the sources.
#[must_use]
pub fn locate(diagnostic: &Diagnostic, sources: &[Source]) -> Option<Location> {
    let source = sources.get(usize::from(diagnostic.span.source))?;
    let at = line_of(&source.text, diagnostic.span.start);
    let script = match &source.origin {
        Origin::Script(file) | Origin::Library(file) => Some(file.as_str()),
        Origin::Specifier { .. } => None,
    };
    let before = to_usize(diagnostic.span.start).checked_sub(at.start);
    let before = before.and_then(|length| at.line.get(..length));
    Some(Location {
        file: at.file.or(script).map(str::to_owned),
        line: at.number,
        column: before.map_or(0, |before| before.chars().count()) + 1,
    })
}

/// The widest part of a source line that is shown.
const WINDOW: usize = 100;

/// Shows a diagnostic, without the command's name that goes before it; lines end in `\n`.
#[must_use]
pub fn render(diagnostic: &Diagnostic, sources: &[Source], options: RenderOptions) -> String {
    let mut out = String::new();
    let told = diagnostic.reached.unwrap_or(diagnostic.span);
    let source = sources.get(usize::from(told.source));
    let tag = if options.tags {
        format!("[{}] ", diagnostic.tag)
    } else {
        String::new()
    };
    let message = &diagnostic.message;
    // Writing to a String cannot fail.
    let _ = match source.map(|source| (source, &source.origin)) {
        Some((source, Origin::Script(file) | Origin::Library(file))) => {
            let what = match source.origin {
                Origin::Library(_) => "library",
                Origin::Script(_) | Origin::Specifier { .. } => "script",
            };
            let at = line_of(&source.text, told.start);
            let included = at
                .file
                .map_or(String::new(), |file| format!("\"{file}\", "));
            let line = at.number;
            writeln!(
                out,
                "failed to compile {what} {file}: {tag}{included}line {line}: {message}"
            )
        }
        Some((_, Origin::Specifier { text, .. })) => {
            let region = match diagnostic.region {
                Region::None => "",
                Region::Predicate => "in predicate: ",
                Region::Actions => "in action list: ",
            };
            writeln!(
                out,
                "invalid probe specifier {text}: {tag}{region}{message}"
            )
        }
        None => writeln!(out, "{tag}{message}"),
    };
    out.push_str(&excerpt(diagnostic, sources));
    out
}

/// What [`render`] shows below the message: the source lines with carets, and the hint.
#[must_use]
pub fn excerpt(diagnostic: &Diagnostic, sources: &[Source]) -> String {
    let mut out = String::new();
    let gutter = gutter_width(diagnostic, sources);
    show(&mut out, sources, diagnostic.span, "", gutter);
    for (span, label) in &diagnostic.labels {
        show(&mut out, sources, *span, label, gutter);
    }
    if let Some(hint) = &diagnostic.hint {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  hint: {hint}");
    }
    out
}

/// Digits of the largest line number that is shown.
fn gutter_width(diagnostic: &Diagnostic, sources: &[Source]) -> usize {
    let spans = [diagnostic.span]
        .into_iter()
        .chain(diagnostic.labels.iter().map(|(span, _)| *span));
    let lines = spans.filter_map(|span| {
        let source = sources.get(usize::from(span.source))?;
        Some(line_of(&source.text, span.start).number)
    });
    lines.max().unwrap_or(1).to_string().len()
}

/// Shows the line of a span with carets below it, and a label after them.
fn show(out: &mut String, sources: &[Source], span: Span, label: &str, gutter: usize) {
    let Some(source) = sources.get(usize::from(span.source)) else {
        return;
    };
    let at_end = to_usize(span.start) >= source.text.len();
    if at_end || (span.start, span.end) == (0, 0) {
        return;
    }
    let at = line_of(&source.text, span.start);
    let number = at.number;
    let start = to_usize(span.start)
        .min(source.text.len())
        .saturating_sub(at.start);
    let length = to_usize(span.end.saturating_sub(span.start));
    let end = (start + length).min(at.line.trim_end().len()).max(start);
    let (line, start, end) = near(at.line, start, end);
    let (text, from, to) = expand(line, start, end);
    let (text, from, to) = window(&text, from, to);
    let carets = "^".repeat((to - from).max(1));
    let label = if label.is_empty() {
        String::new()
    } else {
        format!(" {label}")
    };
    let _ = writeln!(out, "  {number:>gutter$} | {text}");
    let _ = writeln!(out, "  {:gutter$} | {:from$}{carets}{label}", "", "");
}

/// The part of a very long line around the bytes `start` to `end`, so that showing one error of
/// many on it does not take time for all of the line.
fn near(line: &str, start: usize, end: usize) -> (&str, usize, usize) {
    const AROUND: usize = 4 * WINDOW;
    let mut from = start.saturating_sub(AROUND);
    let mut to = (end.min(start + AROUND) + AROUND).min(line.len());
    if from == 0 && to == line.len() {
        return (line, start, end);
    }
    while !line.is_char_boundary(from) {
        from -= 1;
    }
    while !line.is_char_boundary(to) {
        to += 1;
    }
    (&line[from..to], start - from, end.min(to) - from)
}

/// Where a byte of a source stands.
struct Place<'s> {
    /// The number of its line, as the preprocessor's and `#line` lines before it count.
    number: usize,
    /// The file that such a line names, if it is not the script itself.
    file: Option<&'s str>,
    /// The offset of the line's start.
    start: usize,
    /// The line.
    line: &'s str,
}

/// Finds the line that holds a byte.
fn line_of(text: &str, at: u32) -> Place<'_> {
    let mut at = to_usize(at).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline);
    let (mut number, mut file) = (1, None);
    let before = &text[..start];
    if before.starts_with('#') || before.contains("\n#") {
        for line in before.lines() {
            match line_marker(line) {
                Some((next, None)) => number = next,
                Some((next, Some(name))) => {
                    number = next;
                    // What the preprocessor calls the script itself.
                    let is_script = name.starts_with('<') || name == "/dev/stdin";
                    file = (!is_script).then_some(name);
                }
                None => number += 1,
            }
        }
    } else {
        number += before.matches('\n').count();
    }
    Place {
        number,
        file,
        start,
        line: &text[start..end],
    }
}

/// `# 5 "file"` or `#line 5 "file"`: the number of the next line, and the file if one is named.
fn line_marker(line: &str) -> Option<(usize, Option<&str>)> {
    let rest = line.strip_prefix('#')?.trim_start();
    let rest = rest.strip_prefix("pragma").unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix("line").unwrap_or(rest).trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = rest[..digits].parse().ok()?;
    let name = rest[digits..]
        .trim_start()
        .strip_prefix('"')
        .and_then(|name| name.split('"').next());
    Some((number, name))
}

/// A line as it is shown, tabs and unprintable characters replaced, and the columns of two of
/// its bytes.
fn expand(line: &str, start: usize, end: usize) -> (String, usize, usize) {
    let mut shown = String::with_capacity(line.len());
    let (mut column, mut from, mut to) = (0, None, None);
    for (at, c) in line.char_indices() {
        if at >= start && from.is_none() {
            from = Some(column);
        }
        if at >= end && to.is_none() {
            to = Some(column);
        }
        let width = if c == '\t' { 8 - column % 8 } else { 1 };
        if c == '\t' {
            shown.extend(std::iter::repeat_n(' ', width));
        } else {
            shown.push(if c.is_control() { '\u{fffd}' } else { c });
        }
        column += width;
    }
    let (from, to) = (from.unwrap_or(column), to.unwrap_or(column));
    (shown.trim_end().to_owned(), from, to.max(from))
}

/// Cuts a long line to the part around the columns `from` to `to`.
fn window(text: &str, from: usize, to: usize) -> (String, usize, usize) {
    let length = text.chars().count();
    if length <= WINDOW {
        return (text.to_owned(), from, to);
    }
    let first = from.saturating_sub(WINDOW / 3).min(length - WINDOW);
    let before = if first > 0 { "..." } else { "" };
    let after = if first + WINDOW < length { "..." } else { "" };
    let part: String = text.chars().skip(first).take(WINDOW).collect();
    let move_to = |column: usize| before.len() + column.saturating_sub(first).min(WINDOW);
    (format!("{before}{part}{after}"), move_to(from), move_to(to))
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::SpecifierKind;
    use crate::tags::Tag;

    fn script(text: &str) -> Vec<Source> {
        vec![Source {
            origin: Origin::Script("lat.d".into()),
            text: text.into(),
        }]
    }

    fn at(text: &str, part: &str) -> Span {
        let start = u32::try_from(text.find(part).unwrap()).unwrap();
        Span {
            source: 0,
            start,
            end: start + u32::try_from(part.len()).unwrap(),
        }
    }

    #[test]
    fn a_script_shows_line_and_carets() {
        let text = "BEGIN\n{\n\ttrace(slef);\n}\n";
        let error = Diagnostic::new(Tag::IdentUndef, at(text, "slef"), "unknown `slef`")
            .with_hint("write `self`");
        let shown = render(&error, &script(text), RenderOptions { tags: true });
        assert_eq!(
            shown,
            "failed to compile script lat.d: [D_IDENT_UNDEF] line 3: unknown `slef`\n\
             \x20 3 |         trace(slef);\n\
             \x20   |               ^^^^\n\
             \x20 hint: write `self`\n"
        );
    }

    #[test]
    fn the_line_is_that_up_to_which_the_text_was_read() {
        let text = "BEGIN\n{ trace(\"a\n); }\n";
        let error = Diagnostic::new(Tag::StrNl, at(text, "\"a"), "newline in string");
        let error = error.reached(at(text, "); }"));
        let shown = render(&error, &script(text), RenderOptions::default());
        assert_eq!(
            shown,
            "failed to compile script lat.d: line 3: newline in string\n\
             \x20 2 | { trace(\"a\n\
             \x20   |         ^^\n"
        );
    }

    #[test]
    fn a_specifier_shows_its_text_and_region() {
        let text = "BEGIN /x/";
        let sources = vec![Source {
            origin: Origin::Specifier {
                text: text.into(),
                kind: SpecifierKind::Name,
            },
            text: text.into(),
        }];
        let mut error = Diagnostic::new(Tag::IdentUndef, at(text, "x"), "no x");
        error.region = Region::Predicate;
        let shown = render(&error, &sources, RenderOptions::default());
        assert!(shown.starts_with("invalid probe specifier BEGIN /x/: in predicate: no x\n"));
    }

    #[test]
    fn labels_show_their_own_line() {
        let text = "int x;\nstring x;\n";
        let error = Diagnostic::new(Tag::DeclIdred, at(text, "string"), "redeclared")
            .with_label(at(text, "x"), "first here");
        let shown = render(&error, &script(text), RenderOptions::default());
        assert!(
            shown.ends_with("  1 | int x;\n    |     ^ first here\n"),
            "{shown}"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!(
            "BEGIN {{ {} nosuch; {} }}",
            "a; ".repeat(100),
            "b; ".repeat(100)
        );
        let error = Diagnostic::new(Tag::IdentUndef, at(&text, "nosuch"), "no");
        let shown = render(&error, &script(&text), RenderOptions::default());
        let lines: Vec<&str> = shown.lines().collect();
        let caret = lines[2].find('^').unwrap();
        assert_eq!(&lines[1][caret..caret + 6], "nosuch");
        assert!(lines[1].len() < WINDOW + 20);
    }

    #[test]
    fn spans_outside_of_the_text_do_no_harm() {
        for (start, end) in [(0, 0), (3, 1), (9, 99), (u32::MAX, u32::MAX)] {
            let error = Diagnostic::new(
                Tag::Syntax,
                Span {
                    source: 0,
                    start,
                    end,
                },
                "x",
            );
            for text in ["", "\n", "aé\tb", "a\nb"] {
                let _ = render(&error, &script(text), RenderOptions::default());
            }
        }
    }
}
