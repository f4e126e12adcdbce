//! Places in the text.

use crate::diag::Span;

/// A span from byte offsets.
pub(super) fn span(source: u16, start: usize, end: usize) -> Span {
    let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span {
        source,
        start: offset(start),
        end: offset(end),
    }
}
