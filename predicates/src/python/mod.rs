//! Python's objects: reading what they hold, from the memory of the program that fires.
//!
//! An object is an address. What is there differs between versions of Python in offsets, which the code
//! finds in read-only memory ([`layout`]). [`capture`], with [`table`], copies what `repr` shows of an object, for
//! whoever prints it; [`value`] and [`text`] give numbers and strings for predicates and keys; [`locals`] finds the
//! objects that a function has as arguments and variables, [`attribute`] those that an object has, [`thread`]
//! the name of a thread, [`task`] that of an asyncio task.

mod attribute;
mod capture;
mod facts;
mod layout;
mod locals;
mod region;
mod region_access;
mod table;
mod task;
mod text;
mod thread;
mod value;

pub(crate) use self::capture::flags::{EXCEPTION, STR};
pub use self::layout::{Caught, Python, PythonName};
pub use self::region::{MOST_NAME, NODE_BYTES, ObjectRegion, kinds};
