//! Exceptions: where one comes to a function.
//!
//! `PyTraceBack_Here`, which is exported, puts a function at the head of the traceback of the exception that its thread
//! is raising. The interpreter calls it for each function that an exception comes to, the one that raises it first,
//! in all versions: then there is no traceback yet. It takes the exception out of the thread's state early, so the site
//! is its very start: the `push` there, if it begins with one, else the first instruction, whose cost (a second trap)
//! is little for an exception.

use iced_x86::Mnemonic;

use super::build::Place;
use super::code::{emulated, straight};
use super::image::Image;

/// Where the function starts.
pub(super) fn find(image: &Image<'_>) -> Option<Place> {
    let start = image.symbol("PyTraceBack_Here")?.address;
    let first = straight(image, start, 2).find(|insn| insn.mnemonic() != Mnemonic::Endbr64)?;
    let address = match emulated(image, &first) {
        Some(_) => first.ip(),
        None => start,
    };
    Some(Place {
        address,
        file_offset: image.file_offset(address)?,
    })
}
