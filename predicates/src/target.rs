//! What an assignment changes, once it is found.

use dlang::program::VarId;

use crate::stack::Val;
use crate::storage::TupleMaps;
use crate::tuple::Tuple;

/// What an assignment changes.
#[derive(Debug)]
pub(crate) enum Target {
    /// A scalar variable.
    Scalar(VarId),
    /// An element of an associative array, its key in memory.
    Element(TupleMaps, Tuple),
    /// A part of a variable or element.
    Part(Part),
    /// What an address leads to.
    Memory(Val),
}

/// The distance of a part from the start of its variable or element: a constant, and the indexes
/// times their sizes.
#[derive(Debug)]
pub(crate) struct Distance {
    pub(crate) fixed: u32,
    pub(crate) indexed: Option<Val>,
}

/// A part of a variable or element.
#[derive(Debug)]
pub(crate) struct Part {
    /// The variable or element.
    pub(crate) whole: Box<Target>,
    /// Bytes of the whole.
    pub(crate) size: u32,
    pub(crate) distance: Distance,
}
