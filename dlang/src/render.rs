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

/// The widest part of a source line that is shown.
const WINDOW: usize = 100;

/// Shows a diagnostic, without the command's name that goes before it; lines end in `\n`.
#[must_use]
pub fn render(diagnostic: &Diagnostic, sources: &[Source], options: RenderOptions) -> String {
    let mut out = String::new();
    let source = sources.get(usize::from(diagnostic.span.source));
    let tag = if options.tags {
        format!("[{}] ", diagnostic.tag)
    } else {
        String::new()
    };
    let message = &diagnostic.message;
    // Writing to a String cannot fail.
    let _ = match source.map(|source| (source, &source.origin)) {
        Some((source, Origin::Script(file))) => {
            let line = line_of(&source.text, diagnostic.span.start).0;
            writeln!(
                out,
                "failed to compile script {file}: {tag}line {line}: {message}"
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
    let gutter = gutter_width(diagnostic, sources);
    show(&mut out, sources, diagnostic.span, "", gutter);
    for (span, label) in &diagnostic.labels {
        show(&mut out, sources, *span, label, gutter);
    }
    if let Some(hint) = &diagnostic.hint {
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
        Some(line_of(&source.text, span.start).0)
    });
    lines.max().unwrap_or(1).to_string().len()
}

/// Shows the line of a span with carets below it, and a label after them.
fn show(out: &mut String, sources: &[Source], span: Span, label: &str, gutter: usize) {
    let Some(source) = sources.get(usize::from(span.source)) else {
        return;
    };
    if source.text.is_empty() || (span.start, span.end) == (0, 0) {
        return;
    }
    let (number, start, line) = line_of(&source.text, span.start);
    let start = to_usize(span.start)
        .min(source.text.len())
        .saturating_sub(start);
    let length = to_usize(span.end.saturating_sub(span.start));
    let end = (start + length).min(line.trim_end().len()).max(start);
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

/// The number of the line that holds a byte, the offset of its start, and the line.
fn line_of(text: &str, at: u32) -> (usize, usize, &str) {
    let mut at = to_usize(at).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline);
    let number = text[..start].matches('\n').count() + 1;
    (number, start, &text[start..end])
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
