//! libdtrace's error tags, one variant each.

/// The name of an error. Scripts rely on these names, which print with `-x errtags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// The text is not D.
    Syntax,
}

impl Tag {
    /// The tag as libdtrace spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "D_SYNTAX",
        }
    }
}
