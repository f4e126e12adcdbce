//! Diagnostics: what is wrong with a D program, where, and what to do about it.

use std::fmt;

use crate::tags::Tag;

/// A range of bytes in one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which source: an index into the list that was parsed.
    pub source: u16,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One D source: a script, or the text of a `-n` option.
#[derive(Clone, Debug)]
pub struct Source {
    /// How messages name it.
    pub origin: Origin,
    /// The text.
    pub text: String,
}

/// Where a source came from, which decides a message's first words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `-s FILE`: `failed to compile script FILE: line N: `.
    Script(String),
    /// A D library, by its name or file: `failed to compile library NAME: line N: `.
    Library(String),
    /// `-n TEXT` and the like: `invalid probe specifier TEXT: `.
    Specifier {
        /// The text as given, which messages show.
        text: String,
        /// Which option gave it.
        kind: SpecifierKind,
    },
}

/// Which field of a probe description the last part of a probe specifier names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecifierKind {
    /// `-P provider`.
    Provider,
    /// `-m [provider:]module`.
    Module,
    /// `-f [[provider:]module:]function`.
    Function,
    /// `-n [[[provider:]module:]function:]name`, and what `-i` was turned into.
    Name,
}

/// An error in a D program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// libdtrace's name for the error.
    pub tag: Tag,
    /// Where it is.
    pub span: Span,
    /// How far the text had been read when it was found, if that is not where it is: libdtrace tells the line of
    /// this place.
    pub reached: Option<Span>,
    /// Which part of a clause it was found in, which messages on specifiers tell.
    pub region: Region,
    /// What is wrong; the first line keeps libdtrace's words where scripts may rely on them.
    pub message: String,
    /// Other places that matter, each with a few words.
    pub labels: Vec<(Span, String)>,
    /// What to do.
    pub hint: Option<String>,
}

/// The part of a clause that an error is in, where libdtrace tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Region {
    /// Not told.
    #[default]
    None,
    /// `in predicate: `.
    Predicate,
    /// `in action list: `.
    Actions,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Diagnostic {
    /// An error with just a message.
    #[must_use]
    pub fn new(tag: Tag, span: Span, message: &str) -> Self {
        Self {
            tag,
            span,
            reached: None,
            region: Region::None,
            message: message.to_owned(),
            labels: Vec::new(),
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// The same, found when the text had been read up to another place.
    #[must_use]
    pub fn reached(mut self, place: Span) -> Self {
        self.reached = Some(place);
        self
    }

    /// The same with a label on another place.
    #[must_use]
    pub fn with_label(mut self, span: Span, text: &str) -> Self {
        self.labels.push((span, text.to_owned()));
        self
    }
}

impl Span {
    /// From the start of this span to the end of `other`.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            end: other.end.max(self.end),
            ..self
        }
    }
}
